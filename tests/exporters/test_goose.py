"""Goose's secrets.yaml and custom providers: read, written, connected. Goose itself is not run."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from tests.exporters.round_trip import SECRETS
from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, ApiKey, OAuth
from vault.interop import goose
from vault.interop.documents import yaml_in
from vault.interop.plans import Link, Outgoing, Target
from vault.values import MAIN_AGENT, AgentId, ProfileId

SECRETS_YAML = """\
# mine
OPENAI_API_KEY: "fake-openai"
CORP_KEY: fake-corp
LOCAL_KEY: fake-local
GITHUB_TOKEN_OF_MINE: fake-other
ANTHROPIC_API_KEY: 7
"""
CORP = {
    "name": "corp",
    "engine": "openai",
    "api_key_env": "CORP_KEY",
    "base_url": "https://llm.example.com/v1",
    "x": [1],
}
LOCAL = {"name": "local", "api_key_env": "LOCAL_KEY", "base_url": "http://127.0.0.1:9/v1"}


def one(profile: str, credential: AnyCredential) -> Outgoing:
    return Outgoing(MAIN_AGENT, ProfileId(profile), credential)


def store(folder: Path, text: str | None = SECRETS_YAML, **customs: dict[str, Any]) -> Path:
    (folder / "custom_providers").mkdir(parents=True, exist_ok=True)
    if text is not None:
        (folder / "secrets.yaml").write_text(text)
    for name, document in customs.items():
        (folder / "custom_providers" / f"{name}.json").write_text(json.dumps(document, indent=2))
    return folder


def test_a_variable_is_its_providers(tmp_path: Path) -> None:
    findings = goose.read(store(tmp_path, corp=CORP, local=LOCAL), {}, tmp_path)
    assert profiles(findings) == {
        "openai:default": "fake-openai",
        "openai:llm.example.com/v1": "fake-corp",
        "openai:http://127.0.0.1:9/v1": "fake-local",
    }
    assert {f.base_url for f in findings.found} == {"", "https://llm.example.com/v1", "http://127.0.0.1:9/v1"}
    assert {s.name: s.why for s in findings.skipped} == {
        "GITHUB_TOKEN_OF_MINE": "no provider is known for it",
        "ANTHROPIC_API_KEY": "it has no value",
    }


def test_the_keyring_is_named(tmp_path: Path) -> None:
    folder = store(tmp_path, None)
    (folder / "config.yaml").write_text("GOOSE_PROVIDER: openai\n")
    findings = goose.read(folder, {}, tmp_path)
    assert [s.name for s in findings.skipped] == ["keyring:goose/secrets"]
    with pytest.raises(NotFound):
        goose.read(folder, {"GOOSE_DISABLE_KEYRING": "1"}, tmp_path)


def test_written_over_itself_it_is_the_same_file(tmp_path: Path) -> None:
    folder = store(tmp_path, corp=CORP)
    found = goose.read(folder, {}, tmp_path).found
    assert goose.write(outgoing(found), {}, target(folder)).empty
    plan = goose.write([one("openai:default", ApiKey(key="fake-new"))], {}, target(folder))
    put(plan)
    assert (folder / "secrets.yaml").read_text() == SECRETS_YAML.replace("fake-openai", "fake-new")
    assert "GOOSE_DISABLE_KEYRING" in plan.notes[0]


NAMES = st.sampled_from(["OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY", "CORP_KEY"])


@given(st.dictionaries(NAMES, SECRETS, max_size=5))
def test_read_and_written_is_the_same_document(document: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = store(Path(name) / "goose", "".join(f"{k}: {v}\n" for k, v in document.items()), corp=CORP)
        found = goose.read(folder, {}, Path(name)).found
        assert len(found) == len(document)
        assert goose.write(outgoing(found), {}, target(folder)).empty
        fresh = store(Path(name) / "fresh", None, corp=CORP)
        put(goose.write(outgoing(found), {}, target(fresh)))
        assert dict(yaml_in(fresh / "secrets.yaml")) == document


def test_connected_a_server_asks_and_disconnected_it_does_not(tmp_path: Path) -> None:
    folder = store(tmp_path, corp=CORP, local=LOCAL)
    link = Link("/opt/vault", AgentId("bot"), ("llm.example.com", "local:work", "openai"))
    plan = goose.connect(link, target(folder))
    put(plan)
    assert [s.name for s in plan.left_out] == ["openai"]
    assert "vault exec --tool goose" in plan.left_out[0].why
    assert not any(write.secret for write in plan.writes)
    corp = json.loads((folder / "custom_providers" / "corp.json").read_text())
    assert corp == CORP | {
        "api_key_env": "",
        "auth": {
            "command": "/opt/vault",
            "args": ["helper", "token", "llm.example.com", "--tool", "goose", "--agent", "bot"],
            "refresh_interval": 300,
            "timeout_seconds": 10,
        },
    }
    local = json.loads((folder / "custom_providers" / "local.json").read_text())
    assert local["auth"]["args"][2] == "local:work"
    plan = goose.disconnect(target(folder))
    put(plan)
    corp = json.loads((folder / "custom_providers" / "corp.json").read_text())
    assert corp == CORP | {"api_key_env": ""}
    assert "api_key_env" in plan.notes[0]
    assert goose.disconnect(target(folder)).empty


def test_another_command_stays(tmp_path: Path) -> None:
    folder = store(tmp_path, corp=CORP | {"auth": {"command": "pass", "args": ["show"]}})
    plan = goose.connect(Link("/opt/vault", MAIN_AGENT, ("corp",)), target(folder))
    assert plan.empty
    assert "auth of its own" in plan.left_out[0].why
    assert goose.disconnect(target(folder)).empty


@pytest.mark.parametrize(
    ("profile", "credential", "why"),
    [
        ("openai:default", OAuth(access="fake", refresh="fake"), "exec --tool goose"),
        ("other.example.com:default", ApiKey(key="fake"), "no variable"),
    ],
)
def test_what_it_can_not_keep_is_left_out(tmp_path: Path, profile: str, credential: AnyCredential, why: str) -> None:
    plan = goose.write([one(profile, credential)], {}, target(store(tmp_path)))
    assert plan.empty
    assert why in plan.left_out[0].why


def test_a_child_gets_the_names_of_its_servers(tmp_path: Path) -> None:
    folder = store(tmp_path, corp=CORP, odd=LOCAL | {"api_key_env": "OPENAI_API_KEY"})
    ones = [one("llm.example.com:default", ApiKey(key="fake-1")), one("openai:default", ApiKey(key="fake-2"))]
    injection = goose.inject(ones, Target({}, tmp_path, folder))
    assert injection.variables["CORP_KEY"].reveal() == "fake-1"
    assert "OPENAI_API_KEY" not in injection.variables


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\t- x", "a: 1\na: 2\n", "\x00"])
def test_damage_is_told_and_left_alone(tmp_path: Path, content: str) -> None:
    folder = store(tmp_path, content)
    for act in (lambda: goose.read(folder, {}, tmp_path), lambda: goose.write([], {}, target(folder))):
        with pytest.raises(InputError, match=r"secrets\.yaml"):
            act()
    assert (folder / "secrets.yaml").read_text() == content


def test_a_damaged_server_is_told(tmp_path: Path) -> None:
    folder = store(tmp_path)
    (folder / "custom_providers" / "corp.json").write_text("{")
    with pytest.raises(InputError, match=r"corp\.json"):
        goose.connect(Link("/opt/vault", MAIN_AGENT, ("corp",)), target(folder))


def test_where_it_is(tmp_path: Path) -> None:
    assert goose.places({"XDG_CONFIG_HOME": "/fake"}, tmp_path)[0] == Path("/fake/goose/secrets.yaml")
    assert goose.places({}, tmp_path)[1] == tmp_path / ".config" / "goose" / "custom_providers"
    with pytest.raises(NotFound):
        goose.read(None, {}, tmp_path)
    folder = store(tmp_path / "x", "OPENAI_API_KEY: fake-1\n")
    assert profiles(goose.read(folder / "secrets.yaml", {}, tmp_path)) == {"openai:default": "fake-1"}
