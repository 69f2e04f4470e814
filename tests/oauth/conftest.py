"""A world for a sign-in: a server, a person, a clock that both share, and a watch on everything that is shown or logged."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.oauth.authority import Authority
from tests.oauth.person import Person
from tests.oauth.server import Server
from tests.support import FixedClock, seeded
from vault.errors import VaultError
from vault.events.credentials import encode_credential
from vault.providers import driver
from vault.providers.clients import client
from vault.providers.flows import SignedIn, Start, login_flow, refresh_flow
from vault.providers.methods import method
from vault.providers.plugins import plugins
from vault.providers.tokens import Outcome
from vault.values import SECOND


@dataclass
class World:
    """What a test plays with."""

    server: Server
    clock: FixedClock
    mark: str
    person: Person = field(default_factory=Person)
    pauses: list[float] = field(default_factory=list)

    @property
    def authority(self) -> Authority:
        return self.server.authority

    @property
    def base(self) -> str:
        return self.server.url

    def pause(self, seconds: float) -> None:
        """Let time pass without waiting."""
        self.pauses.append(seconds)
        self.clock.forward(int(seconds * SECOND))

    def run(self, flow: Any, deadline: float = 1200.0) -> Any:
        """Run a flow in this world."""
        return driver.run(
            flow,
            self.person,
            clock=self.clock,
            deadline=deadline,
            pause=self.pause,
            monotonic=lambda: self.clock.at / SECOND,
        )

    def start(self, **given: str) -> Start:
        return Start(self.clock.now(), seeded(7), given, endpoints=self.base)

    def sign_in(self, provider: str, name: str = "", **given: str) -> SignedIn:
        """Sign in by a method of the registry, every address pointing here."""
        found: SignedIn = self.run(login_flow(method(provider, name), self.start(**given)))
        self.person.done()
        return found

    def refresh(
        self, client_id: str, token: str, deadline: float = 30.0, extra: dict[str, str] | None = None, scopes: Any = ()
    ) -> Outcome:
        """Refresh with a client of the registry, its addresses pointing here."""
        found: Outcome = self.run(refresh_flow(client(client_id, {}, self.base), token, scopes, extra), deadline)
        return found

    def fails(self, error: type[VaultError], provider: str, name: str = "", **given: str) -> VaultError:
        """Sign in, which must fail so; the error, in which nothing secret may be, nor in its traceback."""
        with pytest.raises(error) as caught:
            self.sign_in(provider, name, **given)
        return self.checked(caught.value)

    def checked(self, error: VaultError) -> VaultError:
        told = "".join(traceback.format_exception(error)) + repr(error) + error.message + error.hint
        assert self.mark not in told
        assert type(error) is not VaultError
        return error


@pytest.fixture
def mark() -> str:
    """What every secret of this test's server holds."""
    return f"canary-{os.urandom(6).hex()}"


@pytest.fixture
def world(mark: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[World]:
    """A world, and afterwards a look at the log, the output and all that was shown: none may hold a secret."""
    caplog.set_level(logging.DEBUG)
    clock = FixedClock()
    with Server(Authority(mark, lambda: clock.at / SECOND)) as server:
        made = World(server, clock, mark)
        yield made
    out, err = capfd.readouterr()
    for place in (caplog.text, out, err, *made.person.shown, *made.person.urls):
        assert mark not in place


@pytest.fixture(autouse=True)
def no_plugins() -> Iterator[None]:
    """No package's methods are left over from another test."""
    plugins.cache_clear()
    yield
    plugins.cache_clear()


def secrets_in(signed: SignedIn) -> bytes:
    """The bytes a sign-in would store."""
    return encode_credential(signed.credential)
