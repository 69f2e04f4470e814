"""Authorization code with PKCE on a loopback redirect (RFC 6749, 7636, 8252), and its variant that ends in an API key.

The redirect is received at a loopback listener; at the same time a person may paste the code, or the whole address
the browser ended at, which is what works over SSH. The state is compared in constant time wherever one arrives. A
bare code has none: PKCE protects it, because a code of another sign-in does not fit this one's verifier. What is
pasted and can't be the answer, or is that to another sign-in, is sent nowhere and is no error: the person is told
what is expected and may paste again.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import msgspec

from vault.errors import InputError, SignInAgain, TryAgain
from vault.events.credentials import ApiKey
from vault.providers.clients import Client
from vault.providers.flows.asking import (
    AGAIN,
    SignedIn,
    Start,
    granted,
    nonce,
    pkce,
    post,
    refused,
    signed_in,
    token_request,
    with_query,
)
from vault.providers.flows.discovery import discover
from vault.providers.steps import Flow, Pasted, fetch, listen, open_browser, receive, send, tell
from vault.providers.tokens import Problem, fields_of, problem_of, scrubbed, visible
from vault.showing import is_key

PATIENCE = 300.0
UNHEARD_PORT = 38217
SHORTEST_CODE = 8
EXPECTED = "paste the code as the page shows it, or the whole address the browser ended at"
PROMPT = "Waiting for the browser. Or paste the code, or the address it ended at: "


@dataclass(frozen=True, slots=True)
class Grant:
    """An authorization code and what its exchange must repeat."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    state: str = field(repr=False)
    redirect_uri: str = ""


def browser_flow(client: Client, start: Start) -> Flow[SignedIn]:
    """Sign in in a browser and exchange the code for tokens.

    Raises SignInAgain when it was refused, TryAgain at a time-out or when the provider can't be reached, InputError.
    """
    if not client.authorize_url and client.issuer:
        found = yield from discover(client.issuer)
        client = msgspec.structs.replace(client, authorize_url=found.authorize_url)
    if not client.authorize_url:
        raise InputError(f"{client.name} has no sign-in in a browser", hint="use the device code")
    scopes = start.scopes or client.scopes
    grant = yield from _authorize(client, start, scopes)
    fields = {"code": grant.code, "redirect_uri": grant.redirect_uri, "code_verifier": grant.verifier}
    if client.state_in_token_request:
        fields["state"] = grant.state
    answer = yield from send(token_request(client, "authorization_code", fields, start.given))
    secrets = (grant.code, grant.verifier, start.given.get("client_secret", ""))
    return signed_in(client, granted(client, answer, secrets), start.given, scopes)


def key_flow(client: Client, start: Start) -> Flow[SignedIn]:
    """Sign in in a browser and exchange the code for an API key, as OpenRouter does it: the state goes in the callback's query.

    Raises as ``browser_flow`` does.
    """
    grant = yield from _authorize(client, start, (), callback=True)
    fields = {"code": grant.code, "code_verifier": grant.verifier, "code_challenge_method": "S256"}
    answer = yield from fetch(post(client.token_url, fields, client.encoding))
    found = fields_of(answer) or {}
    key = visible(found.get("key")) if answer.status < 300 else ""
    if not key:
        problem = problem_of(answer, (grant.code, grant.verifier))
        if answer.status in (429, 503) or answer.status >= 500:
            raise TryAgain(f"{answer.host} answered with status {answer.status}", hint=AGAIN)
        if problem is None:
            raise InputError(answer.broken or f"the answer of {answer.host} holds no key", hint=AGAIN)
        raise refused(client, problem)
    user = visible(found.get("user_id"))
    metadata = {"client": client.id, **({"user_id": user} if user else {})}
    return SignedIn(
        ApiKey(key=key, metadata=metadata), user, ("delete the key in the provider's settings to revoke it",)
    )


def _authorize(client: Client, start: Start, scopes: tuple[str, ...], *, callback: bool = False) -> Flow[Grant]:
    verifier, challenge = pkce(start.random)
    state = nonce(start.random)
    place = client.redirect
    port = yield from listen(place.ports, place.path, state, place.host)
    # Nobody listens there when no port could be had: the browser's address bar still shows what to paste.
    number = port or place.ports[0] or UNHEARD_PORT
    redirect_uri = f"http://{place.host}:{number}{place.path}"
    proof = [("code_challenge", challenge), ("code_challenge_method", "S256")]
    if callback:
        query = [("callback_url", with_query(redirect_uri, [("state", state)])), *proof]
    else:
        query = [
            ("response_type", "code"),
            ("client_id", client.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", " ".join(scopes)),
            ("state", state),
            *proof,
            *client.authorize_params.items(),
        ]
    if port is None:
        yield from tell("no port for the browser's answer is free here, so paste the address the browser ends at")
    yield from open_browser(with_query(client.authorize_url, query))
    return Grant((yield from _code(client, state)), verifier, state, redirect_uri)


def _code(client: Client, state: str) -> Flow[str]:
    while True:
        arrived = yield from receive(PATIENCE, PROMPT)
        if arrived is None:
            raise TryAgain(f"no answer from {client.name} came within {PATIENCE:g} s", hint=AGAIN)
        pasted = isinstance(arrived, Pasted)
        query = parse_pasted(arrived.text) if isinstance(arrived, Pasted) else arrived.query
        if isinstance(arrived, Pasted) and (why := not_an_answer(arrived.text, query)):
            yield from tell(f"{why}: {EXPECTED}")
            continue
        given = query.get("state", "")
        if (given or not pasted) and not hmac.compare_digest(given.encode(errors="replace"), state.encode()):
            if pasted:
                yield from tell("that is the answer to another sign-in; paste this one's")
                continue
            raise SignInAgain(f"the answer from {client.name} belongs to another sign-in", hint=AGAIN)
        if query.get("error"):
            secrets = (state, query.get("code", ""))
            words = Problem(scrubbed(query["error"], secrets), scrubbed(query.get("error_description", ""), secrets))
            raise refused(client, words)
        if client.issuer and query.get("iss", client.issuer).rstrip("/") != client.issuer.rstrip("/"):
            raise SignInAgain(f"the answer came from another server than {client.name}", hint=AGAIN)
        if visible(query.get("code")):
            return query["code"]
        if not pasted:
            raise InputError(f"the answer from {client.name} holds no code", hint=AGAIN)
        yield from tell(f"that holds no code: {EXPECTED}")


def not_an_answer(text: str, query: Mapping[str, str]) -> str:
    """Why a pasted text can't be an answer, in words; an empty text when it can be. Sent, it would use the sign-in up."""
    code = query.get("code", "")
    if query.get("error") or not code:
        return ""
    if not re.fullmatch(r"[\x21-\x7e]+", code):
        return "that is not a code: a code has no blanks in it"
    if _is_address(text):
        return "" if query.get("state") or query.get("iss") else "that address was cut off: its state is missing"
    if len(code) < SHORTEST_CODE:
        return "that is too short for a code"
    return "that is a key or a token, not a code" if is_key(code) and not code.startswith("eyJ") else ""


def parse_pasted(text: str) -> dict[str, str]:
    """What a person pasted, as a query: a whole redirect URL, a query, ``code#state``, or a bare code."""
    text = text.strip()
    if _is_address(text):
        try:
            parts = urlsplit(text)
            query = parts.query or parts.fragment or text.removeprefix("?")
            return dict(parse_qsl(query, max_num_fields=100))
        except ValueError:
            return {}
    code, mark, state = text.partition("#")
    return {"code": code, "state": state} if mark else {"code": code}


def _is_address(text: str) -> bool:
    text = text.strip()
    return "://" in text or text.startswith("?") or "code=" in text or "error=" in text
