"""Carrying out a plan: files one by one, each whole, then the tool's own commands. What was there before can be put back.

The first step that fails ends it, and what was done before it is undone: a tool is left as it was or as it was meant to be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from vault.errors import StorageError, TryAgain, Unavailable
from vault.files import read_regular, replace_file
from vault.interop.plans import Plan, Run
from vault.interop.sources import kind_of
from vault.interop.styled import encoded_like

COMMAND_SECONDS = 60.0
LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Before:
    """A file as it was: its content and mode, or None when it wasn't there."""

    path: Path
    content: bytes | None
    mode: int = 0o600


def before(plan: Plan) -> list[Before]:
    """The files a plan touches, as they are now. Raises StorageError."""
    return [_as_it_is(path) for path in (*(w.path for w in plan.writes), *plan.removes)]


def as_written_there(plan: Plan) -> Plan:
    """A plan whose texts keep the encoding, mark and line ends of the files they replace. Raises StorageError."""
    plan.writes = [replace(w, content=encoded_like(_as_it_is(w.path).content, w.content)) for w in plan.writes]
    return plan


def carry_out(plan: Plan) -> list[Before]:
    """Do what a plan says; what the files were like before. Raises StorageError, Unavailable, TryAgain; then nothing changed,
    but for what commands of the tool did before the one that failed.
    """
    were = before(plan)
    try:
        for write in plan.writes:
            replace_file(write.path, write.content, mode=write.mode)
        for path in plan.removes:
            _remove(path)
        for run in plan.runs:
            _run(run)
    except BaseException:
        put_back(were)
        raise
    return were


def put_back(were: list[Before]) -> None:
    """Make files what they were. Raises StorageError."""
    for one in were:
        if one.content is None:
            _remove(one.path)
        else:
            replace_file(one.path, one.content, mode=one.mode)


def _as_it_is(path: Path) -> Before:
    match kind_of(path):
        case "missing":
            return Before(path, None)
        case "file":
            try:
                return Before(path, read_regular(path, LARGEST), path.stat().st_mode & 0o777)
            except OSError as error:
                raise StorageError(f"{path} can't be read: {error.strerror}", hint="look at its mode") from None
        case kind:
            raise StorageError(f"{path} is a {kind}, not a file", hint="move it away")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} can't be removed: {error.strerror}", hint="look at its folder") from None


def _run(run: Run) -> None:
    program = shutil.which(run.argv[0])
    if program is None:
        raise Unavailable(f"the program {run.argv[0]} is not there, and {run.what} needs it", hint="install it")
    try:
        done = subprocess.run(
            [program, *run.argv[1:]],
            input=run.given.reveal() + "\n" if run.given is not None else "",
            env={**os.environ, **run.environ},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TryAgain(
            f"{run.argv[0]} did not end within {COMMAND_SECONDS:.0f} s: {run.what}", hint="try again"
        ) from None
    except OSError as error:
        raise Unavailable(f"{run.argv[0]} can't be run: {error.strerror}", hint="check that it is executable") from None
    if done.returncode:
        raise _failed(run, done)


def _failed(run: Run, done: subprocess.CompletedProcess[str]) -> StorageError:
    """The error of a tool's command that failed; of what it printed only the last line, and never what it was given."""
    lines = [line.strip() for line in (done.stderr or done.stdout).split("\n") if line.strip()]
    said = lines[-1][:200] if lines else f"status {done.returncode}"
    if run.given is not None and run.given.reveal() in said:
        said = f"status {done.returncode}"
    return StorageError(
        f"{run.argv[0]} failed at {run.what}: {said}", hint=f"try it by hand: {' '.join(run.argv[:4])} …"
    )
