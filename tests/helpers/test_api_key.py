"""``api-key``: a key is given, and a login never, whatever stands first in the vault."""

from __future__ import annotations

import pytest

from tests.helpers.desk import Counter
from vault.events.credentials import ApiKey, OAuth, Token

SETUP = "sk-ant-oat01-fake-setup"
LOGIN = OAuth(access="fake-access", refresh="fake-refresh")


def test_a_key_is_given_alone_with_a_newline(counter: Counter) -> None:
    counter.login("anthropic:work", "fake-key-work")
    for what in ("anthropic", "anthropic:work"):
        said = counter.ask("api-key", what)
        assert (said.out, said.err, said.status) == (b"fake-key-work\n", "", 0)
    assert [(i.profile, i.way) for i in counter.issued] == [("anthropic:work", "helper api-key")] * 2
    assert counter.ask("api-key").status == 64


def test_the_one_key_is_given_where_logins_stand_before_it(counter: Counter) -> None:
    counter.login("anthropic:claude-code", LOGIN)
    counter.login("anthropic:setup", Token(token=SETUP))
    counter.login("anthropic:work", "fake-key-work")
    assert counter.ask("token", "anthropic").out == b"fake-access\n"
    assert counter.ask("api-key", "anthropic").out == b"fake-key-work\n"


@pytest.mark.parametrize(
    "credential", [LOGIN, Token(token=SETUP), ApiKey(key=SETUP)], ids=["login", "setup token", "typed as a key"]
)
@pytest.mark.parametrize("what", ["anthropic", "anthropic:x"])
def test_a_login_is_never_given(counter: Counter, credential: OAuth | Token | ApiKey, what: str) -> None:
    counter.login("anthropic:x", credential)
    said = counter.ask("api-key", what)
    assert (said.out, said.status) == (b"", 66)
    assert said.err == (
        f"vault: what there is for {what} is a login and not an API key, and would be sent as one; "
        "log in with a key (vault login anthropic), or start the tool with vault exec --tool"
    )
    assert counter.issued == [], "what is withheld is no hand-out"


def test_the_first_of_several_keys_is_given_and_no_login_is_recorded(counter: Counter) -> None:
    counter.login("anthropic:claude-code", LOGIN)
    counter.login("anthropic:b", "fake-key-b")
    counter.login("anthropic:a", "fake-key-a")
    assert counter.ask("api-key", "anthropic").out == b"fake-key-a\n"
    assert counter.ask("api-key", "anthropic").out == b"fake-key-b\n", "least recently used first"
    assert [i.profile for i in counter.issued] == ["anthropic:a", "anthropic:b"]


def test_a_gateways_bearer_token_is_given(counter: Counter) -> None:
    counter.login("corp:x", Token(token="fake-token-corp"))
    assert counter.ask("api-key", "corp").out == b"fake-token-corp\n"


def test_what_no_tool_takes_as_a_key_is_not_given(counter: Counter) -> None:
    counter.login("corp:x", "fake key")
    said = counter.ask("api-key", "corp")
    assert (said.out, said.status) == (b"", 65)
    assert "can't be sent as an API key" in said.err


def test_a_stored_key_is_given_where_the_environment_holds_what_is_none(counter: Counter) -> None:
    """Two names are set there; the second is no profile to be asked for."""
    counter.login("openai:a", "fake-key-a")
    counter.context.environ = {"OPENAI_API_KEY": SETUP, "CODEX_API_KEY": SETUP}
    assert counter.ask("api-key", "openai").out == b"fake-key-a\n"
