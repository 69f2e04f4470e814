"""Copilot CLI from npm, offline, with a model server of one's own: a recorder."""

from __future__ import annotations

from pathlib import Path

from tests.interop.answers import MODEL
from tests.interop.recorder import Recorder
from tests.interop.tools import Installer, Tool

COPILOT = "@github/copilot@1.0.102"


def copilot(installer: Installer, home: Path, recorder: Recorder) -> Tool:
    """A Copilot CLI that nobody signed in to."""
    return Tool(
        installer.tool(COPILOT, "copilot"),
        installer.bin(),
        home,
        COPILOT_OFFLINE="true",
        COPILOT_PROVIDER_BASE_URL=f"{recorder.url}/v1",
        COPILOT_MODEL=MODEL,
    )
