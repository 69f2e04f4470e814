"""Who may open the vault, and how: gets a slot's secret from wherever it is kept, and opens the slot.

The rules, in order:

1. What the environment names is the only way tried: VAULT_KEY_FILE, else VAULT_KEY_COMMAND, else VAULT_PASSPHRASE (which
   may hold the recovery code). If it opens nothing, that is an error, never a reason to look further.
2. Otherwise the ways that need nobody: the key files and key commands this machine remembers, then the OS keyring.
3. Otherwise a person is asked, three times at most, if there is a terminal: for the passphrase or the recovery code.
4. Otherwise the error says what failed and which ways this vault has.

One broken slot never stops another: an altered slot is an error only when nothing else opens. A passphrase is tried on the slot
that opened last, then on the cheapest first, and on no more slots than together are bearable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from vault.crypto.keyslots import (
    COMMAND,
    KEY_FILE,
    KEYRING,
    MOST_WORK,
    PASSPHRASE,
    RECOVERY,
    Slot,
    check_parameters,
    open_slot,
    parse_recovery_code,
    slot_work,
)
from vault.errors import InputError, IntegrityError, Locked, TryAgain, Unavailable, VaultError, WrongKey
from vault.unlock.machine import create_key_file, key_file_mode_warning, read_key_file, run_key_command
from vault.unlock.os_keyring import (
    KEYRING_SERVICE,
    keyring_backend,
    keyring_delete,
    keyring_is_open,
    keyring_read,
    keyring_seconds,
    keyring_write,
)
from vault.unlock.places import forget_place, read_last, read_places, remember_last, remember_place

__all__ = [
    "KEYRING_SERVICE",
    "Ways",
    "create_key_file",
    "forget_place",
    "key_file_mode_warning",
    "keyring_backend",
    "keyring_delete",
    "keyring_read",
    "keyring_seconds",
    "keyring_write",
    "passphrase_bytes",
    "read_key_file",
    "read_last",
    "read_places",
    "remember_last",
    "remember_place",
    "run_key_command",
    "unlock",
]

TRIES = 3
ENVIRONMENT = ("VAULT_KEY_FILE", "VAULT_KEY_COMMAND", "VAULT_PASSPHRASE")
_HOW = {
    KEYRING: "the OS keyring of the user who made it",
    PASSPHRASE: "its passphrase on a terminal or in VAULT_PASSPHRASE",
    KEY_FILE: "its key file, named in VAULT_KEY_FILE",
    COMMAND: "its key command, in VAULT_KEY_COMMAND",
    RECOVERY: "its recovery code on a terminal or in VAULT_PASSPHRASE",
}

_TYPED = {PASSPHRASE: "passphrase", RECOVERY: "recovery code"}

Found = tuple[bytes, Slot]


@dataclass(frozen=True)
class Ways:
    """Where secrets may come from.

    ``ask`` shows a prompt and reads a hidden line; None when nobody may be asked. ``places`` are the key files and key
    commands this machine remembers, by slot number; ``last`` is the slot of the passphrase that opened last, or 0. ``quiet``
    leaves out whatever could ask a person in a way of its own (key commands, a keyring that is locked): then the vault is read
    only if it opens at once.
    """

    environ: Mapping[str, str] = field(repr=False)
    ask: Callable[[str], str] | None = None
    places: Mapping[int, str] = field(default_factory=dict, repr=False)
    last: int = 0
    quiet: bool = False


def unlock(slots: Sequence[Slot], vault_id: bytes, ways: Ways) -> tuple[bytes, Slot]:
    """The root key, and the slot that gave it.

    Raises WrongKey when a key was given and opens nothing, Locked when none was given, Unavailable when the keyring or a
    key command is what failed, TryAgain on a time-out, InputError for a key that is no key, IntegrityError when altered
    slots are all that is left.
    """
    attempt = _Attempt(slots, vault_id, ways)
    return attempt.from_environment() or attempt.unattended() or attempt.asked() or attempt.give_up()


def passphrase_bytes(text: str) -> bytes:
    """A passphrase as its slot takes it: NFC, UTF-8, so that a keyboard's way of writing é does not matter.

    Raises InputError for text that is not Unicode.
    """
    import unicodedata

    try:
        return unicodedata.normalize("NFC", text).encode()
    except UnicodeEncodeError:
        raise InputError(
            "the passphrase is not valid UTF-8", hint="check the terminal's or the variable's encoding"
        ) from None


class _Attempt:
    """One go at unlocking: what was tried, what failed and why."""

    def __init__(self, slots: Sequence[Slot], vault_id: bytes, ways: Ways) -> None:
        self.slots = slots
        self.vault_id = vault_id
        self.ways = ways
        self.tried: set[int] = set()
        self.failures: list[VaultError] = []
        self.damage: dict[int, IntegrityError] = {}

    def from_environment(self) -> Found | None:
        """What the environment names; None when it names nothing. Raises when that opens nothing."""
        environ = self.ways.environ
        name = next((name for name in ENVIRONMENT if environ.get(name)), None)
        if name is None:
            return None
        kinds = {"VAULT_KEY_FILE": (KEY_FILE,), "VAULT_KEY_COMMAND": (COMMAND,)}.get(name, (PASSPHRASE, RECOVERY))
        hint = f"correct or unset {name}; {self.options()}"
        if not self.of(*kinds):
            raise WrongKey(f"{name} is set, but this vault has no way to unlock of that kind", hint=hint)
        if kinds == (KEY_FILE,):
            found = self.open(self.of(KEY_FILE), read_key_file(environ[name]))
        elif kinds == (COMMAND,):
            found = self.open(self.of(COMMAND), self.run(environ[name]))
        else:
            found = self.by_words(environ[name])
        if found is not None:
            return found
        if self.tried and self.tried <= self.damage.keys():
            raise IntegrityError(self.damage[min(self.tried)].message, hint=hint)
        raise WrongKey(f"what {name} gives does not open this vault", hint=hint)

    def unattended(self) -> Found | None:
        """Remembered key files, remembered commands, the keyring. What fails is noted and passed over."""
        for slot in self.of(KEY_FILE, COMMAND):
            place = self.ways.places.get(slot.slot)
            if place and slot.kind == KEY_FILE:
                found = self.attempt([slot], f"the key file {place}", partial(read_key_file, place))
            elif place:
                found = self.attempt([slot], "the remembered key command's output", partial(self.run, place))
            else:
                continue
            if found is not None:
                return found
        if self.of(KEYRING):
            return self.attempt(self.of(KEYRING), "the OS keyring's key", self.keyring_secret)
        return None

    def attempt(self, slots: list[Slot], what: str, secret: Callable[[], bytes]) -> Found | None:
        try:
            found = self.open(slots, secret())
        except VaultError as error:
            self.failures.append(error)
            return None
        if found is None:
            broken = [self.damage[slot.slot] for slot in slots if slot.slot in self.damage]
            self.failures += broken or [WrongKey(f"{what} does not open this vault")]
        return found

    def keyring_secret(self) -> bytes:
        if self.ways.quiet and not keyring_is_open():
            raise Locked("the OS keyring could ask a person, so it is not read")
        secret = keyring_read(self.vault_id.hex())
        if secret is None:
            raise Locked("the OS keyring has no key for this vault")
        return secret

    def asked(self) -> Found | None:
        """What a person types; None when nobody may be asked, or nothing that could be typed would open anything."""
        ask = self.ways.ask
        sound = [slot for slot in self.of(PASSPHRASE, RECOVERY) if self.is_sound(slot)]
        if ask is None or not sound:
            return None
        self.passphrases()
        what = " or ".join(dict.fromkeys(_TYPED[slot.kind] for slot in sound))
        prompt = f"{what[0].upper()}{what[1:]}: "
        why = "".join(f"{text[0].upper()}{text[1:]}. " for text in self.troubles())
        for number in range(TRIES):
            known = set(self.damage)
            try:
                text = ask(why + prompt if number == 0 else f"That does not open the vault. {prompt}")
            except EOFError:
                return None
            found = self.by_words(text) if text else None
            if found is not None:
                return found
            for slot in self.damage.keys() - known:
                raise IntegrityError(self.damage[slot].message, hint=f"key slot {slot} was altered; {self.options()}")
        raise WrongKey(f"none of the {TRIES} answers opens this vault", hint=self.options())

    def give_up(self) -> Found:
        """Raise what the caller must know: what failed, else that nothing was given."""
        for slot in self.slots:
            self.is_sound(slot)
        if self.failures:
            order = (Unavailable, IntegrityError, VaultError)
            worst = min(self.failures, key=lambda e: next(i for i, kind in enumerate(order) if isinstance(e, kind)))
            raise type(worst)("; ".join(self.troubles()), hint=self.options())
        if self.damage and len(self.damage) == len(self.slots):
            raise IntegrityError(next(iter(self.damage.values())).message, hint="restore the file from a backup")
        raise Locked("; ".join(["the vault is locked", *self.troubles()]), hint=self.options())

    def troubles(self) -> list[str]:
        """What failed so far, each once."""
        damaged = [
            f"key slot {slot} is damaged" for slot in sorted(self.damage) if self.damage[slot] not in self.failures
        ]
        return list(dict.fromkeys([*(error.message for error in self.failures), *damaged]))

    def by_words(self, text: str) -> Found | None:
        """Open with a passphrase or a recovery code, whichever the text is."""
        try:
            found = self.open(self.of(RECOVERY), parse_recovery_code(text))
        except InputError:
            found = None
        return found or self.open(self.passphrases(), passphrase_bytes(text))

    def passphrases(self) -> list[Slot]:
        """The slots a passphrase is tried on: the one that opened last, then the cheapest first, while it is bearable."""
        work = {slot.slot: slot_work(slot) for slot in self.of(PASSPHRASE) if self.is_sound(slot)}
        tried, left = [], MOST_WORK
        for slot in sorted(self.of(PASSPHRASE), key=lambda s: (s.slot != self.ways.last, work.get(s.slot, 0))):
            if work.get(slot.slot, 0) <= left:
                left -= work.get(slot.slot, 0)
                tried.append(slot)
            else:
                self.damage[slot.slot] = IntegrityError(
                    f"key slot {slot.slot} asks for too much work beside the others, so it is not tried"
                )
        return tried

    def open(self, slots: Iterable[Slot], secret: bytes) -> Found | None:
        """Try a secret on slots; altered ones are noted and passed over."""
        for slot in slots:
            self.tried.add(slot.slot)
            try:
                return open_slot(slot, secret, self.vault_id), slot
            except WrongKey:
                continue
            except IntegrityError as error:
                self.damage[slot.slot] = error
            except MemoryError:
                raise TryAgain(
                    f"there is not enough memory to try key slot {slot.slot}",
                    hint="close something, or unlock another way",
                ) from None
        return None

    def run(self, command: str) -> bytes:
        if self.ways.quiet:
            raise Locked("the key command could ask a person, so it is not run")
        return run_key_command(command, ask=self.ways.ask is not None)

    def of(self, *kinds: str) -> list[Slot]:
        return [slot for kind in kinds for slot in self.slots if slot.kind == kind]

    def is_sound(self, slot: Slot) -> bool:
        try:
            check_parameters(slot)
        except IntegrityError as error:
            self.damage.setdefault(slot.slot, error)
        return slot.slot not in self.damage

    def options(self) -> str:
        """The ways this vault has and how to use each, in words."""
        kinds = {slot.kind for slot in self.slots}
        hows = [how for kind, how in _HOW.items() if kind in kinds]
        return f"it opens with {', or '.join(hows)}" if hows else "it has no key slots; restore the file from a backup"
