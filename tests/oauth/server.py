"""A real authorization server on loopback, for tests: in a thread of the test, or as a program of its own.

    python -m tests.oauth.server [--mark MARK] [--plain]      prints {"url": …} and serves until it is ended

``VAULT_OAUTH_ENDPOINTS`` set to its URL points every registered client at it: ``https://HOST/PATH`` arrives as ``/HOST/PATH``. It
speaks OAuth and the dialects of OpenAI, GitHub, OpenRouter, MiniMax and Hyper. A program is controlled over HTTP:
``POST /_control {"settings": {…}, "fault": {"path": …, "kind": …}, "release": true}``, ``GET /_state``, ``POST /_seed``.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import socket
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from tests.oauth.authority import Authority, Fault
from tests.oauth.endpoints import Answer, answer_to


class Server:
    """A server in a thread. ``url`` is its base; use it in a ``with`` statement."""

    def __init__(
        self, authority: Authority | None = None, port: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        self.authority = authority or Authority()
        handler = type("Handler", (_Handler,), {"authority": self.authority})
        self.http = _Quiet(("127.0.0.1", port), handler)
        self.port: int = self.http.server_address[1]
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.authority.release.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    authority: Authority
    timeout = 30

    def do_GET(self) -> None:
        self.handle_all("GET")

    def do_POST(self) -> None:
        self.handle_all("POST")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def handle_all(self, method: str) -> None:
        self.close_connection = True
        path, fields = urlsplit(self.path).path, self.fields()
        if path.startswith("/_"):
            self.reply(self.control(path, fields))
            return
        here = self.authority
        with here.lock:
            here.requests.append((method, path))
            here.headers.append(dict(self.headers.items()))
            here.bodies.append(fields)
        here.arrived.set()
        fault = here.next_fault(path)
        if fault is not None and not fault.after and not self.survives(fault, fields):
            return
        answer = answer_to(here, method, path, fields, self.url_of_this(), self.bearer())
        if fault is not None and fault.after and not self.survives(fault, fields):
            return
        if fault is not None and fault.kind in ("type", "huge", "cut", "gzip", "drip"):
            self.spoil(fault, answer)
            return
        self.reply(answer)

    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = dict(parse_qsl(urlsplit(self.path).query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if body and "json" in self.headers.get("Content-Type", ""):
            fields |= json.loads(body)
        else:
            fields |= dict(parse_qsl(body))
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(value).decode().partition(":")
            fields |= {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}
        return fields

    def bearer(self) -> str:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        return value if kind.lower() in ("bearer", "token") else ""

    def url_of_this(self) -> str:
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        return f"{scheme}://{self.headers.get('Host', '')}"

    def survives(self, fault: Fault, fields: dict[str, Any]) -> bool:
        """Do a fault; whether the request goes on."""
        here = self.authority
        match fault.kind:
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return False
            case "drop":
                return False
            case "hold":
                here.release.wait(20)
                return True
            case "status":
                self.reply(
                    Answer(fault.status, {"error": "fault"} if not fault.body else None, fault.body, fault.headers)
                )
                return False
            case "redirect":
                self.reply(Answer(fault.status, None, "", fault.headers))
                return False
            case "html":
                self.reply(
                    Answer(fault.status, None, "<html><body>Sign in</body></html>", {"Content-Type": "text/html"})
                )
                return False
            case "echo":
                said = " ".join(str(v) for v in fields.values())
                self.reply(Answer(fault.status, {"error": fault.body, "error_description": said}))
                return False
        return True

    def spoil(self, fault: Fault, answer: Answer) -> None:
        body = answer.content()
        if fault.kind == "type":
            self.reply(dataclasses.replace(answer, headers={**answer.headers, "Content-Type": "text/html"}))
        elif fault.kind == "huge":
            self.reply(dataclasses.replace(answer, fields=None, text=" " * (1 << 21) + body.decode()))
        elif fault.kind == "gzip":
            self.reply(dataclasses.replace(answer, headers={**answer.headers, "Content-Encoding": "gzip"}))
        else:
            self.head(answer, len(body) if fault.kind == "cut" else 1 << 19)
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            while fault.kind == "drip" and not self.authority.release.wait(0.02):
                self.wfile.write(b" ")

    def head(self, answer: Answer, length: int) -> None:
        off = self.authority.settings.clock_off
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string(self.authority.now() + off))
        for name, value in {"Content-Type": answer.kind(), **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()

    def reply(self, answer: Answer) -> None:
        body = answer.content()
        self.head(answer, len(body))
        self.wfile.write(body)

    def control(self, path: str, fields: dict[str, Any]) -> Answer:
        here = self.authority
        if path == "/_seed":
            return Answer(200, {"refresh_token": here.seed()})
        if path == "/_control":
            for name, value in fields.get("settings", {}).items():
                setattr(here.settings, name, value)
            if fault := dict(fields.get("fault", {})):
                here.fault(fault.pop("path"), Fault(**fault))
            if fields.get("release"):
                here.release.set()
        with here.lock:
            done = [dataclasses.asdict(e) for e in here.exchanges]
        return Answer(200, {"exchanges": done, "requests": [p for _, p in here.requests], "dead": sorted(here.dead)})


def query_of(url: str) -> dict[str, str]:
    """A URL's query."""
    return dict(parse_qsl(urlsplit(url).query))


def with_query(url: str, fields: dict[str, str]) -> str:
    """A URL with more in its query."""
    return url + ("&" if "?" in url else "?") + urlencode(fields)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mark", default="fake")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="refresh tokens don't rotate")
    given = parser.parse_args()
    server = Server(Authority(given.mark), given.port)
    server.authority.settings.rotate = not given.plain
    print(json.dumps({"url": server.url}), flush=True)
    try:
        server.http.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
