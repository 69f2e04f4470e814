"""Signing in, refreshing and revoking, as generators without I/O. ``vault.providers.driver`` runs them.

``login_flow`` runs any method of kind browser, device, pkce_key, github_exchange, setup_token, url, discovery or plugin. What a
method needs and was not given is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from vault.addresses import is_loopback_url
from vault.errors import InputError, UsageError
from vault.providers.clients import Redirect, client, host_of
from vault.providers.flows.asking import SignedIn, Start, asked, nonce
from vault.providers.flows.browser import browser_flow, key_flow
from vault.providers.flows.device import device_flow
from vault.providers.flows.discovery import discover
from vault.providers.flows.github import copilot_exchange_flow, copilot_flow, copilot_reuse_flow
from vault.providers.flows.refresh import Revocation, refresh_flow, revoke_flow
from vault.providers.flows.setup_token import setup_token_flow
from vault.providers.flows.wellknown import wellknown_flow
from vault.providers.methods import FLOWS, Method
from vault.providers.plugins import plugins
from vault.providers.steps import Flow, tell
from vault.providers.tokens import visible

__all__ = [
    "Revocation",
    "SignedIn",
    "Start",
    "browser_flow",
    "copilot_exchange_flow",
    "copilot_flow",
    "copilot_reuse_flow",
    "device_flow",
    "discover",
    "key_flow",
    "login_flow",
    "refresh_flow",
    "revoke_flow",
    "setup_token_flow",
    "wellknown_flow",
]

_QUESTIONS = {
    "client_id": "Client id: ",
    "host": "Host (such as company.ghe.com): ",
    "issuer": "Issuer URL: ",
    "url": "URL: ",
}


def login_flow(method: Method, start: Start) -> Flow[SignedIn]:
    """Sign in by a method.

    Raises UsageError for a method that has no flow, SignInAgain when it was refused, TryAgain at a time-out or when the
    provider can't be reached, InputError for what can't be understood, Unavailable when a program is missing.
    """
    if method.kind not in FLOWS:
        raise UsageError(f"{method.label} is not a sign-in that can be run", hint="store the secret itself")
    if method.note:
        yield from tell(method.note)
    start = yield from _completed(method, start)
    match method.kind:
        case "plugin":
            signed: SignedIn = yield from plugins().sign_in[method.id](start)
            return signed
        case "setup_token":
            return (yield from setup_token_flow(start))
        case "url":
            return (yield from wellknown_flow(start.given["url"]))
        case "discovery":
            found = yield from discover(start.given["issuer"])
            found = msgspec.structs.replace(found, client_id=start.given["client_id"], redirect=_redirect(start))
            if method.id == "discovery-device":
                return (yield from device_flow(found, start))
            return (yield from browser_flow(found, start))
        case _:
            return (yield from _known(method, start))


def _known(method: Method, start: Start) -> Flow[SignedIn]:
    found = client(method.client, start.given, start.endpoints)
    if "device_id" in found.needs and not start.given.get("device_id"):
        start = replace(start, given={**start.given, "device_id": nonce(start.random)})
        found = client(method.client, start.given, start.endpoints)
    match method.kind:
        case "browser":
            return (yield from browser_flow(found, start))
        case "pkce_key":
            return (yield from key_flow(found, start))
        case "github_exchange":
            return (yield from copilot_flow(found, start))
        case _:
            return (yield from device_flow(found, start))


def _completed(method: Method, start: Start) -> Flow[Start]:
    """The start with every need of the method answered, by what was given or by asking."""
    given = {name: value for name, value in start.given.items() if value}
    for name in method.needs:
        if given.get(name):
            continue
        if name == "client_secret":
            found = client(method.client)
            yield from tell(f"{found.name} wants a client secret that vault can't ship: {found.secret_found}")
            given[name] = yield from asked("Client secret: ", _reader(method, name), hidden=True)
        else:
            given[name] = yield from asked(_QUESTIONS.get(name, f"{name}: "), _reader(method, name))
    if "host" in method.needs:
        given["host"] = host_of(given["host"].removeprefix("https://").rstrip("/"))
    return replace(start, given=given)


def _reader(method: Method, name: str) -> Callable[[str], str]:
    """Reads an answer to a need; raises InputError, which says what is expected, for one that can't be it."""

    def read(line: str) -> str:
        answer = line.strip()
        if not answer:
            raise InputError(f"{method.label} needs a {name.replace('_', ' ')}", hint="give it, or answer the question")
        if name == "host":
            return host_of(answer.removeprefix("https://").rstrip("/"))
        if not visible(answer) or (" " in answer and name != "client_secret"):
            raise InputError(f"that is no {name.replace('_', ' ')}", hint="it has no blanks and no special characters")
        if name in ("issuer", "url") and not (answer.startswith("https://") or is_loopback_url(answer)):
            raise InputError("that is not an https address", hint="write it as https://host/path")
        return answer

    return read


def _redirect(start: Start) -> Redirect:
    """Where a server found by discovery sends the browser: what the client was registered with, if that was given."""
    port = start.given.get("redirect_port", "")
    if port and not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise InputError("the redirect port is not a port number", hint="give a number from 1 to 65535")
    return Redirect(
        host="localhost" if start.given.get("redirect_host") == "localhost" else "127.0.0.1",
        path=start.given.get("redirect_path") or "/callback",
        ports=(int(port or 0),),
    )
