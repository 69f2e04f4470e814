"""agent: who uses credentials, and whom they inherit from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vault.commands.repeats import first_of
from vault.context import Context
from vault.events.types import AgentInheritanceSet, AgentRegistered, AgentRemoved, Event
from vault.log.records import Draft
from vault.model import agents as model
from vault.model.agents import AgentsState
from vault.model.streams import AGENTS
from vault.values import AgentId


def add_agent(context: Context, agent: AgentId, inherits: str, *, reason: str = "", command: str = "") -> int:
    """Register an agent. Returns the position. Raises Conflict, NotFound."""

    def decide(state: AgentsState) -> Event:
        return model.register(state, agent, inherits)

    return _append(context, AgentRegistered, agent, decide, reason, command) or 0


def set_inheritance(
    context: Context, agent: AgentId, inherits: str, *, reason: str = "", command: str = ""
) -> int | None:
    """Set an agent's parent; empty for none. Returns the position, or None when it was so. Raises NotFound, UsageError."""

    def decide(state: AgentsState) -> Event | None:
        return model.set_inheritance(state, agent, inherits)

    return _append(context, AgentInheritanceSet, agent, decide, reason, command)


def remove_agent(context: Context, agent: AgentId, *, reason: str = "", command: str = "") -> int:
    """Stop knowing an agent. Its profiles and history stay in the log. Raises NotFound, UsageError, Conflict."""
    return _append(context, AgentRemoved, agent, lambda state: model.remove(state, agent), reason, command) or 0


def _append(
    context: Context,
    kind: type[Event],
    agent: AgentId,
    decide: Callable[[AgentsState], Event | None],
    reason: str,
    command: str,
) -> int | None:
    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        state = context.queries.agents()
        event = decide(state)
        return ([Draft(stream=AGENTS, event=event)] if event else []), {AGENTS: state.version}

    recorded = context.decide(context.cause(reason, command), AGENTS, build)
    return first_of(recorded, kind, agent=agent)[0].position if recorded else None
