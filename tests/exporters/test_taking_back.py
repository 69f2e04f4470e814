"""Taking a change back out of a file that was edited since: what is ours goes, entry by entry; all else stays, to the byte."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.interop.taking_back import TakenBack, form_of, put, take_back
from vault.parsing import ini_document, toml_document

INI, TOML = form_of("aws", Path("config")), form_of("bmo", Path("bmo.toml"))
JSON, ENV = form_of("crush", Path("crush.json")), form_of("dotenv", Path(".env"))
ASKS = "/opt/vault helper aws amazon-bedrock --tool aws"


def back(was: str | None, made: str | None, now: str | None, form: Any = INI) -> tuple[str | None, list[str]]:
    raw = [None if text is None else text.encode() for text in (was, made, now)]
    taken = take_back(raw[0], raw[1], raw[2], form)
    return None if taken.content is None else taken.content.decode(), taken.kept


CORP = "\n[profile corp]\ncredential_process = /opt/okta aws\n"
WAS = "# mine\n[default]\nregion = eu-west-1\n"
MADE = f"{WAS}\n[profile vault]\ncredential_process = {ASKS}\n"


@pytest.mark.parametrize(
    ("now", "left", "kept"),
    [
        (MADE, WAS, []),
        (WAS, WAS, []),
        (f"{MADE}{CORP}", f"{WAS}{CORP}", []),
        (f"; new\n{MADE}", f"; new\n{WAS}", []),
        (MADE.replace("eu-west-1", "us-east-2"), WAS.replace("eu-west-1", "us-east-2"), []),
        (f"{MADE}region = x\n", f"{WAS}\n[profile vault]\nregion = x\n", []),
        (
            MADE.replace(ASKS, "/opt/okta aws"),
            MADE.replace(ASKS, "/opt/okta aws"),
            ["[profile vault] credential_process"],
        ),
        (WAS.replace("mine", "yours"), WAS.replace("mine", "yours"), []),
        ("[damaged\n", "[damaged\n", [""]),
        (None, None, []),
    ],
)
def test_what_was_put_in_goes_and_what_was_changed_since_stays(
    now: str | None, left: str | None, kept: list[str]
) -> None:
    assert back(WAS, MADE, now) == (left, kept)


def test_what_stood_there_before_comes_back_unless_it_was_changed_again() -> None:
    was = "[profile corp]\ncredential_process = /opt/okta aws\nregion = a\n"
    made = was.replace("/opt/okta aws", ASKS)
    assert back(was, made, made.replace("region = a", "region = b")) == (was.replace("region = a", "region = b"), [])
    mine = made.replace(ASKS, "/opt/other")
    assert back(was, made, mine) == (mine, ["[profile corp] credential_process"])
    gone = "[profile corp]\nregion = a\n"
    assert back(was, made, gone) == (gone, ["[profile corp] credential_process"])


def test_what_was_made_together_stays_together_where_a_part_was_changed() -> None:
    was, made = {"a": {"k": 1}}, {"a": {"k": 1}, "ours": {"auth": {"args": ["x"], "command": "c"}, "url": "u"}, "o": 1}
    changed = json.loads(json.dumps(made))
    changed["ours"]["auth"]["args"] = ["y"]
    left, kept = back(json.dumps(was), json.dumps(made), json.dumps(changed), JSON)
    assert left is not None
    assert json.loads(left) == {"a": {"k": 1}, "ours": changed["ours"]}
    assert kept == ["ours.auth.args"]


def test_a_file_that_was_made_goes_unless_something_was_added() -> None:
    made = f"[profile vault]\ncredential_process = {ASKS}\n"
    assert back(None, made, made) == (None, [])
    assert back(None, made, f"{made}# mine\n[default]\nregion = a\n") == ("# mine\n[default]\nregion = a\n", [])
    assert back(None, '{"a": 1}', '{"a":  1}', JSON) == (None, [])


def test_a_file_that_was_removed_comes_back_unless_there_is_a_new_one() -> None:
    assert back('{"OPENAI_API_KEY": "fake"}', None, None, JSON) == ('{"OPENAI_API_KEY": "fake"}', [])
    assert back('{"OPENAI_API_KEY": "fake"}', None, "{}", JSON) == ("{}", [""])


def test_lines_of_an_env_file_come_back_where_they_were() -> None:
    was = "# keys\nexport A='fake 1' # prod\nB=fake-2\nC=3\n"
    made = "# keys\nC=3\n"
    assert back(was, made, "# keys\nC=4\nD=5\n", ENV) == ("# keys\nexport A='fake 1' # prod\nB=fake-2\nC=4\nD=5\n", [])
    assert back(was, made, "# keys\nB=mine\nC=3\n", ENV) == ("# keys\nB=mine\nC=3\nexport A='fake 1' # prod\n", ["B"])


def test_a_byte_order_mark_stays() -> None:
    assert back("\ufeff[a]\nx = 1\n", "\ufeff[a]\nx = 2\n", "\ufeff[a]\nx = 2\ny = 3\n") == (
        "\ufeff[a]\nx = 1\ny = 3\n",
        [],
    )


def test_a_file_of_no_form_goes_back_whole_or_not_at_all() -> None:
    assert back("a", "b", "b", None) == ("a", [])
    assert back("a", "b", "c", None) == ("c", [""])


NAMES = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.sampled_from(["1", "2", "3"])
TREES = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), max_size=3)
EDITS = st.lists(st.tuples(NAMES, NAMES, VALUES | st.none()), max_size=4)


def edited(tree: dict[str, dict[str, str]], edits: list[tuple[str, str, str | None]]) -> dict[str, dict[str, str]]:
    made = {name: dict(table) for name, table in tree.items()}
    for section, name, value in edits:
        if value is not None:
            made.setdefault(section, {})[name] = value
        elif section in made:
            made[section].pop(name, None)
    return made


def as_ini(tree: dict[str, dict[str, str]]) -> str:
    return "# top\n" + "".join(
        f"[{s}]\n# in {s}\n" + "".join(f"{n} = {v}\n" for n, v in t.items()) for s, t in tree.items()
    )


def as_toml(tree: dict[str, dict[str, str]]) -> str:
    return "# top\n" + "".join(
        f"[{s}]\n# in {s}\n" + "".join(f'{n} = "{v}"\n' for n, v in t.items()) for s, t in tree.items()
    )


def as_json(tree: dict[str, dict[str, str]]) -> str:
    return json.dumps(tree, indent=4)


READERS: dict[str, Any] = {
    "ini": (
        INI,
        as_ini,
        lambda t: {s: {n: o.value for n, o in ini_document(t, "")[s].items()} for s in ini_document(t, "").sections()},
    ),
    "toml": (TOML, as_toml, lambda t: toml_document(t, "").unwrap()),
    "json": (JSON, as_json, json.loads),
}


@pytest.mark.parametrize("kind", READERS)
@given(was=TREES, ours=EDITS, theirs=EDITS)
def test_whatever_was_edited_no_entry_of_the_persons_changes(
    kind: str,
    was: dict[str, dict[str, str]],
    ours: list[tuple[str, str, str | None]],
    theirs: list[tuple[str, str, str | None]],
) -> None:
    """Each entry is as it was before where it is still ours, and as the person left it everywhere else."""
    form, written, read = READERS[kind]
    made = edited(was, ours)
    now = edited(made, theirs)
    left, _ = back(written(was), written(made), written(now), form)
    tree = {} if left is None else read(left)
    for section in {*was, *made, *now, *tree}:
        ones = [(made.get(section, {}).get(name), now.get(section, {}).get(name)) for name in "abcd"]
        if section not in was and any(then is not None and today not in (then, None) for then, today in ones):
            assert tree[section] == now[section], "half of what was made together is of no use"
            continue
        for name in "abcd":
            before, then, today, after = (t.get(section, {}).get(name) for t in (was, made, now, tree))
            if today != then or before == then:
                assert after == today, (section, name)
            elif then is not None or section in now or section not in made:
                assert after == before, (section, name)
    if left is not None and kind != "json":
        assert left.startswith("# top\n")
        for section in {*was} & {*now}:
            assert f"# in {section}\n" in left


@given(was=TREES, ours=EDITS)
def test_without_an_edit_it_is_as_it_was_to_the_byte(
    was: dict[str, Any], ours: list[tuple[str, str, str | None]]
) -> None:
    for form, written, _ in READERS.values():
        text = written(was)
        assert back(text, written(edited(was, ours)), written(edited(was, ours)), form) == (text, [])


def test_put_sets_and_takes_out() -> None:
    tree: dict[str, Any] = {}
    put(tree, ("a", "b"), 1)
    assert tree == {"a": {"b": 1}}
    assert tomllib.loads("") == {}
    assert take_back(b"", b"x", b"", None) == TakenBack(b"")
