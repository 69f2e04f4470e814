"""Codex from npm, with its own Node and its own home; what it would send to OpenAI goes to a recorder."""

from __future__ import annotations

from pathlib import Path

from tests.interop.answers import Answer, model_answer
from tests.interop.recorder import Recorded, Recorder
from tests.interop.tools import Installer, Tool

CODEX = "@openai/codex@0.169.0"


def codex(installer: Installer, home: Path, recorder: Recorder) -> Tool:
    """A Codex that nobody signed in to, its own provider at the recorder."""
    tool = Tool(
        installer.tool(CODEX, "codex"),
        installer.bin(),
        home,
        CODEX_REFRESH_TOKEN_URL_OVERRIDE=f"{recorder.url}/oauth/token",
        CODEX_REVOKE_TOKEN_URL_OVERRIDE=f"{recorder.url}/oauth/revoke",
    )
    (home / ".codex").mkdir()
    recorder.answers.append(compressed)
    lines = [f'openai_base_url = "{recorder.url}/v1"', f'chatgpt_base_url = "{recorder.url}/backend-api"']
    (home / ".codex" / "config.toml").write_text("# the person's own\n" + "\n".join(lines) + "\n")
    return tool


def compressed(request: Recorded) -> Answer | None:
    """The answer to a question that was compressed, as Codex's are when it is signed in to ChatGPT."""
    asked = request.is_model and request.headers.get("content-encoding") == "zstd"
    return model_answer("POST", "/v1/responses", {"stream": True}) if asked else None
