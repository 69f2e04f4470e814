"""Device code (RFC 8628), and the dialects of OpenAI, MiniMax and Hyper.

All have one shape: start, show a code, poll until something came. What differs is the requests and how an answer is read. The
interval is the server's; ``slow_down`` adds five seconds; an answer that didn't come, or a failing server, doubles it. A person
may interrupt the waiting at any time; nothing is stored before the tokens are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from vault.errors import InputError, SignInAgain, TryAgain
from vault.providers.clients import Client
from vault.providers.flows.asking import (
    AGAIN,
    SignedIn,
    Start,
    authenticated,
    get,
    granted,
    nonce,
    pkce,
    post,
    refused,
    signed_in,
    token_request,
)
from vault.providers.steps import Flow, NoAnswer, Request, Response, ShowCode, fetch, send, wait
from vault.providers.tokens import Tokens, fields_of, number, problem_of, scrubbed, tokens_of, visible
from vault.values import SECOND, Instant

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
USER_CODE_GRANT = "urn:ietf:params:oauth:grant-type:user_code"
LONGEST_INTERVAL = 60.0
SLOW_DOWN = 5.0
DEFAULT_LIFE = 900

PENDING, SLOWER = "authorization_pending", "slow_down"
_USER_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")


@dataclass(frozen=True, slots=True)
class Started:
    """A device sign-in under way. ``interval`` and ``life`` are seconds; ``secret`` is what polling proves itself with."""

    user_code: str
    url: str
    complete_url: str | None
    interval: float
    life: int
    at: Instant
    secret: str = field(repr=False)
    verifier: str = field(default="", repr=False)


Verdict = Response | str
Poll = Callable[[Started], Request]
Read = Callable[[Response], Verdict]


def device_flow(client: Client, start: Start) -> Flow[SignedIn]:
    """Sign in by a code typed on another page.

    Raises SignInAgain when it was refused, TryAgain when the code ended or the provider can't be reached, InputError.
    """
    tokens = yield from device_tokens(client, start)
    return signed_in(client, tokens, start.given, start.scopes or client.scopes)


def device_tokens(client: Client, start: Start) -> Flow[Tokens]:
    """The tokens of a device sign-in."""
    if not client.device_url:
        raise InputError(f"{client.name} has no sign-in by a code", hint="use the browser")
    match client.device:
        case "openai":
            return (yield from _openai(client))
        case "minimax":
            return (yield from _minimax(client, start))
        case "hyper":
            return (yield from _hyper(client))
        case _:
            return (yield from _standard(client, start))


def _standard(client: Client, start: Start) -> Flow[Tokens]:
    identity, headers = authenticated(client, start.given)
    fields = {**identity, "scope": " ".join(start.scopes or client.scopes)}
    answer = yield from fetch(post(client.device_url, fields, headers=headers))
    started = _started(client, answer, "device_code")

    def poll(s: Started) -> Request:
        return token_request(client, GRANT, {"device_code": s.secret}, start.given, retries=0)

    done = yield from _polled(client, started, poll, _read_standard)
    return granted(client, done, (started.secret, start.given.get("client_secret", "")))


def _openai(client: Client) -> Flow[Tokens]:
    answer = yield from fetch(post(client.device_url, {"client_id": client.client_id}, "json"))
    if answer.status == 404:
        raise SignInAgain(f"{client.name} has sign-in by a code switched off for this account", hint="use the browser")
    started = _started(client, answer, "device_auth_id")

    def poll(s: Started) -> Request:
        return post(client.poll_url, {"device_auth_id": s.secret, "user_code": s.user_code}, "json", retries=0)

    def read(answer: Response) -> Verdict:
        return PENDING if answer.status in (403, 404) else _read_standard(answer)

    done = yield from _polled(client, started, poll, read)
    found = fields_of(done) or {}
    code, verifier = visible(found.get("authorization_code")), visible(found.get("code_verifier"))
    if not code or not verifier:
        raise InputError(f"the answer of {done.host} holds no code", hint=AGAIN)
    fields = {"code": code, "redirect_uri": client.device_redirect, "code_verifier": verifier}
    exchanged = yield from send(token_request(client, "authorization_code", fields))
    return granted(client, exchanged, (code, verifier, started.secret))


def _minimax(client: Client, start: Start) -> Flow[Tokens]:
    verifier, challenge = pkce(start.random)
    fields = {
        "response_type": "code",
        "client_id": client.client_id,
        "scope": " ".join(start.scopes or client.scopes),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": (state := nonce(start.random)),
    }
    answer = yield from fetch(post(client.device_url, fields))
    if (fields_of(answer) or {}).get("state", state) != state:
        raise SignInAgain(f"the answer from {client.name} belongs to another sign-in", hint=AGAIN)
    started = replace(_started(client, answer, "user_code"), verifier=verifier)

    def poll(s: Started) -> Request:
        fields = {"user_code": s.user_code, "code_verifier": s.verifier}
        return token_request(client, USER_CODE_GRANT, fields, retries=0)

    def read(answer: Response) -> Verdict:
        status = (fields_of(answer) or {}).get("status")
        return PENDING if status == "pending" else _read_standard(answer)

    done = yield from _polled(client, started, poll, read)
    return granted(client, done, (verifier,))


def _hyper(client: Client) -> Flow[Tokens]:
    answer = yield from fetch(post(client.device_url, {"device_name": "agent-vault"}, "json"))
    started = _started(client, answer, "device_code")

    def poll(s: Started) -> Request:
        return get(f"{client.device_url}/{s.secret}", retries=0)

    def read(answer: Response) -> Verdict:
        return answer if visible((fields_of(answer) or {}).get("refresh_token")) else _read_standard(answer, PENDING)

    done = yield from _polled(client, started, poll, read)
    found = fields_of(done) or {}
    first = visible(found.get("refresh_token"))
    if not first:
        raise InputError(f"the answer of {done.host} holds no token", hint=AGAIN)
    exchanged = yield from send(post(client.token_url, {"refresh_token": first}, "json"))
    tokens = granted(client, exchanged, (first, started.secret))
    names = {"accountId": found.get("user_id"), "organization": found.get("organization_name")}
    account = {n: v for n, v in names.items() if isinstance(v, str) and 0 < len(v) <= 200 and v.isprintable()}
    return replace(tokens, refresh=tokens.refresh or first, account={**account, **tokens.account})


def _started(client: Client, answer: Response, secret: str) -> Started:
    """The start of a device sign-in as the provider answered it. Raises SignInAgain, TryAgain, InputError."""
    found = fields_of(answer) or {}
    if answer.status in (429, 503) or answer.status >= 500:
        raise TryAgain(f"{answer.host} answered with status {answer.status}", hint="try again later")
    problem = problem_of(answer)
    if problem is not None:
        raise refused(client, problem)
    user_code = found.get("user_code", found.get("usercode"))
    url = client.verification_url or found.get("verification_uri") or found.get("verification_url")
    if not isinstance(user_code, str) or not _USER_CODE.fullmatch(user_code) or not isinstance(url, str):
        raise InputError(f"{answer.host} gave no code to show", hint="is the address right?")
    proof = visible(found.get(secret))
    if not proof:
        raise InputError(f"{answer.host} gave nothing to poll with", hint="is the address right?")
    complete = found.get("verification_uri_complete")
    interval = number(found.get("interval"))
    if interval is not None and client.device == "minimax":
        interval /= 1000
    return Started(
        user_code=user_code,
        url=url,
        complete_url=complete if isinstance(complete, str) else None,
        interval=min(max(1.0, client.interval_s if interval is None else interval), LONGEST_INTERVAL),
        life=_life(found, answer),
        at=answer.at,
        secret=proof,
    )


def _life(found: dict[str, Any], answer: Response) -> int:
    """How long the code lives, seconds. ``expired_in`` is a length below 1e9, else an instant in seconds or milliseconds."""
    value = number(found.get("expires_in", found.get("expired_in")))
    if value is None or value <= 0:
        return DEFAULT_LIFE
    if value >= 1e9:
        value = (value / 1000 if value >= 1e12 else value) - (answer.date or answer.at) / SECOND
    return int(min(max(value, 1), 3600))


def _polled(client: Client, started: Started, poll: Poll, read: Read) -> Flow[Response]:
    """Show the code and poll until there is an answer that is neither "pending" nor "slower"."""
    yield ShowCode(started.user_code, started.url, started.complete_url, started.life)
    interval, waited, now = started.interval, 0.0, started.at
    while True:
        if now - started.at + interval * SECOND > started.life * SECOND or waited + interval > started.life:
            raise TryAgain(f"the code of {client.name} expired before it was typed in", hint=AGAIN)
        yield from wait(interval, f"Waiting for {client.name}; press Ctrl-C to stop")
        waited += interval
        answer = yield from send(poll(started))
        now = answer.at
        if isinstance(answer, NoAnswer):
            interval = min(interval * 2, LONGEST_INTERVAL)
            continue
        match read(answer):
            case Response() as done:
                return done
            case "authorization_pending":
                continue
            case "slow_down":
                named = number((fields_of(answer) or {}).get("interval")) or 0
                interval = max(interval + SLOW_DOWN, min(named, LONGEST_INTERVAL))
            case "later":
                interval = max(min(interval * 2, LONGEST_INTERVAL), (answer.retry_after or 0) / SECOND)
            case "expired_token":
                raise TryAgain(f"the code of {client.name} expired before it was typed in", hint=AGAIN)
            case code:
                problem = problem_of(answer, (started.secret,))
                raise (
                    refused(client, problem)
                    if problem
                    else InputError(f"{answer.host} answered {scrubbed(str(code))}", hint=AGAIN)
                )


def _read_standard(answer: Response, otherwise: str = "") -> Verdict:
    """What a poll's answer says: itself when it is a success, else the error's name, or "later" for a server in trouble."""
    problem = problem_of(answer)
    if problem is None or tokens_of(answer) is not None:
        return otherwise or answer
    if problem.code in (PENDING, SLOWER):
        return problem.code
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return "later"
    return problem.code
