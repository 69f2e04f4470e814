"""Where OpenClaw is and what is there now, for writing: its folder, its store, its configuration, its orders, its names.

What a person or OpenClaw already calls something there is what it is called; for anything new there is a table of the names
that differ. An order there excludes what it doesn't name, and so do the profiles that the configuration lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault.errors import InputError
from vault.interop.openclaw_config import Config, state_folders
from vault.interop.openclaw_findings import TITLE, Names, names_of
from vault.interop.openclaw_profiles import OLD_NAMES, canonical_provider
from vault.interop.openclaw_store import (
    AGENT_FILES,
    Agent,
    Store,
    agent_folders,
    agent_of_folder,
    is_agent_folder,
    read_one_file,
    read_state_folder,
)
from vault.interop.plans import Run, Target
from vault.interop.sources import is_sqlite, kind_of, read_text
from vault.parsing import parse_json
from vault.spelling import name_original, provider_original
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId, Secret, name_of, provider_of

PROGRAM = "openclaw"
_STATE_DIR = "OPENCLAW_STATE_DIR"
_NAMES_THERE = {
    "fireworks-ai": "fireworks",
    "kimi-for-coding": "kimi-coding",
    "moonshotai": "moonshot",
    "togetherai": "together",
}


@dataclass(slots=True)
class Place:
    """OpenClaw as it is. ``folders`` are its agents' folders; ``json`` says that its store is JSON files."""

    path: Path
    store: Store
    folders: Mapping[AgentId, Path]
    json: bool
    environ: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[AgentId, Names] = field(default_factory=dict)
    tree: Mapping[str, Any] = field(default_factory=dict)

    def entries(self, agent: AgentId) -> dict[str, Any]:
        """The raw entries an agent sees, by id: main's, and its own before them."""
        own = self.store.others.get(agent, Agent(agent)).entries if agent != MAIN_AGENT else {}
        return {name: entry for name, (entry, _) in (self.store.main.entries | own).items()}

    def ids(self, agent: AgentId) -> dict[str, ProfileId]:
        """What the ids an agent sees are called here."""
        return {**self.names.get(MAIN_AGENT, {}), **self.names.get(agent, {})}

    def provider(self, provider: ProviderId) -> str:
        """What a provider is called there."""
        entries = [
            entry for agent in (self.store.main, *self.store.others.values()) for entry, _ in agent.entries.values()
        ]
        stored = [entry.get("provider") for entry in entries if isinstance(entry, dict)]
        for name in (*self.section("models", "providers"), *stored):
            if isinstance(name, str) and means(name, provider) and name.strip().lower() not in OLD_NAMES:
                return name.strip()
        return _NAMES_THERE.get(provider) or provider_original(provider)

    def profile(self, agent: AgentId, profile: ProfileId) -> str:
        """The id a profile has there, or would have."""
        known = self.ids(agent)
        for name, here in known.items():
            if here == profile:
                return name
        made = f"{self.provider(provider_of(profile))}:{name_original(name_of(profile))}"
        return made if made not in known else f"{made}-2"

    def stored_order(self, agent: AgentId, provider: ProviderId) -> list[str] | None:
        """The agent's own order for a provider; None where it has none."""
        mine = self.store.main if agent == MAIN_AGENT else self.store.others.get(agent, Agent(agent))
        return next((list(ids) for name, (ids, _) in mine.order.items() if means(name, provider)), None)

    def order(self, agent: AgentId, provider: ProviderId) -> list[str] | None:
        """The ids there that are used for a provider, in their order, where something limits them; else None."""
        stored = self.stored_order(agent, provider)
        if stored is not None:
            return stored
        shared = {name: ids for name, (ids, _) in self.store.shared_order.items()}
        for table in (shared, self.store.config.order):
            for name, ids in table.items():
                if means(name, provider):
                    return list(ids)
        listed = self.section("auth", "profiles")
        ids = [name for name, one in listed.items() if isinstance(one, dict) and means(one.get("provider"), provider)]
        return ids or None

    def mode(self, name: str) -> str:
        """The kind of credential the configuration says a profile has; empty where it says nothing."""
        one = self.section("auth", "profiles").get(name)
        mode = one.get("mode") if isinstance(one, dict) else None
        return mode if isinstance(mode, str) else ""

    def section(self, *names: str) -> Mapping[str, Any]:
        """An object of the configuration; empty where there is none."""
        found: Any = self.tree
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def run(self, *words: str, what: str, given: Secret | None = None, changes: bool = True) -> Run:
        """A command of OpenClaw's own, for this place."""
        return Run((PROGRAM, *words), what, given, self.environ, changes)


def place_of(target: Target) -> Place:
    """OpenClaw as it is at a target: a state folder, or one JSON store. Raises InputError, StorageError, TryAgain."""
    path = target.path.absolute() if target.path is not None else None
    kind = "folder" if path is None else kind_of(path)
    if path is not None and kind == "folder" and is_agent_folder(path):
        path, kind = path / AGENT_FILES[0], kind_of(path / AGENT_FILES[0])
    if path is not None and (kind == "file" or (kind == "missing" and path.suffix == ".json")):
        return _one_document(path, kind)
    defaults = state_folders(target.environ, target.home)
    if path is None:
        path = next((folder for folder in defaults if kind_of(folder) == "folder"), defaults[0])
    elif kind_of(path / ".openclaw") == "folder":
        path = path / ".openclaw"
    elsewhere = {} if target.path is None else {_STATE_DIR: str(path)}
    environ = target.environ if path in defaults else {}
    store = read_state_folder(path, environ, target.home)
    place = Place(path, store, agent_folders(store, path, environ, target.home), _is_json(store), elsewhere)
    place.names = names_of(store)
    place.tree = _tree(store.config)
    return place


def _one_document(path: Path, kind: str) -> Place:
    agent = agent_of_folder(path.parent)
    store = Store(Config(path.parent))
    if kind == "file":
        if path.name != AGENT_FILES[0] or is_sqlite(path):
            raise InputError(f"{path} is not a store that is written", hint=f"name {TITLE}'s state folder, ~/.openclaw")
        read_one_file(store, agent, path, sqlite=False)
    place = Place(path, store, {agent: path.parent}, True)
    place.names = names_of(store)
    return place


def _is_json(store: Store) -> bool:
    return bool(store.paths) and all(path.endswith(".json") for path in store.paths)


def _tree(config: Config) -> Mapping[str, Any]:
    """The configuration whole; empty where there is none, or where it is more than JSON."""
    try:
        found = parse_json(read_text(config.path), str(config.path)) if kind_of(config.path) == "file" else {}
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def means(name: object, provider: ProviderId) -> bool:
    """Whether OpenClaw's name for a provider is this provider."""
    try:
        return isinstance(name, str) and canonical_provider(name) == provider
    except InputError:
        return False
