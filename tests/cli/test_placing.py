"""Where a sign-in's token goes: not where another kind of secret is meant, unless somebody insists."""

from __future__ import annotations

import pytest

from tests.cli.clouds import Clouds, clouds
from vault.commands.login import log_in
from vault.commands.placing import misplaced, names_for
from vault.events.credentials import AnyCredential, ApiKey, OAuth, Token
from vault.providers import catalogue
from vault.providers.clients import registry
from vault.values import MAIN_AGENT, ProfileId, ProviderId

__all__ = ["clouds"]

WRONG = {
    "openai": ("openai-chatgpt", "OPENAI_API_KEY", "the token of a ChatGPT sign-in is not an OpenAI API key"),
    "github-copilot": (
        "github-copilot-editor",
        "GITHUB_TOKEN",
        "the token of a Copilot sign-in is not a GitHub token",
    ),
    "google": ("google-gemini-cli", "GEMINI_API_KEY", "the token of a Google sign-in is not a Gemini API key"),
}


def keep(clouds: Clouds, profile: str, credential: AnyCredential) -> None:
    with clouds.files.open(clouds.shell.clock) as context:
        log_in(context, MAIN_AGENT, ProfileId(profile), credential)


@pytest.mark.parametrize("told", [True, False], ids=["signed-in-here", "imported"])
@pytest.mark.parametrize("provider", WRONG)
def test_a_token_that_is_no_key_is_left_out(clouds: Clouds, provider: str, told: bool) -> None:
    client, variable, why = WRONG[provider]
    metadata = {"client": client} if told else {}
    keep(clouds, f"{provider}:default", OAuth(access="fake-token-access", metadata=metadata))
    refused = clouds.refused(status=64)
    assert f"{why}: insist with: vault exec --provider {provider}:default" in refused.err
    clouds.set({variable: "fake-key-of-the-environment"})
    clouds.shell.login("anthropic", "fake-key-a")
    child = clouds.whole()
    assert (child["ANTHROPIC_API_KEY"], child[variable]) == ("fake-key-a", "fake-key-of-the-environment")
    said = clouds.shell("env")
    assert said.lines == ["export ANTHROPIC_API_KEY=fake-key-a"]
    assert said.err.startswith(f"{provider}:default is left out: {why}")
    assert {e["provider"] for e in clouds.issued()} == {"anthropic"}


def test_one_who_insists_gets_it_and_is_told(clouds: Clouds) -> None:
    keep(clouds, "openai:default", OAuth(access="fake-token-access"))
    told = clouds.shell("env", "--provider", "openai")
    assert told.lines == ["export OPENAI_API_KEY=fake-token-access"]
    assert told.err == "openai:default: the token of a ChatGPT sign-in is not an OpenAI API key\n"
    assert clouds.shell("get", "openai").out == "fake-token-access\n"


def test_a_key_of_the_same_provider_takes_the_place(clouds: Clouds) -> None:
    keep(clouds, "openai:default", OAuth(access="fake-token-access"))
    keep(clouds, "openai:key", ApiKey(key="fake-key-o"))
    told = clouds.shell("env")
    assert told.lines == ["export OPENAI_API_KEY=fake-key-o"]
    assert "openai:default is left out" in told.err
    assert [e["profile"] for e in clouds.issued()] == ["openai:key"]
    clouds.shell("pin", "openai:default")
    clouds.refused(status=64)


@pytest.mark.parametrize(
    "credential", [OAuth(access="fake-token-access"), Token(token="sk-ant-oat-fake")], ids=["login", "setup-token"]
)
def test_a_claude_sign_in_has_a_variable_of_its_own(clouds: Clouds, credential: AnyCredential) -> None:
    keep(clouds, "anthropic:default", credential)
    clouds.set(ANTHROPIC_API_KEY="fake-key-stale", ANTHROPIC_AUTH_TOKEN="fake-token-stale")
    child = clouds.whole()
    assert child["CLAUDE_CODE_OAUTH_TOKEN"] == credential.secret()
    assert {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"} & child.keys() == set()
    lines = clouds.shell("env").lines
    assert lines[:2] == ["unset ANTHROPIC_API_KEY", "unset ANTHROPIC_AUTH_TOKEN"]


def test_every_client_is_decided_about() -> None:
    """A sign-in stands where the key would, unless it is said here that it doesn't."""
    decided = {client: provider for provider, (client, _, _) in WRONG.items()}
    for client in registry().clients:
        for provider in client.providers:
            credential = OAuth(access="fake-token-access", metadata={"client": client.id})
            assert bool(misplaced(credential, ProviderId(provider))) is (decided.get(client.id) == provider)
            claude = client.id == "anthropic-claude-ai"
            names = ("CLAUDE_CODE_OAUTH_TOKEN",) if claude else catalogue.env_names(ProviderId(provider))
            assert names_for(credential, ProviderId(provider)) == names


def test_keys_and_other_tokens_stand_where_they_always_did() -> None:
    for provider in ("openai", "anthropic", "github-copilot"):
        for credential in (ApiKey(key="fake-key"), Token(token="fake-token")):
            assert misplaced(credential, ProviderId(provider)) == ""
            assert names_for(credential, ProviderId(provider)) == catalogue.env_names(ProviderId(provider))
