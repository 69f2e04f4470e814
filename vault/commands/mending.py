"""What doctor can mend: a sentence that says what would be done, the command that does it, and the doing.

A mend is an ordinary command of the vault, run with the reason ``doctor``, so that every one is an event and ``vault history``
shows it; but for file modes and the fetched catalogue, which are no part of the log. Nothing is done by making one.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vault.commands.naming import with_agent
from vault.context import Context
from vault.errors import Locked, StorageError, TryAgain, VaultError
from vault.model.profile import ProfileState
from vault.values import AgentId, ProfileId, ProviderId

REASON = "doctor"
OK, FINDING = "ok", "finding"
ROUNDS = 5

Act = Callable[[Context | None], int | None]


@dataclass(frozen=True, slots=True)
class Mend:
    """A way to mend one finding. ``text`` says what is done, ``command`` what a person would type for it.

    ``about`` is what it changes: of two with the same only one is done before everything is looked at again. ``cost`` is what
    somebody loses by it: such a mend is never done without asking. ``others`` are the other ways to mend the same finding.
    """

    text: str
    command: str
    about: str
    act: Act
    cost: str = ""
    others: tuple[Mend, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: ``status`` is ok or finding; a finding has a hint.

    ``command`` is the exact line of what only a person can do, ``mend`` what can be done for the person here.
    """

    name: str
    status: str
    text: str
    hint: str = ""
    command: str = ""
    mend: Mend | None = None


def finding(name: str, text: str, hint: str = "", *, command: str = "", mend: Mend | None = None) -> Check:
    """Something that is not as it should be. The hint is the command, where nothing better is said."""
    return Check(name, FINDING, text, hint or command or (mend.command if mend else ""), command, mend)


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of a mend: ``error`` is empty when it was done; ``position`` is its last event's, where it has one."""

    check: Check
    mend: Mend
    position: int | None = None
    error: str = ""


def mend_findings(
    checks: Sequence[Check],
    context: Context | None,
    pick: Callable[[Check], Mend | None],
    look: Callable[[], Sequence[Check]],
) -> tuple[list[Mended], Sequence[Check]]:
    """Do the mends that are picked and look again, until nothing new is found: what was done, and the last look.

    ``pick`` chooses a finding's way to mend, or none; it is asked once for each. Of two mends for the same thing only the first
    is done before everything is looked at again.
    """
    mended: list[Mended] = []
    asked: set[tuple[str, str]] = set()
    for _ in range(ROUNDS):
        touched: set[str] = set()
        for check in checks:
            if check.mend is None or check.mend.about in touched or (check.mend.about, check.mend.command) in asked:
                continue
            asked.add((check.mend.about, check.mend.command))
            chosen = pick(check)
            if chosen is not None:
                touched.add(chosen.about)
                mended.append(_do(check, chosen, context))
        if not touched:
            break
        checks = look()
    return mended, checks


def _do(check: Check, mend: Mend, context: Context | None) -> Mended:
    """Do one mend. What keeps it from being done is told, never raised."""
    try:
        return Mended(check, mend, mend.act(context))
    except VaultError as error:
        return Mended(check, mend, error=str(error))
    except OSError as error:
        return Mended(check, mend, error=error.strerror or type(error).__name__)


def close_to_others(path: Path, mode: int) -> Mend:
    """Take the rights of others off a file or folder."""

    def act(_: Context | None) -> int | None:
        try:
            path.chmod(mode)
        except OSError as error:
            raise StorageError(f"the mode of {path} can't be changed: {error.strerror}", hint="who owns it?") from None
        return None

    return Mend(
        f"make {path} readable by you alone", f"chmod {mode:o} {shlex.quote(str(path))}", f"mode of {path}", act
    )


def drop_catalogue() -> Mend:
    """Go back to the embedded catalogue."""

    def act(_: Context | None) -> int | None:
        from vault.providers import catalogue, stored

        stored.drop(stored.place())
        catalogue.reload()
        return None

    text = "go back to the catalogue of providers that vault came with"
    return Mend(text, "vault provider update --embedded", "catalogue", act)


def set_order(agent: str, provider: str, profiles: Sequence[str]) -> Mend:
    """Set an agent's order, or have none when no profile is left for it."""
    owner, of = AgentId(agent), ProviderId(provider)
    if not profiles:
        text = f"clear the order of agent {agent} for {provider}: nothing it names is left"
        command = with_agent(f"vault order clear --provider {provider}", agent)

        def act(context: Context | None) -> int | None:
            from vault.commands.rotation import clear_order

            return clear_order(_opened(context), owner, of, reason=REASON).position

    else:
        text = f"make the order of agent {agent} for {provider}: {', '.join(profiles)}"
        command = with_agent(shlex.join(["vault", "order", "set", "--provider", provider, *profiles]), agent)

        def act(context: Context | None) -> int | None:
            from vault.commands.rotation import set_order as decide

            return decide(_opened(context), owner, of, list(profiles), reason=REASON).position

    return Mend(text, command, f"order {agent} {provider}", act)


def unpin(agent: str, provider: str) -> Mend:
    """Let an agent choose freely again."""

    def act(context: Context | None) -> int | None:
        from vault.commands.rotation import unpin as decide

        return decide(_opened(context), AgentId(agent), ProviderId(provider), reason=REASON).position

    text = f"remove the pin of agent {agent} for {provider}"
    return Mend(text, with_agent(f"vault unpin {provider}", agent), f"pin {agent} {provider}", act)


def refresh(profile: ProfileState) -> Mend:
    """Try a refresh whose outcome nobody knows once more."""

    def act(context: Context | None) -> int | None:
        from vault.commands.refresh import refresh as decide

        opened = _opened(context)
        return decide(
            opened, AgentId(profile.agent), ProfileId(profile.profile), leeway=0, force=True, reason=REASON
        ).position

    command = with_agent(f"vault refresh {shlex.quote(profile.profile)}", profile.agent)
    text = f"refresh {profile.profile} of agent {profile.agent} once more"
    return Mend(text, command, f"profile {profile.agent} {profile.profile}", act)


def clear_health(profile: ProfileState) -> Mend:
    """Forgive a profile's failures."""

    def act(context: Context | None) -> int | None:
        from vault.commands.rotation import clear_health as decide

        return decide(_opened(context), AgentId(profile.agent), ProfileId(profile.profile), reason=REASON).position

    command = with_agent(f"vault health clear {shlex.quote(profile.profile)}", profile.agent)
    text = f"clear the failures of {profile.profile} of agent {profile.agent} and try it again"
    return Mend(text, command, f"health {profile.agent} {profile.profile}", act)


def read_again(profile: ProfileState, tool: str) -> Mend:
    """Take over what the tool that owns a login holds now."""

    def act(context: Context | None) -> int | None:
        from vault.commands.external import reread

        opened = _opened(context)
        (done,) = reread(opened, [profile], REASON)
        if done.done != "changed":
            raise TryAgain(f"{tool} no longer holds another one", hint=f"use {tool} once")
        fresh = opened.queries.profile(profile.agent, profile.profile)
        return fresh.current.position if fresh and fresh.current else None

    text = f"take over what {tool} holds now for {profile.profile} of agent {profile.agent}"
    return Mend(text, f"vault sync {tool}", f"profile {profile.agent} {profile.profile}", act)


def keep_one(token: str, holders: Sequence[ProfileState], lineages: Mapping[str, Sequence[str]]) -> Mend:
    """Log out all owners of one refresh token but one: the one a person picks. ``holders`` come best first.

    Keeping a profile costs nothing when every agent that loses its own inherits from the agent that keeps it.
    ``token`` is the token's fingerprint; ``lineages`` has every agent's, itself first.
    """
    ways = []
    for keeper in holders:
        lost = [h for h in holders if h is not keeper]
        inheriting = [h for h in lost if keeper.agent in lineages.get(h.agent, ())]
        ways.append(_keep(token, keeper, lost, lineages))
        if 0 < len(inheriting) < len(lost):
            ways.append(_keep(token, keeper, inheriting, lineages))
    ways.sort(key=lambda way: bool(way.cost))
    return replace(ways[0], others=tuple(ways[1:]))


def _keep(
    token: str, keeper: ProfileState, lost: Sequence[ProfileState], lineages: Mapping[str, Sequence[str]]
) -> Mend:
    def act(context: Context | None) -> int | None:
        from vault.commands.login import log_out

        opened, position = _opened(context), None
        for holder in lost:
            position = log_out(opened, AgentId(holder.agent), ProfileId(holder.profile), reason=REASON).position
        return position

    without = sorted({h.agent for h in lost if keeper.agent not in lineages.get(h.agent, ())})
    names = " and ".join(f"{h.profile} of {h.agent}" for h in lost)
    text = f"keep {keeper.profile} of {keeper.agent} and log out {names}"
    cost = f"{' and '.join(without)} would have none then, not inheriting from {keeper.agent}" if without else ""
    lines = [with_agent(f"vault logout {shlex.quote(h.profile)}", h.agent) for h in lost]
    return Mend(text, " && ".join(lines), f"token {token}", act, cost)


def _opened(context: Context | None) -> Context:
    if context is None:
        raise Locked("the vault is locked", hint="unlock it and run vault doctor again")
    return context
