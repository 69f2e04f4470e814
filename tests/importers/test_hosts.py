"""Whose address it is: a key goes to its provider's own scheme, host and port, and nowhere that only looks like it."""

from __future__ import annotations

import pytest

from vault.errors import InputError
from vault.interop.hosts import provider_at, provider_named_after


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


def test_two_servers_of_one_host_are_two_providers() -> None:
    names = [provider_named_after(f"http{s}://vllm.corp.example{p}/v1") for s in ("", "s") for p in ("", ":8000")]
    assert len(set(names)) == 4
    assert provider_named_after("https://vllm.corp.example/v1") == "vllm.corp.example"
    assert provider_named_after("http://127.0.0.1.nip.example/v1") == "http%3a%2f%2f127.0.0.1.nip.example"
    for here in ("http://app.localhost:8000/v1", "http://[::1]/v1", "http://127.0.0.9"):
        with pytest.raises(InputError):
            provider_named_after(here)
