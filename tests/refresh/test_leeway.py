"""How early a token is refreshed on use: by the provider, the settings, and never more than three quarters of its life."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.refresh.conftest import World
from tests.support import START, FixedClock, make_files
from vault.commands.leeway import leeway_of, lifetime_of
from vault.commands.login import log_in
from vault.commands.refresh import refresh
from vault.commands.restore import restore
from vault.context import Context
from vault.events.credentials import OAuth
from vault.providers.tokens import Outcome, Refreshed, Tokens
from vault.settings import settings_path
from vault.values import DAY, HOUR, MAIN_AGENT, MINUTE, SECOND, Instant, ProfileId, ProviderId

XAI = ProfileId("xai:default")


class Provider:
    """Hands out tokens that live so long, and counts."""

    def __init__(self, context: Context, clock: FixedClock, lifetime: int | None) -> None:
        self.context, self.clock, self.lifetime, self.asked = context, clock, lifetime, 0

    def __call__(self, *_: object) -> Outcome:
        self.asked += 1
        ends = None if self.lifetime is None else Instant(self.clock.at + self.lifetime)
        return Refreshed(Tokens(f"fake-access-{self.asked}", f"fake-refresh-{self.asked}", ends))

    def sign_in(self, profile: ProfileId, left: int) -> None:
        credential = OAuth(access="fake-access-0", refresh="fake-refresh-0", expires_at=Instant(self.clock.at + left))
        log_in(self.context, MAIN_AGENT, profile, credential)

    def use(self, profile: ProfileId) -> int:
        """Use a profile; how often the provider was asked by then."""
        refresh(self.context, MAIN_AGENT, profile, exchange=self)
        return self.asked


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def context(tmp_path: Path, clock: FixedClock) -> Iterator[Context]:
    with make_files(tmp_path / "vault").open(clock) as opened:
        yield opened


# provider, life of its tokens: how much of it is left when a use refreshes them
LEFT = {
    ("xai", 6 * HOUR): 10 * MINUTE,
    ("xai", 15 * MINUTE): 10 * MINUTE,
    ("xai", 5 * MINUTE): 225 * SECOND,
    ("xai", 4 * SECOND): 3 * SECOND,
    ("kimi-for-coding", 15 * MINUTE): 10 * MINUTE,
    ("kimi-for-coding", HOUR): 30 * MINUTE,
    ("hyper", 3 * HOUR): 18 * MINUTE,
    ("hyper", HOUR): 10 * MINUTE,
    ("huggingface", 30 * DAY): DAY,
    ("huggingface", 8 * HOUR): 6 * HOUR,
    ("my-own", HOUR): 10 * MINUTE,
}


@pytest.mark.parametrize(("provider", "lifetime"), LEFT)
def test_when_a_use_refreshes(provider: str, lifetime: int, context: Context, clock: FixedClock) -> None:
    profile, left = ProfileId(f"{provider}:default"), LEFT[provider, lifetime]
    acting = Provider(context, clock, lifetime)
    acting.sign_in(profile, 0)
    assert acting.use(profile) == 1
    assert acting.use(profile) == 1, "new tokens are used, not refreshed"
    clock.forward(lifetime - left - 1)
    assert acting.use(profile) == 1
    clock.forward(1)
    assert acting.use(profile) == 2


def test_what_a_sign_in_brought_may_be_old_so_its_life_is_not_known(context: Context, clock: FixedClock) -> None:
    """Nine minutes left of an hour, perhaps: a tool wants more. Only what a refresh brought is known to be new."""
    acting = Provider(context, clock, 5 * MINUTE)
    acting.sign_in(XAI, 9 * MINUTE)
    assert lifetime_of(context, _state(context)) is None
    assert acting.use(XAI) == 1
    assert lifetime_of(context, _state(context)) == 5 * MINUTE
    assert acting.use(XAI) == 1


def test_the_life_of_restored_tokens_counts_from_their_refresh(context: Context, clock: FixedClock) -> None:
    acting = Provider(context, clock, HOUR)
    acting.sign_in(XAI, 0)
    acting.use(XAI)
    acting.sign_in(XAI, DAY)
    clock.forward(20 * MINUTE)
    restore(context, MAIN_AGENT, XAI)
    assert lifetime_of(context, _state(context)) == HOUR


def test_tokens_without_an_end_are_left_alone(context: Context, clock: FixedClock) -> None:
    acting = Provider(context, clock, None)
    acting.sign_in(XAI, 0)
    assert acting.use(XAI) == 1
    assert lifetime_of(context, _state(context)) is None
    clock.forward(400 * DAY)
    assert acting.use(XAI) == 1


def test_a_clock_that_was_set_back_does_not_make_a_life_of_nothing(context: Context, clock: FixedClock) -> None:
    """The log's times never go back, so new tokens seem to have ended before they were made: then nothing is known."""
    acting = Provider(context, clock, HOUR)
    acting.sign_in(XAI, 0)
    clock.forward(-5 * HOUR)
    refresh(context, MAIN_AGENT, XAI, force=True, exchange=acting)
    assert _state(context).current.facts.expires_at == START - 4 * HOUR
    assert lifetime_of(context, _state(context)) is None
    assert acting.use(XAI) == 1


@pytest.mark.parametrize(
    ("settings", "environ", "lifetime", "expected"),
    [
        ("", {}, None, 10 * MINUTE),
        ("", {}, 6 * HOUR, 10 * MINUTE),
        ('[refresh]\nleeway = "20m"\n', {}, 6 * HOUR, 20 * MINUTE),
        ('[refresh]\nleeway = "20m"\n', {}, 20 * MINUTE, 15 * MINUTE),
        ('[refresh]\nleeway = "1m"\n', {}, 6 * HOUR, 10 * MINUTE),
        ("", {"VAULT_LEEWAY": "30m"}, 6 * HOUR, 30 * MINUTE),
        ('[providers.xai]\nleeway = "2m"\n', {}, 6 * HOUR, 2 * MINUTE),
        ('[providers.xai]\nleeway = "2h"\n', {"VAULT_LEEWAY": "30m"}, 6 * HOUR, 2 * HOUR),
        ('[providers.xai]\nleeway = "2h"\n', {}, HOUR, 45 * MINUTE),
        ('[providers.groq]\nleeway = "2h"\n', {}, 6 * HOUR, 10 * MINUTE),
    ],
)
def test_what_the_settings_change(
    settings: str,
    environ: dict[str, str],
    lifetime: int | None,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vault.context import open_context
    from vault.unlock import Ways

    path = settings_path(os.environ)
    path.parent.mkdir(parents=True)
    path.write_text(settings)
    files = make_files(tmp_path / "vault")
    with open_context(files.places, Ways({**os.environ, **files.environ(), **environ}), clock=FixedClock()) as context:
        assert leeway_of(context, ProviderId("xai"), lifetime) == expected


def test_due_means_what_it_says(context: Context, clock: FixedClock) -> None:
    """A timer that asks for two hours gets tokens of an hour refreshed each time: nothing is taken off what was asked."""
    acting = Provider(context, clock, HOUR)
    acting.sign_in(XAI, 0)
    for number in (1, 2, 3):
        refresh(context, MAIN_AGENT, XAI, leeway=2 * HOUR, exchange=acting)
        assert acting.asked == number


def test_tokens_of_five_minutes_through_the_command(world: World) -> None:
    world.authority.settings.expires_in = 300
    world.seed()
    found = {world.vault("get", "xai:default")[0] for _ in range(3)}
    assert len(found) == 1
    assert world.authority.is_live(found.pop().strip())
    assert world.authority.count("refresh_token") == 1


def _state(context: Context, profile: ProfileId = XAI):  # type: ignore[no-untyped-def]
    return context.queries.profile(MAIN_AGENT, profile)
