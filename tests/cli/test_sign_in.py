"""Signing in in a browser, through the installed command on a terminal: the redirect, and what a person pastes beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Real
from tests.cli.signing_in import Place, browse, code_in

GOOGLE = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"


@pytest.mark.usefixtures("browser")
def test_the_browser_comes_back_by_itself(place: Place, real: Real) -> None:
    """A client whose secret can't be shipped: the person is told where it is, types it, and it is sealed with the tokens."""
    secret = f"fake-secret-{place.canary}"
    place.authority.settings.secrets = {GOOGLE: secret}
    with place.terminal("login", "google", "--browser") as talk:
        talk.until("wants a client secret that vault can't ship: the constant OAUTH_CLIENT_SECRET")
        talk.until("Client secret: ")
        talk.child.sendline(secret)
        shown = talk.end()
    assert "browser-chatter" in shown
    assert "logged in google:default for agent main (oauth, fingerprint " in shown
    assert "it is refreshed when it is used" in shown
    place.works("google:default")
    real("refresh", "google:default")
    assert place.authority.count("refresh_token", "ok") == 1
    assert place.authority.bodies[-1]["client_secret"] == secret
    place.works("google:default")


@pytest.mark.usefixtures("browser")
def test_a_client_of_ones_own(place: Place, real: Real) -> None:
    """Its id and secret stay with the tokens, for refreshing."""
    place.authority.settings.secrets = {"my.apps.example": f"fake-secret-{place.canary}"}
    with place.terminal("login", "google", "--browser", "--client-id", "my.apps.example") as talk:
        talk.until("Client secret: ")
        talk.child.sendline(f"fake-secret-{place.canary}")
        talk.end()
    real("refresh", "google:default")
    assert place.authority.bodies[-1]["client_id"] == "my.apps.example"
    place.works("google:default")


@pytest.mark.usefixtures("browser")
def test_the_result_alone_is_on_standard_output(place: Place) -> None:
    with place.shell("vault login openrouter --browser --json > out.json") as talk:
        assert "browser-chatter" in talk.end()
    assert json.loads(Path("out.json").read_text())["schema"] == "vault.login/1"


@pytest.mark.parametrize("name", ["SSH_CONNECTION", "VAULT_NO_BROWSER"])
def test_no_browser_is_opened_where_nobody_would_see_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for unset in ("VAULT_NO_BROWSER", "BROWSER"):
        monkeypatch.delenv(unset, raising=False)
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv(name, "fake-value")
    with place.terminal("login", "openai", "--browser") as talk:
        talk.until("Open this address:")
        talk.until("Where the browser is on another machine its last page can't load: paste that page's address here.")
        talk.press("c")
        talk.end(130)


@pytest.mark.parametrize("what", ["code", "address", "code#state"])
@pytest.mark.parametrize("provider", ["openai", "xai"])
def test_where_the_browser_is_elsewhere_its_answer_is_pasted(place: Place, provider: str, what: str) -> None:
    with place.terminal("login", provider, "--browser") as talk:
        talk.until("Open this address:")
        url = talk.url()
        talk.until("paste that page's address here")
        talk.until("Or paste the code, or the address it ended at: ")
        address = browse(url)
        state = address.partition("state=")[2]
        pasted = {"code": code_in(address), "address": address, "code#state": f"{code_in(address)}#{state}"}
        talk.type(pasted[what])
        shown = talk.end()
    assert f"logged in {provider}:default" in shown
    place.works(f"{provider}:default")
    assert place.authority.count("authorization_code", "ok") == 1


def test_an_answer_to_another_sign_in_is_not_taken(place: Place) -> None:
    with place.terminal("login", "openai:work", "--method", "browser") as talk:
        address = browse(talk.url())
        for wrong in (f"{code_in(address)}#of-another-sign-in", address.replace("state=", "state=x")):
            talk.until("ended at: ")
            talk.type(wrong)
            talk.until("that is the answer to another sign-in; paste this one's")
        talk.until("ended at: ")
        talk.type("http://localhost:1455/auth/callback?scope=openid")
        talk.until("that holds no code: paste the code as the page shows it, or the whole address the browser ended at")
        assert place.authority.count("authorization_code") == 0
        talk.until("ended at: ")
        talk.type(address)
        talk.end()
    place.works("openai:work")


def test_a_code_of_another_sign_in_is_refused_by_the_server(place: Place) -> None:
    """A bare code has no state; its verifier doesn't fit."""
    with place.terminal("login", "openai", "--browser") as first:
        stolen = code_in(browse(first.url()))
        first.until("ended at: ")
        with place.terminal("login", "openai", "--browser") as second:
            second.until("ended at: ")
            second.type(stolen)
            assert "OpenAI ChatGPT refused the sign-in (invalid_grant" in second.end(82)
        first.press("c")
        first.end(130)
    assert place.events() == []


def test_the_person_refuses_in_the_browser(place: Place) -> None:
    place.authority.settings.deny = True
    with place.terminal("login", "openai", "--browser") as talk:
        address = browse(talk.url())
        talk.until("ended at: ")
        talk.type(address)
        shown = talk.end(82)
    assert "OpenAI ChatGPT refused the sign-in (access_denied: the person said no)" in shown
    assert place.events() == []


@pytest.mark.usefixtures("browser")
def test_the_person_refuses_and_the_browser_comes_back(place: Place) -> None:
    place.authority.settings.deny = True
    with place.terminal("login", "--issuer", place.server.url, "--client-id", "fake-client") as talk:
        shown = talk.end(82)
    assert "127.0.0.1 refused the sign-in (access_denied: the person said no)" in shown
    assert place.events() == []


def test_giving_up_while_the_browser_is_waited_for(place: Place) -> None:
    with place.terminal("login", "openai", "--browser") as talk:
        talk.until("ended at: ")
        talk.press("c")
        shown = talk.end(130)
    assert "interrupted; nothing was left half-done" in shown
    assert place.events() == []


@pytest.mark.usefixtures("browser")
def test_a_sign_in_that_ends_in_an_api_key(place: Place) -> None:
    with place.terminal("login", "openrouter") as talk:
        talk.until("1 OpenRouter (browser), which makes an API key (recommended)")
        talk.until("Which [1]: ")
        talk.type("")
        shown = talk.end()
    assert "note: delete the key in the provider's settings to revoke it" in shown
    key = place.stored("openrouter:default", "api_key")
    assert key.startswith("fake-key-")
    assert place.authority.count("key", "ok") == 1


@pytest.mark.usefixtures("browser")
def test_a_second_sign_in_keeps_the_first_in_the_history(place: Place, real: Real) -> None:
    for _ in range(2):
        with place.terminal("login", "openrouter", "--browser") as talk:
            shown = talk.end()
    assert "is kept in the history: vault restore openrouter:default brings it back" in shown
    second = place.stored("openrouter:default", "api_key")
    real("restore", "openrouter:default")
    assert place.stored("openrouter:default", "api_key") != second
    assert place.events().count("profile_logged_in") == 2


def test_a_sign_in_for_an_agent_of_its_own(place: Place) -> None:
    with place.terminal("login", "openai", "--browser", "--agent", "coder", "--label", "mine") as talk:
        address = browse(talk.url())
        talk.until("ended at: ")
        talk.type(address)
        shown = talk.end()
    assert "registered agent coder, inheriting from main" in shown
    place.works("openai:default", "coder")
    assert place.profiles() == {}


def test_what_is_asked_is_asked_of_the_terminal_though_standard_input_is_a_pipe(place: Place) -> None:
    """As in ``curl … | sh``: the pipe's content is no answer."""
    with place.shell("printf 'fake-piped-line\\n' | vault login openai") as talk:
        talk.until("Which [1]: ")
        talk.type("1")
        address = browse(talk.url())
        talk.until("ended at: ")
        talk.type(address)
        shown = talk.end()
    assert "fake-piped-line" not in shown
    place.works("openai:default")
