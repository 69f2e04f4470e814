"""Does a credential work? The smallest honest request a provider offers, and what its answer proves. Nothing is spent by it.

``plan_probe`` says what would be asked, or None where nothing honest can be; ``send_probe`` asks, and ``judging`` reads the
answer. The secret goes into a header, never into a URL. Some providers list their models to anybody, so that a good answer
proves nothing; where that isn't known to be otherwise, the same request is made once more without the credential, and only
when that one is refused did the credential work.

| provider | request | header |
|---|---|---|
| OpenAI, and what speaks its API | GET /models | Authorization: Bearer |
| Anthropic | GET /v1/models | x-api-key; for tokens Authorization: Bearer with anthropic-beta |
| Google | GET /v1beta/models | x-goog-api-key; for sign-ins GET /oauth2/v2/userinfo with a bearer |
| OpenRouter | GET /api/v1/key | Authorization: Bearer |
| Hugging Face | GET /api/whoami-v2 | Authorization: Bearer |
| GitHub Copilot | GET /copilot_internal/user; for its short token GET /models | Authorization: Bearer |
| ChatGPT sign-in (OpenAI) | GET /backend-api/wham/usage | Authorization: Bearer, and ChatGPT-Account-Id |
| Azure | GET /openai/models at the endpoint | api-key; for Entra ID Authorization: Bearer |
| Bedrock bearer token | GET /foundation-models in the region | Authorization: Bearer |
| Ollama, LM Studio, whatever runs here | GET /v1/models | none, unless a key is stored for it |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from vault.errors import InputError
from vault.providers import catalogue, driver
from vault.providers.exchange import check_url
from vault.providers.judging import BODY, REFUSED, UNCLEAR, WORKS, judge
from vault.providers.steps import NoAnswer, Request, Response, send
from vault.providers.tokens import chatgpt_account, visible
from vault.values import Secret, SystemClock

SECONDS = 10.0
CLAUDE_CODE_PERHAPS = "the provider accepts it, which doesn't say that programs other than Claude Code may use it"
ANYBODY = "the provider answers this request to anybody, so it proves nothing"
OPEN = "it answers; it asks for no credential"

_BEARER = ("authorization", "Bearer ")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_REGION = re.compile(r"[a-z0-9-]{3,40}")
_VERSION = re.compile(r"/v\d+[a-z]*\Z")
_TOKENS = ("oauth", "token")
_SETUP_TOKEN = "sk-ant-oat"  # noqa: S105 - how Anthropic's tokens start
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
    """What a probe found: works, refused or unclear; a sentence; the HTTP status, 0 without an answer.

    ``reason`` is why it doesn't work, in the words of ``vault report``; empty when it does, or where nothing like that was told.
    """

    outcome: str
    detail: str
    status: int = 0
    reason: str = ""


def plan_probe(
    provider: str,
    credential_kind: str,
    secret: str | Secret,
    endpoint: str = "",
    *,
    region: str = "",
    api_version: str = "",
    account: str = "",
    host: str = "",
    api: str = "",
    like: str = "",
    variables: Mapping[str, str] | None = None,
    base: str = "",
) -> ProbeRequest | None:
    """The request that would tell whether a credential works; None where there is no honest one.

    ``credential_kind`` is that of the credential, or ``environment``. ``endpoint``, ``region`` and ``api_version`` are the
    provider's settings; ``account`` is a ChatGPT account id; ``host`` is the GitHub Enterprise host of a sign-in,
    ``api`` where Copilot said it is reached; ``like`` is the provider of the catalogue that a custom one is like;
    ``variables`` fill ``${NAME}`` in addresses, and must not come from a project's files, which could lead the
    credential elsewhere; ``base`` moves every address but the endpoint to a server on loopback. Raises InputError for
    an endpoint that a credential may not be sent to.
    """
    value = secret.reveal() if isinstance(secret, Secret) else secret
    asked = endpoint.strip().rstrip("/")
    if asked:
        check_url(asked)
        if urlsplit(asked).query or urlsplit(asked).fragment:
            raise InputError(f"the endpoint set for {provider} has a query", hint="give the address alone")
    local, kind = catalogue.is_local(provider, asked), like or provider
    if (not value and not local) or credential_kind == "cloud":
        return None
    token = credential_kind in _TOKENS
    found: _Plan | None
    if kind == "github-copilot":
        found = _copilot(value, asked, host, api)
    elif kind in _SPECIAL or (kind == "openai" and credential_kind == "oauth" and not asked):
        found = _special(kind, token, value, asked, region, api_version, account)
    else:
        found = None if kind in _SILENT else _general(provider, token, asked, variables or {})
    if found is None:
        return None
    url, headers, carrier, control = found
    if base and not asked:
        from vault.providers.clients import moved

        url = moved(url, base)
    credential = (*carrier, Secret(value)) if value else None
    return ProbeRequest(provider, check_url(url), headers, credential, credential is not None and control, local)


_SPECIAL = ("anthropic", "google", "azure", "azure-cognitive-services", "amazon-bedrock")
_Plan = tuple[str, Mapping[str, str], tuple[str, str], bool]


def _special(
    provider: str, token: bool, value: str, asked: str, region: str, api_version: str, account: str
) -> _Plan | None:
    """The providers whose request or header is their own, and a ChatGPT sign-in."""
    moved = bool(asked)
    if provider == "anthropic":
        url = _join(asked or "https://api.anthropic.com", "/v1/models?limit=1")
        if token or value.startswith(_SETUP_TOKEN):
            return url, _ANTHROPIC_BETA, _BEARER, moved
        return url, _ANTHROPIC, ("x-api-key", ""), moved
    if provider == "google":
        if token:
            return _join(asked or "https://www.googleapis.com", "/oauth2/v2/userinfo"), {}, _BEARER, moved
        url = _join(asked or "https://generativelanguage.googleapis.com", "/v1beta/models?pageSize=1")
        return url, {}, ("x-goog-api-key", ""), moved
    if provider == "openai":
        account = visible(account) or chatgpt_account(value)
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


def _copilot(value: str, asked: str, host: str, api: str) -> _Plan:
    """A GitHub token is shown to GitHub, the short token it is exchanged for to Copilot; each at the host it is from."""
    elsewhere = host if host not in ("", "github.com") else ""
    if value.startswith("tid=") or ";" in value:
        known = api or (f"https://copilot-api.{elsewhere}" if elsewhere else "https://api.githubcopilot.com")
        return _join(asked or known.rstrip("/"), "/models"), _EDITOR, _BEARER, bool(asked)
    return (
        _join(asked or f"https://api.{elsewhere or 'github.com'}", "/copilot_internal/user"),
        {},
        _BEARER,
        bool(asked),
    )


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


def send_probe(request: ProbeRequest, *, seconds: float = SECONDS) -> ProbeOutcome:
    """Ask. Never raises for what a provider or a network does: that is *unclear*, with the reason."""
    try:
        answer = _answer(request, seconds, request.secret)
        if isinstance(answer, NoAnswer):
            return ProbeOutcome(UNCLEAR, answer.why, 0, "timeout")
        outcome, detail, reason = _judged(answer)
        if outcome == WORKS and request.control:
            outcome, detail = _controlled(request, _answer(request, seconds))
        elif outcome == WORKS and request.secret is None:
            detail = OPEN
        elif outcome == WORKS and request.provider == "anthropic" and request.headers == _ANTHROPIC_BETA:
            detail = CLAUDE_CODE_PERHAPS
    except InputError as error:
        return ProbeOutcome(UNCLEAR, error.message)
    return ProbeOutcome(outcome, detail, answer.status, reason)


def _answer(
    request: ProbeRequest, seconds: float, secret: tuple[str, str, Secret] | None = None
) -> Response | NoAnswer:
    headers = {"accept": "application/json", **request.headers}
    if secret is not None:
        name, before, value = secret
        headers[name] = before + value.reveal()
    asked = Request("GET", request.url, tuple(headers.items()), seconds=seconds, retries=0, limit=BODY)
    return driver.run(send(asked), clock=SystemClock(), deadline=seconds)


def _judged(answer: Response) -> tuple[str, str, str]:
    if answer.broken and not answer.body and 200 <= answer.status < 300:
        return UNCLEAR, answer.broken, ""
    return judge(answer.status, answer.body)


def _controlled(request: ProbeRequest, without: Response | NoAnswer) -> tuple[str, str]:
    """What a good answer proves, given the answer to the same request without the credential."""
    status = 0 if isinstance(without, NoAnswer) else without.status
    outcome = UNCLEAR if isinstance(without, NoAnswer) else _judged(without)[0]
    if outcome == WORKS:
        return (WORKS, OPEN) if request.local else (UNCLEAR, ANYBODY)
    if outcome == REFUSED or 200 <= status < 300 or status in (400, 403, 422):
        return WORKS, "the provider accepts it, and refuses the same request without it"
    return UNCLEAR, "the provider accepts it, but could not be asked what it answers without it"
