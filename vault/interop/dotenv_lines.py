"""The lines of a ``.env`` file: what each sets, a value put into one, lines taken out. All else stays, byte for byte.

A value that is one ``$NAME`` or ``${NAME}`` stands for another variable of the file, if the file sets it, and to one value. The
last line that sets a variable counts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping

from dotenv.parser import Binding, parse_stream

from vault.errors import InputError
from vault.pointers import pointer_in

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+", re.ASCII)
_LINE = re.compile(
    r"""(?P<lead>\s*)(?P<name>(?:export[^\S\r\n]+)?(?:'[^']+'|[^=\#\s]+)[^\S\r\n]*=[^\S\r\n]*)
    (?P<value>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\r\n]*?)(?P<note>(?:(?<=['"])[^\S\r\n]*|[^\S\r\n]+)\#[^\r\n]*)?
    (?P<end>[^\S\r\n]*(?:\r\n|\n|\r)?)""",
    re.VERBOSE | re.DOTALL,
)
_USED = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)[^}]*\}|([A-Za-z_][A-Za-z0-9_]*))")


def bindings(text: str) -> list[Binding]:
    """The lines of a file as the ``python-dotenv`` library reads them, nothing interpolated. Raises InputError for damage."""
    found = list(parse_stream(io.StringIO(text)))
    broken = next((b for b in found if b.error), None)
    if broken is not None:
        raise InputError(f"line {broken.original.line} of the .env file can't be understood", hint="fix it first")
    return found


def values(text: str) -> dict[str, str]:
    """The variables a file sets: each as it is written, or what the other variable of the file holds that it stands for."""
    written = {b.key: b.value or "" for b in bindings(text) if b.key is not None}
    once = {name: value for name, value in written.items() if not set_otherwise(text, name)}
    return {name: _followed(value, once) for name, value in written.items()}


def with_value(text: str, name: str, value: str) -> str:
    """A file's text with a variable set: in its place, in its quotes, its note kept; or at the end."""
    there = [b for b in bindings(text) if b.key == name]
    if not there:
        return text + ("" if not text or text.endswith("\n") else "\n") + f"{name}={_quoted(value)}\n"
    if there[-1].value == value and len(there) == 1:
        return text
    parts = []
    for binding in bindings(text):
        old = binding.original.string
        if binding.key == name:
            old = _with(old, value) if binding == there[0] else _lead(old)
        parts.append(old)
    return "".join(parts)


def without(text: str, names: Collection[str]) -> str:
    """A file's text without the lines that set some variables; their notes and the blank lines around them stay."""
    return "".join(b.original.string if b.key not in names else _left(b.original.string) for b in bindings(text))


def users_of(text: str, names: Collection[str]) -> dict[str, str]:
    """Which of some variables are used by a line that stays when those are taken out, and by which."""
    found: dict[str, str] = {}
    for binding in bindings(text):
        if binding.key is not None and binding.key not in names:
            for used in _USED.finditer(binding.value or ""):
                name = used[1] or used[2]
                if name in names:
                    found.setdefault(name, binding.key)
    return found


def set_otherwise(text: str, name: str) -> bool:
    """Whether several lines of a file set a variable, and not to the same."""
    return len({b.value for b in bindings(text) if b.key == name}) > 1


def _followed(value: str, written: Mapping[str, str]) -> str:
    seen: set[str] = set()
    while (pointer := pointer_in(value)) is not None and pointer.scheme == "env" and pointer.target in written:
        if pointer.target in seen:
            return value
        seen.add(pointer.target)
        value = written[pointer.target]
    return value


def _with(old: str, value: str) -> str:
    line = _LINE.fullmatch(old)
    if line is None:
        raise InputError("a line of the .env file can't be changed", hint="write it as NAME=value")
    return line["lead"] + line["name"] + _quoted(value, line["value"][:1]) + (line["note"] or "") + line["end"]


def _left(old: str) -> str:
    """What stays of a line that is taken out: the blank lines before it, and its note as a line of its own."""
    line = _LINE.fullmatch(old)
    note = (line["note"] or "").strip() if line is not None else ""
    return _lead(old) + (note + (line["end"].lstrip(" \t") if line is not None else "") if note else "")


def _lead(old: str) -> str:
    blank = old[: len(old) - len(old.lstrip())]
    return blank[: max(blank.rfind("\n"), blank.rfind("\r")) + 1]


def _quoted(value: str, quote: str = "") -> str:
    if quote == '"' and not re.search(r'["\\$`\n\r]', value):
        return f'"{value}"'
    if quote != "'" and _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
