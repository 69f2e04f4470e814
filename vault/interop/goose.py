"""Goose: ``secrets.yaml``, a flat map of variables, and ``custom_providers``, a JSON file for each server of one's own.

| where | becomes |
|---|---|
| a provider's variable in ``secrets.yaml`` | ``PROVIDER:default`` |
| the ``api_key_env`` of a custom provider there | the same, of the provider at its ``base_url``; or of that server |
| ``goose``/``secrets`` in the OS keyring | skipped; Goose uses it unless ``GOOSE_DISABLE_KEYRING`` is set |

Connected, a custom provider's ``auth`` is a command that Goose runs without a shell and again after five minutes, or when the
server refuses; ``api_key_env`` is then empty. Goose's own providers have no such setting: a variable, which comes before both
stores, is how they are served. There is no lock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop.commands import asks_a_vault
from vault.interop.documents import addressed, object_in, yaml_bytes, yaml_in
from vault.interop.entries import former_profile, ownership_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import Home, fits, home_of
from vault.interop.hosts import host_of
from vault.interop.plans import ANOTHER, Injection, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, names_in, shown_name
from vault.interop.styled import mode_of, styled
from vault.interop.tools import Orders, Tool
from vault.providers import base_urls, catalogue
from vault.values import DEFAULT_NAME, MAIN_AGENT, ProviderId, Secret, name_of, profile_id

NAME, _TITLE = "goose", "Goose"
KEPT = "goose"
_SECRETS, _CUSTOM = "secrets.yaml", "custom_providers"
_EXEC = "vault exec --tool goose -- goose"
_REFRESH_SECONDS, _TIMEOUT_SECONDS = 300, 10
_ENGINES = ("openai", "anthropic", "ollama")
_RING = "keyring:goose/secrets"


@dataclass(frozen=True, slots=True)
class Custom:
    """A server of one's own: its file, its document, and the provider that its address is."""

    path: Path
    document: dict[str, Any]

    @property
    def variable(self) -> str:
        """The variable that holds its key, or nothing."""
        name = self.document.get("api_key_env")
        return name if isinstance(name, str) else ""

    @property
    def address(self) -> str:
        """Its address."""
        return str(self.document.get("base_url") or "")

    def home(self, environ: Mapping[str, str]) -> Home:
        """Whose its key is: that of the provider at its address, else of that server, which speaks the API of its engine.

        Raises InputError for an address that is none.
        """
        if not self.address:
            raise InputError(f"{self.path.name} has no address")
        engine = str(self.document.get("engine") or "openai").split("_")[0]
        return home_of(catalogue.resolve(engine) if engine in _ENGINES else ProviderId("openai"), self.address, environ)

    def is_of(self, provider: str, base_url: str, environ: Mapping[str, str]) -> bool:
        """Whether a credential of a provider, and of a server where that is another one, belongs to this one.

        One that earlier versions called like its host has the server in its provider's name.
        """
        try:
            home = self.home(environ)
        except InputError:
            return False
        if (home.provider, home.base_url) == (provider, base_url):
            return True
        return bool(home.base_url) and provider == host_of(self.address) and base_url in ("", home.base_url)

    def is_meant(self, provider: str, base_url: str, environ: Mapping[str, str]) -> bool:
        """Whether a person who names a provider means this one: by its own id, or by its address."""
        if provider in (self.path.stem, self.document.get("name")):
            return fits(provider, base_url, self.address, environ)
        return self.is_of(provider, base_url, environ)


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The file Goose keeps its secrets in where it has no keyring, and the folder of servers."""
    folder = _usual(environ, home)
    return [folder / _SECRETS, folder / _CUSTOM]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The keys of ``secrets.yaml``. ``source`` is it, or its folder. Raises NotFound, InputError, StorageError."""
    folder = _folder(source, environ, home)
    path = folder / _SECRETS
    findings = Findings(NAME)
    if kind_of(folder / "config.yaml") == "file" and "GOOSE_DISABLE_KEYRING" not in environ:
        why = "goose keeps its keys in the OS keyring; vault login PROVIDER --stdin takes one from there"
        findings.skipped.append(Skipped(_RING, str(folder / "config.yaml"), why))
    if kind_of(path) == "missing":
        if not findings.skipped:
            raise NotFound(f"{_TITLE} keeps nothing at {path}", hint="name its secrets.yaml with --from")
        return findings
    findings.paths.append(str(path))
    whose = _Whose(list(_customs(folder)), _hosts(folder), environ)
    for name, value in yaml_in(path).items():
        _take(findings, path, name, value, whose)
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put keys into ``secrets.yaml`` under the names Goose asks for. Raises InputError, StorageError."""
    plan = Plan(NAME)
    folder = _folder(target.path, target.environ, target.home)
    path = folder / _SECRETS
    document, whose = yaml_in(path), _Whose(list(_customs(folder)), _hosts(folder), target.environ)
    changed = False
    for one in outgoing:
        name, why = _variable(one, document, whose), ""
        if not isinstance(one.credential, ApiKey | Token):
            why = f"a {one.credential.kind} doesn't last in a file; {_EXEC}"
        elif not name:
            why = "no variable of Goose's is known for it"
        elif whose.takes_elsewhere(name, one):
            why = f"{_TITLE} would send {name} to another server than it belongs to"
        elif any(w.name == name for w in plan.written):
            why = f"{name} is another profile's already"
        if why:
            plan.left_out.append(Skipped(one.profile, str(path), why))
            continue
        secret = one.credential.secret()
        if document.get(name) != secret:
            document[name] = secret
            changed = True
        plan.written.append(Written(one.agent, one.profile, name, str(path)))
    if changed:
        plan.writes.append(Write(path, yaml_bytes(document, path), mode_of(path)))
    if plan.written and "GOOSE_DISABLE_KEYRING" not in target.environ:
        plan.notes.append(f"{_TITLE} reads {path} only while GOOSE_DISABLE_KEYRING is set")
    return plan


def connect(link: Link, target: Target) -> Plan:
    """The ``auth`` of each custom provider that is meant asks the vault. Raises InputError, StorageError."""
    plan = Plan(NAME)
    folder = _folder(target.path, target.environ, target.home)
    customs = list(_customs(folder))
    for what in link.what:
        provider, base_url = what.partition(":")[0], link.base_urls.get(what, "")
        meant = [c for c in customs if c.is_meant(provider, base_url, target.environ)]
        if not meant:
            why = f"no file in {folder / _CUSTOM} is for it, and {_TITLE}'s own providers read variables; {_EXEC}"
            plan.left_out.append(Skipped(what, str(folder / _CUSTOM), why))
        for custom in meant:
            auth = custom.document.get("auth")
            if auth and not _is_ours(auth):
                why = f"it has an auth of its own in {custom.path.name}"
                plan.left_out.append(Skipped(what, str(custom.path), why))
                continue
            command, *words = link.asks("token", what, tool=NAME)
            ours: dict[str, Any] = {"command": command, "args": words}
            ours |= {"refresh_interval": _REFRESH_SECONDS, "timeout_seconds": _TIMEOUT_SECONDS}
            if custom.variable:
                plan.notes.append(f"{custom.path.name} read {custom.variable} until now, and no longer does")
            plan.writes.append(_custom_write(custom, {**custom.document, "api_key_env": "", "auth": ours}))
    return plan


def disconnect(target: Target) -> Plan:
    """Take our ``auth`` out of every custom provider. Raises InputError, StorageError."""
    plan = Plan(NAME)
    for custom in _customs(_folder(target.path, target.environ, target.home)):
        auth = custom.document.get("auth")
        if _is_ours(auth) and not target.asks(_words(auth), "token", tool=NAME):
            plan.left_out.append(Skipped("auth", str(custom.path), ANOTHER))
        elif _is_ours(auth):
            left = {name: value for name, value in custom.document.items() if name != "auth"}
            plan.writes.append(_custom_write(custom, left))
            plan.notes.append(f"{custom.path} has no key now: name its variable in api_key_env")
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """The variables that the providers and the custom ones name. Raises InputError, StorageError."""
    folder = _folder(target.path, target.environ, target.home)
    whose = _Whose(
        addressed(lambda: list(_customs(folder)), _TITLE), {**_hosts(folder), **target.environ}, target.environ
    )
    values: dict[str, Secret] = {}
    used, left_out = [], {}
    for one in outgoing:
        secret = one.credential.secret()
        if secret and not isinstance(one.credential, OAuth):
            declared = {c.variable for c in whose.customs if c.variable and whose.is_of(c, one)}
            known = () if one.base_url else catalogue.env_names(one.provider)
            names = declared | {n for n in known if not whose.takes_elsewhere(n, one)}
            values |= dict.fromkeys(names, Secret(secret))
            used += [one.profile] if names else []
            if not names and (known or one.base_url):
                left_out[one.profile] = f"{_TITLE}'s configuration leads elsewhere than it belongs"
    stale = {name for one in outgoing for name in catalogue.stripped_names(one.provider)} - set(values)
    return Injection(values, frozenset(stale), used=used, left_out=left_out)


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whose each variable is: by the custom providers, and by the addresses that ``config.yaml`` and the environment move."""

    customs: Sequence[Custom]
    hosts: Mapping[str, str]
    environ: Mapping[str, str]

    def home(self, name: str) -> Home:
        """Whose the key in a variable is. Raises InputError."""
        custom = next((c for c in self.customs if c.variable == name), None)
        if custom is not None:
            return custom.home(self.environ)
        known = next((p for p in catalogue.providers_of_variable(name) if name in catalogue.env_names(p)), None)
        if known is None:
            raise InputError("no provider is known for it")
        return home_of(known, base_urls.moved_by(known, self.hosts)[1], self.environ)

    def is_of(self, custom: Custom, one: Outgoing) -> bool:
        """Whether a credential belongs to a custom provider."""
        return custom.is_of(one.provider, one.base_url, self.environ)

    def takes_elsewhere(self, name: str, one: Outgoing) -> bool:
        """Whether what is in a variable is sent to another server than a credential's."""
        customs = [c for c in self.customs if c.variable == name]
        if customs:
            return not any(self.is_of(c, one) for c in customs)
        return not fits(one.provider, one.base_url, base_urls.moved_by(one.provider, self.hosts)[1], self.environ)


def _take(findings: Findings, path: Path, name: object, value: object, whose: _Whose) -> None:
    try:
        home = whose.home(str(name))
        provider = home.provider
        credential = ApiKey(key=usable_secret(value, "value"), extra={KEPT: {"variable": str(name)}})
        taken = {f.profile for f in findings.found}
        first, second = name_of(home.profile), str(name).lower()
        names = (first, f"{first}#{second}" if home.base_url else second)
        profile = next((p for n in names if (p := profile_id(provider, n)) not in taken), None)
        if profile is None:
            raise InputError("another of its provider's keys comes before it")
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
        return
    ownership, why = ownership_of(provider, credential, _TITLE)
    former = former_profile(host_of(home.base_url), DEFAULT_NAME) if home.base_url else None
    findings.found.append(
        Found(
            MAIN_AGENT,
            profile,
            credential,
            str(path),
            ownership=ownership,
            why=why,
            former=former,
            base_url=home.base_url,
        )
    )


def _variable(one: Outgoing, document: Mapping[str, Any], whose: _Whose) -> str:
    """The name a key goes under: the one it came from, one that is there, what its provider's is called."""
    kept = one.credential.extra.get(KEPT)
    came_from = kept.get("variable") if isinstance(kept, dict) else None
    if isinstance(came_from, str):
        return came_from
    there = []
    for name in document:
        try:
            home = whose.home(str(name))
            if (home.provider, home.base_url) == (one.provider, one.base_url):
                there.append(str(name))
        except InputError:
            continue
    declared = [c.variable for c in whose.customs if c.variable and whose.is_of(c, one)]
    others = {c.variable for c in whose.customs if not whose.is_of(c, one)}
    known = catalogue.env_names(one.provider) if catalogue.provider(one.provider) and not one.base_url else ()
    return next(iter((*there, *declared, *(n for n in known if n not in others))), "")


def _customs(folder: Path) -> Iterator[Custom]:
    """The custom providers; one that can't be read is an error. Raises InputError, StorageError."""
    for name in names_in(folder / _CUSTOM):
        path = folder / _CUSTOM / name
        if name.endswith(".json") and kind_of(path) == "file":
            yield Custom(path, object_in(path))


def _hosts(folder: Path) -> dict[str, str]:
    """The variables by which ``config.yaml`` moves a provider (``OPENAI_HOST``)."""
    try:
        return {str(name): value for name, value in yaml_in(folder / "config.yaml").items() if isinstance(value, str)}
    except InputError:
        return {}


def _is_ours(auth: object) -> bool:
    """Whether a custom provider's command asks a vault."""
    return asks_a_vault(_words(auth), "token")


def _words(auth: object) -> list[object]:
    words = auth.get("args") if isinstance(auth, dict) else None
    return [auth.get("command"), *words] if isinstance(auth, dict) and isinstance(words, list) else []


def _custom_write(custom: Custom, document: Mapping[str, Any]) -> Write:
    secret = "headers" in document
    return Write(custom.path, styled(custom.path, document), mode_of(custom.path), secret=secret)


def _folder(source: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    if source is None:
        return _usual(environ, home)
    path = source.absolute()
    return path if kind_of(path) == "folder" or not path.suffix else path.parent


def _usual(environ: Mapping[str, str], home: Path) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "Block" / "goose" / "config"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "goose"


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="vault",
    line="vault exec --tool goose -- goose",
    helper="token",
    addresses=True,
    read=read,
    write=write,
    connect=connect,
    disconnect=disconnect,
    inject=inject,
)
