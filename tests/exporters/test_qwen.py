"""Qwen Code's .env and settings.json: read, written, and given to a child."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from tests.exporters.round_trip import SECRETS, unknown
from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Reference
from vault.interop import qwen
from vault.interop.hosts import provider_at
from vault.interop.plans import Outgoing, Target
from vault.values import MAIN_AGENT, ProfileId

DASHSCOPE = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"


def one(profile: str, credential: AnyCredential) -> Outgoing:
    return Outgoing(MAIN_AGENT, ProfileId(profile), credential)


def store(home: Path, env: str | None = None, settings: object = None, login: object = None) -> Path:
    folder = home / ".qwen"
    folder.mkdir(exist_ok=True)
    if env is not None:
        (folder / ".env").write_text(env)
    for name, document in (("settings.json", settings), ("oauth_creds.json", login)):
        if document is not None:
            (folder / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def test_a_keys_provider_is_the_one_of_its_address(tmp_path: Path) -> None:
    env = f"DEEPSEEK_API_KEY=fake-1\nOPENAI_API_KEY=fake-2\nOPENAI_BASE_URL={DASHSCOPE}\nOTHER=x\n"
    settings = {
        "env": {"MY_KEY": "fake-3", "LOCAL_KEY": "fake-4", "COLOR": "red", "DEEPSEEK_API_KEY": "fake-5"},
        "modelProviders": {
            "openai": [
                {"id": "a", "envKey": "MY_KEY", "baseUrl": "https://openrouter.ai/api/v1"},
                {"id": "b", "envKey": "LOCAL_KEY", "baseUrl": "http://127.0.0.1:9/v1"},
            ]
        },
    }
    findings = qwen.read(store(tmp_path, env, settings), {}, tmp_path)
    assert profiles(findings) == {
        "deepseek:default": "fake-1",
        "alibaba:default": "fake-2",
        "openrouter:default": "fake-3",
        "deepseek:settings": "fake-5",
        "openai:http://127.0.0.1:9/v1": "fake-4",
    }
    assert findings.skipped == []


def test_a_host_nobody_knows_is_a_provider_of_its_own(tmp_path: Path) -> None:
    env = "OPENAI_API_KEY=fake-1\nOPENAI_BASE_URL=https://llm.example.com/v1\n"
    (found,) = qwen.read(store(tmp_path, env), {}, tmp_path).found
    assert (found.profile, found.base_url) == ("openai:llm.example.com/v1", "https://llm.example.com/v1")
    assert found.former == "llm.example.com:default"


def test_the_sign_in_of_old_stays_its_own(tmp_path: Path) -> None:
    login = {"access_token": "fake-a", "refresh_token": "fake-r", "expiry_date": 1_795_400_000_000, "resource_url": "x"}
    (found,) = qwen.read(store(tmp_path, login=login), {}, tmp_path).found
    assert (found.profile, found.ownership) == ("qwen-oauth:qwen-code", "external")
    assert found.credential.expires() == 1_795_400_000_000_000
    plan = qwen.write(outgoing([found]), {}, target(tmp_path / ".qwen"))
    assert plan.empty
    assert "exec --tool qwen" in plan.left_out[0].why


NAMES = st.sampled_from(["DEEPSEEK_API_KEY", "DASHSCOPE_API_KEY", "OPENAI_API_KEY", "MOONSHOT_API_KEY", "COLOR"])


@given(
    st.dictionaries(NAMES, SECRETS, max_size=4),
    st.dictionaries(NAMES, SECRETS, max_size=4),
    unknown("env"),
    st.booleans(),
)
def test_read_and_written_is_the_same(
    env: dict[str, str], inner: dict[str, str], more: dict[str, Any], notes: bool
) -> None:
    text = "".join(f"{'# mine' + chr(10) if notes else ''}{n}={v}\n" for n, v in env.items())
    with tempfile.TemporaryDirectory() as name:
        folder = store(Path(name), text, more | {"env": inner})
        found = qwen.read(folder, {}, Path(name)).found
        plan = qwen.write(outgoing(found), {}, target(folder))
        put(plan)
        assert (folder / ".env").read_text() == text
        assert json.loads((folder / "settings.json").read_text()) == more | {"env": inner}
        fresh = Path(name) / "fresh"
        fresh.mkdir()
        written = qwen.write(outgoing(found), {}, target(fresh))
        put(written)
        again = qwen.read(fresh, {}, Path(name)) if written.written else None
        kept = {f.credential.secret() for f in again.found} if again else set()
        assert len(kept) == len(written.written)
        assert kept <= {f.credential.secret() for f in found}


def test_a_key_goes_where_it_is_read(tmp_path: Path) -> None:
    settings = {"env": {"A_KEY": "fake-old"}, "modelProviders": {"openai": [{"envKey": "A_KEY", "baseUrl": DASHSCOPE}]}}
    folder = store(tmp_path, settings="// mine\n" + json.dumps(settings))
    plan = qwen.write(
        [one("alibaba:default", ApiKey(key="fake-1")), one("deepseek:x", ApiKey(key="fake-2"))], {}, target(folder)
    )
    put(plan)
    assert [w.name for w in plan.written] == ["A_KEY", "DEEPSEEK_API_KEY"]
    assert (folder / ".env").read_text() == "DEEPSEEK_API_KEY=fake-2\n"
    text = (folder / "settings.json").read_text()
    assert text.startswith("// mine\n{")
    assert json.loads(text.removeprefix("// mine\n"))["env"] == {"A_KEY": "fake-1"}


@pytest.mark.parametrize(
    ("profile", "credential", "why"),
    [
        ("openai:default", ApiKey(key="fake"), "sent to dashscope-intl.aliyuncs.com"),
        ("openai:default", OAuth(access="fake", refresh="fake"), "exec --tool qwen"),
        ("openai:default", Reference(scheme="env", target="X"), "reference"),
        ("llm.example.com:default", ApiKey(key="fake"), "no variable of Qwen Code's"),
    ],
)
def test_what_it_can_not_use_is_left_out(tmp_path: Path, profile: str, credential: AnyCredential, why: str) -> None:
    folder = store(tmp_path, f"OPENAI_BASE_URL={DASHSCOPE}\n")
    plan = qwen.write([one(profile, credential)], {}, target(folder))
    assert plan.empty
    assert why in plan.left_out[0].why


def test_a_child_gets_the_variables_of_its_settings(tmp_path: Path) -> None:
    store(
        tmp_path,
        settings={"modelProviders": {"openai": [{"envKey": "A_KEY", "baseUrl": "https://openrouter.ai/api/v1"}]}},
    )
    ones = [one("openrouter:default", ApiKey(key="fake-1")), one("alibaba:default", ApiKey(key="fake-2"))]
    injection = qwen.inject(ones, Target({"OPENAI_BASE_URL": DASHSCOPE}, tmp_path))
    given_ones = {n: v.reveal() for n, v in injection.variables.items()}
    assert given_ones["A_KEY"] == given_ones["OPENROUTER_API_KEY"] == "fake-1"
    assert given_ones["OPENAI_API_KEY"] == given_ones["DASHSCOPE_API_KEY"] == "fake-2"
    assert list(injection.used) == ["openrouter:default", "alibaba:default"]
    moved = Target({"OPENAI_BASE_URL": DASHSCOPE}, tmp_path)
    assert "OPENAI_API_KEY" not in qwen.inject([one("openai:default", ApiKey(key="fake-3"))], moved).variables


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00\x01"])
@pytest.mark.parametrize("name", ["settings.json", "oauth_creds.json"])
def test_damage_is_told_and_left_alone(tmp_path: Path, name: str, content: str) -> None:
    folder = store(tmp_path)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=name):
        qwen.read(folder, {}, tmp_path)
    assert (folder / name).read_text() == content


def test_where_it_is(tmp_path: Path) -> None:
    assert qwen.places({"QWEN_HOME": "/fake"}, tmp_path)[0] == Path("/fake/.env")
    assert qwen.places({}, tmp_path)[1] == tmp_path / ".qwen" / "settings.json"
    with pytest.raises(NotFound):
        qwen.read(None, {}, tmp_path)
    folder = store(tmp_path, "DEEPSEEK_API_KEY=fake-1\n")
    assert profiles(qwen.read(folder / ".env", {}, Path("/nowhere"))) == {"deepseek:default": "fake-1"}
    (folder / "odd").write_text("x")
    with pytest.raises(InputError):
        qwen.read(folder / "odd", {}, tmp_path)


def test_an_address_is_its_providers() -> None:
    assert provider_at("https://api.openai.com/v1") == "openai"
    assert provider_at("https://openrouter.ai/api/v1") == "openrouter"
    assert provider_at("https://openrouter.ai.example.com/api/v1") is None
    assert provider_at("http://[") is None
    assert provider_at("") is None
