"""The head anchor: the newest position and mac, kept in the state folder, outside the data folder, with a copy elsewhere.

Both are written after each commit, while the writer still has its turn. On opening, the log's head is compared with the newer of
the two: equal is fine; a head that is ahead and chained to it is fine (a crash, or a file written on another machine) and
advances it; a head behind it, or not chained to it, means that the log was rolled back or replaced. So an anchor that was removed
says nothing only where its copy is gone too, as on a new machine. The copy is kept as well as can be: where it can't be written,
nothing fails.

Each file holds two records. A write replaces the one that is not the newest, so that a torn write leaves the other:
"VLTANCH1" ‖ vault id (16) ‖ position (8) ‖ mac (32) ‖ tag (32), tag = HMAC-SHA256(anchor key, PAE("vault/anchor/v1", the rest)).
"""

from __future__ import annotations

import errno
import hmac
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from vault.crypto.encoding import pae
from vault.crypto.mac import Mac
from vault.errors import RollbackDetected, StorageError
from vault.files import make_private, open_private, private_folder, read_start

MAGIC = b"VLTANCH1"
SIZE = 96
ACCEPT = "vault verify --accept-rollback --reason TEXT"


class Mark(NamedTuple):
    """What the anchor says: a position and the mac of the record there."""

    position: int
    mac: bytes


class Anchor:
    """The anchor of one vault on this machine, and its copy, if it has one.

    ``damaged`` and ``uneven`` tell of the last reading: something is in the anchor's place that is none; or one of the two
    doesn't have the newest record.
    """

    def __init__(self, path: Path, vault_id: bytes, key: bytes, copy: Path | None = None) -> None:
        self.path = path
        self._main = _File(path)
        self._copy = _File(copy) if copy else None
        self._vault_id = vault_id
        self._mac = Mac(key)
        self._written: dict[bytes, Mark] = {}
        self.damaged = False
        self.uneven = False

    def read(self) -> Mark | None:
        """The newest whole record, or None when there is none. Raises StorageError."""
        try:
            content = self._main.read()
        except OSError as error:
            if error.errno != errno.EINVAL:  # something is there, and it is no file
                raise StorageError(
                    f"the head anchor can't be read: {error.strerror} ({self.path})", hint="check its owner and mode"
                ) from None
            content = MAGIC
        kept = self._newest(content)
        self.damaged = kept is None and any(content)
        copied = kept
        if self._copy:
            try:
                copied = self._newest(self._copy.read())
            except OSError:
                copied = None
        self.uneven = kept != copied
        return max((mark for mark in (kept, copied) if mark), default=None)

    def prepare(self) -> None:
        """Make sure that a head can be recorded, before what it will stand for is committed. Raises StorageError."""
        try:
            self._main.open()
        except OSError as error:
            raise StorageError(
                f"the head anchor can't be written, so nothing was recorded: {error.strerror} ({self.path})",
                hint="make the state folder writable",
            ) from None

    def write(self, position: int, mac: bytes) -> None:
        """Record a head; hold a turn at writing around it. Raises StorageError."""
        record = self._record(position, mac)
        try:
            self._put(self._main, record)
        except OSError as error:
            raise StorageError(
                f"the head anchor can't be written: {error.strerror} ({self.path})",
                hint="make the state folder writable",
            ) from None
        if self._copy:
            with suppress(OSError):
                self._put(self._copy, record)
        self._written[record] = Mark(position, mac)
        if len(self._written) > 2:
            del self._written[next(iter(self._written))]

    def stage(self, position: int, mac: bytes) -> None:
        """Write what will take the place of the anchor and its copy. ``publish`` follows. Raises StorageError."""
        record = self._record(position, mac)
        for file in self._files():
            try:
                file.stage(record)
            except OSError as error:
                self.unstage()
                raise StorageError(
                    f"the head anchor can't be replaced, so nothing was recorded: {error.strerror} ({file.path})",
                    hint="make its folder writable",
                ) from None

    def publish(self) -> None:
        """Forget what the anchor said, and say what was staged: only after a person accepted it. Raises StorageError."""
        for file in self._files():
            try:
                file.publish()
            except OSError as error:
                raise StorageError(
                    f"the head anchor can't be replaced: {error.strerror} ({file.path})",
                    hint=f"move away what is there, then once more: {ACCEPT}",
                ) from None
        self.damaged = self.uneven = False

    def unstage(self) -> None:
        """Drop what was staged."""
        for file in self._files():
            with suppress(OSError):
                file.staged.unlink(missing_ok=True)

    def replace(self, position: int, mac: bytes) -> None:
        """Stage a head and publish it. Raises StorageError."""
        self.stage(position, mac)
        self.publish()

    def close(self) -> None:
        """Close the files."""
        for file in self._files():
            file.close()

    def _files(self) -> list[_File]:
        return [self._main, self._copy] if self._copy else [self._main]

    def _put(self, file: _File, record: bytes) -> None:
        """Replace the record of a file that isn't the newest."""
        handle = file.open()
        first, second = self._marks(os.pread(handle, 2 * SIZE, 0))
        os.pwrite(handle, record, SIZE if first and (second is None or second < first) else 0)

    def _record(self, position: int, mac: bytes) -> bytes:
        body = MAGIC + self._vault_id + position.to_bytes(8, "big") + mac
        return body + self._tag(body)

    def _marks(self, content: bytes) -> tuple[Mark | None, Mark | None]:
        return self._parse(content[:SIZE]), self._parse(content[SIZE : 2 * SIZE])

    def _newest(self, content: bytes) -> Mark | None:
        return max((mark for mark in self._marks(content) if mark), default=None)

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


class _File:
    """One file of records, opened when it is first written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.staged = path.with_name(f".{path.name}.{os.getpid()}")
        self._fd = -1

    def read(self) -> bytes:
        """Its records; nothing when it isn't there. Raises OSError."""
        try:
            return read_start(self.path, 2 * SIZE)
        except FileNotFoundError:
            return b""

    def open(self) -> int:
        """A descriptor to write with; the file is made where there is none. Raises OSError."""
        if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
            self.close()  # another process has replaced the file
        if self._fd < 0:
            private_folder(self.path.parent)
            self._fd = open_private(self.path)
        return self._fd

    def stage(self, content: bytes) -> None:
        """Write a file beside it. Raises OSError."""
        private_folder(self.path.parent)
        self.staged.unlink(missing_ok=True)
        with open(make_private(self.staged, os.O_WRONLY), "wb") as file:
            file.write(content)

    def publish(self) -> None:
        """Put the file beside it in its place, whatever is there, but for a folder. Raises OSError."""
        os.replace(self.staged, self.path)
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def rolled_back(anchored: int, position: int) -> RollbackDetected:
    """The error for a head that is not, or not chained to, what the anchor says."""
    if position < anchored:
        what, bad = f"the log ends at position {position}, but this machine has seen position {anchored}", position + 1
    else:
        what, bad = f"the log is not the one this machine saw at position {anchored}", anchored
    return RollbackDetected(
        f"{what}: it was rolled back or replaced",
        hint=f"restore the newest file, or accept this one with: {ACCEPT}",
        position=bad,
    )
