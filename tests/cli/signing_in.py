"""Sign-ins through the installed command: a server, a vault, terminals whose every character is kept, and a search of them all.

``Place.terminal`` runs one command on a terminal; what it showed is a ``Talk``. Every secret of the server holds the test's
canary, and when the test is over it may be nowhere but sealed. With ``VAULT_TRANSCRIPTS`` naming a folder, each test's
terminals are written there as text.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect

from tests.cli.running import VAULT, WAIT, Real, hurry
from tests.oauth.authority import Authority
from tests.oauth.person import fetch
from tests.oauth.server import Server
from tests.support import ROOT, Canary, Files

TRANSCRIPTS = os.environ.get("VAULT_TRANSCRIPTS", "")
DRAWING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Talk:
    """A command on a terminal: read until something is shown, type, wait for its end. ``shown`` is all of it so far."""

    line: str
    child: pexpect.spawn[str]
    heard: io.StringIO
    typed: list[str] = field(default_factory=list)
    status: int | None = None

    @property
    def shown(self) -> str:
        return self.heard.getvalue()

    def until(self, text: str) -> None:
        """Read until a text is shown."""
        self.child.expect_exact(text)

    def type(self, line: str) -> None:
        """Type a line. The terminal shows it, unless the program hides it."""
        self.typed.append(line)
        self.child.sendline(line)

    def press(self, key: str) -> None:
        """Press a control key."""
        self.child.sendcontrol(key)

    def url(self) -> str:
        """The address to open, once it is shown."""
        self.child.expect(r"\n  (http://\S+)\r\n")
        assert self.child.match is not None
        return str(self.child.match.group(1))  # type: ignore[union-attr]

    def end(self, status: int = 0) -> str:
        """Wait for the end, which must have this exit status; all that was shown."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        self.status = self.child.exitstatus
        assert self.status == status, (self.status, self.shown)
        assert "Traceback" not in self.shown
        return self.shown

    def text(self) -> str:
        """What the terminal showed, as a page of text."""
        shown = DRAWING.sub("", self.shown).replace("\r\n", "\n").rstrip("\n")
        return f"$ {self.line}\n{shown}\n[exit status {self.status}]\n"


@dataclass
class Place:
    """A vault, a server that all registered clients are pointed at, and a folder for programs."""

    server: Server
    files: Files
    canary: Canary
    real: Real
    programs: Path
    talks: list[Talk] = field(default_factory=list)

    @property
    def authority(self) -> Authority:
        return self.server.authority

    def terminal(self, *arguments: str) -> AbstractContextManager[Talk]:
        """The installed command on a terminal."""
        return self._talk(str(VAULT), list(arguments), shlex.join(("vault", *arguments)))

    def shell(self, line: str) -> AbstractContextManager[Talk]:
        """A line of a shell on a terminal. ``vault`` is the installed command."""
        link = self.programs / "vault"
        if not link.exists():
            link.symlink_to(VAULT)
        return self._talk("/bin/sh", ["-c", line], line)

    @contextmanager
    def _talk(self, program: str, arguments: list[str], line: str) -> Iterator[Talk]:
        heard = io.StringIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forkpty where threads run
            child: pexpect.spawn[str] = pexpect.spawn(
                program, arguments, encoding="utf-8", timeout=WAIT, dimensions=(50, 400)
            )
        hurry(child)
        child.logfile_read = heard
        talk = Talk(line, child, heard)
        self.talks.append(talk)
        try:
            yield talk
        finally:
            child.close(force=True)
        assert talk.status is not None, "the test didn't wait for the end"

    def program(self, name: str, text: str) -> Path:
        """A Python program on the PATH."""
        path = self.programs / name
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)
        return path

    def profiles(self) -> dict[str, dict[str, Any]]:
        """What ``vault list`` tells, by profile."""
        return {p["profile"]: p for p in self.real("list", "--json").json["profiles"]}

    def events(self) -> list[str]:
        """The types of all events but the first, oldest first."""
        with self.files.open() as context:
            last = context.store.head().position
            return [r.envelope.type for r in context.store.read(range(2, last + 1))]

    def stored(self, profile: str, kind: str, agent: str = "main") -> str:
        """The secret that ``get`` hands out; the profile must hold that kind."""
        assert self.real("show", profile, "--agent", agent, "--json").json["kind"] == kind
        return self.real("get", profile, "--agent", agent).out.removesuffix("\n")

    def works(self, profile: str, agent: str = "main") -> None:
        """The profile holds an OAuth credential whose access token the server takes."""
        assert self.authority.is_live(self.stored(profile, "oauth", agent))

    def search(self, *more: str | bytes | Path) -> None:
        """No secret is in what was shown, in the vault's files, in the history or in temporary files."""
        shown = []
        for talk in self.talks:
            text = talk.shown
            for line in sorted(talk.typed, key=len, reverse=True):
                text = text.replace(line, "")
            shown.append(text)
        told = [self.real(word, "--json", status=None) for word in ("history", "status")]
        outputs = [text for result in told for text in (result.out, result.err)]
        self.canary.assert_absent(*shown, *outputs, self.files.folder, *more)

    def write_transcript(self, name: str) -> None:
        """Write what the terminals showed to the folder that VAULT_TRANSCRIPTS names, if it names one."""
        if TRANSCRIPTS and self.talks:
            folder = Path(TRANSCRIPTS)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / (re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") + ".txt")
            path.write_text("\n".join(talk.text() for talk in self.talks))


def browse(url: str) -> str:
    """Do what a person does in the browser: agree, or not. Where it leads: the whole address of the last page."""
    status, location, _ = fetch(url)
    assert status == 302
    return location


def code_in(address: str) -> str:
    """The code in an address."""
    return address.partition("code=")[2].partition("&")[0]


def browser_program(folder: Path) -> str:
    """A value for BROWSER: a program that signs in at once, and chatters as browsers do."""
    program = folder / "browser"
    program.write_text(
        f"#!/bin/sh\necho browser-chatter; cd {shlex.quote(str(ROOT))}\n"
        f'exec {shlex.quote(sys.executable)} -m tests.oauth.person "$1"\n'
    )
    program.chmod(0o755)
    return f"{program} %s"


@contextmanager
def place_at(files: Files, canary: Canary, real: Real, programs: Path, name: str) -> Iterator[Place]:
    """A place to sign in at. Afterwards nothing secret may be in sight; ``name`` is the test's, for its transcript."""
    with Server(Authority(canary.secret)) as server:
        server.authority.settings.interval = 1
        place = Place(server, files, canary, real, programs)
        yield place
        place.write_transcript(name)
        place.search(Path(os.environ["HOME"]), Path(os.environ["TMPDIR"]))
