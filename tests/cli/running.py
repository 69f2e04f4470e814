"""Ways to run commands: in this process (``Shell``), as the installed command (``Real``), on a terminal (``terminal``).

Both check the exit status, 0 unless told otherwise, so that a test says only what is special.
"""

from __future__ import annotations

import functools
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.support import Files, FixedClock, make_files
from vault.cli.main import run
from vault.commands.agents import add_agent
from vault.commands.keys import Choice, initialise
from vault.commands.login import log_in, log_out
from vault.commands.rotation import report, set_order
from vault.context import Places
from vault.events.credentials import ApiKey, Token
from vault.unlock import Ways
from vault.values import DAY, MAIN_AGENT, SECOND, AgentId, Instant, ProfileId, ProviderId

VAULT = Path(sys.executable).with_name("vault")
WAIT = 30
"""Seconds after which a process that should have answered is a failure; nothing is measured by it."""


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error of ``--json``: one object on stderr, nothing on stdout."""
        assert self.out == ""
        told = json.loads(self.err)
        assert set(told) == {"schema", "error"}
        assert told["schema"] == "vault.error/1"
        return dict(told["error"])

    @property
    def lines(self) -> list[str]:
        """The lines of stdout, without the blanks that fill a table's columns."""
        return [line.rstrip() for line in self.out.splitlines()]

    def row(self, first: str) -> str:
        """The line of a table that starts with a text."""
        (found,) = [line for line in self.lines if line.split("  ")[0] == first]
        return found


def _not_here(program: str, *_: object) -> None:
    """In place of ``os.execve``: the process that would become the program is the one that runs the tests, and they would end."""
    raise AssertionError(f"{program} would take the place of the tests: use Real for vault exec")


class Shell:
    """Runs commands in this process."""

    def __init__(self, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.clock = clock
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, stdin: str | bytes = "", status: int | None = 0) -> Result:
        """Run one command. ``status`` is the exit status it must end with; None for any."""
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
        self._capsys.readouterr()
        with self._monkeypatch.context() as meanwhile:
            meanwhile.setattr(os, "execve", _not_here)
            ended = run(list(arguments))
        out, err = self._capsys.readouterr()
        result = Result(ended, out, err)
        assert status in (None, ended), result
        return result

    def json(self, *arguments: str, stdin: str | bytes = "", status: int = 0) -> dict[str, Any]:
        """Run one command with ``--json``: what it printed; nothing may be on stderr."""
        result = self(*arguments, "--json", stdin=stdin, status=status)
        assert result.err == ""
        return result.json

    def login(self, what: str, secret: str, *arguments: str) -> int:
        """Log in; the position."""
        position = self.json("login", what, "--stdin", *arguments, stdin=secret)["position"]
        assert isinstance(position, int)
        return position


class Real:
    """Runs the installed command as processes."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(
        self,
        *arguments: str,
        stdin: str | bytes = "",
        env: Mapping[str, str] | None = None,
        status: int | None = 0,
        before: list[str] | None = None,
    ) -> Result:
        """Run one command to its end. ``env`` is added to the environment; ``before`` is a program to start it through."""
        done = subprocess.run(
            [*(before or []), str(VAULT), *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**os.environ, **(env or {})},
            timeout=WAIT,
            check=False,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert status in (None, done.returncode), result
        return result

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start one command with pipes for all of its streams."""
        process = subprocess.Popen(
            [str(VAULT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what still runs and close the pipes."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


_WITHOUT_ROOTS_POWERS = """
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):  # DAC_OVERRIDE and DAC_READ_SEARCH: root obeys the modes of its own files
        if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"""
UNPRIVILEGED = [sys.executable, "-c", _WITHOUT_ROOTS_POWERS]
"""Starts a program for which file modes count, also where the tests run as root (on Linux)."""


def finish(process: subprocess.Popen[bytes], stdin: str = "") -> Result:
    """Give a started process its input and wait for its end."""
    out, err = process.communicate(stdin.encode(), timeout=WAIT)
    return Result(process.returncode, out.decode(), err.decode())


def next_line(process: subprocess.Popen[bytes]) -> str:
    """The next line a started process prints, without its end; fails when it ends or says nothing for too long."""
    assert process.stdout is not None
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(process.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(WAIT)
    assert found, "the process said nothing"
    assert found[0].endswith(b"\n"), "the process ended"
    return found[0].decode().rstrip("\n")


@contextmanager
def terminal(*arguments: str, width: int = 200) -> Iterator[pexpect.spawn[str]]:
    """The installed command on a terminal of its own."""
    with terminal_of([str(VAULT), *arguments], width=width) as child:
        yield child


@contextmanager
def terminal_of(words: list[str], width: int = 200) -> Iterator[pexpect.spawn[str]]:
    """Any program on a terminal of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forkpty where threads run
        child: pexpect.spawn[str] = pexpect.spawn(
            words[0], words[1:], encoding="utf-8", timeout=WAIT, dimensions=(50, width)
        )
    hurry(child)
    try:
        yield child
    finally:
        child.close(force=True)


def hurry(child: pexpect.spawn[str]) -> None:
    """Leave out pexpect's pauses: each tenth of a second, and the commands here need none."""
    child.delaybeforesend = None
    for one in (child, child.ptyproc):
        one.delayafterclose = one.delayafterterminate = 0.01


def ended(child: pexpect.spawn[str]) -> tuple[int | None, str]:
    """Wait for a terminal's command to end: its status, and what it still said."""
    child.expect(pexpect.EOF)
    said = child.before or ""
    child.close()
    return child.exitstatus, said


def furnish(folder: Path) -> Files:
    """A vault as it may be after a week.

    main has anthropic:default (two logins, the second is current), anthropic:work, openai:default and, expired, the token
    huggingface:old; groq:spare is logged out and mistral:paid disabled. coder inherits from main and has openai:own; lone
    inherits from nobody. The order of main for anthropic is work, default.
    """
    for name, content in _furniture().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(content)
    return Files(folder)


def with_passphrase(folder: Path) -> dict[str, str]:
    """A new vault that opens with a passphrase alone, ``fake passphrase``: what names it in the environment."""
    place = Places(folder / "data" / "vault.db", folder / "state")
    ways = Ways({"VAULT_PASSPHRASE": "fake passphrase"})
    initialise(place, Choice("passphrase"), ways, kdf={"m": 19 * 1024, "t": 1, "p": 1})
    return {"VAULT_DATABASE": str(place.database), "VAULT_STATE": str(place.state)}


SECRETS = {
    "anthropic:default": "fake-key-anthropic-2",
    "anthropic:work": "fake-key-work",
    "openai:default": "fake-key-openai",
    "openai:own": "fake-key-own",
    "huggingface:old": "fake-token-old",
    "groq:spare": "fake-key-spare",
    "mistral:paid": "fake-key-paid",
}


@functools.cache
def _furniture() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as place:
        files = make_files(Path(place))
        clock = FixedClock()
        coder = AgentId("coder")
        with files.open(clock) as context:
            add_agent(context, coder, MAIN_AGENT)
            add_agent(context, AgentId("lone"), "")
            log_in(context, MAIN_AGENT, ProfileId("anthropic:default"), ApiKey(key="fake-key-anthropic-1"))
            for profile, secret in SECRETS.items():
                clock.forward(SECOND)
                expires = Instant(clock.now() + 3600 * SECOND) if profile == "huggingface:old" else None
                credential = Token(token=secret, expires_at=expires) if expires else ApiKey(key=secret)
                agent = coder if profile == "openai:own" else MAIN_AGENT
                log_in(context, agent, ProfileId(profile), credential, label=profile.partition(":")[2])
            log_out(context, MAIN_AGENT, ProfileId("groq:spare"))
            set_order(context, MAIN_AGENT, ProviderId("anthropic"), ["anthropic:work", "anthropic:default"])
            report(
                context,
                MAIN_AGENT,
                ProfileId("mistral:paid"),
                "failure",
                failure="billing",
                until=clock.now() + 30 * DAY,
            )
        made = [files.database, files.anchor, files.key_file]
        return {str(path.relative_to(place)): path.read_bytes() for path in made}
