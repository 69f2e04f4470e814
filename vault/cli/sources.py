"""status --sources: the source map, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vault.cli import output

if TYPE_CHECKING:
    from vault.commands.source_map import SourceMap


def show_sources(maps: Sequence[SourceMap], whole: bool) -> None:
    """The maps as a table, the narrowest source first; ``whole`` shows the sources too that have nothing."""
    rows = [
        (
            one.provider,
            offer.source,
            offer.state + (", narrowest" if offer.source == one.narrowest and offer.state != "none" else ""),
            offer.what,
            offer.text,
        )
        for one in maps
        for offer in one.offers
        if whole or offer.what or offer.state == "used"
    ]
    output.table(("PROVIDER", "SOURCE", "STATE", "WHAT", "WHY"), rows, least=("WHY",), prose=("WHY", "STATE"))
    for one in maps:
        if one.for_exec != one.used:
            output.say(f"{one.provider}: exec and env use what is {one.for_exec}, which they put first")
        if one.hint:
            told = f"{one.provider}: what is used comes from a wider source ({one.used}) than it must ({one.narrowest})"
            output.say(output.printable(told), output.printable(f"    → {one.hint}"))


def as_json(maps: Sequence[SourceMap]) -> list[dict[str, Any]]:
    """The maps as JSON objects: null for what isn't there."""
    return [
        {
            "provider": one.provider,
            "name": one.name,
            "used": one.used or None,
            "for_exec": one.for_exec or None,
            "narrowest": one.narrowest or None,
            "hint": one.hint or None,
            "sources": [
                {"source": o.source, "state": o.state, "what": o.what or None, "text": o.text} for o in one.offers
            ],
        }
        for one in maps
    ]
