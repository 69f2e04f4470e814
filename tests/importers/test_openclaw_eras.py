"""OpenClaw's store in each era: which files hold it, who overrides whom, agents, orders, and what earlier eras left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.importers.stores import (
    AGENT_TABLES,
    OPENCODE_TABLES,
    by_profile,
    database,
    orders,
    printed,
    skipped,
    snapshot,
    write_agent_database,
    write_json,
    write_shared_database,
)
from vault.errors import InputError, NotFound
from vault.interop import openclaw

STATS = {"lab:work": {"lastUsed": 1000, "cooldownUntil": 5000, "cooldownReason": "auth"}}


def key(secret: str, provider: str = "lab") -> dict[str, Any]:
    return {"type": "api_key", "provider": provider, "key": secret}


def login(refresh: str) -> dict[str, Any]:
    return {
        "type": "oauth",
        "provider": "openai",
        "access": f"access-of-{refresh}",
        "refresh": refresh,
        "expires": 1_795_400_000_000,
    }


MAIN = {"lab:work": key("fake-key-work"), "lab:home": key("fake-key-home"), "openai:me": login("fake-refresh-1")}
STATE = {"version": 1, "order": {"lab": ["lab:home", "lab:work"]}, "lastGood": {"lab": "lab:home"}, "usageStats": STATS}


def agent_folder(state: Path, agent: str = "main") -> Path:
    return state / "agents" / agent / "agent"


def store(profiles: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "profiles": profiles}


def era_a(state: Path) -> None:
    write_json(agent_folder(state) / "auth-profiles.json", store(MAIN) | STATE)


def era_b(state: Path) -> None:
    write_json(agent_folder(state) / "auth-profiles.json", store(MAIN))
    write_json(agent_folder(state) / "auth-state.json", STATE)


def era_c(state: Path) -> None:
    write_agent_database(agent_folder(state) / "openclaw-agent.sqlite", store(MAIN), STATE)


def era_d(state: Path) -> None:
    write_shared_database(state / "state" / "openclaw.sqlite", store(MAIN), STATE)
    write_agent_database(agent_folder(state) / "openclaw-agent.sqlite", store({}))


ERAS = pytest.mark.parametrize("era", [era_a, era_b, era_c, era_d])


@ERAS
def test_each_era_is_read_whole_and_left_as_it_is(era: Any, tmp_path: Path) -> None:
    state = tmp_path / ".openclaw"
    era(state)
    helper = {"lab:own": key("fake-key-own"), "lab:work": key("fake-key-of-helper")}
    if era in (era_a, era_b):
        write_json(agent_folder(state, "helper") / "auth-profiles.json", store(helper))
    else:
        write_agent_database(agent_folder(state, "helper") / "openclaw-agent.sqlite", store(helper))
    before = snapshot(tmp_path)
    findings = openclaw.read(None, {}, tmp_path)
    assert snapshot(tmp_path) == before
    assert findings.tool == "openclaw"
    assert findings.agents == [("helper", "main")]
    main = by_profile(findings)
    assert {name: entry.credential.secret() for name, entry in main.items()} == {
        "lab:work": "fake-key-work",
        "lab:home": "fake-key-home",
        "openai:me": "access-of-fake-refresh-1",
    }
    assert main["lab:work"].last_used == 1_000_000
    assert main["lab:work"].health is not None
    assert main["lab:work"].health.cooldown_until == 5_000_000
    assert {name: entry.credential.secret() for name, entry in by_profile(findings, "helper").items()} == {
        "lab:own": "fake-key-own",
        "lab:work": "fake-key-of-helper",
    }
    assert orders(findings) == {
        ("main", "lab"): ("lab:home", "lab:work"),
        ("helper", "lab"): ("lab:own", "lab:work", "lab:home"),
    }
    assert not findings.skipped
    assert openclaw.read(state, {}, tmp_path) == findings


def test_a_running_openclaw_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    path = agent_folder(tmp_path) / "openclaw-agent.sqlite"
    with database(path, AGENT_TABLES) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        text = '{"version": 1, "profiles": {"lab:a": {"type": "api_key", "provider": "lab", "key": "fake-key-1"}}}'
        connection.execute("INSERT INTO auth_profile_store VALUES ('primary', ?, 1)", (text,))
        before = snapshot(tmp_path)
        assert list(by_profile(openclaw.read(tmp_path, {}, tmp_path))) == ["lab:a"]
        assert list(by_profile(openclaw.read(path, {}, tmp_path))) == ["lab:a"]
        assert snapshot(tmp_path) == before
        assert {f"{path.name}-wal", f"{path.name}-shm"} < {entry.name for entry in path.parent.iterdir()}


def test_main_overrides_the_shared_store(tmp_path: Path) -> None:
    write_shared_database(tmp_path / "state" / "openclaw.sqlite", store(MAIN), STATE)
    own = agent_folder(tmp_path) / "openclaw-agent.sqlite"
    write_agent_database(
        own, store({"lab:work": key("fake-key-of-main")}), {"usageStats": {"lab:work": {"lastUsed": 7000}}}
    )
    findings = openclaw.read(tmp_path, {}, tmp_path)
    found = by_profile(findings)
    assert found["lab:work"].credential.secret() == "fake-key-of-main"
    assert found["lab:work"].path == str(own)
    assert found["lab:work"].last_used == 7_000_000
    assert str(own) in skipped(findings)["lab:work"]
    assert orders(findings) == {("main", "lab"): ("lab:work", "lab:home")}


def test_an_agents_own_order_comes_before_the_shared_one(tmp_path: Path) -> None:
    write_shared_database(tmp_path / "state" / "openclaw.sqlite", store(MAIN), STATE)
    write_agent_database(agent_folder(tmp_path) / "openclaw-agent.sqlite", None, {"order": {"lab": ["lab:work"]}})
    write_agent_database(agent_folder(tmp_path, "helper") / "openclaw-agent.sqlite", store({}))
    assert orders(openclaw.read(tmp_path, {}, tmp_path)) == {
        ("main", "lab"): ("lab:work",),
        ("helper", "lab"): ("lab:home", "lab:work"),
    }


def test_a_list_of_mains_own_does_not_hide_an_agents_profiles(tmp_path: Path) -> None:
    write_shared_database(tmp_path / "state" / "openclaw.sqlite", store(MAIN))
    write_agent_database(agent_folder(tmp_path) / "openclaw-agent.sqlite", None, {"order": {"lab": ["lab:work"]}})
    write_agent_database(
        agent_folder(tmp_path, "helper") / "openclaw-agent.sqlite", store({"lab:own": key("fake-key-own")})
    )
    assert orders(openclaw.read(tmp_path, {}, tmp_path)) == {
        ("main", "lab"): ("lab:work",),
        ("helper", "lab"): ("lab:own", "lab:work"),
    }


def test_the_configurations_order_is_the_last_resort(tmp_path: Path) -> None:
    era_c(tmp_path)
    config = {"auth": {"order": {"lab": ["lab:work"], "openai": ["openai:me", "anthropic:x"], "xai": []}}}
    write_json(tmp_path / "openclaw.json", config)
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert orders(findings) == {("main", "lab"): ("lab:home", "lab:work"), ("main", "openai"): ("openai:me",)}
    assert next(order.path for order in findings.orders if order.provider == "openai") == str(
        tmp_path / "openclaw.json"
    )
    assert any("anthropic:x" in entry.why for entry in findings.skipped)
    assert "names no profile" in skipped(findings)["order for xai of main"]


def test_what_an_agent_cloned_from_main_is_not_taken_twice(tmp_path: Path) -> None:
    era_a(tmp_path)
    cloned = MAIN | {"openai:other": MAIN["openai:me"] | {"access": "later-access"}, "lab:own": key("fake-key-own")}
    write_json(agent_folder(tmp_path, "helper") / "auth-profiles.json", store(cloned))
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert list(by_profile(findings, "helper")) == ["lab:own"]
    assert "which helper inherits" in skipped(findings)["lab:work"]
    assert "openai:me of main" in skipped(findings)["openai:other"]


def test_a_login_two_agents_hold_is_told(tmp_path: Path) -> None:
    for agent in ("one", "two"):
        write_json(agent_folder(tmp_path, agent) / "auth-profiles.json", store({"openai:me": login("fake-refresh-1")}))
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert "one has the same login" in by_profile(findings, "two")["openai:me"].why


def test_flat_maps_of_the_oldest_versions(tmp_path: Path) -> None:
    write_json(
        agent_folder(tmp_path) / "auth.json", {"openrouter": {"apiKey": "fake-key-1"}, "lab": {"token": "fake-token-1"}}
    )
    oauth = {"access": "fake-access-1", "refresh": "fake-refresh-1", "expires": 1_795_400_000_000}
    write_json(tmp_path / "credentials" / "oauth.json", {"anthropic": oauth})
    found = by_profile(openclaw.read(tmp_path, {}, tmp_path))
    assert {name: entry.credential.kind for name, entry in found.items()} == {
        "openrouter:default": "api_key",
        "lab:default": "token",
        "anthropic:default": "oauth",
    }
    write_json(agent_folder(tmp_path) / "auth-profiles.json", {"lab": {"type": "api_key", "key": "fake-key-2"}})
    assert by_profile(openclaw.read(tmp_path, {}, tmp_path))["lab:default"].credential.secret() == "fake-key-2"
    moved = {"OPENCLAW_STATE_DIR": str(tmp_path), "OPENCLAW_OAUTH_DIR": str(tmp_path / "elsewhere")}
    assert "anthropic:default" not in by_profile(openclaw.read(None, moved, tmp_path))


def test_an_empty_database_beside_json_is_not_migrated_yet(tmp_path: Path) -> None:
    era_b(tmp_path)
    write_agent_database(agent_folder(tmp_path) / "openclaw-agent.sqlite", store({}))
    write_shared_database(tmp_path / "state" / "openclaw.sqlite", None)
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert sorted(by_profile(findings)) == sorted(MAIN)
    assert orders(findings) == {("main", "lab"): ("lab:home", "lab:work")}


def test_json_beside_a_filled_database_is_retired(tmp_path: Path) -> None:
    era_d(tmp_path)
    write_json(
        agent_folder(tmp_path) / "auth-profiles.json",
        store({"lab:work": key("old"), "lab:gone": key("fake-secret-canary")}),
    )
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert sorted(by_profile(findings)) == sorted(MAIN)
    assert "lab:gone" in skipped(findings)["auth-profiles.json"]
    assert "lab:work" not in skipped(findings)["auth-profiles.json"]
    assert "canary" not in printed(findings)
    alone = openclaw.read(agent_folder(tmp_path) / "auth-profiles.json", {}, tmp_path)
    assert by_profile(alone)["lab:gone"].credential.secret() == "fake-secret-canary"


def test_the_shared_store_counts_only_when_it_is_in_use(tmp_path: Path) -> None:
    era_c(tmp_path)
    shared = {"lab:stray": key("fake-key-stray")}
    for location in (None, "legacy-main"):
        path = tmp_path / "state" / "openclaw.sqlite"
        path.unlink(missing_ok=True)
        write_shared_database(path, store(shared), location=location)
        findings = openclaw.read(tmp_path, {}, tmp_path)
        assert sorted(by_profile(findings)) == sorted(MAIN)
        assert "not in use" in skipped(findings)["lab:stray"]
    path.unlink()
    write_shared_database(path, store(shared), location={"location": "the moon"})
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert "lab:stray" in by_profile(findings)
    assert "refuses" in skipped(findings)["auth.sharedStore"]


def test_the_secret_store_is_named_and_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "state" / "openclaw.sqlite"
    write_shared_database(path, store(MAIN), secrets=("LAB_KEY", "model-account:personal:1:2"))
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert "secret store" in skipped(findings)["LAB_KEY"]
    assert "person" in skipped(findings)["model-account:personal:1:2"]
    assert "fake-secret-of-the-store" not in printed(findings)


def test_what_migrations_left_in_plain_text_is_warned_of(tmp_path: Path) -> None:
    era_d(tmp_path)
    folder = agent_folder(tmp_path)
    write_json(folder / "auth-profiles.json.migrated-2026-09-01T00-00-00Z-1", store(MAIN))
    write_json(folder / "auth.json.legacy-flat.1.bak", {"lab": {"key": "fake-key-1"}})
    write_json(folder / "auth-profiles.json.sqlite-import.1.bak", store({}))
    (folder / "auth-profiles.json.migrated-broken").write_text("{")
    write_json(tmp_path / "credentials" / "auth-profiles" / f"{'f' * 32}.json", {"encrypted": {}})
    (tmp_path / ".env").write_text("LAB_API_KEY=fake-secret-canary\n")
    findings = openclaw.read(tmp_path, {}, tmp_path)
    why = skipped(findings)
    assert "4 secrets in plain text" in why["auth-profiles.json.migrated-2026-09-01T00-00-00Z-1"]
    assert "1 secret in plain text" in why["auth.json.legacy-flat.1.bak"]
    assert "without secrets" in why["auth-profiles.json.sqlite-import.1.bak"]
    assert "may hold secrets" in why["auth-profiles.json.migrated-broken"]
    assert "encrypted" in why[f"{'f' * 32}.json"]
    assert why[".env"].endswith(f"take it with: vault import dotenv --from {tmp_path / '.env'}")
    assert "canary" not in printed(findings)
    assert sorted(by_profile(findings)) == sorted(MAIN)


def test_the_configuration_is_read_for_agents_and_named_for_keys(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    state = tmp_path / ".openclaw"
    era_c(state)
    write_agent_database(elsewhere / "openclaw-agent.sqlite", store({"lab:own": key("fake-key-own")}))
    config = {
        "agents": {
            "entries": {"main": {}, "Helper": {"agentDir": str(elsewhere)}},
            "list": [{"id": "quiet"}, {"id": "not ok"}, 7],
        },
        "auth": {"profiles": {"amazon-bedrock:default": {"provider": "amazon-bedrock", "mode": "aws-sdk"}}},
        "models": {
            "providers": {
                "literal": {"apiKey": "fake-secret-canary"},
                "ref": {"apiKey": {"source": "env", "provider": "default", "id": "A"}},
                "env": {"apiKey": "${A}"},
                "marker": {"apiKey": "secretref-managed"},
                "none": {},
            }
        },
    }
    write_json(state / "openclaw.json", config)
    findings = openclaw.read(None, {}, tmp_path)
    assert findings.agents == [("helper", "main"), ("quiet", "main")]
    assert list(by_profile(findings, "helper")) == ["lab:own"]
    why = skipped(findings)
    assert "AWS" in why["amazon-bedrock:default"]
    assert "vault login literal" in why["models.providers.literal.apiKey"]
    assert {"models.providers.ref.apiKey", "models.providers.env.apiKey", "not ok"} < set(why)
    assert not {"models.providers.marker.apiKey", "models.providers.none.apiKey"} & set(why)
    assert "canary" not in printed(findings)


def test_a_configuration_with_comments_is_named_and_not_read(tmp_path: Path) -> None:
    era_c(tmp_path)
    (tmp_path / "openclaw.json").write_text("{ // mine\n  auth: { order: { openai: ['openai:me'] } } }")
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert "were not read" in skipped(findings)["openclaw.json"]
    assert sorted(by_profile(findings)) == sorted(MAIN)


def test_the_environment_moves_the_store(tmp_path: Path) -> None:
    era_b(tmp_path / "state")
    environ = {"OPENCLAW_STATE_DIR": str(tmp_path / "state")}
    assert sorted(by_profile(openclaw.read(None, environ, tmp_path))) == sorted(MAIN)
    moved = {"OPENCLAW_AGENT_DIR": str(agent_folder(tmp_path / "state"))}
    assert sorted(by_profile(openclaw.read(None, moved, tmp_path / "home"))) == sorted(MAIN)
    era_b(tmp_path / ".openclaw")
    era_b(tmp_path / ".clawdbot")
    assert "--from" in skipped(openclaw.read(None, {}, tmp_path))[".clawdbot"]


@pytest.mark.parametrize(
    ("era", "place"),
    [
        (era_a, "agents/main/agent"),
        (era_a, "agents/main"),
        (era_b, "agents/main/agent/auth-profiles.json"),
        (era_c, "agents/main/agent"),
        (era_c, "agents/main/agent/openclaw-agent.sqlite"),
        (era_d, "state/openclaw.sqlite"),
    ],
)
def test_source_may_be_a_part_of_the_store(era: Any, place: str, tmp_path: Path) -> None:
    era(tmp_path / ".openclaw")
    findings = openclaw.read(tmp_path / ".openclaw" / place, {}, tmp_path)
    assert sorted(by_profile(findings)) == sorted(MAIN)
    assert orders(findings) == {("main", "lab"): ("lab:home", "lab:work")}
    assert sorted(by_profile(openclaw.read(tmp_path, {}, tmp_path))) == sorted(MAIN)


def test_a_part_of_another_agent_is_that_agents(tmp_path: Path) -> None:
    path = agent_folder(tmp_path, "helper") / "openclaw-agent.sqlite"
    write_agent_database(path, store({"lab:own": key("fake-key-own")}), {"order": {"lab": ["lab:own"]}})
    for source in (path, path.parent):
        findings = openclaw.read(source, {}, tmp_path)
        assert findings.agents == [("helper", "main")]
        assert list(by_profile(findings, "helper")) == ["lab:own"]
        assert orders(findings) == {("helper", "lab"): ("lab:own",)}


def test_usage_of_inherited_profiles_is_named(tmp_path: Path) -> None:
    write_shared_database(tmp_path / "state" / "openclaw.sqlite", store(MAIN))
    write_agent_database(agent_folder(tmp_path, "helper") / "openclaw-agent.sqlite", store({}), {"usageStats": STATS})
    assert "lab:work" in skipped(openclaw.read(tmp_path, {}, tmp_path))["usageStats"]


def test_damage_in_a_database_is_an_input_error(tmp_path: Path) -> None:
    path = agent_folder(tmp_path) / "openclaw-agent.sqlite"
    with database(path, AGENT_TABLES) as connection:
        connection.execute("INSERT INTO auth_profile_store VALUES ('primary', '{\"fake-secret-canary', 1)")
    with pytest.raises(InputError, match=r"the row primary of .*openclaw-agent\.sqlite is not valid JSON") as caught:
        openclaw.read(tmp_path, {}, tmp_path)
    assert "canary" not in str(caught.value)
    path.write_bytes(b"SQLite format 3\x00 no more")
    with pytest.raises(InputError, match=r"openclaw-agent\.sqlite"):
        openclaw.read(tmp_path, {}, tmp_path)


def test_another_programs_database_is_no_store(tmp_path: Path) -> None:
    with database(tmp_path / "other.sqlite", OPENCODE_TABLES):
        pass
    with pytest.raises(NotFound, match=r"other\.sqlite"):
        openclaw.read(tmp_path / "other.sqlite", {}, tmp_path)
