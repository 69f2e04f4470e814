"""The source map of a provider: what each kind of source has for it, which one is used, and which is the narrowest.

The narrower a source, the less there is to leak and the fewer can take it. The narrowest first:

| source | what it is |
|---|---|
| local | a server on this machine, which needs no credential |
| cloud | an identity that AWS, Google or Azure gives this machine or this person |
| stored | a profile: encrypted, handed out for one use at a time, recorded |
| reference | a profile whose secret lives elsewhere and is fetched at each use |
| env file | a file closed to others, which vault alone reads |
| .env | a plain file of one project |
| environment | a variable that every program started here inherits |

Nothing is chosen here: what is used is what ``status`` says, which is the decision of ``why.decide``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vault.commands.candidates import allowed_sources, family_of
from vault.commands.naming import with_agent
from vault.commands.status import CLOUD, LOCAL, STORED, ProviderStatus
from vault.context import Context
from vault.model.choosing import Considered
from vault.providers import catalogue
from vault.settings import SHOWN
from vault.values import ProviderId

REFERENCE = "reference"
ENVIRONMENT, DOTENV, ENV_FILE = SHOWN["env"], SHOWN["dotenv"], SHOWN["envfile"]
NARROWEST_FIRST = (LOCAL, CLOUD, STORED, REFERENCE, ENV_FILE, DOTENV, ENVIRONMENT)

USED, USABLE, UNUSABLE, OFF, NONE = "used", "usable", "unusable", "off", "none"
_USABLE = {"chosen", "next", "cooling_down", "not_pinned", "shadowed"}
_USABLE |= {f"{source}_first" for source in ("environment", "dotenv", "envfile", "stored")}
_OFF = {"ignored_source", "provider_disabled"}
_ABSENT = {"missing", "hidden"}
_ALLOWED_AS = {ENV_FILE: "envfile", DOTENV: "dotenv", ENVIRONMENT: "environment", STORED: "stored", REFERENCE: "stored"}


@dataclass(frozen=True, slots=True)
class Offer:
    """What one source has: ``what`` is a profile id, ``env:NAME`` or a cloud's source, empty where there is nothing.

    ``state`` is used, usable, unusable, off (the settings switch it off) or none (nothing is there).
    """

    source: str
    what: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class SourceMap:
    """A provider's sources, the narrowest first, each at least once. ``for_exec`` is the source that exec and env use.

    ``used`` and ``narrowest`` are empty texts where there is none; ``hint`` is how to use the narrowest if it isn't used.
    """

    provider: str
    name: str
    used: str
    for_exec: str
    narrowest: str
    hint: str
    offers: Sequence[Offer]


def source_map(context: Context, standing: ProviderStatus) -> SourceMap:
    """The map of a provider by how it stands. Asks nobody, and appends nothing."""
    used, make = _used(standing), _Maker(context, standing)
    offers: list[Offer] = []
    for source in NARROWEST_FIRST:
        lines = [c for c in standing.decision.considered if _has(c) and _source_of(c) == source]
        offers += [make.offer(source, line) for line in lines] or [make.offer(source, None)]
    narrowest = next((offer for offer in offers if offer.state in (USED, USABLE)), None)
    other = standing.otherwise.chosen if standing.otherwise else None
    return SourceMap(
        standing.provider,
        standing.name,
        used,
        _source_of(other) if other else used,
        narrowest.source if narrowest else "",
        _hint(context, standing, narrowest) if narrowest and used and narrowest.source != used else "",
        offers,
    )


def _used(standing: ProviderStatus) -> str:
    return REFERENCE if (standing.source, standing.kind) == (STORED, REFERENCE) else standing.source


def _has(line: Considered) -> bool:
    return line.code not in _ABSENT


def _source_of(line: Considered) -> str:
    """The kind of source of what was considered."""
    if line.kind == "environment":
        return SHOWN[line.what.partition(":")[0]]
    if line.kind == REFERENCE:
        return REFERENCE
    return CLOUD if line.kind == CLOUD and not line.owner else STORED


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the offers of one provider."""

    context: Context
    standing: ProviderStatus

    def offer(self, source: str, line: Considered | None) -> Offer:
        if line is None:
            return self._local() if source == LOCAL else self._empty(source)
        if line.what == self.standing.chosen:
            return Offer(source, line.what, USED, self.standing.text or self.standing.decision.basis)
        state = USABLE if line.code in _USABLE else OFF if line.code in _OFF else UNUSABLE
        return Offer(source, line.what, state, line.text)

    def _local(self) -> Offer:
        provider = self.standing.provider
        if self.standing.source == LOCAL:
            return Offer(LOCAL, "", USED, "it runs on this machine and needs no credential")
        if not catalogue.is_local(provider, self.context.settings.provider(provider).endpoint):
            return Offer(LOCAL, "", NONE, "it is a server elsewhere")
        state = USABLE if self.context.allows(provider) else OFF
        return Offer(LOCAL, "", state, "it runs on this machine, and would need no credential")

    def _empty(self, source: str) -> Offer:
        provider = ProviderId(self.standing.provider)
        if source in _ALLOWED_AS and _ALLOWED_AS[source] not in allowed_sources(self.context, provider):
            return Offer(source, "", OFF, "the settings switch it off")
        return Offer(source, "", NONE, self._why_empty(source, provider))

    def _why_empty(self, source: str, provider: ProviderId) -> str:
        if source == CLOUD:
            if family_of(self.context, provider):
                return "no login of its cloud was found on this machine"
            return "it is no cloud's provider"
        if source in (STORED, REFERENCE):
            kind = "that holds a secret" if source == STORED else "that refers to one elsewhere"
            return f"no profile {kind}"
        names = (*catalogue.env_names(provider), *catalogue.read_names(provider))
        place = {ENVIRONMENT: "", DOTENV: " in a .env here", ENV_FILE: " in it"}[source]
        return f"{names[0]} is not set{place}" if names else "no variable is read for it"


def _hint(context: Context, standing: ProviderStatus, narrowest: Offer) -> str:
    """The line that makes the narrowest source the one that is used."""
    if narrowest.source in (STORED, REFERENCE):
        return with_agent(f"vault pin {narrowest.what}", standing.decision.agent)
    if narrowest.source == CLOUD:
        return f"vault config edit, and set providers.{standing.provider}.auth_source"
    if narrowest.source == LOCAL:
        return f"{standing.chosen} isn't needed"
    variable = standing.chosen.partition(":")[2]
    return f"unset {variable}" if standing.source == ENVIRONMENT else f"take {variable} out of {context.dotenv_path}"
