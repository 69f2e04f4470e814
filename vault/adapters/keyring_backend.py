"""A backend for the ``keyring`` library: pip, twine, poetry and whatever else asks ``keyring`` read from the vault.

What is stored through it becomes the profile ``keyring:SERVICE/USER``, spelt as ids are (``vault.spelling``): a provider of its
own, so that no program's password is ever chosen as a model provider's key. What is read is, first, such a profile; else the
profile ``SERVICE:USER``, where the vault has one, so that ``keyring get anthropic work`` gives ``anthropic:work``. A URL of
https, or of this machine, is also looked for under its host and port, as pip does; never under another port's. What is deleted
isn't given again, wherever it was found.

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
from urllib.parse import quote

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.credentials import Credential, SimpleCredential
from keyring.errors import InitError, KeyringError, KeyringLocked, PasswordDeleteError, PasswordSetError

from vault.adapters import tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vault.api import Vault

PROVIDER = "keyring"
_LONGEST_SERVICE, _LONGEST_USER = 180, 74
_EARLIER_SAFE, _EARLIER_LONGEST, _EARLIER_DIGEST = "-._~:@+", 128, "sha256-"


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
        found = self._found(service, username) if username is not None else None
        return found.password if found is not None else None

    def get_credential(self, service: str, username: str | None) -> Credential | None:
        """A user name and a password for a service; the user's whose password was stored last where none is named."""
        return self._found(service, username or None)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password. What was there before stays in the history. An empty one is refused: it would read as none."""
        from vault.errors import VaultError
        from vault.events.credentials import ApiKey

        if not password:
            raise PasswordSetError("vault: an empty password is not kept: it would read as none")
        try:
            password.encode()
            with _opened() as vault:
                vault.keep(
                    _profile(service, username),
                    ApiKey(key=password, metadata={"service": service, "username": username}),
                    label=_label(service, username),
                    reason=f"stored through keyring by {_program()}",
                )
        except UnicodeEncodeError:
            raise PasswordSetError("vault: the password holds half a character") from None
        except VaultError as error:
            raise PasswordSetError(f"vault: {error}") from None

    def delete_password(self, service: str, username: str) -> None:
        """Log out all that would be given for it; ``vault restore`` undoes it."""
        from vault.errors import VaultError

        try:
            with _opened() as vault:
                names = list(_stored(vault, service, username))
                for profile, _ in names:
                    vault.logout(profile, reason=f"deleted through keyring by {_program()}")
        except VaultError as error:
            raise PasswordDeleteError(f"vault: {error}") from None
        if not names:
            raise PasswordDeleteError(f"vault: no password of {username!r} is kept for that service")

    def _found(self, service: str, username: str | None) -> Credential | None:
        from vault.errors import VaultError

        try:
            with _opened() as vault:
                for profile, user in _stored(vault, service, username):
                    return SimpleCredential(user, vault.credential(profile, program=_program()).secret.reveal())
        except (KeyringError, VaultError) as error:
            tell(f"{'' if isinstance(error, KeyringError) else 'vault: '}{error}")
        return None


def _stored(vault: Vault, service: str, username: str | None) -> Iterator[tuple[str, str]]:
    """The profiles that hold a password for a service, and whose it is: the service's own, then its host's."""
    since = {p.profile: p.held.since for p in vault.profiles().profiles}
    for name in _names(service):
        user = username if username is not None else _newest_user(vault, name, since)
        if user is None:
            continue
        for profile in dict.fromkeys((_profile(name, user), *_earlier(name, user), *_own(name, user))):
            if profile in since and _is_for(vault, profile, name):
                yield profile, user


def _newest_user(vault: Vault, service: str, since: Mapping[str, int]) -> str | None:
    """The user whose password for a service was stored last."""
    start = _profile(service, "").rpartition("/")[0] + "/"
    earlier = f"{PROVIDER}:{quote(service, safe=_EARLIER_SAFE)}/"
    for profile in sorted(since, key=lambda p: since[p], reverse=True):
        if not profile.startswith((start, earlier, f"{PROVIDER}:{_EARLIER_DIGEST}")):
            continue
        told = vault.told(profile)
        if told.get("service", service if profile.startswith((start, earlier)) else None) == service:
            return told.get("username", "")
    return None


def _is_for(vault: Vault, profile: str, service: str) -> bool:
    """Whether a profile that git or docker stored is of the very server that is asked for."""
    from vault.errors import InputError
    from vault.interop.servers import kept_server, server_of

    if profile.startswith(f"{PROVIDER}:"):
        return True
    kept = kept_server(vault.told(profile))
    try:
        return kept is None or kept == server_of(service)
    except InputError:
        return False


def _profile(service: str, username: str) -> str:
    """The profile of a service's user. Raises InputError."""
    from vault.spelling import spell_name

    place = spell_name(service, also="/", longest=_LONGEST_SERVICE) if service else ""
    return f"{PROVIDER}:{place}/{spell_name(username, longest=_LONGEST_USER) if username else ''}"


def _label(service: str, username: str) -> str:
    """The user; and the service, where its name has room for the beginning of it only."""
    from vault.spelling import is_shortened

    return f"{username} at {service}" if is_shortened(_profile(service, "").removesuffix("/")) else username


def _own(service: str, username: str) -> list[str]:
    """The profile that a person means by a service and a user: ``anthropic:work``, or a server's."""
    from vault.values import foreign_profile, foreign_provider

    return [foreign_profile(foreign_provider(service), username)] if service and username else []


def _earlier(service: str, username: str) -> list[str]:
    """What earlier versions called the profile of a service's user."""
    try:
        name = f"{quote(service, safe=_EARLIER_SAFE)}/{quote(username, safe=_EARLIER_SAFE)}"
    except UnicodeEncodeError:
        return []
    if name[0] in "-:":
        name = f"%{ord(name[0]):02X}{name[1:]}"
    digest = _EARLIER_DIGEST + hashlib.sha256(name.encode()).hexdigest()
    return [f"{PROVIDER}:{name if len(name) <= _EARLIER_LONGEST else digest}"]


def _names(service: str) -> list[str]:
    """A service as it is named, and where it is a URL that is safe to send a password to, its host and port."""
    from vault.addresses import is_loopback_place
    from vault.errors import InputError
    from vault.interop.servers import server_at

    scheme, separator, rest = service.partition("://")
    try:
        server = server_at(scheme, rest.partition("/")[0].rpartition("@")[2]) if separator else None
    except InputError:
        server = None
    if server is None or not (server.scheme == "https" or is_loopback_place(server.place)):
        return [service]
    return [service, server.place]


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
