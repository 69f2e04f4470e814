"""vault.auth sends a credential to its own server alone: not where a request, plain http or a redirect leads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import vault
from tests.adapters.conftest import Gate
from tests.support import Files, make_files
from vault.api import Vault, open_vault
from vault.errors import InputError

OTHER = "https://evil.example/v1/messages"


class Recorder(httpx.BaseTransport):
    """Answers everything, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer 200."""
        self.seen.append(request)
        return httpx.Response(200)


@pytest.fixture
def files(tmp_path: Path, isolated: Path) -> Files:
    return make_files(tmp_path / "vault")


@pytest.fixture
def opened(files: Files) -> Iterator[Vault]:
    with open_vault(environ=files.environ()) as one:
        yield one


@pytest.mark.parametrize(
    "url",
    [OTHER, "http://api.anthropic.com/v1", "https://api.anthropic.com.evil.example", "https://api.anthropic.com:8443"],
)
def test_a_key_doesnt_go_to_another_server(opened: Vault, url: str) -> None:
    opened.login("anthropic", "fake-key")
    way = Recorder()
    with httpx.Client(auth=vault.auth("anthropic", vault=opened), transport=way) as client:
        with pytest.raises(InputError, match="belongs to anthropic's own server"):
            client.get(url)
        assert client.get("https://api.anthropic.com/v1/models?limit=1").status_code == 200
    assert [r.url.host for r in way.seen] == ["api.anthropic.com"]


def test_a_server_that_is_named_may_have_it(opened: Vault) -> None:
    opened.login("anthropic", "fake-key")
    way = Recorder()
    with httpx.Client(
        auth=vault.auth("anthropic", vault=opened, base_url="https://evil.example"), transport=way
    ) as client:
        assert client.get(OTHER).status_code == 200
    assert way.seen[0].headers["x-api-key"] == "fake-key"


def test_a_key_of_another_server_goes_there_and_nowhere_else(opened: Vault) -> None:
    name = opened.login("openai", "fake-vllm", base_url="http://vllm.corp.example:8000/v1").profile
    way = Recorder()
    with httpx.Client(auth=vault.auth(name, vault=opened), transport=way) as client:
        assert client.get("http://vllm.corp.example:8000/v1/models").status_code == 200
        for url in ("https://api.openai.com/v1/models", "http://vllm.corp.example/v1", "http://127.0.0.1:8000/v1"):
            with pytest.raises(InputError):
                client.get(url)
    assert len(way.seen) == 1


def test_where_nobody_knows_the_address_the_first_server_is_the_one(opened: Vault) -> None:
    opened.login("my-own", "fake-key", custom=True)
    way = Recorder()
    with httpx.Client(auth=vault.auth("my-own", vault=opened), transport=way) as client:
        with pytest.raises(InputError):
            client.get("http://llm.example/v1")
        client.get("https://llm.example/v1")
        with pytest.raises(InputError):
            client.get(OTHER)
    assert [r.url.host for r in way.seen] == ["llm.example"]


@pytest.mark.parametrize("waiting", [False, True])
def test_a_redirect_to_another_server_is_stopped_before_the_key_is_sent(
    opened: Vault, gate: Gate, other_gate: Gate, waiting: bool
) -> None:
    profile = opened.login("anthropic", "fake-key", base_url=gate.url).profile
    gate.status, gate.answer_headers = 307, {"Location": other_gate.url}
    auth = vault.auth(profile, vault=opened)
    with pytest.raises(InputError, match=r"the request goes to 127\.0\.0\.1"):
        asyncio.run(_ask_waiting(auth, gate.url)) if waiting else _ask(auth, gate.url)
    assert gate.seen[0]["x-api-key"] == "fake-key"
    assert other_gate.seen == []


def _ask(auth: httpx.Auth, url: str) -> None:
    with httpx.Client(auth=auth, follow_redirects=True) as client:
        client.get(url)


async def _ask_waiting(auth: httpx.Auth, url: str) -> None:
    async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
        await client.get(url)


def test_a_redirect_that_httpx_takes_the_key_off_for_is_followed(opened: Vault, gate: Gate, other_gate: Gate) -> None:
    profile = opened.login("openai", "fake-key", base_url=gate.url).profile
    gate.status, gate.answer_headers = 302, {"Location": other_gate.url}
    told: list[str] = []
    with httpx.Client(auth=vault.auth(profile, vault=opened), follow_redirects=True) as client:
        answer = client.get(gate.url, extensions={"trace": lambda name, _: told.append(name)})
    assert answer.status_code == 200
    assert "authorization" not in other_gate.seen[0]
    assert any(name.endswith("send_request_headers.started") for name in told), "the caller's own trace goes on"
