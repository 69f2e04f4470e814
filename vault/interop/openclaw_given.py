"""References put into OpenClaw's stores, in the place of secrets: by ``openclaw secrets apply`` into a database, else as files.

``secrets apply`` takes a file, which stays beside the configuration as a record of what was asked for; there is no secret in it.
It resolves every reference before it writes. A database that all agents share isn't written by it, and keeps what it has: so a
profile that has a secret is logged out between the trial and the writing. An order afterwards names the profiles there: without
one OpenClaw would leave out what its configuration doesn't list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vault.interop.documents import json_bytes
from vault.interop.openclaw_documents import documents_of
from vault.interop.openclaw_place import Place
from vault.interop.plans import Plan, Run, Write
from vault.interop.sources import kind_of
from vault.values import AgentId, ProviderId, provider_of

RECORD = "vault-connect.json"
Orders = Mapping[tuple[AgentId, ProviderId], Sequence[str]]
_GONE = frozenset({"type", "mode", "key", "apiKey", "token", "keyRef", "tokenRef", "expires"})


@dataclass(frozen=True, slots=True)
class Given:
    """A reference for a profile there. ``entry`` is what it will be; ``instead`` says that a secret is there now."""

    agent: AgentId
    provider: ProviderId
    name: str
    entry: Mapping[str, Any]
    instead: bool = False


def with_reference(entry: Mapping[str, Any], ref: Mapping[str, str], *, token: bool) -> dict[str, Any]:
    """An entry whose secret is a reference; what it has besides stays."""
    kind, at = ("token", "tokenRef") if token else ("api_key", "keyRef")
    return {"type": kind, **{name: value for name, value in entry.items() if name not in _GONE}, at: dict(ref)}


def give(place: Place, plan: Plan, given: Sequence[Given], *, first: bool) -> None:
    """Put references in. ``first`` puts their profiles first in the order; else they keep their place, which a database's
    lists lose when they are logged out.

    Raises InputError, StorageError.
    """
    orders: dict[tuple[AgentId, ProviderId], list[str]] = {}
    for agent, provider in dict.fromkeys((one.agent, one.provider) for one in given):
        new = [one.name for one in given if (one.agent, one.provider) == (agent, provider)]
        now = place.order(agent, provider)
        if now is None:
            now = [name for name, here in place.ids(agent).items() if provider_of(here) == provider]
        if first:
            orders[agent, provider] = list(dict.fromkeys((*new, *now)))
        elif not place.json and not set(new).isdisjoint(now):
            orders[agent, provider] = now
    if first:
        orders = {key: ids for key, ids in orders.items() if ids != place.stored_order(*key)}
    if place.json:
        _into_files(place, plan, given, orders)
    elif given:
        _by_commands(place, plan, given, orders)


def taken_back(place: Place, plan: Plan, names: Mapping[AgentId, Sequence[str]]) -> None:
    """Take profiles with references out. Raises InputError, StorageError."""
    for agent, mine in names.items():
        if place.json:
            documents = documents_of(place.folders[agent])
            documents.remove(mine)
            plan.writes += documents.writes()
        else:
            plan.runs += [_log_out(place, agent, name) for name in mine]
    if kind_of(place.path / RECORD) == "file":
        plan.removes.append(place.path / RECORD)


def _into_files(place: Place, plan: Plan, given: Sequence[Given], orders: Orders) -> None:
    for agent in dict.fromkeys(one.agent for one in given):
        documents = documents_of(place.folders[agent])
        documents.profiles.update({one.name: dict(one.entry) for one in given if one.agent == agent})
        for (whose, provider), ids in orders.items():
            if whose == agent:
                documents.order(provider, place.provider(provider), ids)
        plan.writes += documents.writes()


def _by_commands(place: Place, plan: Plan, given: Sequence[Given], orders: Orders) -> None:
    record = place.path / RECORD
    options = {"scrubEnv": False, "scrubAuthProfilesForProviderTargets": False, "scrubLegacyAuthJson": False}
    asked = {"version": 1, "protocolVersion": 1, "options": options, "targets": [_target(one) for one in given]}
    plan.writes.append(Write(record, json_bytes(asked), secret=False, what="what OpenClaw is to ask for"))
    apply = ("secrets", "apply", "--from", str(record), "--allow-exec")
    instead = [one for one in given if one.instead]
    if instead:
        plan.runs.append(place.run(*apply, "--dry-run", what="trying what it will ask for", changes=False))
        plan.runs += [_log_out(place, one.agent, one.name) for one in instead]
    plan.runs.append(place.run(*apply, what="putting the references in"))
    for (agent, provider), ids in orders.items():
        words = ("--provider", place.provider(provider), "--agent", agent, *ids)
        plan.runs.append(place.run("models", "auth", "order", "set", *words, what=f"setting the order for {provider}"))


def _log_out(place: Place, agent: AgentId, name: str) -> Run:
    return place.run("models", "auth", "logout", name, "--yes", "--agent", agent, what=f"taking out {name}")


def _target(one: Given) -> dict[str, Any]:
    kind = one.entry["type"]
    secret, at = ("token", "tokenRef") if kind == "token" else ("key", "keyRef")
    return {
        "type": f"auth-profiles.{kind}.{secret}",
        "path": f"profiles.{one.name}.{secret}",
        "pathSegments": ["profiles", one.name, secret],
        "agentId": one.agent,
        "authProfileProvider": one.entry["provider"],
        "ref": one.entry[at],
    }
