"""What writing into a tool's store would destroy: secrets that are there now, and nowhere in the vault.

The tool's own reader tells the secrets that are there. One is lost when no form of it stands in the files any more that hold one
now, and no profile was ever given it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from vault.context import Context
from vault.errors import VaultError
from vault.events.credentials import AnyCredential, Cloud
from vault.events.types import ProfileExported, ProfileImported, ProfileLoggedIn, TokensRefreshed
from vault.interop.findings import Found
from vault.interop.plans import Plan, Target
from vault.interop.tools import Tool
from vault.interop.writing import before
from vault.model.streams import profile_stream
from vault.values import AgentId, ProfileId


def would_lose(
    context: Context, tool: Tool, plan: Plan, target: Target, held: Iterable[AnyCredential] = ()
) -> list[Found]:
    """What a plan would take out of a tool's store that the vault could not give back. ``held`` are known to be in the log."""
    if tool.read is None or not (plan.writes or plan.removes):
        return []
    try:
        found = tool.read(target.path, target.environ, target.home).found
    except VaultError:
        return []
    old = [b.content for b in before(plan) if b.content is not None]
    new = [w.content for w in plan.writes]
    known = {secret for credential in held for secret in _secrets(credential)}
    gone = [
        (f, [s for s in _secrets(f.credential) if s not in known and _stood(s, old) and not _stood(s, new)])
        for f in found
    ]
    if not any(secrets for _, secrets in gone):
        return []
    recorded = _fingerprints(context)
    return [f for f, secrets in gone if any(context.keys.fingerprint(s) not in recorded for s in secrets)]


def _secrets(credential: AnyCredential) -> list[str]:
    if isinstance(credential, Cloud):
        return list(credential.secrets.values())
    return [s for s in (credential.secret(), credential.second_secret()) if s]


def _stood(secret: str, contents: Iterable[bytes]) -> bool:
    forms = {
        secret.encode(),
        *(json.dumps(secret, ensure_ascii=ascii_only)[1:-1].encode() for ascii_only in (True, False)),
    }
    return any(form in content for content in contents for form in forms)


def _fingerprints(context: Context) -> set[str]:
    """The fingerprints of every secret that a profile was ever given."""
    found: set[str] = set()
    for agent in context.queries.agents().names():
        for state in context.queries.profiles(AgentId(agent)):
            for record in context.store.read_stream(profile_stream(AgentId(state.agent), ProfileId(state.profile))):
                event = record.event
                if isinstance(event, ProfileLoggedIn | ProfileImported | TokensRefreshed):
                    found |= {event.credential.fingerprint, event.credential.refresh_fingerprint}
                    found |= _of_several(context, event.credential.kind, record.position)
                elif isinstance(event, ProfileExported):
                    found |= {event.fingerprint, event.refresh_fingerprint}
    return found - {""}


def _of_several(context: Context, kind: str, position: int) -> set[str]:
    """The fingerprints of the secrets of a cloud's mode, which has none of its own."""
    if kind != Cloud.kind:
        return set()
    try:
        return {context.keys.fingerprint(secret) for secret in _secrets(context.store.credential(position))}
    except VaultError:
        return set()
