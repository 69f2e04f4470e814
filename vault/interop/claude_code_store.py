"""Where Claude Code keeps things, its locks, and its keychain entries on macOS.

| what | where |
|---|---|
| its login | ``.credentials.json`` in ``CLAUDE_SECURESTORAGE_CONFIG_DIR``, else in ``CLAUDE_CONFIG_DIR``, else in ``~/.claude`` |
| a Console key, the account | ``.claude.json`` in ``CLAUDE_CONFIG_DIR``, else in the home folder; older: ``.config.json`` |
| settings | ``settings.json`` in ``CLAUDE_CONFIG_DIR``, else in ``~/.claude`` |
| on macOS | the login in the keychain under ``Claude Code-credentials``, the key under ``Claude Code`` |

A folder other than the default puts ``-`` and eight hex digits of its SHA-256 behind the keychain's names. An entry of the
keychain is written ``keychain:SERVICE/ACCOUNT`` where a path is meant.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vault.errors import InputError, NotFound, StorageError, TryAgain, Unavailable
from vault.interop.sources import kind_of

PLATFORM = sys.platform
KEYCHAIN = "keychain:"
KEYCHAIN_SECONDS = 20.0
LOCK_SECONDS = 15.0
STALE_SECONDS = 60.0
_PAUSE = 0.05
_LOGIN, _KEY = "Claude Code-credentials", "Claude Code"
_ENTRY = re.compile(r"keychain:(Claude Code(?:-credentials)?(?:-[0-9a-f]{8})?)/([A-Za-z0-9._-]+)")
_USER = re.compile(r"[A-Za-z0-9._-]+")
_NO_ENTRY = 44


@dataclass(frozen=True, slots=True)
class Place:
    """One Claude Code: its three files, and what is behind its names in the keychain."""

    credentials: Path
    config: Path
    settings: Path
    suffix: str = ""

    @property
    def files(self) -> list[Path]:
        """The files that may hold a credential."""
        return [self.credentials, self.config, self.settings]


def place_of(environ: Mapping[str, str], home: Path, path: Path | None = None) -> Place:
    """Claude Code's place: what the environment says, or the folder (or one of the files in it) at ``path``."""
    if path is not None and not str(path).startswith(KEYCHAIN):
        return _place_at(path.absolute())
    named = environ.get("CLAUDE_CONFIG_DIR", "")
    folder = _folder(named) if named else home / ".claude"
    secure = environ.get("CLAUDE_SECURESTORAGE_CONFIG_DIR")
    store = folder if secure is None else (_folder(secure) if secure else home / ".claude")
    default = not secure if secure is not None else not named
    suffix = "" if default else "-" + hashlib.sha256(str(store).encode()).hexdigest()[:8]
    return Place(
        store / ".credentials.json", _config(folder, folder if named else home), folder / "settings.json", suffix
    )


def keychain_paths(place: Place, environ: Mapping[str, str]) -> list[Path]:
    """The keychain's entries of a Claude Code on macOS, written as paths: its login, its key. None on other systems."""
    if PLATFORM != "darwin":
        return []
    user = environ.get("USER") or _login_name()
    account = user if _USER.fullmatch(user) else "claude-code-user"
    return [Path(f"{KEYCHAIN}{service}{place.suffix}/{account}") for service in (_LOGIN, _KEY)]


def is_key_entry(path: Path) -> bool:
    """Whether an entry of the keychain is the Console key, and not the login."""
    return not str(path).startswith(f"{KEYCHAIN}{_LOGIN}")


def read_keychain(path: Path) -> str:
    """The content of a keychain entry of Claude Code's. macOS may ask the person first.

    Raises NotFound, InputError for a name that isn't Claude Code's, Unavailable where there is no keychain, TryAgain when it
    doesn't answer in time.
    """
    entry = _ENTRY.fullmatch(str(path))
    if entry is None:
        raise InputError(f"{path} is not a keychain entry of Claude Code's", hint="write keychain:SERVICE/ACCOUNT")
    if PLATFORM != "darwin":
        raise Unavailable("there is no macOS keychain here", hint="name Claude Code's .credentials.json with --from")
    words = ["security", "find-generic-password", "-a", entry[2], "-w", "-s", entry[1]]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=KEYCHAIN_SECONDS)
    except subprocess.TimeoutExpired:
        raise TryAgain(
            f"the keychain did not give {entry[1]} within {KEYCHAIN_SECONDS:.0f} s", hint="answer its question in time"
        ) from None
    except OSError as error:
        raise Unavailable(f"the program security can't be run: {error.strerror}", hint="is this macOS?") from None
    if done.returncode == _NO_ENTRY:
        raise NotFound(f"the keychain has no entry {entry[1]}", hint="sign in with Claude Code first")
    if done.returncode:
        raise Unavailable(
            f"the keychain refused {entry[1]} (security ended with {done.returncode})", hint="unlock the keychain"
        )
    try:
        return done.stdout.decode().rstrip("\n")
    except UnicodeDecodeError:
        raise InputError(f"the keychain's entry {entry[1]} is not text") from None


@contextmanager
def locked(place: Place, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold Claude Code's locks: on a refresh, the older name of the same, and on ``.claude.json``. Raises TryAgain, StorageError.

    Each is a folder that its holder made and keeps young; one that is a minute old was left behind.
    """
    folder = place.credentials.parent
    locks = [place.config.with_name(place.config.name + ".lock")] if kind_of(place.config) == "file" else []
    if kind_of(folder) == "folder":
        locks += [folder / ".oauth_refresh.lock", Path(os.path.realpath(folder) + ".lock")]
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(_folder_lock(lock, seconds))
        yield


@contextmanager
def _folder_lock(lock: Path, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            lock.mkdir(mode=0o700)
            break
        except FileExistsError:
            if _is_stale(lock):
                with suppress(OSError):
                    lock.rmdir()
                    continue
        except OSError as error:
            raise StorageError(f"{lock} can't be made: {error.strerror}", hint="look at its folder") from None
        if time.monotonic() >= deadline:
            raise TryAgain(f"Claude Code holds {lock}", hint="wait until it has refreshed its login, then try again")
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.rmdir()


def _is_stale(lock: Path) -> bool:
    try:
        return time.time() - lock.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False


def _place_at(path: Path) -> Place:
    folder = path if kind_of(path) == "folder" else path.parent
    below = folder / ".claude"
    if path.name in (".claude.json", ".config.json") and kind_of(path) != "folder":
        inside = below if path.name == ".claude.json" and kind_of(below) == "folder" else folder
        return Place(inside / ".credentials.json", path, inside / "settings.json")
    if kind_of(folder / ".credentials.json") == "missing" and path == folder and kind_of(below) == "folder":
        folder = below
    home = folder if kind_of(folder / ".claude.json") == "file" or folder.name != ".claude" else folder.parent
    name = path.name if path != folder and kind_of(path) != "folder" and path.name != "settings.json" else ""
    return Place(folder / (name or ".credentials.json"), _config(folder, home), folder / "settings.json")


def _config(folder: Path, home: Path) -> Path:
    newer, older = home / ".claude.json", folder / ".config.json"
    return older if kind_of(newer) == "missing" and kind_of(older) == "file" else newer


def _folder(text: str) -> Path:
    return Path(unicodedata.normalize("NFC", text)).absolute()


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
