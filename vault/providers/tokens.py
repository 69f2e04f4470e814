"""Token responses: what a provider answered, as tokens or as a kind of failure. Pure.

What an answer means follows from one question: may the refresh token that was sent be spent?

- ``Refreshed``   new tokens; a 200 whose content type is wrong still counts when its body can be read, or they would be lost.
- ``Refused``     the provider said no, in words. ``permanent`` when the token is dead; else it is the request that was wrong.
- ``NotSent``     it surely was not processed: no connection, 408, 421, 425, 429, 503, 307, 308, "try later". For a client
                  whose refresh tokens don't rotate, anything that may be repeated at no cost.
- ``Uncertain``   it may have been processed: sent without an answer, another 3xx or 5xx, a success that can't be read.

Expiry: ``expires_in`` counts from our clock. An absolute time is corrected by how far the answer's Date header is from our
clock. Both are bounded in one place, ``ends_after``. oauthlib builds our requests but does not read answers: its parser takes the
time from the machine's clock and, when scopes differ, raises a warning that carries the tokens. Text from a provider is scrubbed
before it is kept: what was sent and anything long enough to be a token goes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from vault.errors import InputError
from vault.events.credentials import OAuth
from vault.parsing import jwt_claims, parse_answer, parse_instant
from vault.providers.steps import NoAnswer, Response
from vault.values import DAY, HOUR, LARGEST_SECRET, SECOND, Instant

ASSUMED_LIFETIME = HOUR
LONGEST_LIFETIME = 10 * 365 * DAY
LONGEST_RETRY_AFTER = HOUR

DEAD_CODES = frozenset(
    {
        "invalid_grant",
        "bad_refresh_token",
        "invalid_refresh_token",
        "refresh_token_expired",
        "refresh_token_invalidated",
        "refresh_token_reused",
        "token_revoked",
    }
)
LATER_CODES = frozenset({"rate_limit_exceeded", "rate_limited", "slow_down", "temporarily_unavailable"})
UNPROCESSED_STATUSES = frozenset({307, 308, 408, 421, 425, 429, 503})

_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_LONG = re.compile(r"[A-Za-z0-9_~+=-]{24,}")
_DECIMAL = re.compile(r"-?\d{1,18}(?:\.\d{1,9})?")
_KNOWN = frozenset(
    {
        "access_token",
        "client_secret",
        "expired_in",
        "expires_at",
        "expires_in",
        "id_token",
        "refresh_token",
        "scope",
        "token_type",
    }
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider handed out. ``expires_at`` is microseconds UTC; empty ``scopes`` mean: those that were asked for."""

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    expires_at: int | None = None
    scopes: tuple[str, ...] = ()
    id_token: str = field(default="", repr=False)
    account: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """New tokens came. An empty ``refresh`` means that the old refresh token stays."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider said no. ``permanent``: the refresh token is dead, and only a person can go on."""

    code: str
    description: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing was spent. ``retry_after`` is how long the provider wants to be left alone, in microseconds."""

    why: str
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The refresh token that was sent may be spent."""

    why: str


Outcome = Refreshed | Refused | NotSent | Uncertain


@dataclass(frozen=True, slots=True)
class Rules:
    """How one provider's answers are read, beside what all have in common. ``spends``: its refresh tokens may rotate."""

    dead_codes: Collection[str] = ()
    dead_statuses: Collection[int] = ()
    dead_words: Collection[str] = ()
    spends: bool = True
    lifetime: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure in the provider's words, scrubbed."""

    code: str
    description: str


def fields_of(response: Response) -> dict[str, Any] | None:
    """The fields of an answer: a JSON object, or a form where it is none. None when it is neither, or not whole."""
    if response.broken:
        return None
    try:
        text = response.body.decode("utf-8-sig").strip()
        if text.startswith("{"):
            found = parse_answer(text)
            return found if isinstance(found, dict) else None
        if re.match(r"[A-Za-z_]+=", text) and not re.search(r"[<>\s]", text):
            return dict(parse_qsl(text, max_num_fields=100, encoding="ascii", errors="strict"))
    except (ValueError, InputError):
        pass
    return None


def problem_of(response: Response, sent: Collection[str] = ()) -> Problem | None:
    """The failure an answer tells of; None for a success. ``sent`` are the secrets of the request: they are taken out."""
    fields = fields_of(response) or {}
    error = fields.get("error")
    inner = error if isinstance(error, dict) else fields
    code = next((inner[n] for n in ("code", "type", "errorCode") if isinstance(inner.get(n), str)), "")
    if isinstance(error, str) and error:
        code = error
    elif not error and fields.get("status") == "error":
        code = code or "error"
    elif not error and response.status < 300:
        return None
    words = [fields.get("error_description"), inner.get("message"), fields.get("message"), fields.get("detail")]
    description = next((w for w in words if isinstance(w, str) and w.strip()), "")
    name = scrubbed(code, sent)
    return Problem(name if _CODE.fullmatch(name) else f"http_{response.status}", scrubbed(description, sent))


def tokens_of(response: Response, lifetime: int | None = None) -> Tokens | None:
    """The tokens of an answer; None when it has no usable access token. ``lifetime`` is assumed when it names no expiry."""
    fields = fields_of(response) or {}
    access, refresh = visible(fields.get("access_token")), visible(fields.get("refresh_token"))
    if not access:
        return None
    id_token = visible(fields.get("id_token"))
    expires_at = expiry_of(fields, response, access)
    if expires_at is None and (lifetime or refresh):
        expires_at = response.at + (lifetime or ASSUMED_LIFETIME)
    scope = fields.get("scope")
    extra = {name: value for name, value in fields.items() if name not in _KNOWN and isinstance(value, str | int)}
    kind = fields.get("token_type")
    if isinstance(kind, str) and kind.lower() != "bearer":
        extra["token_type"] = kind
    return Tokens(
        access=access,
        refresh=refresh,
        expires_at=expires_at,
        scopes=tuple(re.split(r"[ ,]+", scope.strip())) if isinstance(scope, str) and scope.strip() else (),
        id_token=id_token,
        account=account_of(fields, id_token or access),
        extra=extra,
    )


def outcome_of(answer: Response | NoAnswer, rules: Rules, sent: Collection[str] = ()) -> Outcome:
    """What the answer to a refresh means. ``sent`` are the secrets of the request."""
    if isinstance(answer, NoAnswer):
        return Uncertain(answer.why) if answer.sent and rules.spends else NotSent(answer.why)
    tokens = tokens_of(answer, rules.lifetime) if answer.status < 300 else None
    if tokens is not None:
        return Refreshed(tokens)
    problem, host, status = problem_of(answer, sent), answer.host, answer.status
    if problem is not None and _is_dead(answer, problem, rules):
        return Refused(problem.code, problem.description, permanent=True)
    if status in UNPROCESSED_STATUSES or (problem is not None and problem.code in LATER_CODES):
        why = f"{host} redirects elsewhere" if status in (307, 308) else f"{host} asks to try later (status {status})"
        return NotSent(why, answer.retry_after)
    if problem is not None and problem.code != "server_error" and (status < 300 or 400 <= status < 500):
        return Refused(problem.code, problem.description, permanent=False)
    read = f"the answer of {host} can't be understood" if status < 300 else f"{host} answered with status {status}"
    why = answer.broken or read
    return Uncertain(why) if rules.spends else NotSent(why, answer.retry_after)


def renewed(old: OAuth, tokens: Tokens) -> OAuth:
    """The credential after a refresh: what the answer left out stays as it was."""
    return msgspec.structs.replace(
        old,
        access=tokens.access,
        refresh=tokens.refresh or old.refresh,
        expires_at=tokens.expires_at,
        id_token=tokens.id_token or old.id_token,
        scopes=list(tokens.scopes) or old.scopes,
        account=old.account | dict(tokens.account),
        extra=old.extra | dict(tokens.extra),
    )


def expiry_of(fields: Mapping[str, Any], response: Response, access: str = "") -> int | None:
    """When a token ends by our clock, microseconds UTC; None when nothing tells."""
    at, off = response.at, (response.date or response.at) - response.at
    relative = number(fields.get("expires_in", fields.get("expiresIn")))
    absolute: float | None = None
    if relative is None:
        for name in ("expires_at", "expiresAt", "expired_in"):
            value = number(fields.get(name))
            if value is None:
                absolute = _iso_seconds(fields.get(name))
            elif name == "expired_in" and value < 1e9:
                relative = value
            else:
                absolute = value / 1000 if value >= 1e12 else value
            if relative is not None or absolute is not None:
                break
        else:
            absolute = number(claims_of(access).get("exp"))
    if relative is not None:
        return ends_after(relative, at)
    if absolute is None:
        return None
    raw = absolute * SECOND
    return ends_after(((raw - off if raw - off > at else raw) - at) / SECOND, at)


def ends_after(seconds: float, at: Instant) -> int | None:
    """When a token that came at a moment and lives for so many seconds ends, microseconds UTC; None when that tells nothing.

    No token comes dead: zero, which some servers mean for "never", and less tell nothing, and whoever can be refreshed is then
    taken to live as long as most. More than ten years is taken for ten.
    """
    return at + int(min(seconds * SECOND, LONGEST_LIFETIME)) if seconds > 0 else None


def account_of(fields: Mapping[str, Any], jwt: str = "") -> dict[str, str]:
    """Whose tokens these are: accountId, email, name, organization, as far as the answer tells. Read, never relied on."""
    claims = claims_of(jwt)
    account, organization = _inner(fields, "account"), _inner(fields, "organization")
    found = {
        "accountId": chatgpt_account(jwt)
        or claims.get("chatgpt_account_id")
        or account.get("uuid")
        or fields.get("user_id")
        or claims.get("sub"),
        "email": claims.get("email") or account.get("email_address"),
        "name": claims.get("name") or claims.get("preferred_username"),
        "organization": organization.get("name") or fields.get("organization_name"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and _is_label(value)}


def chatgpt_account(jwt: str) -> str:
    """The ChatGPT account an OpenAI token is for, which OpenAI wants named beside it; an empty text where it doesn't tell."""
    return visible(_inner(claims_of(jwt), "https://api.openai.com/auth").get("chatgpt_account_id"))


def claims_of(jwt: str) -> dict[str, Any]:
    """The claims of a JWT, its signature unchecked: for facts to show, never to decide by. Empty when it is none."""
    return jwt_claims(jwt)


def visible(value: object) -> str:
    """A token as RFC 6749 allows it: visible ASCII. An empty text for anything else."""
    if isinstance(value, str) and len(value) <= LARGEST_SECRET and _VISIBLE.fullmatch(value):
        return value
    return ""


def number(value: object) -> float | None:
    """A finite number, or a text that is a decimal one; None for anything else."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if abs(value) > 1e18 or not math.isfinite(value):
        return None
    return float(value)


def scrubbed(text: str, sent: Collection[str] = ()) -> str:
    """Words of a provider as they may be shown: one line, short, without what was sent or anything like a token."""
    for secret in sorted((s for s in sent if s), key=len, reverse=True):
        text = text.replace(secret, "…")
    text = "".join(c if c.isprintable() else " " for c in text)
    return _LONG.sub("…", " ".join(text.split()))[:200]


def _is_dead(response: Response, problem: Problem, rules: Rules) -> bool:
    if problem.code in DEAD_CODES or problem.code in rules.dead_codes or response.status in rules.dead_statuses:
        return True
    words = response.body.decode("utf-8", "replace").lower() if rules.dead_words else ""
    return response.status >= 400 and any(word in words for word in rules.dead_words)


def _inner(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _is_label(value: str) -> bool:
    return 0 < len(value) <= 200 and value.isprintable()


def _iso_seconds(value: object) -> float | None:
    at = parse_instant(value)
    return None if at is None else at / SECOND
