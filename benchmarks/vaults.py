"""Vaults to measure: made, filled with a plausible mixture of events, opened; and what must be measured in a fresh process.

``python benchmarks/vaults.py verify|rebuild|chain FOLDER`` measures once and prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from vault.context import Context, Places, create_context, open_context
from vault.crypto.keyslots import KEY_FILE, make_slot
from vault.events.codec import Actor
from vault.events.credentials import ApiKey, CredentialFacts
from vault.events.types import CredentialIssued, ProfileLoggedIn, UseReported
from vault.log.chain_pass import Job, check_chain
from vault.log.database import snapshot
from vault.log.records import Draft
from vault.model.streams import profile_stream, rotation_stream
from vault.projections.replay import rebuild
from vault.projections.verify import verify
from vault.unlock import Ways

ACTOR = Actor(user="some-user", host="some-host", pid=4321, program="some-shell", agent="main", way="cli")
FACTS = CredentialFacts(kind="api_key", fingerprint="ab" * 8, label="some-label")
PROVIDERS = 10
PROFILES = 50
CHUNK = 1000


def profile(number: int) -> str:
    """One of the profiles, five at each provider."""
    return f"provider-{number % PROVIDERS}:profile-{number % PROFILES}"


def login(number: int) -> Draft:
    """A credential is stored."""
    name = profile(number)
    event = ProfileLoggedIn(agent="main", profile=name, credential=FACTS)
    return Draft(stream=profile_stream("main", name), event=event, credential=ApiKey(key=f"fake-key-{number:030d}"))


def issued(number: int) -> Draft:
    """A credential is handed out."""
    name = profile(number)
    provider = name.partition(":")[0]
    event = CredentialIssued(
        agent="main",
        owner="main",
        provider=provider,
        profile=name,
        fingerprint="ab" * 8,
        way="exec",
        program="some-tool",
    )
    return Draft(stream=rotation_stream("main", provider), event=event)


def reported(number: int) -> Draft:
    """Somebody tells how a use went."""
    name = profile(number)
    event = UseReported(agent="main", profile=name, outcome="success", model="some-model")
    return Draft(stream=rotation_stream("main", name.partition(":")[0]), event=event)


def mixture(number: int) -> Draft:
    """Of ten events two store a credential, one is a report, seven are hand-outs."""
    turn, which = number % 10, number // 10 + number
    return login(which) if turn in (0, 5) else reported(which) if turn == 9 else issued(which)


def places(folder: Path) -> Places:
    """Where a measured vault is."""
    return Places(folder / "data" / "vault.db", folder / "state")


def environment(folder: Path) -> dict[str, str]:
    """What a command needs to open it."""
    where = places(folder)
    return {
        "VAULT_DATABASE": str(where.database),
        "VAULT_STATE": str(where.state),
        "VAULT_KEY_FILE": str(folder / "vault.key"),
    }


def make(folder: Path) -> None:
    """An empty vault whose only slot is a key file."""
    folder.mkdir(parents=True)
    key = b"a-fake-key-file-for-measuring-0123456789"
    (folder / "vault.key").write_bytes(key)
    (folder / "vault.key").chmod(0o600)
    create_context(places(folder), lambda root, vault_id: [make_slot(1, KEY_FILE, key, root, vault_id)], {})


def opened(folder: Path) -> Context:
    """A vault as a command opens it."""
    return open_context(places(folder), Ways(environment(folder)), actor=ACTOR)


def fill(context: Context, events: int) -> None:
    """Append the mixture, a thousand events a command, until the log is so long."""
    cause = context.cause()
    while (head := context.store.head().position) < events:
        context.store.append([mixture(n) for n in range(head, min(head + CHUNK, events))], cause)


def peak() -> int:
    """The largest resident size of this process so far, KiB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest // 1024 if sys.platform == "darwin" else largest


def measure(what: str, folder: Path) -> dict[str, Any]:
    """Verify or rebuild a vault, or check its chain alone, as the second process does."""
    with opened(folder) as context:
        store, keys = context.store, context.keys
        head = store.head().position
        chains = {epoch: keys.epoch(epoch).chain for epoch in keys.epochs}
        job = Job(database="", vault_id=keys.vault_id, genesis=store.sealing.genesis, keys=chains, head=head)
        began = time.perf_counter()
        if what == "verify":
            verify(store, context.projections)
        elif what == "rebuild":
            rebuild(store, context.projections)
        else:
            with snapshot(context.database.path) as connection:
                check_chain(connection, job)
        return {"events": head, "seconds": time.perf_counter() - began, "peak": peak()}


if __name__ == "__main__":
    os.environ.pop("VAULT_DATABASE", None)
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
