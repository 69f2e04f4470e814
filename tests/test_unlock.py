"""How a vault is opened: the order of ways, what each does when it fails, and that nothing ever hangs or shows a secret."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import vault.unlock
import vault.unlock.machine
from vault.crypto.keyslots import (
    COMMAND,
    KEY_FILE,
    KEYRING,
    PASSPHRASE,
    RECOVERY,
    Slot,
    make_slot,
    new_recovery_code,
    parse_recovery_code,
)
from vault.errors import (
    InputError,
    IntegrityError,
    Locked,
    Unavailable,
    VaultError,
    WrongKey,
)
from vault.unlock import (
    Ways,
    passphrase_bytes,
    unlock,
)

VAULT = b"v" * 16
ROOT_KEY = b"r" * 32
CHEAP = {"m": 19 * 1024, "t": 1, "p": 1}
WORDS = "fake correct horse"
KEY = b"fake-key-file-content-0123456789abcdef"
KEYRING_KEY = b"k" * 32
CODE = new_recovery_code(lambda n: bytes(range(n)))


def slot(number: int, kind: str, secret: bytes) -> Slot:
    return make_slot(number, kind, secret, ROOT_KEY, VAULT, kdf=CHEAP)


BY_WORDS = slot(1, PASSPHRASE, WORDS.encode())
BY_CODE = slot(2, RECOVERY, parse_recovery_code(CODE))
BY_FILE = slot(3, KEY_FILE, KEY)
BY_KEYRING = slot(4, KEYRING, KEYRING_KEY)
BY_COMMAND = slot(5, COMMAND, KEY)
HOSTILE = Slot(
    6, PASSPHRASE, json.dumps({"salt": "00" * 16, "m": 4 * 1024 * 1024, "t": 1, "p": 1}).encode(), b"", b"\0" * 32
)


class Keyring:
    """Stands for the OS keyring in tests of the policy; counts how often it was asked."""

    def __init__(self, answer: bytes | VaultError | None) -> None:
        self.answer = answer
        self.asked = 0

    def __call__(self, account: str) -> bytes | None:
        assert account == VAULT.hex()
        self.asked += 1
        if isinstance(self.answer, VaultError):
            raise self.answer
        return self.answer


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    fake = Keyring(Unavailable("there is no OS keyring here"))
    monkeypatch.setattr(vault.unlock, "keyring_read", fake)
    return fake


class Person:
    """Answers prompts in turn and keeps what was shown."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.answers:
            raise EOFError
        return self.answers.pop(0)


def nobody(prompt: str) -> str:
    raise AssertionError(f"asked: {prompt}")


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_bytes(b"\n" + KEY + b"\r\n")
    path.chmod(0o600)
    return str(path)


def print_command(text: str) -> str:
    return f"{sys.executable} -c 'print(\"{text}\")'"


# --- the environment ---------------------------------------------------------------------------------------------------


def test_the_environment_opens(keyring: Keyring, key_file: str) -> None:
    slots = [BY_WORDS, BY_CODE, BY_FILE, BY_KEYRING, BY_COMMAND]
    for environ, expected in [
        ({"VAULT_KEY_FILE": key_file}, BY_FILE),
        ({"VAULT_KEY_COMMAND": print_command(KEY.decode())}, BY_COMMAND),
        ({"VAULT_PASSPHRASE": WORDS}, BY_WORDS),
        ({"VAULT_PASSPHRASE": CODE}, BY_CODE),
        ({"VAULT_PASSPHRASE": f"  {CODE.lower().replace('-', ' ')} "}, BY_CODE),
        (
            {"VAULT_KEY_FILE": key_file, "VAULT_KEY_COMMAND": "no-such-program-q", "VAULT_PASSPHRASE": "wrong one"},
            BY_FILE,
        ),
        ({"VAULT_KEY_FILE": "", "VAULT_KEY_COMMAND": "", "VAULT_PASSPHRASE": WORDS}, BY_WORDS),
    ]:
        assert unlock(slots, VAULT, Ways(environ, nobody)) == (ROOT_KEY, expected)
    assert keyring.asked == 0


@pytest.mark.parametrize(
    ("environ", "error"),
    [
        ({"VAULT_PASSPHRASE": "fake wrong words"}, WrongKey),
        ({"VAULT_PASSPHRASE": new_recovery_code(lambda n: b"\7" * n)}, WrongKey),
        ({"VAULT_KEY_FILE": "WRONG"}, WrongKey),
        ({"VAULT_KEY_FILE": "MISSING"}, Locked),
        ({"VAULT_KEY_COMMAND": print_command("fake-wrong-key-fake-wrong-key-fake")}, WrongKey),
        ({"VAULT_KEY_COMMAND": "no-such-program-q"}, Unavailable),
        ({"VAULT_KEY_COMMAND": print_command("short")}, InputError),
    ],
)
def test_what_the_environment_gives_is_never_passed_over(
    environ: dict[str, str], error: type[VaultError], keyring: Keyring, tmp_path: Path, key_file: str
) -> None:
    keyring.answer = KEYRING_KEY
    (tmp_path / "WRONG").write_bytes(b"fake-wrong-key-fake-wrong-key-fake")
    environ = {n: str(tmp_path / v) if n == "VAULT_KEY_FILE" else v for n, v in environ.items()}
    slots = [BY_KEYRING, BY_WORDS, BY_CODE, BY_FILE, BY_COMMAND]
    with pytest.raises(error) as caught:
        unlock(slots, VAULT, Ways(environ, nobody, {3: key_file}))
    assert type(caught.value) is error
    assert keyring.asked == 0
    for secret in ("fake wrong words", "fake-wrong-key", KEY.decode()):
        assert secret not in str(caught.value)


def test_a_way_the_vault_does_not_have_is_said(key_file: str) -> None:
    with pytest.raises(WrongKey, match="VAULT_KEY_FILE is set, but this vault has no way") as caught:
        unlock([BY_WORDS], VAULT, Ways({"VAULT_KEY_FILE": key_file}))
    assert "VAULT_PASSPHRASE" in caught.value.hint


def test_a_passphrase_with_an_accent_opens_however_it_was_typed() -> None:
    composed, decomposed = "caf\u00e9 fake words", "cafe\u0301 fake words"
    accented = slot(1, PASSPHRASE, passphrase_bytes(composed))
    assert unlock([accented], VAULT, Ways({"VAULT_PASSPHRASE": decomposed}))[0] == ROOT_KEY
    with pytest.raises(InputError):
        passphrase_bytes("fake \udcff words")


def test_ways_are_redacted() -> None:
    assert WORDS not in repr(Ways({"VAULT_PASSPHRASE": WORDS}, None, {5: WORDS}))


# --- nobody is asked ---------------------------------------------------------------------------------------------------


def test_remembered_places_then_the_keyring(keyring: Keyring, key_file: str, tmp_path: Path) -> None:
    slots = [BY_KEYRING, BY_WORDS, BY_COMMAND, BY_FILE]
    command = print_command(KEY.decode())
    missing = str(tmp_path / "missing")
    keyring.answer = KEYRING_KEY
    assert unlock(slots, VAULT, Ways({}, nobody, {3: key_file, 5: command}))[1] == BY_FILE
    assert unlock(slots, VAULT, Ways({}, nobody, {3: missing, 5: command}))[1] == BY_COMMAND
    assert keyring.asked == 0
    assert unlock(slots, VAULT, Ways({}, nobody, {3: missing, 5: "no-such-program-q"}))[1] == BY_KEYRING
    assert unlock(slots, VAULT, Ways({}, nobody, {9: key_file}))[1] == BY_KEYRING


def test_nothing_given_names_every_way_the_vault_has(keyring: Keyring) -> None:
    with pytest.raises(Locked, match="the vault is locked") as caught:
        unlock([BY_WORDS, BY_CODE, BY_FILE, BY_COMMAND], VAULT, Ways({}))
    assert type(caught.value) is Locked
    for way in ("passphrase", "recovery code", "VAULT_PASSPHRASE", "VAULT_KEY_FILE", "VAULT_KEY_COMMAND", "terminal"):
        assert way in caught.value.hint
    assert "keyring" not in str(caught.value)
    with pytest.raises(Locked) as caught:
        unlock([BY_FILE], VAULT, Ways({}, nobody))
    assert "VAULT_KEY_FILE" in caught.value.hint
    assert "VAULT_PASSPHRASE" not in caught.value.hint


def test_an_absent_keyring_and_nothing_else(keyring: Keyring) -> None:
    with pytest.raises(Unavailable, match="there is no OS keyring here") as caught:
        unlock([BY_KEYRING, BY_CODE], VAULT, Ways({}))
    assert "recovery code" in caught.value.hint
    assert unlock([BY_KEYRING, BY_CODE], VAULT, Ways({}, Person(CODE)))[1] == BY_CODE


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [(None, Locked, "has no key for this vault"), (b"x" * 32, WrongKey, "does not open this vault")],
)
def test_a_keyring_without_the_right_key(
    answer: bytes | None, error: type[VaultError], text: str, keyring: Keyring
) -> None:
    keyring.answer = answer
    with pytest.raises(error, match=text) as caught:
        unlock([BY_KEYRING, BY_CODE], VAULT, Ways({}))
    assert type(caught.value) is error


def test_every_failure_is_told(keyring: Keyring, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        unlock([BY_FILE, BY_KEYRING, BY_CODE], VAULT, Ways({}, None, {3: str(tmp_path / "gone")}))
    assert "gone is not there" in caught.value.message
    assert "there is no OS keyring here" in caught.value.message


# --- a person is asked -------------------------------------------------------------------------------------------------


def test_three_tries(keyring: Keyring) -> None:
    slots = [BY_WORDS, BY_CODE]
    person = Person("fake wrong words", "", WORDS)
    assert unlock(slots, VAULT, Ways({}, person))[1] == BY_WORDS
    assert person.prompts[0] == "Passphrase or recovery code: "
    assert all(prompt.startswith("That does not open the vault.") for prompt in person.prompts[1:])
    person = Person("fake wrong words", "fake wrong words", "fake wrong words", WORDS)
    with pytest.raises(WrongKey, match="none of the 3 answers"):
        unlock(slots, VAULT, Ways({}, person))
    assert len(person.prompts) == 3
    assert not any("fake wrong" in prompt for prompt in person.prompts)


def test_a_typed_recovery_code_is_always_accepted(keyring: Keyring) -> None:
    assert unlock([BY_WORDS, BY_CODE], VAULT, Ways({}, Person(CODE.lower())))[1] == BY_CODE
    person = Person(CODE)
    assert unlock([BY_KEYRING, BY_CODE], VAULT, Ways({}, person))[1] == BY_CODE
    assert person.prompts == ["There is no OS keyring here. Recovery code: "]


def test_a_closed_terminal_is_locked(keyring: Keyring) -> None:
    with pytest.raises(Locked) as caught:
        unlock([BY_WORDS], VAULT, Ways({}, Person()))
    assert type(caught.value) is Locked


# --- altered slots -----------------------------------------------------------------------------------------------------


def test_hostile_kdf_parameters_stop_only_their_own_slot(keyring: Keyring) -> None:
    with pytest.raises(IntegrityError, match="Argon2id m=4194304") as caught:
        unlock([HOSTILE], VAULT, Ways({"VAULT_PASSPHRASE": WORDS}))
    assert caught.value.exit_status == 80
    with pytest.raises(IntegrityError):
        unlock([HOSTILE, BY_CODE], VAULT, Ways({"VAULT_PASSPHRASE": WORDS}))
    with pytest.raises(IntegrityError):
        unlock([HOSTILE], VAULT, Ways({}, nobody))
    with pytest.raises(Locked, match="key slot 6 is damaged"):
        unlock([HOSTILE, BY_CODE], VAULT, Ways({}))
    with pytest.raises(WrongKey):
        unlock([HOSTILE, BY_WORDS], VAULT, Ways({"VAULT_PASSPHRASE": "fake wrong words"}))
    assert unlock([HOSTILE, BY_WORDS], VAULT, Ways({"VAULT_PASSPHRASE": WORDS}))[1] == BY_WORDS
    person = Person(CODE)
    assert unlock([HOSTILE, BY_CODE], VAULT, Ways({}, person))[1] == BY_CODE
    assert person.prompts == ["Key slot 6 is damaged. Recovery code: "]
    keyring.answer = KEYRING_KEY
    assert unlock([HOSTILE, BY_KEYRING], VAULT, Ways({}, nobody))[1] == BY_KEYRING


def test_an_altered_wrapped_key_is_damage_not_a_wrong_key(keyring: Keyring) -> None:
    def altered(good: Slot) -> Slot:
        return Slot(
            good.slot, good.kind, good.parameters, good.wrapped[:-1] + bytes([good.wrapped[-1] ^ 1]), good.commitment
        )

    with pytest.raises(IntegrityError):
        unlock([altered(BY_WORDS)], VAULT, Ways({"VAULT_PASSPHRASE": WORDS}))
    with pytest.raises(IntegrityError, match="altered"):
        unlock([altered(BY_WORDS), BY_CODE], VAULT, Ways({}, Person(WORDS, CODE)))
    keyring.answer = KEYRING_KEY
    with pytest.raises(IntegrityError):
        unlock([altered(BY_KEYRING), BY_CODE], VAULT, Ways({}))
    assert unlock([altered(BY_KEYRING), BY_CODE], VAULT, Ways({}, Person(CODE)))[1] == BY_CODE


def test_a_slot_of_another_vault_does_not_open() -> None:
    with pytest.raises(WrongKey):
        unlock([BY_WORDS], b"w" * 16, Ways({"VAULT_PASSPHRASE": WORDS}))
