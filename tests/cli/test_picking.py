"""Choosing one of many: the list that narrows, and the plain one; what is found here comes first."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.running import VAULT, WAIT, Real, Shell, ended, hurry
from tests.support import Files
from vault.cli.offering import needs, providers_to_choose
from vault.cli.picking import Choice, narrowed, offered
from vault.providers.catalogue import providers
from vault.values import MAIN_AGENT

EVERY = [Choice(p.id, p.name) for p in providers()]


def own(text: str) -> Choice | None:
    return Choice(text, new=True) if text.isalnum() else None


@contextmanager
def small(*arguments: str) -> Iterator[pexpect.spawn[str]]:
    """A command on a terminal of 80 columns and 24 lines."""
    child: pexpect.spawn[str] = pexpect.spawn(
        str(VAULT), list(arguments), encoding="utf-8", timeout=WAIT, dimensions=(24, 80)
    )
    hurry(child)
    try:
        yield child
    finally:
        child.close(force=True)


@given(st.sampled_from(EVERY), st.data())
def test_any_part_of_a_name_finds_it_and_the_whole_comes_first(choice: Choice, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(choice.value) - 1))
    part = choice.value[start : data.draw(st.integers(start + 1, len(choice.value)))]
    assert choice in narrowed(EVERY, part.upper())
    assert narrowed(EVERY, choice.value)[0] == choice


def test_nothing_typed_shows_all_in_their_order() -> None:
    assert narrowed(EVERY, "  ") == EVERY


def test_what_is_no_part_of_a_name_gets_the_likeliest_and_itself_as_ones_own() -> None:
    assert [c.value for c in offered(EVERY, "antropic", own)] == ["anthropic", "antropic"]
    assert [c.new for c in offered(EVERY, "quuxintern", own)] == [True]
    assert all(not c.new for c in offered(EVERY, "anthropic", own))
    assert all(not c.new for c in offered(EVERY, "3", own)), "a number is no name"


@given(st.integers(1, 200))
def test_a_row_never_cuts_what_it_is_about(width: int) -> None:
    for choice in EVERY:
        assert choice.row(width).startswith(choice.value)
        assert len(choice.row(width)) <= max(width, len(choice.value))


def test_what_each_needs_is_said() -> None:
    assert needs("groq") == "key"
    assert {"key", "setup token"} <= set(needs("anthropic").split(", "))
    assert "browser" in needs("openrouter")
    assert "device code" in needs("github-copilot")
    assert "profile" in needs("amazon-bedrock")
    assert all(needs(p.id) for p in providers())


def test_what_is_found_here_comes_first_then_the_common_ones(
    shell: Shell, files: Files, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("login", "zeta-intern", "--custom", "--stdin", stdin="fake-key")
    monkeypatch.setenv("GROQ_API_KEY", "fake-key")
    Path(".env").write_text("MISTRAL_API_KEY=fake-key\n")
    store = isolated / "home" / ".claude" / ".credentials.json"
    store.parent.mkdir()
    store.write_text("{}")
    with files.open() as context:
        monkeypatch.setattr(context, "environ", dict(os.environ))
        rows = providers_to_choose(context, MAIN_AGENT)
    first = {c.value: c.note for c in rows[:4]}
    assert set(first) == {"anthropic", "groq", "mistral", "zeta-intern"}
    assert first["zeta-intern"].startswith("in the vault")
    assert first["groq"].startswith("GROQ_API_KEY is set")
    assert first["mistral"].startswith("MISTRAL_API_KEY in the .env")
    assert first["anthropic"].startswith("Claude Code is here")
    assert [c.value for c in rows[4:7]] == ["openai", "google", "github-copilot"]
    assert len(rows) == len(providers()) + 1


def test_what_the_settings_disable_is_not_offered(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_DISABLED_PROVIDERS", "anthropic")
    with files.open() as context:
        monkeypatch.setattr(
            context, "settings", context.settings.__class__(Path("x"), disabled_providers=("anthropic",))
        )
        assert "anthropic" not in {c.value for c in providers_to_choose(context, MAIN_AGENT)}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("term", ["xterm-256color", "vt100", "dumb"])
@pytest.mark.parametrize("no_color", ["", "1"])
def test_login_alone_works_in_80_columns_whatever_the_terminal(
    real: Real, monkeypatch: pytest.MonkeyPatch, term: str, no_color: str
) -> None:
    monkeypatch.setenv("TERM", term)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    with small("login") as child:
        child.expect_exact("anthropic")
        drawn = child.before or ""
        child.expect_exact("type part of a name" if term != "dumb" else "Type a number")
        drawn += child.before or ""
        child.send("cerebras\r")
        child.expect_exact("API key for cerebras:default: ")
        drawn += child.before or ""
        child.sendline("fake-key")
        assert ended(child)[0] == 0
    assert ("\x1b[7m" in drawn or "\x1b[0;7m" in drawn) == (term != "dumb" and not no_color)
    assert "\x1b[" not in drawn or term != "dumb"
    assert real("get", "cerebras").out == "fake-key\n"


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_leaving_the_list_leaves_the_terminal_as_it_was(
    files: Files, monkeypatch: pytest.MonkeyPatch, term: str, key: str
) -> None:
    monkeypatch.setenv("TERM", term)
    with small("login") as child:
        child.setecho(True)
        before = termios.tcgetattr(child.child_fd)
        child.expect_exact("type part of a name" if term != "dumb" else "Provider: ")
        child.send(key)
        child.expect_exact("interrupted; nothing was left half-done")
        after = termios.tcgetattr(child.child_fd)
        status, _ = ended(child)
    assert status == 130
    assert after == before
    with files.open() as context:
        assert context.store.head().position == 1


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("typed", ["3", "?", "42"])
def test_a_number_or_a_question_mark_chooses_nothing_in_the_list_that_narrows(real: Real, typed: str) -> None:
    with small("login") as child:
        child.expect_exact("type part of a name")
        child.send(typed + "\r")
        child.expect_exact("\x1b[?25h")
        child.send("\x03")
        status, said = ended(child)
    assert status == 130
    assert "API key for" not in said
    assert "Provider: 302ai" not in said
    assert real("list", "--json").json["profiles"] == []


@pytest.mark.usefixtures("files")
def test_a_number_chooses_the_row_that_is_shown_with_it(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with small("login") as child:
        child.expect(r" 3  (\S+) ")
        assert child.match is not None
        third = child.match[1]
        child.expect_exact("Provider: ")
        for refused in ("", "?", "13", "0"):
            child.sendline(refused)
            child.expect_exact("anthropic")
            child.expect_exact("Provider: ")
        child.sendline("3")
        child.expect_exact(f"{third}")
        child.expect(r"\S: $")
        child.send("\x03")
        ended(child)
    assert third != "302ai"


@pytest.mark.usefixtures("files")
def test_a_pasted_secret_is_neither_taken_for_a_name_nor_shown_again(
    real: Real, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    pasted = "fake-sk-" + "a1" * 30
    with small("login") as child:
        child.expect_exact("Provider: ")
        child.sendline(pasted)
        child.expect_exact("nothing here is called that")
        child.expect_exact("Provider: ")
        assert pasted not in (child.before or "")
        child.send("\x04")
        assert ended(child)[0] == 130
    assert real("list", "--json").json["profiles"] == []


@pytest.mark.usefixtures("files")
def test_without_a_terminal_nothing_is_chosen(shell: Shell) -> None:
    assert "no provider was named" in shell("login", status=64).err
    assert "no provider was named" in shell("login", "--stdin", stdin="fake-key", status=64).err


@pytest.mark.usefixtures("files")
def test_a_secret_that_is_piped_in_is_not_read_as_the_answer(real: Real) -> None:
    script = f'printf "fake-key-piped\\n" | "{VAULT}" login --stdin'
    child: pexpect.spawn[str] = pexpect.spawn("/bin/sh", ["-c", script], encoding="utf-8", timeout=WAIT)
    hurry(child)
    status, said = ended(child)
    assert status == 64
    assert "fake-key-piped" not in said
