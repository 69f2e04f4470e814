"""What becomes of one profile's credential: whether it has ended, can be renewed, was refused; and how that is known.

The states are those of ``vault.commands.status``, whose table says what each means.
"""

from __future__ import annotations

from vault.commands.remembering import is_setup_token
from vault.commands.replaced import replaced
from vault.context import Context
from vault.model.profile import ProfileState
from vault.model.refresh import given_up_from
from vault.values import DAY, AgentId, ProfileId, provider_of

OK, EXPIRING, EXPIRED, STALE = "ok", "expiring", "expired", "stale"
NEEDS_SIGN_IN, UNCERTAIN, UNUSABLE, MISSING = "needs_sign_in", "uncertain", "unusable", "missing"
REFUSED = "refused"
WARN_BEFORE = DAY

CLAIMED, PROVEN, UNPROVEN = "claimed", "proven", "unproven"


def life(context: Context, profile: ProfileState, now: int) -> tuple[str, str]:
    """(state, what is the matter) of one profile, whatever is chosen. It is missing when it is logged out."""
    held = profile.current
    if held is None:
        return MISSING, "it is logged out"
    ends = held.facts.expires_at
    ended = ends is not None and ends <= now
    if held.facts.ownership == "external":
        text = f"it has ended, and {held.tool or 'its own tool'}, which renews it, has not"
        return (STALE, text) if ended else _refused(profile) or (OK, "")
    if held.facts.refresh_fingerprint:
        gone = given_up_from(profile)
        if gone is not None and gone <= now:
            if profile.needs_sign_in:
                return NEEDS_SIGN_IN, f"the provider refused the refresh token ({profile.needs_sign_in})"
            return NEEDS_SIGN_IN, "two refreshes in a row ended uncertain"
        soon = ends is not None and ends - now <= WARN_BEFORE
        if soon and (newer := replaced(context, profile)) is not None:
            text = f"{newer.text}, so it isn't sent unasked"
            return (NEEDS_SIGN_IN, f"it has ended: {text}") if ended else _refused(profile) or (EXPIRING, text)
        if profile.uncertain or dangling(profile, now):
            return UNCERTAIN, "a refresh has no known outcome; it will be tried once more"
        if ends is None or ends - now > WARN_BEFORE or _refreshed_by_somebody(context, profile):
            return (None if ended else _refused(profile)) or (OK, "")
    if ended:
        return EXPIRED, ended_text(context, profile)
    if refused := _refused(profile):
        return refused
    if ends is not None and ends - now <= WARN_BEFORE:
        return EXPIRING, "it expires within 24 hours, and nothing can refresh it"
    return OK, ""


def dangling(profile: ProfileState, now: int) -> bool:
    """Whether a refresh was claimed, its lease is over, and it has no outcome."""
    return profile.claim is not None and profile.claim.lease_until <= now


def sign_in_line(context: Context, profile: ProfileState) -> str:
    """The line a person types to bring a profile's credential back the way it came, or by a key where only that can work."""
    from vault.commands.advice import again, login_line
    from vault.providers.judging import CLAUDE_CODE_ONLY

    if (refused := _refused(profile)) and CLAUDE_CODE_ONLY in refused[1]:
        return login_line(profile.profile, profile.agent, "api-key")
    if (newer := replaced(context, profile)) is not None and newer.again:
        return newer.again
    return again(context, AgentId(profile.agent), ProfileId(profile.profile))


def in_hand(context: Context, profile: ProfileState) -> str:
    """The hint of an error about a profile that has ended: the line to type, or what its own tool must do."""
    held = profile.current
    if held is not None and held.facts.ownership == "external":
        name = held.tool
        return f"let {name} refresh it, then: vault import {name}" if name else "let its own tool refresh it"
    line = sign_in_line(context, profile)
    if is_setup_token(context, AgentId(profile.agent), ProfileId(profile.profile)):
        return f"{line}, with what `claude setup-token` prints"
    return line


def ended_text(context: Context, profile: ProfileState) -> str:
    """What is the matter with a credential that has ended and that nothing can refresh."""
    text = "it has expired, and nothing can refresh it"
    made = is_setup_token(context, AgentId(profile.agent), ProfileId(profile.profile))
    return f"{text}: `claude setup-token` makes a new one" if made else text


def proof_of(profile: ProfileState | None) -> tuple[str, int | None, str]:
    """(claimed, proven or unproven; when; by what). A proof of another credential than the current one counts for nothing."""
    if profile is None or profile.proof is None or profile.current is None:
        return CLAIMED, None, ""
    proof = profile.proof
    if proof.fingerprint and proof.fingerprint != profile.current.facts.fingerprint:
        return CLAIMED, None, ""
    word = PROVEN if proof.outcome == "works" else UNPROVEN
    return word, proof.at, f"{proof.how}: {proof.outcome}" + (f" ({proof.detail})" if proof.detail else "")


def _refused(profile: ProfileState) -> tuple[str, str] | None:
    """What life says of a credential that its provider refused at the last probe; None of any other."""
    word, _, told = proof_of(profile)
    proof = profile.proof
    if word != UNPROVEN or proof is None or (proof.how, proof.outcome) != ("probe", REFUSED):
        return None
    return REFUSED, f"the provider refused it when it was asked last ({told})"


def _refreshed_by_somebody(context: Context, profile: ProfileState) -> bool:
    """Whether anything says how its refresh token is exchanged. Opens the credential only where the registry knows no client."""
    from vault.errors import VaultError
    from vault.providers import clients

    provider = provider_of(ProfileId(profile.profile))
    base_url = profile.current.facts.base_url if profile.current else ""
    known = any(provider in client.providers for client in clients.registry().clients)
    if (known and not base_url) or profile.current is None:
        return True
    try:
        credential = context.store.credential(profile.current.position)
    except VaultError:
        return True
    try:
        return clients.client_of(credential, provider, context.environ, base_url=base_url) is not None
    except VaultError:
        return False
