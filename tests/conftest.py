"""What every test gets: a home of its own, no VAULT_* of the person who runs it, no session bus, and a canary on request."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import Canary

# A run that was started in the background ignores Ctrl-C, and its children would too; what it does is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("person", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "person")


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder holding this test's home, XDG folders and temporary files; nothing outside it is touched."""
    folder = tmp_path_factory.mktemp("isolated")
    for name in [n for n in os.environ if n.startswith("VAULT_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    for name, place in {
        "HOME": "home",
        "XDG_CONFIG_HOME": "home/.config",
        "XDG_DATA_HOME": "home/.local/share",
        "XDG_STATE_HOME": "home/.local/state",
        "XDG_CACHE_HOME": "home/.cache",
        "XDG_RUNTIME_DIR": "run",
        "TMPDIR": "tmp",
    }.items():
        (folder / place).mkdir(mode=0o700, parents=True)
        monkeypatch.setenv(name, str(folder / place))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def canary(request: pytest.FixtureRequest) -> Canary:
    """A fake secret of this test's own, and the search for it."""
    return Canary(request.node.name.partition("[")[0].replace("_", "-")[:40])
