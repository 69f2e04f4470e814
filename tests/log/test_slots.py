"""Key slots are bound to the log: what was put there, taken away, put back or altered is noticed; an old vault gives no alarm."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import KEY, Files, make_files, tampering
from vault.commands.checking import verify_vault
from vault.commands.keys import Choice, add_slot, list_slots, remove_slot
from vault.context import Context, create_context, open_context
from vault.crypto.keyslots import KEY_FILE, RECOVERY, Slot, make_slot
from vault.errors import Conflict, IntegrityError, NewerVersion
from vault.events.types import (
    Event,
    KeySlotAdded,
    KeySlotRemoved,
    LogVerified,
    RollbackAccepted,
    SlotFacts,
    UnknownEvent,
    VaultCreated,
)
from vault.log.records import Draft
from vault.model.slots import SlotsState, evolve_slots, slot_facts, slot_troubles, unbound
from vault.model.streams import VAULT
from vault.projections.verify import verify
from vault.unlock import Ways

ROWS = "SELECT * FROM key_slots ORDER BY slot"


def ways(files: Files) -> Ways:
    return Ways(files.environ())


def recovery(files: Files) -> Files:
    """A vault with slot 1, a key file, and slot 2, a recovery code."""
    with files.open() as context:
        add_slot(context, ways(files), Choice(RECOVERY), ways(files))
    return files


def unsettled(files: Files) -> Context:
    """The vault opened as ``vault key`` opens it."""
    return open_context(files.places, ways(files), strange_slots=True)


def noticed(files: Files, what: str) -> None:
    """Opening and verifying tell of a slot."""
    with pytest.raises(IntegrityError, match=what) as caught:
        files.open()
    assert caught.value.exit_status == 80
    assert "vault key remove" in caught.value.hint
    with unsettled(files) as context, pytest.raises(IntegrityError, match=what):
        verify(context.store, context.projections)


def settled(files: Files, number: int, stay: list[int]) -> None:
    """``key remove`` ends the alarm."""
    with unsettled(files) as context:
        remove_slot(context, number, reason="it was not me")
    with files.open() as context:
        assert [s.slot for s in list_slots(context)] == stay
        verify(context.store, context.projections)


def test_a_vaults_making_names_its_slots(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        (made,) = context.store.read([1])
        state, found = context.slots()
    assert isinstance(made.event, VaultCreated)
    assert made.event.slots == list(found.values())
    assert state.complete
    assert all(len(facts.digest) == 64 for facts in made.event.slots)


def test_a_deleted_slot_is_noticed(tmp_path: Path) -> None:
    files = recovery(make_files(tmp_path))
    with tampering(files.database) as connection:
        connection.execute("DELETE FROM key_slots WHERE slot = 2")
    noticed(files, r"key slot 2 \(recovery\) is gone, and nobody removed it")
    settled(files, 2, [1])


def test_a_slot_nobody_added_is_noticed(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with tampering(files.database) as connection:
        connection.execute("INSERT INTO key_slots SELECT 7, kind, parameters, wrapped, commitment FROM key_slots")
    noticed(files, "key slot 7 is there, and nobody added it")
    settled(files, 7, [1])


def test_a_removed_slot_that_was_put_back_is_noticed(tmp_path: Path) -> None:
    files = recovery(make_files(tmp_path))
    with sqlite3.connect(files.database) as connection:
        (_, row) = connection.execute(ROWS).fetchall()
    with files.open() as context:
        remove_slot(context, 2)
    with tampering(files.database) as connection:
        connection.execute("INSERT INTO key_slots VALUES (?,?,?,?,?)", row)
    noticed(files, "key slot 2 was removed, and is there again")
    settled(files, 2, [1])


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'keyring'",
        "parameters = '{}'",
        f"parameters = CAST('{'[' * 5000}' AS BLOB)",
        "wrapped = zeroblob(200)",
        "commitment = zeroblob(32)",
    ],
)
def test_an_altered_slot_is_noticed(change: str, tmp_path: Path) -> None:
    files = recovery(make_files(tmp_path))
    with tampering(files.database) as connection:
        connection.execute(f"UPDATE key_slots SET {change} WHERE slot = 2".replace("'{}'", "CAST('{}' AS BLOB)"))
    with pytest.raises(IntegrityError, match=r"key slot 2 \(recovery\) was altered"):
        files.open()
    with unsettled(files) as context, pytest.raises(IntegrityError) as caught:
        verify(context.store, context.projections)
    assert caught.value.exit_status == 80
    settled(files, 2, [1])


def test_a_slot_of_the_same_number_from_before_is_noticed(tmp_path: Path) -> None:
    """The number is given again only by older vaults; what is in the slot is bound all the same."""
    files = recovery(make_files(tmp_path))
    with files.open() as context:
        vault_id = context.keys.vault_id
        other = make_slot(2, RECOVERY, bytes(20), bytes(32), vault_id)
    with tampering(files.database) as connection:
        connection.execute(
            "UPDATE key_slots SET parameters = ?, wrapped = ?, commitment = ? WHERE slot = 2",
            (other.parameters, other.wrapped, other.commitment),
        )
    noticed(files, r"key slot 2 \(recovery\) was altered")


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    files = recovery(make_files(tmp_path))
    with files.open() as context:
        remove_slot(context, 2)
        slot, _ = add_slot(context, ways(files), Choice(RECOVERY), ways(files))
    assert slot.slot == 3


SWALLOWED = {
    "BEFORE DELETE ON key_slots": "key remove",
    "AFTER DELETE ON key_slots": "key remove",
    "BEFORE INSERT ON key_slots": "key add",
    "AFTER INSERT ON key_slots": "key add",
}


@pytest.mark.parametrize("when", SWALLOWED)
def test_what_a_trigger_swallows_is_neither_announced_nor_recorded(when: str, tmp_path: Path) -> None:
    files = recovery(make_files(tmp_path))
    body = {
        "BEFORE DELETE ON key_slots": "SELECT RAISE(IGNORE)",
        "AFTER DELETE ON key_slots": (
            "INSERT INTO key_slots VALUES (OLD.slot, OLD.kind, OLD.parameters, OLD.wrapped, OLD.commitment)"
        ),
        "BEFORE INSERT ON key_slots": "SELECT RAISE(IGNORE)",
        "AFTER INSERT ON key_slots": "DELETE FROM key_slots WHERE slot = NEW.slot",
    }[when]
    with files.open() as context:
        context.database.connection.execute(
            f"CREATE TEMP TRIGGER x {when} BEGIN {body}; END".replace("ON ", "ON main.")
        )
        head = context.store.head()
        work = {
            "key remove": lambda: remove_slot(context, 2),
            "key add": lambda: add_slot(context, ways(files), Choice(RECOVERY), ways(files)),
        }[SWALLOWED[when]]
        with pytest.raises(IntegrityError, match="key slots did not take the change"):
            work()
        assert context.store.head() == head
    files.open().close()


# -- vaults of before


def old_vault(tmp_path: Path, *events: Event) -> Files:
    """A vault whose making named no slots, as the first versions made it, and with events of theirs after it."""
    files = Files(tmp_path / "old")
    files.folder.mkdir()
    files.key_file.write_bytes(KEY)
    original = VaultCreated

    def slots(root: bytes, vault_id: bytes) -> list[Slot]:
        return [make_slot(1, KEY_FILE, KEY, root, vault_id), make_slot(2, RECOVERY, bytes(20), root, vault_id)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vault.context.VaultCreated", lambda **facts: original(format=facts["format"]))
        create_context(files.places, slots, {})
    with files.open() as context:
        if events:
            context.store.append([Draft(stream=VAULT, event=event) for event in events], context.cause())
    return files


def test_an_old_vault_gives_no_false_alarm(tmp_path: Path) -> None:
    files = old_vault(tmp_path)
    with files.open() as context:
        state, found = context.slots()
        assert not state.complete
        assert unbound(state, found) == list(found.values())
        verify(context.store, context.projections)
        add_slot(context, ways(files), Choice(RECOVERY), ways(files))
        remove_slot(context, 2)
    with files.open() as context:
        verify(context.store, context.projections)
        assert [s.slot for s in list_slots(context)] == [1, 3]


def test_what_is_known_of_an_old_vaults_slots_is_compared(tmp_path: Path) -> None:
    """Of those it began with only a removal; of all that were added later, everything."""
    files = old_vault(tmp_path)
    with sqlite3.connect(files.database) as connection:
        first, second = connection.execute(ROWS).fetchall()
    with files.open() as context:
        add_slot(context, ways(files), Choice(RECOVERY), ways(files))
        remove_slot(context, 2)
    with tampering(files.database) as connection:
        connection.execute("INSERT INTO key_slots VALUES (?,?,?,?,?)", second)
    noticed(files, "key slot 2 was removed, and is there again")
    settled(files, 2, [1, 3])
    with tampering(files.database) as connection:
        connection.execute("INSERT INTO key_slots VALUES (9,?,?,?,?)", first[1:])
    noticed(files, "key slot 9 is there, and nobody added it")
    settled(files, 9, [1, 3])


def test_verify_record_binds_an_old_vaults_slots_from_then_on(tmp_path: Path) -> None:
    files = old_vault(tmp_path)
    with files.open() as context:
        verify_vault(context, record=True)
        (recorded,) = context.store.read([context.store.head().position])
        assert isinstance(recorded.event, LogVerified)
        assert [s.slot for s in recorded.event.slots] == [1, 2]
        verify_vault(context, record=True)
        (again,) = context.store.read([context.store.head().position])
        assert again.event == LogVerified(events=2)
    with tampering(files.database) as connection:
        connection.execute("DELETE FROM key_slots WHERE slot = 2")
    noticed(files, "key slot 2")


def test_slots_that_an_older_vault_added_are_compared_by_number_and_kind(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        vault_id = context.keys.vault_id
        slot = make_slot(2, RECOVERY, bytes(20), bytes(32), vault_id)
        with context.store.writing() as connection:
            connection.execute(
                "INSERT INTO key_slots VALUES (?,?,?,?,?)",
                (2, slot.kind, slot.parameters, slot.wrapped, slot.commitment),
            )
            event = KeySlotAdded(slot=2, slot_kind=RECOVERY)
            context.store.append_within(connection, [Draft(stream=VAULT, event=event)], context.cause())
        verify(context.store, context.projections)
    with tampering(files.database) as connection:
        connection.execute("UPDATE key_slots SET kind = 'passphrase' WHERE slot = 2")
    noticed(files, "key slot 2 .* was altered")


def test_nothing_is_decided_about_slots_that_a_newer_vault_wrote_of() -> None:
    state = evolve_slots(SlotsState(complete=True), UnknownEvent(type="key_slot_moved", schema=1), 2)
    assert slot_troubles(state, {1: SlotFacts(slot=1, slot_kind=KEY_FILE)}) == {}
    with pytest.raises(NewerVersion):
        state.decidable()


# -- as a model

numbers = st.integers(1, 6)
digests = st.sampled_from(["a" * 64, "b" * 64, ""])


@given(
    made=st.lists(st.tuples(numbers, digests), max_size=3, unique_by=lambda pair: pair[0]),
    later=st.lists(st.tuples(st.booleans(), numbers, digests), max_size=8),
    there=st.dictionaries(numbers, digests),
)
def test_what_is_strange_is_what_a_plain_reading_of_the_log_finds(
    made: list[tuple[int, str]], later: list[tuple[bool, int, str]], there: dict[int, str]
) -> None:
    facts = [SlotFacts(slot=n, slot_kind=KEY_FILE, digest=d) for n, d in made]
    state = evolve_slots(None, VaultCreated(format=1, slots=facts), 1)
    must = dict(made)
    for version, (adding, number, digest) in enumerate(later, start=2):
        if adding:
            state = evolve_slots(state, KeySlotAdded(slot=number, slot_kind=KEY_FILE, digest=digest), version)
            must[number] = digest
        else:
            state = evolve_slots(state, KeySlotRemoved(slot=number, slot_kind=KEY_FILE), version)
            must.pop(number, None)
        state = evolve_slots(state, RollbackAccepted(anchor_position=1, head_position=1), version)
    assert msgspec.json.decode(msgspec.json.encode(state), type=SlotsState) == state
    found = {n: SlotFacts(slot=n, slot_kind=KEY_FILE, digest=d) for n, d in there.items()}
    troubles = slot_troubles(state, found)
    for number in range(1, 7):
        if number in must:
            wrong = number not in there or (must[number] != "" and there[number] != must[number])
        elif made:
            wrong = number in there
        else:
            continue
        assert (number in troubles) == wrong
    assert unbound(state, slot_facts([], bytes(16))) == []


def test_the_last_slot_stays_also_when_another_is_gone(tmp_path: Path) -> None:
    files = recovery(make_files(tmp_path))
    with tampering(files.database) as connection:
        connection.execute("DELETE FROM key_slots WHERE slot = 2")
    with unsettled(files) as context, pytest.raises(Conflict, match="the last key slot can't be removed"):
        remove_slot(context, 1)
