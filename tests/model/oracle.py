"""The rules of choosing, said once more, plainly and slowly, over the bare list of everything that was ever recorded.

It knows events as data and nothing else of vault: no fold, no read model, no rank table. Each question walks the whole log.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vault.events import types as t
from vault.events.credentials import CredentialFacts
from vault.log.records import Recorded

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
STORES = (t.ProfileLoggedIn, t.ProfileImported, t.ProfileRestored, t.TokensRefreshed)


@dataclass(frozen=True)
class Surroundings:
    """What isn't in the log: the agent's environment, the project's .env, the settings. All of it is given, none remembered."""

    environ: Mapping[str, str] = field(default_factory=dict)
    dotenv: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[str] = ("environment", "dotenv", "stored")
    disabled: Collection[str] = ()


@dataclass(frozen=True)
class Verdict:
    """The choice, what would be tried in turn, and a reason for everybody: (candidate, owner) → code."""

    chosen: str | None
    tried: list[str]
    codes: dict[tuple[str, str], str]


class Oracle:
    """Judges a log at a moment."""

    def __init__(self, log: Sequence[Recorded], now: int) -> None:
        self.log = log
        self.now = now

    # -- agents

    def parent(self, agent: str) -> str:
        """Whom an agent inherits from, empty for nobody; KeyError for an agent that isn't known."""
        parent = None
        for record in self.log:
            match record.event:
                case t.AgentRegistered(agent=a, inherits=p) | t.AgentInheritanceSet(agent=a, inherits=p) if a == agent:
                    parent = p
                case t.AgentRemoved(agent=a) if a == agent:
                    parent = None
        if parent is None and agent != "main":
            raise KeyError(agent)
        return parent or ""

    def lineage(self, agent: str) -> list[str]:
        parent = self.parent(agent)
        return [agent, *(self.lineage(parent) if parent else [])]

    # -- profiles

    def of(self, stream: str) -> list[Recorded]:
        return [r for r in self.log if r.stream == stream]

    def profiles(self, owner: str, provider: str) -> list[str]:
        """Profiles an agent ever had for a provider."""
        start = f"profile/{owner}/{provider}:"
        return sorted({r.stream.removeprefix(f"profile/{owner}/") for r in self.log if r.stream.startswith(start)})

    def held(self, owner: str, profile: str) -> CredentialFacts | None:
        """What a profile holds: the last credential it was given, unless it was logged out since."""
        for record in reversed(self.of(f"profile/{owner}/{profile}")):
            if isinstance(record.event, STORES):
                return record.event.credential
            if isinstance(record.event, t.ProfileLoggedOut):
                return None
        return None

    def lost(self, owner: str, profile: str) -> bool:
        """Whether only a person can renew it: it was refused, or twice in a row nobody knows what came of a refresh."""
        unknown, refused, open_until = 0, False, None
        for record in self.of(f"profile/{owner}/{profile}"):
            match record.event:
                case t.RefreshClaimed(lease_until=until):
                    unknown += open_until is not None
                    open_until = until
                case t.RefreshFailed(outcome=outcome):
                    unknown += outcome == "uncertain"
                    refused |= outcome == "refused"
                    open_until = None
                case t.ProfileProbed():
                    pass
                case _:
                    unknown, refused, open_until = 0, False, None
        unknown += open_until is not None and open_until <= self.now
        return refused or unknown >= 2

    # -- health and use

    def windows(self, owner: str, profile: str) -> tuple[int, int]:
        """Until when a profile cools down, and until when it is disabled."""
        count, last, cooling, disabled = 0, 0, 0, 0
        for record in self.of(f"rotation/{owner}/{profile.partition(':')[0]}"):
            event, at = record.event, record.at
            if not isinstance(event, t.UseReported | t.HealthCleared) or event.profile != profile:
                continue
            if isinstance(event, t.HealthCleared) or event.outcome == "success":
                count, last, cooling, disabled = 0, 0, 0, 0
            elif event.outcome == "failure":
                count = count + 1 if at - last < DAY else 1
                last = at
                end = self.window(event.failure, count) + at
                if event.until is not None and event.until > at:
                    end = min(event.until, at + 31 * DAY)
                if event.failure in ("billing", "auth_permanent"):
                    disabled = max(disabled, end)
                else:
                    cooling = max(cooling, end)
            elif event.health is not None:
                told = event.health
                count, last, cooling, disabled = (
                    told.failures,
                    told.last_failure_at,
                    told.cooldown_until,
                    told.disabled_until,
                )
        return cooling, disabled

    @staticmethod
    def window(failure: str, count: int) -> int:
        if failure in ("rate_limit", "overloaded"):
            return int(min(30 * SECOND * 2.0 ** (count - 1), HOUR))
        if failure == "billing":
            return int(min(10 * MINUTE * 2.0 ** (count - 1), DAY))
        if failure == "auth_permanent":
            return int(min(10 * MINUTE * 2.0 ** (count - 1), HOUR))
        return [30 * SECOND, MINUTE, 5 * MINUTE][min(count, 3) - 1]

    def last_use(self, owner: str, profile: str) -> tuple[int, int]:
        """(when, place in the log) of the last hand-out, to whomever; an import tells a time alone."""
        when, place = 0, 0
        for record in self.of(f"rotation/{owner}/{profile.partition(':')[0]}"):
            match record.event:
                case t.CredentialIssued(profile=p) if p == profile:
                    when, place = record.at, record.position
                case t.UseReported(profile=p, last_used=used) if p == profile and used is not None:
                    when = max(when, used)
        return when, place

    # -- steering

    def steering(self, agent: str, provider: str) -> tuple[list[str] | None, str]:
        """(order, pin) in force: the nearest agent's that has one."""
        order, pin = None, ""
        for one in reversed(self.lineage(agent)):
            own_order, own_pin = None, ""
            for record in self.of(f"rotation/{one}/{provider}"):
                match record.event:
                    case t.OrderSet(profiles=profiles):
                        own_order = profiles
                    case t.OrderCleared():
                        own_order = None
                    case t.ProfilePinned(profile=profile):
                        own_pin = profile
                    case t.ProfileUnpinned():
                        own_pin = ""
            order = order if own_order is None else own_order
            pin = own_pin or pin
        return order, pin

    # -- the decision

    def unusable(self, owner: str, profile: str, facts: CredentialFacts | None, around: Surroundings) -> str:
        """Why a credential can't be used now, health aside."""
        if facts is None:
            return "missing"
        if facts.kind == "reference":
            scheme, _, target = facts.reference.partition(":")
            if scheme == "env" and not around.environ.get(target, "").strip():
                return "unresolved_reference"
        elif not facts.fingerprint:
            return "no_secret"
        if facts.expires_at is None or facts.expires_at > self.now:
            return ""
        if facts.ownership == "external":
            return "stale"
        if not facts.refresh_fingerprint:
            return "expired"
        return "needs_sign_in" if self.lost(owner, profile) else ""

    def judge(self, agent: str, provider: str, variables: Sequence[str], around: Surroundings) -> Verdict:
        """The whole of it. ``variables`` are those that hold the provider's key, the best first."""
        codes: dict[tuple[str, str], str] = {}
        order, pin = self.steering(agent, provider)
        owners: dict[str, list[str]] = {}
        for owner in self.lineage(agent):
            for profile in self.profiles(owner, provider):
                owners.setdefault(profile, []).append(owner)

        ready: list[tuple[tuple[int, ...], str, str]] = []
        waiting: list[tuple[int, tuple[int, ...], str, str]] = []
        tried_by_name = [pin] if pin else order
        for profile in tried_by_name or []:
            if profile not in owners:
                codes[profile, ""] = "missing"
        for profile, having in owners.items():
            holding = [o for o in having if self.held(o, profile) is not None]
            nearest = (holding or having)[0]
            for other in having:
                if other != nearest:
                    codes[profile, other] = "hidden" if other in holding else "missing"
            facts = self.held(nearest, profile)
            cooling, disabled = self.windows(nearest, profile)
            if tried_by_name is not None and profile not in tried_by_name:
                passed = "not_pinned" if pin else "not_in_order"
                codes[profile, nearest] = passed if facts is not None else "missing"
                continue
            why = self.unusable(nearest, profile, facts, around)
            if not why and not pin and disabled > self.now:
                why = "disabled"
            if why:
                codes[profile, nearest] = why
                continue
            assert facts is not None
            if tried_by_name is not None:
                rank: tuple[int, ...] = (tried_by_name.index(profile),)
            else:
                kinds = {"oauth": 0, "token": 1, "wellknown": 1, "api_key": 2, "reference": 2, "cloud": 3}
                alphabetical = sorted(owners).index(profile)
                rank = (kinds[facts.kind], *self.last_use(nearest, profile), alphabetical)
            if cooling > self.now and not pin:
                codes[profile, nearest] = "cooling_down"
                waiting.append((cooling, rank, profile, nearest))
            else:
                codes[profile, nearest] = "next"
                ready.append((rank, profile, nearest))
        stored = [(p, o) for _, p, o in sorted(ready)] + [(p, o) for _, _, p, o in sorted(waiting)]

        offers = {
            "environment": [(f"env:{v}", "") for v in variables if around.environ.get(v, "").strip()],
            "dotenv": [(f"dotenv:{v}", "") for v in variables if around.dotenv.get(v) and "dotenv" in around.sources],
            "stored": stored,
        }
        asked = ["stored"] if pin else list(around.sources)
        winner = next((s for s in asked if offers[s]), None)
        for source, offered in offers.items():
            for place, who in enumerate(offered):
                if pin and source != "stored":
                    codes[who] = "not_pinned"
                elif source not in asked:
                    codes[who] = "ignored_source"
                elif source != winner:
                    codes[who] = f"{winner}_first"
                elif place == 0:
                    codes[who] = "chosen"
                elif source != "stored":
                    codes[who] = "next"
        tried = [who for source in asked for who, _ in offers[source]]
        chosen = offers[winner][0][0] if winner else None
        if provider in around.disabled:
            return Verdict(None, tried, dict.fromkeys(codes, "provider_disabled"))
        return Verdict(chosen, tried, codes)
