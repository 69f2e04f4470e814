"""Further names of a profile: variables that held its secret where it came from, set beside its provider's own.

A variable is one credential's. A provider's own names come before any further name, and of two profiles with the same further
name the one that is handed out first has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vault.commands.ready import Ready
from vault.context import Context
from vault.model.choosing import Decision
from vault.projections.queries import View
from vault.values import AgentId


def without_clashes(ready: Sequence[Ready]) -> tuple[list[Ready], list[str]]:
    """Hand-outs of which no further name is another's variable, and what to say about those that were."""
    holders = {name: r for r in reversed(ready) for name in r.further}
    holders |= {name: r for r in reversed(ready) for name in r.values if name not in r.further}
    said: list[str] = []
    left: list[Ready] = []
    for one in ready:
        lost = {n: h for n in one.further if (h := holders[n]) is not one and h.values[n] != one.secret}
        said += [f"{n} is set to {_name(h)}, and not to {_name(one)} (choose with --provider)" for n, h in lost.items()]
        names, further = (tuple(n for n in of if n not in lost) for of in (one.names, one.further))
        left.append(replace(one, names=names, further=further))
    return left, said


def told(context: Context, decision: Decision) -> list[tuple[str, list[str]]]:
    """(name, other profiles of the agent with it and another secret) of each further name of what was chosen."""
    facts = decision.candidate.facts if decision.candidate else None
    if facts is None or decision.candidate is None:
        return []
    others = [
        (profile, state.current.facts)
        for profile, state in View(context.queries, AgentId(decision.agent)).visible().items()
        if state.current is not None and profile != decision.candidate.profile
    ]
    return [
        (name, sorted(p for p, f in others if name in f.env and f.fingerprint != facts.fingerprint))
        for name in facts.env
    ]


def in_words(names: Sequence[tuple[str, list[str]]]) -> list[str]:
    """The same, a sentence each."""
    return [
        f"vault exec and vault env also set {name}"
        + (f", which {', '.join(others)} has too: the one that is handed out first has it" if others else "")
        for name, others in names
    ]


def _name(ready: Ready) -> str:
    return ready.event.profile or ready.event.provider
