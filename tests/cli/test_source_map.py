"""status --sources: what each kind of source has, which is used, which is the narrowest; as why and status say it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Real, Shell, ended, terminal
from vault.commands.source_map import NARROWEST_FIRST

pytestmark = pytest.mark.usefixtures("files")


def place(shell: Shell, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A credential of OpenAI's in the environment, the .env, the env file, the store, behind a reference."""
    if "e" in where:
        monkeypatch.setenv("OPENAI_API_KEY", "fake-of-environment")
    if "d" in where:
        Path(".env").write_text("OPENAI_API_KEY=fake-of-dotenv\n")
    if "f" in where:
        path = Path("env-file").absolute()
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("OPENAI_API_KEY=fake-of-env-file\n")
        monkeypatch.setenv("VAULT_ENV_FILE", str(path))
    if "s" in where:
        shell.login("openai", "fake-of-store")
    if "r" in where:
        monkeypatch.setenv("ELSEWHERE", "fake-referred-to")
        shell("login", "openai:ref", "--reference", "${ELSEWHERE}")


def map_of(shell: Shell, provider: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The map of one provider, and the state of each source."""
    (found,) = shell.json("status", provider, "--sources")["providers"]
    states: dict[str, str] = {}
    for line in found["sources"]:
        states.setdefault(line["source"], line["state"])
    assert tuple(states) == NARROWEST_FIRST
    return found, states


@pytest.mark.parametrize("sources", ["", "stored,dotenv,environment", "dotenv,envfile", "environment"])
@pytest.mark.parametrize("where", ["edfsr", "es", "ed", "fd", "er", "sr", "r", "e", "s", ""])
def test_the_source_map_names_what_why_and_status_use(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, where: str, sources: str
) -> None:
    place(shell, monkeypatch, where)
    monkeypatch.setenv("VAULT_SOURCES", sources)
    found, states = map_of(shell, "openai")
    chosen, for_exec = (shell.json("why", "openai", "--for", way)["chosen"] for way in ("get", "exec"))
    (row,) = shell.json("status", "openai")["providers"]
    used = [line for line in found["sources"] if line["state"] == "used"]
    assert [line["what"] for line in used] == ([chosen] if chosen else [])
    assert found["used"] == (used[0]["source"] if used else None)
    if found["used"] != "reference":
        assert found["used"] == row["source"]
    stored = "reference" if for_exec == "openai:ref" else "stored"
    places = {"env": "environment", "dotenv": ".env", "envfile": "env file", "openai": stored}
    assert found["for_exec"] == (places[for_exec.partition(":")[0]] if for_exec else None)
    allowed = (sources or "environment,dotenv,envfile,stored").split(",")
    names = {"e": ("environment",) * 2, "d": ("dotenv", ".env"), "f": ("envfile", "env file")}
    names |= {"s": ("stored", "stored"), "r": ("stored", "reference")}
    for letter, (setting, source) in names.items():
        expected = {"used", "usable"} if letter in where else {"none"}
        assert states[source] in (expected if setting in allowed else {"off"}), source
    usable = [source for source, state in states.items() if state in ("used", "usable")]
    assert found["narrowest"] == (usable[0] if usable else None)


def test_the_narrowest_is_used_after_the_line_that_the_map_advises(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(shell, monkeypatch, "es")
    found, _ = map_of(shell, "openai")
    assert (found["used"], found["narrowest"], found["hint"]) == (
        "environment",
        "stored",
        "vault pin openai:default",
    )
    said = shell("status", "--sources")
    assert "exec and env use what is stored" in said.err
    assert "    → vault pin openai:default" in said.err
    shell(*found["hint"].split()[1:])
    found, _ = map_of(shell, "openai")
    assert (found["used"], found["narrowest"], found["hint"]) == ("stored", "stored", None)


def test_a_local_server_needs_none_and_a_clouds_own_login_is_narrower_than_keys(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, states = map_of(shell, "ollama")
    assert (found["used"], found["narrowest"], states["local"]) == ("local", "local", "used")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    folder = Path.home() / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        "[profile work]\nsso_start_url = https://fake.example/start\nsso_region = eu-west-1\n"
    )
    (folder / "credentials").write_text(
        "[work]\naws_access_key_id = AKIAFAKEFAKEFAKEFAKE\naws_secret_access_key = fake\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "work")
    found, states = map_of(shell, "amazon-bedrock")
    assert (found["used"], found["narrowest"]) == ("cloud", "cloud")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKF")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "fake-secret")
    found, states = map_of(shell, "amazon-bedrock")
    assert (found["used"], found["narrowest"], states["cloud"]) == ("environment", "cloud", "usable")
    assert "auth_source" in found["hint"]
    (of_family,) = shell.json("status", "bedrock", "--sources")["providers"]
    assert of_family == found


def test_the_map_of_one_provider_shows_what_is_not_there_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    place(shell, monkeypatch, "s")
    whole = shell("status", "openai", "--sources").out
    assert "OPENAI_API_KEY is not set" in whole
    assert all(source in whole for source in NARROWEST_FIRST)
    of_all = shell("status", "--sources").lines
    assert [line.split()[:4] for line in of_all[1:]] == [["openai", "stored", "used,", "narrowest"]]


@pytest.mark.parametrize("width", [80, 40])
def test_the_map_of_one_provider_fits_a_terminal(real: Real, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "fake-of-environment")
    with terminal("status", "openai", "--sources", width=width) as child:
        status, shown = ended(child)
    lines = shown.replace("\r", "").split("\n")
    assert status == 0
    assert all(len(line) <= width for line in lines if "\x1b" not in line), lines
    assert any("env:OPENAI_API_KEY" in line for line in lines)
    assert "no room" not in shown


def test_no_secret_is_in_the_map_and_nothing_is_appended(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    place(shell, monkeypatch, "edfsr")
    before = shell.json("history", "-n", "1")
    said = shell("status", "--sources")
    assert "fake-" not in said.out + said.err
    assert shell.json("history", "-n", "1") == before
