"""A vault in a tool's own home, and the installed ``vault`` run as the person at that home would."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.cli.running import VAULT, Result
from tests.interop.tools import Tool
from tests.support import Files, make_files
from vault.api import open_vault
from vault.events.types import CredentialIssued

WAIT = 120


class Vaulted:
    """The vault beside a tool. The tool's environment is told where it is, so that the tool's helpers find it."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.files: Files = make_files(tool.home / "vault")
        tool.environ |= self.files.environ()

    def __call__(self, *words: str | Path, stdin: str = "", status: int = 0) -> Result:
        """Run ``vault``; it must end with ``status``."""
        done = subprocess.run(
            [str(VAULT), *map(str, words)],
            input=stdin,
            env=self.tool.environ,
            cwd=self.tool.home,
            capture_output=True,
            text=True,
            timeout=WAIT,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        assert done.returncode == status, result
        return result

    def login(self, what: str, secret: str, *more: str) -> None:
        """Log in with a secret."""
        self("login", what, "--custom", "--stdin", *more, stdin=secret)  # tests invent providers

    def child(self, *words: str | Path) -> Result:
        """Run the tool itself, to whatever end."""
        done = subprocess.run(
            [str(self.tool.command), *map(str, words)],
            stdin=subprocess.DEVNULL,
            env=self.tool.environ,
            cwd=self.tool.home,
            capture_output=True,
            text=True,
            timeout=WAIT,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def issued(self) -> Sequence[tuple[str, str]]:
        """(profile, program) of each hand-out."""
        with open_vault(environ=self.files.environ()) as vault:
            events = [e.event for e in vault.history(oldest_first=True)]
        return [(e.profile, e.program) for e in events if isinstance(e, CredentialIssued)]

    def lose_the_key(self) -> None:
        """Lock the vault for good: what unlocked it is gone."""
        self.files.key_file.unlink()
