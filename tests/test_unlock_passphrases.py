"""Several passphrases: which is tried first, and how much work they may ask for together."""

from __future__ import annotations

import json

import pytest

import vault.unlock
from tests.test_unlock import BY_CODE, BY_WORDS, CHEAP, CODE, ROOT_KEY, VAULT, WORDS, Person
from vault.crypto.keyslots import KEY_FILE, MOST_WORK, PASSPHRASE, Slot, check_parameters, make_slot, slot_work
from vault.errors import IntegrityError, Locked, WrongKey
from vault.unlock import Ways, unlock


def passphrases(*kdfs: dict[str, int]) -> list[Slot]:
    return [
        make_slot(n, PASSPHRASE, f"{WORDS} {n}".encode(), ROOT_KEY, VAULT, kdf=CHEAP | kdf)
        for n, kdf in enumerate(kdfs, 1)
    ]


def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The slots that are tried from now on, in order."""
    order: list[int] = []
    original = vault.unlock.open_slot

    def watched(slot: Slot, secret: bytes, vault_id: bytes) -> bytes:
        order.append(slot.slot)
        return original(slot, secret, vault_id)

    monkeypatch.setattr(vault.unlock, "open_slot", watched)
    return order


def test_the_passphrase_that_opened_last_is_tried_first_then_the_cheapest(monkeypatch: pytest.MonkeyPatch) -> None:
    slots = passphrases({"t": 3}, {"t": 2}, {"t": 1}, {"t": 4})
    for last, number, order in ((0, 3, [3]), (0, 1, [3, 2, 1]), (1, 1, [1]), (4, 2, [4, 3, 2]), (99, 3, [3])):
        seen = tried(monkeypatch)
        assert unlock(slots, VAULT, Ways({"VAULT_PASSPHRASE": f"{WORDS} {number}"}, last=last))[1].slot == number
        assert seen == order


def costly(number: int, memory: int, passes: int) -> Slot:
    parameters = {"salt": "00" * 16, "m": memory, "t": passes, "p": 1}
    return Slot(number, PASSPHRASE, json.dumps(parameters).encode(), b"", b"\0" * 32)


def test_slots_that_together_ask_for_too_much_work_are_not_all_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Altered slots can't make an unlock take minutes: what is tried is bounded together, the likely slot first."""
    largest = [costly(n, 1024 * 1024, 8) for n in (2, 3, 4)]
    seen = tried(monkeypatch)
    assert unlock([*largest, BY_WORDS], VAULT, Ways({"VAULT_PASSPHRASE": WORDS}))[1] == BY_WORDS
    assert seen == [1]
    monkeypatch.setattr(vault.unlock, "open_slot", lambda slot, *_: seen.append(slot.slot) or refuse())
    for words in ({"VAULT_PASSPHRASE": "another"}, {"VAULT_PASSPHRASE": "once more"}):
        seen.clear()
        with pytest.raises(WrongKey):
            unlock([*largest, BY_WORDS], VAULT, Ways(words))
        work = {s.slot: slot_work(s) for s in [*largest, BY_WORDS]}
        assert seen == [1]
        assert sum(work[n] for n in seen) <= MOST_WORK
    with pytest.raises(Locked, match="key slot 2 is damaged; key slot 3 is damaged"):
        unlock([*largest, BY_WORDS], VAULT, Ways({}, Person("another")))


def refuse() -> bytes:
    raise WrongKey("no")


@pytest.mark.parametrize(
    "parameters", [b"[" * 2000, b'{"salt":' * 400, b'{"salt":"' + b"0" * 100_000 + b'"}', b"{" + b" " * 5000]
)
def test_deeply_nested_or_huge_parameters_are_a_damaged_slot(parameters: bytes) -> None:
    for kind in (PASSPHRASE, KEY_FILE):
        broken = Slot(9, kind, parameters, b"", b"\0" * 32)
        with pytest.raises(IntegrityError) as caught:
            check_parameters(broken)
        assert caught.value.exit_status == 80
        assert unlock([broken, BY_CODE], VAULT, Ways({"VAULT_PASSPHRASE": CODE}))[1] == BY_CODE
