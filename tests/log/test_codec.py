"""Events and credentials ↔ bytes: golden files, upcasting, and what a newer vault wrote."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.write_missing import EVENTS, FULL_ACTOR, PAYLOADS, event_file, headers
from tests.log.samples import AT, CREDENTIALS, SAMPLES, stream_of
from tests.support import ACTOR
from vault.errors import IntegrityError
from vault.events import credentials
from vault.events.codec import Actor, Codec, Envelope
from vault.events.credentials import Credential, decode_credential, encode_credential
from vault.events.types import EVENT_TYPES, Event, UnknownEvent
from vault.events.upcasters import UPCASTERS, Facts, upcast


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_type_keeps_its_bytes(name: str) -> None:
    full, bare = SAMPLES[name]
    lines = event_file(full).read_bytes().splitlines()
    assert headers(full, bare) == lines
    decoded = [Codec().decode(line) for line in lines]
    assert [event for _, event in decoded] == [full, bare]
    envelope, minimal = (envelope for envelope, _ in decoded)
    assert (envelope.type, envelope.schema, envelope.at, envelope.causation) == (name, full.SCHEMA, AT, 3)
    assert (envelope.actor, envelope.command, envelope.reason) == (FULL_ACTOR, "fake-command", 'a "reason"\n✓')
    assert (envelope.stream, envelope.correlation) == ("profile/main/anthropic:näme", "fake-correlation")
    assert (minimal.actor, minimal.causation, minimal.reason, minimal.at) == (Actor(), None, "", 0)


def test_every_golden_header_ever_shipped_is_still_read() -> None:
    read = set()
    for file in EVENTS.iterdir():
        name, schema, _ = file.name.split(".")
        for line in file.read_bytes().splitlines():
            envelope, event = Codec().decode(line)
            assert (envelope.type, envelope.schema) == (name, int(schema))
            assert type(event) is EVENT_TYPES[name]
        read.add(name)
    assert read == set(EVENT_TYPES) == set(SAMPLES)


def test_every_type_has_a_full_sample_on_its_own_stream() -> None:
    for full, bare in SAMPLES.values():
        for name in full.__struct_fields__:
            value = getattr(full, name)
            assert value not in ("", None, [], {}), f"{full.TYPE}.{name} is not set in its sample"
        assert stream_of(full).partition("/")[0] in ("vault", "agents", "profile", "rotation")
        assert type(bare) is type(full)


def test_types_and_their_names() -> None:
    for name, cls in EVENT_TYPES.items():
        assert cls.TYPE == name == "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__)[1:]
        assert cls.SCHEMA >= 1
        assert all((name, old) in UPCASTERS for old in range(1, cls.SCHEMA))


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_every_kind_of_credential_keeps_its_bytes(kind: str) -> None:
    pair = CREDENTIALS[kind]
    lines = (PAYLOADS / f"{kind}.jsonl").read_bytes().splitlines()
    assert [encode_credential(credential) for credential in pair] == lines
    assert tuple(decode_credential(line) for line in lines) == pair
    assert [type(decode_credential(line)) for line in lines] == [type(c) for c in pair]


def test_kinds_of_credential_are_all_here() -> None:
    assert set(CREDENTIALS) == set(credentials.KINDS) == {path.stem for path in PAYLOADS.iterdir()}
    assert {cls.kind for cls in Credential.__subclasses__()} == set(credentials.KINDS)


def test_a_credential_never_shows_itself() -> None:
    for full, _ in CREDENTIALS.values():
        for text in (repr(full), str(full), f"{full}", repr([full])):
            assert text.strip("[]") == f"<credential {full.kind}>"


@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", b"{}", b'{"kind":"fake-kind"}', b'{"kind":"api_key","key":5}', b"\xff"]
)
def test_a_credential_of_unknown_shape(message: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        decode_credential(message)
    assert "fake-kind" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe"])
def test_a_header_of_unknown_shape(header: bytes) -> None:
    with pytest.raises(IntegrityError):
        Codec().decode(header)


def test_facts_of_unknown_shape() -> None:
    line = json.loads(event_file(SAMPLES["order_set"][0]).read_bytes().splitlines()[0])
    for facts in ({"agent": 1}, {"agent": "main"}, [], None, {"agent": "main", "provider": "p", "profiles": "x"}):
        with pytest.raises(IntegrityError):
            Codec().decode(json.dumps(line | {"facts": facts}).encode())


# -- upcasting, with types and upcasters of the test's own


class Painted(Event, frozen=True, kw_only=True, omit_defaults=True):
    TYPE: ClassVar[str] = "painted"
    SCHEMA: ClassVar[int] = 3
    thing: str
    colours: list[str]


class PaintedOnce(Event, frozen=True, kw_only=True, omit_defaults=True):
    TYPE: ClassVar[str] = "painted"
    SCHEMA: ClassVar[int] = 1
    what: str
    colour: str = "grey"


def _rename(facts: Facts) -> Facts:
    return {"thing": facts["what"], "colour": facts.get("colour", "grey")}


def _several(facts: Facts) -> Facts:
    return {"thing": facts["thing"], "colours": [facts["colour"]]}


STEPS = {("painted", 1): _rename, ("painted", 2): _several}
NEW = Codec({"painted": Painted}, STEPS)
OLD = Codec({"painted": PaintedOnce}, {})
ENVELOPE: dict[str, Any] = {"at": AT, "stream": "vault", "actor": ACTOR, "command": "fake"}


def test_an_old_shape_is_upcast_step_by_step() -> None:
    stored = OLD.encode(PaintedOnce(what="fence", colour="red"), **ENVELOPE)
    envelope, event = NEW.decode(stored)
    assert event == Painted(thing="fence", colours=["red"])
    assert (envelope.type, envelope.schema) == ("painted", 1)
    assert NEW.decode(OLD.encode(PaintedOnce(what="gate"), **ENVELOPE))[1] == Painted(thing="gate", colours=["grey"])
    assert NEW.decode(NEW.encode(event, **ENVELOPE))[1] == event


def test_the_second_shape_takes_only_the_second_step() -> None:
    stored = json.loads(NEW.encode(Painted(thing="x", colours=[]), **ENVELOPE))
    stored |= {"schema": 2, "facts": {"thing": "door", "colour": "blue"}}
    assert NEW.decode(json.dumps(stored).encode())[1] == Painted(thing="door", colours=["blue"])


def test_a_missing_step_is_an_error() -> None:
    stored = OLD.encode(PaintedOnce(what="fence"), **ENVELOPE)
    for steps in ({}, {("painted", 1): _rename}, {("painted", 2): _several}):
        with pytest.raises(IntegrityError, match="painted has the schema version"):
            Codec({"painted": Painted}, steps).decode(stored)


def test_a_schema_that_never_existed_is_an_error() -> None:
    stored = json.loads(NEW.encode(Painted(thing="x", colours=[]), **ENVELOPE))
    for schema in (0, -1):
        with pytest.raises(IntegrityError):
            NEW.decode(json.dumps(stored | {"schema": schema}).encode())


def test_a_step_that_leaves_a_wrong_shape_is_an_error() -> None:
    stored = OLD.encode(PaintedOnce(what="fence"), **ENVELOPE)
    with pytest.raises(IntegrityError):
        Codec({"painted": Painted}, {("painted", 1): lambda f: f, ("painted", 2): lambda f: f}).decode(stored)


def test_upcasting_nothing_is_nothing() -> None:
    facts = {"a": 1}
    assert upcast("painted", 3, facts, 3, {}) is facts


def test_unknown_types_and_newer_schemas_are_kept() -> None:
    stored = NEW.encode(Painted(thing="fence", colours=["red"]), **ENVELOPE)
    for reader, schema in ((Codec(), 3), (OLD, 3)):
        envelope, event = reader.decode(stored)
        assert event == UnknownEvent(type="painted", schema=schema)
        assert json.loads(bytes(envelope.facts)) == {"thing": "fence", "colours": ["red"]}
        assert (envelope.at, envelope.actor) == (AT, ACTOR)


def test_an_unknown_event_is_never_written() -> None:
    with pytest.raises(IntegrityError):
        Codec().encode(UnknownEvent(type="painted", schema=3), **ENVELOPE)


def test_fields_a_newer_vault_added_to_the_envelope_are_passed_over() -> None:
    stored = json.loads(OLD.encode(PaintedOnce(what="fence"), **ENVELOPE)) | {"newer": {"x": 1}}
    assert OLD.decode(json.dumps(stored).encode())[1] == PaintedOnce(what="fence")


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    at=st.integers(0, 2**53),
    texts=st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT),
    causation=st.none() | st.integers(1, 2**53),
    sample=st.sampled_from([event for pair in SAMPLES.values() for event in pair]),
)
def test_any_envelope_comes_back(at: int, texts: tuple[str, ...], causation: int | None, sample: Event) -> None:
    stream, user, command, reason, correlation = texts
    given_envelope = {"at": at, "stream": stream, "actor": Actor(user=user, pid=at), "command": command}
    more = {"reason": reason, "correlation": correlation, "causation": causation}
    header = Codec().encode(sample, **given_envelope, **more)
    envelope, event = Codec().decode(header)
    assert event == sample
    assert {name: getattr(envelope, name) for name in (*given_envelope, *more)} == given_envelope | more
    assert Codec().encode(event, **given_envelope, **more) == header
    assert set(json.loads(header)) <= set(Envelope.__struct_fields__)
    assert isinstance(envelope.facts, msgspec.Raw)
