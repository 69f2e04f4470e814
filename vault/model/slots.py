"""Ways to unlock, as the log knows them: which key slots there must be, and what must be in each.

A vault made before ``vault_created`` named its slots doesn't say which it began with: until ``vault verify --record`` has named
those too, a slot with a number below the first that was added may be there or not. All others are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vault.crypto.keyslots import Slot, slot_digest
from vault.errors import NewerVersion
from vault.events.types import Event, KeySlotAdded, KeySlotRemoved, LogVerified, SlotFacts, UnknownEvent, VaultCreated


class SlotsState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The key slots of the log. ``version`` is the place in the stream.

    ``known`` are those there must be; one without a digest was recorded by an older vault. ``removed`` are numbers that are gone.
    ``complete`` says that there are no others; else ``first_added`` is the lowest number that an event added, or 0.
    """

    version: int = 0
    known: dict[str, SlotFacts] = {}
    removed: list[int] = []
    complete: bool = False
    first_added: int = 0
    unknown: str = ""

    @property
    def next_number(self) -> int:
        """A number that no slot known to the log ever had."""
        return max((*self.removed, *(facts.slot for facts in self.known.values())), default=0) + 1

    def decidable(self) -> None:
        """Raises NewerVersion when something in the stream isn't understood."""
        if self.unknown:
            raise NewerVersion(
                f"the vault has an event {self.unknown} that this version doesn't know", hint="upgrade agent-vault"
            )


def slot_facts(slots: Sequence[Slot], vault_id: bytes) -> dict[int, SlotFacts]:
    """What the log keeps of key slots, by number. Raises IntegrityError for a number that none can have."""
    return {s.slot: SlotFacts(slot=s.slot, slot_kind=s.kind, digest=slot_digest(s, vault_id)) for s in slots}


def evolve_slots(state: SlotsState | None, event: Event, version: int) -> SlotsState:
    """The slots after an event."""
    state = msgspec.structs.replace(state or SlotsState(), version=version)
    match event:
        case VaultCreated(slots=slots) | LogVerified(slots=slots) if slots:
            return msgspec.structs.replace(state, known=_with(state, slots), complete=True)
        case KeySlotAdded(slot=number, slot_kind=kind, digest=digest):
            first = min(state.first_added or number, number)
            added = SlotFacts(slot=number, slot_kind=kind, digest=digest)
            removed = [n for n in state.removed if n != number]
            return msgspec.structs.replace(state, known=_with(state, [added]), removed=removed, first_added=first)
        case KeySlotRemoved(slot=number):
            known = {n: facts for n, facts in state.known.items() if n != str(number)}
            removed = sorted({*state.removed, number})
            return msgspec.structs.replace(state, known=known, removed=removed)
        case UnknownEvent(type=type_name):
            return msgspec.structs.replace(state, unknown=type_name)
    return state


def unbound(state: SlotsState, found: Mapping[int, SlotFacts]) -> list[SlotFacts]:
    """Slots that are there and that the log says nothing about, or not what is in them: written by an older vault."""
    known = {facts.slot: facts for facts in state.known.values()}
    return [facts for number, facts in found.items() if number not in known or not known[number].digest]


def slot_troubles(state: SlotsState, found: Mapping[int, SlotFacts]) -> dict[int, str]:
    """What is wrong with the slots that are there, by number; nothing when they are those of the log."""
    if state.unknown:
        return {}
    wrong: dict[int, str] = {}
    known = {facts.slot: facts for facts in state.known.values()}
    for number, facts in known.items():
        there = found.get(number)
        what = f"key slot {number} ({facts.slot_kind.replace('-', ' ')})"
        if there is None:
            wrong[number] = f"{what} is gone, and nobody removed it"
        elif there.slot_kind != facts.slot_kind or (facts.digest and there.digest != facts.digest):
            wrong[number] = f"{what} was altered"
    for number in found.keys() - known.keys():
        if number in state.removed:
            wrong[number] = f"key slot {number} was removed, and is there again"
        elif state.complete or (state.first_added and number > state.first_added):
            wrong[number] = f"key slot {number} is there, and nobody added it"
    return dict(sorted(wrong.items()))


def _with(state: SlotsState, slots: list[SlotFacts]) -> dict[str, SlotFacts]:
    known = {facts.slot: facts for facts in (*state.known.values(), *slots)}
    return {str(number): known[number] for number in sorted(known)}
