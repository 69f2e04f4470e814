"""Run in a process of its own, so that a command that waits for ever can be ended: ``python -m tests.cli.hostile WHAT FOLDER``.

Puts something in the place of each file that vault reads, one after the other, and runs commands on it. One line of JSON each:
the place, the command, its exit status, what it said.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support import Files
from vault.cli.main import run

WHAT = ("pipe", "zero", "loop", "huge")
PLACES: dict[str, Callable[[Files], Path]] = {
    "the anchor": lambda files: files.anchor,
    "its copy": lambda files: files.places.anchor_copy(bytes.fromhex(files.anchor.stem)),
    "unlock.json": lambda files: files.anchor.with_suffix(".unlock.json"),
    "the settings": lambda _: Path(os.environ["XDG_CONFIG_HOME"], "agent-vault", "config.toml"),
    "the catalogue": lambda _: Path(os.environ["XDG_CACHE_HOME"], "agent-vault", "catalogue.json"),
    "the key file": lambda files: files.key_file,
    "the lock": lambda files: files.database.with_name("vault.db.lock"),
    "the vault": lambda files: files.database,
    "the write-ahead log": lambda files: files.database.with_name("vault.db-wal"),
    "the shared memory": lambda files: files.database.with_name("vault.db-shm"),
    "the project's .env": lambda _: Path(".env"),
    "another tool's store": lambda _: Path.home() / ".local/share/opencode/auth.json",
    "a folder of another tool": lambda _: Path.home() / ".codex",
}
COMMANDS = (
    ("list",),
    ("get", "openai"),
    ("why", "openai"),
    ("login", "openai:new", "--stdin"),
    ("provider", "disable", "groq"),
    ("doctor", "--no-input"),
    ("import", "--dry-run"),
)


def put(path: Path, what: str) -> None:
    """Put something in a file's place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "huge":
        path.touch()
        os.truncate(path, 1 << 42)
    else:
        path.symlink_to("/dev/zero" if what == "zero" else path)


def main(what: str, folder: Path) -> None:
    """Try every place, on copies of a vault and a home in the folder."""
    told = sys.stdout
    for name, place in PLACES.items():
        here = Path(shutil.copytree(folder / "vault", folder / "tried" / "vault")).parent
        files = Files(here / "vault")
        for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            os.environ[variable] = str(here / variable)
        os.environ.update(files.environ())
        (here / "work").mkdir()
        os.chdir(here / "work")
        put(place(files), what)
        for words in COMMANDS:
            said = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
            sys.stdin = io.TextIOWrapper(io.BytesIO(b"fake-key"), "utf-8")
            with contextlib.redirect_stdout(said[0]), contextlib.redirect_stderr(said[1]):
                status = run(list(words))
            told.write(json.dumps([name, words, status, said[1].getvalue()]) + "\n")
            told.flush()
        os.chdir(folder)
        shutil.rmtree(here)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
