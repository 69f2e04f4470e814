"""LiteLLM: ``api_key`` of the models in a proxy's ``config.yaml``, and the sign-ins it keeps.

A value ``os.environ/NAME`` is a reference. Each model's key is its provider's (the part of ``model`` before the slash), or that
of the server in ``api_base``; further keys of one provider are named after ``model_name``. The GitHub token of
``github_copilot/access-token`` doesn't rotate; the ChatGPT login of ``chatgpt/auth.json`` does, and LiteLLM goes on refreshing
it. Written back, keys go into the variables the configuration names where it names some: a ``.env`` beside it, which ``vault
export dotenv`` writes. So nothing is written here; serve it with ``vault exec``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound, VaultError
from vault.events.credentials import AnyCredential, OAuth
from vault.interop.documents import object_in, yaml_in
from vault.interop.dotenv import inject
from vault.interop.entries import former_profile, key_or_reference, ownership_of, texts_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import Home, address_in, home_of
from vault.interop.sources import kind_of, read_text, shown_name
from vault.interop.tools import Tool
from vault.providers import aliases, catalogue
from vault.providers.base_urls import name_after
from vault.values import (
    DEFAULT_NAME,
    MAIN_AGENT,
    SECOND,
    ProfileId,
    ProviderId,
    foreign_profile,
    foreign_provider,
    moment_of,
    name_of,
    profile_id,
)

NAME, _TITLE = "litellm", "LiteLLM"
_IDS = {
    "gemini": "google",
    "bedrock": "amazon-bedrock",
    "vertex_ai": "google-vertex",
    "together_ai": "togetherai",
    "fireworks_ai": "fireworks-ai",
}
_COPILOT, _CHATGPT = ProfileId("github-copilot:litellm"), ProfileId("openai:litellm")


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The working folder's configuration, and the two sign-ins."""
    base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "litellm"
    copilot = Path(environ.get("GITHUB_COPILOT_TOKEN_DIR") or base / "github_copilot")
    chatgpt = Path(environ.get("CHATGPT_TOKEN_DIR") or base / "chatgpt")
    config = Path(environ.get("LITELLM_CONFIG") or Path.cwd() / "litellm_config.yaml")
    return [config, copilot / "access-token", chatgpt / "auth.json"]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """Keys and sign-ins. ``source`` is one of the files. Raises NotFound, InputError, StorageError."""
    files = [source.absolute()] if source is not None else [p for p in places(environ, home) if kind_of(p) == "file"]
    if not files or kind_of(files[0]) == "missing":
        raise NotFound(f"{_TITLE} has nothing here", hint="name its config.yaml with --from")
    findings = Findings(NAME, [str(p) for p in files])
    for path in files:
        try:
            if path.name == "access-token":
                _take_login(findings, path, _COPILOT, {"access_token": read_text(path)})
            elif path.suffix == ".json":
                _take_login(findings, path, _CHATGPT, object_in(path))
            else:
                _take_models(findings, path, yaml_in(path), environ)
        except InputError as error:
            if source is not None:
                raise
            findings.skipped.append(Skipped(path.name, str(path), error.message))
    return findings


def _take_login(findings: Findings, path: Path, profile: ProfileId, document: Mapping[str, Any]) -> None:
    try:
        _found(findings, profile, _login(document), path)
    except InputError as error:
        findings.skipped.append(Skipped(path.name, str(path), error.message))


def _take_models(findings: Findings, path: Path, document: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    models = document.get("model_list")
    for model in models if isinstance(models, list) else []:
        parameters = model.get("litellm_params") if isinstance(model, dict) else None
        if not isinstance(parameters, dict) or "api_key" not in parameters:
            continue
        name = str(model.get("model_name") or parameters.get("model") or "")
        try:
            kind = str(parameters.get("model") or "").partition("/")
            prefix = kind[0] if kind[1] else "openai"
            spelt = prefix.replace("_", "-")
            known = _IDS.get(prefix) or aliases.canonical(spelt) or (spelt if catalogue.provider(spelt) else "")
            home = _home(foreign_provider(known or prefix), parameters, environ)
            provider = home.provider
            credential = key_or_reference(parameters["api_key"], "api_key")
            same = [
                f
                for f in findings.found
                if f.credential == credential and f.profile.startswith(f"{provider}:") and f.base_url == home.base_url
            ]
            if same:
                continue
            profile, former = home.profile, None if home.base_url else former_profile(spelt, DEFAULT_NAME)
            if any(f.profile == profile for f in findings.found):
                of_server = f"{name_of(profile)}#" if home.base_url else ""
                profile = foreign_profile(provider, of_server + (name or "other"))
                former = former_profile(
                    spelt if provider == prefix else provider, "-".join(name.split()).lstrip("-:") or "other"
                )
            if any(f.profile == profile for f in findings.found):
                raise InputError(f"another model has taken the name {profile}")
        except VaultError as error:
            findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
            continue
        _found(findings, profile, credential, path, former, home.base_url)


def _home(provider: ProviderId, parameters: Mapping[str, Any], environ: Mapping[str, str]) -> Home:
    """Whose a model's key is. A name LiteLLM has for servers of a kind (``hosted_vllm``) stands for any of them."""
    address = address_in(parameters.get("api_base") or parameters.get("base_url"), environ)
    home = home_of(provider, address, environ)
    if home.base_url and catalogue.provider(home.provider) is None:
        return Home(home.provider, profile_id(home.provider, name_after(home.base_url)), home.base_url)
    return home


def _login(document: Mapping[str, Any]) -> OAuth:
    known = {"access_token", "refresh_token", "id_token", "expires_at", "account_id"}
    return OAuth(
        access=usable_secret(document.get("access_token"), "access token"),
        refresh=usable_secret(document["refresh_token"], "refresh token") if document.get("refresh_token") else "",
        id_token=str(document.get("id_token") or ""),
        expires_at=moment_of(document.get("expires_at"), SECOND),
        account={"accountId": account} if (account := texts_of(document, "account_id").get("account_id")) else {},
        extra={k: v for k, v in document.items() if k not in known},
    )


def _found(
    findings: Findings,
    profile: ProfileId,
    credential: AnyCredential,
    path: Path,
    former: ProfileId | None = None,
    base_url: str = "",
) -> None:
    ownership, why = ownership_of(ProviderId(profile.partition(":")[0]), credential, _TITLE)
    findings.found.append(
        Found(
            MAIN_AGENT,
            profile,
            credential,
            str(path),
            ownership=ownership,
            why=why,
            former=former,
            base_url=base_url,
        )
    )


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="keys: vault; ChatGPT login: LiteLLM",
    line="vault exec --tool litellm -- litellm",
    addresses=True,
    read=read,
    inject=inject,
)
