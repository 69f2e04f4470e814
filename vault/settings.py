"""Settings: one TOML file, checked key by key, with the line of every mistake; the environment overrides it.

    enabled_providers = []            # when not empty, only these are used
    disabled_providers = ["openrouter"]
    sources = ["environment", "dotenv", "envfile", "stored"]   # first first; what isn't named is not used

    [provider]
    auto_update = false               # false: never read a catalogue that `vault provider update` fetched

    [refresh]
    leeway = "10m"                    # refresh a token handed to a tool when less than this is left
    lease = "60s"                     # how long one process may take for a refresh before another tries

    [providers.amazon-bedrock]
    auth_source = "profile"           # pins the source, and switches every other one off
    region = "eu-west-1"
    profile = "work"

Another tool's id of a provider (``[providers.bedrock]``) means that provider; with a ``family`` it is an id of one's own. BMO's
spellings are understood: ``[providers.bedrock.provider_options]`` holds the same keys, ``base_url`` is ``endpoint``.
Environment: VAULT_ENABLED_PROVIDERS, VAULT_DISABLED_PROVIDERS, VAULT_SOURCES (separated by commas), VAULT_LEEWAY,
VAULT_LEASE, VAULT_CONFIG (the file), VAULT_ENV_FILE (the env file). An empty variable counts as unset, but for the two lists of
providers, which it empties.
Without a file everything has its default. No setting holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotReady
from vault.files import read_regular
from vault.guessing import did_you_mean
from vault.parsing import parse_toml
from vault.pointers import pointer_in
from vault.values import MINUTE, length_of_time, parse_provider, text_of

SOURCES = ("environment", "dotenv", "envfile", "stored")
VARIABLES = {"environment": "env", "dotenv": "dotenv", "envfile": "envfile"}
"""The sources that hold variables, and how a decision and an event write each: ``env:NAME``."""
SHOWN = {"env": "environment", "dotenv": ".env", "envfile": "env file"}
"""What a person is told of each."""
CLOUD_SOURCES = (
    "auto",
    "env",
    "profile",
    "bearer",
    "container",
    "file",
    "gcloud",
    "metadata",
    "key",
    "entra",
    "managed",
)
AUTH_SOURCES = (*SOURCES, *CLOUD_SOURCES)
LARGEST = 1024 * 1024
DEFAULT_LEEWAY = 10 * MINUTE
DEFAULT_LEASE = MINUTE

_OPTIONS = "provider_options"
_SPELLINGS = {"base_url": "endpoint"}

Canonical = Callable[[str], str | None]
"""The provider that another tool's id stands for; None for an id that stands for itself."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What is set for one provider. Empty texts mean unset."""

    auth_source: str = ""
    region: str = ""
    profile: str = ""
    project: str = ""
    location: str = ""
    endpoint: str = ""
    resource: str = ""
    scope: str = ""
    api_version: str = ""
    family: str = ""
    leeway: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. ``path`` is where the file is, or would be."""

    path: Path
    exists: bool = False
    enabled_providers: tuple[str, ...] = ()
    disabled_providers: tuple[str, ...] = ()
    sources: tuple[str, ...] = SOURCES
    auto_update: bool = True
    leeway: int = DEFAULT_LEEWAY
    lease: int = DEFAULT_LEASE
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)

    @property
    def own(self) -> frozenset[str]:
        """Ids that the settings define by giving them a ``family``; none of them stands for another provider."""
        return frozenset(name for name, table in self.providers.items() if table.family)

    def provider(self, provider: str) -> ProviderSettings:
        """The settings of one provider."""
        return self.providers.get(provider, ProviderSettings())


def settings_path(environ: Mapping[str, str]) -> Path:
    """Where the settings file is: VAULT_CONFIG, else the platform's configuration folder. Raises NotReady."""
    return _place(environ, "VAULT_CONFIG", "config.toml")


def env_file_path(environ: Mapping[str, str]) -> Path:
    """Where the env file is: VAULT_ENV_FILE, else the platform's configuration folder. Raises NotReady."""
    return _place(environ, "VAULT_ENV_FILE", "env")


def _place(environ: Mapping[str, str], variable: str, name: str) -> Path:
    named = environ.get(variable, "")
    if named:
        try:
            return Path(named).expanduser().absolute()
        except RuntimeError:
            raise NotReady(f"{variable} names the home of a user who isn't there", hint="give a whole path") from None
    from platformdirs import PlatformDirs

    return Path(PlatformDirs("agent-vault", appauthor=False).user_config_dir) / name


def read_settings(environ: Mapping[str, str], canonical: Canonical = lambda _: None) -> Settings:
    """The settings in force. Raises NotReady (exit 78) naming file, line and key of the first mistake.

    ``canonical`` says what other tools' ids in ``[providers.ID]`` stand for; without it each stands for itself.
    """
    path = settings_path(environ)
    try:
        text = text_of(read_regular(path, LARGEST))
    except FileNotFoundError:
        return _overridden(Settings(path), environ)
    except (OSError, InputError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise NotReady(
            f"the settings file {path} can't be read: {reason}", hint="check its owner, mode and content"
        ) from None
    return _overridden(parse_settings(text, path, canonical), environ)


def parse_settings(text: str, path: Path, canonical: Canonical = lambda _: None) -> Settings:
    """Settings from TOML, which may start with a byte order mark. ``canonical`` as in ``read_settings``. Raises NotReady."""
    text = text.removeprefix("\ufeff")
    try:
        document = parse_toml(text, f"the settings file {path}")
    except InputError as error:
        raise NotReady(error.message, hint="vault config edit") from None
    return _Reader(text, path, canonical).settings(document)


class _Reader:
    """Checks a document and knows the lines of its keys."""

    def __init__(self, text: str, path: Path, canonical: Canonical) -> None:
        self._text = text
        self._path = path
        self._canonical = canonical

    def settings(self, document: dict[str, Any]) -> Settings:
        found = Settings(self._path, exists=True)
        top: dict[str, Callable[[Any, str], Any]] = {
            "enabled_providers": self._providers,
            "disabled_providers": self._providers,
            "sources": self._sources,
        }
        for key, value in document.items():
            if key in top:
                found = replace(found, **{key: top[key](value, key)})
            elif key == "provider":
                for name, inner in self._table(value, key).items():
                    if name != "auto_update" or not isinstance(inner, bool):
                        also = _maybe(key, ("providers",)) if isinstance(inner, dict) else ""
                        raise self._wrong(("provider", name), f"the only key here is auto_update, true or false{also}")
                    found = replace(found, auto_update=inner)
            elif key == "refresh":
                for name, inner in self._table(value, key).items():
                    if name not in ("leeway", "lease"):
                        also = _maybe(name, ("leeway", "lease"))
                        raise self._wrong(("refresh", name), f"the keys here are leeway and lease{also}")
                    length = self._length(inner, "refresh", name)
                    found = replace(found, leeway=length) if name == "leeway" else replace(found, lease=length)
            elif key == "providers":
                found = replace(found, providers=self._all(self._table(value, key)))
            else:
                also = _maybe(key, (*top, "provider", "refresh", "providers"))
                raise self._wrong((key,), f"there is no such setting{also}")
        return found

    def _all(self, tables: dict[str, Any]) -> dict[str, ProviderSettings]:
        """Every provider's settings by its own id, whatever it is called in the file."""
        found: dict[str, ProviderSettings] = {}
        called: dict[str, str] = {}
        for name, value in tables.items():
            table = self._provider(name, value)
            meant = name if table.family else self._canonical(name) or name
            if meant in found:
                other = called[meant]
                raise self._wrong(("providers", name), f"providers.{other} is the same provider, {meant}: keep one")
            found[meant], called[meant] = table, name
        return found

    def _provider(self, provider: str, value: Any) -> ProviderSettings:
        place = ("providers", provider)
        try:
            parse_provider(provider)
        except InputError as error:
            raise self._wrong(place, error.message) from None
        found = ProviderSettings()
        for name, written, inner in self._pairs(self._table(value, *place), place):
            if name == "leeway":
                found = replace(found, leeway=self._length(inner, *written))
                continue
            if name == "api_key":
                raise self._wrong(
                    written, f"a key is a credential and no setting; take it out: {_key_line(provider, inner)}"
                )
            if name not in ProviderSettings.__dataclass_fields__:
                known = ", ".join(ProviderSettings.__dataclass_fields__)
                also = _maybe(name, ProviderSettings.__dataclass_fields__)
                raise self._wrong(written, f"the keys here are {known}{also}")
            if not isinstance(inner, str):
                raise self._wrong(written, "it must be a text")
            if name == "auth_source" and inner not in AUTH_SOURCES:
                also = _maybe(inner, AUTH_SOURCES)
                raise self._wrong(written, f"it is one of {', '.join(AUTH_SOURCES)}{also}")
            found = replace(found, **{name: inner})  # type: ignore[arg-type]
        return found

    def _pairs(self, table: dict[str, Any], place: tuple[str, ...]) -> list[tuple[str, tuple[str, ...], Any]]:
        """(key, where it is written, value) of a provider's table and its ``provider_options``, each key once."""
        written = [((*place, name), inner) for name, inner in table.items() if name != _OPTIONS]
        options = self._table(table.get(_OPTIONS, {}), *place, _OPTIONS)
        written += [((*place, _OPTIONS, name), inner) for name, inner in options.items()]
        found: dict[str, tuple[str, ...]] = {}
        pairs = []
        for where, inner in written:
            name = _SPELLINGS.get(where[-1], where[-1])
            if name in found:
                raise self._wrong(where, f"{'.'.join(found[name])} is the same setting: keep one")
            found[name] = where
            pairs.append((name, where, inner))
        return pairs

    def _table(self, value: Any, *place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._wrong(place, "it must be a table")
        return value

    def _providers(self, value: Any, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
            raise self._wrong((key,), "it must be a list of provider ids")
        return tuple(value)

    def _sources(self, value: Any, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or any(v not in SOURCES for v in value) or len(set(value)) != len(value):
            also = _maybe_one_of(value if isinstance(value, list) else [], SOURCES)
            raise self._wrong((key,), f"it is a list of {', '.join(SOURCES)}, each at most once{also}")
        return tuple(value)

    def _length(self, value: Any, *place: str) -> int:
        try:
            return length_of_time(str(value))
        except InputError as error:
            raise self._wrong(place, f"{error.message}: {error.hint}") from None

    def _wrong(self, place: tuple[str, ...], why: str) -> NotReady:
        return NotReady(
            f"{self._path}, line {_line(self._text, place)}: {'.'.join(place)}: {why}", hint="vault config edit"
        )


def _key_line(provider: str, value: object) -> str:
    """The line that keeps what stands as a provider's key. Only a variable's name is repeated."""
    pointer = pointer_in(value) if isinstance(value, str) else None
    if pointer is None:
        return f"vault login {provider} keeps it"
    named = f"'${{{pointer.target}}}'" if pointer.scheme == "env" and pointer.target.isidentifier() else "REFERENCE"
    return f"vault login {provider} --reference {named} keeps it"


def _maybe(text: str, names: Iterable[str]) -> str:
    """What was probably meant, as the end of a sentence; nothing when there is nothing like it."""
    meant = did_you_mean(text, names)
    return f"; {meant}" if meant else ""


def _maybe_one_of(values: Iterable[Any], names: Collection[str]) -> str:
    """The same for the first of several that is none of the names."""
    return next((_maybe(value, names) for value in values if isinstance(value, str) and value not in names), "")


_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEYS = rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*"
_HEADER = re.compile(rf"\s*\[\[?{_KEYS}\]\]?\s*(?:#.*)?$")
_PAIR = re.compile(rf"{_KEYS}=(.*)$")


def _line(text: str, place: tuple[str, ...]) -> int:
    """The line a key or a table stands on, an inline table's when the key is in one."""
    inside: tuple[str, ...] = ()
    nearest, depth, quote = 1, 0, ""
    for number, line in enumerate(text.split("\n"), start=1):
        if quote:
            quote = "" if quote in line else quote
            continue
        header, pair = _HEADER.match(line), _PAIR.match(line)
        found = header or pair
        if found is None:
            continue
        keys = tuple(k[1:-1] if k[0] in "\"'" else k for k in re.findall(_KEY, found[1]))
        here = keys if header else inside + keys
        if here[: len(place)] == place:
            return number
        if place[: len(here)] == here and len(here) > depth:
            nearest, depth = number, len(here)
        if header:
            inside = keys
        elif pair:
            quote = next((q for q in ('"""', "'''") if pair[2].count(q) % 2), "")
    return nearest


def _overridden(found: Settings, environ: Mapping[str, str]) -> Settings:
    for key in ("enabled_providers", "disabled_providers", "sources"):
        name = f"VAULT_{key.upper()}"
        if name not in environ:
            continue
        values = tuple(v.strip() for v in environ[name].split(",") if v.strip())
        if key == "sources":
            if not values:
                continue
            if any(v not in SOURCES for v in values) or len(set(values)) != len(values):
                also = _maybe_one_of(values, SOURCES)
                raise NotReady(
                    f"{name} names an unknown source, or one twice",
                    hint=f"use {', '.join(SOURCES)}, separated by commas{also}",
                )
        found = replace(found, **{key: values})  # type: ignore[arg-type]
    for key in ("leeway", "lease"):
        name = f"VAULT_{key.upper()}"
        if environ.get(name):
            try:
                length = length_of_time(environ[name])
                found = replace(found, leeway=length) if key == "leeway" else replace(found, lease=length)
            except InputError as error:
                raise NotReady(f"{name}: {error.message}", hint=error.hint) from None
    return found
