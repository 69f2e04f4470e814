"""JSON documents of other tools, written as they were: indented or on one line, with or without a final newline, same mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault.files import PRIVATE
from vault.interop.documents import json_bytes
from vault.interop.sources import kind_of, read_text


def styled(path: Path, document: Mapping[str, Any], *, indent: int | None = 2, newline: bool = False) -> bytes:
    """A document as text in the style the file has now; in the given style for a new file. Raises InputError, StorageError."""
    if kind_of(path) == "missing":
        return json_bytes(document, indent=indent, newline=newline)
    text = read_text(path)
    if not text.strip():
        return json_bytes(document, indent=indent, newline=newline)
    return json_bytes(document, indent=2 if "\n" in text.strip() else None, newline=text.endswith("\n"))


def mode_of(path: Path, default: int = PRIVATE) -> int:
    """The permissions a file has, or ``default`` for a new one."""
    return path.stat().st_mode & 0o777 if kind_of(path) == "file" else default
