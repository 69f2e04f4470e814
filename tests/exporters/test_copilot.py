"""Copilot's files, the editors' and the CLI's: read, written, and given to a child."""

from __future__ import annotations

import json
import shlex
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from tests.exporters.round_trip import SECRETS, unknown
from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Token
from vault.interop import copilot
from vault.interop.plans import Outgoing, Target
from vault.values import MAIN_AGENT, AgentId, ProfileId

APPS = {
    "github.com:Iv1.b507a08c87ecfe98": {
        "user": "octo",
        "oauth_token": "fake-ghu-1",
        "githubAppId": "Iv1.b507a08c87ecfe98",
    },
    "git.example.com:Iv1.x": {"user": "octo", "oauth_token": "fake-ghu-2"},
}
CONFIG = """\
// User settings belong in settings.json.
// This file is managed automatically.
{
  "loggedInUsers": [
    { "host": "https://github.com", "login": "octo" },
    { "host": "https://github.com", "login": "work" },
    { "host": "https://github.com", "login": "kept" }
  ],
  "lastLoggedInUser": { "host": "https://github.com", "login": "work" },
  "copilotTokens": { "https://github.com:octo": "fake-gho-1", "https://github.com:work": "fake-gho-2" }
}
"""


def one(profile: str, credential: AnyCredential, *, whole: bool = True, agent: str = MAIN_AGENT) -> Outgoing:
    return Outgoing(AgentId(agent), ProfileId(profile), credential, whole=whole)


def store(home: Path) -> Path:
    """All three files, where they are."""
    editors = home / ".config" / "github-copilot"
    editors.mkdir(parents=True)
    (editors / "apps.json").write_text(json.dumps(APPS))
    (editors / "hosts.json").write_text('{"github.com": {"user": "octo", "oauth_token": "fake-gho-0"}}')
    (home / ".copilot").mkdir()
    (home / ".copilot" / "config.json").write_text(CONFIG)
    return home


def test_every_account_is_a_profile(tmp_path: Path) -> None:
    findings = copilot.read(None, {}, store(tmp_path))
    assert profiles(findings) == {
        "github-copilot:octo": "fake-ghu-1",
        "github-copilot:octo@git.example.com": "fake-ghu-2",
        "github-copilot:octo-hosts": "fake-gho-0",
        "github-copilot:work": "fake-gho-2",
        "github-copilot:octo-cli": "fake-gho-1",
    }
    assert {f.ownership for f in findings.found} == {"copy"}
    for found in findings.found:
        login = found.credential
        assert isinstance(login, OAuth)
        assert (login.refresh, login.expires_at) == (login.access, 0), "it wants an exchange before its first use"
        assert login.metadata["client"] == "github-copilot-editor"
    assert findings.found[1].credential.metadata["enterpriseUrl"] == "https://git.example.com"
    assert [(s.name, "keyring" in s.why) for s in findings.skipped] == [("https://github.com:kept", True)]
    (order,) = findings.orders
    assert order.profiles == tuple(f.profile for f in findings.found)


def test_the_same_token_twice_is_one_profile(tmp_path: Path) -> None:
    store(tmp_path)
    hosts = tmp_path / ".config" / "github-copilot" / "hosts.json"
    hosts.write_text('{"github.com": {"user": "octo", "oauth_token": "fake-ghu-1"}}')
    findings = copilot.read(None, {}, tmp_path)
    assert "github-copilot:octo-hosts" not in profiles(findings)
    assert [s.why for s in findings.skipped if s.path == str(hosts)] == ["it is the same as github-copilot:octo"]


def test_written_over_itself_every_file_is_the_same(tmp_path: Path) -> None:
    store(tmp_path)
    found = copilot.read(None, {}, tmp_path).found
    plan = copilot.write(outgoing(found), {}, Target({}, tmp_path))
    assert plan.empty
    assert len(plan.written) == 5
    config = tmp_path / ".copilot" / "config.json"
    config.write_text(CONFIG.replace("fake-gho-1", "fake-old"))
    put(copilot.write(outgoing(found), {}, Target({}, tmp_path)))
    assert config.read_text().startswith("// User settings belong in settings.json.\n// This file")
    again = copilot.read(config, {}, tmp_path)
    assert profiles(again)["github-copilot:octo"] == "fake-gho-1"
    assert "lastLoggedInUser" in config.read_text()


@given(
    st.dictionaries(
        st.sampled_from(["github.com:Iv1.a", "github.com:Iv1.b", "git.example.com:Iv1.a", "github.com"]),
        st.tuples(st.none() | st.sampled_from(["octo", "work"]), SECRETS, unknown("user", "oauth_token")),
        min_size=1,
        max_size=4,
    )
)
def test_read_and_written_is_the_same_document(entries: dict[str, tuple[str | None, str, dict[str, Any]]]) -> None:
    document = {
        key: more | ({"user": user} if user else {}) | {"oauth_token": f"{token}-{number}"}
        for number, (key, (user, token, more)) in enumerate(entries.items())
    }
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "apps.json"
        path.write_text(json.dumps(document))
        found = copilot.read(path, {}, Path(name)).found
        assert len(found) == len(document)
        fresh = Path(name) / "fresh" / "apps.json"
        for place in (path, fresh):
            put(copilot.write(outgoing(found), {}, target(place)))
            assert json.loads(place.read_text()) == document


def test_after_an_exchange_the_github_token_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "apps.json"
    path.write_text(json.dumps(APPS))
    found = copilot.read(path, {}, tmp_path).found
    done = [one(f.profile, msgspec.structs.replace(f.credential, access="tid=fake;exp=9", expires_at=9)) for f in found]
    assert copilot.write(done, {}, target(path)).empty
    injection = copilot.inject(done, target(path))
    assert injection.variables["COPILOT_GITHUB_TOKEN"].reveal() == "fake-ghu-1"


def test_a_sign_in_of_the_vaults_goes_to_the_editors(tmp_path: Path) -> None:
    login = OAuth(access="tid=fake;exp=1", refresh="fake-ghu-9")
    plan = copilot.write([one("github-copilot:default", login)], {}, target(tmp_path))
    (write,) = plan.writes
    (key, entry), *_ = json.loads(write.content).items()
    assert key == f"github.com:{entry['githubAppId']}"
    assert entry["oauth_token"] == "fake-ghu-9"
    assert plan.written[0].whole
    plan = copilot.write([one("github-copilot:default", login, whole=False)], {}, target(tmp_path))
    assert plan.empty
    assert "stays here" in plan.left_out[0].why


@pytest.mark.parametrize(
    ("profile", "credential"),
    [
        ("github-copilot:default", OAuth(access="tid=fake;exp=1")),
        ("github-copilot:default", Token(token="fake-token")),
        ("openai:default", ApiKey(key="fake-key")),
    ],
)
def test_what_it_can_not_use_is_left_out(tmp_path: Path, profile: str, credential: AnyCredential) -> None:
    plan = copilot.write([one(profile, credential)], {}, target(tmp_path))
    assert plan.empty
    assert "vault exec --tool copilot -- copilot" in plan.left_out[0].why


def test_a_child_gets_the_github_token_not_the_short_one(tmp_path: Path) -> None:
    login = OAuth(access="tid=fake;exp=1", refresh="fake-ghu-9")
    injection = copilot.inject([one("github-copilot:default", login)], target(tmp_path))
    assert {n: v.reveal() for n, v in injection.variables.items()} == {"COPILOT_GITHUB_TOKEN": "fake-ghu-9"}
    assert {"GH_TOKEN", "GITHUB_TOKEN", "GITHUB_ASKPASS"} <= injection.remove
    alone = copilot.inject([one("github-copilot:default", login, whole=False)], target(tmp_path))
    assert alone.variables == injection.variables
    short = copilot.inject([one("github-copilot:default", OAuth(access="tid=fake;exp=1"))], target(tmp_path))
    assert short.variables == {}


@pytest.mark.parametrize(
    ("base", "asked"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://elsewhere.example.com/v1", ""),
        ("http://127.0.0.1:1/v1", ""),
        ("", ""),
    ],
)
def test_a_servers_key_is_asked_for_by_a_command(tmp_path: Path, base: str, asked: str) -> None:
    ones = [one(f"{name}:default", ApiKey(key=f"fake-{name}"), agent="bot") for name in ("openai", "openrouter")]
    injection = copilot.inject(ones, Target({"COPILOT_PROVIDER_BASE_URL": base}, tmp_path))
    command = injection.variables.get("COPILOT_PROVIDER_API_KEY_COMMAND")
    if not asked:
        assert command is None
        return
    assert command is not None
    words = shlex.split(command.reveal())
    assert Path(words[0]).name == "vault"
    assert words[1:] == ["helper", "token", asked, "--tool", "copilot", "--agent", "bot"]
    assert "COPILOT_PROVIDER_API_KEY" in injection.remove


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00\x01", "// only a comment"])
@pytest.mark.parametrize("name", ["apps.json", "config.json"])
def test_damage_is_told_and_left_alone(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=name):
        copilot.read(path, {}, tmp_path)
    assert path.read_text() == content


def test_comments_inside_are_read_and_never_lost(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    text = '{ // mine\n "url": "https://x", /* b */ "copilotTokens": {"https://github.com:octo": "fake-gho-1",},\n}'
    path.write_text(text)
    found = copilot.read(path, {}, tmp_path).found
    assert [f.credential.secret() for f in found] == ["fake-gho-1"]
    changed = Token(token="fake-gho-2", extra=found[0].credential.extra)
    with pytest.raises(InputError, match="comments inside"):
        copilot.write([one("github-copilot:octo", changed)], {}, target(path))
    assert path.read_text() == text


def test_odd_entries_are_named(tmp_path: Path) -> None:
    path = tmp_path / "apps.json"
    path.write_text('{"github.com": 7, "github.com:a": {"user": "octo"}, "github.com:b": {"oauth_token": " "}}')
    findings = copilot.read(path, {}, tmp_path)
    assert findings.found == []
    assert [s.name for s in findings.skipped] == ["github.com", "github.com:a", "github.com:b"]


def test_where_it_is(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": "/fake", "COPILOT_HOME": "/fake/cli"}
    found = copilot.places(environ, tmp_path)
    assert found == [
        Path("/fake/github-copilot/apps.json"),
        Path("/fake/github-copilot/hosts.json"),
        Path("/fake/cli/config.json"),
    ]
    with pytest.raises(NotFound):
        copilot.read(None, {}, tmp_path)
    with pytest.raises(NotFound):
        copilot.read(tmp_path, {}, tmp_path)
