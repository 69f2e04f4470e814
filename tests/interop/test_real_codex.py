"""Codex itself, fed from the vault; a recorder in place of OpenAI tells what its requests carried."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.importers.stores import write_json
from tests.importers.test_codex import IDENTITY, jwt
from tests.interop.answers import PONG, Answer, of
from tests.interop.codex_tool import codex
from tests.interop.recorder import Recorded, Recorder
from tests.interop.tools import Installer
from tests.interop.vaulted import Vaulted
from vault.interop import codex as interop

pytestmark = pytest.mark.interop

ASK = ("exec", "--skip-git-repo-check", "say hi")
KEYS = [f"fake-key-openai-{number}" for number in range(3)]


@pytest.fixture
def vault(installer: Installer, tmp_path: Path, recorder: Recorder) -> Vaulted:
    return Vaulted(codex(installer, tmp_path / "home", recorder))


def config_of(vault: Vaulted) -> Path:
    return vault.tool.home / ".codex" / "config.toml"


def auth_of(vault: Vaulted) -> Path:
    return vault.tool.home / ".codex" / "auth.json"


def connect(vault: Vaulted, recorder: Recorder) -> None:
    """Connect, and let the person move the provider to the recorder."""
    vault("connect", "codex", "--yes")
    text = config_of(vault).read_text()
    assert "https://api.openai.com/v1" in text
    config_of(vault).write_text(text.replace("https://api.openai.com/v1", f"{recorder.url}/v1"))


def login(number: int, *, ends: int) -> dict[str, object]:
    """A ChatGPT login as Codex keeps it, ending in so many seconds."""
    tokens = {
        "id_token": IDENTITY,
        "access_token": jwt(exp=int(time.time()) + ends, jti=f"fake-access-{number}"),
        "refresh_token": f"fake-refresh-{number}",
        "account_id": "account-1",
    }
    return {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": "2026-11-20T00:00:00Z"}


def secrets_in(recorder: Recorder, below: str = "/") -> list[str]:
    """The credentials of all requests below a path."""
    return [value for r in recorder.requests if r.path.startswith(below) for value in r.credentials.values()]


def test_the_commands_token_is_sent_and_a_new_one_after_a_401(vault: Vaulted, recorder: Recorder) -> None:
    vault.login("openai", KEYS[0])
    connect(vault, recorder)
    assert PONG in vault.child(*ASK).out
    assert set(secrets_in(recorder)) == {KEYS[0]}
    recorder.clear()
    recorder.refuse(KEYS[0])

    def replace(request: Recorded) -> None:
        if request.is_model and request.secret == KEYS[0]:
            vault.login("openai", KEYS[1])

    recorder.on_request = replace
    assert PONG in vault.child(*ASK).out
    assert recorder.sent() == [KEYS[0], KEYS[1]]
    assert set(vault.issued()) == {("openai:default", "codex")}
    told = vault("disconnect", "codex")
    assert "base_url" in told.out + told.err, "what the person changed stays, and is named"
    left = config_of(vault).read_text()
    assert left.startswith("# the person's own\n")
    assert f"{recorder.url}/v1" in left
    assert 'model_provider = "vault"' not in left


def test_a_locked_vault_says_what_to_do_and_nothing_is_sent(vault: Vaulted, recorder: Recorder) -> None:
    write_json(auth_of(vault), {"auth_mode": "apikey", "OPENAI_API_KEY": KEYS[2]})
    vault.login("openai", KEYS[0])
    connect(vault, recorder)
    vault.lose_the_key()
    told = vault.child(*ASK)
    assert "provider auth command" in told.err
    assert "vault: " in told.err
    assert KEYS[0] not in told.out + told.err
    assert secrets_in(recorder) == []


def test_a_login_is_never_sent_as_a_key(vault: Vaulted, recorder: Recorder) -> None:
    write_json(auth_of(vault), login(1, ends=10_000))
    vault("import", "codex")
    connect(vault, recorder)
    told = vault.child(*ASK)
    assert "is a login and not an API key" in told.err
    # At ChatGPT's own address Codex goes on using its login.
    assert secrets_in(recorder, "/v1/") == []
    vault.login("openai", KEYS[0])
    recorder.clear()
    assert PONG in vault.child(*ASK).out
    assert set(secrets_in(recorder, "/v1/")) == {KEYS[0]}


def test_an_exported_key_is_codexs(vault: Vaulted, recorder: Recorder) -> None:
    assert "Not logged in" in vault.child("login", "status").err
    vault.login("openai", KEYS[0])
    vault("export", "codex", "--yes")
    assert "API key configured" in vault.child("login", "status").err
    assert PONG in vault.child(*ASK).out
    assert set(secrets_in(recorder)) == {KEYS[0]}
    exported = auth_of(vault).read_bytes()
    assert vault.tool("login", "--with-api-key", stdin=f"{KEYS[0]}\n") == ""
    assert auth_of(vault).read_bytes() == exported


def test_what_codex_wrote_is_read(vault: Vaulted, recorder: Recorder) -> None:
    vault.tool("login", "--with-api-key", stdin=f"{KEYS[0]}\n")
    (found,) = interop.read(None, vault.tool.environ, vault.tool.home).found
    server = f"{recorder.url}/v1"
    assert (found.profile, found.base_url, found.credential.secret()) == (f"openai:{server}", server, KEYS[0])


def test_a_login_is_put_back_whole(vault: Vaulted, recorder: Recorder) -> None:
    document = login(1, ends=10_000)
    write_json(auth_of(vault), document)
    vault("import", "codex")
    auth_of(vault).unlink()
    vault("export", "codex", "--hand-over", "--yes")
    assert json.loads(auth_of(vault).read_text()) == document
    assert "Logged in using ChatGPT" in vault.child("login", "status").err
    assert PONG in vault.child(*ASK).out
    (request,) = recorder.model_requests
    tokens = document["tokens"]
    assert isinstance(tokens, dict)
    assert request.secret == tokens["access_token"]
    assert request.headers["chatgpt-account-id"] == "account-1"


def test_codex_refreshes_its_login_and_the_vault_sees_it(vault: Vaulted, recorder: Recorder) -> None:
    write_json(auth_of(vault), login(1, ends=-100))
    vault("import", "codex")
    new = login(2, ends=10_000)["tokens"]
    assert isinstance(new, dict)

    def token(request: Recorded) -> Answer | None:
        return of(new) if request.place == "/oauth/token" else None

    recorder.answers.append(token)
    assert PONG in vault.child(*ASK).out
    assert [r.json["refresh_token"] for r in recorder.requests if r.place == "/oauth/token"] == ["fake-refresh-1"]
    assert recorder.sent() == [new["access_token"]]
    assert vault("get", "openai:codex").out == f"{new['access_token']}\n"


def test_a_child_gets_the_key_in_its_own_variable(vault: Vaulted, recorder: Recorder) -> None:
    write_json(auth_of(vault), {"auth_mode": "apikey", "OPENAI_API_KEY": KEYS[2]})
    vault.tool.environ |= {"CODEX_API_KEY": KEYS[1], "CODEX_ACCESS_TOKEN": KEYS[1]}
    vault.login("openai", KEYS[0])
    assert PONG in vault("exec", "--tool", "codex", "--", vault.tool.command, *ASK).out
    assert set(secrets_in(recorder)) == {KEYS[0]}


def test_a_key_in_plain_text_is_scrubbed_and_works_on(vault: Vaulted, recorder: Recorder) -> None:
    write_json(auth_of(vault), {"auth_mode": "apikey", "OPENAI_API_KEY": KEYS[0]})
    vault("import", "codex", "--scrub")
    assert not auth_of(vault).exists()
    config_of(vault).write_text(config_of(vault).read_text().replace("https://api.openai.com", recorder.url))
    assert PONG in vault.child(*ASK).out
    assert set(secrets_in(recorder)) == {KEYS[0]}
