"""A backend for the ``keyring`` library: pip, twine, poetry and whatever else asks ``keyring`` read from the vault.

What is stored through it becomes the profile ``keyring:SERVICE/USER``: a provider of its own, so that no program's password is
ever chosen as a model provider's key. What is read is, first, such a profile; else the profile ``SERVICE:USER``, where the vault
has one, so that ``keyring get anthropic work`` gives ``anthropic:work``. A URL is also looked for under its host, as pip does.

Every read of a password that is found is a hand-out in the history. Nobody is ever asked anything. A vault that can't be opened
has no password to give, and says on stderr what to do: other programs' passwords must not depend on it. Storing is an error then.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.credentials import Credential, SimpleCredential
from keyring.errors import InitError, KeyringError, KeyringLocked, PasswordDeleteError, PasswordSetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vault.api import Vault

PROVIDER = "keyring"
_SAFE = "-._~:@+"
_LONGEST = 128


class VaultKeyring(KeyringBackend):
    """The vault as a keyring. It comes after the desktop's own, and works where there is none."""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805 - a property of the class
        """2: behind the desktop's keyrings, before those that can't keep a secret. Not viable where there is no vault."""
        from vault.context import Places
        from vault.envfile import settled
        from vault.errors import VaultError

        try:
            there = Places.of(settled(os.environ)).database.exists()
        except VaultError as error:
            raise RuntimeError(str(error)) from None
        if not there:
            raise RuntimeError("there is no vault here: vault init makes one")
        return 2

    def get_password(self, service: str, username: str | None) -> str | None:
        """The password of a user at a service, or None."""
        found = self.get_credential(service, username) if username else None
        return found.password if found is not None else None

    def get_credential(self, service: str, username: str | None) -> Credential | None:
        """A user name and a password for a service; any user's where none is named."""
        from vault.errors import VaultError

        try:
            with _opened() as vault:
                return _found(vault, service, username or "")
        except (KeyringError, VaultError) as error:
            sys.stderr.write(f"{'' if isinstance(error, KeyringError) else 'vault: '}{error}\n")
            return None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password. What was there before stays in the history."""
        from vault.errors import VaultError
        from vault.events.credentials import ApiKey

        try:
            with _opened() as vault:
                vault.keep(
                    _profile(service, username),
                    ApiKey(key=password, metadata={"service": service, "username": username}),
                    label=username,
                    reason=f"stored through keyring by {_program()}",
                )
        except VaultError as error:
            raise PasswordSetError(f"vault: {error}") from None

    def delete_password(self, service: str, username: str) -> None:
        """Log the profile out; ``vault restore`` undoes it."""
        from vault.errors import VaultError

        try:
            with _opened() as vault:
                vault.logout(_profile(service, username), reason=f"deleted through keyring by {_program()}")
        except VaultError as error:
            raise PasswordDeleteError(f"vault: {error}") from None


def _found(vault: Vault, service: str, username: str) -> Credential | None:
    for name in _names(service):
        user = username or _only_user(vault, name)
        if not user:
            continue
        for profile in (_profile(name, user), f"{name}:{user}"):
            if _has(vault, profile):
                return SimpleCredential(user, vault.credential(profile, program=_program()).secret.reveal())
    return None


def _profile(service: str, username: str) -> str:
    """The profile of a service's user: readable where it fits, else a digest."""
    name = f"{quote(service, safe=_SAFE)}/{quote(username, safe=_SAFE)}"
    if name[0] in "-:":
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST:
        name = "sha256-" + hashlib.sha256(name.encode()).hexdigest()
    return f"{PROVIDER}:{name}"


def _names(service: str) -> list[str]:
    """A service as it is named, and where it is a URL, its host."""
    try:
        host = urlsplit(service).hostname if "://" in service else None
    except ValueError:
        host = None
    return [service, host] if host else [service]


def _only_user(vault: Vault, service: str) -> str:
    """The user whose password for a service was stored last."""
    start = f"{PROVIDER}:{quote(service, safe=_SAFE)}/"
    found = [p for p in vault.profiles().profiles if p.profile.startswith(start)]
    newest = max(found, key=lambda p: p.held.since, default=None)
    return newest.held.facts.label if newest is not None else ""


def _has(vault: Vault, profile: str) -> bool:
    return any(p.profile == profile for p in vault.profiles().profiles)


@contextmanager
def _opened() -> Iterator[Vault]:
    """The vault, as the agent of the environment. Its errors become the library's."""
    from vault.api import open_vault
    from vault.errors import Locked, VaultError, WrongKey

    try:
        vault = open_vault()
    except (Locked, WrongKey) as error:
        raise KeyringLocked(f"vault: {error}") from None
    except VaultError as error:
        raise InitError(f"vault: {error}") from None
    with vault:
        yield vault


def _program() -> str:
    return Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
