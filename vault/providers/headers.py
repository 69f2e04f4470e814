"""The header in which a provider wants its credential. Sources: the providers' API references, and what their clients send.

| provider | API key | token or sign-in |
|---|---|---|
| Anthropic, and what speaks its API | x-api-key | Authorization: Bearer; Anthropic's own with anthropic-beta |
| Google (Gemini API) | x-goog-api-key | Authorization: Bearer |
| Azure | api-key | Authorization: Bearer |
| OpenAI by a ChatGPT sign-in | | Authorization: Bearer, and ChatGPT-Account-Id |
| all others | Authorization: Bearer | Authorization: Bearer |
"""

from __future__ import annotations

from vault.providers import catalogue
from vault.providers.tokens import chatgpt_account

SIGN_IN_TOKEN = "sk-ant-oat"  # noqa: S105 - how Anthropic's sign-in tokens start
ANTHROPIC_BETA = "oauth-2025-04-20"
OURS = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "chatgpt-account-id")


def headers_of(provider: str, kind: str, secret: str) -> dict[str, str]:
    """The headers that carry a credential of a kind (api_key, token, oauth, …) to a provider, their names in lower case."""
    key = kind in ("api_key", "environment", "reference")
    bearer = {"authorization": f"Bearer {secret}"}
    known = catalogue.provider(provider)
    if provider == "anthropic" and (not key or secret.startswith(SIGN_IN_TOKEN)):
        return {**bearer, "anthropic-beta": ANTHROPIC_BETA}
    if not key:
        account = chatgpt_account(secret) if provider == "openai" else ""
        return {**bearer, "chatgpt-account-id": account} if account else bearer
    if provider.startswith("azure"):
        return {"api-key": secret}
    match known.dialect if known else "":
        case "anthropic":
            return {"x-api-key": secret}
        case "google":
            return {"x-goog-api-key": secret}
    return bearer
