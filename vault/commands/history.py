"""history: what happened, filtered through the blind index. Only the events that are shown are opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vault.context import Context
from vault.log.records import Recorded

BATCH = 256


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events. Empty means any. ``actor`` matches an OS user or a program; moments are microseconds UTC."""

    agent: str = ""
    provider: str = ""
    profile: str = ""
    types: tuple[str, ...] = ()
    actor: str = ""
    since: int | None = None
    until: int | None = None

    def blind(self, context: Context) -> tuple[list[str], list[object]]:
        """SQL conditions on ``history_index`` and their arguments."""
        blind = context.store.sealing.blind
        conditions: list[str] = []
        arguments: list[object] = []
        for column in ("agent", "provider", "profile"):
            wanted = getattr(self, column)
            if wanted:
                conditions.append(f"{column} = ?")
                arguments.append(blind(column, wanted))
        if self.types:
            conditions.append(f"kind IN ({','.join('?' * len(self.types))})")
            arguments += [blind("kind", t) for t in self.types]
        if self.actor:
            conditions.append("(actor = ? OR program = ?)")
            arguments += [blind("actor", self.actor), blind("program", self.actor)]
        return conditions, arguments


def read_history(
    context: Context, wanted: Filter, *, limit: int | None = None, oldest_first: bool = False, after: int = 0
) -> Iterator[Recorded]:
    """Events that match, newest first unless told otherwise. ``after`` leaves out positions up to it.

    They come in batches, each its own snapshot that is closed before the first of it is given: the log only grows, so a long
    listing holds up nobody, and one that isn't read to its end leaves nothing open.
    """
    conditions, arguments = wanted.blind(context)
    queries = context.queries
    low = after if wanted.since is None else max(after, queries.position_at(wanted.since - 1))
    high = context.store.head().position if wanted.until is None else queries.position_at(wanted.until)
    left = limit
    while left is None or left > 0:
        size = BATCH if left is None else min(left, BATCH)
        clause = " AND ".join(["position > ?", "position <= ?", *conditions])
        sql = (
            f"SELECT DISTINCT position FROM history_index WHERE {clause} "  # noqa: S608 - columns are named above
            f"ORDER BY position {'ASC' if oldest_first else 'DESC'} LIMIT ?"
        )
        with context.database.reading() as connection:
            positions = [row[0] for row in connection.execute(sql, (low, high, *arguments, size))]
        yield from list(context.store.read(positions))
        if len(positions) < size:
            return
        if left is not None:
            left -= len(positions)
        if oldest_first:
            low = positions[-1]
        else:
            high = positions[-1] - 1
