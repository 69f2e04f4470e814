"""``vault provider``: what it lists and shows, what it fetches, and how it changes the settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Result, furnish
from tests.providers.documents import document, encoded, entry
from tests.providers.server import Reply, Server
from vault.cli import main
from vault.cli.settings_file import switch
from vault.errors import NotReady
from vault.providers import catalogue, stored
from vault.settings import parse_settings, settings_path


class Shell:
    """Runs ``vault provider …`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> Result:
        self._capsys.readouterr()
        ended = main.run(["provider", *arguments])
        result = Result(ended, *self._capsys.readouterr())
        assert ended == status, result
        return result

    def json(self, *arguments: str) -> dict[str, Any]:
        return self(*arguments, "--json").json


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.setenv("VAULT_DATABASE", str(tmp_path / "none" / "vault.db"))
    monkeypatch.setenv("VAULT_STATE", str(tmp_path / "none" / "state"))
    return Shell(capsys)


@pytest.fixture
def furnished(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name, value in furnish(tmp_path / "vault").environ().items():
        monkeypatch.setenv(name, value)
    return shell


@pytest.fixture
def config(shell: Shell) -> Path:
    path = settings_path(os.environ)
    path.parent.mkdir(parents=True)
    return path


def cells(found: Result, first: str) -> list[str]:
    """The cells of a row that aren't empty."""
    return re.split(r"\s{2,}", found.row(first))


def test_the_list_has_what_is_in_use_and_what_is_local(furnished: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "fake-key")
    Path(".env").write_text("GROQ_API_KEY=fake-key\n")
    found = furnished("list")
    assert cells(found, "anthropic") == [
        "anthropic",
        "Anthropic",
        "ANTHROPIC_API_KEY",
        "anthropic:default, anthropic:work",
    ]
    assert cells(found, "google")[-1] == "GEMINI_API_KEY"
    assert cells(found, "groq")[-1] == "GROQ_API_KEY (.env)"
    assert cells(found, "ollama") == ["ollama", "Ollama", "local: needs no credential"]
    assert "deepseek" not in found.out
    assert "233 providers are known" in found.err
    body = {p["id"]: p for p in furnished.json("list")["providers"]}
    assert (body["anthropic"]["profiles"], body["anthropic"]["in_use"]) == (
        ["anthropic:default", "anthropic:work"],
        True,
    )
    assert (body["google"]["set_variables"], body["google"]["profiles"]) == (["GEMINI_API_KEY"], [])
    assert (body["ollama"]["local"], body["ollama"]["in_use"]) == (True, False)


def test_another_agent_sees_its_own(furnished: Shell) -> None:
    body = {p["id"]: p["profiles"] for p in furnished.json("list", "--agent", "lone")["providers"]}
    assert "anthropic" not in body


def test_the_list_of_all_and_a_search(shell: Shell) -> None:
    assert len(shell.json("list", "--all")["providers"]) == 233
    assert [p["id"] for p in shell.json("list", "--search", "ionet")["providers"]] == ["io-net"]
    assert [p["id"] for p in shell.json("list", "--search", "zai_api")["providers"]] == ["zai", "zai-coding-plan"]
    assert [p["id"] for p in shell.json("list", "--search", "VERTEXAI_PROJECT")["providers"]] == [
        "google-vertex",
        "google-vertex-anthropic",
    ]
    nothing = shell("list", "--search", "no\x1bsuch")
    assert nothing.out == ""
    assert "\x1b" not in nothing.err


def test_the_list_works_without_a_vault_and_with_a_locked_one(
    furnished: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VAULT_KEY_FILE")
    assert "profiles are not counted" in furnished("list").err
    assert furnished.json("list")["profiles_missing"]
    monkeypatch.setenv("VAULT_DATABASE", str(tmp_path / "none.db"))
    assert "not counted" not in furnished("list").err


def test_a_provider_of_the_settings_or_of_ones_own_is_listed(
    config: Path, furnished: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('disabled_providers = ["openrouter"]\n[providers.my-llm]\nendpoint = "http://127.0.0.1:9/v1"\n')
    found = furnished("list")
    assert cells(found, "openrouter")[-1] == "disabled"
    assert cells(found, "my-llm") == ["my-llm", "(custom)", "MY_LLM_API_KEY", "local: needs no credential"]


def test_show_tells_everything(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "fake-token-never-shown")
    text = shell("show", "bedrock")
    assert text.row("provider").split() == ["provider", "amazon-bedrock"]
    assert "bedrockconverse" in text.row("also called")
    assert "fake-token-never-shown" not in text.out
    body = shell.json("show", "bedrock")
    assert body["variables"]["injected"] == ["AWS_BEARER_TOKEN_BEDROCK"]
    assert ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] in body["variables"]["sets"]
    assert "AWS_SESSION_TOKEN" in body["variables"]["stripped"]
    assert "AWS_REGION" in body["variables"]["facts"]
    assert body["documentation"].startswith("https://")
    assert body["sign_in"]
    assert "fake-token-never-shown" not in json.dumps(body)


def test_show_tells_what_shares_a_variable_and_how_to_sign_in(shell: Shell) -> None:
    assert shell.json("show", "minimax")["shared_with"] == [
        "minimax-cn",
        "minimax-cn-coding-plan",
        "minimax-coding-plan",
    ]
    kinds = [m["kind"] for m in shell.json("show", "openrouter")["sign_in"]]
    assert {"api_key", "pkce_key"} <= set(kinds)
    assert "vault login openrouter" in shell("show", "openrouter").row("command")
    assert [m["kind"] for m in shell.json("show", "deepseek")["sign_in"]] == ["api_key"]


def test_show_tells_that_a_local_provider_needs_nothing(config: Path, shell: Shell) -> None:
    assert shell.json("show", "ollama")["sign_in"][0]["kind"] == "none"
    assert shell("show", "llama-cpp").row("sign in").endswith("nothing is needed")
    config.write_text('[providers.nvidia]\nendpoint = "http://127.0.0.1:8000/v1"\n')
    body = shell.json("show", "nvidia")
    assert (body["local"], body["endpoint"]) == (True, "http://127.0.0.1:8000/v1")
    assert [m["kind"] for m in body["sign_in"]] == ["none", "api_key"]


def test_show_of_ones_own_and_of_nothing(config: Path, shell: Shell) -> None:
    shell("show", "my-llm", status=66)
    config.write_text('[providers.my-llm]\nendpoint = "http://127.0.0.1:9/v1"\n')
    own = shell.json("show", "my-llm")
    assert (own["in_catalogue"], own["variables"]["injected"]) == (False, ["MY_LLM_API_KEY"])
    assert "your own" in shell("show", "my-llm").row("known from")
    assert "did you mean" in shell("show", "Antropic", status=66).err


def test_disable_and_enable_undo_each_other_and_keep_the_file(config: Path, shell: Shell) -> None:
    text = '# mine\nsources = ["stored"]  # only\ndisabled_providers = [\n  "groq",  # slow\n]\n\n[provider]\n# none\n'
    config.write_text(text)
    config.chmod(0o640)
    told = shell("disable", "gemini")
    assert told.err == "google is disabled; undo with: vault provider enable google\n"
    assert parse_settings(config.read_text(), config).disabled_providers == ("groq", "google")
    assert "# slow" in config.read_text()
    assert "(no change)" in shell("disable", "google").err
    assert config.stat().st_mode & 0o777 == 0o640
    assert shell.json("enable", "google") == {
        "schema": "vault.provider-switch/1",
        "provider": "google",
        "allowed": True,
        "changed": True,
        "path": str(config),
    }
    assert config.read_text() == text
    assert sorted(p.name for p in config.parent.iterdir()) == [f".{config.name}.lock", config.name]


def test_disable_makes_the_file_for_its_owner_alone(shell: Shell) -> None:
    shell("disable", "groq")
    path = settings_path(os.environ)
    assert path.read_text() == 'disabled_providers = ["groq"]\n'
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_alias_in_the_file_is_the_same_provider(config: Path, shell: Shell) -> None:
    config.write_text('disabled_providers = ["gemini", "groq"]\n')
    assert "(no change)" in shell("disable", "google").err
    shell("enable", "google")
    assert parse_settings(config.read_text(), config).disabled_providers == ("groq",)


def test_enabling_where_only_some_are_enabled_adds_to_them(config: Path, shell: Shell) -> None:
    config.write_text('enabled_providers = ["openai"]\n[refresh]\nleeway = "5m"\n')
    assert "not" not in shell("enable", "groq").err
    found = parse_settings(config.read_text(), config)
    assert found.enabled_providers == ("openai", "groq")
    assert found.leeway == 300_000_000
    config.write_text("enabled_providers = []\n")
    assert "(no change)" in shell("enable", "groq").err


def test_the_environment_that_overrides_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_DISABLED_PROVIDERS", "groq")
    shell("disable", "mistral")
    assert "VAULT_DISABLED_PROVIDERS in the environment override" in shell("disable", "mistral").err


def test_a_broken_file_is_left_alone(config: Path, shell: Shell) -> None:
    config.write_text("sources = 1\n")
    assert "line 1" in shell("disable", "groq", status=78).err
    assert config.read_text() == "sources = 1\n"
    config.write_text("this is not TOML")
    with pytest.raises(NotReady):
        switch("groq", os.environ, on=False)
    config.write_bytes(b"\xff")
    shell("disable", "groq", status=78)


def test_a_link_to_the_file_stays_a_link(config: Path, shell: Shell, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("# mine\n")
    config.symlink_to(real)
    shell("disable", "groq")
    assert config.is_symlink()
    assert real.read_text() == '# mine\ndisabled_providers = ["groq"]\n'


def test_every_one_of_many_at_once_is_kept(config: Path) -> None:
    names = [f"fake-{n}" for n in range(8)]
    code = "import os, sys\nfrom vault.cli.settings_file import switch\nswitch(sys.argv[1], os.environ, on=False)"
    children = [subprocess.Popen([sys.executable, "-c", code, name]) for name in names]
    assert [c.wait(60) for c in children] == [0] * len(names)
    assert sorted(parse_settings(config.read_text(), config).disabled_providers) == names


def fetched(server: Server, found: dict[str, Any] | bytes, etag: str = "") -> str:
    body = found if isinstance(found, bytes) else encoded(found)
    server.reply = lambda _: Reply(body=body, headers={"ETag": etag} if etag else {})
    return server.url + "/api.json"


def test_update_tells_what_changed_and_counts_from_then_on(
    shell: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = document() | {"brand-new": entry("brand-new")}
    del found["abacus"]
    found["nosy"] = entry("nosy", env=["OPENAI_API_KEY"])
    monkeypatch.setenv("VAULT_MODELS_URL", fetched(server, found))
    told = shell("update")
    assert cells(told, "removed") == ["removed", "abacus", "ABACUS_API_KEY", "no longer listed; it stays known"]
    assert cells(told, "shares") == ["shares", "nosy", "openai", "OPENAI_API_KEY"]
    assert ["added", "brand-new", "BRAND_NEW_API_KEY"] in [re.split(r"\s{2,}", line) for line in told.lines]
    assert "nosy now reads OPENAI_API_KEY, which is a variable of openai" in told.err
    assert "--previous" in told.err
    assert shell.json("show", "brand-new")["source"]["kind"] == "fetched"
    assert "no longer lists it" in shell("show", "abacus").row("known from")


def test_update_says_that_nothing_is_newer(shell: Shell, server: Server) -> None:
    url = fetched(server, document(), '"v1"')
    assert shell.json("update", "--url", url)["changes"] == []
    server.reply = lambda _: Reply(304, b"")
    assert "nothing newer" in shell("update", "--url", url).err
    assert shell.json("update", "--url", url)["changed"] is False


def test_update_goes_back_and_forth_and_to_the_embedded_one(shell: Shell, server: Server) -> None:
    for name in ("one", "two"):
        shell("update", "--url", fetched(server, document() | {name: entry(name)}))
    assert shell.json("update", "--previous")["source"]["kind"] == "fetched"
    assert shell.json("show", "one")["in_catalogue"]
    shell("show", "two", status=66)
    assert "embedded" in shell("update", "--embedded").err
    shell("show", "one", status=66)
    shell("update", "--previous")
    assert shell.json("show", "one")["in_catalogue"]
    shell("update", "--embedded")
    assert "(no change)" in shell("update", "--embedded").err
    shell("update", "--embedded", "--previous", status=64)


def test_what_is_refused_changes_nothing(shell: Shell, server: Server) -> None:
    shell("update", "--url", fetched(server, document() | {"kept": entry("kept")}))
    told = shell("update", "--url", fetched(server, b"<html>"), "--json", status=65)
    assert told.error["message"] == "the answer is not JSON"
    server.reply = lambda _: Reply(503)
    shell("update", "--url", server.url, status=75)
    shell("update", "--url", "http://models.example/api.json", status=65)
    assert shell.json("show", "kept")["in_catalogue"]


def test_auto_update_false_forces_the_embedded_one(config: Path, shell: Shell, server: Server) -> None:
    shell("update", "--url", fetched(server, document() | {"kept": entry("kept")}))
    asked = len(server.asked)
    config.write_text("[provider]\nauto_update = false\n")
    shell("show", "kept", status=66)
    assert "as the settings say" in shell("list").err
    assert "provider.auto_update = false" in shell("update", "--url", server.url, status=78).err
    assert len(server.asked) == asked
    config.write_text("[provider]\nauto_update = true\n")
    assert shell.json("show", "kept")["in_catalogue"]


def test_a_broken_catalogue_is_told_and_not_used(shell: Shell, server: Server) -> None:
    shell("update", "--url", fetched(server, document() | {"kept": entry("kept")}))
    stored.place().write_text("{")
    told = shell("list")
    assert "is not used: it is not JSON" in told.err
    assert told.status == 0
    assert catalogue.source().broken
    shell("update", "--url", fetched(server, document() | {"kept": entry("kept")}))
    assert shell.json("show", "kept")["in_catalogue"]
