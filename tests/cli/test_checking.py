"""verify, rebuild, doctor, exit-codes."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import VAULT, WAIT, Real, Shell, ended, terminal
from tests.support import Files, tampering
from vault.errors import EXIT_STATUSES


def damage(files: Files, position: int) -> None:
    """Change one byte of a header."""
    with tampering(files.database) as connection:
        (header,) = connection.execute("SELECT header FROM events WHERE position = ?", (position,)).fetchone()
        changed = header[:-1] + bytes([header[-1] ^ 1])
        connection.execute("UPDATE events SET header = ? WHERE position = ?", (changed, position))


def spoil_projection(files: Files) -> None:
    """Take one row out of a read model."""
    with tampering(files.database) as connection:
        connection.execute("DELETE FROM read_models WHERE rowid = (SELECT min(rowid) FROM read_models)")


# -- verify


def test_verify_says_what_was_checked_and_how_much(shell: Shell, furnished: Files) -> None:
    told = shell("verify")
    assert told.err == ""
    assert told.lines[0].startswith("the log is whole: 14 events in 11 streams, head ")
    assert "  ✓ positions without gaps" in told.lines
    assert "  ✓ head against the anchor" in told.lines
    assert told.lines[-1] == "  8 sealed credentials, 8 profile keys, 11 read models"


def test_verify_as_json(shell: Shell, furnished: Files) -> None:
    told = shell.json("verify")
    assert set(told) >= {
        "schema",
        "ok",
        "events",
        "streams",
        "credentials",
        "profile_keys",
        "read_models",
        "head",
        "anchored",
        "seconds",
        "checked",
    }
    assert (told["schema"], told["ok"], told["events"], told["credentials"], told["anchored"]) == (
        "vault.verify/1",
        True,
        14,
        8,
        True,
    )
    assert len(told["checked"]) >= 9


def test_verify_appends_only_when_asked(shell: Shell, furnished: Files) -> None:
    shell("verify")
    assert len(shell.json("history")["events"]) == 14
    shell("verify", "--record", "--reason", "monthly")
    newest = shell.json("history", "-n", "1")["events"][0]
    assert (newest["type"], newest["reason"], newest["facts"]) == ("log_verified", "monthly", {"events": 14})


def test_verify_names_the_first_bad_position(shell: Shell, furnished: Files) -> None:
    damage(furnished, 9)
    damage(furnished, 6)
    told = shell("verify", status=80)
    assert (told.out, told.err) == ("", "vault: the record at position 6 was altered: restore the file from a backup\n")
    error = shell("verify", "--json", status=80).error
    assert (error["code"], error["exit"], error["position"]) == ("integrity", 80, 6)


def test_verify_sees_a_projection_that_is_not_what_the_log_says(shell: Shell, furnished: Files) -> None:
    spoil_projection(furnished)
    told = shell("verify", status=80)
    assert "the log itself is whole; run: vault rebuild" in told.err
    shell("rebuild", status=1)
    shell("verify")


def rolled_back(furnished: Files, shell: Shell) -> int:
    """Put an older copy of the file in place; the newest position this machine has seen."""
    older = furnished.folder / "older.db"
    shutil.copyfile(furnished.database, older)
    position = shell.login("anthropic", "fake-key-newer")
    os.replace(older, furnished.database)
    for suffix in ("-wal", "-shm"):
        furnished.database.with_name(furnished.database.name + suffix).unlink(missing_ok=True)
    return position


def test_a_rollback_is_told_until_a_person_accepts_it(shell: Shell, furnished: Files) -> None:
    assert rolled_back(furnished, shell) == 15
    told = shell("verify", status=81)
    assert told.out == ""
    assert (
        "the log ends at position 14, but this machine has seen position 15: it was rolled back or replaced" in told.err
    )
    assert shell("verify", "--json", status=81).error["code"] == "rollback"
    told = shell("list", status=81)
    assert "anthropic:work" in told.out, "what only reads still answers"
    assert "rolled back" in told.err
    shell("login", "anthropic", "--stdin", stdin="fake-key", status=81)
    shell("get", "anthropic", status=81)
    assert "needs a reason" in shell("verify", "--accept-rollback", status=64).err
    told = shell("verify", "--accept-rollback", "--reason", "restored from the backup")
    assert told.err == "accepted; the acceptance is event #15\n"
    assert "15 events" in told.out
    newest = shell.json("history", "-n", "1")["events"][0]
    assert (newest["type"], newest["reason"]) == ("rollback_accepted", "restored from the backup")
    assert newest["facts"] == {"anchor_position": 15, "head_position": 14}
    shell("get", "anthropic")
    assert "was not rolled back" in shell("verify", "--accept-rollback", "--reason", "again", status=64).err


def test_an_acceptance_that_can_not_be_recorded_accepts_nothing(
    shell: Shell, furnished: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.errors import StorageError
    from vault.log.store import EventStore

    rolled_back(furnished, shell)

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the disk is full", hint="make room")

    with monkeypatch.context() as patch:
        patch.setattr(EventStore, "append_within", refuse)
        shell("verify", "--accept-rollback", "--reason", "I know", status=74)
    shell("verify", status=81)
    assert shell("verify", "--accept-rollback", "--reason", "I know").status == 0


def test_a_reason_alone_is_refused(shell: Shell, furnished: Files) -> None:
    assert "a reason is only kept with an event" in shell("verify", "--reason", "x", status=64).err


def test_progress_is_shown_on_a_terminal(furnished: Files) -> None:
    for command in ("verify", "rebuild"):
        with terminal(command) as child:
            status, said = ended(child)
        assert status == 0
        assert "\x1b[" in said, "the bar moved"
        assert "14 events" in said


# -- rebuild


def test_rebuild_proves_that_nothing_changed(shell: Shell, furnished: Files) -> None:
    told = shell("rebuild")
    assert told.err == ""
    assert told.out.startswith("rebuilt from 14 events in ")
    assert told.out.endswith("identical to what was there\n")
    told_json = shell.json("rebuild")
    assert set(told_json) >= {"schema", "events", "identical", "differences", "seconds"}
    assert (told_json["schema"], told_json["events"], told_json["identical"], told_json["differences"]) == (
        "vault.rebuild/1",
        14,
        True,
        {},
    )


def test_rebuild_mends_and_tells(shell: Shell, furnished: Files) -> None:
    before = shell.json("list")
    spoil_projection(furnished)
    told = shell("rebuild", status=1)
    assert "the old projections were not identical" in told.out
    assert shell.json("list") == before
    assert "identical to what was there" in shell("rebuild").out
    spoil_projection(furnished)
    assert shell.json("rebuild", status=1)["identical"] is False


def test_rebuild_of_an_altered_log_changes_nothing(shell: Shell, furnished: Files) -> None:
    before = shell.json("list")
    damage(furnished, 4)
    assert shell("rebuild", status=80).out == ""
    assert shell.json("list") == before


# -- exit-codes


def test_exit_codes(shell: Shell) -> None:
    told = shell("exit-codes")
    assert [int(line.split()[0]) for line in told.lines[1:]] == [status for status, _ in EXIT_STATUSES]
    assert shell.json("exit-codes") == {
        "schema": "vault.exit-codes/1",
        "statuses": [{"status": s, "meaning": m} for s, m in EXIT_STATUSES],
    }


# -- the whole command


def test_version(real: Real) -> None:
    from vault import __version__

    told = real("--version")
    assert (told.out, told.err) == (f"vault (agent-vault) {__version__}\n", "")


def test_both_names_of_the_command_are_installed(real: Real) -> None:
    assert VAULT.with_name("agent-vault").exists()


def test_without_a_command_it_helps(shell: Shell) -> None:
    told = shell(status=64)
    assert "Usage: vault" in told.out + told.err
    assert "Traceback" not in told.out + told.err


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help(shell: Shell, word: str) -> None:
    told = shell(word)
    assert told.err == ""
    for command in ("init", "login", "history", "verify", "exec", "order"):
        assert f" {command} " in told.out


def test_every_command_helps(shell: Shell) -> None:
    from vault.cli.main import COMMANDS

    for name in COMMANDS:
        told = shell(name, "--help")
        assert f"Usage: vault {name}" in told.out, name


def test_what_is_printed_is_utf_8_whatever_the_locale(real: Real, furnished: Files) -> None:
    told = real(
        "verify", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    )
    assert "✓ positions without gaps" in told.out


@pytest.mark.parametrize(
    "words", [("exit-codes", "--json"), ("list",), ("get", "anthropic"), ("history", "--csv")], ids=" ".join
)
def test_output_that_can_not_be_written_is_told(
    shell: Shell, furnished: Files, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stdout", Full())
    told = shell(*words, status=74)
    assert told.err.count("\n") == 1
    assert "reading or writing failed: No space left on device" in told.err


def test_a_full_device_is_told_once(furnished: Files) -> None:
    """As a process, where Python itself would complain once more at its end."""
    full = Path("/dev/full")
    command = [str(VAULT), "list"]
    if not full.exists():
        limited = (
            "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        full, command = Path("limited"), [sys.executable, "-c", limited, str(VAULT), "exit-codes"]
    with full.open("w") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=WAIT, check=False)
    assert done.returncode == 74
    assert done.stderr.count("\n") == 1
    assert "reading or writing failed" in done.stderr


def test_a_completion_script_of_an_earlier_version_still_works(real: Real, furnished: Files) -> None:
    def completed(line: str) -> set[str]:
        words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_VAULT_COMPLETE": "complete_bash"}
        return set(real(env=words, status=None).out.split())

    assert completed("vault show anthropic:") >= {"anthropic:default", "anthropic:work"}
    assert completed("vault list --agent ") >= {"main", "coder", "lone"}
    assert completed("vault hist") == {"history"}


def test_a_table_on_a_narrow_terminal_breaks_no_id_and_shows_no_empty_column(furnished: Files) -> None:
    with terminal("list", width=40) as child:
        status, said = ended(child)
    assert status == 0
    for whole in ("anthropic:default", "huggingface:old", "FINGERPRINT"):
        assert whole in said
    assert "\u2500" in said, "a rule under the headings"
    assert "FROM" not in said
