"""Decisions have numbers of their own, and the index names each."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "adr"


def test_every_decision_has_a_number_of_its_own_and_a_row() -> None:
    names = sorted(path.name for path in FOLDER.glob("[0-9]*.md"))
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\)", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert rows == [(name[:4], name) for name in names]
    for name in names:
        assert (FOLDER / name).read_text().startswith(f"# {name[:4]} ")
