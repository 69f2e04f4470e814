"""gh's hosts.yml: accounts by host, read and written, comments kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from vault.errors import InputError, NotFound
from vault.events.credentials import OAuth, Token
from vault.interop import gh
from vault.interop.documents import yaml_in
from vault.interop.plans import Outgoing
from vault.values import MAIN_AGENT, ProfileId, ProviderId

DOCUMENT = """\
github.com:
    git_protocol: https  # a note
    users:
        octo:
            oauth_token: fake-token-octo
        work:
            oauth_token: fake-token-work
    user: octo
    oauth_token: fake-token-octo
git.example.com:
    users:
        octo:
    user: octo
    oauth_token: fake-token-example
kept.example.com:
    users:
        octo:
    user: octo
"""


def store(folder: Path, text: str = DOCUMENT) -> Path:
    path = folder / "hosts.yml"
    path.write_text(text)
    return path


def test_accounts_are_profiles_of_their_host_the_active_one_first(tmp_path: Path) -> None:
    findings = gh.read(store(tmp_path), {}, tmp_path)
    assert profiles(findings) == {
        "github.com:octo": "fake-token-octo",
        "github.com:work": "fake-token-work",
        "git.example.com:octo": "fake-token-example",
    }
    assert [o.profiles for o in findings.orders] == [("github.com:octo", "github.com:work")]
    (skipped,) = findings.skipped
    assert "gh auth token -h kept.example.com -u octo | vault login kept.example.com:octo --stdin" in skipped.why


def test_written_over_itself_it_is_the_same_file(tmp_path: Path) -> None:
    path = store(tmp_path)
    findings = gh.read(path, {}, tmp_path)
    orders = {o.provider: o.profiles for o in findings.orders}
    put(gh.write(outgoing(findings.found), orders, target(path)))
    assert "# a note" in path.read_text()
    put(gh.write(outgoing(gh.read(path, {}, tmp_path).found), orders, target(path)))
    assert profiles(gh.read(path, {}, tmp_path)) == profiles(findings)
    assert yaml_in(path)["github.com"]["user"] == "octo"
    assert yaml_in(path)["kept.example.com"] == {"users": {"octo": None}, "user": "octo"}


def test_the_first_of_the_order_is_the_active_account(tmp_path: Path) -> None:
    path = store(tmp_path)
    found = gh.read(path, {}, tmp_path).found
    order = {ProviderId("github.com"): [ProfileId("github.com:work"), ProfileId("github.com:octo")]}
    put(gh.write(outgoing(found), order, target(path)))
    assert yaml_in(path)["github.com"]["user"] == "work"
    assert yaml_in(path)["github.com"]["oauth_token"] == "fake-token-work"


USERS = st.sampled_from(["octo", "work", "a.b", "x_1"])
TOKENS = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=20).map(lambda t: f"fake-{t}")


@given(st.dictionaries(USERS, TOKENS, min_size=1, max_size=4))
def test_accounts_written_anew_are_read_again(accounts: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "gh" / "hosts.yml"
        given_ones = [
            Outgoing(
                MAIN_AGENT, ProfileId(f"github.com:{u}"), Token(token=t, metadata={"host": "github.com", "username": u})
            )
            for u, t in accounts.items()
        ]
        put(gh.write(given_ones, {}, target(path)))
        again = gh.read(path, {}, Path(name))
        assert profiles(again) == {f"github.com:{u}": t for u, t in accounts.items()}
        before = path.read_bytes()
        put(gh.write(outgoing(again.found), {}, target(path)))
        assert path.read_bytes() == before


def test_what_is_no_github_token_is_left_out(tmp_path: Path) -> None:
    ones = [
        Outgoing(MAIN_AGENT, ProfileId("openai:default"), Token(token="fake")),
        Outgoing(MAIN_AGENT, ProfileId("github.com:octo"), OAuth(access="fake")),
    ]
    plan = gh.write(ones, {}, target(tmp_path / "hosts.yml"))
    assert plan.written == []
    assert len(plan.left_out) == 2


def test_a_child_gets_gh_token(tmp_path: Path) -> None:
    injection = gh.inject(outgoing(gh.read(store(tmp_path), {}, tmp_path).found), target(tmp_path))
    assert {k: v.reveal() for k, v in injection.variables.items()} == {
        "GH_TOKEN": "fake-token-octo",
        "GH_ENTERPRISE_TOKEN": "fake-token-example",
    }
    assert "GITHUB_TOKEN" in injection.remove


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\t- x", "a: 1\na: 2\n"])
def test_damage_is_told_and_left_alone(tmp_path: Path, content: str) -> None:
    path = store(tmp_path, content)
    with pytest.raises(InputError, match=r"hosts\.yml"):
        gh.write([], {}, target(path))
    assert path.read_text() == content


def test_where_it_is(tmp_path: Path) -> None:
    assert gh.places({"GH_CONFIG_DIR": "/fake/gh"}, tmp_path) == [Path("/fake/gh/hosts.yml")]
    assert gh.places({"XDG_CONFIG_HOME": "/fake"}, tmp_path) == [Path("/fake/gh/hosts.yml")]
    assert gh.places({}, tmp_path) == [tmp_path / ".config" / "gh" / "hosts.yml"]
    with pytest.raises(NotFound):
        gh.read(None, {}, tmp_path)
    assert gh.read(store(tmp_path, ""), {}, tmp_path).found == []
