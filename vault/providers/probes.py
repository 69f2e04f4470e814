"""Does a credential work? The smallest honest request a provider offers, and what its answer proves. Nothing is spent by it.

``plan_probe`` says what would be asked, or None where nothing honest can be; ``judge`` reads an answer; ``send_probe`` asks. The
secret goes into a header, never into a URL, and no text here repeats a word of an answer, since some providers quote the key in
it. Some providers list their models to anybody, so that a good answer proves nothing; where that isn't known to be otherwise, the
same request is made once more without the credential, and only when that one is refused did the credential work.

| provider | request | header |
|---|---|---|
| OpenAI, and what speaks its API | GET /models | Authorization: Bearer |
| Anthropic | GET /v1/models | x-api-key; for tokens Authorization: Bearer with anthropic-beta |
| Google | GET /v1beta/models | x-goog-api-key; for sign-ins GET /oauth2/v2/userinfo with a bearer |
| OpenRouter | GET /api/v1/key | Authorization: Bearer |
| Hugging Face | GET /api/whoami-v2 | Authorization: Bearer |
| GitHub Copilot | GET /copilot_internal/user | Authorization: Bearer |
| ChatGPT sign-in (OpenAI) | GET /backend-api/wham/usage | Authorization: Bearer |
| Azure | GET /openai/models at the endpoint | api-key; for Entra ID Authorization: Bearer |
| Bedrock bearer token | GET /foundation-models in the region | Authorization: Bearer |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from vault.errors import InputError, TryAgain
from vault.providers import catalogue, web
from vault.values import Secret

WORKS, REFUSED, UNCLEAR = "works", "refused", "unclear"
SECONDS = 10.0
BODY = 16 * 1024
BILLING = "billing: the provider knows the credential and wants to be paid first"
CLAUDE_CODE_ONLY = "this credential is only for Claude Code; use an Anthropic API key for other programs"
ANYBODY = "the provider answers this request to anybody, so it proves nothing"
OPEN = "it answers; it asks for no credential"

_BEARER = ("authorization", "Bearer ")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_REGION = re.compile(r"[a-z0-9-]{3,40}")
_VERSION = re.compile(r"/v\d+[a-z]*\Z")
_TOKENS = ("oauth", "token")
_ANTHROPIC = {"anthropic-version": "2023-06-01"}
_ANTHROPIC_BETA = {**_ANTHROPIC, "anthropic-beta": "oauth-2025-04-20"}
_EDITOR = {"editor-version": "vscode/1.105.1", "copilot-integration-id": "vscode-chat"}

# Where the catalogue names no address, or where its models are no proof: (address, request, who may see it without a credential:
# True when it is not known to be refused). Those of Catwalk 0.52.6 were read there, the others in the providers' documentation.
_PLACES: dict[str, tuple[str, str, bool]] = {
    "aihubmix": ("https://aihubmix.com/v1", "/models", True),
    "cerebras": ("https://api.cerebras.ai/v1", "/models", True),
    "cohere": ("https://api.cohere.com/v1", "/models", True),
    "deepinfra": ("https://api.deepinfra.com/v1/openai", "/models", True),
    "github-models": ("https://models.github.ai", "/catalog/models", True),
    "gitlab": ("https://gitlab.com", "/api/v4/user", False),
    "groq": ("https://api.groq.com/openai/v1", "/models", True),
    "huggingface": ("https://huggingface.co", "/api/whoami-v2", False),
    "mistral": ("https://api.mistral.ai/v1", "/models", True),
    "openai": ("https://api.openai.com/v1", "/models", False),
    "openrouter": ("https://openrouter.ai/api/v1", "/key", False),
    "togetherai": ("https://api.together.xyz/v1", "/models", True),
    "venice": ("https://api.venice.ai/api/v1", "/models", True),
    "vercel": ("https://ai-gateway.vercel.sh/v1", "/credits", True),
    "xai": ("https://api.x.ai/v1", "/models", True),
}
# No request of theirs is known that costs nothing and tells a good key from a bad one.
_SILENT = {
    "minimax",
    "minimax-cn",
    "minimax-coding-plan",
    "minimax-cn-coding-plan",
    "google-vertex",
    "google-vertex-anthropic",
}


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """A probe. ``secret`` is (header, text before it, the credential), or None where none is needed.

    ``control`` says that a good answer is checked by asking again without the credential; ``local`` that none may be needed.
    """

    provider: str
    url: str
    headers: Mapping[str, str]
    secret: tuple[str, str, Secret] | None = None
    control: bool = True
    local: bool = False


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What a probe found: works, refused or unclear; a sentence; the HTTP status, 0 without an answer."""

    outcome: str
    detail: str
    status: int = field(default=0)


def plan_probe(
    provider: str,
    credential_kind: str,
    secret: str | Secret,
    endpoint: str = "",
    *,
    region: str = "",
    api_version: str = "",
    account: str = "",
    variables: Mapping[str, str] | None = None,
    base: str = "",
) -> ProbeRequest | None:
    """The request that would tell whether a credential works; None where there is no honest one.

    ``credential_kind`` is that of the credential, or ``environment``. ``endpoint``, ``region`` and ``api_version`` are the
    provider's settings; ``account`` is a ChatGPT account id; ``variables`` fill ``${NAME}`` in addresses, and must not come from
    a project's files, which could lead the credential elsewhere; ``base`` moves every address but the endpoint to a server on
    loopback. Raises InputError for an endpoint that a credential may not be sent to.
    """
    value = secret.reveal() if isinstance(secret, Secret) else secret
    asked = endpoint.strip().rstrip("/")
    if asked:
        web.check_url(asked)
        if urlsplit(asked).query or urlsplit(asked).fragment:
            raise InputError(f"the endpoint set for {provider} has a query", hint="give the address alone")
    local = catalogue.is_local(provider, asked)
    if (not value and not local) or credential_kind == "cloud":
        return None
    token = credential_kind in _TOKENS
    if provider in _SPECIAL or (provider == "openai" and credential_kind == "oauth" and not asked):
        found = _special(provider, token, value, asked, region, api_version, account)
    else:
        found = None if provider in _SILENT else _general(provider, token, asked, variables or {})
    if found is None:
        return None
    url, headers, carrier, control = found
    if base and not asked:
        from vault.providers.clients import moved

        url = moved(url, base)
    credential = (*carrier, Secret(value)) if value else None
    return ProbeRequest(provider, web.check_url(url), headers, credential, credential is not None and control, local)


_SPECIAL = ("anthropic", "google", "github-copilot", "azure", "azure-cognitive-services", "amazon-bedrock")
_Plan = tuple[str, Mapping[str, str], tuple[str, str], bool]


def _special(
    provider: str, token: bool, value: str, asked: str, region: str, api_version: str, account: str
) -> _Plan | None:
    """The providers whose request or header is their own, and a ChatGPT sign-in."""
    moved = bool(asked)
    if provider == "anthropic":
        url = _join(asked or "https://api.anthropic.com", "/v1/models?limit=1")
        if token or value.startswith("sk-ant-oat"):
            return url, _ANTHROPIC_BETA, _BEARER, moved
        return url, _ANTHROPIC, ("x-api-key", ""), moved
    if provider == "google":
        if token:
            return _join(asked or "https://www.googleapis.com", "/oauth2/v2/userinfo"), {}, _BEARER, moved
        url = _join(asked or "https://generativelanguage.googleapis.com", "/v1beta/models?pageSize=1")
        return url, {}, ("x-goog-api-key", ""), moved
    if provider == "github-copilot":
        if value.startswith("tid=") or ";" in value:
            return _join(asked or "https://api.githubcopilot.com", "/models"), _EDITOR, _BEARER, moved
        return _join(asked or "https://api.github.com", "/copilot_internal/user"), {}, _BEARER, moved
    if provider == "openai":
        who = {"chatgpt-account-id": account} if account else {}
        return "https://chatgpt.com/backend-api/wham/usage", who, _BEARER, False
    if provider == "amazon-bedrock" and (asked or _REGION.fullmatch(region)):
        control_plane = asked.replace("://bedrock-runtime.", "://bedrock.")
        url = f"{control_plane or f'https://bedrock.{region}.amazonaws.com'}/foundation-models"
        return url, {}, _BEARER, moved
    if provider.startswith("azure") and asked:
        dated = f"/openai/models?api-version={quote(api_version or '2024-10-21', safe='')}"
        url = asked + ("/models" if asked.endswith("/openai/v1") else dated)
        return url, {}, _BEARER if token else ("api-key", ""), True
    return None


def _general(provider: str, token: bool, asked: str, variables: Mapping[str, str]) -> _Plan | None:
    """The models of what speaks a known API, at the endpoint that was set or the address that is known."""
    known = catalogue.provider(provider)
    address, path, open_to_all = _PLACES.get(provider, ("", "/models", True))
    found = asked or address or (known.api if known else "") or ""
    if any(not variables.get(name) for name in _VARIABLE.findall(found)):
        return None
    found = _VARIABLE.sub(lambda match: variables[match[1]], found).rstrip("/")
    if (
        not found
        or found.endswith("/completions")
        or (known is not None and not known.dialect and not address and not asked)
    ):
        return None
    if asked and not urlsplit(found).path:
        found += "/v1"
    if known is not None and known.dialect == "anthropic" and not token:
        return _join(found, "/models"), _ANTHROPIC, ("x-api-key", ""), True
    return _join(found, path), {}, _BEARER, open_to_all or bool(asked)


def _join(address: str, path: str) -> str:
    """An address and a path, without the version twice."""
    version = _VERSION.search(address)
    if version and path.startswith(f"{version[0]}/"):
        path = path.removeprefix(version[0])
    return address + path


def judge(status: int, body_start: bytes | str) -> tuple[str, str]:
    """(works, refused or unclear; why). ``body_start`` is the beginning of the answer; nothing of it is repeated."""
    raw = body_start.encode("utf-8", "replace") if isinstance(body_start, str) else body_start
    text = raw[:BODY].decode("utf-8", "replace").lower()
    if "only authorized for use with claude code" in text:
        return REFUSED, CLAUDE_CODE_ONLY
    if 200 <= status < 300:
        return _good(text)
    if status == 401 or (status == 400 and any(mark in text for mark in _BAD_KEY)):
        return REFUSED, "the provider refuses the credential"
    if status == 403:
        return _forbidden(text)
    if status == 402:
        return UNCLEAR, BILLING
    if status == 429:
        return UNCLEAR, "the provider limits the rate now; it usually does that to credentials it knows"
    if 300 <= status < 400:
        return UNCLEAR, "the provider redirects, which is not followed with a credential"
    if status in (404, 405, 501):
        return UNCLEAR, "the provider does not offer this request"
    if status == 408 or status >= 500:
        return UNCLEAR, "the provider has trouble of its own"
    return UNCLEAR, f"the provider answered {status}"


_BAD_KEY = ("api_key_invalid", "api key not valid", "incorrect api key", "invalid api key", "invalid_api_key")
_LIMITED = (
    "missing scopes",
    "insufficient permission",
    "accessdenied",
    "not authorized to perform",
    "service_disabled",
    "_blocked",
)
_NOT_VALID = ("not valid", "key is valid", "is invalid")
_ELSEWHERE = ("unsupported_country", "not available in your country", "location is not supported")


def _forbidden(text: str) -> tuple[str, str]:
    if text.lstrip().startswith("<"):
        return UNCLEAR, "something before the provider, a firewall perhaps, refused the request"
    if any(mark in text for mark in _ELSEWHERE):
        return UNCLEAR, "the provider does not serve this country"
    if any(mark in text for mark in _LIMITED) and not any(mark in text for mark in _NOT_VALID):
        return UNCLEAR, "the provider knows the credential, which is not allowed this request"
    return REFUSED, "the provider refuses the credential"


def _good(text: str) -> tuple[str, str]:
    """A good status: is the answer one, too? Some providers say 200 and put the error inside; portals answer with a page."""
    if not text.lstrip().startswith(("{", "[")):
        return UNCLEAR, "the answer is not the provider's: it is no JSON"
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = {}
    if not isinstance(found, dict):
        return WORKS, "the provider accepts it"
    inner = found.get("base_resp")
    code = inner.get("status_code") if isinstance(inner, dict) else 0
    if code in (1004, 2049):
        return REFUSED, "the provider refuses the credential"
    if code or found.get("error") or found.get("success") is False:
        return UNCLEAR, "the provider answered with an error"
    return WORKS, "the provider accepts it"


def send_probe(request: ProbeRequest, *, seconds: float = SECONDS) -> ProbeOutcome:
    """Ask. Never raises for what a provider or a network does: that is *unclear*, with the reason."""
    try:
        answer = web.get(request.url, request.headers, secret=request.secret, seconds=seconds, limit=BODY)
        outcome, detail = judge(answer.status, answer.body)
        if outcome == WORKS and request.control:
            outcome, detail = _controlled(request, web.get(request.url, request.headers, seconds=seconds, limit=BODY))
        elif outcome == WORKS and request.secret is None:
            detail = OPEN
    except (TryAgain, InputError) as error:
        return ProbeOutcome(UNCLEAR, error.message)
    return ProbeOutcome(outcome, detail, answer.status)


def _controlled(request: ProbeRequest, without: web.Answer) -> tuple[str, str]:
    """What a good answer proves, given the answer to the same request without the credential."""
    outcome, _ = judge(without.status, without.body)
    if outcome == WORKS:
        return (WORKS, OPEN) if request.local else (UNCLEAR, ANYBODY)
    if outcome == REFUSED or 200 <= without.status < 300 or without.status in (400, 403, 422):
        return WORKS, "the provider accepts it, and refuses the same request without it"
    return UNCLEAR, "the provider accepts it, but could not be asked what it answers without it"
