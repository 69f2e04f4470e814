"""A secret is seen only where it was asked for, and nothing at all can be read in the vault's files."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell, finish, next_line
from tests.support import START, Canary, Files
from vault.events.codec import Actor
from vault.values import DAY, HOUR, SECOND, format_instant_exact

pytestmark = pytest.mark.usefixtures("files")


def command_line_of(pid: int) -> bytes:
    """The arguments of a running process, as any user of the machine may see them."""
    entry = Path(f"/proc/{pid}/cmdline")
    if entry.exists():
        return entry.read_bytes()
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, check=True).stdout


def test_the_canary_is_found_when_it_is_there(canary: Canary, tmp_path: Path) -> None:
    (tmp_path / "leak").write_text(f"before {canary} after")
    assert f"plain in {tmp_path / 'leak'}" in canary.sightings(tmp_path)
    assert "plain in text 0" in canary.sightings(json.dumps({"x": str(canary)}))
    assert canary.sightings("nothing here") == []


def test_through_the_installed_command(real: Real, files: Files, canary: Canary, isolated: Path) -> None:
    keeper = files.open()  # while a file is open elsewhere, its WAL stays
    login = real.start("login", "anthropic", "--stdin", "--label", "fake label", "--reason", "fake reason")
    canary.assert_absent(command_line_of(login.pid))
    ended = finish(login, str(canary))
    assert ended.status == 0
    canary.assert_absent(ended.out, ended.err)
    quiet = [
        "list",
        "list --json",
        "show anthropic:default",
        "show anthropic:default --json",
        "why anthropic",
        "why anthropic --json",
        "report anthropic:default failure --note x",
        "health clear anthropic:default",
        "order set --provider anthropic default",
        "logout anthropic:default",
        "restore anthropic:default",
        "history",
        "history --json",
        "history --jsonl",
        "history --csv",
        "verify",
        "verify --json",
        "rebuild",
        "doctor",
        "key add --key-file second",
    ]
    for words in quiet:
        told = real(*words.split(), status=None)
        assert told.status in (0, 1), told
        canary.assert_absent(told.out, told.err)
    for words in ("get anthropic", "get anthropic --json", "env", "env --shell fish", "env --json"):
        told = real(*words.split())
        assert str(canary) in told.out, words
        canary.assert_absent(told.err)
    child = real.start("exec", "--", "sh", "-c", 'echo "$ANTHROPIC_API_KEY"; cat >/dev/null')
    assert next_line(child) == str(canary)
    canary.assert_absent(command_line_of(child.pid))
    assert finish(child).err == ""
    for words in (
        "show anthropic:nope",
        "get openai",
        "login anthropic",
        "list --bogus",
        "restore anthropic:default --to 999",
    ):
        told = real(*words.split(), status=None)
        assert told.status >= 64
        canary.assert_absent(told.out, told.err)
    assert files.database.with_name("vault.db-wal").stat().st_size > 0
    assert files.database.with_name("vault.db-shm").exists()
    canary.assert_absent(files.folder, isolated, Path())
    keeper.close()
    canary.assert_absent(files.folder, isolated, Path())


REFUSED = [
    ("login", "anthropic", "{}"),
    ("login", "anthropic", "--key", "{}"),
    ("login", "anthropic", "--key={}"),
    ("login", "anthropic", "--stdin", "{}"),
    ("login", "anthropic:{}", "{}"),
    ("get", "anthropic", "{}"),
    ("list", "{}"),
    ("history", "{}"),
    ("{}",),
    ("order", "{}"),
    ("list", "--bogus={}"),
    ("key", "remove", "{}"),
    ("restore", "anthropic:default", "--to", "{}"),
    ("history", "--limit", "{}"),
]


@pytest.mark.parametrize("words", REFUSED, ids=[" ".join(w) for w in REFUSED])
def test_a_secret_in_the_wrong_place_is_not_repeated(
    shell: Shell, files: Files, canary: Canary, words: tuple[str, ...]
) -> None:
    for more in ((), ("--json",)):
        told = shell(*(w.format(canary) for w in words), *more, stdin=str(canary), status=64)
        canary.assert_absent(told.out, told.err)
    canary.assert_absent(files.folder)
    assert shell.json("list")["profiles"] == []


@pytest.mark.parametrize(
    "content",
    ["{}\nsecond line\n", " {}", "{}\x00", "\x1b[31m{}", "{}" * 2000],
    ids=["two lines", "a blank", "a zero byte", "an escape", "too long"],
)
def test_a_secret_that_is_refused_is_not_repeated(shell: Shell, canary: Canary, content: str) -> None:
    for more in ((), ("--json",)):
        told = shell(
            "login", "anthropic", "--stdin", *more, stdin=content.format(*[canary] * content.count("{}")), status=65
        )
        canary.assert_absent(told.out, told.err)


@pytest.mark.parametrize(
    "content",
    [
        '{{"anthropic": {{"type": "api", "key": "{0}"}}',
        '{{"anthropic": {{"type": "{0}"}}}}',
        '{{"anthropic": "{0}"}}',
        '["{0}"]',
        '{{"anthropic": {{"type": "oauth", "access": "{0}", "refresh": ["{0}"], "expires": "{0}"}}}}',
        '{{"anthropic": {{"type": "api", "key": " {0} "}}}}',
        '{{"anthropic": {{"type": "api", "key": {{"x": "{0}"}}}}}}',
    ],
)
def test_what_an_import_can_not_read_is_not_repeated(shell: Shell, files: Files, canary: Canary, content: str) -> None:
    Path("auth.json").write_text(content.format(canary))
    for more in ((), ("--json",), ("--dry-run",)):
        told = shell("import", "opencode", "--from", "auth.json", *more, status=None)
        if '"type": "{0}"' not in content:  # a type is shown: it says what can't be taken over
            canary.assert_absent(told.out, told.err)
    canary.assert_absent(files.folder)


PLACES = [
    ("vault.commands.login.facts_of", ("login", "anthropic", "--stdin")),
    ("vault.log.sealing.Sealing.seal_credential", ("login", "anthropic", "--stdin")),
    ("vault.projections.engine.Projections.apply", ("login", "anthropic", "--stdin")),
    ("vault.commands.issue.hand_out", ("get", "held")),
    ("vault.commands.issue.secret_of", ("env",)),
    ("vault.cli.issue._assignment", ("env",)),
    ("vault.cli.issue._become", ("exec", "--", "true")),
    ("vault.log.store.decode_credential", ("restore", "held:default")),
]


@pytest.mark.parametrize(("place", "words"), PLACES, ids=[place for place, _ in PLACES])
def test_a_defect_shows_no_value(
    shell: Shell,
    files: Files,
    canary: Canary,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    isolated: Path,
    place: str,
    words: tuple[str, ...],
) -> None:
    caplog.set_level(logging.NOTSET)
    for number in range(2):
        shell.login("held", f"{canary}-{number}", "--custom")

    def break_down(*arguments: object, **named: object) -> None:
        held = (str(canary), arguments, named)
        raise ValueError(f"{canary} and {held}") from KeyError(str(canary))

    monkeypatch.setattr(place, break_down)
    for more in ((), ("--json",)):
        line = [words[0], *more, *words[1:]]
        if place.endswith("_assignment") and more:
            continue  # JSON has no shell lines
        told = shell(*line, stdin=str(canary), status=70)
        assert told.out == ""
        assert "vault has a defect (ValueError at test_secrecy.py:" in told.err
        canary.assert_absent(told.err)
    canary.assert_absent(files.folder, isolated, Path(), caplog.text)


def test_an_interrupt_shows_no_value(shell: Shell, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt(str(canary))

    monkeypatch.setattr("vault.commands.login.facts_of", interrupt)
    told = shell("login", "anthropic", "--stdin", stdin=str(canary), status=130)
    canary.assert_absent(told.out, told.err)


def test_a_passphrase_and_a_recovery_code_are_nowhere(
    real: Real, tmp_path: Path, isolated: Path, canary: Canary
) -> None:
    place = {
        "VAULT_DATABASE": str(tmp_path / "new" / "vault.db"),
        "VAULT_STATE": str(tmp_path / "state"),
        "VAULT_KEY_FILE": "",
    }
    code = real("init", env={**place, "VAULT_PASSPHRASE": str(canary)}).out.strip()
    opened = [real("list", "--json", env={**place, "VAULT_PASSPHRASE": secret}) for secret in (str(canary), code)]
    wrong = real("list", env={**place, "VAULT_PASSPHRASE": f"{canary}-"}, status=77)
    canary.assert_absent(tmp_path, isolated, wrong.err, *(o.out + o.err for o in opened))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert code.encode() not in path.read_bytes()
            assert code.replace("-", "").encode() not in path.read_bytes()


# -- at rest


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Everything a session could write, each unlike any other text."""
    names = {
        "provider": "zq-provider",
        "profile": "zq-profile-name",
        "agent": "zq-agent",
        "label": "zq label",
        "reason": "zq reason",
        "note": "zq note",
        "model": "zq-model",
        "user": "zq-user",
        "host": "zq-host",
        "program": "zq-program",
        "command": "zq-command",
        "account": "zq-account",
        "secret": "fake-zq-secret",
        "variable": "ZQ_VARIABLE_TOKEN",
        "url": "zq-server.test",
        "type": "profile_logged_in",
        "kind": "api_key",
        "way": "import",
        "failure": "rate_limit",
    }

    def actor(_: object, way: str, agent: str = "") -> Actor:
        return Actor(user=names["user"], host=names["host"], pid=4242, program=names["program"], agent=agent, way=way)

    monkeypatch.setattr("vault.context.current_actor", actor)
    return names


def forms(text: str) -> set[bytes]:
    return {
        text.encode(),
        text.upper().encode(),
        text.encode("utf-16-le"),
        text.encode().hex().encode(),
        text.encode()[::-1],
    }


def test_nothing_can_be_read_at_rest(shell: Shell, files: Files, telling: dict[str, str]) -> None:
    t = telling
    keeper = files.open()
    Path("auth.json").write_text(
        json.dumps(
            {
                t["provider"]: {
                    "type": "oauth",
                    "access": t["secret"],
                    "refresh": "fake-zq-secret-2",
                    "expires": (START + 400 * DAY) // 1000,
                    "accountId": t["account"],
                },
                f"https://{t['url']}": {"type": "wellknown", "key": t["variable"], "token": "fake-zq-secret-3"},
            }
        )
    )
    profile = f"{t['provider']}:{t['profile']}"
    moments = []
    for line in (
        ["agent", "add", t["agent"]],
        ["import", "opencode", "--from", "auth.json"],
        ["login", profile, "--stdin", "--label", t["label"], "--reason", t["reason"], "--command-id", t["command"]],
        ["login", profile, "--stdin", "--expires-in", "90d", "--agent", t["agent"]],
        ["order", "set", "--provider", t["provider"], t["profile"], "--reason", t["reason"]],
        ["pin", profile],
        ["get", t["provider"], "--agent", t["agent"], "--reason", t["reason"]],
        [
            "report",
            profile,
            "failure",
            "--reason",
            t["failure"],
            "--model",
            t["model"],
            "--note",
            t["note"],
            "--retry-after",
            "7h",
        ],
        ["health", "clear", profile],
        ["unpin", t["provider"]],
        ["logout", profile, "--reason", t["reason"]],
        ["restore", profile],
        ["restore", "--order", t["provider"]],
        ["key", "add", "--recovery", "--reason", t["reason"]],
        ["agent", "remove", t["agent"]],
        ["verify", "--record"],
        ["rebuild"],
    ):
        shell.clock.forward(3 * HOUR + 7 * SECOND + 123_457)
        moments.append(shell.clock.at)
        shell(*line, stdin=t["secret"])
    events = shell.json("history", "-n", "0")["events"]
    assert len(events) >= 17
    told = json.dumps(events)
    raw = b""
    for suffix in ("", "-wal", "-shm"):
        content = files.database.with_name(f"vault.db{suffix}").read_bytes()
        assert content, suffix
        raw += content
    for what, text in t.items():
        assert text in told or what in ("secret", "variable"), f"{what} was not written"
        for form in forms(text):
            assert form not in raw, (what, form)
    for text in ("anthropic", "rotation/", "profile/", "inherits", "fingerprint", "credential_issued", "https:"):
        assert text.encode() not in raw, text
    for moment in moments:
        for digits in (
            str(moment // SECOND),
            str(moment // 1000),
            str(moment),
            format_instant_exact(moment)[:13],
            datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%d %H"),
        ):
            assert digits.encode() not in raw, digits
        for order in ("big", "little"):
            assert moment.to_bytes(8, order) not in raw, "a time as a number"  # type: ignore[arg-type]
            assert (moment // 1000).to_bytes(8, order) not in raw  # type: ignore[arg-type]
    keeper.close()
    after = files.database.read_bytes()
    assert all(form not in after for text in t.values() for form in forms(text))


def test_equal_names_do_not_show_in_two_vaults(tmp_path: Path, files: Files) -> None:
    """A blind index is keyed: the same names in another vault look otherwise."""
    import sqlite3

    from tests.support import make_files
    from vault.commands.login import log_in
    from vault.events.credentials import ApiKey
    from vault.values import MAIN_AGENT, ProfileId

    columns = []
    for place in (files, make_files(tmp_path / "other", fresh=True)):
        with place.open() as context:
            log_in(context, MAIN_AGENT, ProfileId("anthropic:default"), ApiKey(key="fake-key"))
        connection = sqlite3.connect(place.database)
        row = connection.execute(
            "SELECT agent, provider, profile, kind, actor FROM history_index WHERE position = 2"
        ).fetchone()
        stream = connection.execute("SELECT stream FROM events WHERE position = 2").fetchone()
        connection.close()
        columns.append([*row, *stream])
    assert all(one != other for one, other in zip(*columns, strict=True))


def test_the_child_of_exec_sees_what_was_asked_for_and_no_more(real: Real, canary: Canary) -> None:
    real("login", "anthropic", "--stdin", stdin=str(canary))
    real("login", "openai", "--stdin", stdin="fake-key-wanted")
    program = "import os, sys; sys.stdout.buffer.write(repr(dict(os.environ)).encode())"
    told = real("exec", "--provider", "openai", "--", sys.executable, "-c", program)
    assert "fake-key-wanted" in told.out
    canary.assert_absent(told.out, told.err)
