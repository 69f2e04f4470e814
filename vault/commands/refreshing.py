"""Refreshing what a person or a timer names: one profile, or all of an agent's own that can be."""

from __future__ import annotations

from dataclasses import replace

from vault.commands.naming import with_agent
from vault.commands.refresh import RefreshResult, refresh
from vault.context import Context
from vault.errors import IntegrityError, NotFound, VaultError
from vault.values import AgentId, ProfileId


def refresh_many(
    context: Context, agent: AgentId, *, leeway: int, force: bool = False, reason: str = ""
) -> list[tuple[RefreshResult | None, str, VaultError | None]]:
    """Refresh every profile of an agent's own that can be: (result, profile, error). One that fails doesn't stop the others.

    Raises IntegrityError.
    """
    found: list[tuple[RefreshResult | None, str, VaultError | None]] = []
    for state in context.queries.profiles(agent):
        facts = state.current.facts if state.current else None
        if facts is None or not facts.refresh_fingerprint or facts.ownership == "external":
            continue
        try:
            done = refresh(context, agent, ProfileId(state.profile), leeway=leeway, force=force, reason=reason)
            found.append((done, state.profile, None))
        except IntegrityError:
            raise
        except VaultError as error:
            found.append((None, state.profile, error))
    return found


def refresh_one(
    context: Context, owner: AgentId, profile: ProfileId, *, reason: str = "", send_replaced: bool = False
) -> RefreshResult:
    """Refresh a profile that a person named. One that another tool refreshes is read again where that tool keeps it.

    Raises NotFound when it is logged out, and what ``refresh`` raises.
    """
    from vault.commands.external import external, reread

    state = context.queries.profile(owner, profile)
    if state is None or state.current is None:
        raise NotFound(
            f"{profile} of agent {owner} is logged out",
            hint=with_agent(f"vault restore {profile}", owner) + " undoes it",
        )
    again = reread(context, [state]) if external(state) else []
    done = refresh(context, owner, profile, force=True, reason=reason, send_replaced=send_replaced)
    why = "; ".join(w for w in (done.why, *(r.why for r in again)) if w)
    if any(r.done == "changed" for r in again):
        return RefreshResult(owner, profile, "adopted", done.expires_at, why=why)
    return replace(done, why=why)
