"""A key that a tool keeps with another base URL is that server's: its profile, its facts, and nothing for its provider's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from vault.interop import (
    anthropic_sdk,
    bmo,
    claude_code,
    cline,
    codex,
    crush,
    dotenv,
    gemini,
    goose,
    litellm,
    llm,
    opencode,
    qwen,
)
from vault.interop.findings import Findings

URL = "http://vllm.corp.example:8000/v1"
KEY = "fake-vllm"


def put(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    return path


def _litellm(home: Path, url: str, model: str = "openai/opt") -> Findings:
    text = f"model_list:\n- model_name: opt\n  litellm_params:\n    model: {model}\n    api_base: {url}\n    api_key: {KEY}\n"
    return litellm.read(put(home / "config.yaml", text), {}, home)


def _crush(home: Path, url: str, name: str = "openai") -> Findings:
    return crush.read(put(home / "crush.json", {"providers": {name: {"api_key": KEY, "base_url": url}}}), {}, home)


def _opencode(home: Path, url: str, name: str = "openai") -> Findings:
    put(
        home / ".config/opencode/opencode.jsonc",
        "// mine\n" + json.dumps({"provider": {name: {"options": {"baseURL": url}}}}),
    )
    auth = put(home / ".local/share/opencode/auth.json", {name: {"type": "api", "key": KEY}})
    return opencode.read(auth, {}, home)


def _cline(home: Path, url: str, name: str = "openai") -> Findings:
    settings = {"provider": name, "apiKey": KEY, "baseUrl": url}
    return cline.read(put(home / "providers.json", {"providers": {name: {"settings": settings}}}), {}, home)


def _cline_before(home: Path, url: str) -> Findings:
    put(home / "data/globalState.json", {"openAiBaseUrl": url})
    return cline.read(put(home / "data/secrets.json", {"openAiApiKey": KEY}), {}, home)


def _codex(home: Path, url: str) -> Findings:
    put(home / ".codex/config.toml", f'openai_base_url = "{url}"\n')
    put(home / ".codex/auth.json", {"auth_mode": "apikey", "OPENAI_API_KEY": KEY})
    return codex.read(None, {}, home)


def _bmo(home: Path, url: str, name: str = "openai") -> Findings:
    return bmo.read(put(home / "bmo.toml", f'[providers.{name}]\napi_key = "{KEY}"\nbase_url = "{url}"\n'), {}, home)


def _goose(home: Path, url: str) -> Findings:
    custom = {"name": "vllm", "engine": "openai", "api_key_env": "VLLM_KEY", "base_url": url}
    put(home / "goose/custom_providers/vllm.json", custom)
    put(home / "goose/secrets.yaml", f"VLLM_KEY: {KEY}\n")
    return goose.read(home / "goose", {"GOOSE_DISABLE_KEYRING": "1"}, home)


def _goose_host(home: Path, url: str) -> Findings:
    put(home / "goose/config.yaml", f"OPENAI_HOST: {url}\n")
    put(home / "goose/secrets.yaml", f"OPENAI_API_KEY: {KEY}\n")
    return goose.read(home / "goose", {"GOOSE_DISABLE_KEYRING": "1"}, home)


def _qwen(home: Path, url: str) -> Findings:
    put(home / ".qwen/.env", f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL={url}\n")
    return qwen.read(None, {}, home)


def _dotenv(home: Path, url: str) -> Findings:
    return dotenv.read(put(home / ".env", f"OPENAI_API_KEY={KEY}\nOPENAI_API_BASE={url}\n"), {}, home)


OF_OPENAI = [
    _litellm,
    _crush,
    _opencode,
    _cline,
    _cline_before,
    _codex,
    _bmo,
    _goose,
    _goose_host,
    _qwen,
    _dotenv,
]


@pytest.mark.parametrize("read", OF_OPENAI)
def test_a_key_at_another_url_is_not_the_providers(read: Callable[[Path, str], Findings], tmp_path: Path) -> None:
    (found,) = read(tmp_path, URL).found
    assert (found.profile, found.base_url) == (f"openai:{URL}", URL)
    assert found.credential.secret() == KEY


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "https://api.openai.com/v1/", "https://api.openai.com"])
@pytest.mark.parametrize("read", OF_OPENAI)
def test_the_providers_own_url_written_out_changes_nothing(
    read: Callable[[Path, str], Findings], url: str, tmp_path: Path
) -> None:
    (found,) = read(tmp_path, url).found
    assert (found.profile, found.base_url) == ("openai:default", "")


@pytest.mark.parametrize("read", OF_OPENAI)
def test_a_key_at_another_providers_url_is_that_providers(
    read: Callable[[Path, str], Findings], tmp_path: Path
) -> None:
    (found,) = read(tmp_path, "https://openrouter.ai/api/v1").found
    assert (found.profile, found.base_url) == ("openrouter:default", "")


@pytest.mark.parametrize("read", [_litellm, _crush, _cline, _bmo])
def test_a_url_that_nobody_can_know_keeps_the_key_out(read: Callable[[Path, str], Findings], tmp_path: Path) -> None:
    for url in ("$MY_SERVER", "${MY_SERVER}/v1", "nonsense://x"):
        findings = read(tmp_path, url)
        assert findings.found == []
        assert "address" in findings.skipped[0].why
        assert KEY not in str(findings.skipped)


@pytest.mark.parametrize("read", [_crush, _opencode, _bmo, _cline])
def test_a_provider_of_the_tools_own_keeps_its_name_and_its_url(
    read: Callable[[Path, str, str], Findings], tmp_path: Path
) -> None:
    (found,) = read(tmp_path, URL, "my-vllm").found
    assert (found.profile, found.base_url) == ("my-vllm:default", URL)


def test_ports_paths_and_schemes_are_told_apart(tmp_path: Path) -> None:
    urls = [
        "http://h.example:8000/v1",
        "http://h.example:8001/v1",
        "https://h.example:8000/v1",
        "http://h.example:8000/b",
    ]
    models = [
        f"- model_name: m{n}\n  litellm_params: {{model: openai/m, api_base: '{url}', api_key: {KEY}}}\n"
        for n, url in enumerate(urls)
    ]
    found = litellm.read(put(tmp_path / "c.yaml", "model_list:\n" + "".join(models)), {}, tmp_path).found
    assert [f.base_url for f in found] == urls
    assert len({f.profile for f in found}) == len(urls)


def test_two_keys_of_one_server_are_named_after_their_models(tmp_path: Path) -> None:
    models = [
        f"- model_name: m{n}\n  litellm_params: {{model: openai/m, api_base: '{URL}', api_key: fake-{n}}}\n"
        for n in (1, 2)
    ]
    found = litellm.read(put(tmp_path / "c.yaml", "model_list:\n" + "".join(models)), {}, tmp_path).found
    assert [f.profile for f in found] == [f"openai:{URL}", f"openai:{URL}#m2"]


def test_litellms_names_for_servers_of_a_kind_stand_for_any_of_them(tmp_path: Path) -> None:
    (found,) = _litellm(tmp_path, URL, "hosted_vllm/opt").found
    assert (found.profile, found.base_url) == (f"hosted_vllm:{URL}", URL)


def test_litellms_references_keep_their_server_too(tmp_path: Path) -> None:
    text = (
        f"model_list:\n- model_name: a\n  litellm_params: {{model: openai/a, api_base: '{URL}', api_key: os.environ/V}}\n"
        "- model_name: b\n  litellm_params: {model: openai/b, api_base: os.environ/HERE, api_key: fake-b}\n"
    )
    found = litellm.read(put(tmp_path / "c.yaml", text), {"HERE": "https://b.example/v1"}, tmp_path).found
    assert [(f.profile, f.base_url) for f in found] == [
        (f"openai:{URL}", URL),
        ("openai:b.example/v1", "https://b.example/v1"),
    ]


def test_a_crush_data_files_key_belongs_to_the_url_of_the_configuration(tmp_path: Path) -> None:
    environ = {"CRUSH_GLOBAL_DATA": str(tmp_path / "d"), "CRUSH_GLOBAL_CONFIG": str(tmp_path / "c")}
    put(tmp_path / "d/crush.json", {"providers": {"openai": {"api_key": KEY}}})
    put(tmp_path / "c/crush.json", {"providers": {"openai": {"base_url": URL}}})
    (found,) = crush.read(None, environ, tmp_path).found
    assert found.base_url == URL


def test_codexs_own_model_providers(tmp_path: Path) -> None:
    put(
        tmp_path / ".codex/config.toml",
        f'[model_providers.corp]\nbase_url = "{URL}"\nexperimental_bearer_token = "{KEY}"\n'
        '[model_providers.lab]\nbase_url = "https://lab.example/v1"\nenv_key = "LAB_KEY"\n',
    )
    found = codex.read(None, {}, tmp_path).found
    assert [(f.profile, f.base_url, f.credential.kind) for f in found] == [
        ("corp:default", URL, "api_key"),
        ("lab:default", "https://lab.example/v1", "reference"),
    ]


@pytest.mark.parametrize("authenticated", [True, False])
def test_codexs_key_follows_the_model_provider_that_takes_it(authenticated: bool, tmp_path: Path) -> None:
    flag = f"requires_openai_auth = {str(authenticated).lower()}"
    text = f'model_provider = "proxy"\n[model_providers.proxy]\nbase_url = "{URL}"\n{flag}\n'
    put(tmp_path / ".codex/config.toml", text)
    put(tmp_path / ".codex/auth.json", {"OPENAI_API_KEY": KEY})
    (found,) = codex.read(None, {}, tmp_path).found
    assert found.base_url == (URL if authenticated else "")


def test_claude_codes_settings(tmp_path: Path) -> None:
    env = {"ANTHROPIC_BASE_URL": "https://gw.example", "ANTHROPIC_API_KEY": "fake-a", "ANTHROPIC_AUTH_TOKEN": "fake-b"}
    path = put(tmp_path / ".claude/settings.json", {"env": env, "apiKeyHelper": "pass show gw"})
    found = claude_code.read(path, {}, tmp_path).found
    assert [(f.profile, f.base_url) for f in found] == [
        ("anthropic:gw.example", "https://gw.example"),
        ("anthropic:gw.example#settings-auth", "https://gw.example"),
        ("anthropic:key-helper", "https://gw.example"),
    ]


def test_an_anthropic_sdk_profile(tmp_path: Path) -> None:
    folder = tmp_path / "anthropic"
    config = {"base_url": "https://gw.example", "authentication": {"type": "user_oauth"}}
    put(folder / "configs/work.json", config)
    put(folder / "credentials/work.json", {"access_token": "fake-access"})
    (found,) = anthropic_sdk.read(folder, {}, tmp_path).found
    assert (found.profile, found.base_url) == ("anthropic:ant-work", "https://gw.example")


def test_geminis_env_file(tmp_path: Path) -> None:
    put(tmp_path / ".gemini/.env", "GEMINI_API_KEY=fake-g\nGOOGLE_GEMINI_BASE_URL=https://gw.example\n")
    (found,) = gemini.read(None, {}, tmp_path).found
    assert (found.profile, found.base_url) == ("google:gw.example", "https://gw.example")


def test_llms_own_models(tmp_path: Path) -> None:
    environ: Mapping[str, str] = {"LLM_USER_PATH": str(tmp_path)}
    put(tmp_path / "keys.json", {"openai": "fake-own", "corp": KEY, "other": "fake-other"})
    models = f"- model_id: opt\n  model_name: opt\n  api_base: {URL}\n  api_key_name: corp\n"
    put(tmp_path / "extra-openai-models.yaml", models)
    found = {f.profile: f.base_url for f in llm.read(None, environ, tmp_path).found}
    assert found == {"openai:default": "", "llm:corp": URL, "llm:other": ""}
