"""Agents and whom they inherit from. ``main`` always exists and inherits from nobody."""

from __future__ import annotations

import msgspec

from vault.errors import Conflict, NewerVersion, NotFound, UsageError
from vault.events.types import (
    AgentInheritanceSet,
    AgentRegistered,
    AgentRemoved,
    Event,
    UnknownEvent,
)
from vault.guessing import did_you_mean
from vault.values import MAIN_AGENT


class AgentsState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Registered agents, each with its parent (empty for none). ``version`` is the place in the stream."""

    version: int = 0
    parents: dict[str, str] = {}
    unknown: str = ""

    def known(self, agent: str) -> bool:
        """Whether an agent exists."""
        return agent == MAIN_AGENT or agent in self.parents

    def names(self) -> list[str]:
        """All agents, main first."""
        return [MAIN_AGENT, *sorted(self.parents)]

    def lineage(self, agent: str) -> list[str]:
        """The agent, its parent, and so on. Raises NotFound for an unknown agent."""
        if not self.known(agent):
            add = f"add it with: vault agent add {agent}"
            raise NotFound(f"there is no agent {agent}", hint=did_you_mean(agent, self.names(), add))
        line = [agent]
        while (parent := self.parents.get(line[-1], "")) and parent not in line and self.known(parent):
            line.append(parent)
        return line


def evolve_agents(state: AgentsState | None, event: Event, version: int) -> AgentsState:
    """The agents after an event."""
    state = state or AgentsState()
    parents, unknown = state.parents, state.unknown
    match event:
        case AgentRegistered(agent=agent, inherits=inherits) | AgentInheritanceSet(agent=agent, inherits=inherits):
            parents = dict(sorted({**parents, agent: inherits}.items()))
        case AgentRemoved(agent=agent):
            parents = {k: v for k, v in parents.items() if k != agent}
        case UnknownEvent(type=type_name):
            unknown = type_name
    return AgentsState(version=version, parents=parents, unknown=unknown)


def register(state: AgentsState, agent: str, inherits: str) -> AgentRegistered:
    """Decide to register an agent. Raises Conflict when it exists, NotFound for an unknown parent."""
    _decidable(state)
    if state.known(agent):
        raise Conflict(f"the agent {agent} exists already", hint="vault agent list shows all")
    if inherits:
        state.lineage(inherits)
    return AgentRegistered(agent=agent, inherits=inherits)


def set_inheritance(state: AgentsState, agent: str, inherits: str) -> AgentInheritanceSet | None:
    """Decide an agent's parent; None when it is so already. Raises NotFound, or UsageError for a circle."""
    _decidable(state)
    state.lineage(agent)
    if agent == MAIN_AGENT:
        raise UsageError("the agent main inherits from nobody", hint="set the parent of another agent")
    if inherits and agent in state.lineage(inherits):
        raise UsageError(f"{agent} can't inherit from {inherits}: that would be a circle", hint="choose another parent")
    if state.parents.get(agent, "") == inherits:
        return None
    return AgentInheritanceSet(agent=agent, inherits=inherits)


def remove(state: AgentsState, agent: str) -> AgentRemoved:
    """Decide to remove an agent. Raises NotFound, UsageError for main, Conflict when others inherit from it."""
    _decidable(state)
    state.lineage(agent)
    if agent == MAIN_AGENT:
        raise UsageError("the agent main can't be removed", hint="log its profiles out instead")
    children = [name for name, parent in state.parents.items() if parent == agent]
    if children:
        raise Conflict(
            f"{', '.join(children)} inherit from {agent}",
            hint=f"first: vault agent inherit {children[0]} --from main",
        )
    return AgentRemoved(agent=agent)


def _decidable(state: AgentsState) -> None:
    if state.unknown:
        raise NewerVersion(
            f"the list of agents holds an event {state.unknown} written by a newer vault", hint="upgrade agent-vault"
        )
