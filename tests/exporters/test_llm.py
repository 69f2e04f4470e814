"""llm's keys.json: read, written, and the same document again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from vault.errors import InputError, NotFound, VaultError
from vault.events.credentials import OAuth
from vault.interop import llm
from vault.interop.plans import Outgoing
from vault.values import MAIN_AGENT, ProfileId

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40).map(lambda t: f"fake-{t}")
ALIASES = st.sampled_from(["openai", "gemini", "anthropic", "mistral", "together", "my-own", "some_tool", "x.y"])


@given(st.dictionaries(ALIASES, KEYS, min_size=1, max_size=6), st.booleans())
def test_read_and_written_is_the_same_document(keys: dict[str, str], note: bool) -> None:
    document = ({"// Note": "mine"} if note else {}) | keys
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "keys.json"
        path.write_text(json.dumps(document))
        found = llm.read(path, {}, Path(name)).found
        assert len(found) == len(keys)
        put(llm.write(outgoing(found), {}, target(path)))
        assert json.loads(path.read_text()) == document
        fresh = Path(name) / "new" / "keys.json"
        put(llm.write(outgoing(found), {}, target(fresh)))
        assert {k: v for k, v in json.loads(fresh.read_text()).items() if not k.startswith("//")} == keys


def test_aliases_are_providers_or_names_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"gemini": "fake-1", "google": "fake-2", "my-thing": "fake-3", "empty": "", "number": 7}')
    findings = llm.read(path, {}, tmp_path)
    assert profiles(findings) == {"google:default": "fake-1", "llm:my-thing": "fake-3"}
    assert {s.name for s in findings.skipped} == {"google", "empty", "number"}


def test_where_it_is(tmp_path: Path) -> None:
    assert llm.places({"LLM_USER_PATH": "/fake/llm"}, tmp_path) == [Path("/fake/llm/keys.json")]
    assert llm.places({}, tmp_path)[0].is_relative_to(tmp_path)
    with pytest.raises(NotFound):
        llm.read(None, {}, tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00\x01"])
def test_damage_is_told_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    for act in (lambda: llm.read(path, {}, tmp_path), lambda: llm.write([], {}, target(path))):
        with pytest.raises(InputError, match=r"keys\.json"):
            act()
    assert path.read_text() == content


def test_a_login_is_left_out(tmp_path: Path) -> None:
    one = Outgoing(MAIN_AGENT, ProfileId("openai:default"), OAuth(access="fake-access", refresh="fake-refresh"))
    plan = llm.write([one], {}, target(tmp_path / "keys.json"))
    assert plan.written == []
    assert "plug-in asks the vault" in plan.left_out[0].why


def test_a_child_gets_variables() -> None:
    given_one = Outgoing(MAIN_AGENT, ProfileId("openai:default"), llm.ApiKey(key="fake-key"))
    injection = llm.inject([given_one], target(Path("/fake")))
    assert {k: v.reveal() for k, v in injection.variables.items()} == {"OPENAI_API_KEY": "fake-key"}
    assert not injection.remove & set(injection.variables)


def test_errors_are_the_vaults(tmp_path: Path) -> None:
    with pytest.raises(VaultError):
        llm.read(tmp_path / "nothing.json", {}, tmp_path)
