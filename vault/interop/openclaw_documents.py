"""OpenClaw's JSON store, as versions before 2026.6 have it, to be changed: ``auth-profiles.json`` and ``auth-state.json``.

The oldest versions keep the order in the first file; it stays where it is. The lock is a file or a folder beside the store that
only one program can make; one whose maker is gone, or that is older than half a minute, is nobody's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault.errors import InputError, StorageError, TryAgain
from vault.files import make_private, read_regular
from vault.interop.documents import object_in
from vault.interop.openclaw_place import means, place_of
from vault.interop.openclaw_store import AGENT_FILES, STATE_FILE
from vault.interop.plans import Target, Write
from vault.interop.sources import kind_of
from vault.interop.styled import styled
from vault.parsing import parse_json
from vault.values import ProviderId, format_instant_exact

LOCK_SECONDS = 10.0
STALE_SECONDS = 30.0
LARGEST_LOCK = 64 * 1024
_PAUSE = 0.05
_STATE_FIELDS = ("order", "lastGood", "usageStats")
_VERSION = 1


@dataclass(slots=True)
class Documents:
    """One agent's two files, read to be changed."""

    store_path: Path
    state_path: Path
    store: dict[str, Any]
    state: dict[str, Any]
    were: tuple[str, str] = field(default=("", ""))

    @property
    def profiles(self) -> dict[str, Any]:
        """The entries by id."""
        found: dict[str, Any] = self.store["profiles"]
        return found

    def order(self, provider: ProviderId, name: str, ids: Sequence[str]) -> None:
        """Set an order; ``name`` is what OpenClaw calls the provider, where it has no order yet. Without ids it is removed."""
        orders = self.state.get("order", {})
        if not isinstance(orders, dict):
            raise InputError(f"order is not an object in {self.state_path}", hint="is it the right file?")
        key = next((known for known in orders if means(known, provider)), name)
        changed = {known: listed for known, listed in orders.items() if known != key or ids}
        self._keep(changed | ({key: list(ids)} if ids else {}))

    def remove(self, names: Sequence[str]) -> None:
        """Take entries out, and out of the orders."""
        for name in names:
            self.profiles.pop(name, None)
        orders = self.state.get("order")
        if not isinstance(orders, dict):
            return
        left = {p: [i for i in ids if i not in names] if isinstance(ids, list) else ids for p, ids in orders.items()}
        self._keep({provider: ids for provider, ids in left.items() if ids or not orders[provider]})

    def _keep(self, orders: dict[str, Any]) -> None:
        if orders or self.state.get("order") == {}:
            self.state["order"] = orders
        else:
            self.state.pop("order", None)

    def writes(self) -> list[Write]:
        """The files that changed, whole."""
        now = _text(self.store), _text(self.state)
        files = [(self.store_path, self.store)] if now[0] != self.were[0] else []
        if self.state is not self.store and now[1] != self.were[1]:
            files.append((self.state_path, self.state))
        return [Write(path, styled(path, document, newline=True)) for path, document in files]


def documents_of(folder: Path) -> Documents:
    """An agent's JSON store. Raises InputError, StorageError."""
    path, beside = folder / AGENT_FILES[0], folder / STATE_FILE
    store = object_in(path)
    together = kind_of(beside) == "missing" and any(name in store for name in _STATE_FIELDS)
    state = store if together else object_in(beside)
    if store and "profiles" not in store:
        raise InputError(
            f"{path} has the form of an older version", hint="start OpenClaw once, which brings it up to date"
        )
    store.setdefault("version", _VERSION)
    if not isinstance(store.setdefault("profiles", {}), dict):
        raise InputError(f"{path} is not an OpenClaw store: profiles is not an object", hint="is it the right file?")
    state.setdefault("version", _VERSION)
    were = _text(store), _text(state)
    return Documents(path, path if together else beside, store, state, were)


@contextmanager
def locked(target: Target) -> Iterator[None]:
    """OpenClaw's lock on each of its JSON stores; nothing where its store is a database, which its own commands write.

    Raises TryAgain after ten seconds, StorageError.
    """
    place = place_of(target)
    folders = sorted(folder for folder in place.folders.values() if kind_of(folder) == "folder") if place.json else []
    with ExitStack() as held:
        for folder in folders:
            held.enter_context(_lock(folder / AGENT_FILES[0]))
        yield


@contextmanager
def _lock(store: Path) -> Iterator[None]:
    path = store.with_name(f"{store.name}.lock")
    until = time.monotonic() + LOCK_SECONDS
    while not _made(path):
        if _abandoned(path):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
            continue
        if time.monotonic() > until:
            raise TryAgain(f"OpenClaw has {store} locked", hint="try again when it is done")
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _made(path: Path) -> bool:
    try:
        handle = make_private(path, os.O_WRONLY)
    except FileExistsError:
        return False
    except OSError as error:
        raise StorageError(f"{path} can't be made: {error.strerror}", hint="look at its folder") from None
    created = format_instant_exact(time.time_ns() // 1000)
    with os.fdopen(handle, "w") as file:
        json.dump({"pid": os.getpid(), "createdAt": created[:-4] + "Z"}, file)
    return True


def _abandoned(path: Path) -> bool:
    try:
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            return True
        pid = parse_json(read_regular(path, LARGEST_LOCK), str(path)).get("pid")
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, InputError, AttributeError, TypeError, OverflowError):
        return False
    return False


def _text(document: object) -> str:
    return json.dumps(document, sort_keys=False)
