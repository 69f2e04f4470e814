"""Every parser of foreign bytes: whatever a store holds, reading, writing, connecting and scrubbing end in a told error."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.importers import hostile
from vault.errors import InputError
from vault.interop.tools import MODULES, tool


@pytest.mark.parametrize("name", MODULES)
def test_no_hostile_file_ends_in_a_defect(name: str) -> None:
    first = next(iter(hostile.SAMPLES[name]))
    told = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(hostile.BOMBS.values()):
            home = Path(folder) / str(number)
            home.mkdir()
            hostile.lay(home, name)
            (home / first).write_bytes(content)
            told += any(isinstance(error, InputError) for _, error in hostile.exercise(tool(name), home))
    assert told or name in ("dotenv", "openclaw"), (
        "damage is told, but where lines or agents are passed over one by one"
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(MODULES)), seed=st.integers(0, 2**32))
def test_no_damaged_store_ends_in_a_defect(name: str, seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        files = hostile.lay(home, name)
        files += [make(home) for tool_name, make in hostile.DATABASES.items() if tool_name.startswith(name)]
        for _ in range(chance.randint(1, 2)):
            hostile.damage(chance.choice(files), chance)
        list(hostile.exercise(tool(name), home))


@pytest.mark.parametrize("seed", range(6))
def test_no_sealed_store_ends_in_a_defect(seed: int, tmp_path: Path) -> None:
    hostile.sealed_file(tmp_path, random.Random(seed))
    list(hostile.exercise(tool("gemini"), tmp_path))


@pytest.mark.parametrize("name", MODULES)
def test_a_whole_store_is_read_without_complaint(name: str, tmp_path: Path) -> None:
    """The samples are worth damaging: each is one that its tool's importer takes something from, or names what it skips."""
    hostile.lay(tmp_path, name)
    module = tool(name)
    assert module.read is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        findings = module.read(None, {}, tmp_path)
    assert findings.found or findings.skipped
