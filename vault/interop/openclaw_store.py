"""OpenClaw's stores in all their eras, as raw entries: which files there are, which of them are in use, who overrides whom.

| era | credentials | order and usage | shared by all agents |
|---|---|---|---|
| A | ``agents/<id>/agent/auth-profiles.json`` | the same file | main's file, copied into new agents |
| B | ``auth-profiles.json`` | ``auth-state.json`` | main's files |
| C | ``openclaw-agent.sqlite``: ``auth_profile_store`` | ``auth_profile_state`` | main's database |
| D | ``state/openclaw.sqlite``: ``authProfiles.store``; as C too | ``authProfiles.state``; as C too | that database |

The row ``auth.sharedStore`` says whether D's shared store is in use. JSON files beside a filled database are retired: OpenClaw
doesn't read them, so they are named and not taken. Older flat maps (``auth.json``, ``credentials/oauth.json``) count as JSON.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound
from vault.interop.findings import Skipped
from vault.interop.openclaw_config import Config, main_agent_folder, oauth_folder, orders_of, read_config
from vault.interop.sources import kind_of, names_in, read_database, read_json, rows_of, shown_name
from vault.parsing import parse_json
from vault.values import MAIN_AGENT, AgentId, parse_agent

AGENT_DATABASE = "openclaw-agent.sqlite"
SHARED_DATABASE = Path("state") / "openclaw.sqlite"
AGENT_FILES = ("auth-profiles.json", "auth.json")
OAUTH_FILE = "oauth.json"
STATE_FILE = "auth-state.json"
_STATE_FIELDS = ("version", "order", "lastGood", "usageStats")


@dataclass(slots=True)
class Part:
    """One container's content. Ids and entries are as they are there."""

    path: Path
    entries: dict[str, Any] = field(default_factory=dict)
    order: dict[str, list[str]] = field(default_factory=dict)
    last_good: dict[str, str] = field(default_factory=dict)
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)
    order_path: Path | None = None


@dataclass(slots=True)
class Agent:
    """What one agent has of its own, from its containers, the first winning. Each entry and order comes with its file."""

    id: AgentId
    entries: dict[str, tuple[Any, Path]] = field(default_factory=dict)
    order: dict[str, tuple[list[str], Path]] = field(default_factory=dict)
    last_good: dict[str, str] = field(default_factory=dict)
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Store:
    """A whole store. ``shared`` is the database all agents share, where there is one, ``shared_order`` its order or main's."""

    config: Config
    main: Agent = field(default_factory=lambda: Agent(MAIN_AGENT))
    others: dict[AgentId, Agent] = field(default_factory=dict)
    shared: Path | None = None
    shared_order: dict[str, tuple[list[str], Path]] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def agent(self, agent: AgentId) -> Agent:
        """An agent, made when it isn't there yet."""
        return self.main if agent == MAIN_AGENT else self.others.setdefault(agent, Agent(agent))

    def add(self, agent: Agent, part: Part | None, *, shadowed: str = "an older copy of the profile") -> None:
        """Put a container under what the agent has already. What it holds twice is named."""
        if part is None:
            return
        self.note_path(part.path)
        for name, entry in part.entries.items():
            if name in agent.entries:
                why = f"{shadowed}; the one in use is in {agent.entries[name][1]}"
                self.skipped.append(Skipped(shown_name(name), str(part.path), why))
            else:
                agent.entries[name] = (entry, part.path)
        if part.path != self.shared:
            for provider, names in part.order.items():
                agent.order.setdefault(provider, (names, part.order_path or part.path))
        agent.last_good = part.last_good | agent.last_good
        agent.usage = part.usage | agent.usage

    def note_path(self, path: Path) -> None:
        """Remember that a file was read."""
        if str(path) not in self.paths:
            self.paths.append(str(path))


def read_state_folder(folder: Path, environ: Mapping[str, str], home: Path) -> Store:
    """The store in a state folder. Raises InputError, StorageError, TryAgain."""
    store = Store(read_config(folder, environ, home))
    shared = _shared(store, folder / SHARED_DATABASE) if kind_of(folder / SHARED_DATABASE) == "file" else None
    folders = agent_folders(store, folder, environ, home)
    main = store.main
    store.add(main, _database(folders[MAIN_AGENT] / AGENT_DATABASE))
    migrated = {*main.entries, *(shared.entries if shared else ())}
    _add_files(store, main, folders[MAIN_AGENT], oauth_folder(folder, environ, home), migrated)
    _add_shared(store, shared)
    for agent, place in folders.items():
        if agent != MAIN_AGENT:
            read_agent_folder(store, agent, place)
    return store


def read_agent_folder(store: Store, agent: AgentId, folder: Path) -> None:
    """Add the store in one agent's folder. Raises InputError, StorageError, TryAgain."""
    mine = store.agent(agent)
    store.add(mine, _database(folder / AGENT_DATABASE))
    _add_files(store, mine, folder, None, set(mine.entries))


def read_one_file(store: Store, agent: AgentId, path: Path, *, sqlite: bool) -> None:
    """Add one file: a database of either kind, or a JSON store. Raises InputError, StorageError, TryAgain."""
    mine = store.agent(agent)
    if not sqlite:
        store.add(mine, _json_part(path))
        return
    store.add(mine, _database(path))
    shared = _shared(store, path)
    if mine.entries or mine.order:
        return
    if shared is None and not store.skipped:
        raise NotFound(f"OpenClaw has no store in {path}", hint="name its state folder, usually ~/.openclaw")
    store.note_path(path)
    _add_shared(store, shared)


def agent_of_folder(folder: Path) -> AgentId:
    """The agent whose folder this is, by its place, or the place a link leads to: ``agents/<id>/agent``; else main."""
    for place in (folder.absolute(), Path(os.path.realpath(folder))):
        parts = place.parts
        if len(parts) > 3 and parts[-1] == "agent" and parts[-3] == "agents":
            try:
                return parse_agent(parts[-2])
            except InputError:
                return MAIN_AGENT
    return MAIN_AGENT


def is_agent_folder(folder: Path) -> bool:
    """Whether a folder holds an agent's store."""
    return not {AGENT_DATABASE, *AGENT_FILES}.isdisjoint(names_in(folder))


def is_state_folder(folder: Path, environ: Mapping[str, str], home: Path) -> bool:
    """Whether a folder, or an agent's folder that its configuration names elsewhere, holds a store."""
    if kind_of(folder / SHARED_DATABASE) == "file" or kind_of(folder / "credentials" / OAUTH_FILE) == "file":
        return True
    if any(is_agent_folder(place) for place in places_in(folder)):
        return True
    return kind_of(folder) == "folder" and any(
        place is not None and is_agent_folder(place) for place in read_config(folder, environ, home).agents.values()
    )


def places_in(folder: Path) -> list[Path]:
    """The agents' folders below a state folder."""
    return [folder / "agents" / name / "agent" for name in names_in(folder / "agents")]


def _add_shared(store: Store, shared: Part | None) -> None:
    if shared is None:
        store.shared_order = store.main.order
        return
    store.shared = shared.path
    store.shared_order = {name: (names, shared.path) for name, names in shared.order.items()}
    store.add(store.main, shared, shadowed="the shared copy of a profile that main overrides")


def agent_folders(store: Store, folder: Path, environ: Mapping[str, str], home: Path) -> dict[AgentId, Path]:
    """Each agent's folder: main's always, another's where it is there or the configuration has the agent."""
    places = {name: folder / "agents" / name / "agent" for name in names_in(folder / "agents")}
    for name, place in store.config.agents.items():
        places[name] = place or folder / "agents" / name / "agent"
    moved = main_agent_folder(environ, home)
    folders = {MAIN_AGENT: moved or places.get(MAIN_AGENT, folder / "agents" / MAIN_AGENT / "agent")}
    for name, place in sorted(places.items()):
        if name == MAIN_AGENT or (kind_of(place) != "folder" and name not in store.config.agents):
            continue
        try:
            folders[parse_agent(name)] = place
            store.agent(AgentId(name))
        except InputError as error:
            store.skipped.append(Skipped(shown_name(name), str(place), f"the agent was left out: {error.message}"))
    return folders


def _database(path: Path) -> Part | None:
    if kind_of(path) == "missing":
        return None
    stores, states = read_database(
        path, lambda db: (rows_of(db, "auth_profile_store"), rows_of(db, "auth_profile_state"))
    )
    store = _cell(path, stores, "store_key", "primary", "store_json")
    state = _cell(path, states, "state_key", "primary", "state_json")
    return _part(path, store, state) if stores or states else None


def _shared(store: Store, path: Path) -> Part | None:
    def reader(db: sqlite3.Connection) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        return rows_of(db, "config_machine_state"), rows_of(db, "secret_store_entries")

    rows, secrets = read_database(path, reader)
    for row in secrets:
        _note_secret(store, path, row)
    cells = (_cell(path, rows, "state_key", f"authProfiles.{name}", "value_json") for name in ("store", "state"))
    part = _part(path, *cells)
    place = _cell(path, rows, "state_key", "auth.sharedStore", "value_json")
    location = place.get("location") if isinstance(place, dict) else place
    if location == "state-db":
        return part
    if location not in (None, "legacy-main"):
        why = "its value is one OpenClaw refuses; the shared store was read as if it were in use"
        store.skipped.append(Skipped("auth.sharedStore", str(path), why))
        return part
    for name in part.entries:
        why = "it is in the shared store, which is not in use here: auth.sharedStore says legacy-main"
        store.skipped.append(Skipped(shown_name(name), str(path), why))
    return None


def _note_secret(store: Store, path: Path, row: Mapping[str, Any]) -> None:
    name = str(row.get("name"))
    if row.get("deleted_at_ms") is not None:
        return
    if name.startswith("model-account:"):
        why = "a person's own account in OpenClaw's Gateway, which no agent uses without that person"
    else:
        why = "an entry of OpenClaw's secret store, not a sign-in at a provider"
    store.skipped.append(Skipped(shown_name(name), str(path), why))


def _add_files(store: Store, agent: Agent, folder: Path, credentials: Path | None, migrated: set[str]) -> None:
    """Add an agent's JSON files, or name them when ``migrated``, what its databases hold, isn't empty."""
    paths = [folder / name for name in AGENT_FILES] + ([credentials / OAUTH_FILE] if credentials else [])
    for path in paths:
        if kind_of(path) == "missing":
            continue
        if not migrated:
            store.add(agent, _json_part(path))
            continue
        others = ", ".join(shown_name(name) for name in _names_in_json(path) if name not in migrated)
        why = "OpenClaw no longer reads it and its secrets are still in plain text: delete it, or import it by itself"
        store.skipped.append(Skipped(path.name, str(path), f"{why} for {others}" if others else why))
    state = folder / STATE_FILE
    if not migrated and kind_of(state) == "file" and kind_of(folder / AGENT_FILES[0]) == "missing":
        store.add(agent, _part(state, None, read_json(state)))


def _names_in_json(path: Path) -> list[str]:
    try:
        return list(_json_part(path).entries)
    except InputError:
        return []


def _json_part(path: Path) -> Part:
    beside = path.with_name(STATE_FILE)
    own = path.name == AGENT_FILES[0] and kind_of(beside) == "file"
    part = _part(path, read_json(path), read_json(beside) if own else None)
    part.order_path = beside if own and part.order else path
    return part


def _part(path: Path, store: object, state: object) -> Part:
    if store is not None and not isinstance(store, dict):
        raise InputError(
            f"{path} is not an OpenClaw store: the top level is not an object", hint="is it the right file?"
        )
    part, store = Part(path), store or {}
    if "profiles" in store:
        if not isinstance(store["profiles"], dict):
            raise InputError(
                f"{path} is not an OpenClaw store: profiles is not an object", hint="is it the right file?"
            )
        part.entries = dict(store["profiles"])
    else:
        flat = {name: entry for name, entry in store.items() if name not in _STATE_FIELDS}
        part.entries = {f"{name}:default": _typed(name, entry) for name, entry in flat.items()}
    for source in (store, state):
        if isinstance(source, dict):
            part.order |= {name: names for name, names in orders_of(source.get("order")).items() if names}
            part.last_good |= {k: v for k, v in _table(source.get("lastGood")).items() if isinstance(v, str)}
            part.usage |= {k: v for k, v in _table(source.get("usageStats")).items() if isinstance(v, dict)}
    return part


def _typed(provider: str, entry: object) -> object:
    """A flat map's entry with the provider and the type it implies."""
    if not isinstance(entry, dict):
        return entry
    kinds = (
        ("api_key", "key"),
        ("api_key", "apiKey"),
        ("api_key", "keyRef"),
        ("token", "token"),
        ("token", "tokenRef"),
    )
    implied = next((kind for kind, name in (*kinds, ("oauth", "access")) if entry.get(name)), None)
    named = {} if implied is None or "type" in entry or "mode" in entry else {"type": implied}
    return {"provider": provider, **named, **entry}


def _cell(path: Path, rows: list[dict[str, Any]], key: str, name: str, value: str) -> Any:
    for row in rows:
        if row.get(key) == name:
            cell = row.get(value)
            return parse_json(cell if isinstance(cell, str | bytes) else "", f"the row {name} of {path}")
    return None


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
