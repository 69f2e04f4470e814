"""A full disk: one clear error, nothing half-written, and work goes on when there is room again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.log.samples import any_session, login
from tests.log.worker import acknowledged, go, started
from tests.support import Files, make_files, make_vault
from vault.errors import StorageError
from vault.projections.replay import rebuild
from vault.projections.verify import verify


def test_a_full_database_takes_nothing_half(tmp_path: Path) -> None:
    files = Files(tmp_path)
    with make_vault(tmp_path) as context:
        any_session(context)
        connection = context.database.connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 4}")
        drafts = [login("main", f"openai:{n}", f"fake-key-{n}" * 200) for n in range(20)]
        head = context.store.head()
        before = [row for table in ("events", "profile_keys") for row in connection.execute(f"SELECT * FROM {table}")]
        with pytest.raises(StorageError, match="the disk is full") as caught:
            context.store.append(drafts, context.cause(command="fake-id"))
        assert caught.value.exit_status == 74
        after = [row for table in ("events", "profile_keys") for row in connection.execute(f"SELECT * FROM {table}")]
        assert after == before
        assert context.store.head() == head
        assert context.queries.profiles("main", "openai") == []
        assert verify(context.store, context.projections).events == 12
        connection.execute("PRAGMA max_page_count=1000000")
        assert len(context.store.append(drafts, context.cause(command="fake-id"))) == 20
    with files.open() as context:
        assert verify(context.store, context.projections).events == 32
        assert rebuild(context.store, context.projections)[1].rows == {}


@pytest.mark.parametrize("size", [250_000, 262_500, 300_001])
def test_writing_that_fails_in_the_middle(size: int, tmp_path: Path) -> None:
    """The kernel refuses to let the WAL grow, at several places of a commit."""
    files = make_files(tmp_path)
    with started(files, "fill", size) as child:
        go(child)
        said = acknowledged(child)
    *acknowledged_positions, refused, told, after = said
    count = len(acknowledged_positions)
    assert count >= 1
    assert [int(words[0]) for words in acknowledged_positions] == list(range(2, count + 2))
    assert refused == ["refused", "74", "StorageError"]
    assert told == ["head", str(count + 1), "verified", str(count + 1)]
    assert after == [str(count + 2)]
    with files.open() as context:
        assert context.store.rollback is None
        assert verify(context.store, context.projections).events == count + 2
        assert rebuild(context.store, context.projections)[1].rows == {}
