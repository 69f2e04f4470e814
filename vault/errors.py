"""Every way to fail. The library raises these and never exits; the command line maps them to exit statuses.

    VaultError
    ├── UsageError 64            wrong usage
    ├── InputError 65            input not understood
    ├── NotFound 66              no such profile, agent, provider, event
    ├── Unavailable 69           the keyring or a needed program is not there
    ├── Defect 70                a defect in vault
    ├── CannotCreate 73          can't create
    ├── StorageError 74          reading or writing failed
    ├── TryAgain 75              busy, timed out, provider unreachable
    ├── Locked 77                locked, or the wrong key
    │   └── WrongKey
    ├── NotReady 78              not initialised, or bad configuration
    ├── IntegrityError 80        the log was altered
    │   └── RollbackDetected 81  the log is older than its anchor
    ├── SignInAgain 82           a person must sign in again
    │   └── TokenReplaced        a newer refresh token took its place: it isn't sent unasked
    ├── Conflict 83              it changed meanwhile, or exists already
    │   └── WrongExpectedVersion
    └── Gone 84                  destroyed
        └── NewerVersion         written by a newer vault

A message is one sentence that says what happened and to what; ``hint`` says what to do next. Neither ever holds a secret: what
looks like one is left out here, whoever put it in.
"""

from __future__ import annotations

from typing import ClassVar

from vault.showing import printable, without_secrets


class VaultError(Exception):
    """Base of all errors raised by vault."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return printable(f"{self.message}: {self.hint}" if self.hint else self.message)


class UsageError(VaultError):
    """The command line was used wrongly."""

    code = "usage"
    exit_status = 64


class InputError(VaultError):
    """Input (an id, a secret, a file) could not be understood."""

    code = "input"
    exit_status = 65


class NotFound(VaultError):
    """No such profile, agent, provider or event."""

    code = "not_found"
    exit_status = 66


class Unavailable(VaultError):
    """The OS keyring or a needed program is not there."""

    code = "unavailable"
    exit_status = 69


class Defect(VaultError):
    """A defect in vault itself."""

    code = "defect"
    exit_status = 70


class CannotCreate(VaultError):
    """A file or folder could not be created."""

    code = "cannot_create"
    exit_status = 73


class StorageError(VaultError):
    """Reading or writing failed."""

    code = "storage"
    exit_status = 74


class TryAgain(VaultError):
    """Busy, timed out or unreachable; the same call may succeed later."""

    code = "try_again"
    exit_status = 75


class Locked(VaultError):
    """The vault is locked: no key was given."""

    code = "locked"
    exit_status = 77


class WrongKey(Locked):
    """A key was given and it opens no slot."""

    code = "wrong_key"


class NotReady(VaultError):
    """Not initialised, or badly configured."""

    code = "not_initialised"
    exit_status = 78


class IntegrityError(VaultError):
    """Stored bytes are not what vault wrote. ``position`` is the first bad place, when it is known."""

    code = "integrity"
    exit_status = 80

    def __init__(self, message: str, *, hint: str = "", position: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.position = position


class RollbackDetected(IntegrityError):
    """The log is older than its anchor, or is another log."""

    code = "rollback"
    exit_status = 81


class SignInAgain(VaultError):
    """Only a person can obtain this credential again."""

    code = "sign_in_again"
    exit_status = 82


class TokenReplaced(SignInAgain):
    """A newer refresh token took the place of this one, and sending it could end the login at the provider."""

    code = "token_replaced"


class Conflict(VaultError):
    """It changed meanwhile, or exists already."""

    code = "conflict"
    exit_status = 83


class WrongExpectedVersion(Conflict):
    """A stream moved on between the decision and the append."""

    code = "wrong_expected_version"


class Gone(VaultError):
    """The secret was destroyed on purpose."""

    code = "destroyed"
    exit_status = 84


class NewerVersion(Gone):
    """Written by a newer vault."""

    code = "newer_version"


EXIT_STATUSES: tuple[tuple[int, str], ...] = (
    (0, "done"),
    (1, "a check found something: missing, expired, a doctor finding"),
    (2, "status --check: something expires soon"),
    (64, "wrong usage"),
    (65, "input not understood"),
    (66, "no such profile, agent, provider, event"),
    (69, "the keyring or a needed program is not there"),
    (70, "a defect in vault"),
    (73, "can't create"),
    (74, "reading or writing failed"),
    (75, "try again: busy, timed out, provider unreachable"),
    (77, "locked, or the wrong key"),
    (78, "not initialised, or bad configuration"),
    (80, "integrity: the log was altered"),
    (81, "rollback: the log is older than its anchor"),
    (82, "sign in again"),
    (83, "conflict: it changed meanwhile, or exists already"),
    (84, "destroyed, or written by a newer vault"),
    (130, "interrupted"),
    (141, "the reader of the output is gone"),
)
