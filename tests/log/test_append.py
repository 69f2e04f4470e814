"""Appending: all or nothing, gapless, in time, at the expected version, once for each command id."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.log.samples import any_session, issue, key, login, logout, order, registered
from tests.support import ACTOR, START, Files, FixedClock, make_vault
from vault.context import Context
from vault.errors import Conflict, IntegrityError, VaultError, WrongExpectedVersion
from vault.events.types import ProfileLoggedIn, UnknownEvent, VaultCreated
from vault.log.records import Draft
from vault.model.streams import AGENTS, VAULT, profile_stream, rotation_stream
from vault.projections.replay import rebuild
from vault.projections.verify import verify

A, B = "openai:a", "openai:b"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    with make_vault(tmp_path, FixedClock(step=7)) as opened:
        yield opened


def whole(context: Context) -> int:
    """Verify, and check that a rebuild finds nothing to mend; the number of events."""
    events = verify(context.store, context.projections).events
    rebuilt, differences = rebuild(context.store, context.projections)
    assert (rebuilt, differences.rows) == (events, {})
    return events


def test_a_new_vault_holds_its_making(context: Context) -> None:
    (made,) = context.store.read([1])
    assert isinstance(made.event, VaultCreated)
    assert (made.event.format, [s.slot_kind for s in made.event.slots]) == (1, ["key-file"])
    assert (made.stream, made.version, made.at) == (VAULT, 1, START)
    assert made.envelope.actor == ACTOR
    assert not made.has_payload
    assert whole(context) == 1


def test_what_is_appended_is_read_back(context: Context) -> None:
    drafts = [login("main", A, "fake-key-1"), issue("main", A), login("main", A, "fake-key-2"), registered("x")]
    recorded = context.store.append(drafts, context.cause("because", "fake-id", causation=1))
    assert [r.position for r in recorded] == [2, 3, 4, 5]
    assert [r.version for r in recorded] == [1, 1, 2, 1]
    assert [r.stream for r in recorded] == [d.stream for d in drafts]
    assert [r.event for r in recorded] == [d.event for d in drafts]
    assert [r.has_payload for r in recorded] == [True, False, True, False]
    assert len({r.at for r in recorded}) == 1
    for r in recorded:
        envelope = r.envelope
        assert (envelope.reason, envelope.command, envelope.causation) == ("because", "fake-id", 1)
    assert list(context.store.read(range(2, 6))) == recorded
    assert list(context.store.scan(2, 5)) == recorded
    assert list(context.store.read_stream(profile_stream("main", A))) == [recorded[0], recorded[2]]
    assert list(context.store.read_stream(profile_stream("main", A), 2)) == [recorded[2]]
    assert list(context.store.read_stream(profile_stream("main", B))) == []
    assert [context.store.credential(p) for p in (2, 4)] == [key("fake-key-1")[0], key("fake-key-2")[0]]
    assert whole(context) == 5


def test_what_was_appended_is_there_after_opening_again(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        recorded = any_session(context)
        states = [context.queries.profile("main", "anthropic:default"), context.queries.rotation("helper", "openai")]
    with Files(tmp_path).open() as context:
        assert list(context.store.read(range(2, 13))) == recorded
        asked = [context.queries.profile("main", "anthropic:default"), context.queries.rotation("helper", "openai")]
        assert asked == states
        assert whole(context) == 12


def test_nothing_appended_is_nothing(context: Context) -> None:
    head = context.store.head()
    assert context.store.append([], context.cause(command="fake-id")) == []
    assert context.store.head() == head


@pytest.mark.parametrize("bad_at", [0, 1, 2])
def test_all_or_nothing(bad_at: int, context: Context) -> None:
    head = context.store.head()
    bad = Draft(stream=VAULT, event=UnknownEvent(type="x", schema=1))
    drafts = [login("main", A, "fake-key-1"), issue("main", A)]
    drafts.insert(bad_at, bad)
    with pytest.raises(IntegrityError):
        context.store.append(drafts, context.cause(command="fake-id"))
    assert context.store.head() == head
    tables = ("profile_keys", "read_models WHERE model NOT IN ('heads', 'vault')", "commands")
    counts = [context.database.connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]
    assert counts == [0, 0, 0]
    assert len(context.store.append(drafts[:bad_at] + drafts[bad_at + 1 :], context.cause(command="fake-id"))) == 2
    assert whole(context) == 3


def test_an_error_inside_a_turn_undoes_it(context: Context) -> None:
    head = context.store.head()

    def fail() -> None:
        with context.store.writing() as connection:
            context.store.append_within(connection, [login("main", A, "fake-key-1")], context.cause())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert context.store.head() == head
    assert context.queries.profile("main", A) is None
    context.store.append([login("main", A, "fake-key-2")], context.cause())
    state = context.queries.profile("main", A)
    assert state is not None
    assert state.version == 1
    assert whole(context) == 2


# -- expected versions


def test_expected_versions(context: Context) -> None:
    stream, other = profile_stream("main", A), rotation_stream("main", "openai")
    store, cause = context.store, context.cause()
    store.append([login("main", A, "fake-key-1")], cause, {stream: 0, other: 0, AGENTS: 0, VAULT: 1})
    store.append([login("main", A, "fake-key-2")], cause, {stream: 1})
    for expected in ({stream: 0}, {stream: 1}, {stream: 3}, {stream: 2, other: 1}, {stream: -1}):
        with pytest.raises(WrongExpectedVersion) as caught:
            store.append([login("main", A, "fake-key-3")], cause, expected)
        assert caught.value.exit_status == 83
    store.append([login("main", A, "fake-key-3"), logout("main", A)], cause, {stream: 2})
    assert whole(context) == 5


def test_a_decision_is_made_anew_when_its_stream_moved_on(tmp_path: Path) -> None:
    stream = profile_stream("main", A)
    with make_vault(tmp_path) as context, Files(tmp_path).open() as other:
        seen: list[int] = []

        def build() -> tuple[list[Draft], dict[str, int]]:
            state = context.queries.profile("main", A)
            version = state.version if state else 0
            seen.append(version)
            if len(seen) < 4:
                other.store.append([login("main", A, f"fake-key-{version}")], other.cause())
            return [login("main", A, "fake-key-mine")], {stream: version}

        (recorded,) = context.decide(context.cause(), stream, build)
        assert (seen, recorded.version) == ([0, 1, 2, 3], 4)
        assert whole(context) == 5


def test_a_decision_that_never_settles_ends_with_a_conflict(tmp_path: Path) -> None:
    stream = profile_stream("main", A)
    with make_vault(tmp_path) as context:
        with pytest.raises(WrongExpectedVersion):
            context.decide(context.cause(), stream, lambda: ([login("main", A, "fake-key")], {stream: 9}))
        assert context.decide(context.cause(), stream, lambda: ([], {stream: 9})) == []
        assert context.store.head().position == 1


# -- command ids


def test_the_same_command_id_gives_the_first_result(tmp_path: Path) -> None:
    drafts = [login("main", A, "fake-key-1"), issue("main", A)]
    again = [login("main", A, "fake-key-2"), issue("main", A)]
    with make_vault(tmp_path) as context:
        first = context.store.append(drafts, context.cause(command="fake-id"))
        context.store.append([order("main", "openai", A)], context.cause())
        assert context.store.append(again, context.cause("another reason", "fake-id")) == first
        assert context.store.append(drafts, context.cause(command="fake-id"), {profile_stream("main", A): 9}) == first
    with Files(tmp_path).open() as context:
        assert context.store.append(drafts, context.cause(command="fake-id")) == first
        rebuild(context.store, context.projections)
        assert context.store.append(drafts, context.cause(command="fake-id")) == first
        assert whole(context) == 4


def test_the_same_command_id_for_another_command_is_a_conflict(context: Context) -> None:
    context.store.append([login("main", A, "fake-key-1"), issue("main", A)], context.cause(command="fake-id"))
    others = [
        [login("main", A, "fake-key-1")],
        [issue("main", A), login("main", A, "fake-key-1")],
        [login("main", B, "fake-key-1"), issue("main", A)],
        [login("other", A, "fake-key-1"), issue("main", A)],
        [login("main", A, "fake-key-1"), issue("main", A), issue("main", A)],
    ]
    for drafts in others:
        with pytest.raises(Conflict) as caught:
            context.store.append(drafts, context.cause(command="fake-id"))
        assert caught.value.exit_status == 83
    assert whole(context) == 3


def test_a_decision_with_a_command_id_is_made_once(context: Context) -> None:
    stream = profile_stream("main", A)
    made: list[str] = []

    def build() -> tuple[list[Draft], dict[str, int]]:
        made.append("once")
        return [login("main", A, "fake-key-1")], {stream: 0}

    first = context.decide(context.cause(command="fake-id"), stream, build)
    assert context.decide(context.cause(command="fake-id"), stream, build) == first
    assert made == ["once"]
    with pytest.raises(Conflict):
        context.decide(context.cause(command="fake-id"), profile_stream("main", B), build)
    assert whole(context) == 2


def test_a_command_without_an_id_gets_one_of_its_own(context: Context) -> None:
    first, second = (context.store.append([issue("main", A)] * 2, context.cause()) for _ in range(2))
    ids = [r.envelope.command for r in first + second]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert all(name.startswith("~") and len(name) > 20 for name in ids)
    assert context.database.connection.execute("SELECT count(*) FROM commands").fetchone() == (0,)


def test_a_command_id_that_looks_like_one_made_here_is_refused(context: Context) -> None:
    """It would be taken for one that nobody chose, and would not be idempotent."""
    with pytest.raises(VaultError) as caught:
        context.store.append([issue("main", A)], context.cause(command="~fake-id"))
    assert caught.value.exit_status in (64, 65)
    assert whole(context) == 1


# -- time


def test_time_never_goes_back(tmp_path: Path) -> None:
    clock = FixedClock()
    with make_vault(tmp_path, clock) as context:
        for move in (0, 5, -1_000_000, -1, 2_000_000, -3_000_000_000, 0):
            clock.forward(move)
            context.store.append([issue("main", A)], context.cause())
    with Files(tmp_path).open(FixedClock(START - 10**12)) as context:
        context.store.append([issue("main", A)], context.cause())
        times = [r.at - START for r in context.store.read(range(1, 10))]
        assert times == sorted(times) == [0, 0, 5, 5, 5, 1_000_004, 1_000_004, 1_000_004, 1_000_004]
        assert whole(context) == 9


def test_a_moment_finds_its_position(tmp_path: Path) -> None:
    clock = FixedClock()
    with make_vault(tmp_path, clock) as context:
        for step in (0, 0, 10, 0, 5):
            clock.forward(step)
            context.store.append([issue("main", A)], context.cause())
        moments = {-1: 0, 0: 3, 1: 3, 9: 3, 10: 5, 14: 5, 15: 6, 16: 6, 10**15: 6}
        assert {m: context.queries.position_at(START + m) for m in moments} == moments


# -- several at once in one process


@settings(max_examples=15)
@given(turns=st.lists(st.tuples(st.booleans(), st.sampled_from([A, B]), st.sampled_from("lio")), max_size=12))
def test_two_that_have_it_open_see_each_other(
    turns: list[tuple[bool, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("shared")
    with make_vault(folder) as left, Files(folder).open() as right:
        for number, (which, profile, what) in enumerate(turns):
            context = left if which else right
            draft = {
                "l": login("main", profile, f"fake-key-{number}"),
                "i": issue("main", profile),
                "o": order("main", "openai", profile),
            }[what]
            (recorded,) = context.store.append([draft], context.cause())
            assert recorded.position == number + 2
            seen = [c.queries.profile("main", profile) for c in (left, right)]
            assert seen[0] == seen[1]
            orders = [c.queries.rotation("main", "openai") for c in (left, right)]
            assert orders[0] == orders[1]
        assert whole(left) == whole(right) == len(turns) + 1


def test_a_record_that_is_not_there(context: Context) -> None:
    for position in (0, 2, -1):
        with pytest.raises(IntegrityError) as caught:
            list(context.store.read([position]))
        assert caught.value.position == position
    with pytest.raises(IntegrityError):
        context.store.credential(1)


def test_the_event_that_stores_a_credential_never_names_it(context: Context) -> None:
    (recorded,) = context.store.append([login("main", A, "fake-key-hidden")], context.cause())
    assert isinstance(recorded.event, ProfileLoggedIn)
    assert "fake-key-hidden" not in repr(recorded)
    assert "fake-key-hidden" not in repr(context.store.credential(2))
