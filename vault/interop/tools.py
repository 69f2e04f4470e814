"""The table of tools: a line each. Adding a tool is one file and one line here.

A tool's file describes it as ``TOOL``: where its store is, how to read it, how to write it, how it is served, and who owns
what is taken over from it. Nothing in ``vault.interop`` opens a vault or prints: the commands do.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from vault.errors import NotFound
from vault.guessing import did_you_mean
from vault.interop.findings import Findings, Found
from vault.interop.plans import Injection, Link, Outgoing, Plan, Target
from vault.showing import shown
from vault.values import ProfileId, ProviderId

Reader = Callable[[Path | None, Mapping[str, str], Path], Findings]
Places = Callable[[Mapping[str, str], Path], list[Path]]
Orders = Mapping[ProviderId, Sequence[ProfileId]]
Writer = Callable[[Sequence[Outgoing], Orders, Target], Plan]
Connector = Callable[[Link, Target], Plan]
Disconnector = Callable[[Target], Plan]
Injector = Callable[[Sequence[Outgoing], Target], Injection]
Scrubber = Callable[[Sequence[Found], Link, Target], Plan]
Lock = Callable[[Target], AbstractContextManager[object]]

MODULES: dict[str, str] = {
    "opencode": "opencode",
    "openclaw": "openclaw",
    "claude-code": "claude_code",
    "anthropic-sdk": "anthropic_sdk",
    "codex": "codex",
    "gemini": "gemini",
    "qwen": "qwen",
    "copilot": "copilot",
    "crush": "crush",
    "goose": "goose",
    "llm": "llm",
    "cline": "cline",
    "kimi": "kimi",
    "litellm": "litellm",
    "bmo": "bmo",
    "aws": "aws",
    "gcloud": "gcloud",
    "gh": "gh",
    "huggingface": "huggingface",
    "dotenv": "dotenv",
}


def no_lock(_: Target) -> AbstractContextManager[object]:
    """The lock of a tool that has none."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool. What it can't do is None.

    ``places`` are the files it keeps credentials in. ``ownership`` says who refreshes after an import. ``takes`` are the
    providers it can be given, None for any; ``many`` says that it keeps several profiles a provider, ``servers`` that it wants
    passwords of servers too, ``addresses`` that it can be told the server of a credential along with it. ``line`` is the one
    line to type for it, and ``helper`` the protocol of ``vault helper`` it speaks.
    """

    name: str
    title: str
    places: Places
    ownership: str
    line: str = ""
    helper: str = ""
    takes: frozenset[str] | None = None
    many: bool = False
    servers: bool = False
    addresses: bool = False
    read: Reader | None = None
    write: Writer | None = None
    connect: Connector | None = None
    disconnect: Disconnector | None = None
    inject: Injector | None = None
    scrub: Scrubber | None = None
    lock: Lock = no_lock


def tool(name: str) -> Tool:
    """A tool by name. Raises NotFound."""
    if name not in MODULES:
        raise NotFound(
            f"there is no tool {shown(name)} here", hint=did_you_mean(name, MODULES, "vault tools lists them")
        )
    found: Tool = importlib.import_module(f"vault.interop.{MODULES[name]}").TOOL
    return found


def tools() -> Iterator[Tool]:
    """Every tool, in the order of the table."""
    for name in MODULES:
        yield tool(name)
