"""Cloud providers as they would be reached now: Bedrock, Vertex and Azure families, resolved from settings and environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vault.context import Context
from vault.errors import NotFound
from vault.projections.queries import View
from vault.providers.cloud.aws import BedrockSettings, resolve_bedrock
from vault.providers.cloud.azure import AzureSettings, resolve_azure
from vault.providers.cloud.google import VertexSettings, resolve_vertex
from vault.providers.cloud.modes import CloudMode, read_file
from vault.providers.cloud.settings import settings_of_family
from vault.values import AgentId

FAMILIES = ("bedrock", "vertex", "azure")


def family_named(text: str) -> str:
    """The family a word names, or an empty text."""
    return text if text in FAMILIES else ""


def resolve_family(context: Context, agent: AgentId, family: str) -> list[CloudMode]:
    """The mode of every provider of a family, the settings' own ones too. Raises NotFound for an unknown family, NotReady."""
    if family not in FAMILIES:
        raise NotFound(f"there is no cloud family {family}", hint="use bedrock, vertex or azure")
    stored = {p.partition(":")[0] for p in View(context.queries, agent).visible()}
    environ: Mapping[str, str] = {**context.dotenv, **context.environ}
    home, now = Path.home(), context.clock.now()
    modes: list[CloudMode] = []
    for found in settings_of_family(family, _tables(context)):
        if isinstance(found, BedrockSettings):
            token = found.provider in stored
            modes.append(resolve_bedrock(found, environ, home, stored_token=token, reader=read_file, now=now))
        elif isinstance(found, VertexSettings):
            modes.append(resolve_vertex(found, environ, home, reader=read_file))
        elif isinstance(found, AzureSettings):
            key = found.provider in stored
            modes.append(resolve_azure(found, environ, home, stored_key=key, reader=read_file))
    return modes


def check_of(mode: CloudMode, now: int, warn_before: int) -> int:
    """The exit status a mode calls for with ``--check``: 0, 1 when it isn't ready, 2 when it ends soon."""
    if not mode.ready:
        return 1
    return 2 if mode.expires_at is not None and mode.expires_at - now <= warn_before else 0


def _tables(context: Context) -> dict[str, dict[str, str]]:
    """The ``[providers]`` table as texts: what was set, and nothing else."""
    names = (
        "auth_source",
        "region",
        "profile",
        "project",
        "location",
        "endpoint",
        "resource",
        "api_version",
        "scope",
        "family",
    )
    return {
        provider: {n: getattr(table, n) for n in names if getattr(table, n)}
        for provider, table in context.settings.providers.items()
    }
