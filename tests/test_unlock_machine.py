"""Keys that machines hold: key files, key commands, and the file that remembers where they are."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pexpect
import pytest

import vault.unlock.machine
from vault.errors import (
    CannotCreate,
    InputError,
    Locked,
    StorageError,
    TryAgain,
    Unavailable,
    VaultError,
)
from vault.unlock import (
    create_key_file,
    forget_place,
    key_file_mode_warning,
    read_key_file,
    read_places,
    remember_place,
    run_key_command,
)

KEY = b"fake-key-file-content-0123456789abcdef"


# --- key files ---------------------------------------------------------------------------------------------------------


def test_a_key_file_is_made_and_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = create_key_file(path, lambda n: b"\xab" * n)
    assert key == b"ab" * 32
    assert path.read_bytes() == key + b"\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path) == key
    assert key_file_mode_warning(path) is None
    path.chmod(0o644)
    assert read_key_file(path) == key
    warning = key_file_mode_warning(path)
    assert warning is not None
    assert "0644" in warning
    assert key_file_mode_warning(tmp_path / "missing") is None
    with pytest.raises(CannotCreate, match="exists already"):
        create_key_file(path)
    with pytest.raises(CannotCreate, match="can't be created"):
        create_key_file(tmp_path / "no" / "key")


def test_a_full_disk_leaves_no_key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotCreate, match="no space left"):
        create_key_file(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_key_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"  fake-short-key" + b" " * 64)
    (tmp_path / "long").write_bytes(b"x" * (64 * 1024 + 1))
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, error, text in [
        ("short", InputError, "fewer than 32 bytes"),
        ("long", InputError, "longer than"),
        (".", InputError, "not a plain file"),
        ("pipe", InputError, "not a plain file"),
        ("missing", Locked, "is not there"),
        ("short/key", Locked, "is not there"),
        ("loop", StorageError, "can't be read"),
        ("a\0b", StorageError, "can't be read"),
    ]:
        with pytest.raises(error, match=text) as caught:
            read_key_file(f"{tmp_path}/{name}")
        assert "fake-short-key" not in str(caught.value)


# --- key commands ------------------------------------------------------------------------------------------------------


def test_a_key_command_prints_its_key_and_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    noisy = f'{sys.executable} -c \'import sys; print("fake-noise", file=sys.stderr); print("  {KEY.decode()}\\n")\''
    assert run_key_command(noisy) == KEY
    with pytest.raises(Unavailable, match="failed with status 3"):
        run_key_command(f"{sys.executable} -c 'import sys; print(\"{KEY.decode()}\"); sys.exit(3)'")
    assert capfd.readouterr() == ("", "")


def test_a_key_command_runs_without_a_shell_and_without_our_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fewer than 32"):
        run_key_command(f"{sys.executable} -c 'import sys; print(sys.stdin.read(), sys.argv[1])' $HOME")
    assert run_key_command("echo 'fake-key with  two blanks; and $(no) `shell`'").endswith(
        b"two blanks; and $(no) `shell`"
    )


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("", InputError),
        ("fake 'open quote", InputError),
        ("no-such-program-q --key", Unavailable),
        ("/", Unavailable),
        ("fake\0program", Unavailable),
        ("false", Unavailable),
        ("true", InputError),
        ("cat /dev/zero", InputError),
    ],
)
def test_key_commands_that_give_no_key(command: str, error: type[VaultError]) -> None:
    with pytest.raises(error) as caught:
        run_key_command(command)
    assert caught.value.exit_status == error.exit_status
    assert "--key" not in str(caught.value)


@pytest.mark.parametrize("closes", [False, True])
def test_a_key_command_that_never_ends(closes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault.unlock.machine, "COMMAND_SECONDS", 0.5)
    script = tmp_path / "hang.py"
    close = "os.close(1)" if closes else "pass"
    script.write_text(f"import os, threading\nprint('x' * 40, flush=True)\n{close}\nthreading.Event().wait()\n")
    with pytest.raises(TryAgain, match=r"within 0\.5 s"):
        run_key_command(f"{sys.executable} {script}")


def test_a_key_command_may_ask_on_the_terminal_unless_nobody_may_be_asked() -> None:
    code = (
        "import sys; from vault.unlock import run_key_command; from vault.errors import VaultError\n"
        "try: print('length', len(run_key_command('head -n 1', ask=sys.argv[1] == 'ask')))\n"
        "except VaultError as e: print('status', e.exit_status)"
    )
    child = pexpect.spawn(sys.executable, ["-c", code, "ask"], encoding="utf-8", timeout=60)
    child.sendline("fake-key-" + "7" * 40)
    child.expect("length 49")
    child.expect(pexpect.EOF)
    child.close()
    child = pexpect.spawn(sys.executable, ["-c", code, "no"], encoding="utf-8", timeout=60)
    child.expect("status 65")
    child.expect(pexpect.EOF)
    child.close()


# --- places ------------------------------------------------------------------------------------------------------------


def test_places_are_remembered_privately(tmp_path: Path) -> None:
    path = tmp_path / "state" / "places.json"
    assert read_places(path) == {}
    remember_place(path, 3, "/fake/key")
    remember_place(path, 12, "fake-command --flag é")
    remember_place(path, 3, "/fake/other")
    assert read_places(path) == {3: "/fake/other", 12: "fake-command --flag é"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    forget_place(path, 3)
    forget_place(path, 99)
    assert read_places(path) == {12: "fake-command --flag é"}
    assert [p.name for p in path.parent.iterdir()] == ["places.json"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"x": "y", "-1": "y", "2": 3}', b"[" * 100_000]
)
def test_corrupt_places_count_as_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "places.json"
    path.write_bytes(content)
    assert read_places(path) == {}
    remember_place(path, 1, "/fake/key")
    assert read_places(path) == {1: "/fake/key"}


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "places.json"
    remember_place(path, 1, "/fake/key")

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            remember_place(path, 2, "/fake/other")
    assert read_places(path) == {1: "/fake/key"}
    assert [p.name for p in tmp_path.iterdir()] == ["places.json"]
    with pytest.raises(StorageError):
        remember_place(path / "below" / "places.json", 1, "/fake/key")
