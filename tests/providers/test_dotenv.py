"""The project's .env: how its lines are read, what is left as it is written, and which file counts."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import Canary
from vault.pointers import pointer_in
from vault.providers.dotenv import LARGEST, find_dotenv, project_variables


def read(folder: Path, content: str | bytes, **environ: str) -> dict[str, str]:
    """The variables of a folder's .env."""
    path = folder / ".env"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found, where = project_variables(folder, environ)
    assert where == path
    return found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("FAKE_KEY=fake-value", {"FAKE_KEY": "fake-value"}),
        ("FAKE_KEY = fake-value  \n", {"FAKE_KEY": "fake-value"}),
        ("export FAKE_KEY=fake-value\n", {"FAKE_KEY": "fake-value"}),
        ("FAKE_KEY='fake value # not a note'\n", {"FAKE_KEY": "fake value # not a note"}),
        ('FAKE_KEY="fake \\"value\\""\n', {"FAKE_KEY": 'fake "value"'}),
        ("FAKE_KEY='fake \\n value'\n", {"FAKE_KEY": "fake \\n value"}),
        ("FAKE_KEY=fake-value # a note\n", {"FAKE_KEY": "fake-value"}),
        ("FAKE_KEY=fake#value\n", {"FAKE_KEY": "fake#value"}),
        ("FAKE_KEY=fake=value==\n", {"FAKE_KEY": "fake=value=="}),
        ("# FAKE_KEY=no\n\nOTHER=fake\n", {"OTHER": "fake"}),
        ("FAKE_KEY=one\nFAKE_KEY=two\n", {"FAKE_KEY": "two"}),
        ("'FAKE_KEY'=fake\n", {"FAKE_KEY": "fake"}),
        ("FAKE_KEY=one\r\nOTHER='two'\r\n", {"FAKE_KEY": "one", "OTHER": "two"}),
        (b"\xef\xbb\xbfFAKE_KEY=one\nOTHER=two\n", {"FAKE_KEY": "one", "OTHER": "two"}),
        ("FAKE_KEY=grün\n", {"FAKE_KEY": "grün"}),
        # nothing, and what counts as nothing
        ("", {}),
        ("FAKE_KEY=\nOTHER\nTHIRD=''\nFOURTH='  '\n", {}),
        ("this is no assignment\nFAKE_KEY=fake\n", {"FAKE_KEY": "fake"}),
    ],
)
def test_lines(tmp_path: Path, content: str | bytes, expected: dict[str, str]) -> None:
    assert read(tmp_path, content) == expected


@pytest.mark.parametrize("value", ["a$FAKE", "a$", "$1", "fake{}", "fake#`"])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_nothing_in_a_value_is_expanded(tmp_path: Path, value: str, quote: str) -> None:
    assert read(tmp_path, f"FAKE_KEY={quote}{value}{quote}\n", FAKE="expanded") == {"FAKE_KEY": value}


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize(
    "value",
    [
        "a${FAKE}",
        "${FAKE}b",
        "$(echo no)",
        "`echo no`",
        "op://a/b/c",
        "encrypted:BFake",
        "file:/fake",
        "keyring:a/b",
        "<key>",
    ],
)
def test_what_is_no_value_counts_as_unset(tmp_path: Path, value: str, quote: str) -> None:
    """It is never handed out as it is written, and nothing that it names is run, read or asked."""
    assert read(tmp_path, f"FAKE_KEY={quote}{value}{quote}\nOTHER=fake\n", FAKE="expanded") == {"OTHER": "fake"}


@pytest.mark.parametrize("value", ["$FAKE", "${FAKE:-other}", "${FAKE-other}", "${FAKE:?none}", "{env:FAKE}", "%FAKE%"])
def test_a_variable_is_followed_however_it_is_written(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, f"FAKE_KEY={value}\n", FAKE="fake-value") == {"FAKE_KEY": "fake-value"}
    assert read(tmp_path, f"FAKE_KEY={value}\n") == {}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("FAKE_KEY=${OUTSIDE}\n", {"FAKE_KEY": "fake-outside"}),
        ("FAKE_KEY='${OUTSIDE}'\n", {"FAKE_KEY": "fake-outside"}),
        ("FAKE_KEY=${UNSET}\n", {}),
        ("FAKE_KEY=${BLANK}\n", {}),
        ("WORK=fake-work\nFAKE_KEY=${WORK}\n", {"WORK": "fake-work", "FAKE_KEY": "fake-work"}),
        ("FAKE_KEY=${WORK}\nWORK=fake-work\n", {"WORK": "fake-work", "FAKE_KEY": "fake-work"}),
        ("OUTSIDE=fake-inside\nFAKE_KEY=${OUTSIDE}\n", {"OUTSIDE": "fake-inside", "FAKE_KEY": "fake-inside"}),
        ("A=${B}\nB=${C}\nC=fake\n", {"A": "fake", "B": "fake", "C": "fake"}),
        ("A=${B}\nB=${A}\nC=${C}\nD=fake\n", {"D": "fake"}),
        ("A=${B}\nB=x${C}\nC=fake\n", {"C": "fake"}),
    ],
)
def test_a_value_that_is_one_variable_stands_for_it(tmp_path: Path, content: str, expected: dict[str, str]) -> None:
    """An unset one leaves the key unset, so that it never blocks a stored key, and is never handed out as it is written."""
    assert read(tmp_path, content, OUTSIDE="fake-outside", BLANK=" ") == expected


@given(
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\\"), min_size=1, max_size=40)
)
def test_a_secret_in_single_quotes_comes_out_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    folder = tmp_path_factory.mktemp("env", numbered=True)
    if pointer_in(value) is None:
        assert read(folder, f"FAKE_KEY='{value}'\n") == {"FAKE_KEY": value}


def test_it_is_read_and_not_loaded(tmp_path: Path) -> None:
    before = dict(os.environ)
    assert read(tmp_path, "FAKE_KEY=fake\n") == {"FAKE_KEY": "fake"}
    assert dict(os.environ) == before


# -- what can't be read


def test_a_file_that_is_not_text_counts_as_empty(tmp_path: Path) -> None:
    assert read(tmp_path, b"FAKE_KEY=caf\xe9\n") == {}
    assert read(tmp_path, b"\xff\xfeF") == {}


def test_a_huge_file_counts_as_empty(tmp_path: Path) -> None:
    line = b"FAKE_KEY=fake\n"
    assert read(tmp_path, line + b"#" * (LARGEST - len(line))) == {"FAKE_KEY": "fake"}
    assert read(tmp_path, line + b"#" * (LARGEST + 1 - len(line))) == {}


def test_a_file_that_may_not_be_read_counts_as_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    path.write_text("FAKE_KEY=fake\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vault.providers.dotenv.read_regular", refuse)
    assert project_variables(tmp_path, {}) == ({}, path)


def test_a_folder_that_may_not_be_entered_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    assert project_variables(tmp_path, {}) == ({}, None)


def test_a_folder_or_a_pipe_of_that_name_is_none(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert project_variables(tmp_path, {}) == ({}, None)
    (tmp_path / ".env").rmdir()
    os.mkfifo(tmp_path / ".env")
    assert project_variables(tmp_path, {}) == ({}, None)


def test_a_line_that_is_not_understood_is_not_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, canary: Canary
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert read(tmp_path, f"FAKE_KEY '{canary}\n=x\nOTHER=fake\n").get("FAKE_KEY") is None
    told = capfd.readouterr()
    assert told.err == ""
    canary.assert_absent(told.out, told.err, caplog.text)


# -- which file counts


def test_the_nearest_one_up_to_the_projects_root_counts(tmp_path: Path) -> None:
    root, deep = tmp_path / "project", tmp_path / "project" / "a" / "b"
    deep.mkdir(parents=True)
    outside = tmp_path / ".env"
    outside.write_text("WHICH=outside\n")
    assert find_dotenv(deep) is None, "outside a project only the working folder counts"
    assert find_dotenv(tmp_path) == outside
    (root / ".git").mkdir()
    assert find_dotenv(deep) is None, "what is above the root is another project's"
    (root / ".env").write_text("WHICH=root\n")
    assert project_variables(deep, {}) == ({"WHICH": "root"}, root / ".env")
    (deep.parent / ".env").write_text("WHICH=a\n")
    assert project_variables(deep, {})[0] == {"WHICH": "a"}
    (deep / ".env").write_text("")
    assert project_variables(deep, {}) == ({}, deep / ".env"), "an empty nearer one counts all the same"


def test_a_worktrees_git_file_marks_the_root_too(tmp_path: Path) -> None:
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / ".env").write_text("WHICH=outside\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / "tree" / ".git").write_text("gitdir: /fake\n")
    assert find_dotenv(tmp_path / "tree" / "a") is None
    (tmp_path / "tree" / ".env").write_text("WHICH=tree\n")
    assert find_dotenv(tmp_path / "tree" / "a") == tmp_path / "tree" / ".env"


def test_a_setting_of_the_vaults_own_is_any_text(tmp_path: Path) -> None:
    assert read(tmp_path, "VAULT_KEY_COMMAND='$(fake)'\nVAULT_A=none\nVAULT_B=${UNSET}\n") == {
        "VAULT_KEY_COMMAND": "$(fake)",
        "VAULT_A": "none",
    }
