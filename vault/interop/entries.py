"""What importers share: checked secrets and instants of foreign entries, and who owns a credential after an import.

A reason not to take an entry is an InputError: the importer turns it into a Skipped. Its message never holds the secret.

| credential | ownership |
|---|---|
| API key, token, well-known token | ``vault``: it doesn't change by itself |
| reference | ``external``: the secret stays where it is |
| OAuth without a refresh token, or whose provider keeps the refresh token at a refresh | ``copy``: both may hold it |
| any other OAuth | ``external``: a refresh token that rotates has one owner, and the tool goes on refreshing it |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from vault.errors import InputError
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Reference
from vault.interop.sources import shown_name
from vault.pointers import pointer_in
from vault.spelling import is_shortened
from vault.values import LATEST, ProfileId, ProviderId, moment_of, parse_provider, parse_secret, profile_id

MILLISECOND = 1_000
LATEST_MS = LATEST // MILLISECOND
FENCE = "openclaw-oauth-refresh-fence:"
_KEEP_REFRESH_TOKEN = frozenset(
    {
        "github-copilot",
        "github-copilot-enterprise",
        "google",
        "google-gemini-cli",
        "google-vertex",
        "poe",
        "digitalocean",
    }
)
_ROTATE = frozenset(
    {"anthropic", "openai", "kimi-code", "kimi-for-coding", "minimax", "minimax-portal", "hyper", "nous"}
)


def usable_secret(value: object, what: str, *, literal: bool = False) -> str:
    """A secret as it is stored elsewhere, without blanks around it, checked. ``what`` names the field.

    ``literal`` says that the tool would not take it for a reference, whatever it looks like. Raises InputError.
    """
    if not isinstance(value, str) or not (value := value.strip()):
        raise InputError(f"it has no {what}")
    if value.startswith(FENCE):
        raise InputError(f"its {what} is a marker that a refresh is under way, not a token")
    pointer = None if literal else pointer_in(value)
    if pointer is not None:
        raise InputError(f"its {what} is {pointer.what}, not a secret")
    try:
        return parse_secret(value)
    except InputError as error:
        raise InputError(error.message.replace("the secret", f"its {what}")) from None


def key_or_reference(value: object, what: str, follow: Collection[str] = ("env",), **kept: Any) -> ApiKey | Reference:
    """A key as it is stored elsewhere, or the reference that stands there in its place.

    ``follow`` are the kinds of references that the tool follows too; ``kept`` are further fields of the credential. Raises
    InputError for a reference of another kind, an encrypted value and a placeholder; it says which.
    """
    pointer = pointer_in(value) if isinstance(value, str) else None
    if pointer is not None and pointer.scheme in follow and pointer.default in (None, ""):
        return Reference(scheme=pointer.scheme, target=pointer.target, **kept)
    return ApiKey(key=usable_secret(value, what), **kept)


def instant_of(value: object) -> int | None:
    """Milliseconds since 1970, as JavaScript tools write them, as microseconds; None for never, unknown or nonsense."""
    return moment_of(value, MILLISECOND)


def texts_of(entry: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Those of the named fields that are text and not empty."""
    return {name: entry[name] for name in names if isinstance(entry.get(name), str) and entry[name]}


def metadata_of(entry: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """An entry's ``metadata``: its texts, and whatever else is in it, as the ``extra`` that keeps it."""
    metadata = entry.get("metadata")
    if not isinstance(metadata, dict):
        return {}, {} if metadata is None else {"metadata": metadata}
    texts = {name: value for name, value in metadata.items() if isinstance(value, str)}
    others = {name: value for name, value in metadata.items() if not isinstance(value, str)}
    return texts, {"metadata": others} if others else {}


def former_profile(provider: str, name: str) -> ProfileId | None:
    """What earlier versions called a profile, if it could be a profile at all."""
    try:
        return profile_id(parse_provider(provider), name)
    except InputError:
        return None


def original_label(profile: ProfileId, original: str) -> str:
    """The label of a profile whose id has room for the beginning of another tool's name only: that name; else nothing."""
    provider, _, name = profile.partition(":")
    return original if is_shortened(provider) or is_shortened(name) else ""


def type_of(entry: Mapping[str, Any]) -> str:
    """An entry's type, printable."""
    kind = entry.get("type")
    return shown_name(kind) if isinstance(kind, str) and kind else "none"


def ownership_of(provider: ProviderId, credential: AnyCredential, tool: str) -> tuple[str, str]:
    """Who owns a credential after an import, and why. ``tool`` is the other tool's name as people write it."""
    if isinstance(credential, Reference):
        return "external", f"the secret stays where the reference points; {tool} resolves it"
    if not isinstance(credential, OAuth):
        return "vault", f"{_article(credential.kind)} doesn't change by itself"
    if not credential.refresh or credential.refresh == credential.access:
        return "copy", "it has no refresh token of its own, so both may hold it"
    if provider in _KEEP_REFRESH_TOKEN:
        return "copy", f"{provider} keeps the refresh token at a refresh, so both may hold it"
    replaces = "replaces" if provider in _ROTATE else "may replace"
    return (
        "external",
        f"{provider} {replaces} the refresh token at a refresh, so it has one owner: {tool} goes on refreshing it",
    )


def keeps_refresh_token(provider: ProviderId) -> bool:
    """Whether a provider is known to keep the refresh token at a refresh, so that two may hold it."""
    return provider in _KEEP_REFRESH_TOKEN


def _article(kind: str) -> str:
    return {"api_key": "an API key", "token": "a bearer token", "wellknown": "a server's own token"}.get(kind, "it")
