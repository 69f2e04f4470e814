"""vault.auth over real sockets: the header, the 401, what is reported, and what the history says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import vault
from tests.adapters.conftest import Gate
from tests.support import START, Files, FixedClock, make_files
from vault.api import Vault, open_vault
from vault.commands.login import log_in
from vault.commands.refresh import RefreshResult
from vault.context import Context
from vault.errors import NotFound
from vault.events.credentials import OAuth
from vault.events.types import CredentialIssued, TokensRefreshed, UseReported
from vault.providers.headers import headers_of
from vault.providers.tokens import Outcome, Refreshed, Tokens
from vault.values import HOUR, MAIN_AGENT, SECOND, ProfileId, ProviderId


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def files(tmp_path: Path, isolated: Path) -> Files:
    return make_files(tmp_path / "vault")


@pytest.fixture
def opened(files: Files, clock: FixedClock) -> Iterator[Vault]:
    with open_vault(environ=files.environ(), clock=clock) as one:
        yield one


def events(opened: Vault, kind: type) -> list[object]:
    return [entry.event for entry in opened.history(oldest_first=True) if isinstance(entry.event, kind)]


@pytest.mark.parametrize(
    ("provider", "kind", "secret", "expected"),
    [
        ("anthropic", "api_key", "fake-key", {"x-api-key": "fake-key"}),
        (
            "anthropic",
            "oauth",
            "fake-token",
            {"authorization": "Bearer fake-token", "anthropic-beta": "oauth-2025-04-20"},
        ),
        (
            "anthropic",
            "api_key",
            "sk-ant-oat-fake",
            {"authorization": "Bearer sk-ant-oat-fake", "anthropic-beta": "oauth-2025-04-20"},
        ),
        ("google", "api_key", "fake-key", {"x-goog-api-key": "fake-key"}),
        ("google", "oauth", "fake-token", {"authorization": "Bearer fake-token"}),
        ("azure", "api_key", "fake-key", {"api-key": "fake-key"}),
        ("openai", "api_key", "fake-key", {"authorization": "Bearer fake-key"}),
        ("models.example.com", "wellknown", "fake-token", {"authorization": "Bearer fake-token"}),
    ],
)
def test_the_header_each_provider_wants(provider: str, kind: str, secret: str, expected: dict[str, str]) -> None:
    assert headers_of(provider, kind, secret) == expected


def test_a_request_carries_the_chosen_credential_and_no_other(opened: Vault, gate: Gate) -> None:
    opened.login("anthropic", "fake-key-1")
    with httpx.Client(auth=vault.auth("anthropic", vault=opened)) as client:
        answer = client.get(gate.url, headers={"authorization": "Bearer fake-of-the-caller", "x-api-key": "fake-other"})
    assert answer.status_code == 200
    assert gate.seen[0]["x-api-key"] == "fake-key-1"
    assert "authorization" not in gate.seen[0]
    (issued,) = events(opened, CredentialIssued)
    assert isinstance(issued, CredentialIssued)
    assert (issued.profile, issued.program) == ("anthropic:default", "httpx")


def test_the_history_is_no_list_of_requests(opened: Vault, gate: Gate) -> None:
    opened.login("openai", "fake-key-1")
    now = [0.0]
    from vault.adapters.http_auth import VaultAuth

    auth = VaultAuth("openai", lambda: opened, hold=60, tick=lambda: now[0])
    with httpx.Client(auth=auth) as client:
        for _ in range(5):
            client.get(gate.url)
        assert len(events(opened, CredentialIssued)) == 1
        opened.login("openai", "fake-key-2")
        now[0] = 61
        client.get(gate.url)
    assert gate.seen[-1]["authorization"] == "Bearer fake-key-2"
    assert len(events(opened, CredentialIssued)) == 2
    assert events(opened, UseReported) == []


def test_after_a_401_another_profile_is_tried_once(opened: Vault, gate: Gate) -> None:
    opened.login("openai:first", "fake-key-1")
    opened.login("openai:second", "fake-key-2")
    gate.refused = {"fake-key-1"}
    with httpx.Client(auth=vault.auth("openai", vault=opened)) as client:
        assert client.get(gate.url).status_code == 200
    assert [s["authorization"] for s in gate.seen] == ["Bearer fake-key-1", "Bearer fake-key-2"]
    (reported,) = events(opened, UseReported)
    assert isinstance(reported, UseReported)
    assert (reported.profile, reported.failure) == ("openai:first", "auth")


def test_the_only_profile_is_not_sent_twice(opened: Vault, gate: Gate) -> None:
    opened.login("openai", "fake-key-1")
    gate.refused = {"fake-key-1"}
    with httpx.Client(auth=vault.auth("openai", vault=opened)) as client:
        assert client.get(gate.url).status_code == 401
    assert len(gate.seen) == 1


def test_after_a_401_tokens_are_refreshed_once(
    files: Files, clock: FixedClock, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with files.open(clock=clock) as context:
        credential = OAuth(access="fake-access-1", refresh="fake-refresh-1", expires_at=clock.now() + HOUR)
        log_in(context, MAIN_AGENT, ProfileId("xai:default"), credential)

    def exchange(_: Context, __: ProviderId, sent: OAuth) -> Outcome:
        assert sent.refresh == "fake-refresh-1"
        return Refreshed(Tokens(access="fake-access-2", refresh="fake-refresh-2", expires_at=clock.now() + HOUR))

    from vault.commands import refresh as module

    real = module.refresh

    def refreshed(*arguments: object, **named: object) -> RefreshResult:
        return real(*arguments, **{**named, "exchange": exchange})  # type: ignore[arg-type]

    monkeypatch.setattr(module, "refresh", refreshed)
    gate.refused = {"fake-access-1"}
    with open_vault(environ=files.environ(), clock=clock) as opened:
        with httpx.Client(auth=vault.auth("xai", vault=opened)) as client:
            assert client.get(gate.url).status_code == 200
        assert [s["authorization"] for s in gate.seen] == ["Bearer fake-access-1", "Bearer fake-access-2"]
        assert len(events(opened, TokensRefreshed)) == 1


@pytest.mark.parametrize(
    ("status", "failure", "until"),
    [
        (429, "rate_limit", 30 * SECOND),
        (402, "billing", None),
        (403, "auth", None),
        (529, "overloaded", 30 * SECOND),
        (500, "unknown", None),
    ],
)
def test_failures_are_reported_with_the_providers_reset_time(
    opened: Vault, gate: Gate, clock: FixedClock, status: int, failure: str, until: int | None
) -> None:
    opened.login("openai", "fake-key-1")
    gate.status, gate.answer_headers = status, {"Retry-After": "30"}
    with httpx.Client(auth=vault.auth("openai", vault=opened)) as client:
        assert client.get(gate.url).status_code == status
        reported = events(opened, UseReported)[0]
        assert isinstance(reported, UseReported)
        assert (reported.failure, reported.until) == (failure, clock.now() + until if until else None)
        gate.status = 200
    assert len(events(opened, UseReported)) == 1


def test_a_success_ends_a_failure_and_is_reported_once(opened: Vault, gate: Gate) -> None:
    opened.login("openai", "fake-key-1")
    gate.status = 500
    with httpx.Client(auth=vault.auth("openai", vault=opened)) as client:
        client.get(gate.url)
        gate.status = 200
        client.get(gate.url)
        client.get(gate.url)
    outcomes = [e.outcome for e in events(opened, UseReported) if isinstance(e, UseReported)]
    assert outcomes == ["failure", "success"]


def test_an_asynchronous_client(files: Files, clock: FixedClock, gate: Gate) -> None:
    gate.refused = {"fake-key-1"}

    async def talk(one: Vault) -> int:
        async with httpx.AsyncClient(auth=vault.auth("openai", vault=one)) as client:
            return (await client.get(gate.url)).status_code

    with open_vault(environ=files.environ(), clock=clock) as one:
        one.login("openai:first", "fake-key-1")
        one.login("openai:second", "fake-key-2")
        assert asyncio.run(talk(one)) == 200
    assert [s["authorization"] for s in gate.seen] == ["Bearer fake-key-1", "Bearer fake-key-2"]


def test_nothing_is_sent_when_there_is_nothing(opened: Vault, gate: Gate) -> None:
    with httpx.Client(auth=vault.auth("openai", vault=opened)) as client, pytest.raises(NotFound):
        client.get(gate.url)
    assert gate.seen == []


def test_it_opens_the_vault_itself_and_closes_it(
    files: Files, gate: Gate, monkeypatch: pytest.MonkeyPatch, opened: Vault
) -> None:
    opened.login("openai", "fake-key-1")
    for name, value in files.environ().items():
        monkeypatch.setenv(name, value)
    auth = vault.auth("openai", agent="main")
    with httpx.Client(auth=auth) as client:
        client.get(gate.url)
    auth.close()
    assert gate.seen[0]["authorization"] == "Bearer fake-key-1"
    assert "fake-key-1" not in repr(auth)
