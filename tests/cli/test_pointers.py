"""References of other tools, encrypted values and placeholders in variables: named, and never handed out as secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.support import Files
from tests.test_pointers import COMPOSED, DEFAULTS, ELSEWHERE, FILES, PLACEHOLDERS, STORES

UNUSABLE = [*DEFAULTS, *list(ELSEWHERE)[::5], *PLACEHOLDERS[::9], *COMPOSED[:1], FILES[0], *STORES, "$(touch ran)"]
IGNORED = "ignored: it holds a reference, an encrypted value or a placeholder, not a secret"


@pytest.mark.parametrize("value", UNUSABLE)
@pytest.mark.parametrize("place", ["env", "dotenv"])
def test_what_only_stands_for_a_secret_is_never_handed_out(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch, value: str, place: str
) -> None:
    if place == "env":
        monkeypatch.setenv("OPENAI_API_KEY", value)
    else:
        Path(".env").write_text(f"OPENAI_API_KEY='{value}'\n")
    refused = shell("get", "openai", status=66)
    assert f"{place}:OPENAI_API_KEY {IGNORED}" in refused.err
    assert value not in refused.out + refused.err
    assert IGNORED in shell("why", "openai").out
    shell.login("openai", "fake-key")
    assert shell("get", "openai").out == "fake-key\n"
    assert not Path("ran").exists()


@pytest.mark.parametrize("value", ["op://Fake/item/key", "${OPENAI_API_KEY}", "encrypted:BFake", "$(pass show fake)"])
def test_a_reference_is_not_stored_as_a_key(shell: Shell, files: Files, value: str) -> None:
    refused = shell("login", "openai", "--stdin", stdin=value, status=65)
    assert "not a secret" in refused.err
    assert "--reference" in refused.err
    shell("login", "git.example.com:me", "--kind", "token", "--stdin", stdin=value)


def test_a_clouds_pair_that_is_a_reference_is_not_handed_out(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ACCESS_KEY_ID": "FAKEID", "SECRET_ACCESS_KEY": "op://Fake/aws/key"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    refused = shell("env", "-p", "amazon-bedrock", status=66)
    shown = shell("status", "amazon-bedrock", status=None)
    assert "AWS_SECRET_ACCESS_KEY counts as not set: its value is a reference to 1Password" in shown.out + shown.err
    assert "op://" not in refused.out + refused.err + shown.out + shown.err


def test_a_variable_in_the_env_file_is_followed(shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("OPENAI_API_KEY=${WORK_KEY:-changeme}\nGROQ_API_KEY=$OWN\nOWN=fake-own\n")
    monkeypatch.setenv("WORK_KEY", "fake-work")
    assert shell("get", "openai").out == "fake-work\n"
    assert shell("get", "groq").out == "fake-own\n"


def test_import_shows_what_it_named_and_left(shell: Shell, files: Files) -> None:
    Path(".env").write_text(
        'OPENAI_API_KEY="encrypted:BFake"\nGROQ_API_KEY=op://Fake/item/key\nXAI_API_KEY=your-key-here\n'
    )
    told = shell("import", "dotenv")
    assert "its value is encrypted by dotenvx, not a secret" in told.row("OPENAI_API_KEY")
    assert "its value is a reference to 1Password, not a secret" in told.row("GROQ_API_KEY")
    assert "its value is a placeholder, not a secret" in told.row("XAI_API_KEY")
    assert "took 0, 0 already here, 3 skipped" in told.err
