"""What is handed out, chosen and told is the newest there is: an older row put back, a bent index, a row hidden are noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.log.damage import BENT, bend_index, copied, first_bad
from tests.log.samples import any_session, issue, login, order, registered
from tests.support import Files, make_files, make_vault, tampering
from vault.commands.history import Filter, read_history
from vault.context import Context
from vault.errors import IntegrityError
from vault.log.records import Draft, Recorded
from vault.model.streams import profile_stream
from vault.projections.engine import Projections
from vault.projections.history import COLUMNS, SUBJECTS
from vault.projections.replay import rebuild
from vault.projections.verify import verify

PROFILE = "anthropic:default"
STREAM = profile_stream("main", PROFILE)
Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Rows]:
    """A vault whose newest event replaced a credential, and the rows of its read models as they were before."""
    files = make_files(tmp_path_factory.mktemp("replaced"))
    with files.open() as context:
        any_session(context)
        before = context.database.connection.execute("SELECT * FROM read_models").fetchall()
        context.store.append([login("main", PROFILE, "fake-newest")], context.cause())
    return files, before


def hand_outs() -> dict[str, Callable[[Context], Any]]:
    """Ways to learn of a profile, each through what a hand-out goes through."""
    return {
        "profile": lambda c: c.queries.profile("main", PROFILE),
        "profiles": lambda c: c.queries.profiles("main", "anthropic"),
        "append": lambda c: c.store.append([issue("main", PROFILE)], c.cause()),
        "restore": lambda c: list(c.store.read_stream(STREAM)),
    }


def put_back(files: Files, rows: Rows, *, heads: bool) -> None:
    """Older rows in the place of the present ones, with the older row of heads or with the present one."""
    with tampering(files.database) as connection:
        kept = "" if heads else " WHERE model <> 'heads'"
        connection.execute(f"DELETE FROM read_models{kept}")
        rows = rows if heads else [row for row in rows if row[0] != "heads"]
        connection.executemany("INSERT INTO read_models VALUES (?,?,?,?,?,?)", rows)


@pytest.mark.parametrize("heads", [True, False], ids=["with heads", "without heads"])
@pytest.mark.parametrize("bent", ["", *BENT])
def test_a_replaced_credential_is_never_handed_out(bent: str, heads: bool, replaced: tuple[Files, Rows]) -> None:
    """An older read model put back, and an index altered so that the newest record of its stream isn't found."""
    whole, before = replaced
    with copied(whole) as files:
        put_back(files, before, heads=heads)
        if bent:
            bend_index(files, bent)
        with files.open_unchecked() as context:
            for name, ask in hand_outs().items():
                with pytest.raises(IntegrityError) as caught:
                    ask(context)
                assert caught.value.exit_status == 80, name
        assert first_bad(files)[0] == 80


@pytest.mark.parametrize("bent", BENT)
def test_a_bent_index_alone_changes_no_answer(bent: str, replaced: tuple[Files, Rows]) -> None:
    """The newest credential is found without it, or nothing is; what would be left out is an error. Verify names it."""
    whole, _ = replaced
    with copied(whole) as files:
        bend_index(files, bent)
        with files.open_unchecked() as context:
            state = context.queries.profile("main", PROFILE)
            assert state is not None
            assert state.current is not None
            assert context.store.credential(state.current.position).secret() == "fake-newest"
            assert PROFILE in {s.profile for s in context.queries.profiles("main")}
            try:
                versions = [r.version for r in context.store.read_stream(STREAM)]
                assert versions[-1] == state.version
            except IntegrityError:
                assert bent == "sqlite_autoindex_events_3"
        assert first_bad(files)[0] == 80


def test_a_row_hidden_from_a_read_model(replaced: tuple[Files, Rows]) -> None:
    whole, _ = replaced
    for hidden in ("model = 'heads'", "model = 'profile'", "model = 'agents'", "1"):
        with copied(whole) as files:
            with tampering(files.database) as connection:
                connection.execute(f"DELETE FROM read_models WHERE {hidden}")
            with files.open_unchecked() as context, pytest.raises(IntegrityError):
                context.queries.profiles("nobody")


def test_the_heads_row_of_another_head(replaced: tuple[Files, Rows]) -> None:
    """Everything put back at once, read models and their heads row: it names an older head."""
    whole, before = replaced
    with copied(whole) as files:
        put_back(files, before, heads=True)
        with files.open_unchecked() as context, pytest.raises(IntegrityError, match="not what the log's head says"):
            context.queries.profile("main", PROFILE)
        with files.open_unchecked() as context:
            rebuild(context.store, context.projections)
            verify(context.store, context.projections)


def test_another_process_s_append_is_seen(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as one, files.open() as other:
        for number in range(6):
            writer, reader = (one, other) if number % 2 else (other, one)
            writer.store.append([login("main", PROFILE, f"fake-{number}")], writer.cause())
            for context in (reader, writer):
                state = context.queries.profile("main", PROFILE)
                assert state is not None
                assert state.version == number + 1
        verify(one.store, one.projections)


def test_what_changes_under_an_open_vault_is_noticed(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        context.store.append([login("main", PROFILE, "fake-1")], context.cause())
        before = context.database.connection.execute("SELECT * FROM read_models").fetchall()
        context.store.append([login("main", PROFILE, "fake-2")], context.cause())
        put_back(files, before, heads=True)
        for ask in hand_outs().values():
            with pytest.raises(IntegrityError):
                ask(context)


# -- history

AGENTS = ("main", "helper")
PROFILES = (PROFILE, "openai:a", "openai:b")
steps = st.lists(
    st.one_of(
        st.builds(login, st.sampled_from(AGENTS), st.sampled_from(PROFILES), st.just("fake-key")),
        st.builds(issue, st.sampled_from(AGENTS), st.sampled_from(PROFILES), st.sampled_from(["", "main"])),
        st.builds(order, st.sampled_from(AGENTS), st.just("openai"), st.just("openai:a")),
        st.just(registered("helper")),
    ),
    max_size=25,
)
filters = st.builds(
    Filter,
    agent=st.sampled_from(["", *AGENTS, "nobody"]),
    provider=st.sampled_from(["", "openai", "anthropic"]),
    profile=st.sampled_from(["", *PROFILES]),
    types=st.sampled_from([(), ("credential_issued",), ("profile_logged_in", "order_set")]),
    actor=st.sampled_from(["", "fake-user", "fake-shell", "nobody"]),
)


def expected(context: Context, wanted: Filter, projections: Projections) -> list[int]:
    """The positions a filter must find, from the events themselves."""
    blind = context.store.sealing.blind
    found = []
    for event in context.store.scan(1, context.store.head().position):
        rows = projections.subjects_of(event)
        groups = [[(SUBJECTS.index(c), blind(c, n)) for c, n in group] for group in wanted.groups()]
        if any(all(any(row[i] == value for i, value in group) for group in groups) for row in rows):
            found.append(event.position)
    return found


@settings(max_examples=60, deadline=None)
@given(drafts=steps, wanted=filters, limit=st.sampled_from([None, 1, 2, 300]), after=st.integers(0, 12))
def test_history_finds_all_and_nothing_else(
    drafts: list[Draft], wanted: Filter, limit: int | None, after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with make_vault(tmp_path_factory.mktemp("any")) as context:
        for draft in drafts:
            context.store.append([draft], context.cause())
        due = [p for p in expected(context, wanted, context.projections) if p > after]
        for oldest_first in (True, False):
            found = read_history(context, wanted, limit=limit, oldest_first=oldest_first, after=after)
            assert [r.position for r in found] == (due if oldest_first else due[::-1])[:limit]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A vault with hand-outs of two agents, logins and an order."""
    files = make_files(tmp_path_factory.mktemp("long"))
    with files.open() as context:
        any_session(context)
        for number in range(20):
            context.store.append([issue("helper", PROFILE, "main" if number % 3 else "")], context.cause())
            context.store.append([login("main", PROFILES[number % 3], "fake-key")], context.cause())
    return files


def complete_or_refused(told: Iterable[Recorded]) -> list[int] | str:
    """The positions that were told, or that it was refused, with a hint."""
    try:
        return [r.position for r in told]
    except IntegrityError as error:
        return "refused" if error.exit_status == 80 and error.hint else str(error)


DAMAGE = (
    "DELETE FROM history_index WHERE position = {}",
    "UPDATE OR REPLACE history_index SET agent = zeroblob(16) WHERE position = {}",
    "UPDATE OR REPLACE history_index SET kind = (SELECT kind FROM history_index WHERE position = 1) WHERE position = {}",
    "UPDATE OR REPLACE history_index SET position = position + 1000 WHERE position = {}",
    "UPDATE OR REPLACE history_index SET agent_nth = agent_nth + 1, kind_nth = kind_nth + 1 WHERE position <= {}",
    "DELETE FROM history_index WHERE position >= {}",
    "DELETE FROM history_index WHERE position <= {}",
    "DELETE FROM history_index",
)


@settings(max_examples=120, deadline=None)
@given(
    damage=st.sampled_from(DAMAGE),
    position=st.integers(1, 52),
    wanted=filters,
    limit=st.sampled_from([None, 1, 3, 10]),
    oldest_first=st.booleans(),
    after=st.integers(0, 50),
)
def test_history_is_complete_or_says_that_it_is_not(
    damage: str, position: int, wanted: Filter, limit: int | None, oldest_first: bool, after: int, long: Files
) -> None:
    """Rows deleted, moved, renumbered or given to another subject: what is told is right, or an error; never less."""
    with copied(long) as files:
        with tampering(files.database) as connection:
            connection.execute(damage.format(position))
        with files.open_unchecked() as context:
            due = [p for p in expected(context, wanted, context.projections) if p > after]
            told = read_history(context, wanted, limit=limit, oldest_first=oldest_first, after=after)
            assert complete_or_refused(told) in ((due if oldest_first else due[::-1])[:limit], "refused")


@pytest.mark.parametrize("bent", ["history_by_agent", "history_by_kind"])
def test_history_through_a_bent_index_is_an_error(bent: str, long: Files) -> None:
    for keep in ("", "position <> 30", "position > 30"):
        with copied(long) as files:
            bend_index(files, bent, keep)
            with files.open_unchecked() as context:
                for wanted in (Filter(agent="helper"), Filter(types=("profile_logged_in",)), Filter(agent="main")):
                    due = expected(context, wanted, context.projections)
                    told = complete_or_refused(read_history(context, wanted, oldest_first=True))
                    assert told in (due, "refused")


def test_rows_of_a_history_that_was_given_up(long: Files) -> None:
    """Rows with a right tag, from another course of events at the same places: they are compared with the events."""
    with copied(long) as files, copied(long) as other:
        for place, agent in ((files, "main"), (other, "helper")):
            with place.open() as context:
                context.store.append([issue(agent, PROFILE)], context.cause())
        with other.open_unchecked() as context:
            last = context.store.head().position
            stored = context.database.connection.execute(
                f"SELECT {COLUMNS} FROM history_index WHERE position = {last}"
            ).fetchall()
        with tampering(files.database) as connection:
            connection.execute(f"DELETE FROM history_index WHERE position = {last}")
            marks = ",".join("?" * len(stored[0]))
            connection.executemany(f"INSERT INTO history_index ({COLUMNS}) VALUES ({marks})", stored)
        with files.open_unchecked() as context:
            for wanted in (Filter(agent="helper"), Filter(agent="main")):
                with pytest.raises(IntegrityError):
                    list(read_history(context, wanted))
