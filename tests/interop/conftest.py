"""The real tools and stores they wrote. A store is made once a session, by the tool itself, and only read afterwards."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.interop.recorder import recorder as recorder
from tests.interop.tools import ENVIRON, OPENCLAW, OPENCLAW_JSON_ERA, OPENCODE, Installer, Tool

Maker = Callable[[str], Tool]


@pytest.fixture(scope="session")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Installer:
    """Where tools are installed: VAULT_INTEROP_CACHE, or a temporary folder."""
    named = ENVIRON.get("VAULT_INTEROP_CACHE")
    return Installer(Path(named).absolute() if named else tmp_path_factory.mktemp("interop-cache"))


@pytest.fixture(scope="session")
def opencode(installer: Installer, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Makes an OpenCode with a new home."""
    command = installer.tool(OPENCODE, "opencode")
    more = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}
    return lambda name: Tool(command, installer.bin(), tmp_path_factory.mktemp(name), **more)


@pytest.fixture(scope="session")
def openclaw(installer: Installer, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Makes an OpenClaw of today, which keeps its store in SQLite, with a new home."""
    return _openclaw(installer, OPENCLAW, tmp_path_factory)


@pytest.fixture(scope="session")
def openclaw_json_era(installer: Installer, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Makes an OpenClaw of the time when its store was JSON, with a new home."""
    return _openclaw(installer, OPENCLAW_JSON_ERA, tmp_path_factory)


@pytest.fixture(scope="session")
def opencode_tool(opencode: Maker) -> Tool:
    """An OpenCode that has signed in: two keys on its terminal, a login over its server, a well-known server."""
    tool = opencode("opencode")
    log_in(tool, "", ("Select provider", "Other"), ("Enter provider id", "my-lab\r"), key="fake-key-lab-1")
    log_in(tool, "groq", key="fake-key-groq-1")
    login = {
        "type": "oauth",
        "refresh": "fake-refresh-openai-1",
        "access": "fake-access-openai-1",
        "expires": 1_795_400_000_000,
        "accountId": "account-1",
    }
    put_over_server(tool, "openai", login)
    with answering({"auth": {"command": ["printf", "fake-token-corp-1"], "env": "CORP_TOKEN"}}) as (url, _):
        tool("auth", "login", url)
    return tool


@pytest.fixture(scope="session")
def opencode_store(opencode_tool: Tool) -> Path:
    """The auth.json that OpenCode itself wrote. Only read it."""
    return opencode_tool.home / "data" / "opencode" / "auth.json"


@pytest.fixture(scope="session")
def openclaw_tool(openclaw: Maker) -> Tool:
    """An OpenClaw with keys, a token and an order for main, and a second agent with a key of its own."""
    tool = openclaw("openclaw")
    for profile, secret in (
        ("together:work", "fake-key-together-1"),
        ("together:home", "fake-key-together-2"),
        ("lab:default", "fake-key-lab-1"),
    ):
        paste(tool, "paste-api-key", profile, secret)
    paste(tool, "paste-token", "lab:manual", "fake-token-lab-1", "--expires-in", "365d")
    tool("models", "auth", "order", "set", "--provider", "together", "together:home", "together:work")
    tool("agents", "add", "helper", "--non-interactive", "--workspace", tool.home / "workspace")
    paste(tool, "paste-api-key", "lab:helper", "fake-key-helper-1", "--agent", "helper")
    return tool


@pytest.fixture(scope="session")
def openclaw_store(openclaw_tool: Tool) -> Path:
    """The state folder with the SQLite store that OpenClaw itself wrote. Only read it."""
    return openclaw_tool.home / ".openclaw"


@pytest.fixture(scope="session")
def openclaw_json_store(openclaw_json_era: Maker) -> Path:
    """The state folder with the JSON store that an OpenClaw of May 2026 itself wrote. Only read it."""
    tool = openclaw_json_era("openclaw-json")
    paste(tool, "paste-token", "lab:work", "fake-token-lab-1")
    paste(tool, "paste-token", "lab:home", "fake-token-lab-2")
    tool("models", "auth", "order", "set", "--provider", "lab", "lab:home", "lab:work")
    return tool.home / ".openclaw"


def log_in(tool: Tool, provider: str, *before: tuple[str, str], key: str) -> None:
    """Sign OpenCode in to a provider on its terminal."""
    child = tool.terminal("auth", "login", *(["-p", provider] if provider else []))
    try:
        for prompt, answer in before:
            child.expect_exact(prompt)
            child.send(answer)
            if not answer.endswith("\r"):
                child.expect_exact("(1 match)")
                child.send("\r")
        child.expect_exact("Enter your API key")
        child.send(f"{key}\r")
        child.expect_exact("Done")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
    assert child.exitstatus == 0


def put_over_server(tool: Tool, provider: str, entry: dict[str, object]) -> None:
    """Have OpenCode's own server store an entry, as its plugins and its desktop program do."""
    words = [str(tool.command), "serve", "--hostname", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        words, env=tool.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        try:
            assert server.stdout is not None
            urls = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stdout)
            url = next(found for found in urls if found)[0]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            headers = {"Content-Type": "application/json"}
            body = json.dumps(entry).encode()
            put = urllib.request.Request(f"{url}/auth/{provider}", data=body, method="PUT", headers=headers)
            with opener.open(put) as answer:
                assert answer.read() == b"true"
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def paste(tool: Tool, command: str, profile: str, secret: str, *more: str) -> None:
    """Give OpenClaw a key or a token the way a script does."""
    provider = profile.partition(":")[0]
    tool("models", "auth", command, "--provider", provider, "--profile-id", profile, *more, stdin=f"{secret}\n")


@contextmanager
def answering(value: object, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A loopback server that gives one JSON answer to everything; its URL, and the Authorization of each request."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append(self.headers.get("Authorization", ""))
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def _openclaw(installer: Installer, spec: str, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    command = installer.tool(spec, "openclaw")
    return lambda name: Tool(command, installer.bin(), tmp_path_factory.mktemp(name), NODE_DISABLE_COMPILE_CACHE="1")
