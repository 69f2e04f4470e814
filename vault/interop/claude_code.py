"""Claude Code: its login, its Console key, the keys in its settings; and how it asks the vault.

| where | becomes | owner |
|---|---|---|
| ``claudeAiOauth`` in ``.credentials.json``, or in the keychain | ``anthropic:claude-code`` | Claude Code, which refreshes it |
| ``primaryApiKey`` in ``.claude.json``, or in the keychain | ``anthropic:console`` | vault |
| ``ANTHROPIC_API_KEY`` in ``env`` of ``settings.json`` | ``anthropic:settings`` | vault |
| ``ANTHROPIC_AUTH_TOKEN``, ``CLAUDE_CODE_OAUTH_TOKEN`` there | ``anthropic:settings-auth``, ``settings-oauth`` | vault |
| ``apiKeyHelper`` in ``settings.json`` | ``anthropic:key-helper``, a reference, never run here | Claude Code |

A login whose tokens are empty is one that ended. Where ``env`` names another server, its keys belong to that server.
What else is in the documents (sign-ins of MCP servers, secrets of plug-ins) is kept beside the login, so that a login that is
put back leaves nothing out. Each document can be read by its path alone, for that is how a login is read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound, VaultError
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Reference, Token
from vault.interop import claude_code_config as config
from vault.interop.claude_code_store import (
    KEYCHAIN,
    Place,
    is_key_entry,
    keychain_paths,
    locked,
    place_of,
    read_keychain,
)
from vault.interop.entries import instant_of, ownership_of, texts_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import home_of
from vault.interop.plans import Target
from vault.interop.sources import kind_of, read_json, shown_name
from vault.interop.tools import Tool
from vault.parsing import parse_json
from vault.values import MAIN_AGENT, ProfileId, ProviderId, name_of, parse_secret, profile_id

NAME = config.NAME
_TITLE = "Claude Code"
_ANTHROPIC = ProviderId("anthropic")
_LOGIN, _CONSOLE = ProfileId("anthropic:claude-code"), ProfileId("anthropic:console")
_WHY = "Claude Code goes on refreshing its login; the vault reads it there at every use"
_ACCOUNT = ("accountUuid", "organizationUuid")
_OTHERS = {
    "mcpOAuth": "sign-ins of MCP servers, not a model provider's",
    "mcpXaaIdp": "a sign-in of MCP servers, not a model provider's",
    "mcpOAuthClientConfig": "client registrations of MCP servers, not a model provider's",
    "pluginSecrets": "secrets of Claude Code's plug-ins",
    "trustedDeviceToken": "a token for this device alone",
}


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The files Claude Code may keep a credential in, for this environment."""
    return place_of(environ, home).files


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What Claude Code keeps. ``source`` is one of its files, its folder, or ``keychain:SERVICE/ACCOUNT``; None is the default.

    Raises NotFound when there is nothing, InputError for damage, StorageError, and for the keychain Unavailable and TryAgain.
    """
    findings = Findings(NAME)
    place = place_of(environ, home, source)
    if source is not None and str(source).startswith(KEYCHAIN):
        _read_entry(findings, source, place)
        return findings
    for path in _files(source, place):
        if kind_of(path) != "missing":
            findings.paths.append(str(path))
            _read_file(findings, path, place, environ)
    for entry in keychain_paths(place, environ) if source is None else []:
        _try_entry(findings, entry, place)
    if not findings.paths:
        where = source if source is not None else place.credentials
        raise NotFound(
            f"{_TITLE} keeps nothing at {where}", hint="sign in with it first, or name its folder with --from"
        )
    return findings


def _files(source: Path | None, place: Place) -> list[Path]:
    """The one file that is named, or all of the place."""
    if source is None or kind_of(source) == "folder":
        return place.files
    if kind_of(source) == "missing":
        raise NotFound(f"there is no {source}", hint="name Claude Code's folder, or a file in it")
    return [source.absolute()]


def _read_file(findings: Findings, path: Path, place: Place, environ: Mapping[str, str]) -> None:
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputError(f"{path} is not one of Claude Code's: it holds no JSON object", hint="is it the right file?")
    if path.name.startswith("settings"):
        _take_settings(findings, path, document, environ)
        return
    _take_login(findings, path, document, place)
    if "primaryApiKey" in document:
        _take_key(findings, path, document["primaryApiKey"])


def _try_entry(findings: Findings, path: Path, place: Place) -> None:
    try:
        _read_entry(findings, path, place)
    except NotFound:
        return
    except VaultError as error:
        findings.paths.append(str(path))
        findings.skipped.append(Skipped(str(path), str(path), error.message))


def _read_entry(findings: Findings, path: Path, place: Place) -> None:
    content = read_keychain(path)
    findings.paths.append(str(path))
    if is_key_entry(path):
        _take_key(findings, path, content)
        return
    document = parse_json(content, str(path))
    if not isinstance(document, dict):
        raise InputError(f"{path} holds no JSON object", hint="sign in with Claude Code again")
    _take_login(findings, path, document, place)


def _take_login(findings: Findings, path: Path, document: Mapping[str, Any], place: Place) -> None:
    entry = document.get(config.LOGIN)
    if config.LOGIN in document:
        try:
            if not isinstance(entry, dict):
                raise InputError("the entry is not an object")
            credential = _login_of(entry, document)
            facts, label = _account(place), str(entry.get("subscriptionType") or "")
            account = facts.get("emailAddress") or credential.account.get("accountUuid") or facts.get("accountUuid", "")
            findings.found.append(
                Found(
                    MAIN_AGENT,
                    _LOGIN,
                    credential,
                    str(path),
                    label=shown_name(f"Claude {label}") if label else "",
                    account=shown_name(account) if account else "",
                    ownership="external",
                    why=_WHY,
                )
            )
        except InputError as error:
            findings.skipped.append(Skipped(config.LOGIN, str(path), error.message))
    for name, why in _OTHERS.items():
        if document.get(name):
            findings.skipped.append(Skipped(name, str(path), why))


def _login_of(entry: Mapping[str, Any], document: Mapping[str, Any]) -> OAuth:
    if entry.get("accessToken") == "" and entry.get("refreshToken", "") == "":
        raise InputError("it is logged out; sign in with Claude Code")
    expires, scopes, refresh = entry.get("expiresAt"), entry.get("scopes"), entry.get("refreshToken", "")
    if not isinstance(expires, int | float | None) or isinstance(expires, bool):
        raise InputError("its expiresAt is not a number of milliseconds")
    known = isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)
    account, facts = texts_of(entry, *_ACCOUNT), texts_of(entry, "subscriptionType", "rateLimitTier")
    taken = {*account, *facts, "accessToken"} | ({"scopes"} if known else set())
    taken |= {"refreshToken"} if isinstance(refresh, str) and refresh else set()
    taken |= {"expiresAt"} if isinstance(expires, int) and instant_of(expires) is not None else set()
    return OAuth(
        access=usable_secret(entry.get("accessToken"), "access token"),
        refresh=usable_secret(refresh, "refresh token") if refresh else "",
        expires_at=instant_of(expires),
        scopes=list(scopes) if known and isinstance(scopes, list) else [],
        account=account,
        metadata=facts,
        extra={
            config.KEPT: {
                "entry": {name: value for name, value in entry.items() if name not in taken},
                "document": {name: value for name, value in document.items() if name != config.LOGIN},
            }
        },
    )


def _account(place: Place) -> dict[str, str]:
    """Who is signed in, as ``.claude.json`` tells; nothing where it can't be read."""
    try:
        document = read_json(place.config)
    except VaultError:
        return {}
    account = document.get("oauthAccount") if isinstance(document, dict) else None
    return texts_of(account, "emailAddress", "accountUuid") if isinstance(account, dict) else {}


def _take_key(findings: Findings, path: Path, value: object) -> None:
    try:
        credential = ApiKey(key=usable_secret(value, "key"))
        found = Found(MAIN_AGENT, _CONSOLE, credential, str(path), label="made by /login")
        findings.found.append(_owned(found))
    except InputError as error:
        findings.skipped.append(Skipped("primaryApiKey", str(path), error.message))


def _take_settings(findings: Findings, path: Path, document: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    env = document.get("env")
    for name in config.SETTINGS_NAMES if isinstance(env, dict) else ():
        if isinstance(env, dict) and name in env:
            try:
                home = home_of(_ANTHROPIC, env.get("ANTHROPIC_BASE_URL"), environ, config.SETTINGS_NAMES[name])
                profile = home.profile
                if any(f.profile == profile for f in findings.found):
                    profile = profile_id(home.provider, f"{name_of(profile)}#{config.SETTINGS_NAMES[name]}")
                secret = usable_secret(env[name], "value")
                credential: AnyCredential = ApiKey(key=secret) if name == "ANTHROPIC_API_KEY" else Token(token=secret)
                found = Found(MAIN_AGENT, profile, credential, str(path), label=name, base_url=home.base_url)
                findings.found.append(_owned(found))
            except InputError as error:
                findings.skipped.append(Skipped(f"env.{name}", str(path), error.message))
    helper = document.get("apiKeyHelper")
    if isinstance(helper, str) and helper.strip() and not config.is_ours(helper):
        try:
            reference = Reference(scheme="command", target=parse_secret(helper.strip()))
            profile = profile_id(_ANTHROPIC, "key-helper")
            base_url = home_of(
                _ANTHROPIC, env.get("ANTHROPIC_BASE_URL") if isinstance(env, dict) else "", environ
            ).base_url
            found = Found(MAIN_AGENT, profile, reference, str(path), label="apiKeyHelper", base_url=base_url)
            findings.found.append(_owned(found))
        except InputError as error:
            findings.skipped.append(Skipped("apiKeyHelper", str(path), error.message))


def _owned(found: Found) -> Found:
    ownership, why = ownership_of(_ANTHROPIC, found.credential, _TITLE)
    return replace(found, ownership=ownership, why=why)


def _lock(target: Target) -> AbstractContextManager[object]:
    return locked(place_of(target.environ, target.home, target.path))


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="keys: vault; login: Claude Code",
    line="vault connect claude-code",
    helper="api-key",
    addresses=True,
    takes=frozenset({"anthropic"}),
    read=read,
    write=config.write,
    connect=config.connect,
    disconnect=config.disconnect,
    inject=config.inject,
    scrub=config.scrub,
    lock=_lock,
)
