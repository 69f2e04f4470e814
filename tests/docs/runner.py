"""Runs the examples of the pages, and writes what they print back into them.

A ``console`` block holds commands (``$ …``, continued by ``> …``) and what they print; a ``python`` block is a whole
program; ``<!-- run`` … ``-->`` holds commands that a reader doesn't see, for things a reader would have already, and
``new_vault`` there puts a vault with a key file into the home. The blocks of a page run in order in one bash, so ``cd`` and
``export`` last, in a home of its own. Every command must end with status 0, unless the next one is ``echo $?``, which shows
another. What was printed is compared with the page after everything that changes from run to run (times, fingerprints, the
home folder, where ``vault`` is installed …) was replaced; a line ``…`` in a page stands for any lines.

    python -m tests.docs.runner            run every page, show where it differs
    python -m tests.docs.runner --write    put what was printed into the pages
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
ANY = "…"
STATUS = "echo $?"
WHO, HOME, PROGRAMS = "ana@laptop (bash)", "/home/ana", "/usr/local/bin"

_making = threading.Lock()
_CHANGING = [
    (re.compile(r"[\w.-]+@[\w.-]+ \([\w.-]+\)"), WHO),
    (re.compile(r"(?:[0-9A-Z]{4}-){8}[0-9A-Z]{4}"), "(code)"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?Z?"), "(time)"),
    (re.compile(r"\breplaced-\d{8}T\d{6}"), "replaced-(time)"),
    (re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b"), "(hex)"),
    (re.compile(r"\bjust now\b|\b\d+[smhd] ago\b"), "(ago)"),
    (re.compile(r"\b\d+(?:[smhd]|\.\d+ s)\b"), "(length)"),
    (re.compile(r"agent-vault \d[\w.]*, schema \d+, SQLite [\d.]+, Python [\w.+]+"), "(versions)"),
    (re.compile(r'"(pid|age_seconds|seconds)": ?[\d.]+'), r'"\1": (number)'),
    (re.compile(r'"(user|host|program)": ?"[^"]*"'), r'"\1": (text)'),
    (re.compile(r"\s+"), " "),
]


@dataclass
class Step:
    """One command of a page: the lines in which its output stands (numbered from 0), and the output there."""

    command: str
    first: int
    last: int
    expected: list[str] = field(default_factory=list)
    shown: bool = True
    output: list[str] = field(default_factory=list)
    status: int = -1


def steps_of(text: str) -> list[Step]:
    """The commands of a page, in order."""
    steps: list[Step] = []
    lines = text.splitlines()
    fence, start, number = "", 0, 0
    while number < len(lines):
        line = lines[number]
        if not fence and line in ("```console", "```python", "<!-- run"):
            fence, start = line, number + 1
        elif fence and line == ("-->" if fence == "<!-- run" else "```"):
            body = lines[start:number]
            if fence == "```console":
                steps += _console(body, start)
            else:
                command = "\n".join(body)
                if fence == "```python":
                    command = f"python - <<'END_OF_PROGRAM'\n{command}\nEND_OF_PROGRAM"
                steps.append(Step(command, number, number, shown=False))
            fence = ""
        number += 1
    return steps


def _console(body: list[str], start: int) -> list[Step]:
    steps: list[Step] = []
    for number, line in enumerate(body, start=start):
        if line.startswith("$ "):
            steps.append(Step(line[2:], number + 1, number + 1))
        elif line.startswith("> ") and steps and not steps[-1].expected:
            steps[-1].command += "\n" + line[2:]
            steps[-1].first = steps[-1].last = number + 1
        else:
            steps[-1].expected.append(line)
            steps[-1].last = number + 1
    return steps


def run(steps: list[Step], home: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Run the commands; fills in their outputs and statuses."""
    mark = "\x1e"
    script = [f"cd {shlex.quote(str(home))}", "s=0"]
    if any("new_vault" in step.command for step in steps):
        copied = f"cp -Rp {shlex.quote(str(_template()))}/. ~/"
        script.append(f"new_vault() {{ {copied}; export VAULT_KEY_FILE=~/vault.key; }}")
    for step in steps:
        script += [f"( exit $s ); eval {shlex.quote(step.command)}", "s=$?", f'printf "{mark}%s{mark}" "$s"']
    script = ["{", *script, "} < /dev/null", ""]
    done = subprocess.run(
        ["bash", "--noprofile", "--norc"],
        input="\n".join(script),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(home, environ),
        check=False,
    )
    parts = done.stdout.split(mark)
    for number, step in enumerate(steps):
        if 2 * number + 1 < len(parts):
            step.output = _elsewhere(parts[2 * number], home).splitlines()
            step.status = int(parts[2 * number + 1])


def _elsewhere(text: str, home: Path) -> str:
    """A text with the reader's folders in place of this machine's."""
    programs = Path(sys.executable).parent
    for here, there in ((home, HOME), (programs, PROGRAMS), (programs.resolve(), PROGRAMS)):
        text = text.replace(str(here), there)
    return text


def _environment(home: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    allowed = {k: v for k, v in environ.items() if k in ("LANG", "LC_ALL")}
    allowed |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
    return {**allowed, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def _template() -> Path:
    """A home with an empty vault and its key file, made once."""
    with _making:
        return _made_template()


@functools.cache
def _made_template() -> Path:
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    command = ["vault", "init", "--key-file", str(home / "vault.key")]
    subprocess.run(command, env=_environment(home), capture_output=True, check=True)
    return home


def troubles(steps: list[Step]) -> list[str]:
    """What is not as the page says."""
    found = []
    for number, step in enumerate(steps):
        told = number + 1 < len(steps) and steps[number + 1].command == STATUS
        if step.status and not told:
            found.append(f"$ {step.command}\nended with status {step.status}:\n" + "\n".join(step.output))
        elif step.shown and not alike(step.expected, step.output):
            expected = "\n".join(step.expected)
            found.append(f"$ {step.command}\nthe page says:\n{expected}\nit printed:\n" + "\n".join(step.output))
    return found


def alike(expected: list[str], output: list[str]) -> bool:
    """Whether an output is what a page says, but for what changes from run to run."""
    wanted = [ANY if line.strip() == ANY else unchanging(line) for line in expected if line.strip()]
    found = [unchanging(line) for line in output if line.strip()]
    return _match(wanted, found)


def _match(wanted: list[str], found: list[str]) -> bool:
    if not wanted:
        return not found
    if wanted[0] == ANY:
        return any(_match(wanted[1:], found[skip:]) for skip in range(len(found) + 1))
    return bool(found) and wanted[0] == found[0] and _match(wanted[1:], found[1:])


def unchanging(line: str) -> str:
    """A line without what changes from run to run."""
    for pattern, replacement in _CHANGING:
        line = pattern.sub(replacement, line)
    return line.strip()


def rewritten(text: str, steps: list[Step]) -> str:
    """The page with what was printed in the place of what it said, where the two differ."""
    lines = text.splitlines()
    for step in reversed(steps):
        if step.shown and not alike(step.expected, step.output):
            fresh = "\n".join(_CHANGING[0][0].sub(WHO, line).rstrip() for line in step.output).strip("\n")
            lines[step.first : step.last] = fresh.splitlines()
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run pages; show or write what differs."""
    named = [Path(a).resolve() for a in arguments if not a.startswith("-")]
    failed = 0
    for page in named or PAGES:
        text = page.read_text("utf-8")
        steps = steps_of(text)
        with tempfile.TemporaryDirectory() as home:
            run(steps, Path(home))
        if "--write" in arguments:
            page.write_text(rewritten(text, steps), "utf-8")
            for step in steps:
                step.expected = step.output
        for trouble in troubles(steps):
            failed += 1
            print(f"── {page.name}\n{trouble}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
