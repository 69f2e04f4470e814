"""Every importer that scrubs, over whatever else a person has in the file: only the secret goes, and all of it comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from tests.cli.test_connecting_properties import (
    BLANKS,
    BOM,
    Desks,
    Kind,
    _first_line,
    _first_member,
    _last_member,
    _last_section,
    as_typed,
    ini_text,
    json_text,
    many,
    toml_text,
)
from tests.support import Files
from vault.commands import connecting
from vault.commands.importing import take_over
from vault.commands.scrubbing import scrub
from vault.context import Context
from vault.interop.plans import Link, Plan
from vault.interop.tools import Tool, tools
from vault.values import MAIN_AGENT

SECRET = "fake-secret-of-this-test"
PAIR = f"[work]\naws_access_key_id = FAKEID\naws_secret_access_key = {SECRET}\n"
TABLE = f'[providers.openai]\napi_key = "{SECRET}"  # mine\n'


@st.composite
def env_text(draw: st.DrawFn) -> str:
    lines = [f"export OPENAI_API_KEY='{SECRET}' # mine\n", "OTHER=1 # é\n", "PATHS=/a:/b\n"]
    return "".join(draw(BLANKS) + line for line in draw(st.permutations(lines)))


def of_json(place: str, **fixed: object) -> Kind:
    return Kind(place, (), json_text(dict(fixed)), _first_member, _last_member)


CLAW = {"version": 1, "profiles": {"openai:default": {"type": "api_key", "provider": "openai", "key": SECRET}}}
KINDS = {
    "aws": Kind(
        ".aws/credentials", (), st.builds("{}\n{}".format, st.just(PAIR), ini_text()), _first_line, _last_section
    ),
    "bmo": Kind(
        ".config/bmo/bmo.toml",
        (),
        st.builds("{}{}".format, toml_text("providers"), st.just(TABLE)),
        _first_line,
        _last_section,
    ),
    "codex": of_json(".codex/auth.json", auth_mode="apikey", OPENAI_API_KEY=SECRET),
    "claude-code": of_json(".claude/settings.json", env={"ANTHROPIC_API_KEY": SECRET, "A": "b"}),
    "crush": of_json(".local/share/crush/crush.json", providers={"openai": {"api_key": SECRET}}),
    "opencode": of_json(".local/share/opencode/auth.json", openai={"type": "api", "key": SECRET}),
    "openclaw": of_json(".openclaw/agents/main/agent/auth-profiles.json", **CLAW),
    "dotenv": Kind("work/.env", (), env_text(), _first_line, lambda text: _ended(text) + "LATE='x'  # y\n"),
}


def _ended(text: str) -> str:
    return text + ("" if not text or text.endswith("\n") else "\n")


@dataclass(frozen=True)
class Desk:
    """A tool with a secret in its file, in a home of its own."""

    context: Context
    tool: Tool
    home: Path
    command: str

    @property
    def path(self) -> Path:
        return self.home / KINDS[self.tool.name].place

    def files(self) -> dict[str, bytes]:
        found = [p for p in sorted(self.home.rglob("*")) if p.is_file() and p.suffix != ".lock"]
        return {str(p.relative_to(self.home)): p.read_bytes() for p in found}

    def scrub(self) -> Plan:
        assert self.tool.read is not None
        found = self.tool.read(None, {}, self.home)
        take_over(self.context, found)
        return scrub(self.context, self.tool, found, Link(self.command, MAIN_AGENT))

    def disconnect(self) -> connecting.Disconnected:
        return connecting.disconnect(self.context, self.tool, self.command)


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def desks(name: str, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desks]:
    """Makes a home with a person's file in it."""
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
                home = Path(folder).resolve()
                monkeypatch.setenv("HOME", str(home))
                (home / "work").mkdir()
                monkeypatch.chdir(home / "work")
                if name == "openclaw":
                    (home / ".openclaw").mkdir()
                    (home / ".openclaw" / "openclaw.json").write_text('{"gateway": {"mode":"local"}}')
                made = Desk(context, tool, home, str(programs / "vault"))
                made.path.parent.mkdir(parents=True, exist_ok=True)
                made.path.write_bytes(content or b"")
                yield made
                monkeypatch.chdir(tmp_path)

        yield desk


@st.composite
def file_of(draw: st.DrawFn, name: str) -> bytes:
    text = draw(KINDS[name].text)
    if name == "codex":  # a file with more than the key is left to codex logout
        text = draw(json_text({"auth_mode": "apikey", "OPENAI_API_KEY": SECRET}).filter(lambda t: "own " not in t))
    if draw(st.booleans()):
        text = text.rstrip("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return BOM * draw(st.booleans()) + text.encode()


def test_every_tool_that_scrubs_is_here() -> None:
    assert {t.name for t in tools() if t.scrub is not None} == set(KINDS)


@many
@given(data=st.data())
def test_scrubbed_and_disconnected_every_byte_is_as_it_was(name: str, desks: Desks, data: st.DataObject) -> None:
    with desks(data.draw(file_of(name))) as desk:
        before = desk.files()
        assert desk.scrub().left_out == []
        assert not any(SECRET.encode() in content for content in desk.files().values())
        again = desk.files()
        if desk.path.exists():
            desk.scrub()
            assert desk.files() == again
        assert desk.disconnect().kept == ()
        assert desk.files() == before


@many
@given(data=st.data())
def test_what_a_person_writes_after_a_scrub_is_kept_to_the_byte(name: str, desks: Desks, data: st.DataObject) -> None:
    kind, was = KINDS[name], data.draw(file_of(name))
    edits = data.draw(st.lists(st.sampled_from([kind.first, kind.last]), unique=True, min_size=1))
    with desks(was) as desk:
        desk.scrub()
        if not desk.path.exists():
            return
        expected = was
        for edit in edits:
            expected = as_typed(edit, expected, was)
            desk.path.write_bytes(as_typed(edit, desk.path.read_bytes(), was))
        assert desk.disconnect().kept == ()
        left = desk.path.read_bytes()
        if desk.path.suffix == ".json":
            # What comes back may stand at the end of its object where the object is on one line; spellings don't change.
            assert json.loads(left.removeprefix(BOM)) == json.loads(expected.removeprefix(BOM))
            for spelling in (b"1.50e3", b"[1,  2, 3 ]", b'"a\\/b"', b'"\\u00e9"', b"[1,  2.0]"):
                assert left.count(spelling) == expected.count(spelling)
        else:
            # A line that was put in where ours is taken back may stand before it or after it.
            assert left.startswith(BOM) == expected.startswith(BOM)
            mine, wanted = (sorted(content.removeprefix(BOM).splitlines()) for content in (left, expected))
            assert mine == wanted
            assert left == expected or kind.first in edits


def test_a_scrub_changes_nothing_but_the_secret(name: str, desks: Desks) -> None:
    """Each line of the person's that has nothing to do with it is there, as it was."""
    was = find(
        KINDS[name].text, lambda text: name == "codex" or "own " in text or "é" in text or "[a-b]" in text
    ).encode()
    with desks(was) as desk:
        desk.scrub()
        left = b"".join(desk.files().values())
        for line in was.split(b"\n"):
            mine = SECRET.encode() not in line and b"aws_access" not in line and b"[work]" not in line
            assert line in left or not mine or name == "codex", json.dumps(line.decode())
