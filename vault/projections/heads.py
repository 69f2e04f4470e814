"""The heads: one sealed row that says which record is the newest of every stream and of every subject of the history index.

Each of these newest places has a keyed term; the row holds their sum, and the mac of the log's head. Whoever puts an older row
of a read model back, hides a row, bends an index or cuts off the newest rows of a subject changes the sum and can't make another;
the whole row put back names an older head. So what is read is proven to be the newest before it is believed, at the cost of one
look at every row's place and not of the log. The sum is taken modulo 2^256 and sealed: it can be kept up term by term.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import msgspec

from vault.crypto.encoding import pae, u64
from vault.crypto.keys import VaultKeys
from vault.errors import IntegrityError

NAME = "heads"
VERSION = 1
KEY = bytes(16)
_MODULUS = 1 << 256


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What the row holds, sealed: the mac of the log's newest record, and the two sums (32 bytes, big-endian)."""

    mac: bytes
    models: bytes
    history: bytes


class Place(NamedTuple):
    """Where a row of ``read_models`` is, and its columns that aren't sealed."""

    rowid: int
    agent: bytes
    provider: bytes
    position: int


class Proof:
    """The read models as they were proven at a head of the log. Kept up by appends; ``seen`` is SQLite's data version."""

    __slots__ = ("head", "history", "models", "places", "seen")

    def __init__(self, head: tuple[int, bytes], seen: int) -> None:
        self.head = head
        self.seen = seen
        self.models = 0
        self.history = 0
        self.places: dict[tuple[str, bytes], Place] = {}

    def sums(self) -> Sums:
        """What the row must hold."""
        return Sums(mac=self.head[1], models=as_bytes(self.models), history=as_bytes(self.history))


def as_bytes(total: int) -> bytes:
    """A sum as it is stored."""
    return (total % _MODULUS).to_bytes(32, "big")


def model_term(keys: VaultKeys, model: str, key: bytes, position: int) -> int:
    """The term of a stream's newest place in a read model."""
    return _term(keys, pae(b"vault/heads/model/v1", keys.vault_id, model.encode(), key, u64(position)))


def subject_term(keys: VaultKeys, column: str, value: bytes, nth: int, position: int) -> int:
    """The term of a subject's newest row in the history index."""
    return _term(keys, pae(b"vault/heads/subject/v1", keys.vault_id, column.encode(), value, u64(nth), u64(position)))


def _term(keys: VaultKeys, message: bytes) -> int:
    return int.from_bytes(keys.heads.digest(message), "big")


def log_head(connection: sqlite3.Connection, genesis: bytes) -> tuple[int, bytes]:
    """Position and mac of the newest record, by the table itself; 0 and the genesis mac when there is none."""
    row = connection.execute("SELECT position, mac FROM events NOT INDEXED ORDER BY position DESC LIMIT 1").fetchone()
    return (int(row[0]), bytes(row[1])) if row else (0, genesis)


def stale(what: str) -> IntegrityError:
    """The error for projections that aren't the newest, or not whole."""
    return IntegrityError(f"{what} not what the log's head says", hint="run vault verify, then vault rebuild")
