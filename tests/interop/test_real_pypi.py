"""llm, the AWS command line and Hugging Face from PyPI, and gh where it is installed: what the vault wrote for them is used."""

from __future__ import annotations

import shutil
import venv
from pathlib import Path

import pytest

from tests.interop.recorder import Recorder
from tests.interop.tools import ENVIRON, Installer, Tool, run
from tests.interop.vaulted import Vaulted
from tests.support import ROOT

pytestmark = pytest.mark.interop

LLM, AWSCLI, HUB = "llm==0.36", "awscli", "huggingface_hub"


def python_with(installer: Installer, home: Path, command: str, *packages: str) -> Tool:
    """A command of PyPI packages, in a Python of their own."""
    place = installer.folder / "-".join(Path(p).name.replace("==", "-") for p in packages)
    with installer._once(place) as missing:
        if missing:
            venv.create(place / "venv", with_pip=True)
            run([place / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", *packages], ENVIRON)
    return Tool(place / "venv" / "bin" / command, place / "venv" / "bin", home)


def models(tool: Tool, recorder: Recorder) -> Path:
    """llm's own description of a model at the recorder, beside its keys."""
    folder = Path(tool("keys", "path").strip()).parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "extra-openai-models.yaml").write_text(
        f"- model_id: fake\n  model_name: fake-model\n  api_base: {recorder.url}/v1\n  api_key_name: openai\n"
    )
    return folder


def test_llm_reads_the_export_and_sends_it(installer: Installer, recorder: Recorder, tmp_path: Path) -> None:
    tool = python_with(installer, tmp_path, "llm", LLM)
    vaulted = Vaulted(tool)
    models(tool, recorder)
    vaulted.login("openai", "fake-key-openai")
    vaulted("export", "llm")
    assert tool("keys", "list").split() == ["openai"]
    assert tool("keys", "get", "openai").strip() == "fake-key-openai"
    tool("-m", "fake", "hi", "--no-stream")
    assert recorder.sent()[-1] == "fake-key-openai"
    tool("keys", "set", "mistral", "--value", "fake-key-mistral")
    vaulted("import", "llm")
    assert vaulted("get", "mistral").out == "fake-key-mistral\n"


def test_llm_asks_the_vault_by_the_plugin(installer: Installer, recorder: Recorder, tmp_path: Path) -> None:
    tool = python_with(installer, tmp_path, "llm", LLM, str(ROOT))
    vaulted = Vaulted(tool)
    folder = models(tool, recorder)
    vaulted.login("openai", "fake-key-openai")
    tool("-m", "fake", "hi", "--no-stream")
    assert recorder.sent()[-1] == "fake-key-openai"
    assert not (folder / "keys.json").exists()
    assert vaulted.issued() == [("openai:default", "llm")]


def test_the_aws_command_line_asks_the_vault(installer: Installer, tmp_path: Path) -> None:
    tool = python_with(installer, tmp_path, "aws", AWSCLI)
    vaulted = Vaulted(tool)
    credentials = tmp_path / ".aws" / "credentials"
    credentials.parent.mkdir()
    credentials.write_text("[work]\naws_access_key_id = fake-key-id\naws_secret_access_key = fake-secret-key\n")
    vaulted("import", "aws", "--scrub")
    assert "fake-secret-key" not in credentials.read_text()
    told = tool("configure", "list", "--profile", "work")
    assert "custom-process" in told
    told = tool("configure", "list", "--profile", "work")
    assert "-id" in told.split("access_key")[1].splitlines()[0], "the last four of the key id"
    assert ("amazon-bedrock:work", "aws") in vaulted.issued()
    vaulted("connect", "aws", "--undo")
    assert "fake-secret-key" in credentials.read_text()


def test_hugging_face_reads_the_export(installer: Installer, tmp_path: Path) -> None:
    tool = python_with(installer, tmp_path, "python", HUB)
    vaulted = Vaulted(tool)
    vaulted.login("huggingface", "fake-token-hub")
    vaulted("export", "huggingface")
    assert tool("-c", "import huggingface_hub; print(huggingface_hub.get_token())").strip() == "fake-token-hub"
    told = tool("-c", "from huggingface_hub.utils import get_stored_tokens; print(get_stored_tokens())")
    assert "default" in told


def test_gh_reads_the_export(tmp_path: Path) -> None:
    program = shutil.which("gh")
    if program is None:
        pytest.skip("gh isn't installed here")
    tool = Tool(Path(program), Path(program).parent, tmp_path)
    vaulted = Vaulted(tool)
    vaulted.login("github.com:octo", "fake-token-octo", "--kind", "token")
    vaulted("export", "gh")
    assert tool("auth", "token", "--hostname", "github.com").strip() == "fake-token-octo"
    tool("config", "set", "git_protocol", "ssh", "--host", "github.com")
    vaulted.login("github.com:octo", "fake-token-newer", "--kind", "token")
    vaulted("sync")
    assert tool("auth", "token", "--hostname", "github.com").strip() == "fake-token-newer"
    assert tool("config", "get", "git_protocol", "--host", "github.com").strip() == "ssh"
    assert vaulted("exec", "--tool", "gh", "--", program, "auth", "token").out.strip() == "fake-token-newer"
