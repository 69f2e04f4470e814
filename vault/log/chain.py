"""The keyed chain over records. Pure.

mac = HMAC-SHA256(chain key, PAE("vault/record/v1", vault id, position, stream, version, epoch, SHA-256(header),
SHA-256(payload) or nothing, previous mac)). It covers ciphertext, so neither upcasting nor destroying a key breaks it. The first
record's previous mac is the genesis mac, keyed too, so that a chain belongs to one vault.
"""

from __future__ import annotations

import hashlib
import struct

from vault.crypto.encoding import pae
from vault.crypto.mac import Mac
from vault.log.records import AnyRow

LABEL = b"vault/record/v1"
GENESIS_LABEL = b"vault/genesis/v1"
_L8 = (8).to_bytes(8, "little")
_L16 = (16).to_bytes(8, "little")
_L32 = (32).to_bytes(8, "little")
_L0 = bytes(8)
_POSITION = struct.Struct(">Q8s").pack
_NUMBERS = struct.Struct(">8sQ8sQ8s").pack
_sha256 = hashlib.sha256


def genesis_mac(chain_key: bytes, vault_id: bytes) -> bytes:
    """The mac before the first record."""
    return Mac(chain_key).digest(pae(GENESIS_LABEL, vault_id))


class Chain:
    """Computes macs for one vault. The PAE is written out by hand, because every part but one has a fixed length."""

    __slots__ = ("_macs", "_prefix")

    def __init__(self, vault_id: bytes) -> None:
        self._prefix = (9).to_bytes(8, "little") + len(LABEL).to_bytes(8, "little") + LABEL + _L16 + vault_id + _L8
        self._macs: dict[bytes, Mac] = {}

    def mac(self, chain_key: bytes, row: AnyRow, prev_mac: bytes) -> bytes:
        """The mac a row must have after the record with ``prev_mac``; its own mac column is not looked at.

        Raises OverflowError for a number or a length that has no place in a record.
        """
        position, stream, version, epoch, header, payload, _, _ = row
        if len(stream) != 16 or len(prev_mac) != 32:
            raise OverflowError("a record has a stream or a mac of another length")
        try:
            place, numbers = _POSITION(position, _L16), _NUMBERS(_L8, version, _L8, epoch, _L32)
        except struct.error:
            raise OverflowError("a record has a number out of range") from None
        digest = _L0 if payload is None else _L32 + _sha256(payload).digest()
        parts = (self._prefix, place, stream, numbers, _sha256(header).digest(), digest, _L32, prev_mac)
        mac = self._macs.get(chain_key)
        if mac is None:
            mac = self._macs[chain_key] = Mac(chain_key)
        return mac.digest(b"".join(parts))
