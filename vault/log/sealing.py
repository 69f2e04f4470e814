"""Sealing of records: header and payload separately, each bound to its place; blind ids for streams.

place = PAE(purpose, vault id, stream id, version, position, epoch). No ciphertext can be moved to another place.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable

from vault.crypto.encoding import pae
from vault.crypto.keys import VaultKeys, open_payload, payload_key_id, seal_payload
from vault.errors import IntegrityError
from vault.log.chain import Chain, genesis_mac
from vault.log.records import AnyRow, Row

HEADER = b"vault/header/v1"
PAYLOAD = b"vault/payload-place/v1"
_L8 = (8).to_bytes(8, "little")
_NUMBERS = struct.Struct(">8sQ8sQ8sQ").pack


class Sealing:
    """Seals, opens and chains the records of one vault."""

    def __init__(self, keys: VaultKeys) -> None:
        self.keys = keys
        self.chain = Chain(keys.vault_id)
        self.genesis = genesis_mac(keys.epoch(keys.epochs[0]).chain, keys.vault_id)
        self._ids: dict[tuple[str, str], bytes] = {}
        self._header = _prefix(HEADER, keys.vault_id)
        self._payload = _prefix(PAYLOAD, keys.vault_id)

    def stream_id(self, stream: str) -> bytes:
        """The blind id (16 bytes) of a stream's name."""
        return self.blind("stream", stream)

    def blind(self, purpose: str, name: str) -> bytes:
        """A blind index value (16 bytes), remembered."""
        found = self._ids.get((purpose, name))
        if found is None:
            if len(self._ids) > 65536:
                self._ids.clear()
            found = self._ids[purpose, name] = self.keys.blind(purpose, name)
        return found

    def seal_header(self, header: bytes, stream: bytes, version: int, position: int, epoch: int) -> bytes:
        """Seal a header for its place."""
        place = _place(self._header, stream, version, position, epoch)
        return self.keys.epoch(epoch).header.seal(header, place)

    def open_header(self, row: AnyRow) -> bytes:
        """Open a row's header. Raises IntegrityError with the position."""
        position, stream, version, epoch, header, _, _, _ = row
        try:
            return self.keys.epoch(epoch).header.open(header, _place(self._header, stream, version, position, epoch))
        except IntegrityError as error:
            raise _at(position, error) from None

    def mac(self, row: AnyRow, prev_mac: bytes) -> bytes:
        """The mac a row must have."""
        return self.chain.mac(self.keys.epoch(row[3]).chain, row, prev_mac)

    def is_whole(self, row: Row, prev_mac: bytes) -> bool:
        """Whether a row has the mac it must have after the record with ``prev_mac``, whatever its columns hold."""
        try:
            return hmac.compare_digest(self.mac(row, prev_mac), row.mac)
        except (IntegrityError, OverflowError, TypeError, AttributeError):
            return False

    def check(self, row: Row) -> None:
        """Check a row against its own mac and previous mac. Raises IntegrityError with the position."""
        if not self.is_whole(row, row.prev_mac):
            raise IntegrityError(
                f"the record at position {row.position} was altered",
                hint="run vault verify, and restore the file from a backup",
                position=row.position,
            )

    def seal_credential(
        self, message: bytes, profile_key: bytes, key_id: bytes, stream: bytes, version: int, position: int, epoch: int
    ) -> bytes:
        """Seal a payload for its place."""
        place = _place(self._payload, stream, version, position, epoch)
        return seal_payload(profile_key, key_id, message, place, self.keys.random)

    def open_credential(self, row: Row, key_of: Callable[[bytes, bytes], bytes | None]) -> bytes:
        """Open a row's payload; ``key_of(key id, stream)`` gives its profile key or None. Raises IntegrityError or Gone."""
        if row.payload is None:
            raise IntegrityError(f"the record at position {row.position} holds no credential", position=row.position)
        try:
            profile_key = key_of(payload_key_id(row.payload), row.stream)
            place = _place(self._payload, row.stream, row.version, row.position, row.epoch)
            return open_payload(profile_key, row.payload, place)
        except IntegrityError as error:
            raise _at(row.position, error) from None


def _prefix(purpose: bytes, vault_id: bytes) -> bytes:
    """A place's PAE up to the stream id, which is 16 bytes, as the numbers after it are 8."""
    return (6).to_bytes(8, "little") + pae(purpose, vault_id)[8:] + (16).to_bytes(8, "little")


def _place(prefix: bytes, stream: bytes, version: int, position: int, epoch: int) -> bytes:
    try:
        return prefix + stream + _NUMBERS(_L8, version, _L8, position, _L8, epoch)
    except struct.error:
        raise IntegrityError("a record has a number out of range") from None


def _at(position: int, error: IntegrityError) -> IntegrityError:
    return IntegrityError(
        f"the record at position {position} was altered: {error.message}",
        hint="run vault verify, and restore the file from a backup",
        position=position,
    )
