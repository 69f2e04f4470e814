"""Whose an address is: scheme, host, port and path are told apart, a provider's own address is known however it is written."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vault.addresses import is_loopback_url
from vault.errors import InputError
from vault.providers import catalogue
from vault.providers.base_urls import carried, carriers, elsewhere, is_own, moved_by, name_after, normal, owner_of
from vault.values import ProviderId, profile_id

HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,8}){1,3}", fullmatch=True)
URLS = st.builds(
    lambda scheme, host, port, path: f"{scheme}://{host}{port}{path}",
    st.sampled_from(["http", "https"]),
    HOSTS,
    st.sampled_from(["", ":80", ":443", ":8000", ":8443"]),
    st.sampled_from(["", "/", "/v1", "/v1/", "/V1", "/a/b", "/%C3%B6", "/" + "x" * 300]),
)


@given(URLS, URLS)
def test_distinct_addresses_stay_distinct(one: str, other: str) -> None:
    assert normal(normal(one)) == normal(one)
    assert (name_after(one) == name_after(other)) == (normal(one) == normal(other))
    assert profile_id(ProviderId("openai"), name_after(one))


@given(URLS)
def test_the_spelling_doesnt_matter(url: str) -> None:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    assert normal(f" {scheme.upper()}://{host.upper()}{slash}{path}/ ") == normal(url)


@given(HOSTS)
def test_a_host_that_only_looks_like_a_providers_is_none(host: str) -> None:
    assume(not host.endswith("openai.com"))
    for url in (f"https://api.openai.com.{host}", f"https://{host}/api.openai.com", f"https://api-openai.{host}"):
        assert not is_own("openai", url)


def test_every_address_of_the_catalogue_is_its_providers_own() -> None:
    for entry in catalogue.providers():
        if entry.api and "${" not in entry.api:
            assert is_own(entry.id, entry.api), entry.api
            assert is_loopback_url(entry.api) or is_own(owner_of(entry.api) or "", entry.api)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.deepseek.com/anthropic", "deepseek"),
        ("https://api.z.ai/api/coding/paas/v4", "zai-coding-plan"),
        ("https://api.z.ai/api/paas/v4", "zai"),
        ("https://us-east5-aiplatform.googleapis.com/v1", "google-vertex"),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com", "amazon-bedrock"),
        ("http://localhost:11434/v1", None),
        ("http://api.openai.com/v1", None),
        ("https://mine.s3.amazonaws.com", None),
    ],
)
def test_whose_server_an_address_is_on(url: str, provider: str | None) -> None:
    assert owner_of(url) == provider


def test_plain_http_is_nobodys_own_but_this_machines() -> None:
    assert elsewhere("openai", "http://api.openai.com/v1") == "http://api.openai.com/v1"
    assert elsewhere("openai", "http://127.0.0.1:11434/v1") == "http://127.0.0.1:11434/v1"
    assert elsewhere("ollama", "http://localhost:11434") == ""
    assert elsewhere("ollama", "http://gpu.corp.example:11434/") == "http://gpu.corp.example:11434"


def test_the_variables_that_carry_an_address() -> None:
    assert carried("openai", "http://h/v1") == {"OPENAI_BASE_URL": "http://h/v1", "OPENAI_API_BASE": "http://h/v1"}
    assert carried("anthropic", "https://h/v1") == {"ANTHROPIC_BASE_URL": "https://h"}
    assert carriers("my-llm") == ("MY_LLM_BASE_URL",)
    assert carriers("deepseek") == (), "a name that nobody reads carries nothing"
    assert moved_by("openai", {"OPENAI_API_BASE": "http://h/v1", "OPENAI_BASE_URL": "https://api.openai.com/v1"}) == (
        "OPENAI_API_BASE",
        "http://h/v1",
    )


@pytest.mark.parametrize(
    "url", ["", "x y", "ftp://h", "https://h:99999", "https://h:0", "https://[::1", "https://h?a=b"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError):
        normal(url)
