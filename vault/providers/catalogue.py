"""The providers vault knows by name, and the environment variables their keys live in.

The facts are data, in ``data/providers.json``: read once, when first asked, in about two milliseconds. An id that is not in
the catalogue is a custom provider: lowercase letters, digits and hyphens, its key in ``ID_API_KEY``. Only a name that holds
a secret counts as "this provider is set in the environment": a region, an account or a project alone says nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vault.errors import InputError, NotFound
from vault.values import ProviderId, parse_provider

_CUSTOM = re.compile(r"[0-9a-z-]+")
_DATA = os.path.join(os.path.dirname(__file__), "data", "providers.json")
_LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Provider:
    """What the catalogue says about one provider.

    ``env`` is every variable its tools read, secret or not. ``key_env`` are the names a key or token is injected under and
    read from, all of them alternatives; empty where a key can't be given that way. ``also_env`` are other names under which
    some tools read the same secret: read, and taken out of a child's environment, but not injected. ``env_sets`` are
    variables that together satisfy the provider without being a key: an AWS key pair, the path of a credentials file.
    ``shared_with`` are the providers that one of these variables satisfies as well.
    """

    id: ProviderId
    name: str
    env: tuple[str, ...]
    key_env: tuple[str, ...]
    also_env: tuple[str, ...]
    env_sets: tuple[tuple[str, ...], ...]
    api: str | None
    doc: str
    shared_with: tuple[ProviderId, ...]


def provider(provider_id: str) -> Provider | None:
    """What is known about a provider, or None for one that is not in the catalogue."""
    return _catalogue().get(ProviderId(provider_id))


def providers() -> list[Provider]:
    """The whole catalogue, by id."""
    return list(_catalogue().values())


def resolve(text: str) -> ProviderId:
    """The provider a person means: an id or a display name, in any case, or a custom id.

    Raises NotFound, naming the nearest ids, when it is neither but looks like one; InputError when it is nothing like one.
    """
    wanted = text.strip().casefold()
    known = _catalogue()
    if ProviderId(wanted) in known:
        return ProviderId(wanted)
    for entry in known.values():
        if entry.name.casefold() == wanted:
            return entry.id
    if _CUSTOM.fullmatch(text):
        return parse_provider(text)
    near = nearest(text)
    if near and len(text) <= _LONGEST_SHOWN:
        raise NotFound(f"there is no provider {text!r}", hint=f"did you mean {' or '.join(near)}?")
    parse_provider(text)
    raise InputError(
        "that is neither a known provider nor a custom id",
        hint="a custom id has only lowercase letters, digits and hyphens",
    )


def nearest(text: str, limit: int = 3) -> list[ProviderId]:
    """Up to ``limit`` ids of the catalogue whose id or name is most like the text, best first; maybe none."""
    from difflib import get_close_matches

    names: dict[str, ProviderId] = {}
    for entry in _catalogue().values():
        names.setdefault(entry.name.casefold(), entry.id)
    names.update({i: i for i in _catalogue()})
    found = get_close_matches(text.strip().casefold(), names, n=2 * limit, cutoff=0.7)
    return list(dict.fromkeys(names[name] for name in found))[:limit]


def env_names(provider_id: ProviderId) -> tuple[str, ...]:
    """The variables a provider's key is injected under, all of them; none where a key can't be given that way."""
    entry = provider(provider_id)
    if entry is not None:
        return entry.key_env
    return (re.sub(r"[.-]", "_", provider_id).upper() + "_API_KEY",)


def read_names(provider_id: ProviderId) -> tuple[str, ...]:
    """Variables a secret of this provider is read from, first first: those it is injected under, then the other ones."""
    known = provider(provider_id)
    return env_names(provider_id) + (known.also_env if known else ())


def environment_hits(environ: Mapping[str, str]) -> list[tuple[ProviderId, str]]:
    """Which providers are satisfied by which variable that is set and not blank, by provider and then as tools read them.

    A set of variables is named by its last one, which holds the secret. Whether a hit is a key that can be handed on is
    whether its name is in the provider's ``key_env`` or ``also_env``.
    """
    here = {name for name, value in environ.items() if value.strip()}
    hits: list[tuple[ProviderId, str]] = []
    for entry in _catalogue().values():
        hits += [(entry.id, name) for name in entry.key_env + entry.also_env if name in here]
        hits += [(entry.id, names[-1]) for names in entry.env_sets if here.issuperset(names)]
    return hits


@cache
def _catalogue() -> dict[ProviderId, Provider]:
    with open(_DATA, "rb") as file:
        data = json.load(file)
    amended = {row["id"]: row | data["amendments"].get(row["id"], {}) for row in data["providers"]}
    users: dict[str, list[ProviderId]] = {}
    for name in amended:
        for variable in _secret_names(amended[name]):
            users.setdefault(variable, []).append(ProviderId(name))
    return {ProviderId(name): _provider(row, users) for name, row in sorted(amended.items())}


def _secret_names(row: dict[str, Any]) -> list[str]:
    return [*row.get("key_env", row["secret_env"]), *row.get("also_env", ()), *(s[-1] for s in row.get("env_sets", ()))]


def _provider(row: dict[str, Any], users: dict[str, list[ProviderId]]) -> Provider:
    sharing = {other for variable in _secret_names(row) for other in users[variable]} - {row["id"]}
    return Provider(
        id=ProviderId(row["id"]),
        name=row["name"],
        env=tuple(row["env"]),
        key_env=tuple(row.get("key_env", row["secret_env"])),
        also_env=tuple(row.get("also_env", ())),
        env_sets=tuple(tuple(names) for names in row.get("env_sets", ())),
        api=row["api"],
        doc=row["doc"],
        shared_with=tuple(sorted(sharing)),
    )
