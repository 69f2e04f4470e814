"""Cline: ``settings/providers.json``, and ``secrets.json`` of earlier versions.

Each provider has ``settings`` with a key, an ``auth`` of a sign-in, or AWS keys. A sign-in (Cline's own account, ChatGPT) goes
on being refreshed by Cline. A file that Cline can't read means *logged out* to it, so the whole document is written, unknown
fields included, and ``updatedAt`` is always there. The earlier file is a flat map of names of secrets; it is read, and not
written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, ApiKey, Cloud, OAuth, Token
from vault.interop.documents import mapping_in, object_in
from vault.interop.entries import instant_of, original_label, ownership_of, texts_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import fits, home_of, shown
from vault.interop.plans import Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, shown_name
from vault.interop.styled import styled
from vault.interop.tools import Orders, Tool
from vault.providers import aliases, catalogue
from vault.values import (
    DEFAULT_NAME,
    MAIN_AGENT,
    ProviderId,
    foreign_provider,
    format_instant,
    profile_id,
    provider_of,
)

NAME, _TITLE = "cline", "Cline"
_IDS = {
    "gemini": "google",
    "bedrock": "amazon-bedrock",
    "vertex": "google-vertex",
    "together": "togetherai",
    "openai-native": "openai",
    "fireworks": "fireworks-ai",
    "moonshot": "moonshotai",
}
_NAMES = {provider: name for name, provider in _IDS.items() if provider != "openai"}
_AWS = {"accessKey": "AWS_ACCESS_KEY_ID", "secretKey": "AWS_SECRET_ACCESS_KEY", "sessionToken": "AWS_SESSION_TOKEN"}
_COMPATIBLE = "openAiApiKey"
_LEGACY_ADDRESSES = {
    "apiKey": "anthropicBaseUrl",
    "geminiApiKey": "geminiBaseUrl",
    _COMPATIBLE: "openAiBaseUrl",
    "requestyApiKey": "requestyBaseUrl",
}
_LEGACY = {
    _COMPATIBLE: "openai",
    "apiKey": "anthropic",
    "openRouterApiKey": "openrouter",
    "openAiNativeApiKey": "openai",
    "geminiApiKey": "google",
    "deepSeekApiKey": "deepseek",
    "mistralApiKey": "mistral",
    "groqApiKey": "groq",
    "xaiApiKey": "xai",
    "togetherApiKey": "togetherai",
    "fireworksApiKey": "fireworks-ai",
    "requestyApiKey": "requesty",
    "cerebrasApiKey": "cerebras",
    "moonshotApiKey": "moonshotai",
    "huggingFaceApiKey": "huggingface",
    "nebiusApiKey": "nebius",
}


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The settings of this environment, then the earlier secrets."""
    data = Path(environ.get("CLINE_DATA_DIR") or Path(environ.get("CLINE_DIR") or home / ".cline") / "data")
    settings = environ.get("CLINE_PROVIDER_SETTINGS_PATH")
    return [Path(settings) if settings else data / "settings" / "providers.json", data / "secrets.json"]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The providers' credentials. ``source`` is one of the files. Raises NotFound, InputError, StorageError."""
    files = [source.absolute()] if source is not None else [p for p in places(environ, home) if kind_of(p) == "file"]
    if not files or kind_of(files[0]) == "missing":
        raise NotFound(
            f"{_TITLE} has no credentials at {(files or places(environ, home))[0]}",
            hint="name providers.json with --from",
        )
    findings = Findings(NAME, [str(p) for p in files])
    for path in files:
        document = object_in(path)
        providers = document.get("providers")
        if isinstance(providers, dict):
            for name, entry in providers.items():
                _take(findings, path, name, entry, environ)
        elif path.name == "secrets.json":
            _take_legacy(findings, path, document, environ)
        else:
            raise InputError(f"{path} is not a providers.json: it has no providers", hint="is it the right file?")
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put keys into ``providers.json``. Raises InputError, StorageError."""
    plan = Plan(NAME)
    path = target.path.absolute() if target.path is not None else places(target.environ, target.home)[0]
    document = object_in(path) or {"version": 1, "providers": {}}
    providers = mapping_in(document, "providers", path)
    for one in outgoing:
        name = _NAMES.get(one.provider) or one.provider_there
        entry = providers.get(name) if isinstance(providers.get(name), dict) else {}
        kept = entry.get("settings")
        settings = (kept if isinstance(kept, dict) else {}) | {"provider": name}
        try:
            if one.base_url and not settings.get("baseUrl"):
                settings["baseUrl"] = one.base_url
            elif not fits(one.provider, one.base_url, settings.get("baseUrl"), target.environ):
                raise InputError(f"{_TITLE} has {shown(settings.get('baseUrl'))} there, where it doesn't belong")
            fields = _fields(one)
        except InputError as error:
            plan.left_out.append(Skipped(one.profile, str(path), error.message))
            continue
        fields = {
            k: settings[k] | v if isinstance(v, dict) and isinstance(settings.get(k), dict) else v
            for k, v in fields.items()
        }
        changed = settings | fields != settings or "updatedAt" not in entry
        stamp = format_instant(target.now - target.now % 1000) if changed else entry["updatedAt"]
        kind = "oauth" if "auth" in fields else entry.get("tokenSource", "manual")
        providers[name] = {**entry, "settings": settings | fields, "updatedAt": stamp, "tokenSource": kind}
        plan.written.append(Written(one.agent, one.profile, name, str(path), bool(one.refresh)))
    if plan.written:
        plan.writes.append(Write(path, styled(path, document, newline=True)))
    return plan


def _fields(one: Outgoing) -> dict[str, Any]:
    """The settings that hold a credential. Raises InputError for one Cline has no place for."""
    credential = one.credential
    if isinstance(credential, ApiKey | Token):
        return {"apiKey": credential.secret()}
    if isinstance(credential, Cloud) and "AWS_ACCESS_KEY_ID" in credential.secrets:
        return {"aws": {field: credential.secrets[name] for field, name in _AWS.items() if name in credential.secrets}}
    if isinstance(credential, OAuth) and one.refresh:
        auth: dict[str, Any] = {"accessToken": credential.access, "refreshToken": one.refresh}
        if credential.expires_at is not None:
            auth["expiresAt"] = credential.expires_at // 1000
        return {"auth": {**auth, **credential.account, **credential.extra}}
    raise InputError(f"{_TITLE} would have to renew it, and the vault does: give it an API key")


def _take(findings: Findings, path: Path, name: str, entry: object, environ: Mapping[str, str]) -> None:
    settings = entry.get("settings") if isinstance(entry, dict) else None
    if not isinstance(settings, dict):
        findings.skipped.append(Skipped(shown_name(name), str(path), "it has no settings"))
        return
    held: list[tuple[str, AnyCredential]] = []
    try:
        provider = foreign_provider(_IDS.get(name) or aliases.canonical(name) or name)
        whose = home_of(provider, settings.get("baseUrl"), environ)
        if settings.get("apiKey"):
            held.append((DEFAULT_NAME, ApiKey(key=usable_secret(settings["apiKey"], "key"))))
        auth, aws = settings.get("auth"), settings.get("aws")
        if isinstance(auth, dict) and auth.get("accessToken"):
            held.append((DEFAULT_NAME if not held else "login", _login(auth)))
        if isinstance(aws, dict) and aws.get("accessKey"):
            secrets = {v: usable_secret(aws[f], f) for f, v in _AWS.items() if aws.get(f)}
            held.append(("keys" if held else DEFAULT_NAME, Cloud(mode="env", secrets=secrets)))
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
        return
    for named, credential in held:
        of_server = isinstance(credential, ApiKey)
        profile = whose.profile if of_server else profile_id(provider, named)
        provider = provider_of(profile)
        ownership, why = ownership_of(ProviderId(provider), credential, _TITLE)
        findings.found.append(
            Found(
                MAIN_AGENT,
                profile,
                credential,
                str(path),
                original_label(profile, name),
                ownership=ownership,
                why=why,
                base_url=whose.base_url if of_server else "",
            )
        )


def _login(auth: Mapping[str, Any]) -> AnyCredential:
    account = texts_of(auth, "accountId")
    known = {"accessToken", "refreshToken", "expiresAt", *account}
    return OAuth(
        access=usable_secret(auth.get("accessToken"), "access token"),
        refresh=usable_secret(auth["refreshToken"], "refresh token") if auth.get("refreshToken") else "",
        expires_at=instant_of(auth.get("expiresAt")),
        account=account,
        extra={k: v for k, v in auth.items() if k not in known},
    )


def _take_legacy(findings: Findings, path: Path, document: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    state = object_in(path.with_name("globalState.json"))
    for name, value in document.items():
        provider = _LEGACY.get(name)
        if provider is None or catalogue.provider(provider) is None:
            findings.skipped.append(
                Skipped(shown_name(name), str(path), "it is not the key of a provider that vault knows")
            )
            continue
        if any(provider_of(f.profile) == provider and f.path != str(path) for f in findings.found):
            findings.skipped.append(Skipped(name, str(path), "the current settings come before it"))
            continue
        try:
            credential = ApiKey(key=usable_secret(value, "key"))
            if name == _COMPATIBLE and not state.get(_LEGACY_ADDRESSES[name]):
                raise InputError("nothing says which server it is for")
            whose = home_of(ProviderId(provider), state.get(_LEGACY_ADDRESSES.get(name, "")), environ)
            if any(f.profile == whose.profile for f in findings.found):
                raise InputError(f"another one is {whose.profile}")
        except InputError as error:
            findings.skipped.append(Skipped(name, str(path), error.message))
            continue
        ownership, why = ownership_of(whose.provider, credential, _TITLE)
        findings.found.append(
            Found(
                MAIN_AGENT, whose.profile, credential, str(path), ownership=ownership, why=why, base_url=whose.base_url
            )
        )


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="keys: vault; sign-ins: Cline",
    line="vault export cline",
    addresses=True,
    read=read,
    write=write,
)
