"""One GET over httpx, for probes and for the catalogue: bounded in time and size, and careful where it goes.

TLS is verified; plain http goes to loopback alone, and past any proxy, which would otherwise read the credential. A redirect is
followed only when the caller allows some, never with a credential, and never from https to http. The deadline covers the whole
exchange: when it is over, the connection is cut. What goes wrong is told without the URL's path, a header or a body.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from vault.errors import InputError, TryAgain
from vault.values import Secret
from vault.version import __version__

_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body`` is at most as long as was asked for; ``cut`` says that there was more."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    cut: bool = False


def check_url(url: str) -> str:
    """The URL, if a request may go there: https, or http to this machine, no name or password in it. Raises InputError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("that is not a URL", hint="write it like https://host/path") from None
    if parts.scheme not in ("https", "http") or not host or any(not c.isprintable() or c == " " for c in url):
        raise InputError("that is not a URL", hint="write it like https://host/path")
    if "@" in parts.netloc:
        raise InputError("the URL holds a user name or a password", hint="leave it out")
    if parts.scheme == "http" and not on_loopback(url):
        raise InputError(f"plain http to {host} is refused", hint="use https; http is for this machine alone")
    return url


def on_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())


def get(
    url: str,
    headers: Mapping[str, str],
    *,
    secret: tuple[str, str, Secret] | None = None,
    seconds: float,
    limit: int,
    redirects: int = 0,
) -> Answer:
    """GET a URL. ``secret`` is (header, text before it, the credential); ``limit`` is in bytes.

    Raises InputError for a URL that may not be asked, TryAgain when no whole answer came in time.
    """
    if secret is not None and redirects:
        raise InputError("a redirect is never followed with a credential")
    for _ in range(redirects + 1):
        answer = _one(check_url(url), headers, secret, seconds, limit)
        onward = answer.headers.get("location", "")
        if answer.status not in _REDIRECTS or not redirects or not onward:
            return answer
        there = urljoin(url, onward)
        if urlsplit(url).scheme == "https" and urlsplit(there).scheme != "https":
            raise InputError(f"{_host(url)} redirects from https to plain http", hint="check the URL")
        url = there
    raise TryAgain(f"{_host(url)} redirects without end", hint="check the URL")


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the server"


def _one(
    url: str, headers: Mapping[str, str], secret: tuple[str, str, Secret] | None, seconds: float, limit: int
) -> Answer:
    """Run the request in a thread, so that a deadline holds even while a name is being looked up."""
    sent = {"user-agent": f"agent-vault/{__version__}", "accept": "application/json", "accept-encoding": "identity"}
    sent.update(headers)
    if secret is not None:
        name, before, value = secret
        sent[name] = before + value.reveal()
    if not all(text.isascii() and text.isprintable() for text in sent.values()):
        raise InputError("the credential holds characters that can't be sent", hint="log in again with the key alone")
    wire = _Wire()
    outcome: list[Answer | TryAgain] = []
    worker = threading.Thread(
        target=lambda: outcome.append(_exchange(url, sent, seconds, limit, wire)), daemon=True, name="vault-web"
    )
    worker.start()
    worker.join(seconds)
    if worker.is_alive():
        wire.cut()
        worker.join(1)
        raise TryAgain(f"{_host(url)} did not answer within {seconds:.0f} seconds", hint="try again")
    found = outcome[0]
    if isinstance(found, TryAgain):
        raise found
    return found


class _Wire:
    """The connection of one request, kept so that it can be cut from outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._over = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx tells what happens on its connection; keep a second handle on the socket."""
        if event == "connection.connect_tcp.complete":
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket").dup()
                if self._over:
                    self._shut(self._socket)

    def cut(self) -> None:
        """End the connection now: whoever reads from it sees its end."""
        with self._lock:
            self._over = True
            if self._socket is not None:
                self._shut(self._socket)

    def close(self) -> None:
        """Give the handle back."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = None

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _exchange(url: str, headers: Mapping[str, str], seconds: float, limit: int, wire: _Wire) -> Answer | TryAgain:
    import httpx

    try:
        with (
            httpx.Client(timeout=seconds, trust_env=urlsplit(url).scheme == "https", follow_redirects=False) as client,
            client.stream("GET", url, headers=dict(headers), extensions={"trace": wire.trace}) as response,
        ):
            body, cut = b"", False
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > limit:
                    body, cut = body[:limit], True
                    break
            return Answer(response.status_code, dict(response.headers), body, cut)
    except httpx.TimeoutException:
        return TryAgain(f"{_host(url)} did not answer in time", hint="try again")
    except httpx.ConnectError as error:
        return _unreachable(url, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it may hold the request
        return TryAgain(f"{_host(url)} broke off ({type(error).__name__})", hint="try again")
    finally:
        wire.close()


def _unreachable(url: str, error: BaseException) -> TryAgain:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return TryAgain(f"the certificate of {_host(url)} can't be verified", hint="check the network, or a proxy")
        seen = seen.__cause__ or seen.__context__
    return TryAgain(f"{_host(url)} can't be reached", hint="check the network")
