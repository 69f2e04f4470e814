"""Fixtures of the providers' tests: a loopback server, a catalogue that forgets, no proxy of the person who runs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers.server import Server, serving
from vault.providers import catalogue


@pytest.fixture(autouse=True)
def _alone(isolated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    known = {name for p in catalogue.providers() for name in (*catalogue.stripped_names(p.id), *p.fact_env)}
    for name in list(os.environ):
        if name in known or name.lower().endswith("_proxy") or name.startswith("SSL_CERT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield
    catalogue.use_fetched(lambda: False)


@pytest.fixture
def server() -> Iterator[Server]:
    """An HTTP server on loopback."""
    with serving() as running:
        yield running
