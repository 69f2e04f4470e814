"""Key slots: what is in the file, beside what the log knows of it."""

from __future__ import annotations

from collections.abc import Mapping

from vault.errors import IntegrityError
from vault.events.types import SlotFacts
from vault.log.slots import read_slots
from vault.log.store import EventStore
from vault.model.slots import SlotsState, slot_facts, slot_troubles
from vault.model.streams import VAULT
from vault.projections.engine import Projections


def slots_of(store: EventStore, projections: Projections) -> tuple[SlotsState, dict[int, SlotFacts]]:
    """The key slots as the log knows them, and those that are there. Raises IntegrityError."""
    with store.database.reading() as connection:
        known = projections.state(connection, VAULT)
        _, slots, _ = read_slots(store.database)
    return known if isinstance(known, SlotsState) else SlotsState(), slot_facts(slots, store.sealing.keys.vault_id)


def check_slots(known: SlotsState, found: Mapping[int, SlotFacts]) -> None:
    """Raises IntegrityError for the first key slot that isn't as the log knows it."""
    for number, what in slot_troubles(known, found).items():
        raise IntegrityError(what, hint=f"see vault key list; vault key remove {number} --reason TEXT settles it")
