"""Sealing and opening: AES-256-GCM, random 96-bit nonce, a suite byte first.

sealed = 0x01 ‖ nonce (12) ‖ ciphertext ‖ tag (16). The associated data is always a PAE made by the caller; sealing
without any is not offered. The plaintext is padded to 64-byte steps, so a size says little.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.crypto.encoding import pad, unpad
from vault.errors import IntegrityError
from vault.values import RandomBytes

SUITE_AES_256_GCM = 1
NONCE = 12
TAG = 16
_SUITE = bytes((SUITE_AES_256_GCM,))
_BODY = 1 + NONCE


class Sealer:
    """Seals and opens under one 32-byte key. Keep the object: building it costs more than a seal."""

    __slots__ = ("_cipher", "_random")

    def __init__(self, key: bytes, random: RandomBytes = os.urandom) -> None:
        self._cipher = AESGCM(key)
        self._random = random

    def seal(self, message: bytes, aad: bytes) -> bytes:
        """Pad and seal a message, bound to its associated data."""
        nonce = self._random(NONCE)
        return _SUITE + nonce + self._cipher.encrypt(nonce, pad(message), aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Open what ``seal`` made. Raises IntegrityError."""
        if len(sealed) < _BODY + TAG:
            raise IntegrityError("a sealed message is cut short")
        if sealed[0] != SUITE_AES_256_GCM:
            raise IntegrityError(f"a sealed message names the unknown suite {sealed[0]}")
        try:
            return unpad(self._cipher.decrypt(sealed[1:_BODY], sealed[_BODY:], aad))
        except InvalidTag:
            raise IntegrityError("a sealed message was altered or moved") from None
