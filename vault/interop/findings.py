"""What an importer found in another tool's store, before anything is decided. Reading a store never changes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from vault.events.credentials import AnyCredential
from vault.events.types import Health
from vault.values import AgentId, ProfileId, ProviderId


@dataclass(frozen=True, slots=True)
class Found:
    """A credential that can be taken over. ``ownership`` is vault, external or copy; ``why`` says why that one.

    ``former`` is what earlier versions called the profile, where that is something else.
    ``base_url`` is the server it belongs to where that isn't the provider's own: it is never sent anywhere else.
    ``env`` are variables that hold it there, beside the provider's own.
    """

    agent: AgentId
    profile: ProfileId
    credential: AnyCredential
    path: str
    label: str = ""
    account: str = ""
    ownership: str = "vault"
    why: str = ""
    last_used: int | None = None
    health: Health | None = None
    former: ProfileId | None = None
    base_url: str = ""
    env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An agent's order for a provider in that tool's store."""

    agent: AgentId
    provider: ProviderId
    profiles: tuple[ProfileId, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that can't be taken over, by the name it has there, and why."""

    name: str
    path: str
    why: str


@dataclass(slots=True)
class Findings:
    """Everything found in one tool's store. ``agents`` are (agent, parent) pairs the store knows besides main."""

    tool: str
    paths: list[str] = field(default_factory=list)
    agents: list[tuple[AgentId, str]] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    orders: list[FoundOrder] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
