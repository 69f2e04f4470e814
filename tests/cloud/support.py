"""Files in memory, and a loopback server that answers as it is told and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vault.providers.cloud.aws import BedrockSettings, resolve_bedrock
from vault.providers.cloud.modes import CloudMode, Problem
from vault.values import Instant

HOME = Path("/home/fake")
NOW = Instant(1_767_225_600_000_000)
REGION = {"AWS_REGION": "eu-west-1"}
PAIR = {"AWS_ACCESS_KEY_ID": "fake-access-key-id-0001", "AWS_SECRET_ACCESS_KEY": "fake-secret-access-key-1"}


def files(contents: Mapping[str | Path, str] | None = None) -> Callable[[Path], str | None]:
    """A reader over files in memory; a relative name is one in the home folder."""
    held = {HOME / name: text for name, text in (contents or {}).items()}
    return held.get


def bedrock(
    environ: Mapping[str, str],
    contents: Mapping[str | Path, str] | None = None,
    *,
    stored: bool = False,
    now: int = NOW,
    **settings: str,
) -> CloudMode:
    """Resolve Bedrock over files in memory."""
    made = BedrockSettings(**settings)
    return resolve_bedrock(made, environ, HOME, stored_token=stored, reader=files(contents), now=now)


def codes(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.code for problem in problems]


def reason(mode: CloudMode, what: str) -> str:
    """The code of the one reason about a source."""
    (found,) = [r.code for r in mode.reasons if r.what == what]
    return found


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str

    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body).items()}


@dataclass
class Answer:
    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """Where the server listens, what it was asked, and the gate that holds an answer back."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(answer: Callable[[Asked], Answer], tls: Any = None) -> Iterator[Server]:
    """A server on loopback. ``answer`` decides; its body is text, or anything to be sent as JSON."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, body)
            server.asked.append(asked)
            given = answer(asked)
            text = given.body if isinstance(given.body, str) else json.dumps(given.body)
            self.send_response(given.status)
            for name, value in {"Content-Type": "application/json", **given.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    server = Server(f"{scheme}://127.0.0.1:{listener.server_address[1]}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        listener.shutdown()
        thread.join()
        listener.server_close()
