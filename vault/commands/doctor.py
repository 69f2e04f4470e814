"""doctor: is everything as it should be? Each finding has a hint, and, where it can be mended here, the mend.

It changes nothing by looking, and it never fails itself: a check that can't be made is a finding.
"""

from __future__ import annotations

import platform
import shlex
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from vault.commands import mending
from vault.commands.disabling import unknown_names
from vault.commands.mending import OK, Check, finding
from vault.context import Context, Places
from vault.crypto.keyslots import COMMAND, KEY_FILE, KEYRING, RECOVERY, Slot, check_parameters
from vault.errors import IntegrityError, VaultError
from vault.log.database import SCHEMA, Database, loose_modes
from vault.log.schema import strange
from vault.log.slots import read_slots
from vault.model.slots import slot_troubles
from vault.providers import catalogue
from vault.unlock import key_file_mode_warning, keyring_backend, read_places
from vault.values import HOUR, format_instant
from vault.version import __version__

ADD_RECOVERY = "vault key add --recovery"
READERS = ("cat", "head", "base64", "gpg", "age", "openssl", "sops", "sh", "bash", "python3")


def examine(places: Places, context: Context | None) -> list[Check]:
    """Every check: of the files, and, where it is unlocked, of the vault itself. Raises nothing, changes nothing."""
    checks = _guarded("file", lambda: examine_files(places))
    if context is None:
        return checks
    opened = context
    parts: dict[str, Callable[[], Iterable[Check]]] = {
        "log": lambda: _log(opened),
        "catalogue": _catalogue,
        "settings": lambda: _settings(opened),
        "credentials": lambda: _holdings(opened),
        "plugins": _plugins,
    }
    for name, look in parts.items():
        checks += _guarded(name, look)
    if context.store.rollback is not None:
        checks = [replace(c, mend=None) if c.mend and "mode" not in c.mend.about else c for c in checks]
    return checks


def examine_files(places: Places) -> list[Check]:
    """Checks that need no key: versions, file, modes, slots, keyring."""
    running = f"agent-vault {__version__}, schema {SCHEMA}, SQLite {sqlite3.sqlite_version}"
    checks = [Check("versions", OK, f"{running}, Python {platform.python_version()}")]
    if not places.database.exists():
        return [*checks, finding("file", f"there is no vault at {places.database}", "make one with: vault init")]
    loose = loose_modes(places.database)
    for path, _ in loose:
        right = 0o700 if path.is_dir() else 0o600
        text = f"{path} has mode {stat.filemode(path.stat().st_mode)}"
        checks.append(finding("modes", text, mend=mending.close_to_others(path, right)))
    if not loose:
        checks.append(Check("modes", OK, "only you can reach the vault's files and folder"))
    try:
        database = Database(places.database)
    except VaultError as error:
        return [*checks, finding("file", error.message, error.hint)]
    try:
        checks.append(_sound(database))
        checks += _slots(places, database)
    except VaultError as error:
        checks.append(finding("slots", error.message, error.hint))
    finally:
        database.close()
    return [*checks, *_keyring(checks)]


def troubled(name: str, error: VaultError) -> Check:
    """What keeps a check from being made."""
    return finding(name, error.message, error.hint or "vault verify says more")


def _guarded(name: str, look: Callable[[], Iterable[Check]]) -> list[Check]:
    try:
        return list(look())
    except VaultError as error:
        return [troubled(name, error)]
    except OSError as error:
        why = error.strerror or type(error).__name__
        return [finding(name, f"this can't be looked at: {why}", "check the owner and mode of its files")]
    except Exception as error:  # noqa: BLE001 - a doctor that fails tells nothing of the rest
        return [finding(name, f"this check has a defect ({type(error).__name__})", "please report it")]


def _holdings(context: Context) -> list[Check]:
    from vault.commands.holdings import examine_holdings

    return examine_holdings(context)


def _log(context: Context) -> list[Check]:
    """Head, anchor, clock, triggers."""
    head = context.store.head()
    checks = [Check("log", OK, f"{head.position} events, the head is readable")]
    if context.store.rollback:
        checks.append(finding("anchor", context.store.rollback.message, context.store.rollback.hint))
    elif context.store.unanchored:
        checks.append(finding("anchor", context.store.unanchored.message, context.store.unanchored.hint))
    elif context.anchor.read() is None:
        checks.append(finding("anchor", "there is no head anchor", command="vault verify --record"))
    else:
        checks.append(Check("anchor", OK, f"the head is anchored in {context.anchor.path.parent}"))
    for number, what in slot_troubles(*context.slots()).items():
        checks.append(finding("slots", what, f"vault key remove {number} --reason TEXT settles it"))
    if head.at - context.clock.now() > HOUR:
        text = f"the newest event is from {format_instant(head.at)}, ahead of this clock"
        checks.append(finding("clock", text, "set the clock"))
    else:
        checks.append(Check("clock", OK, "the clock is not behind the log"))
    with context.database.reading() as connection:
        what = strange(connection)
    if what:
        checks.append(finding("triggers", what, "restore the file from a backup"))
    else:
        checks.append(Check("triggers", OK, "the log's tables refuse changes"))
    return checks


def _catalogue() -> Iterable[Check]:
    fetched = catalogue.source()
    if fetched.broken:
        yield finding("catalogue", fetched.note, "vault provider update", mend=mending.drop_catalogue())


def _settings(context: Context) -> Iterable[Check]:
    """Names of providers in the settings that may be mistyped: they do nothing, in silence."""
    for text, hint in unknown_names(context):
        yield finding("settings", text, hint)


def _plugins() -> Iterable[Check]:
    """Packages that were to add sign-in methods, and can't be loaded."""
    from vault.providers.plugins import plugins

    for package, why in plugins().broken:
        text = f"the package {package} adds no sign-in method: {why}"
        yield finding("plugins", text, f"update {package}, or uninstall it")


def _sound(database: Database) -> Check:
    with database.reading() as connection:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    if answer != "ok":
        return finding("file", f"SQLite finds the file damaged: {answer}", "restore the file from a backup")
    if journal != "wal":
        return finding("file", f"the journal mode is {journal}, not wal", command="vault rebuild")
    return Check("file", OK, f"{database.path} is sound")


def _slots(places: Places, database: Database) -> list[Check]:
    vault_id, slots, _ = read_slots(database)
    remembered = read_places(places.unlocking(vault_id))
    checks: list[Check] = []
    for slot in slots:
        place = remembered.get(slot.slot, "")
        try:
            check_parameters(slot)
        except IntegrityError as error:
            checks.append(finding("slots", f"slot {slot.slot}: {error.message}", error.hint))
            continue
        found = list(_key_file(slot, place) if slot.kind == KEY_FILE else _key_command(slot, place)) if place else []
        shown = f"slot {slot.slot}: {slot.kind.replace('-', ' ')}" + (f" ({place})" if place else "")
        checks += found or [Check("slots", OK, shown)]
    if len(slots) == 1:
        checks.append(finding("slots", "there is only one way to unlock this vault", command=ADD_RECOVERY))
    elif all(s.kind != RECOVERY for s in slots):
        checks.append(finding("slots", "there is no recovery code", command=ADD_RECOVERY))
    return checks


def _key_file(slot: Slot, place: str) -> Iterable[Check]:
    """A key file this machine remembers."""
    path = Path(place)
    if not path.is_absolute():
        text = f"slot {slot.slot}: the key file {place} is another one in every folder"
        yield finding("slots", text, "make a slot with the whole path: vault key add --key-file PATH")
    elif not path.exists():
        text = f"slot {slot.slot}: {place} is gone"
        yield finding("slots", text, f"bring the key file back, or vault key remove {slot.slot}")
    elif warning := key_file_mode_warning(place):
        yield finding("slots", f"slot {slot.slot}: {warning}", mend=mending.close_to_others(path, 0o600))


def _key_command(slot: Slot, place: str) -> Iterable[Check]:
    """A key command this machine remembers. It is not run: its program and the files it names are looked for."""
    if slot.kind != COMMAND:
        return
    add = "make a slot with whole paths: vault key add --key-command CMD"
    try:
        words = shlex.split(place)
    except ValueError:
        words = []
    if not words:
        yield finding("slots", f"slot {slot.slot}: its key command can't be split into words", add)
        return
    program, *arguments = words
    if "/" in program and not Path(program).is_absolute():
        yield finding("slots", f"slot {slot.slot}: {program} is another program in every folder", add)
    elif shutil.which(program) is None:
        text = f"slot {slot.slot}: the key command's program {program} is gone"
        yield finding("slots", text, f"install {program}, or fix PATH, or vault key remove {slot.slot}")
    reads = Path(program).name in READERS
    for word in arguments:
        path = Path(word)
        if word.startswith("-"):
            continue
        if not path.is_absolute() and (path.is_file() or Path(program).name == "cat"):
            yield finding("slots", f"slot {slot.slot}: the key command's {word} is another file in every folder", add)
        elif path.is_absolute() and reads and not path.exists():
            text = f"slot {slot.slot}: {word}, which the key command reads, is gone"
            yield finding("slots", text, f"bring it back, or vault key remove {slot.slot}")


def _keyring(checks: list[Check]) -> Iterable[Check]:
    """Whether a keyring answers, which matters only where one is a way to unlock."""
    started = time.monotonic()
    try:
        name = keyring_backend()
        took = (time.monotonic() - started) * 1000
        yield Check("keyring", OK, f"{name} answers in {took:.0f} ms")
    except VaultError as error:
        needed = any(c.name == "slots" and c.text.endswith(f": {KEYRING}") for c in checks)
        yield finding("keyring", error.message, error.hint) if needed else Check("keyring", OK, error.message)
