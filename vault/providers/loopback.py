"""The redirect of a sign-in: a one-shot HTTP server on loopback, and a pasted answer beside it.

It listens on 127.0.0.1, and on ::1 at the same port where that is free, and nowhere else. Only a GET of the right path with the
right state ends the waiting; anything else is answered and forgotten, so another page or program can't end a sign-in. A request
whose Host is not this machine's is refused (DNS rebinding). Queries are never logged: they hold the code.
"""

from __future__ import annotations

import hmac
import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from vault.providers.steps import Pasted, Redirected

Paste = Callable[[str, Callable[[], bool]], str | None]

LARGEST_TARGET = 8192
IDLE_SECONDS = 10.0

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font-family: sans-serif; margin: 4em auto; max-width: 32em"><h1>{title}</h1><p>{text}</p></body></html>
"""
_PAGES = {
    "arrived": (
        "The answer has arrived",
        "Go back to the terminal, which finishes the sign-in. You may close this page.",
    ),
    "refused": ("The sign-in was refused", "The terminal says more. You may close this page."),
    "other": ("Not the answer that is waited for", "This address belongs to another sign-in, or to none."),
}


class Listener:
    """A listener for one redirect. Close it, or use it in a ``with`` statement. Raises OSError when no port can be had."""

    def __init__(self, ports: Sequence[int], path: str, state: str, host: str = "127.0.0.1") -> None:
        self.path, self.state = path, state
        self.arrivals: queue.SimpleQueue[Redirected | Pasted | None] = queue.SimpleQueue()
        self.servers = _bound(ports, self, both=host == "localhost")
        self.port: int = self.servers[0].server_address[1]
        self.stopped = threading.Event()
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True, name="vault-redirect").start()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self.stopped.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers = []

    def receive(self, seconds: float, prompt: str = "", paste: Paste | None = None) -> Redirected | Pasted | None:
        """What arrives first, the redirect or what is pasted; None after so many seconds."""
        return _first(self.arrivals, seconds, prompt, paste)

    def judge(self, target: str, host: str) -> tuple[int, str]:
        """The status and page for a request; the right redirect is passed on."""
        parts = urlsplit(target)
        names = {f"{name}:{self.port}" for name in ("localhost", "127.0.0.1", "[::1]")}
        if host.lower() not in names or parts.path != self.path or len(target) > LARGEST_TARGET:
            return 404, "other"
        try:
            query = dict(parse_qsl(parts.query, max_num_fields=50))
        except ValueError:
            return 400, "other"
        if not hmac.compare_digest(query.get("state", "").encode(errors="replace"), self.state.encode()):
            return 400, "other"
        self.arrivals.put(Redirected(query))
        return 200, "refused" if query.get("error") else "arrived"


def receive_pasted(seconds: float, prompt: str, paste: Paste | None) -> Pasted | None:
    """What is pasted, where nothing can be listened to; None after so many seconds, at once when nobody can paste."""
    if paste is None:
        return None
    arrived = _first(queue.SimpleQueue(), seconds, prompt, paste)
    return arrived if isinstance(arrived, Pasted) else None


def read_line(descriptor: int, stopped: Callable[[], bool]) -> str | None:
    """A line from a terminal, or None once ``stopped`` says so, at its end, or where a terminal can't be waited for.

    What was typed without an end of line when it stopped is dropped, so that the next question doesn't get it.
    """
    if os.name == "nt":
        return None
    import select
    import termios

    while not stopped():
        ready, _, _ = select.select([descriptor], [], [], 0.1)
        if ready:
            line = os.read(descriptor, 16 * 1024)
            return line.decode("utf-8", "replace").strip() if line else None
    with suppress(termios.error):
        termios.tcflush(descriptor, termios.TCIFLUSH)
    return None


def _first(
    arrivals: queue.SimpleQueue[Redirected | Pasted | None], seconds: float, prompt: str, paste: Paste | None
) -> Redirected | Pasted | None:
    done = threading.Event()
    reader = threading.Thread(target=_read, args=(arrivals, prompt, paste, done), daemon=True, name="vault-paste")
    if paste is not None:
        reader.start()
    try:
        return arrivals.get(timeout=seconds)
    except queue.Empty:
        return None
    finally:
        done.set()
        if paste is not None:
            reader.join(1.0)


def _read(
    arrivals: queue.SimpleQueue[Redirected | Pasted | None], prompt: str, paste: Paste, done: threading.Event
) -> None:
    while (text := paste(prompt, done.is_set)) is not None and not done.is_set():
        if text:  # an empty line is nothing, and the next one may be the answer
            arrivals.put(Pasted(text))
            return


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_SECONDS
    server_version = "vault"
    sys_version = ""
    listener: Listener

    def do_GET(self) -> None:
        status, page = self.listener.judge(self.path, self.headers.get("Host", ""))
        title, text = _PAGES[page]
        body = _PAGE.format(title=title, text=text).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the request line holds the code."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name != "nt"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about a connection that broke."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _bound(ports: Sequence[int], listener: Listener, *, both: bool) -> list[_Server]:
    """Servers on the first port that is free. ``both``: prefer one that is free on ::1 too, where "localhost" may lead."""
    handler = type("Handler", (_Handler,), {"listener": listener})
    failure = OSError("no port was named")
    fallback: list[_Server] = []
    for port in ports:
        try:
            first = _Server(("127.0.0.1", port), handler)
        except OSError as error:
            failure = error
            continue
        try:
            second = _Server6(("::1", first.server_address[1]), handler)
        except OSError as error:
            taken = error.errno is not None and socket.has_ipv6 and "in use" in (error.strerror or "").lower()
            if both and taken and not fallback:
                fallback = [first]
                continue
            return [first]
        for server in fallback:
            server.server_close()
        return [first, second]
    if fallback:
        return fallback
    raise failure
