"""Damaged stores of other tools, met by the commands: the status says whose fault it is, the message where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Shell

pytestmark = pytest.mark.usefixtures("files")

DEEP = "github.com: " + "[" * 20_000 + "]" * 20_000
DIGITS = "github.com:\n  oauth_token: fake-secret-canary\n  user: " + "9" * 5000 + "\n"


@pytest.mark.parametrize("content", [DEEP, DIGITS, 'a: "\\ud800"\n', "\0"], ids=["deep", "digits", "half", "NUL"])
def test_import_gh_of_what_no_parser_takes_is_input_not_understood(shell: Shell, content: str, tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text(content)
    told = shell("import", "gh", "--from", str(path), status=65)
    assert f"{path} is not valid YAML" in told.err
    assert "fake-secret-canary" not in told.err


@pytest.mark.parametrize(
    ("tool", "name", "content", "told"),
    [
        ("aws", "credentials", "[work]\nx = 1\n[work]\n", ", line 3: the section [work] is there twice"),
        ("aws", "config", "[profile a]\n\n[profile a]\n", ", line 3: the section [profile a] is there twice"),
        ("huggingface", "stored_tokens", "[one]\nx = 1\n\n[one]\n", ", line 4: the section [one] is there twice"),
        (
            "huggingface",
            "stored_tokens",
            "[one]\nhf_token = a\nhf_token = b\n",
            ", line 3: the section [one] has hf_token twice",
        ),
    ],
)
def test_an_ini_section_twice_is_told_with_file_line_and_section(
    shell: Shell, tmp_path: Path, tool: str, name: str, content: str, told: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert f"{path}{told}" in shell("import", tool, "--from", str(path), status=65).err


def test_status_names_the_line_of_an_aws_file_too(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "credentials"
    path.write_text("[work]\nx = 1\n[work]\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    assert f"{path}, line 3: the section [work] is there twice" in shell("status", "bedrock").out


def test_settings_of_any_depth_are_told_as_settings(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(path))
    for content in ("a = " + "[" * 5000, "a = " + "9" * 5000, "a = 2026-13-41"):
        path.write_text(content)
        assert f"the settings file {path} is not valid TOML" in shell("list", status=78).err
