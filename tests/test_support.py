"""The tests' own tools can fail: a canary is seen in every form, and the home of the person who runs them is out of reach."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path

import pytest

from tests.support import Canary, Files, make_files, make_vault, seeded, tampering


@pytest.mark.parametrize("shift", range(3))
def test_a_canary_is_seen_in_every_form(shift: int, canary: Canary, tmp_path: Path) -> None:
    raw = canary.secret.encode()
    hidden = [
        raw,
        raw.hex().encode(),
        raw[::-1],
        canary.secret.encode("utf-16-le"),
        base64.b64encode(b"{" * shift + raw + b"}"),
        base64.urlsafe_b64encode(b"{" * (3 + shift) + raw),
    ]
    for form in hidden:
        for place in (form, b"before " + form + b" after", form.decode("latin-1")):
            assert canary.sightings(place)
        (tmp_path / "deep" / "er").mkdir(parents=True, exist_ok=True)
        (tmp_path / "deep" / "er" / "file").write_bytes(b"\0\xff" + form)
        with pytest.raises(AssertionError):
            canary.assert_absent("nothing", tmp_path)
    (tmp_path / "deep" / "er" / "file").unlink()
    canary.assert_absent("nothing", b"", tmp_path)
    (tmp_path / canary.secret).touch()
    assert canary.sightings(tmp_path)


def test_canaries_differ(canary: Canary) -> None:
    assert Canary("x").secret != Canary("x").secret
    canary.assert_absent(Canary("x").secret)


def test_nothing_outside_is_touched(isolated: Path) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        assert Path(os.environ[name]).is_relative_to(isolated)
    assert Path.home().is_relative_to(isolated)
    assert Path(tempfile.gettempdir()).is_relative_to(isolated)
    assert not [name for name in os.environ if name.startswith("VAULT_")]
    assert "DBUS_SESSION_BUS_ADDRESS" not in os.environ


def test_vaults_are_made_alike_or_fresh(tmp_path: Path) -> None:
    def identity(files: Files) -> object:
        with tampering(files.database) as connection:
            return connection.execute("SELECT * FROM vault").fetchall()

    made = [identity(make_files(tmp_path / name)) for name in "ab"]
    assert made[0] == made[1] != identity(make_files(tmp_path / "c", fresh=True))
    assert seeded(1)(9) == seeded(1)(9) != seeded(2)(9)


def test_tampering_puts_the_triggers_back(tmp_path: Path) -> None:
    with make_vault(tmp_path) as context:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        before = context.database.connection.execute(query).fetchall()
        with tampering(Files(tmp_path).database) as connection:
            assert connection.execute(query).fetchall() == []
        assert context.database.connection.execute(query).fetchall() == before
