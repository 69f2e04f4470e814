"""Signing in where no person is: the exact line to type and status 82. And ``wizard``, which tells an agent that line and why."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.cli.running import Real, Shell
from tests.cli.signing_in import Place, browse
from tests.oauth.authority import Fault
from tests.support import Files, FixedClock
from vault.commands.advice import provider_of_url
from vault.commands.login import log_in
from vault.events.credentials import ApiKey, OAuth, Token, WellKnown
from vault.providers.clients import client, registry, remembered
from vault.providers.methods import methods
from vault.values import DAY, HOUR, MAIN_AGENT, MINUTE, AgentId, Instant, ProfileId

INTERACTIVE = [(p, m.id) for p in sorted(registry().methods) for m in methods(p) if m.interactive]


@pytest.mark.parametrize(("provider", "method"), INTERACTIVE)
def test_every_interactive_method_ends_with_the_line(files: Files, shell: Shell, provider: str, method: str) -> None:
    told = shell("login", provider, "--method", method, status=82)
    line = f"vault login {provider} --method {method}"
    assert told.err == f"vault: a person must sign in, and there is no terminal here: {line}\n"
    assert shell("login", provider, "--method", method, "--json", status=82).error["hint"] == line
    with files.open() as context:
        assert context.store.head().position == 1


@pytest.mark.parametrize(
    "line",
    [
        "vault login openai",
        "vault login openai --device",
        "vault login openai:work --browser",
        "vault login openai --profile work --label 'my own'",
        "vault login xai --reason 'it ended' --agent coder",
        "vault login github-copilot --host company.ghe.com",
        "vault login github-copilot --host company.ghe.com --device",
        "vault login google --client-id my.apps.example --browser",
        "vault login https://auth.example.com",
        "vault login https://auth.example.com --profile work --agent coder",
        "vault login --issuer https://auth.example.com --client-id abc --device",
        "vault login company --issuer https://auth.example.com --client-id abc --scope a --scope 'b c'",
    ],
)
@pytest.mark.usefixtures("files")
def test_the_line_is_the_one_that_was_asked_for(shell: Shell, line: str) -> None:
    told = shell(*shlex.split(line)[1:], "--json", status=82).error
    assert told["code"] == "sign_in_again"
    assert told["hint"] == line


def test_the_line_is_the_one_that_signs_in(place: Place, real: Real) -> None:
    """An agent's own words, its person's terminal."""
    asked = ["login", "--issuer", place.server.url, "--client-id", "fake-client", "--device", "--agent", "coder"]
    line = real(*asked, status=82).err.rpartition("there is no terminal here: ")[2].strip()
    assert place.authority.requests == []
    with place.shell(line) as talk:
        talk.end()
    place.works(f"{provider_of_url(place.server.url)}:default", "coder")


def test_a_terminal_with_no_input_is_no_person(place: Place) -> None:
    with place.terminal("login", "openai", "--no-input") as talk:
        assert "a person must sign in, and there is no terminal here: vault login openai" in talk.end(82)
    assert place.authority.requests == []


def test_a_key_that_nobody_can_type_may_come_by_a_pipe(files: Files, shell: Shell) -> None:
    told = shell("login", "anthropic", status=82)
    assert "give it with --stdin, --from-file PATH or --from-fd N" in told.err
    shell("login", "anthropic", "--method", "api-key", "--stdin", stdin="fake-key")
    assert shell("get", "anthropic").out == "fake-key\n"


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("openai --stdin --browser", 64, "a secret and a sign-in are both asked for"),
        ("openai --stdin --method device", 64, "a secret and a sign-in are both asked for"),
        ("https://auth.example.com --token-stdin", 64, "a secret and a sign-in are both asked for"),
        ("github-copilot --stdin --host company.ghe.com", 64, "a secret and a sign-in are both asked for"),
        ("openai --device --browser", 64, "two ways to sign in are named"),
        ("openai --device --method browser", 64, "two ways to sign in are named"),
        (
            "openai --issuer https://auth.example.com --client-id a --method browser",
            64,
            "two ways to sign in are named",
        ),
        ("https://auth.example.com --device", 64, "two ways to sign in are named"),
        ("openai --issuer https://auth.example.com", 64, "no client is named: add --client-id ID"),
        ("groq --client-id abc", 64, "Groq API key has no OAuth client: leave out --client-id, or add --issuer URL"),
        ("https://auth.example.com --client-id abc", 64, "has no OAuth client: leave out --client-id"),
        ("openai --host company.ghe.com", 64, "openai has no sign-in at another host: leave out --host"),
        ("--issuer nonsense --client-id abc", 65, "that is not a URL: write it as https://host"),
        ("ollama", 64, "ollama needs no credential"),
        ("openai --method nonsense", 66, "openai has no sign-in method 'nonsense': it has: browser, device, api-key"),
        ("huggingface --browser", 66, "huggingface has no sign-in method 'browser': it has: device, api-key"),
        ("google-vertex", 66, "vault provider show google-vertex says what it reads"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_does_not_fit_together_is_said(shell: Shell, line: str, status: int, words: str) -> None:
    assert words in shell("login", *line.split(), stdin="fake-key", status=status).err


class Stored:
    """Puts credentials into a vault as earlier sign-ins would have left them."""

    def __init__(self, files: Files, clock: FixedClock) -> None:
        self.files, self.clock = files, clock

    def __call__(self, profile: str, credential: ApiKey | Token | OAuth | WellKnown, agent: str = MAIN_AGENT) -> None:
        with self.files.open(self.clock) as context:
            log_in(context, AgentId(agent), ProfileId(profile), credential)

    def ends(self, after: int) -> Instant:
        return Instant(self.clock.now() + after)


@pytest.fixture
def stored(files: Files, clock: FixedClock) -> Stored:
    return Stored(files, clock)


def test_wizard_for_what_is_missing(stored: Stored, shell: Shell) -> None:
    told = shell.json("wizard", "anthropic", "--agent", "main")
    assert {k: told[k] for k in ("schema", "provider", "agent", "state", "why", "reasons", "run")} == {
        "schema": "vault.wizard/1",
        "provider": "anthropic",
        "agent": "main",
        "state": "missing",
        "why": "nothing is stored or set for it",
        "reasons": [],
        "run": "vault login anthropic --method api-key",
    }
    assert [(way["method"], way["kind"], way["run"]) for way in told["ways"]] == [
        ("api-key", "api_key", "vault login anthropic --method api-key"),
        ("setup-token", "setup_token", "vault login anthropic --method setup-token"),
        ("claude-code", "external", "vault login anthropic --method claude-code"),
    ]
    assert "use an API key" in told["ways"][1]["note"]


def test_wizard_for_what_works(stored: Stored, shell: Shell) -> None:
    stored("openai:default", ApiKey(key="fake-key"))
    told = shell.json("wizard", "openai")
    assert (told["state"], told["why"], told["run"]) == ("ok", None, None)
    assert told["reasons"] == [{"what": "openai:default", "code": "chosen", "text": "chosen"}]
    assert [way["method"] for way in told["ways"]] == ["api-key", "browser", "device"]
    assert shell("wizard", "openai").out.splitlines()[:2] == [
        "openai: nothing needs to be done",
        "To sign in again, a person runs one of these in a terminal:",
    ]


@pytest.mark.parametrize(("after", "state"), [(-HOUR, "expired"), (HOUR, "expiring")])
def test_wizard_names_the_profile_and_the_way_of_what_ends(
    stored: Stored, shell: Shell, after: int, state: str
) -> None:
    stored("anthropic:work", Token(token="sk-ant-oat01-fake", expires_at=stored.ends(after)))
    told = shell.json("wizard", "anthropic")
    assert told["state"] == state
    assert "nothing can refresh it" in told["why"]
    assert told["reasons"][0]["what"] == "anthropic:work"
    assert told["run"] == "vault login anthropic:work --method setup-token"


def test_wizard_names_the_agent_that_owns_what_has_ended(stored: Stored, shell: Shell) -> None:
    shell("agent", "add", "coder")
    stored("anthropic:default", Token(token="sk-ant-oat01-fake", expires_at=stored.ends(-HOUR)))
    stored("xai:default", Token(token="fake-token", expires_at=stored.ends(-HOUR)), "coder")
    inherited = shell.json("wizard", "anthropic", "--agent", "coder")
    assert inherited["run"] == "vault login anthropic:default --method setup-token"
    own = shell.json("wizard", "xai", "--agent", "coder")
    assert own["run"] == "vault login xai:default --method device --agent coder"
    missing = shell.json("wizard", "openai", "--agent", "coder")
    assert missing["run"] == "vault login openai --method browser --agent coder"


def test_wizard_for_a_provider_that_is_switched_off(
    stored: Stored, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored("openai:default", ApiKey(key="fake-key"))
    monkeypatch.setenv("VAULT_DISABLED_PROVIDERS", "openai")
    told = shell.json("wizard", "openai")
    assert (told["state"], told["run"], told["ways"]) == ("unusable", "unset VAULT_DISABLED_PROVIDERS", [])
    assert "disable it" in told["why"]
    assert told["reasons"][0]["code"] == "provider_disabled"
    assert shell("wizard", "openai").out.endswith("Ask a person to run: unset VAULT_DISABLED_PROVIDERS\n")


def test_wizard_for_a_profile_that_is_disabled(stored: Stored, shell: Shell) -> None:
    stored("openai:default", ApiKey(key="fake-key"))
    shell("report", "openai:default", "failure", "--reason", "billing")
    told = shell.json("wizard", "openai")
    assert told["state"] == "unusable"
    assert told["reasons"] == [{"what": "openai:default", "code": "disabled", "text": "disabled after a failure"}]
    assert told["run"] == "vault login openai --method browser"


ONLY = "This credential is only authorized for use with Claude Code and cannot be used for other API requests."


def test_what_is_only_for_claude_code_is_said_and_an_api_key_advised(place: Place, real: Real) -> None:
    """Anthropic's own limit, where it shows: at a probe, and from then on in status and to an agent."""
    real("login", "anthropic", "--kind", "token", "--stdin", stdin=f"sk-ant-oat01-{place.canary}")
    place.authority.fault("/v1/models", Fault("status", status=400, body=json.dumps({"error": {"message": ONLY}})))
    advice = "this credential is only for Claude Code; use an Anthropic API key for other programs"
    assert advice in real("probe", "anthropic", status=1).out
    assert advice in real("status", "anthropic", "--json").json["providers"][0]["proof"]
    told = real("wizard", "anthropic", "--json").json
    assert advice in told["why"]
    assert told["run"] == "vault login anthropic:default --method api-key"


def test_wizard_for_a_refresh_token_that_was_refused(place: Place, real: Real) -> None:
    with place.terminal("login", "xai", "--device") as talk:
        talk.end()
    place.authority.dead.update(range(10))
    real("refresh", "xai:default", status=82)
    told = real("wizard", "xai", "--json").json
    assert told["state"] == "needs_sign_in"
    assert told["why"] == "the provider refused the refresh token (invalid_grant)"
    assert told["run"] == "vault login xai:default --method device"


def test_wizard_for_a_refresh_without_an_outcome(place: Place, real: Real) -> None:
    """It is tried once more by itself, so no person is sent for."""
    with place.terminal("login", "xai", "--device") as talk:
        talk.end()
    place.authority.fault("/token", Fault("drop", after=True))
    real("refresh", "xai:default", status=75)
    told = real("wizard", "xai", "--json").json
    assert (told["state"], told["run"]) == ("uncertain", "vault refresh xai:default")


def test_wizard_for_a_login_found_by_discovery(place: Place, real: Real) -> None:
    """The line is the one it came by: its name alone would ask for an API key."""
    words = ["--issuer", place.server.url, "--client-id", "fake-client", "--scope", "models"]
    with place.terminal("login", "company", *words) as talk:
        address = browse(talk.url())
        talk.until("ended at: ")
        talk.type(address)
        talk.end()
    place.authority.dead.update(range(10))
    real("refresh", "company:default", status=82)
    told = real("wizard", "company", "--json").json
    assert told["run"] == shlex.join(["vault", "login", "company:default", *words])
    place.authority.dead.clear()
    with place.shell(told["run"]) as talk:
        address = browse(talk.url())
        talk.until("ended at: ")
        talk.type(address)
        talk.end()
    place.works("company:default")


def test_wizard_for_a_url(stored: Stored, shell: Shell) -> None:
    stored("auth.example.com:work", WellKnown(url="https://auth.example.com", env="MY_TOKEN", token="fake-token"))
    shell("logout", "auth.example.com:work")
    shell("restore", "auth.example.com:work")
    told = shell.json("wizard", "auth.example.com")
    assert told["state"] == "ok"
    assert [way["run"] for way in told["ways"]] == ["vault login https://auth.example.com --profile work"]


def test_wizard_for_what_its_own_tool_refreshes(stored: Stored, shell: Shell, files: Files, clock: FixedClock) -> None:
    with files.open(clock) as context:
        tokens = OAuth(access="fake-access", refresh="fake-refresh", expires_at=Instant(clock.now() + MINUTE))
        log_in(context, MAIN_AGENT, ProfileId("anthropic:claude-code"), tokens, ownership="external")
    clock.forward(HOUR)
    told = shell.json("wizard", "anthropic")
    assert told["state"] == "stale"
    assert "has not" in told["why"]
    assert told["run"] != told["ways"][0]["run"]


def test_wizard_for_a_cloud(files: Files, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    told = shell.json("wizard", "google-vertex")
    assert (told["state"], told["run"], told["ways"]) == ("missing", "vault doctor vertex", [])
    assert told["why"]
    told = shell.json("wizard", "amazon-bedrock")
    assert (told["state"], told["run"]) == ("missing", "vault login amazon-bedrock")
    for name, value in (
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "fake-access-key-id"),
        ("AWS_SECRET_ACCESS_KEY", "fake-secret-key"),
    ):
        monkeypatch.setenv(name, value)
    told = shell.json("wizard", "amazon-bedrock")
    assert (told["state"], told["run"]) == ("ok", None)
    assert told["reasons"] != []


def test_wizard_for_what_needs_no_credential(files: Files, shell: Shell) -> None:
    told = shell.json("wizard", "ollama")
    assert (told["state"], told["run"], told["ways"]) == ("ok", None, [])
    assert shell("wizard", "ollama").out == "ollama needs no credential\n"


def test_wizard_where_there_is_no_vault(shell: Shell) -> None:
    told = shell.json("wizard", "openai")
    assert told["state"] is None
    assert "vault init" in told["why"]
    assert told["run"] == "vault init"
    assert told["ways"][0]["run"] == "vault login openai --method browser"


def test_wizard_where_the_vault_is_locked(files: Files, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_KEY_FILE")
    told = shell.json("wizard", "openai")
    assert told["state"] is None
    assert "locked" in told["why"]
    assert told["ways"][0]["run"] == "vault login openai --method browser"


def test_wizard_for_an_agent_nobody_knows(files: Files, shell: Shell) -> None:
    told = shell.json("wizard", "openai", "--agent", "newcomer")
    assert told["state"] is None
    assert "newcomer" in told["why"]
    assert told["run"] == "vault login openai --method browser --agent newcomer"


def test_wizard_never_shows_a_secret_or_hands_one_out(stored: Stored, shell: Shell) -> None:
    stored("xai:default", OAuth(access="fake-access", refresh="fake-refresh", metadata=remembered(client("xai"), {})))
    stored("groq:default", Token(token="fake-token", expires_at=stored.ends(-DAY)))
    for provider in ("xai", "groq"):
        for words in ([], ["--json"]):
            told = shell("wizard", provider, *words)
            assert "fake-" not in told.out + told.err
    with stored.files.open(stored.clock) as context:
        assert context.store.head().position == 3
