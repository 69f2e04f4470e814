"""The history index: which event concerns which agent, provider, profile, type, actor, program — all blind.

An event about another agent than the one that acted (a hand-out of an inherited profile) has a row for each of them.
"""

from __future__ import annotations

from vault.events.codec import Envelope
from vault.events.types import AgentInheritanceSet, AgentRegistered, AgentRemoved, CredentialIssued, ProfileExported
from vault.log.records import Recorded
from vault.log.sealing import Sealing
from vault.model.streams import split_stream

NAME = "history"
VERSION = 1
REMEMBERED = 4096

Columns = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
IndexRow = tuple[int, bytes, bytes, bytes, bytes, bytes, bytes]


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


class Indexer:
    """Makes rows of ``history_index``, and remembers the blind columns that events have in common."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing
        self._columns: dict[tuple[str, ...], list[Columns]] = {}

    def rows(self, recorded: Recorded) -> list[IndexRow]:
        """The rows for an event, sorted as stored."""
        agents, provider, profile = subjects(recorded)
        envelope = recorded.envelope
        actor = envelope.actor
        known = (provider, profile, envelope.type, actor.user, actor.program, *agents)
        columns = self._columns.get(known)
        if columns is None:
            if len(self._columns) >= REMEMBERED:
                self._columns.clear()
            columns = self._columns[known] = self._blind(agents, provider, profile, envelope)
        if len(columns) == 1:
            return [(recorded.position, *columns[0])]
        return [(recorded.position, *rest) for rest in columns]

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
