"""The env file for daemons: variables of a person's own, beneath the environment; trusted only while nobody else can touch it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell, finish
from tests.support import Canary, Files
from vault import open_vault
from vault.envfile import read_env_file, settled
from vault.errors import NotReady
from vault.settings import env_file_path

pytestmark = pytest.mark.usefixtures("files")


@pytest.fixture
def env_file() -> Path:
    """The place of the env file; it isn't there yet."""
    path = env_file_path(os.environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write(path: Path, *lines: str, mode: int = 0o600) -> None:
    path.touch(mode=0o600)
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(mode)


def test_it_is_beside_the_settings(isolated: Path) -> None:
    assert env_file_path({}) == isolated / "home/.config/agent-vault/env"
    assert env_file_path({"VAULT_ENV_FILE": "/fake/place"}) == Path("/fake/place")


def test_a_variable_in_it_is_used_and_named_as_the_source(shell: Shell, env_file: Path) -> None:
    write(env_file, "# keys of my daemons", 'export OPENAI_API_KEY="fake-key-of-the-file"')
    assert shell("get", "openai").out == "fake-key-of-the-file\n"
    told = shell.json("why", "openai")
    assert told["chosen"] == "envfile:OPENAI_API_KEY"
    assert "is set in the env file" in told["basis"]
    (row,) = shell.json("status")["providers"]
    assert (row["chosen"], row["source"]) == ("envfile:OPENAI_API_KEY", "env file")
    assert "handed envfile:OPENAI_API_KEY to main" in shell("history").out
    assert "OPENAI_API_KEY (env file)" in shell("provider", "list").out


def test_it_is_the_lowest_of_the_places_of_variables(
    shell: Shell, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(env_file, "OPENAI_API_KEY=fake-file", "GROQ_API_KEY=fake-file", "MISTRAL_API_KEY=fake-file")
    monkeypatch.setenv("OPENAI_API_KEY", "fake-environment")
    Path(".env").write_text("OPENAI_API_KEY=fake-dotenv\nGROQ_API_KEY=fake-dotenv\n")
    shell.login("mistral", "fake-stored")
    assert [shell("get", p).out for p in ("openai", "groq", "mistral")] == [
        "fake-environment\n",
        "fake-dotenv\n",
        "fake-file\n",
    ]
    codes = {c["candidate"]: c["code"] for c in shell.json("why", "mistral")["candidates"]}
    assert codes == {"envfile:MISTRAL_API_KEY": "chosen", "mistral:default": "envfile_first"}
    monkeypatch.setenv("VAULT_SOURCES", "environment,dotenv,stored")
    assert shell("get", "mistral").out == "fake-stored\n"


def test_settings_of_vault_in_it_open_the_vault(real: Real, files: Files, env_file: Path, tmp_path: Path) -> None:
    write(env_file, *(f"{name}={value}" for name, value in files.environ().items()), "VAULT_AGENT=coder")
    bare = dict.fromkeys(files.environ(), "")
    assert real("login", "openai", "--stdin", "--json", stdin="fake-key", env=bare).json["agent"] == "coder"
    assert real("get", "openai", env={**bare, "VAULT_AGENT": "coder"}).out == "fake-key\n"
    assert real("get", "openai", env={**bare, "VAULT_AGENT": "main"}, status=66).err.startswith("vault: agent main")
    child = real("exec", "-p", "openai", "--", "env", env=bare).out
    assert "OPENAI_API_KEY=fake-key" in child
    helper = real.start("helper", "token", "openai", env=bare)
    assert finish(helper).out == "fake-key\n"


def test_the_python_api_and_the_keyring_follow_it(
    files: Files, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(env_file, *(f"{name}={value}" for name, value in files.environ().items()), "OPENAI_API_KEY=fake-file")
    for name in files.environ():
        monkeypatch.delenv(name)
    with open_vault() as vault:
        assert vault.credential("openai").secret.reveal() == "fake-file"
    from vault.adapters.keyring_backend import VaultKeyring

    assert VaultKeyring.priority == 2


def test_one_way_to_unlock_that_is_set_hides_those_of_the_file() -> None:
    place = {"VAULT_ENV_FILE": str(Path("env").absolute())}
    write(Path("env"), "VAULT_KEY_FILE=/fake/file", "VAULT_LEEWAY=5m")
    assert settled(place) == {**place, "VAULT_KEY_FILE": "/fake/file", "VAULT_LEEWAY": "5m"}
    here = {**place, "VAULT_KEY_COMMAND": "fake-command", "VAULT_LEEWAY": "1m"}
    assert settled(here) == here


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_one_that_others_can_read_or_write_is_refused_in_one_sentence(
    shell: Shell, env_file: Path, canary: Canary, mode: int
) -> None:
    write(env_file, f"OPENAI_API_KEY={canary}", mode=mode)
    refused = shell("get", "openai", status=78)
    assert refused.err == f"vault: the env file {env_file} is open to others (mode {mode:04o}): chmod 600 {env_file}\n"
    canary.assert_absent(refused.out, refused.err)
    env_file.chmod(0o600)
    assert shell("get", "openai").out == f"{canary}\n"


def test_another_users_is_refused(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(env_file, "A=b")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    os.chown(env_file, 4243, -1) if os.getuid() == 0 else None
    with pytest.raises(NotReady, match="belongs to another user"):
        read_env_file(os.environ)


def test_what_is_no_plain_file_is_refused_and_hangs_nothing(shell: Shell, env_file: Path) -> None:
    os.mkfifo(env_file, 0o600)
    assert "is not a plain file" in shell("list", status=78).err


@pytest.mark.parametrize("content", ["A=b\n'unfinished=x\n", "A='b\n", "A=\xe9"], ids=["line", "quote", "bytes"])
def test_one_that_makes_no_sense_is_told_with_its_line_and_no_value(shell: Shell, env_file: Path, content: str) -> None:
    write(env_file)
    env_file.write_bytes(content.encode("latin-1"))
    told = shell("list", status=78).err
    assert str(env_file) in told
    assert "unfinished" not in told


def test_nothing_in_it_is_run_or_reaches_a_child_unrecorded(shell: Shell, real: Real, env_file: Path) -> None:
    write(env_file, "GROQ_API_KEY=$(touch ran)", "B=`touch ran`", "OPENAI_API_KEY=fake-key")
    shell.login("anthropic", "fake-key-2")
    child = real("exec", "--", "env").out
    assert "fake-key-2" in child
    assert not Path("ran").exists()
    recorded = "handed envfile:OPENAI_API_KEY to main through exec" in shell("history").out
    assert ("OPENAI_API_KEY" in child) == recorded


def test_a_reference_to_a_variable_finds_it_there(shell: Shell, env_file: Path) -> None:
    write(env_file, "MY_OWN=fake-value")
    shell("login", "anthropic", "--reference", "${MY_OWN}")
    assert shell("get", "anthropic:default").out == "fake-value\n"
    assert shell.json("status", "anthropic")["providers"][0]["state"] == "ok"


def test_bedrocks_variables_count_there_too(shell: Shell, env_file: Path) -> None:
    write(
        env_file, "BMO_AWS_ACCESS_KEY_ID=AKIAFAKE", "BMO_AWS_SECRET_ACCESS_KEY=fake-secret", "BMO_AWS_REGION=eu-west-1"
    )
    told = shell.json("why", "bedrock")
    assert told["chosen"] == "envfile:BMO_AWS_ACCESS_KEY_ID"
    assert shell.json("env", "-p", "bedrock")["variables"] == {
        "AWS_ACCESS_KEY_ID": "AKIAFAKE",
        "AWS_SECRET_ACCESS_KEY": "fake-secret",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_a_variable_there_that_hides_a_profile_is_a_finding(shell: Shell, env_file: Path) -> None:
    write(env_file, "OPENAI_API_KEY=fake-file")
    shell.login("openai", "fake-stored")
    told = shell("doctor", status=None).out
    assert "OPENAI_API_KEY in the env file comes before the stored profiles of openai" in told
