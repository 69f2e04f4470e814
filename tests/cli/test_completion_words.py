"""What a shell is offered: all there is where the vault opens by itself, less in any trouble, and never a message."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.running import Real, Shell, with_passphrase
from tests.support import Files
from vault.cli.main import app
from vault.commands.login import log_in
from vault.events.credentials import ApiKey
from vault.log.filelock import FileLock
from vault.values import MAIN_AGENT, ProfileId

COMPLETE = {"_VAULT_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
LINES = {
    "vault hel": {"help", "helper"},
    "vault get --ag": {"--agent"},
    "vault get mistr": {"mistral"},
    "vault login anth": {"anthropic"},
    "vault import openc": {"openclaw", "opencode"},
    "vault exec --tool openc": {"openclaw", "opencode"},
    "vault helper docker": {"docker"},
    "vault help key a": {"add"},
    "vault completion fi": {"fish"},
    "vault report x:y succ": {"success"},
}
"""Lines and what they can go on with, for which no vault is needed."""

Words = Callable[..., list[str]]


@pytest.fixture
def words(real: Real) -> Words:
    """The words that a line can go on with. Whatever happens, the status is 0 and there is no message."""

    def ask(line: str, **environ: str) -> list[str]:
        done = real(env={**COMPLETE, "_TYPER_COMPLETE_ARGS": line, **environ})
        assert done.err == ""
        return [word.partition("\t")[0] for word in done.lines if word]

    return ask


def test_whatever_names_a_thing_of_the_vault_is_completed() -> None:
    """Each argument and option for a provider, profile, agent, tool or helper, of every command."""
    named = {"provider", "profile", "agent", "tool", "what", "profiles", "parent", "shell", "types", "purpose"}
    without = [
        f"{path} {parameter.name}"
        for path, parameter in _parameters(typer.main.get_command(app), "vault")
        if parameter.name in named and parameter._custom_shell_complete is None
    ]
    assert without == []


def _parameters(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield from ((path, parameter) for parameter in command.params)
        return
    context = typer.Context(command, info_name=path)
    for name in command.list_commands(context):
        yield from _parameters(command.get_command(context, name), f"{path} {name}")


def test_profiles_are_those_of_the_agent_that_the_line_names(furnished: Files, words: Words) -> None:
    assert words("vault get openai:") == ["openai:default"]
    assert words("vault get -a coder openai:") == ["openai:default", "openai:own"]
    assert words("vault get openai:", VAULT_AGENT="lone") == []
    assert words("vault get --agent no/agent openai:") == []
    assert words("vault agent remove c") == ["coder"]
    assert words("vault list --agent ") == ["main", "coder", "lone"]
    assert words("vault order set anthropic anthropic:w") == ["anthropic:work"]


def test_completing_records_nothing_and_changes_no_file(furnished: Files, words: Words) -> None:
    before = _contents(furnished)
    assert words("vault get anthropic:w") == ["anthropic:work"]
    assert words("vault exec -p anthropic:w") == words("vault env -p anthropic:w") == ["anthropic:work"]
    assert _contents(furnished) == before


def _contents(files: Files) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in [*files.database.parent.iterdir(), *files.places.state.rglob("*")]
        if path.is_file() and not path.name.endswith("-shm")
    }


def test_a_passphrase_vault_completes_what_needs_no_key(words: Words, tmp_path: Path) -> None:
    environ = with_passphrase(tmp_path)
    for line, wanted in LINES.items():
        assert wanted <= set(words(line, **environ)), line
    assert len(words("vault login ", **environ)) > 100
    assert words("vault get anthropic:", **environ) == words("vault agent remove ", **environ) == []


@pytest.mark.parametrize(
    "trouble", ["none", "no vault", "no file", "a pipe", "settings", "env file", "cut off", "older"]
)
def test_in_any_trouble_there_is_less_to_choose_from_and_no_message(
    trouble: str, furnished: Files, words: Words, isolated: Path
) -> None:
    settings = isolated / "home" / ".config" / "agent-vault"
    settings.mkdir(parents=True)
    _make(trouble, furnished, settings)
    assert "mistral" in words("vault get mistr")
    assert words("vault get anthropic:w") == (["anthropic:work"] if trouble == "none" else [])


def _make(trouble: str, files: Files, settings: Path) -> None:
    if trouble == "no vault":
        files.database.write_bytes(b"something else\n" * 1000)
    elif trouble == "no file":
        files.database.unlink()
    elif trouble == "a pipe":
        files.database.unlink()
        os.mkfifo(files.database)
    elif trouble == "settings":
        (settings / "config.toml").write_text("sources = [")
    elif trouble == "env file":
        (settings / "env").write_text("not a line")
        (settings / "env").chmod(0o666)
    elif trouble == "cut off":
        files.database.write_bytes(files.database.read_bytes()[:20_000])
    elif trouble == "older":
        connection = sqlite3.connect(files.database)
        with connection:
            connection.execute("UPDATE checkpoints SET model_version = model_version - 1")
        connection.close()


def test_read_models_of_an_older_vault_are_left_to_the_next_command(
    furnished: Files, words: Words, shell: Shell
) -> None:
    _make("older", furnished, Path())
    before = furnished.database.read_bytes()
    assert words("vault get anthropic:w") == []
    assert furnished.database.read_bytes() == before
    shell("list")
    assert words("vault get anthropic:w") == ["anthropic:work"]


def test_a_writer_at_work_is_not_waited_for(furnished: Files, words: Words) -> None:
    with FileLock(furnished.database.with_name(furnished.database.name + ".lock"), 1).held():
        assert words("vault get anthropic:w") == ["anthropic:work"]


def test_nobody_listening_is_no_trouble(furnished: Files, real: Real) -> None:
    environ = {**COMPLETE, "_TYPER_COMPLETE_ARGS": "vault get "}
    for closing in (">&-", "</dev/null >/dev/full", "<&- 2>&-"):
        done = real(env=environ, before=["sh", "-c", f'"$@" {closing}', "sh"])
        assert done.err == ""


def test_completion_runs_no_key_command(furnished: Files, words: Words, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    assert words("vault get anthropic:", VAULT_KEY_FILE="", VAULT_KEY_COMMAND=f"touch {ran}") == []
    assert not ran.exists()


def test_a_word_that_can_not_be_typed_is_not_offered(files: Files, words: Words) -> None:
    with files.open() as context:
        log_in(context, MAIN_AGENT, ProfileId("openai:a\u200bb"), ApiKey(key="fake-key"))
        log_in(context, MAIN_AGENT, ProfileId("openai:plain"), ApiKey(key="fake-key"))
    assert words("vault get openai:") == ["openai:plain"]
