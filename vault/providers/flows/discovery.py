"""Any OAuth server by its metadata: RFC 8414, else OpenID Connect Discovery.

The document must name the issuer that was asked for, or another server's endpoints could be slipped in. Its endpoints may be on
other hosts, but only by https; by plain http only where the issuer is on loopback too.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from vault.addresses import is_loopback_url
from vault.errors import InputError, TryAgain
from vault.providers.clients import CUSTOM, Client
from vault.providers.flows.asking import get
from vault.providers.steps import Flow, fetch
from vault.providers.tokens import fields_of

_OAUTH, _OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


def discover(issuer: str) -> Flow[Client]:
    """The client of a server found by its issuer, without a client id yet.

    Raises InputError when there is no document or it can't be trusted, TryAgain when the server can't be reached.
    """
    issuer = issuer.rstrip("/")
    parts = urlsplit(issuer)
    origin = f"{parts.scheme}://{parts.netloc}"
    for url in dict.fromkeys((f"{origin}{_OAUTH}{parts.path}", f"{issuer}{_OPENID}", f"{issuer}{_OAUTH}")):
        answer = yield from fetch(get(url, redirects=3))
        if answer.status >= 500 or answer.status == 429:
            raise TryAgain(f"{answer.host} answered with status {answer.status}", hint="try again later")
        document = fields_of(answer)
        if answer.status == 200 and document is not None:
            return _client(issuer, document)
    raise InputError(
        f"{parts.hostname} publishes no OAuth metadata", hint="check the issuer: it is the URL its documentation names"
    )


def _client(issuer: str, document: dict[str, Any]) -> Client:
    host = urlsplit(issuer).hostname or ""
    named = document.get("issuer")
    if not isinstance(named, str) or named.rstrip("/") != issuer:
        raise InputError(
            f"the metadata at {host} is another issuer's", hint="use the issuer exactly as it names itself"
        )
    challenges = document.get("code_challenge_methods_supported")
    if isinstance(challenges, list) and "S256" not in challenges:
        raise InputError(f"{host} does not support PKCE with S256", hint="such a server can't be signed in to safely")
    urls = {
        ours: _endpoint(document.get(theirs), theirs, issuer)
        for ours, theirs in (
            ("authorize_url", "authorization_endpoint"),
            ("token_url", "token_endpoint"),
            ("device_url", "device_authorization_endpoint"),
            ("revoke_url", "revocation_endpoint"),
        )
    }
    if not urls["token_url"]:
        raise InputError(f"the metadata at {host} names no token endpoint")
    accepted = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Client(
        id=CUSTOM,
        name=host,
        issuer=issuer,
        flows=tuple(flow for flow, name in (("browser", "authorize_url"), ("device", "device_url")) if urls[name]),
        auth="post" if "client_secret_post" in accepted else "basic",
        revoke="standard" if urls["revoke_url"] else "none",
        authorize_url=urls["authorize_url"],
        token_url=urls["token_url"],
        device_url=urls["device_url"],
        revoke_url=urls["revoke_url"],
    )


def _endpoint(value: object, name: str, issuer: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise InputError(f"the metadata's {name} is not a URL")
    if not value.startswith("https://") and not (is_loopback_url(value) and is_loopback_url(issuer)):
        raise InputError(f"the metadata's {name} is not an https address")
    return value
