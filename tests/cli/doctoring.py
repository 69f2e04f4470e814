"""What the tests of doctor share: a look at its answer, all that a vault is, and troubles to make."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from tests.cli.lives import Make, end, fail, hold, tokens
from tests.cli.running import Shell
from tests.support import START, Files
from vault.commands.agents import add_agent
from vault.commands.rotation import pin, set_order
from vault.events.credentials import ApiKey, Token
from vault.values import DAY, MAIN_AGENT, AgentId, ProfileId, ProviderId

NOW = START + DAY
X = "xai:default"
KEY = ApiKey(key="fake-key")


def look(shell: Shell, *options: str) -> dict[str, Any]:
    told = json.loads(shell("doctor", "--json", *options, status=None).out)
    assert isinstance(told, dict)
    return told


def findings(shell: Shell) -> list[dict[str, Any]]:
    return [c for c in look(shell)["checks"] if c["status"] == "finding"]


def everything(files: Files) -> dict[str, object]:
    """All that is in a vault's folder but SQLite's own scratch files, and what the database holds."""
    database = sqlite3.connect(files.database)
    names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    database.close()
    kept = [p for p in files.folder.rglob("*") if p.is_file() and not p.name.startswith(files.database.name)]
    return {**rows, **{str(p): (p.read_bytes(), p.stat().st_mode) for p in kept}}


def agent(name: str, parent: str = MAIN_AGENT) -> Make:
    return lambda c: add_agent(c, AgentId(name), AgentId(parent) if parent else "")


def ordered(provider: str, *names: str, who: str = MAIN_AGENT) -> Make:
    return lambda c: set_order(c, AgentId(who), ProviderId(provider), [f"{provider}:{n}" for n in names])


def pinned(profile: str, who: str = MAIN_AGENT) -> Make:
    return lambda c: pin(c, AgentId(who), ProfileId(profile))


def made_whole(files: Files, shell: Shell) -> Files:
    """The vault, in which doctor finds nothing then."""
    shell("key", "add", "--recovery")
    assert shell.json("doctor")["ok"]
    return files


def key(profile: str, who: str = MAIN_AGENT) -> Make:
    return hold(profile, KEY, who)


def token(profile: str, ends: int, who: str = MAIN_AGENT) -> Make:
    return hold(profile, Token(token="fake-token", expires_at=ends), who)


MANY = (
    key("groq:a"),
    fail("groq:a"),
    key("openai:a"),
    key("openai:b"),
    ordered("openai", "b", "a"),
    end("openai:b"),
    agent("lone", ""),
    hold(X, tokens("a", NOW + 30 * DAY)),
    hold(X, tokens("a", NOW + 30 * DAY), "lone"),
)
