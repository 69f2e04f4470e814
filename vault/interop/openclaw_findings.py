"""OpenClaw's store, taken over: each agent's credentials, its order, its usage.

``main`` gets what all agents share; another agent gets what it has of its own and inherits the rest. A profile an agent has
just like main, or an OAuth login that two profiles hold, is taken once: a refresh token has one owner. The id of an old
provider name becomes today's, ``openai-codex:me`` is ``openai:me``, in orders too.

An agent's order there is its own list, else its own profiles and then the shared list, else the configuration's. It is given
for main, and for another agent where it differs from main's. Main's own list doesn't bind another agent there, but does here:
such an agent inherits it, and when it has profiles of its own they are put before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vault.errors import InputError
from vault.events.credentials import AnyCredential, OAuth
from vault.interop.entries import instant_of, ownership_of, texts_of
from vault.interop.findings import Findings, Found, FoundOrder, Skipped
from vault.interop.openclaw_profiles import (
    account_of,
    canonical_provider,
    credential_of,
    former_name,
    health_of,
    is_old_name,
    next_free,
    profile_name,
    provider_of_entry,
)
from vault.interop.openclaw_store import Agent, Store
from vault.interop.sources import shown_name
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId, provider_of

NAME = "openclaw"
TITLE = "OpenClaw"

Names = dict[str, ProfileId]
Orders = dict[ProviderId, tuple[tuple[ProfileId, ...], Path]]


def findings_of(store: Store) -> Findings:
    """What a store holds, as it can be taken over."""
    return _taken(store)[0]


def names_of(store: Store) -> dict[AgentId, Names]:
    """What each agent's own profile ids there are called here."""
    return _taken(store)[1]


def _taken(store: Store) -> tuple[Findings, dict[AgentId, Names]]:
    findings = Findings(NAME, paths=store.paths, agents=[(agent, MAIN_AGENT) for agent in sorted(store.others)])
    findings.skipped += store.config.skipped
    main_names = _take_agent(findings, store, store.main, {})
    names = {MAIN_AGENT: main_names}
    for agent in sorted(store.others):
        names[agent] = _take_agent(findings, store, store.others[agent], main_names)
    orders = _orders(findings, store, store.main, names)
    _give_orders(findings, MAIN_AGENT, orders, {})
    for agent in sorted(store.others):
        _give_orders(findings, agent, _orders(findings, store, store.others[agent], names), orders)
    findings.skipped += store.skipped
    return findings, names


def _take_agent(findings: Findings, store: Store, agent: Agent, main: Names) -> Names:
    """Take an agent's entries over; what each of its ids is called here. ``main`` are main's."""
    names, taken, reserved, pending = Names(), set[ProfileId](), set[ProfileId](), []
    for name, (entry, path) in agent.entries.items():
        try:
            if not isinstance(entry, dict):
                raise InputError("the entry is not an object")
            provider = provider_of_entry(entry)
            profile = profile_name(name, provider)
            reserved |= set() if is_old_name(name) else {profile}
            if store.config.asks_vault(entry):
                names[name] = profile
                raise InputError("OpenClaw asks the vault for it")
            pending.append((name, profile, credential_of(entry, store.config.files)))
        except InputError as error:
            findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
    for name, profile, credential in sorted(pending, key=lambda item: is_old_name(item[0])):
        path = agent.entries[name][1]
        if is_old_name(name):
            profile = main.get(name) or (next_free(name, profile, reserved | taken) if profile in reserved else profile)
        if profile in taken:
            profile = next_free(name, profile, reserved | taken)
        twin = _twin(findings, agent.id, profile, credential)
        names[name] = profile if twin is None else twin.profile
        if twin is not None:
            whose = "" if twin.agent == agent.id else f" of {twin.agent}, which {agent.id} inherits"
            why = f"the same credential as {twin.profile}{whose}: it has one owner"
            findings.skipped.append(Skipped(shown_name(name), str(path), why))
            continue
        taken.add(profile)
        findings.found.append(_found(findings, agent, name, profile, credential, path))
    left = [name for name in agent.usage if name not in names and name in main]
    if left:
        why = f"how {agent.id} used profiles it inherits: {', '.join(shown_name(name) for name in left)}"
        findings.skipped.append(
            Skipped("usageStats", str(_first_path(agent)), f"{why}; the vault starts counting again")
        )
    return names


def _twin(findings: Findings, agent: AgentId, profile: ProfileId, credential: AnyCredential) -> Found | None:
    """What the agent or main has already and is this credential: the same login, or main's very same profile."""
    for found in findings.found:
        if found.agent in (agent, MAIN_AGENT) and _same_login(found.credential, credential):
            return found
        if found.agent == MAIN_AGENT != agent and found.profile == profile and found.credential == credential:
            return found
    return None


def _same_login(one: AnyCredential, other: AnyCredential) -> bool:
    return isinstance(one, OAuth) and isinstance(other, OAuth) and bool(one.refresh) and one.refresh == other.refresh


def _found(
    findings: Findings, agent: Agent, name: str, profile: ProfileId, credential: AnyCredential, path: Path
) -> Found:
    entry = agent.entries[name][0]
    ownership, why = ownership_of(provider_of(profile), credential, TITLE)
    if entry.get("authFlow") == "external-cli":
        ownership, why = "external", f"another program's login that {TITLE} copied: that program goes on refreshing it"
    others = [found.agent for found in findings.found if _same_login(found.credential, credential)]
    if others:
        why = f"{why}; {', '.join(others)} has the same login"
    if profile != name:
        why = f"{why}; {TITLE} calls it {shown_name(name)}"
    stats = agent.usage.get(name, {})
    return Found(
        agent=agent.id,
        profile=profile,
        credential=credential,
        path=str(path),
        label=next(iter(texts_of(entry, "displayName").values()), ""),
        account=account_of(entry),
        ownership=ownership,
        why=why,
        last_used=instant_of(stats.get("lastUsed")),
        former=former_name(name, profile),
        health=health_of(stats, last_good=name in agent.last_good.values()),
    )


def _orders(findings: Findings, store: Store, agent: Agent, names: Mapping[AgentId, Names]) -> Orders:
    """The order an agent uses there for each provider that has one."""
    shared = {} if agent.order is store.shared_order else store.shared_order
    config = {provider: (ids, store.config.path) for provider, ids in store.config.order.items()}
    taken = {found.profile for found in findings.found if found.agent == agent.id}
    own = [name for name, (_, path) in agent.entries.items() if path != store.shared]
    visible = {**names[MAIN_AGENT], **names[agent.id]}
    result: Orders = {}
    for source in (agent.order, shared, config):
        for provider_name, (ids, path) in sorted(source.items(), key=lambda item: is_old_name(item[0])):
            try:
                provider = canonical_provider(provider_name)
            except InputError as error:
                _skip_order(findings, agent.id, provider_name, path, error.message)
                continue
            if provider in result:
                continue
            first = [name for name in own if visible.get(name) in taken] if source is shared else []
            profiles, strange = _profiles(provider, [*first, *ids], visible)
            if profiles:
                result[provider] = (profiles, path)
            if source is agent.order or agent.id == MAIN_AGENT:
                for name in strange:
                    _skip_order(
                        findings, agent.id, provider_name, path, f"it names {name}, which is not of this provider"
                    )
                if not profiles:
                    _skip_order(findings, agent.id, provider_name, path, "it names no profile of this provider")
    return result


def _profiles(
    provider: ProviderId, ids: list[str], names: Mapping[str, ProfileId]
) -> tuple[tuple[ProfileId, ...], list[str]]:
    """What a list of ids means here, each once, and the ids that are no profiles of the provider, as they may be shown."""
    profiles: list[ProfileId] = []
    strange: list[str] = []
    for name in ids:
        try:
            known = names.get(name) or profile_name(name, canonical_provider(name.partition(":")[0]))
        except InputError:
            known = None
        if known is None or provider_of(known) != provider:
            strange.append(shown_name(name))
        elif known not in profiles:
            profiles.append(known)
    return tuple(profiles), strange


def _give_orders(findings: Findings, agent: AgentId, orders: Orders, inherited: Orders) -> None:
    """Give an agent's orders, but those that main's already say for the profiles it sees."""
    own = [found.profile for found in findings.found if found.agent == agent]
    seen = {found.profile for found in findings.found if found.agent == MAIN_AGENT}
    for provider, (profiles, path) in inherited.items():
        mine = tuple(profile for profile in own if provider_of(profile) == provider)
        if mine and provider not in orders:
            orders[provider] = (tuple(dict.fromkeys((*mine, *profiles))), path)
    for provider, (profiles, path) in sorted(orders.items()):
        main = [profile for profile in inherited.get(provider, ((), path))[0] if profile in seen]
        if not inherited or main != [profile for profile in profiles if profile in {*own, *seen}]:
            findings.orders.append(FoundOrder(agent, provider, profiles, str(path)))


def _skip_order(findings: Findings, agent: AgentId, provider: str, path: Path, why: str) -> None:
    findings.skipped.append(Skipped(f"order for {shown_name(provider)} of {agent}", str(path), why))


def _first_path(agent: Agent) -> Path:
    paths = [path for _, path in agent.entries.values()] + [path for _, path in agent.order.values()]
    return paths[0] if paths else Path("agents") / agent.id
