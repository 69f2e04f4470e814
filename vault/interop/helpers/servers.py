"""What the git and docker helpers share: a password of a server is the profile ``HOST:USER``, its address a fact of it.

A host is a provider of its own, so that a password for a server is never chosen as a model provider's key.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from vault.errors import InputError
from vault.interop.helpers import Holding, Serving
from vault.values import DEFAULT_NAME, parse_provider, profile_id


def server_profile(host: str, user: str) -> str:
    """The profile of a user at a host (with its port, if any). Raises InputError for what can't be an id."""
    provider = parse_provider(host.lower().strip("[]").replace("]:", "-").replace(":", "-"))
    name = "".join(c if c.isprintable() and not c.isspace() else "_" for c in user).lstrip("-:")[:128]
    return profile_id(provider, name or DEFAULT_NAME)


def host_of(server: str) -> str:
    """The host, and port, of a server that is named by its URL or bare. Raises InputError."""
    try:
        parts = urlsplit(server if "://" in server else f"//{server}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("the server's address can't be understood") from None
    if not host:
        raise InputError("the server's address names no host")
    return f"{host}:{port}" if port else host


def of_host(serving: Serving, host: str) -> Sequence[Holding]:
    """The profiles kept for a host; none for what can't be one."""
    try:
        provider = server_profile(host, "").partition(":")[0]
    except InputError:
        return []
    return serving.holdings(provider)
