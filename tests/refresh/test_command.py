"""``vault refresh``: of a profile, of all, of what is due; what it prints and how it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.oauth.authority import Fault
from tests.refresh.conftest import PROFILE, World
from vault.commands.login import log_in, log_out
from vault.events.credentials import ApiKey, OAuth, Token
from vault.events.types import RefreshFailed
from vault.values import HOUR, MAIN_AGENT, MINUTE, AgentId, Instant, ProfileId, SystemClock

OLD = "fake-old-access-refresh-test"


def rows(out: str) -> dict[str, dict[str, Any]]:
    body = json.loads(out)
    assert body["schema"] == "vault.refresh/1"
    return {row["profile"]: row for row in body["profiles"]}


def api_key(world: World) -> None:
    with world.open() as context:
        log_in(context, MAIN_AGENT, PROFILE, ApiKey(key="fake-key"))


def token(world: World, expires_in: int = HOUR) -> None:
    with world.open() as context:
        ends = Instant(context.clock.now() + expires_in)
        log_in(context, MAIN_AGENT, PROFILE, Token(token="fake-token", expires_at=ends))


def without_refresh_token(world: World) -> None:
    with world.open() as context:
        log_in(context, MAIN_AGENT, PROFILE, OAuth(access="fake-access"))


def external(world: World, expires_in: int = HOUR) -> None:
    with world.open() as context:
        ends = Instant(context.clock.now() + expires_in)
        log_in(
            context,
            MAIN_AGENT,
            PROFILE,
            OAuth(access="fake-a", refresh="fake-r", expires_at=ends),
            ownership="external",
        )


def logged_out(world: World) -> None:
    world.seed()
    with world.open() as context:
        log_out(context, MAIN_AGENT, PROFILE)


def faulty(*faults: Fault) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.seed(expires_in=HOUR)
        world.authority.fault("/token", *faults)

    return prepare


def revoked(world: World) -> None:
    world.authority.revoke(world.seed(expires_in=HOUR))


def without_secret(world: World) -> None:
    world.seed(client_id="google-gemini-cli")


# before: (exit status, done, requests sent, a word of what is said)
ENDS: dict[str, tuple[Callable[[World], object], int, str | None, int, str]] = {
    "expired": (lambda w: w.seed(), 0, "refreshed", 1, "refreshed"),
    "with life left": (lambda w: w.seed(expires_in=2 * HOUR), 0, "refreshed", 1, "refreshed"),
    "an API key": (api_key, 0, "not_refreshable", 0, "its kind, api_key, is not refreshed"),
    "a token": (token, 0, "not_refreshable", 0, "its kind, token, is not refreshed"),
    "a token that ended": (lambda w: token(w, -HOUR), 82, None, 0, "vault login xai:default"),
    "no refresh token": (without_refresh_token, 0, "not_refreshable", 0, "it came without a refresh token"),
    "another tool's": (external, 0, "not_refreshable", 0, "its own tool refreshes it"),
    "another tool's that ended": (lambda w: external(w, -HOUR), 82, None, 0, "let its own tool refresh it"),
    "logged out": (logged_out, 66, None, 0, "vault restore xai:default"),
    "unknown": (lambda w: None, 66, None, 0, "xai:default"),
    "revoked": (revoked, 82, None, 1, "vault login xai:default"),
    "server down": (faulty(*[Fault("status", status=503)] * 9), 75, None, 3, "was not refreshed"),
    "down for a while": (faulty(Fault("status", status=503)), 0, "refreshed", 2, "refreshed"),
    "too often": (
        faulty(Fault("status", status=429, headers={"Retry-After": "900"})),
        75,
        None,
        1,
        "was not refreshed",
    ),
    "a wrong request": (faulty(Fault("echo", status=400, body="invalid_request")), 82, None, 1, "(invalid_request)"),
    "a broken server": (faulty(Fault("status", status=500)), 75, None, 1, "is uncertain"),
    "a dropped answer": (faulty(Fault("drop", after=True)), 75, None, 1, "is uncertain"),
    "a web page": (faulty(Fault("html", status=200)), 75, None, 1, "is uncertain"),
    "no client": (lambda w: w.seed(client_id=""), 66, None, 0, "OAuth client 'gone'"),
    "no client secret": (without_secret, 82, None, 0, "can't be refreshed: Google (Gemini CLI, Code Assist) wants"),
}


@pytest.mark.parametrize("name", ENDS)
def test_how_it_ends(name: str, world: World) -> None:
    before, status, done, asked, word = ENDS[name]
    before(world)
    out, err = world.vault("refresh", PROFILE, "--json", status=status)
    if done is None:
        assert out == ""
        assert word in json.loads(err)["error"]["message"] + json.loads(err)["error"]["hint"]
    else:
        (row,) = rows(out).values()
        assert (row["done"], row["error"]) == (done, None)
        assert done == "refreshed" or word in row["why"]
    assert world.asked() == asked
    assert world.authority.mark not in out + err


@pytest.mark.parametrize("name", ["an API key", "another tool's", "with life left"])
def test_what_a_person_reads(name: str, world: World) -> None:
    ENDS[name][0](world)
    out, err = world.vault("refresh", PROFILE)
    assert out == ""
    assert err.startswith(f"{PROFILE} of main: ")
    assert ENDS[name][4] in err


@pytest.mark.parametrize("arguments", [(), (PROFILE, "--all"), ("--all", "--due", "2h"), ("--due", "soon")])
def test_what_is_asked_must_be_clear(arguments: tuple[str, ...], world: World) -> None:
    world.seed()
    world.vault("refresh", *arguments, status=65 if "soon" in arguments else 64)
    assert world.asked() == 0


def test_a_child_refreshes_what_it_inherits_for_its_owner(world: World) -> None:
    world.seed()
    world.vault("agent", "add", "coder")
    out, _ = world.vault("refresh", PROFILE, "--agent", "coder", "--json")
    assert rows(out)[PROFILE]["agent"] == "main"
    assert world.types()[-1] == "tokens_refreshed"


def test_all_goes_on_after_a_failure_of_any_kind(world: World) -> None:
    """A client that is gone, a dead token, a vanished secret: none keeps the others back."""
    world.seed(profile=ProfileId("xai:a-gone"), client_id="")
    world.authority.revoke(world.seed(profile=ProfileId("xai:b-dead")))
    world.seed(profile=ProfileId("xai:c-good"))
    with world.open() as context:
        log_in(context, MAIN_AGENT, ProfileId("xai:d-key"), ApiKey(key="fake-key"))
        other = OAuth(access="fake-a", refresh="fake-r", expires_at=Instant(1))
        log_in(context, MAIN_AGENT, ProfileId("xai:e-external"), other, ownership="external")
        log_in(
            context,
            AgentId("coder"),
            ProfileId("groq:x"),
            OAuth(access="fake-a", refresh="fake-r", expires_at=Instant(1)),
        )
    out, _ = world.vault("refresh", "--all", "--json", status=82)
    found = {name: (row["done"], (row["error"] or {}).get("exit")) for name, row in rows(out).items()}
    assert found == {
        "xai:a-gone": (None, 66),
        "xai:b-dead": (None, 82),
        "xai:c-good": ("refreshed", None),
        "groq:x": (None, 82),
    }
    assert "refresh_failed" in world.types("xai:a-gone"), "a claim that came to nothing is settled"
    assert world.types("xai:e-external") == ["profile_logged_in"]


def test_all_says_when_there_is_nothing(world: World) -> None:
    api_key(world)
    for more in (("--all",), ("--due", "2h")):
        assert world.vault("refresh", *more) == ("", "there is nothing that can be refreshed\n")
        assert rows(world.vault("refresh", *more, "--json")[0]) == {}


def test_due_takes_what_ends_in_time_and_leaves_the_rest(world: World) -> None:
    world.seed(expires_in=HOUR, profile=ProfileId("xai:soon"))
    world.seed(expires_in=9 * HOUR, profile=ProfileId("xai:later"))
    found = rows(world.vault("refresh", "--due", "2h", "--json")[0])
    assert {name: row["done"] for name, row in found.items()} == {"xai:soon": "refreshed", "xai:later": "fresh"}


@pytest.mark.parametrize(
    ("before", "status"),
    [(faulty(*[Fault("status", status=503)] * 9), 75), (revoked, 82), (faulty(Fault("drop", after=True)), 75)],
    ids=["down", "revoked", "dropped"],
)
def test_a_timer_is_told_of_a_failure_while_uses_go_on(
    before: Callable[[World], None], status: int, world: World
) -> None:
    """What was asked for is a refresh, and it failed. A use asks for a token, and there is one with an hour left."""
    before(world)
    world.vault("refresh", "--due", "2h", status=status)
    assert world.vault("get", PROFILE)[0].strip() == OLD


def test_a_timer_is_told_again_of_what_only_a_person_can_mend(world: World) -> None:
    revoked(world)
    for _ in range(2):
        world.vault("refresh", "--due", "2h", status=82)
    assert world.asked() == 1
    assert rows(world.vault("refresh", "--due", "5m", "--json")[0])[PROFILE]["done"] == "not_refreshable"


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        (Fault("drop", after=True), ["uncertain", "refused"]),
        (Fault("drop"), ["uncertain"]),
        (Fault("status", status=500), ["uncertain"]),
    ],
    ids=["dropped after rotating", "dropped before", "broken"],
)
def test_a_use_keeps_a_token_with_life_left_whatever_comes_of_its_refresh(
    fault: Fault, events: list[str], world: World
) -> None:
    """Five minutes are left, so a refresh is due; that it failed is in the log, and the token is handed out all the same."""
    world.seed(expires_in=5 * MINUTE)
    world.authority.fault("/token", fault)
    assert world.vault("get", PROFILE)[0].strip() == OLD
    state = json.loads(world.vault("status", "xai", "--json")[0])["providers"][0]["state"]
    assert state == "uncertain"
    second = world.vault("get", PROFILE)[0].strip()
    assert (second == OLD) == (len(events) == 2)
    assert [e.outcome for e in world.facts() if isinstance(e, RefreshFailed)] == events
    third = world.vault("get", PROFILE)[0].strip()
    assert third == second
    assert world.asked() == 2, "what only a person can mend is not asked for again"


def test_two_lost_answers_are_enough(world: World) -> None:
    world.seed(expires_in=5 * MINUTE)
    world.authority.fault("/token", *[Fault("status", status=500)] * 5)
    for _ in range(4):
        assert world.vault("get", PROFILE)[0].strip() == OLD
    assert world.asked() == 2
    _, err = world.vault("refresh", PROFILE, status=82)
    assert "vault login xai:default" in err
    assert world.asked() == 2


def test_retry_after_holds_for_other_processes_and_for_a_person(world: World) -> None:
    world.seed(expires_in=5 * MINUTE)
    world.authority.fault("/token", Fault("status", status=503, headers={"Retry-After": "600"}))
    assert world.vault("get", PROFILE)[0].strip() == OLD
    assert world.vault("get", PROFILE)[0].strip() == OLD
    for arguments in ((PROFILE,), ("--all",), ("--due", "2h")):
        _, err = world.vault("refresh", *arguments, status=75)
        assert "wants to be asked" in err
    assert world.asked() == 1


def test_an_exchange_ends_within_half_its_lease(world: World) -> None:
    world.seed()
    world.authority.fault("/token", Fault("hold"))
    _, err = world.vault("get", PROFILE, status=75, VAULT_LEASE="3s")
    world.authority.release.set()
    found = re.search(r"gave no whole answer within ([\d.]+) s", err)
    assert found is not None
    assert float(found[1]) <= 1.5


@pytest.mark.parametrize("off", [5 * 3600, -5 * 3600])
@pytest.mark.parametrize("expiry", ["in", "at", "at_ms", "jwt"])
def test_a_server_whose_clock_is_hours_off(off: int, expiry: str, world: World) -> None:
    """Its tokens live an hour, by whatever clock: they are used for that long, and not refreshed at each use."""
    world.authority.settings.clock_off, world.authority.settings.expiry = off, expiry
    world.seed()
    first = world.vault("get", PROFILE)[0]
    assert world.vault("get", PROFILE)[0] == first
    assert world.asked() == 1
    with world.open() as context:
        state = context.queries.profile(MAIN_AGENT, PROFILE)
    assert state is not None
    assert state.current is not None
    left = (state.current.facts.expires_at or 0) - SystemClock().now()
    assert 50 * MINUTE < left <= HOUR + MINUTE


def test_narrowed_scopes_are_kept_and_the_rest_stays(world: World) -> None:
    world.authority.settings.narrowed = "read"
    world.authority.settings.new_refresh = False
    sent = world.seed()
    world.vault("refresh", PROFILE)
    with world.open() as context:
        state = context.queries.profile(MAIN_AGENT, PROFILE)
        assert state is not None
        assert state.current is not None
        now, before = context.store.credential(state.current.position), context.store.credential(2)
    assert isinstance(now, OAuth)
    assert isinstance(before, OAuth)
    assert (now.scopes, now.refresh, now.metadata) == (["read"], sent, before.metadata)
    assert before.scopes == ["read", "write"]


def test_another_tools_login_is_read_again_where_it_keeps_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.refresh.opencode import keep

    environ = keep(world, "fake-access-1", HOUR)
    world.vault("import", "opencode", **environ)
    _, err = world.vault("refresh", "openai:default", **environ)
    assert "opencode refreshes it" in err
    keep(world, "fake-access-2", 2 * HOUR)
    out, _ = world.vault("refresh", "openai:default", "--json", **environ)
    (row,) = rows(out).values()
    assert (row["done"], "opencode refreshes it" in row["why"]) == ("adopted", True)
    assert world.vault("get", "openai:default", **environ)[0].strip() == "fake-access-2"
    assert world.asked() == 0
