"""Qwen Code itself, fed from the vault; a recorder in place of a model server tells what its requests carried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.importers.stores import write_json
from tests.interop.answers import MODEL, PONG
from tests.interop.qwen_tool import qwen
from tests.interop.recorder import Recorder
from tests.interop.tools import Installer
from tests.interop.vaulted import Vaulted
from vault.interop import qwen as interop

pytestmark = pytest.mark.interop

ASK = ("--auth-type", "openai", "-p", "say hi")


@pytest.fixture
def vault(installer: Installer, tmp_path: Path, recorder: Recorder) -> Vaulted:
    return Vaulted(qwen(installer, tmp_path / "home", recorder))


def secrets_in(recorder: Recorder) -> set[str]:
    """The credentials of all requests."""
    return {value for r in recorder.requests for value in r.credentials.values()}


def test_an_exported_key_is_used_and_an_injected_one_wins(vault: Vaulted, recorder: Recorder) -> None:
    vault.login("openai", "fake-key-openai-1")
    vault("export", "qwen", "--yes")
    told = vault.child(*ASK)
    assert PONG in told.out, told
    assert secrets_in(recorder) == {"fake-key-openai-1"}
    recorder.clear()
    vault.login("openai", "fake-key-openai-2")
    told = vault("exec", "--tool", "qwen", "--", vault.tool.command, *ASK)
    assert PONG in told.out, told
    assert secrets_in(recorder) == {"fake-key-openai-2"}


def test_a_key_is_never_put_where_it_goes_to_somebody_else(vault: Vaulted, recorder: Recorder) -> None:
    del vault.tool.environ["OPENAI_BASE_URL"]
    model = {"id": MODEL, "name": "F", "baseUrl": f"{recorder.url}/v1", "envKey": "DEEPSEEK_API_KEY"}
    settings = {
        "security": {"auth": {"selectedType": "openai"}},
        "model": {"name": MODEL},
        "env": {"DEEPSEEK_API_KEY": "fake-key-of-the-server"},
        "modelProviders": {"openai": [model]},
    }
    write_json(vault.tool.home / ".qwen" / "settings.json", settings)
    (found,) = interop.read(None, vault.tool.environ, vault.tool.home).found
    assert (found.profile, found.base_url) == (f"deepseek:{recorder.url}/v1", f"{recorder.url}/v1")
    vault.login("deepseek", "fake-key-deepseek-1")
    assert "another credential is there" in vault("export", "qwen", "--yes", status=66).err
    told = vault.child("-p", "say hi")
    assert PONG in told.out, told
    assert secrets_in(recorder) == {"fake-key-of-the-server"}
