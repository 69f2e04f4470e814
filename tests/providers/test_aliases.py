"""Names in both directions: what models.dev, Catwalk and BMO call the same provider, and every variable of the seeds."""

from __future__ import annotations

import pytest

from vault.providers import aliases, catalogue
from vault.providers.catalogue import environment_hits, provider, providers_of_variable, read_names, resolve

PAIRS = {
    "gemini": "google",
    "copilot": "github-copilot",
    "bedrock": "amazon-bedrock",
    "bedrock-europe": "amazon-bedrock",
    "bedrockconverse": "amazon-bedrock",
    "vertexai": "google-vertex",
    "ionet": "io-net",
    "fireworks": "fireworks-ai",
    "moonshot": "moonshotai",
    "zhipu": "zhipuai",
    "zhipu-coding": "zhipuai-coding-plan",
    "kimi-coding": "kimi-for-coding",
    "opencode-zen": "opencode",
    "alibaba-singapore": "alibaba",
    "minimax-china": "minimax-cn",
    "qiniucloud": "qiniu-ai",
    "nanogpt": "nano-gpt",
    "together": "togetherai",
}

# What the seeds say each variable is for: the name they print, and the id here.
SEED_KEYS = {
    "ANTHROPIC_API_KEY": ("Anthropic (Claude)", "anthropic"),
    "OPENAI_API_KEY": ("OpenAI", "openai"),
    "VERCEL_API_KEY": ("Vercel AI Gateway", "vercel"),
    "GEMINI_API_KEY": ("Google Gemini", "google"),
    "SYNTHETIC_API_KEY": ("Synthetic", "synthetic"),
    "ZAI_API_KEY": ("Z.ai", "zai"),
    "MINIMAX_API_KEY": ("MiniMax", "minimax"),
    "HF_TOKEN": ("Hugging Face Inference", "huggingface"),
    "CEREBRAS_API_KEY": ("Cerebras", "cerebras"),
    "XIAOMI_API_KEY": ("Xiaomi MiMo", "xiaomi"),
    "OPENROUTER_API_KEY": ("OpenRouter", "openrouter"),
    "IONET_API_KEY": ("io.net", "io-net"),
    "GROQ_API_KEY": ("Groq", "groq"),
    "NANOGPT_API_KEY": ("NanoGPT", "nano-gpt"),
    "NVIDIA_API_KEY": ("NVIDIA-hosted NIM", "nvidia"),
    "AWS_BEARER_TOKEN_BEDROCK": ("Amazon Bedrock", "amazon-bedrock"),
    "BMO_AWS_BEARER_TOKEN_BEDROCK": ("Amazon Bedrock", "amazon-bedrock"),
    "AZURE_OPENAI_API_KEY": ("Azure OpenAI", "azure"),
    "GOOGLE_GENERATIVE_AI_API_KEY": ("Google", "google"),
}

# Variables of the seeds that are no key by themselves: half of a pair, a region, an endpoint.
SEED_OTHERS = {
    "VERTEXAI_PROJECT": "google-vertex",
    "VERTEXAI_LOCATION": "google-vertex",
    "AWS_ACCESS_KEY_ID": "amazon-bedrock",
    "AWS_SECRET_ACCESS_KEY": "amazon-bedrock",
    "AWS_SESSION_TOKEN": "amazon-bedrock",
    "AWS_REGION": "amazon-bedrock",
    "AWS_DEFAULT_REGION": "amazon-bedrock",
    "AWS_PROFILE": "amazon-bedrock",
    "AWS_DEFAULT_PROFILE": "amazon-bedrock",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "amazon-bedrock",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "amazon-bedrock",
    "BMO_AWS_ACCESS_KEY_ID": "amazon-bedrock",
    "BMO_AWS_SECRET_ACCESS_KEY": "amazon-bedrock",
    "BMO_AWS_SESSION_TOKEN": "amazon-bedrock",
    "BMO_AWS_REGION": "amazon-bedrock",
    "BMO_AWS_PROFILE": "amazon-bedrock",
    "AZURE_OPENAI_API_ENDPOINT": "azure",
    "AZURE_OPENAI_API_VERSION": "azure",
}


@pytest.mark.parametrize(("alias", "provider_id"), PAIRS.items())
def test_another_tools_id_is_understood_and_found_again(alias: str, provider_id: str) -> None:
    assert resolve(alias) == provider_id
    assert resolve(alias.upper()) == provider_id
    assert alias in catalogue.aliases_of(provider_id)
    assert provider(provider_id) is not None


@pytest.mark.parametrize(("variable", "expected"), SEED_KEYS.items())
def test_each_key_of_the_seeds_is_its_providers(variable: str, expected: tuple[str, str]) -> None:
    name, provider_id = expected
    assert resolve(name) == provider_id
    assert (provider_id, variable) in environment_hits({variable: "fake-key"})
    assert variable in read_names(resolve(provider_id))
    assert provider_id in providers_of_variable(variable)


@pytest.mark.parametrize(("variable", "provider_id"), SEED_OTHERS.items())
def test_each_other_variable_of_the_seeds_is_its_providers(variable: str, provider_id: str) -> None:
    assert provider_id in providers_of_variable(variable)
    assert environment_hits({variable: "fake-value"}) == []


def test_sharing_is_told_for_every_variable_of_the_seeds() -> None:
    for variable in SEED_KEYS:
        hits = [p for p, _ in environment_hits({variable: "fake-key"})]
        for one in hits:
            entry = provider(one)
            assert entry is not None
            assert {p for p in hits if p != one} <= set(entry.shared_with)
    assert len(environment_hits({"MINIMAX_API_KEY": "fake-key"})) == 4
    assert len(environment_hits({"XIAOMI_API_KEY": "fake-key"})) == 4


def test_every_provider_of_catwalk_is_known_with_its_variables() -> None:
    rows = aliases._rows("catwalk")
    assert len(rows) == 42
    for row in rows:
        entry = provider(row["id"])
        assert entry is not None, row
        assert resolve(row["as"]) == row["id"]
        if resolve(row["name"]) != row["id"]:
            raise AssertionError(row)
        for name in row["env"]:
            assert row["id"] in providers_of_variable(name), (row["as"], name)
        if "endpoint_env" in row:
            assert row["endpoint_env"] in entry.fact_env


def test_an_alias_hides_no_id_and_means_one_provider() -> None:
    ids = {p.id for p in catalogue.providers()}
    for name, meant in aliases.names().items():
        assert meant in ids
        if name in ids:
            assert name == meant
    for world in ("catwalk", "bmo", "other"):
        meanings = [(r["as"], r["id"]) for r in aliases._data()[world] if "as" in r]
        assert len({a for a, _ in meanings}) == len(meanings)


def test_the_way_back() -> None:
    assert aliases.known_as("catwalk", "google") == "gemini"
    assert aliases.known_as("catwalk", "amazon-bedrock") == "bedrock"
    assert aliases.known_as("bmo", "nano-gpt") == "nanogpt"
    assert aliases.known_as("catwalk", "nano-gpt") is None
    assert aliases.env_as("catwalk", "io-net") == ("IONET_API_KEY",)
    assert "BMO_AWS_REGION" in aliases.env_as("bmo", "amazon-bedrock")
    assert "BMO_AWS_REGION" not in aliases.env_as("catwalk", "amazon-bedrock")
    assert aliases.endpoint_env("bmo", "anthropic") == "ANTHROPIC_API_ENDPOINT"
    assert aliases.endpoint_env("catwalk", "groq") is None
    assert catalogue.aliases_of("anthropic") == ()


def test_a_slip_in_an_alias_is_understood_as_one() -> None:
    assert catalogue.nearest("gemnii")[0] == "google"
    assert catalogue.nearest("vertexia")[0] == "google-vertex"
