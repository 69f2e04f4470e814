"""OpenCode's auth.json with its traps, and what lies beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.importers.stores import OPENCODE_TABLES, by_profile, database, printed, skipped, snapshot, write_json
from vault.errors import InputError, NotFound, StorageError
from vault.events.credentials import ApiKey, OAuth, WellKnown
from vault.interop import opencode

EXPIRES_MS = 1_795_400_000_000
ENTRIES = {
    "anthropic": {"type": "api", "key": "fake-key-anthropic-1"},
    "cloudflare-ai-gateway": {
        "type": "api",
        "key": "fake-key-cloudflare-1",
        "metadata": {"accountId": "a1", "gatewayId": "g1", "routers": [1, 2]},
    },
    "openai": {
        "type": "oauth",
        "refresh": "fake-refresh-openai-1",
        "access": "fake-access-openai-1",
        "expires": EXPIRES_MS,
        "accountId": "account-1",
        "email": "me@example.com",
    },
    "github-copilot": {
        "type": "oauth",
        "refresh": "fake-token-github-1",
        "access": "fake-token-github-1",
        "expires": 0,
        "enterpriseUrl": "company.example",
    },
    "https://corp.example": {"type": "wellknown", "key": "CORP_TOKEN", "token": "fake-token-corp-1"},
    "https://corp.example:8443/team/": {"type": "wellknown", "key": "CORP_TOKEN", "token": "fake-token-corp-2"},
}


@pytest.fixture
def auth(tmp_path: Path) -> Path:
    return write_json(tmp_path / "data" / "opencode" / "auth.json", ENTRIES)


def test_default_paths_follow_xdg(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert opencode.default_paths({}, home)[0] == home / ".local" / "share" / "opencode" / "auth.json"
    moved = opencode.default_paths({"XDG_DATA_HOME": str(tmp_path / "data")}, home)
    assert moved == [tmp_path / "data" / "opencode" / name for name in ("auth.json", "opencode.db")]
    named = opencode.default_paths({"OPENCODE_DB": "other.db"}, home)
    assert named[1] == home / ".local" / "share" / "opencode" / "other.db"


def test_every_type_is_taken(auth: Path, tmp_path: Path) -> None:
    findings = opencode.read(None, {"XDG_DATA_HOME": str(tmp_path / "data")}, tmp_path)
    found = by_profile(findings)
    assert findings.tool == "opencode"
    assert findings.paths == [str(auth)]
    assert not findings.skipped
    assert found["anthropic:default"].credential == ApiKey(key="fake-key-anthropic-1")
    assert found["cloudflare-ai-gateway:default"].credential == ApiKey(
        key="fake-key-cloudflare-1",
        metadata={"accountId": "a1", "gatewayId": "g1"},
        extra={"metadata": {"routers": [1, 2]}},
    )
    assert found["openai:default"].credential == OAuth(
        access="fake-access-openai-1",
        refresh="fake-refresh-openai-1",
        expires_at=EXPIRES_MS * 1000,
        account={"accountId": "account-1"},
        extra={"email": "me@example.com"},
    )
    assert found["github-copilot:default"].credential == OAuth(
        access="fake-token-github-1", refresh="fake-token-github-1", metadata={"enterpriseUrl": "company.example"}
    )
    assert found["corp.example:default"].credential == WellKnown(
        url="https://corp.example", env="CORP_TOKEN", token="fake-token-corp-1"
    )
    assert found["corp.example%3a8443:team"].credential == WellKnown(
        url="https://corp.example:8443/team", env="CORP_TOKEN", token="fake-token-corp-2"
    )


def test_ownership_follows_rotation(auth: Path, tmp_path: Path) -> None:
    found = by_profile(opencode.read(auth, {}, tmp_path))
    assert found["anthropic:default"].ownership == "vault"
    assert found["openai:default"].ownership == "external"
    assert "goes on refreshing" in found["openai:default"].why
    assert found["openai:default"].account == "account-1"
    assert found["github-copilot:default"].ownership == "copy"


@pytest.mark.parametrize("place", ["data", "data/opencode", "data/opencode/auth.json"])
def test_source_may_be_file_or_folder(auth: Path, tmp_path: Path, place: str) -> None:
    assert len(opencode.read(tmp_path / place, {}, tmp_path).found) == len(ENTRIES)


def test_what_is_not_taken_is_named(tmp_path: Path) -> None:
    entries = {
        "newer": {"type": "passkey", "secret": "fake-secret-canary"},
        "list": ["fake-secret-canary"],
        "typeless": {"key": "fake-secret-canary"},
        "keyless": {"type": "api", "key": ""},
        "two-lines": {"type": "api", "key": "fake-secret-canary\nmore"},
        "azure": {
            "type": "oauth",
            "access": "opencode-oauth-dummy-key",
            "refresh": "opencode-oauth-dummy-key",
            "expires": 1,
        },
        "our-own": {"type": "api", "key": "vault:our-own"},
        "half": {"type": "oauth", "access": "fake-secret-canary", "refresh": "fake-secret-canary-2", "expires": 1.5},
        "no-access": {"type": "oauth", "access": "", "refresh": "fake-secret-canary", "expires": 0},
        "not-a-url": {"type": "wellknown", "key": "A", "token": "fake-secret-canary"},
        "https://user:fake-secret-canary@corp.example/": {
            "type": "wellknown",
            "key": "",
            "token": "fake-secret-canary",
        },
    }
    findings = opencode.read(write_json(tmp_path / "auth.json", entries), {}, tmp_path)
    assert not findings.found
    assert len(findings.skipped) == len(entries)
    why = skipped(findings)
    assert "passkey" in why["newer"]
    assert "placeholder" in why["azure"]
    assert "placeholder" in why["our-own"]
    assert "whole number" in why["half"]
    assert "https://corp.example/" in why
    assert "fake-secret-canary" not in printed(findings)


def test_one_login_under_two_names_has_one_owner(tmp_path: Path) -> None:
    login = {"type": "oauth", "access": "fake-access-1", "refresh": "fake-refresh-1", "expires": EXPIRES_MS}
    entries = {"gitlab": login, "https://gitlab.example": login, "groq": {"type": "api", "key": "fake-key-groq-1"}}
    entries["groq/"] = {"type": "api", "key": "fake-key-groq-2"}
    findings = opencode.read(write_json(tmp_path / "auth.json", entries), {}, tmp_path)
    assert sorted(by_profile(findings)) == ["gitlab:default", "groq:default"]
    assert "the same login as gitlab:default" in skipped(findings)["https://gitlab.example"]
    assert "a second groq:default" in skipped(findings)["groq/"]


def test_expiry_is_milliseconds_and_zero_is_never(tmp_path: Path) -> None:
    def expiry(value: object) -> int | None:
        entry = {"type": "oauth", "access": "fake-access-1", "refresh": "fake-refresh-1", "expires": value}
        found = opencode.read(write_json(tmp_path / "auth.json", {"openai": entry}), {}, tmp_path).found
        return found[0].credential.expires()

    assert expiry(1) == 1000
    assert expiry(EXPIRES_MS) == EXPIRES_MS * 1000
    assert expiry(float(EXPIRES_MS)) == EXPIRES_MS * 1000
    assert expiry(0) is None
    assert expiry(8_640_000_000_000_000) is None


def test_nothing_there_names_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"auth\.json") as caught:
        opencode.read(None, {}, tmp_path)
    assert str(tmp_path / ".local" / "share" / "opencode" / "auth.json") in str(caught.value)
    for source in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NotFound) as caught:
            opencode.read(source, {}, tmp_path)
        assert str(source) in str(caught.value)


def test_damage_is_named_by_place_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text('{\n  "groq": {"type": "api", "key": "fake-secret-canary" "x"}\n}')
    with pytest.raises(InputError) as caught:
        opencode.read(file, {}, tmp_path)
    assert f"{file} is not valid JSON (line 2, column 55)" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None
    write_json(file, ["fake-secret-canary"])
    with pytest.raises(InputError, match="not an object"):
        opencode.read(file, {}, tmp_path)


def test_a_failing_read_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "auth.json").symlink_to(tmp_path / "auth.json")
    with pytest.raises(StorageError, match=r"auth\.json"):
        opencode.read(tmp_path, {}, tmp_path)
    (tmp_path / "opencode" / "auth.json").mkdir(parents=True)
    with pytest.raises(StorageError, match="not a file"):
        opencode.read(tmp_path / "opencode", {}, tmp_path)


def test_the_environment_that_replaces_the_file_is_told(auth: Path, tmp_path: Path) -> None:
    data = {"XDG_DATA_HOME": str(tmp_path / "data")}
    content = json.dumps({"groq": {"type": "api", "key": "fake-secret-canary"}})
    findings = opencode.read(None, data | {"OPENCODE_AUTH_CONTENT": content}, tmp_path)
    assert len(findings.found) == len(ENTRIES)
    assert "groq" in skipped(findings)["OPENCODE_AUTH_CONTENT"]
    assert "canary" not in printed(findings)
    findings = opencode.read(None, data | {"OPENCODE_AUTH_CONTENT": "{oops"}, tmp_path)
    assert "not valid JSON" in skipped(findings)["OPENCODE_AUTH_CONTENT"]
    alone = opencode.read(None, {"OPENCODE_AUTH_CONTENT": content}, tmp_path)
    assert list(skipped(alone)) == ["OPENCODE_AUTH_CONTENT"]
    assert opencode.read(auth, {"OPENCODE_AUTH_CONTENT": content}, tmp_path).skipped == []


def test_the_next_versions_table_comes_after_the_file(auth: Path, tmp_path: Path) -> None:
    oauth = {
        "type": "oauth",
        "methodID": "browser",
        "access": "fake-access-2",
        "refresh": "fake-refresh-2",
        "expires": EXPIRES_MS,
    }
    rows = [
        ("cred_1", "anthropic", "default", {"type": "key", "key": "fake-key-anthropic-1"}),
        ("cred_2", "openai", "default", oauth),
        ("cred_3", "groq", "my lab", {"type": "key", "key": "fake-key-groq-1", "metadata": {"team": "a"}}),
        ("cred_4", "xai", "default", {"type": "wellknown", "key": "A", "token": "fake-secret-canary"}),
    ]
    path = auth.with_name("opencode.db")
    with database(path, OPENCODE_TABLES) as connection:
        for number, (key, integration, label, value) in enumerate(rows):
            row = (key, integration, label, json.dumps(value), None, None, 1, number, number)
            connection.execute("INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO account VALUES ('1', 'me@example.com', 'https://x', 'fake-secret-canary', '')")
        before = snapshot(tmp_path)
        findings = opencode.read(auth.parent, {}, tmp_path)
        assert snapshot(tmp_path) == before
    found = by_profile(findings)
    assert found["groq:my%20lab"].credential == ApiKey(key="fake-key-groq-1", metadata={"team": "a"})
    assert found["openai:default-v2"].credential.secret() == "fake-access-2"
    assert found["openai:default-v2"].credential.extra == {"methodID": "browser"}
    assert found["openai:default-v2"].path == str(path)
    why = skipped(findings)
    assert "the same credential as anthropic:default" in why["anthropic/default"]
    assert "key and oauth" in why["xai/default"]
    assert "Console" in why["me@example.com"]
    assert "canary" not in printed(findings)
    assert len(opencode.read(path, {}, tmp_path).found) == 3


def test_other_sign_ins_beside_it_are_named(auth: Path, tmp_path: Path) -> None:
    write_json(auth.with_name("mcp-auth.json"), {"linear": {"tokens": {"accessToken": "fake-secret-canary"}}})
    account = {"serviceID": "openai", "credential": {"type": "api", "key": "fake-secret-canary"}}
    write_json(auth.with_name("account.json"), {"version": 2, "accounts": {"acc_1": account}, "active": {}})
    findings = opencode.read(auth.parent, {}, tmp_path)
    assert sorted(skipped(findings)) == ["acc_1", "linear"]
    assert "canary" not in printed(findings)


def test_the_source_stays_as_it_is(auth: Path, tmp_path: Path) -> None:
    with database(auth.with_name("opencode.db"), OPENCODE_TABLES):
        pass
    auth.chmod(0o644)
    before = snapshot(tmp_path)
    opencode.read(None, {"XDG_DATA_HOME": str(tmp_path / "data")}, tmp_path)
    assert snapshot(tmp_path) == before


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["type", "key", "token", "access", "refresh", "expires", "accountId", "metadata", "enterpriseUrl"]
)
entries = values | st.dictionaries(
    fields | st.text(max_size=5),
    values | st.sampled_from(["api", "oauth", "wellknown", "fake-key-1", 0, 5]),
    max_size=6,
)
names = st.sampled_from(["groq", "openai", "https://a.example", "https://a.example:1/b", "http://[::1]/"]) | st.text(
    max_size=20
)


@given(store=st.dictionaries(names, entries, max_size=5))
def test_every_entry_is_taken_or_named(store: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "hypothesis-auth.json"
    findings = opencode.read(write_json(file, store), {}, file.parent)
    assert len(findings.found) + len(findings.skipped) == len(store)
    by_profile(findings)
