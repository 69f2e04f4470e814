"""Whose password git and docker are given: the same server's, the same user's, and what was stored or erased last."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.desk import Counter
from tests.support import ROOT
from vault.errors import InputError
from vault.events.credentials import ApiKey, OAuth, Reference, Token
from vault.interop.servers import docker_server, server_at, server_of
from vault.values import HOUR, MAIN_AGENT, MINUTE, SECOND, AgentId, ProfileId, parse_profile


def git(counter: Counter, operation: str, **attributes: str | int) -> dict[str, str]:
    """What git is told; https unless said."""
    asked = {"protocol": "https", **attributes}
    said = counter.ask("git", operation, stdin="".join(f"{n}={v}\n" for n, v in asked.items()) + "\n")
    assert said.status == 0, said
    return dict(line.split("=", 1) for line in said.out.decode().split("\n") if line)


def docker(counter: Counter, operation: str, server: str, user: str = "", secret: str = "") -> Mapping[str, str] | None:
    stdin = json.dumps({"ServerURL": server, "Username": user, "Secret": secret}) if operation == "store" else server
    said = counter.ask("docker", operation, stdin=stdin)
    return json.loads(said.out) if said.out.startswith(b"{") else None


def password(counter: Counter, host: str, **attributes: str | int) -> str | None:
    return git(counter, "get", host=host, **attributes).get("password")


HOST = "git.example.com"


def test_git_gets_what_it_stored_after_a_refused_login_of_a_person(counter: Counter) -> None:
    counter.login(f"{HOST}:user-1", Token(token="tok-old"))
    assert password(counter, HOST, username="user-1") == "tok-old"
    git(counter, "erase", host=HOST, username="user-1", password="tok-old")
    assert password(counter, HOST, username="user-1") is None
    git(counter, "store", host=HOST, username="user-1", password="tok-new")
    assert password(counter, HOST, username="user-1") == "tok-new"
    assert password(counter, HOST) == "tok-new"


def test_a_password_that_git_stored_over_a_token_is_given(counter: Counter) -> None:
    counter.login(f"{HOST}:user-1", Token(token="tok-old"))
    git(counter, "store", host=HOST, username="user-1", password="tok-new")
    assert password(counter, HOST, username="user-1") == "tok-new"


def test_what_git_stored_last_is_given_where_no_user_is_asked_for(counter: Counter) -> None:
    for user in ("user-1", "user-2", "user-1"):
        git(counter, "store", host=HOST, username=user, password=f"fake-{user}")
        counter.clock.forward(SECOND)
        assert password(counter, HOST) == f"fake-{user}"
    before = counter.context.store.head().position
    git(counter, "store", host=HOST, username="user-1", password="fake-user-1")
    assert counter.context.store.head().position == before


def test_a_refused_password_is_given_nowhere_under_any_name(counter: Counter) -> None:
    counter.login(f"{HOST}:work", "fake-refused")
    counter.login(f"{HOST}:default", Token(token="fake-refused"))
    counter.login(f"{HOST}:elsewhere", Reference(scheme="env", target="FAKE_REFUSED"))
    counter.context.environ = {**counter.context.environ, "FAKE_REFUSED": "fake-refused"}
    git(counter, "store", host=HOST, username="octo", password="fake-refused")
    git(counter, "erase", host=HOST, username="octo", password="fake-refused")
    assert git(counter, "get", host=HOST) == {}
    assert docker(counter, "get", HOST) is None


def test_a_refused_password_of_a_parent_agent_is_not_given_again(counter: Counter) -> None:
    counter.login(f"{HOST}:octo", "fake-refused")
    from vault.commands.agents import add_agent
    from vault.commands.helping import Desk
    from vault.interop.helpers import Request, helper

    add_agent(counter.context, AgentId("coder"), MAIN_AGENT)
    desk = Desk(counter.context, AgentId("coder"), "git", "test")
    asked = f"protocol=https\nhost={HOST}\nusername=octo\npassword=fake-refused\n".encode()
    helper("git").run(Request(["erase"], {}, lambda: asked), desk)
    assert helper("git").run(Request(["get"], {}, lambda: asked), desk).out == b""


def test_an_erase_without_a_password_leaves_nothing_to_give(counter: Counter) -> None:
    git(counter, "store", host=HOST, username="octo", password="fake-1")
    git(counter, "store", host=HOST, username="octo", path="a.git", password="fake-2")
    git(counter, "erase", host=HOST, username="octo", path="a.git")
    assert git(counter, "get", host=HOST, path="a.git") == {}


def test_a_login_that_is_refreshed_is_not_given_again_before_it_was_renewed(counter: Counter) -> None:
    login = OAuth(access="fake-access", refresh="fake-refresh", expires_at=counter.clock.now() + HOUR)
    counter.login(f"{HOST}:octo", login)
    counter.clock.forward(MINUTE)
    git(counter, "erase", host=HOST, username="octo", password="fake-other")
    assert password(counter, HOST) == "fake-access"
    git(counter, "erase", host=HOST, username="octo", password="fake-access")
    said = counter.ask("git", "get", stdin=f"protocol=https\nhost={HOST}\n")
    assert (said.out, said.status) == (b"", 82)
    assert counter.context.queries.profile(MAIN_AGENT, ProfileId(f"{HOST}:octo")).current is not None  # type: ignore[union-attr]
    git(counter, "store", host=HOST, username="octo", password="fake-typed")
    assert password(counter, HOST) == "fake-typed"
    counter.login(f"{HOST}:octo", OAuth(access="fake-renewed", refresh="fake-refresh-2"))
    git(counter, "erase", host=HOST, username="octo", password="fake-typed")
    assert password(counter, HOST) == "fake-renewed"


def test_docker_parts_of_one_registry_keep_their_own_secrets(counter: Counter) -> None:
    for team in ("team-a", "team-b"):
        docker(counter, "store", f"registry.example.com/{team}", "user", f"fake-{team}")
    for team in ("team-a", "team-b"):
        assert docker(counter, "get", f"registry.example.com/{team}") == {
            "ServerURL": f"registry.example.com/{team}",
            "Username": "user",
            "Secret": f"fake-{team}",
        }
    assert docker(counter, "get", "registry.example.com") is None
    assert git(counter, "get", host="registry.example.com") == {}
    docker(counter, "erase", "registry.example.com/team-a")
    assert docker(counter, "get", "registry.example.com/team-a") is None
    assert docker(counter, "get", "registry.example.com/team-b") is not None


HUB = "https://index.docker.io/v1/"


def test_docker_gets_and_lists_who_was_stored_last_and_an_erase_leaves_nobody(counter: Counter) -> None:
    for user in ("user-1", "user-2"):
        docker(counter, "store", HUB, user, f"fake-{user}")
    assert (docker(counter, "get", HUB) or {})["Username"] == "user-2"
    assert docker(counter, "list", "") == {HUB: "user-2"}
    docker(counter, "store", HUB, "user-1", "fake-user-1")
    assert (docker(counter, "get", HUB) or {})["Username"] == "user-1"
    assert docker(counter, "list", "") == {HUB: "user-1"}
    docker(counter, "erase", HUB)
    assert docker(counter, "get", HUB) is None
    assert docker(counter, "list", "") == {}
    assert counter.ask("docker", "erase", stdin=HUB).out == b"credentials not found in native keychain\n"


def test_another_port_or_a_name_like_it_is_another_server(counter: Counter) -> None:
    git(counter, "store", host="git:8443", username="octo", password="fake-1")
    assert password(counter, "git:8443") == "fake-1"
    for other in ("git-8443", "git", "git:443", "git_8443"):
        assert git(counter, "get", host=other) == {}
    git(counter, "store", host=f"{HOST}:443", username="octo", password="fake-2")
    assert password(counter, HOST) == "fake-2", "443 is https's own port"


def test_a_password_for_https_is_not_given_for_http(counter: Counter) -> None:
    git(counter, "store", host=HOST, username="octo", password="fake-1")
    assert docker(counter, "get", f"http://{HOST}") is None
    assert (docker(counter, "get", HOST) or {})["Secret"] == "fake-1"
    docker(counter, "store", f"http://{HOST}", "octo", "fake-plain")
    assert password(counter, HOST) == "fake-1"
    assert (docker(counter, "get", f"http://{HOST}") or {})["Secret"] == "fake-plain"


@pytest.mark.parametrize(
    "host", ["localhost.corp.example", "127.0.0.1.nip.example", "127.example:80", "localhost@x.example"]
)
def test_only_this_machine_is_this_machine(counter: Counter, host: str) -> None:
    git(counter, "store", protocol="http", host=host, username="octo", password="fake-1")
    assert counter.context.store.head().position == 1
    counter.login(f"{host.partition('@')[2] or host.partition(':')[0]}:octo", "fake-1")
    assert git(counter, "get", protocol="http", host=host) == {}


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:3000", "localhost", "localhost.:99", "app.localhost:1"])
def test_this_machine_is_answered_over_http(counter: Counter, host: str) -> None:
    git(counter, "store", protocol="http", host=host, username="octo", password="fake-1")
    assert password(counter, host, protocol="http") == "fake-1"
    assert git(counter, "get", host=host) == {}, "https there is another server"


@pytest.mark.parametrize(
    "host",
    ["my_host", "my_host.corp.example:3000", "[::1]:3000", "a" * 60 + ".b" * 9, ".".join(["x" * 60] * 4), "ü.example"],
)
def test_every_host_has_a_place(counter: Counter, host: str) -> None:
    git(counter, "store", host=host, username="octo", password="fake-1")
    assert git(counter, "get", host=host) == {"username": "octo", "password": "fake-1"}
    docker(counter, "store", host, "octo", "fake-2")
    assert (docker(counter, "get", host) or {})["Secret"] == "fake-2"


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\f", "\v", "\x1c", "\r", "=", "é"])
def test_a_value_is_cut_at_line_feeds_alone(counter: Counter, mark: str) -> None:
    secret = f"fake{mark}password"
    git(counter, "store", host=HOST, username="octo", password=secret)
    assert git(counter, "get", host=HOST) == {"username": "octo", "password": secret}
    git(counter, "erase", host=HOST, username="octo", password="fake")
    assert password(counter, HOST) == secret


@pytest.mark.parametrize("secret", [" fake ", "fake\u2028", "\x85fake", "\tfake\f"])
def test_blanks_around_a_password_are_a_part_of_it(counter: Counter, secret: str) -> None:
    git(counter, "store", host=HOST, username="octo", password=secret)
    assert password(counter, HOST) == secret
    docker(counter, "store", "ghcr.io", "octo", secret)
    assert (docker(counter, "get", "ghcr.io") or {})["Secret"] == secret


def test_no_protocol_splits_lines_at_more_than_line_feeds() -> None:
    for folder in ("interop/helpers", "adapters", "unlock", "providers"):
        for path in (ROOT / "vault" / folder).rglob("*.py"):
            assert "splitlines" not in path.read_text(), path


def test_what_would_break_the_lines_is_not_said(counter: Counter) -> None:
    docker(counter, "store", HOST, "octo\nquit=1", "fake-1")
    said = counter.ask("git", "get", stdin=f"protocol=https\nhost={HOST}\n")
    assert (said.out, said.status) == (b"", 65)
    refused = counter.ask("git", "store", stdin=f"protocol=https\nhost={HOST}\npassword=".encode() + b"fake-\xff\n")
    assert refused.status == 65
    assert "fake-" not in refused.err


def test_git_s_expiry_and_refresh_token_are_kept_and_given_on(counter: Counter) -> None:
    ends = counter.clock.now() // SECOND + 3600
    given = {
        "username": "octo",
        "password": "fake-1",
        "password_expiry_utc": str(ends),
        "oauth_refresh_token": "fake-r",
    }
    git(counter, "store", host=HOST, **given)
    assert git(counter, "get", host=HOST) == given
    before = counter.context.store.head().position
    git(counter, "store", host=HOST, **given)
    git(counter, "store", host=HOST, username="octo", password="fake-1")
    assert counter.context.store.head().position == before, "a git that drops what it doesn't know takes nothing away"
    git(counter, "store", host=HOST, **{**given, "password_expiry_utc": str(ends + 60)})
    assert git(counter, "get", host=HOST)["password_expiry_utc"] == str(ends + 60)


def test_an_expired_password_is_not_handed_out_but_its_refresh_token_is(counter: Counter) -> None:
    ends = str(counter.clock.now() // SECOND + 60)
    git(
        counter,
        "store",
        host=HOST,
        username="octo",
        password="fake-1",
        password_expiry_utc=ends,
        oauth_refresh_token="fake-r",
    )
    git(counter, "store", host="b.example", username="octo", password="fake-2", password_expiry_utc=ends)
    counter.clock.forward(2 * MINUTE)
    assert git(counter, "get", host=HOST) == {"username": "octo", "oauth_refresh_token": "fake-r"}
    assert [i.fingerprint for i in counter.issued] == [counter.context.keys.fingerprint("fake-r")]
    said = counter.ask("git", "get", stdin="protocol=https\nhost=b.example\n")
    assert (said.out, said.status) == (b"", 82)
    assert docker(counter, "get", HOST) is None


@pytest.mark.parametrize("ends", ["", "-1", "1e9", "99999999999999", "٣"])
def test_an_expiry_that_is_none_is_no_expiry(counter: Counter, ends: str) -> None:
    git(counter, "store", host=HOST, username="octo", password="fake-1", password_expiry_utc=ends)
    assert git(counter, "get", host=HOST) == {"username": "octo", "password": "fake-1"}


def test_a_gist_host_is_given_github_s_login(counter: Counter) -> None:
    of_gh = {"host": "github.corp.example", "username": "octo"}
    counter.login("github.com:octo", Token(token="fake-1", metadata={"host": "github.com", "username": "octo"}))
    counter.login("acme.ghe.com:octo", "fake-2")
    counter.login("github.corp.example:octo", Token(token="fake-3", metadata=of_gh))
    counter.login("other.example:octo", "fake-4")
    assert git(counter, "get", host="gist.github.com") == {"username": "octo", "password": "fake-1"}
    assert password(counter, "gist.acme.ghe.com") == "fake-2"
    assert password(counter, "gist.github.corp.example") == "fake-3"
    assert git(counter, "get", host="gist.other.example") == {}
    assert git(counter, "get", host="gist.github.com.example") == {}
    before = counter.context.store.head().position
    git(counter, "store", host="gist.github.com", username="octo", password="fake-1")
    assert counter.context.store.head().position == before, "no second copy of it"
    git(counter, "store", host="gist.github.com", username="octo", password="fake-own")
    assert password(counter, "gist.github.com") == "fake-own"
    assert password(counter, "github.com") == "fake-1"


def test_a_user_s_own_profile_comes_before_one_of_which_no_user_is_known(counter: Counter) -> None:
    counter.login(f"{HOST}:work", "fake-work")
    assert password(counter, HOST, username="octo") == "fake-work", "the only one there is"
    counter.login(f"{HOST}:user-1", "fake-1")
    counter.login(f"{HOST}:user-2", "fake-2")
    assert password(counter, HOST, username="user-1") == "fake-1"
    assert password(counter, HOST, username="octo") is None


def test_passwords_of_earlier_versions_are_found_under_the_names_they_have(counter: Counter) -> None:
    kept = {"protocol": "https", "host": "git.example.com:8443", "username": "a/b"}
    counter.login("git.example.com-8443:a/b", ApiKey(key="fake-1", metadata=kept), label="a/b")
    counter.login(
        "localhost-5000:octo", ApiKey(key="fake-2", metadata={"server": "localhost:5000", "username": "octo"})
    )
    assert git(counter, "get", host="git.example.com:8443") == {"username": "a/b", "password": "fake-1"}
    assert git(counter, "get", host="git.example.com-8443") == {}
    assert (docker(counter, "get", "localhost:5000") or {})["Secret"] == "fake-2"
    git(counter, "store", host="git.example.com:8443", username="a/b", password="fake-new")
    git(counter, "erase", host="git.example.com:8443", username="a/b", password="fake-new")
    assert git(counter, "get", host="git.example.com:8443") == {}, "one password of one user, not two"


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("8wrewr:1516", "8wrewr:1516"),
        ("10.25.10.36:5000", "10.25.10.36:5000"),
        ("https://index.docker.io/v1/", "https://index.docker.io"),
        ("https://index.docker.io/v1/", "index.docker.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("registry.example.com:443", "https://registry.example.com/v2/"),
    ],
)
def test_servers_of_public_reports_are_found_as_each_tool_asks(counter: Counter, stored: str, asked: str) -> None:
    """docker-credential-helpers 71 and 139, nerdctl 1263, git-credential-manager 156 and 747."""
    docker(counter, "store", stored, "1", "fake-1")
    assert (docker(counter, "get", asked) or {})["Secret"] == "fake-1"
    assert (docker(counter, "get", asked) or {})["ServerURL"] == asked


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT), st.booleans())
def test_two_servers_or_users_are_two_profiles(one: tuple[str, str], other: tuple[str, str], path: bool) -> None:
    made = []
    for place, user in (one, other):
        try:
            server = server_at("https", "git.example.com", place) if path else server_at("https", place)
        except InputError:
            return
        made.append(((server, user), parse_profile(server.profile(user))))
    assert (made[0][0] == made[1][0]) == (made[0][1] == made[1][1])


def test_a_user_called_default_is_not_nobody() -> None:
    server = server_of("git.example.com")
    assert server.profile("") == "git.example.com:default"
    assert server.profile("default") != server.profile("")
    assert server_at("https", "git.example.com", "b/c").profile("a") != server_at(
        "https", "git.example.com", "c"
    ).profile("a/b")


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("git.example.com", "git.example.com"),
        ("https://GIT.example.com:443/", "git.example.com"),
        ("git.example.com:8443", "git.example.com%3a8443"),
        ("git", "https%3a%2f%2fgit"),
        ("openai", "https%3a%2f%2fopenai"),
        ("keyring", "https%3a%2f%2fkeyring"),
        ("wafer.ai", "https%3a%2f%2fwafer.ai"),
        ("http://127.0.0.1:8080", "http%3a%2f%2f127.0.0.1%3a8080"),
        ("http://127.0.0.1:80", "http%3a%2f%2f127.0.0.1"),
        ("[::1]:3000", "%5b%3a%3a1%5d%3a3000"),
    ],
)
def test_a_server_is_never_a_model_provider(address: str, provider: str) -> None:
    from vault.providers import catalogue

    assert server_of(address).provider == provider
    assert catalogue.is_server(provider)
    assert docker_server(f"{address.rstrip('/')}/v2/") == server_of(address)


@pytest.mark.parametrize(
    "address", ["", "https://", "a b", "user@host", "host:port", "host:99999", "[::1", "a?b", "a#b", "a\\b"]
)
def test_what_is_no_server_is_refused(address: str) -> None:
    with pytest.raises(InputError):
        server_of(address)
