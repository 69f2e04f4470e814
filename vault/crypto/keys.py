"""Root key → everything.

    root key (32 random bytes, held by the key slots)
    ├── audit branch key ──unwraps──► the audit key of each epoch
    │       ├── header key      seals headers
    │       ├── chain key       chains records
    │       ├── state key       seals read models
    │       └── of the first epoch, for the life of the vault: index, fingerprint, anchor, heads and history keys
    └── secret branch key ──unwraps──► the secret key of each epoch
            └── wrap key        wraps profile keys ──► one key a payload

Whoever holds only the audit branch key reads the whole history and opens no credential. Epoch keys are random and wrapped,
so a new root key rewraps rows of ``epochs`` and never an event.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from vault.crypto.aead import Sealer
from vault.crypto.encoding import pae, u64
from vault.crypto.mac import Mac
from vault.errors import Gone, IntegrityError, Locked
from vault.values import RandomBytes

KEY = 32
SALT = 16
KEY_ID = 16
BLIND = 16
FINGERPRINT = 8


def derive(key: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose: HKDF-Expand-SHA256 (RFC 5869) with the purpose as info."""
    return HKDFExpand(algorithm=SHA256(), length=KEY, info=purpose.encode()).derive(key)


def branch_keys(root: bytes) -> tuple[bytes, bytes]:
    """The audit branch key and the secret branch key of a root key."""
    return derive(root, "vault/audit-branch/v1"), derive(root, "vault/secret-branch/v1")


@dataclass(frozen=True, slots=True)
class WrappedEpoch:
    """A row of ``epochs``: the keys of one epoch, each wrapped by its branch key."""

    epoch: int
    audit: bytes
    secret: bytes


def _epoch_aad(vault_id: bytes, epoch: int, branch: str) -> bytes:
    return pae(b"vault/epoch/v1", vault_id, u64(epoch), branch.encode())


def new_epoch(root: bytes, vault_id: bytes, epoch: int, random: RandomBytes = os.urandom) -> WrappedEpoch:
    """Fresh random keys for an epoch, wrapped by the branches of the root key."""
    audit_branch, secret_branch = branch_keys(root)
    return WrappedEpoch(
        epoch,
        Sealer(audit_branch, random).seal(random(KEY), _epoch_aad(vault_id, epoch, "audit")),
        Sealer(secret_branch, random).seal(random(KEY), _epoch_aad(vault_id, epoch, "secret")),
    )


class EpochKeys:
    """The working keys of one epoch. ``secret`` is absent for an auditor."""

    __slots__ = ("_wrap", "chain", "epoch", "header", "state")

    def __init__(self, epoch: int, audit: bytes, secret: bytes | None, random: RandomBytes = os.urandom) -> None:
        self.epoch = epoch
        self.header = Sealer(derive(audit, "vault/header-key/v1"), random)
        self.chain = derive(audit, "vault/chain-key/v1")
        self.state = Sealer(derive(audit, "vault/state-key/v1"), random)
        self._wrap = None if secret is None else Sealer(derive(secret, "vault/wrap-key/v1"), random)

    @property
    def wrap(self) -> Sealer:
        """Wraps profile keys. Raises Locked for an auditor."""
        if self._wrap is None:
            raise Locked("this key reads the history and opens no credential", hint="unlock with a full key")
        return self._wrap


class VaultKeys:
    """All working keys of an unlocked vault."""

    def __init__(
        self,
        vault_id: bytes,
        audit_branch: bytes,
        secret_branch: bytes | None,
        epochs: list[WrappedEpoch],
        random: RandomBytes = os.urandom,
    ) -> None:
        if not epochs:
            raise IntegrityError("the vault has no epoch keys", hint="restore the file from a backup")
        self.vault_id = vault_id
        self.random = random
        self._epochs: dict[int, EpochKeys] = {}
        audit_opener = Sealer(audit_branch)
        secret_opener = None if secret_branch is None else Sealer(secret_branch)
        for row in sorted(epochs, key=lambda e: e.epoch):
            audit = audit_opener.open(row.audit, _epoch_aad(vault_id, row.epoch, "audit"))
            secret = None
            if secret_opener is not None:
                secret = secret_opener.open(row.secret, _epoch_aad(vault_id, row.epoch, "secret"))
            if not self._epochs:
                self._index = Mac(derive(audit, "vault/index-key/v1"))
                self._fingerprint = Mac(derive(audit, "vault/fingerprint-key/v1"))
                self.anchor = derive(audit, "vault/anchor-key/v1")
                self.heads = Mac(derive(audit, "vault/heads-key/v1"))
                self.history = Mac(derive(audit, "vault/history-key/v1"))
                self._aside = None if secret is None else Sealer(derive(secret, "vault/aside-key/v1"), random)
            self._epochs[row.epoch] = EpochKeys(row.epoch, audit, secret, random)
        self.current = self._epochs[max(self._epochs)]

    @classmethod
    def from_root(
        cls, vault_id: bytes, root: bytes, epochs: list[WrappedEpoch], random: RandomBytes = os.urandom
    ) -> VaultKeys:
        """Unwrap every epoch with a root key. Raises IntegrityError when a row was altered."""
        return cls(vault_id, *branch_keys(root), epochs, random)

    def epoch(self, number: int) -> EpochKeys:
        """The keys of an epoch. Raises IntegrityError for one that doesn't exist."""
        try:
            return self._epochs[number]
        except KeyError:
            raise IntegrityError(f"a record names the epoch {number}, which this vault doesn't have") from None

    @property
    def epochs(self) -> list[int]:
        """Epoch numbers, oldest first."""
        return sorted(self._epochs)

    def blind(self, purpose: str, name: str) -> bytes:
        """A keyed index value (16 bytes): equal for equal names, and nothing else can be read from it."""
        return self._index.digest(pae(b"vault/index/v1", purpose.encode(), name.encode()))[:BLIND]

    def fingerprint(self, secret: str) -> str:
        """A keyed fingerprint (16 hex digits): says "same" or "different" about two secrets."""
        message = pae(b"vault/fingerprint/v1", secret.encode())
        return self._fingerprint.digest(message)[:FINGERPRINT].hex()

    def seal_aside(self, message: bytes, purpose: str) -> bytes:
        """Seal what is kept beside the log (backups of tools' files). Raises Locked for an auditor."""
        return self._aside_sealer().seal(message, pae(b"vault/aside/v1", self.vault_id, purpose.encode()))

    def open_aside(self, sealed: bytes, purpose: str) -> bytes:
        """Open what ``seal_aside`` sealed. Raises IntegrityError, or Locked for an auditor."""
        return self._aside_sealer().open(sealed, pae(b"vault/aside/v1", self.vault_id, purpose.encode()))

    def _aside_sealer(self) -> Sealer:
        if self._aside is None:
            raise Locked("this key reads the history and opens no credential", hint="unlock with a full key")
        return self._aside

    def wrap_profile_key(self, key: bytes, stream: bytes, key_id: bytes) -> tuple[int, bytes]:
        """Wrap a profile key under the current epoch: (epoch, wrapped)."""
        epoch = self.current
        return epoch.epoch, epoch.wrap.seal(key, self._profile_key_aad(stream, key_id, epoch.epoch))

    def unwrap_profile_key(self, wrapped: bytes, stream: bytes, key_id: bytes, epoch: int) -> bytes:
        """Unwrap a profile key. Raises IntegrityError, or Locked for an auditor."""
        return self.epoch(epoch).wrap.open(wrapped, self._profile_key_aad(stream, key_id, epoch))

    def _profile_key_aad(self, stream: bytes, key_id: bytes, epoch: int) -> bytes:
        return pae(b"vault/profile-key/v1", self.vault_id, stream, key_id, u64(epoch))


def seal_payload(
    profile_key: bytes, key_id: bytes, message: bytes, place: bytes, random: RandomBytes = os.urandom
) -> bytes:
    """Seal a secret under its own key: key id (16) ‖ salt (16) ‖ sealed. ``place`` is the PAE of where it belongs."""
    salt = random(SALT)
    return key_id + salt + Sealer(_payload_key(profile_key, salt), random).seal(message, pae(place, key_id, salt))


def payload_key_id(payload: bytes) -> bytes:
    """Which profile key a payload is sealed with."""
    return payload[:KEY_ID]


def open_payload(profile_key: bytes | None, payload: bytes, place: bytes) -> bytes:
    """Open what ``seal_payload`` made. Raises Gone when the key was destroyed, IntegrityError when bytes were altered."""
    if profile_key is None:
        raise Gone("the credential was destroyed", hint="it can't be brought back; log in again")
    key_id, salt = payload[:KEY_ID], payload[KEY_ID : KEY_ID + SALT]
    return Sealer(_payload_key(profile_key, salt)).open(payload[KEY_ID + SALT :], pae(place, key_id, salt))


def _payload_key(profile_key: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY, salt=salt, info=b"vault/payload/v1").derive(profile_key)
