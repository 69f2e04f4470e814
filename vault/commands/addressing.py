"""The server a credential about to be handed out belongs to, and how it goes along with it.

A program gets the address in the variables that carry it, or doesn't get the credential. With a credential of the provider's own
none of these variables may lead elsewhere: one that does is taken out of the program's environment, and that is said.
"""

from __future__ import annotations

from dataclasses import replace

from vault.commands.candidates import CHILD_WAYS
from vault.commands.naming import with_agent
from vault.commands.ready import Ready
from vault.context import Context
from vault.errors import UsageError
from vault.providers import base_urls, catalogue
from vault.values import ProfileId, ProviderId, profile_id, provider_of


def at_server(target: ProfileId, url: str, *, named: bool) -> tuple[ProfileId, str]:
    """The profile of a credential for a server, and the server, empty for the provider's own. Raises InputError.

    Where no profile was ``named``, one of another server is called after it, and stands beside the provider's own.
    """
    provider = provider_of(target)
    server = base_urls.elsewhere(provider, url)
    if server and not named and catalogue.provider(provider) is not None:
        target = profile_id(provider, base_urls.name_after(server))
    return target, server


def addressed(context: Context, ready: Ready, base_url: str, way: str) -> Ready:
    """The credential with its address. Raises UsageError for a program that can't be told the address."""
    provider = ProviderId(ready.event.provider)
    name = ready.event.profile or ready.event.source
    if base_url and way not in CHILD_WAYS:
        note = f"it belongs to {base_url}, and is used only there"
        return replace(ready, base_url=base_url, note="; ".join(n for n in (note, ready.note) if n))
    if base_url:
        carried = base_urls.carried(provider, base_url)
        if not carried:
            raise UsageError(
                f"{name} belongs to {base_url}, and no variable can tell a program of {provider} that",
                hint=f"give the program both: vault get {name}",
            )
        others = frozenset(base_urls.movers(provider)) - set(carried)
        return replace(ready, base_url=base_url, address=carried, removed=ready.removed | others)
    if way not in CHILD_WAYS or ready.event.source.startswith("env:"):
        return ready
    endpoint = context.settings.provider(provider).endpoint
    astray = base_urls.led_astray(provider, context.environ)
    gone = {name: address for name, address in astray.items() if not base_urls.same(address, endpoint)}
    if not gone:
        return ready
    address = next(iter(gone.values()))
    hint = with_agent(f"vault login {provider} --base-url {address}", ready.event.owner)
    note = f"{' and '.join(gone)} ({address}) is taken out, for the credential is not known to belong there (if it does: {hint})"
    return replace(ready, removed=ready.removed | frozenset(gone), note="; ".join(n for n in (ready.note, note) if n))
