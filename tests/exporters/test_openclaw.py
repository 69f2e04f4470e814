"""What is written into OpenClaw's store: whole files where it is JSON, its own commands where it is a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exporters.claw import agent_folder, order, out, target, whys
from tests.exporters.round_trip import SECRETS, at, done, kept, unknown
from tests.importers.stores import by_profile, snapshot, write_json
from vault.errors import InputError
from vault.events.credentials import ApiKey, Cloud, OAuth, Reference, Token, WellKnown
from vault.interop import openclaw
from vault.interop.openclaw_export import write
from vault.interop.plans import Outgoing, Plan

LATER_MS = 1_795_400_000_000
KEY = {"type": "api_key", "provider": "lab", "key": "fake-key-lab"}
LOGIN = {
    "type": "oauth",
    "provider": "openai",
    "access": "fake-access",
    "refresh": "fake-refresh",
    "expires": LATER_MS,
    "email": "me@example.com",
}
FENCE = "openclaw-oauth-refresh-fence:v1:" + "a" * 32
REF = {"source": "exec", "provider": "vault", "id": "lab/work"}


def names(plan: Plan) -> dict[str, str]:
    return {one.profile: one.name for one in plan.written}


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


def test_json_gets_entries_in_its_types_and_the_order(json_state: Path) -> None:
    outgoing = [
        out("lab:work", "fake-key-new"),
        out("lab:home", Token(token="fake-token", expires_at=LATER_MS * 1000, metadata={"displayName": "Home"})),
        out("togetherai:main", ApiKey(key="fake-key-together", metadata={"gateway": "g"}, extra={"novel": {"a": 1}})),
        out(
            "openai:me@example.com",
            OAuth(
                access="fake-access",
                refresh="fake-refresh",
                expires_at=LATER_MS * 1000 + 999,
                account={"email": "me@example.com", "accountId": "account-1"},
                id_token="fake-id",
            ),
        ),
    ]
    plan = done(write(outgoing, order("lab:home", "lab:work"), target(json_state)))
    stored = at(agent_folder(json_state) / "auth-profiles.json")
    assert stored == {
        "version": 1,
        "profiles": {
            "lab:work": {**KEY, "key": "fake-key-new"},
            "lab:home": {
                "type": "token",
                "provider": "lab",
                "token": "fake-token",
                "expires": LATER_MS,
                "displayName": "Home",
            },
            "together:main": {
                "type": "api_key",
                "provider": "together",
                "key": "fake-key-together",
                "metadata": {"gateway": "g"},
                "novel": {"a": 1},
            },
            "openai:me@example.com": LOGIN | {"accountId": "account-1", "idToken": "fake-id"},
        },
        "novelty": [1],
    }
    assert at(agent_folder(json_state) / "auth-state.json") == {
        "version": 1,
        "lastGood": {"lab": "lab:work"},
        "order": {"lab": ["lab:home", "lab:work"]},
    }
    assert {path.stat().st_mode & 0o777 for path in agent_folder(json_state).iterdir()} == {0o600}
    assert [one.whole for one in plan.written] == [False, False, False, True]
    assert {one.path for one in plan.written} == {str(json_state)}
    assert "doctor" in plan.notes[0]
    again = write(outgoing, order("lab:home", "lab:work"), target(json_state))
    assert again.empty
    assert names(again) == names(plan)


def test_the_oldest_store_keeps_its_order_in_its_one_file(state: Path) -> None:
    path = agent_folder(state) / "auth-profiles.json"
    write_json(path, {"version": 1, "profiles": {"lab:work": KEY}, "order": {"lab": ["lab:work"], "xai": ["xai:a"]}})
    done(write([out("lab:home", "fake-key-home")], order("lab:home", "lab:work"), target(state)))
    assert at(path)["order"] == {"lab": ["lab:home", "lab:work"], "xai": ["xai:a"]}
    assert [entry.name for entry in agent_folder(state).iterdir()] == ["auth-profiles.json"]


def test_what_is_written_joins_a_list_that_excludes_it(json_state: Path) -> None:
    write_json(agent_folder(json_state) / "auth-state.json", {"version": 1, "order": {"lab": ["lab:work"]}})
    done(write([out("lab:home", "fake-key-home")], {}, target(json_state)))
    assert at(agent_folder(json_state) / "auth-state.json")["order"] == {"lab": ["lab:work", "lab:home"]}
    write_json(agent_folder(json_state) / "auth-state.json", {"version": 1})
    write_json(
        json_state / "openclaw.json", {"auth": {"profiles": {"lab:work": {"provider": "lab", "mode": "api_key"}}}}
    )
    done(write([out("lab:third", "fake-key-third")], {}, target(json_state)))
    assert at(agent_folder(json_state) / "auth-state.json")["order"] == {"lab": ["lab:work", "lab:third"]}


def test_what_an_entry_has_besides_its_secret_stays(json_state: Path) -> None:
    path = agent_folder(json_state) / "auth-profiles.json"
    old = KEY | {"copyToAgents": False, "email": "me@example.com", "novelty": 1}
    write_json(path, {"version": 1, "profiles": {"lab:work": old, "broken": 7, "x:y": {"type": "passkey"}}})
    done(write([out("lab:work", Token(token="fake-token"))], {}, target(json_state)))
    profiles = at(path)["profiles"]
    assert profiles.pop("lab:work") == {
        "type": "token",
        "provider": "lab",
        "token": "fake-token",
        "copyToAgents": False,
        "email": "me@example.com",
        "novelty": 1,
    }
    assert profiles == {"broken": 7, "x:y": {"type": "passkey"}}


def test_one_file_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "somewhere" / "auth-profiles.json"
    plan = done(write([out("lab:work", "fake-key")], order("lab:work"), target(path)))
    assert at(path)["profiles"]["lab:work"]["key"] == "fake-key"
    assert at(path.with_name("auth-state.json"))["order"] == {"lab": ["lab:work"]}
    assert {one.path for one in plan.written} == {str(path)}
    assert write([out("lab:work", "fake-key")], order("lab:work"), target(path)).empty


def test_a_link_keeps_pointing_where_it_did(json_state: Path, tmp_path: Path) -> None:
    path = agent_folder(json_state) / "auth-profiles.json"
    path.rename(tmp_path / "real.json")
    path.symlink_to(Path("../../../../real.json"))
    done(write([out("lab:work", "fake-key-new")], {}, target(json_state)))
    assert path.is_symlink()
    assert at(tmp_path / "real.json")["profiles"]["lab:work"]["key"] == "fake-key-new"


@pytest.mark.parametrize(
    "content", ["", "{", '{"profiles": []}', '{"profiles": {"lab:work"', "[]", '{"lab": {"key": "k"}}']
)
def test_a_damaged_store_is_one_sentence_and_stays(content: str, json_state: Path) -> None:
    path = agent_folder(json_state) / "auth-profiles.json"
    path.write_text(content)
    before = snapshot(json_state)
    with pytest.raises(InputError) as caught:
        write([out("lab:home", "fake-key-home")], {}, target(json_state))
    assert str(path) in caught.value.message
    assert "fake-key" not in str(caught.value)
    assert snapshot(json_state) == before


def test_what_has_no_place_says_what_to_do(json_state: Path) -> None:
    rotating = OAuth(access="fake-access", refresh="fake-refresh", expires_at=LATER_MS * 1000)
    stored = at(agent_folder(json_state) / "auth-profiles.json")
    stored["profiles"] |= {
        "openai:busy": LOGIN | {"access": f"{FENCE}:access:{'b' * 64}", "refresh": f"{FENCE}:refresh:{'c' * 64}"},
        "xai:asks": {"type": "api_key", "provider": "xai", "keyRef": REF},
    }
    write_json(agent_folder(json_state) / "auth-profiles.json", stored)
    config = {"auth": {"profiles": {"groq:a": {"provider": "groq", "mode": "token"}}}}
    write_json(json_state / "openclaw.json", config)
    plan = write(
        [
            out("openai:kept", rotating, whole=False),
            out("openai:busy", "fake-key"),
            out("openai:timeless", OAuth(access="fake-access")),
            out("xai:asks", "fake-key"),
            out("groq:a", "fake-key"),
            out("example.com:default", WellKnown(url="https://example.com", env="X", token="fake-token")),
            out("amazon-bedrock:default", Cloud(mode="profile")),
            out("lab:ref", Reference(scheme="keyring", target="service/user")),
            out("lab:far", "fake-key", "nobody"),
        ],
        {},
        target(json_state),
    )
    assert plan.empty
    assert not plan.written
    why = whys(plan)
    assert "vault connect openclaw" in why["openai:kept"]
    assert "refreshing" in why["openai:busy"]
    assert "ends" in why["openai:timeless"]
    assert "reference" in why["xai:asks"]
    assert "kind token" in why["groq:a"]
    assert "no place" in why["example.com:default"]
    assert "cloud" in why["amazon-bedrock:default"]
    assert "vault connect openclaw" in why["lab:ref"]
    assert "openclaw agents add nobody" in why["lab:far"]


def test_a_variable_is_written_as_a_reference(json_state: Path) -> None:
    done(write([out("lab:env", Reference(scheme="env", target="LAB_KEY"))], {}, target(json_state)))
    assert at(agent_folder(json_state) / "auth-profiles.json")["profiles"]["lab:env"] == {
        "type": "api_key",
        "provider": "lab",
        "keyRef": {"source": "env", "provider": "default", "id": "LAB_KEY"},
    }


IDS = st.sampled_from(["lab", "groq", "xai", "deepseek"])
NAMES = st.text("abcdefgh@.-_", min_size=1, max_size=8).filter(lambda name: name[0] not in "-:")
TEXTS = st.text("abc XYZ", min_size=1, max_size=6)
LABELS = st.fixed_dictionaries({}, optional={"email": TEXTS, "displayName": TEXTS})
METADATA = st.fixed_dictionaries(
    {}, optional={"metadata": st.dictionaries(st.sampled_from(["gateway", "team"]), TEXTS, min_size=1)}
)
ENDS = st.integers(1, 253_402_300_799_000)
REFS = st.fixed_dictionaries(
    {"source": st.sampled_from(["exec", "file", "store"]), "provider": st.just("corp"), "id": st.just("A_1")}
)
BODIES = (
    st.fixed_dictionaries({"type": st.just("api_key"), "key": SECRETS})
    | st.fixed_dictionaries({"type": st.just("api_key"), "keyRef": REFS})
    | st.fixed_dictionaries({"type": st.just("token"), "token": SECRETS}, optional={"expires": ENDS})
    | st.fixed_dictionaries(
        {"type": st.just("oauth"), "access": SECRETS, "refresh": SECRETS, "expires": ENDS},
        optional={"idToken": SECRETS, "accountId": TEXTS, "clientId": TEXTS, "copyToAgents": st.booleans()},
    )
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A store as OpenClaw writes it, with fields that nobody knows."""
    profiles: dict[str, Any] = {}
    logins = set[str]()
    for provider, name in draw(st.lists(st.tuples(IDS, NAMES), unique=True, max_size=5)):
        entry = {"provider": provider} | draw(BODIES) | draw(LABELS) | draw(METADATA) | draw(unknown())
        if entry.get("refresh") not in logins:
            profiles[f"{provider}:{name}"] = entry
            logins |= {entry["refresh"]} if "refresh" in entry else set()
    return {"version": 1, "profiles": profiles} | draw(unknown())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents())
def test_a_document_that_is_read_and_written_again_is_the_same(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("claw") / "auth-profiles.json"
    write_json(path, document)
    before = snapshot(path.parent)
    findings = openclaw.read(path, {}, path.parent)
    assert sorted(by_profile(findings)) == sorted(document["profiles"])
    outgoing: Sequence[Outgoing] = kept(findings.found)
    over = write(outgoing, {}, target(path))
    assert over.empty
    assert snapshot(path.parent) == before
    elsewhere = tmp_path_factory.mktemp("claw") / "auth-profiles.json"
    plan = done(write(outgoing, {}, target(elsewhere)))
    assert not plan.left_out
    if document["profiles"]:
        assert at(elsewhere) == {"version": 1, "profiles": document["profiles"]}
