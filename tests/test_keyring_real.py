"""A real Secret Service: gnome-keyring-daemon on a session bus of its own, in a home of its own.

Needs Debian's packages gnome-keyring and dbus; each test starts its own bus, so nothing need run beforehand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MISSING = [name for name in ("dbus-run-session", "gnome-keyring-daemon") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's keyring"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

# The daemon owns its bus name a moment after its parent returned; asking earlier would start a second, locked one.
PRELUDE = """
import json, os, signal, sys
from jeepney import MatchRule
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

NAME = "org.freedesktop.secrets"

def daemon():
    with open_dbus_connection(bus="SESSION") as bus:
        rule = MatchRule(type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged")
        rule.add_arg_condition(0, NAME)
        with bus.filter(rule) as queue:
            bus.send_and_get_reply(message_bus.AddMatch(rule))
            if not bus.send_and_get_reply(message_bus.NameHasOwner(NAME)).body[0]:
                bus.recv_until_filtered(queue, timeout=60)
        return bus.send_and_get_reply(message_bus.GetConnectionUnixProcessID(NAME)).body[0]

from vault.crypto.keyslots import KEYRING, RECOVERY, make_slot
from vault.errors import Unavailable, VaultError
from vault.unlock import *


def keyring_available():
    try:
        return keyring_backend()
    except Unavailable:
        return None


VAULT, ROOT_KEY, SECRET = b"v" * 16, b"r" * 32, b"k" * 32

def status(work):
    try:
        return work()
    except VaultError as error:
        return [error.exit_status, error.message]
"""

UNLOCKED = "printf %s fake-login-password | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null"


def session(tmp_path: Path, *scripts: str, start: str = UNLOCKED, **more: str) -> list[Any]:
    """Run Python scripts one after another in one fresh session; the JSON line that each prints."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **more}
    for name, folder in {
        "HOME": "h",
        "XDG_RUNTIME_DIR": "r",
        "XDG_DATA_HOME": "d",
        "XDG_CONFIG_HOME": "c",
        "XDG_CACHE_HOME": "k",
    }.items():
        (tmp_path / folder).mkdir(mode=0o700)
        environ[name] = str(tmp_path / folder)
    steps = [start]
    for number, script in enumerate(scripts):
        file = tmp_path / f"step{number}.py"
        file.write_text(PRELUDE + script)
        steps.append(f"{sys.executable} {file}")
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-ec", "\n".join(steps)],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "fake-login-password" not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_key_outlives_the_process_that_stored_it(tmp_path: Path) -> None:
    stored, read, gone = session(
        tmp_path,
        "daemon(); name = keyring_available(); keyring_write(VAULT.hex(), SECRET); print(json.dumps(name))",
        "print(json.dumps([keyring_read(VAULT.hex()) == SECRET, keyring_read('other')]))",
        "for _ in range(2): keyring_delete(VAULT.hex())\nprint(json.dumps(keyring_read(VAULT.hex())))",
    )
    assert stored == "keyring.backends.SecretService.Keyring"
    assert read == [True, None]
    assert gone is None


def test_a_vault_opens_by_the_keyring_alone(tmp_path: Path) -> None:
    opened, locked = session(
        tmp_path,
        """
daemon()
slot = make_slot(1, KEYRING, SECRET, ROOT_KEY, VAULT)
keyring_write(VAULT.hex(), SECRET)
root, by = unlock([slot], VAULT, Ways({}))
print(json.dumps([root == ROOT_KEY, by.slot]))
keyring_delete(VAULT.hex())
print(json.dumps(status(lambda: unlock([slot], VAULT, Ways({})))))
""",
    )
    assert opened == [True, 1]
    assert locked == [77, "the OS keyring has no key for this vault"]


def test_a_stopped_daemon_is_a_clear_error_and_never_a_hang(tmp_path: Path) -> None:
    (answers,) = session(
        tmp_path,
        """
pid = daemon()
slots = [make_slot(1, KEYRING, SECRET, ROOT_KEY, VAULT), make_slot(2, RECOVERY, b"c" * 20, ROOT_KEY, VAULT)]
keyring_write(VAULT.hex(), SECRET)
os.environ["VAULT_KEYRING_TIMEOUT"] = "0.5"
os.kill(pid, signal.SIGSTOP)
hung = status(lambda: unlock(slots, VAULT, Ways({})))
name = keyring_available()
os.environ["VAULT_KEYRING_TIMEOUT"] = "60"
os.kill(pid, signal.SIGCONT)
root, by = unlock(slots, VAULT, Ways({}))
print(json.dumps([hung, name, root == ROOT_KEY]))
os.kill(pid, signal.SIGSTOP)
os.environ["VAULT_KEYRING_TIMEOUT"] = "0.5"
assert keyring_available() is None
os.kill(pid, signal.SIGKILL)
""",
    )
    hung, name, opened = answers
    assert hung == [69, "the OS keyring did not answer within 0.5 s (VAULT_KEYRING_TIMEOUT sets the limit)"]
    assert name is None
    assert opened is True


def test_a_keyring_that_nobody_unlocked_is_a_clear_error(tmp_path: Path) -> None:
    (answer,) = session(
        tmp_path,
        "daemon(); print(json.dumps([keyring_available(), status(lambda: keyring_read(VAULT.hex()))]))",
        start="gnome-keyring-daemon --start --components=secrets >/dev/null",
    )
    name, (code, message) = answer
    assert name is None
    assert code == 69
    assert message.startswith("the OS keyring ")


def test_where_nobody_may_be_asked_the_keyring_is_read_only_while_it_is_open(tmp_path: Path) -> None:
    quietly = "status(lambda: unlock([slot], VAULT, Ways({}, quiet=True))[1].slot)"
    opened, other = session(
        tmp_path,
        f"""
daemon()
slot = make_slot(1, KEYRING, SECRET, ROOT_KEY, VAULT)
keyring_write(VAULT.hex(), SECRET)
print(json.dumps({quietly}))
import secretstorage
secretstorage.get_default_collection(secretstorage.dbus_init()).lock()
print(json.dumps({quietly}))
""",
    )
    assert opened == 1
    assert other == [77, "the OS keyring could ask a person, so it is not read"]
