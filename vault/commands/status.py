"""status: for every provider in use, what would be chosen, from where, until when, and whether it is known to work.

| state | means | check |
|---|---|---|
| ok | usable, and nothing a person must do within 24 hours | 0 |
| expiring | usable, ends within 24 hours, and nothing can refresh it | 2 |
| expired | it has ended, and nothing can refresh it | 1 |
| needs_sign_in | the provider refused to refresh it | 1 |
| uncertain | a refresh has no known outcome; it is tried once more | 0, or 1 once its access token has ended |
| unusable | all profiles are disabled, destroyed, or lead nowhere | 1 |
| missing | nothing is stored or set | 1 |

A refreshable token is not expiring because its access token is short-lived. *Claimed* means that only the catalogue or the store
says so, *proven* that the last probe or refresh worked, *unproven* that the last one did not, or told nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vault.commands.why import decide
from vault.context import Context
from vault.events.types import Health
from vault.model.choosing import Considered, Decision
from vault.model.health import WELL
from vault.model.profile import ProfileState
from vault.projections.queries import View
from vault.providers import catalogue
from vault.values import DAY, AgentId, ProfileId, ProviderId, provider_of

OK, EXPIRING, EXPIRED, NEEDS_SIGN_IN = "ok", "expiring", "expired", "needs_sign_in"
UNCERTAIN, UNUSABLE, MISSING = "uncertain", "unusable", "missing"
WARN_BEFORE = DAY

CLAIMED, PROVEN, UNPROVEN = "claimed", "proven", "unproven"


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """One provider as an agent sees it. ``chosen`` is what would be used; ``word`` is claimed, proven or unproven."""

    provider: str
    name: str
    state: str
    chosen: str
    source: str
    owner: str
    kind: str
    expires_at: int | None
    refreshable: bool
    health: Health
    word: str
    proven_at: int | None
    proof: str
    text: str
    hint: str
    decision: Decision

    @property
    def check(self) -> int:
        """The exit status this state calls for with ``--check``."""
        if self.state in (EXPIRED, NEEDS_SIGN_IN, UNUSABLE, MISSING):
            return 1
        return 2 if self.state == EXPIRING else 0


def status(
    context: Context, agent: AgentId, providers: Sequence[ProviderId] = (), *, now: int | None = None
) -> list[ProviderStatus]:
    """The status of the named providers, or of all in use. Raises NotFound for an unknown agent."""
    now = context.clock.now() if now is None else now
    view = View(context.queries, agent)
    return [_of(context, agent, provider, view, now) for provider in providers or in_use(context, agent)]


def worst(found: Sequence[ProviderStatus]) -> int:
    """The exit status of ``--check``: 1 before 2 before 0."""
    checks = {s.check for s in found}
    return 1 if 1 in checks else 2 if 2 in checks else 0


def in_use(context: Context, agent: AgentId) -> list[ProviderId]:
    """Providers with a profile the agent sees or saw, an order, or a variable that is set."""
    view = View(context.queries, agent)
    found = {provider_of(ProfileId(s.profile)) for s in view.owned() if s.current is not None}
    for owner in view.lineage:
        found |= {ProviderId(r.provider) for r in context.queries.rotations(owner) if r.order or r.pin}
    found |= {provider for provider, _ in catalogue.environment_hits(context.environ)}
    return sorted(p for p in found if context.allows(p))


def _of(context: Context, agent: AgentId, provider: ProviderId, view: View, now: int) -> ProviderStatus:
    decision = decide(context, agent, provider, now=now)
    known = catalogue.provider(provider)
    chosen, candidate = decision.chosen, decision.candidate
    profile = view.find(ProfileId(candidate.profile)) if candidate else None
    facts = candidate.facts if candidate else None
    state, text, hint = _state(decision, profile, provider, agent, now)
    word, proven_at, proof = _proof(profile)
    return ProviderStatus(
        provider=provider,
        name=known.name if known else provider,
        state=state,
        chosen=chosen.what if chosen else "",
        source=_source(chosen),
        owner=candidate.owner if candidate else "",
        kind=facts.kind if facts else (chosen.kind if chosen else ""),
        expires_at=facts.expires_at if facts else None,
        refreshable=bool(facts and facts.refresh_fingerprint),
        health=candidate.health if candidate else WELL,
        word=word,
        proven_at=proven_at,
        proof=proof,
        text=text,
        hint=hint,
        decision=decision,
    )


def _source(chosen: Considered | None) -> str:
    if chosen is None:
        return ""
    place = chosen.what.partition(":")[0]
    return {"env": "environment", "dotenv": ".env"}.get(place, "stored") if chosen.kind == "environment" else "stored"


def _state(
    decision: Decision, profile: ProfileState | None, provider: str, agent: str, now: int
) -> tuple[str, str, str]:
    """(state, what is the matter, what to do)."""
    other = f" --agent {agent}" if agent != "main" else ""
    if decision.chosen is None:
        return _nothing(decision, provider, other)
    if profile is None or profile.current is None:
        return OK, "", ""
    facts = profile.current.facts
    again = f"vault login {profile.profile}" + (f" --agent {profile.agent}" if profile.agent != "main" else "")
    ended = facts.expires_at is not None and facts.expires_at <= now
    if facts.refresh_fingerprint and facts.ownership != "external":
        if profile.needs_sign_in:
            text = f"the provider refused the refresh token ({profile.needs_sign_in})"
            return NEEDS_SIGN_IN, text, again
        if (profile.claim is not None and profile.claim.lease_until <= now) or profile.uncertain:
            lost = profile.uncertain + (1 if profile.claim is not None and profile.claim.lease_until <= now else 0)
            if lost > 1:
                return NEEDS_SIGN_IN, "two refreshes in a row ended uncertain", again
            return (
                UNCERTAIN,
                "a refresh has no known outcome; it will be tried once more",
                f"vault refresh {profile.profile}",
            )
        return OK, "", ""
    if facts.ownership == "external":
        return OK, "", ""
    if ended:
        return EXPIRED, "it has expired, and nothing can refresh it", again
    if facts.expires_at is not None and facts.expires_at - now <= WARN_BEFORE:
        return EXPIRING, "it expires within 24 hours, and nothing can refresh it", again
    return OK, "", ""


def _nothing(decision: Decision, provider: str, other: str) -> tuple[str, str, str]:
    codes = [c.code for c in decision.considered]
    again = f"vault login {provider}{other}"
    if "provider_disabled" in codes:
        return UNUSABLE, decision.basis, "vault config edit"
    if not codes or set(codes) <= {"missing"}:
        return MISSING, "nothing is stored or set for it", again
    if set(codes) <= {"missing", "stale"}:
        return EXPIRED, "it has expired here, and its own tool refreshes it", "import it again"
    if set(codes) <= {"missing", "expired"}:
        return EXPIRED, "it has expired, and nothing can refresh it", again
    if set(codes) <= {"missing", "expired", "needs_sign_in"}:
        return NEEDS_SIGN_IN, "a person must sign in again", again
    text = "; ".join(f"{c.what} {c.text}" for c in decision.considered)
    return UNUSABLE, text, f"vault why {provider}{other}"


def _proof(profile: ProfileState | None) -> tuple[str, int | None, str]:
    """(claimed, proven or unproven; when; by what). A proof of another credential than the current one counts for nothing."""
    if profile is None or profile.proof is None or profile.current is None:
        return CLAIMED, None, ""
    proof = profile.proof
    if proof.fingerprint and proof.fingerprint != profile.current.facts.fingerprint:
        return CLAIMED, None, ""
    word = PROVEN if proof.outcome == "works" else UNPROVEN
    return word, proof.at, f"{proof.how}: {proof.outcome}" + (f" ({proof.detail})" if proof.detail else "")
