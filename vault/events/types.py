"""What can happen, in the past tense. One class an event type.

The stored name of a type is its snake_case ``TYPE``; its shape has the integer ``SCHEMA``. Both are promises: a name never
changes, and a shape changes only together with its number and an upcaster. Fields that may be missing have defaults and are
left out when they hold them.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from vault.events.credentials import CredentialFacts


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all events."""

    TYPE: ClassVar[str] = ""
    SCHEMA: ClassVar[int] = 1


class UnknownEvent(Event, frozen=True, kw_only=True):
    """An event of a type or schema this vault doesn't know. Kept and shown; never decided upon."""

    type: str
    schema: int


class SlotFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way to unlock, as it was recorded: its number, its kind, and the digest of its row, in hex."""

    slot: int
    slot_kind: str
    digest: str = ""


class VaultCreated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A vault came to be, with these ways to unlock."""

    TYPE: ClassVar[str] = "vault_created"
    SCHEMA: ClassVar[int] = 2
    format: int
    slots: list[SlotFacts] = []


class AgentRegistered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An agent became known. ``inherits`` is its parent, or empty for none."""

    TYPE: ClassVar[str] = "agent_registered"
    agent: str
    inherits: str = ""


class AgentInheritanceSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An agent got another parent, or none (empty)."""

    TYPE: ClassVar[str] = "agent_inheritance_set"
    agent: str
    inherits: str = ""


class AgentRemoved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An agent is no longer used; its profiles and its history stay in the log."""

    TYPE: ClassVar[str] = "agent_removed"
    agent: str


class ProfileLoggedIn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A person or script gave a credential. The payload holds it."""

    TYPE: ClassVar[str] = "profile_logged_in"
    SCHEMA: ClassVar[int] = 2
    agent: str
    profile: str
    credential: CredentialFacts


class ProfileImported(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A credential was taken over from another tool. The payload holds it."""

    TYPE: ClassVar[str] = "profile_imported"
    SCHEMA: ClassVar[int] = 2
    agent: str
    profile: str
    credential: CredentialFacts
    tool: str
    path: str = ""
    why: str = ""


class ProfileExported(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A credential was written into another tool's store. Appended before it was.

    ``agent`` is for whom; ``owner`` has the profile; ``name`` is what the tool calls it. ``refresh_fingerprint`` is there when
    the refresh token was written too.
    """

    TYPE: ClassVar[str] = "profile_exported"
    agent: str
    owner: str
    profile: str
    tool: str
    path: str = ""
    name: str = ""
    fingerprint: str = ""
    refresh_fingerprint: str = ""


class ProfileLoggedOut(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A profile has no credential any more. What it had stays in the log.

    ``revocation`` is the provider's answer when it was asked to revoke: revoked, refused, unsupported or unreachable.
    """

    TYPE: ClassVar[str] = "profile_logged_out"
    agent: str
    profile: str
    fingerprint: str = ""
    revocation: str = ""


class ProfileRestored(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An earlier credential became current again: the one stored at ``from_position``."""

    TYPE: ClassVar[str] = "profile_restored"
    SCHEMA: ClassVar[int] = 2
    agent: str
    profile: str
    from_position: int
    credential: CredentialFacts


class RefreshClaimed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One process is about to spend a refresh token. Until ``lease_until`` (microseconds UTC) nobody else does."""

    TYPE: ClassVar[str] = "refresh_claimed"
    agent: str
    profile: str
    refresh_fingerprint: str
    lease_until: int


class TokensRefreshed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The provider answered with new tokens, which the payload holds. The old ones stay in the log.

    ``claim`` is the position of the claim; ``rotated`` says whether the refresh token is a new one.
    """

    TYPE: ClassVar[str] = "tokens_refreshed"
    SCHEMA: ClassVar[int] = 2
    agent: str
    profile: str
    claim: int
    credential: CredentialFacts
    rotated: bool = False


class RefreshFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A claimed refresh brought no tokens.

    ``outcome`` is refused (the provider said no for good), postponed (the request was surely not processed) or uncertain (it may
    have been: the tokens that were sent may be spent). ``error`` is the provider's error name, or a word for what happened.
    """

    TYPE: ClassVar[str] = "refresh_failed"
    agent: str
    profile: str
    claim: int
    outcome: str
    error: str = ""
    refresh_fingerprint: str = ""
    retry_at: int | None = None


class ProfileProbed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A provider was asked whether a credential works. ``outcome`` is works, refused or unclear."""

    TYPE: ClassVar[str] = "profile_probed"
    agent: str
    profile: str
    outcome: str
    fingerprint: str = ""
    status: int = 0
    detail: str = ""


class OrderSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An agent's order for a provider. ``restored_from`` is the position an earlier order was taken from."""

    TYPE: ClassVar[str] = "order_set"
    agent: str
    provider: str
    profiles: list[str]
    restored_from: int | None = None


class OrderCleared(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An agent has no order of its own for a provider any more."""

    TYPE: ClassVar[str] = "order_cleared"
    agent: str
    provider: str
    restored_from: int | None = None


class ProfilePinned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An agent uses this profile and no other for a provider."""

    TYPE: ClassVar[str] = "profile_pinned"
    agent: str
    provider: str
    profile: str


class ProfileUnpinned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An agent chooses freely again for a provider."""

    TYPE: ClassVar[str] = "profile_unpinned"
    agent: str
    provider: str
    profile: str


class CredentialIssued(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A secret left the vault. Appended before it did.

    ``agent`` asked; ``owner`` has the profile; ``way`` is how (get, env, exec, api, …); ``program`` is who was given it.
    ``source`` is ``stored`` or where else the secret came from, such as ``env:NAME``.
    """

    TYPE: ClassVar[str] = "credential_issued"
    agent: str
    owner: str
    provider: str
    profile: str = ""
    source: str = "stored"
    fingerprint: str = ""
    way: str = ""
    program: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a profile has been doing. Instants are microseconds UTC, 0 for never."""

    failures: int = 0
    last_reason: str = ""
    last_failure_at: int = 0
    last_success_at: int = 0
    cooldown_until: int = 0
    disabled_until: int = 0


class UseReported(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody used a profile and told how it went. ``outcome`` is success, failure, or taken_over (an import's usage).

    ``until`` is a reset time the provider reported; ``last_used`` and ``health`` are only set by an import.
    """

    TYPE: ClassVar[str] = "use_reported"
    agent: str
    profile: str
    outcome: str
    failure: str = ""
    until: int | None = None
    model: str = ""
    last_used: int | None = None
    health: Health | None = None


class HealthCleared(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A profile's failures were forgiven, by a person or by a new credential."""

    TYPE: ClassVar[str] = "health_cleared"
    agent: str
    profile: str


class KeySlotAdded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A way to unlock was added. ``digest`` is that of its row, in hex."""

    TYPE: ClassVar[str] = "key_slot_added"
    SCHEMA: ClassVar[int] = 2
    slot: int
    slot_kind: str
    digest: str = ""


class KeySlotRemoved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A way to unlock was removed."""

    TYPE: ClassVar[str] = "key_slot_removed"
    slot: int
    slot_kind: str


class RollbackAccepted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A person accepted a log that is older than its anchor, or another one."""

    TYPE: ClassVar[str] = "rollback_accepted"
    anchor_position: int
    head_position: int


class LogVerified(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The whole log was verified up to a position. ``slots`` are ways to unlock that no event had described before."""

    TYPE: ClassVar[str] = "log_verified"
    SCHEMA: ClassVar[int] = 2
    events: int
    slots: list[SlotFacts] = []


class BackupTaken(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A copy of the vault was written and checked; ``events`` is how many it holds. Appended before it got its name."""

    TYPE: ClassVar[str] = "backup_taken"
    path: str
    events: int


EVENT_TYPES: dict[str, type[Event]] = {
    cls.TYPE: cls
    for cls in (
        VaultCreated,
        AgentRegistered,
        AgentInheritanceSet,
        AgentRemoved,
        ProfileLoggedIn,
        ProfileImported,
        ProfileExported,
        ProfileLoggedOut,
        ProfileRestored,
        RefreshClaimed,
        TokensRefreshed,
        RefreshFailed,
        ProfileProbed,
        OrderSet,
        OrderCleared,
        ProfilePinned,
        ProfileUnpinned,
        CredentialIssued,
        UseReported,
        HealthCleared,
        KeySlotAdded,
        KeySlotRemoved,
        RollbackAccepted,
        LogVerified,
        BackupTaken,
    )
}
