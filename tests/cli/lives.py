"""What can become of a profile, made in a vault by events: for the tests of status and doctor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.support import Files, FixedClock
from vault.commands.login import log_in, log_out
from vault.commands.rotation import report
from vault.context import Context
from vault.events.credentials import AnyCredential, OAuth
from vault.events.types import Event, ProfileProbed, RefreshClaimed, RefreshFailed
from vault.log.records import Draft
from vault.model.streams import profile_stream
from vault.values import DAY, HOUR, MAIN_AGENT, MINUTE, AgentId, Instant, ProfileId

Make = Callable[[Context], object]


def build(files: Files, clock: FixedClock, *makes: Make) -> None:
    """Do all of these in one vault, at the clock's time."""
    with files.open(clock) as context:
        for make in makes:
            make(context)


def hold(profile: str, credential: AnyCredential, agent: str = MAIN_AGENT, ownership: str = "vault") -> Make:
    """Log in."""
    return lambda c: log_in(c, AgentId(agent), ProfileId(profile), credential, ownership=ownership)


def end(profile: str, agent: str = MAIN_AGENT) -> Make:
    """Log out."""
    return lambda c: log_out(c, AgentId(agent), ProfileId(profile))


def fail(profile: str, failure: str = "billing", until: int = 3 * DAY, agent: str = MAIN_AGENT) -> Make:
    """Report a failure whose effect lasts so long."""
    return lambda c: report(
        c, AgentId(agent), ProfileId(profile), "failure", failure=failure, until=c.clock.now() + until
    )


def tokens(name: str, ends: int | None, refresh: bool = True) -> OAuth:
    """OAuth tokens whose access token ends at an instant."""
    return OAuth(
        access=f"fake-access-{name}",
        refresh=f"fake-refresh-{name}" if refresh else "",
        expires_at=Instant(ends) if ends is not None else None,
    )


def claim(profile: str, lease: int = -MINUTE, agent: str = MAIN_AGENT) -> Make:
    """Claim a refresh whose lease ends so far from now; nothing comes of it."""

    def make(context: Context) -> None:
        state = context.queries.profile(agent, profile)
        assert state is not None
        assert state.current is not None
        sent = state.current.facts.refresh_fingerprint
        until = context.clock.now() + lease
        _append(context, RefreshClaimed(agent=agent, profile=profile, refresh_fingerprint=sent, lease_until=until))

    return make


def lose(profile: str, outcome: str, error: str = "invalid_grant", agent: str = MAIN_AGENT) -> Make:
    """Claim a refresh and settle it as a failure: refused, uncertain or postponed."""

    def make(context: Context) -> None:
        claim(profile, HOUR, agent)(context)
        state = context.queries.profile(agent, profile)
        assert state is not None
        assert state.claim is not None
        failed = RefreshFailed(
            agent=agent,
            profile=profile,
            claim=state.claim.position,
            outcome=outcome,
            error=error,
            refresh_fingerprint=state.claim.refresh_fingerprint,
        )
        _append(context, failed)

    return make


def probed(profile: str, outcome: str, agent: str = MAIN_AGENT, detail: str = "") -> Make:
    """Record what a probe of the current credential told."""

    def make(context: Context) -> None:
        state = context.queries.profile(agent, profile)
        assert state is not None
        assert state.current is not None
        fingerprint = state.current.facts.fingerprint
        told = ProfileProbed(
            agent=agent, profile=profile, outcome=outcome, fingerprint=fingerprint, status=200, detail=detail
        )
        _append(context, told)

    return make


def opencode_login(path: Path, name: str, ends: int) -> None:
    """OpenCode's own store with one login that it refreshes; ``ends`` in microseconds."""
    login = {
        "type": "oauth",
        "access": f"fake-access-{name}",
        "refresh": f"fake-refresh-{name}",
        "expires": ends // 1000,
    }
    path.write_text(json.dumps({"openai": login}))


def _append(context: Context, event: RefreshClaimed | RefreshFailed | ProfileProbed | Event) -> None:
    agent, profile = getattr(event, "agent", ""), getattr(event, "profile", "")
    context.store.append([Draft(stream=profile_stream(agent, profile), event=event)], context.cause())
