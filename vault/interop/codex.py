"""Codex: what ``auth.json`` (or the OS keyring) holds, and how Codex asks the vault.

| ``auth_mode`` | becomes | owner |
|---|---|---|
| ``chatgpt`` | ``openai:codex``, an OAuth login | Codex: OpenAI replaces the refresh token at a refresh |
| ``apikey`` | ``openai:default``, an API key | vault |
| ``personalAccessToken`` | ``openai:codex-token``, a token | vault |
| ``bedrockApiKey``, ``bedrockAccessKeys`` | ``amazon-bedrock:codex`` | vault |
| ``agentIdentity``, ``chatgptAuthTokens``, ``headers`` | nothing; each is named | |

A file without ``auth_mode`` is an older one: the first of a personal token, Bedrock, a key and a login is what Codex uses.
Whatever else is in the file is kept beside what it uses, and comes out again. A login ends when its access token's ``exp`` says.
What the keyring holds is read only when its entry is named, for a desktop may ask the person first.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, ApiKey, Cloud, OAuth, Token
from vault.interop import codex_config as config
from vault.interop import codex_writing as writing
from vault.interop.codex_providers import address_of_key, take_providers
from vault.interop.codex_store import EPHEMERAL, FILE, RING, document_at, locked, place_of
from vault.interop.codex_writing import KEPT, NAME
from vault.interop.entries import ownership_of, texts_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import home_of
from vault.interop.plans import Target
from vault.interop.sources import kind_of, shown_name
from vault.interop.tools import Tool
from vault.values import MAIN_AGENT, SECOND, ProfileId, moment_of, provider_of

_TITLE = "Codex"
_CLAIMS = "https://api.openai.com/auth"
_IN_ORDER = (
    ("personal_access_token", "personalAccessToken"),
    ("bedrock_api_key", "bedrockApiKey"),
    ("bedrock_access_keys", "bedrockAccessKeys"),
    ("OPENAI_API_KEY", "apikey"),
    ("tokens", "chatgpt"),
)
_NOT_TAKEN = {
    "agentIdentity": "it is an agent's identity, a private key that only Codex can use",
    "chatgptAuthTokens": "another program gives Codex its tokens; there is nothing to import",
    "headers": "another program gives Codex its headers; there is nothing to import",
}


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The file Codex keeps its login in, for this environment."""
    return [place_of(environ, home).auth]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What Codex keeps. ``source`` is ``auth.json``, its folder, or ``keyring:Codex Auth/cli|…``; None is the default place.

    Raises NotFound when there is nothing, InputError for damage, StorageError, and for the keyring Unavailable.
    """
    findings = Findings(NAME)
    place = place_of(environ, home, source)
    named = source is not None and kind_of(source) != "folder"
    path = source if source is not None and named and source.name != "config.toml" else place.auth
    mode = FILE if named else place.mode()
    if mode not in (FILE, EPHEMERAL):
        why = f"config.toml may keep the login in the OS keyring; read it with --from {str(place.entry)!r}"
        findings.skipped.append(Skipped(str(place.entry), str(place.config), why))
    if not named or (source is not None and source.name == "config.toml"):
        take_providers(findings, place, environ)
    if mode == RING or (mode != FILE and kind_of(path) == "missing"):
        findings.paths.append(str(place.config))
        if kind_of(path) != "missing":
            findings.skipped.append(Skipped("auth.json", str(path), "Codex uses the OS keyring, and not this file"))
        return findings
    if kind_of(path) == "missing" and not str(path).startswith("keyring:"):
        if findings.found:
            findings.paths.append(str(place.config))
            return findings
        raise NotFound(f"{_TITLE} has no {path}", hint="sign in with codex login, or name its folder with --from")
    document = document_at(path)
    findings.paths.append(str(path))
    findings.paths += [str(place.config)] if findings.found else []
    _take(findings, path, document, address_of_key(place), environ)
    return findings


def _take(
    findings: Findings, path: Path, document: Mapping[str, Any], address: str, environ: Mapping[str, str]
) -> None:
    mode = _mode(document)
    try:
        if mode in _NOT_TAKEN:
            raise InputError(_NOT_TAKEN[mode])
        field = next((field for field, name in _IN_ORDER if name == mode), "")
        if not field:
            raise InputError(
                "it is logged out" if not mode else f"its auth_mode {shown_name(mode)} is one vault doesn't know"
            )
        profile, credential, label, account = _credential(mode, document, field)
        base_url = ""
        if isinstance(credential, ApiKey) and provider_of(profile) == "openai":
            home = home_of(provider_of(profile), address, environ)
            profile, base_url = home.profile, home.base_url
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(mode or "auth.json"), str(path), error.message))
        return
    ownership, why = ownership_of(provider_of(profile), credential, _TITLE)
    if isinstance(credential, OAuth):
        ownership = "external"
        why = why if credential.refresh else "Codex keeps it; the vault reads it there at every use"
    findings.found.append(
        Found(MAIN_AGENT, profile, credential, str(path), label, account, ownership, why, base_url=base_url)
    )
    for other, name in _IN_ORDER:
        if other != field and document.get(other):
            why = f"Codex does not use it while its auth_mode is {mode}"
            findings.skipped.append(Skipped(f"{other} ({name})", str(path), why))


def _mode(document: Mapping[str, Any]) -> str:
    said = document.get("auth_mode")
    if isinstance(said, str) and said:
        return said
    if said is not None:
        return "of an unknown shape"
    return next((mode for field, mode in _IN_ORDER if document.get(field)), "")


def _credential(mode: str, document: Mapping[str, Any], field: str) -> tuple[ProfileId, AnyCredential, str, str]:
    """(profile, credential, label, account). Raises InputError."""
    value = document.get(field)
    kept = {KEPT: {"document": {name: other for name, other in document.items() if name != field}}}
    match mode:
        case "chatgpt":
            if not isinstance(value, dict):
                raise InputError("it has no tokens; sign in with codex login")
            return _login(value, kept)
        case "apikey":
            key = usable_secret(value, "key")
            return ProfileId("openai:default"), ApiKey(key=key, extra=kept), "", ""
        case "personalAccessToken":
            token = usable_secret(value, "token")
            expires = _expiry(token)
            return ProfileId("openai:codex-token"), Token(token=token, expires_at=expires, extra=kept), "", ""
        case _:
            if not isinstance(value, dict):
                raise InputError("its keys are not an object")
            return ProfileId("amazon-bedrock:codex"), _bedrock(mode, value, kept), "", ""


def _login(tokens: Mapping[str, Any], kept: dict[str, Any]) -> tuple[ProfileId, AnyCredential, str, str]:
    from vault.providers.tokens import chatgpt_account, claims_of

    access, refresh = usable_secret(tokens.get("access_token"), "access token"), tokens.get("refresh_token")
    identity = tokens.get("id_token")
    identity = identity if isinstance(identity, str) else ""
    claims = claims_of(identity)
    inner = claims.get(_CLAIMS)
    facts = texts_of(inner, "chatgpt_plan_type", "chatgpt_user_id") if isinstance(inner, dict) else {}
    told = texts_of(tokens, "account_id").get("account_id", "")
    account = {"accountId": told or chatgpt_account(identity), **texts_of(claims, "email")}
    taken = {"access_token"} | ({"id_token"} if identity else set())
    taken |= {"refresh_token"} if refresh else set()
    kept[KEPT]["tokens"] = {name: value for name, value in tokens.items() if name not in taken}
    login = OAuth(
        access=access,
        refresh=usable_secret(refresh, "refresh token") if refresh else "",
        expires_at=_expiry(access),
        id_token=identity,
        account={name: value for name, value in account.items() if value},
        metadata={"client": "openai-chatgpt"} | facts,
        extra=kept,
    )
    plan = facts.get("chatgpt_plan_type", "")
    who = account.get("email") or account["accountId"]
    return (
        ProfileId("openai:codex"),
        login,
        shown_name(f"ChatGPT {plan}") if plan else "",
        shown_name(who) if who else "",
    )


def _expiry(token: str) -> int | None:
    """When a JWT ends, microseconds UTC; None for another token, or one that doesn't say."""
    from vault.providers.tokens import claims_of

    return moment_of(claims_of(token).get("exp"), SECOND)


def _bedrock(mode: str, value: Mapping[str, Any], kept: dict[str, Any]) -> AnyCredential:
    region = texts_of(value, "region")
    if mode == "bedrockApiKey":
        kept[KEPT]["fields"] = {name: other for name, other in value.items() if name != "api_key"}
        return ApiKey(key=usable_secret(value.get("api_key"), "key"), metadata=region, extra=kept)
    names = {
        "access_key_id": "AWS_ACCESS_KEY_ID",
        "secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "session_token": "AWS_SESSION_TOKEN",
    }
    kept[KEPT]["fields"] = {name: other for name, other in value.items() if name not in names or not other}
    secrets = {env: usable_secret(value[name], name) for name, env in names.items() if value.get(name)}
    if len(secrets) < 2 or "AWS_SECRET_ACCESS_KEY" not in secrets:
        raise InputError("it has no whole pair of keys")
    return Cloud(mode="env", facts=region, secrets=secrets, extra=kept)


def _lock(target: Target) -> AbstractContextManager[object]:
    return locked(place_of(target.environ, target.home, target.path))


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="keys: vault; ChatGPT login: Codex",
    line="vault connect codex",
    helper="api-key",
    addresses=True,
    takes=frozenset({"openai", "amazon-bedrock"}),
    read=read,
    write=writing.write,
    connect=config.connect,
    disconnect=config.disconnect,
    inject=config.inject,
    scrub=config.scrub,
    lock=_lock,
)
