"""Every example of the tutorial and the how-to pages runs, and prints what the page says."""

from __future__ import annotations

import functools
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.docs.runner import PAGES, Step, alike, run, steps_of, troubles


def _run(page: Path) -> list[Step]:
    steps = steps_of(page.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as home:
        run(steps, Path(home))
    return steps


@functools.cache
def _started() -> dict[Path, Future[list[Step]]]:
    """All pages at work at the same time, where this process is the only one that runs tests."""
    pool = ThreadPoolExecutor(os.cpu_count())
    started = {page: pool.submit(_run, page) for page in PAGES}
    pool.shutdown(wait=False)
    return started


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_and_print_what_it_says(page: Path) -> None:
    steps = _run(page) if "PYTEST_XDIST_WORKER" in os.environ else _started()[page].result()
    assert steps
    assert all(step.status >= 0 for step in steps), "the shell ended before the last command"
    assert not (found := troubles(steps)), "\n\n".join(found)


def test_the_runner_sees_a_wrong_status_and_a_wrong_output(tmp_path: Path) -> None:
    page = "```console\n$ echo one\ntwo\n$ false\n$ (exit 7)\n$ echo $?\n7\n$ cd / && echo $PWD\n…\n```\n"
    steps = steps_of(page)
    run(steps, tmp_path)
    assert [step.status for step in steps] == [0, 1, 7, 0, 0]
    assert [trouble.splitlines()[0] for trouble in troubles(steps)] == ["$ echo one", "$ false"]


def test_only_what_changes_from_run_to_run_may_differ() -> None:
    said = ["2026-01-31 09:30:00  #4      ana@laptop (bash) logged in openai:work for main (api_key 0123456789abcdef)"]
    assert alike(
        said, ["2026-02-01 10:31:59  #4  root@vm (sh) logged in openai:work for main (api_key fedcba9876543210)"]
    )
    assert not alike(
        said,
        ["2026-01-31 09:30:00  #5      ana@laptop (bash) logged in openai:work for main (api_key 0123456789abcdef)"],
    )
    assert alike(["first", "…", "last"], ["first", "1", "2", "last"])
    assert not alike(["first", "…", "last"], ["first", "1", "2"])
