"""An entry of Crush's ``providers``, and the credentials in it.

A value is read as Crush's shell reads a here-document: a backslash takes the meaning from ``$``, a backquote and a backslash, and
is itself elsewhere. Quotes are refused where they would matter. Seconds since 1970 are Crush's instants.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vault.errors import InputError, VaultError
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Reference, Token
from vault.interop.commands import asks_a_vault, words_of
from vault.interop.entries import ownership_of, usable_secret
from vault.pointers import is_one_command, pointer_in
from vault.providers import catalogue
from vault.values import DEFAULT_NAME, SECOND, ProviderId, foreign_provider, moment_of

TITLE = "Crush"
KEPT = "crush"
LOGINS = {"hyper": "hyper", "copilot": "github-copilot"}
_SPECIAL = re.compile(r"[\\$`]")
_ESCAPED = re.compile(r"\\([\\$`])")
_OAUTH = frozenset({"access_token", "refresh_token", "expires_at"})


def provider_called(name: str) -> ProviderId:
    """The provider that Crush's name for one means. Raises InputError."""
    try:
        return catalogue.resolve(name)
    except VaultError:
        return foreign_provider(name)


def profile_name(credential: AnyCredential) -> str:
    """The name of a profile: a sign-in of Crush's own is ``crush``."""
    return "crush" if isinstance(credential, OAuth) else DEFAULT_NAME


def credentials_of(name: str, entry: object) -> list[tuple[AnyCredential, str, str]]:
    """(credential, ownership, why) of an entry, none for one without a key. Raises InputError for what can't be taken."""
    if not isinstance(entry, dict):
        raise InputError("it is not an object")
    provider = provider_called(name)
    oauth, key = entry.get("oauth"), entry.get("api_key")
    if isinstance(oauth, dict) and oauth:
        if name not in LOGINS:
            raise InputError(f"{TITLE} no longer uses a sign-in there; crush logout {name} takes it out")
        login = _login(oauth, name)
        return [(login, *ownership_of(provider, login, TITLE))]
    if key in (None, ""):
        return []
    if asks_the_vault(key):
        raise InputError("it asks the vault already")
    credential = _key(key, {KEPT: {"id": name}})
    return [(credential, *ownership_of(provider, credential, TITLE))]


def asks_the_vault(value: object) -> bool:
    """Whether a value is a command that asks a vault."""
    text = value.strip() if isinstance(value, str) else ""
    if not (text.startswith("$(") and is_one_command(text)):
        return False
    return asks_a_vault(words_of(text[2:-1]), "token")


def api_key_of(credential: AnyCredential, there: object) -> str:
    """What ``api_key`` is for a credential; what is there when it means the same. Raises InputError."""
    match credential:
        case ApiKey(key=secret) | Token(token=secret):
            if isinstance(there, str) and _means(there, secret):
                return there
            if "'" in secret or '"' in secret:
                raise InputError("its key has quotes, which releases of Crush read differently: vault connect crush")
            return _SPECIAL.sub(lambda found: "\\" + found[0], secret)
        case Reference(scheme="env", target=name):
            spelt = (f"${name}", f"${{{name}}}")
            return there if isinstance(there, str) and there in spelt else spelt[0]
        case Reference(scheme="command", target=command):
            return f"$({command})"
        case _:
            raise InputError(f"a {credential.kind} can't be kept by {TITLE}: vault connect crush")


def oauth_of(credential: OAuth, kept: Mapping[str, Any], now: int) -> dict[str, Any]:
    """A sign-in as Crush keeps it. ``now`` is microseconds UTC."""
    entry: dict[str, Any] = {"access_token": credential.access, "refresh_token": credential.refresh}
    more = kept.get("oauth")
    entry |= more if isinstance(more, dict) else {}
    if credential.expires_at is not None:
        entry["expires_at"] = credential.expires_at // SECOND
        entry.setdefault("expires_in", max(0, (credential.expires_at - now) // SECOND))
    return entry


def _login(oauth: Mapping[str, Any], name: str) -> OAuth:
    refresh, expires = oauth.get("refresh_token"), oauth.get("expires_at")
    ends = moment_of(expires, SECOND)
    whole = ends is not None and isinstance(expires, int)
    known = _OAUTH if whole else _OAUTH - {"expires_at"}
    return OAuth(
        access=usable_secret(oauth.get("access_token"), "access token"),
        refresh=usable_secret(refresh, "refresh token") if refresh else "",
        expires_at=ends if whole else None,
        extra={KEPT: {"id": name, "oauth": {n: v for n, v in oauth.items() if n not in known}}},
    )


def _key(value: object, extra: dict[str, Any]) -> AnyCredential:
    """A key, or what it refers to. Raises InputError."""
    if isinstance(value, str) and value.strip().startswith("$"):
        found = pointer_in(value)
        if found is None or found.scheme not in ("env", "command") or found.default:
            raise InputError("a shell puts it together from several parts")
        return Reference(scheme=found.scheme, target=found.target, extra=extra)
    plain = _plain(value)
    return ApiKey(key=usable_secret(plain, "key", literal=plain != value), extra=extra)


def _plain(value: object) -> object:
    """A value that a shell would leave as it is, with its backslashes taken out. Raises InputError."""
    if not isinstance(value, str):
        return value
    if _SPECIAL.search(value) is None:
        return value
    if "'" in value or '"' in value or re.search(r"[$`]", _ESCAPED.sub("", value)):
        raise InputError("a shell puts it together from several parts")
    return _ESCAPED.sub(r"\1", value)


def _means(value: str, secret: str) -> bool:
    try:
        return _plain(value) == secret
    except InputError:
        return False
