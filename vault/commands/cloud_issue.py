"""The credential of a cloud provider, made ready to be handed out: alone, or as what a child process gets and loses.

A child gets keys or a token that were got for it, so that what it was handed is what the log tells; of a Google credentials file
it gets the path, because Google's libraries read files and no token. ``get`` gets a Google token, and no place is needed for it:
a missing region, project or endpoint matters only to a child.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vault.commands.candidates import CHILD_WAYS
from vault.commands.cloud import decide_cloud
from vault.commands.cloud_mode import Resolved, resolve, what_of
from vault.commands.ready import Ready, nothing_usable
from vault.context import Context
from vault.errors import NotReady
from vault.events.types import CredentialIssued
from vault.model.choosing import Candidate
from vault.providers.cloud.google import read_credentials
from vault.providers.cloud.issuing import environment_for, names_to_remove, obtain
from vault.providers.cloud.modes import CloudMode, KeyPair, read_file
from vault.settings import VARIABLES
from vault.values import AgentId, ProviderId, Secret

_STANDING = ("ignored_source", "unfit", "not_ready", "missing", "hidden", "not_pinned")
_PLACES = ("region_missing", "region_odd", "project_missing", "endpoint_missing", "endpoint_odd", "version_missing")
_FILES = ("file", "gcloud")
_SECRETS = ("private_key", "refresh_token")


@dataclass(frozen=True, slots=True)
class Obtained:
    """A cloud credential. ``secret`` is the main one of those in ``variables``; ``single`` says that it is all there is.

    ``removed`` are the variables that must leave a child's environment. ``expires_at`` is microseconds UTC.
    """

    secret: Secret
    single: bool
    variables: Mapping[str, Secret]
    removed: frozenset[str]
    expires_at: int | None


def without_place(mode: CloudMode) -> CloudMode:
    """A mode as it matters to one who only wants the credential."""
    return replace(mode, problems=tuple(p for p in mode.problems if p.code not in _PLACES))


def obtained(resolved: Resolved, stored: Secret | None, *, kind: str = "", child: bool) -> Obtained:
    """The credential of a mode that is ready.

    ``stored`` is the token or key of the stored profile that is used, ``kind`` that profile's kind; ``child`` says that it is for
    a child's environment. Raises SignInAgain, NotFound, NotReady, Unavailable (also without the cloud's library), TryAgain (also
    when nothing answers in time).
    """
    using = resolved.using if child else without_place(resolved.using)
    removed = names_to_remove(using)
    if child and using.cloud == "google" and using.mode in _FILES:
        variables = environment_for(using, None, resolved.variables)
        return Obtained(_secret_of(using, resolved.variables), False, _secrets(variables), removed, None)
    credential = obtain(using, resolved.variables, Path.home(), stored=stored)
    shown = replace(using, mode="entra") if using.mode == "key" and kind in ("oauth", "token") else using
    variables = environment_for(shown, credential, resolved.variables)
    if isinstance(credential, KeyPair):
        secret, single = credential.secret_access_key, False
    else:
        secret, single = credential.token, True
    return Obtained(secret, single, _secrets(variables), removed, credential.expires_at)


def _secrets(variables: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(value) for name, value in variables.items() if value}


def _secret_of(mode: CloudMode, variables: Mapping[str, str]) -> Secret:
    """The secret in a Google credentials file, or, where it only says whom to ask, all of it."""
    info, problems = read_credentials(Path(mode.facts["credentials_file"]), variables, Path.home(), read_file)
    if problems:
        raise NotReady(f"{mode.facts['credentials_file']} changed meanwhile: {problems[0].text}", hint=problems[0].hint)
    inner = info.get("source_credentials")
    for held in (info, inner if isinstance(inner, dict) else {}):
        for name in _SECRETS:
            if isinstance(held.get(name), str) and held[name]:
                return Secret(held[name])
    return Secret(json.dumps(info, sort_keys=True))


def prepare_cloud(
    context: Context,
    agent: AgentId,
    provider: ProviderId,
    named: Candidate | None,
    open_stored: Callable[[Candidate], Ready],
    *,
    way: str,
    program: str,
) -> Ready:
    """The credential of a cloud provider: the named profile's, or that of the mode that was resolved.

    ``open_stored`` opens a stored token or key. Raises what ``obtained`` raises, and what opening one does.
    """
    if named is not None:
        resolved = resolve(context, provider, named, alone=True)
    else:
        decision = decide_cloud(context, agent, provider)
        resolved = decision.resolved
        unusable = [c for c in decision.considered if c.owner and c.code not in _STANDING]
        if not resolved.using.mode and unusable:
            raise nothing_usable(context, decision)
    if resolved.unfit is not None and not resolved.using.mode:
        return open_stored(resolved.unfit)
    child, held = way in CHILD_WAYS, resolved.candidate
    (resolved.using if child else without_place(resolved.using)).require_ready()
    kept = open_stored(held) if held is not None and held.facts is not None and held.facts.kind != "cloud" else None
    got = obtained(resolved, kept.secret if kept else None, kind=kept.kind if kept else "", child=child)
    source = what_of(resolved, resolved.using.mode, resolved.using.source)
    event = CredentialIssued(
        agent=agent,
        owner=held.owner if held else agent,
        provider=provider,
        profile=held.profile if held else "",
        source=kept.event.source if kept else "stored" if held else source,
        fingerprint=context.keys.fingerprint(got.secret.reveal()),
        way=way,
        program=program,
    )
    plain = got.single and source.partition(":")[0] in VARIABLES.values()
    return Ready(
        event,
        got.secret,
        kept.kind if kept else "environment" if plain and held is None else "cloud",
        tuple(name for name, value in got.variables.items() if value == got.secret),
        kept.expires_at if kept else got.expires_at,
        mode=resolved.using.mode,
        variables=got.variables,
        single=got.single,
        removed=got.removed,
    )
