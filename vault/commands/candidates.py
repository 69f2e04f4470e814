"""What may be chosen for an agent at a provider: stored profiles and variables that are set; and the choice among them.

``VAULT_PIN`` pins profiles for this process and what it starts: ``anthropic:work,openai@b``, at most one of a provider. It comes
before any agent's pin, for every agent, and doesn't touch what is said of the past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vault.commands.naming import how_to_have, is_kept, is_known, target
from vault.commands.replaced import replaced
from vault.context import Context
from vault.errors import InputError, NotReady, VaultError
from vault.model.choosing import Candidate, Decision, choose
from vault.pointers import pointer_in
from vault.projections.queries import Queries, View
from vault.providers import base_urls, catalogue
from vault.providers.cloud import MEMBERS, OVERRIDDEN, family_of_id
from vault.settings import SOURCES, VARIABLES
from vault.unlock.references import quick
from vault.values import AgentId, ProfileId, ProviderId

SESSION_PIN = "VAULT_PIN"
STORED_ONLY = ("stored",)
CHILD_WAYS = ("exec", "env")
STORE_WAYS = ("export", "connect", "list")
ADDRESS_WAYS = (*CHILD_WAYS, "get", "probe", "list")
"""The ways in which a credential's address goes along with it: in a variable, in a line for a person, or by going there."""
_CLOUD_KEYS = ("auth_source", "family", "region", "profile", "project", "location", "endpoint", "resource")


def choose_among(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    *,
    sources: Sequence[str],
    queries: Queries | None = None,
    now: int | None = None,
    carries: bool = True,
) -> Decision:
    """Choose by the sources given, first first, whatever the settings say.

    ``carries`` says whether who asks takes another server's address along with its credential. Raises NotFound for an
    unknown agent, NotReady for a VAULT_PIN that can't be understood.
    """
    view = View(queries or context.queries, agent)
    order, ordered_by = view.order(provider)
    pin, pinned_by = view.pin(provider)
    names = catalogue.read_names(provider)
    moment = context.clock.now() if now is None else now
    dotenv = "dotenv" in {*context.settings.sources, *sources}
    set_here = [name for name in names if context.environ.get(name, "").strip()]
    in_file = {name: value for name, value in context.dotenv_written.items() if dotenv and name in names}
    candidates = [resolvable(context, candidate, moment) for candidate in view.candidates(provider)]
    return choose(
        agent,
        provider,
        candidates,
        moment,
        pin=pin,
        pinned_by=pinned_by,
        session_pin=session_pin(context, provider) if queries is None else "",
        order=order,
        ordered_by=ordered_by,
        environment=[name for name in set_here if pointer_in(context.environ[name]) is None],
        dotenv=[name for name in names if dotenv and _holds_secret(context.dotenv.get(name, ""))],
        envfile=[name for name in names if _holds_secret(context.env_file.variables.get(name, ""))],
        pointing=[
            *(f"env:{name}" for name in set_here if pointer_in(context.environ[name]) is not None),
            *(f"dotenv:{name}" for name in in_file if not _holds_secret(context.dotenv.get(name, ""))),
        ],
        sources=sources,
        home=home_of(context, provider, candidates),
        moved=moved_variables(context, provider, dotenv) if queries is None else {},
        carries=carries,
    )


def source_of(written: str) -> str:
    """The source of a variable, by how a decision writes it: ``env`` is ``environment``."""
    return next(source for source, short in VARIABLES.items() if short == written)


def _holds_secret(value: str) -> bool:
    return bool(value.strip()) and pointer_in(value) is None


def home_of(context: Context, provider: ProviderId, candidates: Sequence[Candidate]) -> str:
    """Where a provider is, if not at its own address: by the settings; one's own provider is where all its credentials are."""
    endpoint = context.settings.provider(provider).endpoint
    try:
        if endpoint:
            return base_urls.elsewhere(provider, endpoint)
    except InputError:
        return ""
    found = {c.facts.base_url for c in candidates if c.facts is not None and c.facts.base_url}
    return found.pop() if len(found) == 1 and catalogue.provider(provider) is None else ""


def moved_variables(context: Context, provider: ProviderId, dotenv: bool = True) -> dict[str, str]:
    """For each source of variables that leads a provider's programs to another server, that server's address.

    What the environment says holds for the files too, and not the other way round: a project's file may not say where a key of
    the environment goes. An address that the settings name as the provider's is no other server.
    """
    found: dict[str, str] = {}
    endpoint = context.settings.provider(provider).endpoint
    places: dict[str, Mapping[str, str]] = {
        "environment": context.environ,
        "envfile": {**context.env_file.variables, **context.environ},
    }
    if dotenv:
        places["dotenv"] = {**context.dotenv, **context.environ}
    for source, variables in places.items():
        address = base_urls.moved_by(provider, variables)[1]
        if address and not base_urls.same(address, endpoint):
            found[source] = address
    return found


def session_pins(environ: Mapping[str, str]) -> dict[ProviderId, ProfileId]:
    """The profiles that VAULT_PIN pins, by provider. Raises NotReady (exit 78) for one that can't be understood."""
    found: dict[ProviderId, ProfileId] = {}
    hint = "write it as provider:name, several separated by commas"
    for text in (part.strip() for part in environ.get(SESSION_PIN, "").split(",")):
        if not text:
            continue
        try:
            provider, profile = target(text, environ)
        except VaultError as error:
            raise NotReady(f"{SESSION_PIN}: {error.message}", hint=error.hint or hint) from None
        if profile is None:
            raise NotReady(f"{SESSION_PIN} names the provider {provider} and no profile of it", hint=hint)
        if found.setdefault(provider, profile) != profile:
            raise NotReady(f"{SESSION_PIN} names two profiles of {provider}", hint="name one")
    return found


def session_pin(context: Context, provider: ProviderId) -> str:
    """The profile that VAULT_PIN pins for a provider, or an empty text. Raises NotReady, also for a provider nobody knows."""
    pins = session_pins(context.environ)
    for pinned in pins:
        if not (is_known(pinned, context.environ) or is_kept(context, pinned)):
            hint = how_to_have(pinned, environ=context.environ)
            raise NotReady(f"{SESSION_PIN} names a profile of {pinned}, and there is no such provider", hint=hint)
    return pins.get(provider, "")


def pin_of(context: Context, agent: AgentId, provider: ProviderId) -> tuple[str, str]:
    """(profile, by whom in words) of the pin in force, empty texts for none. Raises NotFound, NotReady."""
    pin, owner = View(context.queries, agent).pin(provider)
    session = session_pin(context, provider)
    return (session, SESSION_PIN) if session else (pin, f"agent {owner}" if pin else "")


def allowed_sources(context: Context, provider: ProviderId) -> tuple[str, ...]:
    """The sources the settings allow for a provider: its pin alone, or the general list."""
    pinned = context.settings.provider(provider).auth_source
    return (pinned,) if pinned in SOURCES else context.settings.sources


def sources_for(context: Context, provider: ProviderId, way: str) -> tuple[str, ...]:
    """The sources that may be used for a purpose, first first: those the settings allow, in their order.

    For ``exec`` and ``env`` stored profiles come first: a program has the environment anyway, and is run through the vault for
    what the vault keeps. ``export``, ``connect`` and ``list`` are about what is stored, and nothing else.
    """
    if way in STORE_WAYS:
        return STORED_ONLY
    allowed = allowed_sources(context, provider)
    if way in CHILD_WAYS and "stored" in allowed:
        return (*STORED_ONLY, *(source for source in allowed if source != "stored"))
    return allowed


def variable_sources(context: Context) -> list[str]:
    """The sources of variables that are looked at: the environment always, a file only where the settings name it."""
    used = [source for source in context.settings.sources if source in VARIABLES]
    return used if "environment" in used else ["environment", *used]


def family_of(context: Context, provider: str) -> str:
    """The cloud family of a provider, by the settings or by its id; an empty text for one of none."""
    return context.settings.provider(provider).family or family_of_id(provider)


def clouds_meant(context: Context, way: str, program: str) -> dict[ProviderId, bool]:
    """Providers of a cloud family that take part without a stored profile and without being named.

    They are those the settings tell something about; Bedrock, where a ``VAULT_AWS_*`` variable holds a credential for this
    process; and Bedrock again for the program ``aws``. True says that it should be told when there is nothing to use for one.
    """
    meant = {
        ProviderId(name): table.auth_source not in ("", "auto")
        for name, table in context.settings.providers.items()
        if family_of(context, name) and any(getattr(table, key) for key in _CLOUD_KEYS)
    }
    if any(context.environ_for("env").get(name, "").strip() for name in OVERRIDDEN) or (
        way == "exec" and program == "aws"
    ):
        meant[ProviderId(MEMBERS["bedrock"][0])] = True
    return {provider: insisted for provider, insisted in meant.items() if context.allows(provider)}


def resolvable(context: Context, candidate: Candidate, now: int | None = None) -> Candidate:
    """The candidate with the trouble its kind of secret has at a moment, now unless told otherwise, if any."""
    facts = candidate.facts
    if facts is None or candidate.trouble:
        return candidate
    now = context.clock.now() if now is None else now
    if facts.refresh_fingerprint and facts.expires_at is not None and facts.expires_at <= now:
        state = context.queries.profile(candidate.owner, candidate.profile)
        if state and state.current and state.current.facts == facts and replaced(context, state):
            return replace(candidate, trouble="replaced")
    if facts.kind == "reference":
        scheme, _, target = facts.reference.partition(":")
        if quick(scheme, target, context.environ_for(scheme)) is False:
            return replace(candidate, trouble="unresolved_reference")
    elif not facts.fingerprint and not (
        facts.kind == "cloud" and family_of(context, candidate.profile.partition(":")[0])
    ):
        return replace(candidate, trouble="no_secret")
    return candidate
