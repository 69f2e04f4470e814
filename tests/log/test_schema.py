"""A file whose schema isn't what vault made: refused before anything is read, written or handed out, whatever was put in."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.log.damage import BENT, bend_index, copied, first_bad
from tests.log.samples import issue, login
from tests.support import Files, tampering
from vault.context import Context
from vault.errors import IntegrityError
from vault.log.schema import EXPECTED, TABLES, TRIGGERS, strange
from vault.projections.verify import verify

PROFILE = "anthropic:default"
IGNORES = "CREATE TRIGGER x BEFORE INSERT ON {} BEGIN SELECT RAISE(IGNORE); END"
UNDOES = {
    "events": "CREATE TRIGGER x AFTER INSERT ON events BEGIN DELETE FROM events WHERE position = NEW.position; END",
    "profile_keys": "CREATE TRIGGER x AFTER INSERT ON profile_keys BEGIN DELETE FROM profile_keys WHERE id = NEW.id; END",
    "key_slots": "CREATE TRIGGER x BEFORE DELETE ON key_slots BEGIN SELECT RAISE(IGNORE); END",
    "read_models": "CREATE TRIGGER x BEFORE UPDATE ON read_models BEGIN SELECT RAISE(IGNORE); END",
    "history_index": (
        "CREATE TRIGGER x AFTER INSERT ON history_index BEGIN DELETE FROM history_index WHERE position = NEW.position; END"
    ),
    "commands": "CREATE TRIGGER x AFTER INSERT ON commands BEGIN DELETE FROM commands WHERE command = NEW.command; END",
}
STRANGE = {
    **{f"ignores {table}": IGNORES.format(table) for table in TABLES},
    **{f"undoes {table}": sql for table, sql in UNDOES.items()},
    "view": "CREATE VIEW x AS SELECT position FROM events",
    "table": "CREATE TABLE x (y)",
    "virtual table": "CREATE VIRTUAL TABLE x USING fts5(y)",
    "index": "CREATE INDEX x ON events (epoch)",
    "partial index": "CREATE UNIQUE INDEX x ON events (epoch) WHERE position < 0",
    "statistics": "ANALYZE",
    "generated column": "ALTER TABLE commands ADD COLUMN x INTEGER GENERATED ALWAYS AS (first + 1) VIRTUAL",
    "column": "ALTER TABLE epochs ADD COLUMN x INTEGER",
    "index gone": "DROP INDEX history_by_kind",
    "table gone": "DROP TABLE commands",
    **{f"trigger {name} gone": f"DROP TRIGGER {name}" for name in TRIGGERS},
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_file_with_anything_vault_did_not_make_is_refused(name: str, whole: Files) -> None:
    """Nothing is handed out, nothing acknowledged, and verify doesn't call it whole."""
    with copied(whole) as files:
        with closing(sqlite3.connect(files.database)) as connection:
            connection.execute(STRANGE[name])
            connection.commit()
        for opened in (files.open, files.open_unchecked):
            with pytest.raises(IntegrityError, match=r"is gone|vault made|there twice") as caught:
                opened()
            assert (caught.value.exit_status, bool(caught.value.hint)) == (80, True)


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_put_in_under_an_open_vault_is_refused_at_its_next_step(name: str, whole: Files) -> None:
    with copied(whole) as files, files.open() as context:
        before = context.store.head()
        with closing(sqlite3.connect(files.database)) as connection:
            connection.execute(STRANGE[name])
            connection.commit()
        for step in (
            lambda: context.store.append([issue("main", PROFILE)], context.cause()),
            lambda: context.store.append([login("main", PROFILE, "fake-new")], context.cause(command="fake-id")),
            lambda: context.queries.profile("main", PROFILE),
            lambda: context.store.credential(3),
            lambda: verify(context.store, context.projections),
        ):
            with pytest.raises(IntegrityError):
                step()
        with closing(sqlite3.connect(files.database)) as connection:
            assert connection.execute("SELECT max(position) FROM events").fetchone() == (before.position,)


def test_a_constraint_that_swallows_conflicts_is_not_the_one_vault_made(whole: Files) -> None:
    with copied(whole) as files:
        with tampering(files.database) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = replace(sql, 'UNIQUE (mac)', 'UNIQUE (mac) ON CONFLICT IGNORE') "
                "WHERE name = 'events'"
            )
        with pytest.raises(IntegrityError, match="the table events is not the one vault made"):
            files.open()


def swallowing(context: Context, sql: str) -> None:
    """Put a trigger into the connection itself, where no comparison of the file's schema can see it."""
    context.database.connection.execute(
        sql.replace("CREATE TRIGGER x", "CREATE TEMP TRIGGER x").replace(" ON ", " ON main.", 1)
    )


@pytest.mark.parametrize("table", ["events", "profile_keys", "read_models", "history_index", "commands", "checkpoints"])
@pytest.mark.parametrize("how", ["ignores", "undoes"])
def test_an_append_proves_that_its_rows_are_there(how: str, table: str, whole: Files) -> None:
    """Even where the schema couldn't tell: what was swallowed isn't acknowledged, and nothing of it stays."""
    sql = IGNORES.format(table) if how == "ignores" else UNDOES.get(table, "")
    if table == "checkpoints":
        sql = "CREATE TRIGGER x BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(IGNORE); END"
    with copied(whole) as files:
        with files.open() as context:
            before = context.store.head()
            swallowing(context, sql)
            with pytest.raises(IntegrityError) as caught:
                context.store.append([login("main", PROFILE, "fake-new")], context.cause(command="fake-id"))
            assert caught.value.exit_status == 80
        with files.open() as context:
            assert context.store.head() == before
            verify(context.store, context.projections)
            assert len(context.store.append([login("main", PROFILE, "fake")], context.cause(command="fake-id"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET position = position + 100 WHERE position = NEW.position",
        "INSERT INTO commands VALUES (x'00', 1, 1)",
    ],
)
def test_an_append_notices_what_a_trigger_adds_or_changes(change: str, whole: Files) -> None:
    with copied(whole) as files, files.open() as context:
        context.database.connection.execute("DROP TRIGGER IF EXISTS temp.x")
        swallowing(context, f"CREATE TRIGGER x AFTER INSERT ON events BEGIN {change}; END")
        with pytest.raises(IntegrityError):
            context.store.append([issue("main", PROFILE)], context.cause())


def test_the_expected_schema_is_the_migrated_one(whole: Files) -> None:
    with copied(whole) as files, closing(sqlite3.connect(files.database)) as connection:
        assert strange(connection) == ""
        assert len(EXPECTED) == connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


@pytest.mark.parametrize("name", BENT)
def test_verify_compares_every_index_with_its_table(name: str, whole: Files) -> None:
    """An index that misses a row: SQLite doesn't notice when it reads."""
    with copied(whole) as files:
        bend_index(files, name)
        status, _ = first_bad(files)
        assert status == 80
