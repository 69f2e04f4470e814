"""login: where the secret comes from, what is stored, what is said, what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell
from tests.support import START, Files
from vault.values import DAY, format_instant_exact

pytestmark = pytest.mark.usefixtures("files")


def test_stores_a_key_and_talks_on_stderr_only(shell: Shell) -> None:
    told = shell("login", "anthropic", "--stdin", stdin="fake-key-1\n")
    assert told.out == ""
    first, *rest = told.err.splitlines()
    assert first.startswith("logged in anthropic:default for agent main (api_key, fingerprint ")
    assert rest == []
    assert shell("get", "anthropic").out == "fake-key-1\n"


def test_json(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1")
    told = shell.json("login", "anthropic", "--stdin", stdin="fake-key-2")
    fingerprint = told.pop("fingerprint")
    assert len(fingerprint) == 16
    assert told == {
        "schema": "vault.login/1",
        "agent": "main",
        "profile": "anthropic:default",
        "position": 3,
        "kind": "api_key",
        "expires_at": None,
        "replaced": 2,
        "base_url": None,
        "same_secret": False,
        "registered_agent": False,
    }


def test_from_a_file(shell: Shell) -> None:
    Path("key.txt").write_text("fake-key-of-a-file\r\n")
    shell("login", "anthropic", "--from-file", "key.txt")
    assert shell("get", "anthropic").out == "fake-key-of-a-file\n"


def test_from_a_file_called_dash_is_standard_input(shell: Shell) -> None:
    shell("login", "anthropic", "--from-file", "-", stdin="fake-key-dash")
    assert shell("get", "anthropic").out == "fake-key-dash\n"


def test_from_a_file_descriptor(shell: Shell) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"fake-key-of-a-pipe\n")
        os.close(writing)
        shell("login", "anthropic", "--from-fd", str(reading))
    finally:
        os.close(reading)
    assert shell("get", "anthropic").out == "fake-key-of-a-pipe\n"


def test_a_real_pipe(real: Real) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key-real")
    assert real("get", "anthropic").out == "fake-key-real\n"


def test_names_a_profile_in_each_way(shell: Shell) -> None:
    ways = [
        ("anthropic:a",),
        ("anthropic", "--profile", "a"),
        ("anthropic", "--profile", "anthropic:a"),
        ("--profile", "anthropic:a"),
        ("anthropic:a", "--profile", "a"),
    ]
    assert [shell.json("login", *way, "--stdin", stdin="fake-key")["profile"] for way in ways] == ["anthropic:a"] * 5


def test_takes_an_id_or_a_display_name_in_any_case(shell: Shell) -> None:
    assert shell.json("login", "ANTHROPIC", "--stdin", stdin="fake-key")["profile"] == "anthropic:default"
    assert shell.json("login", "Amazon Bedrock", "--stdin", stdin="fake-key")["profile"] == "amazon-bedrock:default"


def test_an_own_provider_is_kept_once_it_was_insisted_on(shell: Shell) -> None:
    assert "--custom" in shell("login", "my-thing", "--stdin", stdin="fake-key", status=66).err
    shell("login", "my-thing", "--stdin", "--custom", stdin="fake-key")
    shell("login", "my-thing:other", "--stdin", stdin="fake-key")
    shell("logout", "my-thing:other")
    shell("logout", "my-thing:default")
    assert "did you mean" not in shell("login", "my-thing", "--stdin", stdin="fake-key").err


def test_a_token_with_an_expiry(shell: Shell) -> None:
    told = shell.json("login", "openai", "--stdin", "--expires-in", "365d", stdin="fake-token")
    assert told["kind"] == "token"
    assert told["expires_at"] == format_instant_exact(START + 366 * DAY)
    assert "it expires in 365d" in shell("login", "openai", "--stdin", "--expires-in", "365d", stdin="fake-token").err


def test_a_token_without_an_expiry(shell: Shell) -> None:
    told = shell.json("login", "openai", "--stdin", "--kind", "token", stdin="fake-token")
    assert (told["kind"], told["expires_at"]) == ("token", None)


def test_a_label_and_a_reason(shell: Shell) -> None:
    shell.login("anthropic", "fake-key", "--label", "My work", "--reason", "a new laptop")
    assert shell.json("show", "anthropic:default")["label"] == "My work"
    assert shell.json("history", "--limit", "1")["events"][0]["reason"] == "a new laptop"


def test_an_unknown_agent_is_registered_under_main(shell: Shell) -> None:
    told = shell("login", "anthropic", "--agent", "coder", "--stdin", stdin="fake-key")
    assert told.err.splitlines()[0] == "registered agent coder, inheriting from main"
    assert shell.json("agent", "list")["agents"][1] == {"agent": "coder", "inherits": "main", "profiles": 1}
    assert shell.json("login", "openai", "--agent", "coder", "--stdin", stdin="fake-key")["registered_agent"] is False


def test_the_agent_may_come_from_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_AGENT", "coder")
    assert shell.json("login", "anthropic", "--stdin", stdin="fake-key")["agent"] == "coder"


def test_overwriting_keeps_the_old_credential_and_says_so(shell: Shell) -> None:
    old = shell.json("login", "anthropic", "--stdin", stdin="fake-key-1")["fingerprint"]
    told = shell("login", "anthropic", "--stdin", stdin="fake-key-2")
    assert f"the credential before it (fingerprint {old}) is kept in the history" in told.err
    assert "vault restore anthropic:default brings it back" in told.err
    shell("restore", "anthropic:default")
    assert shell("get", "anthropic").out == "fake-key-1\n"


def test_the_same_secret_again_is_told(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1")
    told = shell.json("login", "anthropic", "--stdin", stdin="fake-key-1")
    assert told["same_secret"] is True
    assert told["replaced"] == 2
    assert "it is the same secret as before" in shell("login", "anthropic", "--stdin", stdin="fake-key-1").err


def test_a_command_id_makes_it_happen_once(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-0")
    once = ("login", "anthropic", "--agent", "coder", "--command-id", "once", "--stdin")
    first = shell.json(*once, stdin="fake-key-1")
    assert shell.json(*once, stdin="fake-key-2") == first
    assert shell("get", "anthropic", "--agent", "coder").out == "fake-key-1\n"
    assert len(shell.json("history", "--type", "profile_logged_in")["events"]) == 2


def test_a_repeated_overwriting_login_answers_as_it_did(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-0")
    first = shell.json("login", "anthropic", "--command-id", "once", "--stdin", stdin="fake-key-1")
    shell.login("anthropic", "fake-key-2")
    assert shell.json("login", "anthropic", "--command-id", "once", "--stdin", stdin="fake-key-1") == first
    assert shell("get", "anthropic").out == "fake-key-2\n"


def test_a_new_credential_starts_well(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1")
    shell("report", "anthropic:default", "failure", "--reason", "billing")
    shell("get", "anthropic", status=75)
    shell.login("anthropic", "fake-key-2")
    assert shell("get", "anthropic").out == "fake-key-2\n"


SECRET_ARGUMENTS = [
    ("anthropic", "sk-fake-secret"),
    ("anthropic", "--key", "sk-fake-secret"),
    ("anthropic", "--token=sk-fake-secret"),
    ("anthropic", "--api-key", "sk-fake-secret"),
    ("anthropic", "--secret", "sk-fake-secret"),
    ("anthropic", "--password", "sk-fake-secret"),
    ("anthropic", "--stdin", "sk-fake-secret"),
]


@pytest.mark.parametrize("arguments", SECRET_ARGUMENTS)
def test_a_secret_as_an_argument_is_refused_and_not_repeated(shell: Shell, arguments: tuple[str, ...]) -> None:
    told = shell("login", *arguments, stdin="fake-key", status=64)
    assert "a secret is never given as an argument" in told.err
    assert "--stdin, --from-file PATH or --from-fd N" in told.err
    assert "sk-fake" not in told.out + told.err


@pytest.mark.parametrize(
    ("secret", "what"),
    [
        (b"", "the secret is empty"),
        (b"\n", "the secret is empty"),
        (b"  \n", "the secret is empty"),
        (b"fake\nkey\n", "the secret has more than one line"),
        (b"fake-key\n\n", "the secret has more than one line"),
        (b" fake-key", "starts or ends with a blank"),
        (b"fake\x1bkey", "holds a control character"),
        (b"fake\xff\xfekey", "the secret is not text"),
        (b"k" * 70_000, "longer than"),
    ],
)
def test_what_is_no_secret_is_refused(shell: Shell, secret: bytes, what: str) -> None:
    told = shell("login", "anthropic", "--stdin", stdin=secret, status=65)
    assert what in told.err
    assert "fake" not in told.err
    assert shell.json("list")["profiles"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (
            ("groq",),
            82,
            "there is no terminal to ask for the secret: vault login groq at a terminal, or give it with --stdin",
        ),
        ((), 64, "no provider was named"),
        (("anthropic", "--stdin", "--from-file", "x"), 64, "two sources for the secret are given"),
        (("anthropic:a", "--profile", "b", "--stdin"), 64, "name two profiles"),
        (("anthropic", "--profile", "openai:b", "--stdin"), 64, "openai:b is not a profile of anthropic"),
        (("anthropic", "--kind", "oauth", "--stdin"), 64, "is not a kind of credential that can be typed in"),
        (("anthropic", "--kind", "api_key", "--expires-in", "1d", "--stdin"), 64, "an api_key has no expiry"),
        (("anthropic", "--expires-in", "soon", "--stdin"), 65, "'soon' is not a length of time"),
        (("anthropic", "--expires-in", "0d", "--stdin"), 65, "is not a length of time"),
        (("anthropic", "--expires-in", "999999999y", "--stdin"), 65, "is not a length of time"),
        (("anthropic", "--from-file", "nowhere"), 74, "nowhere can't be read"),
        (("anthropic", "--from-fd", "99"), 74, "file descriptor 99 can't be read"),
        (("anthropic", "--agent", "Bad Agent", "--stdin"), 65, "'Bad Agent' is not an agent id"),
        (("Bad Provider!", "--stdin"), 65, "is not a provider id"),
        (("anthropic:bad name", "--stdin"), 65, "is not a profile name"),
        (("anthropic:", "--stdin"), 65, "is not a profile id"),
        (("Antropic", "--stdin"), 66, "did you mean anthropic"),
    ],
)
def test_wrong_use(shell: Shell, arguments: tuple[str, ...], status: int, what: str) -> None:
    told = shell("login", *arguments, stdin="fake-key", status=status)
    assert what in told.err
    assert told.out == ""
    assert shell.json("list")["profiles"] == []


@pytest.mark.parametrize("option", ["--label", "--reason", "--command-id"])
def test_text_that_is_not_unicode_is_refused(real: Real, option: str) -> None:
    told = real("login", "anthropic", "--stdin", option, os.fsdecode(b"\xff"), stdin="fake-key", status=65)
    assert "is not UTF-8" in told.err
    assert real("list", "--json").json["profiles"] == []


def test_nothing_is_stored_when_the_secret_is_refused(shell: Shell, files: Files) -> None:
    shell("login", "anthropic", "--agent", "new-agent", "--stdin", stdin="", status=65)
    with files.open() as context:
        assert context.store.head().position == 1
