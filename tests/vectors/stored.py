"""A tiny vault file, and the vectors taken from it: its records, its credentials, and what must be refused of them."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from tests.log.samples import any_session, login
from tests.support import ACTOR, FixedClock, seeded
from tests.vectors.cases import Case, fails, flipped, gives, write
from tests.vectors.primitives import CHEAP, SECRETS
from vault.context import Places, create_context, open_context
from vault.crypto.keys import VaultKeys, WrappedEpoch, new_epoch
from vault.crypto.keyslots import KEY_FILE, Slot, make_slot, open_slot
from vault.log.records import COLUMNS, Row
from vault.log.sealing import Sealing
from vault.unlock import Ways


def write_vault(folder: Path) -> None:
    """A vault with two epochs and every kind of slot, its key file and its anchor: vault.db, vault.key, vault.anchor."""
    random, clock, ids = seeded("vault"), FixedClock(step=1_000_003), Random("ids")
    key_file = folder / "vault.key"
    key_file.write_bytes(SECRETS[KEY_FILE] + b"\n")
    ways, roots = Ways({"VAULT_KEY_FILE": str(key_file)}), []

    def all_slots(root: bytes, vault_id: bytes) -> list[Slot]:
        roots.append(root)
        made = enumerate(SECRETS.items(), start=1)
        return [make_slot(number, kind, secret, root, vault_id, random, CHEAP) for number, (kind, secret) in made]

    def identity() -> uuid.UUID:
        return uuid.UUID(int=ids.getrandbits(128), version=4)

    with tempfile.TemporaryDirectory() as work, patch("uuid.uuid4", identity):
        places = Places(Path(work) / "vault.db", Path(work) / "state")
        create_context(places, all_slots, {}, clock=clock, actor=ACTOR, random=random)
        with open_context(places, ways, clock=clock, actor=ACTOR, random=random) as context:
            any_session(context)
            second = new_epoch(roots[0], context.keys.vault_id, 2, random)
            with context.database.turn(), context.database.transaction() as connection:
                connection.execute("INSERT INTO epochs VALUES (?,?,?)", (2, second.audit, second.secret))
        with open_context(places, ways, clock=clock, actor=ACTOR, random=random) as context:
            context.store.append([login("main", "openai:second-epoch", "fake-key-openai-3")], context.cause())
            (folder / "vault.anchor").write_bytes(places.anchor(context.keys.vault_id).read_bytes())
        with closing(sqlite3.connect(places.database, isolation_level=None)) as small:
            for statement in (
                "PRAGMA journal_mode=DELETE",
                "PRAGMA page_size=512",
                "VACUUM",
                "PRAGMA journal_mode=WAL",
            ):
                small.execute(statement).fetchall()
        (folder / "vault.db").write_bytes(places.database.read_bytes())


class Stored:
    """What the tiny vault holds, and its keys."""

    def __init__(self, folder: Path) -> None:
        with closing(sqlite3.connect(f"{(folder / 'vault.db').as_uri()}?immutable=1", uri=True)) as db:
            (self.vault_id,) = db.execute("SELECT id FROM vault").fetchone()
            slot = Slot(*db.execute("SELECT * FROM key_slots WHERE kind = 'key-file'").fetchone())
            self.epochs = [list(row) for row in db.execute("SELECT epoch, audit, secret FROM epochs ORDER BY epoch")]
            self.rows = [list(row) for row in db.execute(f"SELECT {COLUMNS} FROM events ORDER BY position")]
            self.keys = {row[0]: list(row) for row in db.execute("SELECT id, stream, epoch, wrapped FROM profile_keys")}
        self.root = open_slot(slot, SECRETS[KEY_FILE], self.vault_id)
        epochs = [WrappedEpoch(*row) for row in self.epochs]
        self.sealing = Sealing(VaultKeys.from_root(self.vault_id, self.root, epochs))
        self.start = [self.root, self.vault_id, self.epochs]

    def header(self, row: list[Any]) -> Any:
        return json.loads(self.sealing.open_header(Row(*row)))

    def key_for(self, row: list[Any]) -> list[Any]:
        return self.keys[row[5][:16]]

    def credential(self, row: list[Any]) -> Any:
        def key_of(identity: bytes, stream: bytes) -> bytes:
            _, _, epoch, wrapped = self.keys[identity]
            return self.sealing.keys.unwrap_profile_key(wrapped, stream, identity, epoch)

        return json.loads(self.sealing.open_credential(Row(*row), key_of))

    def rechained(self, rows: list[list[Any]]) -> list[list[Any]]:
        """What somebody with the chain key, but careless with places, could write."""
        previous, out = self.sealing.genesis, []
        for row in rows:
            mac = self.sealing.mac(Row(*row), previous)
            out.append([*row[:6], mac, previous])
            previous = mac
        return out


def records(stored: Stored) -> Iterator[Case]:
    yield gives("every record", "read_chain", [*stored.start, stored.rows], [stored.header(r) for r in stored.rows])
    yield gives("no records", "read_chain", [*stored.start, []], [])
    rows = stored.rows[:4]
    first, second, third, fourth = rows

    def edited(column: int, value: Any) -> list[list[Any]]:
        return [first, second, [*third[:column], value, *third[column + 1 :]], fourth]

    altered, unchained = "position 3 was altered", "position 3 is not chained to the one before it"
    for name, changed, why in [
        ("two rows swapped", [first, second, fourth, third], "position 3 is missing"),
        ("two rows swapped, renumbered", [first, second, [3, *fourth[1:]], [4, *third[1:]]], unchained),
        ("the first row dropped", rows[1:], "position 1 is missing"),
        ("a row dropped", [first, second, fourth], "position 3 is missing"),
        ("stream lengthened", edited(1, third[1] + b"\0"), unchained),
        ("stream altered", edited(1, flipped(third[1], 0)), altered),
        ("version altered", edited(2, 2), altered),
        ("the other epoch", edited(3, 2), altered),
        ("an unknown epoch", edited(3, 3), "position 3 names an unknown epoch"),
        ("header altered", edited(4, flipped(third[4], 20)), altered),
        ("payload altered", edited(5, flipped(third[5], 40)), altered),
        ("payload taken away", edited(5, None), altered),
        ("payload emptied", edited(5, b""), altered),
        ("mac altered", edited(6, flipped(third[6], 0)), altered),
        ("previous mac altered", edited(7, flipped(third[7], 0)), unchained),
        ("a header moved, chained anew", stored.rechained(edited(4, fourth[4])), "altered or moved"),
        (
            "a version skipped, chained anew",
            stored.rechained(edited(2, 2)),
            "position 3 has another version than is due",
        ),
    ]:
        yield fails(name, "read_chain", [*stored.start, changed], why)
    yield fails("another vault", "read_chain", [stored.root, bytes(16), stored.epochs, rows], "altered or moved")


def credentials(stored: Stored) -> Iterator[Case]:
    rows = [row for row in stored.rows if row[5] is not None]
    for row in rows:
        arguments = [*stored.start, stored.key_for(row), row]
        yield gives(f"credential at {row[0]}", "read_payload", arguments, stored.credential(row))
    one, other, again = rows[:3]
    key = stored.key_for(one)
    moved = [*again[:5], one[5], *again[6:]]
    altered = [*key[:3], flipped(key[3], -1)]
    strange = "the key belongs to another profile"
    yield fails("another profile's key", "read_payload", [*stored.start, stored.key_for(other), one], strange)
    yield fails("a credential moved", "read_payload", [*stored.start, key, moved], "altered or moved")
    yield fails("a profile key altered", "read_payload", [*stored.start, altered, one], "altered or moved")


def stored(folder: Path) -> None:
    """The vault and the vectors taken from it."""
    write_vault(folder)
    found = Stored(folder)
    write(folder, "chain", "the records of vault.db, and how they may not be", records(found))
    write(folder, "credentials", "the credentials of vault.db, and how they may not be", credentials(found))
