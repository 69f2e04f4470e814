"""Stores of other tools, written for tests: every byte of them is known, and so is every change."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from vault.events.credentials import decode_credential, encode_credential
from vault.interop.findings import Findings, Found

AGENT_TABLES = """
CREATE TABLE auth_profile_store (
    store_key TEXT NOT NULL PRIMARY KEY, store_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
CREATE TABLE auth_profile_state (
    state_key TEXT NOT NULL PRIMARY KEY, state_json TEXT NOT NULL, updated_at INTEGER NOT NULL) STRICT;
"""
SHARED_TABLES = """
CREATE TABLE config_machine_state (
    state_key TEXT NOT NULL PRIMARY KEY, value_json TEXT NOT NULL, updated_at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE secret_store_entries (
    scope_kind TEXT, scope_id TEXT, name TEXT, value TEXT NOT NULL, kind TEXT, deleted_at_ms INTEGER);
"""
OPENCODE_TABLES = """
CREATE TABLE credential (id TEXT PRIMARY KEY, integration_id TEXT, label TEXT NOT NULL, value TEXT NOT NULL, connector_id TEXT,
    method_id TEXT, active INTEGER, time_created INTEGER NOT NULL, time_updated INTEGER NOT NULL);
CREATE TABLE account (id TEXT PRIMARY KEY, email TEXT, url TEXT, access_token TEXT, refresh_token TEXT);
"""


def write_json(path: Path, value: Any) -> Path:
    """A JSON file with private modes, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(json.dumps(value, indent=2))
    path.chmod(0o600)
    return path


@contextmanager
def database(path: Path, tables: str, *, wal: bool = True) -> Iterator[sqlite3.Connection]:
    """A database with its tables, open, as a running tool has it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        connection.executescript(tables)
        yield connection


def write_agent_database(path: Path, store: Any = None, state: Any = None) -> Path:
    """An agent's database as OpenClaw leaves it when it ends."""
    with database(path, AGENT_TABLES) as connection:
        if store is not None:
            connection.execute("INSERT INTO auth_profile_store VALUES ('primary', ?, 1)", (json.dumps(store),))
        if state is not None:
            connection.execute("INSERT INTO auth_profile_state VALUES ('primary', ?, 1)", (json.dumps(state),))
    return path


def write_shared_database(
    path: Path, store: Any = None, state: Any = None, location: Any = "state-db", secrets: tuple[str, ...] = ()
) -> Path:
    """OpenClaw's shared database; ``location`` None leaves the row that says who owns the store away."""
    with database(path, SHARED_TABLES) as connection:
        cells = {"authProfiles.store": store, "authProfiles.state": state}
        cells["auth.sharedStore"] = {"location": location} if isinstance(location, str) else location
        for key, value in cells.items():
            if value is not None:
                connection.execute("INSERT INTO config_machine_state VALUES (?, ?, 1)", (key, json.dumps(value)))
        for name in secrets:
            row = ("team", "", name, "fake-secret-of-the-store", "secret", None)
            connection.execute("INSERT INTO secret_store_entries VALUES (?, ?, ?, ?, ?, ?)", row)
    return path


def snapshot(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Every name below a folder with its mode, inode, size, time of change and, for a file, the hash of its bytes."""
    facts = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        stat = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else os.listdir(path)
        facts[str(path)] = (stat.st_mode, stat.st_ino, stat.st_size, stat.st_mtime_ns, content)
    return facts


def by_profile(findings: Findings, agent: str = "main") -> dict[str, Found]:
    """What was found for an agent; each profile once, each credential as it will come back out of the vault."""
    mine = [found for found in findings.found if found.agent == agent]
    assert len({found.profile for found in mine}) == len(mine)
    for found in mine:
        assert decode_credential(encode_credential(found.credential)) == found.credential
        assert found.why
    return {found.profile: found for found in mine}


def skipped(findings: Findings) -> dict[str, str]:
    """Why each entry was skipped, by name."""
    return {entry.name: entry.why for entry in findings.skipped}


def orders(findings: Findings) -> dict[tuple[str, str], tuple[str, ...]]:
    """The orders found, by agent and provider."""
    return {(order.agent, order.provider): order.profiles for order in findings.orders}


def printed(findings: Findings) -> str:
    """All that an import may print of what it found."""
    facts = [f"{f.agent} {f.profile} {f.path} {f.label} {f.account} {f.why} {f.credential!r}" for f in findings.found]
    return "\n".join(
        [*facts, *(repr(order) for order in findings.orders), *(repr(entry) for entry in findings.skipped)]
    )
