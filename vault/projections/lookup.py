"""Looking events up by their subjects, and proving that none is left out.

Every row of a subject has its number, sealed by a tag to its place, and the heads row names each subject's newest. Read in
order, the numbers run without a gap from where the range begins to where it ends; a row that was deleted, hidden by a bent index
or moved to another subject breaks the run, and is an error instead of a history with a hole.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from vault.errors import IntegrityError
from vault.log.sealing import Sealing
from vault.projections.engine import Projections
from vault.projections.heads import as_bytes, subject_term
from vault.projections.history import COLUMNS, SUBJECTS, Columns, Counts, tag_of

Subject = tuple[str, bytes]
Newest = tuple[int, int]
_VALUES = "SELECT min({0}) FROM history_index WHERE {0} > ?"
_NEWEST = "SELECT {0}_nth, position FROM history_index WHERE {0} = ? ORDER BY position DESC, agent DESC LIMIT 1"


class Found(NamedTuple):
    """A row of the index: where the event is, and the subjects that the row says it has."""

    position: int
    columns: Columns


class Lookup:
    """The history index of one vault, read with proof."""

    def __init__(self, sealing: Sealing, projections: Projections) -> None:
        self._sealing = sealing
        self._projections = projections
        self._newest: dict[Subject, Newest] = {}
        self._proven_at: tuple[int, tuple[int, bytes]] | None = None

    def find(
        self,
        connection: sqlite3.Connection,
        groups: Sequence[Sequence[Subject]],
        low: int,
        high: int,
        *,
        oldest_first: bool = False,
    ) -> Iterator[Found]:
        """Rows above ``low`` up to ``high`` that have a subject of each group, one for each position, in order.

        To be read inside one ``reading``. Raises IntegrityError when a row is missing or was changed.
        """
        newest = self._heads(connection)
        driving = min(groups, key=lambda group: sum(newest.get(s, (0, 0))[0] for s in group))
        runs = [self._run(connection, s, newest.get(s, (0, 0)), low, high, oldest_first) for s in set(driving)]
        others = [group for group in groups if group is not driving]
        last = 0
        for found in heapq.merge(*runs, key=lambda f: f.position, reverse=not oldest_first):
            if found.position != last and all(_has(found, group) for group in others):
                last = found.position
                yield found

    def _run(
        self, connection: sqlite3.Connection, subject: Subject, newest: Newest, low: int, high: int, oldest_first: bool
    ) -> Iterator[Found]:
        """One subject's rows in the range, each proven to be the next."""
        column, value = subject
        count = 1 + len(SUBJECTS) + SUBJECTS.index(column)
        inside, beside = ("> ?", "<= ?") if oldest_first else ("<= ?", "> ?")
        start, end = (low, high) if oldest_first else (high, low)
        order, back = ("ASC", "DESC") if oldest_first else ("DESC", "ASC")
        before = connection.execute(_sql(column, beside, back) + " LIMIT 1", (value, start)).fetchone()
        if before is not None:
            self._checked(before)
            due = before[count] + (1 if oldest_first else -1)
        else:
            due = 1 if oldest_first else newest[0]
        for row in connection.execute(_sql(column, inside, order), (value, start)):
            found = self._checked(row)
            if row[count] != due or found.columns[SUBJECTS.index(column)] != value:
                raise not_about(found.position)
            if found.position > end if oldest_first else found.position <= end:
                return
            yield found
            due += 1 if oldest_first else -1
        if due != (newest[0] + 1 if oldest_first else 0):
            raise not_about(newest[1])

    def _checked(self, row: tuple[object, ...]) -> Found:
        position: int = row[0]  # type: ignore[assignment]
        columns: Columns = row[1:7]  # type: ignore[assignment]
        counts: Counts = row[7:13]  # type: ignore[assignment]
        if tag_of(self._sealing.keys, position, columns, counts) != row[13]:
            raise not_about(position)
        return Found(position, columns)

    def _heads(self, connection: sqlite3.Connection) -> dict[Subject, Newest]:
        """Every subject's newest row, proven by the heads row."""
        proof = self._projections.proven(connection)
        if self._proven_at != (proof.seen, proof.head):
            keys, total = self._sealing.keys, 0
            newest: dict[Subject, Newest] = {}
            for column in SUBJECTS:
                for value in _values(connection, column):
                    nth, position = connection.execute(_NEWEST.format(column), (value,)).fetchone()
                    newest[column, value] = (nth, position)
                    total += subject_term(keys, column, value, nth, position)
            if as_bytes(total) != as_bytes(proof.history):
                raise not_about(0)
            self._newest, self._proven_at = newest, (proof.seen, proof.head)
        return self._newest


def _values(connection: sqlite3.Connection, column: str) -> Iterator[bytes]:
    """The values of a column, each looked up after the one before: as many steps as there are values."""
    value = b""
    while True:
        (following,) = connection.execute(_VALUES.format(column), (value,)).fetchone()
        if following is None:
            return
        value = following
        yield value


def _sql(column: str, where: str, order: str) -> str:
    return (
        f"SELECT {COLUMNS} FROM history_index WHERE {column} = ? AND position {where} "  # noqa: S608 - one of SUBJECTS
        f"ORDER BY position {order}, agent {order}"
    )


def _has(found: Found, group: Sequence[Subject]) -> bool:
    return any(found.columns[SUBJECTS.index(column)] == value for column, value in group)


def not_about(position: int) -> IntegrityError:
    """The error for an index that leaves an event out, or names a wrong one; position 0 where it isn't known which."""
    where = f" at position {position}" if position else ""
    return IntegrityError(
        f"the history index is not what the log says{where}, so events would be left out",
        hint="run vault verify, then vault rebuild",
        position=position or None,
    )
