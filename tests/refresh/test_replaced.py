"""A refresh token that a newer one took the place of is never sent unasked: a provider that detects reuse ends the whole login.

The server of these tests does: a spent refresh token kills its family, access tokens too.
"""

from __future__ import annotations

import json
import threading
import warnings
from typing import Any

import pexpect
import pytest

from tests.refresh.conftest import PROFILE, VAULT, WAIT, World
from vault.commands.exporting import export
from vault.commands.issue import issue
from vault.commands.login import log_in, log_out
from vault.commands.refresh import over_the_network, refresh
from vault.commands.refreshing import refresh_many
from vault.commands.replaced import replaced
from vault.commands.restore import restore
from vault.commands.sign_in import revoke
from vault.commands.status import EXPIRING, NEEDS_SIGN_IN, status
from vault.commands.why import decide
from vault.context import Context
from vault.errors import NotFound, SignInAgain, TokenReplaced
from vault.events.credentials import OAuth
from vault.interop.tools import tool
from vault.providers.clients import client, remembered
from vault.values import HOUR, MAIN_AGENT, MINUTE, AgentId, Instant, ProfileId, ProviderId

XAI = ProviderId("xai")
LOGIN = 2
NEWEST = 4


def refreshed(world: World, expires_in: int = HOUR) -> str:
    """A login at #2 whose refresh at #3 and #4 brought the newest tokens; the refresh token that was spent."""
    token = world.seed(expires_in=expires_in)
    with world.open() as context:
        refresh(context, MAIN_AGENT, PROFILE, force=True)
    assert world.asked() == 1
    return token


def restored(world: World, expires_in: int = HOUR) -> None:
    """The login of #2 is current again, though the refresh of #4 replaced its refresh token."""
    refreshed(world, expires_in)
    with world.open() as context:
        done = restore(context, MAIN_AGENT, PROFILE, to=LOGIN)
    assert "a refresh (#4) replaced its refresh token" in done.warning


def newest_lives(world: World) -> None:
    """The newest tokens still work, and bringing them back works: their refresh token is taken."""
    assert world.authority.dead == set()
    with world.open() as context:
        restore(context, MAIN_AGENT, PROFILE, to=NEWEST)
        assert world.authority.is_live(issue(context, MAIN_AGENT, XAI, way="get").secret.reveal())
        assert refresh(context, MAIN_AGENT, PROFILE, force=True).done == "refreshed"
    assert world.authority.count("refresh_token", "invalid_grant") == 0


def test_restore_with_probe_sends_the_access_token_and_the_newest_login_survives(world: World) -> None:
    refreshed(world)
    out, err = world.vault("restore", PROFILE, "--to", str(LOGIN), "--probe", "--json", status=1)
    assert json.loads(out)["probe"]["outcome"] == "refused"
    assert "a refresh (#4) replaced its refresh token" in json.loads(out)["warning"]
    assert err == ""
    assert world.authority.count("models") >= 1
    assert world.asked() == 1
    newest_lives(world)


def test_restore_with_probe_where_the_access_token_has_ended_asks_nothing_of_the_provider(world: World) -> None:
    refreshed(world, expires_in=-HOUR)
    before = len(world.authority.requests)
    _, err = world.vault("restore", PROFILE, "--to", str(LOGIN), "--probe", status=82)
    assert "replaced its refresh token" in err
    assert "vault restore xai:default --to 4 brings the newest tokens back" in err
    assert len(world.authority.requests) == before
    newest_lives(world)


def test_refresh_of_a_replaced_token_in_a_script_ends_with_82(world: World) -> None:
    restored(world)
    _, err = world.vault("refresh", PROFILE, "--no-input", "--json", status=82)
    error = json.loads(err)["error"]
    assert error["code"] == "token_replaced"
    assert "may end the whole login, its newest tokens too" in error["message"]
    assert "vault restore xai:default --to 4" in error["hint"]
    assert "vault refresh xai:default --send-replaced" in error["hint"]
    newest_lives(world)


def on_a_terminal(world: World, answer: str) -> tuple[int | None, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child: pexpect.spawn[str] = pexpect.spawn(
            str(VAULT),
            ["refresh", PROFILE],
            env=world.environ(),  # type: ignore[arg-type]
            encoding="utf-8",
            timeout=WAIT,
            dimensions=(50, 400),
        )
    child.expect_exact("may end the whole login, its newest tokens too")
    child.expect_exact("Send it anyway? [y/N]: ")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before or ""


def test_a_person_is_asked_with_the_consequence_named_and_no_is_the_default(world: World) -> None:
    restored(world)
    status, _ = on_a_terminal(world, "")
    assert status == 82
    newest_lives(world)


def test_a_person_may_send_it_all_the_same(world: World) -> None:
    restored(world)
    status, _ = on_a_terminal(world, "y")
    assert status == 82
    assert world.asked() == 2
    assert world.authority.dead == {1}


def test_a_script_may_send_it_by_an_explicit_option_for_one_profile(world: World) -> None:
    restored(world)
    world.authority.spent.clear()  # a provider that takes an older refresh token again
    world.vault("refresh", PROFILE, "--send-replaced")
    world.vault("refresh", "--all", "--send-replaced", status=64)
    with world.open() as context:
        assert replaced(context, context.queries.profile(MAIN_AGENT, PROFILE)) is None


@pytest.mark.parametrize("which", [{"leeway": 0, "force": True}, {"leeway": 2 * HOUR}])
def test_refresh_of_all_leaves_a_replaced_token_alone(world: World, which: dict[str, Any]) -> None:
    restored(world)
    world.seed(profile=ProfileId("xai:other"))
    with world.open() as context:
        (first, second) = refresh_many(context, MAIN_AGENT, **which)
    assert first[1] == PROFILE
    assert isinstance(first[2], TokenReplaced)
    assert second[0] is not None
    assert second[0].done == "refreshed"
    newest_lives(world)


@pytest.mark.parametrize("left", [HOUR, 5 * MINUTE, 20_000_000])
def test_a_hand_out_uses_the_access_token_for_as_long_as_it_lasts(world: World, left: int) -> None:
    restored(world, left)
    with world.open() as context:
        handed = issue(context, MAIN_AGENT, XAI, way="exec").secret.reveal()
    assert handed == "fake-old-access-refresh-test"
    assert world.asked() == 1
    newest_lives(world)


@pytest.mark.parametrize("profile", [None, PROFILE])
def test_a_hand_out_sends_no_replaced_token_when_the_access_token_has_ended(
    world: World, profile: ProfileId | None
) -> None:
    restored(world, -HOUR)
    with world.open() as context, pytest.raises(SignInAgain) as caught:
        issue(context, MAIN_AGENT, XAI, profile=profile, way="get")
    assert "newer" in caught.value.message or "replaced" in caught.value.message
    newest_lives(world)


@pytest.mark.parametrize(("left", "state"), [(HOUR, EXPIRING), (-HOUR, NEEDS_SIGN_IN)])
def test_status_and_why_tell_of_it(world: World, left: int, state: str) -> None:
    restored(world, left)
    with world.open() as context:
        (found,) = status(context, MAIN_AGENT, [XAI])
        codes = [c.code for c in decide(context, MAIN_AGENT, XAI).considered]
    assert found.state == state
    assert "a refresh (#4) replaced its refresh token" in found.text
    assert found.hint == "vault restore xai:default --to 4"
    assert codes == (["chosen"] if left > 0 else ["replaced"])


def copied(context: Context, token: str, agent: AgentId, profile: ProfileId) -> None:
    """The same login, as it came into another profile."""
    credential = OAuth(
        access="fake-copied-access",
        refresh=token,
        expires_at=Instant(context.clock.now() - HOUR),
        metadata=remembered(client("xai"), {}),
    )
    log_in(context, agent, profile, credential)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("agent", "profile"), [("main", "xai:copy"), ("coder", "xai:default"), ("main", "elsewhere:copy")]
)
def test_the_same_login_under_another_name_is_known_too(world: World, agent: str, profile: str, first: bool) -> None:
    owner, copy = AgentId(agent), ProfileId(profile)
    token = world.seed()
    with world.open() as context:
        if first:
            copied(context, token, owner, copy)
        refresh(context, MAIN_AGENT, PROFILE, force=True)
        if not first:
            copied(context, token, owner, copy)
        with pytest.raises(TokenReplaced) as caught:
            refresh(context, owner, copy, force=True)
        assert "xai:default of agent main) replaced its refresh token" in caught.value.message
        assert "use xai:default of main" in caught.value.hint
        refresh(context, MAIN_AGENT, PROFILE, force=True)
    assert world.authority.dead == set()
    assert world.asked() == 2


def test_two_profiles_with_one_login_at_once_send_its_refresh_token_once(world: World) -> None:
    """The one whose claim is older sends it; the other waits, and then knows that it was replaced."""
    token = world.seed()
    copy = ProfileId("xai:copy")
    with world.open() as context:
        copied(context, token, MAIN_AGENT, copy)
    inside, go, ends = threading.Event(), threading.Event(), list[BaseException | None]()

    def held(*arguments: Any) -> Any:
        inside.set()
        assert go.wait(WAIT)
        return over_the_network(*arguments)

    def one(profile: ProfileId, exchange: Any) -> None:
        try:
            with world.open() as context:
                refresh(context, MAIN_AGENT, profile, force=True, exchange=exchange)
            ends.append(None)
        except TokenReplaced as error:
            ends.append(error)

    first = threading.Thread(target=one, args=(PROFILE, held))
    first.start()
    assert inside.wait(WAIT)
    second = threading.Thread(target=one, args=(copy, over_the_network))
    second.start()
    go.set()
    first.join(WAIT)
    second.join(WAIT)
    assert [type(end) for end in ends] == [type(None), TokenReplaced]
    assert world.asked() == 1
    assert world.authority.dead == set()


def test_a_refresh_by_the_tool_that_owns_the_login_counts(world: World) -> None:
    """A login that was handed over: its own earlier tokens are replaced by what the tool renewed."""
    from dataclasses import replace as with_

    from vault.commands.importing import take_over
    from vault.interop.findings import Findings, Found

    token = world.seed()
    with world.open() as context:
        old = OAuth(access="fake-a-1", refresh=token, expires_at=Instant(context.clock.now() - HOUR))
        found = Found(MAIN_AGENT, PROFILE, old, "~/auth.json", ownership="external")
        take_over(context, Findings("codex", ["~/auth.json"], found=[found]))
        new = OAuth(access="fake-a-2", refresh="fake-r-2", expires_at=Instant(context.clock.now() + HOUR))
        take_over(context, Findings("codex", ["~/auth.json"], found=[with_(found, credential=new)]))
        done = restore(context, MAIN_AGENT, PROFILE, to=LOGIN)
        assert "a refresh by codex (#4) replaced its refresh token" in done.warning
        with pytest.raises(TokenReplaced):
            refresh(context, MAIN_AGENT, PROFILE, force=True)
    assert world.asked() == 0


def test_another_login_in_between_replaces_nothing(world: World) -> None:
    world.seed()
    world.seed()
    with world.open() as context:
        refresh(context, MAIN_AGENT, PROFILE, force=True)
        done = restore(context, MAIN_AGENT, PROFILE, to=LOGIN)
        assert "replaced its refresh token" not in done.warning
        assert refresh(context, MAIN_AGENT, PROFILE, force=True).done == "refreshed"
    assert world.authority.dead == set()


def test_a_refresh_token_that_does_not_rotate_is_sent_again(world: World) -> None:
    world.authority.settings.rotate = False
    world.authority.settings.new_refresh = False
    world.seed()
    with world.open() as context:
        refresh(context, MAIN_AGENT, PROFILE, force=True)
        restore(context, MAIN_AGENT, PROFILE, to=LOGIN)
        assert refresh(context, MAIN_AGENT, PROFILE, force=True).done == "refreshed"


def test_a_revocation_does_not_send_it_either(world: World) -> None:
    restored(world)
    with world.open() as context, pytest.raises(TokenReplaced):
        revoke(context, MAIN_AGENT, PROFILE)
    assert world.authority.revoked == []
    newest_lives(world)


def test_an_export_hands_no_replaced_token_to_a_tool_that_would_send_it(world: World) -> None:
    restored(world)
    with world.open() as context, pytest.raises(NotFound, match=r"#4\) replaced its refresh token"):
        export(context, tool("opencode"), MAIN_AGENT, what=[(XAI, PROFILE)], hand_over=True, dry_run=True)


def test_restore_of_a_revoked_login_says_that_it_was_revoked(world: World) -> None:
    refreshed(world)
    with world.open() as context:
        log_out(context, MAIN_AGENT, PROFILE, revocation="revoked")
        for position in (None, LOGIN):
            done = restore(context, MAIN_AGENT, PROFILE, to=position)
            assert (
                done.warning == "the provider revoked it at the logout at #5, so sign in again: vault login xai:default"
            )
        copied(context, world.authority.seed(), MAIN_AGENT, PROFILE)
        log_out(context, MAIN_AGENT, PROFILE, revocation="unsupported")
        done = restore(context, MAIN_AGENT, PROFILE)
        assert "revoked" not in done.warning
