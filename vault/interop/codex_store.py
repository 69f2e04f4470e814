"""Codex's store: ``auth.json``, its locks, and what ``config.toml`` says of where logins are kept.

``cli_auth_credentials_store`` is ``file`` (the default), ``keyring``, ``auto`` (the keyring, else the file) or ``ephemeral``.
In the keyring the document of ``auth.json`` stands under the service ``Codex Auth``; the user is ``cli|`` and sixteen hex digits
of the SHA-256 of the folder's real path. Such an entry is written ``keyring:Codex Auth/cli|…`` where a path is meant.

Codex takes two advisory locks while it writes, on ``auth.lock`` and ``auth.json.lock``, and replaces the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound
from vault.interop.documents import toml_in
from vault.interop.sources import kind_of, read_json
from vault.log.filelock import lock_of
from vault.parsing import parse_json

KEYRING = "keyring:"
SERVICE = "Codex Auth"
LOCK_SECONDS = 15.0
FILE, AUTO, RING, EPHEMERAL = "file", "auto", "keyring", "ephemeral"
_LOCKS = ("auth.lock", "auth.json.lock")


@dataclass(frozen=True, slots=True)
class Place:
    """One Codex: its folder's two files, and the name of its entry in the keyring."""

    auth: Path
    config: Path

    @property
    def entry(self) -> Path:
        """The keyring's entry, written as a path."""
        name = hashlib.sha256(os.path.realpath(self.auth.parent).encode()).hexdigest()[:16]
        return Path(f"{KEYRING}{SERVICE}/cli|{name}")

    def mode(self) -> str:
        """Where Codex keeps its login, as ``config.toml`` says. Raises InputError."""
        said = toml_in(self.config).get("cli_auth_credentials_store")
        return said.unwrap() if said in (AUTO, RING, EPHEMERAL) else FILE


def place_of(environ: Mapping[str, str], home: Path, path: Path | None = None) -> Place:
    """Codex's place: what the environment says, or the folder (or one of the files in it) at ``path``."""
    if path is None or str(path).startswith(KEYRING):
        folder = Path(environ.get("CODEX_HOME") or home / ".codex").absolute()
        return Place(folder / "auth.json", folder / "config.toml")
    path = path.absolute()
    if kind_of(path) == "folder":
        folder = path / ".codex" if kind_of(path / ".codex") == "folder" else path
        return Place(folder / "auth.json", folder / "config.toml")
    auth = path.parent / "auth.json" if path.name == "config.toml" else path
    return Place(auth, path.parent / "config.toml")


def document_at(path: Path) -> dict[str, Any]:
    """The document of ``auth.json``, of a file or a keyring's entry. Raises NotFound, InputError, StorageError, Unavailable."""
    if str(path).startswith(KEYRING):
        from vault.unlock.os_keyring import keyring_password

        service, _, user = str(path).removeprefix(KEYRING).partition("/")
        if service != SERVICE or not user.startswith("cli|"):
            raise InputError(f"{path} is not a keyring entry of Codex's", hint="write keyring:Codex Auth/cli|…")
        content = keyring_password(service, user)
        if content is None:
            raise NotFound(f"the OS keyring has no entry {service}/{user}", hint="sign in with codex login")
        document = parse_json(content, str(path))
    else:
        document = read_json(path)
    if not isinstance(document, dict):
        raise InputError(f"{path} is not Codex's: it holds no JSON object", hint="is it the right file?")
    return document


@contextmanager
def locked(place: Place, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold Codex's locks. Raises TryAgain when it doesn't let go of them in time, StorageError."""
    folder = place.auth.parent
    with ExitStack() as stack:
        if os.name == "posix" and kind_of(folder) == "folder":
            for name in _LOCKS:
                stack.enter_context(lock_of("Codex's login", folder / name, seconds))
        yield
