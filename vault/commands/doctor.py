"""doctor: is everything as it should be? Each finding has a hint. It looks and never mends."""

from __future__ import annotations

import platform
import sqlite3
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from vault.context import Context, Places, read_slots
from vault.crypto.keyslots import KEY_FILE, KEYRING, RECOVERY, check_parameters
from vault.errors import IntegrityError, VaultError
from vault.log.database import SCHEMA, Database, loose_modes
from vault.log.guards import missing_guards
from vault.model.choosing import Decision
from vault.projections.queries import View
from vault.providers import catalogue
from vault.unlock import key_file_mode_warning, keyring_backend, read_places
from vault.values import HOUR, AgentId, ProviderId, format_instant
from vault.version import __version__

OK, FINDING = "ok", "finding"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: ``status`` is ok or finding."""

    name: str
    status: str
    text: str
    hint: str = ""


def examine_files(places: Places) -> list[Check]:
    """Checks that need no key: versions, file, modes, slots, keyring."""
    checks = [
        Check(
            "versions",
            OK,
            f"agent-vault {__version__}, schema {SCHEMA}, SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}",
        )
    ]
    if not places.database.exists():
        return [*checks, Check("file", FINDING, f"there is no vault at {places.database}", "make one with: vault init")]
    loose = loose_modes(places.database)
    for path, _ in loose:
        right = "700" if path.is_dir() else "600"
        checks.append(
            Check("modes", FINDING, f"{path} has mode {stat.filemode(path.stat().st_mode)}", f"chmod {right} {path}")
        )
    if not loose:
        checks.append(Check("modes", OK, "the vault's files and folder are yours alone"))
    try:
        database = Database(places.database)
    except VaultError as error:
        return [*checks, Check("file", FINDING, error.message, error.hint)]
    try:
        checks.append(_sound(database))
        checks += _slots(places, database)
    except VaultError as error:
        checks.append(Check("slots", FINDING, error.message, error.hint))
    finally:
        database.close()
    return checks


def examine_vault(context: Context) -> list[Check]:
    """Checks of an unlocked vault: head, anchor, clock, triggers, stale orders and pins, shadowed profiles."""
    checks: list[Check] = []
    head = context.store.head()
    checks.append(Check("log", OK, f"{head.position} events, the head is readable"))
    if context.store.rollback:
        checks.append(Check("anchor", FINDING, context.store.rollback.message, context.store.rollback.hint))
    elif context.anchor.read() is None:
        checks.append(Check("anchor", FINDING, "there is no head anchor", "any command that writes makes one"))
    else:
        checks.append(Check("anchor", OK, f"the head is anchored in {context.anchor.path.parent}"))
    ahead = head.at - context.clock.now()
    if ahead > HOUR:
        checks.append(
            Check(
                "clock",
                FINDING,
                f"the newest event is from {format_instant(head.at)}, ahead of this clock",
                "set the clock",
            )
        )
    else:
        checks.append(Check("clock", OK, "the clock is not behind the log"))
    with context.database.reading() as connection:
        guards = missing_guards(connection)
    if guards:
        checks.append(Check("triggers", FINDING, f"the trigger {guards[0]} is gone", "restore the file from a backup"))
    else:
        checks.append(Check("triggers", OK, "the log's tables refuse changes"))
    fetched = catalogue.source()
    if fetched.broken:
        checks.append(Check("catalogue", FINDING, fetched.note, "vault provider update"))
    checks += _lives(context)
    for agent in context.queries.agents().names():
        checks += _steering(context, AgentId(agent))
    return checks


def _lives(context: Context) -> list[Check]:
    """Credentials that would be used and end soon, refreshes without an outcome, refresh tokens under two owners."""
    from vault.commands.status import EXPIRING, NEEDS_SIGN_IN, UNCERTAIN, status

    checks: list[Check] = []
    owners: dict[str, list[str]] = {}
    for name in context.queries.agents().names():
        agent = AgentId(name)
        for state in context.queries.profiles(agent):
            if state.current is not None and state.current.facts.refresh_fingerprint:
                owners.setdefault(state.current.facts.refresh_fingerprint, []).append(f"{state.profile} of {name}")
            if state.claim is not None and state.claim.lease_until <= context.clock.now():
                text = f"a refresh of {state.profile} of {name} has no outcome"
                checks.append(Check("refresh", FINDING, text, f"vault refresh {state.profile}"))
        for found in status(context, agent):
            if found.chosen and found.state in (EXPIRING, NEEDS_SIGN_IN, UNCERTAIN):
                text = f"{found.provider} for agent {name}: {found.text}"
                checks.append(Check("credentials", FINDING, text, found.hint))
    for holders in owners.values():
        if len(holders) > 1:
            text = f"one refresh token has {len(holders)} owners: {', '.join(holders)}"
            checks.append(Check("owners", FINDING, text, "log out all but one; let the others inherit"))
    return checks


def _steering(context: Context, agent: AgentId) -> list[Check]:
    """Orders and pins that name a profile which is gone, and variables that hide stored profiles."""
    from vault.commands.why import decide

    checks: list[Check] = []
    view = View(context.queries, agent)
    visible = view.visible()
    for rotation in context.queries.rotations(agent):
        provider = ProviderId(rotation.provider)
        gone = [p for p in rotation.order or [] if p not in visible]
        for profile in gone:
            checks.append(
                Check(
                    "order",
                    FINDING,
                    f"the order of agent {agent} for {provider} names {profile}, which is gone",
                    f"vault order set --provider {provider} --agent {agent} …, or vault restore {profile} --agent {agent}",
                )
            )
        if rotation.pin and rotation.pin not in visible:
            checks.append(
                Check(
                    "pin",
                    FINDING,
                    f"agent {agent} is pinned to {rotation.pin}, which is gone",
                    f"vault unpin {provider} --agent {agent}",
                )
            )
    for name in sorted({p.partition(":")[0] for p in visible}):
        checks += _shadowed(decide(context, agent, ProviderId(name)))
    return checks


def _shadowed(decision: Decision) -> list[Check]:
    if decision.chosen is None:
        text = f"agent {decision.agent} has profiles for {decision.provider}, but none can be used"
        return [Check("choice", FINDING, text, f"vault why {decision.provider} --agent {decision.agent}")]
    if decision.chosen.what.startswith("env:"):
        text = f"{decision.chosen.what[4:]} comes before the stored profiles of {decision.provider} for agent {decision.agent}"
        return [Check("shadowed", FINDING, text, f"unset {decision.chosen.what[4:]}")]
    return []


def _sound(database: Database) -> Check:
    with database.reading() as connection:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    if answer != "ok":
        return Check("file", FINDING, f"SQLite finds the file damaged: {answer}", "restore the file from a backup")
    if journal != "wal":
        return Check("file", FINDING, f"the journal mode is {journal}, not wal", "run: vault rebuild")
    return Check("file", OK, f"{database.path} is sound")


def _slots(places: Places, database: Database) -> list[Check]:
    vault_id, slots, _ = read_slots(database)
    remembered = read_places(places.unlocking(vault_id))
    checks: list[Check] = []
    for slot in slots:
        try:
            check_parameters(slot)
        except IntegrityError as error:
            checks.append(Check("slots", FINDING, f"slot {slot.slot}: {error.message}", error.hint))
            continue
        place = remembered.get(slot.slot, "")
        if slot.kind == KEY_FILE and place:
            if not Path(place).exists():
                checks.append(Check("slots", FINDING, f"slot {slot.slot}: {place} is gone", "bring the key file back"))
                continue
            warning = key_file_mode_warning(place)
            if warning:
                checks.append(Check("slots", FINDING, f"slot {slot.slot}: {warning}", f"chmod 600 {place}"))
                continue
        checks.append(
            Check("slots", OK, f"slot {slot.slot}: {slot.kind.replace('-', ' ')}" + (f" ({place})" if place else ""))
        )
    if len(slots) == 1:
        hint = "add another: vault key add --recovery"
        checks.append(Check("slots", FINDING, "there is only one way to unlock this vault", hint))
    elif all(s.kind != RECOVERY for s in slots):
        checks.append(Check("slots", FINDING, "there is no recovery code", "make one: vault key add --recovery"))
    started = time.monotonic()
    try:
        name = keyring_backend()
        took = (time.monotonic() - started) * 1000
        checks.append(Check("keyring", OK, f"{name} answers in {took:.0f} ms"))
    except VaultError as error:
        needed = any(s.kind == KEYRING for s in slots)
        checks.append(Check("keyring", FINDING if needed else OK, error.message, error.hint if needed else ""))
    return checks
