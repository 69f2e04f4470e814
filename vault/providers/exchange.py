"""One HTTP exchange over httpx, cut off in time. The driver's other half, and the only module of a sign-in that imports httpx.

It runs in a thread of its own, because no time-out of a socket bounds a name lookup or an answer that drips. When time is up the
exchange is given up under a lock: either its first byte had left by then and it counts as sent, or it never leaves. Connections
are not reused: a request on a stale one would be lost in doubt.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from vault.providers.clients import is_loopback
from vault.providers.steps import NoAnswer, Request, Response
from vault.providers.tokens import LONGEST_RETRY_AFTER
from vault.values import SECOND, Clock, Instant
from vault.version import __version__

if TYPE_CHECKING:
    import httpx

LARGEST_BODY = 1024 * 1024
CONNECT_SECONDS = 10.0


def exchange(request: Request, clock: Clock, seconds: float) -> Response | NoAnswer:
    """Send a request once. What went wrong is an answer too; nothing is raised but an interruption."""
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
        self.connecting = self.started = self.given_up = False
        self.stream: Any = None

    def run(self) -> None:
        try:
            self.answer = self.talk()
        except Exception as error:  # noqa: BLE001 - whatever it was, what matters is whether the request was sent
            self.answer = NoAnswer(self.request.host, self.sent(), self.why(error), self.clock.now())
        finally:
            self.done.set()

    def sent(self) -> bool:
        """Whether a byte may have left. Without any report from httpx the worse is assumed."""
        return self.started or not self.connecting

    def give_up(self) -> bool:
        """Cut the exchange off if it is still going on; whether its request may have been sent."""
        with self.lock:
            self.given_up = True
            sent = self.sent()
        if not self.done.is_set() and self.stream is not None:
            with suppress(Exception):
                self.stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            self.join(1.0)
        return sent

    def trace(self, name: str, info: dict[str, Any]) -> None:
        """What httpx reports: the moment before connecting, and the moment before the request's first byte."""
        with self.lock:
            self.connecting = True
            if hasattr(info.get("return_value"), "get_extra_info"):
                self.stream = info["return_value"]
            if "send_request_headers.started" in name:
                if self.given_up:
                    raise _GivenUp
                self.started |= getattr(info.get("request"), "method", b"") != b"CONNECT"

    def talk(self) -> Response:
        import httpx

        wait = httpx.Timeout(self.seconds, connect=min(CONNECT_SECONDS, self.seconds))
        asked = httpx.Request(
            self.request.method,
            self.request.url,
            headers=[
                *self.request.headers,
                ("User-Agent", f"agent-vault/{__version__}"),
                ("Accept-Encoding", "identity"),
            ],
            content=self.request.body or None,
            extensions={"timeout": wait.as_dict(), "trace": self.trace},
        )
        alone = httpx.Limits(max_keepalive_connections=0)
        with httpx.HTTPTransport(verify=_trust(), proxy=_proxy(self.request.url), limits=alone) as way:
            answer = way.handle_request(asked)
            try:
                return self.read(answer)
            finally:
                answer.close()

    def read(self, answer: httpx.Response) -> Response:
        body, broken, host = bytearray(), "", self.request.host
        try:
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > LARGEST_BODY:
                    broken = f"the answer of {host} is larger than {LARGEST_BODY // 1024} KiB"
                    break
        except Exception as error:  # noqa: BLE001 - the status is known, and that is what matters now
            broken = self.why(error)
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            broken = broken or f"the answer of {host} is compressed, which was not asked for"
        at = self.clock.now()
        date = _moment(answer.headers.get("Date", ""))
        return Response(
            host=host,
            status=answer.status_code,
            at=at,
            body=b"" if broken else bytes(body),
            content_type=answer.headers.get("Content-Type", ""),
            date=date,
            retry_after=_retry_after(answer.headers.get("Retry-After", ""), date or at),
            location=answer.headers.get("Location", ""),
            broken=broken,
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
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return (found if "://" in found else f"http://{found}") if found else None


def _moment(text: str) -> Instant | None:
    try:
        return Instant(int(parsedate_to_datetime(text).timestamp()) * SECOND)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _retry_after(text: str, now: Instant) -> int | None:
    """How long to wait, microseconds, at most an hour; None when the header is missing or can't be understood."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * SECOND, LONGEST_RETRY_AFTER)
    moment = _moment(text) if text else None
    return None if moment is None else min(max(moment - now, 0), LONGEST_RETRY_AFTER)
