"""Writing small files so that a reader finds the old content or the new one, and nobody else finds any."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from vault.errors import StorageError

PRIVATE = 0o600


def replace_file(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Write a file whole, in one step, and to the disk. A symbolic link keeps pointing where it did: its target is replaced.

    Folders that are missing are made, private. Raises StorageError; then the file is as it was.
    """
    try:
        place = Path(os.path.realpath(path))
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(handle, "wb") as draft:
            draft.write(content)
            draft.flush()
            os.fchmod(draft.fileno(), mode) if hasattr(os, "fchmod") else None
            os.fsync(draft.fileno())
        os.replace(name, place)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(OSError):
            os.unlink(name)


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} can't be written: {error.strerror or type(error).__name__}", hint="look at its folder")
