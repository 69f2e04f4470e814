"""What may stand where a file of vault's is expected: no command waits for it, and each tells what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.hostile import COMMANDS, PLACES, WHAT, put
from tests.cli.running import UNPRIVILEGED, VAULT, WAIT, Real, Shell
from tests.support import ROOT, Files

TELLS = {0, 1, 65, 74, 77, 78, 80, 81}


@pytest.mark.parametrize("what", WHAT)
def test_no_command_waits_for_what_stands_in_a_files_place(what: str, furnished: Files) -> None:
    folder = furnished.folder.parent
    child = subprocess.run(
        [sys.executable, "-m", "tests.cli.hostile", what, str(folder)],
        cwd=ROOT,
        capture_output=True,
        timeout=WAIT,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    tried = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(tried) == len(PLACES) * len(COMMANDS)
    for place, words, status, said in tried:
        assert status in TELLS, (place, words, said)
        assert status in (0, 1) or said.strip(), (place, words)


@pytest.mark.parametrize("what", ["pipe", "zero"])
def test_an_anchor_that_is_none_is_told_on_every_command(what: str, shell: Shell, furnished: Files) -> None:
    put(furnished.anchor, what)
    listed = shell("list", status=81)
    assert "anthropic:default" in listed.out
    assert "is damaged, so a rollback can't be ruled out" in listed.err
    assert shell("get", "openai", status=81).out == ""
    assert shell("login", "openai:new", "--stdin", stdin="fake-key", status=81).out == ""
    shell("verify", "--accept-rollback", "--reason", "I have looked")
    assert shell("get", "openai").out == "fake-key-openai\n"


def test_a_removed_anchor_with_an_older_log_is_told_on_every_command(shell: Shell, furnished: Files) -> None:
    older = furnished.folder / "older.db"
    shutil.copy(furnished.database, older)
    shell.login("openai:later", "fake-key-later")
    shutil.copy(older, furnished.database)
    furnished.anchor.unlink()
    for words in (("list",), ("get", "openai"), ("history",), ("status",), ("exec", "--", "true"), ("verify",)):
        assert "it was rolled back or replaced" in shell(*words, status=81).err
    shell("verify", "--accept-rollback", "--reason", "Monday's backup")
    assert shell("list").status == 0


# -- what a person names may be anything


def test_a_secret_is_taken_from_whatever_a_person_names(real: Real, furnished: Files) -> None:
    real("login", "openai:stdin", "--from-file", "/dev/stdin", stdin="fake-key-of-stdin\n")
    script = f"exec '{VAULT}' login openai:substituted --from-file <(printf fake-key-of-a-process)"
    subprocess.run(["bash", "-c", script], check=True, capture_output=True, timeout=WAIT)
    os.mkfifo("pipe")
    with subprocess.Popen([sys.executable, "-c", "print('fake-key-of-a-pipe', file=open('pipe', 'w'))"]):
        real("login", "openai:pipe", "--from-file", "pipe")
    for name, secret in (("stdin", "stdin"), ("substituted", "a-process"), ("pipe", "a-pipe")):
        assert real("get", f"openai:{name}").out == f"fake-key-of-{secret}\n"
    assert real("login", "openai:zero", "--from-file", "/dev/zero", status=65).out == ""


def test_the_null_device_may_stand_for_no_settings(
    shell: Shell, furnished: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_CONFIG", os.devnull)
    assert shell("list").status == 0


# -- an anchor that can't be written


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """A folder in which nothing can be written."""
    for path in folder.iterdir():
        path.chmod(0o500 if path.is_dir() else 0o400)
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
        for path in folder.iterdir():
            path.chmod(0o700 if path.is_dir() else 0o600)


def test_what_only_reads_needs_no_anchor_that_can_be_written(real: Real, furnished: Files) -> None:
    behind = furnished.anchor.read_bytes()
    real("login", "openai:later", "--stdin", stdin="fake-key-later")
    shutil.rmtree(furnished.places.state / "copies")
    furnished.anchor.write_bytes(behind)
    with closed(furnished.places.state):
        for words in (("list",), ("history",), ("verify",)):
            assert real(*words, before=UNPRIVILEGED).status == 0
        assert "can't be written" in real("doctor", "--no-input", before=UNPRIVILEGED, status=1).out
    furnished.anchor.unlink()
    with closed(furnished.places.state):
        assert "openai:later" in real("list", before=UNPRIVILEGED).out


def test_without_an_anchor_nothing_is_stored_nor_handed_out_and_the_message_says_so(
    real: Real, furnished: Files
) -> None:
    before = real("history", "--json").json["events"]
    with closed(furnished.places.state):
        for words in (("login", "openai:new", "--stdin"), ("get", "openai")):
            told = real(*words, stdin="fake-key", before=UNPRIVILEGED, status=74)
            assert told.out == ""
            assert "so nothing was recorded" in told.err
            assert "is done" not in told.err
    assert real("history", "--json").json["events"] == before
    assert "openai:new" not in real("list").out


# -- modes


def test_all_that_is_made_is_private_whatever_the_umask(real: Real, tmp_path: Path, isolated: Path) -> None:
    home = tmp_path / "empty" / "home"
    names = {"XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": "d", "XDG_STATE_HOME": "s", "XDG_CACHE_HOME": "k"}
    env = {"HOME": str(home)} | {name: str(home / "x" / place) for name, place in names.items()}
    home.parent.mkdir(mode=0o700)
    home.mkdir(mode=0o700)
    before = os.umask(0)
    try:
        real("init", "--key-file", str(home / "key"), env=env)
        real("login", "anthropic", "--stdin", stdin="fake-key", env=env)
        real("provider", "disable", "groq", env=env)
        real("export", "opencode", "--yes", env=env)
        real("connect", "claude", "--yes", env=env, status=None)
    finally:
        os.umask(before)
    made = list(home.rglob("*"))
    assert {"config.toml", "vault.db", "auth.json"} <= {path.name for path in made}
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
