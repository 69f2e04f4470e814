"""What a person means by ``anthropic`` or ``anthropic:work``."""

from __future__ import annotations

from vault.providers import catalogue
from vault.values import ProfileId, ProviderId, parse_profile, parse_provider, provider_of


def target(text: str) -> tuple[ProviderId, ProfileId | None]:
    """A provider, and a profile if one is named. Raises InputError, NotFound."""
    if ":" in text:
        profile = parse_profile(text)
        return provider_of(profile), profile
    return named_provider(text), None


def named_provider(text: str) -> ProviderId:
    """A provider by id, display name or alias, or by the host name of a server that has its own sign-in."""
    if "." in text and catalogue.provider(text) is None and text == text.lower():
        return parse_provider(text)
    return catalogue.resolve(text)


def with_agent(line: str, agent: str) -> str:
    """A command to type, for an agent: main needs no mention."""
    return line if agent == "main" else f"{line} --agent {agent}"
