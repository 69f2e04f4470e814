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


class Subjects:
    """The newest row of each subject: how many it has, and where. ``find`` looks one up that isn't known yet."""

    def __init__(self, keys: VaultKeys, find: Callable[[str, bytes], Newest] = lambda _column, _value: (0, 0)) -> None:
        self._keys = keys
        self._find = find
        self._newest: dict[tuple[str, bytes], Newest] = {}
        self._before: dict[tuple[str, bytes], Newest] = {}

    def next(self, column: str, value: bytes, position: int) -> int:
        """Count one more row of a subject; which one it is."""
        key = (column, value)
        newest = self._newest.get(key)
        if newest is None:
            newest = self._find(column, value)
        self._before.setdefault(key, newest)
        nth = newest[0] + 1
        self._newest[key] = (nth, position)
        return nth

    def change(self) -> int:
        """By how much the sum over all newest rows changed since this was last asked."""
        keys, total = self._keys, 0
        for (column, value), (nth, position) in self._before.items():
            total += subject_term(keys, column, value, *self._newest[column, value])
            if nth:
                total -= subject_term(keys, column, value, nth, position)
        self._before.clear()
        return total

    def forget(self) -> None:
        """Drop what is remembered."""
        self._newest.clear()
        self._before.clear()


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
            agent, provider, profile, kind, actor, program = columns
            counts = (
                newest.next("agent", agent, position),
                newest.next("provider", provider, position),
                newest.next("profile", profile, position),
                newest.next("kind", kind, position),
                newest.next("actor", actor, position),
                newest.next("program", program, position),
            )
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
