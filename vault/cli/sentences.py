"""An event as a sentence for people. No secret is within reach here: events hold none."""

from __future__ import annotations

from vault.cli import output
from vault.events import types as t
from vault.log.records import Recorded


def who(recorded: Recorded) -> str:
    """Who caused it: user@host, and the program that called."""
    actor = recorded.envelope.actor
    return f"{actor.user}@{actor.host}" + (f" ({actor.program})" if actor.program else "")


def sentence(recorded: Recorded) -> str:
    """What happened."""
    text = _sentence(recorded.event)
    profile = getattr(recorded.event, "profile", "")
    text = text.replace(profile, output.with_original(profile), 1) if profile else text
    reason = recorded.envelope.reason
    return f"{text}: {reason}" if reason else text


def _sentence(event: t.Event) -> str:
    match event:
        case t.VaultCreated():
            return "made this vault"
        case t.AgentRegistered(agent=agent, inherits=parent):
            return f"added agent {agent}" + (f", inheriting from {parent}" if parent else "")
        case t.AgentInheritanceSet(agent=agent, inherits=parent):
            return f"made agent {agent} inherit from {parent or 'nobody'}"
        case t.AgentRemoved(agent=agent):
            return f"removed agent {agent}"
        case t.ProfileLoggedIn(agent=agent, profile=profile, credential=facts):
            return f"logged in {profile} for {agent} ({_facts(facts.kind, facts.fingerprint)})"
        case t.ProfileImported(agent=agent, profile=profile, credential=facts, tool=tool):
            return f"imported {profile} for {agent} from {tool} ({_facts(facts.kind, facts.fingerprint)})"
        case t.ProfileExported():
            return _exported(event)
        case t.ProfileLoggedOut(agent=agent, profile=profile, revocation=answer):
            return f"logged out {profile} of {agent}" + (f" (at the provider: {answer})" if answer else "")
        case t.ProfileRestored(agent=agent, profile=profile, from_position=origin, credential=facts):
            return f"restored {profile} of {agent} from #{origin} ({_facts(facts.kind, facts.fingerprint)})"
        case t.RefreshClaimed(agent=agent, profile=profile):
            return f"claimed the refresh of {profile} of {agent}"
        case t.TokensRefreshed(agent=agent, profile=profile, credential=facts, rotated=rotated):
            kept = "a new refresh token" if rotated else "the same refresh token"
            return f"refreshed {profile} of {agent} ({_facts(facts.kind, facts.fingerprint)}, {kept})"
        case t.RefreshFailed(agent=agent, profile=profile, outcome=outcome, error=error):
            return f"could not refresh {profile} of {agent}: {outcome}" + (f" ({error})" if error else "")
        case t.ProfileProbed(agent=agent, profile=profile, outcome=outcome, detail=detail):
            return f"probed {profile} of {agent}: {outcome}" + (f" ({detail})" if detail else "")
        case t.OrderSet(agent=agent, provider=provider, profiles=profiles, restored_from=origin):
            verb = "set" if origin is None else f"restored (from #{origin})"
            return f"{verb} the order of {agent} for {provider}: {', '.join(profiles)}"
        case t.OrderCleared(agent=agent, provider=provider, restored_from=origin):
            verb = "cleared" if origin is None else f"restored (from #{origin})"
            return f"{verb} the order of {agent} for {provider}" + ("" if origin is None else ": none")
        case t.ProfilePinned(agent=agent, profile=profile):
            return f"pinned {agent} to {profile}"
        case t.ProfileUnpinned(agent=agent, profile=profile):
            return f"unpinned {agent} from {profile}"
        case t.CredentialIssued():
            return _issued(event)
        case t.UseReported():
            return _reported(event)
        case t.HealthCleared(agent=agent, profile=profile):
            return f"cleared the failures of {profile} of {agent}"
        case t.KeySlotAdded(slot=slot, slot_kind=kind):
            return f"added key slot {slot} ({kind})"
        case t.KeySlotRemoved(slot=slot, slot_kind=kind):
            return f"removed key slot {slot} ({kind})"
        case t.RollbackAccepted(anchor_position=anchored, head_position=head):
            return f"accepted a log ending at #{head} where #{anchored} had been seen"
        case t.LogVerified(events=count):
            return f"verified {count} events"
        case t.BackupTaken(path=path, events=count):
            return f"copied {count} events to {path}"
        case t.UnknownEvent(type=name, schema=schema):
            return f"something a newer vault wrote: {name} (schema {schema})"
    return type(event).__name__


def _facts(kind: str, fingerprint: str) -> str:
    return f"{kind} {fingerprint}" if fingerprint else kind


def _issued(event: t.CredentialIssued) -> str:
    what = event.profile or event.source
    owner = f" (of {event.owner})" if event.owner != event.agent else ""
    return f"handed {what}{owner} to {event.agent} through {event.way}" + (
        f" for {event.program}" if event.program else ""
    )


def _exported(event: t.ProfileExported) -> str:
    owner = f" (of {event.owner})" if event.owner != event.agent else ""
    whole = ", its refresh token too" if event.refresh_fingerprint else ""
    return f"wrote {event.profile}{owner} into {event.tool}'s store for {event.agent}{whole}"


def _reported(event: t.UseReported) -> str:
    if event.outcome == "taken_over":
        return f"took over the usage of {event.profile} of {event.agent}"
    if event.outcome == "success":
        return f"{event.agent} used {event.profile} with success"
    reset = f", reset {output.local(event.until)}" if event.until else ""
    model = f" with {event.model}" if event.model else ""
    return f"{event.agent} failed with {event.profile}{model}: {event.failure}{reset}"
