"""probe: ask a provider, with the smallest honest request it offers, whether a credential works. The answer is an event.

Handing the secret to the probe is a hand-out, and recorded as one. Where a provider runs on this machine and nothing is stored
for it, it is asked without a credential, which records nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vault.commands.candidates import family_of
from vault.commands.issue import Ready, hand_out, prepare
from vault.commands.naming import with_agent
from vault.commands.status import ProviderStatus, status
from vault.context import Context
from vault.errors import IntegrityError, NotFound, VaultError
from vault.events.credentials import OAuth
from vault.events.types import ProfileProbed
from vault.log.records import Draft
from vault.model.streams import profile_stream
from vault.projections.queries import View
from vault.providers import catalogue
from vault.providers.clients import endpoints, host_in
from vault.providers.cloud import MEMBERS
from vault.providers.judging import CLAUDE_CODE_ONLY, REFUSED, UNCLEAR
from vault.providers.probes import plan_probe, send_probe
from vault.settings import SOURCES, VARIABLES
from vault.values import AgentId, ProfileId, ProviderId, provider_of

NONE = "none"
NO_REQUEST = "the provider offers no request that would prove it"
LATER = ("rate_limit", "overloaded", "timeout")


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found: works, refused, unclear, or none when the provider offers no honest request.

    ``profile`` is empty for what isn't stored; ``source`` is where the secret is from, as in the event of its hand-out, empty
    without one. ``reason`` is why it doesn't work, as ``vault report`` has it; ``hint`` is what to type then.
    """

    provider: str
    profile: str
    outcome: str
    detail: str
    status: int = 0
    reason: str = ""
    source: str = ""
    hint: str = ""

    @property
    def exit_status(self) -> int:
        """1 when it is refused, 75 when the provider may tell more later, else 0."""
        if self.outcome == REFUSED:
            return 1
        return 75 if self.outcome == UNCLEAR and self.reason in LATER else 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a provider is reached, and which provider of the catalogue it is like. None of it is from a project's files."""

    like: str = ""
    endpoint: str = ""
    region: str = ""
    api_version: str = ""


def probe(context: Context, agent: AgentId, provider: ProviderId, profile: ProfileId | None = None) -> Probed:
    """Probe what would be used for a provider, or one profile.

    Raises what handing it out raises, InputError for an endpoint that a credential may not be sent to, NotReady.
    """
    place = _place(context, provider)
    try:
        ready = prepare(context, agent, provider, profile=profile, way="probe", program="vault probe")
    except NotFound:
        if profile is not None or (family_of(context, provider) or not catalogue.is_local(provider, place.endpoint)):
            raise
        return _without(context, provider, place)
    account, host, api = _facts(context, ready)
    request = plan_probe(
        provider,
        ready.kind,
        ready.secret,
        ready.base_url or place.endpoint,
        region=place.region,
        api_version=place.api_version,
        account=account,
        host=host,
        api=api,
        like=place.like,
        variables=context.environ,
        base=endpoints(context.environ),
    )
    name, source = ready.event.profile, ready.event.source
    if request is None:
        return Probed(provider, name, NONE, NO_REQUEST, source=source)
    hand_out(context, [ready], way="probe")
    answer = send_probe(request)
    if name:
        event = ProfileProbed(
            agent=ready.event.owner,
            profile=name,
            outcome=answer.outcome,
            fingerprint=ready.event.fingerprint,
            status=answer.status,
            detail=answer.detail,
        )
        context.store.append(
            [Draft(stream=profile_stream(ready.event.owner, name), event=event)], context.cause(way="probe")
        )
    hint = ""
    if answer.outcome == REFUSED:
        hint = f"vault login {name or provider}" + (" --method api-key" if answer.detail == CLAUDE_CODE_ONLY else "")
        hint = with_agent(hint, ready.event.owner)
    return Probed(provider, name, answer.outcome, answer.detail, answer.status, answer.reason, source, hint)


def probe_all(context: Context, agent: AgentId, found: Sequence[ProviderStatus]) -> list[Probed]:
    """Probe what would be used for each provider; one that can't be probed doesn't stop the others."""
    answers = []
    for one in found:
        if (not one.chosen and one.source != "local") or _shared(one):
            continue
        probed, error = _tried(context, agent, ProviderId(one.provider))
        answers.append(probed or Probed(one.provider, "", UNCLEAR, error.message if error else ""))
    return answers


def probe_every(context: Context, agent: AgentId) -> list[tuple[str, Probed | None, VaultError | None]]:
    """Probe every profile an agent sees, and every variable that would be used: (what, result, error).

    One that can't be probed doesn't stop the others. A variable that stands for several providers is sent to none of them.
    Raises IntegrityError, and NotFound for an unknown agent.
    """
    found: list[tuple[str, Probed | None, VaultError | None]] = []
    for name, state in sorted(View(context.queries, agent).visible().items()):
        profile = ProfileId(name)
        if state.current is not None and context.allows(provider_of(profile)):
            found.append((profile, *_tried(context, agent, provider_of(profile), profile)))
    for one in status(context, agent):
        place, _, variable = one.chosen.partition(":")
        if place not in VARIABLES.values():
            continue
        provider = ProviderId(one.provider)
        if _shared(one):
            text = f"{variable} stands for several providers; name one: vault probe {provider}"
            found.append((provider, Probed(provider, "", NONE, text, source=one.chosen), None))
        else:
            found.append((provider, *_tried(context, agent, provider)))
    return found


def _tried(
    context: Context, agent: AgentId, provider: ProviderId, profile: ProfileId | None = None
) -> tuple[Probed | None, VaultError | None]:
    try:
        return probe(context, agent, provider, profile), None
    except IntegrityError:
        raise
    except VaultError as error:
        return None, error


def _without(context: Context, provider: ProviderId, place: _Place) -> Probed:
    """Ask a provider on this machine that nothing is stored for."""
    request = plan_probe(provider, "none", "", place.endpoint, like=place.like, base=endpoints(context.environ))
    if request is None:
        return Probed(provider, "", NONE, NO_REQUEST)
    answer = send_probe(request)
    return Probed(provider, "", answer.outcome, answer.detail, answer.status, answer.reason)


def _facts(context: Context, ready: Ready) -> tuple[str, str, str]:
    """What a sign-in knows beside its token: the account, the GitHub host it was made at, where Copilot is reached."""
    state = context.queries.profile(ready.event.owner, ready.event.profile) if ready.event.profile else None
    if ready.kind != OAuth.kind or state is None or state.current is None:
        return "", "", ""
    credential = context.store.credential(state.current.position)
    if not isinstance(credential, OAuth):
        return "", "", ""
    api, metadata = credential.extra.get("api"), credential.metadata
    host = metadata.get("host", "") or host_in(metadata.get("enterpriseUrl", ""))
    return credential.account.get("accountId", ""), host, api if isinstance(api, str) else ""


def _place(context: Context, provider: ProviderId) -> _Place:
    """The provider's settings; for a cloud family's, filled up from the environment as its tools do. Raises NotReady."""
    table, family = context.settings.provider(provider), family_of(context, provider)
    if family not in ("bedrock", "azure"):
        like = MEMBERS[family][0] if family in MEMBERS else ""
        return _Place(like, table.endpoint, table.region, table.api_version)
    from vault.providers.cloud.aws import BedrockSettings, resolve_bedrock
    from vault.providers.cloud.azure import AzureSettings, resolve_azure
    from vault.providers.cloud.modes import read_file
    from vault.providers.cloud.settings import cloud_settings, keys_of

    texts = {name: getattr(table, name) for name in keys_of(family) if getattr(table, name, "")}
    if table.auth_source in SOURCES:
        del texts["auth_source"]
    found, home, now = cloud_settings(provider, {**texts, "family": family}), Path.home(), context.clock.now()
    if isinstance(found, BedrockSettings):
        mode = resolve_bedrock(found, context.environ_for("env"), home, stored_token=True, reader=read_file, now=now)
        return _Place(MEMBERS[family][0], table.endpoint, mode.region)
    if isinstance(found, AzureSettings):
        mode = resolve_azure(found, context.environ_for("env"), home, stored_key=True, reader=read_file)
        return _Place(MEMBERS[family][0], mode.facts.get("endpoint", ""), "", mode.facts.get("api_version", ""))
    return _Place(MEMBERS[family][0], table.endpoint)


def _shared(found: ProviderStatus) -> bool:
    """Whether a variable stands for several providers: a key must not be sent to one that may not be its own."""
    place, _, name = found.chosen.partition(":")
    return place in VARIABLES.values() and len(catalogue.providers_of_variable(name)) > 1
