"""Authorization code with PKCE on a loopback redirect, against a real server: the ways it works, and the ways it doesn't."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.oauth.authority import Fault, challenge_of
from tests.oauth.conftest import World
from tests.oauth.person import Person
from tests.oauth.server import query_of
from vault.errors import InputError, SignInAgain, TryAgain
from vault.events.credentials import ApiKey, OAuth
from vault.providers.flows import login_flow
from vault.providers.flows.browser import not_an_answer, parse_pasted
from vault.providers.methods import method
from vault.values import HOUR, SECOND


def test_openai_in_a_browser(world: World) -> None:
    signed = world.sign_in("openai", "browser")
    credential = signed.credential
    assert isinstance(credential, OAuth)
    assert world.authority.is_live(credential.access)
    assert credential.refresh in world.authority.family_of
    assert credential.expires_at == world.clock.at + HOUR
    assert credential.metadata == {"client": "openai-chatgpt"}
    assert credential.account == {"accountId": "fake-account-1", "email": "me@example.com"}
    assert signed.account == "me@example.com"
    assert world.authority.count("authorization_code", "ok") == 1
    asked = query_of(world.person.urls[0])
    assert asked["code_challenge_method"] == "S256"
    assert asked["originator"] == "codex_cli_rs"
    assert asked["redirect_uri"].startswith("http://localhost:145")
    assert len(asked["state"]) == 43
    verifier = world.authority.bodies[-1]["code_verifier"]
    assert challenge_of(verifier) == asked["code_challenge"]
    assert not any(verifier in text for text in world.person.shown)


def test_the_page_says_that_it_may_be_closed(world: World) -> None:
    world.sign_in("google", "browser", client_secret="fake-secret")
    ((status, page),) = world.person.pages
    assert status == 200
    assert "You may close this page" in page


@pytest.mark.parametrize("browses", ["paste", "code"])
def test_the_answer_may_be_pasted(world: World, browses: str) -> None:
    world.person = Person(browses)
    assert isinstance(world.sign_in("google", "browser", client_secret="fake-secret").credential, OAuth)


def test_a_pasted_answer_to_another_sign_in_is_not_taken(world: World) -> None:
    world.person = Person("paste", lines=["http://127.0.0.1:1/oauth2callback?code=fake-other&state=other"])
    world.sign_in("google", "browser", client_secret="fake-secret")
    assert "that is the answer to another sign-in; paste this one's" in world.person.shown


def test_a_pasted_text_without_a_code_is_asked_for_again(world: World) -> None:
    world.person = Person("code", lines=["http://127.0.0.1:1/oauth2callback?nothing=here"])
    world.sign_in("google", "browser", client_secret="fake-secret")
    assert any("holds no code" in text for text in world.person.shown)


IMPOSSIBLE = {
    "hello world": "a code has no blanks in it",
    "hello": "too short for a code",
    "fäke-code-0123456789": "a code has no blanks",
    "sk-ant-api03-fake-key-0123456789abcdef": "a key or a token, not a code",
    "hello world#state": "a code has no blanks",
    "http://127.0.0.1:1/cb?code=fake-code-cut-": "that address was cut off",
    "?code=fake%20code&state=fake": "a code has no blanks",
}


@pytest.mark.parametrize("provider", ["google", "openrouter", "openai"])
def test_a_pasted_answer_that_can_not_be_one_is_sent_nowhere_and_asked_for_again(world: World, provider: str) -> None:
    world.person = Person("code", lines=list(IMPOSSIBLE))
    world.sign_in(provider, "" if provider == "openrouter" else "browser", client_secret="fake-secret")
    for why in IMPOSSIBLE.values():
        told = next(text for text in world.person.shown if why in text)
        assert "paste the code as the page shows it, or the whole address the browser ended at" in told
    granted = world.authority.count("key") + world.authority.count("authorization_code")
    assert granted == 1


def test_the_address_of_the_sign_in_itself_is_no_answer(world: World) -> None:
    class Hasty(Person):
        def open_browser(self, url: str) -> bool:
            self.lines.put(url)
            return super().open_browser(url)

    world.person = Hasty("paste")
    world.sign_in("google", "browser", client_secret="fake-secret")
    assert any("that holds no code" in text for text in world.person.shown)
    assert world.authority.count("authorization_code") == 1


def test_an_empty_line_does_not_end_the_pasting(world: World) -> None:
    world.person = Person("code", lines=["", ""])
    world.sign_in("google", "browser", client_secret="fake-secret")
    assert world.authority.count("authorization_code", "ok") == 1


@pytest.mark.parametrize("code", ["4/0AfakeCode-_", "ac_fakefake", "fake+/=code.~", "eyJmYWtl.eyJmYWtl.ZmFrZQ"])
def test_a_code_of_any_form_may_be_pasted(code: str) -> None:
    for text in (code, f"{code}#state", f"http://localhost/cb?{urlencode({'code': code, 'state': 's'})}"):
        assert not_an_answer(text, parse_pasted(text)) == ""


def test_the_browser_may_be_a_program(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command line opens it: ``BROWSER`` names the program, and it brings the answer to the listener by itself."""
    import webbrowser

    monkeypatch.setenv("BROWSER", f"{sys.executable} -m tests.oauth.person %s")
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    world.person.browses = "nothing"
    shown = world.person.open_browser
    opened = []

    def open_browser(url: str) -> bool:
        opened.append(webbrowser.open(url))
        return shown(url)

    world.person.open_browser = open_browser  # type: ignore[method-assign]
    assert isinstance(world.sign_in("google", "browser", client_secret="fake-secret").credential, OAuth)
    assert opened == [True]


def test_refused_by_the_person(world: World) -> None:
    world.authority.settings.deny = True
    error = world.fails(SignInAgain, "google", "browser", client_secret="fake-secret")
    assert "access_denied: the person said no" in error.message
    ((status, page),) = world.person.pages
    assert status == 200
    assert "refused" in page


def test_nobody_answers(world: World) -> None:
    world.person = Person("nothing")
    flow = login_flow(method("google", "browser"), world.start(client_secret="fake-secret"))
    with pytest.raises(TryAgain, match="no answer from"):
        world.run(flow, deadline=0.2)


def test_a_client_secret_is_asked_for_and_told_where_to_find(world: World) -> None:
    world.person = Person(answers=["fake-google-secret"])
    google = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"
    world.authority.settings.secrets[google] = "fake-google-secret"
    credential = world.sign_in("google", "browser").credential
    assert credential.extra["client_secret"] == "fake-google-secret"
    assert "client_secret" not in credential.metadata
    assert any("can't ship" in text and "google-gemini/gemini-cli" in text for text in world.person.shown)
    assert "Client secret: " in world.person.shown


def test_an_empty_client_secret_is_an_error(world: World) -> None:
    world.person = Person(answers=[" "] * 3)
    assert "needs a client secret" in world.fails(InputError, "google", "browser").message


def test_a_wrong_client_secret_is_refused(world: World) -> None:
    google = "681255809395-oo8ft2oprdrnp9e3aqf6av3hmdib135j.apps.googleusercontent.com"
    world.authority.settings.secrets[google] = "fake-google-secret"
    error = world.fails(SignInAgain, "google", "browser", client_secret="fake-wrong")
    assert "invalid_client" in error.message


def test_a_client_of_ones_own(world: World) -> None:
    world.authority.settings.secrets["my-client"] = "fake-mine"
    signed = world.sign_in("google", "browser", client_id="my-client", client_secret="fake-mine")
    assert signed.credential.metadata == {"client": "google-gemini-cli", "client_id": "my-client"}


def test_xai_finds_its_browser_page_by_discovery(world: World) -> None:
    credential = world.sign_in("xai", "browser").credential
    assert isinstance(credential, OAuth)
    assert ("GET", "/.well-known/oauth-authorization-server/auth.x.ai") in world.authority.requests


def test_openrouter_ends_in_an_api_key(world: World) -> None:
    signed = world.sign_in("openrouter")
    assert isinstance(signed.credential, ApiKey)
    assert signed.credential.key.startswith(f"fake-key-{world.mark}")
    assert signed.credential.metadata == {"client": "openrouter", "user_id": "fake-user-9"}
    asked = query_of(world.person.urls[0])
    assert "state=" in asked["callback_url"]
    assert world.authority.count("key", "ok") == 1


def test_openrouter_refuses_a_code_with_another_verifier(world: World) -> None:
    flow_code = world.authority.new_code({"code_challenge": "another"})
    world.person = Person("nothing", lines=[flow_code])
    assert "invalid_grant" in world.fails(SignInAgain, "openrouter").message


def test_narrowed_scopes_are_told(world: World) -> None:
    world.authority.settings.narrowed = "openid email"
    signed = world.sign_in("openai", "browser")
    assert isinstance(signed.credential, OAuth)
    assert signed.credential.scopes == ["openid", "email"]
    assert "OpenAI ChatGPT did not grant profile, offline_access" in signed.notes


def test_tokens_that_are_no_bearer_tokens_are_refused(world: World) -> None:
    world.authority.settings.token_type = "DPoP"
    assert "DPoP" in world.fails(InputError, "openai", "browser").message


FAULTS = {
    "reset before": (Fault("reset"), TryAgain),
    "reset after": (Fault("reset", after=True), TryAgain),
    "dropped": (Fault("drop", after=True), TryAgain),
    "500": (Fault("status"), TryAgain),
    "429 for long": (Fault("status", status=429, headers={"Retry-After": "600"}), TryAgain),
    "redirect": (Fault("redirect", status=302, headers={"Location": "https://elsewhere.example/"}), TryAgain),
    "web page": (Fault("html", status=200), InputError),
    "huge": (Fault("huge", after=True), TryAgain),
    "cut": (Fault("cut", after=True), TryAgain),
    "compressed": (Fault("gzip", after=True), TryAgain),
    "an echo of the request": (Fault("echo", status=400, body="invalid_grant"), SignInAgain),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_code_exchange_that_goes_wrong(world: World, name: str) -> None:
    fault, error = FAULTS[name]
    world.authority.fault("auth.openai.com/oauth/token", fault)
    world.fails(error, "openai", "browser")
    assert world.authority.count("authorization_code", "ok") <= 1


def test_a_wrong_content_type_loses_nothing(world: World) -> None:
    world.authority.fault("/token", Fault("type", after=True))
    assert isinstance(world.sign_in("openai", "browser").credential, OAuth)


def test_a_short_429_is_waited_out(world: World) -> None:
    world.authority.fault("auth.openai.com/oauth/token", Fault("status", status=429, headers={"Retry-After": "7"}))
    assert isinstance(world.sign_in("openai", "browser").credential, OAuth)
    assert world.pauses == [7.0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fake-code", {"code": "fake-code"}),
        ("  fake-code#fake-state \n", {"code": "fake-code", "state": "fake-state"}),
        ("http://localhost:1/cb?code=c&state=s", {"code": "c", "state": "s"}),
        ("?code=c&state=s", {"code": "c", "state": "s"}),
        ("code=c&state=s", {"code": "c", "state": "s"}),
        ("https://example.com/cb#code=c&state=s", {"code": "c", "state": "s"}),
        ("http://localhost:1/cb?error=access_denied&state=s", {"error": "access_denied", "state": "s"}),
        ("http://[broken", {}),
    ],
)
def test_what_a_pasted_text_says(text: str, found: dict[str, str]) -> None:
    assert parse_pasted(text) == found


def test_a_clock_that_is_wrong_by_hours_does_not_matter(world: World) -> None:
    world.authority.settings.clock_off = -7 * 3600
    for expiry in ("in", "text", "at", "at_ms", "iso", "jwt"):
        world.authority.settings.expiry = expiry
        credential = world.sign_in("openai", "browser").credential
        assert isinstance(credential, OAuth)
        assert abs((credential.expires_at or 0) - world.clock.at - HOUR) <= 2 * SECOND
