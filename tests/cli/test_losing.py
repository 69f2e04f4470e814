"""scrub and export take nothing away that the vault could not give back, and keep what a person wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.support import Files


@pytest.fixture
def home(isolated: Path) -> Path:
    return Path(os.environ["HOME"])


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


PAIR = "aws_access_key_id = FAKEID{0}\naws_secret_access_key = fake-secret-{0}\n"


def test_other_keys_of_the_same_aws_profile_stay(shell: Shell, files: Files, home: Path) -> None:
    credentials = put(home / ".aws" / "credentials", "# mine\n[work]\n" + PAIR.format(1))
    config = put(home / ".aws" / "config", "[profile work]\n" + PAIR.format(2))
    shell("import", "aws", "--scrub")
    assert credentials.read_text() == "# mine\n"
    assert PAIR.format(2) in config.read_text()
    shell("disconnect", "aws")
    assert PAIR.format(1) in credentials.read_text()


@pytest.mark.parametrize(
    "own", ["credential_process = /opt/okta aws", "role_arn = arn:aws:iam::1:role/fake\nsource_profile = x"]
)
def test_an_aws_profile_that_asks_elsewhere_is_not_scrubbed(shell: Shell, files: Files, home: Path, own: str) -> None:
    credentials = put(home / ".aws" / "credentials", "[work]\n" + PAIR.format(1))
    config = put(home / ".aws" / "config", f"[profile work]\n{own}\n")
    told = shell("import", "aws", "--scrub")
    assert (credentials.read_text(), config.read_text()) == ("[work]\n" + PAIR.format(1), f"[profile work]\n{own}\n")
    assert f"amazon-bedrock:work stays in {config}: [profile work] has {own.partition(' ')[0]} of its own" in told.err
    assert "scrubbed" not in told.err


def test_another_entry_whose_place_a_placeholder_would_take_stays(shell: Shell, files: Files, home: Path) -> None:
    document = {"groq/": {"type": "api", "key": "fake-1"}, "groq": {"type": "api", "key": "fake-2"}}
    path = put(home / ".local" / "share" / "opencode" / "auth.json", json.dumps(document))
    told = shell("import", "opencode", "--scrub", status=None)
    assert json.loads(path.read_text()) == document, told


def test_a_bmo_key_that_was_found_under_another_name_is_the_one_that_goes(
    shell: Shell, files: Files, home: Path
) -> None:
    text = '[providers.google]\napi_key = "fake-1"\n\n[providers.gemini]\napi_key = "fake-2"\n'
    path = put(home / ".config" / "bmo" / "bmo.toml", text)
    shell("import", "bmo", "--scrub")
    assert '"fake-2"' in path.read_text()
    assert '"fake-1"' not in path.read_text()


def test_connect_says_what_it_replaces_and_shows_no_key(shell: Shell, files: Files, home: Path) -> None:
    shell.login("openai", "fake-1")
    path = put(home / ".config" / "bmo" / "bmo.toml", '[providers.openai]\napi_key = "fake-unknown"\n')
    told = shell("connect", "bmo", "-p", "openai", "--dry-run")
    assert "fake-unknown" not in told.out + told.err
    assert (
        f"{path} held a credential of openai:default that the vault doesn't have; vault disconnect brings it back"
        in told.err
    )


ENV = "# mine\nOPENAI_API_KEY=fake-mine # prod\nX=1\n"


def test_a_key_there_that_the_vault_does_not_hold_is_not_written_over(shell: Shell, files: Files) -> None:
    shell.login("openai", "fake-1")
    shell.login("groq", "fake-2")
    path = put(Path(".env"), ENV)
    told = shell("export", "dotenv")
    assert path.read_text() == ENV + "GROQ_API_KEY=fake-2\n"
    assert "openai:default is left out: another credential is there, which the vault doesn't hold" in told.err
    assert "another credential is there" in shell("export", "dotenv", "-p", "openai", status=66).err
    shell("export", "dotenv", "--replace")
    assert path.read_text() == ENV.replace("fake-mine", "fake-1") + "GROQ_API_KEY=fake-2\n"


def test_a_key_that_the_vault_gave_or_took_over_is_written_over(shell: Shell, files: Files) -> None:
    shell.login("openai", "fake-1")
    shell("export", "dotenv")
    shell.login("openai", "fake-2")
    shell("export", "dotenv")
    assert Path(".env").read_text() == "OPENAI_API_KEY=fake-2\n"
    put(Path(".env"), "OPENAI_API_KEY=fake-mine\n")
    shell("export", "dotenv", "-p", "openai", status=66)
    shell("import", "dotenv")
    shell("restore", "openai:default")
    shell("export", "dotenv")
    assert Path(".env").read_text() == "OPENAI_API_KEY=fake-2\n"


Edit = Callable[[str], str]


def in_json(edit: Callable[[dict[str, object]], object]) -> Edit:
    def edited(text: str) -> str:
        document = json.loads(text)
        edit(document)
        return json.dumps(document, indent=2)

    return edited


STORES: dict[str, tuple[str, Edit, str]] = {
    "dotenv": (".env", lambda t: f"# top\nexport A='b' # c\n{t}\nMY=1\n", "fake-openai"),
    "llm": ("keys.json", in_json(lambda d: d.update(mine="fake-mine")), "fake-openai"),
    "cline": ("providers.json", in_json(lambda d: d.update(mine={"x": [1]})), "fake-openai"),
    "crush": ("crush.json", in_json(lambda d: d.update(mine={"x": [1]})), "fake-openai"),
    "bmo": ("bmo.toml", lambda t: f"# top\n{t}\n[mine]\nx = 1 # y\n", "fake-openai"),
    "goose": ("secrets.yaml", lambda t: f"# top\n{t}MINE: fake # y\n", "fake-openai"),
    "opencode": ("auth.json", in_json(lambda d: d.update(mine={"type": "api", "key": "fake-mine"})), "fake-openai"),
    "codex": (".codex/auth.json", in_json(lambda d: d.update(mine=1)), "fake-openai"),
    "gemini": (".gemini/.env", lambda t: f"# top\n{t}MINE=1 # y\n", "fake-google"),
    "qwen": (".qwen/.env", lambda t: f"# top\n{t}MINE=1 # y\n", "fake-openai"),
    "gh": ("hosts.yml", lambda t: f"# top\n{t}other.example:\n    user: me # y\n", "fake-github"),
    "huggingface": ("hf/stored_tokens", lambda t: f"# top\n{t}\n[mine]\nx = 1\n", "fake-hf"),
    "aws": ("aws/credentials", lambda t: f"# top\n{t}\n[mine]\nregion = x\n", "fake-aws"),
}


@pytest.fixture
def stocked(shell: Shell, files: Files, tmp_path: Path) -> Shell:
    for what, secret in (("openai", "fake-openai"), ("google", "fake-google"), ("huggingface", "fake-hf")):
        shell.login(what, secret)
    shell.login("github.com:me", "fake-github", "--kind", "token")
    keys = put(tmp_path / "aws.keys", "[work]\naws_access_key_id = FAKEID\naws_secret_access_key = fake-aws\n")
    shell("import", "aws", "--from", str(keys))
    return shell


@pytest.mark.parametrize("tool", STORES)
def test_exported_edited_and_exported_again_the_edit_is_there(stocked: Shell, tmp_path: Path, tool: str) -> None:
    place, edit, secret = STORES[tool]
    path = tmp_path / "store" / place
    path.parent.mkdir(parents=True)
    to = path.parent if tool in ("huggingface", "aws", "codex", "gemini", "qwen") else path
    stocked("export", tool, "--to", str(to))
    assert secret in path.read_text()
    path.write_text(edit(path.read_text()))
    mine = path.read_text()
    stocked("export", tool, "--to", str(to))
    assert path.read_text() == mine


@pytest.mark.parametrize("tool", STORES)
def test_a_key_that_a_person_put_in_place_of_an_exported_one_stays(stocked: Shell, tmp_path: Path, tool: str) -> None:
    place, _, secret = STORES[tool]
    path = tmp_path / "store" / place
    path.parent.mkdir(parents=True)
    to = path.parent if tool in ("huggingface", "aws", "codex", "gemini", "qwen") else path
    stocked("export", tool, "--to", str(to))
    mine = path.read_text().replace(secret, "fake-of-the-person")
    path.write_text(mine)
    stocked("export", tool, "--to", str(to), status=None)
    assert path.read_text() == mine
    stocked("export", tool, "--to", str(to), "--replace")
    assert secret in path.read_text()
