"""Crush: which server each of its providers is at, and whose a key is then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.errors import InputError, VaultError
from vault.events.credentials import AnyCredential, ApiKey
from vault.interop.crush_entries import TITLE, credentials_of, profile_name, provider_called
from vault.interop.documents import object_in
from vault.interop.findings import Found
from vault.interop.homes import Home, home_of, shown


def providers_in(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The providers of a file. Raises InputError."""
    found = document.get("providers", {})
    if not isinstance(found, dict):
        raise InputError(f"{path} is not one of {TITLE}'s: providers is not an object", hint="is it the right file?")
    return found


def home_of_entry(
    name: str, credential: AnyCredential, addresses: Mapping[str, object], environ: Mapping[str, str]
) -> Home:
    """Whose a credential of an entry is."""
    return home_of(provider_called(name), addresses.get(name), environ, profile_name(credential))


def addresses_in(files: Sequence[Path]) -> dict[str, object]:
    """The address of each provider that the files give one, the first file's first; what can't be read tells none."""
    found: dict[str, object] = {}
    for path in files:
        try:
            providers = providers_in(object_in(path), path)
        except VaultError:
            continue
        for name, entry in providers.items():
            if isinstance(entry, dict) and entry.get("base_url"):
                found.setdefault(name, entry["base_url"])
    return found


def elsewhere(address: object) -> str:
    """Why a credential must not go to an address."""
    return f"{TITLE} would send it to {shown(address) if address else 'the provider itself'}, where it doesn't belong"


def is_same(name: str, entry: Any, one: Found, addresses: Mapping[str, object], environ: Mapping[str, str]) -> bool:
    """Whether an entry is the one that something was found in, and holds it still."""
    try:
        held = [c for c, _, _ in credentials_of(name, entry) if isinstance(c, ApiKey)]
        profiles = {
            home_of_entry(name, c, addresses, environ).profile for c in held if c.key == one.credential.secret()
        }
    except InputError:
        return False
    return one.profile in profiles
