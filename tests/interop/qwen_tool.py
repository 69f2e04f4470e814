"""Qwen Code from npm, with its own Node and its own home; its models are at a recorder."""

from __future__ import annotations

from pathlib import Path

from tests.interop.answers import MODEL
from tests.interop.recorder import Recorder
from tests.interop.tools import Installer, Tool

QWEN = "@qwen-code/qwen-code@0.24.4"


def qwen(installer: Installer, home: Path, recorder: Recorder) -> Tool:
    """A Qwen Code without a key."""
    return Tool(
        installer.tool(QWEN, "qwen"),
        installer.bin(),
        home,
        OPENAI_BASE_URL=f"{recorder.url}/v1",
        OPENAI_MODEL=MODEL,
    )
