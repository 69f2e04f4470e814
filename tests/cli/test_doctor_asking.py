"""doctor on a terminal: a question for each mend, whose answer is no unless it is yes; and nobody is asked elsewhere."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.cli.doctoring import MANY, X, everything, made_whole
from tests.cli.lives import build, hold, tokens
from tests.cli.running import Shell, ended, terminal
from tests.support import Files
from vault.values import MAIN_AGENT


@pytest.fixture
def whole(files: Files, shell: Shell) -> Files:
    """A vault in which doctor finds nothing."""
    return made_whole(files, shell)


@pytest.fixture
def many(whole: Files, shell: Shell, isolated: Path) -> Files:
    """A vault with three troubles, at the real clock's time: a process looks at it."""
    shell.clock.at = time.time_ns() // 1000
    build(whole, shell.clock, *MANY[:-2], *(hold(X, tokens("a", None), who) for who in (MAIN_AGENT, "lone")))
    return whole


QUESTIONS = (
    "clear the failures of groq:a of agent main and try it again?",
    "keep xai:default of main and log out xai:default of lone",
    "make the order of agent main for openai: openai:a?",
)


@pytest.mark.parametrize("options", [(), ("--fix",)], ids=["plainly", "--fix"])
def test_on_a_terminal_each_mend_is_offered_and_no_is_the_default(many: Files, options: tuple[str, ...]) -> None:
    before = everything(many)
    with terminal("doctor", *options) as child:
        said = ""
        for question in QUESTIONS:
            child.expect_exact(question)
            child.expect_exact("[y/N]: " if question.endswith("?") else "(Enter for none): ")
            said += child.before or ""
            child.send("\r")
        status, rest = ended(child)
    assert status == 1
    assert "would have none then" in said
    assert "remains" not in rest
    assert everything(many) == before


def test_on_a_terminal_yes_mends(many: Files) -> None:
    with terminal("doctor") as child:
        for question, answer in zip(QUESTIONS, ("y", "2", "y"), strict=True):
            child.expect_exact(question)
            child.expect_exact("[y/N]: " if question.endswith("?") else "(Enter for none): ")
            child.sendline(answer)
        status, said = ended(child)
    assert status == 0
    assert len(re.findall(r"✓ .* \(#\d+\)", said)) == 3
    assert "nothing is left to fix" in said
    with many.open() as context:
        assert context.queries.profile(MAIN_AGENT, X).current is None  # type: ignore[union-attr]
        assert context.queries.profile("lone", X).current is not None  # type: ignore[union-attr]
        assert context.queries.rotation(MAIN_AGENT, "openai").order == ["openai:a"]


def test_a_number_that_is_none_of_them_does_nothing(many: Files) -> None:
    before = everything(many)
    with terminal("doctor") as child:
        for question, answer in zip(QUESTIONS, ("n", "3", "n"), strict=True):
            child.expect_exact(question)
            child.expect_exact("[y/N]: " if question.endswith("?") else "(Enter for none): ")
            child.sendline(answer)
        assert ended(child)[0] == 1
    assert everything(many) == before


def test_control_c_at_a_question_leaves_what_was_done(many: Files) -> None:
    with terminal("doctor") as child:
        child.expect_exact(QUESTIONS[0])
        child.sendline("y")
        child.expect_exact("(Enter for none): ")
        child.sendcontrol("c")
        assert ended(child)[0] == 130
    with many.open() as context:
        assert context.queries.rotation(MAIN_AGENT, "groq").health_of("groq:a").disabled_until == 0
        assert context.queries.rotation(MAIN_AGENT, "openai").order == ["openai:b", "openai:a"]


@pytest.mark.parametrize("options", [("--no-input",), ("--json",)], ids=" ".join)
def test_on_a_terminal_nothing_is_asked_where_nobody_wants_it(many: Files, options: tuple[str, ...]) -> None:
    before = everything(many)
    with terminal("doctor", *options) as child:
        status, said = ended(child)
    assert status == 1
    assert "[y/N]" not in said
    assert everything(many) == before


def test_without_a_terminal_fix_needs_yes(shell: Shell, whole: Files) -> None:
    build(whole, shell.clock, *MANY)
    before = everything(whole)
    told = shell("doctor", "--fix", status=64)
    assert (told.out, told.err) == (
        "",
        "vault: there is no terminal to ask before each fix: add --yes to fix without asking\n",
    )
    assert shell("doctor", "--fix", "--json", status=64).error["code"] == "usage"
    assert everything(whole) == before
    told = shell("doctor", "--yes", status=1)
    assert "✓ make the order of agent main for openai: openai:a (#" in told.out
    assert "what remains:" in told.lines
    assert told.lines[told.lines.index("what remains:") + 1].startswith("✗ owners: one refresh token has 2 owners")
    assert shell.json("doctor", "--fix", "--yes", status=1)["mended"] == []
