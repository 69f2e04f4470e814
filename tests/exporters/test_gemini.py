"""Gemini CLI's files: its login, its encrypted fallback, its .env; read, written, and given to a child."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from tests.exporters.round_trip import SECRETS, unknown
from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, OAuth
from vault.interop import gemini
from vault.interop.gemini_sealed import this_machine
from vault.interop.plans import Outgoing
from vault.values import MAIN_AGENT, ProfileId

LOGIN = {
    "access_token": "fake-access",
    "refresh_token": "fake-refresh",
    "scope": "https://example.com/a openid",
    "token_type": "Bearer",
    "id_token": "fake-identity",
    "expiry_date": 1_795_400_000_000,
}
KEYRING = {
    "gemini-cli-oauth": {
        "main-account": json.dumps(
            {
                "serverName": "main-account",
                "token": {"accessToken": "fake-access", "refreshToken": "fake-refresh", "expiresAt": 1_795_400_000_000},
                "updatedAt": 1,
            }
        ),
        "some-mcp": "{}",
    },
    "gemini-cli-api-key": {
        "default-api-key": json.dumps({"token": {"accessToken": "fake-key", "tokenType": "ApiKey"}})
    },
}


def sealed(document: Any, seal: str = "") -> str:
    """A document as Gemini CLI seals it."""
    salt = (seal or this_machine()).encode()
    key = hashlib.scrypt(b"gemini-cli-oauth", salt=salt, n=16384, r=8, p=1, dklen=32, maxmem=2**26)
    nonce = bytes(range(12))
    made = AESGCM(key).encrypt(nonce, json.dumps(document).encode(), None)
    return ":".join(part.hex() for part in (nonce, made[-16:], made[:-16]))


def store(home: Path, **files: str) -> Path:
    """A ``.gemini`` with these files."""
    names = {"creds": "oauth_creds.json", "sealed": "gemini-credentials.json", "env": ".env"}
    folder = home / ".gemini"
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / names.get(name, f"{name}.json")).write_text(content)
    return folder


def test_the_login_is_gemini_clis_own(tmp_path: Path) -> None:
    folder = store(tmp_path, creds=json.dumps(LOGIN), google_accounts='{"active": "me@example.com", "old": []}')
    (found,) = gemini.read(None, {}, tmp_path).found
    assert (found.profile, found.ownership, found.account) == ("google:gemini-cli", "external", "me@example.com")
    assert isinstance(found.credential, OAuth)
    assert found.credential.refresh == "fake-refresh"
    assert found.credential.expires_at == 1_795_400_000_000_000
    assert found.credential.scopes == ["https://example.com/a", "openid"]
    assert found.path == str(folder / "oauth_creds.json")


def test_the_encrypted_fallback_is_read(tmp_path: Path) -> None:
    store(tmp_path, sealed=sealed(KEYRING))
    findings = gemini.read(None, {}, tmp_path)
    assert profiles(findings) == {"google:gemini-cli": "fake-access", "google:default": "fake-key"}
    assert {f.profile: f.ownership for f in findings.found} == {
        "google:gemini-cli": "external",
        "google:default": "vault",
    }
    (skipped,) = findings.skipped
    assert skipped.name == "gemini-cli-oauth/some-mcp"


def test_one_of_another_machine_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    folder = store(tmp_path, sealed=sealed(KEYRING, "other-me-gemini-cli"), env="GEMINI_API_KEY=fake-env\n")
    findings = gemini.read(folder, {}, tmp_path)
    assert profiles(findings) == {"google:default": "fake-env"}
    assert "another machine" in findings.skipped[0].why
    with pytest.raises(InputError, match="another machine"):
        gemini.read(folder / "gemini-credentials.json", {}, tmp_path)


def test_what_comes_first_wins(tmp_path: Path) -> None:
    first = json.dumps(LOGIN | {"access_token": "fake-first"})
    store(tmp_path, creds=first, sealed=sealed(KEYRING), env='GEMINI_API_KEY="fake-env"\nGOOGLE_API_KEY=fake-other\n')
    findings = gemini.read(None, {}, tmp_path)
    assert profiles(findings) == {
        "google:gemini-cli": "fake-first",
        "google:default": "fake-env",
        "google:google_api_key": "fake-other",
    }


@given(
    unknown(*LOGIN),
    SECRETS,
    st.none() | st.integers(1, 250_000_000_000_000),
    st.lists(st.sampled_from(["openid", "https://example.com/a"]), max_size=2),
)
def test_a_login_read_and_written_is_the_same_document(
    more: dict[str, Any], secret: str, expires: int | None, scopes: list[str]
) -> None:
    document: dict[str, Any] = more | {"access_token": secret, "refresh_token": "fake-refresh"}
    document |= {} if expires is None else {"expiry_date": expires}
    document |= {"scope": " ".join(scopes)} if scopes else {}
    with tempfile.TemporaryDirectory() as name:
        folder = store(Path(name), creds=json.dumps(document))
        before = (folder / "oauth_creds.json").read_bytes()
        found = gemini.read(folder, {}, Path(name)).found
        put(gemini.write(outgoing(found), {}, target(folder)))
        assert json.loads((folder / "oauth_creds.json").read_bytes()) == json.loads(before)
        fresh = Path(name) / "fresh"
        put(gemini.write(outgoing(found), {}, target(fresh)))
        assert json.loads((fresh / "oauth_creds.json").read_text()) == document


def test_a_key_goes_into_the_variables_that_are_there(tmp_path: Path) -> None:
    folder = store(tmp_path, env="# mine\nOTHER=1\nexport GOOGLE_API_KEY=fake-key\n")
    found = gemini.read(folder, {}, tmp_path).found
    put(gemini.write(outgoing(found), {}, target(folder)))
    assert (folder / ".env").read_text() == "# mine\nOTHER=1\nexport GOOGLE_API_KEY=fake-key\n"
    new = Outgoing(MAIN_AGENT, ProfileId("google:default"), ApiKey(key="fake-new"))
    plan = gemini.write([new], {}, target(folder))
    put(plan)
    assert (folder / ".env").read_text().endswith("GOOGLE_API_KEY=fake-key\nGEMINI_API_KEY=fake-new\n")
    assert "gemini-api-key" in plan.notes[0]
    store(tmp_path, settings='{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
    assert gemini.write([new], {}, target(folder)).notes == []


@pytest.mark.parametrize(
    ("profile", "credential", "whole", "why"),
    [
        ("google:default", OAuth(access="fake", refresh="fake-refresh"), False, "exec --tool gemini"),
        ("google:default", OAuth(access="fake", refresh="fake", metadata={"client": "custom"}), True, "own client"),
        ("google:gemini-cli", OAuth(access="fake", refresh="fake-old", expires_at=1_000_000), True, "newer login"),
        ("openai:default", ApiKey(key="fake"), True, "not a Google key"),
    ],
)
def test_what_it_can_not_use_is_left_out(
    tmp_path: Path, profile: str, credential: ApiKey | OAuth, whole: bool, why: str
) -> None:
    folder = store(tmp_path, creds=json.dumps(LOGIN))
    plan = gemini.write([Outgoing(MAIN_AGENT, ProfileId(profile), credential, whole=whole)], {}, target(folder))
    assert plan.empty
    assert why in plan.left_out[0].why


def test_a_client_secret_never_leaves(tmp_path: Path) -> None:
    own = OAuth(access="fake", refresh="fake-refresh", extra={"client_secret": "fake-client-secret"})
    plan = gemini.write([Outgoing(MAIN_AGENT, ProfileId("google:default"), own)], {}, target(tmp_path / "new"))
    assert json.loads(plan.writes[0].content) == {
        "access_token": "fake",
        "refresh_token": "fake-refresh",
        "token_type": "Bearer",
    }


def test_a_child_gets_variables_and_no_others(tmp_path: Path) -> None:
    login = Outgoing(MAIN_AGENT, ProfileId("google:gemini-cli"), OAuth(access="fake-access", refresh="fake-refresh"))
    key = Outgoing(MAIN_AGENT, ProfileId("google:default"), ApiKey(key="fake-key"))
    other = Outgoing(MAIN_AGENT, ProfileId("openai:default"), ApiKey(key="fake-openai"))
    injection = gemini.inject([other, login], target(tmp_path))
    assert {n: v.reveal() for n, v in injection.variables.items()} == {
        "GOOGLE_GENAI_USE_GCA": "true",
        "GOOGLE_CLOUD_ACCESS_TOKEN": "fake-access",
    }
    assert {"GEMINI_API_KEY", "GOOGLE_API_KEY"} <= injection.remove
    injection = gemini.inject([key, login], target(tmp_path))
    assert {n: v.reveal() for n, v in injection.variables.items()} == {"GEMINI_API_KEY": "fake-key"}
    assert {"GOOGLE_GENAI_USE_GCA", "GOOGLE_CLOUD_ACCESS_TOKEN"} <= injection.remove
    assert gemini.inject([other], target(tmp_path)).variables == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00\x01"])
def test_damage_is_told_and_left_alone(tmp_path: Path, content: str) -> None:
    folder = store(tmp_path, creds=content)
    for act in (lambda: gemini.read(folder, {}, tmp_path), lambda: gemini.write([], {}, target(folder))):
        with pytest.raises(InputError, match=r"oauth_creds\.json"):
            act()
    assert (folder / "oauth_creds.json").read_text() == content


@pytest.mark.parametrize("content", ["", "00:00", "zz:zz:zz", "{}", sealed([1])])
def test_a_damaged_fallback_is_told(tmp_path: Path, content: str) -> None:
    folder = store(tmp_path, sealed=content)
    with pytest.raises(InputError, match=r"gemini-credentials\.json"):
        gemini.read(folder, {}, tmp_path)


def test_entries_without_a_secret_are_named(tmp_path: Path) -> None:
    store(tmp_path, creds="{}", sealed=sealed({"gemini-cli-api-key": {"default-api-key": "{"}, "odd": 7}))
    findings = gemini.read(None, {}, tmp_path)
    assert findings.found == []
    assert [s.name for s in findings.skipped] == ["oauth_creds.json", "gemini-cli-api-key/default-api-key"]


def test_where_it_is(tmp_path: Path) -> None:
    assert gemini.places({"GEMINI_CLI_HOME": "/fake"}, tmp_path)[0] == Path("/fake/.gemini/oauth_creds.json")
    assert gemini.places({}, tmp_path)[2] == tmp_path / ".gemini" / ".env"
    with pytest.raises(NotFound):
        gemini.read(None, {}, tmp_path)
    store(tmp_path, creds=json.dumps(LOGIN))
    assert profiles(gemini.read(tmp_path, {}, Path("/nowhere"))) == {"google:gemini-cli": "fake-access"}
