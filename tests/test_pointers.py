"""What is a secret and what only stands for one: one function says it, for the importers and for the .env of a project."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import InputError
from vault.events.credentials import ApiKey, Reference
from vault.interop.entries import key_or_reference, usable_secret
from vault.pointers import Pointer, pointer_in

VARIABLES = [
    "${FAKE_KEY}",
    "$FAKE_KEY",
    " ${FAKE_KEY} ",
    "${FAKE_KEY:?set it}",
    "{env:FAKE_KEY}",
    "env:FAKE_KEY",
    "os.environ/FAKE_KEY",
    "%FAKE_KEY%",
    "$env:FAKE_KEY",
    "${env:FAKE_KEY}",
]
DEFAULTS = ["${FAKE_KEY:-fake-default}", "${FAKE_KEY-fake-default}", "${FAKE_KEY:=fake-default}"]
COMMANDS = {
    "$(pass show fake)": "pass show fake",
    "`pass show fake`": "pass show fake",
    "!pass show fake": "pass show fake",
    "!/opt/fake": "/opt/fake",
    "$(op read $(cat fake))": "op read $(cat fake)",
}
STORES = {"keyring:fake/me": ("keyring", "fake/me"), "keychain:openai": ("keychain", "openai")}
FILES = ["file:/fake/key", "{file:/fake/key}", "file:///fake/key"]
ELSEWHERE = {
    "op://Fake/item/field": "1Password",
    "{{ op://Fake/item/field }}": "1Password",
    "vault:secret/data/fake#key": "HashiCorp",
    "vault://secret/fake#key": "HashiCorp",
    "arn:aws:secretsmanager:eu-west-1:1:secret:fake": "AWS",
    "aws-secretsmanager:fake": "AWS",
    "awssm://fake": "AWS",
    "ssm:/fake/key": "AWS",
    "{{resolve:secretsmanager:fake}}": "AWS",
    "gcp-sm://fake/key": "Google",
    "projects/1/secrets/fake/versions/latest": "Google",
    "@Microsoft.KeyVault(SecretUri=https://fake)": "Azure",
    "https://fake.vault.azure.net/secrets/key/1": "Azure",
    "doppler://fake/key": "Doppler",
    "${{doppler.fake}}": "Doppler",
    "bws://fake": "Bitwarden",
    "infisical://fake": "Infisical",
    "pass://fake": "password store",
    "ref+awsssm://fake": "vals",
    "ref+sops://fake.yaml#/key": "vals",
    "secretref:fake": "another tool",
    "exec:fake": "another tool",
    "keychain://fake/login": "keyring",
    "encrypted:BFakeFakeFake": "dotenvx",
    "ENC[AES256_GCM,data:fake,iv:fake]": "sops",
    "secretref-managed": "another tool",
    "$ANSIBLE_VAULT;1.1;AES256": "Ansible",
    "-----BEGIN AGE ENCRYPTED FILE-----": "age",
    "ENC(fake)": "encrypted",
    "{cipher}fake": "encrypted",
}
PLACEHOLDERS = [
    *(
        "<your key>",
        "<OPENAI_API_KEY>",
        "your-api-key-here",
        "your_api_key",
        "YOUR API KEY",
        "yourapikey",
        "changeme",
        "CHANGE_ME",
    ),
    *(
        "xxx",
        "XXXXXXXX",
        "sk-xxx",
        "sk-ant-xxxxxxxx",
        "sk-...",
        "…",
        "***",
        "replace-me",
        "REPLACE_WITH_YOUR_KEY",
        "TODO",
        "none",
    ),
    *(
        "insert-your-openai-key",
        "[your key]",
        "{key}",
        "{{ openai_key }}",
        "__OPENAI_KEY__",
        "<%= key %>",
        "sk-your-key-here",
    ),
    *(
        "opencode-oauth-dummy-key",
        "__OPENCLAW_REDACTED__",
        "oc-sent-v1-fake",
        "api_key",
        "dummy",
        "REDACTED",
    ),
]
COMPOSED = [
    "sk-${FAKE}",
    "${A}${B}",
    "${A:-b}${C}",
    "a $(cat fake) b",
    "Bearer {env:FAKE}",
    "${{ secrets.FAKE }}",
    "$(a)$(b)",
]
SECRETS = [
    *(
        "fake-key",
        "sk-ant-api03-fake",
        "fake-vllm",
        "sk-1234",
        "fake$ecret",
        "pa$$word1!",
        "fake#key",
        "fake`key",
        "AKIAFAKE",
        "$1",
    ),
    *(
        "00000000-0000-0000-0000-000000000000:fake",
        "fake:fake",
        "eyJhbGciOi.fake.fake",
        "AGE-SECRET-KEY-1FAKE",
        "!fake",
        "ghp_fake",
    ),
    *(
        "keyfake",
        "hf_fakefakefake",
        '{"type":"service_account"}',
        "-fake-",
        "fake%fake%",
        "monkey",
        "token-fake-1",
    ),
]


@pytest.mark.parametrize("text", VARIABLES)
def test_a_variable(text: str) -> None:
    assert pointer_in(text) == Pointer("a reference to a variable", "env", "FAKE_KEY")
    assert key_or_reference(text, "key") == Reference(scheme="env", target="FAKE_KEY")


@pytest.mark.parametrize("text", DEFAULTS)
def test_a_default_is_never_a_secret_and_never_shown(text: str) -> None:
    found = pointer_in(text)
    assert found is not None
    assert (found.scheme, found.target, found.default) == ("env", "FAKE_KEY", "fake-default")
    with pytest.raises(InputError) as caught:
        key_or_reference(text, "key")
    assert caught.value.message == "its key is a reference to a variable, with a default, not a secret"


@pytest.mark.parametrize(("text", "command"), COMMANDS.items())
def test_a_command_is_followed_only_where_the_tool_runs_it(text: str, command: str) -> None:
    found = pointer_in(text)
    assert found is not None
    assert (found.scheme, found.target) == ("command", command)
    assert key_or_reference(text, "key", ("command",)) == Reference(scheme="command", target=command)
    with pytest.raises(InputError, match="a command that prints it, not a secret"):
        key_or_reference(text, "key")


@pytest.mark.parametrize(("text", "target"), STORES.items())
def test_an_entry_of_the_os_keyring(text: str, target: tuple[str, str]) -> None:
    found = pointer_in(text)
    assert found is not None
    assert (found.scheme, found.target) == target


@pytest.mark.parametrize("text", FILES)
def test_a_file(text: str) -> None:
    assert pointer_in(text) == Pointer("a reference to a file", "file", "/fake/key")


def test_a_relative_file_is_from_its_folder() -> None:
    assert pointer_in("{file:key}", Path("/fake")) == Pointer("a reference to a file", "file", "/fake/key")
    assert pointer_in("{file:key}") == Pointer("a reference to a file")


@pytest.mark.parametrize(("text", "name"), ELSEWHERE.items())
def test_what_other_managers_and_ciphers_write_is_named(text: str, name: str) -> None:
    found = pointer_in(text)
    assert found is not None
    assert name in found.what
    assert not found.scheme
    with pytest.raises(InputError, match=name):
        usable_secret(text, "key")


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_placeholder(text: str) -> None:
    assert pointer_in(text) == Pointer("a placeholder")


@pytest.mark.parametrize("text", COMPOSED)
def test_what_is_put_together_from_parts(text: str) -> None:
    found = pointer_in(text)
    assert found is not None
    assert not found.scheme


def test_an_address() -> None:
    assert pointer_in("https://fake.example/v1") == Pointer("an address")


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_one(text: str) -> None:
    assert pointer_in(text) is None
    assert key_or_reference(text, "key") == ApiKey(key=text)


@given(st.text(max_size=200))
def test_any_text_is_judged_and_nothing_of_it_is_said(text: str) -> None:
    found = pointer_in(text)
    if found is not None and len(text) > 30:
        assert text not in found.what


@pytest.mark.parametrize("part", ["${A", "$(", "`", "your-", "x-", "{env:", "{{", "a_", "((", "<", "${A:-", "(?", "%a"])
def test_a_long_text_is_judged_as_quickly_as_a_short_one(part: str) -> None:
    """Patterns that would go back and forth would never end here."""
    pointer_in(part * (64 * 1024 // len(part)))
