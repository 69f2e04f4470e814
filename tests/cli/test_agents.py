"""agent list, add, inherit and remove."""

from __future__ import annotations

import pytest

from tests.cli.running import Shell
from tests.support import Files

pytestmark = pytest.mark.usefixtures("files")


def agents(shell: Shell) -> dict[str, str | None]:
    return {a["agent"]: a["inherits"] for a in shell.json("agent", "list")["agents"]}


def test_main_is_there_from_the_start(shell: Shell) -> None:
    assert shell.json("agent", "list") == {
        "schema": "vault.agents/1",
        "agents": [{"agent": "main", "inherits": None, "profiles": 0}],
    }
    told = shell("agent", "list")
    assert told.lines[0].split("  ")[0] == "AGENT"
    assert told.row("main").split() == ["main", "0"]


def test_add(shell: Shell) -> None:
    told = shell("agent", "add", "coder")
    assert (told.out, told.err) == ("", "added agent coder, inheriting from main\n")
    assert shell.json("agent", "add", "tester", "--inherit", "coder", "--reason", "nightly") == {
        "schema": "vault.agent/1",
        "agent": "tester",
        "inherits": "coder",
        "position": 3,
    }
    assert shell("agent", "add", "lone", "--none").err == "added agent lone\n"
    assert agents(shell) == {"main": None, "coder": "main", "lone": None, "tester": "coder"}
    assert shell.json("history", "--type", "agent_registered", "--limit", "2")["events"][1]["reason"] == "nightly"


def test_inherit(shell: Shell) -> None:
    shell("agent", "add", "a")
    shell("agent", "add", "b")
    assert shell("agent", "inherit", "b", "--from", "a").err == "b inherits from a\n"
    assert shell("agent", "inherit", "b", "--from", "a").err == "b inherits from a (no change)\n"
    assert shell.json("agent", "inherit", "b", "--from", "a")["position"] is None
    assert shell("agent", "inherit", "b", "--none").err == "b inherits from nobody\n"
    assert agents(shell)["b"] is None


def test_a_childs_own_profile_wins_over_its_parents(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-parent")
    shell.login("anthropic", "fake-key-child", "--agent", "coder")
    assert shell("get", "anthropic", "--agent", "coder").out == "fake-key-child\n"
    assert [c["code"] for c in shell.json("why", "anthropic", "--agent", "coder")["candidates"]] == ["chosen", "hidden"]
    shell("agent", "inherit", "coder", "--none")
    shell("logout", "anthropic:default", "--agent", "coder")
    shell("get", "anthropic", "--agent", "coder", status=66)
    shell("agent", "inherit", "coder", "--from", "main")
    assert shell("get", "anthropic", "--agent", "coder").out == "fake-key-parent\n"


def test_remove_keeps_what_it_had(shell: Shell) -> None:
    shell.login("anthropic", "fake-key", "--agent", "coder")
    told = shell("agent", "remove", "coder")
    assert told.err == "removed agent coder; vault agent add coder brings it back with its profiles\n"
    assert agents(shell) == {"main": None}
    shell("list", "--agent", "coder", status=66)
    assert shell("agent", "add", "coder").status == 0
    assert shell("get", "anthropic", "--agent", "coder").out == "fake-key\n"


def test_a_command_id_makes_it_happen_once(shell: Shell, files: Files) -> None:
    first = shell.json("agent", "add", "coder", "--command-id", "once")
    assert shell.json("agent", "add", "coder", "--command-id", "once") == first
    told = shell("agent", "add", "other", "--command-id", "once", status=83)
    assert "the command id once was used for another command" in told.err
    assert agents(shell) == {"main": None, "coder": "main"}


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("add", "main"), 83, "the agent main exists already"),
        (("add", "a"), 83, "the agent a exists already"),
        (("add", "x", "--from", "nobody"), 66, "there is no agent nobody"),
        (("add", "Bad Agent"), 65, "'Bad Agent' is not an agent id"),
        (("add", "x" * 65), 65, "a text of 65 characters"),
        (("add",), 64, "AGENT is missing"),
        (("inherit", "a", "--from", "a"), 64, "that would be a circle"),
        (("inherit", "a", "--from", "b"), 64, "that would be a circle"),
        (("inherit", "main", "--from", "a"), 64, "the agent main inherits from nobody"),
        (("inherit", "a"), 64, "no new parent is given, or two are"),
        (("inherit", "a", "--from", "b", "--none"), 64, "no new parent is given, or two are"),
        (("inherit", "nobody", "--none"), 66, "there is no agent nobody"),
        (("remove", "main"), 64, "the agent main can't be removed"),
        (("remove", "a"), 83, "b inherit from a"),
        (("remove", "nobody"), 66, "there is no agent nobody"),
        ((), 64, ""),
    ],
)
def test_what_can_not_be(shell: Shell, arguments: tuple[str, ...], status: int, what: str) -> None:
    shell("agent", "add", "a")
    shell("agent", "add", "b", "--inherit", "a")
    told = shell("agent", *arguments, status=status)
    assert what in told.err
    assert agents(shell) == {"main": None, "a": "main", "b": "a"}
