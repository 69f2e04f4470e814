"""OpenClaw's SecretRefs to the vault: what an id means, and the ids of a provider and a profile.

| id | means |
|---|---|
| ``openai`` | what the vault chooses for the provider: its order decides, at each question |
| ``openai/work``, ``openai:work`` | that profile |
| ``openai/work#access_token`` | the same; ``key``, ``api_key``, ``token``, ``secret`` too |
| ``openai/me#40example.com`` | ``openai:me@example.com``: what an id may not hold is ``#`` and two hex digits a byte |

OpenClaw allows letters, digits and ``._:/#-``, 256 of them, and no path segment ``.`` or ``..``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vault.errors import InputError
from vault.values import parse_profile, parse_provider

SOURCE = "exec"
ASKS = ("helper", "openclaw")
FIELDS = frozenset({"access_token", "api_key", "key", "secret", "token"})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}")
_BYTE = re.compile(r"#([0-9A-F]{2})")
_PLAIN = re.compile(r"[A-Za-z0-9._-]")
_TOO_LONG = 256


def reference_id(what: str) -> str:
    """The id by which OpenClaw asks for a provider or a profile. Raises InputError when it would be too long."""
    provider, colon, name = what.partition(":")
    made = _written(provider) + ("/" + _written(name) if colon else "")
    if not made[:1].isalnum():
        raise InputError(f"OpenClaw has no id for {what}", hint="it must begin with a letter or a digit")
    if len(made) > _TOO_LONG:
        raise InputError(f"the id for {what} would have {len(made)} characters", hint="OpenClaw allows 256")
    return made


def asked_for(name: str) -> str:
    """The provider or profile an id asks for. Raises InputError."""
    plain = name
    if _ID.fullmatch(name):
        head, _, field = name.rpartition("#")
        plain = head if head and field in FIELDS else name
        provider, separator, rest = _split(plain)
        try:
            if not separator:
                return parse_provider(_read(provider))
            return parse_profile(f"{_read(provider)}:{_read(rest)}")
        except (InputError, UnicodeDecodeError):
            pass
    raise InputError("the id names no provider and no profile", hint="write provider, provider/name or provider:name")


def reference(alias: str, what: str) -> dict[str, str]:
    """A SecretRef. ``alias`` is the name the vault has in OpenClaw's configuration. Raises InputError."""
    return {"source": SOURCE, "provider": alias, "id": reference_id(what)}


def refers_to(value: object, aliases: Mapping[str, Any] | set[str]) -> bool:
    """Whether a value is a SecretRef to one of these aliases."""
    return isinstance(value, dict) and value.get("source") == SOURCE and value.get("provider") in aliases


def asks_vault(entry: object) -> bool:
    """Whether an entry of ``secrets.providers`` is the vault."""
    arguments = entry.get("args") if isinstance(entry, dict) and entry.get("source") == SOURCE else None
    return isinstance(arguments, list) and tuple(arguments[: len(ASKS)]) == ASKS


def _split(text: str) -> tuple[str, str, str]:
    match = re.search(r"[/:]", text)
    return (text[: match.start()], match[0], text[match.end() :]) if match else (text, "", "")


def _written(name: str) -> str:
    if name in (".", ".."):
        return name.replace(".", "#2E")
    return "".join(c if _PLAIN.fullmatch(c) else "".join(f"#{byte:02X}" for byte in c.encode()) for c in name)


def _read(text: str) -> str:
    parts = _BYTE.split(text)
    found = b"".join(bytes.fromhex(part) if at % 2 else part.encode() for at, part in enumerate(parts))
    if b"#" in b"".join(part.encode() for part in parts[::2]):
        raise InputError("a # is not followed by two hex digits")
    return found.decode()
