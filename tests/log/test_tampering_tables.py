"""Every other table changed by somebody without keys. What is wrong is refused, and the hint says how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.log.damage import BYTES, MASKS, copied, first_bad, flip
from tests.log.samples import login, order
from tests.support import KEY, Files, tampering
from vault.context import Context
from vault.crypto.keyslots import open_slot
from vault.errors import IntegrityError, VaultError, WrongKey
from vault.log.database import Database
from vault.log.slots import read_slots
from vault.projections.history import COLUMNS
from vault.projections.replay import rebuild
from vault.projections.verify import verify

DERIVED = {
    "read_models": ("model", "key", "agent", "provider", "position", "state"),
    "history_index": tuple(COLUMNS.split(", ")),
    "commands": ("command", "first", "last"),
    "checkpoints": ("model", "model_version", "position"),
}
REST = "agent, provider, position, state"
ROWS = st.integers(0, 100)


def nth(files: Files, table: str, number: int) -> str:
    """A condition that picks one row of a table."""
    database = Database(files.database)
    columns = {"history_index": "position, agent", "commands": "command"}.get(table, "rowid")
    rows = database.connection.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}").fetchall()
    database.close()
    row, names = rows[number % len(rows)], columns.split(", ")
    parts = (f"x'{v.hex()}'" if isinstance(v, bytes) else str(v) for v in row)
    return " AND ".join(f"{name} = {part}" for name, part in zip(names, parts, strict=True))


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in DERIVED for column in DERIVED[table]])
@settings(max_examples=6)
@given(row=ROWS, byte=BYTES, mask=MASKS)
def test_any_byte_of_a_projection(table: str, column: str, row: int, byte: int, mask: int, whole: Files) -> None:
    """Verify refuses it and says that the log is whole; a rebuild mends it and tells what it found."""
    with copied(whole) as files:
        where = nth(files, table, row)
        with tampering(files.database) as connection:
            assume(flip(connection, table, column, where, byte, mask))
        status, _ = first_bad(files)
        assert status == 80
        with files.open_unchecked() as context:
            _, differences = rebuild(context.store, context.projections)
            assert differences
            verify(context.store, context.projections)


@pytest.mark.parametrize("table", DERIVED)
def test_a_row_of_a_projection_dropped(table: str, whole: Files) -> None:
    for number in (0, 1, -1):
        with copied(whole) as files:
            where = nth(files, table, number)
            with tampering(files.database) as connection:
                connection.execute(f"DELETE FROM {table} WHERE {where}")
            assert first_bad(files)[0] == 80


def test_a_row_of_each_projection_added(whole: Files) -> None:
    for statement in (
        f"INSERT INTO read_models SELECT model, zeroblob(16), {REST} FROM read_models WHERE model <> 'heads' LIMIT 1",
        f"INSERT INTO read_models SELECT 'x', key, {REST} FROM read_models WHERE model <> 'heads' LIMIT 1",
        f"INSERT INTO history_index SELECT {COLUMNS.replace('agent', 'zeroblob(16)', 1)} "
        "FROM history_index WHERE position = 5",
        f"INSERT INTO history_index SELECT {COLUMNS.replace('position', '13')} FROM history_index WHERE position = 12",
        "INSERT INTO commands VALUES (zeroblob(16), 4, 4)",
        "INSERT INTO checkpoints VALUES ('x', 1, 12)",
    ):
        with copied(whole) as files:
            with tampering(files.database) as connection:
                connection.execute(statement)
            assert first_bad(files)[0] == 80, statement


Ask = Callable[[Context], Any]


@pytest.mark.parametrize("column", DERIVED["read_models"])
@settings(max_examples=6)
@given(byte=BYTES, mask=MASKS)
def test_queries_refuse_an_altered_read_model(column: str, byte: int, mask: int, whole: Files) -> None:
    asks: dict[str, Ask] = {
        "profile": lambda c: c.queries.profile("main", "anthropic:default"),
        "rotation": lambda c: c.queries.rotation("main", "anthropic").order,
    }
    with copied(whole) as files:
        with files.open_unchecked() as context:
            stream = context.store.sealing.stream_id
        for name, id_ in (("profile", "profile/main/anthropic:default"), ("rotation", "rotation/main/anthropic")):
            with copied(whole) as damaged:
                with tampering(damaged.database) as connection:
                    where = f"key = x'{stream(id_).hex()}'"
                    assume(flip(connection, "read_models", column, where, byte, mask))
                with damaged.open_unchecked() as context, pytest.raises(IntegrityError) as caught:
                    asks[name](context)
                assert caught.value.exit_status == 80


def test_an_older_row_put_back(whole: Files) -> None:
    """A read model's row as it was before the newest event is not taken for the present."""
    with copied(whole) as files:
        with files.open_unchecked() as context:
            stored = context.database.connection.execute("SELECT * FROM read_models").fetchall()
            newer = [login("main", "anthropic:default", "fake-key-3"), order("main", "anthropic", "anthropic:default")]
            context.store.append(newer, context.cause())
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM read_models")
            connection.executemany("INSERT INTO read_models VALUES (?,?,?,?,?,?)", stored)
        assert first_bad(files)[0] == 80
        with files.open_unchecked() as context:
            asks: list[Ask] = [
                lambda c: c.queries.profile("main", "anthropic:default"),
                lambda c: c.queries.profiles("main"),
                lambda c: c.queries.rotation("main", "anthropic"),
                lambda c: c.store.append([login("main", "anthropic:default", "fake-key-4")], c.cause()),
            ]
            for ask in asks:
                with pytest.raises(IntegrityError) as caught:
                    ask(context)
                assert caught.value.exit_status == 80


def test_two_rows_of_a_read_model_swapped(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            rows = connection.execute("SELECT key, state FROM read_models WHERE model = 'profile'").fetchall()
            for (key, _), (_, state) in zip(rows, reversed(rows), strict=True):
                connection.execute("UPDATE read_models SET state = ? WHERE key = ?", (state, key))
        assert first_bad(files)[0] == 80


@pytest.mark.parametrize("column", ["id", "stream", "epoch", "wrapped"])
@settings(max_examples=6)
@given(row=ROWS, byte=BYTES, mask=MASKS)
def test_any_byte_of_a_profile_key(column: str, row: int, byte: int, mask: int, whole: Files) -> None:
    with copied(whole) as files:
        where = nth(files, "profile_keys", row)
        with tampering(files.database) as connection:
            assume(flip(connection, "profile_keys", column, where, byte, mask))
        status, position = first_bad(files)
        assert status == 80
        assert position in ((3, 4, 5, 9) if column in ("id", "stream") else (None,))
        with files.open_unchecked() as context:
            answers = []
            for place in (3, 4, 5, 9):
                try:
                    answers.append(context.store.credential(place).secret())
                except VaultError as error:
                    answers.append(error.exit_status)
        secrets = {f"fake-key-{name}" for name in ("anthropic-1", "openai-1", "anthropic-2", "openai-2")}
        assert sum(answer in secrets for answer in answers) == 3
        assert {answer for answer in answers if answer not in secrets} <= {80, 84}


def test_two_profile_keys_swapped(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            rows = connection.execute("SELECT id, wrapped FROM profile_keys ORDER BY rowid").fetchall()
            for (identity, _), (_, wrapped) in zip(rows, reversed(rows), strict=True):
                connection.execute("UPDATE profile_keys SET wrapped = ? WHERE id = ?", (wrapped, identity))
        assert first_bad(files)[0] == 80


def test_a_profile_key_dropped(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("DELETE FROM profile_keys")
        assert first_bad(files) == (80, 3)
        with files.open_unchecked() as context, pytest.raises(VaultError) as caught:
            context.store.credential(3)
        assert caught.value.exit_status == 84


@pytest.mark.parametrize(("table", "column"), [("vault", "id"), ("vault", "format")])
@settings(max_examples=10)
@given(byte=BYTES, mask=MASKS)
def test_any_byte_of_the_vaults_own_row(table: str, column: str, byte: int, mask: int, whole: Files) -> None:
    with copied(whole) as files:
        with files.open_unchecked() as context:
            with tampering(files.database) as connection:
                assert flip(connection, table, column, "rowid = 1", byte, mask)
            with pytest.raises(IntegrityError) as caught:
                verify(context.store, context.projections)
            assert caught.value.exit_status == 80
        with pytest.raises(VaultError) as refused, files.open() as again:
            verify(again.store, again.projections)
        assert refused.value.exit_status in ((77,) if column == "id" else (80, 84))


@pytest.mark.parametrize("column", ["epoch", "audit", "secret"])
@settings(max_examples=10)
@given(byte=BYTES, mask=MASKS)
def test_any_byte_of_an_epoch(column: str, byte: int, mask: int, whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            assert flip(connection, "epochs", column, "rowid = 1", byte, mask)
        with pytest.raises(IntegrityError) as caught:
            files.open()
        assert caught.value.exit_status == 80


def test_an_epoch_dropped_or_added(whole: Files) -> None:
    for statement in ("DELETE FROM epochs", "INSERT INTO epochs SELECT 2, audit, secret FROM epochs"):
        with copied(whole) as files:
            with files.open_unchecked() as context:
                with tampering(files.database) as connection:
                    connection.execute(statement)
                with pytest.raises(IntegrityError):
                    verify(context.store, context.projections)
            with pytest.raises(IntegrityError) as caught:
                files.open()
            assert caught.value.exit_status == 80


@pytest.mark.parametrize("column", ["slot", "kind", "parameters", "wrapped", "commitment"])
@settings(max_examples=15)
@given(byte=BYTES, mask=MASKS)
def test_any_byte_of_a_key_slot(column: str, byte: int, mask: int, whole: Files) -> None:
    """An altered slot opens nothing. It can't be told from a wrong key before its secret was tried."""
    with copied(whole) as files:
        with tampering(files.database) as connection:
            assert flip(connection, "key_slots", column, "rowid = 1", byte, mask)
        database = Database(files.database)
        vault_id, (slot,), _ = read_slots(database)
        database.close()
        with pytest.raises((WrongKey, IntegrityError)):
            open_slot(slot, KEY, vault_id)


@pytest.mark.parametrize("parameters", [b"", b"{}", b'{"salt":"00"}', b'{"salt":5}', b"[]", b"\xff"])
def test_verify_refuses_a_key_slot_whose_parameters_nobody_could_use(parameters: bytes, whole: Files) -> None:
    with copied(whole) as files, files.open_unchecked() as context:
        with tampering(files.database) as connection:
            connection.execute("UPDATE key_slots SET parameters = ?", (parameters,))
        with pytest.raises(IntegrityError) as caught:
            verify(context.store, context.projections)
        assert caught.value.exit_status == 80
