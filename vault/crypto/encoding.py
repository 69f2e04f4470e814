"""Canonical bytes: pre-authentication encoding, integers, padding. Nothing here needs a key.

PAE(p1 … pn) = LE64(n) ‖ LE64(|p1|) ‖ p1 ‖ … (the encoding of PASETO, section "Authentication Padding"): no two
different lists of parts share an encoding, so nothing authenticated can be moved from one field to another.
"""

from __future__ import annotations

from vault.errors import IntegrityError

PAD_STEP = 64
_ZEROS = tuple(bytes(count) for count in range(PAD_STEP))
_LENGTHS = tuple(count.to_bytes(8, "little") for count in range(256))


def pae(*parts: bytes) -> bytes:
    """Pre-authentication encoding of the parts."""
    out = [len(parts).to_bytes(8, "little")]
    for part in parts:
        length = len(part)
        out += (_LENGTHS[length] if length < 256 else length.to_bytes(8, "little"), part)
    return b"".join(out)


def u64(number: int) -> bytes:
    """A non-negative integer as eight big-endian bytes. Raises IntegrityError for a number that has no such form."""
    try:
        return number.to_bytes(8, "big")
    except OverflowError:
        raise IntegrityError("a stored number is out of range") from None


def pad(message: bytes) -> bytes:
    """Four big-endian bytes of length, the message, zeros up to a multiple of 64 bytes."""
    length = len(message)
    return length.to_bytes(4, "big") + message + _ZEROS[-(4 + length) % PAD_STEP]


def unpad(framed: bytes) -> bytes:
    """Undo ``pad``. Raises IntegrityError when the framing is not canonical."""
    end = 4 + int.from_bytes(framed[:4], "big")
    if len(framed) < end or framed[end:] != _ZEROS[-end % PAD_STEP]:
        raise IntegrityError("a sealed message has broken padding")
    return framed[4:end]
