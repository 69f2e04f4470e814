"""An opened, unlocked vault: the only place that wires the parts together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vault.crypto.keys import KEY, VaultKeys, new_epoch
from vault.crypto.keyslots import PASSPHRASE, Slot
from vault.envfile import EnvFile, read_env_file
from vault.errors import Conflict, IntegrityError, NotReady, StorageError, TryAgain, WrongExpectedVersion
from vault.events.codec import Actor
from vault.events.types import SlotFacts, VaultCreated
from vault.log.anchor import Anchor
from vault.log.database import Database, create_database, discard, publish
from vault.log.records import Cause, Draft, Recorded
from vault.log.sealing import Sealing
from vault.log.slots import FORMAT, read_slots
from vault.log.store import EventStore
from vault.model.slots import SlotsState, slot_facts
from vault.model.streams import VAULT
from vault.projections.engine import CHECKPOINTS, Projections
from vault.projections.queries import Queries
from vault.projections.replay import rebuild
from vault.projections.slots import check_slots, slots_of
from vault.providers import catalogue
from vault.providers.aliases import allowed, canonical
from vault.settings import VARIABLES, Settings, read_settings
from vault.unlock import Ways, unlock
from vault.values import Clock, RandomBytes, SystemClock

TRIES = 64


@dataclass(frozen=True, slots=True)
class Places:
    """Where a vault's files are."""

    database: Path
    state: Path
    copies: Path | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Places:
        """From VAULT_DATABASE and VAULT_STATE, else the platform's data and state folders. Raises NotReady for other URLs.

        Copies of anchors are in the platform's cache folder, or, where VAULT_STATE says where state is kept, in that folder.
        """
        named, state = environ.get("VAULT_DATABASE", ""), environ.get("VAULT_STATE", "")
        if named.startswith("sqlite:///"):
            named = named.removeprefix("sqlite:///")
        elif "://" in named:
            raise NotReady(
                "VAULT_DATABASE names a database server",
                hint="this version stores in SQLite: give a path or sqlite:///PATH",
            )
        copies: Path | None = None
        if not named or not state:
            from platformdirs import PlatformDirs

            folders = PlatformDirs("agent-vault", appauthor=False)
            named = named or str(Path(folders.user_data_dir) / "vault.db")
            copies = None if state else Path(folders.user_cache_dir) / "anchors"
            state = state or str(Path(folders.user_state_dir) / "state")
        return cls(Path(named).expanduser().absolute(), Path(state).expanduser().absolute(), copies)

    def anchor(self, vault_id: bytes) -> Path:
        """The head anchor's file."""
        return self.state / f"{vault_id.hex()}.anchor"

    def anchor_copy(self, vault_id: bytes) -> Path:
        """The copy of the head anchor, in another folder."""
        return (self.copies or self.state / "copies") / f"{vault_id.hex()}.anchor"

    def unlocking(self, vault_id: bytes) -> Path:
        """The file that remembers where key files and key commands are."""
        return self.state / f"{vault_id.hex()}.unlock.json"


def current_actor(environ: Mapping[str, str], way: str, agent: str = "") -> Actor:
    """Who is acting: OS user, host, this process, the program that called it."""
    user = _os_user()
    host = os.uname().nodename if hasattr(os, "uname") else environ.get("COMPUTERNAME", "")
    return Actor(user=user, host=host, pid=os.getpid(), program=_program(), agent=agent, way=way)


def _os_user() -> str:
    """The OS user this process runs as; the environment, which anybody can set, isn't asked where the platform tells."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:
        import getpass

        return getpass.getuser()
    except KeyError:
        return str(os.getuid())


def _program() -> str:
    """The program that started this one; where the platform doesn't tell cheaply, this one's name."""
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        return Path(sys.argv[0]).name


class Context:
    """An opened vault. Close it, or use it in a ``with`` statement."""

    def __init__(
        self,
        database: Database,
        keys: VaultKeys,
        places: Places,
        clock: Clock,
        actor: Actor,
        environ: Mapping[str, str],
        settings: Settings | None = None,
        env_file: EnvFile | None = None,
    ) -> None:
        self.database = database
        self.keys = keys
        self.places = places
        self.clock = clock
        self.actor = actor
        self.environ = environ
        self.settings = settings or read_settings(environ, canonical)
        self.policy = catalogue.Policy(lambda: self.settings.auto_update)
        catalogue.follow(self.policy)
        self.env_file = env_file or EnvFile(Path(os.devnull))
        self.dotenv_path: Path | None = None
        self._dotenv: dict[str, str] | None = None
        self._dotenv_written: dict[str, str] | None = None
        sealing = Sealing(keys)
        self.anchor = Anchor(
            places.anchor(keys.vault_id), keys.vault_id, keys.anchor, places.anchor_copy(keys.vault_id)
        )
        self.projections = Projections(sealing)
        self.store = EventStore(database, sealing, self.anchor, clock, self.projections)
        self.queries = Queries(self.store, self.projections)

    @property
    def dotenv(self) -> dict[str, str]:
        """Variables of the project's .env, read when first asked for."""
        if self._dotenv is None:
            from vault.providers.dotenv import project_variables

            try:
                self._dotenv, self.dotenv_path = project_variables(Path.cwd())
            except OSError:
                self._dotenv = {}
        return self._dotenv

    @property
    def dotenv_written(self) -> dict[str, str]:
        """Variables of the project's .env as they are written there: references and placeholders among them."""
        if self._dotenv_written is None:
            from vault.providers.dotenv import written_variables

            try:
                self._dotenv_written = written_variables(Path.cwd())
            except OSError:
                self._dotenv_written = {}
        return self._dotenv_written

    def variables(self, source: str) -> Mapping[str, str]:
        """The variables of a source: ``environment``, ``dotenv`` or ``envfile``, or as a decision writes it (``env``)."""
        if source in ("environment", VARIABLES["environment"]):
            return self.environ
        return self.dotenv if source == "dotenv" else self.env_file.variables

    def environ_for(self, scheme: str) -> Mapping[str, str]:
        """What a reference is followed with: ``${NAME}`` finds what the env file holds too, a command is not given it."""
        return {**self.env_file.variables, **self.environ} if scheme == "env" else self.environ

    def allows(self, provider: str) -> bool:
        """Whether the settings let a provider be used, by its id or by any name other tools have for it."""
        settings = self.settings
        return allowed(provider, settings.enabled_providers, settings.disabled_providers, settings.own)

    def cause(self, reason: str = "", command: str = "", way: str = "", causation: int | None = None) -> Cause:
        """What the events of one command share. ``way`` overrides how this vault was reached."""
        actor = replace_way(self.actor, way) if way else self.actor
        return Cause(actor=actor, command=command, reason=reason, causation=causation)

    def decide(
        self, cause: Cause, stream: str, build: Callable[[], tuple[Sequence[Draft], Mapping[str, int]]]
    ) -> list[Recorded]:
        """Run a decision and append what it decided; decide anew when its streams moved on meanwhile.

        ``build`` reads, decides and returns (events, expected versions). ``stream`` is the one the command is about: a
        ``cause.command`` seen before returns its first result, if that was about the same stream. Raises Conflict.
        """
        if cause.command:
            with self.database.reading() as connection:
                earlier = self.projections.find_command(connection, cause.command)
            if earlier:
                recorded = list(self.store.read(range(earlier[0], earlier[1] + 1)))
                if all(r.stream != stream for r in recorded):
                    raise Conflict(f"the command id {cause.command} was used for another command", hint="use a new id")
                return recorded
        for _ in range(TRIES):
            drafts, expected = build()
            if not drafts:
                return []
            try:
                return self.store.append(drafts, cause, expected)
            except WrongExpectedVersion:
                continue
        raise WrongExpectedVersion("the profile keeps changing while this command decides", hint="try again")

    def slots(self) -> tuple[SlotsState, dict[int, SlotFacts]]:
        """The key slots as the log knows them, and those that are there. Raises IntegrityError."""
        return slots_of(self.store, self.projections)

    def check_slots(self) -> None:
        """Raises IntegrityError for the first key slot that isn't as the log knows it."""
        check_slots(*self.slots())

    def close(self) -> None:
        """Close the files."""
        self.anchor.close()
        self.database.close()

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def replace_way(actor: Actor, way: str) -> Actor:
    """The same actor, having come another way."""
    return Actor(user=actor.user, host=actor.host, pid=actor.pid, program=actor.program, agent=actor.agent, way=way)


def open_context(
    places: Places,
    ways: Ways,
    *,
    clock: Clock | None = None,
    actor: Actor | None = None,
    way: str = "cli",
    random: RandomBytes = os.urandom,
    strange_slots: bool = False,
) -> Context:
    """Open and unlock the vault. ``ways.places`` and ``ways.last`` are filled from the state folder.

    Key slots that aren't those of the log are an error, unless ``strange_slots`` are what the command is for. Where ``ways`` are
    quiet, the vault is only read, and not waited for.
    Raises NotReady, Locked, Unavailable, IntegrityError, NewerVersion, StorageError; TryAgain when it is busy.
    """
    from vault.unlock import read_last, read_places, remember_last

    env_file = read_env_file(ways.environ)
    settings = read_settings(ways.environ, canonical)
    database = Database(places.database, reading_only=ways.quiet)
    try:
        vault_id, slots, epochs = read_slots(database)
        remembered = places.unlocking(vault_id)
        ways = replace(ways, places=read_places(remembered), last=read_last(remembered))
        root, slot = unlock(slots, vault_id, ways)
        if slot.kind == PASSPHRASE and slot.slot != ways.last and sum(s.kind == PASSPHRASE for s in slots) > 1:
            with suppress(StorageError):
                remember_last(remembered, slot.slot)
        keys = VaultKeys.from_root(vault_id, root, epochs, random)
        context = Context(
            database,
            keys,
            places,
            clock or SystemClock(),
            actor or current_actor(ways.environ, way),
            ways.environ,
            settings,
            env_file,
        )
        context.store.check_anchor()
        _bring_up(context, quiet=ways.quiet)
        if not strange_slots and context.store.rollback is None:
            _check_slots(context)
        return context
    except BaseException:
        database.close()
        raise


def create_context(
    places: Places,
    make_slots: Callable[[bytes, bytes], Sequence[Slot]],
    environ: Mapping[str, str],
    *,
    clock: Clock | None = None,
    actor: Actor | None = None,
    random: RandomBytes = os.urandom,
    before_publishing: Callable[[bytes], Any] = lambda _: None,
) -> None:
    """Make a new vault: complete or not at all. ``make_slots(root key, vault id)`` makes its key slots.

    ``before_publishing`` is given the vault id when the file is whole but has no name yet. Raises Conflict, CannotCreate.
    """
    draft = create_database(places.database)
    try:
        vault_id, root = random(16), random(KEY)
        slots = make_slots(root, vault_id)
        epoch = new_epoch(root, vault_id, 1, random)
        with draft.turn(), draft.transaction() as connection:
            connection.execute("INSERT INTO vault VALUES (?,?)", (vault_id, FORMAT))
            connection.executemany(
                "INSERT INTO key_slots VALUES (?,?,?,?,?)",
                [(s.slot, s.kind, s.parameters, s.wrapped, s.commitment) for s in slots],
            )
            connection.execute("INSERT INTO epochs VALUES (?,?,?)", (epoch.epoch, epoch.audit, epoch.secret))
            connection.executemany("INSERT INTO checkpoints VALUES (?,?,0)", list(CHECKPOINTS.items()))
        keys = VaultKeys.from_root(vault_id, root, [epoch], random)
        context = Context(draft, keys, places, clock or SystemClock(), actor or current_actor(environ, "cli"), environ)
        made = VaultCreated(format=FORMAT, slots=list(slot_facts(slots, vault_id).values()))
        context.store.append([Draft(stream=VAULT, event=made)], context.cause())
        context.anchor.close()
        before_publishing(vault_id)
    except BaseException:
        draft.close()
        discard(draft.path)
        raise
    publish(draft, places.database)


def _check_slots(context: Context) -> None:
    """Compare key slots with the log. Read models that can't be read are told by who needs them, and may be rebuilt."""
    try:
        known, found = context.slots()
    except IntegrityError:
        return
    check_slots(known, found)


def _bring_up(context: Context, *, quiet: bool) -> None:
    """Rebuild the projections when this vault's code reads them otherwise than the code that wrote them."""
    with context.database.reading() as connection:
        stored = dict(connection.execute("SELECT model, model_version FROM checkpoints").fetchall())
    if stored != CHECKPOINTS and context.store.rollback is None:
        if quiet:
            raise TryAgain("the read models have yet to be rebuilt", hint="any other command does it")
        rebuild(context.store, context.projections)
