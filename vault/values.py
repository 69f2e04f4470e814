"""The small values everything else is made of: ids, secrets, time. Parsing happens here, once, at the edge.

Instants are integer microseconds since 1970-01-01T00:00:00Z. Ids are plain strings with a NewType, checked by the
``parse_*`` functions; a value of the type is a promise that it was checked.
"""

from __future__ import annotations

import codecs
import hmac
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NewType, NoReturn, Protocol

from vault.errors import InputError
from vault.showing import ADVICE, RULE, looks_secret, shown
from vault.spelling import (
    LONGEST_NAME,
    LONGEST_PROVIDER,
    is_provider_spelling,
    name_original,
    provider_original,
    spell_name,
    spell_provider,
)

AgentId = NewType("AgentId", str)
ProviderId = NewType("ProviderId", str)
ProfileId = NewType("ProfileId", str)
Instant = NewType("Instant", int)

MICROSECOND = 1
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LATEST = 253_402_300_799 * SECOND

MAIN_AGENT = AgentId("main")
DEFAULT_NAME = "default"
LARGEST_SECRET = 64 * 1024
LARGEST_SECRET_BYTES = 4 * LARGEST_SECRET

_AGENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NAME = re.compile(rf"[^\s:\x00-\x1f\x7f-\x9f-][^\s\x00-\x1f\x7f-\x9f]{{0,{LONGEST_NAME - 1}}}")

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_EARLIEST = -62_135_596_800 * SECOND
_LENGTH = re.compile(r"(\d{1,9})\s*([smhdwy])")
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}

RandomBytes = Callable[[int], bytes]


class Clock(Protocol):
    """Anything that tells the time. Injected, so that tests own it."""

    def now(self) -> Instant:
        """The present instant, microseconds UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Instant:
        """The present instant, microseconds UTC."""
        return Instant(time.time_ns() // 1000)


class Secret:
    """A secret that can't be printed by accident: ``repr`` and ``str`` are redacted, pickling is refused."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Call it where the secret leaves the program, nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


def parse_agent(text: str) -> AgentId:
    """Check an agent id. Raises InputError."""
    if not _AGENT.fullmatch(text):
        raise InputError(
            f"{shown(text)} is not an agent id",
            hint="use lowercase letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit",
        )
    return AgentId(text)


def parse_provider(text: str) -> ProviderId:
    """Check a provider id. Raises InputError."""
    if not is_provider_spelling(text):
        raise InputError(
            f"{shown(text)} is not a provider id",
            hint=f"use lowercase letters, digits, '.', '_' and '-', at most {LONGEST_PROVIDER}",
        )
    return ProviderId(text)


def parse_name(text: str) -> str:
    """Check the name part of a profile id. Raises InputError."""
    if not _NAME.fullmatch(text):
        spelt = spell_name(text) if text.strip() else ""
        if _NAME.fullmatch(spelt):
            raise InputError(f"{shown(text)} is not a profile name", hint=f"write it as {shown(spelt)}")
        raise InputError(
            f"{shown(text)} is not a profile name",
            hint=f"use up to {LONGEST_NAME} visible characters without spaces, not starting with '-' or ':'",
        )
    return text


def parse_profile(text: str) -> ProfileId:
    """Check a profile id, ``provider:name``. Raises InputError."""
    provider, colon, name = text.partition(":")
    if not colon or not name:
        raise InputError(
            f"{shown(text)} is not a profile id", hint="write it as provider:name, for example anthropic:default"
        )
    return ProfileId(f"{parse_provider(provider)}:{parse_name(name)}")


def profile_id(provider: ProviderId, name: str) -> ProfileId:
    """The profile id of a provider and a name. Raises InputError."""
    return ProfileId(f"{provider}:{parse_name(name)}")


def provider_of(profile: ProfileId) -> ProviderId:
    """The provider part of a profile id."""
    return ProviderId(profile.partition(":")[0])


def name_of(profile: ProfileId) -> str:
    """The name part of a profile id."""
    return profile.partition(":")[2]


def foreign_provider(text: str) -> ProviderId:
    """The provider id of another tool's name for a provider, or of a server (``vault.spelling``). Raises InputError."""
    return ProviderId(spell_provider(text))


def foreign_profile(provider: ProviderId, name: str) -> ProfileId:
    """The profile id of a provider and another tool's name (``vault.spelling``). Raises InputError."""
    return ProfileId(f"{provider}:{spell_name(name)}")


def original_of(profile: str) -> tuple[str, str]:
    """The provider and the name of a profile (or a provider, and nothing) as the tool it came from writes them."""
    provider, _, name = profile.partition(":")
    return provider_original(provider), name_original(name)


def foreign_shown(profile: str) -> str:
    """What a profile or a provider is called in the tool it came from, where its id is a spelling of that; else nothing."""
    provider, name = original_of(profile)
    whole = f"{provider}:{name}" if name else provider
    return whole if whole != profile else ""


def text_of(raw: bytes, errors: str = "strict") -> str:
    """Bytes from outside as text: UTF-8, or UTF-16 where a byte order mark says so, as Windows' ``>`` writes it. The mark is cut.

    Raises InputError.
    """
    mark, encoding = mark_of(raw)
    content = raw[len(mark) :]
    # An error of decoding would hold the secret, so none is raised to begin with.
    text = content.decode(encoding, "replace" if errors == "strict" else errors)
    if errors == "strict" and (written := text.encode(encoding)) != content:
        bad = next((n for n, (a, b) in enumerate(zip(written, content, strict=False)) if a != b), len(content))
        raise InputError(f"byte {len(mark) + bad} is not {encoding.upper()}", hint="give it as text in UTF-8")
    return text


def mark_of(raw: bytes) -> tuple[bytes, str]:
    """The byte order mark that bytes from outside start with, if they do, and the encoding that it says."""
    return next(((m, e) for m, e in _MARKS.items() if raw.startswith(m)), (b"", "utf-8"))


def secret_in(raw: bytes, *, ends: bool = False) -> str:
    """The secret that a pipe, a file or a program gave: one line of text, with ``ends`` several line ends after it.

    Raises InputError.
    """
    if len(raw) > LARGEST_SECRET_BYTES:
        raise InputError("the secret is longer than a secret can be", hint="is it the right one?")
    try:
        text = text_of(raw)
    except InputError:
        raise InputError("the secret is not text", hint="give the key or token alone, as text in UTF-8") from None
    return parse_secret(text.rstrip("\r\n") if ends else text)


def refuse_secret(text: str) -> None:
    """Refuse what looks like a secret where a name is expected. Raises InputError, which doesn't repeat it."""
    if looks_secret(text):
        raise InputError("what was given as a name looks like a secret", hint=f"{RULE}: {ADVICE}")


def parse_secret(text: str) -> str:
    """Check a secret as it came from a prompt or a document: one line, not empty. Raises InputError.

    One trailing line end is taken off, and a byte order mark in front. The message never repeats the input.
    """
    secret = text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")
    if not secret.strip():
        raise InputError("the secret is empty", hint="give the key or token itself, on one line")
    if "\n" in secret or "\r" in secret:
        raise InputError("the secret has more than one line", hint="give the key or token alone, on one line")
    if secret != secret.strip():
        raise InputError(
            "the secret starts or ends with a blank", hint="give the key or token without blanks around it"
        )
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in secret):
        raise InputError("the secret holds a control character", hint="give the key or token as plain text")
    if len(secret) > LARGEST_SECRET:
        raise InputError(f"the secret is longer than {LARGEST_SECRET} characters", hint="is it the right file?")
    return secret


def length_of_time(text: str) -> int:
    """A length of time such as 365d, 12h, 90m, in microseconds. Raises InputError."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if not found or int(found[1]) == 0:
        raise InputError(f"{shown(text)} is not a length of time", hint="write it like 365d, 12h, 90m or 30s")
    return int(found[1]) * _UNITS[found[2]]


def moment_of(value: object, unit: int) -> Instant | None:
    """A moment that a foreign document gives as a number of ``unit`` since 1970; None for never, unknown or nonsense.

    What other programs store is taken as it is, up to the year 9999; a text, a truth value, zero and less tell nothing.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LATEST / unit:
        return None
    return Instant(int(value * unit))


def format_instant(at: int) -> str:
    """An instant as ISO 8601 in UTC, to the second: ``2026-01-31T09:30:00Z``."""
    return datetime.fromtimestamp(_of_a_year(at) // SECOND, UTC).replace(tzinfo=None).isoformat() + "Z"


def format_instant_exact(at: int) -> str:
    """An instant as ISO 8601 in UTC, to the microsecond."""
    at = _of_a_year(at)
    whole = datetime.fromtimestamp(at // SECOND, UTC).replace(tzinfo=None).isoformat()
    return f"{whole}.{at % SECOND:06d}Z"


def _of_a_year(at: int) -> int:
    """The instant, or the nearest one that has a year."""
    return min(max(at, _EARLIEST), LATEST)
