"""Opening what other tools seal, with keys that anybody on the machine can make: no protection, and none of ours is made so."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import IntegrityError

_N, _R, _P = 16_384, 8, 1
_MEMORY = 64 * 1024 * 1024
_NONCES = range(8, 129)
_TAG = 16


def open_scrypt_gcm(password: bytes, salt: bytes, nonce: bytes, tag: bytes, ciphertext: bytes) -> bytes:
    """Open AES-256-GCM under a key from scrypt as Node makes it (N 16384, r 8, p 1). Raises IntegrityError."""
    if len(nonce) not in _NONCES or len(tag) != _TAG:
        raise IntegrityError("a sealed text has a nonce or a tag of the wrong size")
    key = hashlib.scrypt(password, salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY, dklen=32)
    try:
        return AESGCM(key).decrypt(nonce, ciphertext + tag, None)
    except InvalidTag:
        raise IntegrityError("a sealed text was made with another key, or altered") from None
