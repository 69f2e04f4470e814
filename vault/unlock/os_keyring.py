"""The OS keyring: 32 random bytes under (service, vault id). Every call has a time limit.

The library can hang for minutes, at import or at a call, and headless machines have no keyring at all. So it is imported
only here, in a daemon thread that is left behind when the limit passes and can't keep the process from ending. The limit
is five seconds, or ``VAULT_KEYRING_TIMEOUT`` in seconds (a person may need longer to answer the desktop's own prompt).
``PYTHON_KEYRING_BACKEND`` and the library's own configuration choose the backend; one that forgets, or that keeps its
entries in plain text, does not count.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from vault.errors import NotReady, Unavailable, VaultError, WrongKey

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

KEYRING_SERVICE = "agent-vault"
DEFAULT_SECONDS = 5.0
LONGEST_SECONDS = 600.0
QUICK_SECONDS = 1.0
OTHER_WAYS = "use a passphrase, a key file or a key command instead"

_SECRET_SERVICE = {"keyring.backends.SecretService", "keyring.backends.libsecret"}
_OPEN_WHILE_SIGNED_IN = ("keyring.backends.Windows", "keyring.backends.macOS")
_UNREAL_MODULES = ("keyring.backends.fail", "keyring.backends.null")
_T = TypeVar("_T")


def keyring_read(account: str) -> bytes | None:
    """The secret kept for an account, or None when there is none.

    Raises Unavailable when no keyring answers in time, WrongKey when the entry is not one of vault's.
    """
    stored = keyring_password(KEYRING_SERVICE, account)
    return None if stored is None else _decode(stored)


def keyring_password(service: str, user: str) -> str | None:
    """An entry of the keyring that somebody else made, or None. Raises Unavailable when no keyring answers in time."""

    def read() -> str | None:
        for backend in _backends():
            found = backend.get_password(service, user)
            if found is not None:
                return found
        return None

    return _within(keyring_seconds(), read)


def keyring_write(account: str, secret: bytes) -> None:
    """Keep a secret, and read it back to be sure. Raises Unavailable."""
    text = base64.b64encode(secret).decode()

    def write() -> bool:
        backend = _backends()[0]
        backend.set_password(KEYRING_SERVICE, account, text)
        return backend.get_password(KEYRING_SERVICE, account) == text

    if not _within(keyring_seconds(), write):
        raise Unavailable("the OS keyring took the key and did not give it back", hint=OTHER_WAYS)


def keyring_delete(account: str) -> None:
    """Forget an account's secret; one that isn't there is no error. Raises Unavailable."""

    def delete() -> None:
        for backend in _backends():
            if backend.get_password(KEYRING_SERVICE, account) is not None:
                backend.delete_password(KEYRING_SERVICE, account)

    _within(keyring_seconds(), delete)


def keyring_backend() -> str:
    """The name of the real keyring that answers here. Raises Unavailable, saying why none does."""

    def probe() -> str:
        backend = _backends()[0]
        backend.get_password(KEYRING_SERVICE, "probe")
        return f"{type(backend).__module__}.{type(backend).__qualname__}"

    return _within(keyring_seconds(), probe)


def keyring_is_open() -> bool:
    """Whether the keyring answers at once and asks nobody.

    A Secret Service that is locked would show a prompt of its own, and of a keyring that isn't known here it can't be told.
    """

    def look() -> bool:
        modules = {type(backend).__module__ for backend in _backends()}
        rest = {module for module in modules if not module.startswith(_OPEN_WHILE_SIGNED_IN)}
        return not rest or (rest.issubset(_SECRET_SERVICE) and _collection_is_open())

    try:
        return _within(QUICK_SECONDS, look)
    except Unavailable:
        return False


def keyring_seconds() -> float:
    """The time limit in force, in seconds. Raises NotReady when ``VAULT_KEYRING_TIMEOUT`` is not a sensible number."""
    text = os.environ.get("VAULT_KEYRING_TIMEOUT", "").strip()
    if not text:
        return DEFAULT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_SECONDS:
        raise NotReady(
            "VAULT_KEYRING_TIMEOUT is not a time limit",
            hint=f"give seconds, more than 0 and at most {LONGEST_SECONDS:g}",
        )
    return seconds


def _within(seconds: float, work: Callable[[], _T]) -> _T:
    import threading

    values: list[_T] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            values.append(work())
        except BaseException as error:  # noqa: BLE001 - a backend may raise anything; it is reported by the caller
            failures.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="vault-keyring", daemon=True).start()
    if not done.wait(seconds):
        raise Unavailable(
            f"the OS keyring did not answer within {seconds:g} s (VAULT_KEYRING_TIMEOUT sets the limit)",
            hint=f"unlock the keyring and try again, or {OTHER_WAYS}",
        )
    if failures:
        raise _explained(failures[0]) from None
    return values[0]


def _explained(error: BaseException) -> VaultError:
    if isinstance(error, VaultError):
        return error
    name = type(error).__name__
    if name == "NoKeyringError":
        return _absent()
    if name == "KeyringLocked":
        return Unavailable("the OS keyring is locked", hint=f"unlock it and try again, or {OTHER_WAYS}")
    return Unavailable(f"the OS keyring failed ({name})", hint=OTHER_WAYS)


def _absent() -> Unavailable:
    return Unavailable("there is no OS keyring here", hint=OTHER_WAYS)


def _backends() -> list[KeyringBackend]:
    """The real backends to use, best first, at least one. Runs in the daemon thread."""
    import logging

    # Without a handler of its own, the library's logger would print tracebacks of broken plug-ins to the terminal.
    logger = logging.getLogger("keyring")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    try:
        import keyring

        chosen = keyring.get_keyring()
    except Exception:
        named = os.environ.get("PYTHON_KEYRING_BACKEND")
        if not named:
            raise
        raise Unavailable(
            "the OS keyring that PYTHON_KEYRING_BACKEND names can't be used here", hint=f"unset it, or {OTHER_WAYS}"
        ) from None
    chained: list[KeyringBackend] | None = getattr(chosen, "backends", None)
    real = [backend for backend in ([chosen] if chained is None else chained) if _is_real(backend)]
    if not real:
        raise _absent()
    return real


def _collection_is_open() -> bool:
    import secretstorage

    with closing(secretstorage.dbus_init()) as connection:
        return not secretstorage.Collection(connection, "/org/freedesktop/secrets/aliases/default").is_locked()


def _is_real(backend: KeyringBackend) -> bool:
    kind = type(backend)
    if kind.__module__.startswith("vault."):  # the vault's own backend: a vault can't be unlocked from inside itself
        return False
    return kind.__module__ not in _UNREAL_MODULES and "plaintext" not in kind.__qualname__.lower()


def _decode(stored: str) -> bytes:
    try:
        return base64.b64decode(stored, validate=True)
    except ValueError:
        raise WrongKey(
            "the OS keyring's entry for this vault is not a key",
            hint="unlock in another way and add a new keyring slot",
        ) from None
