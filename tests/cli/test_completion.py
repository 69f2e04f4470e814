"""Completion in the shells themselves: ids with colons, the scripts and their installation.

The tests of a shell run where it is installed.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.cli.running import VAULT, WAIT, Shell, hurry, with_passphrase
from tests.support import Files
from vault.cli import completing
from vault.commands.agents import add_agent
from vault.commands.login import log_in
from vault.events.credentials import ApiKey
from vault.values import MAIN_AGENT, AgentId, ProfileId

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='ready> '; bind 'set enable-bracketed-paste off'"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='ready> '; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u",
    ),
    "fish": (["fish", "--no-config", "-i", "--features=no-query-term"], "function fish_prompt; echo -n 'ready> '; end"),
}
LINES = {
    "get anthropic:cl": "get anthropic:claude-cli",
    "get anthropic:claude-cli": "get anthropic:claude-cli",
    "get openai:me@": "get openai:me@example.com",
    "show mist": "show mistral:only",
    "get mist": "get mistral",
    "show git.example.com:us": "show git.example.com:user-1",
    "history --profile anthropic:cl": "history --profile anthropic:claude-cli",
    "history --profile=anthropic:cl": "history --profile=anthropic:claude-cli",
    "exec -p anthropic:cl": "exec -p anthropic:claude-cli",
    'get "anthropic:cl': "get anthropic:claude-cli",
    "hist": "history",
    "provider sho": "provider show",
    "list --no-": "list --no-input",
    "history --type credential_iss": "history --type credential_issued",
    "get --agent lone openai:m": "get --agent lone openai:mine",
    "import openco": "import opencode",
}
IDS = ["anthropic:claude-cli", "anthropic:default", "openai:me@example.com", "git.example.com:user-1", "mistral:only"]


@pytest.fixture
def filled(files: Files) -> Files:
    with files.open() as context:
        for name in IDS:
            log_in(context, MAIN_AGENT, ProfileId(name), ApiKey(key="fake-key"))
        add_agent(context, AgentId("lone"), "")
        log_in(context, AgentId("lone"), ProfileId("openai:mine"), ApiKey(key="fake-key"))
    return files


@contextmanager
def started(shell: str, script: Path | None) -> Iterator[pexpect.spawn[str]]:
    """A shell at its prompt that has read a script, or, without one, a person's own settings and nothing else."""
    words, settings = SHELLS[shell]
    if script is None:
        words, settings = [shell, "-i"], settings.partition("; autoload")[0]
    environ = {**os.environ, "PATH": f"{VAULT.parent}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child: pexpect.spawn[str] = pexpect.spawn(
            words[0], words[1:], encoding="utf-8", timeout=WAIT, dimensions=(50, 400), env=environ, echo=False
        )
    hurry(child)
    try:
        child.sendline(settings)
        child.sendline(f". {script or os.devnull}; echo sour''ced")
        child.expect_exact("sourced")
        child.expect_exact("ready> ")
        yield child
    finally:
        child.close(force=True)


needs = {name: pytest.mark.skipif(shutil.which(name) is None, reason=f"needs {name}") for name in SHELLS}


LIBRARY = Path("/usr/share/bash-completion/bash_completion")
SHELLS_TYPED_IN = [
    pytest.param("bash", marks=needs["bash"]),
    pytest.param("bash that parts words at blanks alone", marks=needs["bash"]),
    pytest.param(
        "bash with bash-completion", marks=pytest.mark.skipif(not LIBRARY.exists(), reason=f"needs {LIBRARY}")
    ),
    pytest.param("zsh", marks=needs["zsh"]),
    pytest.param("fish", marks=needs["fish"]),
]
BEFORE = {
    "bash with bash-completion": f". {LIBRARY}\n",
    "bash that parts words at blanks alone": "COMP_WORDBREAKS=$' \\t\\n'\n",
}


@pytest.fixture(params=SHELLS_TYPED_IN)
def typing(request: pytest.FixtureRequest, filled: Files, tmp_path: Path) -> Iterator[pexpect.spawn[str]]:
    """A shell at its prompt, with completion."""
    name = request.param.split()[0]
    script = tmp_path / "script"
    script.write_text(BEFORE.get(request.param, "") + completing.script(name))
    with started(name, script) as child:
        yield child


def completed(child: pexpect.spawn[str], line: str, after: str = "") -> str:
    """The line that a TAB makes of what was typed: it is then made the argument of a program that prints it.

    ``after`` is typed after the TAB.
    """
    child.send(f"vault {line}\t")
    child.send(f"\x01printf '[%s]' \x05{after} end.\r")
    child.expect(r"((?:\[[^\]\r\n%]*\])+)\[end\.\]")
    found = child.match[1]
    child.expect_exact("ready> ")
    return " ".join(word for word in found.strip("[]").split("][")[1:] if word)


def test_ids_with_colons_are_completed_and_so_is_everything_else(typing: pexpect.spawn[str]) -> None:
    for typed, line in LINES.items():
        assert completed(typing, typed) == line, typed


@pytest.mark.parametrize("shell_name", SHELLS)
def test_each_shell_can_be_named_and_gets_its_own_script(shell: Shell, shell_name: str) -> None:
    printed = shell("completion", shell_name).out
    assert printed == completing.script(shell_name)
    others = [completing.script(other) for other in SHELLS if other != shell_name]
    assert printed not in others
    if shutil.which(shell_name):
        subprocess.run([shell_name, "-n"], input=printed, text=True, check=True, timeout=WAIT)


def test_a_shell_that_is_not_known_is_refused(shell: Shell) -> None:
    assert "bash, zsh, fish" in shell("completion", "tcsh", status=64).err
    assert "Register-ArgumentCompleter" in shell("completion", "powershell").out


@pytest.mark.parametrize("name", [n for n in SHELLS if shutil.which(n)])
def test_without_a_name_it_is_the_shell_it_is_typed_in(name: str) -> None:
    for words in ("completion", "--show-completion"):
        done = subprocess.run(
            [name, "-c", f"'{VAULT}' {words}; true"], capture_output=True, text=True, timeout=WAIT, check=True
        )
        assert done.stdout == completing.script(name), done


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs[name]) for name in SHELLS])
def test_what_was_installed_completes_in_a_new_shell(name: str, filled: Files, shell: Shell) -> None:
    shell("completion", name, "--install")
    with started(name, None) as child:
        for typed in ("get anthropic:cl", "hist", "get openai:me@"):
            assert completed(child, typed) == LINES[typed]


def test_scripts_stand_beside_what_a_person_has(shell: Shell, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that a person chose, a linked settings file with its mode, and a home that needs quoting."""
    home = isolated / "it's home"
    (home / "kept").mkdir(parents=True)
    (home / "kept" / "bashrc").write_text("alias x=y\n")
    (home / "kept" / "bashrc").chmod(0o640)
    (home / ".bashrc").symlink_to("kept/bashrc")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "settings"))
    monkeypatch.setenv("ZDOTDIR", str(home / "z"))
    for name in SHELLS:
        shell("completion", name, "--install")
    settings = home / "kept" / "bashrc"
    assert settings.read_text().splitlines() == [
        "alias x=y",
        f"source '{isolated}/it'\\''s home/.bash_completions/vault.sh'",
    ]
    assert ((home / ".bashrc").is_symlink(), settings.stat().st_mode & 0o777) == (True, 0o640)
    assert (home / "settings" / "fish" / "completions" / "vault.fish").exists()
    assert "compinit" in (home / "z" / ".zshrc").read_text()
    settings.unlink()
    os.mkfifo(settings)
    assert "can't be read" in shell("completion", "bash", "--install", status=74).err


def test_only_vault_itself_installs_completion(shell: Shell) -> None:
    assert "--install-completion" in shell("--help").out
    for group in ("provider", "config", "key", "order", "agent", "health"):
        assert "completion" not in shell(group, "--help").out


def test_it_is_installed_where_the_shell_reads_it(shell: Shell, isolated: Path) -> None:
    home = isolated / "home"
    (home / ".bashrc").write_text("alias x=y")
    for _ in range(2):
        for name in SHELLS:
            shell("completion", name, "--install")
    assert (home / ".bashrc").read_text() == f"alias x=y\nsource '{home}/.bash_completions/vault.sh'\n"
    assert (home / ".bash_completions" / "vault.sh").read_text() == completing.BASH
    assert (home / ".zfunc" / "_vault").read_text() == completing.ZSH
    assert (home / ".zshrc").read_text().count("compinit") == 2
    assert (home / ".config" / "fish" / "completions" / "agent-vault.fish").read_text() == completing.FISH


@needs["bash"]
def test_a_passphrase_vault_asks_for_nothing_while_a_line_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in with_passphrase(tmp_path).items():
        monkeypatch.setenv(name, value)
    script = tmp_path / "script"
    script.write_text(completing.BASH)
    with started("bash", script) as child:
        child.logfile_read = said = io.StringIO()
        assert completed(child, "get mistr") == "get mistral"
        assert completed(child, "get mistral:") == "get mistral:"
    assert "assphrase" not in said.getvalue()


def test_a_name_that_a_shell_would_run_is_quoted(typing: pexpect.spawn[str], filled: Files) -> None:
    with filled.open() as context:
        log_in(context, MAIN_AGENT, ProfileId("openai:x$(touch${IFS}ran)"), ApiKey(key="fake-key"))
    assert completed(typing, "get openai:x") == "get openai:x$(touch${IFS}ran)"
    assert not Path("ran").exists()


@needs["bash"]
def test_a_name_that_a_shell_would_run_within_quotes_is_not_offered_there(filled: Files, tmp_path: Path) -> None:
    with filled.open() as context:
        log_in(context, MAIN_AGENT, ProfileId("openai:x$(touch${IFS}ran)"), ApiKey(key="fake-key"))
    script = tmp_path / "script"
    script.write_text(completing.BASH)
    with started("bash", script) as child:
        assert completed(child, 'get "openai:x', after='"') == "get openai:x"
    assert not Path("ran").exists()
