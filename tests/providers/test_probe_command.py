"""``vault probe``: of a profile, a provider, everything; what it records, what it prints, how it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Result
from tests.oauth.authority import jwt
from tests.providers.server import Asked, Reply, Server
from tests.support import Canary, Files, make_files
from vault.cli import main
from vault.commands.agents import add_agent
from vault.commands.login import log_in
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Token
from vault.events.types import CredentialIssued, ProfileProbed
from vault.settings import settings_path
from vault.values import HOUR, MAIN_AGENT, AgentId, Instant, ProfileId, SystemClock

GOOD, BAD = "fake-right-key", "fake-wrong-key"
ONLY_CLAUDE_CODE = {"error": {"message": "This credential is only authorized for use with Claude Code."}}


class World:
    """A vault, a server at which every provider is, and the command, run in this process."""

    def __init__(self, files: Files, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self.files, self.server, self._capsys = files, server, capsys
        server.reply = lambda asked: (
            Reply(200, b'{"data": []}') if GOOD in repr(asked.headers) else Reply(401, b'{"error": "who?"}')
        )

    def __call__(self, *arguments: str, status: int = 0) -> Result:
        self._capsys.readouterr()
        ended = main.run(["probe", *arguments])
        result = Result(ended, *self._capsys.readouterr())
        assert ended == status, result
        return result

    def json(self, *arguments: str, status: int = 0) -> dict[str, Any]:
        result = self(*arguments, "--json", status=status)
        assert result.err == ""
        return result.json

    def store(self, profile: str, credential: AnyCredential, agent: str = MAIN_AGENT) -> None:
        with self.files.open(clock=SystemClock()) as context:
            log_in(context, AgentId(agent), ProfileId(profile), credential)

    def events(self) -> list[Any]:
        """Every event but the logins, oldest first."""
        with self.files.open(clock=SystemClock()) as context:
            found = [r.event for r in context.store.scan(1, context.store.head().position)]
        return [e for e in found if isinstance(e, CredentialIssued | ProfileProbed)]


@pytest.fixture
def world(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    files = make_files(tmp_path / "vault")
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VAULT_OAUTH_ENDPOINTS", server.url)
    return World(files, server, capsys)


@pytest.fixture
def config() -> Callable[[str], None]:
    def write(text: str) -> None:
        path = settings_path(os.environ)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def test_a_probe_is_a_hand_out_and_an_answer(world: World) -> None:
    world.store("openai:default", ApiKey(key=GOOD))
    assert world.json("openai:default") == {
        "schema": "vault.probe/1",
        "provider": "openai",
        "profile": "openai:default",
        "source": "stored",
        "outcome": "works",
        "reason": None,
        "detail": "the provider accepts it",
        "status": 200,
        "hint": None,
    }
    issued, probed = world.events()
    assert (issued.way, issued.program) == ("probe", "vault probe")
    assert (probed.profile, probed.outcome, probed.status) == ("openai:default", "works", 200)
    assert probed.fingerprint == issued.fingerprint
    assert world("openai").out == "openai:default: works (the provider accepts it)\n"


# answer of the provider: (outcome, reason, exit status)
ENDS: dict[str, tuple[Reply, str, str | None, int]] = {
    "good": (Reply(200, b'{"data": []}'), "works", None, 0),
    "wrong key": (Reply(401, b"{}"), "refused", "auth", 1),
    "only for Claude Code": (Reply(403, json.dumps(ONLY_CLAUDE_CODE).encode()), "refused", "auth_permanent", 1),
    "not paid": (Reply(402, b"{}"), "unclear", "billing", 0),
    "too often": (Reply(429, b"{}", {"Retry-After": "9"}), "unclear", "rate_limit", 75),
    "in trouble": (Reply(503, b"{}", {"Retry-After": "9"}), "unclear", "overloaded", 75),
    "not there": (Reply(404, b"{}"), "unclear", None, 0),
    "elsewhere": (Reply(302, b"", {"Location": "https://elsewhere.example/"}), "unclear", None, 0),
    "a page": (Reply(200, b"<html>"), "unclear", None, 0),
    "silence": (Reply(raw=lambda wire: None), "unclear", "timeout", 75),
}


@pytest.mark.parametrize("name", ENDS)
def test_how_it_ends(name: str, world: World) -> None:
    reply, outcome, reason, status = ENDS[name]
    world.store("anthropic:default", ApiKey(key=GOOD))
    world.server.reply = lambda _: reply
    found = world.json("anthropic:default", status=status)
    assert (found["outcome"], found["reason"]) == (outcome, reason)
    assert len(world.server.asked) == 1, "a probe is not repeated"
    *_, probed = world.events()
    assert (probed.outcome, probed.detail) == (outcome, found["detail"])


def test_what_only_claude_code_may_use_gets_the_advice(world: World) -> None:
    world.store("anthropic:setup", Token(token="-".join(("sk", "ant", "oat", "fake"))))
    world.server.reply = lambda _: Reply(400, json.dumps(ONLY_CLAUDE_CODE).encode())
    result = world("anthropic:setup", status=1)
    assert "use an Anthropic API key" in result.out
    assert result.err == "to fix it: vault login anthropic:setup --method api-key\n"
    *_, probed = world.events()
    assert "use an Anthropic API key" in probed.detail
    (asked,) = world.server.asked
    assert asked.headers["anthropic-beta"] == "oauth-2025-04-20"


def test_what_is_not_there_to_be_tried(world: World) -> None:
    world.store("huggingface:old", Token(token=GOOD, expires_at=Instant(SystemClock().now() - HOUR)))
    for arguments, status in (
        ((), 64),
        (("openai", "--all"), 64),
        (("openai",), 66),
        (("openai:gone",), 66),
        (("huggingface:old",), 82),
        (("huggingface",), 82),
        (("openai", "--agent", "nobody"), 66),
    ):
        world(*arguments, status=status)
    assert world.server.asked == []
    assert world.events() == []


def test_where_nothing_honest_can_be_asked_nothing_is_handed_out(world: World) -> None:
    world.store("minimax:default", ApiKey(key=GOOD))
    found = world.json("minimax")
    assert (found["outcome"], found["status"]) == ("none", None)
    assert world.events() == []


def test_a_parents_profile_is_probed_as_its_own(world: World) -> None:
    with world.files.open(clock=SystemClock()) as context:
        add_agent(context, AgentId("coder"), MAIN_AGENT)
    world.store("openai:default", ApiKey(key=BAD))
    found = world.json("openai", "--agent", "coder", status=1)
    assert found["hint"] == "vault login openai:default"
    issued, probed = world.events()
    assert (issued.agent, issued.owner, probed.agent) == ("coder", "main", "main")


@pytest.mark.parametrize("known", [True, False])
def test_a_chatgpt_sign_in_names_its_account(known: bool, world: World) -> None:
    claims = {} if known else {"https://api.openai.com/auth": {"chatgpt_account_id": "fake-account"}}
    access = jwt({**claims, "mark": "fake"})
    account = {"accountId": "fake-account"} if known else {}
    world.store("openai:me", OAuth(access=access, account=account))
    world.server.reply = lambda asked: (
        Reply(200, b"{}") if asked.headers.get("chatgpt-account-id") == "fake-account" else Reply(400, b"{}")
    )
    assert world.json("openai:me")["outcome"] == "works"
    (asked,) = world.server.asked
    assert asked.path == "/chatgpt.com/backend-api/wham/usage"


def test_a_copilot_sign_in_is_tried_where_it_was_made(world: World) -> None:
    metadata, extra = {"client": "github-copilot-editor", "host": "c.ghe.com"}, {"api": "https://api.c.example"}
    short = f"tid={GOOD}"
    world.store("github-copilot:plain", OAuth(access=GOOD, metadata={"enterpriseUrl": "https://c.ghe.com"}))
    world.store("github-copilot:short", OAuth(access=short, metadata=metadata))
    world.store("github-copilot:told", OAuth(access=short, metadata=metadata, extra=extra))
    for name in ("plain", "short", "told"):
        world(f"github-copilot:{name}")
    assert [a.path for a in world.server.asked] == [
        "/api.c.ghe.com/copilot_internal/user",
        "/copilot-api.c.ghe.com/models",
        "/api.c.example/models",
    ]


@pytest.mark.parametrize("provider", ["ollama", "lmstudio"])
def test_a_local_provider_is_tried_without_a_credential(
    provider: str, world: World, config: Callable[[str], None]
) -> None:
    world.server.reply = lambda _: Reply(200, b'{"data": []}')
    found = world.json(provider)
    assert (found["outcome"], found["profile"], found["source"]) == ("works", None, None)
    config(f'[providers.{provider}]\nendpoint = "{world.server.url}/v1"\n')
    assert world.json(provider)["outcome"] == "works"
    world.server.reply = lambda _: Reply(raw=lambda wire: None)
    assert world.json(provider, status=75)["reason"] == "timeout"
    assert "authorization" not in repr([a.headers for a in world.server.asked])
    assert world.server.asked[1].path == "/v1/models"
    assert world.events() == []
    world(f"{provider}:default", status=66)


def test_a_key_stored_for_a_local_provider_goes_along(world: World) -> None:
    world.store("ollama:default", ApiKey(key=GOOD))
    assert world.json("ollama")["outcome"] == "works"
    assert [a.bearer for a in world.server.asked] == [GOOD, ""]


def test_a_custom_provider_of_a_family_is_tried_as_that_family_is(
    world: World, config: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    config(
        '[providers.bedrock-europe]\nfamily = "bedrock"\nregion = "eu-west-1"\n'
        f'[providers.my-azure]\nfamily = "azure"\nendpoint = "{world.server.url}/openai/v1"\n'
        '[providers.my-vertex]\nfamily = "vertex"\n'
    )
    world.store("bedrock-europe:default", Token(token=GOOD))
    world.store("my-azure:default", ApiKey(key=GOOD))
    world.store("my-vertex:default", Token(token=GOOD))
    assert world.json("bedrock-europe:default")["outcome"] == "works"
    assert world.json("my-azure:default")["outcome"] == "works"
    assert world.json("my-vertex:default")["outcome"] == "none"
    paths = [a.path for a in world.server.asked]
    assert paths[0] == "/bedrock.eu-west-1.amazonaws.com/foundation-models"
    assert set(paths[1:]) == {"/openai/v1/models"}
    assert world.server.asked[1].headers["api-key"] == GOOD


def test_where_a_cloud_provider_is_comes_from_the_environment_and_never_from_a_projects_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store("amazon-bedrock:default", Token(token=GOOD))
    world.store("azure:default", ApiKey(key=GOOD))
    Path(".env").write_text(f"AWS_REGION=eu-north-1\nAZURE_OPENAI_ENDPOINT={world.server.url}/stolen\n")
    assert world.json("amazon-bedrock:default")["outcome"] == "none"
    assert world.json("azure:default")["outcome"] == "none"
    assert world.server.asked == []
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", world.server.url)
    monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2024-02-01")
    assert world.json("amazon-bedrock:default")["outcome"] == "works"
    assert world.json("azure:default")["outcome"] == "works"
    assert [a.path for a in world.server.asked][:2] == [
        "/bedrock.us-west-2.amazonaws.com/foundation-models",
        "/openai/models?api-version=2024-02-01",
    ]


def test_all_tries_every_profile_and_every_variable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.store("anthropic:good", ApiKey(key=GOOD))
    world.store("anthropic:wrong", ApiKey(key=BAD))
    world.store("huggingface:old", Token(token=GOOD, expires_at=Instant(SystemClock().now() - HOUR)))
    world.store("minimax:default", ApiKey(key=GOOD))
    monkeypatch.setenv("GROQ_API_KEY", GOOD)
    monkeypatch.setenv("GITHUB_TOKEN", GOOD)
    found = world.json("--all", status=82)
    assert found["agent"] == "main"
    rows = {row["what"]: row for row in found["probes"]}
    told = {what: (row["outcome"], row["source"], (row["error"] or {}).get("exit")) for what, row in rows.items()}
    shared = {what: row for what, row in told.items() if row[1] == "env:GITHUB_TOKEN"}
    assert shared
    assert {row[0] for row in shared.values()} == {"none"}
    assert {what: row for what, row in told.items() if what not in shared} == {
        "anthropic:good": ("works", "stored", None),
        "anthropic:wrong": ("refused", "stored", None),
        "huggingface:old": (None, None, 82),
        "minimax:default": ("none", "stored", None),
        "groq": ("works", "env:GROQ_API_KEY", None),
    }
    probed = [e.profile for e in world.events() if isinstance(e, ProfileProbed)]
    assert probed == ["anthropic:good", "anthropic:wrong"]
    assert "github" not in repr([a.path for a in world.server.asked])
    result = world("--all", status=82)
    assert "anthropic:wrong: refused (the provider refuses the credential)\n" in result.out
    assert "huggingface:old" in result.err


@pytest.mark.parametrize(
    ("secrets", "status"), [([GOOD], 0), ([GOOD, BAD], 1), ([], 0)], ids=["all good", "one refused", "nothing"]
)
def test_how_all_ends(secrets: list[str], status: int, world: World) -> None:
    for number, secret in enumerate(secrets):
        world.store(f"openai:{number}", ApiKey(key=secret))
    result = world("--all", status=status)
    assert len(result.lines) == len(secrets)
    assert bool(result.err) == (not secrets)


def test_a_probe_shows_in_the_status(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.store("openai:default", ApiKey(key=BAD))
    for secret, word in ((BAD, "unproven"), (GOOD, "proven")):
        world.store("openai:default", ApiKey(key=secret))
        world("openai", status=0 if secret == GOOD else 1)
        capsys.readouterr()
        assert main.run(["status", "openai", "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)["providers"]
        assert row["word"] == word
        assert row["proof"].startswith("probe: ")


def test_the_credential_is_shown_nowhere(world: World, canary: Canary) -> None:
    world.store("openai:default", ApiKey(key=str(canary)))
    echo: list[Callable[[Asked], Reply]] = [
        lambda asked: Reply(401, repr(asked.headers).encode()),
        lambda asked: Reply(302, b"", {"Location": f"/{asked.bearer}"}),
        lambda asked: Reply(200, json.dumps({"error": asked.bearer}).encode()),
    ]
    for reply in echo:
        world.server.reply = reply
        for more in ((), ("--json",)):
            result = world("openai", *more, status=1 if reply is echo[0] else 0)
            canary.assert_absent(result.out, result.err)
    canary.assert_absent(repr(world.events()))
