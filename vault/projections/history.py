"""The history index: which event concerns which agent, provider, profile, type, actor, program — all blind.

An event about another agent than the one that acted (a hand-out of an inherited profile) has a row for each of them.
"""

from __future__ import annotations

from vault.events.types import AgentInheritanceSet, AgentRegistered, AgentRemoved, CredentialIssued
from vault.log.records import Recorded
from vault.log.sealing import Sealing
from vault.model.streams import split_stream

NAME = "history"
VERSION = 1

IndexRow = tuple[int, bytes, bytes, bytes, bytes, bytes, bytes]


def subjects(recorded: Recorded) -> tuple[list[str], str, str]:
    """(agents, provider, profile) an event concerns; empty texts where it concerns none."""
    event = recorded.event
    if isinstance(event, CredentialIssued):
        agents = [event.agent] if event.owner in ("", event.agent) else [event.agent, event.owner]
        return agents, event.provider, event.profile
    if isinstance(event, AgentRegistered | AgentInheritanceSet | AgentRemoved):
        return [event.agent], "", ""
    kind, agent, rest = split_stream(recorded.envelope.stream)
    if kind == "profile":
        return [agent], rest.partition(":")[0], rest
    if kind == "rotation":
        return [agent], rest, getattr(event, "profile", "")
    return [""], "", ""


def index_rows(sealing: Sealing, recorded: Recorded) -> list[IndexRow]:
    """The rows of ``history_index`` for an event."""
    agents, provider, profile = subjects(recorded)
    actor = recorded.envelope.actor
    blind = sealing.blind
    rest = (
        blind("provider", provider),
        blind("profile", profile),
        blind("kind", recorded.envelope.type),
        blind("actor", actor.user),
        blind("program", actor.program),
    )
    return [(recorded.position, blind("agent", agent), *rest) for agent in agents]
