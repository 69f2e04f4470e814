"""Gemini CLI from npm, with its own Node and its own home; what it would send to Google goes to a recorder."""

from __future__ import annotations

from pathlib import Path

from tests.interop.recorder import Recorder
from tests.interop.tools import Installer, Tool

GEMINI = "@google/gemini-cli@0.61.0"


def gemini(installer: Installer, home: Path, recorder: Recorder, **more: str) -> Tool:
    """A Gemini CLI that nobody signed in to."""
    return Tool(
        installer.tool(GEMINI, "gemini"),
        installer.bin(),
        home,
        GEMINI_CLI_TRUST_WORKSPACE="true",
        CODE_ASSIST_ENDPOINT=recorder.url,
        **more,
    )
