"""The keyed chain over records. Pure.

mac = HMAC-SHA256(chain key, PAE("vault/record/v1", vault id, position, stream, version, epoch, SHA-256(header),
SHA-256(payload) or nothing, previous mac)). It covers ciphertext, so neither upcasting nor destroying a key breaks it. The first
record's previous mac is the genesis mac, keyed too, so that a chain belongs to one vault.
"""

from __future__ import annotations

import hashlib
import hmac

from vault.crypto.encoding import pae
from vault.log.records import Row

LABEL = b"vault/record/v1"
GENESIS_LABEL = b"vault/genesis/v1"
_L8 = (8).to_bytes(8, "little")
_L16 = (16).to_bytes(8, "little")
_L32 = (32).to_bytes(8, "little")
_L0 = bytes(8)


def genesis_mac(chain_key: bytes, vault_id: bytes) -> bytes:
    """The mac before the first record."""
    return hmac.digest(chain_key, pae(GENESIS_LABEL, vault_id), "sha256")


class Chain:
    """Computes macs for one vault. The PAE is written out by hand, because every part but one has a fixed length."""

    __slots__ = ("_prefix",)

    def __init__(self, vault_id: bytes) -> None:
        self._prefix = (9).to_bytes(8, "little") + len(LABEL).to_bytes(8, "little") + LABEL + _L16 + vault_id + _L8

    def mac(self, chain_key: bytes, row: Row, prev_mac: bytes) -> bytes:
        """The mac a row must have after the record with ``prev_mac``; its own mac column is not looked at."""
        position, stream, version, epoch, header, payload, _, _ = row
        digest = _L0 if payload is None else _L32 + hashlib.sha256(payload).digest()
        message = b"".join(
            (
                self._prefix,
                position.to_bytes(8, "big"),
                _L16,
                stream,
                _L8,
                version.to_bytes(8, "big"),
                _L8,
                epoch.to_bytes(8, "big"),
                _L32,
                hashlib.sha256(header).digest(),
                digest,
                _L32,
                prev_mac,
            )
        )
        return hmac.digest(chain_key, message, "sha256")
