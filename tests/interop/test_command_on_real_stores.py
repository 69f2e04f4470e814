"""The real ``vault`` command on stores that the real tools wrote: import, list, use, overwrite, restore."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop

VAULT = Path(sys.executable).with_name("vault")
Vault = Callable[..., str]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Runs ``vault`` in a home of its own; its stdout."""
    home = tmp_path / "home"
    home.mkdir()
    cleared = {k: v for k, v in os.environ.items() if not k.startswith(("VAULT_", "XDG_"))}
    environ = cleared | {"HOME": str(home)}

    def run(*words: str, stdin: str = "") -> str:
        done = subprocess.run(
            [str(VAULT), *words], env=environ, cwd=home, input=stdin, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    run("init", "--key-file", str(home / "key"))
    return run


def entries(printed: str) -> dict[str, dict[str, Any]]:
    return {e["what"]: e for e in json.loads(printed)["entries"]}


def test_opencode_imported_listed_used_overwritten_restored(opencode_store: Path, vault: Vault) -> None:
    before = opencode_store.read_bytes()
    stored = json.loads(before)
    provider = next(p for p, entry in stored.items() if entry["type"] == "api")
    profile, key = f"{provider}:default", stored[provider]["key"]
    taken = entries(vault("import", "opencode", "--from", str(opencode_store), "--json"))
    assert {e["action"] for w, e in taken.items() if ":" in w} == {"taken"}
    assert json.loads(vault("import", "opencode", "--from", str(opencode_store), "--json"))["taken"] == 0
    assert profile in vault("list")
    shown = vault("exec", "--provider", profile, "--", "env")
    assert key in shown
    vault("login", profile, "--stdin", stdin="fake-key-mistyped")
    assert vault("get", profile).strip() == "fake-key-mistyped"
    vault("restore", profile)
    assert vault("get", profile).strip() == key
    vault("verify")
    assert opencode_store.read_bytes() == before


def test_openclaw_imported_with_its_order(openclaw_store: Path, vault: Vault) -> None:
    taken = entries(vault("import", "openclaw", "--from", str(openclaw_store), "--json"))
    assert any(what.startswith("order for ") and e["action"] == "taken" for what, e in taken.items())
    order = json.loads(vault("order", "get", "--provider", "together", "--json"))["order"]
    assert order == ["togetherai:home", "togetherai:work"], "the catalogue's id for what OpenClaw calls together"
    assert vault("get", "together").strip() == "fake-key-together-2"
    assert vault("get", "lab", "--agent", "helper").strip() == "fake-key-helper-1"
    assert json.loads(vault("import", "openclaw", "--from", str(openclaw_store), "--json"))["taken"] == 0
    vault("verify")
