"""Gemini CLI itself, fed from the vault; a recorder in place of Google tells what its requests carried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Result
from tests.importers.stores import write_json
from tests.interop.gemini_tool import gemini
from tests.interop.recorder import Recorder
from tests.interop.tools import Installer
from tests.interop.vaulted import Vaulted
from vault.events.credentials import OAuth
from vault.interop import gemini as interop

pytestmark = pytest.mark.interop

ASK = ("-m", "gemini-2.5-flash", "-p", "say hi")
NEVER = 4_000_000_000_000


@pytest.fixture
def vault(installer: Installer, tmp_path: Path, recorder: Recorder) -> Vaulted:
    return Vaulted(gemini(installer, tmp_path / "home", recorder))


def select(vault: Vaulted, kind: str, recorder: Recorder) -> None:
    """What a person chooses in Gemini CLI's own dialog; keys then go to the recorder."""
    write_json(vault.tool.home / ".gemini" / "settings.json", {"security": {"auth": {"selectedType": kind}}})
    if kind == "gemini-api-key":
        vault.tool.environ["GOOGLE_GEMINI_BASE_URL"] = recorder.url


def secrets_in(recorder: Recorder) -> set[str]:
    """The credentials of all requests."""
    return {value for r in recorder.requests for value in r.credentials.values()}


def ask(vault: Vaulted) -> Result:
    """Ask in print mode, started by ``vault exec``."""
    return vault("exec", "--tool", "gemini", "--", vault.tool.command, *ASK)


def test_a_childs_request_carries_the_logins_token(vault: Vaulted, recorder: Recorder) -> None:
    vault.tool.environ |= {"GEMINI_API_KEY": "fake-key-of-the-shell", "GOOGLE_API_KEY": "fake-key-of-the-shell"}
    login = {"type": "oauth", "access": "fake-access-google-1", "refresh": "fake-refresh-google-1", "expires": NEVER}
    vault("import", "opencode", "--from", write_json(vault.tool.home / "other" / "auth.json", {"google": login}))
    told = ask(vault)
    assert recorder.model_requests, told
    assert secrets_in(recorder) == {"fake-access-google-1"}
    assert {r.headers["authorization"] for r in recorder.model_requests} == {"Bearer fake-access-google-1"}
    assert not (vault.tool.home / ".gemini" / "oauth_creds.json").exists()


def test_a_childs_request_carries_the_key(vault: Vaulted, recorder: Recorder) -> None:
    select(vault, "gemini-api-key", recorder)
    vault.tool.environ |= {"GEMINI_API_KEY": "fake-key-of-the-shell", "GOOGLE_API_KEY": "fake-key-of-the-shell"}
    vault.login("google", "fake-key-google-1")
    told = ask(vault)
    assert recorder.model_requests, told
    assert secrets_in(recorder) == {"fake-key-google-1"}
    assert {r.headers["x-goog-api-key"] for r in recorder.model_requests} == {"fake-key-google-1"}
    assert vault.issued() == [("google:default", "gemini")]


def test_an_exported_key_is_used(vault: Vaulted, recorder: Recorder) -> None:
    select(vault, "gemini-api-key", recorder)
    vault.login("google", "fake-key-google-2")
    vault("export", "gemini", "--yes")
    told = vault.child(*ASK)
    assert recorder.model_requests, told
    assert secrets_in(recorder) == {"fake-key-google-2"}


def test_what_gemini_cli_sealed_is_read(vault: Vaulted) -> None:
    """Told to keep its login sealed, it moves the plain file's into the fallback: there is no keyring here."""
    login = {"access_token": "fake-access-google-2", "refresh_token": "fake-refresh-google-2", "expiry_date": NEVER}
    folder = vault.tool.home / ".gemini"
    select_login = {"security": {"auth": {"selectedType": "oauth-personal"}}}
    write_json(folder / "settings.json", select_login)
    write_json(folder / "oauth_creds.json", login | {"token_type": "Bearer", "scope": "openid"})
    vault.tool.environ |= {"GEMINI_FORCE_ENCRYPTED_FILE_STORAGE": "true", "GEMINI_FORCE_FILE_STORAGE": "true"}
    told = vault.child(*ASK)
    assert not (folder / "oauth_creds.json").exists(), told
    (found,) = interop.read(None, vault.tool.environ, vault.tool.home).found
    assert found.path == str(folder / "gemini-credentials.json")
    assert isinstance(found.credential, OAuth)
    assert (found.credential.access, found.credential.refresh) == ("fake-access-google-2", "fake-refresh-google-2")
    assert found.credential.expires_at == NEVER * 1000
    vault("import", "gemini")
    assert vault("get", "google:gemini-cli").out == "fake-access-google-2\n"


def test_a_login_is_put_back(vault: Vaulted) -> None:
    login = {"access_token": "fake-access-google-3", "refresh_token": "fake-refresh-google-3", "expiry_date": NEVER}
    path = write_json(vault.tool.home / ".gemini" / "oauth_creds.json", login | {"token_type": "Bearer", "x": 1})
    document = json.loads(path.read_text())
    vault("import", "gemini")
    path.unlink()
    vault("export", "gemini", "--hand-over", "--yes")
    assert json.loads(path.read_text()) == document
    assert path.stat().st_mode & 0o777 == 0o600
