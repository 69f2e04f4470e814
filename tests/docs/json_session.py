"""A session in which every command that has ``--json`` runs at least once, each when it has something to show.

Its world is one folder: a vault, a home with other tools' stores, an authorization server and a server with a catalogue on
loopback. What a command printed is kept with the command, so that a test can tell which commands have not run.
"""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.oauth.server import Server as Authorization
from tests.providers.documents import document, encoded, entry
from tests.providers.server import Reply
from tests.providers.server import Server as Catalogue
from tests.support import Files, tampering
from vault.cli.main import run
from vault.commands.login import log_in
from vault.events.credentials import OAuth
from vault.providers.clients import client, remembered
from vault.values import HOUR, MAIN_AGENT, Instant, ProfileId, SystemClock

OPENCODE = {
    "groq": {"type": "api", "key": "fake-key-groq"},
    "openai": {
        "type": "oauth",
        "access": "fake-access-opencode",
        "refresh": "fake-refresh-opencode",
        "expires": 4_102_444_800_000,
    },
    "odd": {"type": "telepathy"},
}


@dataclass
class World:
    """Runs commands with ``--json`` and keeps (command line, what it printed)."""

    files: Files
    home: Path
    authorization: Authorization
    catalogue: Catalogue
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    printed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, line: str, secret: str = "") -> None:
        """One command: its object from stdout or, for an error, from stderr."""
        words = line.split()
        if "--json" not in words:
            words.append("--json")
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(secret.encode())))
        self.capsys.readouterr()
        run(words)
        out, err = self.capsys.readouterr()
        body = json.loads(out or err.splitlines()[-1])
        self.printed.append((line, body))

    def last(self, name: str) -> Any:
        """A field of what was printed last."""
        return self.printed[-1][1][name]

    def store(self, profile: str, refresh: str, expires_in: int = -HOUR) -> None:
        """A login that can be refreshed at the authorization server, stored as a sign-in stores it."""
        with self.files.open(clock=SystemClock()) as context:
            credential = OAuth(
                access="fake-access",
                refresh=refresh,
                expires_at=Instant(context.clock.now() + expires_in),
                metadata=remembered(client("xai"), {}),
            )
            log_in(context, MAIN_AGENT, ProfileId(profile), credential)


def opencode_store(home: Path, document: dict[str, Any] | None = None) -> Path:
    """OpenCode's own store, in this home."""
    path = home / ".local/share/opencode/auth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(OPENCODE if document is None else document))
    return path


def play(vault: World, folder: Path) -> None:
    """The whole session."""
    _credentials(vault)
    _choosing(vault)
    _clouds(vault)
    _refreshing(vault)
    _other_tools(vault, folder)
    _providers(vault)
    _log(vault)
    _another(vault, folder)


def _credentials(vault: World) -> None:
    vault("login openai --stdin --label first", "fake-key-openai-1")
    vault("login openai:second --kind token --expires-in 3d --stdin", "fake-key-openai-2")
    vault("login openai --stdin --reason why", "fake-key-openai-3")
    vault("show openai:second")
    vault("get openai")
    vault("env --provider openai")
    vault("exec --json --provider openai -- no-such-program-here")
    vault("wizard openai")
    vault("wizard anthropic")
    vault("login groq --stdin", "fake-key-groq-old")
    vault("restore openai:default --probe")
    vault("logout groq:default")
    vault.monkeypatch.setenv("GITHUB_TOKEN", "fake-token-of-the-environment")
    vault("list")
    vault("ls")
    vault.monkeypatch.delenv("GITHUB_TOKEN")


def _choosing(vault: World) -> None:
    vault("agent add coder")
    vault("agent inherit coder --none")
    vault("agent list")
    vault("order set --provider openai second default")
    vault("order get --provider openai")
    vault("order clear --provider openai")
    vault("restore --order --provider openai")
    vault("pin openai:second")
    vault("unpin openai")
    vault("report openai:second failure --reason rate_limit")
    vault("why openai")
    vault("status")
    vault("status --probe --check")
    vault.monkeypatch.setenv("OPENAI_API_KEY", "fake-key-of-the-environment")
    vault("status --sources")
    vault.monkeypatch.delenv("OPENAI_API_KEY")
    vault("health clear openai:second")
    vault("agent remove coder")


def _clouds(vault: World) -> None:
    vault("status bedrock")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "fake-id-of-a-key-0001",
        "AWS_SECRET_ACCESS_KEY": "fake-secret-ambient",
        "AWS_REGION": "eu-west-1",
        "AWS_PROFILE": "work",
    }.items():
        vault.monkeypatch.setenv(name, value)
    vault("status bedrock --check")
    vault("doctor bedrock")
    vault("get amazon-bedrock")
    vault("login amazon-bedrock --token-stdin", "fake-bearer-token")
    vault("env --provider amazon-bedrock")
    vault("logout amazon-bedrock:default")
    vault.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    vault.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    vault.monkeypatch.delenv("AWS_PROFILE")


def _refreshing(vault: World) -> None:
    vault.store("xai:default", vault.authorization.authority.seed())
    vault("refresh xai:default")
    vault.store("xai:spent", "fake-refresh-that-nobody-gave")
    vault("refresh --all")
    vault("refresh --due 2h")
    vault("probe xai:default")
    vault("probe --all")
    vault("wizard xai")


def _other_tools(vault: World, folder: Path) -> None:
    store = opencode_store(vault.home)
    (folder / ".env").write_text("ANTHROPIC_API_KEY=fake-key-dotenv\n")
    damaged = vault.home / ".config/io.datasette.llm/keys.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"openai": ')
    vault("tools")
    vault("import opencode --dry-run")
    vault("import --yes")
    vault("import opencode --scrub --yes")
    vault(f"import dotenv --from {folder / '.env'} --scrub")
    vault("connect opencode --dry-run")
    vault("connect opencode --yes")
    vault("disconnect opencode")
    vault("login anthropic --stdin", "fake-key-anthropic")
    vault(f"export opencode --to {folder / 'elsewhere.json'} --provider anthropic --provider xai:default")
    vault("export opencode --provider anthropic")
    store.write_text(json.dumps({**json.loads(store.read_text()), "openai": OPENCODE["openai"]}))
    vault("sync")


def _providers(vault: World) -> None:
    changed = document()
    changed["brand-new"] = entry("brand-new", env=["BRAND_NEW_API_KEY"])
    vault.catalogue.reply = lambda _: Reply(body=encoded(changed))
    vault("provider list")
    vault("provider list --all")
    for name in ("openai", "amazon-bedrock", "google-vertex", "github-copilot", "ollama", "google"):
        vault(f"provider show {name}")
    vault(f"provider update --url {vault.catalogue.url}/api.json")
    vault("provider update --embedded")
    vault("provider disable openrouter")
    vault("config path")
    vault("config show")
    vault("provider enable openrouter")


def _log(vault: World) -> None:
    vault("history --profile openai:default")
    vault("verify")
    vault("rebuild")
    vault("key add --recovery")
    with tampering(vault.files.database) as connection:
        connection.execute("DELETE FROM key_slots WHERE slot = 2")
    vault("key list")
    vault("key remove 2")
    vault("order set --provider groq default")
    vault("logout groq:default")
    vault("doctor")
    vault("doctor --fix --yes")
    vault("exit-codes")
    copy = vault.files.folder / "backup.db"
    vault(f"backup {copy}")
    vault(f"backup-restore {copy} --reason weekly --yes")
    vault("get nothing")
    vault.files.anchor.write_bytes(b"\1" * 192)
    vault("verify")


def _another(vault: World, folder: Path) -> None:
    vault.monkeypatch.setenv("VAULT_DATABASE", str(folder / "new" / "vault.db"))
    vault.monkeypatch.setenv("VAULT_STATE", str(folder / "new" / "state"))
    vault(f"init --key-file {folder}/new.key")
