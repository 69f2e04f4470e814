"""One reader for secrets from outside: byte order marks, what Windows writes, line ends. The key is stored, and nothing else."""

from __future__ import annotations

import codecs
import io
import os
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.cli.session import read_secret
from vault.errors import InputError
from vault.interop.helpers.git import _attributes
from vault.interop.sources import parse_json, read_text
from vault.providers.dotenv import project_variables
from vault.unlock.references import fetch
from vault.values import parse_secret, secret_in, text_of

KEY = "sk-fake-é-0123"
WRITTEN = {
    "plain": KEY.encode(),
    "a line": f"{KEY}\n".encode(),
    "CRLF": f"{KEY}\r\n".encode(),
    "UTF-8 with a mark": codecs.BOM_UTF8 + f"{KEY}\r\n".encode(),
    "UTF-16, as Windows' > writes it": codecs.BOM_UTF16_LE + f"{KEY}\r\n".encode("utf-16-le"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + KEY.encode("utf-16-be"),
}


@pytest.fixture(params=WRITTEN)
def raw(request: pytest.FixtureRequest) -> bytes:
    return WRITTEN[request.param]


@pytest.fixture
def path(raw: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(raw)
    return path


def test_login_stdin_keeps_no_byte_order_mark(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), "utf-8"))
    assert read_secret("", stdin=True, from_file="", from_fd=None, no_input=True) == KEY


def test_login_from_file_keeps_no_byte_order_mark(path: Path) -> None:
    assert read_secret("", stdin=False, from_file=str(path), from_fd=None, no_input=True) == KEY


def test_login_from_fd_keeps_no_byte_order_mark(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert read_secret("", stdin=False, from_file="", from_fd=descriptor, no_input=True) == KEY
    finally:
        os.close(descriptor)


def test_a_reference_to_a_file_keeps_no_byte_order_mark(path: Path) -> None:
    assert fetch("file", str(path), {}) == KEY


def test_a_reference_to_a_command_keeps_no_byte_order_mark(path: Path) -> None:
    assert fetch("command", f"cat {shlex.quote(str(path))}", dict(os.environ)) == KEY


def test_other_tools_files_may_be_written_by_windows(raw: bytes, path: Path) -> None:
    assert read_text(path).rstrip("\r\n") == KEY
    mark, encoding = next(
        (m, e)
        for m, e in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (b"", "utf-8"))
        if raw.startswith(m)
    )
    assert parse_json(mark + f'{{"key": "{KEY}"}}'.encode(encoding), "here") == {"key": KEY}


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_an_env_file_may_be_written_by_windows(mark: bytes, tmp_path: Path) -> None:
    encoding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-8"
    (tmp_path / ".env").write_bytes(mark + f"OPENAI_API_KEY={KEY}\r\nGROQ_API_KEY=\ufeffx\r\n".encode(encoding))
    found, _ = project_variables(tmp_path)
    assert found["OPENAI_API_KEY"] == KEY
    assert parse_secret(found["GROQ_API_KEY"]) == "x"


def test_what_a_helper_is_told_may_start_with_a_mark() -> None:
    said = codecs.BOM_UTF8 + b"protocol=https\nhost=git.example.com\npassword=fake-\xff\n\n"
    assert _attributes(said) == {"protocol": "https", "host": "git.example.com", "password": "fake-\udcff"}


@pytest.mark.parametrize("bad", [b"\xff\xfea", b"fake-\xff-key", codecs.BOM_UTF16_LE + b"\x00\xd8a\x00"])
def test_what_is_no_text_is_refused_and_not_repeated(bad: bytes) -> None:
    with pytest.raises(InputError) as caught:
        secret_in(bad)
    assert "not text" in caught.value.message
    assert caught.value.__context__ is None or not isinstance(caught.value.__context__, UnicodeError)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]))
def test_text_comes_back_as_it_was_written(text: str, encoding: str) -> None:
    assert text_of("\ufeff".encode(encoding) + text.encode(encoding)) == text
