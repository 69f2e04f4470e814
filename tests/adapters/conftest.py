"""A server on loopback that takes some secrets and refuses others, and remembers the headers of each request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Gate:
    """``refused`` secrets get 401; ``status`` is what the others get; ``seen`` are the headers of the requests, lower case."""

    url: str = ""
    refused: set[str] = field(default_factory=set)
    status: int = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def gate() -> Iterator[Gate]:
    with _serving() as one:
        yield one


@pytest.fixture
def other_gate() -> Iterator[Gate]:
    with _serving() as one:
        yield one


@contextmanager
def _serving() -> Iterator[Gate]:
    gate = Gate()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            gate.seen.append(headers)
            refused = any(secret in " ".join(headers.values()) for secret in gate.refused)
            self.send_response(401 if refused else gate.status)
            for name, value in gate.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gate.url = f"http://127.0.0.1:{server.server_address[1]}/v1/models"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield gate
    server.shutdown()
    server.server_close()
    thread.join()
