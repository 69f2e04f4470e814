"""A reference that only fetching can tell leads nowhere doesn't block what stands behind it; with nothing left, all are named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell

pytestmark = pytest.mark.usefixtures("files")

FAILS, EMPTY, WORKS = "$(exit 3)", "$(true)", "$(echo fake-key-command)"
TELL = (sys.executable, "-c", "import json, os; print(json.dumps(os.environ.get('OPENAI_API_KEY')))")


def refer(shell: Shell, *references: str) -> None:
    """Log in profiles ``openai:r1``, ``openai:r2``, …, and order them so."""
    names = [f"openai:r{number}" for number in range(1, len(references) + 1)]
    for name, reference in zip(names, references, strict=True):
        shell("login", name, "--reference", reference)
    shell("order", "set", "--provider", "openai", *names)


@pytest.mark.parametrize("reference", [FAILS, EMPTY, "keychain:missing", "keyring:fake-service/missing"])
def test_the_next_profile_is_used(shell: Shell, real: Real, reference: str) -> None:
    refer(shell, reference)
    shell.login("openai:key", "fake-key-stored")
    shell("order", "set", "--provider", "openai", "openai:r1", "openai:key")
    told = shell.json("get", "openai")
    assert (told["profile"], told["secret"]) == ("openai:key", "fake-key-stored")
    assert json.loads(shell("env", "--json").out)["variables"] == {"OPENAI_API_KEY": "fake-key-stored"}
    for words in (("exec", "-p", "openai"), ("exec",)):
        ran = real(*words, "--", *TELL)
        assert json.loads(ran.out) == "fake-key-stored"
        assert "openai:key: used because openai:r1 can't be resolved" in ran.err
    handed = shell.json("history", "--type", "credential_issued")["events"]
    assert {e["facts"]["profile"] for e in handed} == {"openai:key"}


def test_a_reference_behind_one_is_used(shell: Shell) -> None:
    refer(shell, FAILS, EMPTY, WORKS)
    assert shell("get", "openai").out == "fake-key-command\n"


def test_a_variable_that_stored_profiles_come_before_is_used(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refer(shell, FAILS)
    settings = tmp_path / "config.toml"
    settings.write_text('sources = ["stored", "environment"]\n')
    monkeypatch.setenv("VAULT_CONFIG", str(settings))
    assert shell("get", "openai", status=69).out == ""
    monkeypatch.setenv("OPENAI_API_KEY", "fake-ambient")
    assert shell.json("get", "openai")["source"] == "env:OPENAI_API_KEY"


def test_alone_it_is_its_own_error(shell: Shell) -> None:
    refer(shell, FAILS)
    for words in (("get", "openai"), ("env",), ("env", "-p", "openai"), ("exec", "--", "true")):
        told = shell(*words, status=69)
        assert told.out == ""
        assert "the reference's command ended with status 3" in told.err


def test_when_none_is_left_all_are_named(shell: Shell) -> None:
    refer(shell, FAILS, EMPTY)
    for words in (("get", "openai"), ("env",), ("exec", "--", "true")):
        told = shell(*words, status=69)
        assert told.out == ""
        assert "openai:r1: the reference's command ended with status 3" in told.err
        assert "openai:r2: the output of the reference's command can't be used" in told.err


def test_one_that_is_named_or_pinned_gives_way_to_nothing(shell: Shell) -> None:
    refer(shell, FAILS)
    shell.login("openai:key", "fake-key-stored")
    shell("order", "set", "--provider", "openai", "openai:r1", "openai:key")
    assert shell("get", "openai:r1", status=69).out == ""
    shell("pin", "openai:r1")
    assert shell("get", "openai", status=69).out == ""


def test_another_providers_is_still_handed_out(shell: Shell) -> None:
    refer(shell, FAILS, EMPTY)
    shell.login("groq", "fake-key-groq")
    told = shell("env", "--json")
    assert json.loads(told.out)["variables"] == {"GROQ_API_KEY": "fake-key-groq"}
    assert "openai is left out" in told.err
    assert "openai:r2" in told.err
