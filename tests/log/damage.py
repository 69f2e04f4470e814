"""Ways to change a stored value as somebody without keys could."""

from __future__ import annotations

import sqlite3
from typing import Any

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
