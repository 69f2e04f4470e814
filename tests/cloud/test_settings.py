"""The cloud part of ``[providers.ID]``."""

from __future__ import annotations

import tomllib

import pytest

from vault.errors import NotReady
from vault.providers.cloud.aws import BedrockSettings
from vault.providers.cloud.azure import AzureSettings
from vault.providers.cloud.google import VertexSettings
from vault.providers.cloud.settings import cloud_settings, keys_of, settings_of_family

TOML = """
[providers.amazon-bedrock]
auth_source = "env"
region = "us-east-1"
disabled = true

[providers.bedrock-europe]
family = "bedrock"
profile = "work"

[providers.anthropic]
leeway = "10m"
"""


def test_settings_of_the_catalogues_ids_and_of_ids_with_a_family() -> None:
    tables = tomllib.loads(TOML)["providers"]
    assert settings_of_family("bedrock", tables) == [
        BedrockSettings("amazon-bedrock", "env", "us-east-1"),
        BedrockSettings("bedrock-europe", profile="work"),
    ]
    assert settings_of_family("bedrock", {}) == [BedrockSettings()]
    assert cloud_settings("anthropic", tables["anthropic"]) is None
    assert cloud_settings("google-vertex-anthropic", {}) == VertexSettings("google-vertex-anthropic")
    assert cloud_settings("azure", {"endpoint": "https://fake.example"}) == AzureSettings(
        endpoint="https://fake.example"
    )
    assert cloud_settings("mine", {"family": "azure", "resource": "x"}) == AzureSettings("mine", resource="x")


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"region": 1}, "region of amazon-bedrock"),
        ({"auth_source": ["env"]}, "auth_source of amazon-bedrock"),
        ({"auth_source": "entra"}, "auth_source of amazon-bedrock"),
        ({"family": "fake"}, "family of amazon-bedrock"),
        ({"family": 1}, "family of amazon-bedrock"),
    ],
)
def test_bad_values_are_told_by_key(table: dict[str, object], named: str) -> None:
    with pytest.raises(NotReady, match=named) as caught:
        cloud_settings("amazon-bedrock", table)
    assert caught.value.hint


def test_the_keys_of_each_family() -> None:
    assert keys_of("bedrock") == ("auth_source", "region", "profile", "endpoint")
    assert keys_of("vertex") == ("auth_source", "project", "location")
    assert keys_of("azure") == ("auth_source", "endpoint", "resource", "api_version", "scope")
