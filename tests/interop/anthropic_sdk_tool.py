"""The Anthropic SDK from PyPI, in a Python of its own: a program that asks twice, and waits for a line in between."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from tests.interop.recorder import Recorder
from tests.interop.tools import ENVIRON, Installer, Tool, run

ANTHROPIC = "anthropic==2.12.0"
PROGRAM = """
import sys
import anthropic
client = anthropic.Anthropic(base_url=sys.argv[1])
for line in sys.stdin:
    told = client.messages.create(model="fake-model", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    print(told.content[0].text, flush=True)
"""


def anthropic_sdk(installer: Installer, home: Path) -> Tool:
    """A Python with the SDK, as a tool."""
    place = installer.folder / ANTHROPIC.replace("==", "-")
    with installer._once(place) as missing:
        if missing:
            venv.create(place / "venv", with_pip=True)
            run([place / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", ANTHROPIC], ENVIRON)
    return Tool(place / "venv" / "bin" / "python", installer.bin(), home)


class Asking:
    """A running program that asks a model once for each line it is given."""

    def __init__(self, tool: Tool, recorder: Recorder) -> None:
        self._process = subprocess.Popen(
            [str(tool.command), "-c", PROGRAM, recorder.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=tool.environ,
            text=True,
        )

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self) -> str:
        """Ask once; the model's answer, or nothing when the program ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("ask\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()
