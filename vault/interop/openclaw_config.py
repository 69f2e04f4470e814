"""OpenClaw's folders and its configuration, ``openclaw.json``: the part of it that is about credentials.

The configuration is JSON5. OpenClaw writes plain JSON; a file that a person put comments into is named and not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault.errors import InputError
from vault.interop.findings import Skipped
from vault.interop.openclaw_refs import asks_vault
from vault.interop.sources import kind_of, read_json, shown_name

_NAMES = ("openclaw.json", "clawdbot.json")
_FOLDERS = (".openclaw", ".clawdbot", ".moltbot")
_VAULT = re.compile(r"(?:agent-)?vault(?:-.*)?")
_NO_KEY = ("secretref-managed", "secretref-env:", "__env__:", "__OPENCLAW_REDACTED__")


@dataclass(slots=True)
class Config:
    """What the configuration says about credentials. ``agents`` are ids with their folders, where one is given.

    ``files`` are the paths of file sources by alias; ``sources`` are all aliases, and whether each is the vault.
    """

    path: Path
    agents: dict[str, Path | None] = field(default_factory=dict)
    order: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    sources: dict[str, bool] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def asks_vault(self, entry: Mapping[str, Any]) -> bool:
        """Whether an entry of the store is a reference to the vault; one that is left after it was disconnected, too."""
        refs = [entry.get(name) for name in ("keyRef", "tokenRef", "key", "token")]
        aliases = [ref.get("provider") for ref in refs if isinstance(ref, dict) and ref.get("source") == "exec"]
        return any(
            self.sources.get(alias, bool(_VAULT.fullmatch(alias))) for alias in aliases if isinstance(alias, str)
        )


def state_folders(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The folders OpenClaw may keep its state in, in the order it looks for them."""
    base = _path(environ.get("OPENCLAW_HOME", "").strip() or str(home), home)
    named = environ.get("OPENCLAW_STATE_DIR", "").strip()
    if named:
        return [_path(named, base)]
    profile = environ.get("OPENCLAW_PROFILE", "").strip()
    if profile and profile != "default":
        return [base / f".openclaw-{profile}"]
    return [base / name for name in _FOLDERS]


def main_agent_folder(environ: Mapping[str, str], home: Path) -> Path | None:
    """The main agent's folder where the environment moves it."""
    named = environ.get("OPENCLAW_AGENT_DIR", "").strip() or environ.get("PI_CODING_AGENT_DIR", "").strip()
    return _path(named, home) if named else None


def oauth_folder(folder: Path, environ: Mapping[str, str], home: Path) -> Path:
    """Where older versions kept OAuth logins, below a state folder or where the environment says."""
    named = environ.get("OPENCLAW_OAUTH_DIR", "").strip()
    return _path(named, home) if named else folder / "credentials"


def read_config(folder: Path, environ: Mapping[str, str], home: Path) -> Config:
    """The configuration of a state folder; an empty one when there is none. Raises StorageError."""
    named = environ.get("OPENCLAW_CONFIG_PATH", "").strip()
    paths = [_path(named, home)] if named else [folder / name for name in _NAMES]
    path = next((path for path in paths if kind_of(path) == "file"), None)
    config = Config(path or paths[0])
    if path is None:
        return config
    try:
        tree = read_json(path)
    except InputError as error:
        why = f"{error.message}: its order, its agents and its keys were not read"
        config.skipped.append(Skipped(path.name, str(path), why))
        return config
    _read_agents(config, _table(_table(tree).get("agents")), home)
    auth = _table(_table(tree).get("auth"))
    config.order = orders_of(auth.get("order"))
    for name, profile in _table(auth.get("profiles")).items():
        if _table(profile).get("mode") == "aws-sdk":
            why = "it has no credential of its own: OpenClaw asks the AWS SDK"
            config.skipped.append(Skipped(shown_name(name), str(path), why))
    for alias, provider in _table(_table(_table(tree).get("secrets")).get("providers")).items():
        if _table(provider).get("source") == "file" and isinstance(provider.get("path"), str):
            config.files[alias] = str(_path(provider["path"], home))
        config.sources[alias] = asks_vault(provider)
    for name, provider in _table(_table(_table(tree).get("models")).get("providers")).items():
        _note_key(config, name, _table(provider).get("apiKey"))
    return config


def orders_of(value: object) -> dict[str, list[str]]:
    """An ``order`` object: provider to profile ids, lists only, texts only, each once."""
    return {
        name.strip().lower(): list(
            dict.fromkeys(item.strip() for item in items if isinstance(item, str) and item.strip())
        )
        for name, items in _table(value).items()
        if isinstance(items, list)
    }


def _read_agents(config: Config, agents: Mapping[str, Any], home: Path) -> None:
    entries: list[tuple[Any, Any]] = list(_table(agents.get("entries")).items())
    listed = agents.get("list")
    entries += [(_table(item).get("id"), item) for item in listed] if isinstance(listed, list) else []
    for name, entry in entries:
        if isinstance(name, str) and name:
            place = _table(entry).get("agentDir")
            config.agents[name.lower()] = _path(place, home) if isinstance(place, str) and place else None


def _note_key(config: Config, provider: str, key: object) -> None:
    if isinstance(key, dict):
        ours = key.get("source") == "exec" and config.sources.get(str(key.get("provider")))
        why = (
            "OpenClaw asks the vault for it"
            if ours
            else "a reference in the configuration, not in the store: OpenClaw resolves it"
        )
    elif not isinstance(key, str) or not key or key.startswith(_NO_KEY):
        return
    elif key.startswith("$"):
        why = "a reference to an environment variable in the configuration, not in the store"
    else:
        why = f"a key or profile id in the configuration, not in the store: take a key over with vault login {provider}"
    config.skipped.append(Skipped(shown_name(f"models.providers.{provider}.apiKey"), str(config.path), why))


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _path(text: str, home: Path) -> Path:
    return home / text[1:].lstrip("/\\") if text == "~" or text.startswith(("~/", "~\\")) else Path(text).absolute()
