"""Which provider an address belongs to. A key is only ever given to its own provider's address, so a tool's setting decides."""

from __future__ import annotations

from urllib.parse import urlsplit

from vault.addresses import is_loopback_host
from vault.errors import InputError
from vault.interop.servers import server_of
from vault.providers import catalogue
from vault.values import ProviderId

_ADDRESSES = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
}


def host_of(url: str) -> str:
    """The host of an address, or nothing."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def provider_at(url: str) -> ProviderId | None:
    """The provider whose address this is: by scheme, host and port, and by path where several share those.

    None for nobody's, or this machine's.
    """
    host = host_of(url)
    if not host or is_loopback_host(host):
        return None
    known = [(p.id, p.api or _ADDRESSES.get(p.id, "")) for p in catalogue.providers()]
    there = [(provider, api) for provider, api in known if host_of(api) == host and _origin(api) == _origin(url)]
    if not there:
        return None
    path = urlsplit(url).path.rstrip("/")
    return ProviderId(max(there, key=lambda found: _alike(urlsplit(found[1]).path.rstrip("/"), path))[0])


def provider_named_after(url: str) -> ProviderId:
    """The provider of an address: the catalogue's, else one that is called like its server. Raises InputError."""
    found = provider_at(url)
    if found is not None:
        return found
    host = host_of(url)
    if not host or is_loopback_host(host):
        raise InputError("the address it is for is no provider's")
    return server_of(url).provider


def _origin(url: str) -> tuple[str, str]:
    try:
        return server_of(url).origin
    except InputError:
        return "", url


def _alike(ours: str, theirs: str) -> tuple[bool, int]:
    """How well two paths agree: the longest that the other starts with."""
    same = theirs == ours or theirs.startswith(ours + "/")
    return same, len(ours) if same else -len(ours)
