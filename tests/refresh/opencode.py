"""A login that OpenCode keeps and refreshes: what its store looks like."""

from __future__ import annotations

import json

from tests.refresh.conftest import World
from vault.values import SystemClock


def keep(world: World, access: str, expires_in: int) -> dict[str, str]:
    """Let OpenCode hold a ChatGPT login; what its environment must be for that."""
    folder = world.files.folder / "share"
    (folder / "opencode").mkdir(parents=True, exist_ok=True)
    ends = (SystemClock().now() + expires_in) // 1000
    entry = {"type": "oauth", "access": access, "refresh": f"fake-refresh-of-{access}", "expires": ends}
    (folder / "opencode" / "auth.json").write_text(json.dumps({"openai": entry}))
    return {"XDG_DATA_HOME": str(folder)}
