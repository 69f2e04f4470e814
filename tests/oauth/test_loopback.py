"""The listener for a redirect: what ends the waiting, and what must not."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from tests.oauth.person import fetch
from vault.providers.loopback import Listener, read_line, receive_pasted
from vault.providers.steps import Pasted, Redirected

STATE = "fake-state-of-this-sign-in"


def url(listener: Listener, path: str = "/callback", **query: str) -> str:
    return f"http://127.0.0.1:{listener.port}{path}?{urlencode(query)}"


def test_the_right_redirect_ends_it() -> None:
    with Listener([0], "/callback", STATE) as listener:
        status, _, page = fetch(url(listener, code="fake-code", state=STATE))
        arrived = listener.receive(10)
    assert status == 200
    assert "may close this page" in page
    assert "fake-code" not in page
    assert arrived == Redirected({"code": "fake-code", "state": STATE})


def test_a_refusal_ends_it_too() -> None:
    with Listener([0], "/callback", STATE) as listener:
        status, _, page = fetch(url(listener, error="access_denied", state=STATE))
        arrived = listener.receive(10)
    assert status == 200
    assert "refused" in page
    assert isinstance(arrived, Redirected)


@pytest.mark.parametrize(
    ("path", "query", "host", "method"),
    [
        ("/callback", {"code": "c", "state": "wrong"}, "", "GET"),
        ("/callback", {"code": "c"}, "", "GET"),
        ("/callback", {"error": "access_denied"}, "", "GET"),
        ("/other", {"code": "c", "state": STATE}, "", "GET"),
        ("/callback/", {"code": "c", "state": STATE}, "", "GET"),
        ("/callback", {"code": "c", "state": STATE}, "attacker.example", "GET"),
        ("/callback", {"code": "c", "state": STATE}, "127.0.0.1", "GET"),
        ("/callback", {"code": "c", "state": STATE}, "", "POST"),
        ("/callback", {"code": "c", "state": STATE}, "", "HEAD"),
        ("/callback", {"code": "c" * 9000, "state": STATE}, "", "GET"),
        ("/callback", {"code": "c", "state": "ä"}, "", "GET"),
        ("/favicon.ico", {}, "", "GET"),
    ],
)
def test_what_is_not_the_answer_does_not_end_it(path: str, query: dict[str, str], host: str, method: str) -> None:
    with Listener([0], "/callback", STATE) as listener:
        status, _, _ = fetch(url(listener, path, **query), {"Host": host} if host else None, method)
        assert status in (400, 404, 501)
        fetch(url(listener, code="fake-right", state=STATE))
        arrived = listener.receive(10)
    assert isinstance(arrived, Redirected)
    assert arrived.query["code"] == "fake-right"


def test_too_many_fields_do_not_end_it() -> None:
    many = {f"f{n}": "x" for n in range(60)}
    with Listener([0], "/callback", STATE) as listener:
        assert fetch(url(listener, **many, state=STATE))[0] == 400
        assert listener.receive(0.05) is None


def test_an_idle_connection_does_not_block_it() -> None:
    with (
        Listener([0], "/callback", STATE) as listener,
        socket.create_connection(("127.0.0.1", listener.port)),
    ):
        fetch(url(listener, code="fake-code", state=STATE))
        assert isinstance(listener.receive(10), Redirected)


def test_nobody_comes() -> None:
    with Listener([0], "/callback", STATE) as listener:
        assert listener.receive(0.05) is None


def test_it_listens_on_loopback_alone() -> None:
    with Listener([0], "/callback", STATE) as listener:
        assert {server.server_address[0] for server in listener.servers} <= {"127.0.0.1", "::1"}


def test_it_is_closed_afterwards() -> None:
    with Listener([0], "/callback", STATE) as listener:
        port = listener.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_that_is_taken_gives_way_to_the_next() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        Listener([taken.getsockname()[1], 0], "/cb", STATE) as listener,
    ):
        assert listener.port != taken.getsockname()[1]


def test_no_port_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Listener([taken.getsockname()[1]], "/cb", STATE)


def test_a_paste_is_taken_while_it_listens() -> None:
    with Listener([0], "/callback", STATE) as listener:
        assert listener.receive(10, "paste: ", lambda prompt, stopped: f"{prompt}fake-code") == Pasted(
            "paste: fake-code"
        )


def test_the_paste_is_stopped_when_the_redirect_comes() -> None:
    stopped_at_last = threading.Event()
    reading = threading.Event()

    def paste(prompt: str, stopped: Callable[[], bool]) -> str | None:
        reading.set()
        while not stopped():
            threading.Event().wait(0.01)
        stopped_at_last.set()
        return None

    with Listener([0], "/callback", STATE) as listener:

        def browse() -> None:
            reading.wait(10)
            fetch(url(listener, code="fake-code", state=STATE))

        thread = threading.Thread(target=browse, daemon=True)
        thread.start()
        assert isinstance(listener.receive(10, "", paste), Redirected)
        thread.join(10)
    assert stopped_at_last.is_set()


def test_where_nothing_listens_a_paste_is_all_there_is() -> None:
    assert receive_pasted(10, "", lambda prompt, stopped: "fake-code") == Pasted("fake-code")
    assert receive_pasted(10, "", None) is None
    assert receive_pasted(0.05, "", lambda prompt, stopped: None) is None


def test_a_line_is_read_from_a_terminal() -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"fake-code\n")
        assert read_line(theirs, lambda: False) == "fake-code"
        assert read_line(theirs, lambda: True) is None
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_line_that_was_not_finished_is_dropped() -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"half a li")
        looks = iter([False, True])
        assert read_line(theirs, lambda: next(looks)) is None
        os.write(ours, b"the next answer\n")
        assert read_line(theirs, lambda: False) == "the next answer"
    finally:
        os.close(ours)
        os.close(theirs)
