"""Events that a newer vault wrote: kept, shown, proved whole; nothing is decided upon them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from tests.log.samples import any_session, key, login
from tests.support import Files, make_files
from vault.commands.history import Filter, read_history
from vault.commands.login import log_in, log_out
from vault.commands.restore import restore
from vault.context import Context
from vault.errors import NewerVersion
from vault.events.codec import Codec
from vault.events.types import EVENT_TYPES, Event, OrderSet, UnknownEvent
from vault.log.records import Draft
from vault.model.streams import AGENTS, VAULT, Stream, profile_stream, rotation_stream
from vault.projections.replay import rebuild
from vault.projections.verify import verify
from vault.values import AgentId, ProfileId

AGENT, PROFILE = AgentId("main"), ProfileId("anthropic:default")


class ProfilePainted(Event, frozen=True, kw_only=True, omit_defaults=True):
    TYPE: ClassVar[str] = "profile_painted"
    colour: str


class NewOrderSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    TYPE: ClassVar[str] = "order_set"
    SCHEMA: ClassVar[int] = OrderSet.SCHEMA + 1
    tree: dict[str, str]


NEWER = Codec(
    {**EVENT_TYPES, "profile_painted": ProfilePainted, "order_set": NewOrderSet},
    {("order_set", OrderSet.SCHEMA): lambda facts: {"tree": dict.fromkeys(facts["profiles"], "")}},
)
STREAMS = {
    "profile": profile_stream(AGENT, PROFILE),
    "rotation": rotation_stream(AGENT, "anthropic"),
    "agents": AGENTS,
    "vault": VAULT,
}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
    return files


def write_newer(files: Files, stream: Stream, event: Event) -> None:
    """Append with a newer vault's types, whose read models have newer versions, as they must when their meaning changes."""
    with files.open() as context:
        context.store._codec = NEWER
        context.store.append([Draft(stream=stream, event=event)], context.cause("painted by a newer vault"))
        context.database.connection.execute("UPDATE checkpoints SET model_version = model_version + 1")


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_an_unknown_type_is_kept_and_shown_and_proved(stream: Stream, files: Files) -> None:
    write_newer(files, stream, ProfilePainted(colour="red"))
    with files.open() as context:
        assert verify(context.store, context.projections).events == 13
        (newest,) = read_history(context, Filter(), limit=1)
        assert newest.event == UnknownEvent(type="profile_painted", schema=1)
        assert bytes(newest.envelope.facts) == b'{"colour":"red"}'
        assert (newest.envelope.reason, newest.stream) == ("painted by a newer vault", stream)
        assert [r.position for r in read_history(context, Filter(types=("profile_painted",)))] == [13]
        assert context.store.credential(5) == key("fake-key-anthropic-2")[0]
        assert len(context.queries.at(13).profiles("main")) == 1
        assert rebuild(context.store, context.projections)[1].rows == {}


def test_a_newer_schema_of_a_known_type_is_unknown(files: Files) -> None:
    write_newer(files, STREAMS["rotation"], NewOrderSet(tree={"a": "b"}))
    with files.open() as context:
        (newest,) = context.store.read([13])
        assert newest.event == UnknownEvent(type="order_set", schema=OrderSet.SCHEMA + 1)
        state = context.queries.rotation("main", "anthropic")
        assert (state.order, state.unknown) == ([PROFILE], "order_set")
        verify(context.store, context.projections)


def test_decisions_on_that_profile_refuse(files: Files) -> None:
    write_newer(files, STREAMS["profile"], ProfilePainted(colour="red"))
    decisions: list[Callable[[Context], object]] = [
        lambda c: log_in(c, AGENT, PROFILE, key("fake-key-new")[0]),
        lambda c: log_out(c, AGENT, PROFILE),
        lambda c: restore(c, AGENT, PROFILE, to=5),
    ]
    with files.open() as context:
        for decide in decisions:
            with pytest.raises(NewerVersion, match="profile_painted") as caught:
                decide(context)
            assert caught.value.exit_status == 84
        assert context.store.head().position == 13
        other = ProfileId("openai:free")
        assert log_in(context, AGENT, other, key("fake-key-new")[0]).position > 13
        verify(context.store, context.projections)


def test_the_newer_vault_goes_on_where_it_was(files: Files) -> None:
    write_newer(files, STREAMS["profile"], ProfilePainted(colour="red"))
    with files.open() as context:
        context.store.append([login("main", "openai:free", "fake-key")], context.cause())
    with files.open() as context:
        context.store._codec = NEWER
        rebuild(context.store, context.projections)
        state = context.queries.profile(AGENT, PROFILE)
        assert state is not None
        assert (state.unknown, state.version) == ("", 4)
        assert verify(context.store, context.projections).events == 14
