"""Sign-ins that are not of the registry: by discovery and at a URL; and revoking."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oauth.authority import Fault
from tests.oauth.conftest import World
from tests.oauth.person import Person
from vault.errors import InputError, SignInAgain, TryAgain, Unavailable, UsageError, VaultError
from vault.events.credentials import OAuth, WellKnown
from vault.providers import driver
from vault.providers.clients import Client, client, client_of, secrets_of
from vault.providers.flows import SignedIn, discover, login_flow, refresh_flow, revoke_flow
from vault.providers.methods import DISCOVERY, DISCOVERY_DEVICE, URL, Method, method
from vault.providers.steps import Response, Send
from vault.providers.tokens import Refreshed
from vault.values import Instant, SystemClock
from vault.variables import is_credentials


def found(world: World, how: Method = DISCOVERY, **given: str) -> SignedIn:
    start = world.start(**{"issuer": world.base, "client_id": "fake-client", **given})
    signed: SignedIn = world.run(login_flow(how, start))
    world.person.done()
    return signed


@pytest.mark.parametrize("how", [DISCOVERY, DISCOVERY_DEVICE])
@pytest.mark.parametrize("secret", ["", "fake-secret/+ %"])
@pytest.mark.parametrize("openid_only", [False, True])
def test_any_server_by_discovery(world: World, how: Method, secret: str, openid_only: bool) -> None:
    world.authority.settings.openid_only = openid_only
    if secret:
        world.authority.settings.secrets["fake-client"] = secret
    credential = found(world, how, client_secret=secret).credential
    assert isinstance(credential, OAuth)
    assert credential.metadata["client"] == "custom"
    assert secret not in credential.metadata.values() or not secret
    again = client_of(credential, "example", {})
    assert isinstance(again, Client)
    outcome = world.run(refresh_flow(again, credential.refresh, (), secrets_of(credential)), 30.0)
    assert isinstance(outcome, Refreshed)
    revoked = world.run(revoke_flow(again, outcome.tokens.refresh, extra=secrets_of(credential)), 30.0)
    assert revoked.answer == "revoked"
    assert not world.authority.is_live(outcome.tokens.access)


def test_an_issuer_with_a_path(world: World) -> None:
    credential = found(world, issuer=f"{world.base}/tenant.example/").credential
    assert credential.metadata["token_url"] == f"{world.base}/tenant.example/token"


def test_the_scopes_that_were_asked_for(world: World) -> None:
    from dataclasses import replace

    start = replace(world.start(issuer=world.base, client_id="fake-client"), scopes=("a", "b"))
    world.run(login_flow(DISCOVERY, start))
    world.person.done()
    assert "scope=a+b" in world.person.urls[0].replace("%20", "+")


def test_the_redirect_that_the_client_was_registered_with(world: World) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found(world, redirect_port=str(port), redirect_host="localhost", redirect_path="/cb")
    assert f"http%3A%2F%2Flocalhost%3A{port}%2Fcb" in world.person.urls[0]
    with pytest.raises(InputError, match="not a port number"):
        found(world, redirect_port="70000")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"issuer": "https://other.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"code_challenge_methods_supported": ["plain"]}, "PKCE"),
        ({"token_endpoint": None}, "no token endpoint"),
        ({"token_endpoint": "http://example.com/token"}, "not an https address"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not an https address"),
        ({"token_endpoint": ["x"]}, "not a URL"),
        ({"revocation_endpoint": "https://example.com/\x1b[2J"}, "not a URL"),
    ],
)
def test_metadata_that_is_not_trusted(world: World, metadata: dict[str, Any], words: str) -> None:
    world.authority.settings.metadata = metadata
    with pytest.raises(InputError, match=words):
        found(world)
    assert world.authority.exchanges == []


def test_a_server_elsewhere_may_not_lead_to_this_machine() -> None:
    """A flow does no I/O: here it is driven by hand, with the answer of a server that wants a code sent to a local port."""
    flow = discover("https://issuer.example")
    asked = next(flow)
    assert isinstance(asked, Send)
    document = {"issuer": "https://issuer.example", "token_endpoint": "http://127.0.0.1:8080/token"}
    answer = Response(host="issuer.example", status=200, at=Instant(0), body=json.dumps(document).encode())
    with pytest.raises(InputError, match="not an https address"):
        flow.send(answer)


def test_a_server_without_a_browser_page_or_without_codes(world: World) -> None:
    world.authority.settings.metadata = {"authorization_endpoint": None}
    with pytest.raises(InputError, match="no sign-in in a browser"):
        found(world)
    world.authority.settings.metadata = {"device_authorization_endpoint": None}
    with pytest.raises(InputError, match="no sign-in by a code"):
        found(world, DISCOVERY_DEVICE)


def test_a_server_without_metadata(world: World) -> None:
    world.authority.fault("/.well-known/openid-configuration", Fault("status", status=404))
    world.authority.fault("/.well-known/oauth-authorization-server", *[Fault("html", status=200)] * 2)
    with pytest.raises(InputError, match="no OAuth metadata"):
        found(world)


def test_a_server_in_trouble(world: World) -> None:
    world.authority.fault("/.well-known/oauth-authorization-server", *[Fault("status", status=500)] * 2)
    with pytest.raises(TryAgain):
        found(world)


def test_an_answer_from_another_issuer_is_refused(world: World) -> None:
    """RFC 9207: where the answer names its issuer, it must be the one that was asked."""
    world.person = Person("nothing", lines=["http://127.0.0.1:1/callback?code=fake&iss=https://other.example"])
    with pytest.raises(SignInAgain, match="another server"):
        found(world)


def test_the_needs_are_asked_for(world: World) -> None:
    world.person = Person(answers=[world.base, "fake-client"])
    signed = world.run(login_flow(DISCOVERY, world.start()))
    world.person.done()
    assert isinstance(signed.credential, OAuth)
    assert world.person.shown[:2] == ["Issuer URL: ", "Client id: "]


def test_what_can_not_be_the_answer_to_a_need_is_asked_for_again(world: World) -> None:
    world.person = Person(answers=["hello world", "http://corp.example", world.base, "hello world", "fake-client"])
    assert isinstance(world.run(login_flow(DISCOVERY, world.start())).credential, OAuth)
    world.person.done()
    told = " ".join(world.person.shown)
    for why in ("that is no issuer", "that is not an https address", "that is no client id"):
        assert why in told


def at_url(world: World, document: Any, url: str = "") -> SignedIn:
    world.authority.settings.wellknown = document
    signed: SignedIn = world.run(login_flow(URL, world.start(url=url or world.base)))
    return signed


def printing(text: str) -> list[str]:
    return [sys.executable, "-c", f"print({text!r})"]


def test_a_url_sign_in(world: World) -> None:
    command = printing(f"fake-{world.mark[::-1]}")
    signed = at_url(world, {"auth": {"command": command, "env": "CORP_TOKEN"}}, world.base + "/")
    assert signed.credential == WellKnown(url=world.base, env="CORP_TOKEN", token=f"fake-{world.mark[::-1]}")
    (asked,) = world.person.shown
    assert "-c" in asked
    assert "CORP_TOKEN" in asked


@pytest.mark.parametrize("name", ["TOKEN", "GIT_TOKEN", "LDAP_PASSWORD", "corp_api_key", "CORP2_SECRET", "CORP_PAT"])
def test_variables_that_a_token_may_go_into(world: World, name: str) -> None:
    credential = at_url(world, {"auth": {"command": printing("fake-1"), "env": name}}).credential
    assert isinstance(credential, WellKnown)
    assert credential.env == name


def test_a_url_sign_in_that_is_declined_runs_nothing(world: World, tmp_path: Path) -> None:
    world.person.agrees = False
    with pytest.raises(SignInAgain, match="was not run"):
        at_url(world, {"auth": {"command": ["touch", str(tmp_path / "ran")], "env": "CORP_TOKEN"}})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "not a sign-in document"),
        ([], "not a sign-in document"),
        ({"auth": {"command": "rm -rf x", "env": "T_KEY"}}, "no command"),
        ({"auth": {"command": [], "env": "T_KEY"}}, "no command"),
        ({"auth": {"command": ["echo", 7], "env": "T_KEY"}}, "no command"),
        ({"auth": {"command": ["echo", "\x1b[2Jhidden"], "env": "T_KEY"}}, "no command"),
        ({"auth": {"command": ["echo", "a\nb"], "env": "T_KEY"}}, "no command"),
        ({"auth": {"command": ["echo", "\u202egnihtemos"], "env": "T_KEY"}}, "no command"),
        ({"auth": {"command": ["-c"], "env": "T_KEY"}}, "no program"),
        ({"auth": {"command": ["echo", "x" * 2000], "env": "T_KEY"}}, "no command"),
        ({"auth": {"command": ["echo"], "env": "A=B"}}, "no variable"),
        ({"auth": {"command": ["echo"], "env": 7}}, "no variable"),
        ({"auth": {"command": ["echo"]}}, "no variable"),
    ],
)
def test_documents_that_are_refused(world: World, document: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        at_url(world, document)
    assert world.person.shown == []


TURNED_AGAINST_ONE = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "ANTHROPIC_BASE_URL",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "MAVEN_OPTS",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "PROMPT_COMMAND",
    "PS1",
    "ZDOTDIR",
    "PATH",
    "HOME",
    "SHELL",
    "IFS",
    "ENV",
    "BASH_ENV",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "pythonpath",
    "PERL5OPT",
    "RUBYOPT",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "GIT_CONFIG_KEY_0",
    "GIT_PROXY_COMMAND",
    "LESSOPEN",
    "MANPAGER",
    "DOTNET_STARTUP_HOOKS",
    "PIP_INDEX_URL",
    "NPM_CONFIG_REGISTRY",
    "DOCKER_HOST",
    "KUBECONFIG",
    "AWS_CONFIG_FILE",
    "AWS_ENDPOINT_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "XDG_CONFIG_HOME",
    "TMPDIR",
    "TERM",
    "LANG",
    "VAULT_KEY_FILE",
    "VAULT_TOKEN",
    "VAULT_API_KEY",
    "_KEY",
    "T",
    "X1",
]


@pytest.mark.parametrize("name", TURNED_AGAINST_ONE)
def test_a_variable_that_turns_programs_against_their_user_is_refused(world: World, name: str) -> None:
    with pytest.raises(InputError, match="no variable that a token may go into"):
        at_url(world, {"auth": {"command": ["echo", "fake"], "env": name}})
    assert world.person.shown == []


@given(name=st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"), min_size=1, max_size=40))
def test_only_names_whose_last_word_is_a_secrets_are_taken(name: str) -> None:
    words = {
        "KEY",
        "APIKEY",
        "TOKEN",
        "SECRET",
        "PAT",
        "PASSWORD",
        "PASSWD",
        "PASS",
        "AUTH",
        "JWT",
        "BEARER",
        "CREDENTIAL",
    }
    if is_credentials(name):
        assert name.rpartition("_")[2] in words | {"BEDROCK", "ID"}
    assert is_credentials(f"CORP_{name}_TOKEN".replace("__", "_")) or name.endswith("_") or name.startswith("_")


def test_another_providers_variable_is_told_at_the_consent(world: World) -> None:
    at_url(world, {"auth": {"command": printing("fake-1"), "env": "ANTHROPIC_API_KEY"}})
    (asked,) = world.person.shown
    assert "ANTHROPIC_API_KEY is the variable of Anthropic" in asked
    assert "send it there" in asked
    at_url(world, {"auth": {"command": printing("fake-1"), "env": "CORP_API_KEY"}})
    assert "is the variable of" not in world.person.shown[1]


def test_a_command_padded_with_blanks_is_shown_quoted_word_by_word(world: World) -> None:
    world.person.agrees = False
    command = ["sh", "-c", "echo fake" + " " * 900 + "; touch owned", "", " "]
    with pytest.raises(SignInAgain):
        at_url(world, {"auth": {"command": command, "env": "CORP_TOKEN"}})
    (asked,) = world.person.shown
    assert asked.splitlines()[1:6] == [
        "  1 sh",
        "  2 -c",
        "  3 'echo fake[900 blanks]; touch owned'",
        "  4 ''",
        "  5 ' '",
    ]


def test_the_faults_of_a_url(world: World) -> None:
    document = {"auth": {"command": printing("x"), "env": "T_KEY"}}
    for fault, error in (
        (Fault("html", status=200), InputError),
        (Fault("status", status=500), TryAgain),
        (Fault("drop"), TryAgain),
        (Fault("huge", after=True), InputError),
        (Fault("redirect", status=302, headers={"Location": "https://elsewhere.example/"}), InputError),
    ):
        world.authority.fault("/.well-known/opencode", fault)
        with pytest.raises(error):
            at_url(world, document)
    with pytest.raises(InputError, match="status 404"):
        at_url(world, None)
    with pytest.raises(InputError, match="not https"):
        at_url(world, document, "http://example.com")


def test_the_command_of_a_url_that_fails(world: World) -> None:
    for command, words in (
        (["vault-no-such-program"], "can't be run here"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "failed with status 3"),
        ([sys.executable, "-c", "print('x' * 300000)"], "more than a token"),
    ):
        with pytest.raises(Unavailable, match=words):
            at_url(world, {"auth": {"command": command, "env": "T_KEY"}})
    with pytest.raises(InputError, match="empty"):
        at_url(world, {"auth": {"command": [sys.executable, "-c", ""], "env": "T_KEY"}})


def test_a_command_that_hangs_is_ended() -> None:
    from vault.providers.running import run

    with pytest.raises(TryAgain, match=r"not done within 0\.2 s"):
        run([sys.executable, "-c", "import threading; threading.Event().wait()"], seconds=0.2)


REVOKES = {"openai-chatgpt": "json", "google-gemini-cli": "form", "anthropic-claude-ai": "json"}


@pytest.mark.parametrize("name", REVOKES)
def test_revoking(world: World, name: str) -> None:
    first = world.authority.seed()
    answer = world.run(revoke_flow(client(name, {}, world.base), first), 30.0)
    assert answer.answer == "revoked"
    assert world.authority.revoked == [first]
    (headers,) = world.authority.headers
    assert REVOKES[name] in headers["Content-Type"]
    assert world.authority.bodies[0]["token_type_hint"] == "refresh_token"


def test_revoking_at_github(world: World) -> None:
    answer = world.run(revoke_flow(client("github-copilot-editor", {}, world.base), "fake-github-1"), 30.0)
    assert answer.answer == "revoked"
    assert world.authority.bodies == [{"credentials": ["fake-github-1"]}]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(400, "unsupported"), (403, "refused"), (401, "refused"), (503, "unreachable"), (500, "unreachable")],
)
def test_revoking_that_fails(world: World, status: int, answer: str) -> None:
    world.authority.settings.revoke_status = status
    got = world.run(revoke_flow(client("openai-chatgpt", {}, world.base), world.authority.seed()), 30.0)
    assert got.answer == answer
    assert world.mark not in repr(got)


def test_revoking_without_an_answer_or_a_way(world: World) -> None:
    world.authority.fault("/revoke", Fault("reset"))
    got = world.run(revoke_flow(client("openai-chatgpt", {}, world.base), world.authority.seed()), 30.0)
    assert got.answer == "unreachable"
    got = world.run(revoke_flow(client("xai", {}, world.base), world.authority.seed()), 30.0)
    assert got.answer == "unsupported"


def test_a_method_that_is_no_flow_is_a_usage_error(world: World) -> None:
    with pytest.raises(UsageError):
        world.run(login_flow(method("anthropic", "api-key"), world.start()))


def test_without_a_person_every_sign_in_says_so(world: World) -> None:
    for provider, name in (
        ("openai", "browser"),
        ("openai", "device"),
        ("anthropic", "setup-token"),
        ("openrouter", ""),
    ):
        with pytest.raises(VaultError) as caught:
            driver.run(login_flow(method(provider, name), world.start()), clock=SystemClock())
        assert caught.value.exit_status == 82
    assert world.authority.count("authorization_code") == 0
