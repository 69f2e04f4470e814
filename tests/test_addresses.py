"""Which addresses are this machine: by the parsed address, one answer for the whole program."""

from __future__ import annotations

import re

import pytest

from tests.support import ROOT
from vault.addresses import is_loopback_host, is_loopback_place, is_loopback_url

HERE = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "app.localhost",
    "127.0.0.1",
    "127.8.9.10",
    "::1",
    "[::1]",
    "::ffff:127.0.0.1",
]
ELSEWHERE = [
    "",
    "localhost.corp.example",
    "127.0.0.1.nip.example",
    "notlocalhost",
    "localhost-8443",
    "127.example",
    "127.1",
    "127.0.0.256",
    "0x7f.0.0.1",
    "2130706433",
    "0.0.0.0",
    "128.0.0.1",
    "::2",
    "::ffff:10.0.0.1",
    ".localhost",
    "a..localhost",
    "[::1",
]


@pytest.mark.parametrize("host", HERE)
def test_this_machine(host: str) -> None:
    assert is_loopback_host(host)
    place = f"[{host}]" if ":" in host and not host.startswith("[") else host
    assert is_loopback_url(f"http://{place}:8080/path")
    assert is_loopback_place(f"{place}:8080")
    assert is_loopback_place(place)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_name_that_only_begins_like_this_machine_is_another(host: str) -> None:
    assert not is_loopback_host(host)
    assert not is_loopback_url(f"http://{host}/")
    assert not is_loopback_place(f"{host}:8080")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost@evil.example/",
        "http://localhost:0/",
        "http://localhost:99999/",
        "ftp://localhost/",
        "localhost",
        "http://local\thost/",
        "http://localhost\\@evil.example/",
    ],
)
def test_a_url_that_only_looks_like_this_machine_is_another(url: str) -> None:
    assert not is_loopback_url(url)


@pytest.mark.parametrize("place", ["localhost@evil.example", "localhost/x", "localhost#evil.example", "localhost?"])
def test_a_place_is_a_host_and_a_port(place: str) -> None:
    assert not is_loopback_place(place)


def test_nothing_else_decides_by_the_spelling_of_an_address() -> None:
    """No prefix test of its own and no list of names: where a module looks for this machine, it asks ``vault.addresses``."""
    for path in (ROOT / "vault").rglob("*.py"):
        if path.name != "addresses.py":
            text = path.read_text()
            assert not re.search(r"startswith\([^)]*(?:localhost|127\.|LOOPBACK)", text), path
            assert not re.search(
                r"in \([^)]*\"(?:localhost|127\.0\.0\.1)\"[^)]*\"(?:localhost|127\.0\.0\.1)\"", text
            ) or (path.name == "loopback.py"), path
