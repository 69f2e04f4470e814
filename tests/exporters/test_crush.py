"""Crush's files: read, written, connected, scrubbed. Crush can't be installed here: its documented rules are tested."""

from __future__ import annotations

import fcntl
import json
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from tests.exporters.round_trip import JSON, SECRETS, unknown
from vault.errors import InputError, NotFound, TryAgain
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Reference, Token
from vault.interop import crush
from vault.interop.crush_entries import asks_the_vault
from vault.interop.plans import Link, Outgoing, Target
from vault.values import MAIN_AGENT, AgentId, ProfileId

LINK = Link("/opt/my vault/bin/vault", MAIN_AGENT, ("openai", "copilot:work"))
LOGIN = {"access_token": "fake-a", "refresh_token": "fake-r", "expires_in": 3600, "expires_at": 1_795_400_000}
DATA: dict[str, Any] = {
    "providers": {
        "openai": {"api_key": "fake-openai", "x": 1},
        "gemini": {"api_key": "$GEMINI_API_KEY"},
        "hyper": {"api_key": "fake-a", "oauth": LOGIN},
        "copilot": {"api_key": "tid=fake", "oauth": LOGIN | {"access_token": "tid=fake", "refresh_token": "fake-ghu"}},
        "anthropic": {"oauth": LOGIN},
        "empty": {"name": "Local"},
    },
    "mcp": {"tracker": {"oauth_token": {"access_token": "fake-mcp"}}},
    "models": {"large": {"model": "a"}},
}


def one(profile: str, credential: AnyCredential, *, whole: bool = True) -> Outgoing:
    return Outgoing(MAIN_AGENT, ProfileId(profile), credential, whole=whole)


def store(folder: Path, document: object = DATA) -> Path:
    path = folder / "crush.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document, indent=2))
    return path


def test_keys_references_and_sign_ins(tmp_path: Path) -> None:
    findings = crush.read(store(tmp_path), {}, tmp_path)
    assert profiles(findings) == {
        "openai:default": "fake-openai",
        "google:default": None,
        "hyper:crush": "fake-a",
        "github-copilot:crush": "tid=fake",
    }
    assert {f.profile: f.ownership for f in findings.found} == {
        "openai:default": "vault",
        "google:default": "external",
        "hyper:crush": "external",
        "github-copilot:crush": "copy",
    }
    hyper = findings.found[2].credential
    assert isinstance(hyper, OAuth)
    assert (hyper.refresh, hyper.expires_at) == ("fake-r", 1_795_400_000_000_000)
    assert [s.name for s in findings.skipped] == ["anthropic", "mcp.tracker"]


def test_the_data_file_comes_first(tmp_path: Path) -> None:
    data, config = crush.places({}, tmp_path)
    for path, key in ((data, "fake-data"), (config, "fake-config")):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"providers": {"openai": {"api_key": key}}}))
    findings = crush.read(None, {}, tmp_path)
    assert profiles(findings) == {"openai:default": "fake-data"}
    assert findings.skipped[0].path == str(config)


PROVIDERS = st.fixed_dictionaries(
    {},
    optional={
        "openai": st.builds(lambda key, more: more | {"api_key": key}, SECRETS, unknown("api_key")),
        "gemini": st.sampled_from([{"api_key": "$A_KEY"}, {"api_key": "${A_KEY}"}, {"api_key": "$(pass show a (b))"}]),
        "hyper": st.builds(
            lambda a, r, more: {"api_key": a, "oauth": more | LOGIN | {"access_token": a, "refresh_token": r}},
            SECRETS,
            SECRETS,
            unknown(*LOGIN),
        ),
        "my.lab": st.builds(lambda key: {"api_key": key, "base_url": "http://127.0.0.1:9"}, SECRETS),
    },
)


@given(PROVIDERS, unknown("providers", "mcp"), JSON)
def test_read_and_written_is_the_same_document(providers: dict[str, Any], more: dict[str, Any], other: Any) -> None:
    document = more | {"models": other, "providers": providers}
    with tempfile.TemporaryDirectory() as name:
        path = store(Path(name), document)
        found = crush.read(path, {}, Path(name)).found
        assert len(found) == len(providers)
        plan = crush.write(outgoing(found), {}, target(path))
        assert plan.empty
        assert len(plan.written) == len(providers)
        fresh = Path(name) / "fresh" / "crush.json"
        put(crush.write(outgoing(found), {}, target(fresh)))
        again = crush.read(fresh, {}, Path(name)).found if providers else []
        assert [(f.profile, f.credential) for f in again] == [(f.profile, f.credential) for f in found]


SHELLY = st.text(st.sampled_from("ab$`\\(){}~*|&;<> #!-"), min_size=1, max_size=12).map(lambda t: f"fake{t}x")


@given(SHELLY)
def test_a_key_a_shell_would_read_is_escaped(key: str) -> None:
    """A shell's own here-document is what Crush's documentation compares its values with, so a shell judges."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "crush.json"
        put(crush.write([one("openai:default", ApiKey(key=key))], {}, target(path)))
        written = json.loads(path.read_text())["providers"]["openai"]["api_key"]
        assert profiles(crush.read(path, {}, Path(name))) == {"openai:default": key}
        done = subprocess.run(
            ["sh"], input=f"cat <<E_O_F\n{written}\nE_O_F\n", capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{key}\n"


@pytest.mark.parametrize("value", ["a$B", "$A$B", "`x`", "$(a)$(b)", "${A:-d}", "$(a", "'a$b'"])
def test_a_value_of_several_parts_is_named_and_never_run(tmp_path: Path, value: str) -> None:
    findings = crush.read(store(tmp_path, {"providers": {"openai": {"api_key": value}}}), {}, tmp_path)
    assert findings.found == []
    assert "several parts" in findings.skipped[0].why


def test_connected_it_asks_and_disconnected_it_is_as_it_was(tmp_path: Path) -> None:
    path = store(tmp_path, {"models": {}, "providers": {"groq": {"api_key": "fake-groq"}}})
    before = path.read_bytes()
    put(crush.connect(LINK, target(path)))
    providers = json.loads(path.read_text())["providers"]
    assert providers["groq"] == {"api_key": "fake-groq"}
    value = providers["copilot"]["api_key"]
    assert shlex.split(value[2:-1]) == [LINK.command, "helper", "token", "copilot:work", "--tool", "crush"]
    assert asks_the_vault(value)
    assert crush.read(path, {}, tmp_path).skipped[0].why == "it asks the vault already"
    assert crush.connect(LINK, target(path)).empty
    put(crush.disconnect(target(path)))
    assert path.read_bytes() == before


def test_connecting_keeps_what_is_there(tmp_path: Path) -> None:
    path = store(tmp_path)
    plan = crush.connect(Link("vault", AgentId("bot"), ("openai", "hyper", "groq")), target(path))
    assert [s.name for s in plan.left_out] == ["openai", "hyper"]
    assert "--scrub" in plan.left_out[0].why
    assert "crush logout hyper" in plan.left_out[1].why
    assert plan.writes[0].secret
    assert json.loads(plan.writes[0].content)["providers"]["groq"] == {
        "api_key": "$(vault helper token groq --tool crush --agent bot)"
    }


def test_a_new_file_without_secrets_may_be_shown(tmp_path: Path) -> None:
    (write,) = crush.connect(Link("vault", MAIN_AGENT, ("openai",)), target(tmp_path / "crush.json")).writes
    assert not write.secret
    assert crush.disconnect(target(tmp_path / "crush.json")).empty


@pytest.mark.parametrize(
    "value", ["$(cat key)", "fake", "$(vault get x)", "x $(vault helper token a)", "$(echo helper token)", None]
)
def test_what_does_not_ask_the_vault(value: object) -> None:
    assert not asks_the_vault(value)


def test_scrubbed_only_the_key_is_replaced(tmp_path: Path) -> None:
    path = store(tmp_path)
    findings = crush.read(path, {}, tmp_path)
    plan = crush.scrub(findings.found, LINK, target(path))
    put(plan)
    document = json.loads(path.read_text())
    assert asks_the_vault(document["providers"]["openai"].pop("api_key"))
    assert document["providers"]["openai"] == {"x": 1}
    assert document["providers"]["hyper"] == DATA["providers"]["hyper"]
    assert {s.name for s in plan.left_out} == {"google:default", "hyper:crush", "github-copilot:crush"}
    again = crush.scrub(findings.found, LINK, target(path))
    assert again.empty
    assert "openai:default" in {s.name for s in again.left_out}


@pytest.mark.parametrize(
    ("profile", "credential", "whole", "why"),
    [
        ("hyper:default", OAuth(access="fake", refresh="fake-x", expires_at=1), False, "vault connect crush"),
        ("hyper:default", OAuth(access="fake", refresh="fake-x", expires_at=1), True, "newer login"),
        ("hyper:default", ApiKey(key="fake"), True, "crush logout hyper"),
        ("openai:default", OAuth(access="fake", refresh="fake-x"), True, "vault connect crush"),
        ("openai:default", ApiKey(key="fake'quote"), True, "quotes"),
        ("github-copilot:octo", Token(token="fake-ghu"), True, "crush login copilot"),
        ("openai:default", Reference(scheme="keychain", target="x"), True, "vault connect crush"),
    ],
)
def test_what_it_can_not_keep_is_left_out(
    tmp_path: Path, profile: str, credential: AnyCredential, whole: bool, why: str
) -> None:
    plan = crush.write([one(profile, credential, whole=whole)], {}, target(store(tmp_path)))
    assert plan.empty
    assert why in plan.left_out[0].why


def test_a_login_goes_in_whole(tmp_path: Path) -> None:
    login = OAuth(access="tid=fake", refresh="fake-ghu", expires_at=2_000_000_000)
    plan = crush.write(
        [one("github-copilot:default", login)], {}, Target({}, tmp_path, tmp_path / "c.json", 1_000_000_000)
    )
    assert json.loads(plan.writes[0].content)["providers"] == {
        "copilot": {
            "api_key": "tid=fake",
            "oauth": {"access_token": "tid=fake", "refresh_token": "fake-ghu", "expires_at": 2000, "expires_in": 1000},
        }
    }
    assert plan.written[0].whole


def test_a_child_gets_the_names_of_crushs_list(tmp_path: Path) -> None:
    injection = crush.inject([one("io-net:default", Token(token="fake"))], target(tmp_path))
    assert injection.variables["IONET_API_KEY"].reveal() == "fake"
    assert "CRUSH_IONET_API_KEY" in injection.remove
    assert crush.inject([one("github-copilot:octo", Token(token="fake"))], target(tmp_path)).variables == {}


def test_crushs_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crush, "_LOCK_SECONDS", 0.05)
    path = store(tmp_path)
    with crush.lock(target(path)):
        assert not (tmp_path / "locks").exists()
    (tmp_path / "locks").mkdir()
    with (
        crush.lock(target(path)),
        (tmp_path / "locks" / "hyper.refresh.lock").open("w") as other,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "locks" / "hyper.refresh.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TryAgain, match="writing to Crush's sign-in at hyper"), crush.lock(target(path)):
            pass


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00\x01", '{"providers": []}'])
def test_damage_is_told_and_left_alone(tmp_path: Path, content: str) -> None:
    path = store(tmp_path, content)
    for act in (
        lambda: crush.read(path, {}, tmp_path),
        lambda: crush.write([], {}, target(path)),
        lambda: crush.connect(LINK, target(path)),
        lambda: crush.disconnect(target(path)),
    ):
        with pytest.raises(InputError, match=r"crush\.json"):
            act()
    assert path.read_text() == content


def test_where_it_is(tmp_path: Path) -> None:
    assert crush.places({"CRUSH_GLOBAL_DATA": "/fake/d", "CRUSH_GLOBAL_CONFIG": "/fake/c"}, tmp_path) == [
        Path("/fake/d/crush.json"),
        Path("/fake/c/crush.json"),
    ]
    assert crush.places({"XDG_DATA_HOME": "/fake/d", "XDG_CONFIG_HOME": "/fake/c"}, tmp_path) == [
        Path("/fake/d/crush/crush.json"),
        Path("/fake/c/crush/crush.json"),
    ]
    assert crush.places({}, tmp_path)[0] == tmp_path / ".local" / "share" / "crush" / "crush.json"
    with pytest.raises(NotFound):
        crush.read(None, {}, tmp_path)
