"""Signing in by a flow, revoking at the provider, and the line a person should type. Agents never complete a sign-in."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from vault.commands.login import LoggedIn, log_in
from vault.context import Context
from vault.errors import InputError, NotFound
from vault.events.credentials import OAuth
from vault.providers.driver import UI, run
from vault.providers.flows import Start, login_flow, revoke_flow
from vault.providers.methods import Method, methods
from vault.values import AgentId, ProfileId, ProviderId, parse_provider, provider_of


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
        context, agent, profile, signed.credential, label=label, account=signed.account, reason=reason, command=command
    )
    return SignedInTo(done, signed.notes)


def revoke(context: Context, agent: AgentId, profile: ProfileId) -> tuple[str, str]:
    """Ask the provider to revoke a profile's tokens: (answer, detail). Raises NotFound when there is nothing to revoke."""
    from vault.providers import clients

    state = context.queries.profile(agent, profile)
    if state is None or state.current is None:
        raise NotFound(f"{profile} of agent {agent} is not logged in", hint="vault list shows what is")
    credential = context.store.credential(state.current.position)
    client = clients.client_of(credential, provider_of(profile), context.environ)
    token = credential.second_secret() or credential.secret()
    if client is None or not token:
        return "unsupported", "this kind of credential can only be revoked on the provider's own pages"
    hint = "refresh_token" if isinstance(credential, OAuth) and credential.refresh else "access_token"
    done = run(revoke_flow(client, token, hint, clients.secrets_of(credential)), clock=context.clock, deadline=30.0)
    return done.answer, done.detail


def provider_of_url(url: str) -> ProviderId:
    """The provider id under which a server's own sign-in is kept: its host name. Raises InputError."""
    host = urlsplit(url).hostname or ""
    if not host:
        raise InputError("that is not a URL", hint="write it as https://host")
    return parse_provider(host)


def login_line(what: str, agent: str = "main", method: str = "", extra: Sequence[str] = ()) -> str:
    """The exact line a person types to sign in."""
    words = ["vault", "login", what]
    words += ["--method", method] if method else []
    words += [*extra, *(["--agent", agent] if agent != "main" else [])]
    return shlex.join(words)


@dataclass(frozen=True, slots=True)
class Advice:
    """What an agent tells its person: the line to type for each way, the recommended one first."""

    provider: str
    why: str
    ways: tuple[tuple[Method, str], ...]


def advise(context: Context | None, agent: AgentId, provider: ProviderId) -> Advice:
    """How a person can sign in at a provider, and why they should (empty when nothing is wrong)."""
    why = ""
    if context is not None:
        from vault.commands.status import status

        (found,) = status(context, agent, [provider])
        why = "" if found.check == 0 else found.text
    offered = methods(provider)
    ways = tuple(
        (m, login_line(provider, agent, m.id if len(offered) > 1 else "")) for m in offered if m.kind != "none"
    )
    return Advice(provider, why, ways)
