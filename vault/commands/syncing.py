"""sync: logins that other tools own are read again, and what was exported is exported again where it changed since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vault.commands.exporting import Exported, export
from vault.commands.external import Reread, external, reread
from vault.commands.history import Filter, read_history
from vault.context import Context
from vault.errors import IntegrityError, VaultError
from vault.events.types import ProfileExported
from vault.interop.tools import MODULES, tool
from vault.values import AgentId, ProfileId, provider_of


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of one store that was exported to. ``error`` is why it could not be written."""

    tool: str
    agent: str
    path: str
    done: Exported | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did."""

    reread: tuple[Reread, ...]
    resent: tuple[Resent, ...]

    @property
    def failed(self) -> bool:
        """Whether a store could not be read or written."""
        return any(r.done == "unread" for r in self.reread) or any(r.error for r in self.resent)


def sync(context: Context, names: Sequence[str] = ()) -> Synced:
    """Sync the named tools, or all. Raises IntegrityError and what keeps events from being written."""
    agents = [AgentId(a) for a in context.queries.agents().names()]
    states = [
        s
        for agent in agents
        for s in context.queries.profiles(agent)
        if external(s) and s.current is not None and (not names or s.current.tool in names)
    ]
    changed = reread(context, states, "sync")
    return Synced(tuple(changed), tuple(_resend(context, names)))


def _resend(context: Context, names: Sequence[str]) -> list[Resent]:
    done: list[Resent] = []
    for (name, agent, path), profiles in _exports(context).items():
        if name not in MODULES or (names and name not in names):
            continue
        there = [p for p in profiles if _current(context, AgentId(agent), p)]
        if not there:
            continue
        found = tool(name)
        defaults = [str(p) for p in found.places(context.environ, Path.home())]
        try:
            what = [(provider_of(p), p) for p in there]
            to = None if path in defaults else Path(path)
            done.append(
                Resent(name, agent, path, export(context, found, AgentId(agent), what=what, to=to, reason="sync"))
            )
        except IntegrityError:
            raise
        except VaultError as error:
            done.append(Resent(name, agent, path, None, error.message))
    return done


def _exports(context: Context) -> dict[tuple[str, str, str], list[ProfileId]]:
    """What was exported last under each name: profiles by tool, agent and path."""
    found: dict[tuple[str, str, str], dict[str, ProfileId]] = {}
    for record in read_history(context, Filter(types=(ProfileExported.TYPE,)), oldest_first=True):
        event = record.event
        if isinstance(event, ProfileExported):
            found.setdefault((event.tool, event.agent, event.path), {})[event.name] = ProfileId(event.profile)
    return {key: list(dict.fromkeys(names.values())) for key, names in found.items()}


def _current(context: Context, agent: AgentId, profile: ProfileId) -> bool:
    agents = context.queries.agents()
    owners = agents.lineage(agent) if agents.known(agent) else []
    return any((s := context.queries.profile(owner, profile)) is not None and s.current for owner in owners)
