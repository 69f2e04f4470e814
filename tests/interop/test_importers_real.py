"""What the importers make of stores that the real tools wrote, with the tools themselves as witnesses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.importers.stores import by_profile, orders, skipped, snapshot, write_json
from tests.interop.conftest import answering, paste
from tests.interop.tools import Tool
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop import openclaw, opencode
from vault.interop.findings import Findings
from vault.values import format_instant

pytestmark = pytest.mark.interop


def test_opencode_wrote_what_is_read(opencode_tool: Tool, opencode_store: Path) -> None:
    before = snapshot(opencode_store.parent)
    findings = opencode.read(None, opencode_tool.environ, opencode_tool.home)
    assert snapshot(opencode_store.parent) == before
    assert opencode_store.stat().st_mode & 0o777 == 0o600
    assert findings.paths == [str(path) for path in opencode.default_paths(opencode_tool.environ, opencode_tool.home)]
    assert findings.paths[0] == str(opencode_store)
    assert not findings.skipped
    (server,) = (found for found in findings.found if found.credential.kind == "wellknown")
    assert server.profile.startswith("http%3a%2f%2f127.0.0.1%3a")
    assert server.credential.secret() == "fake-token-corp-1"
    found = by_profile(findings)
    del found[server.profile]
    assert {name: entry.credential for name, entry in found.items()} == {
        "my-lab:default": ApiKey(key="fake-key-lab-1"),
        "groq:default": ApiKey(key="fake-key-groq-1"),
        "openai:default": OAuth(
            access="fake-access-openai-1",
            refresh="fake-refresh-openai-1",
            expires_at=1_795_400_000_000_000,
            account={"accountId": "account-1"},
        ),
    }
    assert f"{len(findings.found)} credentials" in opencode_tool("auth", "list")


def test_openclaw_wrote_what_is_read(openclaw_tool: Tool, openclaw_store: Path) -> None:
    before = snapshot(openclaw_store)
    findings = openclaw.read(None, openclaw_tool.environ, openclaw_tool.home)
    assert snapshot(openclaw_store) == before
    assert findings.agents == [("helper", "main")]
    found = by_profile(findings)
    assert found["togetherai:work"].credential == ApiKey(key="fake-key-together-1")
    assert found["togetherai:home"].credential == ApiKey(key="fake-key-together-2")
    assert found["lab:default"].credential == ApiKey(key="fake-key-lab-1")
    token = found["lab:manual"].credential
    assert isinstance(token, Token)
    assert token.token == "fake-token-lab-1"
    helper = by_profile(findings, "helper")
    assert {name: entry.credential for name, entry in helper.items()} == {"lab:helper": ApiKey(key="fake-key-helper-1")}
    assert orders(findings)["main", "togetherai"] == ("togetherai:home", "togetherai:work")
    for agent, mine in (("main", found), ("helper", found | helper)):
        told = json.loads(openclaw_tool("models", "auth", "list", "--agent", agent, "--json"))["profiles"]
        assert {profile["id"].replace("together:", "togetherai:"): profile["type"] for profile in told} == {
            name: entry.credential.kind for name, entry in mine.items()
        }
        (expires,) = (profile["expiresAt"] for profile in told if profile["id"] == "lab:manual")
        assert format_instant(token.expires_at or 0) == expires.partition(".")[0] + "Z"
    words = ("models", "auth", "order", "get", "--agent", "main", "--provider", "together", "--json")
    theirs = [name.replace("together:", "togetherai:") for name in json.loads(openclaw_tool(*words))["order"]]
    assert theirs == list(orders(findings)["main", "togetherai"])


def test_openclaws_usage_is_read(openclaw: Callable[[str], Tool]) -> None:
    tool = openclaw("openclaw-usage")
    with answering({"error": {"message": "invalid api key", "code": "invalid_api_key"}}, 401) as (url, seen):
        model = {"id": "fake-model", "name": "Fake", "contextWindow": 128000, "maxTokens": 4096}
        lab = {"baseUrl": f"{url}/v1", "api": "openai-completions", "models": [model]}
        config = {
            "gateway": {"mode": "local"},
            "models": {"mode": "merge", "providers": {"lab": lab}},
            "agents": {"defaults": {"model": {"primary": "lab/fake-model"}}},
        }
        write_json(tool.home / ".openclaw" / "openclaw.json", config)
        paste(tool, "paste-api-key", "lab:work", "fake-key-lab-1")
        paste(tool, "paste-api-key", "lab:home", "fake-key-lab-2")
        tool("models", "auth", "order", "set", "--provider", "lab", "lab:home", "lab:work")
        tool("agent", "--local", "--agent", "main", "--message", "hi", "--json", ok=False)
    assert seen == ["Bearer fake-key-lab-2", "Bearer fake-key-lab-1"]
    found = by_profile(_read_openclaw(tool.home))
    for name in ("lab:home", "lab:work"):
        health = found[name].health
        assert health is not None
        assert (health.failures, health.last_reason) == (1, "auth")
        assert health.cooldown_until - health.last_failure_at == 30_000_000


def test_an_openclaw_of_the_json_era_wrote_what_is_read(openclaw_json_store: Path) -> None:
    before = snapshot(openclaw_json_store)
    findings = _read_openclaw(openclaw_json_store.parent)
    assert snapshot(openclaw_json_store) == before
    assert {name: entry.credential for name, entry in by_profile(findings).items()} == {
        "lab:work": Token(token="fake-token-lab-1"),
        "lab:home": Token(token="fake-token-lab-2"),
    }
    assert orders(findings) == {("main", "lab"): ("lab:home", "lab:work")}
    names = {path.name for path in (openclaw_json_store / "agents" / "main" / "agent").iterdir()}
    assert {"auth-profiles.json", "auth-state.json"} <= names


def test_reading_a_json_store_is_what_openclaws_own_migration_makes_of_it(
    openclaw_json_store: Path, openclaw: Callable[[str], Tool]
) -> None:
    tool = openclaw("openclaw-doctor")
    shutil.copytree(openclaw_json_store, tool.home / ".openclaw")
    folder = tool.home / ".openclaw" / "agents" / "main" / "agent"
    login = {"type": "oauth", "provider": "openai-codex", "access": "fake-access-1", "expires": 1_895_400_000_000}
    store = json.loads((folder / "auth-profiles.json").read_text())
    store["profiles"] |= {
        "openai-codex:me@example.com": login | {"refresh": "fake-refresh-1", "email": "me@example.com"},
        "openai-codex:default": login | {"refresh": "fake-refresh-2", "email": "you@example.com"},
        "openai:default": {"type": "api_key", "provider": "openai", "key": "fake-key-openai-1"},
        "lab:ref": {
            "type": "api_key",
            "provider": "lab",
            "keyRef": {"source": "env", "provider": "default", "id": "LAB"},
        },
        "lab:mode": {"mode": "api_key", "provider": "Lab", "apiKey": "fake-key-lab-3"},
    }
    write_json(folder / "auth-profiles.json", store)
    state = json.loads((folder / "auth-state.json").read_text())
    state["order"]["openai-codex"] = ["openai-codex:default", "openai-codex:me@example.com"]
    state["usageStats"] = {"lab:work": {"lastUsed": 1_795_200_000_000, "errorCount": 1, "cooldownReason": "auth"}}
    write_json(folder / "auth-state.json", state)
    before = _read_openclaw(tool.home)
    tool("doctor", "--fix", "--non-interactive", "--yes")
    after = _read_openclaw(tool.home)
    assert {path.rpartition("/")[2] for path in after.paths} >= {"openclaw.sqlite"}
    assert not {path for path in after.paths if path.endswith(".json")}
    assert orders(after) == orders(before)
    old, new = by_profile(before), by_profile(after)
    assert sorted(new) == sorted(old)
    for name, entry in old.items():
        assert (new[name].credential, new[name].last_used, new[name].health) == (
            entry.credential,
            entry.last_used,
            entry.health,
        )
    (archive,) = (why for name, why in skipped(after).items() if name.startswith("auth-profiles.json.migrated-"))
    assert "in plain text" in archive


def _read_openclaw(home: Path) -> Findings:
    return openclaw.read(None, {}, home)
