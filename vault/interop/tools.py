"""The table of tools: a line each. Adding a tool is one file and one line here.

A tool's file describes it as ``TOOL``: where its store is, how to read it, how to write it, how it is served, and who owns
what is taken over from it. Nothing in ``vault.interop`` opens a vault or prints: the commands do.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vault.errors import NotFound
from vault.interop.findings import Findings

Reader = Callable[[Path | None, Mapping[str, str], Path], Findings]
Places = Callable[[Mapping[str, str], Path], list[Path]]

MODULES: dict[str, str] = {
    "opencode": "opencode",
    "openclaw": "openclaw",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool. ``places`` are the files it keeps credentials in; ``ownership`` says who refreshes after an import."""

    name: str
    title: str
    places: Places
    ownership: str
    read: Reader | None = None


def tool(name: str) -> Tool:
    """A tool by name. Raises NotFound."""
    if name not in MODULES:
        raise NotFound(f"there is no tool {name!r} here", hint="vault tools lists them")
    found: Tool = importlib.import_module(f"vault.interop.{MODULES[name]}").TOOL
    return found


def tools() -> Iterator[Tool]:
    """Every tool, in the order of the table."""
    for name in MODULES:
        yield tool(name)
