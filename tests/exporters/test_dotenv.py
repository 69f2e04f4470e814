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
from vault.interop.dotenv_lines import with_value
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
        text = with_value(text, name, value)
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
    assert path.read_text().startswith("# mine\nexport OPENAI_API_KEY=fake-new # why\nEDITOR=vi\nGROQ_API_KEY=")
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


def scrubbed(tmp_path: Path, text: str) -> tuple[str, dict[str, str], dict[str, tuple[str, ...]]]:
    """A file's text after a scrub, what was left out and why, and each profile's further names."""
    path = tmp_path / ".env"
    path.write_text(text)
    found = dotenv.read(path, {}, tmp_path).found
    plan = dotenv.scrub(found, Link("/fake/vault", MAIN_AGENT), target(path))
    put(plan)
    return path.read_text(), {s.name: s.why for s in plan.left_out}, {f.profile: f.env for f in found}


@pytest.mark.parametrize(
    ("text", "left", "names"),
    [
        ("OPENAI_API_KEY=fake-1\nMY_APP_LLM_KEY=fake-1\n", "", {"openai:default": ("MY_APP_LLM_KEY",)}),
        ("MY_APP_LLM_KEY=fake-1\nOPENAI_API_KEY=$MY_APP_LLM_KEY\n", "", {"openai:default": ("MY_APP_LLM_KEY",)}),
        ("OPENAI_API_KEY=fake-1\nMY_KEY='${OPENAI_API_KEY}'\n", "", {"openai:default": ("MY_KEY",)}),
        ("OPENAI_API_KEY=fake-1\nANTHROPIC_API_KEY=fake-1\n", "", {"openai:default": (), "anthropic:default": ()}),
        (
            "# a\n\nexport OPENAI_API_KEY='fake-1'  # prod\n\n# b\nX=1\n",
            "# a\n\n# prod\n\n# b\nX=1\n",
            {"openai:default": ()},
        ),
        ("X=1\r\nOPENAI_API_KEY=fake-1\r\nY=2\r\n", "X=1\r\nY=2\r\n", {"openai:default": ()}),
    ],
)
def test_every_name_of_a_secret_is_kept_and_its_lines_go(
    tmp_path: Path, text: str, left: str, names: dict[str, tuple[str, ...]]
) -> None:
    path = tmp_path / ".env"
    path.write_bytes(text.encode())
    found = dotenv.read(path, {}, tmp_path).found
    put(dotenv.scrub(found, Link("/fake/vault", MAIN_AGENT), target(path)))
    assert path.read_bytes().decode() == left
    assert {f.profile: f.env for f in found} == names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("OPENAI_API_KEY=fake-1\nLD_PRELOAD=fake-1\n", {"LD_PRELOAD": "would not set"}),
        ("OPENAI_API_KEY=fake-1\nEDITOR=fake-1\n", {"EDITOR": "would not set"}),
        ("OPENAI_API_KEY=fake-1\nURL=https://a/?k=${OPENAI_API_KEY}\n", {"OPENAI_API_KEY": "URL uses it"}),
        (
            "OPENAI_API_KEY=fake-1\nA_KEY=${OPENAI_API_KEY}\nURL=x${A_KEY:-y}\n",
            {"A_KEY": "URL uses it", "OPENAI_API_KEY": "A_KEY"},
        ),
        ("OPENAI_API_KEY=fake-0\nOPENAI_API_KEY=fake-1\n", {"OPENAI_API_KEY": "several lines set it"}),
        ("GEMINI_API_KEY=fake-1\nGOOGLE_API_KEY=fake-2\n", {"GEMINI_API_KEY": "another secret of google"}),
    ],
)
def test_a_line_stays_whose_variable_exec_would_not_set_to_the_same(
    tmp_path: Path, text: str, why: dict[str, str]
) -> None:
    left, told, _ = scrubbed(tmp_path, text)
    for name, reason in why.items():
        assert reason in told[name]
        assert all(line in left for line in text.splitlines() if line.startswith(f"{name}="))


def test_scrubbed_and_exported_again_it_has_every_name(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    text = "OPENAI_API_KEY=fake-1\nMY_APP_LLM_KEY=fake-1\n"
    path.write_text(text)
    (found,) = dotenv.read(path, {}, tmp_path).found
    put(dotenv.scrub([found], Link("/fake/vault", MAIN_AGENT), target(path)))
    put(dotenv.write([Outgoing(MAIN_AGENT, found.profile, found.credential, env=found.env)], {}, target(path)))
    assert path.read_text() == text


SETTINGS = ["fake-1", "fake-2", "${OPENAI_API_KEY}", "${APP_KEY}", "a${APP_KEY}", "1"]


@given(
    st.lists(st.tuples(st.sampled_from(["OPENAI_API_KEY", "APP_KEY", "LD_PRELOAD", "X"]), st.sampled_from(SETTINGS)))
)
def test_whatever_is_in_it_a_program_gets_the_same_after_a_scrub(lines: list[tuple[str, str]]) -> None:
    """What exec sets comes before the file. A loader that goes from top to bottom finds nothing in a line further down."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_text("".join(f"{n}={v}\n" for n, v in lines))
        before = {n: v for n, v in dotenv_values(path).items() if v and v != "a"}
        found = dotenv.read(path, {}, Path(folder)).found
        put(dotenv.scrub(found, Link("/fake/vault", MAIN_AGENT), target(path)))
        given_to = {k: v.reveal() for k, v in dotenv.inject(outgoing(found), target(path)).variables.items()}
        after = {**dotenv_values(path), **given_to}
        assert {n: after.get(n) for n in before} == before
