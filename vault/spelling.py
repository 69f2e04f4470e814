"""How a name of another tool's is spelt as an id: reversibly, at any length, and differently for different names.

A character that an id may hold stands for itself; every byte (UTF-8) of another is ``%`` and two hex digits. A spelling that is
too long keeps its beginning, and ends in ``%_`` and a digest of the whole name: nothing else ever holds ``%_``.

- Provider ids: lowercase letters, digits, ``.``, ``-`` and ``_`` stand for themselves. Hex digits are lowercase. ``LMStudio`` is
  ``%4c%4d%53tudio``, ``git.example:8443`` is ``git.example%3a8443``, and ``my_provider`` is itself.
- Names of profiles: what can be seen stands for itself, but no blank, no ``%`` that would be read as an escape, and no ``-`` or
  ``:`` at the beginning. Hex digits are uppercase. ``my team`` is ``my%20team``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable

from vault.errors import InputError

LONGEST_PROVIDER, LONGEST_NAME = 128, 255
SHORTENED = "%_"
_DIGEST = 26
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_ALPHANUMERIC = _PLAIN - frozenset(".-")
_READ_AS_ESCAPE = re.compile(r"[0-9A-F]{2}|_")
_LOWER = re.compile(rb"%([0-9a-f]{2})")
_UPPER = re.compile(rb"%([0-9A-F]{2})")
_CUT = re.compile(rf"{SHORTENED}[a-z2-7]{{{_DIGEST}}}$")


def spell_provider(text: str) -> str:
    """A foreign name as a provider id. Raises InputError for an empty one, and for one that holds half a character."""
    last = len(text) - 1
    marks = (
        c if c in (_ALPHANUMERIC if at in (0, last) else _PLAIN) else _bytes(c, "02x") for at, c in enumerate(text)
    )
    return _fitted(text, marks, LONGEST_PROVIDER)


def spell_name(text: str, *, also: str = "", longest: int = LONGEST_NAME) -> str:
    """A foreign name as the name of a profile. ``also`` are characters that are not to stand for themselves.

    Raises InputError for an empty one, and for one that holds half a character.
    """

    def plain(at: int, c: str) -> bool:
        if c == "%":
            return _READ_AS_ESCAPE.match(text, at + 1) is None
        return c.isprintable() and not c.isspace() and c not in also and (at > 0 or c not in "-:")

    return _fitted(text, (c if plain(at, c) else _bytes(c, "02X") for at, c in enumerate(text)), longest)


def provider_original(spelling: str) -> str:
    """The foreign name of a provider id; of one that was shortened its beginning, and ``…``."""
    return _read(spelling, _LOWER)


def name_original(spelling: str) -> str:
    """The foreign name of a profile's name; of one that was shortened its beginning, and ``…``."""
    return _read(spelling, _UPPER)


def is_shortened(spelling: str) -> bool:
    """Whether a spelling holds only the beginning of the name, and a digest."""
    return _CUT.search(spelling) is not None


def is_provider_spelling(text: str) -> bool:
    """Whether a text is what ``spell_provider`` makes of some name."""
    if not 0 < len(text) <= LONGEST_PROVIDER:
        return False
    cut = _CUT.search(text)
    try:
        if cut is None:
            return spell_provider(_read(text, _LOWER)) == text
        kept = text[: cut.start()]
        return len(text) > LONGEST_PROVIDER - len("%ff" * 4) and spell_provider(_read(kept, _LOWER) + "0")[:-1] == kept
    except InputError:
        return False


def _fitted(text: str, marks: Iterable[str], longest: int) -> str:
    if not text:
        raise InputError("a name is empty")
    spelt = list(marks)
    whole = "".join(spelt)
    if len(whole) <= longest:
        return whole
    digest = base64.b32encode(hashlib.sha256(_encoded(text)).digest())[:_DIGEST].decode().lower()
    kept, room = "", longest - len(SHORTENED) - _DIGEST
    for mark in spelt:
        if len(kept) + len(mark) > room:
            break
        kept += mark
    return f"{kept}{SHORTENED}{digest}"


def _bytes(c: str, form: str) -> str:
    return "".join(f"%{byte:{form}}" for byte in _encoded(c))


def _encoded(text: str) -> bytes:
    """UTF-8; bytes that came from a stream and were none are themselves again."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InputError("a name holds half a character") from None


def _read(spelling: str, escape: re.Pattern[bytes]) -> str:
    cut = _CUT.search(spelling)
    whole = spelling[: cut.start()] if cut else spelling
    byte: Callable[[re.Match[bytes]], bytes] = lambda match: bytes.fromhex(match[1].decode())  # noqa: E731
    read = escape.sub(byte, _encoded(whole)).decode("utf-8", "surrogateescape")
    return f"{read}…" if cut else read
