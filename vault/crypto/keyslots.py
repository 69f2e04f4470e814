"""Key slots: who may unlock. Each slot wraps the root key under a secret of its kind.

A passphrase goes through Argon2id (RFC 9106) with stored parameters, bounded on read, so that an altered slot can neither
burn the machine nor weaken the derivation; what several slots ask for together is bounded where they are tried. All other
secrets are long and random and go through HKDF alone. A slot keeps a commitment beside the wrapped key: it is compared first,
in constant time, so a wrong secret is told from an altered row and no ciphertext opens under two keys. The log keeps a digest of
each row.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from dataclasses import dataclass

from vault.crypto.aead import Sealer
from vault.crypto.encoding import pae, u64
from vault.crypto.keys import KEY, SALT
from vault.errors import InputError, IntegrityError, WrongKey
from vault.values import RandomBytes

PASSPHRASE = "passphrase"  # noqa: S105 - the name of a kind of slot
KEYRING = "keyring"
KEY_FILE = "key-file"
COMMAND = "command"
RECOVERY = "recovery"
KINDS = (KEYRING, PASSPHRASE, KEY_FILE, COMMAND, RECOVERY)

SHORTEST_KEY = 32
SHORTEST_PASSPHRASE = 8
RECOVERY_BYTES = 20
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

MEMORY_KIB = (19 * 1024, 1024 * 1024)
PASSES = (1, 64)
LANES = (1, 16)
DEFAULT_KDF = {"m": 64 * 1024, "t": 3, "p": 4}
MOST_WORK = 8 * 1024 * 1024
LARGEST_PARAMETERS = 4096


@dataclass(frozen=True, slots=True)
class Slot:
    """A row of ``key_slots``."""

    slot: int
    kind: str
    parameters: bytes
    wrapped: bytes
    commitment: bytes


def make_slot(
    slot: int,
    kind: str,
    secret: bytes,
    root: bytes,
    vault_id: bytes,
    random: RandomBytes = os.urandom,
    kdf: dict[str, int] | None = None,
) -> Slot:
    """Wrap the root key for a new way to unlock. Raises InputError when the secret is too short for its kind."""
    if kind == PASSPHRASE:
        check_passphrase(secret)
    if kind in (KEY_FILE, COMMAND) and len(secret) < SHORTEST_KEY:
        raise InputError(f"the key has fewer than {SHORTEST_KEY} bytes", hint="make one with: openssl rand -hex 32")
    parameters: dict[str, int | str] = {"salt": random(SALT).hex()}
    if kind == PASSPHRASE:
        parameters |= kdf or DEFAULT_KDF
    encoded = json.dumps(parameters, sort_keys=True, separators=(",", ":")).encode()
    aad = _aad(vault_id, slot, kind, encoded)
    key, commitment = _slot_keys(kind, secret, encoded, aad)
    return Slot(slot, kind, encoded, Sealer(key, random).seal(root, aad), commitment)


def check_passphrase(secret: bytes) -> None:
    """Raises InputError for a new passphrase that is too short."""
    if len(secret.decode()) < SHORTEST_PASSPHRASE:
        raise InputError(f"the passphrase has fewer than {SHORTEST_PASSPHRASE} characters", hint="choose a longer one")


def open_slot(slot: Slot, secret: bytes, vault_id: bytes) -> bytes:
    """The root key, from a slot and its secret. Raises WrongKey, or IntegrityError for an altered row."""
    aad = _aad(vault_id, slot.slot, slot.kind, slot.parameters)
    key, commitment = _slot_keys(slot.kind, secret, slot.parameters, aad)
    if not hmac.compare_digest(commitment, slot.commitment):
        raise WrongKey(
            f"the {slot.kind.replace('-', ' ')} given does not open this vault", hint="check it and try again"
        )
    root = Sealer(key).open(slot.wrapped, aad)
    if len(root) != KEY:
        raise IntegrityError(f"key slot {slot.slot} holds something that is not a root key")
    return root


def slot_digest(slot: Slot, vault_id: bytes) -> str:
    """The digest of a row, in hex: what the log keeps of it."""
    place = _aad(vault_id, slot.slot, slot.kind, slot.parameters)
    return hashlib.sha256(pae(b"vault/slot-row/v1", place, slot.wrapped, slot.commitment)).hexdigest()


def check_parameters(slot: Slot) -> None:
    """Check a slot's stored parameters without its secret. Raises IntegrityError."""
    _parameters(slot.kind, slot.parameters)


def slot_work(slot: Slot) -> int:
    """What trying a secret on a slot costs: KiB of memory times passes, 0 where none is stretched. Raises IntegrityError."""
    parameters = _parameters(slot.kind, slot.parameters)
    return int(parameters["m"]) * int(parameters["t"]) if slot.kind == PASSPHRASE else 0


def new_recovery_code(random: RandomBytes = os.urandom) -> str:
    """A fresh recovery code: 160 random bits and a 20-bit checksum in nine groups of four (Crockford's base 32)."""
    raw = random(RECOVERY_BYTES)
    text = _base32(raw) + _checksum(raw)
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def parse_recovery_code(text: str) -> bytes:
    """The bytes of a recovery code, typed with any case, spaces or dashes. Raises InputError."""
    cleaned = "".join(c for c in text.upper() if c not in "- \t\r\n")
    cleaned = cleaned.translate(str.maketrans("OIL", "011"))
    length = RECOVERY_BYTES * 8 // 5
    if len(cleaned) != length + 4 or any(c not in _ALPHABET for c in cleaned):
        raise InputError("that is not a recovery code", hint="it has nine groups of four letters and digits")
    number = 0
    for c in cleaned[:length]:
        number = number * 32 + _ALPHABET.index(c)
    raw = number.to_bytes(RECOVERY_BYTES, "big")
    if _checksum(raw) != cleaned[length:]:
        raise InputError("the recovery code has a typing error", hint="compare it with the one you wrote down")
    return raw


def _checksum(raw: bytes) -> str:
    return _base32(hashlib.sha256(b"vault/recovery/v1" + raw).digest()[:5])[:4]


def _base32(raw: bytes) -> str:
    standard = base64.b32encode(raw).decode()
    return standard.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET))


def _aad(vault_id: bytes, slot: int, kind: str, parameters: bytes) -> bytes:
    return pae(b"vault/slot/v1", vault_id, u64(slot), kind.encode(), parameters)


def _slot_keys(kind: str, secret: bytes, encoded: bytes, aad: bytes) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    parameters = _parameters(kind, encoded)
    salt = bytes.fromhex(str(parameters["salt"]))
    material = secret
    if kind == PASSPHRASE:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

        material = Argon2id(
            salt=salt,
            length=KEY,
            iterations=int(parameters["t"]),
            lanes=int(parameters["p"]),
            memory_cost=int(parameters["m"]),
        ).derive(secret)
    both = HKDF(algorithm=SHA256(), length=2 * KEY, salt=salt, info=aad).derive(material)
    return both[:KEY], both[KEY:]


def _parameters(kind: str, encoded: bytes) -> dict[str, int | str]:
    try:
        if len(encoded) > LARGEST_PARAMETERS:
            raise ValueError
        parameters = json.loads(encoded)
        salt = bytes.fromhex(parameters["salt"])
        if len(salt) != SALT or kind not in KINDS:
            raise ValueError
        if kind == PASSPHRASE:
            for name, (low, high) in (("m", MEMORY_KIB), ("t", PASSES), ("p", LANES)):
                if type(parameters[name]) is not int:
                    raise ValueError
                if not low <= parameters[name] <= high:
                    raise IntegrityError(
                        f"a key slot asks for Argon2id {name}={parameters[name]}, outside {low} to {high}",
                        hint="the slot was altered; unlock with another key, or restore the file from a backup",
                    )
            if parameters["m"] * parameters["t"] > MOST_WORK:
                raise IntegrityError(
                    f"a key slot asks for Argon2id m·t={parameters['m'] * parameters['t']}, more than {MOST_WORK}",
                    hint="the slot was altered; unlock with another key, or restore the file from a backup",
                )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError(
            "a key slot has unreadable parameters", hint="unlock with another key, or restore the file from a backup"
        ) from None
    return dict(parameters)
