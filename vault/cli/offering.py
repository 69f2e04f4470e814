"""The providers to choose from at a login: what is found here first, then the common ones, then all, with what each needs."""

from __future__ import annotations

from pathlib import Path

from vault.cli.picking import Choice
from vault.context import Context
from vault.interop.tools import Tool, tools
from vault.projections.queries import View
from vault.providers import catalogue
from vault.providers.cloud import family_of_id
from vault.providers.methods import methods
from vault.settings import SHOWN, VARIABLES
from vault.values import AgentId, ProviderId

COMMON = (
    "anthropic",
    "openai",
    "google",
    "github-copilot",
    "openrouter",
    "amazon-bedrock",
    "azure",
    "google-vertex",
    "xai",
    "mistral",
    "groq",
    "deepseek",
    "huggingface",
)
_NEEDS = {
    "api_key": "key",
    "token": "token",
    "browser": "browser",
    "pkce_key": "browser",
    "device": "device code",
    "github_exchange": "device code",
    "setup_token": "setup token",
    "plugin": "package",
    "none": "nothing",
}
_CLOUDS = {"bedrock": "AWS keys, profile or token", "vertex": "Google Cloud login", "azure": "key or Azure login"}


def providers_to_choose(context: Context, agent: AgentId) -> list[Choice]:
    """Every provider the settings allow, as a row of the list. Reads variables and looks which tools' stores are there."""
    found = _found(context, agent)
    known = {p.id: p for p in catalogue.providers() if context.allows(p.id)}
    own = [name for name in found if name not in known and not catalogue.is_server(name) and context.allows(name)]

    def place(name: str) -> tuple[bool, int, str]:
        return name not in found, COMMON.index(name) if name in COMMON else len(COMMON), name

    choices = []
    for name in sorted([*known, *own], key=place):
        entry = known.get(ProviderId(name))
        also = (*catalogue.aliases_of(name), *catalogue.env_names(ProviderId(name)))
        choices.append(Choice(name, entry.name if entry else "", "; ".join([*found.get(name, ()), needs(name)]), also))
    return choices


def needs(provider: str) -> str:
    """What a login to a provider needs, in a few words."""
    family = family_of_id(provider)
    if family:
        return _CLOUDS[family]
    words = [_NEEDS[m.kind] for m in methods(provider) if m.kind in _NEEDS]
    words += ["another tool's login" for m in methods(provider) if m.kind == "external"]
    return ", ".join(dict.fromkeys(words)) or "nothing to type"


def _found(context: Context, agent: AgentId) -> dict[str, list[str]]:
    """What there is here for a provider: a profile, a variable, the store of a tool that is made for it."""
    found: dict[str, list[str]] = {}
    for profile in View(context.queries, agent).visible():
        found.setdefault(profile.partition(":")[0], ["in the vault"])
    for source in context.settings.sources:
        for name, variable in catalogue.environment_hits(context.variables(source)) if source in VARIABLES else ():
            place = "is set" if source == "environment" else f"in the {SHOWN[VARIABLES[source]]}"
            found.setdefault(name, []).append(f"{variable} {place}")
    for tool in tools():
        made_for = [name for name in tool.takes or () if _is_made_for(tool, name)]
        if made_for and any(p.exists() for p in tool.places(context.environ, Path.home())):
            found.setdefault(made_for[0], []).append(f"{tool.title} is here")
    return found


def _is_made_for(tool: Tool, provider: str) -> bool:
    signs_in = any(m.kind == "external" and m.id == tool.name for m in methods(provider))
    return signs_in or (tool.takes is not None and len(tool.takes) == 1)
