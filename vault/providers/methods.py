"""How one can sign in at a provider: a list of methods, the recommended one first.

``api_key`` and ``token``: a secret that is typed in. ``browser``: authorization code with PKCE on a loopback redirect.
``device``: a code typed on another page. ``pkce_key``: a browser sign-in that ends in an API key. ``github_exchange``: a device
sign-in at GitHub whose token is exchanged for short ones. ``setup_token``: what ``claude setup-token`` prints. ``external``: the
login another tool keeps and refreshes; vault reads it there. ``url``: a server's ``/.well-known/opencode``. ``discovery``: any
OAuth server that publishes its metadata. ``plugin``: a flow from an installed package. ``none``: nothing is needed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from vault.errors import NotFound
from vault.guessing import did_you_mean
from vault.providers.clients import Client, clients, registry
from vault.providers.plugins import plugins
from vault.showing import shown

Kind = Literal[
    "api_key",
    "token",
    "browser",
    "device",
    "pkce_key",
    "github_exchange",
    "setup_token",
    "external",
    "url",
    "discovery",
    "plugin",
    "none",
]

# What a flow is run for; the others are a secret to type, another tool's login, or nothing.
FLOWS = ("browser", "device", "pkce_key", "github_exchange", "setup_token", "url", "discovery", "plugin")


class Method(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to sign in. ``needs`` are the names of what must be given or is asked for; ``note`` is said to the person."""

    id: str
    kind: Kind
    label: str
    provider: str = ""
    client: str = ""
    needs: tuple[str, ...] = ()
    note: str = ""
    package: str = ""

    @property
    def interactive(self) -> bool:
        """Whether a person is needed: agents never complete these."""
        return self.kind in FLOWS


API_KEY = Method(id="api-key", kind="api_key", label="API key")
URL = Method(id="url", kind="url", label="Sign in at a server's URL", needs=("url",))
DISCOVERY = Method(
    id="discovery", kind="discovery", label="Sign in at any OAuth server (browser)", needs=("issuer", "client_id")
)
DISCOVERY_DEVICE = Method(
    id="discovery-device", kind="discovery", label="Sign in at any OAuth server (code)", needs=("issuer", "client_id")
)


def methods(provider_id: str) -> list[Method]:
    """The ways to sign in at a provider, the recommended one first. An id that is not in the catalogue takes an API key."""
    from vault.providers import catalogue

    entry = catalogue.provider(provider_id)
    known = clients(plugins().clients)
    found: list[Method] = []
    for row in registry().methods.get(provider_id, ()):
        made = msgspec.convert({**row, "provider": provider_id}, Method)
        found.append(_completed(made, known.get(made.client)))
    found += [_completed(m, known.get(m.client)) for m in plugins().methods if m.provider == provider_id]
    typed = {m.kind for m in found} & {"api_key", "token", "none"}
    if not typed and (entry is None or entry.key_env):
        name = entry.name if entry else provider_id
        found.append(msgspec.structs.replace(API_KEY, label=f"{name} API key", provider=provider_id))
    return found


def providers_with_methods() -> set[str]:
    """The ids of all providers with a way to sign in of their own, packages' included."""
    return {*registry().methods, *(m.provider for m in plugins().methods)}


def method(provider_id: str, name: str = "") -> Method:
    """The method of a provider with an id or of a kind; without a name, the recommended one. Raises NotFound."""
    offered = methods(provider_id)
    for candidate in offered:
        if not name or name in (candidate.id, candidate.kind):
            return candidate
    names = [m.id for m in offered]
    other = f"it has: {', '.join(names)}" if names else f"vault provider show {provider_id} says what it reads"
    raise NotFound(
        f"{provider_id} has no sign-in method {shown(name)}"
        if name
        else f"there is no way to sign in at {provider_id} here",
        hint=did_you_mean(name, names, other),
    )


def _completed(made: Method, client: Client | None) -> Method:
    """A method with what its client needs and says."""
    if client is None:
        return made
    needs = tuple(dict.fromkeys((*made.needs, *(name for name in client.needs if name != "device_id"))))
    return msgspec.structs.replace(made, needs=needs, note=made.note or client.policy)
