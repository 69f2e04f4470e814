"""What the settings say of providers: which list keeps one out, and which names in them nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from vault.commands.naming import is_kept, is_known
from vault.context import Context
from vault.guessing import nearest
from vault.providers import catalogue
from vault.providers.aliases import allowed, canonical

ENABLED, DISABLED = "enabled_providers", "disabled_providers"


def disabled_by(context: Context, provider: str) -> tuple[str, str]:
    """(why in words, what to do) for a provider that the settings don't let be used."""
    settings = context.settings
    barred = not allowed(provider, (), settings.disabled_providers, settings.own)
    place, variable = _place(context, DISABLED if barred else ENABLED)
    near = [] if barred else nearest(provider, settings.enabled_providers)
    text = f"{place} names it" if barred else f"{place} doesn't name it" + (f", but {near[0]}" if near else "")
    return f"the settings disable it: {text}", f"unset {variable}" if variable else f"vault provider enable {provider}"


def unknown_names(context: Context) -> Iterator[tuple[str, str]]:
    """(what the settings name that nobody knows, what to do). A table makes a provider known, unless its id is like another's."""
    settings = context.settings
    for key, names in ((ENABLED, settings.enabled_providers), (DISABLED, settings.disabled_providers)):
        place, variable = _place(context, key)
        for name in names:
            meant = canonical(name.strip().casefold()) or name.strip().casefold()
            if not (is_known(meant, context.environ) or is_kept(context, meant)):
                yield (
                    f"{place} names {name}, which vault doesn't know",
                    _hint(name, f"unset {variable}" if variable else ""),
                )
    for name, table in settings.providers.items():
        near = nearest(name, [p.id for p in catalogue.providers()])
        if near and not (table.family or catalogue.provider(name) or is_kept(context, name)):
            yield f"[providers.{name}] in {settings.path} is of no provider that vault knows or keeps", _hint(name, "")


def _place(context: Context, key: str) -> tuple[str, str]:
    """Where a list is, in words, and the variable, if one has it."""
    variable = f"VAULT_{key.upper()}"
    return (variable, variable) if variable in context.environ else (f"{key} in {context.settings.path}", "")


def _hint(name: str, change: str) -> str:
    near = catalogue.nearest(name)
    change = change or "vault config edit"
    return f"did you mean {' or '.join(near)}? ({change})" if near else change
