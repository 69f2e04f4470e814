"""Two answers to "which key?", as a person meets them: the commands say the same, and where exec differs they say so alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell

pytestmark = pytest.mark.usefixtures("files")

ENVIRONMENT, DOTENV, STORED = "fake-of-environment", "fake-of-dotenv", "fake-of-store"
EXEC = "vault exec and vault env put stored profiles first: openai:default"
USUAL = "vault get, the helpers and Python follow the order of the settings: "


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """The environments of the programs that exec started."""
    found: list[Mapping[str, str]] = []
    monkeypatch.setattr("vault.cli.issue._become", lambda _program, _command, environment: found.append(environment))
    return found


def place(shell: Shell, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Put a key of OpenAI's into each of these places."""
    if "e" in where:
        monkeypatch.setenv("OPENAI_API_KEY", ENVIRONMENT)
    if "d" in where:
        Path(".env").write_text(f"OPENAI_API_KEY={DOTENV}\n")
    if "s" in where:
        shell.login("openai", STORED)


@pytest.mark.parametrize("sources", ["", "stored,dotenv,environment", "dotenv,environment", "environment", "stored"])
@pytest.mark.parametrize("where", ["eds", "ds", "es", "ed", "d", "e", "s"])
def test_why_status_get_exec_env_and_helpers_name_one_key(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, child: list[Mapping[str, str]], where: str, sources: str
) -> None:
    place(shell, monkeypatch, where)
    monkeypatch.setenv("VAULT_SOURCES", sources)
    secret = {"env:OPENAI_API_KEY": ENVIRONMENT, "dotenv:OPENAI_API_KEY": DOTENV, "openai:default": STORED}
    usual, of_child = (shell.json("why", "openai", "--for", way) for way in ("get", "exec"))
    assert shell.json("why", "openai")["chosen"] == usual["chosen"]
    assert usual["otherwise"] == (of_child["chosen"] if of_child["chosen"] != usual["chosen"] else None)
    (row,) = shell.json("status", "openai")["providers"]
    assert (row["chosen"], row["for_exec"]) == (usual["chosen"], of_child["chosen"])
    if usual["chosen"] is None:
        for words in (("get", "openai"), ("helper", "token", "openai"), ("exec", "-p", "openai", "--", "true")):
            assert shell(*words, status=66).out == ""
        return
    assert shell("get", "openai").out == shell("helper", "token", "openai").out == f"{secret[usual['chosen']]}\n"
    assert shell.json("env", "-p", "openai")["variables"] == {"OPENAI_API_KEY": secret[of_child["chosen"]]}
    shell("exec", "-p", "openai", "--", "true")
    if of_child["chosen"] != "env:OPENAI_API_KEY":
        shell("exec", "--", "true")
    assert {given["OPENAI_API_KEY"] for given in child} == {secret[of_child["chosen"]]}


def test_where_exec_differs_why_and_status_say_so_in_the_same_words(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(shell, monkeypatch, "ds")
    assert shell("why", "openai").err == f"{EXEC}\n"
    assert f"openai: {EXEC}\n" in shell("status").err
    told = shell("why", "openai", "--for", "exec")
    assert told.lines[0].startswith("agent main would use openai:default for openai: ")
    assert told.row("dotenv:OPENAI_API_KEY").endswith("passed over: stored profiles come first")
    assert told.err == f"{USUAL}dotenv:OPENAI_API_KEY\n"
    for line in (EXEC.partition(":")[0], USUAL.partition(":")[0]):
        page = " ".join(Path(__file__).parents[2].joinpath("docs/how-to/order-per-agent.md").read_text().split())
        assert line.replace("vault exec and vault env", "`vault exec` and `vault env`").replace(
            "vault get", "`vault get`"
        ) in page.replace("Vault", "vault")


def test_where_all_agree_nothing_is_said_beside(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    place(shell, monkeypatch, "ds")
    monkeypatch.setenv("VAULT_SOURCES", "stored,dotenv")
    assert shell("why", "openai").err == shell("why", "openai", "--for", "exec").err == shell("status").err == ""


def test_why_is_told_for_what_a_credential_is_chosen(shell: Shell) -> None:
    told = shell("why", "openai", "--for", "export", status=64)
    assert "'export' is not a use that a credential is chosen for: use --for get|helper|exec|env" in told.err


def test_exec_keeps_to_a_source_that_is_pinned(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: list[Mapping[str, str]]
) -> None:
    place(shell, monkeypatch, "eds")
    config = tmp_path / "pins.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(config))
    for source, secret in (("dotenv", DOTENV), ("environment", ENVIRONMENT), ("stored", STORED)):
        config.write_text(f'[providers.openai]\nauth_source = "{source}"\n')
        shell("exec", "-p", "openai", "--", "true")
        assert child[-1]["OPENAI_API_KEY"] == secret


def test_exec_says_when_a_variable_stands_in_for_what_is_stored(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, child: list[Mapping[str, str]]
) -> None:
    shell.login("openai", "fake-token", "--expires-in", "1m")
    shell.login("groq", "fake-key")
    shell.clock.forward(3600 * 10**6)
    ended = "no stored profile can be used: openai:default expired, and nothing can refresh it"
    monkeypatch.setenv("OPENAI_API_KEY", ENVIRONMENT)
    told = shell("exec", "--", "true")
    assert f"openai is left out: OPENAI_API_KEY is set in the environment, and {ended}" in told.err
    assert child[-1]["OPENAI_API_KEY"] == ENVIRONMENT
    monkeypatch.delenv("OPENAI_API_KEY")
    place(shell, monkeypatch, "d")
    told = shell("exec", "--", "true")
    assert f"openai: OPENAI_API_KEY is set in the project's .env, and {ended}" in told.err
    assert child[-1]["OPENAI_API_KEY"] == DOTENV


def test_what_env_holds_never_stands_beside_a_stored_credential_it_competes_with(
    shell: Shell, child: list[Mapping[str, str]]
) -> None:
    """One variable of two providers: what is stored for the one comes first, whatever the other is called."""
    shell.login("github-models", "fake-stored")
    Path(".env").write_text(f"GITHUB_TOKEN={DOTENV}\n")
    told = shell("exec", "--", "true")
    assert child[-1]["GITHUB_TOKEN"] == "fake-stored"
    assert "github-copilot is left out: dotenv:GITHUB_TOKEN is for another one here" in told.err


def test_what_exec_took_of_env_is_in_the_history(real: Real) -> None:
    Path(".env").write_text(f"OPENAI_API_KEY={DOTENV}\n")
    assert real("exec", "--", "sh", "-c", 'echo "$OPENAI_API_KEY"').out == f"{DOTENV}\n"
    (event,) = real("history", "-n", "1", "--json").json["events"]
    assert (event["facts"]["source"], event["facts"]["way"]) == ("dotenv:OPENAI_API_KEY", "exec")
    assert "OPENAI_API_KEY" not in os.environ
