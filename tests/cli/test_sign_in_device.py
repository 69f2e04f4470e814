"""Signing in by a code that is typed on another page, through the installed command on a terminal."""

from __future__ import annotations

import pytest

from tests.cli.running import Real
from tests.cli.signing_in import Place

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.mark.parametrize(
    ("provider", "grant"),
    [
        ("huggingface", GRANT),
        ("hyper", "refresh_token"),
        ("kimi-for-coding", GRANT),
        ("minimax-coding-plan", "urn:ietf:params:oauth:grant-type:user_code"),
        ("openai", "authorization_code"),
        ("xai", GRANT),
    ],
)
def test_a_code_on_another_page(place: Place, provider: str, grant: str) -> None:
    with place.terminal("login", provider, "--device") as talk:
        talk.until(" and type this code: ABCD-1000")
        talk.until("The code expires in 15 minutes.")
        talk.until("press Ctrl-C to stop")
        shown = talk.end()
    assert f"logged in {provider}:default for agent main (oauth, fingerprint " in shown
    place.works(f"{provider}:default")
    assert place.authority.count(grant, "ok") == 1


def test_the_page_is_told_with_and_without_the_code(place: Place) -> None:
    with place.terminal("login", "huggingface", "--device") as talk:
        shown = talk.end()
    page = f"{place.server.url}/activate"
    assert f"Open {page} and type this code: ABCD-1000\r\n" in shown
    assert f"Or open {page}?user_code=ABCD-1000, which has the code in it.\r\n" in shown


def test_the_interval_and_slow_down_are_honoured(place: Place) -> None:
    """The server answers slow_down to a poll that comes early, so there is one only: its own."""
    place.authority.settings.device_script = ["authorization_pending", "slow_down"]
    with place.terminal("login", "xai", "--device") as talk:
        shown = talk.end()
    assert shown.count("Waiting for xAI (SuperGrok)") == 1
    polls = [e.outcome for e in place.authority.exchanges if e.grant == GRANT]
    assert polls == ["authorization_pending", "slow_down", "ok"]
    place.works("xai:default")


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ("expired_token", 75, "the code of xAI (SuperGrok) expired before it was typed in: run the same command again"),
        ("access_denied", 82, "xAI (SuperGrok) refused the sign-in (access_denied): run the same command again"),
    ],
)
def test_a_code_that_comes_to_nothing(place: Place, answer: str, status: int, words: str) -> None:
    place.authority.settings.device_answer = answer
    with place.terminal("login", "xai", "--device") as talk:
        shown = talk.end(status)
    assert words in shown
    assert place.events() == []


def test_a_code_that_is_not_typed_in_time(place: Place) -> None:
    place.authority.settings.device_life = 2
    place.authority.settings.device_answer = "authorization_pending"
    with place.terminal("login", "xai", "--device") as talk:
        shown = talk.end(75)
    assert "expired before it was typed in" in shown
    assert place.events() == []


def test_giving_up_while_the_code_is_waited_for(place: Place, real: Real) -> None:
    place.authority.settings.device_answer = "authorization_pending"
    with place.terminal("login", "github-copilot", "--device") as talk:
        talk.until("Waiting for GitHub Copilot; press Ctrl-C to stop")
        talk.press("c")
        shown = talk.end(130)
    assert "interrupted; nothing was left half-done" in shown
    assert place.events() == []
    assert real("verify").status == 0


def test_giving_up_leaves_what_was_there(place: Place) -> None:
    with place.terminal("login", "xai", "--device") as talk:
        talk.end()
    place.authority.settings.device_answer = "authorization_pending"
    with place.terminal("login", "xai", "--device") as talk:
        talk.until("press Ctrl-C to stop")
        talk.press("c")
        talk.end(130)
    place.works("xai:default")
    assert place.events() == ["profile_logged_in", "credential_issued"]


def test_copilot_at_github_and_its_exchange(place: Place, real: Real) -> None:
    """The GitHub token lives long; each use gets a short Copilot token, exchanged anew when the last one ends."""
    place.authority.settings.copilot_life = 60
    with place.terminal("login", "github-copilot") as talk:
        talk.until("1 GitHub Copilot (code) (recommended)")
        talk.until("2 GitHub Copilot on GitHub Enterprise (code)")
        talk.until("Which [1]: ")
        talk.type("1")
        talk.end()
    assert place.authority.count("copilot", "ok") == 1
    assert "/github.com/login/device/code" in [path for _, path in place.authority.requests]
    place.authority.settings.copilot_life = 1500
    first, second = place.stored("github-copilot:default", "oauth"), place.stored("github-copilot:default", "oauth")
    assert first == second
    assert first.startswith("fake-copilot-")
    assert place.authority.count("copilot", "ok") == 2
    assert place.authority.count(GRANT) == 1
    assert real("status", "github-copilot", "--json").json["providers"][0]["word"] == "proven"


@pytest.mark.parametrize("how", ["menu", "option"])
def test_copilot_at_an_enterprise(place: Place, real: Real, how: str) -> None:
    words = ["--host", "company.ghe.com"] if how == "option" else []
    with place.terminal("login", "github-copilot:work", *words) as talk:
        if how == "menu":
            talk.until("Which [1]: ")
            talk.type("2")
            talk.until("Host (such as company.ghe.com): ")
            talk.type("https://company.ghe.com/")
        talk.end()
    paths = [path for _, path in place.authority.requests]
    assert paths[0] == "/company.ghe.com/login/device/code"
    assert paths[-1] == "/api.company.ghe.com/copilot_internal/v2/token"
    real("refresh", "github-copilot:work")
    assert place.authority.requests[-1][1] == "/api.company.ghe.com/copilot_internal/v2/token"
    assert place.stored("github-copilot:work", "oauth").startswith("fake-copilot-")


def test_an_account_without_copilot(place: Place) -> None:
    place.authority.settings.copilot = 403
    with place.terminal("login", "github-copilot", "--device") as talk:
        shown = talk.end(82)
    assert "this GitHub account has no access to Copilot: sign in with one that has" in shown
    assert place.events() == []
