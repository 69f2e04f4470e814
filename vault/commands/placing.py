"""Which variables a sign-in's token belongs in. A token of an OAuth client is not always what the provider's variables mean.

A ChatGPT token works at ChatGPT and is no OpenAI API key; a Copilot token was exchanged for the GitHub token that GITHUB_TOKEN
means; Gemini's key is no Google sign-in. So such a token is put there only for somebody who names its profile. A Claude
sign-in has a variable of its own, which Claude Code alone reads. The tokens of other clients stand where the key would.
"""

from __future__ import annotations

from vault.events.credentials import AnyCredential, OAuth, Token
from vault.providers import catalogue
from vault.providers.clients import registry
from vault.values import ProviderId

_NO_KEY = {
    "openai-chatgpt": "the token of a ChatGPT sign-in is not an OpenAI API key",
    "github-copilot-editor": "the token of a Copilot sign-in is not a GitHub token",
    "google-gemini-cli": "the token of a Google sign-in is not a Gemini API key",
}
_CLAUDE = "anthropic-claude-ai"
_SETUP_TOKEN = "sk-ant-oat"  # noqa: S105 - how one starts
CLAUDE_NAMES = ("CLAUDE_CODE_OAUTH_TOKEN",)
BESIDE_CLAUDE = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", *CLAUDE_NAMES)


def names_for(credential: AnyCredential, provider: ProviderId) -> tuple[str, ...]:
    """The variables that a credential's secret is put in."""
    if _client(credential, provider) == _CLAUDE:
        return CLAUDE_NAMES
    return catalogue.env_names(provider)


def misplaced(credential: AnyCredential, provider: ProviderId) -> str:
    """Why a credential isn't what the provider's variables mean, in words; an empty text where it is."""
    return _NO_KEY.get(_client(credential, provider), "")


def _client(credential: AnyCredential, provider: ProviderId) -> str:
    """The OAuth client that a credential is of: the one it names, else the provider's first; empty for what is no sign-in."""
    if isinstance(credential, Token) and provider == "anthropic" and credential.token.startswith(_SETUP_TOKEN):
        return _CLAUDE
    if not isinstance(credential, OAuth):
        return ""
    first = next((c.id for c in registry().clients if provider in c.providers), "")
    return credential.metadata.get("client", first)
