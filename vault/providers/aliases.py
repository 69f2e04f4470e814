"""Other tools' names for providers and their variables, in both directions.

The ids of vault are those of models.dev. Catwalk, and with it Crush and BMO, has other ids for some of the same providers, and
reads some keys under other names: ``gemini`` is ``google``, ``IONET_API_KEY`` is ``IOINTELLIGENCE_API_KEY``. The facts are data,
in ``data/aliases.json``; that vault reads those variables too is said in ``data/providers.json``. An alias never hides an id: it
is looked up after ids and names, and before custom ids.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from functools import cache
from typing import Any, Literal

from vault.values import ProviderId

World = Literal["catwalk", "bmo"]
_DATA = os.path.join(os.path.dirname(__file__), "data", "aliases.json")
_WORLDS = ("catwalk", "bmo", "other")


def canonical(text: str) -> ProviderId | None:
    """The provider that another tool's id or display name stands for, in any case; None for anything else."""
    return _meanings().get(text.strip().casefold())


def names() -> dict[str, ProviderId]:
    """Every id and display name of other tools, in lower case, with the provider it stands for."""
    return dict(_meanings())


def aliases_of(provider: str) -> tuple[str, ...]:
    """The ids other tools have for a provider, without its own."""
    found = (row["as"] for world in _WORLDS for row in _data()[world] if row["id"] == provider and "as" in row)
    return tuple(dict.fromkeys(name for name in found if name != provider))


def known_as(world: World, provider: str) -> str | None:
    """The id a tool of that world has for a provider; None when it doesn't know it. BMO knows all that Catwalk knows."""
    return next((row["as"] for row in _rows(world) if row["id"] == provider and "as" in row), None)


def env_as(world: World, provider: str) -> tuple[str, ...]:
    """The variables a tool of that world reads for a provider, secrets and facts, without the one that moves its address."""
    return tuple(dict.fromkeys(name for row in _rows(world) if row["id"] == provider for name in row.get("env", ())))


def endpoint_env(world: World, provider: str) -> str | None:
    """The variable by which a tool of that world moves a provider's address, if there is one."""
    return next((row["endpoint_env"] for row in _rows(world) if row["id"] == provider and "endpoint_env" in row), None)


def _rows(world: World) -> list[dict[str, Any]]:
    data = _data()
    rows: list[dict[str, Any]] = data["catwalk"] + (data["bmo"] if world == "bmo" else [])
    return rows


@cache
def _meanings() -> dict[str, ProviderId]:
    found: dict[str, ProviderId] = {}
    for world in _WORLDS:
        for row in _data()[world]:
            for name in (row.get("as", ""), row.get("name", "")):
                if name:
                    found.setdefault(name.casefold(), ProviderId(row["id"]))
    return found


@cache
def _data() -> dict[str, Any]:
    with open(_DATA, "rb") as file:
        data: dict[str, Any] = json.load(file)
    return data


def allowed(provider: str, enabled: Collection[str], disabled: Collection[str], own: Collection[str] = ()) -> bool:
    """Whether a provider may be used by lists that may hold any tool's name for it, in any case. Being disabled wins.

    ``own`` are ids that the settings define: they mean themselves, whatever other tools mean by them.
    """
    if provider in _meant(disabled, own):
        return False
    return not enabled or provider in _meant(enabled, own)


def _meant(listed: Collection[str], own: Collection[str]) -> set[str]:
    spelt = [name.strip().casefold() for name in listed]
    return {name if name in own else canonical(name) or name for name in spelt}
