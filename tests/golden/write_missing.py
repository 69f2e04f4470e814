"""Writes golden files that are missing: ``python -m tests.golden.write_missing``. One that is there is never touched.

A golden file holds what some vault has written and every later one must read. When a shape changes, its schema number rises, the
old file stays, and the new number gets a file of its own from here.
"""

from __future__ import annotations

from pathlib import Path

from tests.log.samples import AT, CREDENTIALS, SAMPLES
from vault.events.codec import Actor, Codec
from vault.events.credentials import encode_credential
from vault.events.types import Event

HERE = Path(__file__).parent
EVENTS, PAYLOADS = HERE / "events", HERE / "credentials"
FULL_ACTOR = Actor(user="fäke", host="fake-host", pid=4242, program="fake-shell", agent="helper", way="exec")


def headers(full: Event, bare: Event) -> list[bytes]:
    """A full event in a full envelope, and a bare one in a bare one."""
    codec = Codec()
    return [
        codec.encode(
            full,
            at=AT,
            stream="profile/main/anthropic:näme",
            actor=FULL_ACTOR,
            command="fake-command",
            correlation="fake-correlation",
            causation=3,
            reason='a "reason"\n✓',
        ),
        codec.encode(bare, at=0, stream="vault", actor=Actor(), command="~0"),
    ]


def event_file(event: Event) -> Path:
    """Where the golden headers of an event's type and schema are."""
    return EVENTS / f"{event.TYPE}.{event.SCHEMA}.jsonl"


def main() -> None:
    """Write what is missing."""
    wanted = {event_file(full): headers(full, bare) for full, bare in SAMPLES.values()}
    for kind, pair in CREDENTIALS.items():
        wanted[PAYLOADS / f"{kind}.jsonl"] = [encode_credential(credential) for credential in pair]
    for path, lines in wanted.items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(b"".join(line + b"\n" for line in lines))


if __name__ == "__main__":
    main()
