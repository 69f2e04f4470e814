"""SIGKILL at any instant: what was acknowledged is there, what was not is there whole or not at all, and nothing cries wolf."""

from __future__ import annotations

import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.log.test_processes import check_whole
from tests.log.worker import go, started
from tests.support import Files, make_files


def told(child: subprocess.Popen[str]) -> list[list[str]]:
    """What a child still said before it died. Not by communicate(), which passes over lines that were read ahead."""
    assert child.stdout is not None
    assert child.stderr is not None
    lines = [line.split() for line in child.stdout]
    assert child.stderr.read() == ""
    child.wait()
    return lines


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_killed_during_random_appends(rounds: int, tmp_path: Path) -> None:
    files, chance = make_files(tmp_path), random.Random("kill")
    log: dict[int, str] = {}
    for number in range(rounds):
        moment = chance.randrange(1, 200)
        with started(files, "append", 200, f"round-{number}") as child:
            go(child)
            assert child.stdout is not None
            lines = [child.stdout.readline().split() for _ in range(moment)]
            child.kill()
            lines += told(child)
            assert child.returncode == -signal.SIGKILL
        acknowledged = {int(words[0]): words[1] for words in lines if len(words) == 2}
        with files.open() as context:
            head = context.store.head().position
            log |= acknowledged
            newest = {p: f"round-{number}-{len(acknowledged)}" for p in range(max(log) + 1, head + 1)}
            assert len(newest) <= 1, "at most one append was under way"
            log |= newest
            assert sorted(log) == list(range(2, head + 1))
            assert {r.position: r.envelope.reason for r in context.store.read(log)} == log
            check_whole(context, head)


def die(files: Files, where: str) -> tuple[int, list[str]]:
    """Let a child be killed at a place: its exit status and what it acknowledged."""
    with started(files, "die_at", where) as child:
        go(child)
        lines = told(child)
        return child.returncode, [words[1] for words in lines]


def test_killed_before_every_statement_of_an_append(tmp_path: Path) -> None:
    statement, status = 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        statement += 1
        files = make_files(tmp_path / str(statement))
        status, said = die(files, str(statement))
        with files.open() as context:
            events = [r.envelope.reason for r in context.store.read(range(2, context.store.head().position + 1))]
            check_whole(context, len(events) + 1)
            assert len(context.database.connection.execute("SELECT id FROM profile_keys").fetchall()) == len(events)
        assert events == said
    assert (status, said) == (0, ["first", "second"])
    assert statement > 6, "an append is more than these few statements"


@pytest.mark.parametrize("where", ["before", "torn", "after"])
def test_killed_around_the_writing_of_the_anchor(where: str, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    assert die(files, where) == (-signal.SIGKILL, ["first"])
    with files.open() as context:
        assert [r.envelope.reason for r in context.store.read(range(2, 4))] == ["first", "second"]
        check_whole(context, 3)
        mark = context.anchor.read()
        assert mark is not None
        assert mark.position == context.store.head().position == 3
