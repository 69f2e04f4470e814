"""How early a token is refreshed when it is about to be used: ten minutes before its end at least, if it lives that long."""

from __future__ import annotations

from vault.context import Context
from vault.events.types import TokensRefreshed
from vault.model.profile import ProfileState
from vault.values import ProviderId


def leeway_of(context: Context, provider: ProviderId, lifetime: int | None = None) -> int:
    """How much life a token handed to a tool must have left, in microseconds: the provider's, the settings', or more.

    With a known ``lifetime`` it is at most three quarters of that: a token that lives for five minutes is not refreshed at each
    use. A leeway set for the provider itself replaces the other two, but not that limit.
    """
    from vault.providers import clients

    wanted = context.settings.provider(provider).leeway
    if wanted is None:
        known = next((c for c in clients.registry().clients if provider in c.providers), None)
        wanted = max(context.settings.leeway, clients.leeway(known, lifetime))
    return wanted if lifetime is None else min(wanted, lifetime * 3 // 4)


def lifetime_of(context: Context, state: ProfileState) -> int | None:
    """How long the current tokens live in all, if a refresh brought them; None where nobody knows when they were made."""
    held = state.current
    if held is None or held.facts.expires_at is None:
        return None
    (record,) = context.store.read((held.position,))
    lifetime = held.facts.expires_at - record.at
    return lifetime if isinstance(record.event, TokensRefreshed) and lifetime > 0 else None
