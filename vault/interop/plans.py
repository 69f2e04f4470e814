"""What is to be written for a tool, before anything is: files whole, commands of the tool itself, and what is left out and why.

A tool's file makes a plan and does nothing; ``vault.interop.writing`` carries it out. So a plan can be shown, and a document be
tested without a disk. A plan is made while the tool's lock is held, from the files as they are then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vault.events.credentials import AnyCredential, OAuth
from vault.interop.findings import Skipped
from vault.spelling import is_shortened, name_original, provider_original, spell_name, spell_provider
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId, Secret, name_of, provider_of


@dataclass(frozen=True, slots=True)
class Target:
    """Where a tool is: its default place in this environment, or ``path``. ``now`` is microseconds UTC.

    ``commands`` are the absolute paths by which this vault has tools ask it: a command line that starts with another is not ours.
    """

    environ: Mapping[str, str]
    home: Path
    path: Path | None = None
    now: int = 0
    commands: frozenset[str] = frozenset()

    def asks(self, words: Sequence[object], *helpers: str, tool: str) -> bool:
        """Whether a command line is exactly one that connecting writes: ours, whole, and marked with the tool's name."""
        if len(words) < len(("vault", "helper", "token")) or not all(isinstance(word, str) for word in words):
            return False
        command, verb, helper, *rest = (str(word) for word in words)
        if command not in self.commands or verb != "helper" or helper not in helpers:
            return False
        if rest and not rest[0].startswith("-"):
            rest = rest[1:]
        options = dict(zip(rest[::2], rest[1::2], strict=False))
        whole = len(rest) == 2 * len(options)
        return whole and options.pop("--tool", "") == tool and set(options) <= {"--agent"}


ANOTHER = "it asks a vault, but not by a command line that this vault wrote"
"""Why an entry that looks like a connection stays."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A credential on its way out. ``whole`` says that the refresh token goes too: the tool may own it, or both may.

    ``env`` are further names of variables that it goes by. ``base_url`` is the server it belongs to where that isn't the
    provider's own: a tool gets both, or neither.
    """

    agent: AgentId
    profile: ProfileId
    credential: AnyCredential
    label: str = ""
    account: str = ""
    whole: bool = True
    env: tuple[str, ...] = ()
    base_url: str = ""

    @property
    def provider(self) -> ProviderId:
        """The provider."""
        return provider_of(self.profile)

    @property
    def provider_there(self) -> str:
        """The provider as a tool calls it: what its id spells, which of one that was shortened is in the label."""
        return _there(self.provider, self.label, spell_provider, provider_original)

    @property
    def name_there(self) -> str:
        """The profile's name as a tool calls it: what it spells, which of one that was shortened is in the label."""
        return name_there(self.profile, self.label)

    @property
    def refresh(self) -> str:
        """The refresh token that may be written, or nothing."""
        return self.credential.refresh if self.whole and isinstance(self.credential, OAuth) else ""


@dataclass(frozen=True, slots=True)
class Write:
    """A file's new content, whole. ``secret`` says that it holds some, so that it is never shown; ``what`` what a new one is."""

    path: Path
    content: bytes = field(repr=False)
    mode: int = 0o600
    secret: bool = True
    what: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A command of the tool itself, where its store is its own business. ``given`` goes to its standard input.

    ``changes`` is False for a trial, which leaves the tool as it is.
    """

    argv: tuple[str, ...]
    what: str
    given: Secret | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    changes: bool = True


@dataclass(frozen=True, slots=True)
class Written:
    """A profile as it will be in the tool's store: its name there, and whether its refresh token is there too."""

    agent: AgentId
    profile: ProfileId
    name: str
    path: str
    whole: bool = False


@dataclass(slots=True)
class Plan:
    """What is to be done, in this order: files written, files removed, commands run.

    ``asks`` says that what is written asks the vault where it held a secret.
    """

    tool: str
    writes: list[Write] = field(default_factory=list)
    removes: list[Path] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    left_out: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    asks: bool = True

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.writes or self.removes or self.runs)


@dataclass(frozen=True, slots=True)
class Link:
    """How a tool is to ask the vault: ``command`` is the absolute path of ``vault``; ``what`` providers or profiles, if named.

    ``base_urls`` says for what of it belongs to another server than its provider's own which one that is.
    """

    command: str
    agent: AgentId
    what: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    base_urls: Mapping[str, str] = field(default_factory=dict)

    def asks(self, helper: str, *arguments: str, tool: str) -> list[str]:
        """The command line by which a tool asks: the history then names the tool, and the agent it asks as."""
        agent = ["--agent", self.agent] if self.agent != MAIN_AGENT else []
        return [self.command, "helper", helper, *arguments, "--tool", tool, *agent]


@dataclass(frozen=True, slots=True)
class Injection:
    """What a child of ``exec --tool`` gets: variables, names to remove, and secrets on file descriptors.

    ``descriptors`` maps a variable to the secret: the child inherits a pipe with the secret, and the variable holds its number.
    ``used`` are the profiles that were put in, and ``left_out`` says of others why not. ``notes`` say what of the tool's own
    could not be read, and so isn't given on.
    """

    variables: Mapping[str, Secret]
    remove: frozenset[str] = frozenset()
    descriptors: Mapping[str, Secret] = field(default_factory=dict)
    used: Sequence[ProfileId] = ()
    left_out: Mapping[ProfileId, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def name_there(profile: ProfileId, label: str) -> str:
    """The name of a profile as a tool calls it, by its spelling, or of one that was shortened by its label."""
    return _there(name_of(profile), label, spell_name, name_original)


def _there(spelling: str, label: str, spell: Callable[[str], str], original: Callable[[str], str]) -> str:
    if not is_shortened(spelling):
        return original(spelling)
    return label if label and spell(label) == spelling else spelling
