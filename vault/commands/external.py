"""Credentials another tool owns: its store is read again at every use, and what changed there is recorded.

The vault never refreshes these. When the store can't be read, or no longer holds the credential, what the vault has is used
for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vault.commands.former import under_known_names
from vault.commands.importing import TAKEN, take_over
from vault.context import Context
from vault.errors import IntegrityError, VaultError
from vault.events.types import ProfileImported
from vault.interop.findings import Findings
from vault.interop.tools import MODULES, tool
from vault.model.profile import ProfileState
from vault.model.streams import profile_stream
from vault.values import AgentId, ProfileId

REREAD = "its own tool changed it"


@dataclass(frozen=True, slots=True)
class Reread:
    """What became of an external profile: ``done`` is changed, same, gone (its store no longer has it) or unread (why says)."""

    agent: str
    profile: str
    tool: str
    path: str
    done: str
    why: str = ""


def external(state: ProfileState | None) -> bool:
    """Whether a profile's credential is one that another tool refreshes, and that can be read again."""
    held = state.current if state else None
    return bool(held and held.tool in MODULES and held.facts.ownership == "external" and held.facts.kind != "reference")


def reread(context: Context, states: Iterable[ProfileState | None], reason: str = REREAD) -> list[Reread]:
    """Read the stores of external profiles again and record what changed. A store that can't be read changes nothing.

    Raises IntegrityError, and whatever keeps an event from being written.
    """
    done: list[Reread] = []
    read: dict[tuple[str, str], Findings | VaultError] = {}
    for state in states:
        if state is None or state.current is None or not external(state):
            continue
        name = state.current.tool
        path = _source(context, state)
        if (name, path) not in read:
            read[name, path] = _read(context, name, path)
        done.append(_one(context, state, name, path, read[name, path], reason))
    return done


def _one(
    context: Context, state: ProfileState, name: str, path: str, findings: Findings | VaultError, reason: str
) -> Reread:
    if isinstance(findings, VaultError):
        return Reread(state.agent, state.profile, name, path, "unread", findings.message)
    wanted = [f for f in findings.found if (f.agent, f.profile) == (state.agent, state.profile)]
    if not wanted:
        return Reread(state.agent, state.profile, name, path, "gone", f"{path} no longer holds it")
    taken = take_over(context, Findings(findings.tool, findings.paths, found=wanted), reason=reason)
    return Reread(state.agent, state.profile, name, path, "changed" if taken.count(TAKEN) else "same")


def _read(context: Context, name: str, path: str) -> Findings | VaultError:
    reader = tool(name).read
    if reader is None:
        return VaultError(f"{name} can't be read")
    try:
        return under_known_names(context, reader(Path(path) if path else None, context.environ, Path.home()))
    except IntegrityError:
        raise
    except VaultError as error:
        return error


def _source(context: Context, state: ProfileState) -> str:
    """The file the credential was last taken from."""
    stream = profile_stream(AgentId(state.agent), ProfileId(state.profile))
    paths = [r.event.path for r in context.store.read_stream(stream) if isinstance(r.event, ProfileImported)]
    return paths[-1] if paths else ""
