"""Shared test support: a clock and randomness that tests own, vaults made in milliseconds, tampering, canaries.

``make_vault`` copies a template that ``create_context`` made once in this process, so every vault that is not ``fresh`` has the
same vault id and root key. Its only slot is a key file, because HKDF is quick and Argon2id is meant not to be.
"""

from __future__ import annotations

import base64
import functools
import os
import random
import shutil
import sqlite3
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vault.context import Context, Places, create_context, open_context
from vault.crypto.keys import VaultKeys
from vault.crypto.keyslots import KEY_FILE, Slot, make_slot, open_slot
from vault.events.codec import Actor
from vault.log.database import Database
from vault.log.slots import read_slots
from vault.unlock import Ways
from vault.values import Clock, Instant, RandomBytes

ROOT = Path(__file__).resolve().parent.parent
START = Instant(1_767_225_600_000_000)
ACTOR = Actor(user="fake-user", host="fake-host", pid=4242, program="fake-shell", way="test")
KEY = b"fake-key-file-secret-of-the-tests-0123456789"


class FixedClock:
    """A clock that stands still, or takes a step of so many microseconds after each look."""

    def __init__(self, at: int = START, step: int = 0) -> None:
        self.at = at
        self.step = step

    def now(self) -> Instant:
        now, self.at = self.at, self.at + self.step
        return Instant(now)

    def forward(self, by: int) -> None:
        """Move on by microseconds, or back by negative ones."""
        self.at += by


def seeded(seed: int | str) -> RandomBytes:
    """Random bytes that are the same in every run."""
    return random.Random(seed).randbytes


@dataclass(frozen=True)
class Files:
    """The files of one vault in one folder: what a test opens, copies, damages."""

    folder: Path

    @property
    def places(self) -> Places:
        return Places(self.folder / "data" / "vault.db", self.folder / "state")

    @property
    def database(self) -> Path:
        return self.places.database

    @property
    def anchor(self) -> Path:
        (found,) = self.places.state.glob("*.anchor")
        return found

    @property
    def key_file(self) -> Path:
        return self.folder / "vault.key"

    def environ(self) -> dict[str, str]:
        """What a child process needs to open this vault."""
        return {
            "VAULT_DATABASE": str(self.database),
            "VAULT_STATE": str(self.places.state),
            "VAULT_KEY_FILE": str(self.key_file),
        }

    def copy(self, folder: Path) -> Files:
        """The same vault at another place. Nothing may have it open."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Files(folder)

    def open(self, clock: Clock | None = None, actor: Actor = ACTOR, randomness: RandomBytes = os.urandom) -> Context:
        """Open the vault as every command does."""
        clock = clock or FixedClock()
        return open_context(self.places, Ways(self.environ()), clock=clock, actor=actor, random=randomness)

    def open_unchecked(self) -> Context:
        """Open the vault without comparing it with its anchor and without mending its projections."""
        database = Database(self.database)
        try:
            vault_id, slots, epochs = read_slots(database)
            keys = VaultKeys.from_root(vault_id, open_slot(slots[0], KEY, vault_id), epochs)
            return Context(database, keys, self.places, FixedClock(), ACTOR, {})
        except BaseException:
            database.close()
            raise


def create_files(folder: Path, clock: Clock | None = None, randomness: RandomBytes = os.urandom) -> Files:
    """A vault made as ``vault init --key-file`` makes it, with a key of its own."""
    files = Files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.key_file.touch(mode=0o600)
    files.key_file.write_bytes(KEY + b"\n")

    def slots(root: bytes, vault_id: bytes) -> list[Slot]:
        return [make_slot(1, KEY_FILE, KEY, root, vault_id, randomness)]

    create_context(files.places, slots, {}, clock=clock or FixedClock(), actor=ACTOR, random=randomness)
    return files


@functools.cache
def _template() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        files = create_files(Path(folder), randomness=seeded("template"))
        made = [files.database, files.anchor, files.key_file]
        return {str(path.relative_to(folder)): path.read_bytes() for path in made}


def make_files(folder: Path, fresh: bool = False) -> Files:
    """An empty vault's files, complete, in a few milliseconds; ``fresh`` gives it keys and an id of its own."""
    if fresh:
        return create_files(folder)
    for name, content in _template().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(content)
    return Files(folder)


def make_vault(
    folder: Path, clock: Clock | None = None, actor: Actor = ACTOR, randomness: RandomBytes = os.urandom
) -> Context:
    """An empty vault, opened. Close it, or use it in a ``with`` statement. Its files are ``Files(folder)``."""
    return make_files(folder).open(clock, actor, randomness)


@contextmanager
def tampering(database: Path) -> Iterator[sqlite3.Connection]:
    """The file as somebody without keys may change it: no triggers while the block runs, all of them back afterwards."""
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, sql in triggers:
            connection.execute(sql)
    finally:
        connection.close()


class Canary:
    """A fake secret, told from every other, and a search for it in every form it could have leaked in."""

    def __init__(self, name: str) -> None:
        self.secret = f"fake-canary-{name}-{os.urandom(8).hex()}"

    def __str__(self) -> str:
        return self.secret

    def forms(self) -> dict[str, bytes]:
        raw = self.secret.encode()
        forms = {
            "plain": raw,
            "reversed": raw[::-1],
            "hex": raw.hex().encode(),
            "UTF-16": self.secret.encode("utf-16-le"),
            "URL": urllib.parse.quote(self.secret, safe="").encode(),
        }
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + raw)
            forms[f"base 64, shifted {shift}"] = encoded[4 if shift else 0 : -4]
        return forms

    def sightings(self, *places: str | bytes | Path) -> list[str]:
        """Where the secret is: each place is a text, bytes, a file, or a folder with all that is in it."""
        found = []
        for number, place in enumerate(places):
            for name, content in _contents(place, number):
                found += [f"{form} in {name}" for form, needle in self.forms().items() if needle in content]
        return found

    def assert_absent(self, *places: str | bytes | Path) -> None:
        """Fail when the secret is anywhere in the given places."""
        assert self.sightings(*places) == []


def _contents(place: str | bytes | Path, number: int) -> Iterator[tuple[str, bytes]]:
    if isinstance(place, str):
        yield f"text {number}", place.encode(errors="surrogateescape")
    elif isinstance(place, bytes):
        yield f"bytes {number}", place
    elif place.is_dir():
        for path in sorted(place.rglob("*")):
            yield f"the name {path}", str(path).encode()
            if path.is_file() and not path.is_symlink():
                yield str(path), path.read_bytes()
    else:
        yield str(place), place.read_bytes()
