"""Every field that a command prints with ``--json`` is on the page, and every field on the page is printed by some command."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_pages import TREE
from tests.support import ROOT, Files, make_files
from vault.cli.main import run

PAGE = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
WITHOUT = {"demo", "config edit"}

Vault = Callable[..., dict[str, Any]]


def _documented() -> dict[str, dict[str, str]]:
    """Schema to field to type."""
    found = {}
    for schema, body in re.findall(r"^## (vault\.\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL):
        found[schema] = dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", body, re.MULTILINE))
    return found


DOCUMENTED = _documented()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    found = make_files(tmp_path / "vault")
    for name, value in found.environ().items():
        monkeypatch.setenv(name, value)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.chdir(tmp_path)
    return found


@pytest.fixture
def vault(files: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Runs a command with ``--json``; its object, from stdout or, for an error, stderr."""

    def call(arguments: str, secret: str = "") -> dict[str, Any]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(secret.encode())))
        run([*arguments.split(), "--json"])
        printed = capsys.readouterr()
        body: dict[str, Any] = json.loads(printed.out or printed.err)
        return body

    return call


def _fields(value: Any, kinds: dict[str, str], path: str = "") -> set[str]:
    """Paths of the fields in a value: ``a.b`` for objects, ``a[]`` for lists; a documented map is not looked into."""
    if isinstance(value, dict) and kinds.get(path) != "map":
        prefix = f"{path}." if path else ""
        return {found for name, inner in value.items() for found in _fields(inner, kinds, prefix + name)}
    if isinstance(value, list):
        return {f for inner in value for f in _fields(inner, kinds, f"{path}[]")} or {f"{path}[]"}
    return {path}


def _as_json(body: dict[str, Any]) -> set[str]:
    kinds = DOCUMENTED[body["schema"]]
    if body["schema"] == "vault.list/1":
        show = DOCUMENTED["vault.show/1"]
        body = {
            **body,
            "profiles": ["as in show" for p in body["profiles"] if set(p) <= {f.split(".")[0] for f in show}],
        }
    found = _fields(body, kinds) - {"schema"}
    lists = {field.partition("[]")[0] for field in kinds if "[]" in field}
    empty = {field for field in found if field in lists or (field.endswith("[]") and field not in kinds)}
    return found - empty


def _session(vault: Vault, folder: Path, files: Files) -> list[dict[str, Any]]:
    """One command of each kind, in an order in which each has something to show."""
    auth = folder / "auth.json"
    auth.write_text('{"groq": {"type": "api", "key": "fake-key-groq"}, "odd": {"type": "telepathy"}}')
    return [
        vault("login openai --stdin --label first", "fake-key-openai-1"),
        vault("login openai:second --kind token --expires-in 3d --stdin", "fake-key-openai-2"),
        vault("login openai --stdin --reason why", "fake-key-openai-3"),
        vault(f"import opencode --from {auth}"),
        vault("agent add coder"),
        vault("agent inherit coder --none"),
        vault("agent list"),
        vault("order set --provider openai second default"),
        vault("order get --provider openai"),
        vault("order clear --provider openai"),
        vault("restore --order --provider openai"),
        vault("pin openai:second"),
        vault("unpin openai"),
        vault("report openai:second failure --reason rate_limit"),
        vault("health clear openai:second"),
        vault("restore openai:default"),
        vault("show openai:second"),
        vault("why openai"),
        vault("get openai"),
        vault("env --provider openai"),
        vault("logout groq:default"),
        vault("list"),
        vault("history --profile openai:default"),
        vault("verify"),
        vault("rebuild"),
        vault("doctor"),
        vault("key add --recovery"),
        vault("key list"),
        vault("key remove 2"),
        vault("config path"),
        vault("config show"),
        vault("exit-codes"),
        vault("get nothing"),
        vault("agent remove coder"),
        _altered(vault, files),
    ]


def _altered(vault: Vault, files: Files) -> dict[str, Any]:
    files.anchor.write_bytes(b"\1" * 192)
    return vault("verify")


def test_every_field_is_documented_and_every_documented_field_is_printed(
    vault: Vault, tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "fake-key-of-the-environment")
    printed: dict[str, set[str]] = {}
    for body in _session(vault, tmp_path, files):
        printed.setdefault(body["schema"], set()).update(_as_json(body))
    monkeypatch.setenv("VAULT_DATABASE", str(tmp_path / "new" / "vault.db"))
    monkeypatch.setenv("VAULT_STATE", str(tmp_path / "new" / "state"))
    body = vault(f"init --key-file {tmp_path}/new.key")
    printed[body["schema"]] = _as_json(body)
    assert set(printed) == set(DOCUMENTED)
    for schema, fields in printed.items():
        needed = {f for f in DOCUMENTED[schema] if not f.endswith("[]") or schema != "vault.config/1"}
        assert fields - set(DOCUMENTED[schema]) == set(), f"{schema}: not on the page"
        optional = {"error.position", "environment[].shared_with[]", "profiles[]"}
        assert needed - fields - optional == set(), f"{schema}: only on the page"


def test_the_page_names_the_commands_without_json() -> None:
    groups = {path for path, command in TREE.items() if hasattr(command, "list_commands")}
    without = {path for path, command in TREE.items() if "json" not in {p.name for p in command.params}} - groups
    assert without == WITHOUT
    assert all(f"`{name}`" in PAGE.partition("\n## ")[0] for name in WITHOUT)
