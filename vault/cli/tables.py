"""Rows laid out in columns: as wide as they are in a pipe, fitted to a terminal.

A terminal that is too narrow first gets prose broken between words, then fewer columns, the least useful left out first, and at
last each row as a list of its own. An id, a fingerprint, a path is never broken.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from vault.cli import streams

GAP = 2
NARROWEST_PROSE = 18
BOLD, NORMAL = "\x1b[1m", "\x1b[0m"

Cells = Sequence[Sequence[str]]


def lay_out(
    headings: Sequence[str],
    rows: Cells,
    *,
    width: int | None,
    terminal: bool,
    least: Sequence[str] = (),
    prose: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """Rows as text, and the headings of the columns that there was no room for. Without a width everything is shown.

    A terminal isn't shown columns without content.
    """
    columns = [c for c in range(len(headings)) if not terminal or any(row[c] for row in rows)]
    soft = [c for c in columns if headings[c] in prose]
    if width is None:
        return _columns(headings, rows, columns, _natural(headings, rows, columns), terminal), []
    if not any(headings):
        return _pairs(rows, columns, width), []
    left_out: list[str] = []
    for heading in (None, *least):
        if heading is not None and heading in [headings[c] for c in columns]:
            columns = [c for c in columns if headings[c] != heading]
            left_out.append(heading)
        widths = _fitted(_natural(headings, rows, columns), _narrowest(headings, rows, columns, soft), width)
        if widths is not None:
            return _columns(headings, rows, columns, widths, terminal), left_out
    return _listed(headings, rows, width), []


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """A text in lines of a width, broken at blanks only; those after the first are indented. A long word sticks out."""
    if cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    words = text.lstrip(" ")
    line = text[: len(text) - len(words)]
    for word in words.split(" "):
        longer = f"{line} {word}" if line.strip() else line + word
        if line.strip() and cell_len(longer) > width:
            lines.append(line.rstrip())
            line = indent + word
        else:
            line = longer
    return [*lines, line.rstrip()]


def _natural(headings: Sequence[str], rows: Cells, columns: Sequence[int]) -> dict[int, int]:
    return {c: max(map(cell_len, (headings[c], *(row[c] for row in rows)))) for c in columns}


def _narrowest(headings: Sequence[str], rows: Cells, columns: Sequence[int], soft: Sequence[int]) -> dict[int, int]:
    """The least width of each column: prose may be broken between words, nothing else."""
    least = _natural(headings, rows, columns)
    for c in soft:
        if c in least:
            words = [word for row in rows for word in row[c].split(" ")]
            least[c] = min(least[c], max(NARROWEST_PROSE, *map(cell_len, (headings[c], *words))))
    return least


def _fitted(natural: dict[int, int], narrowest: dict[int, int], width: int) -> dict[int, int] | None:
    """Widths that fit, the widest columns narrowed first; None when there are none."""
    room = width - GAP * (len(natural) - 1)
    if sum(narrowest.values()) > room:
        return None
    widths = dict(natural)
    while sum(widths.values()) > room:
        widest = max((c for c in widths if widths[c] > narrowest[c]), key=lambda c: widths[c])
        widths[widest] -= 1
    return widths


def _columns(
    headings: Sequence[str], rows: Cells, columns: Sequence[int], widths: dict[int, int], terminal: bool
) -> str:
    lines: list[str] = []
    if any(headings):
        (heading,) = _row([headings[c] for c in columns], [widths[c] for c in columns])
        lines.append(f"{BOLD}{heading}{NORMAL}" if terminal and not streams.plain() else heading)
        if terminal:
            lines.append("─" * (sum(widths.values()) + GAP * (len(columns) - 1)))
    for row in rows:
        lines += _row([row[c] for c in columns], [widths[c] for c in columns])
    return "".join(f"{line}\n" for line in lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """One row, in as many lines as its longest cell needs."""
    parts = [wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, parts), default=1)
    lines = []
    for n in range(height):
        line = (_padded(part[n] if n < len(part) else "", width) for part, width in zip(parts, widths, strict=True))
        lines.append((" " * GAP).join(line).rstrip())
    return lines


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _pairs(rows: Cells, columns: Sequence[int], width: int) -> str:
    """Rows without headings: the first cell names the others."""
    named = max((cell_len(row[0]) for row in rows), default=0) + GAP
    lines: list[str] = []
    for row in rows:
        value = " ".join(row[c] for c in columns if c)
        if width - named < NARROWEST_PROSE or max(map(cell_len, value.split(" "))) > width - named:
            lines += [row[0], *wrapped(f"  {value}", width, "  ")]
        else:
            first, *others = wrapped(value, width - named)
            lines += [_padded(row[0], named) + first, *(" " * named + line for line in others)]
    return "".join(f"{line}\n" for line in lines)


def _listed(headings: Sequence[str], rows: Cells, width: int) -> str:
    """Each row as a list: its first cell, and below it the others by their headings."""
    parts = []
    for row in rows:
        pairs = [(f"  {heading.lower()}", cell) for heading, cell in zip(headings[1:], row[1:], strict=True) if cell]
        parts.append(f"{row[0]}\n" + _pairs(pairs, (0, 1), width))
    return "".join(parts)
