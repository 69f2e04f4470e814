"""One full and one minimal event of every type, one of every kind of credential, and a session that uses them all."""

from __future__ import annotations

from vault.context import Context
from vault.events.credentials import (
    AnyCredential,
    ApiKey,
    Cloud,
    CredentialFacts,
    OAuth,
    Reference,
    Token,
    WellKnown,
)
from vault.events.types import (
    AgentInheritanceSet,
    AgentRegistered,
    AgentRemoved,
    BackupTaken,
    CredentialIssued,
    Event,
    Health,
    HealthCleared,
    KeySlotAdded,
    KeySlotRemoved,
    LogVerified,
    OrderCleared,
    OrderSet,
    ProfileExported,
    ProfileImported,
    ProfileLoggedIn,
    ProfileLoggedOut,
    ProfilePinned,
    ProfileProbed,
    ProfileRestored,
    ProfileUnpinned,
    RefreshClaimed,
    RefreshFailed,
    RollbackAccepted,
    SlotFacts,
    TokensRefreshed,
    UseReported,
    VaultCreated,
)
from vault.log.records import Draft, Recorded
from vault.model.streams import AGENTS, VAULT, Stream, profile_stream, rotation_stream

FINGERPRINT = "0123456789abcdef"
OTHER = "fedcba9876543210"
AT = 1_767_225_600_000_000
NAME = "anthropic:näme@example.com"

FACTS = CredentialFacts(
    kind="oauth",
    fingerprint=FINGERPRINT,
    refresh_fingerprint=OTHER,
    expires_at=AT + 1,
    label='a "label"\n✓',
    account="fake-account",
    ownership="external",
    reference="env:FAKE_KEY",
    base_url="https://fake.example/v1",
    env=["FAKE_OTHER_KEY"],
    sign_in={"method": "browser", "issuer": "https://fake.example"},
)
BARE = CredentialFacts(kind="api_key")

SAMPLES: dict[str, tuple[Event, Event]] = {
    full.TYPE: (full, bare)
    for full, bare in (
        (
            VaultCreated(
                format=1,
                slots=[
                    SlotFacts(slot=1, slot_kind="keyring", digest="0123456789abcdef" * 4),
                    SlotFacts(slot=2, slot_kind="recovery"),
                ],
            ),
            VaultCreated(format=0),
        ),
        (AgentRegistered(agent="helper", inherits="main"), AgentRegistered(agent="helper")),
        (AgentInheritanceSet(agent="helper", inherits="main"), AgentInheritanceSet(agent="helper")),
        (AgentRemoved(agent="helper"), AgentRemoved(agent="")),
        (
            ProfileLoggedIn(agent="main", profile=NAME, credential=FACTS),
            ProfileLoggedIn(agent="main", profile="a:b", credential=BARE),
        ),
        (
            ProfileImported(
                agent="main", profile=NAME, credential=FACTS, tool="opencode", path="/fake/auth.json", why="copy: fake"
            ),
            ProfileImported(agent="main", profile="a:b", credential=BARE, tool="t"),
        ),
        (
            ProfileExported(
                agent="helper",
                owner="main",
                profile=NAME,
                tool="opencode",
                path="/fake/auth.json",
                name="a",
                fingerprint=FINGERPRINT,
                refresh_fingerprint=OTHER,
            ),
            ProfileExported(agent="main", owner="main", profile="a:b", tool="t"),
        ),
        (
            ProfileLoggedOut(agent="main", profile=NAME, fingerprint=FINGERPRINT, revocation="revoked"),
            ProfileLoggedOut(agent="main", profile="a:b"),
        ),
        (
            ProfileRestored(agent="main", profile=NAME, from_position=7, credential=FACTS),
            ProfileRestored(agent="main", profile="a:b", from_position=1, credential=BARE),
        ),
        (
            RefreshClaimed(agent="main", profile=NAME, refresh_fingerprint=OTHER, lease_until=AT + 5),
            RefreshClaimed(agent="main", profile="a:b", refresh_fingerprint="", lease_until=0),
        ),
        (
            TokensRefreshed(agent="main", profile=NAME, claim=8, credential=FACTS, rotated=True),
            TokensRefreshed(agent="main", profile="a:b", claim=0, credential=BARE),
        ),
        (
            RefreshFailed(
                agent="main",
                profile=NAME,
                claim=8,
                outcome="refused",
                error="invalid_grant",
                refresh_fingerprint=OTHER,
                retry_at=AT + 6,
            ),
            RefreshFailed(agent="main", profile="a:b", claim=0, outcome=""),
        ),
        (
            ProfileProbed(
                agent="main", profile=NAME, outcome="works", fingerprint=FINGERPRINT, status=200, detail="fake detail"
            ),
            ProfileProbed(agent="main", profile="a:b", outcome=""),
        ),
        (
            OrderSet(agent="main", provider="anthropic", profiles=[NAME, "anthropic:b"], restored_from=9),
            OrderSet(agent="main", provider="anthropic", profiles=[]),
        ),
        (
            OrderCleared(agent="main", provider="anthropic", restored_from=9),
            OrderCleared(agent="main", provider="anthropic"),
        ),
        (
            ProfilePinned(agent="main", provider="anthropic", profile=NAME),
            ProfilePinned(agent="", provider="", profile=""),
        ),
        (
            ProfileUnpinned(agent="main", provider="anthropic", profile=NAME),
            ProfileUnpinned(agent="", provider="", profile=""),
        ),
        (
            CredentialIssued(
                agent="helper",
                owner="main",
                provider="anthropic",
                profile=NAME,
                source="env:FAKE_KEY",
                fingerprint=FINGERPRINT,
                way="exec",
                program="fake-program",
            ),
            CredentialIssued(agent="main", owner="main", provider="anthropic"),
        ),
        (
            UseReported(
                agent="main",
                profile=NAME,
                outcome="failure",
                failure="billing",
                until=AT + 2,
                model="fake-model",
                last_used=AT,
                health=Health(
                    failures=3,
                    last_reason="billing",
                    last_failure_at=AT,
                    last_success_at=AT - 1,
                    cooldown_until=AT + 3,
                    disabled_until=AT + 4,
                ),
            ),
            UseReported(agent="main", profile="a:b", outcome="success"),
        ),
        (HealthCleared(agent="main", profile=NAME), HealthCleared(agent="", profile="")),
        (KeySlotAdded(slot=2, slot_kind="key-file", digest="0123456789abcdef" * 4), KeySlotAdded(slot=0, slot_kind="")),
        (KeySlotRemoved(slot=2, slot_kind="key-file"), KeySlotRemoved(slot=0, slot_kind="")),
        (RollbackAccepted(anchor_position=9, head_position=7), RollbackAccepted(anchor_position=0, head_position=0)),
        (
            LogVerified(events=2**53, slots=[SlotFacts(slot=3, slot_kind="command", digest="fedcba9876543210" * 4)]),
            LogVerified(events=0),
        ),
        (BackupTaken(path="/fake/vault-backup.db", events=7), BackupTaken(path="", events=0)),
    )
}

CREDENTIALS: dict[str, tuple[AnyCredential, AnyCredential]] = {
    full.kind: (full, bare)
    for full, bare in (
        (
            ApiKey(key="fake-key-anthropic-1", metadata={"account": "fake"}, extra={"kept": [1, None, {"x": 0.5}]}),
            ApiKey(key="fake"),
        ),
        (Token(token="fake-token-1", expires_at=AT, metadata={"a": "b"}), Token(token="fake")),
        (
            OAuth(
                access="fake-access-1",
                refresh="fake-refresh-1",
                expires_at=AT,
                id_token="fake-id-token-1",
                scopes=["a", "b c"],
                account={"email": "näme@example.com"},
                extra={"accountId": "fake"},
            ),
            OAuth(access="fake"),
        ),
        (
            WellKnown(url="https://fake.example/x", env="FAKE_TOKEN", token="fake-token-2", extra={"x": True}),
            WellKnown(url="", env="", token=""),
        ),
        (
            Cloud(mode="profile", facts={"region": "fake-1"}, secrets={"secret_key": "fake-cloud-1"}),
            Cloud(mode="ambient"),
        ),
        (
            Reference(scheme="env", target="FAKE_KEY", extra={"source": "env"}),
            Reference(scheme="keyring", target=""),
        ),
    )
}


def key(secret: str, fingerprint: str = FINGERPRINT) -> tuple[ApiKey, CredentialFacts]:
    """An API key and its facts."""
    return ApiKey(key=secret), CredentialFacts(kind="api_key", fingerprint=fingerprint)


def login(agent: str, profile: str, secret: str) -> Draft:
    """A login of an API key, as a draft."""
    credential, facts = key(secret)
    event = ProfileLoggedIn(agent=agent, profile=profile, credential=facts)
    return Draft(stream=profile_stream(agent, profile), event=event, credential=credential)


def issue(agent: str, profile: str, owner: str = "") -> Draft:
    """A hand-out, as a draft."""
    provider = profile.partition(":")[0]
    event = CredentialIssued(agent=agent, owner=owner or agent, provider=provider, profile=profile, way="get")
    return Draft(stream=rotation_stream(owner or agent, provider), event=event)


def order(agent: str, provider: str, *profiles: str) -> Draft:
    """An order, as a draft."""
    event = OrderSet(agent=agent, provider=provider, profiles=list(profiles))
    return Draft(stream=rotation_stream(agent, provider), event=event)


def logout(agent: str, profile: str) -> Draft:
    """A logout, as a draft."""
    return Draft(stream=profile_stream(agent, profile), event=ProfileLoggedOut(agent=agent, profile=profile))


def restored(agent: str, profile: str, position: int) -> Draft:
    """A restore, as a draft."""
    event = ProfileRestored(agent=agent, profile=profile, from_position=position, credential=key("")[1])
    return Draft(stream=profile_stream(agent, profile), event=event)


def registered(agent: str) -> Draft:
    """A new child of main, as a draft."""
    return Draft(stream=AGENTS, event=AgentRegistered(agent=agent, inherits="main"))


def any_session(context: Context) -> list[Recorded]:
    """A short session of several commands on several streams: positions 2 to 12, credentials at 3, 4, 5 and 9."""
    a, b = "anthropic:default", "openai:work"
    steps = [
        [registered("helper")],
        [login("main", a, "fake-key-anthropic-1"), login("helper", b, "fake-key-openai-1")],
        [login("main", a, "fake-key-anthropic-2")],
        [order("main", "anthropic", a)],
        [issue("helper", a, "main")],
        [logout("helper", b)],
        [login("helper", b, "fake-key-openai-2")],
        [restored("main", a, 3)],
        [issue("helper", b)],
        [Draft(stream=VAULT, event=LogVerified(events=11))],
    ]
    recorded = []
    for number, drafts in enumerate(steps):
        recorded += context.store.append(drafts, context.cause(command=f"command-{number}", reason="fake reason"))
    return recorded


def stream_of(event: Event) -> Stream:
    """The stream a sample belongs to."""
    agent = getattr(event, "owner", "") or getattr(event, "agent", "")
    if isinstance(event, AgentRegistered | AgentInheritanceSet | AgentRemoved):
        return AGENTS
    if isinstance(event, UseReported | HealthCleared):
        return rotation_stream(agent, event.profile.partition(":")[0])
    provider = getattr(event, "provider", None)
    if provider is None and hasattr(event, "profile"):
        return profile_stream(agent, event.profile)
    return VAULT if provider is None else rotation_stream(agent, provider)
