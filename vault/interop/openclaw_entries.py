"""A credential as an entry of OpenClaw's store: the inverse of reading one.

OpenClaw has three types: ``api_key``, ``token`` with or without ``expires``, and ``oauth``, which needs one. Times are
milliseconds. A reference is written only as OpenClaw itself would: as it came from there, or as an environment variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vault.errors import InputError
from vault.events.credentials import AnyCredential, ApiKey, Cloud, OAuth, Reference, Token, WellKnown
from vault.interop.entries import MILLISECOND
from vault.interop.openclaw_profiles import ACCOUNT, LABELS, PLACE, credential_of
from vault.interop.plans import Outgoing
from vault.values import MINUTE

_REFERENCES = {"keyRef": "api_key", "key": "api_key", "tokenRef": "token", "token": "token"}
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_CONNECT = "let OpenClaw ask for its access token instead: vault connect openclaw -p"


def entry_of(outgoing: Outgoing, provider: str) -> dict[str, Any]:
    """The entry of a credential. ``provider`` is what OpenClaw calls it. Raises InputError with why there is none."""
    credential = outgoing.credential
    match credential:
        case ApiKey():
            own: dict[str, Any] = {"key": credential.key}
        case Token():
            own = {"token": credential.token} | _expires(credential.expires_at)
        case OAuth():
            own = _login(outgoing, credential)
        case Reference():
            return _reference(credential, provider)
        case WellKnown():
            raise InputError("a server's own token is not a model provider's, and OpenClaw has no place for it")
        case Cloud():
            raise InputError("OpenClaw asks the cloud's own files and programs, and keeps nothing of them")
    return _whole({"type": credential.kind, "provider": provider} | own, credential)


def same_entry(entry: Any, credential: AnyCredential, files: Mapping[str, str]) -> bool:
    """Whether an entry of the store has this credential. A token's end may differ by a minute: OpenClaw counts it from now."""
    if not isinstance(entry, dict):
        return False
    try:
        found = credential_of(entry, files)
    except InputError:
        return False
    if isinstance(found, Reference) and isinstance(credential, Reference):
        return (found.scheme, found.target) == (credential.scheme, credential.target)
    secrets = (found.kind, found.secret(), found.second_secret())
    if secrets != (credential.kind, credential.secret(), credential.second_secret()):
        return False
    one, other = found.expires(), credential.expires()
    return one == other or (one is not None and other is not None and abs(one - other) < MINUTE)


def merged(old: Any, new: Mapping[str, Any]) -> dict[str, Any]:
    """An entry in the place of an old one: what the old one has besides its credential stays."""
    kept = {k: v for k, v in old.items() if k not in _OWN and k not in new} if isinstance(old, dict) else {}
    return {**new, **kept}


_OWN = frozenset({"type", "mode", "provider", "key", "keyRef", "apiKey", "token", "tokenRef", "access", "refresh"}) | {
    "expires",
    "idToken",
    "oauthRef",
    "setup",
}


def _login(outgoing: Outgoing, credential: OAuth) -> dict[str, Any]:
    if not outgoing.whole:
        raise InputError(f"its refresh token stays in the vault, and OpenClaw would try to refresh it: {_CONNECT} …")
    if credential.expires_at is None and "expires" not in credential.extra:
        raise InputError("nobody knows when its access token ends, and OpenClaw refuses such a login")
    tokens = {"access": credential.access} | ({"refresh": credential.refresh} if credential.refresh else {})
    named = {"idToken": credential.id_token} if credential.id_token else {}
    return tokens | _expires(credential.expires_at) | named


def _reference(credential: Reference, provider: str) -> dict[str, Any]:
    field = next((name for name in _REFERENCES if name in credential.extra), None)
    if field is not None:
        return _whole({"type": _REFERENCES[field], "provider": provider}, credential)
    if credential.scheme != "env" or not _VARIABLE.fullmatch(credential.target):
        raise InputError("it is a reference that only the vault can follow: vault connect openclaw serves it")
    ref = {"source": "env", "provider": "default", "id": credential.target}
    return _whole({"type": "api_key", "provider": provider, "keyRef": ref}, credential)


def _whole(own: Mapping[str, Any], credential: AnyCredential) -> dict[str, Any]:
    """An entry with everything besides its secret: labels and account where OpenClaw has them, ``metadata``, ``extra``."""
    top = (*ACCOUNT, *PLACE) if isinstance(credential, OAuth) else LABELS
    account = credential.account if isinstance(credential, OAuth) else {}
    known = {**account, **credential.metadata}
    extra = dict(credential.extra)
    odd = extra.pop("metadata", {})
    inner = {name: value for name, value in known.items() if name not in top}
    metadata: Any = {**inner, **odd} if isinstance(odd, dict) else odd
    rest = {n: v for n, v in known.items() if n in top} | ({"metadata": metadata} if metadata != {} else {}) | extra
    return {**own, **{name: value for name, value in rest.items() if name not in own}}


def _expires(at: int | None) -> dict[str, int]:
    return {} if at is None else {"expires": at // MILLISECOND}
