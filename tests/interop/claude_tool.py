"""Claude Code from npm, with its own Node, its own home, and a recorder in place of Anthropic."""

from __future__ import annotations

from pathlib import Path

from tests.interop.recorder import Recorder
from tests.interop.tools import Installer, Tool

CLAUDE_CODE = "@anthropic-ai/claude-code@2.1.329"


def claude_code(installer: Installer, home: Path, recorder: Recorder) -> Tool:
    """A Claude Code that nobody signed in to."""
    return Tool(
        installer.tool(CLAUDE_CODE, "claude"),
        installer.bin(),
        home,
        ANTHROPIC_BASE_URL=recorder.url,
        DISABLE_AUTOUPDATER="1",
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        USER="fake-user",
    )
