"""The cloud part of a provider's settings, ``[providers.ID]``: which family the provider is of, and that family's keys.

    [providers.amazon-bedrock]
    auth_source = "env"
    region = "us-east-1"

    [providers.bedrock-frankfurt]
    family = "bedrock"
    region = "eu-west-1"

The ids of the catalogue have their family; ``family`` gives one to any other id. Keys of no family are somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from vault.errors import NotReady
from vault.guessing import did_you_mean
from vault.providers.cloud import MEMBERS, family_of_id
from vault.providers.cloud.aws import BedrockSettings
from vault.providers.cloud.azure import AzureSettings
from vault.providers.cloud.google import VertexSettings

CloudSettings = BedrockSettings | VertexSettings | AzureSettings

FAMILIES: dict[str, type[CloudSettings]] = {
    "bedrock": BedrockSettings,
    "vertex": VertexSettings,
    "azure": AzureSettings,
}


def keys_of(family: str) -> tuple[str, ...]:
    """The settings a family has, beside ``family`` itself."""
    return tuple(f.name for f in fields(FAMILIES[family]) if f.name != "provider")


def family_of(provider: str, table: Mapping[str, Any]) -> str:
    """The family of a provider, or an empty text. Raises NotReady when the settings name one that doesn't exist."""
    named = table.get("family")
    if named is None:
        return family_of_id(provider)
    if named not in FAMILIES:
        every = f"use one of {', '.join(FAMILIES)}"
        raise NotReady(
            f"family of {provider} is not a family of providers", hint=did_you_mean(str(named), FAMILIES) or every
        )
    return str(named)


def cloud_settings(provider: str, table: Mapping[str, Any]) -> CloudSettings | None:
    """A provider's cloud settings, or None for one of no family. ``table`` is ``[providers.ID]``, empty when there is none.

    Raises NotReady, naming the key, when a value is not a text or not one of those it may be.
    """
    family = family_of(provider, table)
    if not family:
        return None
    values = {key: table[key] for key in keys_of(family) if key in table}
    for key, value in values.items():
        if not isinstance(value, str):
            raise NotReady(f"{key} of {provider} is not a text", hint=f'write {key} = "…"')
    return FAMILIES[family](provider=provider, **values)


def settings_of_family(family: str, tables: Mapping[str, Mapping[str, Any]]) -> list[CloudSettings]:
    """The settings of every provider of a family: the catalogue's first, then those the settings add. Raises NotReady.

    ``tables`` is the whole ``[providers]`` table.
    """
    ids = dict.fromkeys([*MEMBERS[family], *tables])
    found = [
        cloud_settings(name, tables.get(name, {})) for name in ids if family_of(name, tables.get(name, {})) == family
    ]
    return [settings for settings in found if settings is not None]
