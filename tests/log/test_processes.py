"""Many processes, one log: nothing lost, nothing refused, no gap, one chain."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tests.log.worker import acknowledged, go, started
from tests.support import Files, make_files
from vault.context import Context
from vault.projections.replay import rebuild
from vault.projections.verify import verify


def run(files: Files, *works: tuple[object, ...]) -> list[list[list[str]]]:
    """Run works in processes that start together; what each acknowledged."""
    with ExitStack() as stack:
        children = [stack.enter_context(started(files, *work)) for work in works]
        for child in children:
            go(child)
        return [acknowledged(child) for child in children]


def check_whole(context: Context, events: int) -> None:
    """The log has so many events, verifies, and its projections are what a rebuild makes."""
    assert context.store.rollback is None
    assert verify(context.store, context.projections).events == events
    rebuilt, differences = rebuild(context.store, context.projections)
    assert (rebuilt, differences.rows) == (events, {})


@pytest.mark.parametrize("each", [150, pytest.param(1000, marks=pytest.mark.soak)])
def test_six_processes_append_at_once(each: int, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    said = run(files, *(("append", each, f"process-{n}") for n in range(6)))
    assert [len(lines) for lines in said] == [each] * 6
    by_position = {int(position): tag for lines in said for position, tag in lines}
    assert sorted(by_position) == list(range(2, 6 * each + 2))
    with files.open() as context:
        assert {r.position: r.envelope.reason for r in context.store.read(by_position)} == by_position
        check_whole(context, 6 * each + 1)
    for lines in said:
        positions = [int(position) for position, _ in lines]
        assert positions == sorted(positions)
    turns = [by_position[p].rpartition("-")[0] for p in sorted(by_position)]
    assert sum(a != b for a, b in pairwise(turns)) >= 6


def test_two_processes_log_in_to_one_profile(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    said = run(files, ("log_in", 60, "left"), ("log_in", 60, "right"))
    order = [tag for _, tag in sorted(((int(p), tag) for lines in said for p, tag in lines))]
    assert sorted(order) == sorted(f"{name}-{n}" for name in ("left", "right") for n in range(60))
    with files.open() as context:
        check_whole(context, 121)
        state = context.queries.profile("main", "openai:shared")
        assert state is not None
        held = (state.current, state.previous)
        assert (state.version, [h.position for h in held if h]) == (120, [121, 120])
        secrets = [context.store.credential(position).secret() for position in range(2, 122)]
        assert secrets == [f"fake-key-{tag}" for tag in order]


def test_one_command_id_in_many_processes_happens_once(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    said = run(files, *[("repeat", "fake-id")] * 4)
    assert said == [[["2", "3"]]] * 4
    with files.open() as context:
        check_whole(context, 3)


def test_readers_see_whole_appends_while_others_write(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context, started(files, "append", 200, "writer") as child:
        go(child)
        assert child.stdout is not None
        for line in child.stdout:
            position = int(line.split()[0])
            if position % 20 == 0:
                assert verify(context.store, context.projections).events >= position
        assert child.wait() == 0
        assert context.store.head().position == 201
