"""A command that comes twice: the same command id answers with what the first one did, and never with what it didn't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from vault.context import Context
from vault.errors import Conflict
from vault.events.types import Event
from vault.log.records import Recorded
from vault.model.profile import ProfileState, evolve_profile
from vault.model.streams import profile_stream

E = TypeVar("E", bound=Event)


def first_of(recorded: Sequence[Recorded], *kinds: type[E], **facts: Any) -> tuple[Recorded, E]:
    """A command's event of one of these kinds and with these facts, and its record.

    Raises Conflict when there is none: then the command id was given to another command before.
    """
    for record in recorded:
        event = record.event
        if isinstance(event, kinds) and all(getattr(event, name) == value for name, value in facts.items()):
            return record, event
    command = recorded[0].envelope.command
    raise Conflict(f"the command id {command} was used for another command", hint="use a new id")


def profile_before(
    context: Context, record: Recorded, agent: str, profile: str, seen: ProfileState | None
) -> ProfileState | None:
    """A profile as it was before an event of it. ``seen`` is what was decided upon: the answer unless the event is older."""
    if record.version == (seen.version if seen else 0) + 1:
        return seen
    state: ProfileState | None = None
    for earlier in context.store.read_stream(profile_stream(agent, profile)):
        if earlier.version >= record.version:
            break
        state = evolve_profile(state, earlier.event, earlier.version, earlier.position, earlier.at, agent, profile)
    return state
