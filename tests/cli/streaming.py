"""Runs commands with standard streams that are closed, full or broken; each in a process of its own, as a child of one that
has loaded everything already.

Called with a JSON list of cases on stdin: arguments, what each stream is, and a folder with a vault that the case may change. It
prints a JSON list of what became of each: the exit status, and what was said on stderr.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import vault
import vault.cli.main as command_line
from vault.cli import streams

NAMES = ("stdin", "stdout", "stderr")


def become(case: dict[str, Any], folder: Path) -> None:
    """The child: arrange the streams as a shell does before it starts a program, and Python when it starts; then run."""
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT, 0o600)
    for number, name in enumerate(NAMES):
        how = case["streams"].get(name, "usual")
        if how == "closed":
            os.close(number)
            setattr(sys, name, None)
            continue
        if how == "full":
            source = os.open("/dev/full", os.O_WRONLY)
        elif how == "broken":
            reader, source = os.pipe()
            os.close(reader)
        elif name == "stdin":
            source = os.open(os.devnull, os.O_RDONLY)
        else:
            source = os.dup(said) if name == "stderr" else os.open(folder / "out", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(source, number)
        os.close(source)
        errors = "backslashreplace" if name == "stderr" else "strict"
        setattr(sys, name, open(number, "w" if number else "r", errors=errors, closefd=False))  # noqa: SIM115
    os.close(said)
    sys.argv = ["vault", *case["words"]]
    os.chdir(folder)
    os.environ.update({k: v.replace("{}", str(folder)) for k, v in case["environ"].items()})
    status = 70
    try:
        command_line.main()
    except SystemExit as stop:
        status = int(stop.code or 0)
    for stream in (sys.stdout, sys.stderr):  # as Python does at its end, which would take longer than the command
        try:
            stream.flush()
        except (OSError, ValueError):
            status = 120
    os._exit(status)


def main() -> None:
    cases = json.load(sys.stdin)
    for module in pkgutil.walk_packages(vault.__path__, "vault."):
        if not module.name.startswith(("vault.adapters", "vault.__main__", "vault._migrations")):
            with suppress(ImportError):
                importlib.import_module(module.name)
    gc.freeze()
    results = []
    for number, case in enumerate(cases):
        folder = Path(case["folder"]).with_name(f"case-{os.getpid()}-{number}")
        shutil.copytree(case["folder"], folder)
        child = os.fork()
        if not child:
            become(case, folder)
        _, status = os.waitpid(child, 0)
        said, out = folder / "said", folder / "out"
        results.append(
            {
                "status": os.waitstatus_to_exitcode(status),
                "err": said.read_text(),
                "out": out.read_text() if out.exists() else "",
                "folder": str(folder),
            }
        )
        if len(cases) > 1:
            shutil.rmtree(folder)
    streams.send(json.dumps(results))
    streams.flush()


if __name__ == "__main__":
    main()
