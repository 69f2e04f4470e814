"""Refreshing: what each answer, and each way of not getting one, means. The server counts, and kills a family on reuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oauth.authority import Fault
from tests.oauth.conftest import World
from vault.events.credentials import OAuth
from vault.providers.clients import Client, client, client_of, registry, secrets_of
from vault.providers.flows import refresh_flow
from vault.providers.tokens import NotSent, Outcome, Refreshed, Refused, Uncertain, renewed
from vault.values import HOUR, SECOND

ROTATING = [
    "openai-chatgpt",
    "huggingface",
    "xai",
    "kimi-code",
    "minimax",
    "minimax-cn",
    "hyper",
    "anthropic-claude-ai",
]


def check(outcome: Outcome, world: World) -> Outcome:
    """An outcome in which nothing secret may be shown."""
    assert world.mark not in repr(outcome)
    assert world.mark not in str(outcome)
    return outcome


@pytest.mark.parametrize("name", ROTATING)
def test_a_rotating_refresh(world: World, name: str) -> None:
    first = world.authority.seed()
    outcome = check(world.refresh(name, first), world)
    assert isinstance(outcome, Refreshed)
    assert outcome.tokens.refresh not in ("", first)
    assert world.authority.is_live(outcome.tokens.access)
    assert outcome.tokens.expires_at == world.clock.at + HOUR
    again = world.refresh(name, outcome.tokens.refresh)
    assert isinstance(again, Refreshed)
    assert world.authority.count("refresh_token", "ok") == 2


@pytest.mark.parametrize("name", ROTATING)
def test_a_spent_token_is_refused_for_good_and_kills_its_family(world: World, name: str) -> None:
    first = world.authority.seed()
    won = world.refresh(name, first)
    assert isinstance(won, Refreshed)
    lost = check(world.refresh(name, first), world)
    assert isinstance(lost, Refused)
    assert lost.permanent
    assert lost.code == ("refresh_token_reused" if name == "openai-chatgpt" else "invalid_grant")
    assert not world.authority.is_live(won.tokens.access)


def test_a_refresh_token_that_does_not_rotate(world: World) -> None:
    world.authority.settings.rotate = False
    first = world.authority.seed()
    for _ in range(2):
        outcome = world.refresh("google-gemini-cli", first, extra={"client_secret": "fake-secret"})
        assert isinstance(outcome, Refreshed)
        assert outcome.tokens.refresh == ""
    assert all(b["client_secret"] == "fake-secret" for b in world.authority.bodies)


def test_what_the_answer_leaves_out_stays(world: World) -> None:
    world.authority.settings.new_refresh = False
    world.authority.settings.narrowed = "read"
    first = world.authority.seed()
    old = OAuth(
        access="fake-old",
        refresh=first,
        scopes=["read", "write"],
        id_token="fake-id",
        account={"email": "me@example.com"},
    )
    outcome = world.refresh("xai", first)
    assert isinstance(outcome, Refreshed)
    new = renewed(old, outcome.tokens)
    assert (new.refresh, new.scopes, new.id_token, new.account) == (first, ["read"], "fake-id", old.account)
    assert new.access != old.access
    assert new.expires_at == world.clock.at + HOUR


# name: (fault, outcome where refresh tokens rotate, whether the token was spent)
FAULTS: dict[str, tuple[Fault, type[Any], bool]] = {
    "reset before": (Fault("reset"), Uncertain, False),
    "reset after": (Fault("reset", after=True), Uncertain, True),
    "dropped after rotating": (Fault("drop", after=True), Uncertain, True),
    "dropped before": (Fault("drop"), Uncertain, False),
    "held": (Fault("hold", after=True), Uncertain, True),
    "dripping": (Fault("drip", after=True), Uncertain, True),
    "cut": (Fault("cut", after=True), Uncertain, True),
    "huge": (Fault("huge", after=True), Uncertain, True),
    "compressed": (Fault("gzip", after=True), Uncertain, True),
    "web page": (Fault("html", status=200), Uncertain, False),
    "500": (Fault("status", status=500), Uncertain, False),
    "502": (Fault("status", status=502), Uncertain, False),
    "302": (Fault("redirect", status=302, headers={"Location": "https://elsewhere.example/t"}), Uncertain, False),
    "307": (Fault("redirect", status=307, headers={"Location": "https://elsewhere.example/t"}), NotSent, False),
    "408": (Fault("status", status=408), NotSent, False),
    "429": (Fault("status", status=429, headers={"Retry-After": "90"}), NotSent, False),
    "503": (Fault("status", status=503, headers={"Retry-After": "90"}), NotSent, False),
    "said later": (Fault("echo", status=400, body="temporarily_unavailable"), NotSent, False),
    "server_error": (Fault("echo", status=400, body="server_error"), Uncertain, False),
    "invalid_client": (Fault("echo", status=401, body="invalid_client"), Refused, False),
    "odd code": (Fault("echo", status=400, body="<script>"), Refused, False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_at_a_rotating_provider(world: World, name: str) -> None:
    fault, expected, spent = FAULTS[name]
    first = world.authority.seed()
    world.authority.fault("auth.x.ai/oauth2/token", fault)
    outcome = check(world.refresh("xai", first, deadline=0.5 if fault.kind in ("hold", "drip") else 30.0), world)
    assert type(outcome) is expected, outcome
    if isinstance(outcome, Refused):
        assert not outcome.permanent
    world.authority.release.set()
    assert (first in world.authority.spent) is spent
    assert world.authority.count("refresh_token") == int(spent)


@pytest.mark.parametrize("name", [n for n, (_, kind, _) in FAULTS.items() if kind is not Refused])
def test_where_nothing_rotates_nothing_is_uncertain(world: World, name: str) -> None:
    fault, _, _ = FAULTS[name]
    world.authority.settings.rotate = False
    world.authority.fault("oauth2.googleapis.com/token", fault)
    outcome = world.refresh(
        "google-gemini-cli",
        world.authority.seed(),
        deadline=0.5 if fault.kind in ("hold", "drip") else 30.0,
        extra={"client_secret": "fake-secret"},
    )
    assert isinstance(check(outcome, world), NotSent)


def test_a_wrong_content_type_does_not_lose_the_new_tokens(world: World) -> None:
    world.authority.fault("auth.x.ai/oauth2/token", Fault("type", after=True))
    assert isinstance(world.refresh("xai", world.authority.seed()), Refreshed)


def test_a_form_as_the_answer(world: World) -> None:
    world.authority.settings.form = True
    outcome = world.refresh("xai", world.authority.seed())
    assert isinstance(outcome, Refreshed)
    assert outcome.tokens.expires_at == world.clock.at + HOUR


def test_retry_after_is_honoured_and_passed_on(world: World) -> None:
    first = world.authority.seed()
    world.authority.fault("/oauth2/token", Fault("status", status=503, headers={"Retry-After": "3"}))
    assert isinstance(world.refresh("xai", first), Refreshed)
    assert world.pauses == [3.0]
    world.authority.fault("/oauth2/token", Fault("status", status=429, headers={"Retry-After": "99999"}))
    outcome = world.refresh("xai", world.authority.seed())
    assert isinstance(outcome, NotSent)
    assert outcome.retry_after == HOUR
    assert world.pauses == [3.0]


def test_retry_after_may_be_a_date_of_the_servers_own_clock(world: World) -> None:
    world.authority.settings.clock_off = 5 * 3600
    date = "Thu, 01 Jan 2026 05:02:00 GMT"
    world.authority.fault("/oauth2/token", Fault("status", status=503, headers={"Retry-After": date}))
    outcome = world.refresh("xai", world.authority.seed())
    assert isinstance(outcome, NotSent)
    assert outcome.retry_after == 120 * SECOND


def test_it_is_not_repeated_for_ever(world: World) -> None:
    world.authority.fault("/oauth2/token", *[Fault("status", status=503)] * 10)
    assert isinstance(world.refresh("xai", world.authority.seed()), NotSent)
    assert len(world.authority.requests) == 3


def test_a_request_that_may_have_been_processed_is_never_repeated(world: World) -> None:
    for fault in (Fault("reset"), Fault("drop", after=True), Fault("status", status=500)):
        before = len(world.authority.requests)
        world.authority.fault("/oauth2/token", fault)
        world.refresh("xai", world.authority.seed())
        assert len(world.authority.requests) == before + 1


def test_nobody_listens(world: World) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    flow = refresh_flow(client("xai", {}, f"http://127.0.0.1:{port}"), "fake-refresh-1")
    outcome = world.run(flow, 30.0)
    assert isinstance(outcome, NotSent)
    assert "could not be reached" in outcome.why
    assert len(world.pauses) == 2


def test_an_echo_of_the_request_is_scrubbed(world: World) -> None:
    world.authority.fault("/oauth2/token", Fault("echo", status=400, body="invalid_grant"))
    outcome = check(world.refresh("xai", world.authority.seed()), world)
    assert isinstance(outcome, Refused)
    assert outcome.permanent
    assert "refresh_token" in outcome.description


def test_an_error_code_that_is_the_token_itself_is_not_kept(world: World) -> None:
    first = world.authority.seed()
    world.authority.fault("/oauth2/token", Fault("echo", status=400, body=first))
    outcome = check(world.refresh("xai", first), world)
    assert isinstance(outcome, Refused)
    assert outcome.code == "http_400"


@pytest.mark.parametrize("status", [401, 403])
def test_statuses_that_mean_dead_at_kimi(world: World, status: int) -> None:
    world.authority.fault("/api/oauth/token", Fault("status", status=status))
    outcome = world.refresh("kimi-code", world.authority.seed())
    assert isinstance(outcome, Refused)
    assert outcome.permanent


def test_words_that_mean_dead_at_hyper(world: World) -> None:
    world.authority.fault("/token/exchange", Fault("status", status=400, body='{"message": "session revoked"}'))
    outcome = world.refresh("hyper", world.authority.seed())
    assert isinstance(outcome, Refused)
    assert outcome.permanent


def test_copilot_is_exchanged_again(world: World) -> None:
    github = world.authority.tokens("x")["access_token"]
    for _ in range(2):
        outcome = world.refresh("github-copilot-editor", github)
        assert isinstance(outcome, Refreshed)
        assert outcome.tokens.refresh == ""
        assert outcome.tokens.expires_at == world.clock.at + 1500 * SECOND
    assert world.authority.headers[-1]["Editor-Version"].startswith("vscode/")


def test_copilot_with_a_clock_that_is_wrong(world: World) -> None:
    world.authority.settings.clock_off = -9 * 3600
    outcome = world.refresh("github-copilot-editor", world.authority.tokens("x")["access_token"])
    assert isinstance(outcome, Refreshed)
    assert outcome.tokens.expires_at == world.clock.at + 1500 * SECOND


def test_copilot_with_a_dead_github_token(world: World) -> None:
    outcome = check(world.refresh("github-copilot-editor", f"fake-{world.mark}"), world)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.permanent) == ("bad_credentials", True)


def test_copilot_that_was_taken_away(world: World) -> None:
    world.authority.settings.copilot = 403
    outcome = check(world.refresh("github-copilot-editor", f"fake-{world.mark}"), world)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.permanent) == ("no_copilot_access", False)


def test_copilot_without_an_answer_is_never_uncertain(world: World) -> None:
    world.authority.fault("/copilot_internal/v2/token", Fault("drop", after=True))
    assert isinstance(world.refresh("github-copilot-editor", "fake-github-1"), NotSent)


def test_a_client_that_needs_a_secret_says_that_it_is_missing(world: World) -> None:
    outcome = world.refresh("google-gemini-cli", world.authority.seed())
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.permanent) == ("client_secret_missing", False)
    assert world.authority.requests == []


def test_what_can_t_be_refreshed_says_so(world: World) -> None:
    outcome = world.refresh("openrouter", "fake-key-1")
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.permanent) == ("not_refreshable", False)


def test_scopes_go_along_where_the_provider_wants_them(world: World) -> None:
    world.refresh("anthropic-claude-ai", world.authority.seed(), scopes=("user:inference", "user:profile"))
    world.refresh("xai", world.authority.seed(), scopes=("openid",))
    first, second = world.authority.bodies
    assert first["scope"] == "user:inference user:profile"
    assert "scope" not in second


def test_a_sign_in_is_refreshed_by_the_client_it_came_from(world: World) -> None:
    """What the credential remembers is enough: no argument of the sign-in is needed again."""
    environ = {"VAULT_OAUTH_ENDPOINTS": world.base}
    for provider, name, given in (
        ("openai", "browser", {}),
        ("google", "browser", {"client_id": "my-client", "client_secret": "fake-secret"}),
        ("kimi-for-coding", "device", {}),
        ("github-copilot", "device-enterprise", {"host": "company.ghe.com"}),
    ):
        credential = world.sign_in(provider, name, **given).credential
        assert isinstance(credential, OAuth)
        found = client_of(credential, provider, environ)
        assert isinstance(found, Client)
        outcome = world.run(refresh_flow(found, credential.refresh, credential.scopes, secrets_of(credential)), 30.0)
        assert isinstance(outcome, Refreshed), (provider, outcome)
    refreshed = [b for b in world.authority.bodies if b.get("grant_type") == "refresh_token"]
    assert "my-client" in [b["client_id"] for b in refreshed]


def test_every_client_that_can_refresh_is_tried_here() -> None:
    can = {c.id for c in registry().clients if c.refresh != "none"}
    assert can == {*ROTATING, "google-gemini-cli", "github-copilot-editor"}
