"""What child processes run: ``python -m tests.log.worker FOLDER WORK [ARGUMENT …]``.

A child opens the vault, says "ready" and waits for a line.
Every acknowledgement is a line on stdout, written only when the call that it tells of has returned.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.log.samples import issue, key, login, order
from tests.support import ROOT, Files
from vault.context import Context
from vault.errors import VaultError
from vault.log.anchor import SIZE, Anchor
from vault.log.records import Draft
from vault.model import profile as profile_model
from vault.model.streams import profile_stream
from vault.projections.verify import verify
from vault.values import SystemClock

PROFILES = [f"openai:p{n}" for n in range(5)]


def say(*words: object) -> None:
    """One line to the parent, at once."""
    print(*words, flush=True)


def any_draft(chance: random.Random, tag: str) -> Draft:
    """A login, a hand-out or an order."""
    profile = chance.choice(PROFILES)
    kind = chance.randrange(3)
    if kind == 0:
        return login("main", profile, f"fake-key-{tag}")
    if kind == 1:
        return issue("main", profile)
    return order("main", "openai", *chance.sample(PROFILES, 3))


def append(context: Context, count: str, seed: str) -> None:
    """Append so many random events, one at a time."""
    chance = random.Random(seed)
    for number in range(int(count)):
        tag = f"{seed}-{number}"
        (recorded,) = context.store.append([any_draft(chance, tag)], context.cause(reason=tag))
        say(recorded.position, tag)


def log_in(context: Context, count: str, name: str) -> None:
    """Log in to one profile again and again, deciding from what is there."""
    stream = profile_stream("main", "openai:shared")
    for number in range(int(count)):

        def decision(number: int = number) -> tuple[Sequence[Draft], Mapping[str, int]]:
            state = context.queries.profile("main", "openai:shared")
            credential, facts = key(f"fake-key-{name}-{number}")
            event = profile_model.log_in(state, "main", "openai:shared", facts)
            return [Draft(stream=stream, event=event, credential=credential)], {stream: state.version if state else 0}

        (recorded,) = context.decide(context.cause(reason=f"{name}-{number}"), stream, decision)
        say(recorded.position, f"{name}-{number}")


def repeat(context: Context, command: str) -> None:
    """Append two events under a command id that others use at the same time."""
    drafts = [login("main", "openai:shared", "fake-key"), issue("main", "openai:shared")]
    recorded = context.store.append(drafts, context.cause(command=command))
    say(*(r.position for r in recorded))


def die_at(context: Context, where: str) -> None:
    """Append twice; be killed during the second: before SQL statement number N, or around the anchor's writing."""
    store = context.store
    (first,) = store.append([login("main", "openai:p0", "fake-key-0")], context.cause(reason="first"))
    say(first.position, "first")
    if where.isdigit():
        statements = iter(range(1, 1000))

        def count(_: str) -> None:
            if next(statements) == int(where):
                die()

        context.database.connection.set_trace_callback(count)
    else:
        Anchor.write = {"before": _dies, "torn": _torn, "after": _late}[where]  # type: ignore[method-assign]
    (second,) = store.append([login("main", "openai:p0", "fake-key-1")], context.cause(reason="second"))
    context.database.connection.set_trace_callback(None)
    say(second.position, "second")


def die() -> None:
    """As if the power of this process went out."""
    os.kill(os.getpid(), signal.SIGKILL)


_write = Anchor.write


def _dies(self: Anchor, position: int, mac: bytes) -> None:
    die()


def _late(self: Anchor, position: int, mac: bytes) -> None:
    _write(self, position, mac)
    die()


def _torn(self: Anchor, position: int, mac: bytes) -> None:
    before = self.path.read_bytes()
    _write(self, position, mac)
    after = self.path.read_bytes()
    changed = [n for n in range(0, len(after), SIZE) if before[n : n + SIZE] != after[n : n + SIZE]]
    middle = changed[0] + SIZE // 2
    self.path.write_bytes(after[:middle] + before[middle : middle + SIZE // 2] + after[middle + SIZE // 2 :])
    die()


def fill(context: Context, size: str) -> None:
    """Append until files may not grow any more (bytes); say what the error was; then go on without the limit."""
    database = context.database
    database.connection.execute("PRAGMA wal_autocheckpoint=0")
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
    try:
        for number in range(10_000):
            (recorded,) = context.store.append([login("main", "openai:p0", f"fake-key-{number}")], context.cause())
            say(recorded.position)
    except VaultError as error:
        say("refused", error.exit_status, type(error).__name__)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    say("head", context.store.head().position, "verified", verify(context.store, context.projections).events)
    (recorded,) = context.store.append([login("main", "openai:p0", "fake-key-after")], context.cause())
    say(recorded.position)


WORK = {"append": append, "log_in": log_in, "repeat": repeat, "die_at": die_at, "fill": fill}


@contextmanager
def started(files: Files, *work: object) -> Iterator[subprocess.Popen[str]]:
    """A child at its starting line; ``go`` sends it off. It is gone when the block ends."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.log.worker", str(files.folder), *map(str, work)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line == "ready\n", line + (child.communicate()[1] if not line else "")
        yield child
    finally:
        child.kill()
        child.communicate()


def go(child: subprocess.Popen[str]) -> None:
    """Send a child off."""
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def acknowledged(child: subprocess.Popen[str]) -> list[list[str]]:
    """All that a child says until it ends by itself, in words; its stderr must be empty."""
    out, err = child.communicate(timeout=300)
    assert (child.returncode, err) == (0, "")
    return [line.split() for line in out.splitlines()]


def main(folder: str, work: str, *arguments: str) -> None:
    """Run one kind of work."""
    with Files(Path(folder)).open(SystemClock()) as context:
        say("ready")
        sys.stdin.readline()
        WORK[work](context, *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
