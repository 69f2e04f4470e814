"""What the stores of other tools hold now of the logins they own. They are read and left alone, and nothing is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vault.commands.external import external
from vault.commands.former import under_known_names
from vault.commands.importing import TAKEN, take_over
from vault.commands.standing import sign_in_line
from vault.context import Context
from vault.errors import NotFound, VaultError
from vault.events.types import ProfileImported
from vault.interop.findings import Findings
from vault.interop.tools import tool
from vault.model.profile import ProfileState
from vault.model.streams import profile_stream
from vault.values import AgentId, ProfileId

RENEWED, SAME, GONE, UNREAD, ELSEWHERE = "renewed", "same", "gone", "unread", "elsewhere"
ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Looked:
    """What its own tool holds of a profile: renewed, same, gone, unread (``why`` says why) or elsewhere (it can't be read again).

    It is ended when the tool holds another one that has ended: that one is taken over at the next use. ``hint`` is what a person
    can do; ``expires_at`` is the renewed one's, microseconds UTC.
    """

    tool: str
    found: str
    why: str
    hint: str
    expires_at: int | None = None


def look(context: Context, profile: ProfileState) -> Looked:
    """Compare an external profile with what its tool's store holds now. Changes nothing."""
    held = profile.current
    name = held.tool if held else ""
    if not external(profile):
        return Looked(name, ELSEWHERE, "its own tool's store can't be read here", sign_in_line(context, profile))
    there = tool(name)
    path = _source(context, profile)
    try:
        found = there.read(Path(path) if path else None, context.environ, Path.home()) if there.read else None
    except NotFound as error:
        return Looked(name, GONE, error.message, f"sign in with {there.title} again")
    except VaultError as error:
        return Looked(name, UNREAD, error.message, error.hint or f"sign in with {there.title} again")
    found = under_known_names(context, found) if found is not None else None
    wanted = [f for f in found.found if (f.agent, f.profile) == (profile.agent, profile.profile)] if found else []
    if found is None or not wanted:
        return Looked(name, GONE, f"{path or there.title} no longer holds it", f"sign in with {there.title} again")
    taken = take_over(context, Findings(found.tool, found.paths, found=wanted), dry_run=True)
    expires = wanted[0].credential.expires()
    use_it = f"use {there.title} once, or sign in with it again"
    if not taken.count(TAKEN):
        return Looked(name, SAME, f"{there.title} has not renewed it", use_it)
    if expires is None or expires > context.clock.now():
        return Looked(name, RENEWED, f"{there.title} has renewed it", "", expires)
    return Looked(name, ENDED, f"{there.title} holds another one now, which has ended", use_it)


def _source(context: Context, profile: ProfileState) -> str:
    """The file it was last taken from."""
    stream = profile_stream(AgentId(profile.agent), ProfileId(profile.profile))
    paths = [r.event.path for r in context.store.read_stream(stream) if isinstance(r.event, ProfileImported)]
    return paths[-1] if paths else ""
