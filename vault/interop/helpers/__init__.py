"""The protocols by which tools ask for a credential on stdin and stdout: one file each, and one line of this table.

A helper's file describes it as ``HELPER``. It reads the request, asks ``Serving``, and says what goes to stdout and stderr and
the exit status that protocol wants. It never prompts, and never puts a secret on stderr. When the vault can't be opened,
``fail`` says so in the protocol's own way; that sentence must tell the person what to do, for some tools go on without a
credential.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vault.errors import NotFound, VaultError
from vault.events.credentials import AnyCredential
from vault.guessing import did_you_mean
from vault.showing import shown
from vault.values import Secret

MODULES: dict[str, str] = {
    "token": "token",
    "openclaw": "openclaw",
    "aws": "aws",
    "docker": "docker",
    "git": "git",
    "google": "google",
    "kubernetes": "kubernetes",
    "api-key": "api_key",
}


@dataclass(frozen=True, slots=True)
class Given:
    """A credential that was handed out, and is in the history.

    ``values`` are the environment variables a child would get: for a cloud mode there are several. ``facts`` are what the
    profile tells without being secret (account, user name, server). ``expires_at`` is microseconds UTC.
    """

    secret: Secret
    provider: str
    profile: str
    kind: str
    expires_at: int | None
    values: Mapping[str, Secret] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holding:
    """A profile that could be handed out, without its secret.

    ``since`` is when its credential was stored, ``position`` where, ``rank`` its place in the provider's order; ``refused`` says
    that a refreshable login was refused since its tokens came. ``expires_at`` and ``since`` are microseconds UTC.
    """

    provider: str
    profile: str
    kind: str
    label: str
    facts: Mapping[str, str]
    since: int = 0
    position: int = 0
    rank: int = 0
    expires_at: int | None = None
    refreshable: bool = False
    refused: bool = False


class Serving(Protocol):
    """What a helper may ask of the vault. Every method raises VaultError."""

    @property
    def now(self) -> int:
        """Microseconds UTC."""

    def give(self, what: str, *, agent: str = "") -> Given:
        """Hand out for a provider or a profile, with enough life left for a tool."""

    def give_fitting(self, what: str, fits: Callable[[str, str], bool]) -> Given | None:
        """The first, in the order they would be tried, that ``fits`` (kind, secret); what doesn't fit isn't handed out."""

    def give_beside(self, profile: str, name: str) -> Secret | None:
        """Hand out a secret that came with a profile's credential, by its name; None where there is none."""

    def holdings(self, provider: str = "", *, agent: str = "") -> Sequence[Holding]:
        """Profiles the agent sees; nothing is handed out."""

    def is_secret_of(self, profile: str, secret: str, *, agent: str = "") -> bool:
        """Whether a profile's secret is this one; nothing is handed out."""

    def keep(self, profile: str, credential: AnyCredential, *, label: str = "", agent: str = "") -> bool:
        """Store a credential that a tool gives; whether it was: the same one again changes nothing."""

    def keep_again(self, profile: str) -> None:
        """Store a profile's credential anew as it is: it becomes the newest."""

    def end(self, profile: str, *, agent: str = "") -> None:
        """Log a profile out, a parent's too."""

    def refuse(self, profile: str) -> None:
        """Note that a refreshable login was refused: it is renewed before it is given again."""

    def renew(self, profile: str) -> None:
        """Renew a login that was refused. Raises SignInAgain where it can't be."""


@dataclass(frozen=True, slots=True)
class Request:
    """How a helper was called. ``read`` gives all of standard input; it is only called where the protocol has one."""

    arguments: Sequence[str]
    environ: Mapping[str, str]
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a helper says: bytes for stdout, one line for stderr, and its exit status."""

    out: bytes = field(default=b"", repr=False)
    err: str = ""
    status: int = 0


def plain_failure(_: Request, error: VaultError) -> Answer:
    """One line on stderr, nothing on stdout, the error's exit status."""
    return Answer(err=sentence(error), status=error.exit_status)


def sentence(error: VaultError) -> str:
    """An error as the one line a tool shows: what happened, and what a person types."""
    return f"vault: {error.message}" + (f"; {error.hint}" if error.hint else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """One protocol. ``usage`` is what follows ``vault helper NAME``; ``seconds`` is how long its callers wait."""

    name: str
    title: str
    usage: str
    run: Callable[[Request, Serving], Answer]
    fail: Callable[[Request, VaultError], Answer] = plain_failure
    seconds: float = 5.0


def helper(name: str) -> Helper:
    """A helper by name. Raises NotFound."""
    if name not in MODULES:
        every = "one of: " + ", ".join(MODULES)
        raise NotFound(f"there is no helper {shown(name)}", hint=did_you_mean(name, MODULES) or every)
    found: Helper = importlib.import_module(f"vault.interop.helpers.{MODULES[name]}").HELPER
    return found


def helpers() -> Iterator[Helper]:
    """Every helper, in the order of the table."""
    for name in MODULES:
        yield helper(name)
