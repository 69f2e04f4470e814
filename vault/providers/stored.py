"""The fetched catalogue on disk: what a row of it may hold, and how it is read, written, brought back and dropped.

It stands in the platform's cache folder as ``catalogue.json``, mode 0600, with the one before it as ``catalogue.previous.json``.
What is kept is not the document that was fetched but the few facts vault needs. They decide which variables are read and
handed on and where probes go, so every row is checked again at each reading, and a file that others may write counts as broken.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vault.addresses import is_loopback_host
from vault.errors import InputError, NotFound, StorageError
from vault.files import open_regular, private_folder, read_regular, replace_file
from vault.parsing import parse_json
from vault.values import parse_provider
from vault.variables import is_credentials

SCHEMA = "vault.catalogue/1"
LARGEST = 8 * 1024 * 1024
MOST_ROWS = 5000
MOST_NAMES = 32

_KEYS = {"id", "name", "env", "secret_env", "api", "doc", "npm"}
_NAME = re.compile(r"[A-Z0-9_]{1,80}")
_NEVER = {"PATH", "HOME", "SHELL", "USER", "IFS", "ENV", "BASH_ENV", "LANG", "TERM", "TMPDIR"}
_NEVER_STARTS = ("VAULT_", "LD_", "DYLD_")


@dataclass(frozen=True, slots=True)
class Stored:
    """A fetched catalogue. ``etag`` is what the server called this state of it; ``fetched_at`` is microseconds UTC."""

    url: str
    etag: str
    fetched_at: int
    rows: tuple[Mapping[str, Any], ...]


def place() -> Path:
    """Where the fetched catalogue is, or would be."""
    from platformdirs import PlatformDirs

    return Path(PlatformDirs("agent-vault", appauthor=False).user_cache_dir) / "catalogue.json"


def previous_of(path: Path) -> Path:
    """Where the one before it is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def secret_names(names: Sequence[str]) -> list[str]:
    """Which of a provider's variables hold a secret, told from the names, since models.dev doesn't say."""
    return [name for name in names if is_credentials(name.lstrip("0123456789")) and not name.endswith("_ID")]


def check_row(row: Mapping[str, Any]) -> None:
    """Check one provider's facts. Raises InputError, naming the provider and what is wrong."""
    name = row.get("id")
    if not isinstance(name, str):
        raise InputError("a provider has no id")
    parse_provider(name)

    def wrong(why: str) -> InputError:
        return InputError(f"the provider {name}: {why}")

    if not set(row) <= _KEYS:
        raise wrong("it has facts of an unknown kind")
    if not _is_text(row.get("name"), 120) or not _is_text(row.get("npm", "-"), 200):
        raise wrong("its name is not a short text")
    env, secrets, api = row.get("env"), row.get("secret_env"), row.get("api")
    if not isinstance(env, list) or not 0 < len(env) <= MOST_NAMES or not all(isinstance(n, str) for n in env):
        raise wrong("its variables are not a list of names")
    for variable in env:
        if not _NAME.fullmatch(variable) or variable in _NEVER or variable.startswith(_NEVER_STARTS):
            raise wrong("one of its variables has a name that no provider may have")
    if not isinstance(secrets, list) or any(n not in env for n in secrets):
        raise wrong("its secret variables are not among its variables")
    if api is not None and not _is_address(api):
        raise wrong("its address is not https, nor on this machine")
    if not _is_text(row.get("doc"), 500) or not row["doc"].startswith(("https://", "http://")):
        raise wrong("its documentation is not a URL")


def is_moved(before: str | None, after: str | None) -> bool:
    """Whether a provider's address is on another server than before. A key that is stored for it must not follow it there."""
    return bool(before and after) and _server(str(before)) != _server(str(after))


def _server(address: str) -> tuple[str, ...]:
    parts = urlsplit(address)
    return (address,) if "$" in parts.netloc or not parts.netloc else (parts.scheme, parts.netloc.lower())


def check_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Check a whole catalogue: every row, ids and names unique. Raises InputError."""
    if not 0 < len(rows) <= MOST_ROWS:
        raise InputError("it has no providers, or far too many")
    for row in rows:
        check_row(row)
    for what in ("id", "name"):
        if len({row[what].casefold() for row in rows}) != len(rows):
            raise InputError(f"two providers have the same {what}")


def read(path: Path) -> Stored | None:
    """The fetched catalogue; None when there is none. Raises InputError when there is one and it can't be used."""
    try:
        with open(open_regular(path), "rb") as file:
            about = os.fstat(file.fileno())
            if hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
                raise InputError("others may write to it", hint=f"look at it, then: chmod 600 {path}")
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"it can't be read: {error.strerror}") from None
    if len(raw) > LARGEST:
        raise InputError("it is far too large")
    try:
        data = parse_json(raw, str(path))
    except InputError:
        raise InputError("it is not JSON") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError("it is not a catalogue of this version of vault")
    url, etag, at, rows = (data.get(key) for key in ("url", "etag", "fetched_at", "providers"))
    if not isinstance(url, str) or not isinstance(etag, str) or type(at) is not int or not isinstance(rows, list):
        raise InputError("it does not say where it is from")
    if not all(isinstance(row, dict) for row in rows):
        raise InputError("its providers are not a list of objects")
    check_rows(rows)
    return Stored(url, etag, at, tuple(rows))


def write(path: Path, stored: Stored) -> None:
    """Store a catalogue, and keep the one before it if that was in order and said something else.

    Both files are whole at every moment. Raises StorageError.
    """
    body = {
        "schema": SCHEMA,
        "url": stored.url,
        "etag": stored.etag,
        "fetched_at": stored.fetched_at,
        "providers": list(stored.rows),
    }
    try:
        private_folder(path.parent)
        before = _usable(path)
        if before is not None and json.loads(before)["providers"] != body["providers"]:
            replace_file(previous_of(path), before)
        replace_file(path, json.dumps(body, ensure_ascii=False, indent=0).encode())
    except OSError as error:
        raise _unwritable(path, error) from None


def go_back(path: Path) -> Stored:
    """Make the previous catalogue the one in use, and the other way round. Raises NotFound, InputError, StorageError."""
    earlier = read(previous_of(path))
    if earlier is None:
        raise NotFound("there is no previous catalogue", hint="vault provider update fetches one")
    try:
        brought, now = read_regular(previous_of(path), LARGEST), _usable(path)
        replace_file(path, brought)
        if now is None:
            previous_of(path).unlink()
        else:
            replace_file(previous_of(path), now)
    except OSError as error:
        raise _unwritable(path, error) from None
    return earlier


def drop(path: Path) -> bool:
    """Go back to the embedded catalogue; the fetched one becomes the previous. Whether there was one. Raises StorageError."""
    try:
        if _usable(path) is None:
            path.unlink()
        else:
            os.replace(path, previous_of(path))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unwritable(path, error) from None
    return True


def _usable(path: Path) -> bytes | None:
    """The bytes of a catalogue that is in order."""
    try:
        return read_regular(path, LARGEST) if read(path) is not None else None
    except InputError:
        return None


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"the catalogue can't be written: {error.strerror}", hint=f"check {path.parent}")


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _is_address(value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= 300 or not value.isprintable() or " " in value:
        return False
    if value.startswith("${"):
        return True
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback_host(host))
