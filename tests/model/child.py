"""Another process that decides: ``python -m tests.model.child FOLDER NOW`` prints what every agent would use, and why."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.model.histories import QUIET, around, decisions
from tests.support import Files, FixedClock
from vault.context import Context


def told(context: Context, now: int) -> Any:
    """All decisions in full, as plain values."""
    around(context, QUIET)
    return json.loads(
        json.dumps([[d.agent, d.provider, d.basis, [asdict(c) for c in d.considered]] for d in decisions(context, now)])
    )


if __name__ == "__main__":
    folder, now = sys.argv[1:]
    with Files(Path(folder)).open(FixedClock(int(now))) as opened:
        print(json.dumps(told(opened, int(now))))
