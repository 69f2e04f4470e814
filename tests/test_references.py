"""References: how they are written, what is fetched, and that no error ever holds what was fetched. Real shells, real files."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

import vault.unlock.references as references
from tests.cli.running import Shell
from tests.support import Canary, FixedClock, make_files
from vault.errors import InputError, NotFound, StorageError, TryAgain, Unavailable, VaultError
from vault.unlock.references import KEYCHAIN_SERVICE, LARGEST_SECRET_BYTES, fetch, parse_reference, quick
from vault.values import LARGEST_SECRET

ENVIRON = {"PATH": os.environ["PATH"]}


def lingering(mark: str) -> list[int]:
    """Processes that have a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # A process that ended and waits for its parent has no environment any more.
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


class FakeKeyring(KeyringBackend):
    """A keyring in memory."""

    priority = 9  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def ring() -> Iterator[FakeKeyring]:
    before, ring = keyring.get_keyring(), FakeKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


# -- how they are written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${FAKE_KEY}", ("env", "FAKE_KEY")),
        ("$FAKE_KEY", ("env", "FAKE_KEY")),
        ("  ${_x1}\n", ("env", "_x1")),
        ("${FAKE_KEY:?}", ("env", "FAKE_KEY")),
        ("${FAKE_KEY:?set it first}", ("env", "FAKE_KEY")),
        ("$(fake show key)", ("command", "fake show key")),
        ("$( fake | tail -n 1 )", ("command", "fake | tail -n 1")),
        ("$(a $(b))", ("command", "a $(b)")),
        ("keyring:service/user", ("keyring", "service/user")),
        ("keyring:service/user/with/slashes:and more", ("keyring", "service/user/with/slashes:and more")),
        ("keychain:anthropic", ("keychain", "anthropic")),
        ("file:/fake/path with blanks", ("file", "/fake/path with blanks")),
    ],
)
def test_what_is_a_reference(text: str, expected: tuple[str, str]) -> None:
    assert parse_reference(text) == expected


def test_a_files_path_is_made_whole(isolated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_reference("file:key.txt") == ("file", str(tmp_path / "key.txt"))
    assert parse_reference("file:~/key.txt") == ("file", str(isolated / "home" / "key.txt"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FAKE_KEY",
        "${}",
        "${1FAKE}",
        "${FAKE KEY}",
        "${FAKE:-fallback}",
        "${A}${B}",
        "x${A}",
        "$()",
        "$(  )",
        "$(open",
        "keyring:service",
        "keyring:service/",
        "keyring:/user",
        "keychain:",
        "file:",
        "file:~nobody-of-this-name/key",
        "file:/fake\0path",
        "$(fake\0command)",
        "openclaw-exec:fake",
        "https://fake.example",
    ],
)
def test_what_is_none(text: str, canary: Canary) -> None:
    with pytest.raises(InputError) as caught:
        parse_reference(text)
    assert caught.value.exit_status == 65
    assert caught.value.hint
    with pytest.raises(InputError) as caught:
        parse_reference(canary.secret)
    canary.assert_absent(str(caught.value), repr(caught.value), caught.value.hint)


# -- a glance


def test_a_glance_at_a_reference(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("fake-key")
    assert quick("env", "FAKE", {"FAKE": "fake-key"}) is True
    for unset in ({}, {"FAKE": ""}, {"FAKE": " "}, {"OTHER": "fake-key"}):
        assert quick("env", "FAKE", unset) is False
    assert quick("file", str(path), {}) is True
    for gone in (tmp_path, tmp_path / "gone", path / "below"):
        assert quick("file", str(gone), {}) is False
    for scheme in ("command", "keyring", "keychain"):
        assert quick(scheme, "fake/fake", {}) is None
    for foreign in ("openclaw-exec", "openclaw-file", "", "op"):
        assert quick(foreign, "fake", {}) is False


# -- fetching: variables and files


def test_a_variable(canary: Canary) -> None:
    assert fetch("env", "FAKE", {"FAKE": canary.secret}) == canary.secret
    assert fetch("env", "FAKE", {"FAKE": canary.secret + "\n"}) == canary.secret
    for environ in ({}, {"FAKE": ""}):
        with pytest.raises(NotFound, match="the variable FAKE is not set") as caught:
            fetch("env", "FAKE", environ)
        assert (caught.value.exit_status, caught.value.hint) == (66, "set FAKE")


@pytest.mark.parametrize(
    "content", ["{}", "{}\n", "{}\r\n", "{}\n\n\n", "\ufeff{}\n"], ids=["bare", "line", "crlf", "lines", "mark"]
)
def test_a_file(tmp_path: Path, content: str, canary: Canary) -> None:
    path = tmp_path / "key"
    path.write_bytes(content.format(canary).encode())
    assert fetch("file", str(path), {}) == canary.secret
    path.write_bytes(content.format(f"{canary}-two").encode())
    assert fetch("file", str(path), {}) == f"{canary}-two", "it is read at each use"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, reason in [
        (tmp_path / "gone", "can't be read: No such file"),
        (tmp_path, "is not a regular file"),
        (pipe, "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
    ]:
        with pytest.raises(StorageError, match=reason) as caught:
            fetch("file", str(path), {})
        assert str(path) in caught.value.message
        assert caught.value.exit_status == 74


# -- fetching: commands


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo fake-key", "fake-key"),
        ("printf fake-key", "fake-key"),
        ("printf 'fake-key\\r\\n\\n'", "fake-key"),
        ("echo fake-key; echo noise >&2", "fake-key"),
        ("printf 'a\\nfake-key\\n' | tail -n 1", "fake-key"),
        ("echo $FAKE", "fake-from-the-environment"),
        ("cat; echo fake-key", "fake-key"),
        ("echo fake-key; exit 0", "fake-key"),
        ("(sleep 0; echo fake-key) &", "fake-key"),
    ],
)
def test_a_command(command: str, expected: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert fetch("command", command, {**ENVIRON, "FAKE": "fake-from-the-environment"}) == expected
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("command", "error", "told"),
    [
        ("echo {}; exit 3", Unavailable, "ended with status 3"),
        ("echo {}; kill -TERM $$", Unavailable, "ended with status -15"),
        ("no-such-program-here {}", Unavailable, "ended with status 127"),
        ("true {}", InputError, "the secret is empty"),
        ("printf '  \\n' {}", InputError, "the secret is empty"),
        ("echo {}; echo {}", InputError, "the secret has more than one line"),
        ("echo ' {}'", InputError, "the secret starts or ends with a blank"),
        ("printf '{}\\001x'", InputError, "the secret holds a control character"),
        ("printf '{}\\377\\376'", InputError, "is not text"),
        ("echo {}; head -c 70000 /dev/zero | tr '\\0' x", InputError, "the secret has more than one line"),
        ("printf {}; head -c 70000 /dev/zero | tr '\\0' x", InputError, f"is longer than {LARGEST_SECRET} characters"),
        ("yes {}", InputError, "is longer than a secret can be"),
        ("yes {} | tr -d '\\n'; exit 3", InputError, "is longer than a secret can be"),
    ],
)
def test_a_command_that_gives_no_secret(
    command: str, error: type[VaultError], told: str, canary: Canary, capfd: pytest.CaptureFixture[str]
) -> None:
    """What it printed is in no message, no repr, no traceback and no exception behind the exception."""
    with pytest.raises(error, match=told) as caught:
        fetch("command", command.replace("{}", canary.secret), ENVIRON)
    assert caught.value.message.startswith(("the reference's command", "the output of the reference's command"))
    assert_silent(caught.value, canary)
    assert capfd.readouterr() == ("", "")


def assert_silent(error: BaseException, canary: Canary) -> None:
    """An error, and all that it grew from, without a secret."""
    seen: list[BaseException] = []
    behind: BaseException | None = error
    while behind is not None:
        seen.append(behind)
        behind = behind.__cause__ or behind.__context__
    for one in seen:
        canary.assert_absent(str(one), repr(one), repr(one.args), repr(vars(one)))
    canary.assert_absent("".join(traceback.format_exception(error)))


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(
    monkeypatch: pytest.MonkeyPatch, canary: Canary, tmp_path: Path
) -> None:
    monkeypatch.setattr(references, "COMMAND_SECONDS", 0.5)
    mark = f"FAKE_MARK={tmp_path.name}"
    environ = {**ENVIRON, "FAKE_MARK": tmp_path.name}
    for command in ("echo {}; sleep 600; true", "sleep 600 & echo {}", "(sleep 600; true) | cat"):
        with pytest.raises(TryAgain, match=r"took longer than 0\.5 seconds") as caught:
            fetch("command", command.replace("{}", canary.secret), environ)
        assert caught.value.exit_status == 75
        assert_silent(caught.value, canary)
        assert ended(lambda: not lingering(mark)), f"{command} left something running"


def ended(true: Callable[[], bool]) -> bool:
    """Whether something comes true: processes that were killed take a moment to be gone."""
    for _ in range(500):
        if true():
            return True
        time.sleep(0.01)
    return False


def test_a_command_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    mark = f"FAKE_MARK={tmp_path.name}"
    with pytest.raises(InputError, match="longer than a secret can be"):
        fetch("command", "yes | cat", {**ENVIRON, "FAKE_MARK": tmp_path.name})
    assert ended(lambda: not lingering(mark))


def test_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(Unavailable, match="the reference's command can't be run: No such file or directory") as caught:
        fetch("command", "echo fake", ENVIRON)
    assert caught.value.exit_status == 69


# -- fetching: the OS keyring


def test_the_keyring(ring: FakeKeyring, canary: Canary) -> None:
    ring.set_password("fake-service", "fake/user", canary.secret)
    ring.set_password(KEYCHAIN_SERVICE, "anthropic", f"{canary}-two")
    assert fetch("keyring", "fake-service/fake/user", {}) == canary.secret
    assert fetch("keychain", "anthropic", {}) == f"{canary}-two"


def test_a_keyring_without_the_entry(ring: FakeKeyring) -> None:
    ring.set_password("fake-service", "empty", "")
    for scheme, target, shown in [
        ("keyring", "fake-service/nobody", "fake-service/nobody"),
        ("keyring", "fake-service/empty", "fake-service/empty"),
        ("keychain", "anthropic", f"{KEYCHAIN_SERVICE}/anthropic"),
    ]:
        with pytest.raises(NotFound, match=f"has no entry {shown}") as caught:
            fetch(scheme, target, {})
        assert caught.value.exit_status == 66


# -- no error holds a secret


@pytest.mark.parametrize(
    "content", ["{}\n{}", " {}", "{}\x01", "{}" + "x" * LARGEST_SECRET, "{}" + "x" * LARGEST_SECRET_BYTES]
)
def test_what_is_no_secret_is_told_by_place_and_not_by_content(
    content: str, tmp_path: Path, ring: FakeKeyring, canary: Canary
) -> None:
    text = content.replace("{}", canary.secret)
    (tmp_path / "key").write_text(text)
    ring.set_password("fake", "user", text)
    for scheme, target, what in [
        ("file", str(tmp_path / "key"), f"the file {tmp_path / 'key'}"),
        ("env", "FAKE", "the variable FAKE"),
        ("keyring", "fake/user", "the OS keyring's entry fake/user"),
    ]:
        with pytest.raises(InputError) as caught:
            fetch(scheme, target, {"FAKE": text})
        assert caught.value.message.startswith(what)
        assert_silent(caught.value, canary)


def test_a_file_that_is_not_text(tmp_path: Path, canary: Canary) -> None:
    (tmp_path / "key").write_bytes(canary.secret.encode() + b"\xff")
    with pytest.raises(InputError, match="is not text") as caught:
        fetch("file", str(tmp_path / "key"), {})
    assert_silent(caught.value, canary)


@pytest.mark.parametrize("scheme", ["openclaw-exec", "openclaw-file", "op", ""])
def test_another_tools_reference_is_never_run(scheme: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="can't be fetched here"):
        fetch(scheme, f"touch {tmp_path}/ran", ENVIRON)
    assert list(tmp_path.iterdir()) == []


# -- as people use them


def test_a_reference_is_fetched_at_each_use_and_never_kept(
    tmp_path: Path, canary: Canary, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files, clock = make_files(tmp_path / "vault"), FixedClock()
    monkeypatch.setattr("vault.context.SystemClock", lambda: clock)
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    shell = Shell(clock, monkeypatch, capsys)
    path = tmp_path / "key"
    path.write_text(f"{canary}\n")
    shell("login", "groq:command", "--reference", f"$(cat {path})")
    shell("login", "mistral:file", "--reference", f"file:{path}")
    for profile in ("groq:command", "mistral:file"):
        assert shell("get", profile).out == f"{canary}\n"
    canary.assert_absent(files.folder)
    path.write_text("fake-second\n")
    assert shell("get", "groq:command").out == "fake-second\n"
    path.unlink()
    assert "ended with status 1" in shell("get", "groq:command", status=69).err
    assert shell.json("why", "mistral")["candidates"][0]["code"] == "unresolved_reference"
    assert "its reference can't be resolved now" in shell("get", "mistral", status=66).err
