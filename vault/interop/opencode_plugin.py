"""OpenCode asks the vault: a plugin in its configuration folder, and a placeholder in ``auth.json`` for each provider it serves.

OpenCode loads a plugin's code for a provider only when ``auth.json`` has an entry for it, so a provider without one gets a
placeholder, ``vault:PROVIDER``. An API key that is there stays and isn't used; ``scrub`` puts the placeholder in its place. A
sign-in that OpenCode goes on refreshing stays and is used: the vault doesn't serve that provider until it is logged out there.

Connecting again adds to what is served; disconnecting removes the plugin and every placeholder, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.errors import InputError, VaultError
from vault.events.credentials import OAuth
from vault.interop.documents import object_in
from vault.interop.findings import Found, Skipped
from vault.interop.homes import fits, shown
from vault.interop.opencode_config import addresses
from vault.interop.opencode_entries import (
    TITLE,
    held_in,
    is_placeholder,
    name_in,
    owns,
    placeholder_of,
    profile_of,
)
from vault.interop.opencode_writing import NAME, auth_file, note_of_settings
from vault.interop.plans import Link, Plan, Target, Write
from vault.interop.sources import kind_of, read_text, shown_name
from vault.interop.styled import styled
from vault.providers import catalogue
from vault.spelling import is_provider_spelling, provider_original
from vault.values import DEFAULT_NAME, ProviderId, parse_provider, profile_id, provider_of

Served = dict[str, dict[str, Any]]

_TABLE = "const SERVED = "
_WHAT = "a plugin by which OpenCode asks the vault"
_FIRST_LINE = "// Made by agent-vault:"
_SIGN_THEMSELVES = frozenset({"amazon-bedrock", "google-vertex", "google-vertex-anthropic", "sap-ai-core"})
_LOGINS = frozenset({"github-copilot"})
_MAY_BE_LOGINS = frozenset({"openai"})
_FACTS = ("metadata", "accountId", "enterpriseUrl")


def plugin_file(target: Target) -> Path:
    """Where the plugin is: OpenCode reads every file in this folder."""
    folder = target.environ.get("XDG_CONFIG_HOME") or target.home / ".config"
    return Path(folder) / "opencode" / "plugin" / "vault.js"


def connect(link: Link, target: Target) -> Plan:
    """Serve the named providers. ``link.options`` may say by provider that the vault's credential is a sign-in: ``oauth``.

    Raises InputError for files that can't be read, StorageError.
    """
    plan, place, auth = Plan(NAME), plugin_file(target), auth_file(target)
    document = object_in(auth)
    before = dict(document)
    served = _served(_own_text(place), link)
    there = addresses(target.environ, target.home)
    chosen: dict[str, str] = {}
    for text in link.what:
        provider, named, name = text.partition(":")
        provider = _known(provider)
        what = provider + named + name
        base_url, address = link.base_urls.get(text, ""), there.get(provider, [""])[-1]
        if not fits(provider, base_url, address, target.environ):
            where = shown(address) if address else f"{provider} itself"
            plan.left_out.append(Skipped(what, str(auth), f"{TITLE} would send it to {where}, where it doesn't belong"))
        elif chosen.setdefault(provider, what) == what:
            _serve(what, link, document, served, plan, str(auth))
        else:
            why = f"{TITLE} has one credential a provider, and {chosen[provider]} is served"
            plan.left_out.append(Skipped(what, str(auth), why))
    _complete(plan, place, auth, before, document, served, target)
    return plan


def disconnect(target: Target) -> Plan:
    """Remove the plugin, if it is as this vault made it, and the placeholders of what it serves.

    Raises InputError, StorageError.
    """
    plan, place, auth = Plan(NAME), plugin_file(target), auth_file(target)
    text = read_text(place) if kind_of(place) == "file" else ""
    mine = _is_ours(text, target)
    if mine:
        plan.removes.append(place)
    elif text:
        plan.left_out.append(Skipped("", str(place), "it isn't the plugin as this vault made it; remove it by hand"))
    served = _table_in(text) if mine else {}
    document = object_in(auth)
    placeholders = {name for name, entry in document.items() if is_placeholder(entry)}
    for name in sorted(name for name in placeholders if name not in served):
        plan.left_out.append(
            Skipped(shown_name(name), str(auth), "it is a placeholder of a vault's, and none here serves it")
        )
    left = {name: entry for name, entry in document.items() if name not in placeholders or name not in served}
    if left != document:
        plan.writes.append(Write(auth, styled(auth, left)))
    return plan


def scrub(found: Sequence[Found], link: Link, target: Target) -> Plan:
    """Put placeholders in place of the secrets that were found, and serve their providers. Raises InputError, StorageError."""
    plan, place, auth = Plan(NAME), plugin_file(target), auth_file(target)
    document = object_in(auth)
    before = dict(document)
    served = _served(_own_text(place), link)
    for one in found:
        name = _name_of(document, one)
        if name is None:
            plan.left_out.append(Skipped(one.profile, one.path, _why_not(one, auth)))
        elif owns(one.profile, one.credential):
            plan.left_out.append(Skipped(one.profile, one.path, f"{TITLE} goes on refreshing it"))
        else:
            provider = name.rstrip("/")
            login = isinstance(one.credential, OAuth)
            if provider != name and not is_placeholder(document.get(provider, placeholder_of(provider, login=login))):
                why = f"{TITLE} has an entry {provider} too, whose place it would take"
                plan.left_out.append(Skipped(one.profile, one.path, why))
                continue
            if login and provider not in _LOGINS | _MAY_BE_LOGINS:
                plan.left_out.append(
                    Skipped(one.profile, one.path, f"{TITLE}'s own code for {provider} wants its tokens")
                )
                continue
            entry = document.pop(name)
            what = one.profile if one.base_url else served.get(provider, {}).get("what", provider)
            if _serve(what, link, document, served, plan, str(auth), login=login):
                kept = {field: entry[field] for field in _FACTS if field in entry}
                document[provider] = placeholder_of(provider, login=login) | kept
            else:
                document[name] = entry
    document = {name: document[name] for name in (*before, *document) if name in document}
    _complete(plan, place, auth, before, document, served, target)
    return plan


def plugin_text(served: Mapping[str, Mapping[str, Any]]) -> str:
    """The plugin for a table of providers: one export each, for OpenCode takes one provider from each."""
    text = Path(__file__).with_name("data").joinpath("opencode_plugin.js").read_text("utf-8")
    table = json.dumps(served, indent=2, sort_keys=True)
    exports = "".join(f'export const served{n} = serve("{name}")\n' for n, name in enumerate(sorted(served)))
    return text.replace(_TABLE + "{}", _TABLE + table, 1) + exports


def _complete(
    plan: Plan,
    place: Path,
    auth: Path,
    before: Mapping[str, Any],
    document: Mapping[str, Any],
    served: Served,
    target: Target,
) -> None:
    """Write both files, the one that shows first."""
    if not served:
        return
    plan.writes.append(Write(place, plugin_text(served).encode(), 0o644, secret=False, what=_WHAT))
    added = {p: placeholder_of(p, login=row["login"]) for p, row in served.items() if p not in _stripped(document)}
    full = {**document, **added}
    if full != before:
        plan.writes.append(Write(auth, styled(auth, full)))
    plan.notes += note_of_settings(target, served)
    if kind_of(place.parent.parent / "node_modules") == "missing":
        plan.notes.append(
            f"{TITLE} fetches its plugin library once, at its next start; without a network each start waits for it, "
            "about a minute and a half"
        )
    plain = sorted(
        p for p in served for name, entry in document.items() if name.rstrip("/") == p and not is_placeholder(entry)
    )
    if plain:
        plan.notes.append(
            f"{auth} still holds a key for {', '.join(plain)}, which isn't used now; "
            "vault import opencode --scrub takes it out"
        )


def _serve(
    what: str,
    link: Link,
    document: dict[str, Any],
    served: Served,
    plan: Plan,
    path: str,
    login: bool | None = None,
) -> bool:
    """Put a provider or a profile into the table, or what keeps it out into the plan; whether it is served."""
    provider = what.partition(":")[0]
    why = _hindrance(provider, document)
    if why:
        plan.left_out.append(Skipped(what, path, why))
        return False
    if login is None:
        login = provider in _LOGINS or _is_login(provider, link, document)
    there = name_in(document, provider, profile_id(ProviderId(provider), DEFAULT_NAME))
    if is_placeholder(document.get(there)) and (document[there].get("type") == "oauth") != login:
        document[there] = placeholder_of(provider, login=login)
    served[provider] = _row(provider, what, link, login=login)
    return True


def _row(provider: str, what: str, link: Link, *, login: bool) -> dict[str, Any]:
    """A row of the plugin's table. Where OpenCode wants a key of a provider that has sign-ins too, only a key is asked for."""
    helper = "api-key" if provider in _MAY_BE_LOGINS and not login else "token"
    return {"what": what, "ask": link.asks(helper, what, tool=NAME), "login": login}


def _known(text: str) -> ProviderId:
    """A provider by any of its names, or as it is written. Raises InputError for what can't be one."""
    try:
        return catalogue.resolve(text)
    except VaultError:
        return parse_provider(text)


def _hindrance(provider: str, document: Mapping[str, Any]) -> str:
    """Why OpenCode can't ask for a provider; an empty text when it can."""
    if provider in _SIGN_THEMSELVES:
        return f"{TITLE} signs its requests with the cloud's own credentials; vault exec --tool opencode -- opencode"
    if provider_original(provider) != provider or not is_provider_spelling(provider):
        return f"{TITLE}'s plugin asks for ids of lowercase letters, digits and . _ - only; vault export opencode"
    if catalogue.provider(provider) is None and "." in provider:
        return f"{TITLE} knows no provider by that name"
    profile = profile_id(ProviderId(provider), DEFAULT_NAME)
    name = name_in(document, provider, profile)
    if name not in document or is_placeholder(document[name]):
        return ""
    held = held_in(name, document[name])
    if held is None:
        return f"{TITLE} has an entry there that can't be read; opencode auth logout {provider}, then connect again"
    if owns(profile, held):
        return (
            f"{TITLE} keeps its own sign-in there and refreshes it; opencode auth logout {provider}, then connect again"
        )
    if isinstance(held, OAuth):
        return f"{TITLE} has a sign-in there; vault import opencode --scrub, or opencode auth logout {provider} first"
    return ""


def _is_login(provider: str, link: Link, document: Mapping[str, Any]) -> bool:
    if provider not in _MAY_BE_LOGINS:
        return False
    said = link.options.get(provider)
    if said:
        return said == OAuth.kind
    entry = document.get(provider, {})
    return is_placeholder(entry) and bool(entry["type"] == "oauth")


def _served(text: str, link: Link) -> Served:
    """What the plugin serves already, asked for by today's command and agent."""
    try:
        return {
            str(provider): _row(provider, str(row["what"]), link, login=bool(row["login"]))
            for provider, row in _table_in(text).items()
        }
    except (KeyError, TypeError):
        return {}


def _is_ours(text: str, target: Target) -> bool:
    """Whether a plugin is to the letter what connecting writes, and all it serves is asked of this vault."""
    table = _table_in(text)
    asked = [row.get("ask") for row in table.values() if isinstance(row, dict)]
    if len(asked) != len(table) or not all(
        isinstance(w, list) and target.asks(w, "token", "api-key", tool=NAME) for w in asked
    ):
        return False
    return bool(table) and text == plugin_text(table)


def _table_in(text: str) -> dict[str, Any]:
    """The table in a plugin's text; an empty one where there is none."""
    _, found, rest = text.partition(_TABLE)
    try:
        table = json.JSONDecoder().raw_decode(rest)[0] if found else {}
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def _own_text(place: Path) -> str:
    """The text of the plugin, if there is one. Raises InputError when the file is somebody else's."""
    if kind_of(place) == "missing":
        return ""
    text = read_text(place)
    if not text.startswith(_FIRST_LINE):
        raise InputError(f"{place} is not the vault's plugin", hint="move it away, then try again")
    return text


def _name_of(document: Mapping[str, Any], found: Found) -> str | None:
    """The name of the entry that holds what was found, as it is now; None when there is none, or it is a server's."""
    for name, entry in document.items():
        held = held_in(name, entry)
        if held is None or "://" in name or held.secret() != found.credential.secret():
            continue
        if profile_of(name) == found.profile or (
            found.base_url and provider_of(profile_of(name)) == provider_of(found.profile)
        ):
            return name
    return None


def _why_not(found: Found, auth: Path) -> str:
    if found.credential.kind == "wellknown":
        return f"{TITLE} hands a server's token to its configuration as it is stored"
    return "it isn't in this file any more" if found.path == str(auth) else f"only {auth.name} can refer to the vault"


def _stripped(names: Iterable[str]) -> set[str]:
    return {name.rstrip("/") for name in names}
