"""A plugin for ``llm``: a key that its own ``keys.json`` doesn't have comes from the vault.

``llm`` looks a key up by an alias (``openai``, ``gemini``, …): an explicit ``--key`` first, then ``keys.json``, then a variable.
The vault answers for aliases that are missing from ``keys.json``, so that what a person stored there on purpose stays in force. A
hand-out is in the history, for the agent of VAULT_AGENT. An alias that a model of a person's own sends to another server
(``api_base`` in ``extra-openai-models.yaml``) gets what belongs to that server, or nothing. When the vault has nothing, ``llm``
goes on to the variable; when it can't be opened, it says so on stderr, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vault.adapters import tell

ALIASES = {"gemini": "google", "palm": "google", "claude": "anthropic", "grok": "xai", "together": "togetherai"}


class Keys(dict[str, str]):
    """``keys.json`` as it was read, and behind it the vault."""

    def __contains__(self, alias: object) -> bool:
        return super().__contains__(alias) or (isinstance(alias, str) and self._secret(alias) is not None)

    def __getitem__(self, alias: str) -> str:
        found = super().get(alias) or self._secret(alias)
        if found is None:
            raise KeyError(alias)
        return found

    def _secret(self, alias: str) -> str | None:
        """The vault's secret for an alias; handed out once a run."""
        if alias not in _HANDED:
            _HANDED[alias] = _from_vault(alias)
        return _HANDED[alias]


_HANDED: dict[str, str | None] = {}


def _from_vault(alias: str) -> str | None:
    from vault.api import open_vault
    from vault.errors import InputError, NotFound, VaultError
    from vault.interop.homes import fits
    from vault.interop.llm import keys_file, servers_in
    from vault.providers import catalogue

    name = ALIASES.get(alias, alias)
    if ":" not in name and catalogue.provider(name) is None:
        return None
    try:
        address = servers_in(keys_file(os.environ, Path.home()).parent).get(alias)
        with open_vault() as vault:
            held = {p.profile: p.held.facts.base_url for p in vault.profiles().profiles} if ":" in name else {}
            if not fits(name.partition(":")[0], held.get(name, ""), address, os.environ):
                return None
            return vault.credential(name, program="llm").secret.reveal()
    except (NotFound, InputError):
        return None
    except VaultError as error:
        tell(f"vault: {error}")
        return None


def _behind(load: Callable[[], dict[str, str]]) -> Callable[[], dict[str, str]]:
    def load_keys() -> dict[str, str]:
        return Keys(load())

    return load_keys


def register_models(register: Any) -> None:  # noqa: ARG001 - llm's signature
    """llm's hook: called before a model, and so a key, is looked up."""
    import llm

    if not getattr(llm.load_keys, "from_vault", False):
        wrapped = _behind(llm.load_keys)
        wrapped.from_vault = True  # type: ignore[attr-defined]
        llm.load_keys = wrapped


def _marked() -> None:
    """Mark the hook as llm's plug-in manager wants it, where llm is there."""
    import llm

    llm.hookimpl(register_models)


_marked()
