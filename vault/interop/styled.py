"""Files of other tools, written as they were: JSON to the byte where nothing changes and in its style elsewhere, same mode.

A file of any form keeps its encoding, its byte order mark and its line ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault.errors import InputError
from vault.files import PRIVATE
from vault.interop.documents import json_bytes
from vault.interop.json_text import edited
from vault.interop.sources import kind_of, read_text
from vault.values import mark_of, text_of

_BARE_END = re.compile(r"(?<!\r)\n")
_INDENT = re.compile(r'\s*\{\s*\n([ \t]+)"')


def styled(path: Path, document: Mapping[str, Any], *, indent: int | None = 2, newline: bool = False) -> bytes:
    """A document as text in the style the file has now; in the given style for a new file. Raises InputError, StorageError."""
    text = "" if kind_of(path) == "missing" else read_text(path)
    return styled_like(text, document) if text.strip() else json_bytes(document, indent=indent, newline=newline)


def styled_like(text: str, document: Mapping[str, Any]) -> bytes:
    """A document as the text of another one, changed where they differ; in its style where all of it must be written."""
    part = edited(text, document)
    if part is not None:
        return part.encode()
    first = _INDENT.match(text)
    if first is None:
        return json_bytes(document, indent=2 if "\n" in text.strip() else None, newline=text.endswith("\n"))
    indent: int | str = first[1] if "\t" in first[1] else len(first[1])
    return json_bytes(document, indent=indent, newline=text.endswith("\n"))


def encoded_like(was: bytes | None, content: bytes) -> bytes:
    """A text's new content in the encoding, with the mark and the line ends that its file has; other bytes as they are."""
    if not was or content == was:
        return content
    try:
        old, new = text_of(was), text_of(content)
    except InputError:
        return content
    if "\r\n" in old and not _BARE_END.search(old):
        new = _BARE_END.sub("\r\n", new)
    mark, encoding = mark_of(was)
    return mark + new.encode(encoding)


def mode_of(path: Path, default: int = PRIVATE) -> int:
    """The permissions a file has, or ``default`` for a new one."""
    return path.stat().st_mode & 0o777 if kind_of(path) == "file" else default
