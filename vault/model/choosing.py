"""Which credential an agent uses at a provider, and why. One pure function; its answer names every candidate.

Order of precedence: the pin; the sources (environment, .env, then stored, unless told otherwise); among stored profiles the
explicit order if one is set (others excluded), else oauth, token, api_key, then least recently used. Those cooling down come
last, the soonest end first. Nothing depends on anything but the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vault.events.credentials import CredentialFacts
from vault.events.types import Health
from vault.model.health import WELL

RANKS = {"oauth": 0, "token": 1, "wellknown": 1, "api_key": 2, "reference": 2, "cloud": 3}

_PLACES = {"environment": "the environment", "dotenv": "the project's .env"}

CODES = {
    "chosen": "chosen",
    "next": "eligible, after the chosen one",
    "cooling_down": "cooling down, so it comes last",
    "environment_first": "passed over: the environment comes first",
    "dotenv_first": "passed over: the project's .env comes first",
    "stored_first": "passed over: stored profiles come first",
    "ignored_source": "ignored: this source is switched off here",
    "not_pinned": "passed over: another profile is pinned",
    "not_in_order": "passed over: the order doesn't name it",
    "hidden": "hidden by the agent's own profile of the same name",
    "missing": "no such profile, or logged out",
    "expired": "expired, and nothing can refresh it",
    "stale": "expired here; the tool that owns it refreshes it, so import it again",
    "needs_sign_in": "a person must sign in again",
    "disabled": "disabled after a failure",
    "destroyed": "its secret was destroyed",
    "unresolved_reference": "its reference leads nowhere now",
    "provider_disabled": "the settings disable this provider",
    "wrong_provider": "belongs to another provider",
    "no_secret": "holds no single secret that could be handed out",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile as choosing sees it. ``trouble`` is a reason code known beforehand, such as destroyed.

    ``needs_sign_in`` matters once the access token has ended.
    """

    profile: str
    owner: str
    facts: CredentialFacts | None
    position: int = 0
    health: Health = WELL
    last_used: int = 0
    trouble: str = ""
    needs_sign_in: bool = False


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate and what became of it. ``what`` is a profile id or ``env:NAME``; ``until`` ends a wait (microseconds)."""

    what: str
    code: str
    owner: str = ""
    kind: str = ""
    until: int | None = None

    @property
    def text(self) -> str:
        """The reason in words."""
        return CODES[self.code]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was chosen, on what basis, and every candidate in the order they would be tried."""

    agent: str
    provider: str
    basis: str
    chosen: Considered | None
    candidate: Candidate | None
    considered: list[Considered] = field(default_factory=list)


def choose(
    agent: str,
    provider: str,
    candidates: Sequence[Candidate],
    now: int,
    *,
    pin: str = "",
    pinned_by: str = "",
    order: Sequence[str] | None = None,
    ordered_by: str = "",
    environment: Sequence[str] = (),
    dotenv: Sequence[str] = (),
    sources: Sequence[str] = ("environment", "dotenv", "stored"),
) -> Decision:
    """Choose for (agent, provider). ``candidates`` come nearest owner first.

    ``environment`` and ``dotenv`` are names of variables that are set there; ``sources`` those that may be used, first first.
    """
    visible, hidden = _visible(candidates)
    ranked, passed, basis = _stored(provider, visible, now, pin, pinned_by, order, ordered_by)
    passed += hidden
    offers = {
        "environment": [Considered(f"env:{name}", "next", kind="environment") for name in environment],
        "dotenv": [Considered(f"dotenv:{name}", "next", kind="environment") for name in dotenv],
        "stored": ranked,
    }
    lines: list[Considered] = []
    chosen: Considered | None = None
    winner = ""
    for source in ("stored",) if pin else tuple(sources):
        offered = offers[source]
        if not offered:
            continue
        if chosen is None:
            winner = source
            chosen = replace(offered[0], code="chosen")
            lines += [chosen, *offered[1:]]
            if source != "stored":
                basis = (
                    f"{chosen.what.partition(':')[2]} is set in {_PLACES[source]}, which comes before stored profiles"
                )
        else:
            lines += [replace(c, code=f"{winner}_first") for c in offered]
    for source, offered in offers.items():
        if pin and source != "stored":
            lines += [replace(c, code="not_pinned") for c in offered]
        elif not pin and source not in sources:
            lines += [replace(c, code="ignored_source") for c in offered]
    by_profile = {c.profile: c for c in visible}
    candidate = by_profile.get(chosen.what) if chosen and winner == "stored" else None
    return Decision(agent, provider, basis, chosen, candidate, lines + passed)


def trouble(candidate: Candidate, provider: str, now: int) -> tuple[str, int | None]:
    """Why a profile can't be used now, as (code, until); an empty code when it can."""
    facts, health = candidate.facts, candidate.health
    if candidate.trouble:
        return candidate.trouble, None
    if facts is None:
        return "missing", None
    if candidate.profile.partition(":")[0] != provider:
        return "wrong_provider", None
    if facts.expires_at is not None and facts.expires_at <= now:
        if not facts.refresh_fingerprint:
            return "expired", facts.expires_at
        if facts.ownership == "external":
            return "stale", facts.expires_at
    if candidate.needs_sign_in and facts.expires_at is not None and facts.expires_at <= now:
        return "needs_sign_in", facts.expires_at
    if health.disabled_until > now:
        return "disabled", health.disabled_until
    return "", None


def _visible(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Considered]]:
    """Nearest owner wins where two have a profile of the same id; one that is logged out hides nothing."""
    taken: dict[str, Candidate] = {}
    hidden: list[Considered] = []
    for candidate in candidates:
        other = taken.get(candidate.profile)
        if other is None or (other.facts is None and candidate.facts is not None):
            taken[candidate.profile] = candidate
        elif candidate.facts is not None:
            hidden.append(Considered(candidate.profile, "hidden", candidate.owner, candidate.facts.kind))
    return list(taken.values()), hidden


def _stored(
    provider: str,
    visible: Sequence[Candidate],
    now: int,
    pin: str,
    pinned_by: str,
    order: Sequence[str] | None,
    ordered_by: str,
) -> tuple[list[Considered], list[Considered], str]:
    """Usable stored profiles in order, those passed over, and the basis in words."""
    by_profile = {c.profile: c for c in visible}
    passed: list[Considered] = []
    if pin:
        named, excluded, basis = [pin], "not_pinned", f"pinned for agent {pinned_by}"
    elif order is not None:
        named, excluded, basis = list(order), "not_in_order", f"the order of agent {ordered_by}"
    else:
        named = [c.profile for c in sorted(visible, key=_rank)]
        excluded, basis = "", "no order is set: oauth, then token, then api_key, least recently used first"
    usable: list[Considered] = []
    cooling: list[Considered] = []
    for profile in named:
        candidate = by_profile.get(profile, Candidate(profile, "", None))
        kind = candidate.facts.kind if candidate.facts else ""
        code, until = trouble(candidate, provider, now)
        if code and not (pin and code == "disabled"):
            passed.append(Considered(profile, code, candidate.owner, kind, until))
        elif candidate.health.cooldown_until > now and not pin:
            end = candidate.health.cooldown_until
            cooling.append(Considered(profile, "cooling_down", candidate.owner, kind, end))
        else:
            usable.append(Considered(profile, "next", candidate.owner, kind))
    cooling.sort(key=lambda c: c.until or 0)
    for candidate in visible:
        if candidate.profile not in named and candidate.facts is not None:
            passed.append(Considered(candidate.profile, excluded, candidate.owner, candidate.facts.kind))
    return usable + cooling, passed, basis


def _rank(candidate: Candidate) -> tuple[int, int, str]:
    kind = candidate.facts.kind if candidate.facts else ""
    return RANKS.get(kind, 9), candidate.last_used, candidate.profile
