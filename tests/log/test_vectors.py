"""Known answers: the verifier that doesn't know vault, and vault that doesn't know the verifier, say the same of each."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.log.samples import any_session
from tests.support import ROOT, Files, make_vault, tampering
from tests.vectors.primitives import SECRETS, primitives
from tests.vectors.verifier import plain
from vault.context import Places, open_context
from vault.crypto.aead import Sealer
from vault.crypto.encoding import pae, u64, unpad
from vault.crypto.keys import VaultKeys, WrappedEpoch, derive
from vault.crypto.keyslots import KINDS, RECOVERY, Slot, open_slot, parse_recovery_code, slot_digest
from vault.errors import InputError, IntegrityError, WrongKey
from vault.events.credentials import encode_credential
from vault.log.anchor import Anchor
from vault.log.database import Database
from vault.log.records import Row
from vault.log.sealing import Sealing
from vault.log.slots import read_slots
from vault.projections.verify import verify
from vault.unlock import Ways

VECTORS = ROOT / "tests" / "vectors"
VERIFIER = VECTORS / "verifier.py"
Case = dict[str, Any]


def cases(*names: str) -> list[Any]:
    """The cases of some files, each with an id."""
    found = []
    for name in names:
        content = json.loads((VECTORS / f"{name}.json").read_text())
        found += [pytest.param(case, id=f"{name}: {case['name']}") for case in content["cases"]]
    return found


def verifier(*arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run the verifier as anybody would, cut off from this tree and from the user's packages."""
    command = [sys.executable, "-I", VERIFIER, *arguments]
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)


def test_the_verifier_is_short_and_does_not_know_vault() -> None:
    source = VERIFIER.read_text()
    assert len(source.splitlines()) < 270
    nodes = list(ast.walk(ast.parse(source)))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in imported}
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}
    script = f"import runpy, sys; runpy.run_path({str(VERIFIER)!r}); print([m for m in sys.modules if 'vault' in m])"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_verifier_holds_every_vector() -> None:
    done = verifier()
    assert (done.returncode, done.stderr) == (0, "")
    count = sum(len(json.loads(file.read_text())["cases"]) for file in VECTORS.glob("*.json"))
    assert done.stdout == f"{count} vectors hold\n"


def test_the_verifier_refuses_a_wrong_vector(tmp_path: Path) -> None:
    shutil.copy(VERIFIER, tmp_path)
    content = json.loads((VECTORS / "encoding.json").read_text())
    content["cases"][0]["outcome"]["gives"] += "00"
    (tmp_path / "encoding.json").write_text(json.dumps(content))
    done = subprocess.run([sys.executable, "-I", tmp_path / "verifier.py"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("bad: encoding.json, PAE of []")


def _anchor(tmp_path: Path) -> Callable[..., Any]:
    def read(key: bytes, vault_id: bytes, content: bytes) -> list[Any]:
        path = tmp_path / "anchor"
        path.write_bytes(content)
        mark = Anchor(path, vault_id, key).read()
        if mark is None:
            raise IntegrityError("no mark")
        return list(mark)

    return read


def _epoch(root: bytes, vault_id: bytes, number: int, audit: bytes, secret: bytes) -> dict[str, bytes]:
    keys = VaultKeys.from_root(vault_id, root, [WrappedEpoch(number, audit, secret)])
    return {"chain": keys.current.chain, "anchor": keys.anchor}


def _payload(root: bytes, vault_id: bytes, epochs: list[Any], key: list[Any], row: list[Any]) -> Any:
    keys = VaultKeys.from_root(vault_id, root, [WrappedEpoch(*e) for e in epochs])

    def key_of(identity: bytes, stream: bytes) -> bytes:
        if key[:2] != [identity, stream]:
            raise IntegrityError("another profile's key")
        return keys.unwrap_profile_key(key[3], stream, identity, key[2])

    return json.loads(Sealing(keys).open_credential(Row(*row), key_of))


@pytest.mark.parametrize("case", cases("encoding", "sealing", "keys", "slots", "anchor", "credentials"))
def test_vault_gives_the_known_answer(case: Case, tmp_path: Path) -> None:
    calls: dict[str, Callable[..., Any]] = {
        "pae": pae,
        "u64": u64,
        "unpad": unpad,
        "unseal": lambda key, sealed, aad: Sealer(key).open(sealed, aad),
        "derive": derive,
        "open_epoch": _epoch,
        "open_slot": lambda vault_id, *slot: open_slot(Slot(*slot[:-1]), slot[-1], vault_id),
        "slot_row": lambda vault_id, *slot: slot_digest(Slot(*slot), vault_id),
        "recovery_bytes": parse_recovery_code,
        "anchor": _anchor(tmp_path),
        "read_payload": _payload,
    }
    arguments, outcome = plain(case["with"]), plain(case["outcome"])
    if "fails" in outcome:
        expected_error = {"wrong secret": WrongKey}.get(outcome["fails"], (IntegrityError, InputError))
        with pytest.raises(expected_error):
            calls[case["call"]](*arguments)
    else:
        answer, expected = calls[case["call"]](*arguments), outcome["gives"]
        if case["call"] == "open_epoch":
            expected = {name: expected[name] for name in answer}
        assert answer == expected


def test_vault_still_writes_the_same_bytes(tmp_path: Path) -> None:
    primitives(tmp_path)
    written = sorted(file.name for file in tmp_path.iterdir())
    assert written == ["anchor.json", "encoding.json", "keys.json", "names.json", "sealing.json", "slots.json"]
    for name in written:
        assert (tmp_path / name).read_bytes() == (VECTORS / name).read_bytes(), name


@pytest.fixture
def tiny(tmp_path: Path) -> Places:
    """A copy of the committed vault, with its anchor where vault looks for it."""
    places = Places(tmp_path / "vault.db", tmp_path / "state")
    shutil.copy(VECTORS / "vault.db", places.database)
    places.state.mkdir()
    database = Database(places.database)
    vault_id, _, _ = read_slots(database)
    database.close()
    shutil.copy(VECTORS / "vault.anchor", places.anchor(vault_id))
    return places


def test_the_committed_vault_opens_and_verifies(tiny: Places) -> None:
    done = verifier(VECTORS / "vault.db", VECTORS / "vault.key", VECTORS / "vault.anchor")
    assert (done.returncode, done.stderr) == (0, "")
    known = {case.values[0]["name"]: case.values[0]["outcome"] for case in cases("credentials")}
    with open_context(tiny, Ways({"VAULT_KEY_FILE": str(VECTORS / "vault.key")})) as context:
        verified = verify(context.store, context.projections)
        assert (verified.events, verified.credentials, verified.anchored) == (13, 5, True)
        assert context.keys.epochs == [1, 2]
        assert [r.version for r in context.store.read([13])] == [1]
        for position in (3, 4, 5, 9, 13):
            credential = json.loads(encode_credential(context.store.credential(position)))
            assert credential == known[f"credential at {position}"]["gives"]
        newest = context.queries.profile("main", "anthropic:default")
        assert newest is not None
        held = (newest.current, newest.previous)
        assert [h.position for h in held if h is not None] == [3, 5]


def test_every_kind_of_slot_opens_the_committed_vault(tiny: Places) -> None:
    database = Database(tiny.database)
    vault_id, slots, epochs = read_slots(database)
    database.close()
    assert {slot.kind for slot in slots} == set(KINDS)
    roots = {open_slot(slot, SECRETS[slot.kind], vault_id) for slot in slots}
    assert len(roots) == 1
    VaultKeys.from_root(vault_id, *roots, epochs)
    assert len(SECRETS[RECOVERY]) == 20


def test_the_verifier_reads_a_vault_in_use(tmp_path: Path) -> None:
    files = Files(tmp_path)
    with make_vault(tmp_path) as context:
        any_session(context)
        assert files.database.with_name("vault.db-wal").stat().st_size > 0
        done = verifier(files.database, files.key_file, files.anchor)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "12 records, 4 profile keys and 7 read models are whole\n"


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE events SET header = zeroblob(length(header)) WHERE position = 3", "bad: position 3 was altered\n"),
        ("DELETE FROM events WHERE position = 6", "bad: position 6 is missing\n"),
        ("DELETE FROM events WHERE position = 12", "bad: the log is not the one the anchor has seen\n"),
        ("DELETE FROM profile_keys", "bad: position 3 holds a credential whose key is gone\n"),
        ("UPDATE epochs SET secret = audit", "bad: altered or moved\n"),
        ("UPDATE read_models SET position = position - 1", "bad: altered or moved\n"),
        ("DELETE FROM read_models WHERE model = 'agents'", "bad: a read model is old\n"),
        ("DELETE FROM history_index WHERE position = 5", "bad: a row is missing before position 6\n"),
        ("DELETE FROM history_index WHERE position = 12", "bad: the history index lacks rows\n"),
        ("UPDATE key_slots SET commitment = zeroblob(32)", "bad: wrong secret\n"),
    ],
)
def test_the_verifier_refuses_a_changed_vault(statement: str, problem: str, tmp_path: Path) -> None:
    files = Files(tmp_path)
    with make_vault(tmp_path) as context:
        any_session(context)
    with tampering(files.database) as connection:
        connection.execute(statement)
    done = verifier(files.database, files.key_file, files.anchor)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", problem)
