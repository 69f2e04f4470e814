"""A model server on loopback that records what the real tools send: method, path, headers, body.

    python -m tests.interop.recorder [--port N] [--refuse TOKEN]...     prints {"url": …}, then each request as a JSON line

In a test: the fixture ``recorder``, or ``with Recorder() as server``. ``server.refuse("token")`` makes requests with that token
get 401 from then on, ``server.wait(3)`` waits for the third request, ``server.sent()`` are the credentials in the order they
came. ``server.answers`` is asked first, so that a test can answer what no model API does. After ``cap`` requests everything
gets 429, so that a tool that loops ends.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.interop.answers import Answer, denied, model_answer, of

CAP = 300
PATIENCE = 120.0
KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key", "x-auth-token", "private-token")


@dataclass(frozen=True)
class Recorded:
    """One request. Header names are lower case; ``path`` has its query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def place(self) -> str:
        """The path without its query."""
        return urlsplit(self.path).path

    @property
    def json(self) -> dict[str, Any]:
        """The body, when it is a JSON object; else nothing."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def credentials(self) -> dict[str, str]:
        """The credentials it carries, by where: ``authorization`` without its scheme, a key header, ``?key``.

        For Basic it is ``name:password``.
        """
        found = {name: self.headers[name] for name in KEY_HEADERS if self.headers.get(name)}
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if value := value.strip() or scheme:
            found["authorization"] = _basic(value) if scheme.lower() == "basic" else value
        for value in parse_qs(urlsplit(self.path).query).get("key", ()):
            found["?key"] = value
        return found

    @property
    def secret(self) -> str:
        """The one credential it carries, or nothing. A request with two that differ is an AssertionError."""
        found = set(self.credentials.values())
        assert len(found) <= 1, f"{self.method} {self.place} carries {len(found)} different credentials"
        return found.pop() if found else ""

    @property
    def is_model(self) -> bool:
        """Whether it asks a model for something."""
        verbs = ("generateContent", "streamGenerateContent")
        return self.method == "POST" and (
            self.place.endswith(("/chat/completions", "/responses", "/messages")) or self.place.endswith(verbs)
        )


Responder = Callable[[Recorded], Answer | None]


class Recorder:
    """The server, in threads of its own. ``url`` is its base, without a slash; use it in a ``with`` statement."""

    def __init__(self, port: int = 0, cap: int = CAP) -> None:
        self.cap = cap
        self.answers: list[Responder] = []
        self.on_request: Callable[[Recorded], None] | None = None
        self._requests: list[Recorded] = []
        self._refused: set[str] = set()
        self._changed = threading.Condition()
        self._http = _Quiet(("127.0.0.1", port), type("Handler", (_Handler,), {"recorder": self}))
        self.port: int = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def requests(self) -> list[Recorded]:
        """All requests so far."""
        with self._changed:
            return list(self._requests)

    @property
    def model_requests(self) -> list[Recorded]:
        """Those that ask a model for something."""
        return [request for request in self.requests if request.is_model]

    def sent(self) -> list[str]:
        """The credential of each request to a model, in order; empty for a request without one."""
        return [request.secret for request in self.model_requests]

    def refuse(self, *tokens: str) -> None:
        """From now on, 401 for requests with one of these tokens."""
        with self._changed:
            self._refused |= set(tokens)

    def accept(self, *tokens: str) -> None:
        """No longer 401 for these."""
        with self._changed:
            self._refused -= set(tokens)

    def clear(self) -> None:
        """Forget the requests so far; what is refused stays refused."""
        with self._changed:
            self._requests.clear()

    def wait(self, count: int, patience: float = PATIENCE, *, models: bool = True) -> list[Recorded]:
        """Wait for ``count`` requests (to a model, or any) and give them. Raises AssertionError after ``patience`` seconds."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self._seen(models)) >= count, patience)
            seen = self._seen(models)
        assert arrived, f"{len(seen)} of {count} requests came in {patience} seconds"
        return seen

    def answer(self, request: Recorded) -> Answer:
        """Record a request and answer it."""
        with self._changed:
            self._requests.append(request)
            number, refused = len(self._requests), set(self._refused)
            self._changed.notify_all()
        if self.on_request is not None:
            self.on_request(request)
        if number > self.cap:
            return of({"error": {"message": "too many requests for a test", "type": "rate_limit_error"}}, 429)
        for responder in self.answers:
            if (answer := responder(request)) is not None:
                return answer
        if refused & {part for value in request.credentials.values() for part in (value, *value.split(":"))}:
            return denied()
        return model_answer(request.method, request.place, request.json) or of({})

    def _seen(self, models: bool) -> list[Recorded]:
        return [request for request in self._requests if request.is_model or not models]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A recorder of this test's own."""
    with Recorder() as server:
        yield server


def _basic(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    recorder: Recorder
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.recorder.answer(Recorded(self.command, self.path, headers, self._body()))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in (answer.headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def main(words: list[str]) -> None:
    """Serve until the program is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.recorder")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--refuse", action="append", default=[], metavar="TOKEN")
    given = parser.parse_args(words)

    def show(request: Recorded) -> None:
        shown = {"method": request.method, "path": request.path, "headers": request.headers}
        print(json.dumps(shown | {"body": request.body.decode("utf-8", "replace")}), flush=True)

    server = Recorder(given.port)
    server.on_request = show
    server.refuse(*given.refuse)
    with server:
        print(json.dumps({"url": server.url}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
