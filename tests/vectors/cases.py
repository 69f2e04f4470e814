"""What a vector is, and how a file of them is written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Case = dict[str, Any]


def gives(name: str, call: str, arguments: list[Any], answer: Any) -> Case:
    """A case that must give an answer."""
    return {"name": name, "call": call, "with": arguments, "outcome": {"gives": answer}}


def fails(name: str, call: str, arguments: list[Any], why: str) -> Case:
    """A case that must be refused, with the reason."""
    return {"name": name, "call": call, "with": arguments, "outcome": {"fails": why}}


def flipped(content: bytes, at: int) -> bytes:
    """The same bytes but for the lowest bit of one."""
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


def hexed(value: Any) -> Any:
    """Bytes as "hex:…", everywhere."""
    if isinstance(value, bytes):
        return f"hex:{value.hex()}"
    if isinstance(value, list):
        return [hexed(v) for v in value]
    return {k: hexed(v) for k, v in value.items()} if isinstance(value, dict) else value


def write(folder: Path, name: str, about: str, cases: Iterable[Case]) -> None:
    """Write one file of vectors."""
    content = {"about": about, "cases": [hexed(case) for case in cases]}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
