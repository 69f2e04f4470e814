"""Ways to change a vault as somebody without keys could, and what must come of it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.support import Files, tampering
from vault.errors import IntegrityError, VaultError
from vault.projections.verify import verify

LAST = 12
BYTES = st.integers(0, 4096)
MASKS = st.integers(1, 255)
COLUMNS = ("position", "stream", "version", "epoch", "header", "payload", "mac", "prev_mac")


def as_bytes(value: Any) -> bytes:
    """The bytes of a stored value: eight for a number, UTF-8 for a text."""
    if isinstance(value, int):
        return value.to_bytes(8, "big", signed=True)
    return value.encode() if isinstance(value, str) else bytes(value)


def flip(connection: sqlite3.Connection, table: str, column: str, where: str, byte: int, mask: int) -> bool:
    """Flip bits of one byte of one value; False when the tables themselves forbid the result."""
    (old,) = connection.execute(f'SELECT "{column}" FROM {table} WHERE {where}').fetchone()
    changed = bytearray(as_bytes(old))
    changed[byte % len(changed)] ^= mask
    new: Any = bytes(changed)
    target = "?"
    if isinstance(old, int):
        new = int.from_bytes(changed, "big", signed=True)
    elif isinstance(old, str):
        target = "CAST(? AS TEXT)"
    try:
        connection.execute(f'UPDATE {table} SET "{column}" = {target} WHERE {where}', (new,))
    except sqlite3.IntegrityError:
        return False
    return True


def swap(connection: sqlite3.Connection, columns: tuple[str, ...], one: int, other: int) -> None:
    """Exchange some columns of two records."""
    names = ", ".join(COLUMNS)
    select = f"SELECT {names} FROM events WHERE position = ?"
    first, second = (list(connection.execute(select, (p,)).fetchone()) for p in (one, other))
    for column in columns:
        place = COLUMNS.index(column)
        first[place], second[place] = second[place], first[place]
    connection.execute("DELETE FROM events WHERE position IN (?,?)", (one, other))
    connection.executemany(f"INSERT INTO events ({names}) VALUES (?,?,?,?,?,?,?,?)", [first, second])


def loosen(connection: sqlite3.Connection, table: str, strict: bool) -> None:
    """Put a table without any constraint, strict or not, in the place of another, with the same rows."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    definition = ", ".join(f'"{name}" {kind}' for _, name, kind, *_ in columns)
    connection.execute(f"CREATE TABLE loose ({definition}) {'STRICT' if strict else ''}")
    connection.execute(f"INSERT INTO loose SELECT * FROM {table}")
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"ALTER TABLE loose RENAME TO {table}")


@contextmanager
def copied(whole: Files) -> Iterator[Files]:
    """A copy to damage."""
    with tempfile.TemporaryDirectory() as folder:
        yield whole.copy(Path(folder))


def first_bad(files: Files) -> tuple[int, int | None]:
    """Verify a damaged vault: the exit status and the position that it names."""
    with files.open_unchecked() as context:
        with pytest.raises(IntegrityError) as caught:
            verify(context.store, context.projections)
        assert caught.value.hint
        return caught.value.exit_status, caught.value.position


def refuses_to_read(files: Files, position: int) -> None:
    """Reading the record, or the credential in it, is refused with its position."""
    with files.open_unchecked() as context:
        for read in (lambda: list(context.store.read([position])), lambda: context.store.credential(position)):
            with pytest.raises(IntegrityError) as caught:
                read()
            assert (caught.value.exit_status, caught.value.position) == (80, position)


def refuses_to_work(files: Files) -> None:
    """The vault doesn't open, or opens read-only, or finds it out when it verifies."""
    with pytest.raises(VaultError) as caught, files.open() as context:
        verify(context.store, context.projections)
    assert caught.value.exit_status in (80, 81)


BENT = {
    "history_by_agent": ("history_index", "agent, position", "position"),
    "history_by_kind": ("history_index", "kind, position", "position"),
    "ix_profile_keys_stream": ("profile_keys", "stream", "rowid"),
    "sqlite_autoindex_events_3": ("events", "stream, version", "position"),
    "read_models_by_agent": ("read_models", "model, agent, provider", "rowid"),
    "sqlite_autoindex_read_models_1": ("read_models", "model, key", "rowid"),
}


def bend_index(files: Files, name: str, keep: str = "") -> None:
    """Make an index forget its table's newest row, or all that ``keep`` doesn't keep: its pages become another index's."""
    table, columns, place = BENT[name]
    with tampering(files.database) as connection:
        (newest,) = connection.execute(f"SELECT max({place}) FROM {table}").fetchone()
        connection.execute(f"CREATE INDEX bent ON {table} ({columns}) WHERE {keep or f'{place} < {newest}'}")
        connection.execute("PRAGMA writable_schema = ON")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'bent'").fetchone()
        connection.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (root, name))
        connection.execute("DELETE FROM sqlite_master WHERE name = 'bent'")
