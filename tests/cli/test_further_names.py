"""Further names of a profile: every variable that held its secret in a .env is set again by exec and env."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import Real, Shell
from tests.support import Files

TWO = "# mine\nOPENAI_API_KEY=fake-1\nMY_APP_LLM_KEY=fake-1\n"


def lines(text: str) -> dict[str, str]:
    return dict(line.removeprefix("export ").split("=", 1) for line in text.splitlines() if line.startswith("export "))


def test_scrub_takes_both_names_out_and_exec_sets_both(shell: Shell, files: Files, real: Real) -> None:
    Path(".env").write_text(TWO)
    told = shell("import", "dotenv", "--scrub")
    assert "exec and env set it as MY_APP_LLM_KEY too" in told.row("openai:default")
    assert Path(".env").read_text() == "# mine\n"
    assert "no longer sets MY_APP_LLM_KEY, OPENAI_API_KEY: vault exec -- PROGRAM does" in told.err
    assert lines(shell("env").out) == {"MY_APP_LLM_KEY": "fake-1", "OPENAI_API_KEY": "fake-1"}
    script = 'import os; print(os.environ["OPENAI_API_KEY"], os.environ["MY_APP_LLM_KEY"])'
    for how in ([], ["-p", "openai"], ["--tool", "dotenv"]):
        assert real("exec", *how, "--", "python3", "-c", script).out == "fake-1 fake-1\n"
    assert shell("show", "openai:default").row("also set as").endswith("MY_APP_LLM_KEY")
    assert shell.json("show", "openai:default")["env"] == ["MY_APP_LLM_KEY"]
    assert "vault exec and vault env also set MY_APP_LLM_KEY" in shell("why", "openai").err


def test_a_key_that_is_here_already_gets_the_names_before_a_line_goes(shell: Shell, files: Files) -> None:
    shell.login("openai", "fake-1")
    Path(".env").write_text(TWO)
    told = shell("import", "dotenv", "--scrub")
    assert "the vault has it; from now on exec and env set it as MY_APP_LLM_KEY too" in told.row("openai:default")
    assert Path(".env").read_text() == "# mine\n"
    again = shell("import", "dotenv", "--scrub")
    assert "took 0, 0 already here, 0 skipped" in again.err
    Path(".env").write_text(TWO)
    assert "took 0, 1 already here" in shell("import", "dotenv", "--scrub").err
    assert Path(".env").read_text() == "# mine\n"


def test_a_new_key_keeps_the_names(shell: Shell, files: Files) -> None:
    Path(".env").write_text(TWO)
    shell("import", "dotenv")
    Path(".env").unlink()
    shell.login("openai", "fake-2")
    assert lines(shell("env").out) == {"MY_APP_LLM_KEY": "fake-2", "OPENAI_API_KEY": "fake-2"}
    shell("export", "dotenv")
    assert Path(".env").read_text() == "OPENAI_API_KEY=fake-2\nMY_APP_LLM_KEY=fake-2\n"


def test_of_two_with_one_name_the_first_has_it_and_that_is_told(shell: Shell, files: Files) -> None:
    for name, key in (("OPENAI_API_KEY", "fake-1"), ("ANTHROPIC_API_KEY", "fake-2")):
        Path(".env").write_text(f"{name}={key}\nAPP_KEY={key}\n")
        shell("import", "dotenv")
    Path(".env").unlink()
    told = shell("env")
    assert lines(told.out) == {"ANTHROPIC_API_KEY": "fake-2", "APP_KEY": "fake-2", "OPENAI_API_KEY": "fake-1"}
    assert "APP_KEY is set to anthropic:default, and not to openai:default (choose with --provider)" in told.err
    assert lines(shell("env", "-p", "openai").out)["APP_KEY"] == "fake-1"
    assert lines(shell("env", "-p", "openai", "-p", "anthropic").out)["APP_KEY"] == "fake-1"
    why = shell.json("why", "openai")
    assert why["further"] == [{"name": "APP_KEY", "also_of": ["anthropic:default"]}]
    assert (
        "APP_KEY, which anthropic:default has too: the one that is handed out first has it"
        in shell("why", "openai").err
    )


def test_what_can_not_be_a_secrets_name_is_never_set(shell: Shell, files: Files) -> None:
    """A stranger's file could have a key that is a path, and a variable that makes programs load it."""
    Path(".env").write_text("OPENAI_API_KEY=/fake.so\nLD_PRELOAD=/fake.so\nBASH_ENV=/fake.so\n")
    told = shell("import", "dotenv", "--scrub")
    assert lines(shell("env").out) == {"OPENAI_API_KEY": "/fake.so"}
    assert Path(".env").read_text() == "LD_PRELOAD=/fake.so\nBASH_ENV=/fake.so\n"
    assert "LD_PRELOAD stays in" in told.err
    assert "vault exec would not set a variable of that name" in told.err


def test_disconnect_brings_the_lines_back_beside_what_was_written_since(shell: Shell, files: Files) -> None:
    Path(".env").write_text(TWO)
    shell("import", "dotenv", "--scrub")
    Path(".env").write_text("# mine\nDEBUG=1\n")
    told = shell("disconnect", "dotenv")
    assert Path(".env").read_text() == "# mine\nOPENAI_API_KEY=fake-1\nMY_APP_LLM_KEY=fake-1\nDEBUG=1\n"
    assert "what was changed since stays" in told.err
    assert json.loads(shell("history", "--json").out)["events"]
