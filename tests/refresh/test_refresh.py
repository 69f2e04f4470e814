"""Claim, exchange, settle, through the real command, with real processes and a server that rotates single-use tokens."""

from __future__ import annotations

import json
import signal

import pytest

from tests.oauth.authority import Fault
from tests.refresh.conftest import PROFILE, World
from vault.commands.login import log_in
from vault.commands.refresh import refresh
from vault.errors import TryAgain
from vault.events.credentials import OAuth
from vault.events.types import RefreshFailed, TokensRefreshed
from vault.providers.tokens import Outcome, Refused
from vault.values import HOUR, MAIN_AGENT, MINUTE, Instant

PROCESSES = 24


def test_get_refreshes_what_has_expired(world: World) -> None:
    world.seed()
    out, _ = world.vault("get", PROFILE)
    assert world.authority.is_live(out.strip())
    assert world.types() == ["profile_logged_in", "refresh_claimed", "tokens_refreshed"]
    assert world.authority.count("refresh_token") == 1


def test_get_leaves_a_token_with_life_enough(world: World) -> None:
    world.seed(expires_in=2 * HOUR)
    out, _ = world.vault("get", PROFILE)
    assert out.strip() == "fake-old-access-refresh-test"
    assert world.authority.count("refresh_token") == 0


def test_a_tool_gets_a_token_with_more_than_ten_minutes_left(world: World) -> None:
    world.seed(expires_in=9 * MINUTE)
    out, _ = world.vault("get", PROFILE)
    assert world.authority.is_live(out.strip())


def test_24_processes_and_one_exchange(world: World) -> None:
    world.seed()
    processes = [world.start("get", PROFILE) for _ in range(PROCESSES)]
    answers = [p.communicate(timeout=240) for p in processes]
    assert [p.returncode for p in processes] == [0] * PROCESSES, answers
    tokens = {out.strip() for out, _ in answers}
    assert len(tokens) == 1
    assert world.authority.is_live(tokens.pop())
    assert world.authority.count("refresh_token") == 1
    assert world.types().count("tokens_refreshed") == 1
    world.vault("verify")


def test_a_killed_winner_is_recovered_from_after_its_lease(world: World) -> None:
    """The request never reached the provider's books: the token is unspent, and the second try brings new ones."""
    world.seed()
    world.authority.fault("/token", Fault("hold"))
    winner = world.start("get", PROFILE, VAULT_LEASE="8s")
    assert world.authority.arrived.wait(60)
    winner.send_signal(signal.SIGKILL)
    winner.communicate(timeout=60)
    assert winner.returncode == -signal.SIGKILL
    world.authority.faults.clear()
    out, _ = world.vault("get", PROFILE)
    assert world.authority.is_live(out.strip())
    assert world.types() == ["profile_logged_in", "refresh_claimed", "refresh_claimed", "tokens_refreshed"]
    world.authority.release.set()


def test_a_dropped_answer_is_uncertain_then_a_person_must_sign_in(world: World) -> None:
    world.seed()
    world.authority.fault("/token", Fault("drop", after=True))
    _, err = world.vault("get", PROFILE, status=75)
    assert "uncertain" in err
    out, _ = world.vault("status", "xai", "--json")
    assert json.loads(out)["providers"][0]["state"] == "uncertain"
    _, err = world.vault("get", PROFILE, status=82)
    assert "vault login xai:default" in err
    out, _ = world.vault("status", "xai", "--check", "--json", status=1)
    assert json.loads(out)["providers"][0]["state"] == "needs_sign_in"
    failures = [e for e in world.facts() if isinstance(e, RefreshFailed)]
    assert [f.outcome for f in failures] == ["uncertain", "refused"]
    with world.open() as context:
        first = context.store.credential(2)
        assert isinstance(first, OAuth)
        assert first.access == "fake-old-access-refresh-test"


def test_a_dead_token_is_not_tried_again_and_again(world: World) -> None:
    token = world.seed()
    world.authority.revoke(token)
    world.vault("get", PROFILE, status=82)
    world.vault("get", PROFILE, status=82)
    assert world.authority.count("refresh_token") == 1


def test_a_new_login_heals(world: World) -> None:
    world.authority.revoke(world.seed())
    world.vault("get", PROFILE, status=82)
    world.seed()
    out, _ = world.vault("get", PROFILE)
    assert world.authority.is_live(out.strip())


def test_a_loser_with_invalid_grant_condemns_nothing_when_the_token_has_changed(world: World) -> None:
    """While the exchange is under way, somebody signs in anew: the refusal of the old token is no news about the new one."""
    world.seed()

    def exchange(*_: object) -> Outcome:
        world.seed(expires_in=2 * HOUR)
        return Refused("invalid_grant", "", permanent=True)

    with world.open() as context:
        result = refresh(context, MAIN_AGENT, PROFILE, leeway=10 * MINUTE, exchange=exchange)
        state = context.queries.profile(MAIN_AGENT, PROFILE)
    assert result.done == "adopted"
    assert state is not None
    assert state.needs_sign_in == ""
    assert "refresh_failed" not in world.types()


def test_a_provider_that_is_down_postpones(world: World) -> None:
    world.seed()
    world.authority.fault("/token", *[Fault("status", status=503) for _ in range(10)])
    _, err = world.vault("get", PROFILE, status=75)
    assert "refreshed" in err
    world.authority.faults.clear()
    out, _ = world.vault("get", PROFILE)
    assert world.authority.is_live(out.strip())


def test_a_token_still_good_is_used_while_the_provider_is_down(world: World) -> None:
    world.seed(expires_in=5 * MINUTE)
    world.authority.fault("/token", *[Fault("status", status=503) for _ in range(10)])
    out, _ = world.vault("get", PROFILE)
    assert out.strip() == "fake-old-access-refresh-test"


@pytest.mark.parametrize("rotates", [True, False])
def test_a_refresh_token_is_kept_when_none_comes_back(world: World, rotates: bool) -> None:
    world.authority.settings.rotate = world.authority.settings.new_refresh = rotates
    world.seed()
    world.vault("refresh", PROFILE)
    (done,) = [e for e in world.facts() if isinstance(e, TokensRefreshed)]
    assert done.rotated is rotates
    world.vault("refresh", PROFILE)
    assert world.authority.count("refresh_token") == 2


def test_refresh_due_takes_only_what_is_due(world: World) -> None:
    world.seed(expires_in=HOUR)
    out, _ = world.vault("refresh", "--due", "30m", "--json")
    assert [p["done"] for p in json.loads(out)["profiles"]] == ["fresh"]
    out, _ = world.vault("refresh", "--due", "2h", "--json")
    assert [p["done"] for p in json.loads(out)["profiles"]] == ["refreshed"]


def test_a_restored_login_that_was_replaced_says_so(world: World) -> None:
    world.seed()
    world.vault("get", PROFILE)
    _, err = world.vault("restore", PROFILE, "--to", "2")
    assert "replaced its refresh token" in err
    _, err = world.vault("restore", PROFILE, "--to", "2", "--probe", status=82)
    assert "vault restore xai:default --to 4" in err
    assert world.asked() == 1


def test_the_tokens_of_one_refresh_can_be_restored(world: World) -> None:
    world.seed()
    world.vault("get", PROFILE)
    first, _ = world.vault("get", PROFILE)
    world.vault("refresh", PROFILE)
    assert world.vault("get", PROFILE)[0] != first
    history, _ = world.vault("history", "--type", "tokens_refreshed", "--json")
    positions = [event["position"] for event in json.loads(history)["events"]]
    world.vault("restore", PROFILE, "--to", str(min(positions)))
    assert world.vault("get", PROFILE)[0] == first


def test_interrupting_an_exchange_leaves_it_uncertain(world: World) -> None:
    world.seed()

    def exchange(*_: object) -> Outcome:
        raise KeyboardInterrupt

    with world.open() as context:
        with pytest.raises(KeyboardInterrupt):
            refresh(context, MAIN_AGENT, PROFILE, leeway=10 * MINUTE, exchange=exchange)
        state = context.queries.profile(MAIN_AGENT, PROFILE)
        assert state is not None
        assert state.uncertain == 1
        assert state.claim is None


def test_another_process_holding_the_claim_is_waited_for(world: World) -> None:
    """Half-way through one exchange a second command starts: it takes the first one's tokens and spends nothing."""
    world.seed()
    world.authority.fault("/token", Fault("hold"))
    first = world.start("get", PROFILE)
    assert world.authority.arrived.wait(60)
    second = world.start("get", PROFILE)
    world.authority.release.set()
    answers = [p.communicate(timeout=120) for p in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert world.authority.count("refresh_token") == 1


def test_logout_revokes_at_the_provider(world: World) -> None:
    token = world.seed(expires_in=HOUR)
    out, _ = world.vault("logout", PROFILE, "--revoke", "--json")
    answer = json.loads(out)["revocation"]
    assert (answer == "revoked") == (token in world.authority.revoked)
    assert world.facts()[-1].revocation == answer


def test_no_token_is_shown(world: World) -> None:
    world.seed()
    world.authority.fault("/token", Fault("echo", status=400))
    _, err = world.vault("get", PROFILE, status=82)
    out, more = world.vault("history", "--json")
    for text in (err, out, more):
        assert world.authority.mark not in text.replace(str(world.files.folder), "")


def test_a_lease_that_ended_elsewhere_is_not_a_wait_for_ever(world: World) -> None:
    """Claims without outcome twice in a row: only a person can go on, and the message says what to type."""
    world.seed()

    def lost(*_: object) -> Outcome:
        raise SystemExit

    with world.open() as context:
        for _ in range(2):
            with pytest.raises(SystemExit):
                refresh(context, MAIN_AGENT, PROFILE, leeway=10 * MINUTE, exchange=lost)
    _, err = world.vault("get", PROFILE, status=82)
    assert "vault login xai:default" in err


def test_try_again_names_the_time(world: World) -> None:
    world.seed()
    world.authority.fault("/token", *[Fault("status", status=429, headers={"Retry-After": "600"}) for _ in range(5)])
    with world.open() as context, pytest.raises(TryAgain):
        refresh(context, MAIN_AGENT, PROFILE, leeway=10 * MINUTE)
    with world.open() as context, pytest.raises(TryAgain, match="wants to be asked"):
        refresh(context, MAIN_AGENT, PROFILE, leeway=10 * MINUTE)
    assert sum(1 for path in world.authority.requests if path[1].endswith("/token")) == 1


def test_a_refresh_token_of_another_server_is_never_sent_to_the_provider(world: World) -> None:
    token = world.authority.seed()
    with world.open() as context:
        login = OAuth(access="fake-access", refresh=token, expires_at=Instant(context.clock.now() - HOUR))
        log_in(context, MAIN_AGENT, PROFILE, login, base_url="https://gateway.corp.example")
    for line in (("get", PROFILE), ("refresh", PROFILE)):
        _, err = world.vault(*line, status=82)
        assert "gateway.corp.example" in err or "expired" in err
    _, err = world.vault("logout", PROFILE, "--revoke")
    assert "unsupported" in err
    assert world.types() == ["profile_logged_in", "profile_logged_out"]
    assert world.authority.count("refresh_token") == 0
