"""``vault login anthropic --method claude-code``: the login Claude Code keeps and refreshes is taken over as it is."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Real
from tests.cli.signing_in import Place
from vault.values import DAY, SystemClock

pytestmark = pytest.mark.skipif(
    os.uname().sysname == "Darwin", reason="there Claude Code keeps its login in the keychain"
)


class ClaudeCode:
    """Claude Code's own store."""

    def __init__(self, canary: str) -> None:
        self.canary = canary
        self.file = Path(os.environ["HOME"]) / ".claude" / ".credentials.json"

    def signs_in(self, number: int = 1, life: int = DAY, **more: Any) -> str:
        """As ``claude`` leaves its store after a sign-in or a refresh; the access token."""
        access = f"sk-ant-oat01-{self.canary}-{number}"
        self.file.parent.mkdir(exist_ok=True)
        entry = {
            "accessToken": access,
            "refreshToken": f"sk-ant-ort01-{self.canary}-{number}",
            "expiresAt": (SystemClock().now() + life) // 1000,
            "scopes": ["user:inference", "user:profile"],
            "subscriptionType": "max",
            **more,
        }
        self.file.write_text(json.dumps({"claudeAiOauth": entry, "mcpOAuth": {"fake-server": {}}}))
        self.file.chmod(0o600)
        return access


@pytest.fixture
def claude(place: Place, monkeypatch: pytest.MonkeyPatch) -> ClaudeCode:
    for name in [n for n in os.environ if n.startswith(("CLAUDE", "ANTHROPIC"))]:
        monkeypatch.delenv(name)
    return ClaudeCode(str(place.canary))


@pytest.fixture(autouse=True)
def _searched_without_the_store(claude: ClaudeCode, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tool's own file is plain text, which the search for secrets would find."""
    yield
    claude.file.unlink(missing_ok=True)


def test_the_login_of_claude_code_is_chosen_from_the_menu(place: Place, real: Real, claude: ClaudeCode) -> None:
    access = claude.signs_in()
    before = claude.file.read_bytes(), claude.file.stat().st_mtime_ns
    with place.terminal("login", "anthropic") as talk:
        talk.until("3 The login Claude Code keeps")
        talk.until("Which [1]: ")
        talk.type("3")
        shown = talk.end()
    assert "logged in anthropic:claude-code for agent main (oauth, fingerprint " in shown
    assert "its own tool refreshes it" in shown
    assert "Claude Code refreshes it and vault reads it there." in shown
    assert "only authorized for use with Claude Code, use an API key" in shown
    told = real("show", "anthropic:claude-code", "--json").json
    assert (told["kind"], told["ownership"]) == ("oauth", "external")
    assert place.stored("anthropic:claude-code", "oauth") == access
    assert (claude.file.read_bytes(), claude.file.stat().st_mtime_ns) == before
    assert stat.S_IMODE(claude.file.stat().st_mode) == 0o600
    assert place.events()[0] == "profile_imported"


def test_it_takes_no_person(place: Place, real: Real, claude: ClaudeCode) -> None:
    """The sign-in was done in Claude Code, so an agent may take it over."""
    claude.signs_in()
    told = real("login", "anthropic", "--method", "claude-code", "--label", "mine", "--json").json
    assert (told["profile"], told["kind"], told["replaced"]) == ("anthropic:claude-code", "oauth", None)
    assert place.profiles()["anthropic:claude-code"]["label"] == "mine"


def test_each_use_reads_what_claude_code_has_now(place: Place, real: Real, claude: ClaudeCode) -> None:
    claude.signs_in(1, life=-DAY)
    real("login", "anthropic", "--method", "claude-code")
    assert "claude" in real("get", "anthropic:claude-code", status=82).err.lower()
    second = claude.signs_in(2)
    assert place.stored("anthropic:claude-code", "oauth") == second
    assert place.events().count("profile_imported") == 2
    assert place.authority.requests == []


def test_taking_it_over_twice_changes_nothing(place: Place, real: Real, claude: ClaudeCode) -> None:
    claude.signs_in()
    real("login", "anthropic", "--method", "claude-code")
    again = real("login", "anthropic", "--method", "claude-code")
    assert "it is the same secret as before" in again.err
    assert place.events() == ["profile_imported"]


def test_after_a_logout_it_is_taken_over_again(place: Place, real: Real, claude: ClaudeCode) -> None:
    access = claude.signs_in()
    real("login", "anthropic", "--method", "claude-code")
    real("logout", "anthropic:claude-code")
    assert place.profiles() == {}
    real("login", "anthropic", "--method", "claude-code")
    assert place.stored("anthropic:claude-code", "oauth") == access
    assert place.stored("anthropic:claude-code", "oauth") == access
    claude.signs_in(2)
    real("get", "anthropic:claude-code")
    assert place.events().count("profile_imported") == 3


def test_revoking_it_is_for_claude_code(place: Place, real: Real, claude: ClaudeCode) -> None:
    """Anthropic would log Claude Code out too."""
    claude.signs_in()
    real("login", "anthropic", "--method", "claude-code")
    told = real("logout", "anthropic:claude-code", "--revoke", status=64).err
    assert "revoking it would log that tool out: log out with that tool, or leave out --revoke" in told
    assert place.authority.requests == []
    assert list(place.profiles()) == ["anthropic:claude-code"]


@pytest.mark.parametrize(
    "words", [["anthropic:work"], ["anthropic", "--profile", "work"], ["anthropic", "--agent", "coder"]]
)
def test_it_has_one_name(place: Place, real: Real, claude: ClaudeCode, words: list[str]) -> None:
    claude.signs_in()
    told = real("login", *words, "--method", "claude-code", status=64).err
    assert "the login of Claude Code is kept as anthropic:claude-code of agent main" in told
    assert place.events() == []


@pytest.mark.parametrize("content", ["", "{}", '{"claudeAiOauth": {"accessToken": "", "refreshToken": ""}}'])
def test_where_claude_code_is_not_signed_in(place: Place, real: Real, claude: ClaudeCode, content: str) -> None:
    if content:
        claude.signs_in()
        claude.file.write_text(content)
    told = real("login", "anthropic", "--method", "claude-code", status=66).err
    assert told.rstrip().endswith("sign in with Claude Code, then run this again")
    assert place.events() == []


def test_a_damaged_store_is_an_error(place: Place, real: Real, claude: ClaudeCode) -> None:
    claude.signs_in()
    claude.file.write_text("{" + str(place.canary))
    assert ".credentials.json" in real("login", "anthropic", "--method", "claude-code", status=65).err
    assert place.events() == []
