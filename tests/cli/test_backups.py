"""backup and backup-restore: a copy that was checked, taken while others write, and put back with what it replaces kept."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

from tests.cli.running import Shell
from tests.log.samples import issue
from tests.support import Files, make_files, tampering


def copies(files: Files) -> list[str]:
    """What lies in the data folder beside the vault and its side files."""
    own = {"vault.db", "vault.db-wal", "vault.db-shm", "vault.db.lock"}
    return sorted(p.name for p in files.database.parent.iterdir() if p.name not in own)


def test_a_backup_is_checked_recorded_private_and_one_file(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    place = tmp_path / "new" / "copy.db"
    told = shell("backup", str(place), "--reason", "weekly")
    assert "14 events" in told.err
    assert [p.name for p in place.parent.iterdir()] == ["copy.db"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    newest = shell.json("history", "-n", "1")["events"][0]
    assert (newest["type"], newest["reason"]) == ("backup_taken", "weekly")
    assert newest["facts"] == {"path": str(place), "events": 14}
    assert copies(furnished) == []


def test_a_backup_replaces_nothing_unasked(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    place.write_bytes(b"something else")
    assert "--replace" in shell("backup", str(place), status=83).err
    assert place.read_bytes() == b"something else"
    assert shell.json("backup", str(place), "--replace")["events"] == 14
    assert "is the vault itself" in shell("backup", str(furnished.database), "--replace", status=64).err
    assert len(shell.json("history")["events"]) == 15


def test_a_damaged_vault_makes_no_backup(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    with tampering(furnished.database) as connection:
        connection.execute("UPDATE events SET header = zeroblob(length(header)) WHERE position = 4")
    shell("backup", str(tmp_path / "copies" / "copy.db"), status=80)
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_backup_while_others_write_is_whole(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with furnished.open() as context:
                while not stop.is_set():
                    context.store.append([issue("main", "anthropic:default")], context.cause())
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            assert shell.json("backup", str(tmp_path / f"copy-{number}.db"))["events"] >= 14
    finally:
        stop.set()
        writer.join()
    assert failures == []
    shell("verify")


def test_an_older_copy_needs_a_reason_and_a_yes_and_is_accepted_as_an_event(
    shell: Shell, furnished: Files, tmp_path: Path
) -> None:
    place = tmp_path / "copy.db"
    shell("backup", str(place))
    shell("login", "openai:newer", "--stdin", stdin="fake-newer")
    assert "2 more, which would be undone" in shell("backup-restore", str(place), status=64).err
    assert "--yes" in shell("backup-restore", str(place), "--reason", "the disk failed", status=64).err
    assert shell.json("show", "openai:newer")["profile"] == "openai:newer"
    before = place.read_bytes()
    told = shell.json("backup-restore", str(place), "--reason", "the disk failed", "--yes")
    assert (told["events"], told["accepted"]) == (14, 15)
    assert place.read_bytes() == before
    assert [p.name for p in place.parent.iterdir() if p.name.startswith("copy")] == ["copy.db"]
    shell("show", "openai:newer", status=66)
    newest = shell.json("history", "-n", "1")["events"][0]
    assert (newest["type"], newest["reason"]) == ("rollback_accepted", "the disk failed")
    shell("verify")
    (kept,) = copies(furnished)
    assert kept == Path(told["kept"]).name
    assert stat.S_IMODE(Path(told["kept"]).stat().st_mode) == 0o600
    shell("backup-restore", told["kept"], "--reason", "back to the newest", "--yes")
    assert shell.json("show", "openai:newer")["profile"] == "openai:newer"
    shell("verify")


def test_another_process_that_has_it_open_sees_the_copy(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    shell("backup", str(tmp_path / "copy.db"))
    with furnished.open() as context:
        assert context.store.head().position == 15
        shell("backup-restore", str(tmp_path / "copy.db"), "--reason", "r", "--yes")
        assert context.store.head().position == 15
        assert [r.envelope.type for r in context.store.read([15])] == ["rollback_accepted"]


def test_a_copy_where_there_is_no_vault(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    shell("backup", str(tmp_path / "copy.db"))
    shutil.rmtree(furnished.database.parent)
    told = shell.json("backup-restore", str(tmp_path / "copy.db"))
    assert (told["events"], told["kept"]) == (14, None)
    assert len(shell.json("list")["profiles"]) > 0
    assert stat.S_IMODE(furnished.database.stat().st_mode) == 0o600


def test_a_copy_in_the_place_of_a_file_that_does_not_open(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    shell("backup", str(tmp_path / "copy.db"))
    furnished.database.write_bytes(b"not a database")
    for suffix in ("-wal", "-shm"):
        furnished.database.with_name(furnished.database.name + suffix).unlink(missing_ok=True)
    told = shell.json("backup-restore", str(tmp_path / "copy.db"), "--reason", "the file was overwritten")
    assert Path(told["kept"]).read_bytes() == b"not a database"
    shell("verify")


def test_what_is_no_whole_copy_of_this_vault_is_not_put_back(shell: Shell, furnished: Files, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    shell("backup", str(place))
    before = len(shell.json("history")["events"])
    assert "no copy" in shell("backup-restore", str(tmp_path / "none.db"), status=66).err
    other = make_files(tmp_path / "other", fresh=True)
    other.open().close()
    os.environ["VAULT_KEY_FILE"] = str(furnished.key_file)
    shell("backup-restore", str(other.database), "--reason", "r", "--yes", status=83)
    with tampering(place) as connection:
        connection.execute("UPDATE events SET header = zeroblob(length(header)) WHERE position = 4")
    shell("backup-restore", str(place), "--reason", "r", "--yes", status=80)
    place.write_bytes(b"not a database at all")
    shell("backup-restore", str(place), "--reason", "r", "--yes", status=80)
    assert len(shell.json("history")["events"]) == before
    assert copies(furnished) == []
