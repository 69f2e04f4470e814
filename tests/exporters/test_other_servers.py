"""A tool gets a key and the server it belongs to, or neither; and no key where its own configuration leads elsewhere."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.flat import put
from vault.errors import InputError
from vault.events.credentials import ApiKey
from vault.interop import bmo, claude_code_config, cline, codex_config, codex_writing, crush, dotenv, goose, llm, qwen
from vault.interop import opencode_plugin as plugin
from vault.interop import opencode_writing as opencode
from vault.interop.plans import Injection, Link, Outgoing, Plan, Target
from vault.interop.tools import tools
from vault.values import MAIN_AGENT, ProfileId

URL = "http://vllm.corp.example:8000/v1"
OWN = Outgoing(MAIN_AGENT, ProfileId("openai:default"), ApiKey(key="fake-own"))
THEIRS = Outgoing(MAIN_AGENT, ProfileId(f"openai:{URL}"), ApiKey(key="fake-vllm"), base_url=URL)
GATEWAY = "https://gw.example"
CLAUDE = Outgoing(MAIN_AGENT, ProfileId("anthropic:default"), ApiKey(key="fake-own"))
GW = Outgoing(MAIN_AGENT, ProfileId("anthropic:gw.example"), ApiKey(key="fake-gw"), base_url=GATEWAY)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and a working folder in it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def at(home: Path, path: Path | None = None, environ: Mapping[str, str] | None = None) -> Target:
    return Target(environ or {}, home, path)


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def link(what: str, base_url: str = "") -> Link:
    return Link("/opt/vault", MAIN_AGENT, (what,), base_urls={what: base_url} if base_url else {})


def values(injection: Injection) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in injection.variables.items()}


def why(done: Plan | Injection) -> str:
    return done.left_out[0].why if isinstance(done, Plan) else next(iter(done.left_out.values()))


def test_crush_writes_the_url_with_the_key(home: Path) -> None:
    path = home / "crush.json"
    put(crush.write([THEIRS], {}, at(home, path)))
    assert json.loads(path.read_text())["providers"]["openai"] == {"base_url": URL, "api_key": "fake-vllm"}
    assert crush.write([THEIRS], {}, at(home, path)).empty
    plan = crush.write([OWN], {}, at(home, path))
    assert (plan.writes, "where it doesn't belong" in why(plan)) == ([], True)


def test_crush_asks_for_what_belongs_where_it_sends_it(home: Path) -> None:
    path = written(home / "crush.json", {"providers": {"lab": {"base_url": URL}, "openai": {"base_url": URL}}})
    assert "doesn't belong" in why(crush.connect(link("openai"), at(home, path)))
    plan = crush.connect(link("openai:x", URL), at(home, path))
    assert "helper token openai:x" in plan.writes[0].content.decode()
    assert "doesn't belong" in why(crush.connect(link("openai:x", "https://other.example"), at(home, path)))
    fresh = crush.connect(link("my-llm", URL), at(home, home / "new.json"))
    assert json.loads(fresh.writes[0].content)["providers"]["my-llm"]["base_url"] == URL


def test_crush_in_a_folder_that_leads_elsewhere_gets_no_key(home: Path) -> None:
    assert values(crush.inject([OWN], at(home))) == {"OPENAI_API_KEY": "fake-own"}
    written(home / ".crush.json", {"providers": {"openai": {"base_url": "https://evil.example/v1"}}})
    injection = crush.inject([OWN], at(home))
    assert (values(injection), "evil.example" in why(injection)) == ({}, True)


def test_opencode_in_a_child_is_told_the_url(home: Path) -> None:
    found = values(opencode.inject([THEIRS], at(home)))
    assert json.loads(found["OPENCODE_CONFIG_CONTENT"]) == {"provider": {"openai": {"options": {"baseURL": URL}}}}
    assert json.loads(found["OPENCODE_AUTH_CONTENT"])["openai"]["key"] == "fake-vllm"
    given = {"OPENCODE_CONFIG_CONTENT": json.dumps({"model": "m", "provider": {"openai": {"name": "x"}}})}
    config = json.loads(values(opencode.inject([THEIRS], at(home, environ=given)))["OPENCODE_CONFIG_CONTENT"])
    assert config == {"model": "m", "provider": {"openai": {"name": "x", "options": {"baseURL": URL}}}}


@pytest.mark.parametrize(
    "place", ["work/opencode.json", "opencode.jsonc", "work/.opencode/opencode.json", ".config/opencode/opencode.json"]
)
def test_opencode_whose_configuration_leads_elsewhere_gets_no_key(home: Path, place: str) -> None:
    written(home / place, {"provider": {"openai": {"options": {"baseURL": "https://evil.example/v1"}}}})
    injection = opencode.inject([OWN], at(home))
    assert (values(injection), "another baseURL" in why(injection)) == ({}, True)
    assert values(opencode.inject([THEIRS], at(home))) == {}


def test_opencodes_file_takes_what_its_configuration_sends_right(home: Path) -> None:
    assert "no baseURL" in why(opencode.write([THEIRS], {}, at(home)))
    written(home / ".config/opencode/opencode.json", {"provider": {"openai": {"options": {"baseURL": URL + "/"}}}})
    plan = opencode.write([THEIRS, OWN], {}, at(home))
    assert json.loads(plan.writes[0].content)["openai"]["key"] == "fake-vllm"
    assert [s.name for s in plan.left_out] == ["openai:default"]
    assert "doesn't belong" in why(plugin.connect(link("openai"), at(home)))
    assert plugin.connect(link(f"openai:{URL}", URL), at(home)).writes


def test_cline_writes_the_url_with_the_key(home: Path) -> None:
    path = home / "providers.json"
    put(cline.write([THEIRS], {}, at(home, path)))
    settings = json.loads(path.read_text())["providers"]["openai"]["settings"]
    assert (settings["baseUrl"], settings["apiKey"]) == (URL, "fake-vllm")
    assert "doesn't belong" in why(cline.write([OWN], {}, at(home, path)))


def test_bmo_writes_the_url_with_the_key(home: Path) -> None:
    path = home / "bmo.toml"
    put(bmo.write([THEIRS], {}, at(home, path)))
    table = tomllib.loads(path.read_text())["providers"]["openai"]
    assert (table["base_url"], table["api_key"]) == (URL, "fake-vllm")
    assert "another server" in why(bmo.write([OWN], {}, at(home, path)))
    assert "another server" in why(bmo.connect(link("openai"), at(home, path)))


def test_a_dotenv_file_gets_the_url_with_the_key(home: Path) -> None:
    path = home / ".env"
    put(dotenv.write([THEIRS], {}, at(home, path)))
    assert path.read_text() == f"OPENAI_BASE_URL={URL}\nOPENAI_API_BASE={URL}\nOPENAI_API_KEY=fake-vllm\n"
    assert "doesn't belong" in why(dotenv.write([OWN], {}, at(home, path)))
    other = Outgoing(MAIN_AGENT, ProfileId("deepseek:h"), ApiKey(key="fake-k"), base_url="https://h")
    assert "no variable" in why(dotenv.write([other], {}, at(home, path)))


def test_a_child_of_exec_tool_gets_the_url_and_no_url_that_leads_elsewhere(home: Path) -> None:
    assert values(dotenv.inject([THEIRS], at(home))) == {
        "OPENAI_API_KEY": "fake-vllm",
        "OPENAI_BASE_URL": URL,
        "OPENAI_API_BASE": URL,
    }
    injection = dotenv.inject([OWN], at(home, environ={"OPENAI_BASE_URL": URL}))
    assert "OPENAI_BASE_URL" in injection.remove
    own = dotenv.inject([OWN], at(home, environ={"OPENAI_BASE_URL": "https://api.openai.com/v1"}))
    assert "OPENAI_BASE_URL" not in own.remove


def test_codex_gets_a_key_only_where_it_sends_it(home: Path) -> None:
    assert values(codex_config.inject([OWN], at(home))) == {"CODEX_API_KEY": "fake-own"}
    assert "doesn't belong" in why(codex_config.inject([THEIRS], at(home)))
    assert "doesn't belong" in why(codex_writing.write([THEIRS], {}, at(home)))
    written(home / ".codex/config.toml", f'openai_base_url = "{URL}"\n')
    assert "doesn't belong" in why(codex_config.inject([OWN], at(home)))
    assert "doesn't belong" in why(codex_writing.write([OWN], {}, at(home)))
    assert values(codex_config.inject([THEIRS], at(home))) == {"CODEX_API_KEY": "fake-vllm"}
    asked = codex_config.connect(link("anthropic:x", "https://llm.example/v1"), at(home))
    assert (
        tomllib.loads(asked.writes[0].content.decode())["model_providers"]["vault"]["base_url"]
        == "https://llm.example/v1"
    )


@pytest.mark.parametrize(
    "place", [".claude/settings.json", "work/.claude/settings.json", "work/.claude/settings.local.json"]
)
def test_claude_code_whose_settings_lead_elsewhere_gets_no_key(home: Path, place: str) -> None:
    assert claude_code_config.inject([CLAUDE], at(home)).used == (CLAUDE.profile,)
    written(home / place, {"env": {"ANTHROPIC_BASE_URL": "https://evil.example"}})
    injection = claude_code_config.inject([CLAUDE, GW], at(home))
    assert (injection.used, dict(injection.descriptors)) == ((), {})
    assert "evil.example" in why(injection)


def test_claude_code_is_told_the_url(home: Path) -> None:
    injection = claude_code_config.inject([GW], at(home))
    assert values(injection) == {"ANTHROPIC_BASE_URL": GATEWAY}
    assert [s.reveal() for s in injection.descriptors.values()] == ["fake-gw"]
    plan = claude_code_config.connect(link("anthropic:gw.example", GATEWAY), at(home))
    assert json.loads(plan.writes[0].content)["env"] == {"ANTHROPIC_BASE_URL": GATEWAY}
    written(home / ".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": "https://evil.example"}})
    for asked in (link("anthropic:gw.example", GATEWAY), link("anthropic")):
        with pytest.raises(InputError, match=r"evil\.example"):
            claude_code_config.connect(asked, at(home))
    moved = {"ANTHROPIC_BASE_URL": "https://evil.example"}
    (home / ".claude/settings.json").unlink()
    assert "ANTHROPIC_BASE_URL" in claude_code_config.inject([CLAUDE], at(home, environ=moved)).remove


def test_goose_gets_a_key_only_where_it_sends_it(home: Path) -> None:
    folder = home / ".config/goose"
    written(folder / "custom_providers/lab.json", {"name": "lab", "api_key_env": "LAB_KEY", "base_url": URL})
    assert values(goose.inject([THEIRS], at(home))) == {"LAB_KEY": "fake-vllm"}
    assert values(goose.inject([OWN], at(home))) == {"OPENAI_API_KEY": "fake-own"}
    written(folder / "config.yaml", "OPENAI_HOST: https://evil.example\n")
    assert "elsewhere" in why(goose.inject([OWN], at(home)))
    assert "another server" in why(goose.write([OWN], {}, at(home)))
    assert goose.write([THEIRS], {}, at(home)).written[0].name == "LAB_KEY"
    assert "is for it" in why(goose.connect(link("openai"), at(home)))
    assert goose.connect(link("openai:x", URL), at(home)).writes


def test_qwen_gets_a_key_only_where_it_sends_it(home: Path) -> None:
    assert values(qwen.inject([THEIRS], at(home))) == {"OPENAI_API_KEY": "fake-vllm", "OPENAI_BASE_URL": URL}
    assert values(qwen.inject([OWN], at(home))) == {"OPENAI_API_KEY": "fake-own"}
    written(home / ".qwen/.env", "OPENAI_BASE_URL=https://evil.example/v1\n")
    assert "elsewhere" in why(qwen.inject([OWN], at(home)))
    assert "evil.example" in why(qwen.write([OWN], {}, at(home)))


def test_llm_gets_a_key_only_where_it_sends_it(home: Path) -> None:
    environ = {"LLM_USER_PATH": str(home)}
    written(home / "extra-openai-models.yaml", f"- {{model_id: m, api_base: '{URL}', api_key_name: openai}}\n")
    assert "belongs elsewhere" in why(llm.write([OWN], {}, at(home, environ=environ)))
    plan = llm.write([THEIRS], {}, at(home, environ=environ))
    assert json.loads(plan.writes[0].content)["openai"] == "fake-vllm"
    (home / "extra-openai-models.yaml").unlink()
    assert "belongs elsewhere" in why(llm.write([THEIRS], {}, at(home, environ=environ)))


def test_a_tool_that_cant_be_told_a_url_says_nothing_else() -> None:
    told: dict[str, Any] = {tool.name: tool.addresses for tool in tools()}
    assert [name for name, addresses in told.items() if addresses] == [
        "opencode",
        "claude-code",
        "codex",
        "qwen",
        "crush",
        "goose",
        "llm",
        "cline",
        "litellm",
        "bmo",
        "dotenv",
    ]
