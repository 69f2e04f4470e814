"""OpenClaw's profiles: types, leniencies, references, markers, ids, usage; and where its store is looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.importers.stores import by_profile, orders, printed, skipped, snapshot, write_json
from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, OAuth, Reference, Token
from vault.events.types import Health
from vault.interop import openclaw
from vault.interop.findings import Findings

EXPIRES_MS = 1_795_400_000_000
LOGIN = {
    "type": "oauth",
    "provider": "openai",
    "access": "fake-access-openai-1",
    "refresh": "fake-refresh-openai-1",
    "expires": EXPIRES_MS,
    "email": "me@example.com",
    "accountId": "account-1",
    "idToken": "fake-id-token-1",
    "clientId": "client-1",
    "copyToAgents": False,
}
FENCE = "openclaw-oauth-refresh-fence:v1:" + "a" * 32


def read(folder: Path, profiles: dict[str, Any], **more: Any) -> Findings:
    """What is found in a JSON store of the first era with these profiles."""
    file = folder / "agents" / "main" / "agent" / "auth-profiles.json"
    return openclaw.read(write_json(file, {"version": 1, "profiles": profiles, **more}), {}, folder)


def test_default_paths_follow_the_environment(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert openclaw.default_paths({}, home) == [home / ".openclaw", home / ".clawdbot", home / ".moltbot"]
    assert openclaw.default_paths({"OPENCLAW_STATE_DIR": "~/state"}, home) == [home / "state"]
    assert openclaw.default_paths({"OPENCLAW_HOME": str(tmp_path)}, home)[0] == tmp_path / ".openclaw"
    assert openclaw.default_paths({"OPENCLAW_PROFILE": "work"}, home) == [home / ".openclaw-work"]


def test_the_three_types(tmp_path: Path) -> None:
    found = by_profile(
        read(
            tmp_path,
            {
                "groq:work": {
                    "type": "api_key",
                    "provider": "Groq",
                    "key": "fake-key-groq-1",
                    "metadata": {"team": "a", "n": 1},
                },
                "anthropic:team": {
                    "type": "token",
                    "provider": "anthropic",
                    "token": "fake-token-1",
                    "expires": EXPIRES_MS,
                    "displayName": "Team",
                },
                "openai:me@example.com": LOGIN | {"novelty": {"a": [1]}},
            },
        )
    )
    assert found["groq:work"].credential == ApiKey(
        key="fake-key-groq-1", metadata={"team": "a"}, extra={"metadata": {"n": 1}}
    )
    assert found["anthropic:team"].credential == Token(
        token="fake-token-1", expires_at=EXPIRES_MS * 1000, metadata={"displayName": "Team"}
    )
    assert found["anthropic:team"].label == "Team"
    assert found["openai:me@example.com"].credential == OAuth(
        access="fake-access-openai-1",
        refresh="fake-refresh-openai-1",
        expires_at=EXPIRES_MS * 1000,
        id_token="fake-id-token-1",
        account={"email": "me@example.com", "accountId": "account-1"},
        metadata={"clientId": "client-1"},
        extra={"copyToAgents": False, "novelty": {"a": [1]}},
    )
    assert found["openai:me@example.com"].account == "me@example.com"
    assert [found[name].ownership for name in sorted(found)] == ["vault", "vault", "external"]


@pytest.mark.parametrize(
    ("entry", "secret"),
    [
        ({"mode": "api_key", "key": "fake-key-1"}, "fake-key-1"),
        ({"type": "apiKey", "apiKey": "fake-key-1"}, "fake-key-1"),
        ({"type": "api_key", "apiKey": "fake-key-1"}, "fake-key-1"),
        ({"mode": "token", "token": " fake-token-1\n"}, "fake-token-1"),
    ],
)
def test_entries_are_read_as_leniently_as_there(entry: dict[str, Any], secret: str, tmp_path: Path) -> None:
    found = by_profile(read(tmp_path, {"lab:a": {"provider": "lab", **entry}}))
    assert found["lab:a"].credential.secret() == secret


REF = {"source": "exec", "provider": "corp", "id": "lab/work"}


@pytest.mark.parametrize(
    ("fields", "scheme", "target", "kept"),
    [
        ({"type": "api_key", "keyRef": REF}, "exec", "corp:lab/work", {"keyRef": REF}),
        ({"type": "api_key", "key": REF}, "exec", "corp:lab/work", {"key": REF}),
        ({"type": "token", "tokenRef": REF, "expires": 5}, "exec", "corp:lab/work", {"tokenRef": REF, "expires": 5}),
        ({"type": "api_key", "key": "${LAB_KEY}"}, "env", "LAB_KEY", {"key": "${LAB_KEY}"}),
        ({"type": "token", "token": "$LAB_TOKEN"}, "env", "LAB_TOKEN", {"token": "$LAB_TOKEN"}),
        (
            {"type": "api_key", "keyRef": {"source": "env", "id": "A"}},
            "env",
            "A",
            {"keyRef": {"source": "env", "id": "A"}},
        ),
        (
            {"type": "api_key", "keyRef": {"source": "store", "provider": "default", "id": "A"}},
            "store",
            "default:A",
            {"keyRef": {"source": "store", "provider": "default", "id": "A"}},
        ),
        ({"type": "api_key", "key": "fake-key-resolved", "keyRef": REF}, "exec", "corp:lab/work", {"keyRef": REF}),
    ],
)
def test_references_stay_references(
    fields: dict[str, Any], scheme: str, target: str, kept: dict[str, Any], tmp_path: Path
) -> None:
    found = by_profile(read(tmp_path, {"lab:a": {"provider": "lab", **fields}}))["lab:a"]
    known = scheme if scheme == "env" else f"openclaw-{scheme}"
    assert found.credential == Reference(scheme=known, target=target, extra=kept)
    assert found.ownership == "external"


def test_a_file_reference_points_at_the_configured_file(tmp_path: Path) -> None:
    providers = {"vaultfile": {"source": "file", "path": "~/keys.json"}}
    write_json(tmp_path / "openclaw.json", {"secrets": {"providers": providers}})
    ref = {"source": "file", "provider": "vaultfile"}
    entries = {
        "lab:one": {"type": "api_key", "provider": "lab", "keyRef": {**ref, "id": "/lab/key"}},
        "lab:whole": {"type": "api_key", "provider": "lab", "keyRef": {**ref, "id": "value"}},
    }
    write_json(tmp_path / "agents" / "main" / "agent" / "auth-profiles.json", {"profiles": entries})
    found = by_profile(openclaw.read(tmp_path, {}, Path("/home/me")))
    assert found["lab:one"].credential == Reference(
        scheme="openclaw-file", target="/home/me/keys.json#/lab/key", extra={"keyRef": {**ref, "id": "/lab/key"}}
    )
    assert found["lab:whole"].credential.target == "/home/me/keys.json"


def test_a_refresh_marker_is_never_a_token(tmp_path: Path) -> None:
    pending = {"access": f"{FENCE}:access:{'b' * 64}", "refresh": f"{FENCE}:refresh:{'c' * 64}", "expires": 1}
    failed = {
        "access": f"{FENCE}:failed:access:{'b' * 64}",
        "refresh": f"{FENCE}:failed:refresh:{'c' * 64}",
        "expires": 1,
    }
    findings = read(
        tmp_path,
        {
            "openai:pending": LOGIN | pending,
            "openai:failed": LOGIN | failed,
            "openai:half": LOGIN | {"refresh": pending["refresh"]},
            "lab:odd": {"type": "token", "provider": "lab", "token": pending["access"]},
        },
    )
    why = skipped(findings)
    assert not findings.found
    assert "import again when it is done" in why["openai:pending"]
    assert "sign in there again" in why["openai:failed"]
    assert "marker" in why["openai:half"]
    assert "marker" in why["lab:odd"]


def test_what_is_not_taken_is_named(tmp_path: Path) -> None:
    secret = "fake-secret-canary"
    ref = {"source": "openclaw-credentials", "provider": "openai-codex", "id": "f" * 32}
    setup = {"replacement": True, "modelRef": "lab/a", "configJson": "{}"}
    entries = {
        "lab:list": [secret],
        "lab:type": {"type": "passkey", "provider": "lab", "key": secret},
        "lab:orphan": {"type": "api_key", "key": secret},
        "lab:empty": {"type": "api_key", "provider": "lab", "key": "  "},
        "lab:lines": {"type": "api_key", "provider": "lab", "key": f"{secret}\n{secret}"},
        "lab:command": {"type": "api_key", "provider": "lab", "key": "openclaw onboard --auth-choice lab"},
        "lab:setup": {"type": "api_key", "provider": "lab", "key": secret, "setup": setup},
        "openai:sidecar": {"type": "oauth", "provider": "openai-codex", "oauthRef": ref},
        "openai:ref": LOGIN | {"access": REF, "refresh": REF},
        "openai:redacted": LOGIN | {"access": "__OPENCLAW_REDACTED__"},
    }
    findings = read(tmp_path, entries)
    assert not findings.found
    why = skipped(findings)
    assert sorted(why) == sorted(entries)
    assert "names no provider" in why["lab:orphan"]
    assert "command line" in why["lab:command"]
    assert "not activated" in why["lab:setup"]
    assert "2026.5" in why["openai:sidecar"]
    assert "references" in why["openai:ref"]
    assert "placeholder" in why["openai:redacted"]
    assert secret not in printed(findings)


def test_old_provider_names_become_todays(tmp_path: Path) -> None:
    key = {"type": "api_key", "key": "fake-key-openai-1"}
    findings = read(
        tmp_path,
        {
            "openai-codex:me@example.com": LOGIN | {"provider": "openai-codex"},
            "openai-codex:default": LOGIN | {"provider": "openai-codex", "refresh": "fake-refresh-2"},
            "openai:default": {**key, "provider": "openai"},
            "anthropic:claude-cli": LOGIN | {"provider": "claude-cli", "refresh": "fake-refresh-3"},
            "work": {**key, "provider": "groq"},
            "team:a b": {**key, "provider": "xai"},
        },
        order={
            "openai-codex": ["openai-codex:default", "openai-codex:me@example.com"],
            "anthropic": ["anthropic:claude-cli"],
        },
    )
    found = by_profile(findings)
    assert found["openai:default"].credential == ApiKey(key="fake-key-openai-1")
    assert found["openai:chatgpt-default"].credential.second_secret() == "fake-refresh-2"
    assert "openai-codex:default" in found["openai:chatgpt-default"].why
    assert {"openai:me@example.com", "anthropic:claude-cli", "groq:work", "xai:team%3Aa%20b"} < set(found)
    assert orders(findings) == {
        ("main", "openai"): ("openai:chatgpt-default", "openai:me@example.com"),
        ("main", "anthropic"): ("anthropic:claude-cli",),
    }


def test_one_login_in_two_profiles_has_one_owner(tmp_path: Path) -> None:
    findings = read(
        tmp_path,
        {"openai:default": LOGIN, "openai:me@example.com": LOGIN},
        order={"openai": ["openai:me@example.com", "openai:default"]},
    )
    assert list(by_profile(findings)) == ["openai:default"]
    assert "openai:default" in skipped(findings)["openai:me@example.com"]
    assert orders(findings) == {("main", "openai"): ("openai:default",)}


def test_ownership_follows_rotation(tmp_path: Path) -> None:
    found = by_profile(
        read(
            tmp_path,
            {
                "github-copilot:github": LOGIN | {"provider": "github-copilot"},
                "minimax-portal:minimax-cli": LOGIN
                | {"provider": "minimax-portal", "authFlow": "external-cli", "refresh": "r1"},
                "lab:once": LOGIN | {"provider": "lab", "refresh": ""},
                "xai:me": LOGIN | {"provider": "xai", "refresh": "r2"},
            },
        )
    )
    assert {name: entry.ownership for name, entry in found.items()} == {
        "github-copilot:github": "copy",
        "minimax-portal:minimax-cli": "external",
        "lab:once": "copy",
        "xai:me": "external",
    }
    assert "another program" in found["minimax-portal:minimax-cli"].why


def test_usage_becomes_health_in_microseconds(tmp_path: Path) -> None:
    key = {"type": "api_key", "provider": "lab", "key": "fake-key-1"}
    stats = {
        "lab:cooling": {
            "lastUsed": 1000,
            "errorCount": 3,
            "cooldownUntil": 5000,
            "cooldownReason": "rate_limit",
            "lastFailureAt": 4000,
        },
        "lab:off": {"disabledUntil": 9000, "disabledReason": "billing", "errorCount": 1},
        "lab:blocked": {"blockedUntil": 7000, "blockedReason": "subscription_limit", "cooldownUntil": 5000},
        "lab:model": {
            "cooldownUntil": 5000,
            "cooldownModel": "m",
            "cooldownReason": "rate_limit",
            "blockedScope": "model",
        },
        "lab:expired": {"cooldownReason": "session_expired", "failureCounts": {"auth": 1}},
        "lab:counts": {"failureCounts": {"timeout": 1, "empty_response": 4}, "errorCount": True},
        "lab:well": {"lastUsed": 8000},
        "lab:odd": {"lastUsed": -1, "cooldownUntil": 9e30, "cooldownReason": ["x"], "failureCounts": {"nonsense": 1}},
        "inline-api-key:lab": {"lastUsed": 1},
    }
    profiles = {name: {**key, "key": f"fake-key-{name}"} for name in stats if name.startswith("lab:")}
    found = by_profile(read(tmp_path, profiles, usageStats=stats, lastGood={"lab": "lab:well"}))
    assert {name: entry.health for name, entry in found.items()} == {
        "lab:cooling": Health(
            failures=3, last_reason="rate_limit", last_failure_at=4_000_000, cooldown_until=5_000_000
        ),
        "lab:off": Health(failures=1, last_reason="billing", disabled_until=9_000_000),
        "lab:blocked": Health(last_reason="rate_limit", cooldown_until=7_000_000),
        "lab:model": Health(last_reason="rate_limit"),
        "lab:expired": Health(last_reason="auth"),
        "lab:counts": Health(last_reason="unknown"),
        "lab:well": Health(last_success_at=8_000_000),
        "lab:odd": None,
    }
    assert found["lab:cooling"].last_used == 1_000_000
    assert found["lab:well"].last_used == 8_000_000
    assert found["lab:odd"].last_used is None


def test_nothing_there_names_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        openclaw.read(None, {}, tmp_path)
    assert str(tmp_path / ".openclaw") in caught.value.message
    write_json(tmp_path / ".openclaw" / "openclaw.json", {})
    with pytest.raises(NotFound):
        openclaw.read(None, {}, tmp_path)
    for source in (tmp_path / "none", tmp_path / ".openclaw"):
        with pytest.raises(NotFound) as caught:
            openclaw.read(source, {}, tmp_path)
        assert str(source) in caught.value.message


def test_damage_is_named_by_place_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "agents" / "main" / "agent" / "auth-profiles.json"
    for content, place in (
        ('{"profiles": "fake-secret-canary"}', "profiles is not"),
        ('["fake-secret-canary"]', "top level"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        with pytest.raises(InputError, match=place) as caught:
            openclaw.read(tmp_path, {}, tmp_path)
        assert "canary" not in str(caught.value)
    file.write_text('{"profiles":\n {"a": fake-secret-canary}}')
    with pytest.raises(InputError, match="line 2, column 8") as caught:
        openclaw.read(tmp_path, {}, tmp_path)
    assert str(file) in caught.value.message
    assert "canary" not in str(caught.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["lab:a", "lab:b", "openai-codex:a", "openai:a", "codex:a", "work"]) | st.text(max_size=12)
fields = st.sampled_from(
    ["key", "keyRef", "token", "access", "refresh", "expires", "email", "metadata", "setup", "idToken"]
)
profile = st.builds(
    lambda kind, provider, rest: {"type": kind, "provider": provider, **rest},
    st.sampled_from(["api_key", "token", "oauth", "apiKey", "else"]),
    st.sampled_from(["lab", "openai", "openai-codex", "codex", "claude-cli"]),
    st.dictionaries(fields, values | st.sampled_from(["fake-1", "fake-2", "${A}", REF, 5]), max_size=5),
)
state = st.dictionaries(names | st.just("openai"), st.lists(names, max_size=4) | values, max_size=3)


@given(
    profiles=st.dictionaries(names, profile | values, max_size=6),
    order=state,
    usage=st.dictionaries(names, values, max_size=3),
)
def test_every_entry_is_taken_or_named(
    profiles: dict[str, Any], order: dict[str, Any], usage: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "hypothesis-openclaw"
    findings = read(folder, profiles, order=order, usageStats=usage)
    named = [entry for entry in findings.skipped if not entry.name.startswith("order for ")]
    assert len(findings.found) + len(named) == len(profiles)
    by_profile(findings)
    for (_, provider), listed in orders(findings).items():
        assert listed
        assert len(set(listed)) == len(listed)
        assert all(item.startswith(f"{provider}:") for item in listed)


def test_the_source_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "agents" / "main" / "agent" / "auth-profiles.json"
    write_json(file, {"profiles": {"openai:a": LOGIN}})
    before = snapshot(tmp_path)
    openclaw.read(tmp_path, {}, tmp_path)
    openclaw.read(file, {}, tmp_path)
    assert snapshot(tmp_path) == before
