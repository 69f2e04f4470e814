"""Every command against every way to fail: the status, one sentence on stderr, nothing on stdout, nothing half-written."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.running import UNPRIVILEGED, Real, Result, Shell, furnish
from tests.support import Files, tampering
from vault.commands.agents import add_agent
from vault.commands.keys import Choice, add_slot
from vault.commands.rotation import pin
from vault.crypto.keyslots import RECOVERY
from vault.errors import EXIT_STATUSES, VaultError
from vault.unlock import Ways
from vault.values import DAY, AgentId, ProfileId


@dataclass(frozen=True)
class Command:
    """A command that would succeed, and what it does with the vault: r(ead), w(rite), h(and out), c(heck)."""

    words: tuple[str, ...]
    does: str
    note: str = "--reason"
    after: tuple[str, ...] = field(default=())

    def line(self, *options: str) -> list[str]:
        return [*self.words, *options, *self.after]


COMMANDS = {
    "list": Command(("list",), "r"),
    "list at": Command(("list", "--at", "1h"), "r"),
    "show": Command(("show", "anthropic:default"), "r"),
    "why": Command(("why", "anthropic"), "r"),
    "history": Command(("history",), "r"),
    "order get": Command(("order", "get", "--provider", "anthropic"), "r"),
    "agent list": Command(("agent", "list"), "r"),
    "key list": Command(("key", "list"), "r"),
    "get": Command(("get", "anthropic"), "h"),
    "env": Command(("env",), "h"),
    "exec": Command(("exec",), "h", after=("--", "true")),
    "login": Command(("login", "anthropic", "--from-file", "secret"), "w"),
    "logout": Command(("logout", "anthropic:default"), "w"),
    "restore": Command(("restore", "anthropic:default"), "w"),
    "restore order": Command(("restore", "--order", "anthropic"), "w"),
    "order set": Command(("order", "set", "--provider", "anthropic", "default"), "w"),
    "order clear": Command(("order", "clear", "--provider", "anthropic"), "w"),
    "pin": Command(("pin", "anthropic:default"), "w"),
    "unpin": Command(("unpin", "openai", "--agent", "coder"), "w"),
    "report": Command(("report", "anthropic:default", "failure"), "w", note="--note"),
    "health clear": Command(("health", "clear", "mistral:paid"), "w"),
    "agent add": Command(("agent", "add", "third"), "w"),
    "agent inherit": Command(("agent", "inherit", "lone", "--from", "main"), "w"),
    "agent remove": Command(("agent", "remove", "lone"), "w"),
    "key add": Command(("key", "add", "--recovery"), "w"),
    "key remove": Command(("key", "remove", "2"), "w"),
    "import": Command(("import", "opencode", "--from", "auth.json"), "w"),
    "verify record": Command(("verify", "--record"), "wc"),
    "verify": Command(("verify",), "c"),
    "rebuild": Command(("rebuild",), "c"),
}


@dataclass(frozen=True)
class Fault:
    """What is wrong, which commands meet it, and how they must end."""

    status: int
    code: str
    set: Callable[[Files, pytest.MonkeyPatch], None]
    of: str = "rhwc"
    but: tuple[str, ...] = ()
    fills: bool = False


def named(name: str, value: str) -> Callable[[Files, pytest.MonkeyPatch], None]:
    return lambda _, patch: patch.setenv(name, value)


def locked(_: Files, patch: pytest.MonkeyPatch) -> None:
    patch.delenv("VAULT_KEY_FILE")


def wrong_key(files: Files, patch: pytest.MonkeyPatch) -> None:
    other = files.folder / "other.key"
    other.write_text("fake-key-file-of-another-vault-0123456789\n")
    patch.setenv("VAULT_KEY_FILE", str(other))


def no_keyring(files: Files, patch: pytest.MonkeyPatch) -> None:
    with tampering(files.database) as connection:
        connection.execute("UPDATE key_slots SET kind = 'keyring'")
    patch.delenv("VAULT_KEY_FILE")


def pragma(text: str) -> Callable[[Files, pytest.MonkeyPatch], None]:
    def set_it(files: Files, _: pytest.MonkeyPatch) -> None:
        with tampering(files.database) as connection:
            connection.execute(f"PRAGMA {text}")

    return set_it


def no_database(files: Files, _: pytest.MonkeyPatch) -> None:
    files.database.write_bytes(b"this is no database " * 1000)


def altered_states(files: Files, _: pytest.MonkeyPatch) -> None:
    with tampering(files.database) as connection:
        connection.execute("UPDATE read_models SET state = zeroblob(length(state))")


def altered_head(files: Files, _: pytest.MonkeyPatch) -> None:
    with tampering(files.database) as connection:
        connection.execute(
            "UPDATE events SET header = zeroblob(length(header)) WHERE position = (SELECT max(position) FROM events)"
        )


def rolled_back(files: Files, _: pytest.MonkeyPatch) -> None:
    older = files.folder / "older.db"
    shutil.copyfile(files.database, older)
    with files.open() as context:
        add_agent(context, AgentId("newer"), "")
    os.replace(older, files.database)
    for suffix in ("-wal", "-shm"):
        files.database.with_name(files.database.name + suffix).unlink(missing_ok=True)


def disk_full(_: Files, patch: pytest.MonkeyPatch) -> None:
    from vault.log import database

    original = database._pragmas

    def pragmas(connection: sqlite3.Connection, *_: float) -> None:
        original(connection)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    patch.setattr(database, "_pragmas", pragmas)


def busy(files: Files, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("vault.log.database.BUSY_SECONDS", 0.02)
    lock = os.open(files.database.with_name("vault.db.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    HELD.append(lock)


HELD: list[int] = []

FAULTS = {
    "not initialised": Fault(78, "not_initialised", named("VAULT_DATABASE", "/nowhere/vault.db")),
    "a database server": Fault(78, "not_initialised", named("VAULT_DATABASE", "postgresql://host/vault")),
    "locked": Fault(77, "locked", locked),
    "the key file is gone": Fault(77, "locked", named("VAULT_KEY_FILE", "nowhere")),
    "wrong key": Fault(77, "wrong_key", wrong_key),
    "a passphrase where there is none": Fault(
        77, "wrong_key", lambda _, p: (p.delenv("VAULT_KEY_FILE"), p.setenv("VAULT_PASSPHRASE", "fake passphrase"))[1]
    ),
    "no keyring": Fault(69, "unavailable", no_keyring),
    "written by a newer vault": Fault(84, "newer_version", pragma("user_version=99")),
    "another program's database": Fault(80, "integrity", pragma("application_id=7")),
    "no database": Fault(80, "integrity", no_database),
    "altered read models": Fault(
        80, "integrity", altered_states, but=("history", "key list", "key add", "key remove", "list at", "rebuild")
    ),
    "an altered head": Fault(80, "integrity", altered_head, of="hwc", but=("get", "env", "exec")),
    "an altered head, handing out": Fault(80, "integrity", altered_head, of="h"),
    "rolled back": Fault(81, "rollback", rolled_back, of="hwc"),
    "disk full": Fault(74, "storage", disk_full, of="hw", fills=True),
    "busy": Fault(75, "try_again", busy, of="hw"),
}
TABLE = [
    pytest.param(fault, command, id=f"{command}: {fault}")
    for fault, what in FAULTS.items()
    for command, how in COMMANDS.items()
    if set(how.does) & set(what.of) and command not in what.but
]


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    files = furnish(tmp_path / "vault")
    with files.open() as context:
        pin(context, AgentId("coder"), ProfileId("openai:own"))
        add_slot(context, Ways(files.environ()), Choice(RECOVERY), Ways({}))
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    Path("secret").write_text("fake-key-new")
    Path("auth.json").write_text(json.dumps({"deepseek": {"type": "api", "key": "fake-key-imported"}}))
    monkeypatch.setattr("vault.cli.issue._become", lambda *_: pytest.fail("the program ran"))
    yield files
    while HELD:
        os.close(HELD.pop())


def content(path: Path) -> object:
    """Everything in a database; or the bytes of what is none."""
    if not path.read_bytes().startswith(b"SQLite format 3"):
        return path.read_bytes()
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def files_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.name.endswith((".lock", "-wal", "-shm"))}


def one_sentence(told: Result) -> None:
    """One line that says what happened, and what to do; nothing on stdout."""
    assert told.out == ""
    assert told.err.startswith("vault: ")
    assert told.err.count("\n") == 1
    assert told.err.endswith("\n")
    assert not told.err.endswith(".\n")
    assert "fake-key" not in told.err


def as_object(told: Result, status: int, code: str) -> None:
    error = told.error
    assert set(error) <= {"code", "exit", "message", "hint", "position"}
    assert (error["code"], error["exit"]) == (code, status)
    assert error["message"]
    assert "fake-key" not in told.err


@pytest.mark.parametrize(("fault", "command"), TABLE)
def test_a_fault_has_its_status_in_every_command(
    shell: Shell, vault: Files, monkeypatch: pytest.MonkeyPatch, fault: str, command: str
) -> None:
    what, how = FAULTS[fault], COMMANDS[command]
    with monkeypatch.context() as patch:
        what.set(vault, patch)
        options = [how.note, "x" * 30_000] if what.fills and how.does != "c" else []
        before, around, here = content(vault.database), files_below(vault.folder), files_below(Path())
        one_sentence(shell(*how.line(*options), status=what.status))
        as_object(shell(*how.line("--json", *options), status=what.status), what.status, what.code)
    assert content(vault.database) == before
    assert (files_below(vault.folder), files_below(Path())) == (around, here)
    if fault in ("locked", "wrong key", "disk full", "busy"):
        while HELD:
            os.close(HELD.pop())
        shell("verify")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("a database server", "disk full", "busy")])
def test_doctor_has_a_finding_for_a_fault_and_never_fails_itself(
    shell: Shell, vault: Files, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    healthy = {c["text"] for c in json.loads(shell("doctor", "--json", status=1).out)["checks"]}
    FAULTS[fault].set(vault, monkeypatch)
    checks = json.loads(shell("doctor", "--json", status=1).out)["checks"]
    new = [c for c in checks if c["status"] == "finding" and c["text"] not in healthy]
    assert new
    assert all(c["hint"] for c in new), new


def test_every_command_of_the_table_works_without_a_fault(
    shell: Shell, vault: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a fault could hide behind another mistake."""
    snapshot = vault.copy(vault.folder.parent / "copy")
    for name, how in COMMANDS.items():
        monkeypatch.setattr("vault.cli.issue._become", lambda *_: None)
        shell(*how.line())
        shell("verify")
        assert name
        shutil.rmtree(vault.folder)
        snapshot.copy(vault.folder)


def test_a_rolled_back_log_still_answers_what_only_reads(
    shell: Shell, vault: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {name: shell(*how.line()).out for name, how in COMMANDS.items() if how.does == "r"}
    rolled_back(vault, monkeypatch)
    for name, out in expected.items():
        told = shell(*COMMANDS[name].line(), status=81)
        assert told.out == out, name
        assert "it was rolled back or replaced" in told.err


# -- modes of files: the real command, because root in this process would not be stopped


READ_ONLY = ("list", "history", "get", "login", "key add", "verify", "rebuild")


@pytest.fixture
def read_only(vault: Files) -> Iterator[Files]:
    for path in vault.database.parent.iterdir():
        path.chmod(0o400)
    vault.database.parent.chmod(0o500)
    yield vault
    vault.database.parent.chmod(0o700)
    for path in vault.database.parent.iterdir():
        path.chmod(0o600)


@pytest.mark.parametrize("command", READ_ONLY)
def test_a_folder_that_can_not_be_written(real: Real, read_only: Files, shell: Shell, command: str) -> None:
    told = real(*COMMANDS[command].line(), status=None, before=UNPRIVILEGED)
    assert told.status == 74, told
    one_sentence(told)
    as_object(real(*COMMANDS[command].line("--json"), status=74, before=UNPRIVILEGED), 74, "storage")
    read_only.database.parent.chmod(0o700)
    for path in read_only.database.parent.iterdir():
        path.chmod(0o600)
    with read_only.open() as context:
        assert context.store.head().position == 16


def test_a_vault_that_can_not_be_read(real: Real, vault: Files) -> None:
    vault.database.chmod(0)
    one_sentence(real("list", status=74, before=UNPRIVILEGED))
    vault.key_file.chmod(0)
    vault.database.chmod(0o600)
    one_sentence(real("list", status=74, before=UNPRIVILEGED))


def test_a_folder_in_which_nothing_can_be_made(real: Real, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "fixed"
    folder.mkdir(mode=0o500)
    monkeypatch.setenv("VAULT_DATABASE", str(folder / "data" / "vault.db"))
    one_sentence(real("init", "--key-file", "key", status=73, before=UNPRIVILEGED))
    assert not Path("key").exists()
    monkeypatch.setenv("VAULT_DATABASE", str(tmp_path / "data" / "vault.db"))
    as_object(
        real("init", "--json", "--key-file", str(folder / "key"), status=73, before=UNPRIVILEGED), 73, "cannot_create"
    )
    assert not (tmp_path / "data" / "vault.db").exists()


def test_a_file_that_may_not_grow(real: Real, vault: Files) -> None:
    """The disk is full for a process whose files may not grow: SQLite meets the error in the middle of its writing."""
    limited = (
        "import os, resource, sys; size = int(sys.argv[1]); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); os.execv(sys.argv[2], sys.argv[2:])"
    )
    size = vault.database.stat().st_size
    for limit in (4096, 40_000, size):
        told = real(
            "login", "anthropic", "--from-file", "secret", "--reason", "x" * 60_000,
            status=None, before=[sys.executable, "-c", limited, str(limit)],
        )  # fmt: skip
        assert told.status == 74, told
        one_sentence(told)
    with vault.open() as context:
        assert context.store.head().position == 16
    real("verify")


# -- single cases: every status a command of this version can end with


SINGLE = [
    (("frobnicate",), 64, "usage"),
    (("list", "--bogus"), 64, "usage"),
    (("list", "extra"), 64, "usage"),
    (("show",), 64, "usage"),
    (("login", "anthropic", "sk-fake"), 64, "usage"),
    (("report", "anthropic:default", "perhaps"), 64, "usage"),
    (("agent", "inherit", "lone", "--from", "lone"), 64, "usage"),
    (("login", "Bad Provider!", "--from-file", "secret"), 65, "input"),
    (("show", "anthropic"), 65, "input"),
    (("list", "--at", "soon"), 65, "input"),
    (("login", "anthropic", "--from-file", "auth.json.empty"), 65, "input"),
    (("import", "opencode", "--from", "secret"), 65, "input"),
    (("history", "--type", "nonsense"), 65, "input"),
    (("show", "anthropic:nope"), 66, "not_found"),
    (("list", "--agent", "nobody"), 66, "not_found"),
    (("get", "deepseek"), 66, "not_found"),
    (("restore", "anthropic:default", "--to", "1"), 66, "not_found"),
    (("key", "remove", "9"), 66, "not_found"),
    (("import", "openclaw"), 66, "not_found"),
    (("exec", "--", "no-such-program-here"), 69, "unavailable"),
    (("key", "add", "--keyring"), 69, "unavailable"),
    (("init", "--key-file", "key"), 83, "conflict"),
    (("agent", "add", "lone"), 83, "conflict"),
    (("agent", "remove", "main"), 64, "usage"),
    (("login", "anthropic", "--from-file", "nowhere"), 74, "storage"),
    (("get", "mistral"), 75, "try_again"),
    (("get", "huggingface"), 82, "sign_in_again"),
    (("get", "huggingface:old"), 82, "sign_in_again"),
]


@pytest.mark.parametrize(("words", "status", "code"), SINGLE, ids=[" ".join(words) for words, _, _ in SINGLE])
def test_single_cases(shell: Shell, vault: Files, words: tuple[str, ...], status: int, code: str) -> None:
    Path("auth.json.empty").touch()
    before, around, here = content(vault.database), files_below(vault.folder), files_below(Path())
    one_sentence(shell(*words, status=status))
    line = [*words[:1], "--json", *words[1:]] if words[0] in ("exec", "frobnicate") else [*words, "--json"]
    as_object(shell(*line, status=status), status, code)
    assert content(vault.database) == before
    assert (files_below(vault.folder), files_below(Path())) == (around, here)
    shell("verify")


def test_two_writers_that_keep_changing_a_profile_end_in_a_conflict(
    shell: Shell, vault: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.errors import WrongExpectedVersion
    from vault.log.store import EventStore

    def lose(*_: object, **__: object) -> None:
        raise WrongExpectedVersion("it changed while this command was deciding", hint="try again")

    monkeypatch.setattr(EventStore, "append", lose)
    one_sentence(shell("logout", "anthropic:default", status=83))
    as_object(shell("logout", "anthropic:default", "--json", status=83), 83, "wrong_expected_version")


def test_a_defect_ends_with_its_own_status(shell: Shell, vault: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vault.commands.listing.list_profiles", lambda *_, **__: 1 / 0)
    told = shell("list", status=70)
    one_sentence(told)
    assert "vault has a defect (ZeroDivisionError at test_exit_statuses.py:" in told.err
    as_object(shell("list", "--json", status=70), 70, "defect")


def test_a_destroyed_secret_can_not_be_handed_out_or_restored(shell: Shell, vault: Files) -> None:
    with tampering(vault.database) as connection:
        connection.execute("DELETE FROM profile_keys")
    for command in ("get", "env", "exec", "restore"):
        one_sentence(shell(*COMMANDS[command].line(), status=84))
        as_object(shell(*COMMANDS[command].line("--json"), status=84), 84, "destroyed")
    shell("list")


def test_statuses_and_codes_are_told_as_they_are() -> None:
    def below(kind: type[VaultError]) -> set[type[VaultError]]:
        return {kind}.union(*(below(k) for k in kind.__subclasses__()))

    kinds = below(VaultError) - {VaultError}
    assert {k.exit_status for k in kinds} <= {status for status, _ in EXIT_STATUSES}
    assert len({k.code for k in kinds}) == len(kinds)
    table = {f.code for f in FAULTS.values()} | {code for _, _, code in SINGLE}
    shown = table | {"wrong_expected_version", "defect", "destroyed", "cannot_create", "token_replaced"}
    assert shown == {k.code for k in kinds}


def test_an_expired_token_is_a_persons_job_only_once_it_expired(shell: Shell, vault: Files) -> None:
    shell.clock.forward(-DAY)
    assert shell("get", "huggingface").out == "fake-token-old\n"
