"""The Claude setup token: pasted, or read from what `claude setup-token` draws on a terminal."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from tests.oauth.conftest import World
from tests.oauth.person import Person
from vault.errors import InputError
from vault.events.credentials import Token
from vault.providers.flows.setup_token import found_in
from vault.providers.running import Mask
from vault.values import DAY


@pytest.fixture(autouse=True)
def claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``claude`` that is there, and prints nothing."""
    program = tmp_path / "there" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_a_setup_token_that_is_pasted(world: World) -> None:
    world.person = Person(answers=["sk-ant-oat01-fake-setup"], agrees=False)
    signed = world.sign_in("anthropic", "setup-token")
    assert signed.credential == Token(token="sk-ant-oat01-fake-setup", expires_at=world.clock.at + 365 * DAY)
    assert any("ends earlier" in note for note in signed.notes)
    assert any("only authorized for use with Claude Code, use an API key" in text for text in world.person.shown)


def test_an_api_key_is_not_a_setup_token(world: World) -> None:
    world.person = Person(answers=["sk-ant-api-fake"] * 3, agrees=False)
    error = world.fails(InputError, "anthropic", "setup-token")
    assert "sk-ant-api-fake" not in str(error)


def test_what_can_not_be_a_setup_token_is_asked_for_again(world: World) -> None:
    world.person = Person(answers=["hello world", "sk-ant-api-fake", "sk-ant-oat01-fake-setup"], agrees=False)
    assert isinstance(world.sign_in("anthropic", "setup-token").credential, Token)
    assert sum("that is not a setup token: a setup token starts with sk-ant-oat" in t for t in world.person.shown) == 2


def test_without_claude_the_token_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    world.person = Person(answers=["sk-ant-oat01-fake-setup"])
    assert isinstance(world.sign_in("anthropic", "setup-token").credential, Token)
    assert any("where Claude Code is installed" in text for text in world.person.shown)


def test_where_claude_has_no_terminal_the_token_is_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115 - closed below
    world.person = Person(answers=["sk-ant-oat01-fake-setup"])
    assert isinstance(world.sign_in("anthropic", "setup-token").credential, Token)
    assert any("can't be run here" in text for text in world.person.shown)
    sys.stdin.close()


DRAWS = """
import os, sys
assert os.isatty(0) and os.isatty(1), "no terminal"
name = input("code: ")
token = "sk-ant-oat01-" + "fake-" * 12 + name
sys.stdout.write("\\x1b[2J\\x1b[1;32mYour token:\\x1b[0m\\r\\n" + token + "\\x1b[K\\r\\n")
"""

SIGNS_IN = """
import sys
from tests.oauth.person import Person
from vault.providers import driver
from vault.providers.flows import Start, login_flow
from vault.providers.methods import method
from vault.values import SystemClock
import os
clock = SystemClock()
flow = login_flow(method("anthropic", "setup-token"), Start(clock.now(), os.urandom))
signed = driver.run(flow, Person(), clock=clock)
open(sys.argv[1], "w").write(signed.credential.token)
"""


def test_claude_setup_token_is_run_on_a_terminal_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person at a real terminal; the program insists on one, asks something, and draws its token in colour."""
    import pexpect

    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{DRAWS}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    result = tmp_path / "token"
    child = pexpect.spawn(sys.executable, ["-c", SIGNS_IN, str(result)], timeout=30, cwd=str(Path(__file__).parents[2]))
    child.expect("code: ")
    child.send("person\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    assert result.read_text() == "sk-ant-oat01-" + "fake-" * 12 + "person"


PREFIX = "sk-ant-oat"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("drawn", "shown"),
    [
        ("no token", "no token"),
        ("x sk-ant-oat01-fake_A-b y", "x sk-ant-oat... y"),
        ("sk-sk-ant-oat01-fake\r\n", "sk-sk-ant-oat...\r\n"),
        ("sk-ant-api-fake sk-ant-o", "sk-ant-api-fake sk-ant-o"),
        ("sk-\x1b[1mant-oat01-\x1b[32mfake\x1b[0m.", "sk-\x1b[1mant-oat\x1b[32m\x1b[0m...."),
        ("sk-ant-oat01-a sk-ant-oat01-b ", "sk-ant-oat... sk-ant-oat... "),
        ("\x1b(Bsk-ant-oat01-a", "\x1b(Bsk-ant-oat"),
    ],
)
def test_the_person_is_not_shown_the_token(drawn: str, shown: str, step: int) -> None:
    mask = Mask(PREFIX)
    pieces = [drawn.encode()[n : n + step] for n in range(0, len(drawn), step)]
    assert b"".join(mask(piece) for piece in pieces).decode() == shown


@pytest.mark.parametrize(
    ("drawn", "token"),
    [
        ("", ""),
        ("\x1b[1mno token\x1b[0m", ""),
        ("x sk-ant-oat01-fake_A-b y", "sk-ant-oat01-fake_A-b"),
        ("sk-ant-oat01-fa\r\nsk-ant-oat01-fake-all\r\n", "sk-ant-oat01-fake-all"),
        ("\x1b]0;title\x07sk-ant-oat01-\x1b[32mfake\x1b[0m", "sk-ant-oat01-fake"),
    ],
)
def test_the_token_in_what_was_drawn(drawn: str, token: str) -> None:
    assert found_in(drawn) == token
