"""Copilot CLI itself, fed from the vault; a recorder in place of a model server tells what its requests carried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Result
from tests.interop.copilot_tool import copilot
from tests.interop.recorder import Recorded, Recorder
from tests.interop.tools import Installer
from tests.interop.vaulted import Vaulted

pytestmark = pytest.mark.interop

ASK = ("-p", "say hi", "--allow-all-tools")


@pytest.fixture
def vault(installer: Installer, tmp_path: Path, recorder: Recorder) -> Vaulted:
    return Vaulted(copilot(installer, tmp_path / "home", recorder))


def ask(vault: Vaulted, *, status: int = 0) -> Result:
    """Ask in print mode, started by ``vault exec``, which puts in no key, but the command that gives it."""
    return vault("exec", "--tool", "copilot", "--", vault.tool.command, *ASK, status=status)


def test_every_request_carries_the_key_of_its_moment(vault: Vaulted, recorder: Recorder) -> None:
    vault.login("openai", "fake-key-openai-1")
    vault.tool.environ["COPILOT_PROVIDER_API_KEY"] = "fake-key-of-the-shell"
    recorder.refuse("fake-key-openai-1")

    def replace(request: Recorded) -> None:
        if request.is_model and request.secret == "fake-key-openai-1":
            vault.login("openai", "fake-key-openai-2")

    recorder.on_request = replace
    told = ask(vault)
    assert recorder.model_requests, told
    assert recorder.sent()[:2] == ["fake-key-openai-1", "fake-key-openai-2"]
    assert {value for r in recorder.requests for value in r.credentials.values()} == set(recorder.sent())
    assert set(vault.issued()) == {("openai:default", "copilot")}
    assert len(vault.issued()) > len(recorder.model_requests)


def test_a_server_of_anthropics_kind_gets_its_header(vault: Vaulted, recorder: Recorder) -> None:
    vault.login("anthropic", "fake-key-anthropic-1")
    vault.tool.environ["COPILOT_PROVIDER_TYPE"] = "anthropic"
    vault.tool.environ["COPILOT_PROVIDER_BASE_URL"] = recorder.url
    told = ask(vault)
    assert recorder.model_requests, told
    assert {r.headers["x-api-key"] for r in recorder.model_requests} == {"fake-key-anthropic-1"}


def test_a_locked_vault_sends_nothing(vault: Vaulted, recorder: Recorder) -> None:
    vault.login("openai", "fake-key-openai-1")
    command = vault("exec", "--tool", "copilot", "--", "printenv", "COPILOT_PROVIDER_API_KEY_COMMAND").out.strip()
    vault.tool.environ["COPILOT_PROVIDER_API_KEY_COMMAND"] = command
    vault.lose_the_key()
    told = vault.child(*ASK)
    assert told.status != 0
    assert recorder.sent() == []
    assert "fake-key" not in told.out + told.err
