"""Measures vault beside the disk, the interpreter and ``eventsourcing``, and prints one table: ``python benchmarks/run.py``.

A missed goal is shown and is no failure; the exit status is 0 unless something broke. What is measured, and how: README.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from parts import Row, Sizes, appends, histories, replays, starts

PARTS = {"append": appends, "replay": replays, "history": histories, "start": starts}
SMALL = Sizes(rounds=2, appends=60, logs=(1000, 3000), repeats=1, starts=3)
NORMAL = Sizes(rounds=21, appends=180, logs=(10_000, 100_000), repeats=5, starts=21)
LARGE = NORMAL._replace(logs=(10_000, 100_000, 300_000))


def table(rows: list[tuple[str, list[Row]]]) -> str:
    """The rows as text, one part after another."""
    lines = [("", "seen", "goal", "met")]
    for part, measured in rows:
        lines.append((part.upper(), "", "", ""))
        lines += [(r.what, r.seen, r.goal, "" if r.met is None else "yes" if r.met else "NO") for r in measured]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--small", action="store_true", help="less than a minute: shows that everything runs, proves no goal"
    )
    size.add_argument("--large", action="store_true", help="memory at 300,000 events too")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="one part (repeat for more)")
    parser.add_argument("--folder", type=Path, help="where to work: on the disk that is to be measured")
    arguments = parser.parse_args()
    before = load()
    sizes = SMALL if arguments.small else LARGE if arguments.large else NORMAL
    rows = []
    with tempfile.TemporaryDirectory(prefix="vault-bench-", dir=arguments.folder) as folder:
        for name in arguments.only or PARTS:
            began = time.monotonic()
            rows.append((name, PARTS[name](Path(folder), sizes)))
            print(f"{name}: measured in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    print(f"\n{versions}, {os.cpu_count()} cores, load {before} → {load()}")
    return 0


def load() -> str:
    """How busy the machine has been for a minute: much more than 1 spoils absolute figures, and two-core ones first."""
    try:
        return f"{os.getloadavg()[0]:.1f}"
    except OSError:
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
