"""init, key: a new vault and the ways to unlock one. A slot wraps the root key; changing a slot rewrites one row."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection

from vault.context import Context, Places, create_context
from vault.crypto.keys import KEY
from vault.crypto.keyslots import (
    COMMAND,
    KEY_FILE,
    KEYRING,
    PASSPHRASE,
    RECOVERY,
    SHORTEST_PASSPHRASE,
    Slot,
    check_passphrase,
    make_slot,
    new_recovery_code,
    parse_recovery_code,
    slot_digest,
)
from vault.errors import Conflict, InputError, IntegrityError, Locked, NotFound, NotReady, Unavailable
from vault.events.types import KeySlotAdded, KeySlotRemoved
from vault.log.records import Draft
from vault.log.slots import read_slots
from vault.model.slots import slot_troubles
from vault.model.streams import VAULT
from vault.unlock import (
    Ways,
    create_key_file,
    forget_place,
    keyring_backend,
    keyring_delete,
    keyring_write,
    passphrase_bytes,
    read_key_file,
    read_last,
    read_places,
    remember_place,
    run_key_command,
    unlock,
)
from vault.values import Clock

MAIN_SLOT, RECOVERY_SLOT = 1, 2
TRIES = 3
_NO_KEYRING = (
    "{}, and neither VAULT_KEY_FILE, VAULT_KEY_COMMAND nor VAULT_PASSPHRASE is set, so this vault will open with a passphrase. "
    "(Other ways: --key-file PATH, --key-command CMD.)\n"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to unlock that somebody chose. ``text`` is a key file's path or a key command, else empty.

    ``why`` tells a person who didn't choose why it is this one.
    """

    kind: str
    text: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """A slot's secret, and what to remember about where it is."""

    kind: str
    material: bytes
    place: str = ""
    code: str = ""
    created: bool = False


@dataclass(frozen=True, slots=True)
class Initialised:
    """A new vault. The recovery code is told here and nowhere else."""

    path: Path
    kind: str
    recovery_code: str
    key_file_created: bool


def choose_way(named: Choice | None, ways: Ways) -> Choice:
    """How to unlock a new vault when nothing, or something, was named.

    Named, else what the environment names, else a real OS keyring, else a passphrase on a terminal. Raises Locked, which says
    exactly what exists.
    """
    if named is not None:
        return named
    environ = ways.environ
    if environ.get("VAULT_KEY_FILE"):
        return Choice(KEY_FILE, environ["VAULT_KEY_FILE"])
    if environ.get("VAULT_KEY_COMMAND"):
        return Choice(COMMAND, environ["VAULT_KEY_COMMAND"])
    if environ.get("VAULT_PASSPHRASE"):
        return Choice(PASSPHRASE)
    try:
        keyring_backend()
        return Choice(KEYRING)
    except Unavailable as error:
        missing = error.message
    if ways.ask is not None:
        return Choice(PASSPHRASE, why=_NO_KEYRING.format(missing[:1].upper() + missing[1:]))
    raise Locked(
        f"{missing}, and there is no terminal to ask for a passphrase",
        hint="use --key-file PATH, --key-command CMD, or set VAULT_PASSPHRASE, VAULT_KEY_FILE or VAULT_KEY_COMMAND",
    )


def obtain(choice: Choice, ways: Ways, account: str) -> Secret:
    """Get or make the secret of a chosen way. A missing key file is created."""
    if choice.kind == KEY_FILE:
        path = Path(choice.text).expanduser().absolute()
        if path.exists():
            return Secret(KEY_FILE, read_key_file(path), str(path))
        return Secret(KEY_FILE, create_key_file(path), str(path), created=True)
    if choice.kind == COMMAND:
        return Secret(COMMAND, run_key_command(choice.text, ask=ways.ask is not None), choice.text)
    if choice.kind == PASSPHRASE:
        return Secret(PASSPHRASE, _passphrase(ways, choice.why))
    if choice.kind == RECOVERY:
        code = new_recovery_code()
        return Secret(RECOVERY, parse_recovery_code(code), code=code)
    material = os.urandom(KEY)
    keyring_write(account, material)
    return Secret(KEYRING, material)


def initialise(
    places: Places, named: Choice | None, ways: Ways, *, clock: Clock | None = None, kdf: dict[str, int] | None = None
) -> Initialised:
    """Make a vault with one way to unlock and a recovery code.

    Raises Conflict when there is one, CannotCreate, Locked, Unavailable, InputError. Nothing is left when it fails.
    """
    if places.database.exists():
        raise Conflict(
            f"there is a vault at {places.database} already", hint="use it, or set VAULT_DATABASE to another place"
        )
    choice = choose_way(named, ways)
    made: list[Secret] = []
    recovery = obtain(Choice(RECOVERY), ways, "")

    def slots(root: bytes, vault_id: bytes) -> Sequence[Slot]:
        made.append(obtain(choice, ways, vault_id.hex()))
        return [
            make_slot(MAIN_SLOT, made[0].kind, made[0].material, root, vault_id, kdf=kdf),
            make_slot(RECOVERY_SLOT, RECOVERY, recovery.material, root, vault_id),
        ]

    def remember(vault_id: bytes) -> None:
        if made[0].place:
            remember_place(places.unlocking(vault_id), MAIN_SLOT, made[0].place)

    try:
        create_context(places, slots, ways.environ, clock=clock, before_publishing=remember)
    except BaseException:
        if made and made[0].created:
            Path(made[0].place).unlink(missing_ok=True)
        raise
    return Initialised(places.database, choice.kind, recovery.code, made[0].created)


@dataclass(frozen=True, slots=True)
class Listed:
    """A way to unlock: where this machine remembers its secret to be, and what is wrong with its slot."""

    slot: int
    kind: str
    place: str = ""
    trouble: str = ""


def list_slots(context: Context) -> list[Listed]:
    """The ways to unlock, those that are gone and shouldn't be among them."""
    state, found = context.slots()
    places = read_places(context.places.unlocking(context.keys.vault_id))
    troubles = slot_troubles(state, found)
    kinds = {facts.slot: facts.slot_kind for facts in (*state.known.values(), *found.values())}
    numbers = sorted(found.keys() | troubles.keys())
    return [Listed(n, kinds[n], places.get(n, ""), troubles.get(n, "")) for n in numbers]


def add_slot(context: Context, ways: Ways, choice: Choice, new_ways: Ways, *, reason: str = "") -> tuple[Slot, Secret]:
    """Add a way to unlock. ``ways`` unlock the vault once more, to get at the root key; ``new_ways`` ask for the new secret.

    Raises Conflict for a second keyring slot, and whatever obtaining the secret raises.
    """
    vault_id, slots, _ = read_slots(context.database)
    context.slots()[0].decidable()
    if choice.kind == KEYRING and any(s.kind == KEYRING for s in slots):
        raise Conflict("this vault has a keyring slot already", hint="vault key list shows the slots")
    remembered = context.places.unlocking(vault_id)
    root, _ = unlock(slots, vault_id, replace(ways, places=read_places(remembered), last=read_last(remembered)))
    secret = obtain(choice, new_ways, vault_id.hex())
    try:
        with context.store.writing() as connection:
            _, slots, _ = read_slots(context.database)
            number = max(context.slots()[0].next_number, *(s.slot + 1 for s in slots))
            slot = make_slot(number, secret.kind, secret.material, root, vault_id)
            connection.execute(
                "INSERT INTO key_slots VALUES (?,?,?,?,?)",
                (slot.slot, slot.kind, slot.parameters, slot.wrapped, slot.commitment),
            )
            event = KeySlotAdded(slot=number, slot_kind=slot.kind, digest=slot_digest(slot, vault_id))
            _settle(context, connection, event, reason)
    except BaseException:
        if secret.created:
            Path(secret.place).unlink(missing_ok=True)
        raise
    if secret.place:
        remember_place(context.places.unlocking(vault_id), number, secret.place)
    return slot, secret


def only_everyday(slots: Sequence[Slot | Listed], number: int) -> str:
    """Why a slot shouldn't go: without it only recovery codes open the vault. Empty when it may."""
    kinds = {s.slot: s.kind for s in slots}
    if len(kinds) == 1 or kinds.get(number, RECOVERY) == RECOVERY:
        return ""
    if any(kind != RECOVERY for slot, kind in kinds.items() if slot != number):
        return ""
    return (
        f"key slot {number} ({kinds[number].replace('-', ' ')}) is the only everyday way to unlock this vault; without it "
        "every command needs the recovery code, typed or in VAULT_PASSPHRASE"
    )


def remove_slot(
    context: Context, number: int, *, sure: bool = False, reason: str = ""
) -> tuple[KeySlotRemoved, list[Slot]]:
    """Remove a way to unlock: what was removed, and the slots that stay. The last one can't go.

    The last one but recovery codes goes only when somebody is ``sure``. A slot that isn't as the log knows it is settled by this:
    one that was put there is removed, of one that is gone its removal is recorded. Raises NotFound, Conflict.
    """
    vault_id, _, _ = read_slots(context.database)
    with context.store.writing() as connection:
        _, slots, _ = read_slots(context.database)
        state, found = context.slots()
        state.decidable()
        sound = [s for s in slots if s.slot == number or s.slot not in slot_troubles(state, found)]
        here, known = next((s for s in slots if s.slot == number), None), state.known.get(str(number))
        if here is None and known is None:
            raise NotFound(f"there is no key slot {number}", hint="vault key list shows the slots")
        if here is not None and len(slots) == 1:
            raise Conflict("the last key slot can't be removed", hint="add another first: vault key add")
        if not sure and (why := only_everyday(sound, number)):
            raise Conflict(
                why, hint=f"add another first: vault key add; or, knowing that: vault key remove {number} --yes"
            )
        kind = known.slot_kind if known else here.kind if here else ""
        event = KeySlotRemoved(slot=number, slot_kind=kind)
        connection.execute("DELETE FROM key_slots WHERE slot = ?", (number,))
        _settle(context, connection, event, reason)
    forget_place(context.places.unlocking(vault_id), number)
    stay = [s for s in slots if s.slot != number]
    if kind == KEYRING and all(s.kind != KEYRING for s in stay):
        keyring_delete(vault_id.hex())
    return event, stay


def _settle(context: Context, connection: Connection, event: KeySlotAdded | KeySlotRemoved, reason: str) -> None:
    """Append what was done to a slot, and prove that it was done. Raises IntegrityError."""
    context.store.append_within(connection, [Draft(stream=VAULT, event=event)], context.cause(reason))
    what = slot_troubles(*context.slots()).get(event.slot)
    if what:
        raise IntegrityError(
            f"the table of key slots did not take the change: {what}",
            hint="vault verify, and restore the file from a backup",
        )


def _passphrase(ways: Ways, why: str) -> bytes:
    """A new passphrase: from the environment, or asked until one is long enough and was typed twice alike.

    Raises NotReady when nobody may be asked, InputError after some answers that can't be taken.
    """
    named = ways.environ.get("VAULT_PASSPHRASE", "")
    if named:
        return passphrase_bytes(named)
    if ways.ask is None:
        raise NotReady(
            "there is no terminal to ask for a passphrase", hint="set VAULT_PASSPHRASE, or use --key-file PATH"
        )
    said = f"{why}At least {SHORTEST_PASSPHRASE} characters. New passphrase: "
    for _ in range(TRIES):
        first = passphrase_bytes(ways.ask(said))
        try:
            check_passphrase(first)
        except InputError as error:
            refused = error
        else:
            if passphrase_bytes(ways.ask("The same again: ")) == first:
                return first
            refused = InputError("the two passphrases differ", hint="try again")
        said = f"{refused.message[:1].upper()}{refused.message[1:]}. New passphrase: "
    raise refused
