"""Every tool that can be connected, over whatever a person has in its file: what isn't ours is kept, byte for byte.

Files are made at random: with Windows' line ends or not, a byte order mark or not, a last line end or not, comments, blank
lines, any spelling of a JSON value. Edits are made to the text, as an editor makes them.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from tests.support import Files
from vault.commands import connecting
from vault.context import Context
from vault.errors import NotFound
from vault.interop.plans import Link
from vault.interop.tools import Tool, tools
from vault.values import MAIN_AGENT

BOM = b"\xef\xbb\xbf"
NAMES = st.sampled_from(["lab", "corp", "a-b", "zz1", "q"])
PLAIN = st.text("abcXYZ0189 ._/:#;é-", min_size=1, max_size=12).map(lambda t: f"v{t}".strip())
BLANKS = st.sampled_from(["", "\n", "# note é\n", "\n# a note\n\n"])
RAW = st.sampled_from(["1", "1.50e3", '"x"', '"\\u00e9"', "[1,  2, 3 ]", "[]", "{}", '{"k":  null}', "true", '"a\\/b"'])
LATE = "late_of_the_person"


@dataclass(frozen=True)
class Kind:
    """A connector: its file below a home, what is asked for, and how a person's file of it is written and added to."""

    place: str
    what: tuple[str, ...]
    text: st.SearchStrategy[str]
    first: Callable[[str], str]
    last: Callable[[str], str]


def _first_line(text: str) -> str:
    return f"# {LATE} first\n{text}"


def _last_section(text: str) -> str:
    return text + ("" if not text or text.endswith("\n") else "\n") + f'\n[{LATE}]\nx = "1"   # y\n'


def _first_member(text: str) -> str:
    at = text.index("{") + 1
    return text[:at] + f'"{LATE}_first": [1,  2.0],' + text[at:]


def _last_member(text: str) -> str:
    at = len(text[: text.rindex("}")].rstrip())
    return f'{text[:at]},\n  "{LATE}": {{"x":1}}{text[at:]}'


@st.composite
def ini_text(draw: st.DrawFn) -> str:
    parts = [draw(BLANKS)]
    for name in draw(st.lists(NAMES, unique=True, max_size=3)):
        parts.append(f"[profile {name}]\n{draw(BLANKS)}")
        for option in draw(st.lists(st.sampled_from(["region", "output", "x"]), unique=True, max_size=3)):
            parts.append(f"{option}{draw(st.sampled_from([' = ', '=', ' =  ']))}{draw(PLAIN)}\n{draw(BLANKS)}")
    return "".join(parts)


@st.composite
def toml_text(draw: st.DrawFn, under: str) -> str:
    parts = [draw(BLANKS)]
    for name in draw(st.lists(st.sampled_from(["title", "model", "x"]), unique=True, max_size=2)):
        parts.append(f"{name} = {json.dumps(draw(PLAIN), ensure_ascii=False)}{draw(st.sampled_from(['', '  # é']))}\n")
    parts.append(draw(BLANKS))
    for name in draw(st.lists(NAMES, unique=True, max_size=3)):
        parts.append(f"[{under}.{name}]\n{draw(BLANKS)}base_url   =   'http://127.0.0.1:1/{name}'\n{draw(BLANKS)}")
    return "".join(parts)


@st.composite
def json_text(draw: st.DrawFn, fixed: dict[str, Any]) -> str:
    raw = {name: draw(RAW) for name in draw(st.lists(NAMES.map("own {}".format), unique=True, max_size=3))}
    raw |= {name: json.dumps(value, indent=draw(st.sampled_from([None, 3]))) for name, value in fixed.items()}
    names = draw(st.permutations(list(raw)))
    colon, gap = draw(st.sampled_from([": ", ":", " : "])), draw(st.sampled_from(["", " ", "\n  ", "\n\t", "\n"]))
    end = draw(st.sampled_from(["", "\n", "\n\n"]))
    body = f",{gap}".join(f"{json.dumps(name)}{colon}{raw[name]}" for name in names)
    return "{" + (gap + body + (gap and "\n") if names else "") + "}" + end


def of_json(place: str, *what: str, **fixed: Any) -> Kind:
    return Kind(place, what, json_text({"mine": 1, **fixed}), _first_member, _last_member)


GOOSE = {"name": "openai", "base_url": "https://api.openai.com/v1", "api_key_env": "CORP_KEY"}
LAB = {"providers": {"lab": {"baseUrl": "http://127.0.0.1:9/v1", "models": []}}}
KINDS = {
    "aws": Kind(".aws/config", (), ini_text(), _first_line, _last_section),
    "bmo": Kind(".config/bmo/bmo.toml", ("openai",), toml_text("providers"), _first_line, _last_section),
    "codex": Kind(".codex/config.toml", ("openai",), toml_text("model_providers"), _first_line, _last_section),
    "claude-code": of_json(".claude/settings.json", "anthropic", env={"A": "b"}),
    "crush": of_json(".local/share/crush/crush.json", "openai", "anthropic", providers={"lab": {"api_key": "$LAB"}}),
    "goose": of_json(".config/goose/custom_providers/corp.json", "openai", **GOOSE),
    "opencode": of_json(".local/share/opencode/auth.json", "openai", "anthropic", lab={"type": "api", "key": "fake"}),
    "openclaw": of_json(".openclaw/openclaw.json", "lab", models=LAB),
}


@st.composite
def file_of(draw: st.DrawFn, name: str) -> bytes:
    """A person's file, as bytes."""
    text = draw(KINDS[name].text)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return BOM * draw(st.booleans()) + text.encode()


def test_every_tool_that_connects_is_here() -> None:
    assert {t.name for t in tools() if t.connect is not None} == set(KINDS)
    assert {t.name for t in tools() if t.disconnect is not None} == set(KINDS)


@dataclass(frozen=True)
class Desk:
    """A tool in a home of its own."""

    context: Context
    tool: Tool
    home: Path
    link: Link

    @property
    def path(self) -> Path:
        return self.home / KINDS[self.tool.name].place

    def files(self) -> dict[str, bytes]:
        found = [p for p in sorted(self.home.rglob("*")) if p.is_file() and p.suffix != ".lock"]
        return {str(p.relative_to(self.home)): p.read_bytes() for p in found}

    def connect(self) -> None:
        shown = connecting.propose(self.context, self.tool, self.link)
        connecting.connect(self.context, self.tool, self.link, shown)

    def disconnect(self) -> connecting.Disconnected:
        return connecting.disconnect(self.context, self.tool, self.link.command)


Desks = Callable[[bytes | None], Any]


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def desks(name: str, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desks]:
    """Makes a home with a person's file in it, and nothing connected."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in ("vault", "openclaw"):
        (programs / program).write_text("#!/bin/sh\n")
        (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    (tool,) = (t for t in tools() if t.name == name)
    with files.open() as context:

        @contextmanager
        def desk(content: bytes | None) -> Iterator[Desk]:
            for record in (files.folder / "state").glob("connections/*"):
                record.unlink()
            with TemporaryDirectory() as folder:
                monkeypatch.setenv("HOME", folder)
                link = Link(str(programs / "vault"), MAIN_AGENT, KINDS[name].what)
                made = Desk(context, tool, Path(folder), link)
                if content is not None:
                    made.path.parent.mkdir(parents=True)
                    made.path.write_bytes(content)
                yield made

        yield desk


many = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@many
@given(data=st.data())
def test_disconnect_without_a_connect_changes_no_byte(name: str, desks: Desks, data: st.DataObject) -> None:
    with desks(data.draw(file_of(name))) as desk:
        before = desk.files()
        with pytest.raises(NotFound, match="isn't connected by this vault"):
            desk.disconnect()
        assert desk.files() == before


@many
@given(data=st.data())
def test_connected_once_or_twice_and_disconnected_every_byte_is_as_it_was(
    name: str, desks: Desks, data: st.DataObject
) -> None:
    with desks(data.draw(file_of(name))) as desk:
        before = desk.files()
        for _ in range(data.draw(st.integers(1, 2))):
            desk.connect()
            assert desk.files() != before
        assert desk.disconnect().kept == ()
        assert desk.files() == before


def as_typed(edit: Callable[[str], str], content: bytes, like: bytes | None = None) -> bytes:
    """An edit of a file, by an editor that keeps its mark and its line ends, or those of another file."""
    text = content.removeprefix(BOM).decode()
    ends = "\r\n" if b"\r\n" in (content if like is None else like) else "\n"
    made = edit(text.replace("\r\n", "\n")).replace("\n", ends)
    return BOM * content.startswith(BOM) + made.encode()


@many
@given(data=st.data())
def test_what_a_person_writes_outside_of_ours_is_kept_to_the_byte_and_ours_goes(
    name: str, desks: Desks, data: st.DataObject
) -> None:
    kind, was = KINDS[name], data.draw(file_of(name))
    edits = data.draw(st.lists(st.sampled_from([kind.first, kind.last]), unique=True, min_size=1))
    with desks(was) as desk:
        desk.connect()
        expected = was
        for edit in edits:
            expected = as_typed(edit, expected)
            desk.path.write_bytes(as_typed(edit, desk.path.read_bytes()))
        assert desk.disconnect().kept == ()
        left = desk.path.read_bytes()
        if b"\n" in was.rstrip(b"\r\n"):
            assert left == expected
        else:  # a file of one line: how many blank lines stand between two sections is nobody's
            assert re.sub(rb"\s+", b" ", left) == re.sub(rb"\s+", b" ", expected)


@many
@given(data=st.data())
def test_connected_again_after_an_edit_one_disconnect_leaves_only_the_edit(
    name: str, desks: Desks, data: st.DataObject
) -> None:
    kind, was = KINDS[name], data.draw(file_of(name))
    edit = data.draw(st.sampled_from([kind.first, kind.last]))
    with desks(was) as desk:
        desk.connect()
        desk.path.write_bytes(as_typed(edit, desk.path.read_bytes(), was))
        desk.connect()
        assert desk.disconnect().kept == ()
        left, expected = desk.path.read_bytes(), as_typed(edit, was)
        if b"\n" in was.rstrip(b"\r\n"):
            assert left == expected
        else:
            assert left.split() == expected.split()


UNITS: dict[str, tuple[str, ...]] = {
    "codex": ("model_providers", "vault"),
    "claude-code": ("apiKeyHelper",),
    "crush": ("providers", "openai"),
    "goose": ("auth",),
    "openclaw": ("secrets", "providers", "vault"),
}


def unit(name: str, path: Path) -> Any:
    """What connecting made in a file that belongs together."""
    text = path.read_text()
    if name not in UNITS:
        return text
    found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    for step in UNITS[name]:
        found = found[step]
    return found


def test_what_a_person_changed_in_ours_is_kept_whole_and_named(name: str, desks: Desks) -> None:
    """The command line is made another one: it stays, and so does what it is of no use without."""
    kind = KINDS[name]
    was = find(kind.text, lambda text: "own " in text or "[" in text).encode()
    with desks(was) as desk:
        desk.connect()
        (path,) = (desk.home / p for p, content in desk.files().items() if b"--tool" in content)
        path.write_bytes(path.read_bytes().replace(b'"helper"', b'"mine"').replace(b"vault helper", b"vault mine"))
        changed = unit(name, path)
        told = desk.disconnect()
        assert "mine" in str(changed)
        assert unit(name, path) == changed
        assert {one.path for one in told.kept} == {str(path)}
        assert {one.why for one in told.kept} == {"it was changed since"}


@pytest.mark.parametrize("connected", [True, False])
def test_a_persons_own_helper_is_never_taken_for_ours(name: str, desks: Desks, connected: bool) -> None:
    """What asks by another program, and says vault, helper and the tool's name, stays: connected or not."""
    kind, theirs = KINDS[name], f"/opt/okta/vault-helper helper token x --tool {name}"
    was = find(kind.text, lambda text: "own " in text or "[" in text).encode()

    def edit(text: str) -> str:
        if kind.last is _last_section:
            return f"{_last_section(text)}credential_process = '{theirs}'\n"
        return _last_member(text).replace('"x":1', f'"command": "$({theirs})"')

    with desks(was) as desk:
        if connected:
            desk.connect()
            desk.path.write_bytes(as_typed(edit, desk.path.read_bytes()))
            desk.disconnect()
        else:
            desk.path.write_bytes(as_typed(edit, was))
            with pytest.raises(NotFound):
                desk.disconnect()
        assert desk.path.read_bytes() == as_typed(edit, was)
