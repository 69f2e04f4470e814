"""init, key list, key add, key remove: ways to unlock, and vaults that come to be whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell, ended, finish, terminal
from tests.support import Files, tampering
from vault.crypto.keyslots import parse_recovery_code


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weakest Argon2id that is allowed, for commands run in this process."""
    monkeypatch.setattr("vault.crypto.keyslots.DEFAULT_KDF", {"m": 19 * 1024, "t": 1, "p": 1})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a vault that is yet to be made."""
    folder = tmp_path / "new"
    monkeypatch.setenv("VAULT_DATABASE", str(folder / "data" / "vault.db"))
    monkeypatch.setenv("VAULT_STATE", str(folder / "state"))
    return folder


def made(place: Path) -> list[str]:
    """All files below a folder, without the lock."""
    return (
        sorted(str(p.relative_to(place)) for p in place.rglob("*") if p.is_file() and p.suffix != ".lock")
        if place.exists()
        else []
    )


# -- init


def test_init_with_a_key_file_makes_it(shell: Shell, place: Path) -> None:
    told = shell("init", "--key-file", "key")
    parse_recovery_code(told.out.strip())
    lines = told.err.splitlines()
    assert lines[0] == f"made a vault at {place}/data/vault.db"
    assert lines[1] == "it unlocks with: key file key (new)"
    assert "shown only now" in lines[2]
    assert lines[3] == "next: vault login PROVIDER, or vault import opencode"
    assert stat.S_IMODE(Path("key").stat().st_mode) == 0o600
    assert shell("list").status == 0, "this machine remembers where the key file is"


def test_init_as_json(shell: Shell, place: Path) -> None:
    told = shell.json("init", "--key-file", "key")
    parse_recovery_code(told.pop("recovery_code"))
    assert told == {
        "schema": "vault.init/1",
        "database": f"{place}/data/vault.db",
        "unlocks_with": "key-file",
        "key_file_created": True,
    }


def test_files_are_private(shell: Shell, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        shell("init", "--key-file", "key")
        shell("login", "anthropic", "--stdin", stdin="fake-key")
    finally:
        os.umask(before)
    for path in [place / "data", place / "state", *place.rglob("*"), Path("key")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_init_uses_a_key_file_that_is_there(shell: Shell, place: Path) -> None:
    Path("key").write_text("fake-key-file-of-more-than-thirty-two-bytes\n")
    Path("key").chmod(0o600)
    told = shell("init", "--key-file", "key")
    assert "(new)" not in told.err
    assert Path("key").read_text().startswith("fake-key-file-of")


def test_init_with_a_passphrase_of_the_environment(shell: Shell, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_PASSPHRASE", "fake passphrase of the tests")
    told = shell("init")
    assert "it unlocks with: passphrase" in told.err
    shell("login", "anthropic", "--stdin", stdin="fake-key")
    monkeypatch.setenv("VAULT_PASSPHRASE", told.out.strip().lower())
    assert shell("get", "anthropic").out == "fake-key\n", "the recovery code opens it as well"
    monkeypatch.setenv("VAULT_PASSPHRASE", "a wrong passphrase")
    assert shell("get", "anthropic", status=77).out == ""


def test_init_with_a_key_command(shell: Shell, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = f"{sys.executable} -c 'print(\"fake-key-of-a-command-0123456789-0123456789\")'"
    told = shell("init", "--key-command", command)
    assert "it unlocks with: command" in told.err
    assert shell("list").status == 0


@pytest.mark.parametrize("name", ["VAULT_KEY_FILE", "VAULT_KEY_COMMAND"])
def test_init_takes_what_the_environment_names(
    shell: Shell, place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "key" if name == "VAULT_KEY_FILE" else "echo fake-key-of-a-command-0123456789-0123456789")
    kind = shell.json("init")["unlocks_with"]
    assert kind == ("key-file" if name == "VAULT_KEY_FILE" else "command")


def test_init_says_which_ways_there_are_when_it_may_not_ask(shell: Shell, place: Path) -> None:
    for words in (("init",), ("init", "--no-input")):
        told = shell(*words, status=77)
        assert told.out == ""
        for way in ("--key-file PATH", "--key-command CMD", "VAULT_PASSPHRASE", "VAULT_KEY_FILE", "VAULT_KEY_COMMAND"):
            assert way in told.err
    assert made(place) == []


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "what"),
    [
        (("--keyring",), {}, 69, "there is no OS keyring here"),
        (("--passphrase",), {}, 78, "there is no terminal to ask for a passphrase"),
        (("--passphrase",), {"VAULT_PASSPHRASE": "short"}, 65, "the passphrase has fewer than 8 characters"),
        (("--key-file", "short-key"), {}, 65, "has fewer than 32 bytes"),
        (("--key-file", "nowhere/key"), {}, 73, "can't be created"),
        (("--key-file", "."), {}, 65, "is not a plain file"),
        (("--key-command", "no-such-program-here"), {}, 69, "is not there"),
        (("--key-command", "false"), {}, 69, "failed with status 1"),
        (("--key-command", "true"), {}, 65, "has fewer than 32 bytes"),
        (("--key-command", "'"), {}, 65, "can't be split into words"),
        (("--key-file", "a", "--passphrase"), {}, 64, "two ways to unlock are named"),
        (("--key-file", "key"), {"VAULT_DATABASE": "postgresql://host/vault"}, 78, "names a database server"),
        (("--key-file", "key"), {"VAULT_DATABASE": "short-key/vault.db"}, 73, "can't be created"),
        (("--key-file", "key"), {"VAULT_STATE": "short-key/state"}, 74, "can't be written"),
    ],
)
def test_init_that_fails_leaves_nothing(
    shell: Shell,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    status: int,
    what: str,
) -> None:
    Path("short-key").write_text("short")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    told = shell("init", *arguments, status=status)
    assert (told.out, what in told.err) == ("", True), told.err
    assert made(place) == []
    assert [p.name for p in Path().iterdir()] == ["short-key"]


def test_init_where_there_is_a_vault_touches_nothing(shell: Shell, files: Files) -> None:
    before = files.database.read_bytes()
    told = shell("init", "--key-file", "other-key", status=83)
    assert "already: use it, or set VAULT_DATABASE to another place" in told.err
    assert files.database.read_bytes() == before
    assert not Path("other-key").exists()


def test_two_inits_at_once_make_one_vault(real: Real, place: Path) -> None:
    started = [real.start("init", "--key-file", f"key{number}", "--json") for number in (1, 2)]
    results = [finish(process) for process in started]
    assert sorted(r.status for r in results) == [0, 83], results
    (winner,) = [number for number, r in enumerate(results, start=1) if r.status == 0]
    assert [p.name for p in Path().iterdir()] == [f"key{winner}"], "the loser's new key file is gone"
    assert real("verify", "--json", env={"VAULT_KEY_FILE": f"key{winner}"}).json["events"] == 1
    assert real("list").status == 0, "this machine remembers the winner's key file"


def test_a_passphrase_is_asked_for_twice_on_a_terminal_until_it_fits(real: Real, place: Path) -> None:
    with terminal("init", "--passphrase") as child:
        child.expect_exact("At least 8 characters. New passphrase: ")
        child.sendline("short")
        child.expect_exact("The passphrase has fewer than 8 characters. New passphrase: ")
        child.sendline("fake passphrase 1")
        child.expect_exact("The same again: ")
        child.sendline("fake passphrase 2")
        child.expect_exact("The two passphrases differ. New passphrase: ")
        child.sendline("1234567")
        status, said = ended(child)
    assert status == 65
    assert "the passphrase has fewer than 8 characters" in said
    assert made(place) == []
    with terminal("init") as child:
        child.expect_exact("There is no OS keyring here")
        child.expect_exact("(Other ways: --key-file PATH, --key-command CMD.)\r\nAt least 8 characters. ")
        for prompt in ("New passphrase: ", "The same again: "):
            child.expect_exact(prompt)
            child.sendline("fake passphrase 1")
        status, said = ended(child)
    assert status == 0
    assert "fake passphrase" not in said
    with terminal("list") as child:
        child.expect_exact("Passphrase or recovery code: ")
        child.sendline("a wrong one")
        child.expect_exact("That does not open the vault")
        child.sendline("fake passphrase 1")
        status, said = ended(child)
    assert status == 0
    assert "agent main has no profiles" in said


# -- key


def slots(shell: Shell) -> list[tuple[int, str]]:
    return [(s["slot"], s["kind"]) for s in shell.json("key", "list")["slots"]]


def test_key_list(shell: Shell, files: Files) -> None:
    assert shell.json("key", "list") == {
        "schema": "vault.keys/1",
        "slots": [{"slot": 1, "kind": "key-file", "place": None}],
    }
    told = shell("key", "list")
    assert told.lines[0].split() == ["SLOT", "KIND", "WHERE"]
    assert told.row("1") == "1     key file"


def test_a_recovery_code_is_added_and_opens(shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    told = shell("key", "add", "--recovery", "--reason", "for the safe")
    assert "added key slot 2: recovery" in told.err
    assert shell.json("history", "-n", "1")["events"][0]["reason"] == "for the safe"
    monkeypatch.delenv("VAULT_KEY_FILE")
    monkeypatch.setenv("VAULT_PASSPHRASE", told.out.strip())
    assert shell("list").status == 0


def test_key_add_as_json(shell: Shell, files: Files) -> None:
    told = shell.json("key", "add", "--key-file", "second")
    assert told == {"schema": "vault.key/1", "slot": 2, "kind": "key-file", "recovery_code": None}
    code = shell.json("key", "add", "--recovery")["recovery_code"]
    parse_recovery_code(code)


def test_a_key_file_a_command_and_a_passphrase_are_added_and_open(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("key", "add", "--key-file", "second")
    shell("key", "add", "--key-command", "echo fake-key-of-a-command-0123456789-0123456789")
    Path("passphrase").write_text("fake passphrase of a file\n")
    shell("key", "add", "--passphrase-file", "passphrase")
    assert slots(shell) == [(1, "key-file"), (2, "key-file"), (3, "command"), (4, "passphrase")]
    monkeypatch.delenv("VAULT_KEY_FILE")
    assert shell("list").status == 0, "the second key file is remembered"
    Path("second").unlink()
    assert shell("list").status == 0, "the command is remembered"
    shell("key", "remove", "3")
    shell("list", status=77)
    monkeypatch.setenv("VAULT_PASSPHRASE", "fake passphrase of a file")
    assert shell("list").status == 0


def test_a_passphrase_is_added_on_a_terminal(real: Real, files: Files) -> None:
    with terminal("key", "add", "--passphrase") as child:
        for prompt in ("New passphrase: ", "The same again: "):
            child.expect_exact(prompt)
            child.sendline("fake passphrase")
        assert ended(child)[0] == 0
    assert real("list", env={"VAULT_KEY_FILE": "", "VAULT_PASSPHRASE": "fake passphrase"}).status == 0


def test_key_remove(shell: Shell, files: Files) -> None:
    shell("key", "add", "--recovery")
    shell("key", "add", "--key-file", "second")
    told = shell("key", "remove", "1")
    assert told.err == "removed key slot 1: key file\nthis vault opens with: 2 recovery, 3 key file\n"
    shell("list", status=77)


def test_the_only_everyday_key_is_not_removed_unasked(shell: Shell, real: Real, files: Files) -> None:
    code = shell("key", "add", "--recovery").out.strip()
    for words in (("key", "remove", "1"), ("key", "remove", "1", "--json")):
        told = shell(*words, status=83)
        assert "is the only everyday way to unlock this vault" in told.err
        assert "needs the recovery code" in told.err
        assert "vault key add" in told.err
    with terminal("key", "remove", "1") as child:
        child.expect_exact("every command needs the recovery code, typed or in VAULT_PASSPHRASE. Remove it?")
        child.sendline("n")
        status, said = ended(child)
    assert status == 0
    assert "nothing was removed" in said
    assert slots(shell) == [(1, "key-file"), (2, "recovery")]
    with terminal("key", "remove", "1") as child:
        child.expect_exact("Remove it?")
        child.sendline("y")
        assert ended(child)[0] == 0
    recovered = {"VAULT_KEY_FILE": "", "VAULT_PASSPHRASE": code}
    assert real("key", "list", "--json", env=recovered).json["slots"] == [
        {"slot": 2, "kind": "recovery", "place": None}
    ]


def test_the_only_everyday_key_is_removed_with_yes(shell: Shell, files: Files) -> None:
    shell("key", "add", "--recovery")
    assert shell("key", "remove", "1", "--yes").err.endswith("this vault opens with: 2 recovery\n")


def test_removing_the_last_recovery_code_says_how_to_make_one(shell: Shell, files: Files) -> None:
    shell("key", "add", "--recovery")
    assert "vault key add --recovery makes one" in shell("key", "remove", "2").err


def test_init_without_a_keyring_says_what_was_looked_for(real: Real, place: Path) -> None:
    with terminal("init") as child:
        child.expect_exact("There is no OS keyring here, and neither VAULT_KEY_FILE, VAULT_KEY_COMMAND nor")
        child.expect_exact("so this vault will open with a passphrase.")
        child.expect_exact("New passphrase: ")
        for answer, prompt in (("fake passphrase", "The same again: "), ("fake passphrase", "")):
            child.sendline(answer)
            child.expect_exact(prompt)
        assert ended(child)[0] == 0


def test_an_added_passphrase_is_judged_after_the_first_entry(real: Real, files: Files) -> None:
    with terminal("key", "add", "--passphrase") as child:
        child.expect_exact("New passphrase: ")
        child.sendline("short")
        child.expect_exact("fewer than 8 characters. New passphrase: ")
        for prompt in ("The same again: ", ""):
            child.sendline("fake passphrase")
            child.expect_exact(prompt)
        assert ended(child)[0] == 0


def test_key_remove_as_json(shell: Shell, files: Files) -> None:
    shell("key", "add", "--recovery")
    assert shell.json("key", "remove", "2", "--reason", "lost") == {
        "schema": "vault.key/1",
        "slot": 2,
        "kind": "recovery",
        "removed": True,
    }
    assert slots(shell) == [(1, "key-file")]


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("add",), 64, "no way was named"),
        (("add", "--keyring"), 69, "there is no OS keyring here"),
        (("add", "--passphrase"), 78, "there is no terminal to ask for a passphrase"),
        (("add", "--passphrase-file", "short"), 65, "the passphrase has fewer than 8 characters"),
        (("add", "--passphrase-file", "nowhere"), 74, "nowhere can't be read"),
        (("add", "--key-file", "short"), 65, "has fewer than 32 bytes"),
        (("add", "--key-command", "false"), 69, "failed with status 1"),
        (("add", "--recovery", "--keyring"), 64, "two ways to unlock are named"),
        (("remove", "1"), 83, "the last key slot can't be removed"),
        (("remove", "9"), 66, "there is no key slot 9"),
        (("remove", "one"), 64, "the value of SLOT is not valid"),
        (("remove",), 64, "SLOT is missing"),
        (("rotate-all",), 64, "there is no such command"),
        ((), 64, ""),
    ],
)
def test_what_can_not_be(shell: Shell, files: Files, arguments: tuple[str, ...], status: int, what: str) -> None:
    Path("short").write_text("short")
    told = shell("key", *arguments, status=status)
    assert what in told.err
    assert slots(shell) == [(1, "key-file")]
    with files.open() as context:
        assert context.store.head().position == 1


def test_a_slot_that_can_not_be_recorded_leaves_no_key_file(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.errors import StorageError
    from vault.log.store import EventStore

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the disk is full", hint="make room")

    with monkeypatch.context() as patch:
        patch.setattr(EventStore, "append_within", refuse)
        shell("key", "add", "--key-file", "second", status=74)
    assert not Path("second").exists()
    assert slots(shell) == [(1, "key-file")]


def test_a_slot_that_another_process_adds_meanwhile_is_no_trouble(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.commands import keys
    from vault.unlock import Ways

    original = keys.obtain

    def obtain_while_another_adds(choice: keys.Choice, ways: Ways, account: str) -> keys.Secret:
        monkeypatch.setattr(keys, "obtain", original)
        with files.open() as other:
            keys.add_slot(other, Ways(files.environ()), keys.Choice("key-file", "theirs"), ways)
        return original(choice, ways, account)

    monkeypatch.setattr(keys, "obtain", obtain_while_another_adds)
    assert "added key slot 3" in shell("key", "add", "--key-file", "ours").err
    assert slots(shell) == [(1, "key-file"), (2, "key-file"), (3, "key-file")]
    monkeypatch.setenv("VAULT_KEY_FILE", "ours")
    shell("verify")


def test_keys_added_at_once_are_all_there(real: Real, shell: Shell, files: Files) -> None:
    started = [real.start("key", "add", "--key-file", f"key{number}") for number in range(4)]
    assert [finish(process).status for process in started] == [0] * 4
    assert [slot for slot, _ in slots(shell)] == [1, 2, 3, 4, 5]
    for number in range(4):
        assert real("list", env={"VAULT_KEY_FILE": f"key{number}"}).status == 0


# -- slots that aren't those of the log


def test_a_deleted_recovery_slot_is_told_by_every_command_until_it_is_settled(shell: Shell, files: Files) -> None:
    shell("key", "add", "--recovery")
    shell.login("openai", "fake-key")
    with tampering(files.database) as connection:
        connection.execute("DELETE FROM key_slots WHERE slot = 2")
    for words in (("list",), ("get", "openai"), ("login", "groq", "--stdin"), ("verify",), ("key", "list")):
        told = shell(*words, stdin="fake-key", status=80)
        assert "key slot 2 (recovery) is gone, and nobody removed it" in told.err
        assert "fake-key" not in told.out
    assert "key slot 2 (recovery) is gone" in shell("doctor", "--no-input", status=1).out
    listed = json.loads(shell("key", "list", "--json", status=80).out)["slots"]
    assert listed[1]["trouble"] == "key slot 2 (recovery) is gone, and nobody removed it"
    assert "removed key slot 2: recovery" in shell("key", "remove", "2", "--reason", "a faulty script").err
    assert shell("get", "openai").out == "fake-key\n"
    shell("verify")


def test_the_passphrase_that_opened_is_remembered(shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        Path(name).write_text(f"fake passphrase {name}\n")
        shell("key", "add", "--passphrase-file", name)
    monkeypatch.delenv("VAULT_KEY_FILE")
    for name, last in (("two", "3"), ("one", "2")):
        monkeypatch.setenv("VAULT_PASSPHRASE", f"fake passphrase {name}")
        shell("list")
        assert json.loads(files.anchor.with_suffix(".unlock.json").read_text()) == {"last": last}
