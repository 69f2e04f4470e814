"""Which addresses are this machine: decided by the parsed address, never by how it begins."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback_host(host: str) -> bool:
    """Whether a host, without a port, is this machine: an address in 127.0.0.0/8, ``::1``, ``localhost`` or a name under it.

    An IPv6 address may be in brackets, a name may end in a dot. Shorthand such as ``127.1`` isn't read as an address.
    """
    name = host.lower()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        name = name.removesuffix(".")
        return name == "localhost" or (name.endswith(".localhost") and "" not in name.split("."))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_loopback_url(url: str) -> bool:
    """Whether a URL is http or https to this machine."""
    if not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and is_loopback_host(host) and port != 0


def is_loopback_place(place: str) -> bool:
    """Whether ``host`` or ``host:port``, as git and HTTP's Host write it, is this machine."""
    return is_loopback_url(f"http://{place}") and not set(place) & set("/?#@\\")
