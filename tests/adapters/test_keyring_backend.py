"""The vault as a keyring: through the library, its command line, and pip, each in a process of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import keyring.backend
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.errors import KeyringLocked, PasswordDeleteError, PasswordSetError

from tests.support import Files, make_files
from vault.adapters import keyring_backend as module
from vault.api import Vault, open_vault
from vault.events.credentials import ApiKey
from vault.events.types import CredentialIssued
from vault.values import parse_profile

BIN = Path(sys.executable).parent


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated: Path) -> Files:
    files = make_files(tmp_path / "vault")
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    return files


@pytest.fixture
def opened(files: Files) -> Iterator[Vault]:
    with open_vault(environ=files.environ()) as one:
        yield one


@pytest.fixture
def backend(files: Files) -> module.VaultKeyring:
    return module.VaultKeyring()


def command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "keyring"), *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def test_what_is_stored_is_read_and_deleted(backend: module.VaultKeyring, opened: Vault) -> None:
    assert backend.get_password("my app", "octo") is None
    backend.set_password("my app", "octo", "fake-password-1")
    backend.set_password("my app", "octo", "fake-password-2")
    assert backend.get_password("my app", "octo") == "fake-password-2"
    assert backend.get_password("my app", "other") is None
    backend.delete_password("my app", "octo")
    assert backend.get_password("my app", "octo") is None
    with pytest.raises(PasswordDeleteError):
        backend.delete_password("my app", "octo")
    opened.restore("keyring:my%20app/octo")
    assert backend.get_password("my app", "octo") == "fake-password-2"


def test_a_read_is_in_the_history_and_a_miss_is_not(backend: module.VaultKeyring, opened: Vault) -> None:
    backend.set_password("app", "octo", "fake-password-1")
    backend.get_password("app", "octo")
    backend.get_password("app", "nobody")
    issued = [e.event for e in opened.history() if isinstance(e.event, CredentialIssued)]
    assert [e.profile for e in issued] == ["keyring:app/octo"]


def test_a_program_s_password_is_no_model_provider_s_key(backend: module.VaultKeyring, opened: Vault) -> None:
    backend.set_password("openai", "default", "fake-password-of-an-app")
    assert [p.profile for p in opened.profiles().profiles] == ["keyring:openai/default"]


def test_a_profile_of_the_vault_is_read_by_its_id(backend: module.VaultKeyring, opened: Vault) -> None:
    opened.login("anthropic:work", "fake-key-work")
    assert backend.get_password("anthropic", "work") == "fake-key-work"


def test_a_url_is_found_under_its_host_and_without_a_user(backend: module.VaultKeyring) -> None:
    backend.set_password("pypi.example", "first", "fake-password-1")
    backend.set_password("pypi.example", "octo", "fake-password-2")
    found = backend.get_credential("https://pypi.example/simple/", None)
    assert found is not None
    assert (found.username, found.password) == ("octo", "fake-password-2")
    assert backend.get_credential("https://elsewhere.example/simple/", None) is None
    assert backend.get_credential("https://[broken", None) is None


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.text("a/%-:é ", max_size=8)


@given(NAMES, NAMES, NAMES, NAMES)
def test_every_service_and_user_has_a_profile_of_its_own(one: str, user: str, other: str, user_2: str) -> None:
    profile = module._profile(one, user)
    assert parse_profile(profile) == profile
    assert (profile == module._profile(other, user_2)) == ((one, user) == (other, user_2))
    assert profile.startswith(module._profile(one, ""))


FEED = "https://pkgs.dev.azure.com/fake-organisation/fake-project/_packaging/fake-feed/pypi/simple/"


@pytest.mark.parametrize("service", [FEED, FEED + "x" * 90, FEED + "?a=b&c=d#é", "/", "", "my app", "-x", "a/b"])
@pytest.mark.parametrize("user", ["octo", "a/b", "ü@example.com", "x" * 200])
def test_a_service_of_any_length_is_found_with_a_user_and_without(
    backend: module.VaultKeyring, opened: Vault, service: str, user: str
) -> None:
    backend.set_password(service, user, "fake-password-1")
    assert backend.get_password(service, user) == "fake-password-1"
    found = backend.get_credential(service, None)
    assert found is not None
    assert (found.username, found.password) == (user, "fake-password-1")
    assert backend.get_credential(f"{service}x", None) is None
    backend.delete_password(service, user)
    assert backend.get_credential(service, None) is None


def test_the_service_of_a_shortened_name_is_shown(backend: module.VaultKeyring, opened: Vault) -> None:
    backend.set_password(FEED * 3, "octo", "fake-password-1")
    (listed,) = opened.profiles().profiles
    assert listed.held.facts.label == f"octo at {FEED * 3}"


def test_what_earlier_versions_stored_is_found_and_deleted(backend: module.VaultKeyring, opened: Vault) -> None:
    for service in ("a=b", FEED * 2):
        facts = {"service": service, "username": "octo"}
        (earlier,) = module._earlier(service, "octo")
        assert earlier != module._profile(service, "octo")
        opened.keep(earlier, ApiKey(key="fake-password-1", metadata=facts), label="octo")
        assert backend.get_password(service, "octo") == "fake-password-1"
        assert getattr(backend.get_credential(service, None), "username", None) == "octo"
        backend.set_password(service, "octo", "fake-password-2")
        assert backend.get_password(service, "octo") == "fake-password-2"
        backend.delete_password(service, "octo")
        assert backend.get_password(service, "octo") is None


@pytest.mark.parametrize("password", ["", "fake-\ud800"])
def test_a_password_that_could_not_be_read_back_is_refused(backend: module.VaultKeyring, password: str) -> None:
    with pytest.raises(PasswordSetError):
        backend.set_password("app", "octo", password)
    assert backend.get_password("app", "octo") is None


@pytest.mark.filterwarnings("ignore:Empty usernames are deprecated")
def test_a_user_without_a_name_is_a_user(backend: module.VaultKeyring) -> None:
    backend.set_password("app", "", "fake-password-1")
    assert backend.get_password("app", "") == "fake-password-1"
    assert backend.get_password("app", "octo") is None


def test_another_port_or_scheme_is_another_server(backend: module.VaultKeyring, opened: Vault) -> None:
    backend.set_password("pypi.example", "octo", "fake-password-1")
    opened.login("git.example:octo", "fake-password-2")
    opened.keep("git.example-8443:octo", ApiKey(key="fake-password-3", metadata={"host": "git.example:8443"}))
    for url in ("https://pypi.example:8443/simple/", "http://pypi.example/simple/", "ftp://pypi.example/"):
        assert backend.get_credential(url, None) is None
        assert backend.get_password(url, "octo") is None
    for url in ("https://pypi.example/simple/", "https://pypi.example:443/", "https://someone@pypi.example/"):
        assert backend.get_password(url, "octo") == "fake-password-1"
    assert backend.get_password("https://git.example/simple/", "octo") == "fake-password-2"
    assert backend.get_password("https://git.example:8443/simple/", "octo") is None
    assert backend.get_password("git.example-8443", "octo") is None, "that host is none of git.example's"


def test_another_user_s_password_is_never_given_for_one_who_has_none(backend: module.VaultKeyring) -> None:
    """keyring 452, 528 and 698: on other backends a user nobody knows gets the last one's password, or an empty credential."""
    backend.set_password("service1", "user1", "fake-password-1")
    backend.set_password("service1", "user2", "fake-password-2")
    assert backend.get_credential("service1", "nobody!") is None
    assert backend.get_password("service1", "nobody!") is None
    assert getattr(backend.get_credential("service1", None), "username", None) == "user2"


def test_what_is_deleted_is_not_given_from_elsewhere(backend: module.VaultKeyring, opened: Vault) -> None:
    backend.set_password("pypi.example", "octo", "fake-password-1")
    backend.set_password("https://pypi.example/simple", "octo", "fake-password-1")
    opened.login("pypi.example:octo", "fake-password-1")
    backend.delete_password("https://pypi.example/simple", "octo")
    assert backend.get_password("https://pypi.example/simple", "octo") is None


def test_it_comes_after_the_desktop_and_before_what_keeps_nothing(files: Files) -> None:
    assert module.VaultKeyring.priority == 2
    (files.database).unlink()
    with pytest.raises(RuntimeError, match="vault init"):
        assert module.VaultKeyring.priority


def test_a_locked_vault_gives_nothing_and_says_so(
    backend: module.VaultKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("VAULT_KEY_FILE", "VAULT_PASSPHRASE", "VAULT_KEY_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    assert backend.get_password("app", "octo") is None
    said = capsys.readouterr().err
    assert said.startswith("vault: ")
    assert said.count("\n") == 1
    with pytest.raises(KeyringLocked):
        backend.set_password("app", "octo", "fake-password-1")


def test_the_vault_does_not_unlock_itself_from_inside_itself(files: Files, opened: Vault) -> None:
    """Installed beside a vault, the backend is in the library's list; unlocking never asks it."""
    from vault.unlock.os_keyring import _is_real

    found = keyring.backend.get_all_keyring()
    ours = [b for b in found if type(b).__module__ == module.__name__]
    assert all(not _is_real(b) for b in ours)
    assert not _is_real(module.VaultKeyring())


def test_the_keyring_command(files: Files, opened: Vault) -> None:
    assert command("set", "https://pypi.example/simple", "octo", stdin="fake-password-1\n").returncode == 0
    assert command("get", "https://pypi.example/simple", "octo").stdout == "fake-password-1\n"
    told = command("--mode=creds", "--output=json", "get", "https://pypi.example/simple")
    assert json.loads(told.stdout) == {"username": "octo", "password": "fake-password-1"}
    assert command("get", "https://pypi.example/simple", "nobody").returncode == 1
    assert command("del", "https://pypi.example/simple", "octo").returncode == 0
    issued = [e.event for e in opened.history() if isinstance(e.event, CredentialIssued)]
    assert {e.program for e in issued} == {"keyring"}


@pytest.fixture
def index() -> Iterator[tuple[str, list[str]]]:
    """A package index on loopback that wants a password; the Authorization headers it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            good = seen[-1] == "Basic " + base64.b64encode(b"octo:fake-password-1").decode()
            self.send_response(404 if good else 401)
            if not good:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple/", seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_pip_finds_an_index_password(files: Files, index: tuple[str, list[str]], backend: module.VaultKeyring) -> None:
    url, seen = index
    backend.set_password(url, "octo", "fake-password-1")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    options = ["--isolated", "--no-cache-dir", "--retries", "0"]  # from pip 23.1 on there is --keyring-provider too
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--index-url", url, "no-such-package"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environ,
        cwd=files.database.parent,
    )
    assert done.returncode != 0
    assert "Basic " + base64.b64encode(b"octo:fake-password-1").decode() in seen
    assert "fake-password-1" not in done.stdout + done.stderr
