"""What a person means by ``anthropic`` or ``anthropic:work``."""

from __future__ import annotations

from vault.providers import catalogue
from vault.values import ProfileId, ProviderId, parse_profile, provider_of


def target(text: str) -> tuple[ProviderId, ProfileId | None]:
    """A provider, and a profile if one is named. Raises InputError, NotFound."""
    if ":" in text:
        profile = parse_profile(text)
        return provider_of(profile), profile
    return catalogue.resolve(text), None
