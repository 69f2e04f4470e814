"""Nothing readable at rest: after a session that used every event, the files tell no name, no time, no secret."""

from __future__ import annotations

import re
import string
from pathlib import Path

from tests.log.samples import CREDENTIALS, SAMPLES, any_session, issue, login, registered, stream_of
from tests.support import START, Canary, Files, FixedClock, make_vault
from vault.commands.login import facts_of
from vault.events.codec import Actor
from vault.events.credentials import ApiKey
from vault.events.types import ProfileLoggedIn
from vault.log.records import Draft
from vault.model.streams import profile_stream
from vault.projections.replay import rebuild
from vault.values import SECOND, format_instant

ACTOR = Actor(
    user="zzfakeuser", host="zzfakehost", pid=987654321, program="zzfakeprogram", agent="zzfakeagent", way="zzfakeway"
)
NAMES = [
    "zzfakeuser",
    "zzfakehost",
    "987654321",
    "zzfakeprogram",
    "zzfakeagent",
    "zzfakeway",
    "zzfakeprovider",
    "zzfakename",
    "zzfakesecond",
    "zzfakeaccount",
    "zzfakelabel",
    "zzfakereason",
    "zzfakecommand",
    "anthropic",
    "openai",
    "näme",
    "helper",
    "fake-key",
    "fake-access",
    "fake-refresh",
    "fake-token",
    "fake-cloud",
    "fake-program",
    "opencode",
    "auth.json",
    "profile_logged_in",
    "credential_issued",
    "order_set",
    "rotation/",
    "profile/",
    "fingerprint",
    "api_key",
    "wellknown",
]


def contents(files: Files) -> dict[str, bytes]:
    """Every file of a vault but its key file."""
    folders = (files.database.parent, files.anchor.parent)
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def moments(at: int) -> list[bytes]:
    """A moment in every way it could have been written."""
    numbers = [at, at // 1000, at // SECOND]
    texts = [str(n).encode() for n in numbers] + [format_instant(at)[:10].encode(), format_instant(at)[:13].encode()]
    raw = [n.to_bytes(8, order) for n in numbers for order in ("big", "little")]
    return texts + [r for r in (r.strip(b"\0") for r in raw) if len(r) >= 6]


def session(tmp_path: Path, canary: Canary, at: int) -> dict[str, bytes]:
    """Use every event and every kind of credential; the files as they are while the vault is open, and closed."""
    files = Files(tmp_path)
    with make_vault(tmp_path, FixedClock(at, step=SECOND), ACTOR) as context:
        any_session(context)
        secret = ApiKey(key=canary.secret)
        facts = facts_of(context, secret, label="zzfakelabel", account="zzfakeaccount")
        event = ProfileLoggedIn(agent="zzfakeagent", profile="zzfakeprovider:zzfakename", credential=facts)
        drafts = [
            registered("zzfakeagent"),
            Draft(stream=profile_stream("zzfakeagent", "zzfakeprovider:zzfakename"), event=event, credential=secret),
            issue("zzfakeagent", "zzfakeprovider:zzfakename"),
            login("zzfakeagent", "zzfakeprovider:zzfakesecond", f"{canary.secret}-2"),
            *(Draft(stream=stream_of(full), event=full) for full, _ in SAMPLES.values()),
        ]
        context.store.append(drafts, context.cause("zzfakereason", "zzfakecommand"))
        for kind, (full, _) in CREDENTIALS.items():
            event = ProfileLoggedIn(agent="main", profile=f"zzfakeprovider:{kind}", credential=facts_of(context, full))
            stream = profile_stream("main", f"zzfakeprovider:{kind}")
            context.store.append([Draft(stream=stream, event=event, credential=full)], context.cause())
        found = {f"open {name}": content for name, content in contents(files).items()}
        rebuild(context.store, context.projections)
        found |= {f"rebuilt {name}": content for name, content in contents(files).items()}
    return found | contents(files)


def test_no_name_and_no_secret(tmp_path: Path, canary: Canary) -> None:
    found = session(tmp_path, canary, START)
    assert {Path(name).name for name in found} >= {"vault.db", "vault.db-wal", "vault.db-shm", "vault.db.lock"}
    for name, content in found.items():
        lowered = content.lower()
        for needle in NAMES:
            for form in (needle.encode(), needle.encode("utf-16-le"), needle.encode()[::-1]):
                assert form not in lowered, f"{needle} in {name}"
        canary.assert_absent(content)


def test_no_time(tmp_path: Path, canary: Canary) -> None:
    at = START + 123_456_789
    for name, content in session(tmp_path, canary, at).items():
        for step in range(30):
            for needle in moments(at + step * SECOND):
                assert needle not in content, f"{needle!r} in {name}"


def test_all_readable_text_is_the_tables_own(tmp_path: Path, canary: Canary) -> None:
    """What ``strings`` would print of the closed file is SQL, names of read models and kinds of slot, and chance."""
    session(tmp_path, canary, START)
    content = Files(tmp_path).database.read_bytes()
    printable = re.escape(string.digits + string.ascii_letters + string.punctuation + " \n\t").encode()
    known = re.compile(
        rb"CREATE|INSERT|INDEX|TABLE|NULL|PRIMARY|events|sqlite|alembic|history|index|key-file|salt|SQLite format 3"
        rb"|profile|rotation|agents|commands|checkpoints|vault|epochs|read_models|key_slots"
    )
    for text in re.findall(rb"[%s]{24,}" % printable, content):
        assert known.search(text), text
