"""A vault with one login that rotates, and the server that made it. Real clock: processes share it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.oauth.authority import Authority
from tests.oauth.server import Server
from tests.support import Files, make_files
from vault.commands.login import log_in
from vault.context import Context
from vault.events.credentials import OAuth
from vault.providers.clients import client, remembered
from vault.values import HOUR, MAIN_AGENT, Instant, ProfileId, SystemClock

PROFILE = ProfileId("xai:default")
CLIENT = "xai"
VAULT = Path(sys.executable).with_name("vault")
WAIT = 60


@dataclass
class World:
    """What a test plays with."""

    server: Server
    files: Files

    @property
    def authority(self) -> Authority:
        return self.server.authority

    def environ(self, **more: str) -> dict[str, str]:
        """What a command needs to work in this world."""
        return {**os.environ, **self.files.environ(), "VAULT_OAUTH_ENDPOINTS": self.server.url, **more}

    def open(self) -> Context:
        context = self.files.open(clock=SystemClock())
        context.environ = self.environ()
        return context

    def seed(self, expires_in: int = -HOUR, profile: ProfileId = PROFILE, client_id: str = CLIENT) -> str:
        """Store a login whose access token ends so far from now; its refresh token."""
        token = self.authority.seed()
        self.store(token, expires_in, profile, client_id)
        return token

    def store(
        self, refresh: str, expires_in: int = -HOUR, profile: ProfileId = PROFILE, client_id: str = CLIENT
    ) -> None:
        with self.open() as context:
            credential = OAuth(
                access=f"fake-old-access-{self.authority.mark}",
                refresh=refresh,
                expires_at=Instant(context.clock.now() + expires_in),
                scopes=["read", "write"],
                metadata=remembered(client(client_id), {}) if client_id else {"client": "gone"},
            )
            log_in(context, MAIN_AGENT, profile, credential)

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(VAULT), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ(**more),
        )

    def vault(self, *arguments: str, status: int = 0, **more: str) -> tuple[str, str]:
        """Run one command: its stdout and stderr."""
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=WAIT)
        assert process.returncode == status, (process.returncode, out, err)
        return out, err

    def types(self, profile: str = PROFILE) -> list[str]:
        """Types of a profile's own events, oldest first."""
        with self.open() as context:
            return [r.envelope.type for r in context.store.read_stream(f"profile/main/{profile}")]

    def facts(self) -> list[Any]:
        with self.open() as context:
            return [r.event for r in context.store.read_stream(f"profile/main/{PROFILE}")]

    def asked(self) -> int:
        """How many requests for a token came, answered or not."""
        with self.authority.lock:
            return sum(path.endswith("/token") for _, path in self.authority.requests)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Server(Authority("refresh-test")) as server:
        yield World(server, make_files(tmp_path / "vault"))
