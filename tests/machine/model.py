"""What the vault should do, said again with plain dicts and lists: the measure for any sequence of commands.

It knows nothing of events, streams or projections: each profile is the list of what it held, one entry a change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vault.values import DAY, HOUR, MINUTE, SECOND

MAIN = "main"
RANK = {"token": 1, "api_key": 2}


@dataclass(frozen=True)
class Stored:
    """A credential that was once logged in."""

    agent: str
    profile: str
    kind: str
    secret: str
    expires: int | None


@dataclass(frozen=True)
class Change:
    """What a profile held after an event: the position of a credential, or None after a logout."""

    position: int
    at: int
    held: int | None


@dataclass
class Sickness:
    """Failures in a row, and until when the profile waits."""

    failures: int = 0
    last: int = 0
    cooling: int = 0
    disabled: int = 0


@dataclass(frozen=True)
class Row:
    """A line of ``list``."""

    profile: str
    owner: str
    held: int
    since: int
    kind: str
    expires: int | None
    place: int | None
    pinned: bool
    ordered: bool
    used: int
    failures: int
    cooling: int
    disabled: int


@dataclass
class Model:
    """The vault as it should be. Commands return how many events they append, or raise KeyError where they must fail."""

    position: int = 1
    at: int = 0
    parents: dict[str, str] = field(default_factory=dict)
    stored: dict[int, Stored] = field(default_factory=dict)
    changes: dict[tuple[str, str], list[Change]] = field(default_factory=dict)
    orders: dict[tuple[str, str], list[tuple[int, list[str] | None]]] = field(default_factory=dict)
    pins: dict[tuple[str, str], str] = field(default_factory=dict)
    used: dict[tuple[str, str], int] = field(default_factory=dict)
    turns: dict[tuple[str, str], int] = field(default_factory=dict)
    sick: dict[tuple[str, str], Sickness] = field(default_factory=dict)

    # -- looking

    def lineage(self, agent: str) -> list[str]:
        """The agent and all it inherits from; KeyError for one that isn't there."""
        if agent not in self.agents():
            raise KeyError(agent)
        line = [agent]
        while parent := self.parents.get(line[-1], ""):
            line.append(parent)
        return line

    def agents(self) -> list[str]:
        return [MAIN, *sorted(self.parents)]

    def held(self, agent: str, profile: str) -> int | None:
        changes = self.changes.get((agent, profile))
        return changes[-1].held if changes else None

    def owner(self, agent: str, profile: str) -> str:
        """Whose profile an agent means: the nearest that holds something, else the nearest that ever did."""
        line = self.lineage(agent)
        ever = [a for a in line if (a, profile) in self.changes]
        now = [a for a in ever if self.held(a, profile) is not None]
        return (now or ever)[0] if ever else self.changes[agent, profile][0] and ""

    def visible(self, agent: str, provider: str = "") -> dict[str, str]:
        """Profiles an agent can use, with their owners."""
        found: dict[str, str] = {}
        for one in self.lineage(agent):
            for owner, profile in self.changes:
                if owner == one and profile.startswith(provider) and self.held(owner, profile) is not None:
                    found.setdefault(profile, owner)
        return found

    def order(self, agent: str, provider: str) -> list[str] | None:
        for one in self.lineage(agent):
            changes = self.orders.get((one, provider))
            if changes and changes[-1][1] is not None:
                return changes[-1][1]
        return None

    def pin(self, agent: str, provider: str) -> str:
        return next((self.pins[a, provider] for a in self.lineage(agent) if self.pins.get((a, provider))), "")

    def ranking(self, agent: str, provider: str, now: int) -> list[str]:
        """The profiles that could be used, in the order they are tried."""
        visible = self.visible(agent, f"{provider}:")

        def stored(profile: str) -> Stored:
            held = self.held(visible[profile], profile)
            assert held is not None
            return self.stored[held]

        def sickness(profile: str) -> Sickness:
            return self.sick.get((visible[profile], profile), Sickness())

        def live(profile: str) -> bool:
            expires = stored(profile).expires if profile in visible else 0
            return profile in visible and (expires is None or expires > now)

        pin = self.pin(agent, provider)
        if pin:
            return [pin] if live(pin) else []
        order = self.order(agent, provider)
        if order is None:
            order = sorted(visible, key=lambda p: (RANK[stored(p).kind], self.turns.get((visible[p], p), 0), p))
        able = [p for p in order if live(p) and sickness(p).disabled <= now]
        ready = [p for p in able if sickness(p).cooling <= now]
        waiting = sorted((p for p in able if sickness(p).cooling > now), key=lambda p: sickness(p).cooling)
        return ready + waiting

    def rows(self, agent: str, now: int) -> list[Row]:
        rows = []
        for profile, owner in self.visible(agent).items():
            provider = profile.partition(":")[0]
            ranking = self.ranking(agent, provider, now)
            held = self.held(owner, profile)
            assert held is not None
            sick = self.sick.get((owner, profile), Sickness())
            rows.append(
                Row(
                    profile,
                    owner,
                    held,
                    self.changes[owner, profile][-1].at,
                    self.stored[held].kind,
                    self.stored[held].expires,
                    ranking.index(profile) + 1 if profile in ranking else None,
                    self.pin(agent, provider) == profile,
                    profile in (self.order(agent, provider) or []),
                    self.used.get((owner, profile), 0),
                    sick.failures,
                    sick.cooling,
                    sick.disabled,
                )
            )
        return sorted(rows, key=lambda r: r.profile)

    def earlier(self, agent: str, profile: str) -> int:
        """The credential a restore brings back by itself: what was logged out, else the newest other one."""
        changes = self.changes[agent, profile]
        current = changes[-1].held
        return [c.held for c in changes if c.held is not None and c.held != current][-1]

    def held_at(self, agent: str, profile: str, moment: int) -> int:
        """What a profile held at a moment; KeyError when it was nothing."""
        then = [c for c in self.changes[agent, profile] if c.at <= moment]
        if not then or then[-1].held is None:
            raise KeyError(profile)
        return then[-1].held

    # -- changing: each advances the position by the events it appends

    def happen(self, now: int, events: int = 1) -> int:
        """So many events are recorded: the position of the last."""
        if events:
            self.at = max(self.at, now)
        self.position += events
        return self.position

    def register(self, agent: str, parent: str, now: int) -> None:
        if agent in self.agents():
            raise ValueError(agent)
        if parent:
            self.lineage(parent)
        self.happen(now)
        self.parents[agent] = parent

    def _hold(self, agent: str, profile: str, now: int, held: int | None) -> int:
        """A profile comes to hold a credential: 0 means the one that this event stores."""
        if agent not in self.agents():
            self.register(agent, MAIN, now)
        position = self.happen(now)
        self.changes.setdefault((agent, profile), []).append(Change(position, self.at, held or position))
        if self.sick.pop((agent, profile), None) is not None:
            self.happen(now)
        return position

    def login(self, agent: str, profile: str, kind: str, secret: str, expires: int | None, now: int) -> int:
        position = self._hold(agent, profile, now, 0)
        self.stored[position] = Stored(agent, profile, kind, secret, expires)
        return position

    def logout(self, agent: str, profile: str, now: int) -> int:
        self.lineage(agent)
        if self.held(agent, profile) is None:
            raise KeyError(profile)
        position = self.happen(now)
        self.changes[agent, profile].append(Change(position, self.at, None))
        return position

    def restore(self, agent: str, profile: str, held: int, now: int) -> int | None:
        if self.held(agent, profile) == held:
            return None
        return self._hold(agent, profile, now, held)

    def set_order(self, agent: str, provider: str, order: list[str] | None, now: int) -> int | None:
        self.lineage(agent)
        changes = self.orders.setdefault((agent, provider), [])
        if (changes[-1][1] if changes else None) == order:
            return None
        position = self.happen(now)
        changes.append((position, order))
        return position

    def earlier_order(self, agent: str, provider: str) -> list[str] | None:
        changes = self.orders.get((agent, provider)) or []
        if not changes:
            raise KeyError(provider)
        return changes[-2][1] if len(changes) > 1 else None

    def order_at(self, agent: str, provider: str, position: int) -> list[str] | None:
        then = [order for at, order in self.orders.get((agent, provider), []) if at <= position]
        return then[-1] if then else None

    def set_pin(self, agent: str, profile: str, now: int) -> int | None:
        provider = profile.partition(":")[0]
        if profile not in self.visible(agent):
            raise KeyError(profile)
        if self.pins.get((agent, provider)) == profile:
            return None
        self.pins[agent, provider] = profile
        return self.happen(now)

    def unpin(self, agent: str, provider: str, now: int) -> int:
        self.lineage(agent)
        if not self.pins.pop((agent, provider), ""):
            raise KeyError(provider)
        return self.happen(now)

    def fail(self, agent: str, profile: str, failure: str, reset: int | None, now: int) -> int:
        owner = self.owner(agent, profile)
        position = self.happen(now)
        sick = self.sick.setdefault((owner, profile), Sickness())
        at = self.at
        sick.failures = sick.failures + 1 if at - sick.last < DAY else 1
        sick.last = at
        doubled = 2 ** min(sick.failures - 1, 30)
        length = {
            "rate_limit": min(30 * SECOND * doubled, HOUR),
            "overloaded": min(30 * SECOND * doubled, HOUR),
            "billing": min(10 * MINUTE * doubled, DAY),
            "auth_permanent": min(10 * MINUTE * doubled, HOUR),
        }.get(failure, {1: 30 * SECOND, 2: MINUTE}.get(sick.failures, 5 * MINUTE))
        end = min(reset, at + 31 * DAY) if reset is not None and reset > at else at + length
        if failure in ("billing", "auth_permanent"):
            sick.disabled = max(sick.disabled, end)
        else:
            sick.cooling = max(sick.cooling, end)
        return position

    def succeed(self, agent: str, profile: str, now: int) -> int:
        owner = self.owner(agent, profile)
        position = self.happen(now)
        self.sick[owner, profile] = Sickness()
        return position

    def clear(self, agent: str, profile: str, now: int) -> int | None:
        owner = self.owner(agent, profile)
        return self.happen(now) if self.sick.pop((owner, profile), None) is not None else None

    def use(self, agent: str, profile: str, now: int) -> int:
        owner = self.visible(agent)[profile]
        position = self.happen(now)
        self.used[owner, profile], self.turns[owner, profile] = self.at, position
        return position

    def inherit(self, agent: str, parent: str, now: int) -> int | None:
        self.lineage(agent)
        if agent == MAIN or (parent and agent in self.lineage(parent)):
            raise ValueError(agent)
        if self.parents[agent] == parent:
            return None
        self.parents[agent] = parent
        return self.happen(now)

    def remove(self, agent: str, now: int) -> int:
        self.lineage(agent)
        if agent == MAIN or agent in self.parents.values():
            raise ValueError(agent)
        del self.parents[agent]
        return self.happen(now)
