"""Hugging Face's token files, read and written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, profiles, put, target
from vault.errors import InputError, NotFound, TryAgain
from vault.events.credentials import ApiKey, OAuth
from vault.interop import huggingface
from vault.interop.plans import Outgoing
from vault.values import MAIN_AGENT, SECOND, ProfileId

STORED = """\
[work]
hf_token = fake-token-work

# mine
[oauth-octo]
hf_token = fake-access
refresh_token = fake-refresh
expires_at = 1796000000
odd = kept
"""


def store(folder: Path, stored: str = STORED, token: str = "fake-token-work") -> Path:
    (folder / "stored_tokens").write_text(stored)
    (folder / "token").write_text(token)
    return folder


def test_sections_are_profiles_and_the_one_in_use_comes_first(tmp_path: Path) -> None:
    findings = huggingface.read(store(tmp_path, token="fake-access\n"), {}, tmp_path)
    assert profiles(findings) == {"huggingface:work": "fake-token-work", "huggingface:oauth-octo": "fake-access"}
    assert findings.orders[0].profiles == ("huggingface:oauth-octo", "huggingface:work")
    login = findings.found[1].credential
    assert isinstance(login, OAuth)
    assert (login.refresh, login.expires_at, login.extra) == ("fake-refresh", 1796000000 * SECOND, {"odd": "kept"})
    assert findings.found[1].ownership == "external"


def test_a_bare_token_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("fake-token\n")
    assert profiles(huggingface.read(tmp_path, {}, tmp_path)) == {"huggingface:default": "fake-token"}


def test_written_over_itself_it_is_the_same_files(tmp_path: Path) -> None:
    store(tmp_path)
    findings = huggingface.read(tmp_path, {}, tmp_path)
    orders = {o.provider: o.profiles for o in findings.orders}
    put(huggingface.write(outgoing(findings.found), orders, target(tmp_path)))
    assert (tmp_path / "stored_tokens").read_text() == STORED
    assert (tmp_path / "token").read_text() == "fake-token-work"


NAMES = st.sampled_from(["work", "home", "a-b", "x.1"])
TOKENS = st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=20).map(lambda t: f"fake-{t}")


@given(st.dictionaries(NAMES, TOKENS, min_size=1, max_size=4))
def test_written_anew_and_read_again(tokens: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "hf"
        place.mkdir()
        ones = [Outgoing(MAIN_AGENT, ProfileId(f"huggingface:{n}"), ApiKey(key=t)) for n, t in tokens.items()]
        put(huggingface.write(ones, {}, target(place)))
        assert profiles(huggingface.read(place, {}, place)) == {f"huggingface:{n}": t for n, t in tokens.items()}
        assert (place / "token").read_text() == next(iter(tokens.values()))


def test_a_login_of_the_vault_is_left_out(tmp_path: Path) -> None:
    one = Outgoing(MAIN_AGENT, ProfileId("huggingface:a"), OAuth(access="fake-a", refresh="fake-refresh"), whole=False)
    plan = huggingface.write([one], {}, target(tmp_path))
    assert (plan.written, plan.writes) == ([], [])
    assert "vault exec" in plan.left_out[0].why


def test_the_lock_is_the_librarys(tmp_path: Path) -> None:
    with huggingface.lock(target(store(tmp_path))):
        assert (tmp_path / "stored_tokens.lock").exists()


def open_files() -> set[str]:
    """What this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return found


def test_the_lock_of_hugging_face_is_closed_and_speaks_of_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface, "_LOCK_SECONDS", 0.05)
    place = target(store(tmp_path))
    lock = str(tmp_path / "stored_tokens.lock")
    for _ in range(3):
        with huggingface.lock(place):
            assert lock in open_files()
        assert lock not in open_files()
    with (tmp_path / "stored_tokens.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TryAgain) as caught, huggingface.lock(place):
            pass
    assert "another process has been writing to Hugging Face's tokens" in str(caught.value)
    assert lock in str(caught.value)
    assert "vault" not in caught.value.message.replace(str(tmp_path), "")


@pytest.mark.parametrize("content", ["no section = 1\n", "[a\nb"])
def test_damage_is_told(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="stored_tokens"):
        huggingface.read(store(tmp_path, content), {}, tmp_path)


def test_where_it_is(tmp_path: Path) -> None:
    assert huggingface.places({"HF_TOKEN_PATH": "/fake/token"}, tmp_path)[0] == Path("/fake/token")
    assert huggingface.places({"HF_HOME": "/fake"}, tmp_path)[1] == Path("/fake/stored_tokens")
    with pytest.raises(NotFound):
        huggingface.read(None, {}, tmp_path)
