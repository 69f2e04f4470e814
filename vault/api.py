"""The Python API: ``from vault import open_vault``.

    with open_vault() as vault:
        vault.login("anthropic", Secret("fake-key"), reason="new key")
        key = vault.credential("anthropic").secret.reveal()
        for entry in vault.history(profile="anthropic:default", limit=5):
            print(entry.at, entry.type, entry.actor.user)
        vault.restore("anthropic:default")

Every method raises the errors of ``vault.errors`` and nothing else of its own. A ``Vault`` may be used by several threads: they
take turns.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vault.commands.addressing import at_server
from vault.commands.history import Filter, check_types, read_history
from vault.commands.issue import Issued, issue
from vault.commands.listing import Listing, list_profiles
from vault.commands.login import LoggedIn, LoggedOut, check_kind, log_in, log_out
from vault.commands.naming import check_provider, named_profile, target
from vault.commands.restore import Restored, restore
from vault.context import Context, Places, current_actor, open_context
from vault.envfile import settled
from vault.errors import InputError
from vault.events.codec import Actor
from vault.events.credentials import AnyCredential, ApiKey, Token
from vault.events.types import Event
from vault.log.records import Recorded
from vault.projections.queries import View
from vault.providers import catalogue
from vault.unlock import Ways
from vault.values import (
    DEFAULT_NAME,
    LATEST,
    MAIN_AGENT,
    AgentId,
    Clock,
    Secret,
    parse_agent,
    parse_provider,
    parse_secret,
    profile_id,
    provider_of,
)

__all__ = ["Entry", "Vault", "open_vault"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the history. ``at`` is microseconds since 1970, UTC."""

    position: int
    at: int
    type: str
    actor: Actor
    reason: str
    event: Event


class Vault:
    """An opened, unlocked vault, as seen by one agent. Get one from ``open_vault``; close it or use ``with``."""

    def __init__(self, context: Context, agent: AgentId) -> None:
        self._context = context
        self._lock = threading.RLock()
        self.agent = agent

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """This thread's turn, under this vault's settings."""
        with self._lock, catalogue.following(self._context.policy):
            yield

    def login(
        self,
        what: str,
        secret: Secret | str,
        *,
        kind: str = "api_key",
        expires_at: int | None = None,
        base_url: str | None = None,
        label: str = "",
        reason: str = "",
        command_id: str = "",
        custom: bool = False,
    ) -> LoggedIn:
        """Store an API key or token for a provider (profile ``default``) or a profile (``provider:name``).

        The first login to a provider of one's own, which vault doesn't know, needs ``custom``: it could be a mistyped one.

        ``kind`` is api_key or token; ``expires_at`` is microseconds UTC, tokens only. ``base_url`` is the server it is for where
        that isn't the provider's own; a profile that isn't named is then called after it. What was there stays in the history.
        With a ``command_id``, a repeated call returns the first result. Raises InputError, NotFound, Conflict, TryAgain.
        """
        check_kind(kind, expires_at)
        if expires_at is not None and not 0 < expires_at <= LATEST:
            raise InputError("the expiry is out of range", hint="give microseconds since 1970, UTC")
        value = parse_secret(secret.reveal() if isinstance(secret, Secret) else secret)
        if kind == "api_key":
            credential: ApiKey | Token = ApiKey(key=value)
        else:
            credential = Token(token=value, expires_at=expires_at)
        with self._turn():
            provider, named = target(what, self._context.environ)
            profile, server = named or profile_id(provider, DEFAULT_NAME), base_url
            if base_url is not None:
                profile, server = at_server(profile, base_url, named=named is not None)
            if not custom:
                check_provider(self._context, provider)
            return log_in(
                self._context,
                self.agent,
                profile,
                credential,
                label=label,
                base_url=server,
                reason=reason,
                command=command_id,
            )

    def keep(
        self, profile: str, credential: AnyCredential, *, label: str = "", reason: str = "", custom: bool = False
    ) -> LoggedIn:
        """Store a credential of any kind (``vault.events.credentials``) as a profile; ``custom`` as for ``login``.

        Raises InputError, NotFound, Conflict, TryAgain.
        """
        with self._turn():
            name = named_profile(profile, self._context.environ)
            if not custom:
                check_provider(self._context, provider_of(name))
            return log_in(self._context, self.agent, name, credential, label=label, reason=reason)

    def credential(self, what: str, *, reason: str = "", program: str = "") -> Issued:
        """Hand out the credential chosen for a provider, or a profile's. The hand-out is in the log before this returns.

        Raises NotFound, SignInAgain, TryAgain, IntegrityError.
        """
        with self._turn():
            provider, profile = target(what, self._context.environ)
            return issue(
                self._context, self.agent, provider, profile=profile, way="api", program=program, reason=reason
            )

    def told(self, profile: str) -> Mapping[str, str]:
        """What a profile's credential tells without being secret: its metadata and account. Raises NotFound."""
        from vault.commands.helping import told

        with self._turn():
            return told(self._context, self.agent, named_profile(profile, self._context.environ))

    def refresh(self, profile: str, *, reason: str = "") -> bool:
        """Refresh a profile's tokens now; whether that, or another process, brought new ones. Raises SignInAgain, TryAgain."""
        from vault.commands.refresh import refresh

        with self._turn():
            name = named_profile(profile, self._context.environ)
            owner = AgentId(View(self._context.queries, self.agent).find(name).agent)
            done = refresh(self._context, owner, name, force=True, reason=reason)
        return done.done in ("refreshed", "adopted")

    def report(self, profile: str, *, failure: str = "", until: int | None = None, model: str = "") -> None:
        """Report whether a use worked: a success, or a failure (rate_limit, auth, billing, …).

        ``until`` is when the provider said it would end, microseconds UTC. Raises UsageError, NotFound.
        """
        from vault.commands.rotation import report

        outcome = "failure" if failure else "success"
        with self._turn():
            report(
                self._context,
                self.agent,
                named_profile(profile, self._context.environ),
                outcome,
                failure=failure,
                until=until,
                model=model,
            )

    def now(self) -> int:
        """The vault's clock, microseconds UTC."""
        return self._context.clock.now()

    def logout(self, profile: str, *, reason: str = "", command_id: str = "") -> LoggedOut:
        """End a profile's credential; ``restore`` undoes it. Raises NotFound."""
        with self._turn():
            return log_out(
                self._context,
                self.agent,
                named_profile(profile, self._context.environ),
                reason=reason,
                command=command_id,
            )

    def restore(
        self, profile: str, *, to: int | None = None, at: int | None = None, reason: str = "", command_id: str = ""
    ) -> Restored:
        """Make an earlier credential current: of position ``to``, of moment ``at`` (microseconds UTC), or the previous one.

        Raises NotFound, Gone.
        """
        with self._turn():
            return restore(
                self._context,
                self.agent,
                named_profile(profile, self._context.environ),
                to=to,
                at=at,
                reason=reason,
                command=command_id,
            )

    def profiles(self, *, at: int | None = None) -> Listing:
        """What this agent sees, now or at a moment (microseconds UTC). No secrets."""
        with self._turn():
            return list_profiles(self._context, self.agent, moment=at)

    def history(
        self,
        *,
        agent: str = "",
        provider: str = "",
        profile: str = "",
        types: tuple[str, ...] = (),
        actor: str = "",
        since: int | None = None,
        until: int | None = None,
        limit: int | None = None,
        oldest_first: bool = False,
    ) -> Iterator[Entry]:
        """Events, newest first, of all agents unless one is named. Moments are microseconds UTC. Opens only what it yields.

        Raises InputError for a name or a type that can't be, before anything is read.
        """
        check_types(types)
        with self._turn():
            wanted = Filter(
                parse_agent(agent) if agent else "",
                parse_provider(provider) if provider else "",
                named_profile(profile, self._context.environ) if profile else "",
                types,
                actor,
                since,
                until,
            )
        return self._entries(read_history(self._context, wanted, limit=limit, oldest_first=oldest_first))

    def _entries(self, listing: Iterator[Recorded]) -> Iterator[Entry]:
        while True:
            with self._turn():
                record = next(listing, None)
            if record is None:
                return
            envelope = record.envelope
            yield Entry(record.position, envelope.at, envelope.type, envelope.actor, envelope.reason, record.event)

    def close(self) -> None:
        """Close the files."""
        with self._turn():
            self._context.close()

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_vault(
    path: str | os.PathLike[str] | None = None,
    *,
    agent: str = "",
    ask: Callable[[str], str] | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Vault:
    """Open and unlock the vault at ``path`` (default: VAULT_DATABASE, else the platform's place), as an agent (default: main).

    It unlocks as the command line does: by the environment, a remembered key file or command, the OS keyring; then ``ask``, given
    a prompt, may return a passphrase. Raises NotReady, Locked, Unavailable, IntegrityError, NewerVersion, StorageError.
    """
    environ = settled(os.environ if environ is None else environ)
    places = Places.of(environ)
    if path is not None:
        places = Places(Path(path).expanduser().absolute(), places.state)
    name = parse_agent(agent or environ.get("VAULT_AGENT", "") or MAIN_AGENT)
    actor = current_actor(environ, "api", name)
    return Vault(open_context(places, Ways(environ=environ, ask=ask), clock=clock, actor=actor), name)
