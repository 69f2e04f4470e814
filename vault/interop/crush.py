"""Crush: ``providers`` of its data file, which it writes itself, and of its configuration, which a person writes.

| ``providers.ID`` | becomes | owner |
|---|---|---|
| ``api_key``, text | ``PROVIDER:default``, an API key | vault |
| ``api_key`` that is all ``$NAME`` or ``$(command)`` | a reference, never run by an import | where it points |
| ``oauth`` of ``hyper`` | ``hyper:crush`` | Crush: Hyper replaces the refresh token at a refresh |
| ``oauth`` of ``copilot`` | ``github-copilot:crush``; the refresh token is GitHub's | both: it doesn't rotate |

The data file comes before the configuration. A value is read like a shell's here-document: ``$``, backquote and backslash mean
something, and are written with a backslash before them; a key with quotes in it is left out, for releases differ about them.
Connected, ``api_key`` is ``"$(vault helper token …)"``, which Crush runs when it starts and again when a server refuses. Its
locks on refreshing are taken.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop.commands import words_of
from vault.interop.crush_entries import (
    KEPT,
    LOGINS,
    api_key_of,
    asks_the_vault,
    credentials_of,
    oauth_of,
)
from vault.interop.crush_homes import addresses_in, elsewhere, home_of_entry, is_same, providers_in
from vault.interop.documents import object_in
from vault.interop.entries import original_label
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import fits, same_server
from vault.interop.plans import ANOTHER, Injection, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, shown_name
from vault.interop.styled import mode_of, styled
from vault.interop.tools import Orders, Tool
from vault.log.filelock import lock_of
from vault.providers import aliases, catalogue
from vault.spelling import provider_original
from vault.values import MAIN_AGENT, Secret

NAME, _TITLE = "crush", "Crush"
_FILE = "crush.json"
_CONNECT = "vault connect crush"
_LOCK_SECONDS = 10.0


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Crush's data file, then its configuration, for this environment."""
    windows = environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    shared = Path(environ.get("XDG_DATA_HOME") or windows or home / ".local" / "share")
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    data, config = environ.get("CRUSH_GLOBAL_DATA"), environ.get("CRUSH_GLOBAL_CONFIG")
    return [Path(data or shared / "crush") / _FILE, Path(config or settings / "crush") / _FILE]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The keys and logins of both files, or of the one that is named. Raises NotFound, InputError, StorageError."""
    files = [f for f in ([_file(source)] if source is not None else places(environ, home)) if kind_of(f) != "missing"]
    if not files:
        where = source if source is not None else places(environ, home)[0]
        raise NotFound(f"{_TITLE} keeps nothing at {where}", hint="name its crush.json with --from")
    findings = Findings(NAME, [str(f) for f in files])
    addresses = addresses_in(files)
    for path in files:
        document = object_in(path)
        for name, entry in providers_in(document, path).items():
            _take(findings, path, name, entry, addresses, environ)
        servers = document.get("mcp")
        for name, server in servers.items() if isinstance(servers, dict) else ():
            if isinstance(server, dict) and server.get("oauth_token"):
                why = "an MCP server's sign-in, not a model provider's"
                findings.skipped.append(Skipped(f"mcp.{shown_name(name)}", str(path), why))
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put keys, references and whole logins into the data file. Raises InputError, StorageError."""
    plan, path = Plan(NAME), _target(target)
    document = object_in(path)
    before, addresses = _copy(document, path), addresses_in(_files(target))
    for one in outgoing:
        name = _id_of(one)
        entry = dict(before.get(name, {}))
        try:
            if one.base_url and not addresses.get(name):
                entry["base_url"] = one.base_url
            elif not fits(one.provider, one.base_url, addresses.get(name), target.environ):
                raise InputError(elsewhere(addresses.get(name)))
            if name in LOGINS and not isinstance(one.credential, OAuth) and one.provider == "github-copilot":
                raise InputError(
                    "crush login copilot takes it from apps.json itself; vault export copilot puts it there"
                )
            if any(w.name == name for w in plan.written):
                raise InputError(f"{_TITLE} has one credential a provider")
            if isinstance(one.credential, OAuth):
                entry |= _login(one, name, entry, target.now)
            else:
                entry["api_key"] = api_key_of(one.credential, entry.get("api_key"))
                if entry.get("oauth"):
                    raise InputError(f"{_TITLE} has its own sign-in there; crush logout {name} first")
        except InputError as error:
            plan.left_out.append(Skipped(one.profile, str(path), error.message))
            continue
        before[name] = entry
        plan.written.append(Written(one.agent, one.profile, name, str(path), bool(one.refresh)))
    return _changed(plan, path, document, before)


def connect(link: Link, target: Target) -> Plan:
    """``api_key`` of each provider in the data file asks the vault. Raises InputError, StorageError."""
    plan, path = Plan(NAME), _target(target)
    document = object_in(path)
    providers, addresses = _copy(document, path), addresses_in(_files(target))
    for what in link.what:
        provider, base_url = what.partition(":")[0], link.base_urls.get(what, "")
        at_home = (name for name, address in addresses.items() if same_server(base_url, address, target.environ))
        name = next(at_home, _known(provider))
        entry = providers.get(name, {})
        there = entry.get("api_key")
        if base_url and not addresses.get(name) and catalogue.provider(provider) is None:
            entry = {**entry, "base_url": base_url}
        elif not fits(provider, base_url, addresses.get(name), target.environ):
            plan.left_out.append(Skipped(what, str(path), elsewhere(addresses.get(name))))
            continue
        if entry.get("oauth"):
            why = f"{_TITLE} keeps its own sign-in there and refreshes it; crush logout {name} first"
            plan.left_out.append(Skipped(what, str(path), why))
        elif there and not asks_the_vault(there):
            why = "it has a value there; vault import crush --scrub takes it over, and has the vault asked"
            plan.left_out.append(Skipped(what, str(path), why))
        else:
            providers[name] = {**entry, "api_key": _command(link, what)}
    return _changed(plan, path, document, providers)


def disconnect(target: Target) -> Plan:
    """Take out every ``api_key`` that is ours, in both files. Raises InputError, StorageError."""
    plan = Plan(NAME)
    for path in _files(target):
        document = object_in(path)
        providers = {}
        for name, entry in providers_in(document, path).items():
            key = entry.get("api_key") if isinstance(entry, dict) else None
            mine = asks_the_vault(key) and target.asks(words_of(str(key).strip()[2:-1]), "token", tool=NAME)
            if asks_the_vault(key) and not mine:
                plan.left_out.append(Skipped(f"providers.{shown_name(name)}.api_key", str(path), ANOTHER))
            if mine:
                entry = {field: value for field, value in entry.items() if field != "api_key"}
                if not entry:
                    continue
            providers[name] = entry
        _changed(plan, path, document, providers)
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """The variables that Crush's own list of providers names."""
    values: dict[str, Secret] = {}
    used = []
    left_out = {}
    here = [folder / name for folder in (Path.cwd(), *Path.cwd().parents) for name in (f".{_FILE}", _FILE)]
    addresses = addresses_in([*here, *_files(target)])
    for one in outgoing:
        secret = one.credential.secret()
        address = addresses.get(_known(one.provider))
        if not fits(one.provider, one.base_url, address, target.environ):
            left_out[one.profile] = elsewhere(address)
            continue
        if secret and (not isinstance(one.credential, OAuth) or one.provider == "hyper"):
            listed = aliases.known_as("catwalk", one.provider) is not None
            names = aliases.env_as("catwalk", one.provider)[:1] if listed else catalogue.env_names(one.provider)
            values |= dict.fromkeys(names, Secret(secret))
            used += [one.profile] if names else []
    stale = {name for one in outgoing for name in catalogue.stripped_names(one.provider)} - set(values)
    stale |= {f"CRUSH_{name}" for name in values}
    return Injection(values, frozenset(stale), used=used, left_out=left_out)


def scrub(found: Sequence[Found], link: Link, target: Target) -> Plan:
    """In place of each key, in the file it was in, the command that asks the vault for it. Raises InputError, StorageError."""
    plan = Plan(NAME)
    held = {(f.path, f.profile): f for f in found if isinstance(f.credential, ApiKey)}
    for path in dict.fromkeys(Path(f.path) for f in held.values()):
        document = object_in(path)
        providers = _copy(document, path)
        for one in [f for f in held.values() if f.path == str(path)]:
            addresses = addresses_in(_files(target))
            name = next((n for n, e in providers.items() if is_same(n, e, one, addresses, target.environ)), None)
            if name is None:
                plan.left_out.append(Skipped(one.profile, str(path), "it is no longer there"))
            else:
                providers[name] = {**providers[name], "api_key": _command(link, one.profile)}
        _changed(plan, path, document, providers)
    for one in found:
        if not isinstance(one.credential, ApiKey):
            plan.left_out.append(Skipped(one.profile, one.path, f"{_TITLE} keeps a sign-in itself"))
    return plan


@contextmanager
def lock(target: Target) -> Iterator[None]:
    """Crush's locks on refreshing a sign-in, each an ``flock``. Raises TryAgain, StorageError."""
    folder = _target(target).parent
    with ExitStack() as held:
        if kind_of(folder) == "folder" and kind_of(folder / "locks") == "folder":
            for name in sorted(LOGINS):
                path = folder / "locks" / f"{name}.refresh.lock"
                held.enter_context(lock_of(f"{_TITLE}'s sign-in at {name}", path, _LOCK_SECONDS))
        yield


def _take(
    findings: Findings,
    path: Path,
    name: str,
    entry: object,
    addresses: Mapping[str, object],
    environ: Mapping[str, str],
) -> None:
    try:
        credentials = credentials_of(name, entry)
        homes = [home_of_entry(name, credential, addresses, environ) for credential, _, _ in credentials]
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
        return
    for (credential, ownership, why), home in zip(credentials, homes, strict=True):
        profile = home.profile
        first = next((f for f in findings.found if f.profile == profile), None)
        if first is not None:
            findings.skipped.append(Skipped(shown_name(name), str(path), f"the one in {first.path} comes before it"))
            continue
        findings.found.append(
            Found(
                MAIN_AGENT,
                profile,
                credential,
                str(path),
                original_label(profile, name),
                ownership=ownership,
                why=why,
                base_url=home.base_url,
            )
        )


def _login(one: Outgoing, name: str, entry: Mapping[str, Any], now: int) -> dict[str, Any]:
    """The fields of a sign-in. Raises InputError for one that Crush can't keep."""
    credential = one.credential
    assert isinstance(credential, OAuth)  # noqa: S101 - told by the caller
    if name not in LOGINS or not one.refresh:
        raise InputError(f"a login stays here and is handed out one token at a time: {_CONNECT}")
    there = entry.get("oauth")
    if isinstance(there, dict) and there.get("refresh_token") not in (None, "", one.refresh):
        theirs = there.get("expires_at")
        if isinstance(theirs, int | float) and theirs * 1_000_000 >= (credential.expires_at or 0):
            raise InputError(f"{_TITLE} has a newer login; crush logout {name} puts an end to it")
    kept = credential.extra.get(KEPT)
    same = isinstance(there, dict) and there.get("access_token") == credential.access
    fresh = oauth_of(credential, kept if isinstance(kept, dict) else {}, now)
    return {"api_key": credential.access, "oauth": {**fresh, **there} if same and isinstance(there, dict) else fresh}


def _id_of(one: Outgoing) -> str:
    """What Crush calls a provider: what it was called there, else by its own list."""
    kept = one.credential.extra.get(KEPT)
    name = kept.get("id") if isinstance(kept, dict) else None
    return (
        name
        if isinstance(name, str) and isinstance(one.credential, ApiKey | Token | OAuth)
        else aliases.known_as("catwalk", one.provider) or one.provider_there
    )


def _known(provider: str) -> str:
    return aliases.known_as("catwalk", provider) or provider_original(provider)


def _command(link: Link, what: str) -> str:
    return f"$({shlex.join(link.asks('token', what, tool=NAME))})"


def _copy(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The providers, to be changed. Raises InputError."""
    providers = providers_in(document, path)
    odd = next((name for name, entry in providers.items() if not isinstance(entry, dict)), None)
    if odd is not None:
        raise InputError(f"{path} has a provider {shown_name(odd)} that is not an object", hint="fix it first")
    return dict(providers)


def _changed(plan: Plan, path: Path, document: Mapping[str, Any], providers: Mapping[str, Any]) -> Plan:
    """The file with other providers, if they are others."""
    full = {**document, "providers": dict(providers)}
    if not providers and not document.get("providers"):
        full = dict(document)
    elif not providers:
        full.pop("providers")
    if full != document:
        secret = any(_is_secret(entry) for entry in (*providers.values(), *providers_in(document, path).values()))
        plan.writes.append(Write(path, styled(path, full), mode_of(path), secret=secret or "mcp" in document))
    return plan


def _is_secret(entry: Any) -> bool:
    key = entry.get("api_key") if isinstance(entry, dict) else None
    fields = (
        set(entry) - {"api_key", "id", "name", "type", "base_url", "models", "disable"}
        if isinstance(entry, dict)
        else {1}
    )
    return bool(fields) or not (key is None or asks_the_vault(key))


def _files(target: Target) -> list[Path]:
    return [_target(target)] if target.path is not None else places(target.environ, target.home)


def _target(target: Target) -> Path:
    return _file(target.path) if target.path is not None else places(target.environ, target.home)[0]


def _file(source: Path) -> Path:
    path = source.absolute()
    return path / _FILE if kind_of(path) == "folder" else path


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="keys: vault; Hyper: Crush; Copilot: both",
    line="vault connect crush",
    addresses=True,
    helper="token",
    read=read,
    write=write,
    connect=connect,
    disconnect=disconnect,
    inject=inject,
    scrub=scrub,
    lock=lock,
)
