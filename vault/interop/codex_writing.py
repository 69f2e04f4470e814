"""``auth.json`` written for Codex: one credential, in the form Codex itself writes.

- A login goes in only whole, with its refresh token: then it is Codex's. Without one Codex has no use for it.
- A key is not written over a login: Codex would forget its refresh token.
- Where ``config.toml`` says that logins are in the OS keyring, the file would not be read, and isn't written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vault.events.credentials import ApiKey, Cloud, OAuth, Token
from vault.interop.codex_providers import leads_elsewhere
from vault.interop.codex_store import FILE, Place, place_of
from vault.interop.documents import object_in
from vault.interop.findings import Skipped
from vault.interop.plans import Outgoing, Plan, Target, Write, Written
from vault.interop.styled import styled
from vault.values import ProfileId, ProviderId, format_instant_exact

NAME = "codex"
KEPT = "codex"
_BEDROCK = "amazon-bedrock"
_AWS = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}
_SECRETS = ("OPENAI_API_KEY", "tokens", "personal_access_token", "bedrock_api_key", "bedrock_access_keys")
_KNOWN = ("auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh")


def write(outgoing: Sequence[Outgoing], _: Mapping[ProviderId, Sequence[ProfileId]], target: Target) -> Plan:
    """Codex's one credential: the first that fits. Raises InputError for a file that can't be read."""
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    document, mode = object_in(place.auth), place.mode()
    for one in sorted(outgoing, key=lambda o: o.provider != "openai"):
        why = (
            _refusal(one, document, target.now)
            or _elsewhere(one, place, target)
            or _unused(mode)
            or ("Codex keeps one" if plan.written else "")
        )
        if why:
            plan.left_out.append(Skipped(one.profile, str(place.auth), why))
            continue
        made = _document(one, document, target.now)
        plan.writes.append(Write(place.auth, styled(place.auth, made)))
        whole = isinstance(one.credential, OAuth)
        plan.written.append(Written(one.agent, one.profile, "auth.json", str(place.auth), whole=whole))
    return plan


def _refusal(one: Outgoing, document: Mapping[str, Any], now: int) -> str:
    """Why a credential can't be Codex's; nothing when it can."""
    from vault.providers.tokens import claims_of

    credential, provider = one.credential, one.provider
    if provider not in ("openai", _BEDROCK):
        return f"Codex's store has no place for {provider}; vault connect codex --provider {provider}"
    if isinstance(credential, OAuth):
        if not one.refresh:
            return "Codex refreshes its login itself, so it needs all of it: vault export codex --hand-over, or codex login"
        if not claims_of(credential.id_token):
            return "it has no identity token, which Codex wants; sign in with codex login"
        return _newer(one, document)
    if provider == "openai" and not isinstance(credential, ApiKey) and not _personal(one):
        return "Codex's store has no place for a token of this kind"
    if provider == _BEDROCK and not (_kept(one) or isinstance(credential, ApiKey)):
        return "Codex's store has no place for it; it reads AWS's own files"
    if provider == _BEDROCK and isinstance(credential, ApiKey) and not _region(one):
        return "Codex wants a region with it, and none is stored"
    tokens = document.get("tokens")
    held = isinstance(tokens, dict) and bool(tokens.get("refresh_token"))
    if held and _kept(one).get("document", {}).get("tokens") != tokens:
        return "Codex is signed in to ChatGPT; codex logout first, or vault connect codex"
    expires = credential.expires()
    return "it has ended" if expires is not None and expires <= now else ""


def _elsewhere(one: Outgoing, place: Place, target: Target) -> str:
    """Why a key must not go where Codex's configuration leads it; nothing for everything else."""
    if one.provider != "openai" or not isinstance(one.credential, ApiKey):
        return f"it belongs to {one.base_url}" if one.base_url else ""
    return leads_elsewhere(place, one.base_url, target.environ)


def _newer(one: Outgoing, document: Mapping[str, Any]) -> str:
    from vault.providers.tokens import claims_of

    tokens = document.get("tokens")
    if not isinstance(tokens, dict) or tokens.get("refresh_token") in (None, "", one.refresh):
        return ""
    ends = claims_of(str(tokens.get("access_token") or "")).get("exp")
    ours = one.credential.expires()
    newer = ours is None or (isinstance(ends, int | float) and ends * 1_000_000 >= ours)
    return "Codex has a newer login; codex logout first" if newer else ""


def _document(one: Outgoing, there: Mapping[str, Any], now: int) -> dict[str, Any]:
    """The file: what Codex would write, what was kept from it, and what is there and unknown."""
    credential, kept = one.credential, _kept(one)
    unknown = {name: value for name, value in there.items() if name not in (*_KNOWN, *_SECRETS)}
    made: dict[str, Any]
    if isinstance(credential, OAuth):
        made = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": _tokens(credential, kept)}
        made["last_refresh"] = format_instant_exact(now)
    elif isinstance(credential, ApiKey) and one.provider == "openai":
        made = {"auth_mode": "apikey", "OPENAI_API_KEY": credential.key}
    elif isinstance(credential, Token):
        made = {"auth_mode": "personalAccessToken", "OPENAI_API_KEY": None, "personal_access_token": credential.token}
    elif isinstance(credential, ApiKey):
        fields = kept.get("fields", {"region": _region(one)})
        made = {"auth_mode": "bedrockApiKey", "OPENAI_API_KEY": None}
        made["bedrock_api_key"] = {"api_key": credential.key, **fields}
    else:
        pair = credential.secrets if isinstance(credential, Cloud) else {}
        keys = {name: pair[env] for name, env in _AWS.items() if env in pair} | kept.get("fields", {})
        made = {"auth_mode": "bedrockAccessKeys", "OPENAI_API_KEY": None, "bedrock_access_keys": keys}
    if not kept:
        return made | unknown
    mine = next(name for name in _SECRETS if made.get(name))
    # What the file had besides is put back as it was: an old file has no auth_mode, and stays one.
    beside: dict[str, Any] = kept["document"]
    return {mine: made[mine]} | unknown | beside


def _tokens(credential: OAuth, kept: Mapping[str, Any]) -> dict[str, Any]:
    tokens: dict[str, Any] = {"id_token": credential.id_token} if credential.id_token else {}
    tokens["access_token"] = credential.access
    if credential.refresh:
        tokens["refresh_token"] = credential.refresh
    account = credential.account.get("accountId")
    fields: dict[str, Any] = kept.get("tokens", {"account_id": account} if account else {})
    return tokens | fields


def _unused(mode: str) -> str:
    return "" if mode == FILE else f"config.toml says {mode}, so Codex would not read auth.json"


def _personal(one: Outgoing) -> bool:
    """Whether it is a personal access token, which only Codex's own file tells from other tokens."""
    return isinstance(one.credential, Token) and bool(_kept(one))


def _region(one: Outgoing) -> str:
    facts = one.credential.facts if isinstance(one.credential, Cloud) else one.credential.metadata
    return facts.get("region", "") or str(_kept(one).get("fields", {}).get("region") or "")


def _kept(one: Outgoing) -> dict[str, Any]:
    """What was in the file besides, if the credential was taken from one."""
    kept = one.credential.extra.get(KEPT)
    return kept if isinstance(kept, dict) and isinstance(kept.get("document"), dict) else {}
