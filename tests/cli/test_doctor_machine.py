"""doctor: keys, files, packages, damage and cloud families; it never fails itself and changes nothing by looking."""

from __future__ import annotations

import importlib.metadata
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.doctoring import MANY, findings, look, made_whole
from tests.cli.lives import build, hold
from tests.cli.running import Shell
from tests.support import Files
from vault.events.credentials import Reference
from vault.log.database import Database
from vault.log.slots import read_slots
from vault.providers.plugins import plugins
from vault.unlock import remember_place


@pytest.fixture
def whole(files: Files, shell: Shell) -> Files:
    """A vault in which doctor finds nothing."""
    return made_whole(files, shell)


def test_modes_are_closed(shell: Shell, whole: Files) -> None:
    whole.database.chmod(0o644)
    whole.database.parent.chmod(0o755)
    found = findings(shell)
    assert {f["name"] for f in found} == {"modes"}
    assert {f["command"] for f in found} >= {f"chmod 600 {whole.database}", f"chmod 700 {whole.database.parent}"}
    assert look(shell, "--yes")["ok"]
    assert whole.database.stat().st_mode & 0o777 == 0o600
    assert whole.database.parent.stat().st_mode & 0o777 == 0o700


# -- keys this machine remembers


@pytest.fixture
def remembers(whole: Files, shell: Shell) -> Callable[[str, str], None]:
    """Say where a slot's key is: of a kind, the text that is remembered for it."""

    def remember(kind: str, text: str) -> None:
        database = Database(whole.database)
        vault_id, slots, _ = read_slots(database)
        database.close()
        number = next((s.slot for s in slots if s.kind == kind), 0)
        remember_place(whole.places.unlocking(vault_id), number, text)

    shell("key", "add", "--key-command", f"cat {whole.key_file}")
    return remember


COMMANDS = {
    "fake-program key": "the key command's program fake-program is gone",
    "./fake-program": "./fake-program is another program in every folder",
    "cat here.key": "the key command's here.key is another file in every folder",
    "cat /nonexistent/key": "/nonexistent/key, which the key command reads, is gone",
    'cat "x': "its key command can't be split into words",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_remembered_key_command_that_is_gone(
    shell: Shell, whole: Files, remembers: Callable[[str, str], None], command: str
) -> None:
    assert findings(shell) == []
    remembers("command", command)
    (one,) = findings(shell)
    assert (one["name"], one["mend"]) == ("slots", None)
    assert one["text"] == f"slot 3: {COMMANDS[command]}"


def test_a_key_command_is_not_run(
    shell: Shell, whole: Files, remembers: Callable[[str, str], None], tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\ntouch ran\n")
    script.chmod(0o700)
    remembers("command", f"{script} --for vault item/field op://vault/key")
    build(whole, shell.clock, hold("groq:a", Reference(scheme="command", target=str(script))))
    assert findings(shell) == []
    assert not Path("ran").exists()


def test_a_remembered_key_file_that_is_gone(
    shell: Shell, whole: Files, remembers: Callable[[str, str], None], tmp_path: Path
) -> None:
    for place, text in (
        (str(tmp_path / "gone.key"), f"slot 1: {tmp_path}/gone.key is gone"),
        ("vault.key", "slot 1: the key file vault.key is another one in every folder"),
    ):
        remembers("key-file", place)
        (one,) = findings(shell)
        assert (one["name"], one["text"], one["mend"]) == ("slots", text, None)
    whole.key_file.chmod(0o644)
    remembers("key-file", str(whole.key_file))
    (one,) = findings(shell)
    assert one["command"] == f"chmod 600 {whole.key_file}"
    assert look(shell, "--fix", "--yes")["ok"]


# -- packages


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package whose entry point can't be loaded."""
    point = importlib.metadata.EntryPoint("fake", "fake_package:extension", "vault.providers")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [point])
    plugins.cache_clear()
    yield
    plugins.cache_clear()


def test_a_package_that_can_not_be_loaded(shell: Shell, whole: Files, package: None) -> None:
    (one,) = findings(shell)
    assert one["name"] == "plugins"
    assert (
        one["text"]
        == "the package fake adds no sign-in method: ModuleNotFoundError while loading fake_package:extension"
    )
    assert one["hint"] == "update fake, or uninstall it"


# -- never fails


def test_doctor_finds_nothing_in_a_new_vault(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_KEY_FILE", str(tmp_path / "key"))
    shell("init", "--key-file", str(tmp_path / "key"))
    told = shell("doctor")
    assert told.err == ""
    assert all(line.startswith("✓ ") for line in told.lines)
    assert {line.split(": ")[0] for line in told.lines} >= {
        f"✓ {name}" for name in ("versions", "modes", "file", "slots", "keyring", "log", "anchor", "clock", "triggers")
    }


def test_doctor_without_a_vault(shell: Shell) -> None:
    told = shell("doctor", status=1)
    assert "✗ file: there is no vault at " in told.out
    assert "    → make one with: vault init" in told.lines
    assert look(shell, "--fix", "--yes")["mended"] == []


def test_doctor_of_a_locked_vault(shell: Shell, furnished: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_KEY_FILE")
    furnished.database.chmod(0o644)
    found = {f["name"]: f for f in findings(shell)}
    assert "the vault is locked" in found["unlock"]["text"]
    assert found["unlock"]["hint"]
    told = look(shell, "--fix", "--yes")
    assert [m["error"] for m in told["mended"]] == [None], "a mode is mended without a key"
    assert shell("doctor", "bedrock", status=1).out.startswith("✗ unlock: the vault is locked")


def test_doctor_of_a_database_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_DATABASE", "postgresql://fake.example/vault")
    (one,) = findings(shell)
    assert (one["name"], one["text"]) == ("unlock", "VAULT_DATABASE names a database server")


def test_doctor_of_wrong_settings(shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("wrong.toml").write_text("nonsense = 1\n")
    monkeypatch.setenv("VAULT_CONFIG", str(Path("wrong.toml").absolute()))
    assert "there is no such setting" in {f["name"]: f["text"] for f in findings(shell)}["unlock"]


def test_doctor_of_what_is_no_vault(shell: Shell, furnished: Files) -> None:
    furnished.database.write_bytes(b"not a database, but long enough to be looked at" * 100)
    assert "file" in {f["name"] for f in findings(shell)}


def test_doctor_sees_that_the_triggers_are_gone(shell: Shell, furnished: Files) -> None:
    connection = sqlite3.connect(furnished.database)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    connection.execute(f"DROP TRIGGER {names[0]}")
    connection.commit()
    connection.close()
    assert any(f"the trigger {names[0]} is gone" in f["text"] for f in findings(shell))
    assert names[0] in shell("verify", status=80).err


def test_a_rolled_back_log_is_told_and_nothing_is_mended_in_it(shell: Shell, whole: Files) -> None:
    build(whole, shell.clock, *MANY)
    older = whole.database.read_bytes()
    shell("key", "list")
    connection = sqlite3.connect(whole.database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    older = whole.database.read_bytes()
    shell.login("anthropic", "fake-key-newer")
    whole.database.write_bytes(older)
    for suffix in ("-wal", "-shm"):
        whole.database.with_name(whole.database.name + suffix).unlink(missing_ok=True)
    found = findings(shell)
    assert "it was rolled back or replaced" in {f["name"]: f["text"] for f in found}["anchor"]
    assert {"order", "health"} <= {f["name"] for f in found}
    assert [f["mend"] for f in found] == [None] * len(found)
    assert look(shell, "--fix", "--yes")["mended"] == []


@pytest.mark.parametrize("error", [OSError(13, "Permission denied"), RuntimeError("fake-secret in a message")])
def test_a_check_that_fails_is_a_finding(
    shell: Shell, whole: Files, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(_: object) -> None:
        raise error

    monkeypatch.setattr("vault.commands.holdings.examine_holdings", broken)
    (one,) = findings(shell)
    assert one["name"] == "credentials"
    assert one["hint"]
    assert "fake-secret" not in one["text"]


# -- cloud families


def test_a_cloud_family(shell: Shell, whole: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    told = shell.json("doctor", "bedrock", status=1)
    assert not told["ok"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fake-access-key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "fake-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    told = shell.json("doctor", "bedrock")
    assert (told["checks"][0]["name"], told["checks"][0]["status"]) == ("amazon-bedrock", "ok")
    assert "fake-secret" not in json.dumps(told)
    assert "fixed outside the vault" in shell("doctor", "bedrock", "--yes", status=64).err
    shell("doctor", "nimbus", status=66)
    assert "is of no cloud family" in shell("doctor", "groq", status=66).err


def test_one_provider_of_a_cloud_family(shell: Shell, whole: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    Path("own.toml").write_text('[providers.bedrock-frankfurt]\nfamily = "bedrock"\nregion = "eu-central-1"\n')
    monkeypatch.setenv("VAULT_CONFIG", str(Path("own.toml").absolute()))
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "fake-bearer")
    told = shell.json("doctor", "bedrock-frankfurt")
    (check,) = told["checks"]
    assert (check["name"], check["status"]) == ("bedrock-frankfurt", "ok")
    assert "region eu-central-1 from the settings" in check["text"]
    for name in ("amazon-bedrock", "bedrockconverse"):
        assert shell.json("doctor", name, status=1)["checks"][0]["name"] == "amazon-bedrock"
    assert [c["name"] for c in shell.json("doctor", "bedrock", status=1)["checks"]][-1] == "bedrock-frankfurt"
