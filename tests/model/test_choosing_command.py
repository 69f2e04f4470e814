"""why and report, typed: what the table and the JSON say of everybody, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.support import START, Files, FixedClock, make_files
from vault.values import DAY


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    files = make_files(tmp_path / "vault")
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    return files


@pytest.fixture
def shell(files: Files, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A vault where main has groq:a and groq:b."""
    clock = FixedClock(START + DAY)
    monkeypatch.setattr("vault.context.SystemClock", lambda: clock)
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    shell = Shell(clock, monkeypatch, capsys)
    for name in "ab":
        shell.login(f"groq:{name}", f"fake-key-{name}")
    return shell


def codes(shell: Shell, *arguments: str) -> dict[tuple[str, str], str]:
    return {(c["candidate"], c["owner"]): c["code"] for c in shell.json("why", "groq", *arguments)["candidates"]}


def test_why_names_a_logged_out_profile_though_an_order_is_set(shell: Shell) -> None:
    shell("order", "set", "--provider", "groq", "a")
    shell("logout", "groq:b")
    assert codes(shell) == {("groq:a", "main"): "chosen", ("groq:b", "main"): "missing"}
    shell("pin", "groq:a")
    assert codes(shell) == {("groq:a", "main"): "chosen", ("groq:b", "main"): "missing"}


def test_why_names_an_own_profile_that_gave_way_to_the_parents(shell: Shell) -> None:
    shell("agent", "add", "child")
    shell.login("groq:a", "fake-key-own", "--agent", "child")
    shell("logout", "groq:a", "--agent", "child")
    assert codes(shell, "--agent", "child") == {
        ("groq:a", "main"): "chosen",
        ("groq:b", "main"): "next",
        ("groq:a", "child"): "missing",
    }


def test_why_says_that_the_chosen_one_is_cooling_down(shell: Shell) -> None:
    shell("order", "set", "--provider", "groq", "a")
    shell("report", "groq:a", "failure", "--reason", "rate_limit")
    assert shell("why", "groq").row("groq:a").endswith("chosen, although it is cooling down (in 30s)")
    (line,) = [c for c in shell.json("why", "groq")["candidates"] if c["candidate"] == "groq:a"]
    assert (line["code"], line["reason"], line["until"] is not None) == ("chosen", "chosen", True)


def test_why_tells_no_wait_where_something_else_is_the_reason(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("report", "groq:a", "failure", "--reason", "rate_limit")
    monkeypatch.setenv("GROQ_API_KEY", "fake-ambient")
    assert shell("why", "groq").row("groq:a").endswith("passed over: the environment comes first")
    monkeypatch.setenv("VAULT_DISABLED_PROVIDERS", "Groq")
    assert shell("why", "groq").row("groq:a").endswith("the settings disable this provider")


@pytest.mark.parametrize(
    ("sources", "basis"),
    [
        ("environment,stored", "GROQ_API_KEY is set in the environment, which comes before stored profiles"),
        ("environment", "GROQ_API_KEY is set in the environment, and stored profiles are switched off here"),
    ],
)
def test_why_gives_the_true_ground(shell: Shell, monkeypatch: pytest.MonkeyPatch, sources: str, basis: str) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "fake-ambient")
    monkeypatch.setenv("VAULT_SOURCES", sources)
    assert shell.json("why", "groq")["basis"] == basis


def test_a_pinned_env_file_is_read_though_the_settings_leave_it_out(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('sources = ["stored"]\n[providers.groq]\nauth_source = "dotenv"\n')
    monkeypatch.setenv("VAULT_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("GROQ_API_KEY=fake-of-the-project\n")
    assert shell("get", "groq").out == "fake-of-the-project\n"
    assert codes(shell) == {
        ("dotenv:GROQ_API_KEY", None): "chosen",
        ("groq:a", "main"): "ignored_source",
        ("groq:b", "main"): "ignored_source",
    }


def test_a_blank_variable_blocks_no_stored_key(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "  ")
    assert shell("get", "groq").out == "fake-key-a\n"


def test_two_reset_times_are_one_too_many(shell: Shell) -> None:
    told = shell("report", "groq:a", "failure", "--until", "2026-03-01", "--retry-after", "5m", status=64)
    assert "two reset times are given" in told.err


def test_nothing_is_reported_upon_a_rotation_of_a_newer_vault(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure would be counted by rules that a newer vault may have changed."""
    import vault.projections.queries as queries

    known = queries.Queries.rotation

    def newer(self: queries.Queries, agent: str, provider: str) -> object:
        state = known(self, agent, provider)
        return type(state)(agent=agent, provider=provider, version=state.version, unknown="health_painted")

    monkeypatch.setattr(queries.Queries, "rotation", newer)
    for arguments in (("report", "groq:a", "success"), ("report", "groq:a", "failure"), ("health", "clear", "groq:a")):
        assert "health_painted written by a newer vault" in shell(*arguments, status=84).err
