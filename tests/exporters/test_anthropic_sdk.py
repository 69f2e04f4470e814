"""Profiles written for the Anthropic SDKs: access tokens alone, and nobody's sign-in overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.round_trip import SECRETS, at, done, kept, target, unknown
from tests.importers.stores import write_json
from vault.errors import InputError
from vault.events.credentials import ApiKey, OAuth, Reference, Token
from vault.interop import anthropic_sdk
from vault.interop.plans import Outgoing, Plan
from vault.values import MAIN_AGENT, ProfileId, ProviderId

TOOL = anthropic_sdk.TOOL
EXPIRES = 1_795_400_000
ANTHROPIC = ProviderId("anthropic")

TOKENS = st.builds(
    lambda required, optional, more: required | optional | more,
    st.fixed_dictionaries({"access_token": SECRETS}),
    st.fixed_dictionaries(
        {},
        optional={
            "version": st.just("1.0"),
            "type": st.just("oauth_token"),
            "refresh_token": SECRETS,
            "expires_at": st.integers(1, 9_000_000_000) | st.floats(1, 9e9) | st.none(),
            "scope": st.sampled_from(["", "a", "a b", "a  b"]) | st.none(),
        },
    ),
    unknown(),
)
CONFIGS = st.builds(
    lambda how, optional, more: {"authentication": {"type": "user_oauth", **how}, **optional, **more},
    unknown() | st.just({"client_id": "client-1", "credentials_path": None}),
    st.fixed_dictionaries({}, optional={"version": st.just("1.0"), "organization_id": st.just("org-1")}),
    unknown(),
)


def outgoing(name: str, credential: Any, whole: bool = True) -> Outgoing:
    return Outgoing(MAIN_AGENT, ProfileId(f"anthropic:{name}"), credential, whole=whole)


def write(home: Path, *wanted: Outgoing, order: tuple[str, ...] = ()) -> Plan:
    assert TOOL.write is not None
    return TOOL.write(wanted, {ANTHROPIC: [ProfileId(p) for p in order]}, target(home))


def folder_of(home: Path) -> Path:
    return home / ".config" / "anthropic"


@given(tokens=TOKENS, config=CONFIGS)
def test_a_profile_is_put_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, tokens: Any, config: Any) -> None:
    home, empty = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("empty")
    write_json(folder_of(home) / "credentials" / "work.json", tokens)
    write_json(folder_of(home) / "configs" / "work.json", config)
    found = kept(anthropic_sdk.read(None, {}, home).found)
    for place in (home, empty):
        (written,) = done(write(place, *found)).written
        assert (written.name, written.whole) == ("work", "refresh_token" in tokens)
        assert at(folder_of(place) / "credentials" / "work.json") == tokens
        assert at(folder_of(place) / "configs" / "work.json") == config
        assert anthropic_sdk.read(None, {}, place).found[0].credential == found[0].credential


def test_a_token_becomes_a_profile_without_a_client(tmp_path: Path) -> None:
    login = OAuth(access="fake-access-1", refresh="fake-refresh-1", expires_at=EXPIRES * 1_000_000, scopes=["a", "b"])
    plan = done(write(tmp_path, outgoing("work", login, whole=False)))
    folder = folder_of(tmp_path)
    assert at(folder / "credentials" / "work.json") == {
        "version": "1.0",
        "type": "oauth_token",
        "access_token": "fake-access-1",
        "expires_at": EXPIRES,
        "scope": "a b",
    }
    assert at(folder / "configs" / "work.json") == {
        "version": "1.0",
        "authentication": {"type": "user_oauth"},
        "written_by": "agent-vault",
    }
    assert (folder / "active_config").read_text() == "work\n"
    assert (folder / "credentials" / "work.json").stat().st_mode & 0o777 == 0o600
    assert [(w.name, w.whole, w.path) for w in plan.written] == [
        ("work", False, str(folder / "credentials" / "work.json"))
    ]
    assert b"fake-" not in b"".join(w.content for w in plan.writes if not w.secret)


def test_a_new_token_replaces_the_vaults_own_and_keeps_what_was_added(tmp_path: Path) -> None:
    done(write(tmp_path, outgoing("work", Token(token="fake-token-1", expires_at=EXPIRES * 1_000_000))))
    folder = folder_of(tmp_path)
    config, tokens = folder / "configs" / "work.json", folder / "credentials" / "work.json"
    write_json(config, at(config) | {"base_url": "https://gateway.example"})
    write_json(tokens, at(tokens) | {"x": 1})
    done(write(tmp_path, outgoing("work", Token(token="fake-token-2"))))
    assert at(config)["base_url"] == "https://gateway.example"
    assert at(tokens) == {"version": "1.0", "type": "oauth_token", "access_token": "fake-token-2", "x": 1}


def test_the_first_in_order_is_made_active_in_an_empty_folder_only(tmp_path: Path) -> None:
    wanted = [outgoing("a", Token(token="fake-token-a")), outgoing("b", Token(token="fake-token-b"))]
    plan = done(write(tmp_path, *wanted, order=("anthropic:b", "anthropic:a")))
    assert (folder_of(tmp_path) / "active_config").read_text() == "b\n"
    assert plan.notes == ["a program selects it with ANTHROPIC_PROFILE=a"]
    done(write(tmp_path, *wanted))
    assert (folder_of(tmp_path) / "active_config").read_text() == "b\n"
    other = tmp_path / "other"
    done(write(other, outgoing("default", Token(token="fake-token-c"))))
    assert not (folder_of(other) / "active_config").exists()


def test_somebodys_sign_in_is_not_overwritten(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    write_json(folder / "configs" / "work.json", {"authentication": {"type": "user_oauth", "client_id": "c"}})
    write_json(folder / "credentials" / "work.json", {"access_token": "fake-access-1", "refresh_token": "fake-r"})
    plan = write(tmp_path, outgoing("work", Token(token="fake-token-1")))
    assert plan.empty
    assert "somebody signed in" in plan.left_out[0].why


def test_a_newer_login_stays_and_a_half_one_is_not_put_back(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    config = {"authentication": {"type": "user_oauth", "client_id": "c"}}
    tokens = {"access_token": "fake-access-1", "refresh_token": "fake-refresh-1", "expires_at": EXPIRES}
    write_json(folder / "configs" / "work.json", config)
    write_json(folder / "credentials" / "work.json", tokens)
    found = anthropic_sdk.read(None, {}, tmp_path).found
    newer = tokens | {"refresh_token": "fake-refresh-2", "expires_at": EXPIRES + 1}
    write_json(folder / "credentials" / "work.json", newer)
    assert "a newer login" in write(tmp_path, *kept(found)).left_out[0].why
    assert "handed over whole" in write(tmp_path, *kept(found, whole=False)).left_out[0].why


@pytest.mark.parametrize(
    ("name", "credential", "why"),
    [
        ("key", ApiKey(key="fake-key-1"), "ANTHROPIC_API_KEY"),
        ("reference", Reference(scheme="env", target="X"), "another kind"),
        ("claude-code", OAuth(access="fake-access", extra={"claude_code": {}}), "Claude Code's login"),
        ("ended", Token(token="fake-token", expires_at=1), "has ended"),
        ("a/b", Token(token="fake-token"), "can't be the name"),
        (".a", Token(token="fake-token"), "can't be the name"),
    ],
)
def test_what_is_no_profile_is_left_out(tmp_path: Path, name: str, credential: Any, why: str) -> None:
    plan = write(tmp_path, outgoing(name, credential))
    assert plan.empty
    assert why in plan.left_out[0].why


def test_a_link_and_a_damaged_profile_are_left_alone(tmp_path: Path) -> None:
    done(write(tmp_path, outgoing("work", Token(token="fake-token-1"))))
    tokens = folder_of(tmp_path) / "credentials" / "work.json"
    real = tmp_path / "real.json"
    tokens.rename(real)
    tokens.symlink_to(real)
    assert "symbolic link" in write(tmp_path, outgoing("work", Token(token="fake-token-2"))).left_out[0].why
    real.write_text("{")
    with pytest.raises(InputError, match="is not valid JSON"):
        write(tmp_path, outgoing("work", Token(token="fake-token-2")))


def test_a_setup_tokens_limit_is_told(tmp_path: Path) -> None:
    plan = write(tmp_path, outgoing("default", Token(token="sk-ant-oat01-fake-setup")))
    assert any("only authorized for use with Claude Code" in note for note in plan.notes)


def test_two_folders_are_told(tmp_path: Path) -> None:
    assert TOOL.write is not None
    one = outgoing("default", Token(token="fake-token-1"))
    places = {str(tmp_path / "config"): 1, str(tmp_path / ".config"): 0, "": 0}
    for place, notes in places.items():
        plan = TOOL.write([one], {}, target(tmp_path, XDG_CONFIG_HOME=place))
        assert len(plan.notes) == notes
        assert plan.writes[0].path == folder_of(tmp_path) / "credentials" / "default.json"


def test_a_file_of_a_profile_names_the_folder(tmp_path: Path) -> None:
    from dataclasses import replace

    assert TOOL.write is not None
    path = tmp_path / "x" / "credentials" / "work.json"
    plan = TOOL.write([outgoing("work", Token(token="fake-token-1"))], {}, replace(target(tmp_path), path=path))
    assert plan.writes[0].path == path
