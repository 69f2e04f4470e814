"""The OS keyring at its worst: absent, hanging at import or at a call, forgetful, plain text. Each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vault.errors import NotReady
from vault.unlock import keyring_read

ROOT = Path(__file__).resolve().parent.parent

BACKENDS = """
import threading
from keyring.backend import KeyringBackend
from keyring.backends import chainer
from keyring.errors import KeyringLocked

class Good(KeyringBackend):
    priority = 9
    kept = {}
    def get_password(self, service, username): return self.kept.get((service, username))
    def set_password(self, service, username, password): self.kept[service, username] = password
    def delete_password(self, service, username): del self.kept[service, username]

class Hangs(Good):
    def get_password(self, service, username): threading.Event().wait()

class Spins(Good):
    def get_password(self, service, username):
        while True: pass

class Forgets(Good):
    def set_password(self, service, username, password): pass

class Locked(Good):
    def get_password(self, service, username): raise KeyringLocked("fake-secret-in-a-message")

class Broken(Good):
    def get_password(self, service, username): raise SystemExit("fake-secret-in-a-message")

class Garbage(Good):
    def get_password(self, service, username): return "not base64 \\u00e9"

class NotViable(Good):
    @property
    def priority(self): return 1
    def __init__(self): raise RuntimeError("no")

class PlaintextKeyring(Good):
    pass

class Chain(chainer.ChainerBackend):
    backends = [PlaintextKeyring(), Good()]

class PlainChain(chainer.ChainerBackend):
    backends = [PlaintextKeyring()]
"""

PRELUDE = """
import json, sys
from vault.crypto.keyslots import KEYRING, PASSPHRASE, make_slot
from vault.errors import Unavailable, VaultError
from vault.unlock import *


def keyring_available():
    try:
        return keyring_backend()
    except Unavailable:
        return None


VAULT, ROOT_KEY, SECRET = b"v" * 16, b"r" * 32, b"k" * 32
BY_KEYRING = make_slot(1, KEYRING, SECRET, ROOT_KEY, VAULT)
BY_WORDS = make_slot(2, PASSPHRASE, b"fake correct horse", ROOT_KEY, VAULT, kdf={"m": 19456, "t": 1, "p": 1})

def status(work):
    try:
        return work()
    except VaultError as error:
        return [error.exit_status, error.message]
"""

ABSENT = "there is no OS keyring here"
UNUSABLE = "the OS keyring that PYTHON_KEYRING_BACKEND names can't be used here"
HUNG = "the OS keyring did not answer within 0.3 s (VAULT_KEYRING_TIMEOUT sets the limit)"

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system's own keyring answers")


def run(tmp_path: Path, backend: str | None, script: str, seconds: str = "30") -> list[Any]:
    """Run a script with a keyring backend chosen; the JSON lines it prints. A hang fails by the process's own limit."""
    modules = tmp_path / "modules"
    modules.mkdir(exist_ok=True)
    (modules / "fake_backends.py").write_text(BACKENDS)
    (modules / "fake_hanging_import.py").write_text("import threading; threading.Event().wait()")
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{modules}{os.pathsep}{ROOT}",
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/no-bus",
        "VAULT_KEYRING_TIMEOUT": seconds,
        "LC_ALL": "C.UTF-8",
    }
    if backend is not None:
        environ["PYTHON_KEYRING_BACKEND"] = backend
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "fake-secret" not in done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


EVERY_CALL = """
print(json.dumps([
    keyring_available(),
    status(lambda: keyring_read("a")),
    status(lambda: keyring_write("a", SECRET)),
    status(lambda: keyring_delete("a")),
    status(lambda: unlock([BY_KEYRING], VAULT, Ways({}))),
    unlock([BY_KEYRING, BY_WORDS], VAULT, Ways({}, lambda prompt: "fake correct horse"))[1].slot,
    unlock([BY_KEYRING, BY_WORDS], VAULT, Ways({"VAULT_PASSPHRASE": "fake correct horse"}))[1].slot,
]))
"""


@pytest.mark.parametrize(
    ("backend", "seconds", "message"),
    [
        ("fake_hanging_import.Keyring", "0.3", HUNG),
        ("fake_backends.Hangs", "0.3", HUNG),
        ("fake_backends.Spins", "0.3", HUNG),
        ("keyring.backends.fail.Keyring", "30", ABSENT),
        ("keyring.backends.null.Keyring", "30", ABSENT),
        ("fake_backends.PlaintextKeyring", "30", ABSENT),
        ("fake_backends.PlainChain", "30", ABSENT),
        pytest.param(None, "30", ABSENT, marks=LINUX),
        ("fake_backends.Locked", "30", "the OS keyring is locked"),
        ("fake_backends.Broken", "30", "the OS keyring failed (SystemExit)"),
        ("no_such_module.Keyring", "30", UNUSABLE),
        ("nodots", "30", UNUSABLE),
        ("fake_backends.NotViable", "30", UNUSABLE),
        ("fake_backends.KeyringLocked", "30", UNUSABLE),
        pytest.param("keyring.backends.SecretService.Keyring", "30", UNUSABLE, marks=LINUX),
    ],
)
def test_an_unusable_keyring_is_an_error_and_other_slots_still_open(
    backend: str | None, seconds: str, message: str, tmp_path: Path
) -> None:
    ((name, read, written, deleted, opened, by_asking, by_environment),) = run(tmp_path, backend, EVERY_CALL, seconds)
    assert name is None
    assert [read, written, deleted, opened] == [[69, message]] * 4
    assert by_asking == by_environment == 2


def test_importing_the_library_itself_may_hang(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "keyring.py").write_text("import threading; threading.Event().wait()")
    ((name, opened),) = run(
        tmp_path, None, "print(json.dumps([keyring_available(), status(lambda: keyring_read('a'))]))", "0.3"
    )
    assert name is None
    assert opened == [69, HUNG]


@pytest.mark.parametrize("backend", ["fake_backends.Good", "fake_backends.Chain"])
def test_a_real_keyring_keeps_reads_and_forgets(backend: str, tmp_path: Path) -> None:
    ((name, missing, read, opened, gone, plain),) = run(
        tmp_path,
        backend,
        """
import fake_backends
fake_backends.PlaintextKeyring.kept = {}
name, missing = keyring_available(), keyring_read(VAULT.hex())
keyring_write(VAULT.hex(), SECRET)
read = keyring_read(VAULT.hex()) == SECRET
opened = unlock([BY_KEYRING], VAULT, Ways({}))[1].slot
for _ in range(2): keyring_delete(VAULT.hex())
print(json.dumps([name, missing, read, opened, keyring_read(VAULT.hex()), len(fake_backends.PlaintextKeyring.kept)]))
""",
    )
    assert name == "fake_backends.Good"
    assert (missing, read, opened, gone, plain) == (None, True, 1, None, 0)


def test_where_nobody_may_be_asked_a_keyring_that_is_not_known_is_not_read(tmp_path: Path) -> None:
    ((answer,),) = run(
        tmp_path,
        "fake_backends.Good",
        """
keyring_write(VAULT.hex(), SECRET)
print(json.dumps([status(lambda: unlock([BY_KEYRING], VAULT, Ways({}, quiet=True)))]))
""",
    )
    assert answer == [77, "the OS keyring could ask a person, so it is not read"]


def test_a_forgetful_keyring_is_noticed(tmp_path: Path) -> None:
    (answer,) = run(tmp_path, "fake_backends.Forgets", "print(json.dumps(status(lambda: keyring_write('a', SECRET))))")
    assert answer == [69, "the OS keyring took the key and did not give it back"]


def test_an_entry_that_is_no_key(tmp_path: Path) -> None:
    (answer,) = run(
        tmp_path, "fake_backends.Garbage", "print(json.dumps(status(lambda: unlock([BY_KEYRING], VAULT, Ways({})))))"
    )
    assert answer == [77, "the OS keyring's entry for this vault is not a key"]


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "601"])
def test_a_time_limit_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_KEYRING_TIMEOUT", text)
    with pytest.raises(NotReady, match="VAULT_KEYRING_TIMEOUT"):
        keyring_read("a")


def test_importing_unlock_loads_nothing_heavy(tmp_path: Path) -> None:
    (loaded,) = run(
        tmp_path,
        None,
        "print(json.dumps([m for m in ('keyring', 'subprocess', 'threading', 'logging', 'selectors') if m in sys.modules]))",
    )
    assert loaded == []
