"""OpenClaw from npm with a home of its own, a provider ``lab`` that is a recorder, and a vault beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.importers.stores import write_json
from tests.interop.answers import PONG
from tests.interop.conftest import Maker
from tests.interop.recorder import Recorder
from tests.interop.tools import Tool
from tests.interop.vaulted import Vaulted

_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
MODEL = {"id": "fake-model", "name": "Fake", "contextWindow": 128000, "maxTokens": 4096}


class Claw:
    """One OpenClaw whose only model is at a recorder."""

    def __init__(self, make: Maker, name: str, recorder: Recorder) -> None:
        self.tool: Tool = make(name)
        self.recorder = recorder
        self.tool.environ["PATH"] = f"{self.tool.command.parent}{os.pathsep}{self.tool.environ['PATH']}"
        self.state = self.tool.home / ".openclaw"
        lab = {"baseUrl": f"{recorder.url}/v1", "api": "openai-completions", "models": [MODEL]}
        configuration = {
            "gateway": {"mode": "local"},
            "models": {"mode": "merge", "providers": {"lab": lab}},
            "agents": {"defaults": {"model": {"primary": "lab/fake-model"}}},
        }
        write_json(self.config, configuration)
        self.vault = Vaulted(self.tool)

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.state / "openclaw.json"

    def ask(self) -> str:
        """One turn of the model: the key it was asked with."""
        self.recorder.clear()
        assert PONG in self.tool("infer", "model", "run", "--local", "--prompt", "say hi")
        (key,) = set(self.recorder.sent())
        return key

    def fails(self) -> str:
        """One turn that must fail: what it printed on stdout and stderr. Nothing may be sent."""
        self.recorder.clear()
        done = self.vault.child("infer", "model", "run", "--local", "--prompt", "say hi")
        assert done.status != 0
        assert self.recorder.requests == []
        return done.out + done.err

    @contextmanager
    def gateway(self) -> Iterator[None]:
        """Its Gateway, ready, on loopback. Turns and commands reach it through the configuration."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        configuration = json.loads(self.config.read_text())
        configuration["gateway"] |= {"port": port, "bind": "loopback", "auth": {"mode": "token", "token": "fake-token"}}
        configuration["logging"] = {"file": str(self.tool.home / "gateway.log")}
        write_json(self.config, configuration)
        command = [str(self.tool.command), "gateway", "run"]
        with subprocess.Popen(
            command,
            env=self.tool.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            said = []
            try:
                for line in process.stdout:
                    said.append(_COLOURS.sub(b"", line))
                    if said[-1].rstrip().endswith(b"[gateway] ready"):
                        break
                else:
                    raise AssertionError(b"".join(said).decode("utf-8", "replace"))
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield
            finally:
                os.killpg(process.pid, signal.SIGKILL)

    def turn(self) -> str:
        """One turn through the Gateway: the key it was asked with."""
        self.recorder.clear()
        assert PONG in self.tool("agent", "--agent", "main", "--message", "say hi", "--json")
        (key,) = set(self.recorder.sent())
        return key

    def status(self, *words: str) -> int:
        """The exit status of a command."""
        return self.vault.child(*words).status

    def audit(self) -> dict[str, Any]:
        """What ``secrets audit`` finds, references resolved."""
        found: dict[str, Any] = json.loads(self.tool("secrets", "audit", "--allow-exec", "--json", ok=False))
        return found

    def profiles(self) -> dict[str, dict[str, Any]]:
        """The profiles it lists, by id."""
        listed = json.loads(self.tool("models", "auth", "list", "--json"))["profiles"]
        return {profile["id"]: profile for profile in listed}

    def order(self) -> list[str] | None:
        """The order it has for ``lab``."""
        words = ("models", "auth", "order", "get", "--provider", "lab", "--agent", "main", "--json")
        found: list[str] | None = json.loads(self.tool(*words))["order"]
        return found
