"""OpenCode itself, against the recording server: what ``vault`` wrote, injected and serves is what its requests carry."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.recorder import Recorder
from tests.interop.tools import Installer, Tool, run
from vault.interop.opencode_plugin import connect, plugin_text
from vault.interop.plans import Link, Target
from vault.values import MAIN_AGENT

pytestmark = pytest.mark.interop

VAULT = Path(sys.executable).with_name("vault")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
LAB = "lab/fake-model"
MODELS = {"lab": LAB, "anthropic": "anthropic/claude-haiku-4-5", "openai": "openai/gpt-4o"}


class World:
    """OpenCode and a vault in one home, and the server that both know."""

    def __init__(self, tool: Tool, server: Recorder) -> None:
        self.tool, self.server = tool, server
        self.config = tool.home / "config" / "opencode"
        self.auth = tool.home / "data" / "opencode" / "auth.json"
        self.config.mkdir(parents=True)
        lab = {"npm": "@ai-sdk/openai-compatible", "name": "Lab", "models": {"fake-model": {"name": "Fake"}}}
        providers: dict[str, Any] = {"lab": lab, "openai": {}, "anthropic": {}, "github-copilot": {}}
        for provider in providers.values():
            provider["options"] = {"baseURL": f"{server.url}/v1"}
        settings = {"autoupdate": False, "share": "disabled", "provider": providers}
        (self.config / "opencode.json").write_text(json.dumps(settings))
        # What the plugin library's installation leaves, so that OpenCode, off the network, doesn't wait for it.
        (self.config / "node_modules").mkdir()
        lock = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "1"}}}}
        (self.config / "package-lock.json").write_text(json.dumps(lock))
        self.vault("init", "--key-file", str(tool.home / "key"))

    def vault(self, *words: str | Path, stdin: str = "") -> str:
        return run([VAULT, *words], self.tool.environ, stdin=stdin)

    def log_in(self, **keys: str) -> None:
        for provider, key in keys.items():
            self.vault("login", provider.replace("__", ":"), "--custom", "--stdin", stdin=key)

    def listed(self) -> dict[str, str]:
        """What ``opencode auth list`` shows: type by name."""
        lines = ANSI.sub("", self.tool("auth", "list")).splitlines()
        return {name: kind for name, _, kind in (line[1:].strip().rpartition(" ") for line in lines if line[:1] == "●")}

    def ask(self, model: str, *through: str) -> tuple[int, str]:
        """One ``opencode run``, maybe through ``vault exec``; its status and all it said."""
        before = [str(VAULT), *through] if through else []
        done = subprocess.run(
            [*before, str(self.tool.command), "run", "-m", model, "say hi"],
            env=self.tool.environ,
            cwd=self.tool.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.returncode, ANSI.sub("", done.stdout + done.stderr)

    def files(self) -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in (self.auth, self.config / "plugin" / "vault.js") if p.exists()}


@pytest.fixture
def world(opencode: Callable[[str], Tool], recorder: Recorder) -> World:
    return World(opencode("opencode"), recorder)


@contextmanager
def serving(world: World) -> Iterator[Callable[[str], str]]:
    """A running ``opencode serve``; asks a model in a new session of it and gives the answer's JSON."""
    words = [str(world.tool.command), "serve", "--hostname", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        words,
        env=world.tool.environ,
        cwd=world.tool.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            urls = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stdout)
            url = next(found for found in urls if found)[0]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

            def post(path: str, body: object) -> str:
                headers = {"Content-Type": "application/json"}
                request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), headers)
                with opener.open(request, timeout=300) as answer:
                    text: str = answer.read().decode()
                    return text

            def ask(model: str) -> str:
                provider, _, name = model.partition("/")
                session = json.loads(post("/session", {"title": "a title of its own"}))["id"]
                what = {"model": {"providerID": provider, "modelID": name}, "parts": [{"type": "text", "text": "hi"}]}
                return post(f"/session/{session}/message", what)

            yield ask
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_auth_list_shows_what_was_exported_and_requests_carry_it(world: World) -> None:
    world.log_in(lab="fake-key-lab-1", groq="fake-key-groq-1", anthropic="fake-key-anthropic-1")
    world.vault("export", "opencode")
    assert world.listed() == {"lab": "api", "Groq": "api", "Anthropic": "api"}
    assert world.auth.stat().st_mode & 0o777 == 0o600
    status, said = world.ask(MODELS["anthropic"])
    assert status == 0, said
    assert "PONG-FROM-FAKE" in said
    assert set(world.server.sent()) == {"fake-key-anthropic-1"}
    assert {tuple(request.credentials) for request in world.server.model_requests} == {("x-api-key",)}
    world.tool("auth", "logout", "groq")
    assert json.loads(world.auth.read_text()) == {
        "lab": {"type": "api", "key": "fake-key-lab-1"},
        "anthropic": {"type": "api", "key": "fake-key-anthropic-1"},
    }, "OpenCode, writing the file itself, finds nothing in it to drop"


def test_an_imported_login_goes_back_as_it_was(world: World, tmp_path: Path) -> None:
    entries = {
        "openai": {
            "type": "oauth",
            "refresh": "fake-refresh-openai-1",
            "access": "fake-access-openai-1",
            "expires": 4_102_444_800_000,
            "accountId": "account-1",
        },
        "github-copilot": {
            "type": "oauth",
            "refresh": "fake-token-github-1",
            "access": "fake-token-github-1",
            "expires": 0,
        },
    }
    source = tmp_path / "auth.json"
    source.write_text(json.dumps(entries))
    world.vault("import", "opencode", "--from", source)
    world.vault("export", "opencode", "--hand-over", "--yes")
    assert world.listed() == {"OpenAI": "oauth", "GitHub Copilot": "oauth"}
    assert json.loads(world.auth.read_text()) == entries


def test_a_run_carries_what_exec_injects_and_nothing_is_on_disk(world: World) -> None:
    world.log_in(lab="fake-key-lab-injected", openai="fake-key-openai-injected")
    world.tool.environ["OPENAI_API_KEY"] = "fake-key-openai-of-the-environment"
    given = ("exec", "--tool", "opencode", "--", world.tool.command)
    said = run([VAULT, *given, "auth", "list"], world.tool.environ)
    assert "2 credentials" in ANSI.sub("", said)
    assert "OPENAI_API_KEY" not in said
    for model, key in ((LAB, "fake-key-lab-injected"), (MODELS["openai"], "fake-key-openai-injected")):
        world.server.clear()
        status, said = world.ask(model, *given[:-1])
        assert status == 0, said
        assert set(world.server.sent()) == {key}
    assert not world.auth.exists()
    world.vault("connect", "opencode", "--provider", "lab", "--yes")
    world.log_in(lab="fake-key-lab-2")
    world.server.clear()
    assert world.ask(LAB, *given[:-1])[0] == 0
    assert set(world.server.sent()) == {"fake-key-lab-2"}, "connected as well: what was injected is used as it is"


def test_a_running_server_follows_the_vault(world: World) -> None:
    world.log_in(lab__a="fake-key-lab-a", lab__b="fake-key-lab-b", openai="fake-key-openai-1")
    world.log_in(anthropic="fake-key-anthropic-1")
    world.vault("order", "set", "--provider", "lab", "lab:a", "lab:b")
    world.vault("connect", "opencode", "--yes")
    assert set(world.listed()) == {"lab", "OpenAI", "Anthropic"}
    assert b"fake-key" not in b"".join(world.files().values())
    with serving(world) as ask:
        carried = []
        for change in (
            (),
            ("order", "set", "--provider", "lab", "lab:b", "lab:a"),
            ("login", "lab:b", "--custom", "--stdin"),
        ):
            if change:
                world.vault(*change, stdin="fake-key-lab-b2" if "login" in change else "")
            world.server.clear()
            assert "PONG-FROM-FAKE" in ask(LAB)
            carried.append(set(world.server.sent()))
        assert carried == [{"fake-key-lab-a"}, {"fake-key-lab-b"}, {"fake-key-lab-b2"}]
        for provider, header in (("anthropic", "x-api-key"), ("openai", "authorization")):
            world.server.clear()
            assert "PONG-FROM-FAKE" in ask(MODELS[provider])
            assert {tuple(r.credentials.items()) for r in world.server.model_requests} == {
                ((header, f"fake-key-{provider}-1"),)
            }
    issued = world.vault("history", "--json")
    assert '"program": "opencode"' in issued or '"program":"opencode"' in issued


def test_a_vault_that_cannot_answer_fails_the_request_with_its_sentence(world: World) -> None:
    world.log_in(lab="fake-key-lab-1", anthropic="fake-key-anthropic-1")
    world.vault("connect", "opencode", "--yes")
    (world.tool.home / "key").rename(world.tool.home / "gone")
    for model in (LAB, MODELS["anthropic"]):
        status, said = world.ask(model)
        assert status != 0
        assert "vault: the key file" in said
        assert "VAULT_KEY_FILE" in said
    assert world.server.model_requests == []


def test_a_copilot_login_is_served_past_opencodes_own_code(world: World) -> None:
    world.auth.parent.mkdir(parents=True)
    entry = {"type": "oauth", "refresh": "fake-token-github-1", "access": "fake-token-github-1", "expires": 0}
    world.auth.write_text(json.dumps({"github-copilot": entry}))
    world.vault("import", "opencode", "--scrub")
    assert "fake-token" not in world.auth.read_text()
    assert world.listed() == {"GitHub Copilot": "oauth"}
    status, said = world.ask("github-copilot/gpt-5-mini")
    assert status == 0, said
    assert set(world.server.sent()) == {"fake-token-github-1"}
    assert {r.headers["openai-intent"] for r in world.server.model_requests} == {"conversation-edits"}


def test_disconnect_gives_the_old_state_back(world: World) -> None:
    world.auth.parent.mkdir(parents=True)
    old = b'{"groq": {"type": "api", "key": "fake-key-groq-old"}}'
    world.auth.write_bytes(old)
    world.auth.chmod(0o600)
    before = world.files()
    world.log_in(lab="fake-key-lab-1", anthropic="fake-key-anthropic-1")
    world.vault("connect", "opencode", "--yes")
    assert set(world.listed()) == {"Groq", "lab", "Anthropic"}
    world.vault("disconnect", "opencode")
    assert world.files() == before
    world.vault("connect", "opencode", "--yes")
    world.tool("auth", "logout", "groq")
    world.vault("disconnect", "opencode")
    assert {path: json.loads(content) for path, content in world.files().items()} == {str(world.auth): {}}
    status, said = world.ask(LAB)
    assert world.server.sent().count("") == len(world.server.sent()), (status, said)


PROBE = """
const sent = []
globalThis.fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input)
  sent.push({ url, headers: Object.fromEntries(new Headers(init?.headers ?? input.headers)) })
  return new Response("ok")
}
const plugin = await import(process.argv[2])
for (const one of Object.values(plugin)) await one({})
for (const request of JSON.parse(process.argv[3])) {
  const { url, headers, whole } = request
  try {
    await (whole ? fetch(new Request(url, { headers })) : fetch(url, { headers }))
  } catch (error) {
    sent.push({ error: error.message })
  }
}
console.log(JSON.stringify(sent))
"""


def probed(installer: Installer, folder: Path, secret: str, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    """What the plugin makes of requests, in a Node whose fetch only records, with a vault that says one secret."""
    stub = folder / "vault"
    stub.write_text(f"#!/bin/sh\nprintf '%s\\n' '{secret}'\n")
    stub.chmod(0o755)
    target = Target({"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}, folder)
    plan = connect(Link(str(stub), MAIN_AGENT, ("anthropic", "openai", "google", "lab")), target)
    module = folder / "plugin.mjs"
    module.write_bytes(next(w.content for w in plan.writes if w.path.name == "vault.js"))
    (folder / "probe.mjs").write_text(PROBE)
    words = [installer.bin() / "node", folder / "probe.mjs", module, json.dumps(requests)]
    found: list[dict[str, Any]] = json.loads(run(words, {"PATH": os.environ["PATH"]}))
    return found


def jwt(claims: dict[str, Any]) -> str:
    import base64

    return f"fake.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.fake"


def test_each_api_gets_its_own_header(installer: Installer, tmp_path: Path) -> None:
    plain: list[dict[str, Any]] = [
        {"url": "https://a.example/v1", "headers": {"x-api-key": "vault:anthropic"}},
        {"url": "https://a.example/v1", "headers": {"authorization": "Bearer vault:lab", "x-other": "vault of lab"}},
        {"url": "https://a.example/v1?alt=sse&key=vault%3Agoogle", "headers": {}},
        {"url": "https://a.example/v1", "headers": {"x-goog-api-key": "vault:google"}, "whole": True},
        {"url": "https://a.example/v1", "headers": {"authorization": "Bearer fake-key-of-a-person"}},
        {"url": "https://a.example/vault:lab", "headers": {"x-note": "see vault:lab, please"}},
    ]
    sent = probed(installer, tmp_path, "fake-key-$&-1", *plain)
    assert [one["headers"] for one in sent] == [
        {"x-api-key": "fake-key-$&-1"},
        {"authorization": "Bearer fake-key-$&-1", "x-other": "vault of lab"},
        {},
        {"x-goog-api-key": "fake-key-$&-1"},
        {"authorization": "Bearer fake-key-of-a-person"},
        {"x-note": "see vault:lab, please"},
    ]
    assert sent[2]["url"] == "https://a.example/v1?alt=sse&key=fake-key-%24%26-1"


def test_a_claude_token_goes_as_a_bearer(installer: Installer, tmp_path: Path) -> None:
    headers = {"x-api-key": "vault:anthropic", "anthropic-beta": "tools-1"}
    (sent,) = probed(installer, tmp_path, "sk-ant-oat-fake-1", {"url": "https://a.example/", "headers": headers})
    assert sent["headers"] == {
        "authorization": "Bearer sk-ant-oat-fake-1",
        "anthropic-beta": "tools-1,oauth-2025-04-20",
    }


def test_a_chatgpt_token_goes_to_chatgpt_alone_and_a_key_to_the_api_alone(installer: Installer, tmp_path: Path) -> None:
    headers = {"authorization": "Bearer vault:openai", "chatgpt-account-id": "account-0"}
    chatgpt = {"url": "https://chatgpt.com/backend-api/codex/responses", "headers": headers}
    api = {"url": "https://api.openai.com/v1/responses", "headers": headers}
    token = jwt({"https://api.openai.com/auth": {"chatgpt_account_id": "account-1"}})
    good, bad = probed(installer, tmp_path, token, chatgpt, api)
    assert good["headers"] == {"authorization": f"Bearer {token}", "chatgpt-account-id": "account-1"}
    assert "vault connect opencode --provider openai" in bad["error"]
    bad, good = probed(installer, tmp_path, "fake-key-openai-1", chatgpt, api)
    assert "vault connect opencode --provider openai" in bad["error"]
    assert good["headers"]["authorization"] == "Bearer fake-key-openai-1"


def test_a_placeholder_that_nothing_serves_is_not_sent(installer: Installer, tmp_path: Path) -> None:
    request = {"url": "https://a.example/", "headers": {"authorization": "Bearer vault:groq"}}
    (refused,) = probed(installer, tmp_path, "fake-key-1", request)
    assert refused == {"error": "vault: nothing here serves groq to OpenCode; vault connect opencode --provider groq"}


def test_a_vault_that_is_gone_is_told(installer: Installer, tmp_path: Path) -> None:
    row = {"what": "lab", "ask": [str(tmp_path / "gone"), "helper"], "login": False}
    (tmp_path / "plugin.mjs").write_text(plugin_text({"lab": row}))
    (tmp_path / "probe.mjs").write_text(PROBE)
    request = {"url": "https://a.example/", "headers": {"authorization": "Bearer vault:lab"}}
    words = [installer.bin() / "node", tmp_path / "probe.mjs", tmp_path / "plugin.mjs", json.dumps([request])]
    (told,) = json.loads(run(words, {"PATH": os.environ["PATH"]}))
    assert told["error"].startswith(f"vault: {tmp_path / 'gone'} can't be run (ENOENT)")
