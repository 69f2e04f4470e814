"""What is written into OpenClaw's store where it is a database, by its own commands; and its lock."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tests.exporters.claw import NOW, agent_folder, order, out, target, typed, whys
from tests.importers.stores import snapshot, write_agent_database, write_json, write_shared_database
from vault.errors import InputError, TryAgain
from vault.events.credentials import OAuth, Reference, Token
from vault.interop import openclaw_documents
from vault.interop.openclaw_documents import locked
from vault.interop.openclaw_export import write
from vault.interop.plans import Target
from vault.values import HOUR

KEY = {"type": "api_key", "provider": "lab", "key": "fake-key-lab"}
REF = {"source": "exec", "provider": "vault", "id": "lab/work"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".openclaw"


@pytest.fixture
def json_state(state: Path) -> Path:
    """A store of the JSON kind with one profile."""
    write_json(
        agent_folder(state) / "auth-profiles.json", {"version": 1, "profiles": {"lab:work": KEY}, "novelty": [1]}
    )
    write_json(agent_folder(state) / "auth-state.json", {"version": 1, "lastGood": {"lab": "lab:work"}})
    return state


@pytest.fixture
def database(state: Path) -> Path:
    """A store of the database kind: two profiles that all agents share, one of the agent helper."""
    shared = {"lab:work": KEY, "together:main": {"type": "api_key", "provider": "together", "key": "fake-key-together"}}
    write_shared_database(state / "state" / "openclaw.sqlite", {"version": 1, "profiles": shared})
    mine = {"version": 1, "profiles": {"lab:own": {**KEY, "key": "fake-key-own"}}}
    write_agent_database(agent_folder(state, "helper") / "openclaw-agent.sqlite", mine)
    return state


def test_a_database_is_written_by_openclaws_own_commands(database: Path) -> None:
    setup_token = "sk-ant-oat01-" + "f" * 80
    outgoing = [
        out("lab:work", "fake-key-lab"),
        out("lab:home", "fake-key-home"),
        out("togetherai:main", "fake-key-new"),
        out("xai:manual", Token(token="fake-token", expires_at=NOW + HOUR)),
        out("anthropic:max", Token(token=setup_token)),
    ]
    before = snapshot(database)
    plan = write(outgoing, order("lab:home", "lab:work"), target(database))
    assert snapshot(database) == before
    assert not plan.writes
    assert typed(plan) == [
        ("paste-api-key", "--provider", "lab", "--profile-id", "lab:home", "--agent", "main"),
        ("paste-api-key", "--provider", "together", "--profile-id", "together:main", "--agent", "main"),
        ("paste-token", "--provider", "xai", "--profile-id", "xai:manual", "--agent", "main", "--expires-in", "3600s"),
        ("paste-token", "--provider", "anthropic", "--profile-id", "anthropic:max", "--agent", "main"),
        ("order", "set", "--provider", "lab", "--agent", "main", "lab:home", "lab:work"),
    ]
    assert [run.given and run.given.reveal() for run in plan.runs] == [
        "fake-key-home",
        "fake-key-new",
        "fake-token",
        setup_token,
        None,
    ]
    assert {run.environ["OPENCLAW_STATE_DIR"] for run in plan.runs} == {str(database)}
    assert not any("fake-" in word for run in plan.runs for word in (*run.argv, run.what, repr(run)))
    assert len(plan.written) == len(outgoing), "what is there already counts as written"


def test_what_commands_cannot_be_given_is_left_out(database: Path) -> None:
    plan = write(
        [
            out("openai:me", OAuth(access="fake-access", refresh="fake-refresh", expires_at=NOW + HOUR)),
            out("anthropic:work", Token(token="fake-token")),
            out("xai:ended", Token(token="fake-token", expires_at=NOW)),
            out("lab:env", Reference(scheme="env", target="LAB_KEY")),
        ],
        {},
        target(database),
    )
    assert plan.empty
    why = whys(plan)
    assert "vault connect openclaw" in why["openai:me"]
    assert "setup-token" in why["anthropic:work"]
    assert "ended" in why["xai:ended"]
    assert "vault connect openclaw" in why["lab:env"]


def test_an_agent_has_what_it_inherits(database: Path) -> None:
    outgoing = [
        out("lab:work", "fake-key-lab", "helper"),
        out("lab:own", "fake-key-own", "helper"),
        out("lab:new", "fake-key-new", "helper"),
    ]
    plan = write(outgoing, order("lab:new", "lab:work"), target(database))
    assert typed(plan) == [
        ("paste-api-key", "--provider", "lab", "--profile-id", "lab:new", "--agent", "helper"),
        ("order", "set", "--provider", "lab", "--agent", "helper", "lab:new", "lab:work"),
    ]


def test_an_order_alone_is_an_export_too(database: Path) -> None:
    state = {"version": 1, "order": {"lab": ["lab:work"]}}
    profiles = {"lab:work": KEY, "lab:home": {"type": "api_key", "provider": "lab", "keyRef": REF | {"id": "lab/home"}}}
    write_agent_database(agent_folder(database) / "openclaw-agent.sqlite", {"version": 1, "profiles": profiles}, state)
    outgoing = [out("lab:work", "fake-key-lab"), out("lab:home", "fake-key-home")]
    plan = write(outgoing, order("lab:home", "lab:work"), target(database))
    assert typed(plan) == [("order", "set", "--provider", "lab", "--agent", "main", "lab:home", "lab:work")]
    assert "reference" in whys(plan)["lab:home"]
    assert write(outgoing, order("lab:work"), target(database)).empty


def test_a_token_whose_end_openclaw_counted_anew_is_the_same(database: Path) -> None:
    there = {"type": "token", "provider": "xai", "token": "fake-token", "expires": (NOW + HOUR) // 1000 + 4_321}
    write_agent_database(
        agent_folder(database) / "openclaw-agent.sqlite", {"version": 1, "profiles": {"xai:manual": there}}
    )
    same = out("xai:manual", Token(token="fake-token", expires_at=NOW + HOUR))
    assert write([same], {}, target(database)).empty
    assert not write([out("xai:manual", Token(token="fake-token"))], {}, target(database)).empty


def test_a_database_that_is_named_itself_is_not_written(database: Path) -> None:
    with pytest.raises(InputError):
        write([out("lab:a", "fake-key")], {}, target(database / "state" / "openclaw.sqlite"))


def test_nothing_there_yet_is_for_openclaws_commands(tmp_path: Path) -> None:
    plan = write([out("groq:default", "fake-key")], {}, Target({}, tmp_path, None, NOW))
    assert [run.argv[3] for run in plan.runs] == ["paste-api-key"]
    assert plan.runs[0].environ == {}


def test_openclaws_lock_is_held_and_waited_for(json_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = agent_folder(json_state) / "auth-profiles.json.lock"
    with locked(target(json_state)):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert not lock.exists()
    write_json(lock, {"pid": os.getpid(), "createdAt": "2026-01-01T00:00:00.000Z"})
    waiting = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda _: (waiting.set(), threading.Event().wait(0.01)))
    entered = threading.Event()

    def export() -> None:
        with locked(target(json_state)):
            entered.set()

    thread = threading.Thread(target=export)
    thread.start()
    assert waiting.wait(30)
    assert not entered.is_set()
    lock.unlink()
    assert entered.wait(30)
    thread.join()


def test_a_lock_that_stays_is_try_again(json_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openclaw_documents, "LOCK_SECONDS", 0.0)
    lock = agent_folder(json_state) / "auth-profiles.json.lock"
    lock.mkdir()
    with pytest.raises(TryAgain), locked(target(json_state)):
        pass
    assert lock.is_dir()


@pytest.mark.parametrize("kind", ["dead", "old file", "old folder"])
def test_a_lock_that_nobody_holds_is_taken(kind: str, json_state: Path) -> None:
    lock = agent_folder(json_state) / "auth-profiles.json.lock"
    if kind == "old folder":
        lock.mkdir()
    else:
        pid = os.posix_spawn("/bin/true", ["true"], {})
        os.waitpid(pid, 0)
        write_json(lock, {"pid": pid if kind == "dead" else os.getpid()})
    if kind != "dead":
        os.utime(lock, (0, 0))
    with locked(target(json_state)):
        assert lock.is_file()
    assert not lock.exists()


def test_a_database_has_no_lock_of_ours(database: Path) -> None:
    before = snapshot(database)
    with locked(target(database)):
        assert snapshot(database) == before
