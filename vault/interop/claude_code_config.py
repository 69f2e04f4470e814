"""What is written for Claude Code: its own login put back, a helper in its settings, and what a child of ``exec`` gets.

- Nothing but a login that came from Claude Code is written into its store, and only over one that ended or is older.
- ``apiKeyHelper`` is for API keys: its output is sent as one. An OAuth token, a setup token among them, goes through a file
  descriptor instead; so does a key under ``exec``. Variables that Claude Code would send as well are taken away.
- Claude Code writes its documents without a final newline, and people write theirs as they like: each stays as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.errors import InputError, VaultError
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop.claude_code_store import KEYCHAIN, PLATFORM, Place, place_of
from vault.interop.commands import asks_a_vault, words_of
from vault.interop.documents import object_in
from vault.interop.findings import Found, Skipped
from vault.interop.homes import fits, shown
from vault.interop.plans import ANOTHER, Injection, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of
from vault.interop.styled import mode_of, styled
from vault.providers import base_urls
from vault.values import ProfileId, Secret, provider_of

NAME = "claude-code"
KEPT = "claude_code"
LOGIN = "claudeAiOauth"
HELPER = "apiKeyHelper"
SETTINGS_NAMES = {
    "ANTHROPIC_API_KEY": "settings",
    "ANTHROPIC_AUTH_TOKEN": "settings-auth",
    "CLAUDE_CODE_OAUTH_TOKEN": "settings-oauth",
}
OAUTH_PREFIX = "sk-ant-oat"
_KEY_FD, _OAUTH_FD = "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"
_COMPETING = frozenset(
    {
        *SETTINGS_NAMES,
        _KEY_FD,
        _OAUTH_FD,
        "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
        "ANTHROPIC_PROFILE",
        "ANTHROPIC_IDENTITY_TOKEN",
        "ANTHROPIC_IDENTITY_TOKEN_FILE",
    }
)
_BASE = "ANTHROPIC_BASE_URL"
_EXEC = "vault exec --tool claude-code -- claude"


def write(outgoing: Sequence[Outgoing], _: Mapping[Any, Sequence[ProfileId]], target: Target) -> Plan:
    """Put back a login that Claude Code gave. Everything else is left out, with what to do instead. Raises InputError."""
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    document = object_in(place.credentials)
    for one in outgoing:
        why = _refusal(one, document, bool(plan.written))
        if why:
            plan.left_out.append(Skipped(one.profile, str(place.credentials), why))
            continue
        document = _restored(one, document)
        plan.writes = [Write(place.credentials, styled(place.credentials, document, indent=None))]
        plan.written.append(Written(one.agent, one.profile, LOGIN, str(place.credentials), whole=True))
    return plan


def connect(link: Link, target: Target) -> Plan:
    """``apiKeyHelper`` in ``settings.json`` asks the vault for an API key. Raises InputError for what is no API key."""
    what = link.what[0] if link.what else "anthropic"
    if len(link.what) > 1:
        raise InputError("Claude Code asks for one credential", hint="vault connect claude-code")
    if what == "anthropic:claude-code":
        raise InputError(
            "anthropic:claude-code is Claude Code's own login, which it uses without the vault",
            hint="name a profile that is an API key",
        )
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    settings = object_in(place.settings)
    old, env = settings.get(HELPER), settings.get("env")
    env = env if isinstance(env, dict) else {}
    moved = env.get(_BASE) or target.environ.get(_BASE)
    provider, base_url = provider_of(ProfileId(what)), link.base_urls.get(what, "")
    if provider != "anthropic" and not moved:
        raise InputError(
            f"Claude Code would send {what} to Anthropic",
            hint="set ANTHROPIC_BASE_URL in its settings first, or name a profile of anthropic",
        )
    if base_url and not moved:
        settings["env"] = env = {**env, _BASE: base_urls.carried("anthropic", base_url)[_BASE]}
    elif provider == "anthropic" and not _fits(base_url, moved, target.environ):
        raise InputError(
            f"Claude Code would send {what} to {shown(moved)}, which ANTHROPIC_BASE_URL names, and it doesn't belong there",
            hint="take the address out, or store what belongs there: vault login anthropic --base-url URL",
        )
    if isinstance(old, str) and old.strip() and not is_ours(old):
        plan.notes.append("another apiKeyHelper was there; vault disconnect claude-code puts it back")
    settings[HELPER] = helper_line(link, what)
    for name in SETTINGS_NAMES:
        if env.get(name):
            plan.notes.append(
                f"{name} in {place.settings} is sent as well; vault import claude-code --scrub takes it out"
            )
        elif target.environ.get(name):
            plan.notes.append(f"{name} in the environment is sent as well; unset it")
    if kind_of(place.credentials) == "file":
        plan.notes.append("while it is set, Claude Code does not use its own login")
    plan.writes.append(_settings(place, settings))
    return plan


def disconnect(target: Target) -> Plan:
    """Take our ``apiKeyHelper`` out; another one stays."""
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    settings = object_in(place.settings)
    if target.asks(words_of(settings.get(HELPER)), "api-key", tool=NAME):
        del settings[HELPER]
        plan.writes.append(_settings(place, settings))
    elif is_ours(settings.get(HELPER)):
        plan.left_out.append(Skipped(HELPER, str(place.settings), ANOTHER))
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """A key or a token of anthropic on a file descriptor; a bearer token of a gateway in its variable.

    The address goes along, where the settings, which come before variables, don't lead elsewhere.
    """
    settings, left_out = _addresses(target), {}
    for one in outgoing:
        secret = one.credential.secret()
        if one.provider != "anthropic" or not secret:
            continue
        wrong = [address for address in settings if not _fits(one.base_url, address, target.environ)]
        if wrong:
            left_out[one.profile] = f"Claude Code's settings lead to {shown(wrong[0])}, where it doesn't belong"
            continue
        address = base_urls.carried("anthropic", one.base_url) if one.base_url else {}
        moved = {n for n in base_urls.movers("anthropic") if not one.base_url and _leads(n, target)}
        is_token = isinstance(one.credential, Token) and not secret.startswith(OAUTH_PREFIX)
        if is_token:
            name, held = "ANTHROPIC_AUTH_TOKEN", {"ANTHROPIC_AUTH_TOKEN": Secret(secret)}
            held |= {n: Secret(url) for n, url in address.items()}
            return Injection(held, (_COMPETING | moved) - {name}, used=(one.profile,), left_out=left_out)
        is_key = isinstance(one.credential, ApiKey) and not secret.startswith(OAUTH_PREFIX)
        name = _KEY_FD if is_key else _OAUTH_FD
        held = {n: Secret(url) for n, url in address.items()}
        return Injection(held, (_COMPETING | moved) - {name}, {name: Secret(secret)}, (one.profile,), left_out)
    return Injection({}, left_out=left_out)


def _addresses(target: Target) -> list[str]:
    """The addresses that Claude Code's settings name: the user's, and those of the folder it is started in."""
    here = [Path.cwd() / ".claude" / name for name in ("settings.json", "settings.local.json")]
    found = []
    for path in (place_of(target.environ, target.home, target.path).settings, *here):
        try:
            env = object_in(path).get("env")
        except VaultError:
            continue
        address = env.get(_BASE) if isinstance(env, dict) else None
        found += [str(address)] if address else []
    return found


def _leads(name: str, target: Target) -> bool:
    value = target.environ.get(name, "").strip()
    return bool(value) and not _fits("", value, target.environ)


def _fits(base_url: str, address: object, environ: Mapping[str, str]) -> bool:
    """Whether Anthropic's own or a gateway's credential may go to an address, with or without the version it ends in."""
    versioned = isinstance(address, str) and fits("anthropic", base_url, address.rstrip("/") + "/v1", environ)
    return versioned or fits("anthropic", base_url, address, environ)


def scrub(found: Sequence[Found], link: Link, target: Target) -> Plan:
    """A key in ``.claude.json`` or in ``settings.json`` gives way to ``apiKeyHelper``. Raises InputError, StorageError."""
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    settings, config = object_in(place.settings), object_in(place.config)
    helper, env = settings.get(HELPER), settings.get("env")
    env = env if isinstance(env, dict) else {}
    keys = {f.credential.secret(): f.profile for f in found if isinstance(f.credential, ApiKey)}
    in_settings, in_config = keys.get(_text(env, "ANTHROPIC_API_KEY")), keys.get(_text(config, "primaryApiKey"))
    chosen = in_settings or in_config
    for one in found:
        if why := _stays(one, helper, chosen):
            plan.left_out.append(Skipped(one.profile, one.path, why))
    if chosen is None or (helper and not is_ours(helper)):
        return plan
    settings[HELPER] = helper_line(link, chosen)
    if in_settings:
        settings["env"] = {name: value for name, value in env.items() if name != "ANTHROPIC_API_KEY"}
    plan.writes.append(_settings(place, settings, secret=any(env.get(name) for name in SETTINGS_NAMES)))
    if in_config:
        del config["primaryApiKey"]
        plan.writes.append(Write(place.config, styled(place.config, config), mode=mode_of(place.config)))
    return plan


def helper_line(link: Link, what: str) -> str:
    """The shell line that prints an API key of an agent's."""
    return shlex.join([link.command, "helper", "api-key", what, "--agent", link.agent, "--tool", NAME])


def is_ours(line: object) -> bool:
    """Whether a helper's line is one that asks a vault."""
    return asks_a_vault(words_of(line))


def _refusal(one: Outgoing, document: Mapping[str, Any], full: bool) -> str:
    """Why a credential isn't written; nothing for a login that is put back."""
    if not isinstance(one.credential, OAuth) or KEPT not in one.credential.extra:
        asks = "vault connect claude-code" if isinstance(one.credential, ApiKey) else _EXEC
        return f"Claude Code's store holds its own login alone; {asks} gives it this one"
    if full:
        return "Claude Code keeps one login"
    if not one.refresh:
        return "Claude Code refreshes its login itself, so it must be handed over whole; or sign in there"
    there = document.get(LOGIN)
    if PLATFORM == "darwin" and not document:
        return "on macOS Claude Code keeps its login in the keychain; sign in there"
    if isinstance(there, dict) and there.get("refreshToken") not in ("", None, one.refresh):
        ours, theirs = one.credential.expires_at or 0, there.get("expiresAt")
        if isinstance(theirs, int | float) and theirs * 1000 >= ours:
            return "Claude Code has a newer login; sign out there to put the older one back"
    return ""


def _restored(one: Outgoing, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the login in it again; what else is there stays, what else was there comes back."""
    credential = one.credential
    assert isinstance(credential, OAuth)  # noqa: S101 - _refusal let nothing else through
    kept = credential.extra[KEPT]
    entry: dict[str, Any] = {"accessToken": credential.access, "refreshToken": credential.refresh}
    if credential.expires_at is not None:
        entry["expiresAt"] = credential.expires_at // 1000
    entry["scopes"] = list(credential.scopes)
    entry |= credential.metadata | credential.account | kept.get("entry", {})
    beside = {name: value for name, value in kept.get("document", {}).items() if name not in document}
    return {**document, LOGIN: entry, **beside}


def _stays(one: Found, helper: object, chosen: ProfileId | None) -> str:
    """Why a secret is not taken out of Claude Code's files; nothing when it is."""
    if not isinstance(one.credential, ApiKey):
        return "Claude Code has no reference for a token; it keeps its own"
    if one.path.startswith(KEYCHAIN):
        return "it is in the keychain, not in a file"
    if helper and not is_ours(helper):
        return "Claude Code has another apiKeyHelper already"
    return "" if chosen is not None else "it is no longer there"


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value.strip() if isinstance(value, str) else None


def _settings(place: Place, settings: Mapping[str, Any], *, secret: bool | None = None) -> Write:
    env = settings.get("env")
    held = secret if secret is not None else isinstance(env, dict) and any(env.get(name) for name in SETTINGS_NAMES)
    return Write(place.settings, styled(place.settings, settings), mode_of(place.settings), secret=held)
