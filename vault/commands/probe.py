"""probe: ask a provider, with the smallest honest request it offers, whether a credential works. The answer is an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vault.commands.issue import hand_out, prepare
from vault.commands.status import ProviderStatus
from vault.context import Context
from vault.errors import VaultError
from vault.events.types import ProfileProbed
from vault.log.records import Draft
from vault.model.streams import profile_stream
from vault.providers import catalogue
from vault.providers.clients import endpoints
from vault.providers.probes import plan_probe, send_probe
from vault.values import AgentId, ProfileId, ProviderId


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found: works, refused, unclear, or none when the provider offers no honest request."""

    provider: str
    profile: str
    outcome: str
    detail: str
    status: int = 0


def probe(context: Context, agent: AgentId, provider: ProviderId, profile: ProfileId | None = None) -> Probed:
    """Probe what would be used for a provider, or one profile. Handing the secret to the probe is a hand-out, and recorded."""
    ready = prepare(context, agent, provider, profile=profile, way="probe", program="vault probe")
    settings = context.settings.provider(provider)
    request = plan_probe(
        provider,
        ready.kind,
        ready.secret,
        settings.endpoint,
        region=settings.region,
        api_version=settings.api_version,
        variables=context.environ,
        base=endpoints(context.environ),
    )
    name = ready.event.profile
    if request is None:
        return Probed(provider, name, "none", "the provider offers no request that would prove it")
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
    return Probed(provider, name, answer.outcome, answer.detail, answer.status)


def probe_all(context: Context, agent: AgentId, found: Sequence[ProviderStatus]) -> list[Probed]:
    """Probe what would be used for each provider; one that can't be probed doesn't stop the others."""
    answers = []
    for status in found:
        if not status.chosen or _shared(status):
            continue
        try:
            answers.append(probe(context, agent, ProviderId(status.provider)))
        except VaultError as error:
            answers.append(Probed(status.provider, "", "unclear", error.message))
    return answers


def _shared(status: ProviderStatus) -> bool:
    """Whether a variable stands for several providers: a key must not be sent to one that may not be its own."""
    place, _, name = status.chosen.partition(":")
    return place in ("env", "dotenv") and len(catalogue.providers_of_variable(name)) > 1
