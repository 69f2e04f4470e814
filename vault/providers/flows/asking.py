"""The requests that flows send, built with oauthlib, and what they have in common."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from vault.errors import InputError, SignInAgain, TryAgain
from vault.events.credentials import AnyCredential, OAuth
from vault.providers.clients import Client, remembered
from vault.providers.steps import Flow, NoAnswer, Request, Response, ask, tell
from vault.providers.tokens import NotSent, Problem, Refreshed, Refused, Tokens, outcome_of, scrubbed
from vault.values import Instant, RandomBytes

TRIES = 3
AGAIN = "run the same command again"


@dataclass(frozen=True, slots=True)
class Start:
    """What a sign-in starts from. ``given`` are the answers to a method's needs; ``endpoints`` moves the registry's addresses."""

    now: Instant
    random: RandomBytes = field(repr=False)
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    scopes: tuple[str, ...] = ()
    endpoints: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in brought: the credential, whose it is, and what the person should know about it."""

    credential: AnyCredential
    account: str = ""
    notes: tuple[str, ...] = ()


def pkce(random: RandomBytes) -> tuple[str, str]:
    """A verifier of 43 characters and its S256 challenge (RFC 7636)."""
    from oauthlib.oauth2 import WebApplicationClient  # type: ignore[import-untyped]

    verifier = nonce(random)
    return verifier, WebApplicationClient("").create_code_challenge(verifier, "S256")


def nonce(random: RandomBytes) -> str:
    """256 random bits, as 43 characters that need no escaping."""
    return base64.urlsafe_b64encode(random(32)).rstrip(b"=").decode()


def asked(prompt: str, read: Callable[[str], str], *, hidden: bool = False) -> Flow[str]:
    """A line that ``read`` takes. When it raises InputError, the person is told why and asked again, twice; then it is raised."""
    for _ in range(TRIES - 1):
        try:
            return read((yield from ask(prompt, hidden=hidden)))
        except InputError as error:
            yield from tell(str(error))
    return read((yield from ask(prompt, hidden=hidden)))


def with_query(url: str, fields: Iterable[tuple[str, str]]) -> str:
    """A URL with more in its query; empty values are left out."""
    from oauthlib.common import add_params_to_uri  # type: ignore[import-untyped]

    made: str = add_params_to_uri(url, [(name, value) for name, value in fields if value])
    return made


def get(url: str, headers: Mapping[str, str] | None = None, *, redirects: int = 0, retries: int = 2) -> Request:
    """A GET for JSON."""
    wanted = {"Accept": "application/json", **(headers or {})}
    return Request("GET", url, tuple(wanted.items()), redirects=redirects, retries=retries)


def post(
    url: str,
    fields: Mapping[str, object],
    encoding: str = "form",
    headers: Mapping[str, str] | None = None,
    *,
    retries: int = 2,
) -> Request:
    """A POST of fields as a form or as JSON; empty values are left out."""
    sent = {name: value for name, value in fields.items() if value}
    if encoding == "json":
        kind, body = "application/json", json.dumps(sent)
    else:
        from oauthlib.common import urlencode

        kind, body = "application/x-www-form-urlencoded", urlencode([(n, str(v)) for n, v in sent.items()])
    wanted = {"Accept": "application/json", "Content-Type": kind, **(headers or {})}
    return Request("POST", url, tuple(wanted.items()), body.encode(), retries=retries)


def token_request(
    client: Client,
    grant_type: str,
    fields: Mapping[str, str],
    secrets: Mapping[str, str] | None = None,
    *,
    retries: int = 2,
) -> Request:
    """A request to the token endpoint, the client named and, where it has a secret, authenticated as its server wants."""
    identity, headers = authenticated(client, secrets or {})
    if client.encoding == "json":
        return post(
            client.token_url, {"grant_type": grant_type, **fields, **identity}, "json", headers, retries=retries
        )
    from oauthlib.oauth2.rfc6749.parameters import prepare_token_request  # type: ignore[import-untyped]

    body: str = prepare_token_request(grant_type, **fields, **identity)
    wanted = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers}
    return Request("POST", client.token_url, tuple(wanted.items()), body.encode(), retries=retries)


def authenticated(client: Client, secrets: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The fields and headers that say which client asks (RFC 6749, 2.3)."""
    secret = secrets.get("client_secret", "")
    headers = {} if client.refresh == "github" else dict(client.headers)
    if secret and client.auth == "basic":
        pair = f"{quote_plus(client.client_id)}:{quote_plus(secret)}".encode()
        return {}, {**headers, "Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    identity = {"client_id": client.client_id, "client_secret": secret}
    return {name: value for name, value in identity.items() if value}, headers


def granted(client: Client, answer: Response | NoAnswer, sent: Collection[str]) -> Tokens:
    """The tokens of an answer to a sign-in.

    Raises SignInAgain when it was refused, TryAgain when it was not or may not have been processed, InputError when the answer
    can't be understood.
    """
    match outcome_of(answer, client.rules, sent):
        case Refreshed(tokens=tokens):
            return tokens
        case Refused(code=code, description=description):
            raise refused(client, Problem(code, description))
        case NotSent(why=why):
            raise TryAgain(why, hint=AGAIN)
        case uncertain:
            if isinstance(answer, Response) and answer.status < 300 and not answer.broken:
                raise InputError(uncertain.why, hint="is the address right?")
            raise TryAgain(uncertain.why, hint="sign in again")


def refused(client: Client, problem: Problem) -> SignInAgain:
    """The error for a sign-in that the provider refused."""
    said = f"{problem.code}: {problem.description}" if problem.description else problem.code
    return SignInAgain(f"{client.name} refused the sign-in ({said})", hint=AGAIN)


def signed_in(
    client: Client,
    tokens: Tokens,
    given: Mapping[str, str],
    asked: tuple[str, ...] = (),
    metadata: Mapping[str, str] | None = None,
) -> SignedIn:
    """The credential of a sign-in that brought tokens. Raises InputError for a token that is no bearer token."""
    kind = tokens.extra.get("token_type")
    if kind is not None:
        raise InputError(
            f"{client.name} hands out tokens of the type {scrubbed(str(kind))}, which only their own client can use"
        )
    missing = [scope for scope in asked if tokens.scopes and scope not in tokens.scopes]
    notes = [f"{client.name} did not grant {', '.join(missing)}"] if missing else []
    if not tokens.refresh:
        notes.append("it can't be refreshed: sign in again when it ends" if tokens.expires_at else "it has no expiry")
    secret = given.get("client_secret", "")
    credential = OAuth(
        access=tokens.access,
        refresh=tokens.refresh,
        expires_at=tokens.expires_at,
        id_token=tokens.id_token,
        scopes=list(tokens.scopes or asked),
        account=dict(tokens.account),
        metadata={**remembered(client, given), **(metadata or {})},
        extra={**tokens.extra, **({"client_secret": secret} if secret else {})},
    )
    return SignedIn(credential, account_label(tokens.account), tuple(notes))


def account_label(account: Mapping[str, str]) -> str:
    """How an account is shown: its e-mail address, else its name or id."""
    return next((account[name] for name in ("email", "name", "accountId") if account.get(name)), "")
