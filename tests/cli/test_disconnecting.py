"""disconnect takes out exactly what connect put in, says what stays, and changes nothing where nothing was connected."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.support import Files

OKTA = "[profile corp]\ncredential_process = /opt/bin/okta-helper aws --role dev\n"
ASKED = {"commands", "files", "agent", "at", "tool", "ran", "ended"}


@pytest.fixture
def home(isolated: Path) -> Path:
    return Path(os.environ["HOME"])


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def config(home: Path) -> Path:
    return put(home / ".aws" / "config", OKTA)


@pytest.fixture
def aws(shell: Shell, files: Files, config: Path) -> Shell:
    """A vault with AWS keys, and a configuration with somebody else's helper in it."""
    keys = put(config.with_name("keys"), "[work]\naws_access_key_id = FAKEID\naws_secret_access_key = fake-secret\n")
    shell("import", "aws", "--from", str(keys))
    keys.unlink()
    return shell


def test_what_was_never_connected_is_not_disconnected(aws: Shell, config: Path, files: Files) -> None:
    before = config.stat()
    refused = aws("disconnect", "aws", status=66)
    assert "AWS isn't connected by this vault" in refused.err
    assert config.read_text() == OKTA
    assert config.stat().st_mtime_ns == before.st_mtime_ns
    assert not list((files.folder / "state").glob("connections/*"))


def test_another_helper_that_is_put_there_later_stays(aws: Shell, config: Path) -> None:
    config.write_text("[default]\nregion = eu-west-1\n")
    aws("connect", "aws", "--yes")
    config.write_text(config.read_text() + "\n" + OKTA)
    told = aws("disconnect", "aws")
    assert config.read_text() == "[default]\nregion = eu-west-1\n\n" + OKTA
    assert f"{config} no longer asks the vault; what was changed since stays" in told.err


def test_untouched_it_is_as_it_was_and_that_is_said_only_then(aws: Shell, config: Path) -> None:
    aws("connect", "aws", "--yes")
    told = aws("disconnect", "aws")
    assert config.read_text() == OKTA
    assert f"{config} is as it was" in told.err
    again = aws("disconnect", "aws", status=66)
    assert "AWS isn't connected by this vault: it was disconnected at 2026-01-02" in again.err
    assert config.read_text() == OKTA


def test_what_a_person_changed_since_is_kept_and_named(aws: Shell, config: Path) -> None:
    aws("connect", "aws", "--yes")
    mine = config.read_text().replace(
        "helper aws amazon-bedrock --tool aws", "helper aws amazon-bedrock:work --tool aws"
    )
    config.write_text(mine)
    told = aws.json("disconnect", "aws")
    assert config.read_text() == mine
    assert told["files"] == []
    assert told["kept"] == [
        {"name": "[profile vault] credential_process", "path": str(config), "why": "it was changed since"}
    ]


def test_a_persons_own_helper_that_connect_replaced_comes_back(aws: Shell, config: Path) -> None:
    aws("connect", "aws", "--yes", "-p", "amazon-bedrock:corp")
    assert "okta" not in config.read_text()
    config.write_text("# later\n" + config.read_text() + "region = x\n")
    aws("disconnect", "aws")
    assert config.read_text() == "# later\n" + OKTA + "region = x\n"


def test_connected_twice_with_an_edit_between_nothing_of_ours_is_left(aws: Shell, config: Path) -> None:
    aws("connect", "aws", "--yes")
    config.write_text("# between\n" + config.read_text())
    aws("connect", "aws", "--yes", "-p", "amazon-bedrock:work")
    aws("disconnect", "aws")
    assert config.read_text() == "# between\n" + OKTA


def test_without_the_record_only_our_own_exact_lines_go(aws: Shell, config: Path, files: Files) -> None:
    aws("connect", "aws", "--yes")
    for record in (files.folder / "state" / "connections").iterdir():
        record.unlink()
    other = "\n[profile other]\ncredential_process = /opt/else/vault helper aws amazon-bedrock --tool aws\n"
    config.write_text(config.read_text() + other)
    told = aws("disconnect", "aws")
    assert config.read_text() == OKTA + other
    assert f"[profile other] credential_process in {config} stays: it asks a vault, but not by" in told.err
    assert list((files.folder / "state" / "connections").iterdir())
    refused = aws("disconnect", "aws", status=66)
    assert "[profile other] credential_process" in refused.err
    assert config.read_text() == OKTA + other


def test_another_place_than_the_connected_one_is_left_alone(aws: Shell, config: Path, tmp_path: Path) -> None:
    other = put(tmp_path / "other" / "config", OKTA)
    aws("connect", "aws", "--yes")
    connected = config.read_text()
    aws("disconnect", "aws", "--to", str(other), status=66)
    assert (config.read_text(), other.read_text()) == (connected, OKTA)
    aws("connect", "aws", "--yes", "--to", str(other))
    aws("disconnect", "aws", "--to", str(other))
    assert (config.read_text(), other.read_text()) == (connected, OKTA)
    aws("disconnect", "aws")
    assert config.read_text() == OKTA


JSON = Callable[[dict[str, object]], None]


def in_json(edit: JSON) -> Callable[[str], str]:
    def edited(text: str) -> str:
        document = json.loads(text)
        edit(document)
        return json.dumps(document, indent=2)

    return edited


def added(document: dict[str, object]) -> None:
    document["mine"] = {"key": "fake", "list": [1, {"x": None}]}


TOOLS: dict[str, tuple[str, str, Callable[[str], str]]] = {
    "aws": (".aws/config", OKTA, lambda text: f"; note\n{text}\n[profile late]\nregion = x # here\n"),
    "bmo": (
        ".config/bmo/bmo.toml",
        '# mine\n[providers.lab]\napi_key = "$(vault-like helper token lab)"\n',
        lambda text: f'title = "x" # note\n{text}\n[providers.late]\nbase_url = "http://127.0.0.1:1"\n',
    ),
    "codex": (
        ".codex/config.toml",
        '# mine\nmodel = "fake"\nmodel_provider = "corp"\n\n[model_providers.corp]\nname = "c" # note\n',
        lambda text: f"# late\n{text}\n[tools]\nx = 1 # y\n",
    ),
    "claude-code": (
        ".claude/settings.json",
        json.dumps({"apiKeyHelper": "/opt/helper api-key vault", "model": "fake"}, indent=2),
        in_json(added),
    ),
    "crush": (
        ".local/share/crush/crush.json",
        json.dumps({"providers": {"lab": {"api_key": "$(/opt/vaults helper token lab)"}}, "x": 1}, indent=2),
        in_json(added),
    ),
    "goose": (
        ".config/goose/custom_providers/corp.json",
        json.dumps({"name": "openai", "base_url": "https://api.openai.com/v1", "api_key_env": "CORP_KEY"}, indent=2),
        in_json(added),
    ),
    "opencode": (
        ".local/share/opencode/auth.json",
        json.dumps({"lab": {"type": "api", "key": "vaults:lab"}}, indent=2),
        in_json(added),
    ),
}


@pytest.fixture
def both(shell: Shell, files: Files) -> Shell:
    shell.login("openai", "fake-key-openai")
    shell.login("anthropic", "fake-key-anthropic")
    return shell


def read(folder: Path) -> dict[str, str]:
    """Every file below a folder but the tools' own locks, which stay empty."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".lock"]
    return {str(p.relative_to(folder)): p.read_text() for p in files}


@pytest.mark.parametrize("tool", TOOLS)
def test_disconnect_without_connect_changes_no_byte(both: Shell, home: Path, tool: str) -> None:
    place, text, edit = TOOLS[tool]
    put(home / place, edit(text))
    before = read(home)
    assert "isn't connected" in both("disconnect", tool, status=66).err
    assert read(home) == before


@pytest.mark.parametrize("tool", TOOLS)
def test_connected_edited_and_disconnected_only_the_edit_is_left(
    both: Shell, aws: Shell, home: Path, tool: str
) -> None:
    place, text, edit = TOOLS[tool]
    path = put(home / place, text)
    both("connect", tool, "--yes")
    assert path.read_text() != text
    path.write_text(edit(path.read_text()))
    told = both.json("disconnect", tool)
    assert told["kept"] == []
    assert str(path) in told["files"]
    if path.suffix == ".json":
        assert json.loads(path.read_text()) == json.loads(edit(text))
    else:
        assert path.read_text() == edit(text)


@pytest.mark.parametrize("tool", TOOLS)
def test_connected_and_disconnected_every_byte_is_as_it_was(both: Shell, aws: Shell, home: Path, tool: str) -> None:
    place, text, _ = TOOLS[tool]
    put(home / place, text)
    before = read(home)
    both("connect", tool, "--yes")
    both("disconnect", tool)
    assert read(home) == before


@pytest.mark.parametrize("tool", TOOLS)
def test_without_the_record_what_is_the_persons_stays(
    both: Shell, aws: Shell, files: Files, home: Path, tool: str
) -> None:
    """What connecting replaced can't come back then; everything else is there."""
    place, text, edit = TOOLS[tool]
    path = put(home / place, text)
    both("connect", tool, "--yes")
    for record in (files.folder / "state" / "connections").iterdir():
        record.unlink()
    path.write_text(edit(path.read_text()))
    both("disconnect", tool)
    left = path.read_text()
    assert "--tool" not in left
    assert "vault:" not in left
    if path.suffix == ".json":
        wanted = json.loads(edit(text))
        wanted.pop("apiKeyHelper", None)
        wanted = {**wanted, "api_key_env": ""} if "api_key_env" in wanted else wanted
        assert json.loads(left) == wanted
    else:
        assert left.rstrip() == edit(text).rstrip()
