"""The catalogue: ids and names as people type them, and which variables count as a provider's key."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vault.errors import InputError, NotFound
from vault.providers.catalogue import (
    env_names,
    environment_hits,
    is_local,
    nearest,
    provider,
    providers,
    read_names,
    resolve,
    stripped_names,
)
from vault.values import ProviderId, parse_provider

# Names that the provider's tools at models.dev don't read, and other tools do.
ALSO_INJECTED = {
    "io-net": ("IONET_API_KEY",),
    "nano-gpt": ("NANOGPT_API_KEY",),
    "vercel": ("VERCEL_API_KEY",),
    "zai": ("ZAI_API_KEY",),
}


def test_the_catalogue_is_whole_and_consistent() -> None:
    known = providers()
    assert len(known) == 233
    assert [p.id for p in known] == sorted({p.id for p in known})
    assert len({p.name.casefold() for p in known}) == 233
    for p in known:
        assert parse_provider(p.id) == p.id
        assert provider(p.id) is p
        assert p.name
        assert p.doc.startswith("https://")
        assert set(p.key_env) <= {*p.env, *ALSO_INJECTED.get(p.id, ())}
        assert p.key_env or p.env_sets or p.local, f"{p.id} can't be satisfied by the environment at all"
        assert not set(p.also_env) & set(p.env)
        assert not set(p.fact_env) & set(stripped_names(p.id)), f"{p.id} has a name that is a secret and isn't"
        assert set(p.env) <= {*p.fact_env, *stripped_names(p.id)}
        for other in p.shared_with:
            entry = provider(other)
            assert entry is not None
            assert p.id in entry.shared_with


@pytest.mark.parametrize(
    ("provider_id", "names"),
    [
        ("anthropic", ("ANTHROPIC_API_KEY",)),
        ("google", ("GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY")),
        ("amazon-bedrock", ("AWS_BEARER_TOKEN_BEDROCK",)),
        ("azure", ("AZURE_API_KEY",)),
        ("infomaniak", ("INFOMANIAK_API_KEY",)),
        ("watsonx", ("WATSONX_AI_APIKEY",)),
        ("google-vertex", ()),
        ("google-vertex-anthropic", ()),
        ("302ai", ("302AI_API_KEY",)),
        ("wafer.ai", ("WAFER_API_KEY",)),
        ("my-own-llm2", ("MY_OWN_LLM2_API_KEY",)),
    ],
)
def test_env_names(provider_id: str, names: tuple[str, ...]) -> None:
    assert env_names(ProviderId(provider_id)) == names


@pytest.mark.parametrize(
    ("text", "provider_id"),
    [
        ("anthropic", "anthropic"),
        ("ANTHROPIC", "anthropic"),
        ("Hugging Face", "huggingface"),
        (" z.ai ", "zai"),
        ("wafer.ai", "wafer.ai"),
        ("WATSONX.AI", "watsonx"),
        ("my-own-llm", "my-own-llm"),
    ],
)
def test_resolve(text: str, provider_id: str) -> None:
    assert resolve(text) == provider_id


def test_resolve_names_the_nearest_ids() -> None:
    with pytest.raises(NotFound) as caught:
        resolve("Antropic")
    assert "anthropic" in caught.value.hint
    assert caught.value.exit_status == 66
    assert "anthropic" in nearest("antropic")
    assert nearest("qqqqqqqq") == []


@pytest.mark.parametrize("text", ["", "Fake Provider Q", "qq.qq", "-qqqq", "q" * 129, "qqqq\n", "Fake-Key-" + "Q" * 60])
def test_resolve_refuses_what_is_no_provider(text: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(text)
    assert len(text) < 40 or text not in str(caught.value)


def test_a_region_or_an_account_alone_is_no_hit() -> None:
    """OpenCode lists a provider for any of its variables, secret or not."""
    environ = {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "fake-id",
        "CLOUDFLARE_ACCOUNT_ID": "fake-account",
        "CLOUDFLARE_GATEWAY_ID": "fake-gateway",
        "AZURE_RESOURCE_NAME": "fake-resource",
        "INFOMANIAK_PRODUCT_ID": "1",
        "WATSONX_AI_PROJECT_ID": "1",
        "GOOGLE_VERTEX_PROJECT": "fake-project",
        "DATABRICKS_HOST": "fake-host",
        "OPENAI_API_KEY": "",
        "ANTHROPIC_API_KEY": "  ",
    }
    assert environment_hits(environ) == []


def test_an_ambient_github_token_names_every_provider_it_satisfies() -> None:
    assert environment_hits({"GITHUB_TOKEN": "fake-token"}) == [
        ("github-copilot", "GITHUB_TOKEN"),
        ("github-models", "GITHUB_TOKEN"),
    ]
    copilot = provider("github-copilot")
    assert copilot is not None
    assert copilot.shared_with == ("github-models",)


def test_sets_and_other_names_are_hits() -> None:
    pair = {"AWS_ACCESS_KEY_ID": "fake-id", "AWS_SECRET_ACCESS_KEY": "fake-secret"}
    assert environment_hits(pair) == [("amazon-bedrock", "AWS_SECRET_ACCESS_KEY")]
    assert environment_hits({"GOOGLE_APPLICATION_CREDENTIALS": "adc.json"}) == [
        ("google-vertex", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("google-vertex-anthropic", "GOOGLE_APPLICATION_CREDENTIALS"),
    ]
    assert environment_hits({"VERCEL_API_KEY": "fake-key"}) == [("vercel", "VERCEL_API_KEY")]
    both = {"GEMINI_API_KEY": "fake-key", "GOOGLE_API_KEY": "fake-key"}
    assert environment_hits(both) == [("google", "GOOGLE_API_KEY"), ("google", "GEMINI_API_KEY")]


def test_sharing_counts_secrets_only() -> None:
    gateway, zai = provider("cloudflare-ai-gateway"), provider("zai")
    assert gateway is not None
    assert gateway.shared_with == ()  # CLOUDFLARE_ACCOUNT_ID is shared, and no secret
    assert zai is not None
    assert zai.shared_with == ("zai-coding-plan", "zhipuai", "zhipuai-coding-plan")


def test_a_local_provider_needs_no_credential() -> None:
    local = [p.id for p in providers() if p.local]
    assert local == ["atomic-chat", "llama-cpp", "lmstudio", "lynkr", "nim", "ollama"]
    assert not is_local("privatemode-ai")  # on this machine, and it asks for a key
    assert not is_local("nvidia")
    assert is_local("nvidia", "http://127.0.0.1:8000/v1")
    assert not is_local("ollama", "https://models.example.com")
    assert env_names(ProviderId("ollama")) == ()


def test_a_child_loses_more_than_is_read_and_is_given_less() -> None:
    bedrock = ProviderId("amazon-bedrock")
    assert env_names(bedrock) == ("AWS_BEARER_TOKEN_BEDROCK",)
    assert read_names(bedrock) == (
        "VAULT_AWS_BEARER_TOKEN_BEDROCK",
        "BMO_AWS_BEARER_TOKEN_BEDROCK",
        "AWS_BEARER_TOKEN_BEDROCK",
    )
    lost = stripped_names(bedrock)
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "BMO_AWS_SECRET_ACCESS_KEY"} < set(lost)
    assert not {"AWS_REGION", "AWS_PROFILE"} & set(lost)
    assert stripped_names(ProviderId("my-own-llm")) == ("MY_OWN_LLM_API_KEY",)


def test_the_data_is_read_only_when_asked() -> None:
    code = (
        "import vault.providers.catalogue as c, sys\n"
        "assert c._embedded.cache_info().currsize == 0 and c._said.loaded is None\n"
        "print(sorted(m for m in ('difflib', 'importlib.resources', 'httpx') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
