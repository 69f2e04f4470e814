"""refresh: claim, exchange, settle. One process spends a refresh token; the others wait for the result.

No transaction spans the network: the claim is an append, the exchange holds nothing, the settlement is an append that reads the
profile anew. What was replaced stays in the log, whatever happens in between.

On use a token that has life left is kept when it can't be refreshed: the failure is in the log, and ``status`` tells of it. When
a refresh is what was asked for, a failure is told.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vault.commands.leeway import leeway_of, lifetime_of
from vault.commands.login import facts_of
from vault.commands.naming import with_agent
from vault.commands.replaced import must_not_be_sent, refreshing_elsewhere
from vault.context import Context
from vault.errors import (
    SignInAgain,
    StorageError,
    TryAgain,
    UsageError,
    VaultError,
    WrongExpectedVersion,
)
from vault.events.credentials import OAuth
from vault.events.types import Event, RefreshClaimed, TokensRefreshed
from vault.log.records import Draft, Recorded
from vault.model import refresh as model
from vault.model.profile import ProfileState
from vault.model.streams import profile_stream
from vault.providers.tokens import LONGEST_RETRY_AFTER, NotSent, Outcome, Refreshed, Refused, renewed
from vault.values import SECOND, AgentId, ProfileId, ProviderId, format_instant, provider_of

POLL_SECONDS = 0.02
PATIENCE_SECONDS = 90.0
SETTLE_PAUSES = (0.1, 0.5, 2.0)
ENOUGH_LEFT = 60 * SECOND
OUR_WORDS = ("no_client", "client_secret_missing", "not_refreshable")

Exchange = Callable[[Context, ProviderId, OAuth], Outcome]


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What became of one profile: ``done`` is refreshed, fresh, adopted (another process did it) or not_refreshable.

    ``why`` says for people why nothing was to be refreshed.
    """

    agent: str
    profile: str
    done: str
    expires_at: int | None
    position: int | None = None
    rotated: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one call was asked: how much life must be left, None for what the provider's tokens want on use."""

    owner: AgentId
    profile: ProfileId
    leeway: int | None
    force: bool
    exchange: Exchange
    reason: str
    send_replaced: bool = False

    def keeps(self, expires: int | None, now: int) -> bool:
        """Whether tokens that couldn't be refreshed are used all the same."""
        return self.leeway is None and not self.force and (expires is None or expires - now > ENOUGH_LEFT)


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


def refresh(
    context: Context,
    owner: AgentId,
    profile: ProfileId,
    *,
    leeway: int | None = None,
    force: bool = False,
    exchange: Exchange = over_the_network,
    reason: str = "",
    send_replaced: bool = False,
) -> RefreshResult:
    """Bring a profile's tokens up to date if they want it: less than ``leeway`` left, or with ``force`` whatever is left.

    Without either it is for a use: the leeway is the provider's, and tokens that are still good for a minute are kept rather than
    failing. A refresh token that a newer one took the place of is only sent with ``send_replaced``, which a person decides.
    Raises SignInAgain when only a person can go on (TokenReplaced for such a token), TryAgain when it may work later or its
    outcome is uncertain.
    """
    asked = _Asked(owner, profile, leeway, force, exchange, reason, send_replaced)
    deadline = time.monotonic() + PATIENCE_SECONDS
    first, held_by, held_since = 0, 0, 0.0
    while True:
        state = context.queries.profile(owner, profile)
        if state is None or state.current is None:
            return RefreshResult(owner, profile, model.NOT_REFRESHABLE, None, why="it is logged out")
        now, expires = context.clock.now(), state.current.facts.expires_at
        first = first or state.current.position
        adopted = state.current.position != first
        wanted = leeway or 0
        if leeway is None and not force:
            wanted = leeway_of(context, provider_of(profile), lifetime_of(context, state))
        need = model.need(state, now, wanted, force=force and not adopted)
        if need.state == model.NOT_REFRESHABLE or (need.state != model.FRESH and _belongs_elsewhere(context, state)):
            return _not_refreshable(state, asked, now)
        if need.state == model.FRESH:
            return RefreshResult(owner, profile, "adopted" if adopted else model.FRESH, expires)
        if need.state == model.HELD and state.claim is not None:
            moment = time.monotonic()
            if state.claim.position != held_by:
                held_by, held_since = state.claim.position, moment
            # An exchange lasts half a minute at most. A claim that stands for longer was left behind, and the clock was set back.
            if moment - held_since < PATIENCE_SECONDS:
                if moment > deadline:
                    raise TryAgain(f"other processes have been refreshing {profile} for too long", hint="try again")
                time.sleep(POLL_SECONDS)
                continue
        if need.state == model.WAITING and (need.until or now) - now <= LONGEST_RETRY_AFTER:
            if asked.keeps(expires, now):
                return RefreshResult(owner, profile, model.FRESH, expires)
            raise TryAgain(
                f"the provider wants to be asked for {profile} again at {format_instant(need.until or now)}",
                hint="try then",
            )
        dead = None if send_replaced else must_not_be_sent(context, state)
        if dead is not None:
            if asked.leeway is None and not force and (expires is None or expires > now):
                return RefreshResult(owner, profile, model.FRESH, expires, why=dead.message)
            raise dead
        if _refreshed_elsewhere(context, state, now) and time.monotonic() <= deadline:
            time.sleep(POLL_SECONDS)
            continue
        try:
            claimed = _claim(context, state, now, reason)
        except SignInAgain:
            if asked.keeps(expires, now):
                return RefreshResult(owner, profile, model.FRESH, expires)
            raise
        done = _exchanged(context, asked, claimed) if claimed is not None else None
        if done is not None:
            return done


def _not_refreshable(state: ProfileState, asked: _Asked, now: int) -> RefreshResult:
    """Say why. Raises SignInAgain when that means that only a person can go on."""
    assert state.current is not None  # noqa: S101 - told by the caller
    facts, expires = state.current.facts, state.current.facts.expires_at
    if state.needs_sign_in and (asked.force or (expires is not None and expires - now <= (asked.leeway or 0))):
        model.claim(state, now)
    tool = state.current.tool or "its own tool"
    if facts.ownership == "external":
        why, hint = f"{tool} refreshes it", f"let {tool} refresh it; vault reads it there at each use"
    elif facts.base_url and facts.refresh_fingerprint:
        why = f"nothing says how {facts.base_url}, which it belongs to, refreshes it"
        hint = with_agent(f"vault login {state.profile}", state.agent)
    elif facts.kind == OAuth.kind:
        why, hint = "it came without a refresh token", with_agent(f"vault login {state.profile}", state.agent)
    else:
        why, hint = f"its kind, {facts.kind}, is not refreshed", with_agent(f"vault login {state.profile}", state.agent)
    if asked.force and expires is not None and expires <= now:
        raise SignInAgain(
            f"{state.profile} of agent {state.agent} ended at {format_instant(expires)}, and {why}", hint=hint
        )
    return RefreshResult(state.agent, state.profile, model.NOT_REFRESHABLE, expires, why=why)


def _belongs_elsewhere(context: Context, state: ProfileState) -> bool:
    """Whether its refresh token is of another server than its provider's, and nothing says where that exchanges it."""
    if state.current is None or not state.current.facts.base_url or not state.current.facts.refresh_fingerprint:
        return False
    from vault.providers import clients

    credential, base_url = context.store.credential(state.current.position), state.current.facts.base_url
    provider = provider_of(ProfileId(state.profile))
    return clients.client_of(credential, provider, context.environ, base_url=base_url) is None


def _refreshed_elsewhere(context: Context, state: ProfileState, now: int, before: int = sys.maxsize) -> str:
    sent = state.current.facts.refresh_fingerprint if state.current else ""
    return refreshing_elsewhere(context, state, sent, now, before)


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


def _exchanged(context: Context, asked: _Asked, claimed: Recorded) -> RefreshResult | None:
    """Exchange and settle; None when the claim counts no more, so that it has to be looked at anew."""
    event = claimed.event
    assert isinstance(event, RefreshClaimed)  # noqa: S101 - it was appended just now
    state = context.queries.profile(asked.owner, asked.profile)
    if state is None or state.current is None or state.claim is None or state.claim.position != claimed.position:
        return None
    if _refreshed_elsewhere(context, state, context.clock.now(), claimed.position):
        # Another profile that holds the same login was faster by a moment: what comes of its refresh is waited for.
        _fail(context, asked, claimed, event, model.POSTPONED, "refreshed_elsewhere", None)
        return None
    try:
        credential = context.store.credential(state.current.position)
        if not isinstance(credential, OAuth):
            raise UsageError(f"{asked.profile} can't be refreshed", hint="vault show says which kind it is")
        outcome = asked.exchange(context, provider_of(asked.profile), credential)
    except BaseException as error:
        # An error of ours was raised before anything was sent; whatever else stopped this may have come after.
        word = model.POSTPONED if isinstance(error, VaultError) else model.UNCERTAIN
        _fail(context, asked, claimed, event, word, type(error).__name__, None)
        raise
    if not isinstance(outcome, Refreshed):
        return _failed(context, asked, claimed, event, outcome)
    before, old = state.current, state.current.facts
    fresh = renewed(credential, outcome.tokens)
    told = facts_of(
        context,
        fresh,
        label=old.label,
        account=old.account,
        ownership=old.ownership,
        base_url=old.base_url,
        env=old.env,
        sign_in=old.sign_in,
    )
    stream = profile_stream(asked.owner, asked.profile)

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        here = context.queries.profile(asked.owner, asked.profile)
        held = here.current if here else None
        if here is None or (held and held.position != before.position and held.facts.fingerprint == told.fingerprint):
            return [], {}
        success = model.settle_success(here, claimed.position, event, told)
        return [Draft(stream=stream, event=success, credential=fresh)] if success else [], {stream: here.version}

    cause = context.cause(asked.reason, way="refresh", causation=claimed.position)
    recorded = _settled(asked, lambda: context.decide(cause, stream, build))
    if recorded:
        done = recorded[0].event
        rotated = isinstance(done, TokensRefreshed) and done.rotated
        return RefreshResult(asked.owner, asked.profile, "refreshed", fresh.expires_at, recorded[0].position, rotated)
    after = context.queries.profile(asked.owner, asked.profile)
    if after is None or after.current is None:
        return RefreshResult(asked.owner, asked.profile, model.NOT_REFRESHABLE, None, why="it was logged out meanwhile")
    return RefreshResult(asked.owner, asked.profile, "adopted", after.current.facts.expires_at)


def _settled(asked: _Asked, settle: Callable[[], list[Recorded]]) -> list[Recorded]:
    """Record new tokens, which are nowhere else now: a vault that is busy or can't be written is tried again for a while."""
    for pause in SETTLE_PAUSES:
        try:
            return settle()
        except (TryAgain, StorageError, WrongExpectedVersion):
            time.sleep(pause)
        except KeyboardInterrupt:
            settle()
            raise
    try:
        return settle()
    except (TryAgain, StorageError, WrongExpectedVersion) as error:
        raise StorageError(
            f"new tokens for {asked.profile} of agent {asked.owner} came and can't be stored: {error.message}",
            hint=with_agent(f"once it can be written: vault login {asked.profile}", asked.owner),
        ) from None


def _failed(
    context: Context, asked: _Asked, claimed: Recorded, claim: RefreshClaimed, outcome: Outcome
) -> RefreshResult:
    """Record what a failed exchange means, then say it; an adopted newer token is no failure."""
    now, retry_at = context.clock.now(), None
    name = f"{asked.profile} of agent {asked.owner}"
    if isinstance(outcome, Refused):
        # A refusal that doesn't say the token is dead (a wrong client, a bad request) must not condemn it.
        word, error = (model.REFUSED if outcome.permanent else model.POSTPONED), outcome.code
        text = f"the provider refused to refresh {name} ({outcome.code})"
        if outcome.code in OUR_WORDS:
            text = f"{name} can't be refreshed: {outcome.description}"
    elif isinstance(outcome, NotSent):
        word, error = model.POSTPONED, outcome.why
        retry_at = now + outcome.retry_after if outcome.retry_after else None
        text = f"{name} was not refreshed: {outcome.why}"
    else:
        word, error = model.UNCERTAIN, getattr(outcome, "why", "")
        text = f"the outcome of refreshing {name} is uncertain: {error}"
    recorded = _fail(context, asked, claimed, claim, word, error, retry_at)
    state = context.queries.profile(asked.owner, asked.profile)
    expires = state.current.facts.expires_at if state and state.current else None
    if not recorded and state and state.current and not state.needs_sign_in:
        return RefreshResult(asked.owner, asked.profile, "adopted", expires)
    if state and state.current and asked.keeps(expires, now):
        return RefreshResult(asked.owner, asked.profile, model.FRESH, expires)
    again = with_agent(f"vault login {asked.profile}", asked.owner)
    if isinstance(outcome, Refused):
        raise SignInAgain(text, hint=again if word == model.REFUSED else f"if it goes on: {again}")
    raise TryAgain(text, hint="it is tried once more at the next use" if word == model.UNCERTAIN else "try again")


def _fail(
    context: Context,
    asked: _Asked,
    claimed: Recorded,
    claim: RefreshClaimed,
    word: str,
    error: str,
    retry_at: int | None,
) -> list[Recorded]:
    stream = profile_stream(asked.owner, asked.profile)

    def build() -> tuple[Sequence[Draft], Mapping[str, int]]:
        state = context.queries.profile(asked.owner, asked.profile)
        if state is None:
            return [], {}
        event: Event | None = model.settle_failure(state, claimed.position, claim, word, error, retry_at)
        return ([Draft(stream=stream, event=event)] if event else []), {stream: state.version}

    return context.decide(context.cause(asked.reason, way="refresh", causation=claimed.position), stream, build)
