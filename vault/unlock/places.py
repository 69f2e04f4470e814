"""Where this machine's key files and key commands are: a small JSON file in the state folder, slot number to text.

The database itself must not name them: a stolen file would say where its key lies. Losing this file loses nothing but
convenience, so one that can't be understood counts as empty.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from vault.errors import StorageError
from vault.unlock.machine import sync_folder

if TYPE_CHECKING:
    from pathlib import Path


def read_places(path: Path) -> dict[int, str]:
    """The remembered places by slot number; empty when the file is missing, unreadable or corrupt."""
    try:
        stored = json.loads(path.read_bytes())
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
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.replace(fresh, path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        sync_folder(str(path.parent))
    except OSError as error:
        raise StorageError(
            f"the places of keys can't be written to {path} ({error.strerror})",
            hint="check the folder's owner and mode",
        ) from None
