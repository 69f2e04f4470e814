"""BMO, and other programs with a TOML file of providers: ``[providers.NAME]`` with ``api_key``.

A value that is ``${NAME}``, ``$(command)`` or ``keychain:PROVIDER`` is a reference, never run or looked up by an import. A
provider's ``base_url`` is kept as a fact, and so is its ``type``. ``[providers.NAME.provider_options]`` of Bedrock that names a
profile of AWS's own files is a credential of that mode; any others are settings, which an import names: copied as they are
they hold in the vault's settings too. Connected, ``api_key`` is ``"$(vault helper token
PROVIDER)"``, which such programs run whenever they need the key. Comments and everything else in the file stay.

BMO has ids of its own for some providers (``gemini`` is ``google``): they are translated in both directions. A table that is
there keeps its name, and so does a credential that came with another name than the first BMO has for the provider.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from vault.errors import InputError, NotFound, VaultError
from vault.events.credentials import AnyCredential, ApiKey, Cloud, Reference, Token
from vault.interop.commands import words_of
from vault.interop.documents import toml_bytes, toml_in
from vault.interop.entries import key_or_reference, original_label, ownership_of
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import fits, home_of, same_server, shown
from vault.interop.plans import ANOTHER, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, shown_name
from vault.interop.tools import Orders, Tool
from vault.pointers import pointer_in
from vault.providers import aliases, catalogue
from vault.providers.cloud import family_of_id
from vault.settings import ProviderSettings, settings_path
from vault.spelling import provider_original
from vault.values import MAIN_AGENT, ProviderId, foreign_provider, provider_of

NAME, _TITLE = "bmo", "BMO"
_FACTS = ("base_url", "type")
_KEPT = "bmo"
_OPTIONS = "provider_options"
_FOLLOWED = ("env", "command", "keychain", "keyring")
_ASKS = "helper token"
_ELSEWHERE = "another server than it belongs to"


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The project's file, and the home's."""
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [Path.cwd() / "bmo.toml", config / "bmo" / "bmo.toml"]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The providers' keys. ``source`` is a file like it. Raises NotFound, InputError, StorageError."""
    files = [_file(source)] if source is not None else [p for p in places(environ, home) if kind_of(p) == "file"]
    if not files or kind_of(files[0]) == "missing":
        raise NotFound(f"{_TITLE} has no bmo.toml here", hint="name it with --from")
    findings = Findings(NAME, [str(p) for p in files])
    for path in files:
        for name, table in _providers(toml_in(path)).items():
            if not isinstance(table, Mapping):
                continue
            if "api_key" in table:
                _take(findings, path, str(name), table, credential_of, environ)
            if isinstance(table.get(_OPTIONS), Mapping):
                _take_options(findings, path, str(name), table, environ)
    return findings


def _take(
    findings: Findings,
    path: Path,
    name: str,
    table: Mapping[str, Any],
    made: Callable[[Mapping[str, Any]], AnyCredential],
    environ: Mapping[str, str],
) -> None:
    """Take the credential that is made of a table, or say why not."""
    try:
        credential = made(table)
        whose = home_of(_provider_called(name), table.get("base_url"), environ)
        provider, profile = whose.provider, whose.profile
        first = next((f for f in findings.found if f.profile == profile), None)
        if first is not None:
            raise InputError(f"{first.path} has a key for {provider} already, which comes first")
        if name != _known(provider) or whose.base_url:
            credential = structs.replace(credential, extra={_KEPT: {"id": name}})
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
        return
    ownership, why = ownership_of(provider, credential, _TITLE)
    label = original_label(profile, name)
    findings.found.append(
        Found(
            MAIN_AGENT,
            profile,
            credential,
            str(path),
            label,
            ownership=ownership,
            why=why,
            base_url=whose.base_url,
        )
    )


def _take_options(
    findings: Findings, path: Path, name: str, table: Mapping[str, Any], environ: Mapping[str, str]
) -> None:
    """A profile of AWS's own files, where the options name one and there is no key; else say where the options belong."""
    options, called = table[_OPTIONS], f"{shown_name(name)}.{_OPTIONS}"
    names_one = options.get("profile") and options.get("auth_source", "profile") == "profile"
    if names_one and "api_key" not in table and _is_bedrock(name):
        _take(findings, path, name, table, _mode_of, environ)
    else:
        place = settings_path(environ)
        why = f"these are settings and no credential; copied as they are into {place} they hold here too"
        findings.skipped.append(Skipped(called, str(path), why))
    for key in options:
        if key not in ProviderSettings.__dataclass_fields__ and key != "base_url":
            findings.skipped.append(Skipped(f"{called}.{shown_name(key)}", str(path), "the vault has no such setting"))


def _is_bedrock(name: str) -> bool:
    try:
        return family_of_id(_provider_called(name)) == "bedrock"
    except InputError:
        return False


def _mode_of(table: Mapping[str, Any]) -> AnyCredential:
    """The cloud mode that a table's options ask for."""
    facts = {key: value for key, value in table[_OPTIONS].items() if key in ("profile", "region", "endpoint")}
    for key, value in facts.items():
        if not isinstance(value, str):
            raise InputError(f"{key} in its {_OPTIONS} is not a text")
    return Cloud(mode="profile", facts={key: str(value) for key, value in facts.items()})


def credential_of(table: Mapping[str, Any]) -> AnyCredential:
    """A table's key, or what it refers to. Raises InputError."""
    facts = {name: str(table[name]) for name in _FACTS if isinstance(table.get(name), str)}
    value = table["api_key"]
    if isinstance(value, str) and _ASKS in value and value.strip().startswith("$("):
        raise InputError("it asks the vault already")
    return key_or_reference(value, "api_key", _FOLLOWED, metadata=facts)


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put keys, and references as they were, into the file. Raises InputError, StorageError."""
    plan, path = Plan(NAME), _target(target)
    document = toml_in(path)
    for one in outgoing:
        match one.credential:
            case ApiKey(key=value) | Token(token=value):
                if "$" in value or value.startswith(("keychain:", "keyring:")):
                    why = (
                        "its key would be read as a reference there; with vault connect bmo, BMO asks the vault instead"
                    )
                    plan.left_out.append(Skipped(one.profile, str(path), why))
                    continue
            case Reference(scheme="env", target=name):
                value = f"${{{name}}}"
            case Reference(scheme="command", target=command):
                value = f"$({command})"
            case Reference(scheme="keychain" | "keyring" as scheme, target=place):
                value = f"{scheme}:{place}"
            case _:
                why = f"a {one.credential.kind} doesn't last in a file; with vault connect bmo, BMO asks the vault instead"
                plan.left_out.append(Skipped(one.profile, str(path), why))
                continue
        name = _name_in(document, one.provider, _kept(one.credential))
        there = _address(document, name)
        if there and not fits(one.provider, one.base_url, there, target.environ):
            plan.left_out.append(Skipped(one.profile, str(path), f"{name} there is {shown(there)}: {_ELSEWHERE}"))
            continue
        table = _table(document, name)
        if one.base_url and not there:
            table["base_url"] = one.base_url
        table["api_key"] = value
        for fact in _FACTS:
            if fact in one.credential.metadata and fact not in table:
                table[fact] = one.credential.metadata[fact]
        plan.written.append(Written(one.agent, one.profile, name, str(path)))
    if plan.written:
        plan.writes.append(Write(path, toml_bytes(document)))
    return plan


def connect(link: Link, target: Target) -> Plan:
    """``api_key`` of each provider asks the vault."""
    plan, path = Plan(NAME), _target(target)
    document = toml_in(path)
    held = _holds_secrets(document)
    for what in link.what:
        provider, base_url = what.partition(":")[0], link.base_urls.get(what, "")
        at_home = (n for n in _providers(document) if same_server(base_url, _address(document, n), target.environ))
        name = next(at_home, _name_in(document, provider))
        there = _address(document, name)
        if base_url and not there and catalogue.provider(provider) is None:
            _table(document, name)["base_url"] = base_url
        elif not fits(provider, base_url, there, target.environ):
            where = f"{name} there is {shown(there)}" if there else f"{name} there is the provider itself"
            plan.left_out.append(Skipped(what, str(path), f"{where}: {_ELSEWHERE}"))
            continue
        _table(document, name)["api_key"] = f"$({shlex.join(link.asks('token', what, tool=NAME))})"
    plan.writes.append(Write(path, toml_bytes(document), secret=held or _holds_secrets(document)))
    return plan


def disconnect(target: Target) -> Plan:
    """Take out every ``api_key`` that is ours, and the tables that held nothing else."""
    plan, path = Plan(NAME), _target(target)
    document = toml_in(path)
    before = toml_bytes(document)
    providers = _providers(document)
    for name in list(providers):
        table = providers[name]
        value = str(table.get("api_key", "")) if isinstance(table, Mapping) else ""
        pointer = pointer_in(value)
        if pointer is not None and target.asks(words_of(pointer.target), "token", tool=NAME):
            del table["api_key"]
            if not table:
                del providers[name]
        elif _ASKS in value:
            plan.left_out.append(Skipped(f"providers.{shown_name(name)}.api_key", str(path), ANOTHER))
    if toml_bytes(document) != before:
        plan.writes.append(Write(path, toml_bytes(document)))
    return plan


def scrub(found: Sequence[Found], link: Link, target: Target) -> Plan:
    """In place of each key, the command that asks the vault for it."""
    plan = Plan(NAME)
    for path in dict.fromkeys(Path(f.path) for f in found if isinstance(f.credential, ApiKey)):
        document = toml_in(path)
        for one in found:
            if Path(one.path) == path and isinstance(one.credential, ApiKey):
                asks = shlex.join(link.asks("token", one.profile, tool=NAME))
                name = _name_in(document, provider_of(one.profile), _kept(one.credential))
                there = _providers(document).get(name)
                if not isinstance(there, Mapping) or str(there.get("api_key", "")).strip() != one.credential.key:
                    plan.left_out.append(Skipped(one.profile, str(path), "it is no longer there"))
                    continue
                _table(document, name)["api_key"] = f"$({asks})"
        plan.writes.append(Write(path, toml_bytes(document)))
    del target
    return plan


def _address(document: Any, name: str) -> str:
    """The address that a table gives its provider, or nothing."""
    table = _providers(document).get(name)
    found = table.get("base_url") if isinstance(table, Mapping) else None
    return str(found) if found else ""


def _provider_called(name: str) -> ProviderId:
    """The provider that BMO's name for one means. Raises InputError."""
    try:
        return catalogue.resolve(name)
    except VaultError:
        return foreign_provider(name)


def _known(provider: str) -> str:
    """The first id that BMO has for a provider; the provider's own when it has none."""
    return aliases.known_as("bmo", provider) or provider_original(provider)


def _kept(credential: AnyCredential) -> str:
    """The id a credential came with, if it is kept."""
    kept = credential.extra.get(_KEPT)
    name = kept.get("id") if isinstance(kept, Mapping) else None
    return name if isinstance(name, str) else ""


def _name_in(document: Any, provider: str, kept: str = "") -> str:
    """What a provider is called in a file: as it came, else as BMO calls it, by preference with a name that is there."""
    if kept:
        return kept
    known, there = _known(provider), _providers(document)
    if known in there:
        return known
    return next((name for name in aliases.aliases_of(provider) if name in there), known)


def _providers(document: Any) -> Any:
    found = document.get("providers")
    return found if isinstance(found, Mapping) else {}


def _table(document: Any, provider: str) -> Any:
    import tomlkit

    if "providers" not in document:
        document["providers"] = tomlkit.table(is_super_table=True)
    providers = document["providers"]
    if provider not in providers:
        providers[provider] = tomlkit.table()
    return providers[provider]


def _holds_secrets(document: Any) -> bool:
    keys = [t.get("api_key") for t in _providers(document).values() if isinstance(t, Mapping)]
    return any(isinstance(k, str) and not k.startswith(("$", "keychain:", "keyring:")) for k in keys)


def _target(target: Target) -> Path:
    if target.path is not None:
        return _file(target.path)
    return next(
        (p for p in places(target.environ, target.home) if kind_of(p) == "file"), places(target.environ, target.home)[1]
    )


def _file(source: Path) -> Path:
    path = source.absolute()
    return path / "bmo.toml" if kind_of(path) == "folder" else path


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="vault; references: where they point",
    line="vault connect bmo",
    addresses=True,
    helper="token",
    read=read,
    write=write,
    connect=connect,
    disconnect=disconnect,
    scrub=scrub,
)
