"""The head anchor: the newest position and mac, kept in the state folder, outside the data folder.

It is written after each commit, while the writer still has its turn. On opening, the log's head is compared: equal is fine; a
head that is ahead and chained to the anchor is fine (a crash, or a file written on another machine) and advances it; a head
behind the anchor, or not chained to it, means that the log was rolled back or replaced.

The file holds two records. Each write replaces the one that is not the newest, so that a torn write leaves the other:
"VLTANCH1" ‖ vault id (16) ‖ position (8) ‖ mac (32) ‖ tag (32), tag = HMAC-SHA256(anchor key, PAE("vault/anchor/v1", the rest)).
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import NamedTuple

from vault.crypto.encoding import pae
from vault.crypto.mac import Mac
from vault.errors import StorageError
from vault.log.database import private_folder

MAGIC = b"VLTANCH1"
SIZE = 96


class Mark(NamedTuple):
    """What the anchor says: a position and the mac of the record there."""

    position: int
    mac: bytes


class Anchor:
    """The anchor of one vault on this machine."""

    def __init__(self, path: Path, vault_id: bytes, key: bytes) -> None:
        self.path = path
        self._vault_id = vault_id
        self._mac = Mac(key)
        self._written: dict[bytes, Mark] = {}
        self._fd = -1
        self.damaged = False

    def read(self) -> Mark | None:
        """The newest whole record, or None when there is none. Sets ``damaged`` when the file holds only broken ones."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(
                f"the head anchor can't be read: {error.strerror} ({self.path})", hint="check its owner and mode"
            ) from None
        marks = [m for m in self._marks(content) if m]
        self.damaged = not marks and any(content)
        return max(marks) if marks else None

    def write(self, position: int, mac: bytes) -> None:
        """Record a head; hold a turn at writing around it. Raises StorageError."""
        body = MAGIC + self._vault_id + position.to_bytes(8, "big") + mac
        try:
            self._open()
            first, second = self._marks(os.pread(self._fd, 2 * SIZE, 0))
            place = SIZE if first and (second is None or second < first) else 0
            record = body + self._tag(body)
            os.pwrite(self._fd, record, place)
        except OSError as error:
            raise StorageError(
                f"the head anchor can't be written: {error.strerror} ({self.path})",
                hint="what was asked is done; make the state folder writable",
            ) from None
        self._written[record] = Mark(position, mac)
        if len(self._written) > 2:
            del self._written[next(iter(self._written))]

    def replace(self, position: int, mac: bytes) -> None:
        """Forget what the anchor said and record a head: only after a person accepted it."""
        self.close()
        self.path.unlink(missing_ok=True)
        self.damaged = False
        self.write(position, mac)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
            self.close()  # another process has replaced the file
        if self._fd < 0:
            private_folder(self.path.parent)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _marks(self, content: bytes) -> tuple[Mark | None, Mark | None]:
        return self._parse(content[:SIZE]), self._parse(content[SIZE : 2 * SIZE])

    def _tag(self, body: bytes) -> bytes:
        return self._mac.digest(pae(b"vault/anchor/v1", body))

    def _parse(self, record: bytes) -> Mark | None:
        if record in self._written:
            return self._written[record]
        body, tag = record[:-32], record[-32:]
        if len(record) != SIZE or not body.startswith(MAGIC + self._vault_id):
            return None
        if not hmac.compare_digest(self._tag(body), tag):
            return None
        return Mark(int.from_bytes(body[24:32], "big"), body[32:])
