"""import opencode and import openclaw through the command: what is said and done with small stores written by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Real, Shell
from tests.support import START, Files
from vault.values import DAY, HOUR

pytestmark = pytest.mark.usefixtures("files")

AUTH: dict[str, Any] = {
    "anthropic": {"type": "api", "key": "fake-key-anthropic"},
    "openai": {
        "type": "oauth",
        "access": "fake-access-openai",
        "refresh": "fake-refresh-openai",
        "expires": (START + 30_000 * DAY) // 1000,
        "accountId": "fake-account",
    },
    "https://models.example.test": {"type": "wellknown", "key": "EXAMPLE_TOKEN", "token": "fake-token-wellknown"},
    "mystery": {"type": "telepathy", "thought": "fake-secret-thought"},
}

PROFILES: dict[str, Any] = {
    "version": 1,
    "profiles": {
        "anthropic:default": {"type": "api_key", "provider": "anthropic", "key": "fake-key-claw-1"},
        "anthropic:work": {"type": "token", "provider": "anthropic", "token": "fake-token-claw", "displayName": "Work"},
        "odd:one": {"type": "riddle", "provider": "odd"},
    },
    "order": {"anthropic": ["anthropic:work", "anthropic:default"]},
    "usageStats": {
        "anthropic:default": {
            "errorCount": 2,
            "lastUsed": START // 1000,
            "lastFailureAt": START // 1000,
            "disabledUntil": (START + 3 * DAY) // 1000,
            "disabledReason": "billing",
        }
    },
}


@pytest.fixture
def opencode(isolated: Path) -> Path:
    path = isolated / "home" / ".local" / "share" / "opencode" / "auth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(AUTH))
    return path


@pytest.fixture
def openclaw(isolated: Path) -> Path:
    path = isolated / "home" / ".openclaw" / "agents" / "main" / "agent" / "auth-profiles.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(PROFILES))
    return path


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file below a folder: mode, time of change, content."""
    return {
        str(p): (p.stat().st_mode, p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"")
        for p in [folder, *folder.rglob("*")]
    }


def actions(told: dict[str, Any]) -> dict[str, str]:
    return {e["what"]: e["action"] for e in told["entries"]}


def test_opencode_from_its_own_place(shell: Shell, opencode: Path) -> None:
    before = state(opencode.parent)
    told = shell("import", "opencode")
    assert told.err.splitlines() == [
        f"read {opencode}",
        "OpenCode: took 3, 0 already here, 1 skipped; the tool's files are unchanged and still hold the secrets in plain text",
    ]
    assert told.lines[0].split() == ["WHAT", "AGENT", "KIND", "ACTION", "WHY"]
    assert "taken" in told.row("anthropic:default")
    assert "skipped" in told.row("mystery")
    assert "its type is telepathy" in told.row("mystery")
    assert state(opencode.parent) == before
    assert shell("get", "anthropic").out == "fake-key-anthropic\n"
    assert shell("get", "openai").out == "fake-access-openai\n"
    assert shell("get", "models.example.test:default").out == "fake-token-wellknown\n"
    assert "fake-" not in told.out.replace("fake-user", "")


def test_opencode_as_json(shell: Shell, opencode: Path) -> None:
    told = shell.json("import", "opencode", "--reason", "moving in")
    assert set(told) >= {
        "schema",
        "tool",
        "paths",
        "dry_run",
        "position",
        "taken",
        "already_here",
        "skipped",
        "entries",
    }
    assert (told["schema"], told["tool"], told["paths"], told["position"]) == (
        "vault.import/1",
        "opencode",
        [str(opencode)],
        4,
    )
    assert (told["taken"], told["already_here"], told["skipped"]) == (3, 0, 1)
    assert all(set(e) == {"what", "agent", "kind", "action", "why", "path"} for e in told["entries"])
    newest = shell.json("history", "-n", "1")["events"][0]
    assert (newest["type"], newest["reason"], newest["actor"]["way"]) == ("profile_imported", "moving in", "import")


def test_a_dry_run_takes_nothing_and_shows_the_same(shell: Shell, opencode: Path, files: Files) -> None:
    dry = shell("import", "opencode", "--dry-run")
    assert "would take 3, 0 already here, 1 skipped" in dry.err
    with files.open() as context:
        assert context.store.head().position == 1
    wet = shell("import", "opencode")
    assert dry.out == wet.out


def test_twice_is_once(shell: Shell, opencode: Path, files: Files) -> None:
    shell("import", "opencode")
    again = shell.json("import", "opencode")
    assert (again["position"], again["taken"], again["already_here"], again["skipped"]) == (None, 0, 3, 1)
    with files.open() as context:
        assert context.store.head().position == 4


def test_a_login_after_an_import_is_not_undone_by_importing_again(shell: Shell, opencode: Path) -> None:
    shell("import", "opencode")
    shell.login("anthropic", "fake-key-newer")
    told = shell("import", "opencode")
    assert "the vault has a newer one" in told.row("anthropic:default")
    assert shell("get", "anthropic").out == "fake-key-newer\n"


def test_a_logout_after_an_import_is_not_undone_by_importing_again(shell: Shell, opencode: Path) -> None:
    shell("import", "opencode")
    shell("logout", "anthropic:default")
    told = shell("import", "opencode")
    assert "logged out since" in told.row("anthropic:default")
    shell("get", "anthropic", status=66)


def test_a_key_that_changed_there_is_taken_and_the_old_one_kept(shell: Shell, opencode: Path) -> None:
    shell("import", "opencode")
    opencode.write_text(json.dumps({"anthropic": {"type": "api", "key": "fake-key-rotated"}}))
    told = shell("import", "opencode")
    assert "replaces the vault's, which stays in the history" in told.row("anthropic:default")
    assert shell("get", "anthropic").out == "fake-key-rotated\n"
    shell("restore", "anthropic:default")
    assert shell("get", "anthropic").out == "fake-key-anthropic\n"


def test_from_a_file_and_from_a_folder(shell: Shell, opencode: Path, isolated: Path) -> None:
    other = isolated / "elsewhere"
    opencode.parent.rename(other)
    assert shell.json("import", "opencode", "--from", str(other / "auth.json"), "--dry-run")["taken"] == 3
    assert shell.json("import", "opencode", "--from", str(other))["taken"] == 3


def test_what_was_imported_is_used_overwritten_and_restored(real: Real, opencode: Path) -> None:
    real("import", "opencode")
    program = ("sh", "-c", 'echo "$ANTHROPIC_API_KEY $EXAMPLE_TOKEN"')
    assert real("exec", "--", *program).out == "fake-key-anthropic fake-token-wellknown\n"
    real("login", "anthropic", "--stdin", stdin="fake-key-other")
    assert real("exec", "--", *program).out.startswith("fake-key-other ")
    real("restore", "anthropic:default")
    assert real("exec", "--", *program).out.startswith("fake-key-anthropic ")


def test_openclaw_with_its_order_and_usage(shell: Shell, openclaw: Path) -> None:
    before = state(openclaw.parents[3])
    told = shell.json("import", "openclaw")
    assert actions(told) == {
        "anthropic:default": "taken",
        "anthropic:work": "taken",
        "order for anthropic": "taken",
        "odd:one": "skipped",
    }
    assert state(openclaw.parents[3]) == before
    assert shell.json("order", "get", "--provider", "anthropic")["order"] == ["anthropic:work", "anthropic:default"]
    assert shell("get", "anthropic").out == "fake-token-claw\n"
    assert shell.json("show", "anthropic:default")["health"]["state"] == "disabled"
    assert shell.json("show", "anthropic:work")["label"] == "Work"
    again = shell.json("import", "openclaw")
    assert (again["taken"], again["position"]) == (0, None)


def test_an_order_set_after_an_import_is_not_undone_by_importing_again(shell: Shell, openclaw: Path) -> None:
    shell("import", "openclaw")
    shell("order", "set", "--provider", "anthropic", "default")
    told = shell("import", "openclaw")
    assert "the vault has its own order" in told.row("order for anthropic")
    assert shell.json("order", "get", "--provider", "anthropic")["order"] == ["anthropic:default"]


def test_both_tools_may_hold_the_same_profile(shell: Shell, opencode: Path, openclaw: Path) -> None:
    shell("import", "opencode")
    shell.clock.forward(HOUR)
    shell("import", "openclaw")
    assert shell("get", "anthropic:default").out == "fake-key-claw-1\n"
    shell("restore", "anthropic:default")
    assert shell("get", "anthropic:default").out == "fake-key-anthropic\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("[]", "the top level is not an object"),
        ('{"anthropic": {"type": "api", "key": "fake-secret"}', "is not valid JSON"),
        ('{"a": NaN', "is not valid JSON"),
    ],
)
def test_damage_is_an_error_and_nothing_is_taken(
    shell: Shell, opencode: Path, files: Files, content: str, what: str
) -> None:
    opencode.write_text(content)
    told = shell("import", "opencode", status=65)
    assert (told.out, what in told.err) == ("", True), told.err
    assert "fake-secret" not in told.err
    with files.open() as context:
        assert context.store.head().position == 1


@pytest.mark.parametrize("tool", ["opencode", "openclaw"])
def test_no_store_is_told_with_where_was_looked(shell: Shell, tool: str) -> None:
    told = shell("import", tool, status=66)
    assert "has no store" in told.err
    assert "--from" in told.err
    assert shell("import", tool, "--from", "nowhere", status=66).out == ""
    assert shell("import", tool, "--from", "nowhere", "--json", status=66).error["code"] == "not_found"


def test_a_tool_that_is_not_known(shell: Shell) -> None:
    assert "there is no tool 'netscape'" in shell("import", "netscape", status=66).err


def test_an_import_is_all_or_nothing(
    shell: Shell, opencode: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.errors import StorageError
    from vault.projections.engine import Projections

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the disk is full", hint="make room")

    with monkeypatch.context() as patch:
        patch.setattr(Projections, "apply", refuse)
        shell("import", "opencode", status=74)
    with files.open() as context:
        assert context.store.head().position == 1
    shell("verify")
    assert shell.json("import", "opencode")["taken"] == 3


def test_a_name_from_elsewhere_can_play_no_tricks_with_the_terminal(shell: Shell, opencode: Path) -> None:
    opencode.write_text(
        json.dumps({"\x1b[31mred\x07": {"type": "api", "key": "fake-key"}, "a\x1b[2J": {"type": "\x1b[31m"}})
    )
    told = shell("import", "opencode")
    assert "\x1b" not in told.out + told.err
    assert "took 1, 0 already here, 1 skipped" in told.err
    assert "%1b%5b31mred%07:default" in told.out


def test_the_store_may_be_unreadable(real: Real, opencode: Path) -> None:
    opencode.unlink()
    os.symlink("auth.json", opencode)
    assert real("import", "opencode", status=None).status in (66, 74)
