"""The one gate to HTTP: one exchange over httpx, cut off in time. Nothing else in ``vault.providers`` imports httpx.

- TLS is verified. Plain http goes to this machine alone, and past every proxy, which would read what is sent.
- One request, one answer: a redirect is an answer. Whether it is followed is for the driver to say.
- The deadline holds for everything, a name lookup, a handshake and a dripping answer too: the exchange runs in a thread of its
  own, and when time is up its connection is cut.
- Whether the request was sent is known, not guessed: httpx reports the moment before the first byte leaves, and a request that
  was given up before that moment never leaves. Connections are not reused: a request on a stale one would be lost in doubt.
- An answer is read up to the request's limit, and never unpacked.
- What went wrong is told in words of our own, with a host's name: no path, header, body or exception of httpx.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vault.addresses import is_loopback_url
from vault.errors import InputError
from vault.parsing import parse_http_date
from vault.providers.steps import NoAnswer, Request, Response
from vault.providers.tokens import LONGEST_RETRY_AFTER, number
from vault.values import SECOND, Clock, Instant
from vault.version import __version__

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10.0


def check_url(url: str) -> str:
    """The URL, if a request or a browser may be sent there. Raises InputError, which shows only the host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("an address can't be understood", hint="write it as https://host/path") from None
    if not url.isascii() or not url.isprintable() or " " in url or not host:
        raise InputError("an address can't be understood", hint="write it as https://host/path")
    if "@" in parts.netloc:
        raise InputError(f"the address at {host} has a user name or a password in it", hint="leave them out")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback_url(url)):
        raise InputError(f"the address at {host} is not https", hint="only this machine is spoken to without TLS")
    return url


def exchange(request: Request, clock: Clock, seconds: float) -> Response | NoAnswer:
    """Send a request once; what a network does is an answer too. Raises InputError for one that may not or can't be sent."""
    check_url(request.url)
    if not all(value.isascii() and value.isprintable() for _, value in request.headers):
        raise InputError(
            f"the credential for {request.host} holds characters that can't be sent",
            hint="log in again with the key alone",
        )
    thread = _Exchange(request, clock, seconds)
    thread.start()
    try:
        if thread.done.wait(seconds):
            return thread.answer or NoAnswer(request.host, True, f"{request.host} could not be asked", clock.now())
    finally:
        sent = thread.give_up()
    return NoAnswer(request.host, sent, f"{request.host} gave no whole answer within {seconds:.3g} s", clock.now())


class _GivenUp(Exception):
    """Raised in the thread, so that a request that was given up is not sent."""


class _Exchange(threading.Thread):
    def __init__(self, request: Request, clock: Clock, seconds: float) -> None:
        super().__init__(daemon=True, name="vault-http")
        self.request, self.clock, self.seconds = request, clock, seconds
        self.done = threading.Event()
        self.answer: Response | NoAnswer | None = None
        self.lock = threading.Lock()
        self.begun = self.connecting = self.started = self.given_up = False
        self.wire: socket.socket | None = None

    def run(self) -> None:
        try:
            self.answer = self.talk()
        except Exception as error:  # noqa: BLE001 - whatever it was, what matters is whether the request was sent
            self.answer = NoAnswer(self.request.host, self.sent(), self.why(error), self.clock.now())
        finally:
            with self.lock:
                if self.wire is not None:
                    self.wire.close()
                self.wire = None
            self.done.set()

    def sent(self) -> bool:
        """Whether a byte may have left. Once httpx has the request, and as long as it reports nothing, the worse is assumed."""
        return self.started or (self.begun and not self.connecting)

    def give_up(self) -> bool:
        """Cut the exchange off if it is still going on; whether its request may have been sent."""
        with self.lock:
            self.given_up = True
            sent, connected = self.sent(), self.wire is not None
            self.cut()
        if connected and not self.done.is_set():
            self.join(1.0)
        return sent

    def cut(self) -> None:
        """End the connection now: whoever reads from it sees its end."""
        if self.wire is not None:
            with suppress(OSError):
                self.wire.shutdown(socket.SHUT_RDWR)

    def trace(self, name: str, info: dict[str, Any]) -> None:
        """What httpx reports: a connection, of which a second handle is kept, and the moment before the request's first byte."""
        with self.lock:
            self.connecting = True
            if name.endswith("connect_tcp.complete"):
                self.wire = info["return_value"].get_extra_info("socket").dup()
            if self.given_up:
                self.cut()
            if "send_request_headers.started" in name:
                if self.given_up:
                    raise _GivenUp
                self.started |= getattr(info.get("request"), "method", b"") != b"CONNECT"

    def talk(self) -> Response:
        import httpx

        wait = httpx.Timeout(self.seconds, connect=min(CONNECT_SECONDS, self.seconds))
        own = (("User-Agent", f"agent-vault/{__version__}"), ("Accept-Encoding", "identity"))
        asked = httpx.Request(
            self.request.method,
            self.request.url,
            headers=[*self.request.headers, *own],
            content=self.request.body or None,
            extensions={"timeout": wait.as_dict(), "trace": self.trace},
        )
        alone = httpx.Limits(max_keepalive_connections=0)
        with httpx.HTTPTransport(verify=_trust(), proxy=_proxy(self.request.url), limits=alone) as way:
            self.begun = True
            answer = way.handle_request(asked)
            try:
                return self.read(answer)
            finally:
                answer.close()

    def read(self, answer: httpx.Response) -> Response:
        body, broken, host, limit = bytearray(), "", self.request.host, self.request.limit
        try:
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > limit:
                    break
        except Exception as error:  # noqa: BLE001 - the status is known, and that is what matters now
            broken = self.why(error)
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            broken = broken or f"the answer of {host} is compressed, which was not asked for"
        longer = not broken and len(body) > limit
        at = self.clock.now()
        date = _moment(answer.headers.get("Date", ""))
        return Response(
            host=host,
            status=answer.status_code,
            at=at,
            body=b"" if broken else bytes(body[:limit]),
            content_type=answer.headers.get("Content-Type", ""),
            date=date,
            retry_after=_retry_after(answer.headers.get("Retry-After", ""), date or at),
            location=answer.headers.get("Location", ""),
            etag=answer.headers.get("ETag", ""),
            broken=f"the answer of {host} is larger than {limit // 1024} KiB" if longer else broken,
        )

    def why(self, error: BaseException) -> str:
        """What happened, in words of ours: those of httpx may hold a URL."""
        import httpx

        host, causes = self.request.host, _causes(error)
        if any(isinstance(e, ssl.SSLCertVerificationError) for e in causes):
            return f"the certificate of {host} is not trusted"
        if any(isinstance(e, ssl.SSLError) for e in causes) and not self.started:
            return f"no secure connection to {host} could be made"
        if any(isinstance(e, socket.gaierror) for e in causes):
            return f"the name {host} could not be found"
        if isinstance(error, httpx.ProxyError):
            return f"the proxy did not let a connection to {host} through"
        if not self.begun:
            return f"{host} could not be asked: is the proxy or the certificate file the environment names in order?"
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError) or not self.sent():
            return f"{host} could not be reached"
        if isinstance(error, httpx.TimeoutException):
            return f"{host} gave no whole answer within {self.seconds:.3g} s"
        return f"{host} broke off before its answer was whole"


@cache
def _trust() -> ssl.SSLContext:
    """Whom to trust: what httpx trusts by itself, SSL_CERT_FILE and SSL_CERT_DIR included. Made once: it takes 40 ms."""
    import httpx

    return httpx.create_ssl_context()


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _proxy(url: str) -> str | None:
    """The proxy the environment names for a URL; never one for this machine."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if is_loopback_url(url) or proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return (found if "://" in found else f"http://{found}") if found else None


def _moment(text: str) -> Instant | None:
    at = parse_http_date(text)
    return None if at is None else Instant(at)


def _retry_after(text: str, now: Instant) -> int | None:
    """How long to wait, microseconds, at most an hour; None when the header is missing or can't be understood."""
    text = text.strip()
    seconds = number(text)
    if seconds is not None:
        return int(min(seconds * SECOND, LONGEST_RETRY_AFTER)) if seconds >= 0 else None
    moment = _moment(text) if text else None
    return None if moment is None else min(max(moment - now, 0), LONGEST_RETRY_AFTER)
