"""Signing in again: a profile remembers how it was signed in to, and the advised line, typed as it stands, does the same."""

from __future__ import annotations

import shlex

import pytest

from tests.cli.running import Real, Shell
from tests.cli.signing_in import Place, browse
from tests.cli.test_sign_in_alone import Stored, stored
from vault.events.credentials import ApiKey, Token
from vault.values import HOUR

__all__ = ["stored"]


@pytest.mark.parametrize("device", [False, True], ids=["browser", "device"])
@pytest.mark.parametrize("line", ["name", "advice"])
def test_a_server_of_ones_choice_needs_no_options_again(place: Place, real: Real, device: bool, line: str) -> None:
    words = ["--issuer", place.server.url, "--client-id", "fake-client", "--scope", "models"]
    words += ["--device"] if device else []
    with place.terminal("login", "company:a", *words) as talk:
        if not device:
            address = browse(talk.url())
            talk.until("ended at: ")
            talk.type(address)
        talk.end()
    run = "vault login company:a"
    if line == "advice":
        place.authority.dead.update(range(10))
        real("refresh", "company:a", status=82)
        run = real("wizard", "company", "--json").json["run"]
        place.authority.dead.clear()
        assert run == shlex.join(["vault", "login", "company:a", *words])
    with place.shell(run) as talk:
        if device:
            talk.until(" and type this code: ")
        else:
            url = talk.url()
            assert "scope=models" in url
            address = browse(url)
            talk.until("ended at: ")
            talk.type(address)
        shown = talk.end()
    assert "logged in company:a" in shown
    assert "API key" not in shown
    place.works("company:a")


def test_what_is_remembered_is_in_the_history_and_holds_no_secret(place: Place, real: Real) -> None:
    with place.terminal(
        "login", "company", "--issuer", place.server.url, "--client-id", "fake-client", "--device"
    ) as talk:
        talk.end()
    (event,) = [e for e in real("history", "--json").json["events"] if e["type"] == "profile_logged_in"]
    kept = event["facts"]["credential"]["sign_in"]
    assert kept == {"method": "discovery-device", "issuer": place.server.url, "client_id": "fake-client"}


def test_an_expired_setup_token_names_the_command_that_makes_one(stored: Stored, shell: Shell) -> None:
    stored("anthropic:work", Token(token="sk-ant-oat01-fake", expires_at=stored.ends(-HOUR)))
    assert "`claude setup-token`" in shell("get", "anthropic:work", status=82).err
    assert "`claude setup-token`" in shell("get", "anthropic", status=82).err
    assert "claude setup-token" in shell("status", "anthropic", "--check", status=1).err
    assert "claude setup-token" in shell.json("wizard", "anthropic")["why"]


def test_an_ended_token_that_was_typed_names_a_line_that_takes_one(stored: Stored, shell: Shell) -> None:
    shell("login", "openai:short", "--kind", "token", "--expires-in", "1h", "--stdin", stdin="fake-token-short")
    shell.clock.forward(2 * HOUR)
    told = shell("get", "openai:short", status=82).err
    assert "vault login openai:short" in told
    stored("groq:default", ApiKey(key="fake-key"))
    assert shell("get", "groq").out == "fake-key\n"
