"""Vectors that depend on no stored vault: the same bytes in every run, for ever."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support import seeded
from tests.vectors.cases import Case, fails, flipped, gives, write
from vault.crypto.aead import Sealer
from vault.crypto.encoding import pad, pae, u64
from vault.crypto.keys import VaultKeys, derive, new_epoch
from vault.crypto.keyslots import (
    COMMAND,
    KEY_FILE,
    KEYRING,
    PASSPHRASE,
    RECOVERY,
    make_slot,
    new_recovery_code,
    parse_recovery_code,
    slot_digest,
)
from vault.log.anchor import Anchor

VAULT_ID = bytes(range(16))
ROOT = bytes(range(32, 64))
CHEAP = {"m": 19 * 1024, "t": 1, "p": 1}
SECRETS = {
    KEY_FILE: b"fake-key-file-0123456789abcdef0123456789",
    COMMAND: b"fake-command-key-0123456789abcdef012345",
    KEYRING: bytes(range(100, 132)),
    PASSPHRASE: "fake pässphrase".encode(),
    RECOVERY: bytes(range(20)),
}
AUDIT = ("header", "chain", "state", "index", "fingerprint", "anchor", "heads", "history")


def encoding() -> Iterator[Case]:
    lists: list[list[bytes]] = [[], [b""], [b"", b""], [b"a", b"bc"], [b"ab", b"c"], [b"\0" * 9], [bytes(range(256))]]
    for parts in lists:
        yield gives(f"PAE of {[len(p) for p in parts]} bytes", "pae", list(parts), pae(*parts))
    for number in (0, 1, 255, 2**32, 2**63, 2**64 - 1):
        yield gives(f"u64 {number}", "u64", [number], u64(number))
    for number in (-1, 2**64):
        yield fails(f"u64 {number}", "u64", [number], "a number is out of range")
    for length in (0, 1, 59, 60, 61, 124, 300):
        message = Random(length).randbytes(length)
        yield gives(f"padding of {length} bytes", "unpad", [pad(message)], message)
    broken = {
        "no bytes": b"",
        "not a multiple of 64": pad(b"x")[:-1],
        "one step too many": pad(b"x") + bytes(64),
        "a length beyond the end": (61).to_bytes(4, "big") + bytes(60),
        "a byte after the message": pad(b"x")[:-1] + b"\1",
        "a huge length": b"\xff" * 4 + bytes(60),
    }
    for name, framed in broken.items():
        yield fails(name, "unpad", [framed], "broken padding")


def sealing() -> Iterator[Case]:
    key, nonce, aad = bytes(range(32)), bytes(range(12)), pae(b"vault/test/v1", b"place")
    for message in (b"", b"fake secret", bytes(60), bytes(61)):
        sealed = Sealer(key, lambda n: nonce[:n]).seal(message, aad)
        yield gives(f"a message of {len(message)} bytes", "unseal", [key, sealed, aad], message)
    sealed = Sealer(key, lambda n: nonce[:n]).seal(b"fake secret", aad)
    altered = "altered or moved"
    yield fails("other associated data", "unseal", [key, sealed, pae(b"vault/test/v1", b"other")], altered)
    yield fails("no associated data", "unseal", [key, sealed, b""], altered)
    yield fails("another key", "unseal", [bytes(32), sealed, aad], altered)
    yield fails("a flipped bit of the nonce", "unseal", [key, flipped(sealed, 1), aad], altered)
    yield fails("a flipped bit of the ciphertext", "unseal", [key, flipped(sealed, 13), aad], altered)
    yield fails("a flipped bit of the tag", "unseal", [key, flipped(sealed, -1), aad], altered)
    yield fails("cut by a byte", "unseal", [key, sealed[:-1], aad], altered)
    yield fails("cut to less than a tag", "unseal", [key, sealed[:28], aad], "cut short")
    yield fails("nothing", "unseal", [key, b"", aad], "cut short")
    for suite in (0, 2, 255):
        yield fails(f"suite {suite}", "unseal", [key, bytes([suite]) + sealed[1:], aad], "unknown suite")
    unpadded = b"\1" + nonce + AESGCM(key).encrypt(nonce, b"not padded", aad)
    yield fails("a message sealed without padding", "unseal", [key, unpadded, aad], "broken padding")
    empty = b"\1" + nonce + AESGCM(key).encrypt(nonce, b"", aad)
    yield fails("nothing sealed, without padding", "unseal", [key, empty, aad], "broken padding")


def keys() -> Iterator[Case]:
    for purpose in ("audit-branch", "secret-branch", "wrap-key", *(f"{name}-key" for name in AUDIT)):
        yield gives(purpose, "derive", [ROOT, f"vault/{purpose}/v1"], derive(ROOT, f"vault/{purpose}/v1"))
    rows = []
    for number in (1, 2):
        rows.append(row := new_epoch(ROOT, VAULT_ID, number, seeded(f"epoch {number}")))
        audit, secret = epoch_secrets(number)
        inner = {name: derive(audit, f"vault/{name}-key/v1") for name in AUDIT}
        inner["wrap"] = derive(secret, "vault/wrap-key/v1")
        yield gives(f"epoch {number}", "open_epoch", [ROOT, VAULT_ID, number, row.audit, row.secret], inner)
    first = rows[0]
    altered = "altered or moved"
    yield fails("another number", "open_epoch", [ROOT, VAULT_ID, 2, first.audit, first.secret], altered)
    yield fails("branches swapped", "open_epoch", [ROOT, VAULT_ID, 1, first.secret, first.audit], altered)
    yield fails("another vault", "open_epoch", [ROOT, bytes(16), 1, first.audit, first.secret], altered)
    yield fails("another root key", "open_epoch", [bytes(32), VAULT_ID, 1, first.audit, first.secret], altered)
    yield fails(
        "a negative number", "open_epoch", [ROOT, VAULT_ID, -1, first.audit, first.secret], "a number is out of range"
    )


def epoch_secrets(number: int) -> tuple[bytes, bytes]:
    """What ``new_epoch`` draws: the audit key, a nonce, the secret key."""
    random = seeded(f"epoch {number}")
    audit, _, secret = random(32), random(12), random(32)
    return audit, secret


def names() -> Iterator[Case]:
    """Fingerprints and blind index values: the first bytes of a keyed hash."""
    epoch = new_epoch(ROOT, VAULT_ID, 1, seeded("epoch 1"))
    audit, _ = epoch_secrets(1)
    vault = VaultKeys.from_root(VAULT_ID, ROOT, [epoch])
    index, prints = derive(audit, "vault/index-key/v1"), derive(audit, "vault/fingerprint-key/v1")
    for purpose, name in [
        *[("stream", n) for n in ("vault", "agents", "profile/main/openai:näme", "rotation/main/openai")],
        *[("agent", ""), ("agent", "main"), ("provider", "openai"), ("profile", "openai:default")],
        *[("kind", "profile_logged_in"), ("actor", "fake-user"), ("program", "fake"), ("command", "fake-id")],
    ]:
        answer = vault.blind(purpose, name)
        yield gives(f"blind {purpose} {name!r}", "short", [index, 16, "vault/index/v1", purpose, name], answer)
    for secret in ("", "fake-key-anthropic-1", "fäke"):
        answer = bytes.fromhex(vault.fingerprint(secret))
        yield gives(f"fingerprint of {secret!r}", "short", [prints, 8, "vault/fingerprint/v1", secret], answer)


def slots() -> Iterator[Case]:
    made = {}
    for number, (kind, secret) in enumerate(SECRETS.items(), start=1):
        slot = make_slot(number, kind, secret, ROOT, VAULT_ID, seeded(kind), CHEAP)
        made[kind] = row = [VAULT_ID, number, kind, slot.parameters, slot.wrapped, slot.commitment]
        yield gives(kind, "open_slot", [*row, secret], ROOT)
        yield fails(f"{kind}, another secret", "open_slot", [*row, secret + b"x"], "wrong secret")
        yield gives(f"{kind}, the digest of its row", "slot_row", row, slot_digest(slot, VAULT_ID))
    standard = make_slot(9, PASSPHRASE, SECRETS[PASSPHRASE], ROOT, VAULT_ID, seeded("standard"))
    row = [VAULT_ID, 9, PASSPHRASE, standard.parameters, standard.wrapped, standard.commitment]
    yield gives("passphrase, 64 MiB", "open_slot", [*row, SECRETS[PASSPHRASE]], ROOT)

    def changed(kind: str, place: int, value: Any) -> list[Any]:
        return [*made[kind][:place], value, *made[kind][place + 1 :], SECRETS[kind]]

    file = made[KEY_FILE]
    yield fails("another vault", "open_slot", changed(KEY_FILE, 0, bytes(16)), "wrong secret")
    yield fails("another number", "open_slot", changed(KEY_FILE, 1, 7), "wrong secret")
    yield fails("a negative number", "open_slot", changed(KEY_FILE, 1, -1), "a number is out of range")
    yield fails("another kind", "open_slot", changed(KEY_FILE, 2, COMMAND), "wrong secret")
    yield fails("an unknown kind", "open_slot", changed(KEY_FILE, 2, "key-fill"), "unknown slot")
    yield fails("a blank in the parameters", "open_slot", changed(KEY_FILE, 3, file[3] + b" "), "wrong secret")
    yield fails("a short salt", "open_slot", changed(KEY_FILE, 3, b'{"salt":"00"}'), "unknown slot")
    yield fails("no salt", "open_slot", changed(KEY_FILE, 3, b"{}"), "unreadable parameters")
    yield fails("no JSON", "open_slot", changed(KEY_FILE, 3, b"{"), "unreadable parameters")
    yield fails("JSON nested deeply", "open_slot", changed(KEY_FILE, 3, b"[" * 4000), "unreadable parameters")
    yield fails("an altered key", "open_slot", changed(KEY_FILE, 4, flipped(file[4], 20)), "altered or moved")
    yield fails("an altered commitment", "open_slot", changed(KEY_FILE, 5, flipped(file[5], 0)), "wrong secret")
    for name, value in [("m", 2**21), ("m", 8), ("m", 1e5), ("t", 65), ("t", 0), ("p", 17), ("p", True), ("m", None)]:
        parameters = json.loads(made[PASSPHRASE][3]) | {name: value}
        if value is None:
            del parameters[name]
        hostile = json.dumps(parameters, sort_keys=True, separators=(",", ":")).encode()
        yield fails(
            f"Argon2id {name}={value}", "open_slot", changed(PASSPHRASE, 3, hostile), "KDF parameters out of bounds"
        )
    costly = json.loads(made[PASSPHRASE][3]) | {"m": 1024 * 1024, "t": 9}
    hostile = json.dumps(costly, sort_keys=True, separators=(",", ":")).encode()
    yield fails("Argon2id m·t", "open_slot", changed(PASSPHRASE, 3, hostile), "KDF parameters out of bounds")
    code = new_recovery_code(lambda n: SECRETS[RECOVERY][:n])
    yield gives("recovery code", "recovery_bytes", [code], parse_recovery_code(code))
    sloppy = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    yield gives("recovery code, typed sloppily", "recovery_bytes", [sloppy], parse_recovery_code(code))
    typo = ("1" if code[0] == "0" else "0") + code[1:]
    yield fails("recovery code, one wrong", "recovery_bytes", [typo], "recovery code with a typing error")
    yield fails("recovery code, cut", "recovery_bytes", [code[:-1]], "not a recovery code")
    yield fails("recovery code, a U", "recovery_bytes", ["U" + code[1:]], "not a recovery code")


def anchors() -> Iterator[Case]:
    key = bytes(range(64, 96))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        anchor = Anchor(path, VAULT_ID, key)
        contents, macs = [], [bytes([n]) * 32 for n in range(1, 4)]
        for position, mac in enumerate(macs, start=1):
            anchor.write(position, mac)
            contents.append(path.read_bytes())
        anchor.close()
    for position, (content, mac) in enumerate(zip(contents, macs, strict=True), start=1):
        yield gives(f"after {position} writes", "anchor", [key, VAULT_ID, content], [position, mac])
    newest = contents[-1]
    torn = [newest[:150], flipped(newest, 40), flipped(newest, 130)]
    expected = [[3, macs[2]], [2, macs[1]], [3, macs[2]]]
    for name, content, mark in zip(("second cut", "first damaged", "second damaged"), torn, expected, strict=True):
        yield gives(f"{name}: the other record counts", "anchor", [key, VAULT_ID, content], mark)
    nothing = "no whole record in the anchor"
    yield fails("both damaged", "anchor", [key, VAULT_ID, flipped(flipped(newest, 0), 191)], nothing)
    yield fails("empty", "anchor", [key, VAULT_ID, b""], nothing)
    yield fails("another vault", "anchor", [key, bytes(16), newest], nothing)
    yield fails("another key", "anchor", [bytes(32), VAULT_ID, newest], nothing)


def primitives(folder: Path) -> None:
    """Everything that depends on no stored vault: the same bytes in every run, for ever."""
    write(folder, "encoding", "PAE, eight-byte integers, padding", encoding())
    write(folder, "sealing", "AES-256-GCM with a suite byte, a nonce and associated data", sealing())
    write(folder, "keys", "purposes, and epochs wrapped by the branches of a root key", keys())
    write(folder, "names", "fingerprints and blind index values", names())
    write(folder, "slots", "every kind of key slot, and recovery codes", slots())
    write(folder, "anchor", "the head anchor's file", anchors())
