"""``vault.auth``: an ``httpx.Auth`` that puts the right header on a request, and tells the vault how it went.

    client = httpx.Client(base_url="https://api.anthropic.com", auth=vault.auth("anthropic", agent="main"))

The vault is opened at the first request and stays open. A secret is handed out once a minute at most, or when it changes, so that
the history is not a list of requests. After a 401 the tokens are refreshed, or another profile is chosen, and the request is sent
once more if that gave another secret. Failures are reported, and the success that ends them; the plain ones aren't.

A credential goes to its server alone: the one it belongs to, else the provider's own, or the one named by ``base_url``; and to
this machine. Where nobody knows a provider's address, the first that is asked is its server from then on. Over plain http it
goes to this machine, or to a server that was named so. httpx takes Authorization off when a redirect leaves the host, and
x-api-key it doesn't: such a request is stopped before it is sent.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from functools import partial
from typing import Any

import anyio.to_thread
import httpx

from vault.addresses import is_loopback_url
from vault.api import Vault, open_vault
from vault.commands.issue import Issued
from vault.errors import InputError, VaultError
from vault.parsing import parse_http_date, whole_number
from vault.providers.base_urls import has_own, is_own, origin
from vault.providers.headers import ANTHROPIC_BETA, OURS, headers_of
from vault.values import SECOND

HOLD_SECONDS = 60.0
REFUSED = 401
_FAILURES = {
    401: "auth",
    403: "auth",
    402: "billing",
    408: "timeout",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}


class VaultAuth(httpx.Auth):
    """Made by ``auth``. May be shared by clients and threads; ``close`` closes the vault it opened."""

    def __init__(
        self,
        what: str,
        open_one: Callable[[], Vault],
        *,
        hold: float = HOLD_SECONDS,
        tick: Callable[[], float] = time.monotonic,
        base_url: str = "",
    ) -> None:
        self._what = what
        self._named = origin(base_url) if base_url else None
        self._first: tuple[str, str] | None = None
        self._open = open_one
        self._hold = hold
        self._tick = tick
        self._turn = threading.RLock()
        self._vault: Vault | None = None
        self._issued: Issued | None = None
        self._until = 0.0
        self._failing: set[str] = set()

    def __repr__(self) -> str:
        return f"<vault auth for {self._what}>"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """httpx asks for the request's headers here, and again with the response."""
        issued = self._credential()
        response = yield self._with(request, issued)
        if response.status_code == REFUSED:
            other = self._instead(issued)
            if other is not None:
                issued = other
                response = yield self._with(request, issued)
        self._note(issued, response)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The same for an asynchronous client: the vault is asked in a thread."""
        issued = await anyio.to_thread.run_sync(self._credential)
        response = yield self._with(request, issued, waiting=True)
        if response.status_code == REFUSED:
            other = await anyio.to_thread.run_sync(partial(self._instead, issued))
            if other is not None:
                issued = other
                response = yield self._with(request, issued, waiting=True)
        await anyio.to_thread.run_sync(partial(self._note, issued, response))

    def _with(self, request: httpx.Request, issued: Issued, *, waiting: bool = False) -> httpx.Request:
        """The request with its headers, stopped if a redirect leads it elsewhere. Raises InputError for another server."""
        if not self._may_go(str(request.url), issued):
            raise _stopped(request.url.host, issued)
        with self._turn:
            self._first = self._first or origin(_bare(str(request.url)))
        sent = _with(request, issued)
        look = partial(self._look, issued=issued, then=request.extensions.get("trace"))
        request.extensions = {**request.extensions, "trace": partial(_waiting, look) if waiting else look}
        return sent

    def _look(self, name: str, info: Mapping[str, Any], *, issued: Issued, then: Any) -> Any:
        """What httpx reports of each request, those of redirects among them, before its first byte is sent."""
        asked = info.get("request") if name.endswith("send_request_headers.started") else None
        if asked is not None and asked.method != b"CONNECT" and _carries(asked, issued.secret.reveal()):
            url = asked.url
            there = url.target if url.target.startswith(b"http") else bytes(url)
            if not self._may_go(there.decode("latin-1"), issued):
                raise _stopped(url.host.decode("latin-1"), issued)
        return then(name, info) if then is not None else None

    def _may_go(self, url: str, issued: Issued) -> bool:
        """Whether a credential may be sent to an address."""
        try:
            bare = _bare(url)
            there = origin(bare)
            if self._named is not None or issued.base_url:
                wanted = (self._named, origin(issued.base_url) if issued.base_url else None)
                return there in wanted or (not issued.base_url and is_own(issued.provider, bare))
            if is_loopback_url(bare) or is_own(issued.provider, bare):
                return True
            return there[0] == "https" and not has_own(issued.provider) and there == (self._first or there)
        except InputError:
            return False

    def close(self) -> None:
        """Close the vault, and forget the secret."""
        with self._turn:
            if self._vault is not None:
                self._vault.close()
            self._vault = self._issued = None

    def _credential(self) -> Issued:
        with self._turn:
            if self._issued is None or self._tick() >= self._until:
                return self._ask()
            return self._issued

    def _ask(self) -> Issued:
        if self._vault is None:
            self._vault = self._open()
        self._issued = self._vault.credential(self._what, program="httpx")
        self._until = self._tick() + self._hold
        return self._issued

    def _instead(self, refused: Issued) -> Issued | None:
        """Another secret after a 401: refreshed, or another profile's; None when there is no other."""
        with self._turn:
            if self._issued is not None and self._issued.secret.reveal() != refused.secret.reveal():
                return self._issued
            try:
                if self._vault is not None and refused.profile and not self._vault.refresh(refused.profile):
                    self._vault.report(refused.profile, failure="auth")
                    self._failing.add(refused.profile)
                found = self._ask()
            except VaultError:
                return None
            return found if found.secret.reveal() != refused.secret.reveal() else None

    def _note(self, issued: Issued, response: httpx.Response) -> None:
        """Report a failure, and the success that ends one. What can't be reported is let go: the response counts."""
        failure = _FAILURES.get(response.status_code, "unknown" if response.status_code >= 500 else "")
        with self._turn:
            if not issued.profile or self._vault is None:
                return
            try:
                if failure:
                    until = _retry_at(response, self._vault.now()) if failure in ("rate_limit", "overloaded") else None
                    self._vault.report(issued.profile, failure=failure, until=until)
                    self._failing.add(issued.profile)
                    self._until = 0.0
                elif issued.profile in self._failing and response.is_success:
                    self._vault.report(issued.profile)
                    self._failing.discard(issued.profile)
            except VaultError:
                return


def auth(
    what: str,
    *,
    agent: str = "",
    path: str | None = None,
    vault: Vault | None = None,
    hold: float = HOLD_SECONDS,
    base_url: str = "",
) -> VaultAuth:
    """An ``httpx.Auth`` for a provider or a profile (``provider:name``), as an agent (VAULT_AGENT, else main).

    ``path`` is the vault's file if not the usual one, or ``vault`` one that is open; ``hold`` is how many seconds a secret is
    used before the vault is asked again. ``base_url`` is a server that the provider's credential may be sent to beside its own, a
    gateway of one's own for example. A request raises what opening and handing out raise (NotFound, SignInAgain, Locked, …), and
    InputError where it, or a redirect, leads to another server.
    """
    if vault is not None:
        return VaultAuth(what, lambda: vault, hold=hold, base_url=base_url)
    return VaultAuth(what, partial(open_vault, path, agent=agent), hold=hold, base_url=base_url)


def _bare(url: str) -> str:
    """An address without what follows its path."""
    return url.partition("?")[0].partition("#")[0]


def _carries(asked: Any, secret: str) -> bool:
    held = secret.encode()
    return any(name.decode("latin-1").lower() in OURS and held in value for name, value in asked.headers)


async def _waiting(look: Callable[..., Any], name: str, info: Mapping[str, Any]) -> None:
    done = look(name, info)
    if inspect.isawaitable(done):
        await done


def _stopped(host: str, issued: Issued) -> InputError:
    where = issued.base_url or f"{issued.provider}'s own server"
    return InputError(
        f"the request goes to {host}, and the credential of {issued.provider} belongs to {where}",
        hint="name a server that it may go to as well: vault.auth(…, base_url=URL)",
    )


def _with(request: httpx.Request, issued: Issued) -> httpx.Request:
    for name in OURS:
        request.headers.pop(name, None)
    found = headers_of(issued.provider, issued.kind, issued.secret.reveal())
    if not all(value.isascii() and value.isprintable() for value in found.values()):
        raise InputError("the credential holds characters that can't be sent", hint="log in again with the key alone")
    beta = found.pop("anthropic-beta", "")
    if beta:
        there = [b.strip() for b in request.headers.get("anthropic-beta", "").split(",") if b.strip()]
        request.headers["anthropic-beta"] = ",".join(dict.fromkeys([*there, ANTHROPIC_BETA]))
    request.headers.update(found)
    return request


def _retry_at(response: httpx.Response, now: int) -> int | None:
    """When the provider wants to be asked again (RFC 9110, 10.2.3), microseconds UTC."""
    said = response.headers.get("retry-after", "").strip()
    seconds = whole_number(said, 9)
    return now + seconds * SECOND if seconds is not None else parse_http_date(said)
