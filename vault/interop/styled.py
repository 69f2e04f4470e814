"""JSON documents of other tools, written as they were: indented so or on one line, with a final newline or without, same mode."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault.files import PRIVATE
from vault.interop.documents import json_bytes
from vault.interop.sources import kind_of, read_text

_INDENT = re.compile(r'\s*\{\s*\n([ \t]+)"')


def styled(path: Path, document: Mapping[str, Any], *, indent: int | None = 2, newline: bool = False) -> bytes:
    """A document as text in the style the file has now; in the given style for a new file. Raises InputError, StorageError."""
    text = "" if kind_of(path) == "missing" else read_text(path)
    return styled_like(text, document) if text.strip() else json_bytes(document, indent=indent, newline=newline)


def styled_like(text: str, document: Mapping[str, Any]) -> bytes:
    """A document as text in the style of another one."""
    first = _INDENT.match(text)
    if first is None:
        return json_bytes(document, indent=2 if "\n" in text.strip() else None, newline=text.endswith("\n"))
    indent: int | str = first[1] if "\t" in first[1] else len(first[1])
    return json_bytes(document, indent=indent, newline=text.endswith("\n"))


def mode_of(path: Path, default: int = PRIVATE) -> int:
    """The permissions a file has, or ``default`` for a new one."""
    return path.stat().st_mode & 0o777 if kind_of(path) == "file" else default
