"""Records: events as they are stored, and events as they are read back. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from vault.events.codec import Actor, Envelope
from vault.events.credentials import AnyCredential
from vault.events.types import Event
from vault.model.streams import Stream

COLUMNS = "position, stream, version, epoch, header, payload, mac, prev_mac"


class Row(NamedTuple):
    """A row of ``events``, in the order of its columns."""

    position: int
    stream: bytes
    version: int
    epoch: int
    header: bytes
    payload: bytes | None
    mac: bytes
    prev_mac: bytes


AnyRow = tuple[int, bytes, int, int, bytes, bytes | None, bytes, bytes]


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event read back: its place, its envelope, itself. ``stream_id`` is the blind index of the stream's name."""

    position: int
    stream_id: bytes
    version: int
    envelope: Envelope
    event: Event
    has_payload: bool = False

    @property
    def at(self) -> int:
        """When it was recorded, microseconds UTC."""
        return self.envelope.at

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self.envelope.stream


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be appended, with the credential it stores, if any."""

    stream: Stream
    event: Event
    credential: AnyCredential | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Who appends and why: what every event of one command shares.

    ``command`` makes the command idempotent: the same id returns the first result. Empty means an id is made.
    """

    actor: Actor
    command: str = ""
    correlation: str = ""
    causation: int | None = None
    reason: str = ""


class Head(NamedTuple):
    """The newest record: its position, its mac, its time. An empty log has position 0 and the genesis mac."""

    position: int
    mac: bytes
    at: int
