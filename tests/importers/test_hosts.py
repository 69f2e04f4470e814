"""Whose address it is: a key goes to its provider's own scheme, host and port, and nowhere that only looks like it."""

from __future__ import annotations

import pytest

from vault.interop.homes import home_of
from vault.interop.hosts import provider_at
from vault.values import ProviderId


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.openai.com:443/v1", "openai"),
        ("http://api.openai.com/v1", None),
        ("https://api.openai.com:8443/v1", None),
        ("https://api.openai.com.corp.example/v1", None),
        ("https://127.0.0.1.nip.example/v1", None),
        ("http://127.0.0.1:8000/v1", None),
        ("http://localhost./v1", None),
    ],
)
def test_a_provider_s_address_is_scheme_host_and_port(address: str, provider: str | None) -> None:
    assert provider_at(address) == provider


def test_two_servers_of_one_host_are_two_profiles() -> None:
    urls = [f"http{s}://vllm.corp.example{p}/v1" for s in ("", "s") for p in ("", ":8000")]
    homes = [home_of(ProviderId("openai"), url, {}) for url in (*urls, "http://127.0.0.1:9/v1", "http://[::1]/v1")]
    assert len({home.profile for home in homes}) == len(homes)
    assert [home.base_url for home in homes[:4]] == urls
