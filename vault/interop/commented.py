"""JSON with comments, as some tools write it: read without them, written with those around the document as they were.

Comments inside the document would be lost by writing it anew, so such a file is read and never written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import InputError
from vault.interop.documents import json_bytes
from vault.interop.sources import kind_of, read_text
from vault.interop.styled import styled_like
from vault.parsing import parse_json

_PARTS = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Commented:
    """A JSON object, its own text, and the text before and after it. ``inside`` says that comments are inside it too."""

    path: Path
    document: dict[str, Any]
    head: str = ""
    tail: str = "\n"
    inside: bool = False
    text: str = ""

    def bytes(self, document: dict[str, Any]) -> bytes:
        """The file with another document. Raises InputError where comments would be lost."""
        if self.inside:
            raise InputError(f"{self.path} has comments inside that would be lost", hint="take them out first")
        made = styled_like(self.text, document) if self.text.strip() else json_bytes(document, newline=False)
        return self.head.encode() + made + self.tail.encode()


def commented_in(path: Path) -> Commented:
    """The object in a file; an empty one when it isn't there. Raises InputError, StorageError."""
    if kind_of(path) == "missing":
        return Commented(path, {})
    text = read_text(path)
    bare = _without(text, commas=False)
    document = parse_json(_without(bare, commas=True), str(path))
    if not isinstance(document, dict):
        raise InputError(
            f"{path} does not hold a JSON object", hint="is it the right file? move it away to start afresh"
        )
    start, end = bare.index("{"), bare.rindex("}") + 1
    return Commented(path, document, text[:start], text[end:], bare[start:end] != text[start:end], text[start:end])


def _without(text: str, *, commas: bool) -> str:
    """A text with its comments, or its commas before a bracket, blanked: every other character keeps its place."""

    def blank(found: re.Match[str]) -> str:
        part = found[0]
        if part[0] == '"' or (part[0] == ",") != commas:
            return part
        return "".join(c if c in "\r\n" else " " for c in part)

    return _PARTS.sub(blank, text)
