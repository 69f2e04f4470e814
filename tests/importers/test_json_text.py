"""A JSON file changed in part: everything else stays to the byte, and what is taken out again leaves the file as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.interop.json_text import edited
from vault.interop.styled import encoded_like, styled_like

NAMES = st.sampled_from(["a", "b", "é", 'q"', "new"])
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 9) | st.text('xé\\"\n/', max_size=4)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


@st.composite
def text_of(draw: st.DrawFn, value: Any) -> str:
    """A value as somebody writes it."""
    gap = st.sampled_from(["", " ", "\n", "\n  ", "\r\n\t"])
    if isinstance(value, dict):
        ones = [
            f"{draw(gap)}{json.dumps(k, ensure_ascii=draw(st.booleans()))}{draw(gap)}:{draw(gap)}{draw(text_of(v))}"
            for k, v in value.items()
        ]
        return "{" + ",".join(one + draw(gap) for one in ones) + (draw(gap) if not ones else "") + "}"
    if isinstance(value, list):
        return "[" + f",{draw(gap)}".join(draw(text_of(v)) for v in value) + draw(gap) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@given(data=st.data(), old=OBJECTS, new=OBJECTS)
def test_any_change_is_made_and_what_does_not_change_stays_to_the_byte(
    data: st.DataObject, old: dict[str, Any], new: dict[str, Any]
) -> None:
    text = data.draw(text_of(old))
    made = styled_like(text, new).decode()
    assert json.loads(made) == new
    assert styled_like(text, old).decode() == text or not old


@given(data=st.data(), old=OBJECTS.filter(bool), value=VALUES)
def test_what_is_put_in_and_taken_out_leaves_no_trace(data: st.DataObject, old: dict[str, Any], value: Any) -> None:
    text = data.draw(text_of(old))
    made = edited(text, {**old, "ours": value})
    assert made is not None
    assert edited(made, old) == text


@pytest.mark.parametrize("text", ["[]", "{}", "", '{"a": 1, "a": 2}', "{", '{"a": NaN}'])
def test_what_cannot_be_changed_in_part_is_said(text: str) -> None:
    assert edited(text, {"a": 3}) is None


def test_what_is_new_is_written_like_its_neighbours() -> None:
    ours = {"command": "x", "args": ["y"]}
    text = '{\n\t"a": [1,  2],\n\t"b": {"c": 1.50}\n}\n'
    assert edited(text, {"a": [1, 2], "b": {"c": 1.5}, "o": ours}) == (
        '{\n\t"a": [1,  2],\n\t"b": {"c": 1.50},\n\t"o": {\n\t\t"command": "x",\n\t\t"args": [\n\t\t\t"y"\n\t\t]\n\t}\n}\n'
    )
    assert edited('{"a":1}', {"a": 1, "o": ours}) == '{"a":1,"o":{"command":"x","args":["y"]}}'
    assert edited('{ "a": 1, "b": 2 }', {"b": 2, "o": 3}) == '{ "b": 2, "o": 3 }'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encoding_mark_and_line_ends_of_a_file_stay(encoding: str, end: str) -> None:
    was = f"a = é{end}b = 2{end}".encode(encoding)
    assert encoded_like(was, "a = é\nb = 3\n".encode()) == f"a = é{end}b = 3{end}".encode(encoding)
    assert encoded_like(b"\xff\x00binary", b"\xfe\n") == b"\xfe\n"
    assert encoded_like(None, b"a\n") == b"a\n"
