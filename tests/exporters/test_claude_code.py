"""Claude Code's settings and store as the vault writes them: keys asked for, its own login put back, nothing else touched."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.round_trip import SECRETS, at, done, kept, target, unknown
from tests.importers.stores import write_json
from vault.errors import InputError, TryAgain
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop import claude_code, claude_code_store
from vault.interop.claude_code_store import locked, place_of
from vault.interop.plans import Link, Outgoing, Plan
from vault.values import MAIN_AGENT, ProfileId, Secret

TOOL = claude_code.TOOL
LINK = Link("/opt/my tools/vault", MAIN_AGENT)
SETUP = "sk-ant-oat01-fake-setup"

LOGINS = st.builds(
    lambda access, refresh, expires, optional, more: {
        "accessToken": access,
        "refreshToken": refresh,
        "expiresAt": expires,
        **optional,
        **more,
    },
    SECRETS,
    SECRETS,
    st.integers(1, 4_000_000_000_000),
    st.fixed_dictionaries(
        {"scopes": st.lists(st.sampled_from(["user:inference", "user:profile"]), max_size=2)},
        optional={
            "subscriptionType": st.none() | st.sampled_from(["max", "pro", ""]),
            "rateLimitTier": st.none() | st.just("default_claude_max_5x"),
            "accountUuid": st.none() | st.just("account-1"),
            "clientId": st.none(),
        },
    ),
    unknown(),
)


def outgoing(profile: str, credential: Any, whole: bool = True) -> Outgoing:
    return Outgoing(MAIN_AGENT, ProfileId(profile), credential, whole=whole)


def settings_of(home: Path) -> Path:
    return home / ".claude" / "settings.json"


def connect(home: Path, link: Link = LINK, **environ: str) -> Plan:
    assert TOOL.connect is not None
    return TOOL.connect(link, target(home, **environ))


def disconnect(home: Path) -> Plan:
    assert TOOL.disconnect is not None
    return TOOL.disconnect(target(home))


def write(home: Path, *wanted: Outgoing) -> Plan:
    assert TOOL.write is not None
    return TOOL.write(wanted, {}, target(home))


@given(login=LOGINS, beside=unknown("claudeAiOauth"))
def test_a_login_is_put_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, login: Any, beside: Any) -> None:
    document = {"claudeAiOauth": login, **beside}
    home, empty = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("empty")
    path = write_json(home / ".claude" / ".credentials.json", document)
    found = kept(claude_code.read(None, {}, home).found)
    for place in (home, empty):
        (written,) = done(write(place, *found)).written
        assert written.whole
        assert at(place / ".claude" / ".credentials.json") == document
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_newer_in_the_store_stays(tmp_path: Path) -> None:
    login = {"accessToken": "fake-access-1", "refreshToken": "fake-refresh-1", "expiresAt": 1_000, "scopes": []}
    path = write_json(tmp_path / ".claude" / ".credentials.json", {"claudeAiOauth": login, "mcpOAuth": {"old": 1}})
    found = kept(claude_code.read(None, {}, tmp_path).found)
    ended = {"accessToken": "", "refreshToken": "", "expiresAt": 0}
    write_json(path, {"mcpOAuth": {"new": 1}, "claudeAiOauth": ended})
    done(write(tmp_path, *found))
    assert at(path) == {"mcpOAuth": {"new": 1}, "claudeAiOauth": login}
    newer = {"claudeAiOauth": {"accessToken": "fake-access-2", "refreshToken": "fake-refresh-2", "expiresAt": 2_000}}
    write_json(path, newer)
    plan = write(tmp_path, *found)
    assert plan.empty
    assert "newer login" in plan.left_out[0].why


def test_only_its_own_login_goes_into_its_store(tmp_path: Path) -> None:
    plan = write(
        tmp_path,
        outgoing("anthropic:default", ApiKey(key="fake-key-1")),
        outgoing("anthropic:setup", Token(token=SETUP)),
        outgoing("anthropic:other", OAuth(access="fake-access", refresh="fake-refresh")),
        outgoing("anthropic:claude-code", OAuth(access="a", refresh="r", extra={"claude_code": {}}), whole=False),
    )
    assert plan.empty
    why = {s.name: s.why for s in plan.left_out}
    assert "vault connect claude-code" in why["anthropic:default"]
    assert "vault exec --tool claude-code" in why["anthropic:setup"]
    assert "vault exec --tool claude-code" in why["anthropic:other"]
    assert "whole" in why["anthropic:claude-code"]


def test_a_damaged_store_is_not_written(tmp_path: Path) -> None:
    path = write_json(tmp_path / ".claude" / ".credentials.json", {})
    path.write_text('{"claudeAiOauth": {')
    with pytest.raises(InputError, match="is not valid JSON"):
        write(tmp_path, outgoing("anthropic:claude-code", OAuth(access="a", refresh="r", extra={"claude_code": {}})))
    settings_of(tmp_path).write_text("{")
    with pytest.raises(InputError, match=r"settings\.json"):
        connect(tmp_path)


def test_the_helper_is_quoted_for_a_shell_and_everything_else_stays(tmp_path: Path) -> None:
    path = settings_of(tmp_path)
    path.parent.mkdir()
    text = '{\n  "permissions": {\n    "allow": []\n  },\n  "model": "ö"\n}\n'
    path.write_text(text)
    path.chmod(0o644)
    plan = done(connect(tmp_path, Link(LINK.command, LINK.agent, ("anthropic:it's",))))
    assert [w.secret for w in plan.writes] == [False]
    document = at(path)
    line = document.pop("apiKeyHelper")
    assert document == json.loads(text)
    assert shlex.split(line) == [
        LINK.command,
        "helper",
        "api-key",
        "anthropic:it's",
        "--agent",
        "main",
        "--tool",
        "claude-code",
    ]
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.read_text().endswith("}\n")
    again = connect(tmp_path, Link(LINK.command, LINK.agent, ("anthropic:it's",)))
    assert again.writes[0].content == path.read_bytes()
    document = at(path)
    write_json(path, document | {"theme": "dark"})
    done(disconnect(tmp_path))
    assert at(path) == json.loads(text) | {"theme": "dark"}
    assert disconnect(tmp_path).empty


def test_connect_and_disconnect_are_byte_for_byte(tmp_path: Path) -> None:
    for text in ('{"model":"x"}', '{\n  "model": "x"\n}', '{\n  "model": "x"\n}\n'):
        settings_of(tmp_path).parent.mkdir(exist_ok=True)
        settings_of(tmp_path).write_text(text)
        done(connect(tmp_path))
        done(disconnect(tmp_path))
        assert settings_of(tmp_path).read_text() == text


def test_another_helper_is_not_taken_out(tmp_path: Path) -> None:
    write_json(settings_of(tmp_path), {"apiKeyHelper": "pass show anthropic"})
    assert disconnect(tmp_path).empty
    plan = connect(tmp_path)
    assert any("another apiKeyHelper" in note for note in plan.notes)


def test_what_would_be_sent_as_well_is_told(tmp_path: Path) -> None:
    write_json(settings_of(tmp_path), {"env": {"ANTHROPIC_AUTH_TOKEN": "fake-token-1"}})
    write_json(tmp_path / ".claude" / ".credentials.json", {})
    plan = connect(tmp_path, ANTHROPIC_API_KEY="fake-key-2")
    notes = "\n".join(plan.notes)
    assert "ANTHROPIC_AUTH_TOKEN in" in notes
    assert "ANTHROPIC_API_KEY in the environment" in notes
    assert "does not use its own login" in notes
    assert "fake-" not in notes
    assert [w.secret for w in plan.writes] == [True]


@pytest.mark.parametrize("what", [("anthropic:claude-code",), ("openai",), ("anthropic", "anthropic:work")])
def test_what_claude_code_cannot_be_given_as_a_key(tmp_path: Path, what: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        connect(tmp_path, Link("/vault", MAIN_AGENT, what))


def test_another_providers_key_goes_where_the_settings_point(tmp_path: Path) -> None:
    write_json(settings_of(tmp_path), {"env": {"ANTHROPIC_BASE_URL": "https://gateway.example"}})
    done(connect(tmp_path, Link("/vault", MAIN_AGENT, ("corp:work",))))
    assert (
        at(settings_of(tmp_path))["apiKeyHelper"] == "/vault helper api-key corp:work --agent main --tool claude-code"
    )


@pytest.mark.parametrize(
    ("credential", "name"),
    [
        (ApiKey(key="fake-key-1"), "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR"),
        (Token(token=SETUP), "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"),
        (ApiKey(key=SETUP), "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"),
        (OAuth(access="fake-access"), "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"),
    ],
)
def test_a_child_gets_a_descriptor_and_nothing_beside_it(tmp_path: Path, credential: Any, name: str) -> None:
    assert TOOL.inject is not None
    wanted = [outgoing("openai:default", ApiKey(key="fake-key-openai")), outgoing("anthropic:default", credential)]
    injected = TOOL.inject(wanted, target(tmp_path))
    assert injected.descriptors == {name: Secret(credential.secret())}
    assert injected.variables == {}
    assert injected.used == ("anthropic:default",)
    assert {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"} <= injected.remove
    assert name not in injected.remove


def test_a_gateways_token_has_only_its_variable(tmp_path: Path) -> None:
    assert TOOL.inject is not None
    injected = TOOL.inject([outgoing("anthropic:default", Token(token="fake-token-1"))], target(tmp_path))
    assert injected.variables == {"ANTHROPIC_AUTH_TOKEN": Secret("fake-token-1")}
    assert "ANTHROPIC_AUTH_TOKEN" not in injected.remove
    assert TOOL.inject([], target(tmp_path)).used == ()


def test_keys_in_plain_text_give_way_to_the_helper(tmp_path: Path) -> None:
    assert TOOL.scrub is not None
    write_json(tmp_path / ".claude.json", {"primaryApiKey": "fake-key-console-1", "projects": {"a": 1}})
    write_json(settings_of(tmp_path), {"model": "x", "env": {"A": "1"}})
    findings = claude_code.read(None, {}, tmp_path)
    plan = done(TOOL.scrub(findings.found, LINK, target(tmp_path)))
    assert plan.left_out == []
    assert at(tmp_path / ".claude.json") == {"projects": {"a": 1}}
    assert at(settings_of(tmp_path)) == {
        "model": "x",
        "env": {"A": "1"},
        "apiKeyHelper": "'/opt/my tools/vault' helper api-key anthropic:console --agent main --tool claude-code",
    }


def test_a_key_in_the_settings_goes_before_the_console_key_as_it_did(tmp_path: Path) -> None:
    assert TOOL.scrub is not None
    write_json(tmp_path / ".claude.json", {"primaryApiKey": "fake-key-console-1"})
    env = {"ANTHROPIC_API_KEY": "fake-key-settings-1", "ANTHROPIC_AUTH_TOKEN": "fake-token-1"}
    write_json(settings_of(tmp_path), {"env": env})
    plan = done(TOOL.scrub(claude_code.read(None, {}, tmp_path).found, LINK, target(tmp_path)))
    assert at(tmp_path / ".claude.json") == {}
    assert at(settings_of(tmp_path))["env"] == {"ANTHROPIC_AUTH_TOKEN": "fake-token-1"}
    assert "anthropic:settings " in at(settings_of(tmp_path))["apiKeyHelper"]
    assert {s.name for s in plan.left_out} == {"anthropic:settings-auth"}
    assert all(w.secret for w in plan.writes)


def test_what_cannot_give_way_stays(tmp_path: Path) -> None:
    assert TOOL.scrub is not None
    write_json(tmp_path / ".claude.json", {"primaryApiKey": "fake-key-console-1"})
    found = claude_code.read(None, {}, tmp_path).found
    write_json(tmp_path / ".claude.json", {"primaryApiKey": "fake-key-console-2"})
    plan = TOOL.scrub(found, LINK, target(tmp_path))
    assert plan.empty
    assert plan.left_out[0].why == "it is no longer there"
    write_json(tmp_path / ".claude.json", {"primaryApiKey": "fake-key-console-1"})
    write_json(settings_of(tmp_path), {"apiKeyHelper": "pass show anthropic"})
    plan = TOOL.scrub(found, LINK, target(tmp_path))
    assert plan.empty
    assert plan.left_out[0].why == "Claude Code has another apiKeyHelper already"


def test_its_locks_are_held_and_given_back(tmp_path: Path) -> None:
    write_json(tmp_path / ".claude.json", {})
    folder = tmp_path / ".claude"
    folder.mkdir()
    locks = [folder / ".oauth_refresh.lock", tmp_path / ".claude.lock", tmp_path / ".claude.json.lock"]
    with TOOL.lock(target(tmp_path)):
        assert all(lock.is_dir() for lock in locks)
    assert not any(lock.exists() for lock in locks)
    assert sorted(os.listdir(tmp_path)) == [".claude", ".claude.json"]


def test_a_held_lock_is_waited_for_and_a_left_one_is_not(tmp_path: Path) -> None:
    lock = tmp_path / ".claude" / ".oauth_refresh.lock"
    lock.mkdir(parents=True)
    place = place_of({}, tmp_path)
    with pytest.raises(TryAgain, match="Claude Code holds"), locked(place, 0.0):
        pass
    assert lock.is_dir()
    old = lock.stat().st_mtime - claude_code_store.STALE_SECONDS - 1
    os.utime(lock, (old, old))
    with locked(place, 0.0):
        assert lock.stat().st_mtime > old
    assert not lock.exists()
