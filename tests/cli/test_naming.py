"""What a person means by a name: other tools' ids, ids of the settings, and a profile written with an @."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Shell
from tests.support import Files
from vault.commands.naming import named_profile, named_provider, target
from vault.errors import InputError, VaultError

pytestmark = pytest.mark.usefixtures("files")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file that the environment names; it isn't there yet."""
    path = tmp_path / "named.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(path))
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("anthropic:work", ("anthropic", "anthropic:work")),
        ("anthropic@work", ("anthropic", "anthropic:work")),
        ("Anthropic@work", ("anthropic", "anthropic:work")),
        ("gemini@work", ("google", "google:work")),
        ("my-own@work", ("my-own", "my-own:work")),
        ("anthropic:me@example.com", ("anthropic", "anthropic:me@example.com")),
        ("anthropic@me@example.com", ("anthropic", "anthropic:me@example.com")),
        ("gemini", ("google", None)),
        ("fake.example", ("fake.example", None)),
    ],
)
def test_what_is_meant(text: str, expected: tuple[str, str | None]) -> None:
    assert target(text) == expected


@pytest.mark.parametrize("text", ["anthropic@", "@work", "anthropic@-x", "anthropic@a b", ":work", "Not A Thing@work"])
def test_what_means_nothing(text: str) -> None:
    with pytest.raises(VaultError) as caught:
        target(text)
    assert caught.value.exit_status in (65, 66)


def test_a_provider_alone_is_no_profile() -> None:
    with pytest.raises(InputError, match="not a profile id"):
        named_profile("anthropic")


def test_an_id_that_the_settings_define_comes_first(config: Path) -> None:
    assert named_provider("bedrockconverse") == "amazon-bedrock"
    config.write_text("[providers.bedrockconverse]\nregion = 'eu-west-1'\n")
    assert named_provider("bedrockconverse") == "amazon-bedrock"
    config.write_text("[providers.bedrockconverse]\nfamily = 'bedrock'\n")
    assert named_provider("bedrockconverse") == "bedrockconverse"
    assert target("bedrockconverse@work") == ("bedrockconverse", "bedrockconverse:work")
    assert named_provider("bedrock") == "amazon-bedrock"
    assert named_provider("bedrockconverse", {"VAULT_CONFIG": str(config.with_name("none"))}) == "amazon-bedrock"
    config.write_text("[")
    assert named_provider("bedrockconverse") == "amazon-bedrock"


def test_a_token_is_stored_for_and_had_from_a_provider_of_the_settings(shell: Shell, config: Path) -> None:
    config.write_text("[providers.bedrockconverse]\nfamily = 'bedrock'\nregion = 'eu-west-1'\n")
    shell("login", "bedrockconverse", "--kind", "token", "--stdin", stdin="fake-bearer-1\n")
    assert [p["profile"] for p in shell.json("list")["profiles"]] == ["bedrockconverse:default"]
    assert shell("get", "bedrockconverse").out == "fake-bearer-1\n"
    assert shell("why", "amazon-bedrock", "--json").json["chosen"] is None
    assert shell.json("provider", "show", "bedrockconverse")["id"] == "bedrockconverse"
    assert "bedrockconverse:default" in shell("history", "--provider", "bedrockconverse").out
    shell("provider", "disable", "bedrockconverse")
    assert shell("get", "bedrockconverse", status=None).status != 0
    shell("provider", "enable", "bedrockconverse")
    assert shell("get", "bedrockconverse").out == "fake-bearer-1\n"


def test_settings_under_another_tools_name_have_an_effect(
    shell: Shell, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fake-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "fake-secret")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "fake-bearer")
    config.write_text("[providers.bedrock]\nauth_source = 'env'\nregion = 'eu-west-1'\n")
    told = shell.json("why", "bedrock")
    assert (told["provider"], told["basis"]) == ("amazon-bedrock", "auth_source = env in the settings")
    assert set(shell.json("config", "show")["providers"]) == {"amazon-bedrock"}
    config.write_text("[providers.bedrock]\nregion = 'a'\n[providers.amazon-bedrock]\nregion = 'b'\n")
    refused = shell("why", "bedrock", status=78)
    assert "line 3: providers.amazon-bedrock: providers.bedrock is the same provider" in refused.err


def test_a_profile_may_be_written_with_an_at_wherever_one_is_named(shell: Shell, files: Files) -> None:
    shell.login("anthropic@work", "fake-key-work")
    shell.login("anthropic:home", "fake-key-home")
    assert shell("get", "anthropic@work").out == "fake-key-work\n"
    assert shell.json("show", "anthropic@work")["profile"] == "anthropic:work"
    assert "fake-key-work" in shell("env", "--provider", "anthropic@work").out
    assert shell.json("order", "set", "-p", "anthropic", "anthropic@work", "home")["order"] == [
        "anthropic:work",
        "anthropic:home",
    ]
    shell("order", "clear", "-p", "anthropic")
    assert shell.json("restore", "--order", "-p", "anthropic@work")["provider"] == "anthropic"
    assert shell.json("pin", "anthropic@work")["profile"] == "anthropic:work"
    assert shell.json("unpin", "anthropic@work")["provider"] == "anthropic"
    assert shell.json("report", "anthropic@work", "failure")["failures"] == 1
    assert shell.json("health", "clear", "anthropic@work")["profile"] == "anthropic:work"
    assert "anthropic:work" in shell("history", "--profile", "anthropic@work").out
    shell("logout", "anthropic@work")
    assert [p["profile"] for p in shell.json("list")["profiles"]] == ["anthropic:home"]
    with files.open() as context:
        assert context.queries.profile("main", "anthropic:work") is not None


def test_an_at_in_a_name_is_only_a_letter_of_it(shell: Shell) -> None:
    shell.login("anthropic:me@example.com", "fake-key-1")
    told = shell.json("order", "set", "--provider", "anthropic", "me@example.com")
    assert told["order"] == ["anthropic:me@example.com"]
    assert shell("get", "anthropic@me@example.com").out == "fake-key-1\n"


def test_another_tools_name_as_it_is_there_is_told_how_it_is_written_here(shell: Shell, files: Files) -> None:
    for what in ("openai:my team", "openai@my team"):
        refused = shell("get", what, status=65)
        assert "'my team' is not a profile name: write it as 'my%20team'" in refused.err
    shell.login("openai:my%20team", "fake-key")
    assert shell("get", "openai:my%20team").out == "fake-key\n"
