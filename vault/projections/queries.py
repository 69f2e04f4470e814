"""Questions to the read models: agents, profiles, rotations, now or at a past moment; positions by time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import cast

from vault.log.records import Recorded
from vault.log.store import EventStore
from vault.model.agents import AgentsState
from vault.model.choosing import Candidate
from vault.model.profile import ProfileState, no_profile
from vault.model.refresh import given_up_from
from vault.model.rotation import RotationState
from vault.model.streams import AGENTS, profile_stream, rotation_stream
from vault.projections.engine import Projections
from vault.projections.lookup import Lookup, not_about


class Queries:
    """Reads the current state."""

    def __init__(self, store: EventStore, projections: Projections) -> None:
        self._store = store
        self._projections = projections
        self._lookup: Lookup | None = None

    def agents(self) -> AgentsState:
        """Registered agents."""
        with self._store.database.reading() as connection:
            return cast("AgentsState | None", self._projections.state(connection, AGENTS)) or AgentsState()

    def profile(self, agent: str, profile: str) -> ProfileState | None:
        """A profile of an agent's own, or None when it never existed."""
        with self._store.database.reading() as connection:
            return cast("ProfileState | None", self._projections.state(connection, profile_stream(agent, profile)))

    def rotation(self, agent: str, provider: str) -> RotationState:
        """An agent's rotation at a provider."""
        with self._store.database.reading() as connection:
            found = cast("RotationState | None", self._projections.state(connection, rotation_stream(agent, provider)))
        return found or RotationState(agent=agent, provider=provider)

    def profiles(self, agent: str, provider: str = "") -> list[ProfileState]:
        """An agent's own profiles, logged out ones too, by id."""
        with self._store.database.reading() as connection:
            found = cast("Iterable[ProfileState]", self._projections.states(connection, "profile", agent, provider))
            return sorted(found, key=lambda s: s.profile)

    def rotations(self, agent: str) -> list[RotationState]:
        """An agent's own rotations, by provider."""
        with self._store.database.reading() as connection:
            found = cast("Iterable[RotationState]", self._projections.states(connection, "rotation", agent))
            return sorted(found, key=lambda s: s.provider)

    def about(
        self, groups: Sequence[Sequence[tuple[str, str]]], low: int, high: int, size: int, *, oldest_first: bool = False
    ) -> list[Recorded]:
        """The first ``size`` events above ``low`` up to ``high`` that are about one of each group of (kind of subject, name).

        Without groups, any. Raises IntegrityError when one is missing from the log or from its index.
        """
        store = self._store
        with store.database.reading() as connection:
            if not groups:
                every = range(low + 1, high + 1)
                return list(store.read(every[:size] if oldest_first else every[::-1][:size]))
            self._lookup = self._lookup or Lookup(store.sealing, self._projections)
            blind = [[(kind, store.sealing.blind(kind, name)) for kind, name in group] for group in groups]
            found = list(islice(self._lookup.find(connection, blind, low, high, oldest_first=oldest_first), size))
            events = list(store.read(row.position for row in found))
            for row, event in zip(found, events, strict=True):
                if row.columns not in self._projections.subjects_of(event):
                    raise not_about(event.position)
            return events

    def at(self, position: int) -> PastQueries:
        """The same questions about the moment after a position. Replays the log up to there."""
        return PastQueries(self._store, self._projections, position)

    def position_at(self, moment: int) -> int:
        """The last position recorded at or before a moment (microseconds UTC); 0 when there is none.

        A binary search over headers: position order is time order.
        """
        low, high = 0, self._store.head().position
        while low < high:
            middle = (low + high + 1) // 2
            (record,) = self._store.read((middle,))
            if record.at <= moment:
                low = middle
            else:
                high = middle - 1
        return low


class PastQueries(Queries):
    """Answers from a replay that stops at a position."""

    def __init__(self, store: EventStore, projections: Projections, position: int) -> None:
        from vault.projections.replay import Replay

        super().__init__(store, projections)
        replay = Replay(store.sealing, projections)
        for record in store.scan(1, position):
            replay.fold(record)
        self._states = replay.states

    def agents(self) -> AgentsState:
        """Registered agents then."""
        found = self._states.get(("agents", self._store.sealing.stream_id(AGENTS)))
        return cast("AgentsState | None", found) or AgentsState()

    def profile(self, agent: str, profile: str) -> ProfileState | None:
        """A profile as it was then."""
        stream = self._store.sealing.stream_id(profile_stream(agent, profile))
        return cast("ProfileState | None", self._states.get(("profile", stream)))

    def rotation(self, agent: str, provider: str) -> RotationState:
        """A rotation as it was then."""
        stream = self._store.sealing.stream_id(rotation_stream(agent, provider))
        found = cast("RotationState | None", self._states.get(("rotation", stream)))
        return found or RotationState(agent=agent, provider=provider)

    def profiles(self, agent: str, provider: str = "") -> list[ProfileState]:
        """An agent's own profiles then."""
        return sorted(
            (
                s
                for s in self._states.values()
                if isinstance(s, ProfileState)
                and s.agent == agent
                and s.profile.startswith(f"{provider}:" if provider else "")
            ),
            key=lambda s: s.profile,
        )

    def rotations(self, agent: str) -> list[RotationState]:
        """An agent's own rotations then."""
        found = [s for s in self._states.values() if isinstance(s, RotationState) and s.agent == agent]
        return sorted(found, key=lambda s: s.provider)


class View:
    """What one agent sees: its own and its inherited profiles, its order, its pin."""

    def __init__(self, queries: Queries, agent: str) -> None:
        self.queries = queries
        self.agent = agent
        self.lineage = queries.agents().lineage(agent)

    def owned(self, provider: str = "") -> list[ProfileState]:
        """Profiles nearest owner first, hidden and logged out ones too."""
        return [state for owner in self.lineage for state in self.queries.profiles(owner, provider)]

    def visible(self, provider: str = "") -> dict[str, ProfileState]:
        """Logged-in profiles by id; the nearest owner wins."""
        seen: dict[str, ProfileState] = {}
        for state in self.owned(provider):
            if state.current is not None:
                seen.setdefault(state.profile, state)
        return seen

    def find(self, profile: str) -> ProfileState:
        """A visible profile, or the nearest logged-out one. Raises NotFound."""
        known = [s for owner in self.lineage if (s := self.queries.profile(owner, profile)) is not None]
        for state in known:
            if state.current is not None:
                return state
        if known:
            return known[0]
        raise no_profile(self.agent, profile, self.visible())

    def order(self, provider: str) -> tuple[list[str] | None, str]:
        """The order in force and whose it is."""
        for owner in self.lineage:
            order = self.queries.rotation(owner, provider).order
            if order is not None:
                return order, owner
        return None, ""

    def pin(self, provider: str) -> tuple[str, str]:
        """The pin in force and whose it is."""
        for owner in self.lineage:
            pin = self.queries.rotation(owner, provider).pin
            if pin:
                return pin, owner
        return "", ""

    def candidates(self, provider: str) -> list[Candidate]:
        """Everything choosing needs to know about stored profiles."""
        rotations = {owner: self.queries.rotation(owner, provider) for owner in self.lineage}
        return [
            Candidate(
                profile=state.profile,
                owner=state.agent,
                facts=state.current.facts if state.current else None,
                position=state.current.position if state.current else 0,
                health=rotations[state.agent].health_of(state.profile),
                last_used=rotations[state.agent].last_used.get(state.profile, 0),
                turn=rotations[state.agent].turns.get(state.profile, 0),
                sign_in_from=given_up_from(state),
            )
            for state in self.owned(provider)
        ]
