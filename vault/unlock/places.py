"""Where this machine's key files and key commands are: a small JSON file in the state folder, slot number to text.

The database itself must not name them: a stolen file would say where its key lies. Losing this file loses nothing but
convenience, so one that can't be understood counts as empty.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vault.errors import StorageError
from vault.files import read_regular, replace_file, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1024 * 1024


def read_places(path: Path) -> dict[int, str]:
    """The remembered places by slot number; empty when the file is missing, unreadable or corrupt."""
    try:
        stored = json.loads(read_regular(path, LARGEST))
        if not isinstance(stored, dict):
            return {}
        return {int(slot): text for slot, text in stored.items() if slot.isdecimal() and isinstance(text, str)}
    except (OSError, ValueError, RecursionError):
        return {}


def remember_place(path: Path, slot: int, text: str) -> None:
    """Remember a slot's key file or command. Raises StorageError."""
    _write(path, read_places(path) | {slot: text})


def forget_place(path: Path, slot: int) -> None:
    """Forget a slot's place, if it is there. Raises StorageError."""
    places = read_places(path)
    if places.pop(slot, None) is not None:
        _write(path, places)


def _write(path: Path, places: dict[int, str]) -> None:
    content = json.dumps({str(slot): text for slot, text in sorted(places.items())}, indent=1).encode() + b"\n"
    replace_file(path, content)
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path.parent} can't be written: {error.strerror}", hint="check its disk") from None
