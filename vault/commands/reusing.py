"""A sign-in that a tool has made already, taken over in place of a new one: GitHub Copilot's, of its editors and its CLI.

The GitHub token doesn't rotate, so both may hold it. It is exchanged at once, so that one that is dead is never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from vault.commands.login import log_in
from vault.commands.remembering import how
from vault.commands.sign_in import SignedInTo
from vault.context import Context
from vault.errors import IntegrityError, SignInAgain, VaultError
from vault.interop.findings import Found
from vault.providers.driver import run
from vault.providers.flows import Start, copilot_reuse_flow
from vault.providers.methods import Method, methods
from vault.values import AgentId, ProfileId, provider_of

EXCHANGE = "github_exchange"
_TOOL = "copilot"


def made_already(context: Context, profile: ProfileId, host: str = "") -> Sequence[Found]:
    """The sign-ins that could be taken over as a profile, github.com's first; with a host only that host's. Reads files only."""
    if not any(m.kind == EXCHANGE for m in methods(provider_of(profile))):
        return []
    from vault.interop.tools import tool

    read = tool(_TOOL).read
    try:
        found = read(None, context.environ, Path.home()).found if read is not None else []
    except IntegrityError:
        raise
    except VaultError:
        return []
    fitting = [f for f in found if not host or host_of(f) == host]
    return sorted(fitting, key=lambda f: bool(host_of(f)))


def host_of(found: Found) -> str:
    """The enterprise's host that a sign-in is of; an empty text for github.com."""
    return found.credential.metadata.get("host", "")


def reuse(
    context: Context,
    agent: AgentId,
    profile: ProfileId,
    found: Found,
    *,
    label: str = "",
    reason: str = "",
    command: str = "",
) -> SignedInTo:
    """Exchange a sign-in's token once, and store it. Raises SignInAgain where it is refused, TryAgain, InputError."""
    from vault.providers.clients import client, endpoints

    host = host_of(found)
    method = _method(provider_of(profile), bool(host))
    given = {"host": host} if host else {}
    moved = endpoints(context.environ)
    start = Start(now=context.clock.now(), random=context.keys.random, given=given, endpoints=moved)
    token = found.credential.second_secret() or found.credential.secret() or ""
    signed = run(copilot_reuse_flow(client(method.client, given, moved), start, token), clock=context.clock)
    credential = structs.replace(
        signed.credential,
        metadata={**found.credential.metadata, **signed.credential.metadata},
        extra={**signed.credential.extra, **found.credential.extra},
    )
    done = log_in(
        context,
        agent,
        profile,
        credential,
        label=label,
        account=found.account,
        ownership=found.ownership,
        base_url="",
        sign_in=how(method, given, (), credential),
        reason=reason,
        command=command,
    )
    return SignedInTo(done, (*signed.notes, found.why))


def _method(provider: str, enterprise: bool) -> Method:
    fitting = [m for m in methods(provider) if m.kind == EXCHANGE and ("host" in m.needs) == enterprise]
    if not fitting:
        raise SignInAgain(f"{provider} has no such sign-in", hint=f"vault wizard {provider}")
    return fitting[0]
