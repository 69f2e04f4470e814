"""Encodings, keys and slots: what must hold for any input, beyond the known answers."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.log.samples import any_session, issue, login
from tests.support import ACTOR, KEY, Canary, Files, FixedClock, make_files, make_vault, seeded
from vault.context import Context
from vault.crypto.aead import Sealer
from vault.crypto.encoding import PAD_STEP, pad, pae, unpad
from vault.crypto.keys import VaultKeys, branch_keys, new_epoch, open_payload, seal_payload
from vault.crypto.keyslots import (
    COMMAND,
    KEY_FILE,
    KEYRING,
    PASSPHRASE,
    RECOVERY,
    Slot,
    check_parameters,
    make_slot,
    new_recovery_code,
    open_slot,
    parse_recovery_code,
)
from vault.crypto.mac import Mac
from vault.errors import Gone, InputError, IntegrityError, Locked, WrongKey
from vault.log.database import Database
from vault.log.slots import read_slots
from vault.projections.replay import rebuild
from vault.projections.verify import verify

KEY32, VAULT_ID, ROOT = bytes(range(32)), bytes(16), bytes(range(32, 64))
parts = st.lists(st.binary(max_size=12), max_size=5)


@given(left=parts, right=parts)
@example(left=[b"a", b"bc"], right=[b"ab", b"c"])
@example(left=[], right=[b""])
@example(left=[b"\x01" + bytes(7)], right=[b"", b""])
def test_no_two_lists_share_an_encoding(left: list[bytes], right: list[bytes]) -> None:
    assert (pae(*left) == pae(*right)) == (left == right)


@given(message=st.binary(max_size=300))
def test_padding_comes_off_again_and_hides_all_but_the_step(message: bytes) -> None:
    framed = pad(message)
    assert unpad(framed) == message
    assert len(framed) == -(-(len(message) + 4) // PAD_STEP) * PAD_STEP


@given(framed=st.binary(max_size=200))
def test_there_is_one_padding_for_a_message(framed: bytes) -> None:
    try:
        message = unpad(framed)
    except IntegrityError:
        return
    assert pad(message) == framed


@given(message=st.binary(max_size=200), aad=st.binary(max_size=40))
def test_what_was_sealed_is_opened(message: bytes, aad: bytes) -> None:
    sealer = Sealer(KEY32)
    one, two = sealer.seal(message, aad), sealer.seal(message, aad)
    assert Sealer(KEY32).open(one, aad) == Sealer(KEY32).open(two, aad) == message
    assert one != two
    assert one[0] == 1
    assert message not in one[13:] or len(message) < 4


@given(message=st.binary(max_size=80), place=st.integers(0, 10**6), mask=st.integers(1, 255), cut=st.integers(1, 400))
def test_nothing_else_is_opened(message: bytes, place: int, mask: int, cut: int) -> None:
    sealer = Sealer(KEY32, seeded("nonce"))
    sealed = bytearray(sealer.seal(message, b"place"))
    whole = bytes(sealed)
    sealed[place % len(sealed)] ^= mask
    for bad, aad in ((bytes(sealed), b"place"), (whole[:-cut], b"place"), (whole, b"placf"), (whole + b"\0", b"place")):
        with pytest.raises(IntegrityError):
            sealer.open(bad, aad)


@given(message=st.binary(max_size=80))
def test_a_payload_belongs_to_one_place_and_one_key(message: bytes) -> None:
    payload = seal_payload(KEY32, b"k" * 16, message, b"here")
    assert open_payload(KEY32, payload, b"here") == message
    other_id = b"j" * 16 + payload[16:]
    other_salt = payload[:16] + bytes(16) + payload[32:]
    for key, content, place in (
        (ROOT, payload, b"here"),
        (KEY32, payload, b"there"),
        (KEY32, other_id, b"here"),
        (KEY32, other_salt, b"here"),
    ):
        with pytest.raises(IntegrityError):
            open_payload(key, content, place)
    with pytest.raises(Gone) as caught:
        open_payload(None, payload, b"here")
    assert caught.value.exit_status == 84


@given(key=st.binary(max_size=64), messages=st.lists(st.binary(max_size=300), max_size=4))
def test_a_mac_is_hmac_sha256(key: bytes, messages: list[bytes]) -> None:
    mac = Mac(key)
    assert [mac.digest(m) for m in messages] == [hmac.digest(key, m, "sha256") for m in messages]


def test_a_mac_key_is_never_longer_than_a_block() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        Mac(bytes(65))


# -- names


def keys(seed: str = "epoch", vault_id: bytes = VAULT_ID) -> VaultKeys:
    return VaultKeys.from_root(vault_id, ROOT, [new_epoch(ROOT, vault_id, 1, seeded(seed))])


@given(names=st.lists(st.tuples(st.sampled_from(["agent", "provider", "stream"]), st.text(max_size=8)), unique=True))
def test_blind_values_say_equal_or_not_and_nothing_else(names: list[tuple[str, str]]) -> None:
    one, other = keys(), keys("another epoch")
    values = [one.blind(purpose, name) for purpose, name in names]
    assert len(set(values)) == len(names)
    assert {len(v) for v in values} <= {16}
    assert values == [keys().blind(purpose, name) for purpose, name in names]
    assert not set(values) & {other.blind(purpose, name) for purpose, name in names}


@given(secrets=st.lists(st.text(max_size=20), unique=True, max_size=6))
def test_fingerprints_say_equal_or_not_and_nothing_else(secrets: list[str]) -> None:
    prints = [keys().fingerprint(secret) for secret in secrets]
    assert len(set(prints)) == len(secrets)
    assert all(len(p) == 16 and set(p) <= set("0123456789abcdef") for p in prints)
    assert not set(prints) & {keys("another epoch").fingerprint(secret) for secret in secrets}


def test_names_stay_the_same_when_an_epoch_is_added() -> None:
    rows = [new_epoch(ROOT, VAULT_ID, number, seeded(f"epoch {number}")) for number in (1, 2)]
    before, after = VaultKeys.from_root(VAULT_ID, ROOT, rows[:1]), VaultKeys.from_root(VAULT_ID, ROOT, rows[::-1])
    assert (before.current.epoch, after.current.epoch, after.epochs) == (1, 2, [1, 2])
    assert before.blind("agent", "main") == after.blind("agent", "main")
    assert before.fingerprint("x") == after.fingerprint("x")
    assert before.anchor == after.anchor
    assert before.current.chain != after.current.chain
    for missing in (0, 3):
        with pytest.raises(IntegrityError):
            after.epoch(missing)


def test_a_vault_without_epochs() -> None:
    with pytest.raises(IntegrityError):
        VaultKeys.from_root(VAULT_ID, ROOT, [])


# -- the auditor's branch


def audit(files: Files) -> Context:
    """The vault opened with the audit branch alone."""
    database = Database(files.database)
    vault_id, (slot,), epochs = read_slots(database)
    branch, _ = branch_keys(open_slot(slot, KEY, vault_id))
    return Context(database, VaultKeys(vault_id, branch, None, epochs), files.places, FixedClock(), ACTOR, {})


def test_an_auditor_reads_the_history_and_opens_no_credential(tmp_path: Path, canary: Canary) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
        context.store.append([login("main", "openai:c", canary.secret)], context.cause())
        recorded = list(context.store.read(range(1, 14)))
        state = context.queries.profile("main", "anthropic:default")
    with audit(files) as context:
        context.store.check_anchor()
        assert list(context.store.read(range(1, 14))) == recorded
        assert context.queries.profile("main", "anthropic:default") == state
        verified = verify(context.store, context.projections)
        assert (verified.events, verified.without_secrets, verified.profile_keys) == (13, True, 0)
        for position in (3, 4, 5, 9, 13):
            with pytest.raises(Locked) as caught:
                context.store.credential(position)
            assert caught.value.exit_status == 77
            canary.assert_absent(str(caught.value), repr(caught.value))
        with pytest.raises(Locked):
            context.store.append([login("main", "openai:c", "fake-key")], context.cause())
        assert context.store.head().position == 13


# -- epochs in a log


def test_a_log_goes_on_in_a_new_epoch(tmp_path: Path) -> None:
    files = make_files(tmp_path)
    with files.open() as context:
        any_session(context)
        vault_id, (slot,), _ = read_slots(context.database)
        second = new_epoch(open_slot(slot, KEY, vault_id), vault_id, 2)
        context.database.connection.execute("INSERT INTO epochs VALUES (?,?,?)", (2, second.audit, second.secret))
    with files.open() as context:
        context.store.append(
            [login("main", "anthropic:default", "fake-key-3"), issue("main", "openai:c")], context.cause()
        )
        epochs = context.database.connection.execute("SELECT position, epoch FROM events ORDER BY position").fetchall()
        assert epochs == [(p, 1) for p in range(1, 13)] + [(13, 2), (14, 2)]
        assert [context.store.credential(p).secret() for p in (3, 13)] == ["fake-key-anthropic-1", "fake-key-3"]
        verify(context.store, context.projections)
        assert rebuild(context.store, context.projections)[1].rows == {}
        verify(context.store, context.projections)


def test_a_credential_is_gone_when_its_key_is(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        any_session(context)
        (row,) = context.store.rows(context.database.connection, [5])
        assert row.payload is not None
        context.database.connection.execute("DELETE FROM profile_keys WHERE id = ?", (row.payload[:16],))
        with pytest.raises(Gone) as caught:
            context.store.credential(5)
        assert caught.value.exit_status == 84
        assert context.store.credential(3).secret() == "fake-key-anthropic-1"


# -- slots


SECRETS = {
    KEY_FILE: b"k" * 32,
    COMMAND: b"c" * 40,
    KEYRING: b"r" * 32,
    PASSPHRASE: b"fake passphrase",
    RECOVERY: bytes(20),
}
CHEAP = {"m": 19 * 1024, "t": 1, "p": 1}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_slot_opens_with_its_secret_alone(kind: str, canary: Canary) -> None:
    slot = make_slot(3, kind, SECRETS[kind], ROOT, VAULT_ID, kdf=CHEAP)
    check_parameters(slot)
    assert open_slot(slot, SECRETS[kind], VAULT_ID) == ROOT
    for secret in (SECRETS[kind] + b"\0", SECRETS[kind][:-1], b"", canary.secret.encode()):
        with pytest.raises(WrongKey) as caught:
            open_slot(slot, secret, VAULT_ID)
        assert caught.value.exit_status == 77
        canary.assert_absent(str(caught.value), caught.value.hint)
    assert make_slot(3, kind, SECRETS[kind], ROOT, VAULT_ID, kdf=CHEAP) != slot


@pytest.mark.parametrize(("kind", "secret"), [(KEY_FILE, b"k" * 31), (COMMAND, b""), (PASSPHRASE, "ä".encode() * 7)])
def test_a_secret_too_short_for_its_kind(kind: str, secret: bytes) -> None:
    with pytest.raises(InputError) as caught:
        make_slot(1, kind, secret, ROOT, VAULT_ID, kdf=CHEAP)
    assert caught.value.exit_status == 65


def test_a_slot_that_wraps_no_root_key() -> None:
    slot = make_slot(1, KEY_FILE, SECRETS[KEY_FILE], b"short", VAULT_ID)
    with pytest.raises(IntegrityError):
        open_slot(slot, SECRETS[KEY_FILE], VAULT_ID)


PARAMETERS = (
    rb'\A\{"m":(19455|19456|1048576|1048577|[1-9][0-9]{0,19}),"p":([1-9]|16|17|0),"salt":"[0-9a-f]{32}",'
    rb'"t":(-1|0|1|64|65|[1-9][0-9]{0,8})\}\Z'
)


@settings(max_examples=200)
@given(parameters=st.binary(max_size=30) | st.from_regex(PARAMETERS))
def test_hostile_parameters_are_refused_before_anything_is_computed(parameters: bytes) -> None:
    slot = Slot(1, PASSPHRASE, parameters, b"", b"")
    if within_bounds(parameters):
        check_parameters(slot)
        return
    for use in (lambda: check_parameters(slot), lambda: open_slot(slot, b"fake passphrase", VAULT_ID)):
        with pytest.raises(IntegrityError) as caught:
            use()
        assert caught.value.exit_status == 80


def within_bounds(parameters: bytes) -> bool:
    """Whether these are parameters that docs/format.md allows."""
    try:
        m, t, p = (json.loads(parameters)[name] for name in "mtp")
    except (ValueError, TypeError, KeyError):
        return False
    return bool(19456 <= m <= 1048576 and 1 <= t <= 64 and 1 <= p <= 16 and m * t <= 8388608)


@given(
    raw=st.binary(min_size=20, max_size=20),
    place=st.integers(0, 35),
    other=st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
)
def test_a_recovery_code_forgives_its_shape_and_no_wrong_letter(raw: bytes, place: int, other: str) -> None:
    code = new_recovery_code(lambda n: raw[:n])
    assert [len(group) for group in code.split("-")] == [4] * 9
    assert parse_recovery_code(code) == parse_recovery_code(f" {code.lower().replace('-', ' ')}\n") == raw
    plain = code.replace("-", "")
    typo = plain[:place] + other + plain[place + 1 :]
    if typo != plain:
        with pytest.raises(InputError):
            parse_recovery_code(typo)
