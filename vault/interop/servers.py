"""Which server an address means: scheme, host, port and path. Two servers are the same only if all of it is.

A server is a provider of its own, so that a password for it is never chosen as a model provider's key. The provider is called
``host`` or ``host:port`` for https, and ``scheme://host:port`` for another scheme or a host that would be taken for something
else, spelt as ids are (``vault.spelling``). A port that is the scheme's own is left out. Profiles that earlier versions stored
under ``host-port`` are told by the address that is kept with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from vault.errors import InputError
from vault.providers import catalogue
from vault.spelling import spell_name
from vault.values import DEFAULT_NAME, ProfileId, ProviderId, foreign_provider

_PORTS = {"https": 443, "http": 80}
_LONGEST_USER, _LONGEST_PATH = 100, 150
_USER_DEFAULT = "%64efault"  # a user who is called as a profile without a user is


@dataclass(frozen=True, slots=True)
class Server:
    """A server. ``place`` is its host in lowercase, with its port unless that is the scheme's own."""

    scheme: str
    place: str
    path: str = ""

    @property
    def provider(self) -> ProviderId:
        """The provider its passwords are kept under."""
        plain = foreign_provider(self.place)
        if self.scheme == "https" and plain != catalogue.PASSWORDS and catalogue.is_server(plain):
            return plain
        return foreign_provider(f"{self.scheme}://{self.place}")

    @property
    def origin(self) -> tuple[str, str]:
        """What it is without the path."""
        return self.scheme, self.place

    def profile(self, user: str, *, beside: bool = False) -> ProfileId:
        """The profile of a user's password; ``beside`` another profile of that name. Raises InputError."""
        name = _USER_DEFAULT if user == DEFAULT_NAME else user and spell_name(user, also="/", longest=_LONGEST_USER)
        path = spell_name(self.path, longest=_LONGEST_PATH) if self.path else ""
        return ProfileId(f"{self.provider}:{name or DEFAULT_NAME}{'/' if path or beside else ''}{path}")


def server_at(scheme: str, place: str, path: str = "") -> Server:
    """A server by its parts; ``place`` is ``host`` or ``host:port``. Raises InputError."""
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("the server's address can't be understood") from None
    if not host or parts.netloc != place or set(place) & set("@\\") or not place.isprintable() or " " in place:
        raise InputError("the server's address can't be understood")
    host = f"[{host}]" if ":" in host else host
    scheme = scheme.lower()
    usual = port is None or port == _PORTS.get(scheme)
    return Server(scheme, host if usual else f"{host}:{port}", path.strip("/"))


def server_of(address: str) -> Server:
    """The server of a URL, or of a bare ``host[:port][/path]``, which is https. Raises InputError."""
    scheme, separator, rest = address.partition("://")
    place, _, path = (rest if separator else address).partition("/")
    return server_at(scheme if separator else "https", place, path)


def kept_server(facts: Mapping[str, str]) -> Server | None:
    """The server that a credential's own facts name; None where they name none. Raises InputError."""
    if "server" in facts:
        return docker_server(facts["server"])
    if "host" in facts:
        return server_at(facts.get("protocol", "https"), facts["host"], facts.get("path", ""))
    return None


def docker_server(address: str) -> Server:
    """The server docker means: ``/v1/`` and ``/v2/`` are the registry itself, other paths are a part of it. Raises InputError."""
    found = server_of(address)
    return Server(found.scheme, found.place) if found.path in ("v1", "v2") else found


def earlier_provider(place: str) -> str:
    """The provider under which earlier versions kept a server's passwords, whatever its scheme."""
    return place.strip("[]").replace("]:", "-").replace(":", "-")
