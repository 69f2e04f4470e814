"""Credentials: the union of kinds, as it is sealed in a payload, and the facts about one that a header may tell.

A credential keeps the fields it came with: what an importer doesn't understand goes into ``extra`` and comes out again.
``repr`` shows the kind and nothing else.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from vault.errors import IntegrityError


class Credential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """Base of all kinds. ``metadata`` is provider facts (account, gateway, …), ``extra`` unknown fields, kept verbatim."""

    metadata: dict[str, str] = {}
    extra: dict[str, Any] = {}

    kind: ClassVar[str] = ""

    def __repr__(self) -> str:
        return f"<credential {self.kind}>"

    def secret(self) -> str | None:
        """The secret a tool is handed, or None where there is none of its own."""
        return None

    def second_secret(self) -> str | None:
        """The refresh token, where there is one."""
        return None

    def expires(self) -> int | None:
        """When the handed-out secret ends, microseconds UTC; None for never or unknown."""
        return None


class ApiKey(Credential, frozen=True, kw_only=True, omit_defaults=True, tag="api_key"):
    """A provider's API key."""

    kind: ClassVar[str] = "api_key"
    key: str

    def secret(self) -> str | None:
        """The key."""
        return self.key


class Token(Credential, frozen=True, kw_only=True, omit_defaults=True, tag="token"):
    """A bearer token, maybe with an expiry, that nobody can refresh."""

    kind: ClassVar[str] = "token"
    token: str
    expires_at: int | None = None

    def secret(self) -> str | None:
        """The token."""
        return self.token

    def expires(self) -> int | None:
        """The token's expiry."""
        return self.expires_at


class OAuth(Credential, frozen=True, kw_only=True, omit_defaults=True, tag="oauth"):
    """An access token with, mostly, a refresh token (RFC 6749)."""

    kind: ClassVar[str] = "oauth"
    access: str
    refresh: str = ""
    expires_at: int | None = None
    id_token: str = ""
    scopes: list[str] = []
    account: dict[str, str] = {}

    def secret(self) -> str | None:
        """The access token."""
        return self.access

    def second_secret(self) -> str | None:
        """The refresh token."""
        return self.refresh or None

    def expires(self) -> int | None:
        """The access token's expiry."""
        return self.expires_at


class WellKnown(Credential, frozen=True, kw_only=True, omit_defaults=True, tag="wellknown"):
    """A token for a server that names its own environment variable (OpenCode's URL sign-in)."""

    kind: ClassVar[str] = "wellknown"
    url: str
    env: str
    token: str

    def secret(self) -> str | None:
        """The token."""
        return self.token


class Cloud(Credential, frozen=True, kw_only=True, omit_defaults=True, tag="cloud"):
    """A cloud provider's credential mode: its facts, and secrets only where that mode has one.

    Keys that end have the fact ``expires_at``, microseconds UTC in digits.
    """

    kind: ClassVar[str] = "cloud"
    mode: str
    facts: dict[str, str] = {}
    secrets: dict[str, str] = {}

    def secret(self) -> str | None:
        """The only secret of the mode, when it has exactly one."""
        return next(iter(self.secrets.values())) if len(self.secrets) == 1 else None

    def expires(self) -> int | None:
        """The keys' expiry."""
        ends = self.facts.get("expires_at", "")
        return int(ends) if ends.isascii() and ends.isdigit() and len(ends) <= 18 else None


class Reference(Credential, frozen=True, kw_only=True, omit_defaults=True, tag="reference"):
    """The secret lives elsewhere: ``scheme`` is env, file, command, keyring, keychain, or another tool's own (openclaw-exec)."""

    kind: ClassVar[str] = "reference"
    scheme: str
    target: str


AnyCredential = ApiKey | Token | OAuth | WellKnown | Cloud | Reference
KINDS = ("api_key", "token", "oauth", "wellknown", "cloud", "reference")

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyCredential] = msgspec.json.Decoder(AnyCredential)


def encode_credential(credential: AnyCredential) -> bytes:
    """The payload bytes of a credential: JSON, UTF-8, keys in the order of the type."""
    return _encoder.encode(credential)


def decode_credential(message: bytes) -> AnyCredential:
    """A credential from its payload bytes. Raises IntegrityError; the message shows none of them."""
    try:
        return _decoder.decode(message)
    except msgspec.MsgspecError:
        raise IntegrityError("a sealed credential has a shape this vault doesn't know") from None


class CredentialFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a header tells about a credential: enough to list and to choose, never the secret.

    ``base_url`` is the server a credential belongs to where that isn't the provider's own; ``env`` are environment names it goes
    by beside the provider's; ``sign_in`` is what signing in again needs (method, issuer, client_id, scopes, …), without secrets.
    """

    kind: str
    fingerprint: str = ""
    refresh_fingerprint: str = ""
    expires_at: int | None = None
    label: str = ""
    account: str = ""
    ownership: str = "vault"
    reference: str = ""
    base_url: str = ""
    env: list[str] = []
    sign_in: dict[str, str] = {}
