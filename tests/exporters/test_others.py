"""Cline, Kimi, LiteLLM, BMO and gcloud: what is read, what is written, what is left alone."""

from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, Cloud, OAuth, Reference
from vault.interop import bmo, cline, gcloud, kimi, litellm
from vault.interop.plans import Link, Outgoing
from vault.interop.tools import Tool
from vault.values import MAIN_AGENT, SECOND, ProfileId

LINK = Link("/fake/bin/vault", MAIN_AGENT)
CLINE: dict[str, Any] = {
    "version": 1,
    "lastUsedProvider": "anthropic",
    "modes": {},
    "providers": {
        "anthropic": {
            "settings": {"provider": "anthropic", "apiKey": "fake-key", "model": "fake-model"},
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "tokenSource": "manual",
            "odd": 1,
        },
        "gemini": {
            "settings": {"provider": "gemini", "apiKey": "fake-key-2"},
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "tokenSource": "manual",
        },
        "bedrock": {
            "settings": {
                "provider": "bedrock",
                "aws": {"accessKey": "fake-id", "secretKey": "fake-secret", "region": "r"},
            },
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "tokenSource": "manual",
        },
        "cline": {
            "settings": {
                "provider": "cline",
                "auth": {
                    "accessToken": "fake-access",
                    "refreshToken": "fake-refresh",
                    "expiresAt": 1795400000000,
                    "accountId": "fake-account",
                    "more": [1],
                },
            },
            "updatedAt": "2026-01-01T00:00:00.000Z",
            "tokenSource": "oauth",
        },
    },
}


def cline_file(folder: Path, document: object = CLINE) -> Path:
    path = folder / "providers.json"
    path.write_text(json.dumps(document))
    return path


def test_cline_is_read(tmp_path: Path) -> None:
    findings = cline.read(cline_file(tmp_path), {}, tmp_path)
    found = {f.profile: f for f in findings.found}
    assert set(found) == {"anthropic:default", "google:default", "amazon-bedrock:default", "cline:default"}
    login = found[ProfileId("cline:default")].credential
    assert isinstance(login, OAuth)
    assert (login.expires_at, login.account, login.extra) == (
        1795400000000_000,
        {"accountId": "fake-account"},
        {"more": [1]},
    )
    assert found[ProfileId("cline:default")].ownership == "external"


def test_cline_written_over_itself_is_the_same_document(tmp_path: Path) -> None:
    path = cline_file(tmp_path)
    put(cline.write(outgoing(cline.read(path, {}, tmp_path).found), {}, target(path)))
    assert json.loads(path.read_text()) == CLINE


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30).map(lambda t: f"fake-{t}")


@given(st.dictionaries(st.sampled_from(["anthropic", "gemini", "openai", "my-own"]), KEYS, min_size=1))
def test_cline_written_anew_is_read_again(keys: dict[str, str]) -> None:
    document: dict[str, Any] = {
        "version": 1,
        "providers": {
            n: {"settings": {"provider": n, "apiKey": k}, "updatedAt": "2026", "tokenSource": "manual"}
            for n, k in keys.items()
        },
    }
    with tempfile.TemporaryDirectory() as name:
        found = cline.read(cline_file(Path(name), document), {}, Path(name)).found
        fresh = Path(name) / "new" / "providers.json"
        put(cline.write(outgoing(found), {}, target(fresh)))
        again = json.loads(fresh.read_text())
        assert {n: e["settings"] for n, e in again["providers"].items()} == {
            n: e["settings"] for n, e in document["providers"].items()
        }
        assert all(e["updatedAt"] and e["tokenSource"] == "manual" for e in again["providers"].values())


def test_cline_s_earlier_secrets_come_after_its_settings(tmp_path: Path) -> None:
    data = tmp_path / ".cline" / "data"
    (data / "settings").mkdir(parents=True)
    cline_file(data / "settings")
    (data / "secrets.json").write_text('{"apiKey": "fake-old", "openRouterApiKey": "fake-router", "odd": "x"}')
    findings = cline.read(None, {}, tmp_path)
    assert profiles(findings)["openrouter:default"] == "fake-router"
    assert profiles(findings)["anthropic:default"] == "fake-key"
    assert {s.name for s in findings.skipped} == {"apiKey", "odd"}


def test_kimi_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / ".kimi-code" / "credentials" / "kimi-code.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_at": 1795400000.5, '
        '"scope": "a b", "token_type": "Bearer"}'
    )
    (found,) = kimi.read(None, {}, tmp_path).found
    assert (found.profile, found.ownership) == ("kimi-for-coding:default", "external")
    assert found.credential == OAuth(
        access="fake-access",
        refresh="fake-refresh",
        expires_at=int(1795400000.5 * SECOND),
        scopes=["a", "b"],
        extra={"token_type": "Bearer"},
    )
    path.write_text('{"access_token": "", "refresh_token": ""}')
    assert [s.why for s in kimi.read(None, {}, tmp_path).skipped] == ["it has no access token"]


def test_cline_s_and_litellm_s_names_are_those_of_the_providers_here(tmp_path: Path) -> None:
    named = {"moonshot": "moonshotai", "fireworks": "fireworks-ai", "vertex": "google-vertex", "my-own": "my-own"}
    entries = {n: {"settings": {"provider": n, "apiKey": f"fake-key-{n}"}, "updatedAt": "2026"} for n in named}
    path = cline_file(tmp_path, {"version": 1, "providers": entries})
    found = cline.read(path, {}, tmp_path).found
    assert [f.profile for f in found] == [f"{p}:default" for p in named.values()]
    fresh = tmp_path / "new" / "providers.json"
    put(cline.write(outgoing(found), {}, target(fresh)))
    assert list(json.loads(fresh.read_text())["providers"]) == list(named)
    config = tmp_path / "config.yaml"
    prefixes = {"moonshot": "moonshotai", "fireworks_ai": "fireworks-ai", "github_copilot": "github-copilot"}
    models = [f"  - litellm_params: {{model: {p}/fake, api_key: fake-key-{p}}}\n" for p in prefixes]
    config.write_text("model_list:\n" + "".join(models))
    assert [f.profile for f in litellm.read(config, {}, tmp_path).found] == [f"{p}:default" for p in prefixes.values()]


LITELLM = """\
model_list:
  - model_name: claude
    litellm_params: {model: anthropic/fake, api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: gpt
    litellm_params: {model: openai/fake, api_key: fake-key-1}
  - model_name: gpt two
    litellm_params: {model: fake, api_key: fake-key-2}
  - model_name: none
    litellm_params: {model: gemini/fake}
"""


def test_litellm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "litellm_config.yaml").write_text(LITELLM)
    base = tmp_path / ".config" / "litellm"
    (base / "github_copilot").mkdir(parents=True)
    (base / "github_copilot" / "access-token").write_text("fake-github-token\n")
    (base / "chatgpt").mkdir()
    (base / "chatgpt" / "auth.json").write_text(
        '{"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_at": 1795400000, "account_id": "fake-a"}'
    )
    findings = litellm.read(None, {}, tmp_path)
    found = {f.profile: f for f in findings.found}
    assert found[ProfileId("anthropic:default")].credential == Reference(scheme="env", target="ANTHROPIC_API_KEY")
    assert profiles(findings) | {"anthropic:default": ""} == {
        "anthropic:default": "",
        "openai:default": "fake-key-1",
        "openai:gpt%20two": "fake-key-2",
        "github-copilot:litellm": "fake-github-token",
        "openai:litellm": "fake-access",
    }
    assert found[ProfileId("openai:litellm")].ownership == "external"


BMO = """\
# mine
[options]
disable_provider_auto_update = true

[providers.anthropic]
base_url = "https://api.example.com"  # a note
api_key = "fake-key-1"

[providers.openai]
api_key = "${OPENAI_API_KEY}"

[providers.groq]
api_key = "$(pass show groq)"

[providers.xai]
api_key = "keychain:xai"

[providers.ollama]
type = "anthropic"
"""


def test_bmo_is_read_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bmo.toml"
    path.write_text(BMO.replace("pass show groq", f"touch {tmp_path}/ran"))
    found = {f.profile: f.credential for f in bmo.read(path, {}, tmp_path).found}
    assert found[ProfileId("openai:default")] == Reference(scheme="env", target="OPENAI_API_KEY")
    assert found[ProfileId("groq:default")] == Reference(scheme="command", target=f"touch {tmp_path}/ran")
    assert found[ProfileId("xai:default")] == Reference(scheme="keychain", target="xai")
    key = found[ProfileId("anthropic:api.example.com")]
    assert isinstance(key, ApiKey)
    assert key.metadata == {"base_url": "https://api.example.com"}
    assert not (tmp_path / "ran").exists()


def test_bmo_written_over_itself_is_the_same_file_and_anew_the_same_providers(tmp_path: Path) -> None:
    path = tmp_path / "bmo.toml"
    path.write_text(BMO)
    found = bmo.read(path, {}, tmp_path).found
    put(bmo.write(outgoing(found), {}, target(path)))
    assert path.read_text() == BMO
    fresh = tmp_path / "new.toml"
    put(bmo.write(outgoing(found), {}, target(fresh)))
    assert [(f.profile, f.credential) for f in bmo.read(fresh, {}, tmp_path).found] == [
        (f.profile, f.credential) for f in found
    ]


def test_bmo_asks_the_vault_and_stops_asking(tmp_path: Path) -> None:
    path = tmp_path / "bmo.toml"
    path.write_text(BMO)
    put(bmo.connect(Link("/fake/bin/vault", MAIN_AGENT, ("groq",)), target(path)))
    assert 'api_key = "$(/fake/bin/vault helper token groq --tool bmo)"' in path.read_text()
    assert "groq" in {s.name for s in bmo.read(path, {}, tmp_path).skipped}
    put(bmo.disconnect(target(path)))
    assert "vault" not in path.read_text()
    assert "# a note" in path.read_text()


NAMED = {
    "gemini": "google",
    "ionet": "io-net",
    "nanogpt": "nano-gpt",
    "bedrock": "amazon-bedrock",
    "copilot": "github-copilot",
    "openai": "openai",
    "my-own": "my-own",
}


def bmo_file(path: Path, *names: str) -> Path:
    path.write_text("\n".join(f'[providers.{name}]\napi_key = "fake-key-{name}"\n' for name in names))
    return path


def test_bmo_s_names_are_translated_in_both_directions(tmp_path: Path) -> None:
    path = bmo_file(tmp_path / "bmo.toml", *NAMED)
    found = bmo.read(path, {}, tmp_path).found
    assert {f.profile: f.credential.secret() for f in found} == {
        f"{i}:default": f"fake-key-{n}" for n, i in NAMED.items()
    }
    assert all(f.credential.extra == {} for f in found)
    before = path.read_text()
    put(bmo.write(outgoing(found), {}, target(path)))
    assert path.read_text() == before
    fresh = tmp_path / "new.toml"
    plan = bmo.write(outgoing(found), {}, target(fresh))
    put(plan)
    assert [w.name for w in plan.written] == list(NAMED)
    assert list(tomllib.loads(fresh.read_text())["providers"]) == list(NAMED)


@pytest.mark.parametrize(("name", "provider"), [("bedrockconverse", "amazon-bedrock"), ("google", "google")])
def test_a_name_that_bmo_does_not_use_first_is_kept(name: str, provider: str, tmp_path: Path) -> None:
    path = bmo_file(tmp_path / "bmo.toml", name)
    (found,) = bmo.read(path, {}, tmp_path).found
    assert found.profile == f"{provider}:default"
    fresh = tmp_path / "new.toml"
    put(bmo.write(outgoing([found]), {}, target(fresh)))
    assert list(tomllib.loads(fresh.read_text())["providers"]) == [name]
    put(bmo.scrub([found], LINK, target(path)))
    (table,) = tomllib.loads(path.read_text())["providers"].items()
    assert table == (name, {"api_key": f"$(/fake/bin/vault helper token {provider}:default --tool bmo)"})


def test_bmo_has_one_key_a_provider(tmp_path: Path) -> None:
    path = bmo_file(tmp_path / "bmo.toml", "bedrock", "bedrockconverse")
    findings = bmo.read(path, {}, tmp_path)
    assert profiles(findings) == {"amazon-bedrock:default": "fake-key-bedrock"}
    assert [(s.name, s.why) for s in findings.skipped] == [
        ("bedrockconverse", f"{path} has a key for amazon-bedrock already, which comes first")
    ]


@pytest.mark.parametrize(
    ("there", "provider", "name"),
    [
        ((), "google", "gemini"),
        ((), "io-net", "ionet"),
        (("gemini",), "google", "gemini"),
        (("google",), "google", "gemini"),
        (("bedrockconverse",), "amazon-bedrock", "bedrockconverse"),
        (("bedrock", "bedrockconverse"), "amazon-bedrock", "bedrock"),
        ((), "my-own", "my-own"),
    ],
)
def test_bmo_is_connected_under_its_own_names(there: tuple[str, ...], provider: str, name: str, tmp_path: Path) -> None:
    path = bmo_file(tmp_path / "bmo.toml", *there)
    put(bmo.connect(Link("/fake/bin/vault", MAIN_AGENT, (provider,)), target(path)))
    tables = tomllib.loads(path.read_text())["providers"]
    asking = {n for n, t in tables.items() if t["api_key"] == f"$(/fake/bin/vault helper token {provider} --tool bmo)"}
    assert asking == {name}
    assert set(tables) == {*there, name}


def test_bmo_is_scrubbed(tmp_path: Path) -> None:
    path = tmp_path / "bmo.toml"
    path.write_text(BMO)
    put(bmo.scrub(bmo.read(path, {}, tmp_path).found, LINK, target(path)))
    assert "fake-key-1" not in path.read_text()
    assert "helper token anthropic:api.example.com" in path.read_text()
    assert '"${OPENAI_API_KEY}"' in path.read_text()


def test_a_key_with_a_dollar_is_left_out_of_bmo(tmp_path: Path) -> None:
    one = Outgoing(MAIN_AGENT, ProfileId("groq:default"), ApiKey(key="fake$key"))
    plan = bmo.write([one], {}, target(tmp_path / "bmo.toml"))
    assert (plan.written, plan.writes) == ([], [])
    assert "reference" in plan.left_out[0].why


def test_gcloud_s_credentials_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / ".config" / "gcloud" / "application_default_credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"type": "authorized_user", "refresh_token": "fake-refresh", "quota_project_id": "fake-project"}')
    (found,) = gcloud.read(None, {}, tmp_path).found
    assert (found.profile, found.ownership) == ("google-vertex:gcloud", "external")
    assert found.credential == Cloud(mode="gcloud", facts={"project": "fake-project"})
    other = tmp_path / "key.json"
    other.write_text('{"type": "service_account", "project_id": "p"}')
    assert gcloud.read(None, {"GOOGLE_APPLICATION_CREDENTIALS": str(other)}, tmp_path).found == []


TOOLS: list[tuple[Tool, str]] = [
    (cline.TOOL, "providers.json"),
    (kimi.TOOL, "kimi-code.json"),
    (litellm.TOOL, "auth.json"),
    (bmo.TOOL, "bmo.toml"),
    (gcloud.TOOL, "application_default_credentials.json"),
]


@pytest.mark.parametrize(("tool", "name"), TOOLS, ids=[t.name for t, _ in TOOLS])
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe\x00", b'{"a": '])
def test_damage_is_told_and_left_alone(tool: Tool, name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert tool.read is not None
    if (tool.name, content) == ("bmo", b"[1]"):
        assert tool.read(path, {}, tmp_path).found == []
        return
    with pytest.raises(InputError, match=name.partition(".")[0]):
        tool.read(path, {}, tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("tool", [t for t, _ in TOOLS], ids=[t.name for t, _ in TOOLS])
def test_nothing_there(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tool.read is not None
    with pytest.raises(NotFound):
        tool.read(None, {}, tmp_path)
    assert all(isinstance(p, Path) for p in tool.places({}, tmp_path))
