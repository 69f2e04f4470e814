"""What this machine remembers of unlocking: where key files and key commands are, and which passphrase opened last.

A small JSON file in the state folder: a slot's number to its place, and ``last`` to the number of a slot. The database itself
must not name places: a stolen file would say where its key lies. Losing this file loses nothing but convenience, so one that
can't be understood counts as empty.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vault.errors import StorageError
from vault.files import read_regular, replace_file, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1024 * 1024
_LAST = "last"


def read_places(path: Path) -> dict[int, str]:
    """The remembered places by slot number; empty when the file is missing, unreadable or corrupt."""
    return {int(slot): text for slot, text in _read(path).items() if slot.isdecimal()}


def read_last(path: Path) -> int:
    """The slot of the passphrase that opened last; 0 when none is remembered."""
    last = _read(path).get(_LAST, "")
    return int(last) if last.isdecimal() and len(last) < 20 else 0


def remember_place(path: Path, slot: int, text: str) -> None:
    """Remember a slot's key file or command. Raises StorageError."""
    _write(path, _read(path) | {str(slot): text})


def remember_last(path: Path, slot: int) -> None:
    """Remember which passphrase opened. Raises StorageError."""
    _write(path, _read(path) | {_LAST: str(slot)})


def forget_place(path: Path, slot: int) -> None:
    """Forget a slot's place, if it is there. Raises StorageError."""
    stored = _read(path)
    kept = {name: text for name, text in stored.items() if str(slot) not in (name, text if name == _LAST else "")}
    if kept != stored:
        _write(path, kept)


def _read(path: Path) -> dict[str, str]:
    try:
        stored = json.loads(read_regular(path, LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    known = (name for name in stored if name == _LAST or name.isdecimal())
    return {name: stored[name] for name in known if isinstance(stored[name], str)}


def _write(path: Path, stored: dict[str, str]) -> None:
    content = json.dumps(dict(sorted(stored.items())), indent=1).encode() + b"\n"
    replace_file(path, content)
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path.parent} can't be written: {error.strerror}", hint="check its disk") from None
