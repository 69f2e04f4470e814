"""What looks like a secret is never repeated, whichever argument it was typed as; what doesn't is shown."""

from __future__ import annotations

import pytest

from tests.cli.running import Shell
from tests.support import Canary, Files

pytestmark = pytest.mark.usefixtures("furnished")

KEY = "sk-ant-api03-FAKEfakeFAKEfake-0123456789"
LINES = [
    "get {}",
    "get {}:default",
    "get anthropic:{}",
    "get anthropic@{}",
    "login {}",
    "login {} --stdin",
    "login {}:default --stdin",
    "login anthropic {}",
    "login anthropic --profile {} --no-input",
    "login anthropic --method {} --no-input",
    "login anthropic --kind {} --stdin",
    "login anthropic --expires-in {} --stdin",
    "login anthropic --from-file {}",
    "login anthropic --from-fd {}",
    "login anthropic --reference {}",
    "login anthropic --agent {} --stdin",
    "logout {}",
    "logout anthropic:{}",
    "list {}",
    "list --provider {}",
    "list --agent {}",
    "list --at {}",
    "show anthropic:{}",
    "show {}",
    "status {}",
    "refresh {}",
    "probe {}",
    "wizard {}",
    "why {}",
    "why anthropic --agent {}",
    "env --shell {}",
    "env -p {}",
    "exec -p {} -- true",
    "exec {} -- true",
    "exec --tool {} -- true",
    "order get --provider {}",
    "order set --provider anthropic {}",
    "pin anthropic:{}",
    "unpin {}",
    "report anthropic:default {}",
    "report anthropic:default failure --reason {}",
    "report anthropic:default failure --until {}",
    "report anthropic:default failure --retry-after {}",
    "report {} failure",
    "health clear {}",
    "agent add {}!",
    "agent remove {}",
    "agent inherit coder --from {}",
    "history --type {}",
    "history --since {}",
    "history --profile {}",
    "history --provider {}",
    "history --agent {}",
    "history --limit {}",
    "restore {}",
    "restore anthropic:{}",
    "restore anthropic:default --to {}",
    "restore anthropic:default --at {}",
    "restore --order {}",
    "key add --key-file {}/x/y",
    "key add --passphrase-file {}",
    "key remove {}",
    "import {}",
    "import opencode --from {}",
    "connect {}",
    "connect opencode -p {}",
    "disconnect {}",
    "export {}",
    "sync {}",
    "helper {}",
    "helper token {}",
    "helper token anthropic:{}",
    "helper git {}",
    "helper docker {}",
    "provider show {}!",
    "provider enable {}!",
    "doctor {}",
    "{}",
    "--{}",
    "list --{}",
    "list --bogus={}",
    "config {}",
]


@pytest.mark.parametrize("line", LINES)
def test_what_looks_like_a_secret_is_never_repeated(shell: Shell, canary: Canary, line: str) -> None:
    for secret in (KEY, str(canary)):
        for more in ((), ("--json",)):
            words = line.format(secret).split()
            cut = words.index("--") if "--" in words else len(words)
            told = shell(*words[:cut], *more, *words[cut:], stdin="fake-key-of-the-pipe", status=None)
            said = (told.out + told.err).lower()
            assert secret.lower() not in said, told
            assert told.status != 70, told
            assert told.status or line.startswith("helper"), told
            if secret == KEY:
                assert told.status == 64
                assert "--stdin" in told.err
            elif told.status in (65, 66) and not line.startswith("helper"):
                assert "looks like a secret" not in told.err or "--stdin" in told.err, told


@pytest.mark.parametrize("option", ["--reason", "--label", "--note", "--command-id"])
def test_a_key_is_not_kept_as_free_text_either(shell: Shell, files: Files, canary: Canary, option: str) -> None:
    command = {"--label": "login openai --stdin", "--note": "report openai:default failure"}.get(
        option, "logout openai:default"
    )
    before = len(shell.json("history", "-n", "0")["events"])
    told = shell(*command.split(), option, f"it was {KEY}", stdin="fake", status=64)
    assert KEY not in told.err
    assert len(shell.json("history", "-n", "0")["events"]) == before


def test_the_secret_of_an_environment_variable_is_not_repeated(
    shell: Shell, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in (f"{KEY}!", f"{canary}!"):
        monkeypatch.setenv("VAULT_AGENT", secret)
        told = shell("list", status=65)
        assert secret[:-1] not in told.err


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("show anthropic:nope", "anthropic:nope"),
        ("show openai:firstname.lastname@company.example.com", "openai:firstname.lastname@company.example.com"),
        ("get git.example.com:user-1", "git.example.com:user-1"),
        ("import opencode --from some-folder/auth-profiles.json", "some-folder/auth-profiles.json"),
        ("list --agent nobody", "nobody"),
        ("helper nothing", "nothing"),
        ("exec -- no-such-program-anywhere", "no-such-program-anywhere"),
        ("show mistral:9d1c250a-e61b-44d9-88ed-5944d1962f5e", "mistral:9d1c250a-e61b-44d9-88ed-5944d1962f5e"),
    ],
)
def test_ids_files_hosts_and_names_are_still_shown(shell: Shell, line: str, shown: str) -> None:
    told = shell(*line.split(), status=None)
    assert shown in told.err
    assert "secret" not in told.err


def test_a_child_of_exec_gets_its_own_arguments(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("vault.cli.issue._become", lambda program, command, environment: became.append(list(command)))
    shell("exec", "--", "true", KEY)
    assert became == [["true", KEY]]


def test_no_provider_is_made_of_what_looks_like_a_secret(shell: Shell, canary: Canary) -> None:
    for secret in (str(canary), "0123456789abcdef0123456789abcdef"):
        told = shell("login", secret, "--stdin", stdin="fake-key", status=65)
        assert secret not in told.err
        assert "--stdin" in told.err
    assert shell.json("list", "--agent", "lone")["profiles"] == []
