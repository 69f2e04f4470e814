"""Helpers run in this process against a real vault, as ``vault helper NAME`` runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import START, Files, FixedClock, make_files
from vault.commands.helping import Desk
from vault.commands.login import log_in
from vault.context import Context
from vault.errors import VaultError
from vault.events.credentials import AnyCredential, ApiKey
from vault.events.types import CredentialIssued
from vault.interop.helpers import Answer, Request, helper
from vault.values import MAIN_AGENT, ProfileId


@dataclass
class Counter:
    """A vault, and what its helpers answer."""

    context: Context
    clock: FixedClock
    environ: dict[str, str] = field(default_factory=dict)

    def ask(
        self, name: str, *arguments: str, stdin: str | bytes = "", environ: Mapping[str, str] | None = None
    ) -> Answer:
        """A helper's answer, an error's as the command gives it."""
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        request = Request(list(arguments), environ or {}, lambda: raw)
        found = helper(name)
        try:
            return found.run(request, Desk(self.context, MAIN_AGENT, name, "test"))
        except VaultError as error:
            return found.fail(request, error)

    def login(self, profile: str, credential: AnyCredential | str, label: str = "") -> None:
        """Store a credential."""
        one = ApiKey(key=credential) if isinstance(credential, str) else credential
        log_in(self.context, MAIN_AGENT, ProfileId(profile), one, label=label)

    @property
    def issued(self) -> list[CredentialIssued]:
        """The hand-outs in the log."""
        events = [r.event for r in self.context.store.scan(1, self.context.store.head().position)]
        return [e for e in events if isinstance(e, CredentialIssued)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path / "vault")


@pytest.fixture
def counter(files: Files) -> Iterator[Counter]:
    clock = FixedClock(START)
    with files.open(clock=clock) as context:
        yield Counter(context, clock)
