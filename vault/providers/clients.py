"""The OAuth clients vault signs in with: whose they are, where they go, how their providers behave. Data with provenance.

A client id belongs to the application named as its owner, and a sign-in with it acts as that application. The data file,
``data/oauth_clients.json``, says where each fact was read, and ``confidence`` how sure it is. A client whose secret can't be
shipped says so in ``needs``: the user supplies one, and it is sealed with the tokens.

Where a client's addresses or headers hold ``{host}``, ``{api_host}`` or ``{device_id}``, a sign-in fills them in, and the
credential's metadata remembers with what. ``VAULT_OAUTH_ENDPOINTS`` moves every address of the registry to a server on
loopback, and only there: its value is a base URL, and ``https://HOST/PATH`` becomes ``BASE/HOST/PATH``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from vault.addresses import is_loopback_url
from vault.errors import InputError, NotFound, NotReady
from vault.events.credentials import AnyCredential, OAuth
from vault.providers.tokens import Rules
from vault.values import MINUTE, SECOND
from vault.version import __version__

ENDPOINTS = "VAULT_OAUTH_ENDPOINTS"
CUSTOM = "custom"
LEAST_LEEWAY = 10 * MINUTE

_DATA = os.path.join(os.path.dirname(__file__), "data", "oauth_clients.json")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?::\d{1,5})?")
_URLS = (
    "authorize_url",
    "token_url",
    "device_url",
    "poll_url",
    "verification_url",
    "exchange_url",
    "revoke_url",
    "issuer",
)
_REMEMBERED = ("host", "device_id", "client_id")
_FACTS = ("client_id", "token_url", "revoke_url", "issuer", "auth")


class Redirect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an authorization server may send the browser back to. Port 0 is any free one."""

    host: str = "127.0.0.1"
    path: str = "/callback"
    ports: tuple[int, ...] = (0,)


class Client(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One OAuth client. Holds no secret, so it may be shown.

    ``flows`` are those it can sign in with; ``needs`` what must be filled in: client_secret and host by the user, device_id made
    up once per sign-in; ``device``, ``refresh`` and ``revoke`` name the dialect its server speaks;
    ``auth`` is how a client secret is sent; ``leeway_s`` and ``leeway_part`` (of a token's life) say how early to refresh.
    """

    id: str
    name: str
    owner: str = ""
    providers: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    client_id: str = ""
    needs: tuple[str, ...] = ()
    secret_found: str = ""
    auth: Literal["none", "post", "basic"] = "none"
    issuer: str = ""
    authorize_url: str = ""
    token_url: str = ""
    device_url: str = ""
    poll_url: str = ""
    verification_url: str = ""
    exchange_url: str = ""
    revoke_url: str = ""
    scopes: tuple[str, ...] = ()
    redirect: Redirect = Redirect()
    device_redirect: str = ""
    authorize_params: dict[str, str] = {}
    device: Literal["standard", "openai", "minimax", "hyper"] = "standard"
    encoding: Literal["form", "json"] = "form"
    state_in_token_request: bool = False
    scope_in_refresh: bool = False
    refresh: Literal["standard", "github", "hyper", "none"] = "standard"
    revoke: Literal["standard", "json", "github", "none"] = "none"
    headers: dict[str, str] = {}
    rotates: Literal["yes", "no", "sometimes"] = "sometimes"
    leeway_s: int = 600
    leeway_part: float = 0.0
    lifetime_s: int | None = None
    interval_s: int = 5
    dead_codes: tuple[str, ...] = ()
    dead_statuses: tuple[int, ...] = ()
    dead_words: tuple[str, ...] = ()
    policy: str = ""
    confidence: str = ""
    sources: tuple[str, ...] = ()

    @property
    def rules(self) -> Rules:
        """How the answers to its refreshes are read."""
        return Rules(
            dead_codes=self.dead_codes,
            dead_statuses=self.dead_statuses,
            dead_words=self.dead_words,
            spends=self.rotates != "no",
            lifetime=self.lifetime_s * SECOND if self.lifetime_s else None,
        )


class Registry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data file."""

    source: str
    clients: tuple[Client, ...]
    methods: dict[str, tuple[dict[str, Any], ...]]


@cache
def registry() -> Registry:
    """The embedded registry, read once."""
    with open(_DATA, "rb") as file:
        return msgspec.json.decode(file.read(), type=Registry)


def clients(extra: Iterable[Client] = ()) -> dict[str, Client]:
    """All clients by id. A client from a plugin never takes the id of an embedded one."""
    return {c.id: c for c in (*extra, *registry().clients)}


def client(client_id: str, given: Mapping[str, str] | None = None, base: str = "") -> Client:
    """A client with its addresses filled in from ``given`` and moved to ``base``, both if any.

    Raises NotFound for an unknown id, InputError for a host that is none.
    """
    from vault.providers.plugins import plugins

    found = clients(plugins().clients).get(client_id)
    if found is None:
        raise NotFound(f"there is no OAuth client {client_id!r}", hint="was it of a package that is gone?")
    return filled(found, given or {}, base)


def filled(found: Client, given: Mapping[str, str], base: str = "") -> Client:
    """A client with ``{host}`` and the like filled in, and its addresses moved. Raises InputError."""
    host = host_of(given.get("host") or "github.com")
    values = {"host": host, "api_host": f"api.{host}", "device_id": given.get("device_id", "")}
    values["version"] = __version__
    urls = {name: moved(_format(getattr(found, name), values), base) for name in _URLS if getattr(found, name)}
    headers = {name: _format(value, values) for name, value in found.headers.items()}
    return msgspec.structs.replace(found, client_id=given.get("client_id") or found.client_id, headers=headers, **urls)


def remembered(found: Client, given: Mapping[str, str]) -> dict[str, str]:
    """The metadata a credential needs so that ``client_of`` finds its client again. No secret is in it."""
    if found.id == CUSTOM:
        facts = {name: getattr(found, name) for name in _FACTS}
        return {"client": CUSTOM, **{name: value for name, value in facts.items() if value}}
    return {"client": found.id, **{name: given[name] for name in _REMEMBERED if given.get(name)}}


def client_of(
    credential: AnyCredential, provider: str, environ: Mapping[str, str], *, base_url: str = ""
) -> Client | None:
    """The client that refreshes and revokes a credential; None when nothing says which.

    It is the one the sign-in left in the credential's metadata, else the provider's first. A credential that belongs to another
    server (``base_url``) is never sent to the provider's: only a client that the sign-in found for itself knows where.
    Raises NotFound, InputError, NotReady.
    """
    metadata = credential.metadata
    base = endpoints(environ)
    if metadata.get("client") == CUSTOM:
        facts: dict[str, Any] = {name: metadata[name] for name in _FACTS if name in metadata}
        revoke = "standard" if facts.get("revoke_url") else "none"
        return msgspec.convert({"id": CUSTOM, "name": provider, "revoke": revoke, **facts}, Client)
    if base_url:
        return None
    if name := metadata.get("client"):
        return client(name, metadata, base)
    if not isinstance(credential, OAuth):
        return None
    first = next((c for c in registry().clients if provider in c.providers), None)
    return filled(first, {"host": host_in(metadata.get("enterpriseUrl", ""))}, base) if first else None


def secrets_of(credential: AnyCredential) -> dict[str, str]:
    """What a refresh or a revocation must send beside the token, and must not show: the client secret, if there is one."""
    secret = credential.extra.get("client_secret")
    return {"client_secret": secret} if isinstance(secret, str) and secret else {}


def leeway(found: Client | None, lifetime: int | None = None) -> int:
    """How long before a token's end it is refreshed, microseconds: at least ten minutes, at most three quarters of its life."""
    wanted = LEAST_LEEWAY
    if found is not None:
        wanted = max(wanted, found.leeway_s * SECOND, int(found.leeway_part * (lifetime or 0)))
    return min(wanted, lifetime * 3 // 4) if lifetime else wanted


def rotates(found: Client | None) -> bool:
    """Whether a refresh may spend the refresh token, so that it must have one owner. Unknown counts as yes."""
    return found is None or found.rotates != "no"


def endpoints(environ: Mapping[str, str]) -> str:
    """The base that addresses are moved to, or an empty text. Raises NotReady when it isn't on loopback."""
    base = environ.get(ENDPOINTS, "").rstrip("/")
    if base and not is_loopback_url(base):
        raise NotReady(f"{ENDPOINTS} is not a URL on loopback", hint="unset it: it is for tests and local brokers")
    return base


def moved(url: str, base: str) -> str:
    """An address on the server at ``base``; itself without one."""
    return f"{base}/{url.partition('://')[2]}" if base and url else url


def host_of(text: str) -> str:
    """Check a host name, maybe with a port. Raises InputError."""
    name = text.strip().lower()
    if not _HOST.fullmatch(name):
        raise InputError("that is not a host name", hint="write it as company.ghe.com, without https://")
    return name


def host_in(text: str) -> str:
    """The host of a URL, or of a text that is one already; an empty text for an empty one."""
    return (urlsplit(text).netloc if "://" in text else text.rstrip("/")).lower()


def _format(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
