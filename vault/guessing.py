"""What a mistyped name was probably meant to be: one function for commands, providers, profiles, agents, tools, settings."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

LONGEST = 40
"""Nothing longer is taken for a mistyped name, or repeated."""
_ALIKE, _ALIKE_WHEN_SHORT, _SHORT = 0.7, 0.66, 4
_WORSE = 0.15
_SHORTEST_START = 3


def nearest(text: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """Up to ``limit`` names that are most like a text, best first; maybe none. A name that starts with the text is like it."""
    wanted = text.strip().casefold()
    if not wanted or len(wanted) > LONGEST:
        return []
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    least = _ALIKE_WHEN_SHORT if len(wanted) <= _SHORT else _ALIKE
    found: dict[str, float] = {}
    for name in names:
        spelt = name.casefold()
        matcher.set_seq1(spelt)
        if len(wanted) >= _SHORTEST_START and spelt.startswith(wanted):
            found[name] = 1.0
        elif (
            matcher.real_quick_ratio() >= least
            and matcher.quick_ratio() >= least
            and (ratio := matcher.ratio()) >= least
        ):
            found[name] = ratio
    best = max(found.values(), default=0.0)
    near = [name for name, ratio in found.items() if ratio >= best - _WORSE]
    return sorted(near, key=lambda name: (-found[name], len(name), name))[:limit]


def did_you_mean(text: str, names: Iterable[str], otherwise: str = "") -> str:
    """A hint: what was probably meant, and ``otherwise`` what to do, which is all of it where nothing is like the text."""
    found = nearest(text, names)
    asked = f"did you mean {' or '.join(found)}?" if found else ""
    return f"{asked} ({otherwise})" if asked and otherwise else asked or otherwise
