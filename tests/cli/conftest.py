"""Fixtures of the command line's tests: the commands in this process, the installed command as a process, a furnished vault."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell, furnish
from tests.cli.signing_in import Place, browser_program, place_at
from tests.support import START, Canary, Files, FixedClock, make_files
from vault.providers import catalogue
from vault.providers.base_urls import movers
from vault.values import DAY


@pytest.fixture(autouse=True)
def _bare(isolated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No provider's variable of the person who runs the tests, no other tool's store, a working folder of the test's own."""
    names = {
        n for p in catalogue.providers() for n in (*p.env, *p.key_env, *p.also_env, *(v for s in p.env_sets for v in s))
    }
    names |= {name for p in catalogue.providers() for name in movers(p.id)}
    for name in list(os.environ):
        if name in names or name.startswith(("OPENCODE", "OPENCLAW", "CLAWDBOT")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    for name in ("PYTHONUNBUFFERED", "COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FixedClock:
    """The clock of commands run in this process: it stands at 2026-01-02T00:00Z until a test moves it."""
    clock = FixedClock(START + DAY)
    monkeypatch.setattr("vault.context.SystemClock", lambda: clock)
    return clock


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A new vault, which the environment names."""
    files = make_files(tmp_path / "vault")
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    return files


@pytest.fixture
def furnished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A vault with agents, profiles, an order and some history (see ``running.furnish``), which the environment names."""
    files = furnish(tmp_path / "vault")
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    return files


@pytest.fixture
def shell(
    request: pytest.FixtureRequest,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """Runs commands in this process, on the vault of ``files`` or ``furnished``; without either there is none."""
    return Shell(clock, monkeypatch, capsys)


@pytest.fixture
def real() -> Iterator[Real]:
    """Runs the installed command as processes; none outlives the test."""
    real = Real()
    yield real
    real.end()


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    files: Files,
    canary: Canary,
    real: Real,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """A vault and an authorization server to sign in at; no browser but the one that a test sets."""
    programs = tmp_path / "programs"
    programs.mkdir()
    with place_at(files, canary, real, programs, request.node.name) as place:
        monkeypatch.setenv("VAULT_OAUTH_ENDPOINTS", place.server.url)
        monkeypatch.setenv("VAULT_NO_BROWSER", "1")
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        for name in ("BROWSER", "SSH_CONNECTION", "SSH_TTY"):
            monkeypatch.delenv(name, raising=False)
        yield place


@pytest.fixture
def browser(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that signs in at once."""
    monkeypatch.delenv("VAULT_NO_BROWSER")
    monkeypatch.setenv("BROWSER", browser_program(place.programs))
