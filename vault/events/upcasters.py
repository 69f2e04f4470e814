"""Old shape → next shape, on read. The log is never rewritten.

An upcaster takes the facts of one type at one schema version, as plain JSON values, and returns them in the shape of the
next version. They are applied one after another until the shape is the current one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vault.errors import IntegrityError

Facts = dict[str, Any]
Upcaster = Callable[[Facts], Facts]


def _same(facts: Facts) -> Facts:
    """The next shape only adds fields that have defaults."""
    return facts


# Schema 2 of the first four: a credential's facts may hold base_url, env and sign_in. Of the others: slots, a slot's digest.
UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("profile_logged_in", 1): _same,
    ("profile_imported", 1): _same,
    ("profile_restored", 1): _same,
    ("tokens_refreshed", 1): _same,
    ("vault_created", 1): _same,
    ("key_slot_added", 1): _same,
    ("log_verified", 1): _same,
}


def upcast(
    type_name: str, schema: int, facts: Facts, current: int, upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS
) -> Facts:
    """Bring facts from an older schema version to the current one. Raises IntegrityError when a step is missing."""
    for version in range(schema, current):
        step = upcasters.get((type_name, version))
        if step is None:
            raise IntegrityError(f"an event {type_name} has the schema version {version}, which never existed")
        facts = step(facts)
    return facts
