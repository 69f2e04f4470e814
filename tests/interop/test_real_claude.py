"""Claude Code itself, in print mode, fed from the vault; a recorder tells what its requests carried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.importers.stores import write_json
from tests.interop.answers import PONG
from tests.interop.claude_tool import claude_code
from tests.interop.recorder import Recorded, Recorder
from tests.interop.tools import Installer
from tests.interop.vaulted import Vaulted
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Token
from vault.interop import claude_code as interop
from vault.values import MAIN_AGENT, ProfileId

pytestmark = pytest.mark.interop

ASK = ("-p", "say hi")
KEYS = [f"fake-key-anthropic-{number}" for number in range(3)]
SETUP = "sk-ant-oat01-fake-setup"
LOGIN = {
    "accessToken": "fake-access-claude-1",
    "refreshToken": "fake-refresh-claude-1",
    "expiresAt": 4_000_000_000_000,
    "scopes": ["user:inference", "user:profile"],
    "subscriptionType": "max",
    "rateLimitTier": None,
}


@pytest.fixture
def vault(installer: Installer, tmp_path: Path, recorder: Recorder) -> Vaulted:
    return Vaulted(claude_code(installer, tmp_path / "home", recorder))


def carried(request: Recorded) -> tuple[str, str]:
    """(x-api-key, Authorization) of a request."""
    return request.headers.get("x-api-key", ""), request.headers.get("authorization", "")


def secrets_in(recorder: Recorder) -> list[str]:
    """Headers with anything in them that could be a secret of these tests."""
    return [v for r in recorder.requests for v in r.headers.values() if "fake-" in v and "fake-model" not in v]


def test_the_helpers_key_is_sent_and_a_new_one_after_a_401(vault: Vaulted, recorder: Recorder) -> None:
    vault.login("anthropic", KEYS[0])
    vault("connect", "claude-code", "--yes")

    def replace(request: Recorded) -> None:
        if request.secret == KEYS[0]:
            vault.login("anthropic", KEYS[1])

    assert PONG in vault.child(*ASK).out
    assert [carried(r) for r in recorder.model_requests] == [(KEYS[0], f"Bearer {KEYS[0]}")]
    recorder.clear()
    recorder.refuse(KEYS[0])
    recorder.on_request = replace
    assert PONG in vault.child(*ASK).out
    assert recorder.sent() == [KEYS[0], KEYS[1]]
    assert set(vault.issued()) == {("anthropic:default", "claude-code")}
    vault("disconnect", "claude-code")
    assert not (vault.tool.home / ".claude" / "settings.json").exists()
    recorder.clear()
    vault.child(*ASK)
    assert secrets_in(recorder) == []


def test_a_login_is_never_sent_as_a_key(vault: Vaulted, recorder: Recorder) -> None:
    write_json(vault.tool.home / ".claude" / ".credentials.json", {"claudeAiOauth": LOGIN})
    vault("import", "claude-code")
    vault("connect", "claude-code", "--yes")
    told = vault.child(*ASK)
    assert "is a login and not an API key" in told.out + told.err
    assert secrets_in(recorder) == []
    vault.login("anthropic", KEYS[0])
    recorder.clear()
    assert PONG in vault.child(*ASK).out
    assert recorder.sent() == [KEYS[0]]


def test_a_locked_vault_says_what_to_do_and_nothing_is_sent(vault: Vaulted, recorder: Recorder) -> None:
    write_json(vault.tool.home / ".claude" / ".credentials.json", {"claudeAiOauth": LOGIN})
    vault.login("anthropic", KEYS[0])
    vault("connect", "claude-code", "--yes")
    vault.lose_the_key()
    told = vault.child(*ASK)
    assert "apiKeyHelper failed" in told.out + told.err
    assert "vault: " in told.out + told.err
    assert secrets_in(recorder) == []


@pytest.mark.parametrize(
    ("credential", "expected"),
    [(ApiKey(key=KEYS[0]), (KEYS[0], "")), (Token(token=SETUP), ("", f"Bearer {SETUP}"))],
    ids=["key", "setup-token"],
)
def test_a_secret_goes_through_a_descriptor(
    vault: Vaulted, recorder: Recorder, credential: AnyCredential, expected: tuple[str, str]
) -> None:
    vault.tool.environ |= {
        "ANTHROPIC_API_KEY": KEYS[1],
        "ANTHROPIC_AUTH_TOKEN": KEYS[2],
        "CLAUDE_CODE_OAUTH_TOKEN": KEYS[2],
    }
    write_json(vault.tool.home / ".claude" / ".credentials.json", {"claudeAiOauth": LOGIN})
    kind = "token" if isinstance(credential, Token) else "api_key"
    vault.login("anthropic:given", credential.secret() or "", "--kind", kind)
    said = vault("exec", "--tool", "claude-code", "--", vault.tool.command, *ASK)
    assert PONG in said.out
    assert ("anthropic:given", "claude-code") in vault.issued()
    (request,) = recorder.model_requests
    assert carried(request) == expected
    assert ("oauth-2025-04-20" in request.headers["anthropic-beta"]) is isinstance(credential, Token)


def test_its_login_is_read_and_put_back(
    vault: Vaulted, recorder: Recorder, installer: Installer, tmp_path: Path
) -> None:
    home = vault.tool.home
    document = {"claudeAiOauth": LOGIN, "mcpOAuth": {"server": {"accessToken": "fake-access-mcp"}}}
    path = write_json(home / ".claude" / ".credentials.json", document)
    status = json.loads(vault.child("auth", "status").out)
    assert (status["loggedIn"], status["authMethod"]) == (True, "claude.ai")
    assert PONG in vault.child(*ASK).out
    assert [carried(r) for r in recorder.model_requests] == [("", "Bearer fake-access-claude-1")]
    (found,) = interop.read(path, vault.tool.environ, home).found
    assert isinstance(found.credential, OAuth)
    assert found.credential.access == recorder.model_requests[0].secret
    vault("import", "claude-code")
    vault.child("auth", "logout")
    assert json.loads(vault.child("auth", "status").out)["loggedIn"] is False
    vault("export", "claude-code", "--hand-over", "--yes")
    assert json.loads(path.read_text()) == document
    assert json.loads(vault.child("auth", "status").out)["loggedIn"] is True
    recorder.clear()
    assert PONG in vault.child(*ASK).out
    assert [carried(r) for r in recorder.model_requests] == [("", "Bearer fake-access-claude-1")]


def test_what_it_changes_is_seen_at_the_next_use(vault: Vaulted) -> None:
    path = vault.tool.home / ".claude" / ".credentials.json"
    write_json(path, {"claudeAiOauth": LOGIN})
    vault("import", "claude-code")
    write_json(path, {"claudeAiOauth": LOGIN | {"accessToken": "fake-access-2", "refreshToken": "fake-refresh-2"}})
    assert vault("get", "anthropic:claude-code").out == "fake-access-2\n"
    with vault.files.open() as context:
        state = context.queries.profile(MAIN_AGENT, ProfileId("anthropic:claude-code"))
        assert state is not None
        assert state.current is not None
        assert state.current.facts.ownership == "external"


def test_a_key_in_its_settings_is_scrubbed_and_works_on(vault: Vaulted, recorder: Recorder) -> None:
    path = write_json(vault.tool.home / ".claude" / "settings.json", {"env": {"ANTHROPIC_API_KEY": KEYS[0]}})
    vault.child(*ASK)
    assert {carried(r)[0] for r in recorder.model_requests} == {KEYS[0]}
    vault("import", "claude-code", "--scrub")
    assert KEYS[0] not in path.read_text()
    recorder.clear()
    assert PONG in vault.child(*ASK).out
    assert recorder.sent() == [KEYS[0]]
