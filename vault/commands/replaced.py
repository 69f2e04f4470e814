"""What became of a login's tokens, as the log tells: which refresh tokens a newer one replaced, and which logins were revoked.

A provider that detects reuse takes a replaced refresh token for a stolen one and ends the whole login, its newest tokens too. So
one is never sent unasked. The same login may be held by several profiles and agents: equal fingerprints say so, whichever of them
refreshed it. What is known is kept with the open vault and grows with its log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from vault.commands.history import Filter, read_history
from vault.commands.naming import with_agent
from vault.context import Context
from vault.errors import TokenReplaced
from vault.events.credentials import CredentialFacts
from vault.events.types import ProfileImported, ProfileLoggedIn, ProfileLoggedOut, ProfileRestored, TokensRefreshed
from vault.log.records import Recorded
from vault.model.profile import Held, ProfileState
from vault.model.streams import profile_stream, split_stream
from vault.values import AgentId, ProfileId

REVOKED = "revoked"
_STORING = ProfileLoggedIn | ProfileImported | ProfileRestored | TokensRefreshed
_TYPES = tuple(t.TYPE for t in (ProfileLoggedIn, ProfileImported, ProfileRestored, TokensRefreshed, ProfileLoggedOut))


@dataclass(frozen=True, slots=True)
class Replaced:
    """The refresh token of a profile that is no longer the newest of its login.

    ``position`` is the event that replaced it, ``by`` that in words. ``newest`` is where the newest tokens that the log knows of
    are stored, and ``agent`` and ``profile`` whose they are; they may be another profile's than the one that was asked about.
    """

    of: tuple[str, str]
    position: int
    by: str
    newest: int
    agent: str
    profile: str

    @property
    def again(self) -> str:
        """The line that brings the newest tokens back; empty where they are another profile's."""
        here = self.of == (self.agent, self.profile)
        return with_agent(f"vault restore {self.profile} --to {self.newest}", self.agent) if here else ""

    @property
    def text(self) -> str:
        """What happened to it, for people."""
        where = "" if self.again else f", for {self.profile} of agent {self.agent}"
        return f"{self.by} (#{self.position}{where}) replaced its refresh token"

    @property
    def remedy(self) -> str:
        """What a person can do to have the newest tokens."""
        return f"{self.again} brings the newest tokens back" if self.again else f"use {self.profile} of {self.agent}"


@dataclass(frozen=True, slots=True)
class _Step:
    position: int
    by: str
    stream: str
    after: str


class _Known:
    """What a log tells up to ``position``, folded from the events that store a credential."""

    def __init__(self) -> None:
        self.position = 0
        self.current: dict[str, tuple[CredentialFacts, str]] = {}
        self.tools: dict[int, str] = {}
        self.steps: dict[str, _Step] = {}
        self.logins: dict[str, int] = {}
        self.revoked: dict[int, int] = {}

    def take(self, records: Iterable[Recorded]) -> None:
        for record in records:
            event, stream = record.event, record.stream
            self.position = max(self.position, record.position)
            if isinstance(event, ProfileLoggedOut):
                self.current.pop(stream, None)
                if event.revocation == REVOKED and event.fingerprint in self.logins:
                    self.revoked[self.logins[event.fingerprint]] = record.position
            if not isinstance(event, _STORING):
                continue
            facts, (old, tool) = event.credential, self.current.get(stream, (None, ""))
            by = _replacing(event, old, tool) if old is not None else ""
            if old is not None and by:
                self.steps[old.refresh_fingerprint] = _Step(record.position, by, stream, facts.refresh_fingerprint)
            before = old.fingerprint if old is not None and (by or isinstance(event, TokensRefreshed)) else ""
            prints = [p for p in (facts.fingerprint, facts.refresh_fingerprint) if p]
            known = [self.logins[p] for p in (before, *prints) if p in self.logins]
            self.logins.update(dict.fromkeys(prints, known[0] if known else record.position))
            if isinstance(event, TokensRefreshed):  # the provider has just handed it out, or taken it
                self.steps.pop(facts.refresh_fingerprint, None)
            if isinstance(event, ProfileImported):
                tool = self.tools[record.position] = event.tool
            elif isinstance(event, ProfileLoggedIn | ProfileRestored):
                tool = self.tools.get(getattr(event, "from_position", 0), "")
            self.current[stream] = (facts, tool)


def _replacing(event: object, old: CredentialFacts, tool: str) -> str:
    """By what an event replaced the refresh token that its profile had, in words; an empty text when it didn't."""
    if not isinstance(event, _STORING) or old.refresh_fingerprint in ("", event.credential.refresh_fingerprint):
        return ""
    if isinstance(event, TokensRefreshed):
        return "a refresh" if event.rotated else ""
    theirs = isinstance(event, ProfileImported) and old.ownership == "external" and event.tool == tool
    same = event.credential.account == old.account and event.credential.refresh_fingerprint
    return f"a refresh by {tool}" if theirs and same else ""


_known: WeakKeyDictionary[Context, _Known] = WeakKeyDictionary()


def replaced(context: Context, state: ProfileState | None) -> Replaced | None:
    """Whether a newer refresh token took the place of a profile's, as far as the log tells."""
    held = state.current if state else None
    if state is None or held is None or held.facts.ownership == "external" or not held.facts.refresh_fingerprint:
        return None
    known = _since_its_refresh(context, state, held) or _all_known(context)
    token = held.facts.refresh_fingerprint
    first = last = known.steps.get(token)
    if first is None or last is None:
        return None
    seen = {token}
    while (following := known.steps.get(last.after)) is not None and last.after not in seen:
        seen.add(last.after)
        last = following
    _, owner, profile = split_stream(last.stream)
    return Replaced((state.agent, state.profile), first.position, first.by, last.position, owner, profile)


def revoked_at(context: Context, facts: CredentialFacts) -> int | None:
    """The position of the logout at which the provider revoked the login that a credential belongs to; None for none."""
    known = _all_known(context)
    login = known.logins.get(facts.refresh_fingerprint or facts.fingerprint)
    return None if login is None else known.revoked.get(login)


def _all_known(context: Context) -> _Known:
    known = _known.setdefault(context, _Known())
    known.take(read_history(context, Filter(types=_TYPES), oldest_first=True, after=known.position))
    return known


def _since_its_refresh(context: Context, state: ProfileState, held: Held) -> _Known | None:
    """What is known from the refresh on that brought the current tokens: before it they were nowhere. None for others."""
    (record,) = context.store.read((held.position,))
    back = Filter(agent=state.agent, profile=state.profile, types=(ProfileRestored.TYPE,))
    if not isinstance(record.event, TokensRefreshed) or any(read_history(context, back, limit=1, after=held.position)):
        return None
    known = _Known()
    known.current[record.stream] = (held.facts, held.tool)
    known.take(read_history(context, Filter(types=_TYPES), oldest_first=True, after=held.position))
    return known


def must_not_be_sent(context: Context, state: ProfileState) -> TokenReplaced | None:
    """The error that keeps a replaced refresh token from being sent unasked; None for one that may be sent."""
    found = replaced(context, state)
    if found is None:
        return None
    line = with_agent(f"vault refresh {state.profile} --send-replaced", state.agent)
    return TokenReplaced(
        f"the refresh token of {state.profile} of agent {state.agent} isn't sent: {found.text}, "
        "and a provider that sees a replaced one may end the whole login, its newest tokens too",
        hint=f"{found.remedy}; {line} sends it anyway",
    )


def refreshing_elsewhere(context: Context, state: ProfileState, fingerprint: str, now: int, before: int) -> str:
    """The profile that is refreshing the same login right now, by a claim older than ``before``; an empty text for none."""
    mine = profile_stream(state.agent, state.profile)
    for agent in context.queries.agents().names():
        for other in context.queries.profiles(agent):
            claim = other.claim
            if claim is None or claim.refresh_fingerprint != fingerprint or claim.lease_until <= now:
                continue
            if profile_stream(AgentId(agent), ProfileId(other.profile)) != mine and claim.position < before:
                return f"{other.profile} of agent {agent}"
    return ""
