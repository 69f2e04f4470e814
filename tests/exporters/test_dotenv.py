""".env files: read, written, scrubbed, and the rest of the file byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, OAuth, Reference
from vault.interop import dotenv
from vault.interop.plans import Link, Outgoing
from vault.values import MAIN_AGENT, ProfileId

NAMES = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY"]
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30).map(
    lambda t: f"fake-{t}-z"
)
LINES = st.sampled_from(["# a note", "", "UNRELATED=1", "  PADDED = two words", "export OTHER='x y'", 'QUOTED="a\\nb"'])


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), st.lists(LINES, max_size=6), st.booleans())
@example({"OPENAI_API_KEY": "fake-it's-\\-z"}, ["# a note"], False)
def test_read_and_written_is_the_same_file(keys: dict[str, str], lines: list[str], end: bool) -> None:
    text = "\n".join(lines)
    for name, value in keys.items():
        text = dotenv.with_value(text, name, value)
    text = text.rstrip("\n") + ("\n" if end else "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_text(text)
        assert {k: v for k, v in dotenv_values(path, interpolate=False).items() if k in NAMES} == keys
        found = dotenv.read(path, {}, Path(folder)).found
        assert sorted(f.credential.secret() or "" for f in found) == sorted(keys.values())
        put(dotenv.write(outgoing(found), {}, target(path)))
        assert path.read_text() == text


def test_what_becomes_what(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# keys\nexport OPENAI_API_KEY=fake-1\nANTHROPIC_API_KEY='fake-2' # a comment\nGEMINI_API_KEY=fake-3\n"
        "GOOGLE_GENERATIVE_AI_API_KEY=fake-4\nGROQ_API_KEY=${ELSEWHERE}\nMISTRAL_API_KEY=\nEDITOR=vi\n"
    )
    findings = dotenv.read(path, {}, tmp_path)
    found = profiles(findings)
    assert found["openai:default"] == "fake-1"
    assert found["anthropic:default"] == "fake-2"
    assert {v for k, v in found.items() if k.startswith("google:")} == {"fake-3", "fake-4"}
    (reference,) = [f.credential for f in findings.found if f.profile == "groq:default"]
    assert reference == Reference(scheme="env", target="ELSEWHERE")
    assert [s.name for s in findings.skipped] == ["MISTRAL_API_KEY"]


def test_a_file_gets_a_value_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nexport OPENAI_API_KEY=fake-old # why\nEDITOR=vi")
    keys = [
        Outgoing(MAIN_AGENT, ProfileId("openai:default"), ApiKey(key="fake-new")),
        Outgoing(MAIN_AGENT, ProfileId("groq:default"), ApiKey(key="fake $pecial 'key'")),
    ]
    put(dotenv.write(keys, {}, target(path)))
    assert path.read_text().startswith("# mine\nexport OPENAI_API_KEY=fake-new\nEDITOR=vi\nGROQ_API_KEY=")
    assert dotenv_values(path)["GROQ_API_KEY"] == "fake $pecial 'key'"


def test_scrubbing_takes_the_keys_out_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nOPENAI_API_KEY=fake-1\nEDITOR=vi\n")
    plan = dotenv.scrub(dotenv.read(path, {}, tmp_path).found, Link("/fake/vault", MAIN_AGENT), target(path))
    put(plan)
    assert path.read_text() == "# mine\nEDITOR=vi\n"
    assert "vault exec" in plan.notes[0]


def test_a_login_is_left_out(tmp_path: Path) -> None:
    plan = dotenv.write(
        [Outgoing(MAIN_AGENT, ProfileId("openai:default"), OAuth(access="fake-access"))], {}, target(tmp_path / ".env")
    )
    assert "vault exec" in plan.left_out[0].why


def test_a_child_is_handed_only_what_has_a_variable() -> None:
    ones = [
        Outgoing(MAIN_AGENT, ProfileId("groq:default"), ApiKey(key="fake-key")),
        Outgoing(MAIN_AGENT, ProfileId("git.example.com:octo"), ApiKey(key="fake-password")),
        Outgoing(MAIN_AGENT, ProfileId("openai:default"), Reference(scheme="env", target="NOWHERE")),
    ]
    injection = dotenv.inject(ones, target(Path("/fake")))
    assert {k: v.reveal() for k, v in injection.variables.items()} == {"GROQ_API_KEY": "fake-key"}
    assert list(injection.used) == ["groq:default"]


def test_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tmp_path / ".aider" / "oauth-keys.env" in dotenv.places({}, tmp_path)
    with pytest.raises(NotFound):
        dotenv.read(None, {}, tmp_path)
    (tmp_path / ".env").write_text("OPENAI_API_KEY=fake-1\n")
    assert profiles(dotenv.read(None, {}, tmp_path)) == {"openai:default": "fake-1"}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"OPENAI_API_KEY='unclosed\n"])
def test_damage_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    with pytest.raises(InputError):
        dotenv.write([Outgoing(MAIN_AGENT, ProfileId("groq:default"), ApiKey(key="fake"))], {}, target(path))
    assert path.read_bytes() == content
