"""What reaches a terminal: no control character, whatever a text's source; tables that fit it; no bold where none is wanted."""

from __future__ import annotations

import json
import os
import re
import unicodedata

import pytest

from tests.cli.running import VAULT, Real, Shell, ended, terminal, terminal_of
from tests.support import Files
from vault.cli.tables import lay_out, wrapped
from vault.commands.login import log_in
from vault.commands.rotation import report, set_order
from vault.events.codec import Actor
from vault.events.credentials import ApiKey
from vault.values import MAIN_AGENT, ProfileId, ProviderId

BAD = "a\x1b]0;x\x07\x9b31mb\u200bc\u202ed\u2066e\u2028f\u2029g\x85h\ti"
NAME = "a\u200bb\u202ec"


def assert_safe(text: str, ends: str = "\n") -> None:
    for c in text:
        assert c in ends or (unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp")), repr(
            text
        )


@pytest.fixture
def sly(files: Files) -> Files:
    """A vault in which everything that comes from elsewhere has characters that play tricks."""
    actor = Actor(user=f"u{BAD}", host=f"h{BAD}", pid=1, program=f"p{BAD}", way="test")
    with files.open(actor=actor) as context:
        log_in(context, MAIN_AGENT, ProfileId("anthropic:default"), ApiKey(key="fake-key"), label=BAD, reason=BAD)
        log_in(context, MAIN_AGENT, ProfileId(f"anthropic:{NAME}"), ApiKey(key="fake-key-2"), reason=BAD)
        set_order(context, MAIN_AGENT, ProviderId("anthropic"), [f"anthropic:{NAME}"], reason=BAD)
        report(context, MAIN_AGENT, ProfileId(f"anthropic:{NAME}"), "failure", failure="auth", reason=BAD)
    return files


LINES = [
    "list",
    f"show anthropic:{NAME}",
    "show anthropic:default",
    "why anthropic",
    "order get --provider anthropic",
    "status",
    "history",
    "history --csv",
    "history --json",
    "history --jsonl",
    "list --json",
    "why anthropic --json",
    "order get --provider anthropic --json",
    f"show openai:{NAME}",
    f"list --agent {NAME}",
    f"get {NAME}",
    f"restore anthropic:{NAME} --reason {NAME}",
    f"import opencode --from {NAME}",
    f"login anthropic --from-file {NAME}",
    f"exec -- {NAME}",
    f"exec --tool {NAME} -- true",
    f"connect {NAME}",
    f"helper {NAME}",
    f"helper token {NAME}",
    f"history --type {NAME}",
    f"key add --key-file {NAME}/x",
    f"config {NAME}",
    f"{NAME}",
    f"list --{NAME}",
]


@pytest.mark.parametrize("line", LINES, ids=[ascii(line) for line in LINES])
def test_no_control_character_reaches_a_terminal(shell: Shell, sly: Files, line: str) -> None:
    for more in ((), ("--json",)):
        words = line.split(" ")
        cut = words.index("--") if "--" in words else len(words)
        told = shell(*words[:cut], *more, *words[cut:], status=None)
        assert told.status != 70
        assert_safe(told.out)
        assert_safe(told.err)


def test_a_foreign_line_end_makes_no_line_of_its_own(shell: Shell, files: Files) -> None:
    forged = "x\nvault: all is well"
    shell.login("anthropic", "fake-key", "--label", forged, "--reason", forged)
    for line in ("list", "show anthropic:default", "history"):
        assert not any(text.startswith("vault: all is well") for text in shell(*line.split()).lines)
    told = shell("import", "opencode", "--from", forged, status=None)
    assert told.err.count("\n") == 1


def test_json_keeps_what_it_escapes(shell: Shell, sly: Files) -> None:
    assert shell.json("show", "anthropic:default")["label"] == BAD
    events = [json.loads(line) for line in shell("history", "--jsonl").out.splitlines()]
    assert {e["reason"] for e in events if e["type"] != "vault_created"} == {BAD}


def test_a_secret_is_printed_as_it_is(shell: Shell, files: Files) -> None:
    with files.open() as context:
        log_in(context, MAIN_AGENT, ProfileId("openai:default"), ApiKey(key="fake\u200b\u202e-key"))
    assert shell("get", "openai").out == "fake\u200b\u202e-key\n"
    assert "fake\u200b\u202e-key" in shell("env").out


def test_a_file_name_that_is_no_text_is_told(real: Real, files: Files) -> None:
    told = real("import", "opencode", "--from", os.fsdecode(b"no-\xff\xfe-text"), status=None)
    assert (told.status, "no-??-text" in told.err) == (66, True)


# -- width

ROWS = [
    ("anthropic:claude-code-of-the-work-laptop", "api_key", "a label with several words", "0123456789abcdef", "ok"),
    ("git.example.com:user-1", "oauth", "", "fedcba9876543210", "disabled: billing, 30d left"),
]
HEADINGS = ("PROFILE", "KIND", "LABEL", "FINGERPRINT", "HEALTH")


@pytest.mark.parametrize("width", [*range(10, 130, 3), 200])
def test_a_table_never_breaks_an_id_and_fits_where_it_can(width: int) -> None:
    text, left_out = lay_out(
        HEADINGS, ROWS, width=width, terminal=True, least=("KIND", "LABEL"), prose=("LABEL", "HEALTH")
    )
    bare = re.sub(r"\x1b\[\d*m", "", text)
    for row in ROWS:
        for cell in (row[0], row[3]):
            assert cell in bare
        for word in row[4].split():
            assert word in bare
    longest = max(len(row[0]) for row in ROWS)
    assert max(map(len, bare.splitlines())) <= max(width, longest)
    assert left_out in ([], ["KIND"], ["KIND", "LABEL"])
    if width >= 110:
        assert left_out == []


def test_prose_is_broken_between_words_only() -> None:
    text = "the vault renews anthropic:me@example.com at each use, at https://example.test/a/long/address"
    for width in range(5, 100):
        lines = wrapped(f"   {text}", width, "  ")
        assert lines[0].startswith("   the")
        assert " ".join(line.strip() for line in lines) == text
        assert all(len(line) <= width or " " not in line.strip() for line in lines)


def test_a_wide_character_takes_two_columns() -> None:
    text, _ = lay_out(("A", "B"), [("鍵鍵鍵", "x"), ("ab", "y")], width=None, terminal=False)
    assert text.splitlines()[1:] == ["鍵鍵鍵  x", "ab      y"]


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize(
    "line",
    [
        "list",
        "status",
        "history",
        "why anthropic",
        "tools",
        "provider list",
        "exit-codes",
        "verify",
        "rebuild",
        "doctor",
        "probe own.example.com",
    ],
)
def test_no_line_is_wider_than_the_terminal(furnished: Files, line: str, width: int) -> None:
    with furnished.open() as context:
        log_in(context, MAIN_AGENT, ProfileId("own.example.com:default"), ApiKey(key="fake-key"))
    with terminal_of(["sh", "-c", f"{VAULT} {line} 2>talk"], width=width) as child:
        _, said = ended(child)
    assert len(said.splitlines()) > (width < 80 or line not in ("rebuild", "probe own.example.com"))
    _check_width(said, width)


def _check_width(said: str, width: int) -> None:
    for text in re.sub(r"\x1b\[\d*m", "", said).splitlines():
        assert len(text) <= width or " " not in text.strip(), text


def test_the_demo_fits_the_terminal_too() -> None:
    with terminal("demo", width=80) as child:
        status, said = ended(child)
    assert status == 0, said
    _check_width("\n".join(line for line in said.splitlines() if not line.startswith("$ ")), 80)
    assert re.search(r"^  PROFILE  .*ORDER\s*$", said, re.MULTILINE)


def test_a_pipe_gets_everything_a_row_a_line(shell: Shell, furnished: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    told = shell("list")
    assert told.lines[0].split() == [
        "PROFILE",
        "KIND",
        "LABEL",
        "FINGERPRINT",
        "AGE",
        "EXPIRES",
        "HEALTH",
        "ORDER",
        "FROM",
    ]
    assert (
        len([line for line in told.lines if line.startswith(("anthropic:", "openai:", "huggingface:", "mistral:"))])
        == 5
    )


def test_what_is_left_out_is_said(furnished: Files) -> None:
    with terminal("list", width=60) as child:
        _, said = ended(child)
    assert "no room for AGE" in said
    with terminal("list", width=200) as child:
        _, said = ended(child)
    assert "no room" not in said


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
@pytest.mark.parametrize("line", ["list", "--help", "login --help", "provider --help", "verify"])
def test_no_bold_and_no_colour_where_none_is_wanted(
    furnished: Files, monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, {"NO_COLOR": "1", "TERM": "dumb"}[name])
    with terminal(*line.split()) as child:
        status, said = ended(child)
    assert status == 0
    assert not re.search(r"\x1b\[[\d;]*m", said)


def test_a_terminal_gets_bold_headings(furnished: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with terminal("list") as child:
        _, said = ended(child)
    assert "\x1b[1mPROFILE" in said
