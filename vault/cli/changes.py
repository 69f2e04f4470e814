"""What connecting a tool would change: in short, file by file, or every line. Of a file that holds secrets no line is shown."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vault.cli import output

if TYPE_CHECKING:
    from vault.commands.connecting import Proposed
    from vault.interop.plans import Write

FEW = 10
"""So many changed lines of a file are shown without being asked for."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file. ``lines`` are those of a unified diff, none where the file holds secrets."""

    path: str
    done: str
    added: int
    removed: int
    what: str
    lines: tuple[str, ...]
    secret: bool

    @property
    def sentence(self) -> str:
        """It in one line."""
        hidden = " (it holds secrets: no line is shown)" if self.secret and self.done != "remove" else ""
        if self.done == "make":
            return f"make {self.path}: {_lines_in(self.added)}" + (f", {self.what}" if self.what else "") + hidden
        counts = [f"{_lines_in(n)} {word}" for n, word in ((self.added, "more"), (self.removed, "less")) if n]
        size = f": {', '.join(counts)}" if counts else ""
        return f"{self.done} {self.path}{size}{hidden}"

    @property
    def few(self) -> list[str]:
        """The changed lines, where they are few."""
        changed = [line for line in self.lines[2:] if line[:1] in "+-"]
        return changed if len(changed) <= FEW else []


def changes_of(shown: Proposed) -> Iterator[Change]:
    """Every file that would change."""
    for write, was in zip(shown.plan.writes, shown.were, strict=False):
        if write.content != was.content:
            yield _change(write, was.content)
    for path in shown.plan.removes:
        yield Change(str(path), "remove", 0, 0, "", (), True)


def tell_changes(shown: Proposed, *, whole: bool) -> None:
    """Say what would change; ``whole`` shows every line that may be shown."""
    hidden = False
    for change in changes_of(shown):
        output.say(change.sentence)
        lines = list(change.lines) if whole else change.few
        output.say(*(f"    {line}" for line in lines))
        hidden = hidden or (bool(change.lines) and not lines)
    for run in shown.plan.runs:
        output.say(f"run {' '.join(run.argv)} ({run.what})")
    if hidden:
        output.say("--show shows every line")


def body_of(shown: Proposed) -> list[dict[str, Any]]:
    """The same for programs, without lines."""
    return [{"path": c.path, "done": c.done, "added": c.added, "removed": c.removed} for c in changes_of(shown)]


def _change(write: Write, was: bytes | None) -> Change:
    old, new = _lines(was or b""), _lines(write.content)
    before = str(write.path) if was is not None else "/dev/null"
    lines = tuple(difflib.unified_diff(old, new, before, str(write.path), lineterm=""))
    added = sum(line.startswith("+") for line in lines[2:])
    removed = sum(line.startswith("-") for line in lines[2:])
    done = "make" if was is None else "change"
    return Change(str(write.path), done, added, removed, write.what, () if write.secret else lines, write.secret)


def _lines_in(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").removesuffix("\n").split("\n") if content else []
