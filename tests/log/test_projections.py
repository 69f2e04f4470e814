"""Read models and index: inline is what a rebuild makes, the past is what the present was, and views follow the lineage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.log.samples import SAMPLES, any_session, issue, login, logout, order, registered, restored, stream_of
from tests.support import START, Files, FixedClock, make_files, make_vault
from vault.context import Context
from vault.errors import NotFound
from vault.events.types import AgentRegistered, Event, KeySlotAdded, KeySlotRemoved, ProfilePinned, VaultCreated
from vault.log.records import Draft
from vault.model.choosing import choose
from vault.model.streams import AGENTS, rotation_stream
from vault.projections.engine import CHECKPOINTS, REMEMBERED
from vault.projections.history import subjects
from vault.projections.models import MODELS
from vault.projections.queries import PastQueries, Queries, View
from vault.projections.replay import Replay, rebuild
from vault.projections.verify import verify

A, B = "openai:a", "openai:b"
AGENT_NAMES = ("main", "helper")
ANY = [event for pair in SAMPLES.values() for event in pair]


def tells_of_slots(event: Event) -> bool:
    """Whether an event says something of key slots, which must be true where a vault is verified."""
    return isinstance(event, VaultCreated | KeySlotAdded | KeySlotRemoved) or bool(getattr(event, "slots", ()))


def everything(queries: Queries) -> list[object]:
    """All that queries can tell about two agents."""
    told: list[object] = [queries.agents()]
    for agent in AGENT_NAMES:
        told += [queries.profiles(agent), queries.rotations(agent), queries.profiles(agent, "openai")]
        told += [queries.profile(agent, A), queries.rotation(agent, "openai"), queries.rotation(agent, "unknown")]
    return told


def tables(context: Context) -> list[object]:
    """All projections, read models opened: sealed ones differ in their nonce."""
    connection = context.database.connection
    rows = connection.execute("SELECT * FROM read_models WHERE model <> 'heads' ORDER BY model, key").fetchall()
    with context.database.reading():
        sums = context.projections.proven(connection).sums()
    opened = [(*row[:5], MODELS[row[0]].encode(context.projections.opened(MODELS[row[0]], *row[1:]))) for row in rows]
    return [opened, sums] + [
        connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        for table in ("history_index", "commands", "checkpoints")
    ]


drafts = st.one_of(
    st.builds(login, st.sampled_from(AGENT_NAMES), st.sampled_from([A, B, "anthropic:a"]), st.just("fake-key")),
    st.builds(logout, st.sampled_from(AGENT_NAMES), st.sampled_from([A, B])),
    st.builds(issue, st.sampled_from(AGENT_NAMES), st.sampled_from([A, B]), st.sampled_from(["", "main"])),
    st.builds(order, st.sampled_from(AGENT_NAMES), st.just("openai"), st.sampled_from([A, B])),
    st.builds(restored, st.just("main"), st.just(A), st.integers(1, 3)),
    st.just(registered("helper")),
    st.sampled_from([Draft(stream=stream_of(e), event=e) for e in ANY if not tells_of_slots(e)]),
)
commands = st.lists(st.tuples(st.lists(drafts, min_size=1, max_size=4), st.booleans()), max_size=6)


@settings(max_examples=25)
@given(commands=commands)
def test_incremental_is_what_a_rebuild_makes(
    commands: list[tuple[list[Draft], bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with make_vault(tmp_path_factory.mktemp("any")) as context:
        for number, (some, named) in enumerate(commands):
            context.store.append(some, context.cause(command=f"fake-{number}" if named else ""))
        head = context.store.head().position
        assert verify(context.store, context.projections).events == head
        before, told = tables(context), everything(context.queries)
        rebuilt, differences = rebuild(context.store, context.projections)
        assert (rebuilt, differences.rows, bool(differences)) == (head, {}, False)
        assert tables(context) == before
        assert everything(context.queries) == told == everything(context.queries.at(head))
        verify(context.store, context.projections)


def test_the_past_is_what_the_present_was(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        seen = {1: everything(context.queries)}
        for some in (
            [login("main", A, "fake-1")],
            [registered("helper")],
            [login("helper", A, "fake-2"), issue("main", A)],
        ):
            context.store.append(some, context.cause())
            seen[context.store.head().position] = everything(context.queries)
        context.store.append([order("main", "openai", A), logout("main", A)], context.cause())
        assert {position: everything(context.queries.at(position)) for position in seen} == seen
        assert isinstance(context.queries.at(0), PastQueries)
        assert everything(context.queries.at(0))[1:3] == [[], []]


def test_a_rebuild_that_fails_leaves_everything(tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with make_vault(tmp_path) as context:
        any_session(context)
        before = tables(context)
        with pytest.raises(KeyboardInterrupt):
            rebuild(context.store, context.projections, fail)
        assert tables(context) == before
        context.store.append([login("main", A, "fake")], context.cause())
        verify(context.store, context.projections)


def test_progress_is_told_up_to_the_end(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        context.store.append([issue("main", A)] * 2500, context.cause())
        for work in (rebuild, verify):
            told: list[tuple[int, int]] = []
            work(context.store, context.projections, lambda done, total, told=told: told.append((done, total)))
            assert told[-1] == (2501, 2501)
            assert [done for done, _ in told] == sorted(done for done, _ in told)
            assert len(told) >= 2


def test_a_newer_model_version_is_built_on_opening(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
        before = tables(context)
        for model in CHECKPOINTS:
            context.database.connection.execute("UPDATE checkpoints SET model_version = 0 WHERE model = ?", (model,))
        context.database.connection.execute("DELETE FROM read_models")
    with files.open() as context:
        assert tables(context) == before
        verify(context.store, context.projections)


def test_more_streams_than_are_remembered(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        many = [login("main", f"openai:{n}", "fake") for n in range(REMEMBERED + 5)]
        context.store.append(many, context.cause())
        context.store.append([login("main", f"openai:{n}", "fake") for n in (0, REMEMBERED)], context.cause())
        assert len(context.queries.profiles("main")) == REMEMBERED + 5
        assert [s.version for s in context.queries.profiles("main") if s.profile == "openai:0"] == [2]
        verify(context.store, context.projections)
        assert rebuild(context.store, context.projections)[1].rows == {}


def test_what_an_event_concerns(tmp_path: Path) -> None:
    expected = {
        "vault_created": ([""], "", ""),
        "agent_registered": (["helper"], "", ""),
        "profile_logged_in": (["main"], "anthropic", "anthropic:näme@example.com"),
        "order_set": (["main"], "anthropic", ""),
        "profile_pinned": (["main"], "anthropic", "anthropic:näme@example.com"),
        "credential_issued": (["helper", "main"], "anthropic", "anthropic:näme@example.com"),
        "use_reported": (["main"], "anthropic", "anthropic:näme@example.com"),
        "key_slot_added": ([""], "", ""),
    }
    with make_vault(tmp_path) as context:
        for name, concerns in expected.items():
            full, _ = SAMPLES[name]
            (recorded,) = context.store.append([Draft(stream=stream_of(full), event=full)], context.cause())
            assert subjects(recorded) == concerns, name
        rows = context.database.connection.execute("SELECT count(*) FROM history_index").fetchone()
        assert rows == (len(expected) + 2,), "the hand-out of an inherited profile has a row for each agent"


def test_remembering_states_takes_nothing_from_their_rows(tmp_path: Path) -> None:
    """Each append reads what another process may have written, never what this one remembered."""
    with make_vault(tmp_path) as left, Files(tmp_path).open() as right:
        left.store.append([login("main", A, "fake-1")], left.cause())
        right.store.append([login("main", A, "fake-2")], right.cause())
        left.store.append([login("main", A, "fake-3")], left.cause())
        state = left.queries.profile("main", A)
        assert state is not None
        assert [h.position for h in (state.current, state.previous) if h] == [4, 3]
        verify(right.store, right.projections)


# -- what an agent sees


@pytest.fixture
def family(tmp_path: Path) -> Context:
    with make_vault(tmp_path, FixedClock(step=1)) as context:
        child = Draft(stream=AGENTS, event=AgentRegistered(agent="child", inherits="main"))
        steps = [
            child,
            login("main", A, "fake-main-a"),
            login("main", B, "fake-main-b"),
            login("child", A, "fake-child-a"),
        ]
        context.store.append(steps, context.cause())
        yield context


def test_a_child_sees_its_own_and_what_it_inherits(family: Context) -> None:
    view = View(family.queries, "child")
    assert view.lineage == ["child", "main"]
    assert {p: s.agent for p, s in view.visible().items()} == {A: "child", B: "main"}
    assert view.find(A).agent == "child"
    assert view.find(B).agent == "main"
    assert {p: s.agent for p, s in View(family.queries, "main").visible().items()} == {A: "main", B: "main"}
    with pytest.raises(NotFound):
        view.find("openai:none")
    with pytest.raises(NotFound):
        View(family.queries, "nobody")
    family.store.append([logout("child", A)], family.cause())
    assert View(family.queries, "child").visible()[A].agent == "main"
    assert View(family.queries, "child").find(A).agent == "main"


def test_the_nearest_order_and_pin_count(family: Context) -> None:
    view = View(family.queries, "child")
    assert (view.order("openai"), view.pin("openai")) == ((None, ""), ("", ""))
    pinned = Draft(
        stream=rotation_stream("main", "openai"), event=ProfilePinned(agent="main", provider="openai", profile=B)
    )
    family.store.append([order("main", "openai", B, A), pinned], family.cause())
    assert (view.order("openai"), view.pin("openai")) == (([B, A], "main"), (B, "main"))
    family.store.append([order("child", "openai", A)], family.cause())
    assert view.order("openai") == ([A], "child")


def test_use_by_a_child_counts_for_the_owner(family: Context) -> None:
    family.store.append([issue("child", B, "main")], family.cause())
    (used,) = [c for c in View(family.queries, "child").candidates("openai") if c.profile == B]
    assert (used.owner, used.last_used) == ("main", family.store.head().at)
    decision = choose("child", "openai", View(family.queries, "child").candidates("openai"), START)
    assert [(c.what, c.owner, c.code) for c in decision.considered] == [
        (A, "child", "chosen"),
        (B, "main", "next"),
        (A, "main", "hidden"),
    ]


def test_a_replay_holds_a_state_a_stream(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        context.store.append([issue("main", A)] * 300, context.cause())
        replay = Replay(context.store.sealing, context.projections)
        for item in context.store.scan(1, 301):
            replay.fold(item)
        slots, state = replay.states.values()
        assert slots == context.slots()[0]
        assert state == context.queries.rotation("main", "openai")
