"""Entries of OpenCode's ``auth.json``, and the credentials they stand for, in both directions.

| type | fields |
|---|---|
| ``api`` | ``key``; ``metadata``, texts by name |
| ``oauth`` | ``refresh``, ``access``, ``expires`` (whole milliseconds, 0 for never); ``accountId``, ``enterpriseUrl`` |
| ``wellknown`` | ``key`` (the name of a variable), ``token``; its name in the file is the server's URL |

OpenCode's provider ids are those of models.dev, as the vault's are. What isn't known here goes to ``extra`` and comes out again.
A reason not to take or to write an entry is an InputError, which never shows a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from vault.errors import InputError
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Reference, Token, WellKnown
from vault.interop.entries import (
    LATEST_MS,
    MILLISECOND,
    former_profile,
    instant_of,
    metadata_of,
    ownership_of,
    texts_of,
    type_of,
    usable_secret,
)
from vault.interop.plans import Outgoing
from vault.interop.servers import server_of
from vault.values import (
    DEFAULT_NAME,
    ProfileId,
    foreign_profile,
    foreign_provider,
    profile_id,
    provider_of,
)
from vault.variables import is_credentials

TITLE = "OpenCode"
PLACEHOLDER = "vault:"
_EXTRA_OF = {
    "api": {"type", "key", "metadata"},
    "oauth": {"type", "refresh", "access", "expires", "accountId", "enterpriseUrl"},
    "wellknown": {"type", "key", "token"},
}
_FOREVER_MS = 253_402_300_799_000
_COPILOT = "github-copilot"
_CLAUDE_TOKEN = "sk-ant-oat"  # noqa: S105 - how one starts


def profile_of(key: str) -> ProfileId:
    """The profile an entry becomes, by its name in the file. Raises InputError."""
    key = key.rstrip("/")
    if "://" not in key:
        return profile_id(foreign_provider(key), DEFAULT_NAME)
    server = server_of(key)
    return foreign_profile(server.provider, server.path or DEFAULT_NAME)


def former_profile_of(key: str) -> ProfileId | None:
    """What earlier versions called the profile of an entry."""
    if "://" not in key:
        return None
    try:
        url = urlsplit(key.rstrip("/"))
        host, port = url.hostname or "", url.port
    except ValueError:
        return None
    parts = ([] if url.scheme == "https" else [url.scheme]) + ([str(port)] if port else [])
    parts += [part for part in url.path.split("/") if part]
    return former_profile(host.strip("[]").replace(":", "-").strip("-."), "-".join(parts) or DEFAULT_NAME)


def credential_of(key: str, entry: Mapping[str, Any]) -> AnyCredential:
    """The credential of an entry. Raises InputError."""
    kind = type_of(entry)
    extra = {name: value for name, value in entry.items() if name not in _EXTRA_OF.get(kind, set())}
    match kind:
        case "api":
            metadata, rest = metadata_of(entry)
            if "metadata" in entry and not metadata and not rest:
                rest = {"metadata": entry["metadata"]}
            return ApiKey(key=usable_secret(entry.get("key"), "key"), metadata=metadata, extra=extra | rest)
        case "oauth":
            return _oauth_of(entry, extra)
        case "wellknown":
            if "://" not in key:
                raise InputError("its type is wellknown and its name is not a URL")
            env = entry.get("key")
            if not isinstance(env, str) or not is_credentials(env):
                raise InputError("it names no environment variable that a token may go into, such as CORP_TOKEN")
            return WellKnown(
                url=key.rstrip("/"), env=env, token=usable_secret(entry.get("token"), "token"), extra=extra
            )
        case _:
            raise InputError(f"its type is {kind}, and OpenCode's types are api, oauth and wellknown")


def entry_of(outgoing: Outgoing, *, for_child: bool = False) -> tuple[str, dict[str, Any]]:
    """The name in the file and the entry of a credential on its way out. Raises InputError: why it can't be one.

    ``for_child`` is for a child's environment, where an access token alone is of use.
    """
    credential, provider = outgoing.credential, outgoing.provider_there
    extra = dict(credential.extra)
    match credential:
        case ApiKey():
            return provider, _api(credential.key, credential.metadata, extra)
        case Token():
            if provider == "anthropic" and credential.token.startswith(_CLAUDE_TOKEN):
                raise InputError("it is the token of a Claude sign-in, and OpenCode takes API keys of Anthropic only")
            return provider, _api(credential.token, credential.metadata, extra)
        case OAuth():
            return provider, _login(outgoing, credential, extra, for_child)
        case WellKnown():
            return credential.url, {**extra, "type": "wellknown", "key": credential.env, "token": credential.token}
        case Reference():
            raise InputError("its secret is kept elsewhere, and auth.json takes no references; vault connect opencode")
        case _:
            raise InputError("it is several secrets; vault exec --tool opencode -- opencode")


def placeholder_of(provider: str, *, login: bool) -> dict[str, Any]:
    """The entry that makes OpenCode load the plugin for a provider. It holds no secret."""
    mark = PLACEHOLDER + provider
    if not login:
        return {"type": "api", "key": mark}
    return {"type": "oauth", "refresh": mark, "access": mark, "expires": _FOREVER_MS}


def is_placeholder(entry: object) -> bool:
    """Whether an entry of the file only refers to the vault."""
    if not isinstance(entry, dict):
        return False
    values = [entry[name] for name in ("key", "access", "refresh") if isinstance(entry.get(name), str)]
    return bool(values) and type_of(entry) != "wellknown" and all(v.startswith(PLACEHOLDER) for v in values)


def name_in(document: Mapping[str, Any], name: str, profile: ProfileId) -> str:
    """The name under which the file has what would be written under ``name``, else that name."""
    for there in document:
        if there.rstrip("/") == name:
            return there
        if "://" in there and "://" not in name:
            try:
                if profile_of(there) == profile:
                    return there
            except InputError:
                continue
    return name


def held_in(name: str, entry: object) -> AnyCredential | None:
    """The credential an entry holds, if it holds one."""
    try:
        return credential_of(name, entry) if isinstance(entry, dict) else None
    except InputError:
        return None


def owns(profile: ProfileId, credential: AnyCredential | None) -> bool:
    """Whether an entry's credential is a login that OpenCode goes on refreshing."""
    return credential is not None and ownership_of(provider_of(profile), credential, TITLE)[0] == "external"


def _oauth_of(entry: Mapping[str, Any], extra: dict[str, Any]) -> OAuth:
    expires = entry.get("expires", 0)
    if isinstance(expires, bool) or not isinstance(expires, int | float) or expires < 0 or expires % 1:
        raise InputError("its expires is not a whole number of milliseconds")
    refresh = entry.get("refresh", "")
    account, place = texts_of(entry, "accountId"), texts_of(entry, "enterpriseUrl")
    odd = {
        name: entry[name] for name in ("accountId", "enterpriseUrl") if name in entry and name not in account | place
    }
    if expires and instant_of(expires) is None:
        odd["expires"] = expires
    return OAuth(
        access=usable_secret(entry.get("access"), "access token"),
        refresh=usable_secret(refresh, "refresh token") if refresh != "" else "",
        expires_at=instant_of(expires),
        account=account,
        metadata=place,
        extra=extra | odd,
    )


def _api(key: str, metadata: Mapping[str, str], extra: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "api", "key": key}
    if metadata or "metadata" in extra:
        others = extra.pop("metadata", {})
        entry["metadata"] = {**others, **metadata} if isinstance(others, dict) else dict(metadata) or others
    return {**extra, **entry}


def _login(outgoing: Outgoing, credential: OAuth, extra: dict[str, Any], for_child: bool) -> dict[str, Any]:
    if outgoing.provider == "anthropic":
        raise InputError("OpenCode has no Anthropic sign-in; give it an API key")
    if credential.refresh and not outgoing.refresh and not for_child:
        raise InputError(
            "the vault refreshes this sign-in, and OpenCode would too, with the same refresh token; vault connect opencode"
        )
    expires = max(1, credential.expires_at // MILLISECOND) if credential.expires_at is not None else 0
    unread = extra.get("expires")
    if not expires and isinstance(unread, int) and unread > LATEST_MS:
        expires = unread
    entry: dict[str, Any] = {
        "type": "oauth",
        "refresh": outgoing.refresh or (credential.access if outgoing.provider == _COPILOT else ""),
        "access": credential.access,
        "expires": expires,
    }
    if credential.account.get("accountId"):
        entry["accountId"] = credential.account["accountId"]
    place = credential.metadata.get("enterpriseUrl") or credential.metadata.get("host")
    if place:
        entry["enterpriseUrl"] = place
    return {**extra, **entry}
