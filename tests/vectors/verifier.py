"""docs/format.md as code: checks known answers, or a whole vault, with the standard library and ``cryptography`` alone.

python verifier.py                          every vector beside this file; they write bytes as "hex:…"
python verifier.py DB KEYFILE [ANCHOR]      a vault: epochs, chain, headers, profile keys, credentials, read models
"""

import base64
import hashlib
import hmac
import json
import sqlite3
import sys
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf import argon2, hkdf


class Bad(ValueError):
    pass


def need(holds, why):
    if not holds:
        raise Bad(why)


def pae(*parts):
    return len(parts).to_bytes(8, "little") + b"".join(len(p).to_bytes(8, "little") + p for p in parts)


def u64(number):
    need(0 <= number < 1 << 64, "a number is out of range")
    return number.to_bytes(8, "big")


def unpad(framed):
    end = 4 + int.from_bytes(framed[:4], "big")
    need(len(framed) == -(-end // 64) * 64 and not any(framed[end:]), "broken padding")
    return framed[4:end]


def unseal(key, sealed, aad):
    need(len(sealed) >= 29, "cut short")
    need(sealed[0] == 1, "unknown suite")
    try:
        return unpad(AESGCM(key).decrypt(sealed[1:13], sealed[13:], aad))
    except InvalidTag:
        raise Bad("altered or moved") from None


def derive(key, purpose):
    return hkdf.HKDFExpand(SHA256(), 32, purpose.encode()).derive(key)


def digest(key, *parts):
    return hmac.digest(key, pae(*parts), "sha256")


def open_epoch(root, vault, number, audit, secret):
    keys = {}
    audited = ("header", "chain", "state", "index", "fingerprint", "anchor", "heads", "history")
    names = {"audit": audited, "secret": ("wrap",)}
    for branch, wrapped in (("audit", audit), ("secret", secret)):
        aad = pae(b"vault/epoch/v1", vault, u64(number), branch.encode())
        opened = unseal(derive(root, f"vault/{branch}-branch/v1"), wrapped, aad)
        keys |= {name: derive(opened, f"vault/{name}-key/v1") for name in names[branch]}
    return keys


def open_slot(vault, slot, kind, parameters, wrapped, commitment, secret):
    try:
        p = json.loads(parameters)
        salt = bytes.fromhex(p["salt"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Bad("unreadable parameters") from None
    need(len(salt) == 16 and kind in ("passphrase", "keyring", "key-file", "command", "recovery"), "unknown slot")
    if kind == "passphrase":
        for name, low, high in (("m", 19456, 1048576), ("t", 1, 64), ("p", 1, 16)):
            need(type(p.get(name)) is int and low <= p[name] <= high, "KDF parameters out of bounds")
        need(p["m"] * p["t"] <= 8388608, "KDF parameters out of bounds")
        kdf = argon2.Argon2id(salt=salt, length=32, iterations=p["t"], lanes=p["p"], memory_cost=p["m"])
        secret = kdf.derive(secret)
    aad = pae(b"vault/slot/v1", vault, u64(slot), kind.encode(), parameters)
    both = hkdf.HKDF(SHA256(), 64, salt, aad).derive(secret)
    need(hmac.compare_digest(both[32:], commitment), "wrong secret")
    return unseal(both[:32], wrapped, aad)


def slot_row(vault, slot, kind, parameters, wrapped, commitment):
    place = pae(b"vault/slot/v1", vault, u64(slot), kind.encode(), parameters)
    return hashlib.sha256(pae(b"vault/slot-row/v1", place, wrapped, commitment)).hexdigest()


def check_slots(vault, headers, rows):
    known, complete = {}, False
    for header in headers:
        facts, kind = header["facts"], header["type"]
        if kind in ("vault_created", "log_verified") and facts.get("slots"):
            known |= {s["slot"]: s for s in facts["slots"]}
            complete = True
        elif kind == "key_slot_added":
            known[facts["slot"]] = facts
        elif kind == "key_slot_removed":
            known.pop(facts["slot"], None)
    there = {row[0]: (row[1], slot_row(vault, *row)) for row in rows}
    need(
        known.keys() <= there.keys() and (not complete or known.keys() == there.keys()), "key slots are gone, or added"
    )
    for number, facts in known.items():
        due = facts["slot_kind"], facts.get("digest") or there[number][1]
        need(there[number] == due, f"key slot {number} was altered")


def recovery_bytes(code):
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    text = "".join(c for c in code.upper() if c not in "- ").translate(str.maketrans("OIL", "011"))
    need(len(text) == 36 and set(text) <= set(digits), "not a recovery code")
    value = sum(digits.index(c) << 5 * (35 - i) for i, c in enumerate(text))
    raw, check = (value >> 20).to_bytes(20, "big"), value & 0xFFFFF
    right = int.from_bytes(hashlib.sha256(b"vault/recovery/v1" + raw).digest()[:3], "big") >> 4
    need(check == right, "recovery code with a typing error")
    return raw


def anchor(key, vault, content):
    marks = []
    for record in content[:96], content[96:192]:
        tag = digest(key, b"vault/anchor/v1", record[:64])
        if record[:24] == b"VLTANCH1" + vault and hmac.compare_digest(tag, record[64:]):
            marks.append([int.from_bytes(record[24:32], "big"), record[32:64]])
    need(marks, "no whole record in the anchor")
    return max(marks)


def short(key, length, label, *texts):
    return digest(key, label.encode(), *[text.encode() for text in texts])[:length]


def read_chain(root, vault, wrapped, rows):
    epochs = {row[0]: open_epoch(root, vault, *row) for row in wrapped}
    first = epochs[min(epochs)]
    previous, versions, headers = digest(first["chain"], b"vault/genesis/v1", vault), {}, []
    for due, (position, stream, version, epoch, header, payload, mac, prev) in enumerate(rows, start=1):
        need(position == due, f"position {due} is missing")
        need(epoch in epochs, f"position {due} names an unknown epoch")
        need(prev == previous and len(stream) == 16, f"position {due} is not chained to the one before it")
        hashes = (hashlib.sha256(header).digest(), b"" if payload is None else hashlib.sha256(payload).digest())
        parts = (vault, u64(position), stream, u64(version), u64(epoch), *hashes, prev)
        previous = digest(epochs[epoch]["chain"], b"vault/record/v1", *parts)
        need(hmac.compare_digest(previous, mac), f"position {due} was altered")
        versions[stream] = versions.get(stream, 0) + 1
        need(version == versions[stream], f"position {due} has another version than is due")
        place = pae(b"vault/header/v1", vault, stream, u64(version), u64(position), u64(epoch))
        headers.append(json.loads(unseal(epochs[epoch]["header"], header, place)))
        name = short(first["index"], 16, "vault/index/v1", "stream", headers[-1]["stream"])
        need(name == stream, f"position {due} is in another stream")
        need(due == 1 or headers[-1]["at"] >= headers[-2]["at"], f"position {due} was recorded too early")
    return headers


def read_payload(root, vault, wrapped, profile_key, row):
    epochs = {e[0]: open_epoch(root, vault, *e) for e in wrapped}
    (identity, owner, epoch, sealed), (position, stream, version, at_epoch, _, payload, *_) = profile_key, row
    need(payload[:16] == identity and stream == owner, "the key belongs to another profile")
    aad = pae(b"vault/profile-key/v1", vault, stream, identity, u64(epoch))
    salt, key = payload[16:32], unseal(epochs[epoch]["wrap"], sealed, aad)
    place = pae(b"vault/payload-place/v1", vault, stream, u64(version), u64(position), u64(at_epoch))
    key = hkdf.HKDF(SHA256(), 32, salt, b"vault/payload/v1").derive(key)
    return json.loads(unseal(key, payload[32:], pae(place, identity, salt)))


def total(terms):
    return (sum(int.from_bytes(term, "big") for term in terms) % (1 << 256)).to_bytes(32, "big")


def model_sum(key, vault, models):
    rows = [(m[0].encode(), m[1], u64(m[4])) for m in models if m[0] != "heads"]
    return total(digest(key, b"vault/heads/model/v1", vault, *row) for row in rows)


def history_sum(key, tag_key, vault, index):
    names, newest = ("agent", "provider", "profile", "kind", "actor", "program"), {}
    for position, *rest in index:
        subjects, counts, tag = rest[:6], rest[6:12], rest[12]
        for name, subject, nth in zip(names, subjects, counts, strict=True):
            need(nth == newest.get((name, subject), (0,))[0] + 1, f"a row is missing before position {position}")
            newest[name, subject] = (nth, position)
        message = b"".join(map(u64, (position, *counts))) + b"".join(subjects)
        need(hmac.digest(tag_key, message, "sha256")[:16] == tag, f"the row of position {position} was altered")
    places = [(name.encode(), subject, u64(nth), u64(at)) for (name, subject), (nth, at) in newest.items()]
    return total(digest(key, b"vault/heads/subject/v1", vault, *place) for place in places)


def check_database(path, secret, anchored=b""):
    mode = "mode=ro" if Path(f"{path}-wal").exists() else "immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    vault = db.execute("SELECT id FROM vault WHERE format = 1").fetchone()[0]
    slots = db.execute("SELECT slot, kind, parameters, wrapped, commitment FROM key_slots WHERE kind = 'key-file'")
    root = open_slot(vault, *slots.fetchone(), secret)
    wrapped = db.execute("SELECT epoch, audit, secret FROM epochs ORDER BY epoch").fetchall()
    epochs = {e[0]: open_epoch(root, vault, *e) for e in wrapped}
    keys = {k[0]: k for k in db.execute("SELECT id, stream, epoch, wrapped FROM profile_keys")}
    columns = "SELECT position, stream, version, epoch, header, payload, mac, prev_mac"
    rows = db.execute(f"{columns} FROM events ORDER BY position").fetchall()
    headers = read_chain(root, vault, wrapped, rows)
    check_slots(vault, headers, db.execute("SELECT * FROM key_slots").fetchall())
    for row in (row for row in rows if row[5] is not None):
        need(row[5][:16] in keys, f"position {row[0]} holds a credential whose key is gone")
        read_payload(root, vault, wrapped, keys[row[5][:16]], row)
    if anchored:
        position, mac = anchor(epochs[min(epochs)]["anchor"], vault, anchored)
        need(position <= len(rows) and rows[position - 1][6] == mac, "the log is not the one the anchor has seen")
    models = db.execute("SELECT r.*, c.model_version FROM read_models r JOIN checkpoints c USING (model)").fetchall()
    for model, key, agent, provider, position, state, version in models:
        epoch = int.from_bytes(state[:4], "big")
        place = (vault, model.encode(), u64(version), key, agent, provider, u64(position), u64(epoch))
        found = json.loads(unseal(epochs[epoch]["state"], state[4:], pae(b"vault/read-model/v1", *place)))
        if model == "heads":
            need(
                position == len(rows) and base64.b64decode(found["mac"]) == rows[-1][6], "the heads are of another head"
            )
            need(
                base64.b64decode(found["models"]) == model_sum(epochs[1]["heads"], vault, models), "a read model is old"
            )
            index = db.execute("SELECT * FROM history_index ORDER BY position, agent").fetchall()
            history = history_sum(epochs[1]["heads"], epochs[1]["history"], vault, index)
            need(base64.b64decode(found["history"]) == history, "the history index lacks rows")
    db.close()
    return f"{len(headers)} records, {len(keys)} profile keys and {len(models)} read models are whole"


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return bytes.fromhex(value[4:]) if isinstance(value, str) and value.startswith("hex:") else value


def check_vectors():
    cases = [(f, c) for f in sorted(Path(__file__).parent.glob("*.json")) for c in json.loads(f.read_text())["cases"]]
    for file, case in cases:
        try:
            outcome = {"gives": globals()[case["call"]](*plain(case["with"]))}
        except Bad as error:
            outcome = {"fails": str(error)}
        need(outcome == plain(case["outcome"]), f"{file.name}, {case['name']}: {outcome}")
    return f"{len(cases)} vectors hold"


if __name__ == "__main__":
    files = [Path(argument) for argument in sys.argv[1:]]
    try:
        contents = [file.read_bytes() for file in files[1:]]
        print(check_database(files[0], contents[0].strip(), *contents[1:]) if files else check_vectors())
    except (ValueError, sqlite3.Error) as problem:
        sys.exit(f"bad: {problem}")
