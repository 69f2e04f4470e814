"""How OpenClaw is made to ask the vault, and how that is taken back: its configuration, and references in its stores."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.claw import agent_folder, target, typed, whys
from tests.exporters.round_trip import at, done
from tests.importers.stores import snapshot, write_agent_database, write_json, write_shared_database
from vault.errors import InputError, NotFound, Unavailable
from vault.interop import openclaw
from vault.interop.openclaw_connect import connect, disconnect, scrub
from vault.interop.plans import Link, Plan, Run, Target
from vault.values import AgentId

MODELS = {"baseUrl": "http://127.0.0.1:9/v1", "models": []}
KEY = {"type": "api_key", "provider": "lab", "key": "fake-key-lab"}


@pytest.fixture
def command(tmp_path: Path) -> str:
    """A command that OpenClaw would run."""
    path = tmp_path / "vault"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a configuration, and no store yet."""
    write_json(
        tmp_path / ".openclaw" / "openclaw.json",
        {"gateway": {"mode": "local"}, "models": {"providers": {"lab": MODELS}}, "novelty": 1},
    )
    return tmp_path / ".openclaw"


def link(command: str, *what: str, agent: str = "main") -> Link:
    return Link(command, AgentId(agent), what)


def config(plan: Plan) -> dict[str, Any]:
    (found,) = (write for write in plan.writes if write.path.name == "openclaw.json")
    return dict(json.loads(found.content))


def ref(name: str, alias: str = "vault") -> dict[str, str]:
    return {"source": "exec", "provider": alias, "id": name}


def without_runs(plan: Plan) -> Plan:
    """Carry out what a plan writes and removes."""
    done(Plan(plan.tool, plan.writes, plan.removes))
    return plan


def test_providers_are_asked_for_in_the_configuration(state: Path, command: str) -> None:
    plan = connect(link(command, "lab", "togetherai", "anthropic"), target(state))
    before = at(state / "openclaw.json")
    entry = config(plan)["secrets"]["providers"]["vault"]
    assert (entry["source"], entry["command"]) == ("exec", command)
    assert entry["args"] == ["helper", "openclaw", "--tool", "openclaw"]
    assert {"HOME", "PATH", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS", "VAULT_PASSPHRASE"} <= set(entry["passEnv"])
    assert entry["timeoutMs"] >= 5_000
    expected = before | {"secrets": {"providers": {"vault": entry}}}
    expected["models"] = {
        "providers": {
            "lab": MODELS | {"apiKey": ref("lab")},
            "together": {"apiKey": ref("togetherai")},
            "anthropic": {"apiKey": ref("anthropic")},
        }
    }
    assert config(plan) == expected
    (written,) = plan.writes
    assert not written.secret, "there is none in it, so it can be shown"
    (trial,) = plan.runs
    assert trial.argv[:4] == ("openclaw", "config", "set", "--batch-json")
    assert trial.argv[5:] == ("--dry-run", "--allow-exec")
    assert [one["ref"]["id"] for one in json.loads(trial.argv[4])] == ["lab", "togetherai", "anthropic"]
    assert not trial.changes
    without_runs(plan)
    assert connect(link(command, "lab", "togetherai", "anthropic"), target(state)).empty


def test_taking_it_back_leaves_what_was_edited_since(state: Path, command: str) -> None:
    original = at(state / "openclaw.json")
    without_runs(connect(link(command, "lab", "xai", "groq"), target(state)))
    edited = at(state / "openclaw.json")
    edited["models"]["providers"]["xai"]["baseUrl"] = "http://127.0.0.1:9/xai"
    edited["models"]["providers"]["groq"]["apiKey"] = "${MY_GROQ_KEY}"
    edited["meta"] = {"lastTouchedVersion": "1"}
    write_json(state / "openclaw.json", edited)
    plan = without_runs(disconnect(replace(target(state), commands=frozenset({command}))))
    assert not plan.runs
    original["models"]["providers"]["xai"] = {"baseUrl": "http://127.0.0.1:9/xai"}
    original["models"]["providers"]["groq"] = {"apiKey": "${MY_GROQ_KEY}"}
    assert at(state / "openclaw.json") == original | {"meta": {"lastTouchedVersion": "1"}}
    assert disconnect(replace(target(state), commands=frozenset({command}))).empty


@pytest.mark.parametrize("original", [{}, {"secrets": {"defaults": {}}}, {"models": {"mode": "merge"}}, None])
def test_connecting_and_taking_it_back_changes_nothing(original: Any, tmp_path: Path, command: str) -> None:
    state = tmp_path / ".openclaw"
    if original is not None:
        write_json(state / "openclaw.json", original)
    without_runs(connect(link(command, "xai", "groq"), target(state)))
    without_runs(disconnect(replace(target(state), commands=frozenset({command}))))
    assert at(state / "openclaw.json") == (original or {})


def test_what_a_person_put_there_is_not_replaced(state: Path, command: str) -> None:
    own = {"xai": {"apiKey": "fake-key-xai"}, "groq": {"apiKey": {"source": "env", "provider": "default", "id": "G"}}}
    document = at(state / "openclaw.json")
    document["models"]["providers"] |= own
    document["secrets"] = {"providers": {"vault": {"source": "env"}}}
    write_json(state / "openclaw.json", document)
    plan = connect(link(command, "xai", "groq", "lab", "amazon-bedrock", "example.com", "mylab"), target(state))
    made = config(plan)
    assert made["models"]["providers"] == document["models"]["providers"] | {
        "lab": MODELS | {"apiKey": ref("lab", "agent-vault")}
    }
    assert made["secrets"]["providers"]["vault"] == {"source": "env"}
    (written,) = [write for write in plan.writes if write.path.name == "openclaw.json"]
    assert written.secret, "it holds a key of the person's"
    why = whys(plan)
    assert "openclaw config unset models.providers.xai.apiKey" in why["xai"]
    assert "plain text" in why["xai"]
    assert "reference" in why["groq"]
    assert "cloud" in why["amazon-bedrock"]
    assert "models.providers" in why["mylab"]
    with pytest.raises(NotFound) as caught:
        connect(link(command, "xai"), target(state))
    assert "xai: openclaw.json has a key" in caught.value.message
    with pytest.raises(NotFound):
        connect(link(command), target(state))


@pytest.mark.parametrize(
    "text", ["// mine\n{}", "{gateway: {mode: 'local'}}", '{"gateway": {"mode": "local",},}', "", '{"gateway": {']
)
def test_a_configuration_with_comments_is_left_to_the_person(text: str, state: Path, command: str) -> None:
    (state / "openclaw.json").write_text(text)
    before = snapshot(state)
    with pytest.raises(InputError) as caught:
        connect(link(command, "lab"), target(state))
    assert str(state / "openclaw.json") in caught.value.message
    by_hand = caught.value.hint
    assert command in by_hand
    assert json.dumps(ref("PROVIDER")) in by_hand
    with pytest.raises(InputError):
        disconnect(replace(target(state), commands=frozenset({command})))
    assert snapshot(state) == before


@pytest.mark.parametrize("trouble", ["missing", "link", "group", "world"])
def test_a_command_that_openclaw_would_refuse_is_not_connected(trouble: str, state: Path, command: str) -> None:
    path = Path(command)
    match trouble:
        case "missing":
            path.unlink()
        case "link":
            path.rename(path.with_name("real"))
            path.symlink_to("real")
        case "group":
            path.chmod(0o775)
        case _:
            path.chmod(0o757)
    with pytest.raises(Unavailable) as caught:
        connect(link(command, "lab"), target(state))
    assert command in caught.value.message


def test_profiles_get_references_by_openclaws_own_command(state: Path, command: str) -> None:
    write_shared_database(state / "state" / "openclaw.sqlite", {"version": 1, "profiles": {"lab:old": KEY}})
    plan = connect(link(command, "lab:home", "lab:me@example.com", "lab:old"), target(state))
    assert "--scrub" in whys(plan)["lab:old"]
    assert "apiKey" not in config(plan)["models"]["providers"]["lab"]
    (record,) = [write for write in plan.writes if write.path.name == "vault-connect.json"]
    assert not record.secret
    asked = json.loads(record.content)
    assert not any(asked["options"].values()), "nothing of the person's is scrubbed"
    assert asked["targets"][1] == {
        "type": "auth-profiles.api_key.key",
        "path": "profiles.lab:me@example.com.key",
        "pathSegments": ["profiles", "lab:me@example.com", "key"],
        "agentId": "main",
        "authProfileProvider": "lab",
        "ref": ref("lab/me#40example.com"),
    }
    assert [run.argv[1:] for run in plan.runs] == [
        ("secrets", "apply", "--from", str(record.path), "--allow-exec"),
        ("models", "auth", "order", "set", "--provider", "lab", "--agent", "main", *asked_ids(asked), "lab:old"),
    ]
    assert all(run.changes for run in plan.runs)


def asked_ids(asked: dict[str, Any]) -> list[str]:
    return [one["pathSegments"][1] for one in asked["targets"]]


def test_another_agent_asks_as_itself(state: Path, command: str) -> None:
    write_agent_database(agent_folder(state, "helper") / "openclaw-agent.sqlite", {"version": 1, "profiles": {}})
    plan = connect(link(command, "lab", "xai:work", agent="helper"), target(state))
    entry = config(plan)["secrets"]["providers"]["vault-helper"]
    assert entry["args"][-2:] == ["--agent", "helper"]
    asked = json.loads(plan.writes[-1].content)
    assert [(one["pathSegments"][1], one["agentId"], one["ref"]) for one in asked["targets"]] == [
        ("lab:vault", "helper", ref("lab", "vault-helper")),
        ("xai:work", "helper", ref("xai/work", "vault-helper")),
    ]
    with pytest.raises(NotFound) as caught:
        connect(link(command, "lab", agent="nobody"), target(state))
    assert "openclaw agents add nobody" in caught.value.message


def test_profiles_that_ask_are_taken_out_again(state: Path, command: str) -> None:
    without_runs(connect(link(command, "lab:work"), target(state)))
    asking = {"type": "api_key", "provider": "lab", "keyRef": ref("lab/work")}
    other = {"type": "api_key", "provider": "lab", "keyRef": ref("lab/work", "corp")}
    mine = {"version": 1, "profiles": {"lab:work": asking, "lab:other": other, "lab:own": KEY}}
    write_agent_database(
        agent_folder(state) / "openclaw-agent.sqlite", mine, {"order": {"lab": ["lab:work", "lab:own"]}}
    )
    assert connect(link(command, "lab:work"), target(state)).empty
    plan = disconnect(replace(target(state), commands=frozenset({command})))
    assert typed(plan) == [("logout", "lab:work", "--yes", "--agent", "main")]
    assert plan.removes == [state / "vault-connect.json"]
    assert "secrets" not in config(plan)
    assert "vault export openclaw" in plan.notes[0]


def test_a_json_store_gets_references_without_any_command(state: Path, command: str) -> None:
    folder = agent_folder(state)
    original = {"version": 1, "profiles": {"lab:old": KEY, "xai:a": {**KEY, "provider": "xai"}}, "novelty": 1}
    write_json(folder / "auth-profiles.json", original)
    with pytest.raises(NotFound) as caught:
        connect(link(command, "lab"), target(state))
    assert "its own lab:old before it asks" in caught.value.message
    plan = without_runs(connect(link(command, "lab:work"), target(state)))
    assert not plan.runs
    assert at(folder / "auth-profiles.json")["profiles"]["lab:work"] == {
        "type": "api_key",
        "provider": "lab",
        "keyRef": ref("lab/work"),
    }
    assert at(folder / "auth-state.json")["order"] == {"lab": ["lab:work", "lab:old"]}
    without_runs(disconnect(replace(target(state), commands=frozenset({command}))))
    assert at(folder / "auth-profiles.json") == original
    assert at(folder / "auth-state.json")["order"] == {"lab": ["lab:old"]}


def scrubbed(state: Path, command: str) -> Plan:
    found = openclaw.read(state, {}, state.parent).found
    return scrub(found, link(command), target(state))


SECRETS = {
    "lab:work": KEY | {"displayName": "Work"},
    "lab:tok": {"type": "token", "provider": "lab", "token": "fake-token", "expires": 1_795_400_000_000},
    "openai:me": {"type": "oauth", "provider": "openai", "access": "fake-a", "refresh": "fake-r", "expires": 1},
}


def test_secrets_of_a_json_store_become_references(state: Path, command: str) -> None:
    folder = agent_folder(state)
    write_json(folder / "auth-profiles.json", {"version": 1, "profiles": SECRETS, "order": {"lab": ["lab:tok"]}})
    plan = without_runs(scrubbed(state, command))
    assert not plan.runs
    assert at(folder / "auth-profiles.json") == {
        "version": 1,
        "profiles": {
            "lab:work": {"type": "api_key", "provider": "lab", "displayName": "Work", "keyRef": ref("lab/work")},
            "lab:tok": {"type": "token", "provider": "lab", "tokenRef": ref("lab/tok")},
            "openai:me": SECRETS["openai:me"],
        },
        "order": {"lab": ["lab:tok"]},
    }
    assert "vault" in at(state / "openclaw.json")["secrets"]["providers"]
    assert "login" in whys(plan)["openai:me"]


def test_secrets_of_a_database_become_references_after_a_trial(state: Path, command: str) -> None:
    shared = {"version": 1, "profiles": SECRETS}
    write_shared_database(state / "state" / "openclaw.sqlite", shared, {"order": {"lab": ["lab:tok", "lab:work"]}})
    plan = scrubbed(state, command)
    record = str(state / "vault-connect.json")
    assert [run.argv[1:] for run in plan.runs] == [
        ("secrets", "apply", "--from", record, "--allow-exec", "--dry-run"),
        ("models", "auth", "logout", "lab:work", "--yes", "--agent", "main"),
        ("models", "auth", "logout", "lab:tok", "--yes", "--agent", "main"),
        ("secrets", "apply", "--from", record, "--allow-exec"),
        ("models", "auth", "order", "set", "--provider", "lab", "--agent", "main", "lab:tok", "lab:work"),
    ]
    assert [run.changes for run in plan.runs] == [False, True, True, True, True]
    assert not any("fake-" in word for run in plan.runs for word in run.argv)
    assert all(b"fake-" not in write.content for write in plan.writes)
    assert "free pages" in plan.notes[-1]


def test_a_scrubbed_profile_that_a_list_excluded_stays_excluded(state: Path, command: str) -> None:
    profiles = {"version": 1, "profiles": {"lab:work": KEY, "lab:home": {**KEY, "keyRef": ref("x", "corp")}}}
    write_agent_database(agent_folder(state) / "openclaw-agent.sqlite", profiles, {"order": {"lab": ["lab:home"]}})
    runs: list[Run] = scrubbed(state, command).runs
    assert not any("order" in run.argv for run in runs)


def test_nothing_to_scrub_is_nothing_to_do(state: Path, command: str) -> None:
    write_json(
        agent_folder(state) / "auth-profiles.json", {"version": 1, "profiles": {"openai:me": SECRETS["openai:me"]}}
    )
    plan = scrubbed(state, command)
    assert plan.empty
    assert list(whys(plan)) == ["openai:me"]


def test_the_configuration_may_be_elsewhere(tmp_path: Path, command: str) -> None:
    elsewhere = write_json(tmp_path / "config" / "claw.json", {"gateway": {}})
    (tmp_path / ".openclaw").mkdir()
    place = Target({"OPENCLAW_CONFIG_PATH": str(elsewhere)}, tmp_path)
    plan = connect(link(command, "xai"), place)
    assert [write.path for write in plan.writes] == [elsewhere]
    assert plan.runs[0].environ == {}
    assert os.stat(elsewhere).st_mode & 0o777 == plan.writes[0].mode
