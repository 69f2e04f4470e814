"""refresh: claim, exchange, settle. One process spends a refresh token; the others wait for what comes of it.

No transaction spans the network: the claim is an append, the exchange holds nothing, the settlement is an append that reads the
profile anew. What was replaced stays in the log, whatever happens in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vault.commands.login import facts_of
from vault.context import Context
from vault.errors import SignInAgain, TryAgain, UsageError, VaultError, WrongExpectedVersion
from vault.events.credentials import OAuth
from vault.events.types import Event, RefreshClaimed
from vault.log.records import Draft, Recorded
from vault.model import refresh as model
from vault.model.profile import ProfileState
from vault.model.streams import profile_stream
from vault.providers.tokens import NotSent, Outcome, Refreshed, Refused, renewed
from vault.values import SECOND, AgentId, ProfileId, ProviderId, format_instant, provider_of

POLL_SECONDS = 0.02
PATIENCE_SECONDS = 90.0
ENOUGH_LEFT = 60 * SECOND

Exchange = Callable[[Context, ProviderId, OAuth], Outcome]


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What became of one profile: ``done`` is refreshed, fresh, adopted (another process did it) or not_refreshable."""

    agent: str
    profile: str
    done: str
    expires_at: int | None
    position: int | None = None
    rotated: bool = False


def over_the_network(context: Context, provider: ProviderId, credential: OAuth) -> Outcome:
    """Exchange a refresh token at its provider. Raises NotFound, InputError, NotReady before anything is sent."""
    from vault.providers import clients, driver
    from vault.providers.flows import refresh_flow

    client = clients.client_of(credential, provider, context.environ)
    if client is None:
        return Refused("no_client", f"nothing says how {provider} refreshes its tokens", permanent=False)
    flow = refresh_flow(client, credential.refresh, credential.scopes, clients.secrets_of(credential))
    deadline = min(driver.REFRESH_SECONDS, context.settings.lease / SECOND / 2)
    return driver.run(flow, clock=context.clock, deadline=deadline)


def leeway_of(context: Context, provider: ProviderId) -> int:
    """How much life a token handed to a tool must have left, in microseconds: the provider's, the settings', or more."""
    own = context.settings.provider(provider).leeway
    if own is not None:
        return own
    from vault.providers import clients

    known = next((c for c in clients.registry().clients if provider in c.providers), None)
    return max(context.settings.leeway, clients.leeway(known))


def refresh(
    context: Context,
    owner: AgentId,
    profile: ProfileId,
    *,
    leeway: int,
    force: bool = False,
    exchange: Exchange = over_the_network,
    reason: str = "",
) -> RefreshResult:
    """Bring a profile's tokens up to date if they want it. ``force`` refreshes tokens that have life left.

    Raises SignInAgain when only a person can go on, TryAgain when it may work later or its outcome is uncertain. Tokens that are
    still good for a minute are kept rather than failing.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    waited = False
    while True:
        state = context.queries.profile(owner, profile)
        if state is None or state.current is None:
            return RefreshResult(owner, profile, model.NOT_REFRESHABLE, None)
        now = context.clock.now()
        need = model.need(state, now, leeway, force=force and not waited)
        expires = state.current.facts.expires_at
        if need.state == model.NOT_REFRESHABLE:
            if state.needs_sign_in and (force or expires is None or expires <= now):
                model.claim(state, now)
            return RefreshResult(owner, profile, model.NOT_REFRESHABLE, expires)
        if need.state == model.FRESH:
            return RefreshResult(owner, profile, "adopted" if waited else model.FRESH, expires)
        if need.state == model.HELD:
            if time.monotonic() > deadline:
                raise TryAgain(f"another process has been refreshing {profile} for too long", hint="try again")
            waited = True
            time.sleep(POLL_SECONDS)
            continue
        if need.state == model.WAITING:
            if _enough_left(expires, now) and not force:
                return RefreshResult(owner, profile, model.FRESH, expires)
            raise TryAgain(
                f"the provider wants to be asked for {profile} again at {format_instant(need.until or now)}",
                hint="try then",
            )
        claimed = _claim(context, state, now, reason)
        if claimed is not None:
            return _exchange(context, owner, profile, claimed, exchange, reason)


def refresh_many(
    context: Context, agent: AgentId, *, leeway: int, force: bool = False, reason: str = ""
) -> list[tuple[RefreshResult | None, str, VaultError | None]]:
    """Refresh every profile of an agent's own that can be: (result, profile, error). One that fails doesn't stop the others."""
    found: list[tuple[RefreshResult | None, str, VaultError | None]] = []
    for state in context.queries.profiles(agent):
        if state.current is None or not state.current.facts.refresh_fingerprint:
            continue
        profile = ProfileId(state.profile)
        try:
            result = refresh(context, agent, profile, leeway=leeway, force=force, reason=reason)
            found.append((result, state.profile, None))
        except (SignInAgain, TryAgain, UsageError) as error:
            found.append((None, state.profile, error))
    return found


def _claim(context: Context, state: ProfileState, now: int, reason: str) -> Recorded | None:
    """Append the claim; None when another process was faster."""
    event = model.claim(state, now, context.settings.lease)
    stream = profile_stream(state.agent, state.profile)
    try:
        return context.store.append(
            [Draft(stream=stream, event=event)], context.cause(reason, way="refresh"), {stream: state.version}
        )[0]
    except WrongExpectedVersion:
        return None


def _exchange(
    context: Context, owner: AgentId, profile: ProfileId, claimed: Recorded, exchange: Exchange, reason: str
) -> RefreshResult:
    event = claimed.event
    assert isinstance(event, RefreshClaimed)  # noqa: S101 - it was appended just now
    state = context.queries.profile(owner, profile)
    if state is None or state.current is None or state.claim is None or state.claim.position != claimed.position:
        return refresh(context, owner, profile, leeway=0, exchange=exchange, reason=reason)
    credential = context.store.credential(state.current.position)
    if not isinstance(credential, OAuth):
        raise UsageError(f"{profile} of agent {owner} can't be refreshed", hint="vault show tells its kind")
    facts = state.current.facts
    try:
        outcome = exchange(context, provider_of(profile), credential)
    except BaseException as error:
        # An error of ours was raised before anything was sent; whatever else stopped this may have come after.
        word = model.POSTPONED if isinstance(error, VaultError) else model.UNCERTAIN
        _fail(context, owner, profile, claimed, word, type(error).__name__, None, reason)
        raise
    if isinstance(outcome, Refreshed):
        fresh = renewed(credential, outcome.tokens)
        told = facts_of(context, fresh, label=facts.label, account=facts.account, ownership=facts.ownership)
        stream = profile_stream(owner, profile)
        settled: list[bool] = [False]

        def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
            now_state = context.queries.profile(owner, profile)
            if now_state is None:
                return [], {}
            success = model.settle_success(now_state, claimed.position, event, told)
            settled[0] = bool(success and success.rotated)
            return ([Draft(stream=stream, event=success, credential=fresh)] if success else []), {
                stream: now_state.version
            }

        recorded = context.decide(context.cause(reason, way="refresh", causation=claimed.position), stream, build)
        if recorded:
            return RefreshResult(owner, profile, "refreshed", fresh.expires_at, recorded[0].position, settled[0])
        state = context.queries.profile(owner, profile)
        return RefreshResult(
            owner, profile, "adopted", state.current.facts.expires_at if state and state.current else None
        )
    return _failed(context, owner, profile, claimed, outcome, reason)


def _failed(
    context: Context, owner: AgentId, profile: ProfileId, claimed: Recorded, outcome: Outcome, reason: str
) -> RefreshResult:
    """Record what a failed exchange means, then say it; an adopted newer token is no failure."""
    now = context.clock.now()
    retry_at = None
    if isinstance(outcome, Refused):
        # A refusal that doesn't say the token is dead (a wrong client, a bad request) must not condemn it.
        word, error = (model.REFUSED if outcome.permanent else model.POSTPONED), outcome.code
        text = f"the provider refused to refresh {profile} of agent {owner} ({outcome.code})"
    elif isinstance(outcome, NotSent):
        word, error = model.POSTPONED, outcome.why
        retry_at = now + outcome.retry_after if outcome.retry_after else None
        text = f"{profile} of agent {owner} was not refreshed: {outcome.why}"
    else:
        word, error = model.UNCERTAIN, getattr(outcome, "why", "")
        text = f"the outcome of refreshing {profile} of agent {owner} is uncertain: {error}"
    recorded = _fail(context, owner, profile, claimed, word, error, retry_at, reason)
    state = context.queries.profile(owner, profile)
    expires = state.current.facts.expires_at if state and state.current else None
    if not recorded and state and state.current and not state.needs_sign_in:
        return RefreshResult(owner, profile, "adopted", expires)
    again = f"vault login {profile}" + (f" --agent {owner}" if owner != "main" else "")
    if word == model.REFUSED:
        raise SignInAgain(text, hint=again)
    if isinstance(outcome, Refused):
        raise SignInAgain(text, hint=f"if it goes on: {again}")
    if _enough_left(expires, now) and word == model.POSTPONED:
        return RefreshResult(owner, profile, model.FRESH, expires)
    hint = "it is tried once more at the next use" if word == model.UNCERTAIN else "try again"
    raise TryAgain(text, hint=hint)


def _fail(
    context: Context,
    owner: AgentId,
    profile: ProfileId,
    claimed: Recorded,
    word: str,
    error: str,
    retry_at: int | None,
    reason: str,
) -> list[Recorded]:
    stream = profile_stream(owner, profile)
    claim = claimed.event
    assert isinstance(claim, RefreshClaimed)  # noqa: S101 - told by the callers

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        state = context.queries.profile(owner, profile)
        if state is None:
            return [], {}
        event: Event | None = model.settle_failure(state, claimed.position, claim, word, error, retry_at)
        return ([Draft(stream=stream, event=event)] if event else []), {stream: state.version}

    return context.decide(context.cause(reason, way="refresh", causation=claimed.position), stream, build)


def _enough_left(expires: int | None, now: int) -> bool:
    return expires is None or expires - now > ENOUGH_LEFT
