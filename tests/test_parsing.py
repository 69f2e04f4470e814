"""The gates of foreign bytes: only InputError comes out, it names the place, and never what is there."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.importers.hostile import BOMBS
from tests.support import START
from vault import parsing
from vault.errors import InputError
from vault.providers.steps import Response
from vault.providers.tokens import claims_of, fields_of, tokens_of
from vault.values import format_instant, format_instant_exact

GATES: dict[str, Callable[[str, str], Any]] = {
    "JSON": parsing.parse_json,
    "TOML": parsing.parse_toml,
    "TOML to write": parsing.toml_document,
    "YAML": parsing.yaml_document,
    "INI": parsing.ini_document,
    "INI to read": parsing.ini_table,
}
SECRET = "fake-secret-canary"


def through(gate: str, content: Any) -> tuple[Any, InputError | None]:
    """What comes out of a gate: a value, or the error; anything else that is raised is a failure."""
    try:
        return GATES[gate](content, "the file"), None
    except InputError as error:
        return None, error


@pytest.mark.parametrize("gate", GATES)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.text("[]{}=:,\"'#\n &*!|>-<ab1.\\u"))
@example("a: " + "[" * 200)
def test_only_an_input_error_comes_out_of_a_gate(gate: str, text: str) -> None:
    found, error = through(gate, text)
    assert error is None or (str(error).startswith("the file") and error.hint)
    if gate in ("JSON", "TOML") and error is None:
        json.dumps(found, default=str).encode()


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("bomb", BOMBS)
def test_no_bomb_gets_through_as_anything_else(gate: str, bomb: str) -> None:
    _, error = through(gate, BOMBS[bomb].decode("utf-8", "replace"))
    assert error is None or error.exit_status == 65


@given(content=st.binary(max_size=64))
@example(b'{"a": "\\ud800"}')
@example(b"\xef\xbb\xbf{}")
def test_bytes_too(content: bytes) -> None:
    _, error = through("JSON", content)
    assert error is None or str(error).startswith("the file is not valid JSON")


@pytest.mark.parametrize(
    ("gate", "text", "place"),
    [
        ("JSON", f'{{"a": 1,\n "b": {SECRET}}}', "(line 2, column 7)"),
        ("JSON", "[" * 70 + "]" * 70, "(nested too deeply)"),
        ("JSON", "9" * 5000, "(it holds a number or a date that there isn't)"),
        ("TOML", f"a = 1\nb = {SECRET}", "(line 2, column 5)"),
        ("TOML", "a = [", "(at the end of the document)"),
        ("TOML to write", f"a = 1\nb = {SECRET}\n", "(line 2"),
        ("YAML", f"a: 1\nb: [{SECRET}\n", "(line 3)"),
        ("YAML", f"a: {SECRET}\na: 2\n", "(line 2)"),
        ("YAML", "&a {b: {c: *a}}\n", "(nested too deeply)"),
    ],
)
def test_the_place_is_named_and_nothing_is_shown(gate: str, text: str, place: str) -> None:
    with pytest.raises(InputError) as caught:
        GATES[gate](text, "the file")
    assert place in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None, "a parser's own error holds the whole document"


@pytest.mark.parametrize("gate", ["INI", "INI to read"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[work]\na = 1\n\n[work]\n", "the file, line 4: the section [work] is there twice"),
        ("[work]\na = 1\na = 2\n", "the file, line 3: the section [work] has a twice"),
        ("[w\u202ex]\n[w\u202ex]\n", "the file, line 2: the section [w·x] is there twice"),
        (f"a = {SECRET}\n", "the file, line 1: it stands before the first section"),
        (f"[work]\n = {SECRET}\n", "the file, line 2: it is neither a section nor NAME = VALUE"),
    ],
)
def test_an_ini_file_is_told_by_line_and_section(gate: str, text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        GATES[gate](text, "the file")
    assert caught.value.message == told
    assert caught.value.hint == "fix it, or move it away to start afresh"
    assert caught.value.__context__ is None


@given(st.integers())
def test_an_instant_of_any_size_can_be_shown(at: int) -> None:
    assert format_instant(at)[4:5] == format_instant_exact(at)[4:5] == "-"


@given(st.text() | st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00Z"]))
def test_an_instant_is_one_or_none(text: str) -> None:
    at = parsing.parse_instant(text)
    assert at is None or format_instant(at)
    assert parsing.parse_http_date(text) is None or at is None


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("²", None), ("٣", None), ("9" * 13, None), ("", None), ("-1", None)]
)
def test_a_whole_number_is_plain_digits(text: str, number: int | None) -> None:
    assert parsing.whole_number(text) == number


@pytest.mark.parametrize("beside", ["NaN", "9" * 5000, "-Infinity", "[" * 300 + "]" * 300, '"\\ud800"', "1e999"])
def test_tokens_are_taken_whatever_stands_beside_them(beside: str) -> None:
    body = f'{{"access_token": "fake-access", "refresh_token": "fake-refresh", "expires_in": {beside}}}'.encode()
    found = tokens_of(Response("fake.example", 200, START, body))
    assert found is not None
    assert found.refresh == "fake-refresh"


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_answer_of_a_provider_is_a_defect(bomb: str) -> None:
    body = BOMBS[bomb]
    found = fields_of(Response("fake.example", 200, START, body))
    assert found is None or isinstance(found, dict)
    assert isinstance(claims_of("e30." + base64.urlsafe_b64encode(body).decode().rstrip("=") + ".x"), dict)
