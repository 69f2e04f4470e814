"""Standard streams that are closed, full or broken: the right status, a true sentence, and no defect, for every command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import VAULT, WAIT, Result, furnish
from tests.cli.test_exit_statuses import COMMANDS
from tests.support import Files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and fork")

MORE = {
    "version": ("--version",),
    "help": ("--help",),
    "help of a command": ("login", "--help"),
    "tools": ("tools",),
    "status": ("status",),
    "doctor": ("doctor",),
    "doctor that may ask": ("doctor", "--fix"),
    "provider list": ("provider", "list"),
    "config show": ("config", "show"),
    "exit-codes": ("exit-codes",),
    "wizard": ("wizard", "anthropic"),
    "helpers": ("helper",),
    "helper token": ("helper", "token", "openai"),
    "helper git": ("helper", "git", "get"),
    "helper docker": ("helper", "docker", "list"),
    "login from stdin": ("login", "openai", "--stdin"),
    "login at a prompt": ("login", "openai"),
    "wrong use": ("list", "--bogus"),
    "nothing there": ("show", "openai:nobody"),
    "import of everything": ("import", "--dry-run"),
}
LINES = {**{name: tuple(command.line()) for name, command in COMMANDS.items()}, **MORE}
JSON = {f"{name}, json": tuple(command.line("--json")) for name, command in COMMANDS.items() if name != "exec"}


def run_all(files: Files, lines: Mapping[str, tuple[str, ...]], streams: Mapping[str, str]) -> dict[str, Result]:
    environ = {
        "VAULT_DATABASE": "{}/data/vault.db",
        "VAULT_STATE": "{}/state",
        "VAULT_KEY_FILE": "{}/vault.key",
        "HOME": "{}",
    }
    cases: list[dict[str, Any]] = [
        {"words": words, "streams": streams, "environ": environ, "folder": str(files.folder)}
        for words in lines.values()
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.streaming"],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=10 * WAIT,
        check=True,
    )
    results = json.loads(done.stdout)
    return {name: Result(r["status"], r["out"], r["err"]) for name, r in zip(lines, results, strict=True)}


def run_one(files: Files, words: tuple[str, ...], streams: Mapping[str, str]) -> tuple[Result, int]:
    """What became of one command, and the head of the log after it."""
    before = set(files.folder.parent.glob("case-*"))
    (result,) = run_all(files, {"": words}, streams).values()
    (folder,) = set(files.folder.parent.glob("case-*")) - before
    return result, _head(Files(folder))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Files:
    files = furnish(tmp_path_factory.mktemp("made") / "vault")
    (files.folder / "auth.json").write_text('{"groq": {"type": "api", "key": "fake-key-imported"}}')
    (files.folder / "secret").write_text("fake-key-new")
    with files.open() as context:
        from vault.commands.keys import Choice, add_slot
        from vault.crypto.keyslots import RECOVERY
        from vault.unlock import Ways

        add_slot(context, Ways(files.environ()), Choice(RECOVERY), Ways({}))
    return files


@pytest.fixture(scope="module")
def usual(prepared: Files) -> dict[str, Result]:
    ended = run_all(prepared, {**LINES, **JSON}, {})
    assert {name for name, result in ended.items() if result.status == 70} == set()
    return ended


STATES = ["closed", "full", "broken"]


@pytest.mark.parametrize("how", STATES)
def test_no_command_ends_in_a_defect_when_nothing_can_be_printed(
    prepared: Files, usual: dict[str, Result], how: str
) -> None:
    ended = run_all(prepared, {**LINES, **JSON} if how == "closed" else LINES, {"stdout": how})
    for name, result in ended.items():
        if not usual[name].out and name not in ("exec",) and not name.startswith("helper"):
            assert result.status == usual[name].status, (name, result)
        elif name == "exec":
            assert result.status == 0, result
        elif how == "broken":
            assert (result.status in (141, usual[name].status), "writing failed" in result.err) == (True, False), (
                name,
                result,
            )
        elif name == "helper git" and how == "full":
            assert result.status == usual[name].status, "it has nothing to say"
        elif usual[name].status in (0, 1):
            assert result.status in (74, usual[name].status), (name, result)
            assert result.status == 74 or name == "doctor", (name, result)
            assert "(standard output)" in result.err, (name, result)
        else:
            assert result.status in (74, usual[name].status), (name, result)


@pytest.mark.parametrize("how", STATES)
def test_talk_that_nobody_hears_changes_nothing(prepared: Files, usual: dict[str, Result], how: str) -> None:
    ended = run_all(prepared, LINES, {"stderr": how})
    different = {name: (r.status, usual[name].status) for name, r in ended.items() if r.status != usual[name].status}
    assert different == {}


def test_a_closed_standard_input_is_an_error_only_of_what_reads_it(prepared: Files, usual: dict[str, Result]) -> None:
    ended = run_all(prepared, LINES, {"stdin": "closed"})
    readers = {"login from stdin", "helper git"}
    different = {name for name, r in ended.items() if r.status != usual[name].status}
    assert different <= readers, {name: ended[name] for name in different}
    for name in readers:
        assert "reading or writing failed: it is closed (standard input)" in ended[name].err, ended[name]
    assert ended["login from stdin"].status == 74


def test_a_secret_is_not_handed_out_where_nothing_can_be_printed(prepared: Files) -> None:
    lines = {"get": ("get", "openai"), "env": ("env",), "helper": ("helper", "token", "openai")}
    head = _head(prepared)
    for name, words in lines.items():
        result, after = run_one(prepared, words, {"stdout": "closed"})
        assert (result.status, "nothing was handed out" in result.err) == (74, True), (name, result)
        assert after == head, name


def test_a_full_output_is_told_together_with_what_was_recorded(prepared: Files) -> None:
    result, after = run_one(prepared, ("get", "openai"), {"stdout": "full"})
    assert after == _head(prepared) + 1
    assert result.status == 74
    assert f"what was asked is done and is in the history as event #{after}" in result.err
    assert "the log is unchanged" not in result.err


def test_a_defect_says_what_was_recorded_before_it(
    shell: Any, furnished: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise ValueError("fake")

    monkeypatch.setattr("vault.cli.output.write_exact", break_down)
    told = shell("get", "openai", status=70)
    assert f"event #{_head(furnished)}" in told.err
    assert "the log is unchanged" not in told.err
    monkeypatch.setattr("vault.commands.issue.issue", break_down)
    assert "the log is unchanged" in shell("get", "openai", status=70).err


def test_a_recovery_code_that_could_not_be_shown_is_told(tmp_path: Path, isolated: Path) -> None:
    folder = tmp_path / "new"
    environ = {"VAULT_DATABASE": str(folder / "vault.db"), "VAULT_STATE": str(folder / "state"), "HOME": str(tmp_path)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(VAULT), "init", "--key-file", str(folder / "key")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": "/usr/bin:/bin", **environ},
            timeout=WAIT,
            check=False,
        )
    assert done.returncode == 74
    assert "made a vault" in done.stderr
    assert "vault key add --recovery" in done.stderr


def test_head_ends_history_without_a_word(furnished: Files) -> None:
    line = f"set -o pipefail; '{VAULT}' history --limit 0 | true"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=WAIT, check=False)
        assert (done.returncode in (0, 141), done.stderr) == (True, "")


def _head(files: Files) -> int:
    with files.open() as context:
        return context.store.head().position
