"""Which credential an agent uses at a provider, and why. One pure function; its answer names every candidate once.

Order of precedence: the session's pin; the agent's pin; the sources (environment, .env, env file, then stored, unless told
otherwise); among stored profiles the explicit order if one is set (others excluded), else oauth, token, api_key, then least
recently used. Those cooling down come last, the soonest end first. A pinned profile is used whatever its health. A profile that
is logged out is missing, and hides nothing. Nothing depends on anything but the arguments.

A credential that belongs to another server than the provider's own is chosen only by a pin or an order that names it, and only
for somebody who takes its address along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from vault.events.credentials import CredentialFacts
from vault.events.types import Health
from vault.model.health import WELL

RANKS = {"oauth": 0, "token": 1, "wellknown": 1, "api_key": 2, "reference": 2, "cloud": 3}

BY_SESSION = "pinned for this session by VAULT_PIN"

NOWHERE: Mapping[str, str] = {}
_PLACES = {"environment": "the environment", "dotenv": "the project's .env", "envfile": "the env file"}

CODES = {
    "chosen": "chosen",
    "next": "eligible, after the chosen one",
    "cooling_down": "cooling down, so it comes last",
    "environment_first": "passed over: the environment comes first",
    "dotenv_first": "passed over: the project's .env comes first",
    "envfile_first": "passed over: the env file comes first",
    "stored_first": "passed over: stored profiles come first",
    "ignored_source": "ignored: this source is switched off here",
    "pointing": "ignored: it holds a reference, an encrypted value or a placeholder, not a secret",
    "not_pinned": "passed over: another profile is pinned",
    "not_in_order": "passed over: the order doesn't name it",
    "hidden": "hidden by the agent's own profile of the same name",
    "missing": "no such profile, or logged out",
    "expired": "expired, and nothing can refresh it",
    "stale": "expired here; the tool that owns it refreshes it, and it is read there again at the next use",
    "needs_sign_in": "a person must sign in again",
    "replaced": "its access token has ended, and a newer refresh token replaced its own, which isn't sent without asking",
    "disabled": "disabled after a failure",
    "destroyed": "its secret was destroyed",
    "unresolved_reference": "its reference can't be resolved now",
    "provider_disabled": "the settings disable this provider",
    "wrong_provider": "belongs to another provider",
    "no_secret": "holds no single secret that could be handed out",
    "other_server": "passed over: it belongs to another server, and is used only by its name",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile as choosing sees it. ``trouble`` is a reason code known beforehand, such as destroyed.

    ``last_used`` is when it was handed out last, and ``turn`` the position of that event: it decides where the clock stood
    still. ``sign_in_from`` is from when only a person can renew it, None for not at all; it matters once the access token
    has ended.
    """

    profile: str
    owner: str
    facts: CredentialFacts | None
    position: int = 0
    health: Health = WELL
    last_used: int = 0
    trouble: str = ""
    turn: int = 0
    sign_in_from: int | None = None


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate and what became of it. ``what`` is a profile id or ``env:NAME``.

    ``until`` (microseconds) is when the wait it was put aside for ends, or when it expired; a chosen one has it when it is
    cooling down and nothing else was better. ``base_url`` is the server it belongs to where that isn't the provider's own.
    """

    what: str
    code: str
    owner: str = ""
    kind: str = ""
    until: int | None = None
    base_url: str = ""

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
    session_pin: str = "",
    order: Sequence[str] | None = None,
    ordered_by: str = "",
    environment: Sequence[str] = (),
    dotenv: Sequence[str] = (),
    envfile: Sequence[str] = (),
    pointing: Sequence[str] = (),
    sources: Sequence[str] = ("environment", "dotenv", "envfile", "stored"),
    home: str = "",
    moved: Mapping[str, str] = NOWHERE,
    carries: bool = True,
) -> Decision:
    """Choose for (agent, provider). ``candidates`` come nearest owner first.

    ``environment``, ``dotenv`` and ``envfile`` are names of variables that are set there; ``sources`` those that may be
    used, first first. ``pointing`` are variables (``env:NAME``, ``dotenv:NAME``) that are set and hold no secret.
    ``session_pin`` is the profile pinned for this process and what it starts; it comes before the agent's ``pin``.
    ``home`` is the provider's address by the settings, or, of one's own provider, by what is stored; ``moved`` says for a source
    of variables to which other server it leads the provider's programs; ``carries`` whether who asks takes the address along.
    """
    pin, pinned = (session_pin, BY_SESSION) if session_pin else (pin, f"pinned for agent {pinned_by}")
    visible, others = _visible(candidates)
    ranked, passed, basis = _stored(provider, visible, now, pin, pinned, order, ordered_by, home, carries)
    passed += others
    offers = {
        "environment": _variables("environment", "env", environment, moved),
        "dotenv": _variables("dotenv", "dotenv", dotenv, moved),
        "envfile": _variables("envfile", "envfile", envfile, moved),
        "stored": ranked,
    }
    for source in moved if not carries else ():
        passed += [replace(c, code="other_server") for c in offers[source]]
        offers[source] = []
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
                basis = f"{chosen.what.partition(':')[2]} is set in {_PLACES[source]}, {_standing(source, sources)}"
        else:
            lines += [replace(c, code=f"{winner}_first", until=None) for c in offered]
    for source, offered in offers.items():
        if pin and source != "stored":
            lines += [replace(c, code="not_pinned") for c in offered]
        elif not pin and source not in sources:
            lines += [replace(c, code="ignored_source", until=None) for c in offered]
    if chosen is None and not pin and "stored" not in sources:
        basis = f"stored profiles are switched off here, and {_nothing_set(sources)}"
    by_profile = {c.profile: c for c in visible}
    candidate = by_profile.get(chosen.what) if chosen and winner == "stored" else None
    lines += [Considered(what, "pointing", kind="environment") for what in pointing]
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
        if facts.ownership == "external":
            return "stale", facts.expires_at
        if not facts.refresh_fingerprint:
            return "expired", facts.expires_at
        if candidate.sign_in_from is not None and candidate.sign_in_from <= now:
            return "needs_sign_in", facts.expires_at
    if health.disabled_until > now:
        return "disabled", health.disabled_until
    return "", None


def _standing(source: str, sources: Sequence[str]) -> str:
    """Why a source that isn't the store won, in words."""
    if "stored" not in sources:
        return "and stored profiles are switched off here"
    if sources.index("stored") < sources.index(source):
        return "and no stored profile can be used"
    return "which comes before stored profiles"


def _nothing_set(sources: Sequence[str]) -> str:
    places = " and ".join(_PLACES[source] for source in sources)
    return f"no variable is set in {places}" if places else "so is everything else"


def _variables(source: str, written: str, names: Sequence[str], moved: Mapping[str, str]) -> list[Considered]:
    address = moved.get(source, "")
    return [Considered(f"{written}:{name}", "next", kind="environment", base_url=address) for name in names]


def _visible(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Considered]]:
    """One candidate for each profile id, and what became of the others of that id.

    The nearest owner wins; one that is logged out hides nothing.
    """
    taken: dict[str, Candidate] = {}
    for candidate in candidates:
        other = taken.get(candidate.profile)
        if other is None or (other.facts is None and candidate.facts is not None):
            taken[candidate.profile] = candidate
    others = []
    for candidate in candidates:
        if candidate is taken[candidate.profile]:
            continue
        if candidate.facts is None:
            others.append(_absent(candidate))
        else:
            others.append(Considered(candidate.profile, "hidden", candidate.owner, candidate.facts.kind))
    return list(taken.values()), others


def _absent(candidate: Candidate) -> Considered:
    return Considered(candidate.profile, candidate.trouble or "missing", candidate.owner)


def _stored(
    provider: str,
    visible: Sequence[Candidate],
    now: int,
    pin: str,
    pinned: str,
    order: Sequence[str] | None,
    ordered_by: str,
    home: str,
    carries: bool,
) -> tuple[list[Considered], list[Considered], str]:
    """Usable stored profiles in order, those passed over, and the basis in words."""
    by_profile = {c.profile: c for c in visible}
    passed: list[Considered] = []
    if pin:
        named, excluded, basis = [pin], "not_pinned", pinned
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
        address = _address(candidate, home)
        code, until = trouble(candidate, provider, now)
        if code and not (pin and code == "disabled"):
            passed.append(Considered(profile, code, candidate.owner, kind, until, address))
        elif address and not (carries and (pin or order is not None)):
            passed.append(Considered(profile, "other_server", candidate.owner, kind, None, address))
        elif candidate.health.cooldown_until > now and not pin:
            end = candidate.health.cooldown_until
            cooling.append(Considered(profile, "cooling_down", candidate.owner, kind, end, address))
        else:
            usable.append(Considered(profile, "next", candidate.owner, kind, None, address))
    cooling.sort(key=lambda c: c.until or 0)
    for candidate in visible:
        if candidate.profile in named:
            continue
        if candidate.facts is None:
            passed.append(_absent(candidate))
        else:
            kind, address = candidate.facts.kind, _address(candidate, home)
            passed.append(Considered(candidate.profile, excluded, candidate.owner, kind, None, address))
    return usable + cooling, passed, basis


def _address(candidate: Candidate, home: str) -> str:
    """The server a credential belongs to, where that isn't where the provider is."""
    address = candidate.facts.base_url if candidate.facts else ""
    return "" if address == home else address


def _rank(candidate: Candidate) -> tuple[int, int, int, str]:
    kind = candidate.facts.kind if candidate.facts else ""
    return RANKS.get(kind, 9), candidate.last_used, candidate.turn, candidate.profile
