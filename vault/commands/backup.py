"""backup, backup-restore: a copy that was checked, and putting one back.

A copy is checked like the vault itself before it gets its name, and before it takes the vault's place. What it replaces is kept
beside it. A copy that is older than what this machine has seen is a rollback: it is accepted with a reason, as an event.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vault.commands.checking import accept_rollback
from vault.context import Context, Places, open_context
from vault.errors import Conflict, IntegrityError, NotFound, StorageError, UsageError, VaultError
from vault.events.types import BackupTaken
from vault.log.copies import draft_copy, duplicate, name_copy, put_back
from vault.log.database import Database, discard
from vault.log.records import Draft
from vault.log.slots import read_slots
from vault.model.streams import VAULT
from vault.projections.replay import Progress, no_progress
from vault.projections.verify import Verified, verify
from vault.unlock import Ways


@dataclass(frozen=True, slots=True)
class PutBack:
    """What putting a copy back did. ``accepted`` is the position of the event that accepts a rollback; ``kept`` the old file."""

    events: int
    head: str
    kept: Path | None
    accepted: int | None


def take_backup(
    context: Context, path: Path, *, replace: bool = False, reason: str = "", progress: Progress = no_progress
) -> Verified:
    """Write a copy of the vault, check it, and record it. Raises Conflict, CannotCreate, StorageError, IntegrityError."""
    path = path.expanduser().absolute()
    if path == context.places.database:
        raise UsageError(f"{path} is the vault itself", hint="give the copy another name")
    if path.exists() and not replace:
        raise Conflict(f"there is a file at {path} already", hint="choose another name, or add --replace")
    with context.database.reading() as connection:
        draft = draft_copy(connection, context.places.database, path)
    try:
        checked = _checked(draft, context, progress)
        event = BackupTaken(path=str(path), events=checked.events)
        context.store.append([Draft(stream=VAULT, event=event)], context.cause(reason))
    except BaseException:
        discard(draft)
        raise
    name_copy(draft, path, replace=replace)
    return checked


def _checked(copy: Path, context: Context, progress: Progress) -> Verified:
    """Verify a copy with the keys of the open vault, without an anchor."""
    with tempfile.TemporaryDirectory() as state:
        places = Places(copy, Path(state))
        with Context(
            Database(copy), context.keys, places, context.clock, context.actor, context.environ, context.settings
        ) as other:
            return verify(other.store, other.projections, progress)


def put_backup_back(
    places: Places,
    ways: Ways,
    copy: Path,
    *,
    reason: str = "",
    confirm: Callable[[str], bool] = lambda _: False,
    progress: Progress = no_progress,
) -> PutBack:
    """Make the vault what a copy is. ``confirm`` is asked with a sentence that says what would be lost.

    Raises NotFound without a copy, Conflict when it is another vault's, IntegrityError when it isn't whole, and UsageError when
    events would be undone and there is no reason, or nobody says yes.
    """
    copy = copy.expanduser().absolute()
    if not copy.is_file():
        raise NotFound(f"there is no copy at {copy}", hint="name the file that vault backup wrote")
    with tempfile.TemporaryDirectory() as folder:
        # Opening makes a copy of the newest layout and writes side files: that is done to a copy of the copy.
        place = Path(folder) / "data" / places.database.name
        duplicate(copy, place)
        with open_context(Places(place, Path(folder) / "state"), ways) as other:
            checked = verify(other.store, other.projections, progress)
            vault_id = other.keys.vault_id
        there = _there(places.database)
        if there is not None and there[0] not in (vault_id, b""):
            raise Conflict(
                f"{copy} is a copy of another vault than {places.database}",
                hint="move that file away, or set VAULT_DATABASE to another place",
            )
        lost = max(there[1] - checked.events, 0) if there else 0
        if lost and not reason.strip():
            raise UsageError(
                f"the copy ends at event {checked.events}, and the vault has {lost} more, which would be undone",
                hint="add --reason TEXT, which is kept in the history",
            )
        if lost and not confirm(f"Undo the newest {lost} events of {places.database}?"):
            raise UsageError("nothing was put back", hint="say yes, or add --yes")
        kept = _take_the_place(place, places.database)
    with open_context(places, ways) as context:
        accepted = None
        if context.store.rollback is not None:
            accepted = accept_rollback(context, reason or f"the backup {copy} was put back")
    return PutBack(checked.events, checked.head, kept, accepted)


def _there(path: Path) -> tuple[bytes, int] | None:
    """The id and the number of events of the vault in a place; an empty id where it can't be read, None where there is none."""
    if not path.exists():
        return None
    try:
        database = Database(path)
    except VaultError:
        return b"", 0
    try:
        vault_id, _, _ = read_slots(database)
        with database.reading() as connection:
            (events,) = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
        return vault_id, int(events)
    except IntegrityError:
        return b"", 0
    finally:
        database.close()


def _take_the_place(copy: Path, path: Path) -> Path | None:
    """Put a checked copy in the vault's place; where the file that it replaces was kept."""
    if not path.exists():
        duplicate(copy, path)
        return None
    kept = _free_name(path.with_name(f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}"))
    try:
        database = Database(path)
    except VaultError:
        return _move_aside(copy, path, kept)
    try:
        with database.turn():
            with database.reading() as connection:
                draft = draft_copy(connection, path, kept)
            name_copy(draft, kept, replace=False)
            put_back(copy, database)
    finally:
        database.close()
    return kept


def _free_name(path: Path) -> Path:
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def _move_aside(copy: Path, path: Path, kept: Path) -> Path:
    """The same where the file in the way is no vault that opens: it gets another name, its side files too."""
    try:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    except OSError as error:
        raise StorageError(f"{path} can't be moved aside: {error.strerror}", hint="check its folder") from None
    _take_the_place(copy, path)
    return kept
