"""Codex: where ``config.toml`` leads its keys, and the keys of model providers of a person's own.

The key of ``auth.json`` goes to OpenAI, or where ``openai_base_url`` says; while the model provider in use has
``requires_openai_auth``, to that one. Each ``[model_providers.ID]`` with an ``experimental_bearer_token``, or with an ``env_key``
(a variable, taken as a reference), is the provider ID at its ``base_url``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vault.errors import InputError, VaultError
from vault.events.credentials import AnyCredential, ApiKey, Reference
from vault.interop.codex_store import Place
from vault.interop.documents import toml_in
from vault.interop.entries import original_label, ownership_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import fits, home_of, shown
from vault.interop.sources import shown_name
from vault.providers import catalogue
from vault.values import MAIN_AGENT, ProviderId, foreign_provider

_OPENAI = ProviderId("openai")


def address_of_key(place: Place) -> str:
    """Where ``config.toml`` leads the key of ``auth.json``; an empty text for OpenAI itself, and where it can't be read."""
    try:
        document = toml_in(place.config)
    except InputError:
        return ""
    table = _tables(document).get(str(document.get("model_provider") or ""))
    if table is not None and table.get("requires_openai_auth"):
        return str(table.get("base_url") or "")
    return str(document.get("openai_base_url") or "")


def leads_elsewhere(place: Place, base_url: str, environ: Mapping[str, str]) -> str:
    """Why an API key of openai must not go to Codex; an empty text where it may. ``base_url`` is the key's own server, if any."""
    address = address_of_key(place)
    if fits(_OPENAI, base_url, address, environ):
        return ""
    return f"config.toml leads it to {shown(address) if address else 'OpenAI'}, where it doesn't belong"


def take_providers(findings: Findings, place: Place, environ: Mapping[str, str]) -> None:
    """The keys of ``config.toml``'s own model providers. Raises StorageError."""
    try:
        tables = list(_tables(toml_in(place.config)).items())
    except InputError as error:
        findings.skipped.append(Skipped(place.config.name, str(place.config), error.message))
        return
    for name, table in tables:
        try:
            for credential in _keys(table):
                home = home_of(_provider_called(name), table.get("base_url"), environ)
                if any(f.profile == home.profile for f in findings.found):
                    raise InputError(f"another one is {home.profile}")
                ownership, why = ownership_of(home.provider, credential, "Codex")
                label, path = original_label(home.profile, name), str(place.config)
                findings.found.append(
                    Found(
                        MAIN_AGENT,
                        home.profile,
                        credential,
                        path,
                        label,
                        ownership=ownership,
                        why=why,
                        base_url=home.base_url,
                    )
                )
        except InputError as error:
            findings.skipped.append(Skipped(f"model_providers.{shown_name(name)}", str(place.config), error.message))


def _keys(table: Mapping[str, Any]) -> Iterator[AnyCredential]:
    token, variable = table.get("experimental_bearer_token"), table.get("env_key")
    if token:
        yield ApiKey(key=usable_secret(token, "experimental_bearer_token"))
    elif isinstance(variable, str) and variable:
        yield Reference(scheme="env", target=str(variable))


def _tables(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = document.get("model_providers")
    tables = found if isinstance(found, Mapping) else {}
    return {str(name): table for name, table in tables.items() if isinstance(table, Mapping)}


def _provider_called(name: str) -> ProviderId:
    try:
        return catalogue.resolve(name)
    except VaultError:
        return foreign_provider(name)
