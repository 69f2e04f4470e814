"""demo: a real vault in a temporary folder, through the same commands a person types. It fails if a step fails."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vault.cli import output, streams
from vault.errors import Defect

FAKE = "demo-{}-not-a-real-key"


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder there afterwards.")] = False,
) -> None:
    """Show all of it: two agents, an order, a hand-out, an overwrite, a logout, both restored, the log verified."""
    if keep:
        folder = tempfile.mkdtemp(prefix="vault-demo-")
        _play(Path(folder))
        output.write(
            "", f"The vault is in {folder}: export VAULT_DATABASE={folder}/data/vault.db VAULT_STATE={folder}/state"
        )
        return
    with tempfile.TemporaryDirectory(prefix="vault-demo-") as folder:
        _play(Path(folder))


class Stage:
    """Runs ``vault`` as a person would, in an environment of its own."""

    def __init__(self, folder: Path) -> None:
        cleared = {k: v for k, v in os.environ.items() if not k.startswith(("VAULT_", "ANTHROPIC_", "OPENAI_"))}
        self.folder = folder
        self.environ = cleared | {
            "VAULT_DATABASE": str(folder / "data" / "vault.db"),
            "VAULT_STATE": str(folder / "state"),
            "VAULT_ENV_FILE": os.devnull,
            "PYTHONUNBUFFERED": "1",
        }

    def vault(self, arguments: str, secret: str = "") -> str:
        """Run one command and show it with what it said, which is returned. Raises Defect when it fails."""
        pipe = 'printf %s "$KEY" | ' if secret else ""
        output.write("", f"$ {pipe}vault {arguments}")
        streams.flush()
        done = subprocess.run(
            [*_program(), *shlex.split(arguments)],
            input=secret,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=self.environ,
            check=False,
        )
        said = done.stdout.removesuffix("\n")
        output.lines(f"  {line}" for line in said.split("\n") if said)
        if done.returncode:
            raise Defect(f"the demo's step vault {arguments.split()[0]} ended with status {done.returncode}")
        return done.stdout

    def expect(self, truth: bool, what: str) -> None:
        """Check what the step should have brought about. Raises Defect."""
        if not truth:
            raise Defect(f"the demo expected that {what}")

    def tell(self, text: str) -> None:
        """Say what comes next."""
        output.lines(["", f"── {text}"], "   ")


def _play(folder: Path) -> None:
    stage = Stage(folder)
    first, second, spare, bad = (FAKE.format(n) for n in ("main", "work", "coder", "typo"))

    stage.tell("A new vault: an encrypted event log in SQLite, unlocked by a key file.")
    stage.vault("init --key-file ./key")

    stage.tell("Two profiles for agent main, and one of its own for agent coder, which inherits from main.")
    stage.vault("login anthropic --stdin --label personal", first)
    stage.vault("login anthropic --profile work --stdin --label work", second)
    stage.vault("agent add coder")
    stage.vault("login openai --agent coder --stdin", spare)

    stage.tell("main tries the work account first; coder inherits both the profiles and the order.")
    stage.vault("order set --provider anthropic work default")
    stage.vault("why anthropic --agent coder")

    stage.tell("A program gets the credential in its environment. The hand-out is in the log before the program runs.")
    got = stage.vault(f"exec --provider anthropic --agent coder -- {_echo('ANTHROPIC_API_KEY')}")
    stage.expect(got.strip() == second, "exec hands the first profile of the order to the program")

    stage.tell("A bad login overwrites the good key …")
    stage.vault("login anthropic:work --stdin", bad)
    stage.tell("… and somebody logs coder out of openai.")
    stage.vault("logout openai:default --agent coder")

    stage.tell("Nothing is lost: both come back.")
    stage.vault("restore anthropic:work --reason 'the new key was a typo'")
    stage.vault("restore openai:default --agent coder")
    stage.expect(stage.vault("get anthropic:work").strip() == second, "restore brings the exact key back")
    stage.expect(stage.vault("get openai:default --agent coder").strip() == spare, "restore undoes the logout")

    stage.tell("What is in the vault now.")
    stage.vault("list")
    stage.vault("list --agent coder")

    stage.tell("Everything that happened, newest first.")
    stage.vault("history")

    stage.tell("The log is whole, and the projections match it.")
    stage.vault("verify")
    stage.vault("rebuild")

    stage.tell("And none of it can be read in the file.")
    raw = b"".join(p.read_bytes() for p in (folder / "data").iterdir())
    names = [first, second, spare, bad, "anthropic", "openai", "coder", "personal", "the new key was a typo"]
    found = [n for n in names if n.encode() in raw]
    stage.expect(not found, "no name and no secret is readable at rest")
    output.lines([f"  {len(raw)} bytes searched for {len(names)} names and secrets: none found"])
    events = json.loads(
        subprocess.run(
            [sys.executable, "-m", "vault", "history", "--json", "--limit", "0"],
            capture_output=True,
            text=True,
            env=stage.environ,
            check=True,
        ).stdout
    )["events"]
    stage.expect(all(f not in json.dumps(events) for f in (first, second, spare, bad)), "no secret is in the history")
    output.write("", f"Done: {len(events)} events, every step checked.")


def _program() -> list[str]:
    """``vault``, which fits what it prints to this terminal less the two columns that it is indented by."""
    width = streams.width()
    if width is None:
        return [sys.executable, "-m", "vault"]
    fitted = f"from vault.cli import main, streams; streams.fit({max(width - 2, 1)}); main.main()"
    return [sys.executable, "-c", fitted]


def _echo(variable: str) -> str:
    """A program that prints a variable of its environment."""
    if os.name == "posix":
        return f"sh -c 'echo ${variable}'"
    return f"cmd /c 'echo %{variable}%'"
