"""The same work done with ``eventsourcing`` (PyPI) on SQLite with its AES cipher.

Its events carry what vault's carry: the facts, the actor, the command. ``python benchmarks/peer.py FOLDER`` reads its whole
notification log, decrypted and decoded, and prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from eventsourcing.application import Application  # type: ignore[import-not-found,unused-ignore]
from eventsourcing.cryptography import AESCipher  # type: ignore[import-not-found,unused-ignore]
from eventsourcing.domain import Aggregate, event  # type: ignore[import-not-found,unused-ignore]

SECTION = 1000
LENGTH = 30
ACTOR = {"user": "some-user", "host": "some-host", "pid": 4321, "program": "some-shell", "agent": "main", "way": "cli"}

Facts = dict[str, Any]


class Profile(Aggregate):  # type: ignore[misc,unused-ignore]
    """A profile, so far as it is needed here."""

    @event("LoggedIn")  # type: ignore[misc,untyped-decorator,unused-ignore]
    def __init__(self, facts: Facts, actor: Facts, command: str) -> None:
        self.name = facts["profile"]
        self.last = (facts["key"], actor["user"], command)

    @event("Issued")  # type: ignore[misc,untyped-decorator,unused-ignore]
    def issue(self, facts: Facts, actor: Facts, command: str) -> None:
        self.last = (facts["way"], actor["user"], command)


def application(folder: Path) -> Any:
    """The peer's store in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "peer.key"
    if not key.exists():
        key.write_text(AESCipher.create_key(32))
    environment = {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(folder / "peer.db"),
        "CIPHER_TOPIC": "eventsourcing.cryptography:AESCipher",
        "CIPHER_KEY": key.read_text(),
    }
    return Application(env=environment)


def make(number: int) -> Profile:
    """A new aggregate."""
    facts = {
        "agent": "main",
        "profile": f"provider-{number % 10}:profile-{number % 50}",
        "kind": "api_key",
        "fingerprint": "ab" * 8,
        "label": "some-label",
        "key": f"fake-key-{number:030d}",
    }
    made: Profile = Profile(facts=facts, actor=ACTOR, command=uuid.uuid4().hex)
    return made


def issue(aggregate: Profile) -> None:
    """One event more on an aggregate."""
    facts = {
        "agent": "main",
        "owner": "main",
        "provider": aggregate.name.partition(":")[0],
        "profile": aggregate.name,
        "fingerprint": "ab" * 8,
        "way": "exec",
        "program": "some-tool",
    }
    aggregate.issue(facts=facts, actor=ACTOR, command=uuid.uuid4().hex)


def appends(app: Any, count: int) -> float:
    """Durable appends a second: get an aggregate from the repository, trigger an event, save; up to 30 events on each."""
    fresh = [make(number) for number in range(max(1, count // LENGTH))]
    app.save(*fresh)
    began = time.perf_counter()
    for number in range(count):
        aggregate = app.repository.get(fresh[number % len(fresh)].id)
        issue(aggregate)
        app.save(aggregate)
    return count / (time.perf_counter() - began)


def fill(app: Any, events: int) -> None:
    """Store so many events, 100 on each aggregate."""
    for number in range(events // 100):
        aggregate = make(number)
        for _ in range(99):
            issue(aggregate)
        app.save(aggregate)


def read(app: Any) -> dict[str, Any]:
    """Read, decrypt and decode every event through the notification log."""
    app.notification_log.section_size = SECTION
    events, start = 0, 1
    began = time.perf_counter()
    while section := app.notification_log.select(start=start, limit=SECTION):
        for notification in section:
            app.mapper.to_domain_event(notification)
        events += len(section)
        start = section[-1].id + 1
    return {"events": events, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    print(json.dumps(read(application(Path(sys.argv[1])))))
