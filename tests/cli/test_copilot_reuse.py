"""vault login github-copilot: a token in Copilot's apps.json or hosts.json is used before a device sign-in is started."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.running import Real
from tests.cli.signing_in import Place

NAME = "github-copilot:default"
DEVICE = "/github.com/login/device/code"


@pytest.fixture(autouse=True)
def editors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own for the editors' files, which hold tokens in plain text."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "editors"))


def at(file: str) -> Path:
    return Path(os.environ["XDG_CONFIG_HOME"]) / "github-copilot" / file


def keep(place: Place, file: str = "apps.json", host: str = "github.com", token: str = "") -> str:
    """An editor's file with a GitHub token, one that the server knows unless told otherwise; the token."""
    token = token or str(place.authority.tokens("")["access_token"])
    path = at(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    key = host if file == "hosts.json" else f"{host}:Iv1.x"
    path.write_text(json.dumps({key: {"user": "octo", "oauth_token": token}}))
    return token


def asked_for_codes(place: Place) -> list[str]:
    return [path for _, path in place.authority.requests if path.endswith("/login/device/code")]


@pytest.mark.parametrize("file", ["apps.json", "hosts.json"])
def test_login_github_copilot_reuses_a_token_found_in_apps_or_hosts_json(place: Place, real: Real, file: str) -> None:
    token = keep(place, file)
    with place.terminal("login", "github-copilot") as talk:
        talk.until(f"there is a sign-in as octo already: {at(file)}")
        talk.until("Use it?")
        talk.type("")
        shown = talk.end()
    assert token not in shown
    assert f"logged in {NAME} for agent main (oauth" in shown
    assert asked_for_codes(place) == []
    assert place.authority.count("copilot", "ok") == 1
    assert place.stored(NAME, "oauth").startswith("fake-copilot-")
    told = real("show", NAME, "--json").json
    assert (told["account"], told["ownership"], told["refreshable"]) == ("octo", "copy", True)
    real("refresh", NAME)
    assert place.authority.count("copilot", "ok") == 2


@pytest.mark.parametrize("how", ["a no", "--device", "--method"])
def test_an_option_or_a_no_starts_a_new_sign_in(place: Place, how: str) -> None:
    keep(place)
    words = {"--device": ["--device"], "--method": ["--method", "device"], "a no": []}[how]
    with place.terminal("login", "github-copilot", *words) as talk:
        if not words:
            talk.until("Use it?")
            talk.type("n")
            talk.until("Which [1]: ")
            talk.type("1")
        shown = talk.end()
    assert ("already:" in shown) == (not words)
    assert asked_for_codes(place) == [DEVICE]
    assert place.stored(NAME, "oauth").startswith("fake-copilot-")


def test_a_token_that_github_refuses_is_not_stored_and_a_new_sign_in_is_offered(place: Place) -> None:
    keep(place, token="fake-dead-token-of-github")
    with place.terminal("login", "github-copilot") as talk:
        talk.until("Use it?")
        talk.type("y")
        talk.until("it can't be used: ")
        talk.until("Which [1]: ")
        talk.type("1")
        shown = talk.end()
    assert "fake-dead-token-of-github" not in shown
    assert asked_for_codes(place) == [DEVICE]
    assert place.events() == ["profile_logged_in"]


def test_an_enterprises_sign_in_is_reused_there_and_only_for_its_host(place: Place) -> None:
    keep(place, host="company.ghe.com")
    with place.terminal("login", "github-copilot:other", "--host", "other.ghe.com") as talk:
        assert "already:" not in talk.end()
    before = len(place.authority.requests)
    with place.terminal("login", "github-copilot:work", "--host", "company.ghe.com") as talk:
        talk.until("there is a sign-in as octo at company.ghe.com already:")
        talk.type("y")
        talk.end()
    paths = [path for _, path in place.authority.requests[before:]]
    assert paths == ["/api.company.ghe.com/copilot_internal/v2/token"]


@pytest.mark.parametrize("content", ["{", "[]", '{"github.com": {"user": "octo"}}', '{"github.com": 1}'])
def test_a_file_without_a_usable_token_changes_nothing(place: Place, content: str) -> None:
    keep(place)
    at("apps.json").write_text(content)
    with place.terminal("login", "github-copilot", "--profile", "new") as talk:
        talk.until("Which [1]: ")
        talk.type("1")
        assert "already:" not in talk.end()


def test_without_a_terminal_nothing_is_asked_or_taken(place: Place, real: Real) -> None:
    keep(place)
    told = real("login", "github-copilot", status=82)
    assert "a person must sign in" in told.err
    assert place.events() == []
