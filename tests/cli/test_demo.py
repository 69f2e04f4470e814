"""demo: it plays through, fails when a step fails, and leaves nothing unless told to."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell
from vault.cli.demo import Stage
from vault.errors import Defect


def test_it_plays_and_leaves_nothing(real: Real, isolated: Path) -> None:
    told = real("demo")
    assert told.err == ""
    for said in (
        "$ vault init --key-file ./key",
        "$ vault order set --provider anthropic work default",
        "$ vault exec --provider anthropic --agent coder -- ",
        "$ vault restore anthropic:work",
        "$ vault history",
        "the log is whole",
        "identical to what was there",
        "none found",
    ):
        assert said in told.out
    assert told.out.splitlines()[-1].endswith("every step checked.")
    assert re.search(r"\n  Recovery code.*:\n  ([0-9A-Z]{4}-){8}[0-9A-Z]{4}\n", told.out)
    assert list((isolated / "tmp").iterdir()) == []


def test_it_is_the_same_whatever_the_environment_says(real: Real) -> None:
    told = real("demo", env={"ANTHROPIC_API_KEY": "fake-ambient", "VAULT_AGENT": "nobody", "VAULT_KEY_FILE": "nowhere"})
    assert "fake-ambient" not in told.out


def test_it_leaves_the_vault_when_asked(real: Real, isolated: Path) -> None:
    told = real("demo", "--keep")
    (folder,) = (isolated / "tmp").iterdir()
    assert f"export VAULT_DATABASE={folder}/data/vault.db VAULT_STATE={folder}/state" in told.out
    again = real("verify", env={"VAULT_DATABASE": f"{folder}/data/vault.db", "VAULT_STATE": f"{folder}/state"})
    assert "the log is whole" in again.out


def test_a_step_that_fails_fails_the_demo(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(Defect, match="the demo's step vault list ended with status 78"):
        stage.vault("list")
    with pytest.raises(Defect, match="the demo expected that pigs fly"):
        stage.expect(False, "pigs fly")
    monkeypatch.setattr(Stage, "expect", lambda *_: (_ for _ in ()).throw(Defect("the demo expected otherwise")))
    told = shell("demo", status=70)
    assert "the demo expected otherwise" in told.err
    assert "Done" not in told.out
    assert list(Path(tempfile.gettempdir()).glob("vault-demo-*")) == []
