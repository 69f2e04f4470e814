"""Every field that a command prints with ``--json`` is on the page, and every field on the page is printed by some command.

The commands come from the command tree: one that has ``--json`` and doesn't run in the session fails here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.json_session import World, play
from tests.docs.test_pages import TREE
from tests.oauth.authority import Authority
from tests.oauth.server import Server
from tests.providers.server import serving
from tests.support import ROOT, make_files
from vault.providers import catalogue

PAGE = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
WITHOUT = {
    "demo": "a show for people",
    "config edit": "an editor for a person",
    "helper": "speaks the tools' own protocols",
    "help": "text for people",
    "completion": "scripts for shells",
}
NOT_PRINTED_HERE = {
    "vault.why/1": {"further[].name", "further[].also_of[]"},  # tests/cli/test_further_names.py
    "vault.disconnect/1": {f"kept[].{name}" for name in ("name", "path", "why")},  # tests/cli/test_disconnecting.py
    "vault.error/1": {"error.position"},  # a log that was altered: tests/log
}


def _documented() -> dict[str, dict[str, str]]:
    """Schema to field to type."""
    found = {}
    for schema, body in re.findall(r"^## (vault\.\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL):
        found[schema] = dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", body, re.MULTILINE))
    return found


DOCUMENTED = _documented()


@pytest.fixture
def vault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], isolated: Path
) -> Iterator[World]:
    """The session's world: nothing of the person who runs the tests is in it."""
    del isolated
    known = {
        n
        for p in catalogue.providers()
        for n in (*p.env, *p.also_env, *p.fact_env, *(v for s in p.env_sets for v in s))
    }
    for name in [n for n in os.environ if n in known or n.startswith(("OPENCODE", "OPENCLAW", "CLAWDBOT", "AWS_"))]:
        monkeypatch.delenv(name)
    files = make_files(tmp_path / "vault")
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with Server(Authority("fake")) as authorization, serving() as server:
        monkeypatch.setenv("VAULT_OAUTH_ENDPOINTS", authorization.url)
        yield World(files, Path(os.environ["HOME"]), authorization, server, capsys, monkeypatch)
    catalogue.reload()


def _fields(value: Any, kinds: dict[str, str], path: str = "") -> set[str]:
    """Paths of the fields in a value: ``a.b`` for objects, ``a[]`` for lists; a documented map is not looked into."""
    if isinstance(value, dict) and kinds.get(path) != "map":
        prefix = f"{path}." if path else ""
        return {found for name, inner in value.items() for found in _fields(inner, kinds, prefix + name)}
    if isinstance(value, list):
        return {f for inner in value for f in _fields(inner, kinds, f"{path}[]")} or {f"{path}[]"}
    return {path}


def _as_json(body: dict[str, Any]) -> set[str]:
    """The fields of an object. Where a list is empty or an object null, those below it aren't there."""
    kinds = DOCUMENTED[body["schema"]]
    for name, like in (("profiles", "vault.show/1"), ("imports", "vault.import/1")):
        if kinds.get(f"{name}[]") == "object":
            tops = {field.partition(".")[0].partition("[")[0] for field in DOCUMENTED[like]}
            body = {**body, name: ["as there" for inner in body[name] if set(inner) <= tops] or body[name]}
    found = _fields(body, kinds) - {"schema"}
    return {
        field
        for field in found
        if field in kinds
        or not any(k.startswith((f"{field}.", f"{field}[", f"{field.removesuffix('[]')}[].")) for k in kinds)
    }


def test_every_field_is_documented_and_every_documented_field_is_printed(vault: World, tmp_path: Path) -> None:
    play(vault, tmp_path)
    assert {body["schema"] for _, body in vault.printed} == set(DOCUMENTED)
    differences = {}
    for schema, documented in DOCUMENTED.items():
        fields = {field for _, body in vault.printed if body["schema"] == schema for field in _as_json(body)}
        differences[schema, "not on the page"] = fields - set(documented)
        differences[schema, "only on the page"] = set(documented) - fields - NOT_PRINTED_HERE.get(schema, set())
    assert {where: found for where, found in differences.items() if found} == {}
    ran = {_path(line) for line, _ in vault.printed}
    assert _with_json() - ran == set(), "these have --json and are not in tests/docs/json_session.py"


def _path(line: str) -> str:
    """The command that a line runs: ``order set``, ``status``."""
    words = line.split()
    return " ".join(words[:2]) if " ".join(words[:2]) in TREE else words[0]


def _with_json() -> set[str]:
    return {path for path, command in TREE.items() if "json" in {p.name for p in command.params}}


def test_the_page_names_the_commands_without_json() -> None:
    groups = {path for path, command in TREE.items() if hasattr(command, "list_commands")}
    assert set(TREE) - groups - _with_json() == set(WITHOUT)
    assert all(f"`{name}`" in PAGE.partition("\n## ")[0] for name in WITHOUT)
