"""Event ↔ bytes. The header of a record is one JSON object, the *envelope*; the event's own fields are its ``facts``.

Encoding is deterministic: UTF-8, no blanks, keys in the order of the type, defaults left out. Decoding keeps what it
doesn't know: an unknown type, or a schema from a newer vault, becomes an UnknownEvent with its envelope intact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from vault.errors import IntegrityError
from vault.events.types import EVENT_TYPES, Event, UnknownEvent
from vault.events.upcasters import UPCASTERS, Upcaster, upcast


class Actor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who caused an event: OS user, host, process and program, agent, and how vault was reached."""

    user: str = ""
    host: str = ""
    pid: int = 0
    program: str = ""
    agent: str = ""
    way: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A header as it is sealed. ``at`` is microseconds UTC; ``causation`` is the position of the event that led here."""

    type: str
    schema: int
    at: int
    stream: str
    actor: Actor
    command: str
    correlation: str = ""
    causation: int | None = None
    reason: str = ""
    facts: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Envelope).decode


class Codec:
    """Encodes and decodes the events of one registry of types. The default registry is vault's own."""

    def __init__(
        self,
        types: Mapping[str, type[Event]] = EVENT_TYPES,
        upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    ) -> None:
        self._types = dict(types)
        self._known = {name: (cls.SCHEMA, msgspec.json.Decoder(cls).decode) for name, cls in types.items()}
        self._upcasters = upcasters

    def encode(self, event: Event, **envelope: Any) -> bytes:
        """The header bytes of an event. ``envelope`` holds the Envelope's fields but type, schema and facts."""
        if isinstance(event, UnknownEvent):
            raise IntegrityError("an event of an unknown type can't be appended")
        facts = msgspec.Raw(_encode(event))
        return _encode(Envelope(type=event.TYPE, schema=event.SCHEMA, facts=facts, **envelope))

    def decode(self, header: bytes) -> tuple[Envelope, Event]:
        """The envelope and the event of header bytes. Raises IntegrityError; unknown types become UnknownEvent."""
        try:
            envelope = _decode(header)
            known = self._known.get(envelope.type)
            if known is None or envelope.schema > known[0]:
                return envelope, UnknownEvent(type=envelope.type, schema=envelope.schema)
            current, decode = known
            if envelope.schema == current:
                return envelope, decode(envelope.facts)
            facts = upcast(
                envelope.type, envelope.schema, msgspec.json.decode(envelope.facts), current, self._upcasters
            )
            return envelope, msgspec.convert(facts, self._types[envelope.type])
        except msgspec.MsgspecError:
            raise IntegrityError("a header has a shape this vault doesn't know") from None
