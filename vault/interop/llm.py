"""``llm`` (simonw/llm): ``keys.json``, a map from aliases to keys.

An alias is what a plug-in of ``llm`` asks for (``openai``, ``gemini``); one that is no provider's becomes a profile of the
provider ``llm``. Keys whose name starts with ``//`` are notes. ``llm`` writes the file with 0600 when it makes it, has no lock
and keeps what it doesn't know. The plug-in of ``llm`` that this package brings needs no export: a key that isn't in the file
comes from the vault then.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop import dotenv
from vault.interop.documents import object_in, yaml_list_in
from vault.interop.entries import original_label, ownership_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import fits, home_of, shown
from vault.interop.plans import Injection, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, shown_name
from vault.interop.styled import styled
from vault.interop.tools import Orders, Tool
from vault.providers import catalogue
from vault.values import (
    DEFAULT_NAME,
    MAIN_AGENT,
    ProfileId,
    ProviderId,
    foreign_profile,
    profile_id,
    provider_of,
)

NAME, _TITLE = "llm", "llm"
_OWN = ProviderId("llm")
_NOTE = "This file stores secret API credentials. Do not share!"
ALIASES = {"gemini": "google", "palm": "google", "claude": "anthropic", "grok": "xai", "together": "togetherai"}
MODELS = "extra-openai-models.yaml"
_SEVERAL = "several servers"
_ALIAS_OF = {"google": "gemini", "togetherai": "together"}


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where ``llm`` keeps its keys in this environment."""
    return [keys_file(environ, home)]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The keys of ``keys.json``. ``source`` is that file or its folder. Raises NotFound, InputError, StorageError."""
    path = _file(source, environ, home)
    if kind_of(path) == "missing":
        raise NotFound(f"{_TITLE} has no keys at {path}", hint="name its keys.json with --from")
    findings = Findings(NAME, [str(path)])
    servers = servers_in(path.parent)
    for alias, value in object_in(path).items():
        if alias.startswith("//"):
            continue
        try:
            credential = ApiKey(key=usable_secret(value, "key"))
            profile, base_url = profile_of(alias), ""
            if provider_of(profile) == _OWN:
                base_url = home_of(_OWN, servers.get(alias), environ).base_url
        except InputError as error:
            findings.skipped.append(Skipped(shown_name(alias), str(path), error.message))
            continue
        if any(found.profile == profile for found in findings.found):
            why = f"another alias of {provider_of(profile)} comes before it"
            findings.skipped.append(Skipped(shown_name(alias), str(path), why))
            continue
        ownership, why = ownership_of(provider_of(profile), credential, _TITLE)
        findings.found.append(
            Found(
                MAIN_AGENT,
                profile,
                credential,
                str(path),
                original_label(profile, alias),
                ownership=ownership,
                why=why,
                base_url=base_url,
            )
        )
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put keys into ``keys.json``; what is there otherwise stays. Raises InputError, StorageError."""
    plan, path = Plan(NAME), _file(target.path, target.environ, target.home)
    fresh = kind_of(path) == "missing"
    document: dict[str, object] = {"// Note": _NOTE} if fresh else object_in(path)
    servers = servers_in(path.parent)
    for one in outgoing:
        if not isinstance(one.credential, ApiKey | Token):
            why = f"{_TITLE} keeps a key as it is, and this one is renewed; its plug-in asks the vault instead"
            plan.left_out.append(Skipped(one.profile, str(path), why))
            continue
        alias = _alias(document, one)
        if not fits(one.provider, one.base_url, servers.get(alias), target.environ):
            where = shown(servers[alias]) if servers.get(alias) else "its provider"
            why = f"{_TITLE} would send {alias} to {where}, and it belongs elsewhere"
            plan.left_out.append(Skipped(one.profile, str(path), why))
            continue
        document[alias] = one.credential.secret()
        plan.written.append(Written(one.agent, one.profile, alias, str(path)))
    if plan.written:
        plan.writes.append(Write(path, styled(path, document)))
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """Variables, which ``llm`` looks at where ``keys.json`` has nothing. A login isn't a key it could send."""
    return dotenv.inject([one for one in outgoing if not isinstance(one.credential, OAuth)], target)


def servers_in(folder: Path) -> dict[str, object]:
    """The server that a person's own models send each alias to, by ``extra-openai-models.yaml``.

    An alias that is sent to several has no address that could be understood. Raises InputError, StorageError.
    """
    path = folder / MODELS
    found: dict[str, object] = {}
    models = yaml_list_in(path)
    for model in models:
        alias = model.get("api_key_name") if isinstance(model, Mapping) else None
        if isinstance(alias, str) and isinstance(model, Mapping) and model.get("api_base"):
            other = found.setdefault(alias, model["api_base"])
            found[alias] = other if other == model["api_base"] else _SEVERAL
    return found


def profile_of(alias: str) -> ProfileId:
    """The profile for an alias. Raises InputError for what can't be one."""
    name = ALIASES.get(alias, alias)
    if catalogue.provider(name) is not None:
        return profile_id(ProviderId(name), DEFAULT_NAME)
    return foreign_profile(_OWN, alias)


def _alias(document: Mapping[str, object], one: Outgoing) -> str:
    """The alias a profile is kept under: the one that is there, else the one ``llm``'s plug-ins ask for."""
    there = [a for a in document if not a.startswith("//") and _is(a, one.profile)]
    if there:
        return there[0]
    if one.provider == _OWN:
        return one.name_there
    return _ALIAS_OF.get(one.provider) or one.provider_there


def _is(alias: str, profile: ProfileId) -> bool:
    try:
        return provider_of(profile_of(alias)) == provider_of(profile) != _OWN or profile_of(alias) == profile
    except InputError:
        return False


def keys_file(environ: Mapping[str, str], home: Path) -> Path:
    """The usual place of ``keys.json``."""
    return _folder(environ, home) / "keys.json"


def _file(source: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    path = source.absolute() if source is not None else _folder(environ, home)
    return path / "keys.json" if source is None or kind_of(path) == "folder" else path


def _folder(environ: Mapping[str, str], home: Path) -> Path:
    if environ.get("LLM_USER_PATH"):
        return Path(environ["LLM_USER_PATH"])
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "io.datasette.llm"
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or home) / "io.datasette.llm"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "io.datasette.llm"


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="vault",
    line="vault export llm",
    addresses=True,
    read=read,
    write=write,
    inject=inject,
)
