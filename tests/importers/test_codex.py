"""Codex's auth.json in every mode, older files, the OS keyring, and damage."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.importers.stores import by_profile, printed, skipped, snapshot, write_json
from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, Cloud, OAuth, Token
from vault.interop import codex

ENDS = 1_795_400_000


def jwt(**claims: Any) -> str:
    """A token with claims, signed by nobody."""
    parts = ({"alg": "none"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), "fake"])


IDENTITY = jwt(
    email="me@example.com",
    **{"https://api.openai.com/auth": {"chatgpt_plan_type": "pro", "chatgpt_account_id": "account-1"}},
)
ACCESS = jwt(exp=ENDS, name="fake-access-codex-1")
LOGIN: dict[str, Any] = {
    "auth_mode": "chatgpt",
    "OPENAI_API_KEY": None,
    "tokens": {
        "id_token": IDENTITY,
        "access_token": ACCESS,
        "refresh_token": "fake-refresh-codex-1",
        "account_id": "account-1",
        "newer": 1,
    },
    "last_refresh": "2026-11-20T00:00:00.000000Z",
    "newer": {"a": 1},
}


def store(home: Path, document: Any, config: str = "") -> Path:
    if config:
        (home / ".codex").mkdir(exist_ok=True)
        (home / ".codex" / "config.toml").write_text(config)
    return write_json(home / ".codex" / "auth.json", document)


def test_a_login_is_codexs_own(tmp_path: Path) -> None:
    path = store(tmp_path, LOGIN)
    before = snapshot(path.parent)
    findings = codex.read(None, {}, tmp_path)
    assert snapshot(path.parent) == before
    (found,) = findings.found
    assert found.profile == "openai:codex"
    assert (found.ownership, found.account, found.label) == ("external", "me@example.com", "ChatGPT pro")
    assert found.credential == OAuth(
        access=ACCESS,
        refresh="fake-refresh-codex-1",
        expires_at=ENDS * 1_000_000,
        id_token=IDENTITY,
        account={"accountId": "account-1", "email": "me@example.com"},
        metadata={"client": "openai-chatgpt", "chatgpt_plan_type": "pro"},
        extra={
            "codex": {
                "document": {name: value for name, value in LOGIN.items() if name != "tokens"},
                "tokens": {"account_id": "account-1", "newer": 1},
            }
        },
    )
    assert codex.read(Path(found.path), {}, Path("/elsewhere")).found == [found]
    assert ACCESS not in printed(findings)
    assert "fake-" not in printed(findings)


@pytest.mark.parametrize(
    ("document", "profile", "credential"),
    [
        ({"auth_mode": "apikey", "OPENAI_API_KEY": "fake-key-1"}, "openai:default", ApiKey(key="fake-key-1")),
        ({"OPENAI_API_KEY": "fake-key-1"}, "openai:default", ApiKey(key="fake-key-1")),
        (
            {"auth_mode": "personalAccessToken", "personal_access_token": "fake-token-1"},
            "openai:codex-token",
            Token(token="fake-token-1"),
        ),
        (
            {"auth_mode": "bedrockApiKey", "bedrock_api_key": {"api_key": "fake-key-2", "region": "eu-west-1"}},
            "amazon-bedrock:codex",
            ApiKey(key="fake-key-2", metadata={"region": "eu-west-1"}),
        ),
        (
            {
                "auth_mode": "bedrockAccessKeys",
                "bedrock_access_keys": {"access_key_id": "fake-id", "secret_access_key": "fake-secret"},
            },
            "amazon-bedrock:codex",
            Cloud(mode="env", secrets={"AWS_ACCESS_KEY_ID": "fake-id", "AWS_SECRET_ACCESS_KEY": "fake-secret"}),
        ),
    ],
)
def test_every_mode_with_a_secret(tmp_path: Path, document: Any, profile: str, credential: Any) -> None:
    import msgspec

    store(tmp_path, document)
    found = by_profile(codex.read(None, {}, tmp_path))
    assert msgspec.structs.replace(found[profile].credential, extra={}) == credential
    assert found[profile].ownership == "vault"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "it is logged out"),
        ({"auth_mode": "chatgpt", "tokens": None}, "it has no tokens; sign in with codex login"),
        ({"auth_mode": "chatgpt", "tokens": {"access_token": ""}}, "it has no access token"),
        ({"auth_mode": "apikey", "OPENAI_API_KEY": None}, "it has no key"),
        ({"auth_mode": "chatgptAuthTokens", "tokens": LOGIN["tokens"]}, "another program gives Codex its tokens"),
        ({"auth_mode": "agentIdentity", "agent_identity": "x"}, "it is an agent's identity"),
        ({"auth_mode": "headers"}, "another program gives Codex its headers"),
        ({"auth_mode": "passkey"}, "its auth_mode passkey is one vault doesn't know"),
        ({"auth_mode": {"chatgpt": None}}, "of an unknown shape"),
        (
            {"auth_mode": "bedrockAccessKeys", "bedrock_access_keys": {"access_key_id": "x"}},
            "it has no whole pair of keys",
        ),
        ({"auth_mode": "bedrockApiKey", "bedrock_api_key": "x"}, "its keys are not an object"),
    ],
)
def test_what_cannot_be_taken_is_named(tmp_path: Path, document: Any, why: str) -> None:
    store(tmp_path, document)
    findings = codex.read(None, {}, tmp_path)
    assert findings.found == []
    ((_, told),) = skipped(findings).items()
    assert why in told


def test_a_key_beside_a_login_is_named_and_kept(tmp_path: Path) -> None:
    store(tmp_path, LOGIN | {"OPENAI_API_KEY": "fake-key-exchanged"})
    findings = codex.read(None, {}, tmp_path)
    assert skipped(findings) == {"OPENAI_API_KEY (apikey)": "Codex does not use it while its auth_mode is chatgpt"}
    assert findings.found[0].credential.extra["codex"]["document"]["OPENAI_API_KEY"] == "fake-key-exchanged"


def test_tokens_that_are_no_jwt(tmp_path: Path) -> None:
    store(tmp_path, {"tokens": {"access_token": "fake-access", "refresh_token": "", "id_token": 3}})
    (found,) = codex.read(None, {}, tmp_path).found
    assert isinstance(found.credential, OAuth)
    assert (found.credential.expires_at, found.credential.refresh, found.account) == (None, "", "")
    assert found.credential.extra["codex"]["tokens"] == {"refresh_token": "", "id_token": 3}


@pytest.mark.parametrize("content", [b"", b"{", b'{"OPENAI_API_KEY": "fake-secret-half', b"\xff", b"[]"])
def test_damage_is_one_sentence_without_content(tmp_path: Path, content: bytes) -> None:
    path = store(tmp_path, {})
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        codex.read(None, {}, tmp_path)
    assert str(path) in str(caught.value)
    assert "fake-secret" not in str(caught.value)


def test_where_it_is(tmp_path: Path) -> None:
    assert codex.places({}, tmp_path) == [tmp_path / ".codex" / "auth.json"]
    assert codex.places({"CODEX_HOME": "/a"}, tmp_path) == [Path("/a/auth.json")]
    with pytest.raises(NotFound, match="sign in with codex login"):
        codex.read(None, {}, tmp_path)
    path = store(tmp_path, {"OPENAI_API_KEY": "fake-key-1"}, "model = 'x'\n")
    for source in (tmp_path, path.parent, path, path.with_name("config.toml")):
        assert [f.path for f in codex.read(source, {}, Path("/elsewhere")).found] == [str(path)]


@pytest.mark.parametrize(("mode", "taken"), [("keyring", 0), ("auto", 1), ("file", 1)])
def test_a_keyring_is_read_only_when_named(tmp_path: Path, mode: str, taken: int) -> None:
    path = store(tmp_path, {"OPENAI_API_KEY": "fake-key-1"}, f'cli_auth_credentials_store = "{mode}"\n')
    findings = codex.read(None, {}, tmp_path)
    assert len(findings.found) == taken
    name = hashlib.sha256(str(path.parent.resolve()).encode()).hexdigest()[:16]
    entry = f"keyring:Codex Auth/cli|{name}"
    assert (entry in skipped(findings)) is (mode != "file")
    if mode != "file":
        assert entry in skipped(findings)[entry]
    path.unlink()
    if mode != "file":
        assert codex.read(None, {}, tmp_path).found == []


def test_the_keyrings_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vault.unlock import os_keyring

    kept = {("Codex Auth", "cli|0123456789abcdef"): json.dumps(LOGIN)}
    monkeypatch.setattr(os_keyring, "keyring_password", lambda service, user: kept.get((service, user)))
    entry = Path("keyring:Codex Auth/cli|0123456789abcdef")
    (found,) = codex.read(entry, {}, tmp_path).found
    assert (found.profile, found.path) == ("openai:codex", str(entry))
    with pytest.raises(NotFound, match="has no entry"):
        codex.read(Path("keyring:Codex Auth/cli|fedcba9876543210"), {}, tmp_path)
    with pytest.raises(InputError, match="not a keyring entry"):
        codex.read(Path("keyring:Other/cli|x"), {}, tmp_path)
