"""The Anthropic SDK itself (and Claude Code, which reads the same profiles), fed from the vault by profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.answers import PONG
from tests.interop.anthropic_sdk_tool import Asking, anthropic_sdk
from tests.interop.claude_tool import claude_code
from tests.interop.recorder import Recorder
from tests.interop.tools import Installer
from tests.interop.vaulted import Vaulted

pytestmark = pytest.mark.interop

TOKENS = [f"fake-token-anthropic-{number}" for number in range(3)]


@pytest.fixture
def vault(installer: Installer, tmp_path: Path) -> Vaulted:
    return Vaulted(anthropic_sdk(installer, tmp_path / "home"))


def export(vault: Vaulted, token: str) -> None:
    vault.login("anthropic:work", token, "--kind", "token", "--expires-in", "1h")
    vault("export", "anthropic-sdk", "--yes")


def test_the_sdk_reads_the_profile_and_reads_it_again(vault: Vaulted, recorder: Recorder) -> None:
    export(vault, TOKENS[0])
    with Asking(vault.tool, recorder) as program:
        assert program.ask() == PONG
        export(vault, TOKENS[1])
        recorder.refuse(TOKENS[0])
        assert program.ask() == PONG
    with Asking(vault.tool, recorder) as program:
        assert program.ask() == PONG
    assert [s for s in recorder.sent() if s != TOKENS[0]] == [TOKENS[1], TOKENS[1]]
    assert recorder.sent()[0] == TOKENS[0]
    assert {r.headers["anthropic-beta"] for r in recorder.model_requests} == {"oauth-2025-04-20"}
    assert {"x-api-key" in r.headers for r in recorder.model_requests} == {False}


def test_sync_writes_the_profile_again(vault: Vaulted, recorder: Recorder) -> None:
    export(vault, TOKENS[0])
    vault.login("anthropic:work", TOKENS[1], "--kind", "token", "--expires-in", "1h")
    vault("sync", "anthropic-sdk")
    with Asking(vault.tool, recorder) as program:
        assert program.ask() == PONG
    assert recorder.sent() == [TOKENS[1]]


def test_the_sdk_is_as_strict_as_the_importer_says(vault: Vaulted, recorder: Recorder) -> None:
    export(vault, TOKENS[0])
    path = vault.tool.home / ".config" / "anthropic" / "credentials" / "work.json"
    os.chmod(path, 0o640)
    with Asking(vault.tool, recorder) as program:
        assert program.ask() == ""
    assert recorder.sent() == []
    vault.login("anthropic:work", TOKENS[1], "--kind", "token", "--expires-in", "1h")
    vault("export", "anthropic-sdk", "--yes")
    with Asking(vault.tool, recorder) as program:
        assert program.ask() == PONG


def test_claude_code_reads_the_same_profile(installer: Installer, tmp_path: Path, recorder: Recorder) -> None:
    vault = Vaulted(claude_code(installer, tmp_path / "home", recorder))
    vault.tool.environ["ANTHROPIC_CONFIG_DIR"] = str(tmp_path / "profiles")
    export(vault, TOKENS[0])
    assert PONG in vault.child("-p", "say hi").out
    assert recorder.sent() == [TOKENS[0]]
