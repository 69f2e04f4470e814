"""config path, show, edit: what an editor leaves is checked before it counts, and a mistake loses nobody's work."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.running import Shell, ended, terminal


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings file would be; the environment names it."""
    found = tmp_path / "settings" / "config.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(found))
    return found


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An editor that writes what ``texts`` holds, a file for each time it is run: 1, 2, …"""
    folder = tmp_path / "texts"
    folder.mkdir()
    script = tmp_path / "the editor"
    script.write_text(
        f'#!/bin/sh\ncd "{folder}"\nn=$(($(cat count 2>/dev/null || echo 0) + 1))\necho $n > count\n'
        'cp "$2" "seen-$n"\n[ -f "$n" ] && cat "$n" > "$2"\nexit ${FAKE_STATUS:-0}\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("EDITOR", f"'{script}' --wait")
    monkeypatch.delenv("VISUAL", raising=False)
    return folder


def edit(*answers: str) -> tuple[int | None, str]:
    with terminal("config", "edit") as child:
        said = ""
        for answer in answers:
            child.expect_exact("Edit it again?")
            said += child.before or ""
            child.sendline(answer)
        status, rest = ended(child)
        return status, said + rest


def test_path_and_defaults(shell: Shell, place: Path) -> None:
    assert shell("config", "path").out == f"{place}\n"
    assert shell.json("config", "path") == {"schema": "vault.config-path/1", "path": str(place), "exists": False}
    told = shell.json("config", "show")
    assert (told["exists"], told["sources"]) == (False, ["environment", "dotenv", "envfile", "stored"])
    assert "does not exist; these are the defaults" in shell("config", "show").err


def test_editing_starts_from_a_template_and_saves(shell: Shell, place: Path, editor: Path) -> None:
    (editor / "1").write_text('disabled_providers = ["groq"]\n')
    status, said = edit()
    assert status == 0
    assert f"saved {place}" in said
    assert shell.json("config", "show")["disabled_providers"] == ["groq"]
    assert "# disabled_providers = []" in (editor / "seen-1").read_text()
    edit()
    assert (editor / "seen-2").read_text() == 'disabled_providers = ["groq"]\n'
    assert sorted(p.name for p in place.parent.iterdir()) == ["config.toml"], "no draft is left"


def test_the_template_is_in_order(place: Path, editor: Path) -> None:
    status, said = edit()
    assert status == 0
    assert "nothing was changed" in said
    assert not place.exists()


def test_a_mistake_can_be_put_right(shell: Shell, place: Path, editor: Path) -> None:
    (editor / "1").write_text("sources = [\n")
    (editor / "2").write_text('# mine\nnonsense = "x"\n')
    (editor / "3").write_text('sources = ["stored"]\n')
    status, said = edit("", "y")
    assert status == 0
    assert "is not valid TOML" in said
    assert "line 2: nonsense: there is no such setting" in said
    assert (editor / "seen-2").read_text() == "sources = [\n", "what was typed is still there"
    assert shell.json("config", "show")["sources"] == ["stored"]


def test_a_mistake_that_is_left_changes_nothing(place: Path, editor: Path) -> None:
    place.parent.mkdir()
    place.write_text('sources = ["stored"]\n')
    (editor / "1").write_text("nonsense = 1\n")
    status, said = edit("n")
    assert status == 78
    assert "the settings are unchanged" in said
    assert place.read_text() == 'sources = ["stored"]\n'
    assert sorted(p.name for p in place.parent.iterdir()) == ["config.toml"]


def test_an_editor_that_fails_changes_nothing(place: Path, editor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (editor / "1").write_text('sources = ["stored"]\n')
    monkeypatch.setenv("FAKE_STATUS", "3")
    status, said = edit()
    assert status == 64
    assert "the editor ended with status 3: the settings are unchanged" in said
    assert not place.exists()


@pytest.mark.parametrize(
    ("named", "status", "why"),
    [
        ("/nonexistent/editor", 69, "can't be run: No such file or directory"),
        ("vi 'x", 64, "can't be split into words"),
    ],
)
def test_an_editor_that_is_none(
    place: Path, monkeypatch: pytest.MonkeyPatch, named: str, status: int, why: str
) -> None:
    monkeypatch.setenv("EDITOR", named)
    monkeypatch.delenv("VISUAL", raising=False)
    ended_with, said = edit()
    assert ended_with == status
    assert why in said


def test_without_a_terminal(shell: Shell, place: Path) -> None:
    assert "there is no terminal for an editor" in shell("config", "edit", status=64).err
