"""A vault that many tests copy and damage."""

from __future__ import annotations

import pytest

from tests.log.samples import any_session
from tests.support import Files, make_files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A closed vault of 12 records; 3, 4, 5 and 9 hold credentials."""
    files = make_files(tmp_path_factory.mktemp("whole"))
    with files.open() as context:
        any_session(context)
    return files
