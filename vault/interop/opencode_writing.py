"""OpenCode gets credentials: written into ``auth.json``, or given to a child in ``OPENCODE_AUTH_CONTENT``.

``auth.json`` has one entry a provider, no lock, and is replaced whole, in one step. Entries the vault has nothing for stay as
they are, readable or not. A sign-in that OpenCode goes on refreshing is never overwritten.

``OPENCODE_AUTH_CONTENT`` takes the place of the file, so the file's other entries go into it too: OpenCode writes what it read
there back to the file when a person signs in or out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.errors import InputError, StorageError, VaultError
from vault.events.credentials import Token
from vault.interop.documents import object_in
from vault.interop.findings import Skipped
from vault.interop.opencode_config import CONFIG_CONTENT, addresses, elsewhere, with_address
from vault.interop.opencode_entries import (
    TITLE,
    entry_of,
    held_in,
    is_placeholder,
    name_in,
    owns,
)
from vault.interop.plans import Injection, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of
from vault.interop.styled import styled
from vault.parsing import parse_json
from vault.providers import catalogue
from vault.values import ProfileId, ProviderId, Secret, format_instant

NAME = "opencode"
CONTENT = "OPENCODE_AUTH_CONTENT"


def data_folder(environ: Mapping[str, str], home: Path) -> Path:
    """OpenCode's data folder in this environment."""
    return Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / NAME


def auth_file(target: Target) -> Path:
    """The ``auth.json`` of a target: the file that is named, or in the folder that is, or the usual one."""
    if target.path is None:
        return data_folder(target.environ, target.home) / "auth.json"
    path = target.path.absolute()
    if kind_of(path) != "folder":
        return path
    inner = path / NAME
    return (inner if kind_of(path / "auth.json") == "missing" and kind_of(inner) == "folder" else path) / "auth.json"


def write(outgoing: Sequence[Outgoing], orders: Mapping[ProviderId, Sequence[ProfileId]], target: Target) -> Plan:
    """Put credentials into ``auth.json``. Raises InputError for a file that can't be read, StorageError."""
    plan, auth = Plan(NAME), auth_file(target)
    document = object_in(auth)
    before = dict(document)
    taken: dict[str, ProfileId] = {}
    there = addresses(target.environ, target.home)
    for one in sorted(outgoing, key=lambda o: _rank(o, orders)):
        try:
            if why := elsewhere(one, there, target):
                raise InputError(why)
            name, entry = _placed(document, one)
            if name in taken:
                raise InputError(f"{TITLE} has one credential a provider, and {taken[name]} is it")
        except InputError as error:
            plan.left_out.append(Skipped(one.profile, str(auth), error.message))
            continue
        taken[name] = one.profile
        if is_placeholder(document.get(name)):
            plan.notes.append(
                f"{TITLE} asks the vault for {one.provider} and goes on asking; vault disconnect opencode"
            )
        document[name] = entry
        if isinstance(one.credential, Token) and one.credential.expires_at is not None:
            plan.notes.append(
                f"{one.profile} ends at {format_instant(one.credential.expires_at)}; {TITLE} can't renew it"
            )
        whole = bool(one.refresh) and entry.get("refresh") == one.refresh
        plan.written.append(Written(one.agent, one.profile, name, str(auth), whole))
    if document != before:
        plan.writes.append(Write(auth, styled(auth, document)))
    plan.notes += note_of_settings(target, taken)
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """All credentials for a child, in one variable: with OpenCode's own, which are left out where they can't be read."""
    notes: list[str] = []
    document: dict[str, Any] = {}
    try:
        document = _given(target)
    except (InputError, StorageError) as error:
        notes.append(f"{error.message}; {TITLE} is given what the vault has for it, and nothing of that file")
    used: list[ProfileId] = []
    left_out: dict[ProfileId, str] = {}
    there, config = addresses(target.environ, target.home, Path.cwd()), target.environ.get(CONFIG_CONTENT, "")
    for one in outgoing:
        told = one.base_url and one.provider not in there
        if not told and (why := elsewhere(one, there, target)):
            left_out[one.profile] = why
            continue
        try:
            name, entry = entry_of(one, for_child=True)
        except InputError:
            continue
        document.pop(name_in(document, name, one.profile), None)
        document[name] = entry
        used.append(one.profile)
        config = with_address(config, one.provider, one.base_url) if told else config
    if not used:
        return Injection({}, left_out=left_out)
    competing = {name for p in used for name in catalogue.stripped_names(ProviderId(p.partition(":")[0]))}
    variables = {CONTENT: Secret(json.dumps(document, ensure_ascii=False, separators=(",", ":")))}
    variables |= {CONFIG_CONTENT: Secret(config)} if config else {}
    return Injection(variables, frozenset(competing), used=used, left_out=left_out, notes=notes)


def note_of_settings(target: Target, names: Iterable[str]) -> list[str]:
    """What in OpenCode's own configuration wins over ``auth.json`` for these providers; only plain JSON is looked at."""
    folder = Path(target.environ.get("XDG_CONFIG_HOME") or target.home / ".config") / NAME
    notes = []
    for file in (folder / "opencode.json", folder / "opencode.jsonc"):
        try:
            providers = object_in(file).get("provider")
        except VaultError:
            continue
        for name in sorted(names):
            found: Any = providers.get(name) if isinstance(providers, dict) else None
            options = found.get("options") if isinstance(found, dict) else None
            if isinstance(options, dict) and "apiKey" in options:
                notes.append(f"{file} sets provider.{name}.options.apiKey, which wins; take it out")
    return notes


def _placed(document: Mapping[str, Any], one: Outgoing) -> tuple[str, dict[str, Any]]:
    """Where an entry goes and what it is; the entry that is there when it says the same. Raises InputError."""
    name = getattr(one.credential, "url", "") or one.provider_there
    name = name_in(document, name, one.profile)
    there = document.get(name)
    held = held_in(name, there)
    if isinstance(there, dict) and held is not None and _same(held, one):
        return name, there
    if owns(one.profile, held):
        raise InputError(
            f"{TITLE} keeps its own sign-in there and refreshes it; opencode auth logout {one.provider} first"
        )
    entry = entry_of(one)[1]
    if isinstance(there, dict) and there.get("type") == entry["type"] and not is_placeholder(there):
        return name, _merged(there, entry)
    return name, entry


def _merged(there: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """A new entry with what else the old one says."""
    old, new = there.get("metadata"), entry.get("metadata")
    both = {"metadata": {**old, **new}} if isinstance(old, dict) and isinstance(new, dict) else {}
    kept = {field: value for field, value in there.items() if field not in ("accountId", "enterpriseUrl")}
    return {**kept, **entry, **both}


def _same(held: Any, one: Outgoing) -> bool:
    """Whether an entry holds this credential, with or without the refresh token that stays here."""
    if held == one.credential:
        return True
    return (
        held.kind == one.credential.kind == "oauth"
        and bool(held.secret())
        and (
            held.secret(),
            held.second_secret(),
        )
        == (one.credential.secret(), one.credential.second_secret())
    )


def _rank(one: Outgoing, orders: Mapping[ProviderId, Sequence[ProfileId]]) -> int:
    order = list(orders.get(one.provider, ()))
    return order.index(one.profile) if one.profile in order else len(order)


def _given(target: Target) -> dict[str, Any]:
    """What OpenCode would read: the variable, if it is set already, else the file."""
    try:
        found = parse_json(target.environ.get(CONTENT) or "null", CONTENT)
    except InputError:
        found = None
    return found if isinstance(found, dict) else object_in(auth_file(target))
