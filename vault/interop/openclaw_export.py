"""Credentials written into OpenClaw's store: by its own commands where that is a database, as whole files where it is JSON.

What is there already isn't written again, and what OpenClaw gets by a reference is left alone. The vault's order becomes
OpenClaw's; where a list already limits what OpenClaw uses, what is written joins it. A login is written only whole: with an
access token alone OpenClaw would try to refresh it. Its commands have no way to be given a login, so into a database none is
written: ``vault connect openclaw`` serves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vault.errors import InputError
from vault.events.credentials import ApiKey, Token
from vault.interop.findings import Skipped
from vault.interop.openclaw_documents import documents_of
from vault.interop.openclaw_entries import entry_of, merged, same_entry
from vault.interop.openclaw_place import Place, place_of
from vault.interop.plans import Outgoing, Plan, Target, Written
from vault.interop.tools import Orders
from vault.values import SECOND, AgentId, ProfileId, ProviderId, Secret

NAME = "openclaw"
_SETUP_TOKEN = "sk-ant-oat01-"  # noqa: S105 - how such a token starts
_SETUP_TOKEN_LENGTH = 80
_LEAST_LIFE = 60 * SECOND


@dataclass(slots=True)
class _Export:
    place: Place
    plan: Plan
    agent: AgentId
    now: int
    ids: dict[ProfileId, str] = field(default_factory=dict)
    fresh: list[tuple[Outgoing, str]] = field(default_factory=list)

    def leave_out(self, outgoing: Outgoing, why: str) -> None:
        self.plan.left_out.append(Skipped(outgoing.profile, str(self.place.path), why))


def write(outgoing: Sequence[Outgoing], orders: Orders, target: Target) -> Plan:
    """What exporting would do. ``target.path`` is a state folder, or one ``auth-profiles.json``.

    Raises InputError for a store that can't be read, StorageError, TryAgain.
    """
    place = place_of(target)
    plan = Plan(NAME)
    for agent in dict.fromkeys(one.agent for one in outgoing):
        export = _Export(place, plan, agent, target.now)
        mine = [one for one in outgoing if one.agent == agent]
        if agent not in place.folders:
            for one in mine:
                export.leave_out(one, f"OpenClaw has no agent {agent}: openclaw agents add {agent}")
            continue
        for one in mine:
            _sort(export, one)
        _into_json(export, orders) if place.json else _by_commands(export, orders)
    if place.json and plan.writes:
        plan.notes.append("OpenClaw 2026.6 and later read these files only after: openclaw doctor --fix")
    return plan


def _sort(export: _Export, one: Outgoing) -> None:
    """Whether a credential is there already, is left out, or is written, and under which id."""
    place, agent = export.place, export.agent
    name = place.profile(agent, one.profile)
    entries = place.entries(agent)
    entry = entries.get(name)
    if same_entry(entry, one.credential, place.store.config.files):
        export.ids[one.profile] = name
        export.plan.written.append(_written(export, one, name))
        return
    if isinstance(entry, dict) and any(isinstance(entry.get(field), dict) for field in ("keyRef", "tokenRef")):
        export.ids[one.profile] = name
        export.leave_out(one, f"OpenClaw has a reference for {name}, and asks for it")
        return
    if entry is not None and name not in place.ids(agent):
        export.leave_out(one, f"OpenClaw's own {name} can't be read now: it may be refreshing it")
        return
    try:
        made = entry_of(one, place.provider(one.provider))
        _check(export, one, str(made["type"]), name)
    except InputError as error:
        export.leave_out(one, error.message)
        return
    export.ids[one.profile] = name
    export.fresh.append((one, name))
    export.plan.written.append(_written(export, one, name))


def _check(export: _Export, one: Outgoing, kind: str, name: str) -> None:
    """Raise InputError for what OpenClaw would refuse or never use."""
    place, credential = export.place, one.credential
    if place.json:
        if place.mode(name) not in ("", kind) and (place.mode(name), kind) != ("oauth", "token"):
            raise InputError(f"openclaw.json says that {name} is of the kind {place.mode(name)}, and it is {kind}")
        return
    if isinstance(credential, Token):
        if credential.expires_at is not None and credential.expires_at - export.now < _LEAST_LIFE:
            raise InputError("it has ended, or will within a minute")
        long = len(credential.token) >= _SETUP_TOKEN_LENGTH and credential.token.startswith(_SETUP_TOKEN)
        if one.provider == "anthropic" and not long:
            raise InputError("OpenClaw takes only a setup-token as a token for anthropic")
    elif not isinstance(credential, ApiKey):
        what = "login" if kind == "oauth" else "reference"
        raise InputError(f"OpenClaw's commands can't be given a {what}; it can ask for it: vault connect openclaw -p …")


def _written(export: _Export, one: Outgoing, name: str) -> Written:
    return Written(one.agent, one.profile, name, str(export.place.path), whole=bool(one.refresh))


def _into_json(export: _Export, orders: Orders) -> None:
    place = export.place
    documents = documents_of(place.folders[export.agent])
    for one, name in export.fresh:
        made = entry_of(one, place.provider(one.provider))
        documents.profiles[name] = merged(documents.profiles.get(name), made)
    for provider, ids in _wanted(export, orders).items():
        documents.order(provider, place.provider(provider), ids)
    export.plan.writes += documents.writes()


def _by_commands(export: _Export, orders: Orders) -> None:
    place, runs = export.place, export.plan.runs
    for one, name in export.fresh:
        credential = one.credential
        words = ["--provider", place.provider(one.provider), "--profile-id", name, "--agent", export.agent]
        if isinstance(credential, Token):
            ends = credential.expires_at
            words += ["--expires-in", f"{(ends - export.now) // SECOND}s"] if ends is not None else []
            command, secret = "paste-token", credential.token
        else:
            command, secret = "paste-api-key", credential.secret() or ""
        runs.append(place.run("models", "auth", command, *words, what=f"writing {name}", given=Secret(secret)))
    for provider, ids in _wanted(export, orders).items():
        words = ["--provider", place.provider(provider), "--agent", export.agent, *ids]
        runs.append(place.run("models", "auth", "order", "set", *words, what=f"setting the order for {provider}"))


def _wanted(export: _Export, orders: Orders) -> Mapping[ProviderId, list[str]]:
    """The orders to set: the vault's, and lists there that don't have what is written yet."""
    place, wanted = export.place, dict[ProviderId, list[str]]()
    providers = dict.fromkeys((*orders, *(one.provider for one, _ in export.fresh)))
    for provider in providers:
        now = place.order(export.agent, provider)
        if provider in orders:
            known = {here: name for name, here in reversed(place.ids(export.agent).items())} | export.ids
            ids = [known[profile] for profile in orders[provider] if profile in known]
        else:
            new = [name for one, name in export.fresh if one.provider == provider]
            ids = [*now, *(name for name in new if name not in now)] if now is not None else []
        if ids and ids != place.stored_order(export.agent, provider):
            wanted[provider] = ids
    return wanted
