"""What OpenClaw left behind in its folders: archives of migrations with secrets in plain text, sealed files, ``.env``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from vault.errors import VaultError
from vault.interop.findings import Skipped
from vault.interop.sources import kind_of, names_in, read_json

_STORES = ("auth-profiles.json", "auth.json", "oauth.json")
_SECRETS = ("key", "apiKey", "token", "access", "refresh")


def traces_in(folder: Path | None, agent_folders: list[Path]) -> list[Skipped]:
    """Left-overs in a state folder and its agents' folders, each with a warning."""
    skipped: list[Skipped] = []
    for place in [*agent_folders, *([folder / "credentials"] if folder else [])]:
        for name in names_in(place):
            if name.startswith(tuple(f"{store}." for store in _STORES)) and (
                ".migrated-" in name or name.endswith(".bak")
            ):
                skipped.append(_archive(place / name))
    if folder is None:
        return skipped
    sealed = folder / "credentials" / "auth-profiles"
    for name in names_in(sealed):
        if name.endswith(".json"):
            why = "tokens that OpenClaw 2026.5 encrypted with a key of its own; no later version reads them"
            skipped.append(Skipped(name, str(sealed / name), why))
    if kind_of(folder / ".env") == "file":
        take = f"take it with: vault import dotenv --from {shlex.quote(str(folder / '.env'))}"
        why = f"environment variables that OpenClaw loads when it starts, in plain text; {take}"
        skipped.append(Skipped(".env", str(folder / ".env"), why))
    return skipped


def _archive(path: Path) -> Skipped:
    try:
        count = _secrets_in(read_json(path))
    except VaultError:
        return Skipped(
            path.name, str(path), "an archive of an old store that can't be read: it may hold secrets in plain text"
        )
    if not count:
        return Skipped(path.name, str(path), "an archive of an old store, without secrets")
    many = "1 secret" if count == 1 else f"{count} secrets"
    why = f"an archive of an old store that still holds {many} in plain text: delete it when nothing in it is needed"
    return Skipped(path.name, str(path), why)


def _secrets_in(value: Any) -> int:
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            count += sum(1 for name in _SECRETS if isinstance(item.get(name), str) and item[name])
            waiting.extend(item.values())
    return count
