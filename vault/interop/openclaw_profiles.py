"""OpenClaw's profiles: an entry of its store as a credential, its id as a profile id here, its usage as health.

Entries are read as leniently as OpenClaw reads them: ``mode`` for ``type``, ``apiKey`` for ``api_key`` and for ``key``, a
reference in the place of the secret, ``${NAME}`` and ``$NAME`` for an environment variable. OAuth tokens are never references.

While OpenClaw refreshes a login it keeps a marker in its place, and afterwards too when the refresh failed: a marker is never
taken for a token. A window that holds for one model only is left out: health here is a profile's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vault.errors import InputError
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Reference, Token
from vault.events.types import Health
from vault.interop.entries import FENCE, former_profile, instant_of, metadata_of, texts_of, type_of, usable_secret
from vault.model.health import FAILURES
from vault.providers.aliases import canonical
from vault.spelling import spell_name
from vault.values import (
    DEFAULT_NAME,
    ProfileId,
    ProviderId,
    foreign_profile,
    foreign_provider,
    provider_of,
)

OLD_NAMES = {"openai-codex": "openai", "codex": "openai", "codex-cli": "openai", "claude-cli": "anthropic"}
_CODEX = "openai-codex"
_VARIABLE = re.compile(r"\$(?:\{([A-Z][A-Z0-9_]{0,127})\}|([A-Z][A-Z0-9_]{0,127}))")
_COMMAND = re.compile(r"openclaw\s+onboard\b", re.IGNORECASE)
_SOURCES = ("env", "file", "exec", "store")
_COMMON = {"type", "mode", "provider", "metadata"}
LABELS = ("email", "displayName")
ACCOUNT = (*LABELS, "accountId", "chatgptPlanType", "subscriptionType", "rateLimitTier")
PLACE = (
    "enterpriseUrl",
    "projectId",
    "clientId",
    "tokenEndpoint",
    "deviceAuthorizationEndpoint",
    "issuer",
    "authFlow",
)
_REASONS = {
    "session_expired": "auth",
    "empty_response": "unknown",
    "no_error_details": "unknown",
    "unclassified": "unknown",
    "subscription_limit": "rate_limit",
}
_KNOWN = frozenset(FAILURES) | frozenset(_REASONS)


def provider_of_entry(entry: Mapping[str, Any]) -> ProviderId:
    """The provider an entry belongs to, OpenClaw's old names turned into today's. Raises InputError."""
    name = entry.get("provider")
    if not isinstance(name, str) or not name.strip():
        raise InputError("it names no provider")
    return canonical_provider(name)


def canonical_provider(name: str) -> ProviderId:
    """A provider id, OpenClaw's old names turned into today's. Raises InputError."""
    return foreign_provider(_today(name))


def profile_name(name: str, provider: ProviderId) -> ProfileId:
    """The profile id here for an id there. An id that doesn't start with its provider becomes the name whole."""
    prefix, colon, rest = name.strip().partition(":")
    if colon and foreign_provider(_today(prefix)) == provider:
        return foreign_profile(provider, rest or DEFAULT_NAME)
    return ProfileId(f"{provider}:{spell_name(name.strip(), also=':')}")


def former_name(name: str, profile: ProfileId) -> ProfileId | None:
    """What earlier versions called the profile of an id."""
    prefix, colon, rest = name.strip().partition(":")
    provider = provider_of(profile)
    text = rest if colon and _today(prefix) == provider else name.replace(":", "-")
    return former_profile(provider, "-".join(text.split()).lstrip("-:")[:128] or DEFAULT_NAME)


def is_old_name(name: str) -> bool:
    """Whether an id starts with an old name of a provider."""
    prefix = name.partition(":")[0].strip().lower()
    return _today(prefix) != prefix


def _today(name: str) -> str:
    """The id the catalogue has for a name: OpenClaw's own old names, and those that other tools have."""
    lowered = name.strip().lower()
    return OLD_NAMES.get(lowered) or canonical(lowered) or lowered


def next_free(name: str, profile: ProfileId, taken: set[ProfileId]) -> ProfileId:
    """A profile id for an old id whose own is taken, as OpenClaw's doctor makes it: ``openai:chatgpt-NAME``."""
    provider, _, rest = profile.partition(":")
    old = name.partition(":")[0].strip().lower()
    kind = "chatgpt" if old == _CODEX else "cli" if old in OLD_NAMES else old
    made, number = f"{kind}-{rest}"[:120], 1
    while (free := ProfileId(f"{provider}:{made}" if number == 1 else f"{provider}:{made}-{number}")) in taken:
        number += 1
    return free


def credential_of(entry: Mapping[str, Any], files: Mapping[str, str]) -> AnyCredential:
    """An entry as a credential. ``files`` are the paths of OpenClaw's file sources by alias.

    Raises InputError with the reason when it can't be taken over; the message shows no secret.
    """
    if isinstance(entry.get("setup"), dict):
        raise InputError("it is a sign-in OpenClaw saved and has not activated: activate it there, then import again")
    entry = dict(entry)
    if "type" not in entry and isinstance(entry.get("mode"), str):
        entry["type"] = entry["mode"]
    match type_of(entry):
        case "api_key" | "apiKey":
            if "key" not in entry and _reference(entry.get("keyRef")) is None and "apiKey" in entry:
                entry["key"] = entry.pop("apiKey")
            return _plain(entry, "key", "keyRef", files)
        case "token":
            return _plain(entry, "token", "tokenRef", files)
        case "oauth":
            return _oauth(entry)
        case kind:
            raise InputError(f"its type is {kind}, and OpenClaw's types are api_key, token and oauth")


def account_of(entry: Mapping[str, Any]) -> str:
    """Whose account an entry is, as it is shown."""
    return next(iter(texts_of(entry, "email", "accountId").values()), "")


def health_of(stats: Mapping[str, Any], *, last_good: bool) -> Health | None:
    """A usage record as health, instants in microseconds; None when it tells nothing."""
    reason = next((stats[n] for n in ("disabledReason", "blockedReason", "cooldownReason") if stats.get(n)), "")
    if not reason and isinstance(counts := stats.get("failureCounts"), dict) and counts:
        reason = max(counts, key=lambda name: counts[name] if isinstance(counts[name], int | float) else 0)
    failures = stats.get("errorCount")
    cooldown = 0 if stats.get("cooldownModel") else instant_of(stats.get("cooldownUntil")) or 0
    blocked = 0 if stats.get("blockedScope") == "model" else instant_of(stats.get("blockedUntil")) or 0
    health = Health(
        failures=failures if isinstance(failures, int) and not isinstance(failures, bool) and failures > 0 else 0,
        last_reason=_REASONS.get(reason, reason) if isinstance(reason, str) and reason in _KNOWN else "",
        last_failure_at=instant_of(stats.get("lastFailureAt")) or 0,
        last_success_at=(instant_of(stats.get("lastUsed")) or 0) if last_good else 0,
        cooldown_until=max(cooldown, blocked),
        disabled_until=instant_of(stats.get("disabledUntil")) or 0,
    )
    return health if health != Health() else None


def _plain(entry: Mapping[str, Any], field: str, ref_field: str, files: Mapping[str, str]) -> AnyCredential:
    metadata, odd = metadata_of(entry)
    labels = texts_of(entry, *LABELS)
    known = _COMMON | {field, ref_field, "expires"} | set(labels)
    extra = {name: value for name, value in entry.items() if name not in known} | odd
    expires_at = instant_of(entry.get("expires"))
    if "expires" in entry and (expires_at is None or field == "key"):
        extra["expires"] = entry["expires"]
    metadata |= labels
    for name in (ref_field, field):
        if (ref := _reference(entry.get(name))) is not None:
            if "expires" in entry:
                extra["expires"] = entry["expires"]
            target = _target(ref, files)
            scheme = "env" if ref["source"] == "env" else f"openclaw-{ref['source']}"
            return Reference(scheme=scheme, target=target, metadata=metadata, extra=extra | {name: entry[name]})
    secret = usable_secret(entry.get(field), field)
    if _COMMAND.match(secret):
        raise InputError(f"its {field} is a command line, not a {field}")
    if field == "key":
        return ApiKey(key=secret, metadata=metadata, extra=extra)
    return Token(token=secret, expires_at=expires_at, metadata=metadata, extra=extra)


def _oauth(entry: Mapping[str, Any]) -> OAuth:
    access, refresh = entry.get("access"), entry.get("refresh")
    for token in (access, refresh):
        if isinstance(token, str) and token.startswith(FENCE):
            if ":failed:" in token:
                raise InputError("its refresh failed and OpenClaw kept a marker, not the tokens: sign in there again")
            raise InputError(
                "OpenClaw is refreshing it and keeps a marker, not the tokens: import again when it is done"
            )
    if not access and not refresh and entry.get("oauthRef") is not None:
        raise InputError("its tokens are in an encrypted file of OpenClaw 2026.5: sign in there again, then import")
    if any(_reference(token) is not None for token in (access, refresh)):
        raise InputError("its tokens are references, which OpenClaw refuses for a sign-in")
    metadata, odd = metadata_of(entry)
    account, place = texts_of(entry, *ACCOUNT), texts_of(entry, *PLACE)
    id_token = entry["idToken"] if isinstance(entry.get("idToken"), str) else ""
    expires_at = instant_of(entry.get("expires"))
    known = (
        _COMMON | {"access", "refresh", "expires"} | set(account) | set(place) | ({"idToken"} if id_token else set())
    )
    extra = {name: value for name, value in entry.items() if name not in known} | odd
    if entry.get("expires") and expires_at is None:
        extra["expires"] = entry["expires"]
    return OAuth(
        access=usable_secret(access, "access token"),
        refresh=usable_secret(refresh, "refresh token") if refresh else "",
        expires_at=expires_at,
        id_token=id_token,
        account=account,
        metadata=metadata | place,
        extra=extra,
    )


def _reference(value: object) -> dict[str, str] | None:
    """A SecretRef, in full, without its provider, or as ``${NAME}``; None for anything else."""
    if isinstance(value, str) and (match := _VARIABLE.fullmatch(value.strip())):
        return {"source": "env", "provider": "default", "id": match[1] or match[2]}
    if not isinstance(value, dict) or value.get("source") not in _SOURCES:
        return None
    name, alias = value.get("id"), value.get("provider", "default")
    if not isinstance(name, str) or not name.strip() or not isinstance(alias, str):
        return None
    return {"source": value["source"], "provider": alias, "id": name.strip()}


def _target(ref: Mapping[str, str], files: Mapping[str, str]) -> str:
    if ref["source"] == "env":
        return ref["id"]
    if ref["source"] == "file" and (path := files.get(ref["provider"])):
        return path if ref["id"] == "value" else f"{path}#{ref['id']}"
    return f"{ref['provider']}:{ref['id']}"
