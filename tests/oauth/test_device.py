"""Device sign-ins in every dialect, against a real server that keeps time by the test's clock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.oauth.authority import Fault
from tests.oauth.conftest import World
from tests.oauth.person import Person
from vault.errors import InputError, SignInAgain, TryAgain
from vault.events.credentials import OAuth
from vault.providers.flows import login_flow
from vault.providers.methods import method
from vault.values import HOUR, SECOND

DEVICES = ["huggingface", "xai", "kimi-for-coding", "minimax", "minimax-cn", "hyper", "openai"]
DENIED = {
    "huggingface": "access_denied",
    "hyper": "access_denied",
    "minimax": "access_denied",
    "openai": "access_denied",
}


def signed_in(world: World, provider: str) -> OAuth:
    credential = world.sign_in(provider, "device").credential
    assert isinstance(credential, OAuth)
    return credential


@pytest.mark.parametrize("provider", DEVICES)
def test_a_device_sign_in(world: World, provider: str) -> None:
    world.authority.settings.device_script = ["authorization_pending", "authorization_pending"]
    credential = signed_in(world, provider)
    assert world.authority.is_live(credential.access)
    assert credential.refresh in world.authority.family_of
    assert credential.expires_at is not None
    assert credential.expires_at == world.clock.at + HOUR
    (code,) = world.person.codes
    assert code.user_code.startswith("ABCD-")
    assert code.url.startswith("http://127.0.0.1:")
    assert len(world.pauses) == 3
    assert any("press Ctrl-C to stop" in text for text in world.person.shown)


@pytest.mark.parametrize("provider", DEVICES)
def test_slow_down_is_honoured(world: World, provider: str) -> None:
    if provider in ("openai", "minimax", "minimax-cn"):
        world.authority.settings.interval = 7
    world.authority.settings.device_script = ["slow_down", "authorization_pending", "slow_down"]
    signed_in(world, provider)
    first = world.pauses[0]
    assert world.pauses == [first, first + 5, first + 5, first + 10]


def test_the_interval_of_the_server_is_used(world: World) -> None:
    world.authority.settings.interval = 13
    signed_in(world, "huggingface")
    assert world.pauses == [13.0]


def test_polling_too_early_is_what_the_server_would_punish(world: World) -> None:
    """The server checks the interval by the same clock: had the flow polled early, it would have been told to slow down."""
    world.authority.settings.device_script = ["authorization_pending"] * 4
    signed_in(world, "xai")
    polls = [e.outcome for e in world.authority.exchanges if e.grant.endswith("device_code")]
    assert polls == ["authorization_pending"] * 4 + ["ok"]


@pytest.mark.parametrize("provider", DEVICES)
def test_denied_by_the_person(world: World, provider: str) -> None:
    world.authority.settings.device_answer = "access_denied"
    assert "access_denied" in world.fails(SignInAgain, provider, "device").message


@pytest.mark.parametrize("provider", DEVICES)
def test_the_code_ends_by_the_servers_word(world: World, provider: str) -> None:
    world.authority.settings.device_answer = "expired_token"
    assert "expired before it was typed in" in world.fails(TryAgain, provider, "device").message


@pytest.mark.parametrize("provider", ["huggingface", "hyper", "minimax"])
def test_the_code_ends_by_the_clock(world: World, provider: str) -> None:
    world.authority.settings.device_answer = "authorization_pending"
    world.authority.settings.device_life = 62
    assert "expired before it was typed in" in world.fails(TryAgain, provider, "device").message
    assert sum(world.pauses) == 60


def test_the_code_ends_even_where_the_clock_stands_still(world: World) -> None:
    world.authority.settings.device_life = 62
    world.pause = world.pauses.append  # type: ignore[method-assign]
    assert "expired before it was typed in" in world.fails(TryAgain, "huggingface").message
    assert 0 < sum(world.pauses) <= 62


def test_the_deadline_of_the_whole_sign_in(world: World) -> None:
    world.authority.settings.device_answer = "authorization_pending"
    flow = login_flow(method("huggingface"), world.start())
    with pytest.raises(TryAgain, match="not finished in time"):
        world.run(flow, deadline=21.0)
    assert world.pauses == [5.0] * 4


@pytest.mark.parametrize("kind", ["reset", "drop", "status", "html"])
def test_a_poll_that_fails_backs_off_and_goes_on(world: World, kind: str) -> None:
    world.authority.fault("huggingface.co/oauth/token", Fault(kind, status=502))
    signed_in(world, "huggingface")
    assert world.pauses == [5.0, 10.0]


def test_a_poll_that_is_told_to_wait_waits(world: World) -> None:
    world.authority.fault("huggingface.co/oauth/token", Fault("status", status=429, headers={"Retry-After": "40"}))
    signed_in(world, "huggingface")
    assert world.pauses == [5.0, 40.0]


def test_an_answer_that_was_lost_after_the_grant_is_refused_at_the_next_poll(world: World) -> None:
    world.authority.fault("huggingface.co/oauth/token", Fault("drop", after=True))
    assert "invalid_grant" in world.fails(SignInAgain, "huggingface").message


def test_interrupting_the_wait_stops_at_once(world: World) -> None:
    world.authority.settings.device_answer = "authorization_pending"

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    world.pause = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.sign_in("huggingface")
    assert world.authority.count("refresh_token") == 0


STARTS: dict[str, tuple[Fault, Any]] = {
    "unreachable": (Fault("reset"), TryAgain),
    "500": (Fault("status"), TryAgain),
    "503": (Fault("status", status=503, headers={"Retry-After": "3600"}), TryAgain),
    "web page": (Fault("html", status=200), InputError),
    "huge": (Fault("huge", after=True), InputError),
    "cut": (Fault("cut", after=True), InputError),
    "refused": (Fault("echo", status=400, body="unauthorized_client"), SignInAgain),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_start_that_goes_wrong(world: World, name: str) -> None:
    fault, error = STARTS[name]
    world.authority.fault("/oauth/device", fault)
    world.fails(error, "huggingface")
    assert world.person.codes == []


def test_openai_says_when_codes_are_switched_off(world: World) -> None:
    world.authority.fault("deviceauth/usercode", Fault("status", status=404))
    assert "switched off" in world.fails(SignInAgain, "openai", "device").message


def test_openai_exchanges_the_code_with_the_servers_verifier(world: World) -> None:
    signed_in(world, "openai")
    assert world.authority.count("authorization_code", "ok") == 1


def test_kimi_sends_its_headers_and_remembers_the_device(world: World) -> None:
    credential = signed_in(world, "kimi-for-coding")
    device = credential.metadata["device_id"]
    assert len(device) == 43
    assert {h["X-Msh-Device-Id"] for h in world.authority.headers} == {device}
    assert all(h["X-Msh-Platform"] == "kimi_cli" for h in world.authority.headers)


def test_hyper_names_the_organisation(world: World) -> None:
    credential = signed_in(world, "hyper")
    assert credential.account == {"accountId": "fake-user-7", "organization": "Example"}


def test_hyper_polls_without_its_code_in_anything_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    signed_in(world, "hyper")
    polled = [path for verb, path in world.authority.requests if verb == "GET"]
    assert polled
    assert all(world.mark in path for path in polled)
    assert "connect_tcp" in caplog.text
    assert world.mark not in caplog.text


def test_minimax_checks_the_verifier(world: World) -> None:
    signed_in(world, "minimax")
    (started,) = [b for b in world.authority.bodies if "code_challenge" in b]
    assert started["code_challenge_method"] == "S256"


def test_minimax_that_answers_another_sign_in_is_refused(world: World) -> None:
    answer = {"user_code": "ABCD", "verification_uri": f"{world.base}/x", "state": "another"}
    world.authority.fault("/oauth2/device/code", Fault("status", status=200, body=json.dumps(answer)))
    assert "another sign-in" in world.fails(SignInAgain, "minimax").message


@pytest.mark.parametrize("host", ["github.com", "company.ghe.com"])
def test_copilot_signs_in_at_github_and_exchanges(world: World, host: str) -> None:
    world.authority.settings.refresh = False
    world.authority.settings.expiry = "none"
    name, given = ("device", {}) if host == "github.com" else ("device-enterprise", {"host": host})
    signed = world.sign_in("github-copilot", name, **given)
    credential = signed.credential
    assert isinstance(credential, OAuth)
    assert credential.access.startswith("fake-copilot-")
    assert world.authority.is_live(credential.refresh)
    assert credential.expires_at == world.clock.at + 1500 * SECOND
    assert credential.metadata == {"client": "github-copilot-editor", **given}
    assert credential.extra["api"] == "https://api.example.com"
    paths = [path for _, path in world.authority.requests]
    assert paths == [
        f"/{host}/login/device/code",
        f"/{host}/login/oauth/access_token",
        f"/api.{host}/copilot_internal/v2/token",
    ]


def test_github_answers_errors_with_a_200_and_may_use_forms(world: World) -> None:
    world.authority.settings.device_script = ["authorization_pending", "slow_down"]
    world.authority.settings.form = True
    signed_in(world, "github-copilot")
    assert world.pauses == [5.0, 5.0, 10.0]


@pytest.mark.parametrize("status", [403, 404])
def test_an_account_without_copilot(world: World, status: int) -> None:
    world.authority.settings.copilot = status
    assert "no access to Copilot" in world.fails(SignInAgain, "github-copilot").message


def test_an_enterprise_host_is_asked_for_and_checked(world: World) -> None:
    world.person = Person(answers=["https://company.ghe.com/"])
    assert world.sign_in("github-copilot", "device-enterprise").credential.metadata["host"] == "company.ghe.com"
    world.person = Person(answers=["hello world", "company.ghe.com"])
    assert world.sign_in("github-copilot", "device-enterprise").credential.metadata["host"] == "company.ghe.com"
    world.person = Person(answers=["company.ghe.com/../evil"] * 3)
    assert "not a host name" in world.fails(InputError, "github-copilot", "device-enterprise").message


@pytest.mark.parametrize(
    "answer",
    [
        {"user_code": "AB\x1b[2J", "verification_uri": "https://example.com", "device_code": "x"},
        {"user_code": "ABCD", "verification_uri": "javascript:alert(1)", "device_code": "x"},
        {"user_code": "ABCD", "verification_uri": "http://example.com/", "device_code": "x"},
        {"user_code": "ABCD", "verification_uri": "https://me@example.com/", "device_code": "x"},
        {"user_code": "ABCD", "verification_uri": "https://example.com/\x1b[2J", "device_code": "x"},
        {"user_code": "ABCD", "verification_uri": "https://example.com/"},
        {"user_code": 7, "verification_uri": "https://example.com/", "device_code": "x"},
        {},
    ],
)
def test_a_start_that_would_show_something_bad_is_refused(world: World, answer: dict[str, Any]) -> None:
    body = json.dumps(answer)
    world.authority.fault("/oauth/device", Fault("status", status=200, body=body))
    world.fails(InputError, "huggingface")
    assert world.person.codes == []
