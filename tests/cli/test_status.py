"""status: every state of every kind of credential by table, through the command; which exit status wins; the words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.lives import build, end, hold, lose, opencode_login, probed
from tests.cli.running import Shell, ended, terminal
from tests.cli.standings import CELLS, CHECK, HELD, IMPOSSIBLE, KINDS, NOW, STATES, Case, P, ending
from tests.providers.server import Reply, serving
from tests.support import Files
from vault.commands import status as words
from vault.events.credentials import ApiKey, Token
from vault.providers.judging import CLAUDE_CODE_ONLY
from vault.values import DAY, HOUR, MINUTE


def test_the_table_has_every_state_of_every_kind() -> None:
    assert set(CELLS) | set(IMPOSSIBLE) == {(kind, state) for kind in KINDS for state in STATES}
    assert set(CELLS) & set(IMPOSSIBLE) == set()


@pytest.mark.parametrize(
    ("kind", "state", "case"),
    [
        pytest.param(kind, state, case, id=f"{kind}, {state}: {case.what}")
        for (kind, state), cases in CELLS.items()
        for case in cases
    ],
)
def test_status_of_every_state_and_kind(
    shell: Shell,
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    state: str,
    case: Case,
) -> None:
    build(files, shell.clock, *case.makes)
    monkeypatch.setenv("VAULT_CONFIG", str(tmp_path / "config.toml"))
    for name, value in case.environ.items():
        monkeypatch.setenv(name, value)
    if case.dotenv:
        Path(".env").write_text(case.dotenv)
    if case.settings:
        (tmp_path / "config.toml").write_text(case.settings)
    before = shell.json("history", "-n", "1")
    expected = CHECK.get(state, 1) if case.check is None else case.check
    told = shell.json("status", case.provider, "--check", status=expected)
    (found,) = told["providers"]
    assert (found["provider"], found["state"], found["check"], told["check"]) == (
        case.provider,
        state,
        expected,
        expected,
    )
    assert (found["chosen"], found["hint"]) == (case.chosen, case.hint)
    assert (found["hint"] is None) == (state == words.OK)
    assert (found["text"] is None) == (state == words.OK)
    assert found["word"] == ("unproven" if "refused" in case.what and case.chosen else "claimed")
    if case.chosen:
        sources = {"env": "environment", "dotenv": ".env"}
        assert found["source"] == sources.get(case.chosen.partition(":")[0], "stored")
        kinds = {"environment": "environment", ".env": "environment", "local": "api_key", "external": "oauth"}
        assert found["kind"] == kinds.get(kind, kind.partition(" ")[0])
    shell("status", case.provider, "--check", status=expected)
    shell("status", case.provider, status=0)
    assert shell.json("history", "-n", "1") == before, "looking appends nothing"


# -- several at once


def test_which_exit_status_wins(shell: Shell, files: Files) -> None:
    assert shell("status", "--check").out == ""
    build(files, shell.clock, HELD["api_key"])
    assert shell.json("status", "--check")["check"] == 0
    build(files, shell.clock, hold("openai:a", Token(token="fake-token", expires_at=NOW + HOUR)))
    assert shell.json("status", "--check", status=2)["check"] == 2
    build(files, shell.clock, hold("mistral:a", Token(token="fake-token", expires_at=NOW - HOUR)))
    told = shell.json("status", "--check", status=1)
    assert {p["provider"]: p["check"] for p in told["providers"]} == {"groq": 0, "openai": 2, "mistral": 1}
    shell("status", "groq", "--check", status=0)
    shell("status", "openai", "--check", status=2)
    assert shell.json("status")["check"] == 1, "without --check it is told, and the exit status is 0"


def test_time_alone_brings_the_warning(shell: Shell, files: Files) -> None:
    build(files, shell.clock, hold(P, Token(token="fake-token", expires_at=NOW + 3 * DAY)))
    for forward, expected in ((0, 0), (2 * DAY - 1, 0), (1, 2), (DAY - 1, 2), (1, 1), (30 * DAY, 1)):
        shell.clock.forward(forward)
        shell("status", "--check", status=expected)


def test_what_comes_first_is_what_counts(shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spare that has expired is no trouble while another is used; an expired one that is pinned is."""
    build(files, shell.clock, HELD["api_key"], hold("groq:old", Token(token="fake-token", expires_at=NOW - 1)))
    assert shell.json("status", "--check")["providers"][0]["chosen"] == P
    with files.open(shell.clock) as context:
        from vault.commands.rotation import pin
        from vault.values import MAIN_AGENT, ProfileId

        pin(context, MAIN_AGENT, ProfileId("groq:old"))
    (found,) = shell.json("status", "--check", status=1)["providers"]
    assert (found["state"], found["hint"]) == ("unusable", "vault why groq")
    shell("unpin", "groq")
    monkeypatch.setenv("GROQ_API_KEY", "fake-key")
    (found,) = shell.json("status", "--check")["providers"]
    assert (found["chosen"], found["source"], found["owner"]) == ("env:GROQ_API_KEY", "environment", None)


def test_an_order_or_a_pin_whose_profiles_are_gone(shell: Shell, files: Files) -> None:
    build(files, shell.clock, HELD["api_key"])
    shell("order", "set", "--provider", "groq", "default")
    shell("logout", P)
    (found,) = shell.json("status", "--check", status=1)["providers"]
    assert (found["state"], found["hint"]) == ("missing", "vault doctor --fix")
    assert "the order of agent main names only what is gone: groq:default" in found["text"]
    build(files, shell.clock, hold("groq:new", ApiKey(key="fake-key")))
    (found,) = shell.json("status", "--check", status=1)["providers"]
    assert (found["state"], found["hint"]) == ("unusable", "vault doctor --fix")
    assert "groq:new (passed over: the order doesn't name it)" in found["text"]
    shell("order", "clear", "--provider", "groq")
    shell("pin", "groq:new")
    shell("logout", "groq:new")
    (found,) = shell.json("status", "--check", status=1)["providers"]
    assert (found["state"], found["text"]) == ("missing", "agent main is pinned to groq:new, which is gone")


def test_what_is_in_use(shell: Shell, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def used() -> list[str]:
        return [p["provider"] for p in shell.json("status")["providers"]]

    assert used() == []
    build(files, shell.clock, HELD["api_key"], hold("mistral:a", ApiKey(key="fake-key")), end("mistral:a"))
    assert used() == ["groq"], "what was logged out on purpose is missed by nobody"
    monkeypatch.setenv("OPENROUTER_API_KEY", "fake-key")
    Path(".env").write_text("XAI_API_KEY=fake-key\n")
    assert used() == ["groq", "openrouter", "xai"]
    monkeypatch.setenv("VAULT_SOURCES", "stored,environment")
    assert used() == ["groq", "openrouter"]
    monkeypatch.setenv("VAULT_SOURCES", "stored")
    assert used() == ["groq"], "a variable that isn't looked at is no use of a provider"
    monkeypatch.delenv("VAULT_SOURCES")
    monkeypatch.setenv("VAULT_DISABLED_PROVIDERS", "groq,xai")
    assert used() == ["openrouter"]
    monkeypatch.setenv("VAULT_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text('[providers.ollama]\nendpoint = "http://localhost:11434/v1"\n')
    assert used() == ["ollama", "openrouter"]


# -- other agents


def test_inheritance(shell: Shell, furnished: Files) -> None:
    def of(agent: str, *words: str, status: int = 0) -> dict[str, Any]:
        told = shell.json("status", "--agent", agent, "--check", *words, status=status)
        return {p["provider"]: p for p in told["providers"]}

    main, coder = of("main", status=1), of("coder", status=1)
    assert main["openai"]["chosen"] == "openai:default"
    assert (coder["openai"]["chosen"], coder["openai"]["owner"]) == ("openai:default", "main")
    assert (coder["anthropic"]["chosen"], coder["anthropic"]["owner"]) == ("anthropic:work", "main")
    assert coder["huggingface"]["hint"] == "vault login huggingface:old", "the line is for the agent that owns it"
    assert of("lone") == {}
    assert of("lone", "anthropic", status=1)["anthropic"]["hint"] == "vault login anthropic --agent lone"
    assert of("coder", "openai") == {"openai": coder["openai"]}
    assert "anthropic:work (of main)" in shell("status", "--agent", "coder").row("anthropic")
    shell("status", "--agent", "nobody", status=66)


def test_an_own_profile_hides_the_parent_s(shell: Shell, furnished: Files) -> None:
    expired = Token(token="fake-token", expires_at=shell.clock.now() - 1)
    build(furnished, shell.clock, hold("anthropic:work", expired, "coder"), hold("openai:own", expired, "coder"))
    told = {p["provider"]: p for p in shell.json("status", "--agent", "coder")["providers"]}
    assert told["anthropic"]["chosen"] == "anthropic:default"
    assert (told["openai"]["chosen"], told["openai"]["owner"]) == ("openai:default", "main")


# -- claimed, proven, unproven


def test_the_word_is_what_was_proven_last(shell: Shell, files: Files) -> None:
    def word() -> tuple[str, bool]:
        (found,) = shell.json("status", "groq")["providers"]
        assert (found["proven_at"] is None) == (found["proof"] is None) == (found["word"] == "claimed")
        return found["word"], found["proof"] is not None

    build(files, shell.clock, HELD["api_key"])
    assert word() == ("claimed", False)
    for outcome, expected in (
        ("works", "proven"),
        ("refused", "unproven"),
        ("works", "proven"),
        ("unclear", "unproven"),
    ):
        build(files, shell.clock, probed(P, outcome))
        assert word() == (expected, True)
    build(files, shell.clock, hold(P, ApiKey(key="fake-key-2")))
    assert word() == ("claimed", False), "what was proven was another credential"


def test_a_refresh_proves_too(shell: Shell, files: Files) -> None:
    build(files, shell.clock, ending("oauth", NOW - HOUR), lose("xai:default", "refused"))
    (found,) = shell.json("status", "xai")["providers"]
    assert (found["word"], found["proof"]) == ("claimed", None), "nothing would be used"
    build(files, shell.clock, ending("oauth", NOW + HOUR), lose("xai:default", "refused"))
    (found,) = shell.json("status", "xai")["providers"]
    assert (found["word"], found["proof"]) == ("unproven", "refresh: refused (invalid_grant)")


def test_probing_tells_and_records(shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    build(files, shell.clock, HELD["api_key"])
    monkeypatch.setenv("MISTRAL_API_KEY", "fake-key-of-the-environment")
    with serving() as server:
        monkeypatch.setenv("VAULT_OAUTH_ENDPOINTS", server.url)
        server.reply = lambda asked: Reply(200 if asked.bearer == "fake-key" else 401)
        told = {p["provider"]: p for p in shell.json("status", "--probe")["providers"]}
        assert (told["groq"]["word"], told["groq"]["probe"]["outcome"]) == ("proven", "works")
        assert (told["mistral"]["word"], told["mistral"]["probe"]["outcome"]) == ("claimed", "refused")
        said = shell("status", "--probe").err
        assert "mistral: env:MISTRAL_API_KEY: refused" in said
        assert "groq" not in said
    assert "profile_probed" in {e["type"] for e in shell.json("history")["events"]}
    assert all(p["probe"] is None for p in shell.json("status")["providers"])


# -- other tools' logins


def test_another_tool_s_login(shell: Shell, files: Files, tmp_path: Path) -> None:
    def found() -> dict[str, Any]:
        (one,) = shell.json("status", "openai")["providers"]
        assert isinstance(one, dict)
        return one

    store = tmp_path / "auth.json"
    opencode_login(store, "first", NOW + HOUR)
    shell("import", "opencode", "--from", str(store))
    profile = found()["chosen"]
    shell.clock.forward(HOUR - MINUTE)
    assert found()["state"] == "ok", "its own tool renews it"
    assert "renewed by its own tool" in shell("status", "openai").out
    shell.clock.forward(MINUTE)
    stale = found()
    assert (stale["state"], stale["check"], stale["hint"]) == (
        "stale",
        1,
        "use OpenCode once, or sign in with it again",
    )
    before = shell.json("history", "-n", "1")
    opencode_login(store, "second", NOW + 3 * HOUR)
    renewed = found()
    assert (renewed["state"], renewed["chosen"], renewed["check"]) == ("ok", profile, 0)
    assert renewed["text"] == "opencode has renewed it; that is read at its next use"
    assert shell.json("history", "-n", "1") == before
    assert shell("get", "openai").out == "fake-access-second\n"
    assert found()["text"] is None
    shell.clock.forward(3 * HOUR)
    store.write_text("{}")
    gone = found()
    assert (gone["state"], gone["hint"]) == ("missing", "sign in with OpenCode again")
    assert gone["text"] == f"it has ended, and {store} no longer holds it"
    store.write_text("{")
    assert found()["state"] == "stale"


def test_another_tool_s_login_is_judged_by_what_its_store_holds_now(shell: Shell, files: Files, tmp_path: Path) -> None:
    """What was taken over has not ended; what counts is what would be taken over at the next use."""

    def found(expected: int = 0) -> dict[str, Any]:
        (one,) = shell.json("status", "openai", "--check", status=expected)["providers"]
        assert isinstance(one, dict)
        return one

    store = tmp_path / "auth.json"
    opencode_login(store, "first", NOW + HOUR)
    shell("import", "opencode", "--from", str(store))
    profile = found()["chosen"]
    before = shell.json("history", "-n", "1")
    opencode_login(store, "second", NOW + 2 * HOUR)
    assert (found()["state"], found()["text"]) == ("ok", None)
    opencode_login(store, "third", NOW - HOUR)
    one = found(1)
    assert (one["state"], one["text"]) == ("stale", "OpenCode holds another one now, which has ended")
    assert one["hint"] == "use OpenCode once, or sign in with it again"
    assert "renewed by its own tool" not in shell("status", "openai").out
    for gone in (lambda: store.write_text("{}"), store.unlink):
        gone()
        one = found(1)
        assert (one["state"], one["chosen"], one["hint"]) == ("missing", profile, "sign in with OpenCode again")
        assert str(store) in one["text"]
    store.write_text("{")
    one = found()
    assert (one["state"], one["chosen"]) == ("ok", profile)
    assert one["text"].endswith(": what the vault has is used until it ends")
    assert shell.json("history", "-n", "1") == before
    opencode_login(store, "fourth", NOW - HOUR)
    build(files, shell.clock, hold("openai:spare", ApiKey(key="fake-spare-key")))
    one = found()
    assert (one["state"], one["chosen"], one["kind"]) == ("ok", "openai:spare", "api_key")
    assert shell("get", "openai").out == "fake-spare-key\n"


def test_what_a_probe_refused(shell: Shell, files: Files, tmp_path: Path) -> None:
    """It is told until a probe works, a refresh works or somebody signs in; a newer login of another tool clears it too."""

    def found(provider: str, expected: int = 0) -> dict[str, Any]:
        (one,) = shell.json("status", provider, "--check", status=expected)["providers"]
        assert isinstance(one, dict)
        return one

    build(files, shell.clock, HELD["api_key"], probed(P, "refused"))
    one = found("groq", 1)
    assert (one["state"], one["chosen"], one["hint"]) == ("refused", P, "vault login groq:default")
    assert one["text"] == "the provider refused it when it was asked last (probe: refused)"
    for clears in (probed(P, "works"), HELD["api_key"]):
        build(files, shell.clock, clears)
        assert found("groq")["state"] == "ok"
        build(files, shell.clock, probed(P, "refused"))
        assert found("groq", 1)["state"] == "refused"
    soon = hold(P, Token(token="fake-token", expires_at=NOW + HOUR))
    build(files, shell.clock, soon, probed(P, "refused"))
    assert found("groq", 1)["state"] == "refused", "it matters more than that it ends soon"
    claude = probed("anthropic:a", "refused", detail=CLAUDE_CODE_ONLY)
    build(files, shell.clock, hold("anthropic:a", Token(token="fake-token")), claude)
    assert found("anthropic", 1)["hint"] == "vault login anthropic:a --method api-key"
    assert shell.json("wizard", "anthropic")["run"] == "vault login anthropic:a --method api-key"

    store = tmp_path / "auth.json"
    opencode_login(store, "first", NOW + HOUR)
    shell("import", "opencode", "--from", str(store))
    build(files, shell.clock, probed("openai:default", "refused"))
    assert found("openai", 1)["state"] == "refused"
    opencode_login(store, "second", NOW + HOUR)
    assert found("openai")["state"] == "ok"


# -- how it looks


def test_the_table_says_what_to_do(shell: Shell, files: Files) -> None:
    build(files, shell.clock, ending("oauth", NOW + HOUR), hold(P, Token(token="fake-token", expires_at=NOW + HOUR)))
    told = shell("status")
    assert told.row("xai").split() == ["xai", "ok", "xai:default", "stored", "renewed", "at", "use", "ok", "claimed"]
    assert told.row("groq").split() == ["groq", "expiring", P, "stored", "in", "1h", "ok", "claimed"]
    assert told.err.splitlines() == [
        "groq: it expires within 24 hours, and nothing can refresh it",
        "    → vault login groq:default",
    ]
    assert "none needed" in shell("status", "ollama").row("ollama")
    assert "fake-" not in told.out + told.err


def test_on_a_terminal_a_mark_is_beside_the_state(furnished: Files) -> None:
    with terminal("status") as child:
        status, said = ended(child)
    assert status == 0
    assert "✓ ok" in said
    assert "✗ expired" in said
    assert "    → vault login huggingface:old" in said


def test_with_nothing_in_use(shell: Shell, files: Files) -> None:
    told = shell("status", "--check")
    assert (told.out, told.err) == ("", "agent main uses no provider; make a profile with: vault login PROVIDER\n")
    assert shell.json("status") == {"schema": "vault.status/1", "agent": "main", "check": 0, "providers": []}


def test_why_of_a_local_provider(shell: Shell, files: Files) -> None:
    told = shell("why", "ollama")
    assert told.out == "agent main needs nothing for ollama: it runs on this machine and needs no credential\n"
    assert shell.json("why", "ollama")["basis"] == "it runs on this machine and needs no credential"
