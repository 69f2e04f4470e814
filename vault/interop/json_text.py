"""The text of a JSON object changed where another object differs; all else stays to the byte: blanks, order, escapes, numbers.

What is new stands at the end of its object, in the style of what stands there; what is gone goes with its comma.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vault.errors import InputError
from vault.parsing import parse_json

_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an object in a text: where its name starts and ends, and its value."""

    name: str
    start: int
    named: int
    value: int
    end: int


def edited(text: str, document: Mapping[str, Any]) -> str | None:
    """The text with the document's values; None where it can't be changed in part: it holds no object, or a name twice."""
    try:
        old = parse_json(text, "it")
        start = _after_blank(text, 0)
        if not isinstance(old, dict) or not old or not document:
            return None
        end = _DECODER.raw_decode(text, start)[1]
        made = text[:start] + _object(text, start, end, old, document) + text[end:]
        return made if _same(parse_json(made, "it"), document) else None
    except (InputError, ValueError, KeyError, RecursionError):
        return None


def _object(text: str, start: int, end: int, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    members = _members(text, start)
    if len(members) != len(old) or {m.name for m in members} != set(old):
        raise ValueError
    lead = text[start + 1 : members[0].start]
    colon = text[members[0].named : members[0].value]
    parts: list[str] = []
    for number, member in enumerate(members):
        if member.name not in new:
            continue
        value = text[member.value : member.end]
        before, after = old[member.name], new[member.name]
        if not _same(before, after):
            if isinstance(before, dict) and isinstance(after, Mapping) and before and after:
                value = _object(text, member.value, member.end, before, after)
            else:
                value = _written(after, lead, text[members[-1].end : end - 1], colon)
        gap = lead if not parts else text[members[number - 1].end : member.start]
        parts.append(gap + text[member.start : member.value] + value)
    tail = text[members[-1].end : end - 1]
    between = text[members[0].end : members[1].start] if len(members) > 1 and "\n" not in lead else f",{lead}"
    for name, value in new.items():
        if name not in old:
            named = json.dumps(name, ensure_ascii=False) + colon
            parts.append((between if parts else lead) + named + _written(value, lead, tail, colon))
    return "{" + "".join(parts) + tail + "}"


def _written(value: Any, lead: str, tail: str, colon: str) -> str:
    """A value as text, in the style of its neighbours: ``lead`` is before the first of them, ``tail`` after the last."""
    if "\n" not in lead:
        return json.dumps(
            value, ensure_ascii=False, separators=(", " if colon.endswith(" ") else ",", colon.strip("\n"))
        )
    inner, outer = lead.rpartition("\n")[2], tail.rpartition("\n")[2]
    unit = inner.removeprefix(outer) or "  "
    return json.dumps(value, ensure_ascii=False, indent=unit, separators=(",", colon)).replace("\n", f"\n{inner}")


def _members(text: str, start: int) -> list[_Member]:
    """The members of the object that starts at a place of a text, which is valid JSON."""
    found: list[_Member] = []
    at = _after_blank(text, start + 1)
    while text[at] != "}":
        if text[at] == ",":
            at = _after_blank(text, at + 1)
        name, named = _DECODER.raw_decode(text, at)
        value = _after_blank(text, _after_blank(text, named) + 1)
        end = _DECODER.raw_decode(text, value)[1]
        found.append(_Member(name, at, named, value, end))
        at = _after_blank(text, end)
    return found


def _after_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
