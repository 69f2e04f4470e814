"""The history index: for each event, which agent, provider, profile, kind, actor and program it is about — all blind.

An event about another agent than the one that acted (a hand-out of an inherited profile) has a row for each of them. Every row is
counted once for each of its six subjects (the same value in the same column): the first row of a subject is its 1st. A keyed tag
binds a row's place, subjects and counts, and the heads row names each subject's newest, so a row that is missing leaves a gap.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from vault.crypto.keys import VaultKeys
from vault.events.codec import Envelope
from vault.events.types import AgentInheritanceSet, AgentRegistered, AgentRemoved, CredentialIssued, ProfileExported
from vault.log.records import Recorded
from vault.log.sealing import Sealing
from vault.model.streams import split_stream
from vault.projections.heads import subject_term

NAME = "history"
VERSION = 2
REMEMBERED = 4096
TAG = 16

SUBJECTS = ("agent", "provider", "profile", "kind", "actor", "program")
COLUMNS = ", ".join(("position", *SUBJECTS, *(f"{name}_nth" for name in SUBJECTS), "tag"))

Columns = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
Counts = tuple[int, int, int, int, int, int]
IndexRow = tuple[int, bytes, bytes, bytes, bytes, bytes, bytes, int, int, int, int, int, int, bytes]
Newest = tuple[int, int]

_NUMBERS = struct.Struct(">7Q").pack


def subjects(recorded: Recorded) -> tuple[list[str], str, str]:
    """(agents, provider, profile) an event concerns; empty texts where it concerns none."""
    event = recorded.event
    if isinstance(event, CredentialIssued):
        agents = [event.agent] if event.owner in ("", event.agent) else [event.agent, event.owner]
        return agents, event.provider, event.profile
    if isinstance(event, ProfileExported):
        agents = [event.agent] if event.owner == event.agent else [event.agent, event.owner]
        return agents, event.profile.partition(":")[0], event.profile
    if isinstance(event, AgentRegistered | AgentInheritanceSet | AgentRemoved):
        return [event.agent], "", ""
    kind, agent, rest = split_stream(recorded.envelope.stream)
    if kind == "profile":
        return [agent], rest.partition(":")[0], rest
    if kind == "rotation":
        return [agent], rest, getattr(event, "profile", "")
    return [""], "", ""


def tag_of(keys: VaultKeys, position: int, columns: Columns, counts: Counts) -> bytes:
    """A row's tag: its place, its counts and its subjects, all of fixed length, under the history key."""
    return keys.history.digest(_NUMBERS(position, *counts) + b"".join(columns))[:TAG]


class Count:
    """One subject's newest row: how many it has, and where; and what was accounted for when the sum was last asked."""

    __slots__ = ("accounted", "nth", "position")

    def __init__(self, newest: Newest) -> None:
        self.nth, self.position = self.accounted = newest


class Subjects:
    """The newest row of each subject. ``find`` looks one up that isn't known yet."""

    def __init__(self, keys: VaultKeys, find: Callable[[str, bytes], Newest] = lambda _column, _value: (0, 0)) -> None:
        self._keys = keys
        self._find = find
        self._counts: dict[tuple[str, bytes], Count] = {}
        self._together: dict[Columns, list[Count]] = {}
        self._touched: set[Columns] = set()

    def next(self, columns: Columns, position: int) -> Counts:
        """Count one more row of six subjects; which one it is of each."""
        counts = self._together.get(columns)
        if counts is None:
            if len(self._together) >= REMEMBERED:
                self._together.clear()
            counts = self._together[columns] = [
                self._count(*subject) for subject in zip(SUBJECTS, columns, strict=True)
            ]
        self._touched.add(columns)
        for count in counts:
            count.nth += 1
            count.position = position
        agent, provider, profile, kind, actor, program = counts
        return agent.nth, provider.nth, profile.nth, kind.nth, actor.nth, program.nth

    def _count(self, column: str, value: bytes) -> Count:
        count = self._counts.get((column, value))
        if count is None:
            count = self._counts[column, value] = Count(self._find(column, value))
        return count

    def change(self) -> int:
        """By how much the sum over all newest rows changed since this was last asked."""
        keys, total = self._keys, 0
        for columns in self._touched:
            for subject in zip(SUBJECTS, columns, strict=True):
                count = self._counts[subject]
                newest = (count.nth, count.position)
                if count.accounted == newest:
                    continue
                total += subject_term(keys, *subject, *newest)
                if count.accounted[0]:
                    total -= subject_term(keys, *subject, *count.accounted)
                count.accounted = newest
        self._touched.clear()
        return total

    def forget(self) -> None:
        """Drop what is remembered."""
        self._counts.clear()
        self._together.clear()
        self._touched.clear()


class Indexer:
    """Makes rows of ``history_index``, and remembers the blind columns that events have in common."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._columns: dict[tuple[str, ...], list[Columns]] = {}

    def rows(self, recorded: Recorded, newest: Subjects) -> list[IndexRow]:
        """The rows for the next event, sorted as stored, counted on from ``newest``."""
        rows: list[IndexRow] = []
        position = recorded.position
        for columns in self.columns(recorded):
            counts = newest.next(columns, position)
            rows.append((position, *columns, *counts, tag_of(self._sealing.keys, position, columns, counts)))
        return rows

    def columns(self, recorded: Recorded) -> list[Columns]:
        """The blind subjects of an event, one list for each agent that it concerns, sorted as stored."""
        agents, provider, profile = subjects(recorded)
        envelope = recorded.envelope
        actor = envelope.actor
        known = (provider, profile, envelope.type, actor.user, actor.program, *agents)
        columns = self._columns.get(known)
        if columns is None:
            if len(self._columns) >= REMEMBERED:
                self._columns.clear()
            columns = self._columns[known] = self._blind(agents, provider, profile, envelope)
        return columns

    def _blind(self, agents: list[str], provider: str, profile: str, envelope: Envelope) -> list[Columns]:
        blind = self._sealing.blind
        rest = (
            blind("provider", provider),
            blind("profile", profile),
            blind("kind", envelope.type),
            blind("actor", envelope.actor.user),
            blind("program", envelope.actor.program),
        )
        return sorted((blind("agent", agent), *rest) for agent in agents)
