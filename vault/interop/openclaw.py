"""OpenClaw: where its store is, and what of it is where.

| what | module |
|---|---|
| folders, configuration | ``openclaw_config`` |
| the stores of each era, who overrides whom | ``openclaw_store`` |
| an entry as a credential, and back | ``openclaw_profiles``, ``openclaw_entries`` |
| taking over | ``openclaw_findings`` |
| what is there when it is written, its lock | ``openclaw_place``, ``openclaw_documents`` |
| writing into it | ``openclaw_export`` |
| having it ask the vault | ``openclaw_connect``, ``openclaw_wiring``, ``openclaw_given``, ``openclaw_refs`` |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vault.errors import NotFound
from vault.interop.findings import Findings, Skipped
from vault.interop.openclaw_config import Config, main_agent_folder, state_folders
from vault.interop.openclaw_connect import connect, disconnect, scrub
from vault.interop.openclaw_documents import locked
from vault.interop.openclaw_export import write
from vault.interop.openclaw_findings import NAME, TITLE, findings_of
from vault.interop.openclaw_store import (
    Store,
    agent_of_folder,
    is_agent_folder,
    is_state_folder,
    places_in,
    read_agent_folder,
    read_one_file,
    read_state_folder,
)
from vault.interop.openclaw_traces import traces_in
from vault.interop.sources import is_sqlite, kind_of
from vault.interop.tools import Tool


def default_paths(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The state folders OpenClaw may use in this environment, in the order it looks for them."""
    return state_folders(environ, home)


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What OpenClaw's store holds. ``source`` is a state folder, an agent's folder, a JSON store or a database; None is the
    default place.

    Raises NotFound when there is no store, InputError for damage, StorageError, and TryAgain for a database in motion.
    """
    if source is None:
        moved = main_agent_folder(environ, home)
        folders = [folder for folder in default_paths(environ, home) if is_state_folder(folder, environ, home)]
        if not folders and moved is not None and is_agent_folder(moved):
            folders = default_paths(environ, home)[:1]
        if not folders:
            where = ", ".join(str(folder) for folder in default_paths(environ, home))
            raise NotFound(f"{TITLE} has no store; looked in {where}", hint="name its folder with --from")
        store = read_state_folder(folders[0], environ, home)
        store.skipped += traces_in(folders[0], places_in(folders[0]))
        for other in folders[1:]:
            store.skipped.append(Skipped(other.name, str(other), "another state folder: name it with --from"))
    else:
        store = _read_source(source.absolute(), home)
    return findings_of(store)


def _read_source(source: Path, home: Path) -> Store:
    kind = kind_of(source)
    if kind == "missing":
        raise NotFound(f"there is no {source}", hint=f"name {TITLE}'s state folder, or one of its stores")
    if kind != "folder":
        store = Store(Config(source))
        read_one_file(store, agent_of_folder(source.parent), source, sqlite=is_sqlite(source))
        return store
    for folder in (source, *(source / name for name in (".openclaw", ".clawdbot"))):
        if is_state_folder(folder, {}, home):
            store = read_state_folder(folder, {}, home)
            store.skipped += traces_in(folder, places_in(folder))
            return store
    folder = source if is_agent_folder(source) else source / "agent"
    if not is_agent_folder(folder):
        raise NotFound(
            f"{TITLE} has no store in {source}", hint="name its state folder, usually ~/.openclaw, with --from"
        )
    store = Store(Config(folder))
    read_agent_folder(store, agent_of_folder(folder), folder)
    store.skipped += traces_in(None, [folder])
    return store


TOOL = Tool(
    name=NAME,
    title=TITLE,
    places=default_paths,
    ownership="keys: vault; rotating logins: OpenClaw",
    line="vault connect openclaw",
    helper="openclaw",
    many=True,
    read=read,
    write=write,
    connect=connect,
    disconnect=disconnect,
    scrub=scrub,
    lock=locked,
)
