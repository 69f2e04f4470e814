"""history: what happened, filtered through the blind index. Only the events that are shown are opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vault.commands.naming import is_kept, is_known
from vault.context import Context
from vault.errors import InputError
from vault.events.types import EVENT_TYPES
from vault.guessing import did_you_mean
from vault.log.records import Recorded
from vault.model.profile import like_it
from vault.providers import catalogue
from vault.showing import shown

BATCH = 256


def check_types(types: Iterable[str]) -> None:
    """Check the names of types of events. Raises InputError."""
    for name in types:
        if name not in EVENT_TYPES:
            every = "use one of " + ", ".join(sorted(EVENT_TYPES))
            raise InputError(f"{shown(name)} is not a type of event", hint=did_you_mean(name, EVENT_TYPES) or every)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events. Empty means any. ``actor`` matches an OS user or a program; moments are microseconds UTC."""

    agent: str = ""
    provider: str = ""
    profile: str = ""
    types: tuple[str, ...] = ()
    actor: str = ""
    since: int | None = None
    until: int | None = None

    def groups(self) -> list[list[tuple[str, str]]]:
        """What an event must be about: of each group one (kind of subject, name)."""
        groups = [[(column, getattr(self, column))] for column in ("agent", "provider", "profile")]
        groups += [[("kind", name) for name in self.types], [("actor", self.actor), ("program", self.actor)]]
        return [group for group in groups if any(name for _, name in group)]


def nothing_found(context: Context, wanted: Filter) -> str:
    """What to say where no event matches: what was probably meant, if a name is one that nothing here has."""
    agents = context.queries.agents().names()
    meant = ""
    if wanted.profile:
        every = [p.profile for agent in agents for p in context.queries.profiles(agent)]
        meant = like_it(wanted.profile, every) if wanted.profile not in every else ""
    if (
        wanted.provider
        and not meant
        and not (is_known(wanted.provider, context.environ) or is_kept(context, wanted.provider))
    ):
        near = catalogue.nearest(wanted.provider)
        meant = f"did you mean {' or '.join(near)}?" if near else ""
    if wanted.agent and not meant and wanted.agent not in agents:
        meant = did_you_mean(wanted.agent, agents)
    return f"no event matches; {meant}" if meant else "no event matches"


def read_history(
    context: Context, wanted: Filter, *, limit: int | None = None, oldest_first: bool = False, after: int = 0
) -> Iterator[Recorded]:
    """Events that match, newest first unless told otherwise. ``after`` leaves out positions up to it.

    They come in batches, each its own snapshot that is closed before the first of it is given: the log only grows, so a long
    listing holds up nobody, and one that isn't read to its end leaves nothing open. Raises IntegrityError where one is missing.
    """
    groups, queries = wanted.groups(), context.queries
    low = after if wanted.since is None else max(after, queries.position_at(wanted.since - 1))
    high = context.store.head().position if wanted.until is None else queries.position_at(wanted.until)
    left = limit
    while left is None or left > 0:
        size = BATCH if left is None else min(left, BATCH)
        found = queries.about(groups, low, high, size, oldest_first=oldest_first)
        yield from found
        if len(found) < size:
            return
        if left is not None:
            left -= len(found)
        if oldest_first:
            low = found[-1].position
        else:
            high = found[-1].position - 1
