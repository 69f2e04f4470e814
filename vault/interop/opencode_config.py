"""Where OpenCode's own configuration leads its providers: ``provider.ID.options.baseURL``, in every file it is read from.

Later ones win there: the user's folder, ``OPENCODE_CONFIG``, the project's and its parents' files, ``OPENCODE_CONFIG_CONTENT``. A
file that can't be read tells nothing here; OpenCode itself refuses to start with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vault.errors import InputError, VaultError
from vault.interop.commented import commented_in
from vault.interop.homes import fits
from vault.interop.plans import Outgoing, Target
from vault.parsing import parse_json

CONFIG_CONTENT = "OPENCODE_CONFIG_CONTENT"
_NAMES = ("config.json", "opencode.json", "opencode.jsonc")


def addresses(environ: Mapping[str, str], home: Path, folder: Path | None = None) -> dict[str, list[str]]:
    """The addresses that are set for each provider, the one that counts last. ``folder`` is a project's, if one takes part."""
    found: dict[str, list[str]] = {}
    for document in _documents(environ, home, folder):
        providers = document.get("provider")
        for name, entry in providers.items() if isinstance(providers, dict) else ():
            options = entry.get("options") if isinstance(entry, dict) else None
            for field in ("baseURL", "endpoint"):
                address = options.get(field) if isinstance(options, dict) else None
                if isinstance(address, str) and address:
                    found.setdefault(name, []).append(address)
    return found


def elsewhere(one: Outgoing, there: Mapping[str, list[str]], target: Target) -> str:
    """Why a credential must not go to OpenCode under its provider's name; an empty text where it may."""
    for address in there.get(one.provider, [""]):
        if not fits(one.provider, one.base_url, address, target.environ):
            return _why(one.base_url, address)
    return ""


def with_address(content: str, provider: str, base_url: str) -> str:
    """``OPENCODE_CONFIG_CONTENT`` with an address of a provider; what is not JSON there gives way."""
    try:
        document = parse_json(content or "{}", CONFIG_CONTENT)
    except InputError:
        document = {}
    whole: dict[str, Any] = document if isinstance(document, dict) else {}
    providers = whole["provider"] = dict(whole.get("provider") or {})
    entry = providers[provider] = dict(providers.get(provider) or {})
    entry["options"] = {**dict(entry.get("options") or {}), "baseURL": base_url}
    return json.dumps(whole, ensure_ascii=False)


def _why(base_url: str, address: str) -> str:
    if not address:
        return f"it belongs to {base_url}, and OpenCode's configuration has no baseURL for it"
    return "OpenCode's configuration has another baseURL for its provider than the server it belongs to"


def _documents(environ: Mapping[str, str], home: Path, folder: Path | None) -> Iterator[Mapping[str, Any]]:
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    files = [settings / name for name in _NAMES]
    files += [Path(environ["OPENCODE_CONFIG"])] if environ.get("OPENCODE_CONFIG") else []
    places = [folder, *folder.parents][::-1] if folder is not None else []
    files += [place / name for place in places for name in _NAMES[1:]]
    places = [place / ".opencode" for place in places]
    places += [Path(environ["OPENCODE_CONFIG_DIR"])] if environ.get("OPENCODE_CONFIG_DIR") else []
    files += [place / name for place in places for name in _NAMES[1:]]
    for file in files:
        try:
            yield commented_in(file).document
        except VaultError:
            continue
    try:
        given = parse_json(environ.get(CONFIG_CONTENT) or "{}", CONFIG_CONTENT)
    except InputError:
        return
    if isinstance(given, dict):
        yield given
