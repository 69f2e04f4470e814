"""Command lines in other tools' settings, and whether one asks a vault."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePath


def words_of(line: object) -> list[str]:
    """The words of a command line, as a shell splits it; none where it isn't one."""
    try:
        return shlex.split(line) if isinstance(line, str) else []
    except ValueError:
        return []


def asks_a_vault(words: Sequence[object], *helpers: str) -> bool:
    """Whether a command line looks like one that asks a vault, whoever wrote it; by one of these helpers, if any are named."""
    if len(words) < len(("vault", "helper")) or words[1] != "helper" or not isinstance(words[0], str):
        return False
    return PurePath(words[0]).stem in ("vault", "agent-vault") and (not helpers or words[2:3] in [[h] for h in helpers])
