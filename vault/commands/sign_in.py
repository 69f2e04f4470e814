"""Signing in by a flow, taking over another tool's login, and revoking at the provider. Agents never complete a sign-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vault.commands.login import LoggedIn, log_in
from vault.commands.remembering import how
from vault.commands.replaced import replaced
from vault.context import Context
from vault.errors import NotFound, TokenReplaced, Unavailable, UsageError
from vault.events.credentials import OAuth
from vault.providers.driver import UI, run
from vault.providers.flows import Start, login_flow, revoke_flow
from vault.providers.methods import Method
from vault.values import AgentId, ProfileId, provider_of


@dataclass(frozen=True, slots=True)
class SignedInTo:
    """What a sign-in did, and what the person should know about it."""

    login: LoggedIn
    notes: tuple[str, ...]


def sign_in(
    context: Context,
    agent: AgentId,
    profile: ProfileId,
    method: Method,
    ui: UI,
    *,
    given: Mapping[str, str],
    scopes: Sequence[str] = (),
    label: str = "",
    reason: str = "",
    command: str = "",
) -> SignedInTo:
    """Run a method's flow with a person and store what it brought. Raises SignInAgain, TryAgain, InputError, Unavailable."""
    from vault.providers.clients import endpoints

    start = Start(
        now=context.clock.now(),
        random=context.keys.random,
        given=given,
        scopes=tuple(scopes),
        endpoints=endpoints(context.environ),
    )
    signed = run(login_flow(method, start), ui, clock=context.clock)
    done = log_in(
        context,
        agent,
        profile,
        signed.credential,
        label=label,
        account=signed.account,
        base_url="",
        sign_in=how(method, given, scopes, signed.credential),
        reason=reason,
        command=command,
    )
    return SignedInTo(done, signed.notes)


def revoke(context: Context, agent: AgentId, profile: ProfileId) -> tuple[str, str]:
    """Ask the provider to revoke a profile's tokens: (answer, detail).

    Raises NotFound when there is nothing to revoke, UsageError when it is another tool's to revoke, TokenReplaced when a newer
    refresh token took the place of its own.
    """
    from vault.providers import clients

    state = context.queries.profile(agent, profile)
    if state is None or state.current is None:
        raise NotFound(f"{profile} of agent {agent} is not logged in", hint="vault list shows what is")
    if state.current.facts.ownership == "external":
        raise UsageError(
            f"{profile} is another tool's login, and revoking it would log that tool out",
            hint="log out with that tool, or leave out --revoke",
        )
    newer = replaced(context, state)
    if newer is not None:
        raise TokenReplaced(
            f"{profile} of agent {agent} isn't revoked: {newer.text}, and the provider may end the newest tokens with it",
            hint=f"leave out --revoke; to revoke the whole login, {newer.remedy}: then vault logout --revoke",
        )
    credential = context.store.credential(state.current.position)
    base_url = state.current.facts.base_url
    client = clients.client_of(credential, provider_of(profile), context.environ, base_url=base_url)
    token = credential.second_secret() or credential.secret()
    if client is None or not token:
        return "unsupported", "this kind of credential can only be revoked on the provider's own pages"
    hint = "refresh_token" if isinstance(credential, OAuth) and credential.refresh else "access_token"
    done = run(revoke_flow(client, token, hint, clients.secrets_of(credential)), clock=context.clock, deadline=30.0)
    return done.answer, done.detail


def take_from_tool(
    context: Context, agent: AgentId, method: Method, named: str = "", *, label: str = "", reason: str = ""
) -> SignedInTo:
    """Take over the login that another tool keeps and refreshes. ``named`` is the profile, or its name, if one was given.

    Raises NotFound when that tool keeps none, UsageError for a profile or an agent it can't be kept as, and what its reader
    raises.
    """
    from vault.commands.importing import take_over
    from vault.interop.findings import Findings
    from vault.interop.tools import tool

    there = tool(method.id)
    if there.read is None:
        raise Unavailable(f"the store of {there.title} can't be read", hint="name another --method")
    try:
        findings = there.read(None, context.environ, Path.home())
    except NotFound as error:
        raise NotFound(error.message, hint=f"sign in with {there.title}, then run this again") from None
    logins = [f for f in findings.found if f.ownership == "external" and provider_of(f.profile) == method.provider]
    if not logins:
        why = "".join(f" ({s.name}: {s.why})" for s in findings.skipped[:1])
        raise NotFound(
            f"{there.title} keeps no login here{why}", hint=f"sign in with {there.title}, then run this again"
        )
    found = logins[0]
    if agent != found.agent or named not in ("", found.profile, found.profile.partition(":")[2]):
        raise UsageError(
            f"the login of {there.title} is kept as {found.profile} of agent {found.agent}",
            hint=f"leave out the profile's name and the agent; other agents inherit it from {found.agent}",
        )
    found = replace(found, label=label or found.label)
    before = context.queries.profile(found.agent, found.profile)
    take_over(context, Findings(findings.tool, findings.paths, found=[found]), reason=reason, again=True)
    after = context.queries.profile(found.agent, found.profile)
    if after is None or after.current is None:
        raise NotFound(f"{found.profile} was logged out meanwhile", hint="run this again")
    held, old = after.current, (before.current or before.ended) if before else None
    same = before is not None and before.version == after.version
    login = LoggedIn(found.agent, found.profile, held.position, held.facts, None if same else old, unchanged=same)
    return SignedInTo(login, (method.note or found.why,))
