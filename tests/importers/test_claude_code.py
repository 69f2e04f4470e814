"""Claude Code's documents: its login, keys in its settings, its keychain entries, and damage of every kind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.importers.stores import by_profile, printed, skipped, snapshot, write_json
from vault.errors import InputError, NotFound, StorageError, TryAgain, Unavailable
from vault.events.credentials import ApiKey, OAuth, Reference, Token
from vault.interop import claude_code, claude_code_store
from vault.interop.claude_code_store import Place, keychain_paths, place_of

EXPIRES_MS = 1_795_400_000_000
LOGIN = {
    "accessToken": "fake-access-claude-1",
    "refreshToken": "fake-refresh-claude-1",
    "expiresAt": EXPIRES_MS,
    "refreshTokenExpiresAt": EXPIRES_MS + 1,
    "scopes": ["user:inference", "user:profile"],
    "subscriptionType": "max",
    "rateLimitTier": None,
    "accountUuid": "account-1",
}
MCP = {"mcpOAuth": {"server": {"accessToken": "fake-access-mcp-1"}}, "newKey": [1]}
ACCOUNT = {"oauthAccount": {"accountUuid": "account-1", "emailAddress": "me@example.com"}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_json(tmp_path / ".claude" / ".credentials.json", {"claudeAiOauth": LOGIN, **MCP})
    write_json(tmp_path / ".claude.json", ACCOUNT | {"primaryApiKey": "fake-key-console-1", "projects": {}})
    return tmp_path


def write_settings(home: Path, **settings: Any) -> None:
    write_json(home / ".claude" / "settings.json", settings)


def test_the_login_is_claude_codes_own(home: Path) -> None:
    before = snapshot(home)
    findings = claude_code.read(None, {}, home)
    assert snapshot(home) == before
    found = by_profile(findings)
    login = found["anthropic:claude-code"]
    assert login.credential == OAuth(
        access="fake-access-claude-1",
        refresh="fake-refresh-claude-1",
        expires_at=EXPIRES_MS * 1000,
        scopes=["user:inference", "user:profile"],
        account={"accountUuid": "account-1"},
        metadata={"subscriptionType": "max"},
        extra={
            "claude_code": {
                "entry": {"refreshTokenExpiresAt": EXPIRES_MS + 1, "rateLimitTier": None},
                "document": MCP,
            }
        },
    )
    assert (login.ownership, login.account, login.label) == ("external", "me@example.com", "Claude max")
    assert found["anthropic:console"].credential == ApiKey(key="fake-key-console-1")
    assert found["anthropic:console"].ownership == "vault"
    assert skipped(findings) == {"mcpOAuth": "sign-ins of MCP servers, not a model provider's"}
    assert "fake-" not in printed(findings)


def test_a_found_path_alone_leads_to_the_same_login(home: Path) -> None:
    (login,) = (f for f in claude_code.read(None, {}, home).found if f.profile == "anthropic:claude-code")
    again = claude_code.read(Path(login.path), {"CLAUDE_CONFIG_DIR": "/elsewhere"}, Path("/elsewhere"))
    assert again.found == [login]
    assert again.paths == [login.path]


@pytest.mark.parametrize("source", [".claude", ".", ".claude/.credentials.json"])
def test_a_folder_or_a_file_is_enough(home: Path, source: str) -> None:
    found = by_profile(claude_code.read(home / source, {}, Path("/elsewhere")))
    assert found["anthropic:claude-code"].account == "me@example.com"


@pytest.mark.parametrize(
    ("environ", "credentials", "config"),
    [
        ({}, "home/.claude/.credentials.json", "home/.claude.json"),
        ({"CLAUDE_CONFIG_DIR": "/a"}, "/a/.credentials.json", "/a/.claude.json"),
        (
            {"CLAUDE_CONFIG_DIR": "/a", "CLAUDE_SECURESTORAGE_CONFIG_DIR": "/b"},
            "/b/.credentials.json",
            "/a/.claude.json",
        ),
        (
            {"CLAUDE_CONFIG_DIR": "/a", "CLAUDE_SECURESTORAGE_CONFIG_DIR": ""},
            "home/.claude/.credentials.json",
            "/a/.claude.json",
        ),
    ],
)
def test_places_follow_the_environment(tmp_path: Path, environ: dict[str, str], credentials: str, config: str) -> None:
    home = tmp_path / "home"
    first, second, _ = claude_code.places(environ, home)
    assert (first, second) == (tmp_path / credentials, tmp_path / config)


def test_the_older_configuration_is_read_where_there_is_no_newer(home: Path) -> None:
    (home / ".claude.json").rename(home / ".claude" / ".config.json")
    found = by_profile(claude_code.read(None, {}, home))
    assert found["anthropic:console"].path == str(home / ".claude" / ".config.json")
    assert found["anthropic:claude-code"].account == "me@example.com"


@pytest.mark.parametrize(
    "entry",
    [
        {"accessToken": "", "refreshToken": "", "expiresAt": 0},
        {"accessToken": "", "refreshToken": "", "expiresAt": 0, "loginEnded": "time_limit"},
    ],
)
def test_empty_tokens_are_a_login_that_ended(home: Path, entry: dict[str, Any]) -> None:
    write_json(home / ".claude" / ".credentials.json", {"claudeAiOauth": entry})
    findings = claude_code.read(None, {}, home)
    assert "anthropic:claude-code" not in by_profile(findings)
    assert skipped(findings) == {"claudeAiOauth": "it is logged out; sign in with Claude Code"}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("text", "the entry is not an object"),
        ({"accessToken": 7}, "it has no access token"),
        ({"accessToken": "fake-access", "expiresAt": "soon"}, "its expiresAt is not a number of milliseconds"),
        ({"accessToken": "fake-access", "refreshToken": [1]}, "it has no refresh token"),
    ],
)
def test_a_malformed_login_is_named(home: Path, entry: Any, why: str) -> None:
    write_json(home / ".claude" / ".credentials.json", {"claudeAiOauth": entry})
    findings = claude_code.read(None, {}, home)
    assert skipped(findings) == {"claudeAiOauth": why}
    assert "anthropic:console" in by_profile(findings)


def test_an_older_login_without_the_newer_fields(home: Path) -> None:
    entry = {"accessToken": "fake-access", "refreshToken": "fake-refresh", "expiresAt": EXPIRES_MS, "scopes": "odd"}
    write_json(home / ".claude" / ".credentials.json", {"claudeAiOauth": entry})
    login = by_profile(claude_code.read(None, {}, home))["anthropic:claude-code"].credential
    assert isinstance(login, OAuth)
    assert login.scopes == []
    assert login.extra["claude_code"]["entry"] == {"scopes": "odd"}


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"claudeAiOauth": {"accessToken": "fake-secret-half', b"\xff\xfe", b"[]"]
)
def test_damage_is_one_sentence_without_content(home: Path, content: bytes) -> None:
    path = home / ".claude" / ".credentials.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        claude_code.read(None, {}, home)
    assert str(path) in str(caught.value)
    assert "fake-secret" not in str(caught.value)
    assert path.read_bytes() == content


def test_damage_of_the_configuration_does_not_hide_a_login_that_is_read_again(home: Path) -> None:
    (home / ".claude.json").write_text("{")
    path = home / ".claude" / ".credentials.json"
    assert by_profile(claude_code.read(path, {}, home))["anthropic:claude-code"].account == "account-1"


def test_nothing_there_and_no_file_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Claude Code keeps nothing"):
        claude_code.read(None, {}, tmp_path)
    with pytest.raises(NotFound, match="there is no"):
        claude_code.read(tmp_path / ".credentials.json", {}, tmp_path)
    (tmp_path / ".claude" / ".credentials.json").mkdir(parents=True)
    with pytest.raises(StorageError, match="is not a file"):
        claude_code.read(None, {}, tmp_path)


def test_a_symbolic_link_is_followed(home: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    (home / ".claude" / ".credentials.json").rename(real)
    (home / ".claude" / ".credentials.json").symlink_to(real)
    assert "anthropic:claude-code" in by_profile(claude_code.read(None, {}, home))


def test_keys_in_the_settings(home: Path) -> None:
    write_settings(
        home,
        env={
            "ANTHROPIC_API_KEY": "fake-key-settings-1",
            "ANTHROPIC_AUTH_TOKEN": "fake-token-gateway-1",
            "CLAUDE_CODE_OAUTH_TOKEN": "fake-token-setup-1",
            "OTHER": "x",
        },
        apiKeyHelper="pass show anthropic",
    )
    found = by_profile(claude_code.read(None, {}, home))
    assert found["anthropic:settings"].credential == ApiKey(key="fake-key-settings-1")
    assert found["anthropic:settings-auth"].credential == Token(token="fake-token-gateway-1")
    assert found["anthropic:settings-oauth"].credential == Token(token="fake-token-setup-1")
    helper = found["anthropic:key-helper"]
    assert helper.credential == Reference(scheme="command", target="pass show anthropic")
    assert helper.ownership == "external"


def test_a_key_for_another_server_is_that_providers(home: Path) -> None:
    from vault.providers import catalogue

    entry = next(p for p in catalogue.providers() if p.api and p.api.startswith("https://") and "${" not in p.api)
    write_settings(
        home, env={"ANTHROPIC_AUTH_TOKEN": "fake-token-other-1", "ANTHROPIC_BASE_URL": f"{entry.api}/anthropic"}
    )
    findings = claude_code.read(home / ".claude" / "settings.json", {}, home)
    assert [f.profile for f in findings.found] == [f"{entry.id}:settings-auth"]
    write_settings(
        home, env={"ANTHROPIC_AUTH_TOKEN": "fake-token-2", "ANTHROPIC_BASE_URL": "https://gateway.example/x"}
    )
    findings = claude_code.read(home / ".claude" / "settings.json", {}, home)
    (found,) = findings.found
    assert (found.profile, found.base_url) == ("anthropic:gateway.example/x", "https://gateway.example/x")


def test_the_vaults_own_helper_is_not_taken_back(home: Path) -> None:
    write_settings(home, apiKeyHelper="'/opt/a b/vault' helper api-key anthropic --agent main")
    assert "anthropic:key-helper" not in by_profile(claude_code.read(None, {}, home))


SECURITY = """#!/bin/sh
printf '%s\\n' "$*" >> "$0.log"
[ -e "$0.hang" ] && exec sleep 600
[ -e "$0.locked" ] && exit 36
case "$*" in
  *"-s Claude Code-credentials"*) cat "$0.login" 2>/dev/null || exit 44 ;;
  *"-s Claude Code"*) cat "$0.key" 2>/dev/null || exit 44 ;;
esac
"""


@pytest.fixture
def security(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A macOS whose ``security`` gives what is in the files beside it."""
    program = tmp_path / "bin" / "security"
    program.parent.mkdir()
    program.write_text(SECURITY)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(claude_code_store, "PLATFORM", "darwin")
    return program


def beside(program: Path, what: str) -> Path:
    return program.with_name(f"security.{what}")


def test_the_keychains_login_can_be_read_again_by_its_path(security: Path, tmp_path: Path) -> None:
    write_json(tmp_path / ".claude.json", ACCOUNT)
    beside(security, "login").write_text(json.dumps({"claudeAiOauth": LOGIN}) + "\n")
    beside(security, "key").write_text("fake-key-console-1\n")
    environ = {"USER": "jane"}
    found = by_profile(claude_code.read(None, environ, tmp_path))
    assert found["anthropic:console"].credential == ApiKey(key="fake-key-console-1")
    login = found["anthropic:claude-code"]
    assert login.path == "keychain:Claude Code-credentials/jane"
    assert login.account == "me@example.com"
    assert claude_code.read(Path(login.path), environ, tmp_path).found == [login]
    asked = beside(security, "log").read_text().splitlines()
    assert asked[0] == "find-generic-password -a jane -w -s Claude Code-credentials"


def test_another_folder_has_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claude_code_store, "PLATFORM", "darwin")
    place = place_of({"CLAUDE_CONFIG_DIR": str(tmp_path)}, Path("/home/x"))
    suffix = "-" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]
    assert keychain_paths(place, {"USER": "a b"}) == [
        Path(f"keychain:Claude Code-credentials{suffix}/claude-code-user"),
        Path(f"keychain:Claude Code{suffix}/claude-code-user"),
    ]


def test_a_locked_keychain_is_named_and_the_files_still_count(security: Path, tmp_path: Path) -> None:
    write_json(tmp_path / ".claude" / ".credentials.json", {"claudeAiOauth": LOGIN})
    beside(security, "locked").touch()
    findings = claude_code.read(None, {"USER": "jane"}, tmp_path)
    assert "anthropic:claude-code" in by_profile(findings)
    assert "the keychain refused" in skipped(findings)["keychain:Claude Code-credentials/jane"]
    with pytest.raises(Unavailable, match="36"):
        claude_code.read(Path("keychain:Claude Code-credentials/jane"), {}, tmp_path)


def test_a_keychain_that_does_not_answer_is_left(
    security: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside(security, "hang").touch()
    monkeypatch.setattr(claude_code_store, "KEYCHAIN_SECONDS", 0.2)
    with pytest.raises(TryAgain, match="did not give"):
        claude_code.read(Path("keychain:Claude Code-credentials/jane"), {}, tmp_path)


def test_an_empty_keychain_is_no_store(security: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        claude_code.read(None, {"USER": "jane"}, tmp_path)
    with pytest.raises(NotFound, match="has no entry"):
        claude_code.read(Path("keychain:Claude Code-credentials/jane"), {}, tmp_path)


@pytest.mark.parametrize(
    "name", ["keychain:Other/jane", "keychain:Claude Code-credentials", "keychain:Claude Code/-s x"]
)
def test_only_claude_codes_entries_are_asked_for(security: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not a keychain entry"):
        claude_code.read(Path(name), {}, tmp_path)
    assert not beside(security, "log").exists()


def test_elsewhere_there_is_no_keychain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claude_code_store, "PLATFORM", "linux")
    assert keychain_paths(Place(tmp_path, tmp_path, tmp_path), {"USER": "jane"}) == []
    with pytest.raises(Unavailable, match="no macOS keychain"):
        claude_code.read(Path("keychain:Claude Code-credentials/jane"), {}, tmp_path)
