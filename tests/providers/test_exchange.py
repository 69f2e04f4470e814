"""The gate to HTTP: where a request goes, what it carries, when it ends, what is known of it, and what is told."""

from __future__ import annotations

import ast
import logging
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import vault
from tests.providers.server import Reply, Server, serving
from tests.support import START, Canary, FixedClock
from vault.errors import InputError
from vault.providers import driver
from vault.providers.exchange import check_url, exchange
from vault.providers.steps import NoAnswer, Request, Response, send
from vault.values import HOUR, SECOND, SystemClock


def request(url: str, headers: Mapping[str, str] | None = None, **more: Any) -> Request:
    return Request("GET", url, tuple((headers or {}).items()), **more)


def ask(url: str, secret: str = "fake-key", seconds: float = 10.0, **more: Any) -> Response | NoAnswer:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return exchange(request(url, headers, **more), SystemClock(), seconds)


def answered(url: str, secret: str = "fake-key", **more: Any) -> Response:
    answer = ask(url, secret, **more)
    assert isinstance(answer, Response), answer
    return answer


def unanswered(url: str, secret: str = "fake-key", **more: Any) -> NoAnswer:
    answer = ask(url, secret, **more)
    assert isinstance(answer, NoAnswer), answer
    return answer


def test_nothing_else_imports_httpx() -> None:
    """Beside the import contract, which sees modules: no import hides in a function either."""
    found = set()
    folder = Path(vault.__file__).parent
    for path in folder.glob("providers/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "httpx" for name in names):
                found.add(path.relative_to(folder).as_posix())
    assert found == {"providers/exchange.py"}


def test_the_credential_goes_into_the_header_alone(
    server: Server, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    answer = answered(server.url + "/models?limit=1", str(canary))
    (asked,) = server.asked
    assert asked.bearer == str(canary)
    assert asked.path == "/models?limit=1"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"].startswith("agent-vault/")
    assert "cookie" not in asked.headers
    assert (answer.status, answer.body, answer.broken) == (200, b"{}", "")
    canary.assert_absent(asked.path, caplog.text, repr(answer), repr(request(server.url, {"a": str(canary)})))


def test_a_redirect_is_an_answer(server: Server, canary: Canary) -> None:
    with serving() as other:
        server.reply = lambda _: Reply(307, headers={"Location": f"{other.url}/{canary}"})
        answer = answered(server.url, str(canary))
        assert (answer.status, answer.location) == (307, f"{other.url}/{canary}")
        canary.assert_absent(repr(answer))
        assert other.asked == []
    assert len(server.asked) == 1


def follow(url: str, headers: Mapping[str, str], **more: Any) -> Response:
    found = driver.run(send(request(url, headers, retries=0, **more)), clock=SystemClock(), deadline=10.0)
    assert isinstance(found, Response), found
    return found


def test_what_may_be_redirected_elsewhere_takes_no_credential_along(server: Server, canary: Canary) -> None:
    """Even when somebody lets a request with one be redirected: only headers that can't be one go on."""
    headers = {"Accept": "a/b", "If-None-Match": '"1"', "Authorization": str(canary), "X-Api-Key": str(canary)}
    with serving() as other:
        server.reply = lambda _: Reply(302, headers={"Location": other.url + "/there"})
        with pytest.raises(InputError, match="redirects to"):
            follow(server.url, headers, redirects=1)
        assert other.asked == []
        assert follow(server.url, headers, redirects=1, elsewhere=True).status == 200
        (asked,) = other.asked
        assert (asked.headers["accept"], asked.headers["if-none-match"]) == ("a/b", '"1"')
        canary.assert_absent(repr(asked))
    assert [a.headers["authorization"] for a in server.asked] == [str(canary)] * 2


@pytest.mark.parametrize("there", ["http://models.example/x", "ftp://models.example/", "https://[::1", "file:///x"])
def test_a_redirect_to_where_nothing_may_go_is_refused(there: str, server: Server) -> None:
    server.reply = lambda _: Reply(302, headers={"Location": there})
    with pytest.raises(InputError):
        follow(server.url, {}, redirects=3, elsewhere=True)
    assert len(server.asked) == 1


def test_a_redirect_from_https_to_plain_http_is_refused() -> None:
    def exchanged(asked: Request, clock: Any, _: float) -> Response:
        return Response(asked.host, 302, clock.now(), location="http://127.0.0.1:1/x")

    with pytest.raises(InputError, match=r"redirects to 127\.0\.0\.1"):
        driver.run(
            send(request("https://models.example/x", redirects=1, elsewhere=True)),
            clock=SystemClock(),
            exchange=exchanged,
        )


def test_a_redirect_without_an_address_is_an_answer(server: Server) -> None:
    server.reply = lambda _: Reply(302)
    assert follow(server.url, {}, redirects=3).status == 302
    assert len(server.asked) == 1


def test_plain_http_is_for_this_machine_alone(canary: Canary) -> None:
    for url in (
        "http://192.0.2.1/x",
        "http://models.example/",
        "http://127.0.0.1.example/",
        "http://localhost.example/",
    ):
        with pytest.raises(InputError, match="not https") as caught:
            ask(f"{url}{canary}", str(canary))
        canary.assert_absent(str(caught.value))
    for url in ("http://[::1]:8080/v1", "http://127.8.9.10/", "http://localhost/", "https://models.example/"):
        assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "127.0.0.1",
        "https://",
        "https://a b.example/",
        "https://x.example:port/",
        "https://@x.example",
    ],
)
def test_what_is_no_url_or_says_too_much_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        ask(url)


def test_a_proxy_never_sees_plain_http(server: Server, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert answered(server.url, str(canary)).status == 200
        assert proxy.asked == []
    assert len(server.asked) == 1


def test_a_proxy_of_https_sees_a_tunnel_and_no_credential(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        proxy.reply = lambda _: Reply(502)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        answer = unanswered("https://provider.example/models", str(canary))
        assert not answer.sent
        (asked,) = proxy.asked
        assert asked.path == "provider.example:443"
        canary.assert_absent(repr(asked), repr(answer))


@pytest.mark.parametrize("proxy", ["gopher://127.0.0.1:9", "socks5://127.0.0.1:9", "http://[::1"])
def test_a_proxy_that_can_not_be_used_means_that_nothing_was_sent(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a wrong variable would leave a refresh in doubt."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    answer = unanswered("https://provider.example/token")
    assert not answer.sent
    assert proxy not in answer.why


def test_certificates_that_can_not_be_read_mean_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from vault.providers.exchange import _trust

    _trust.cache_clear()
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(broken))
    try:
        assert not unanswered("https://provider.example/token").sent
    finally:
        _trust.cache_clear()


def test_more_than_was_asked_for_is_not_read(server: Server) -> None:
    server.reply = lambda _: Reply(body=b"x" * 5000)
    answer = answered(server.url, limit=2048)
    assert len(answer.body) == 2048
    assert "larger than 2 KiB" in answer.broken
    server.reply = lambda _: Reply(body=b"x" * 2048)
    assert answered(server.url, limit=2048).broken == ""


def test_a_compressed_answer_is_not_unpacked(server: Server) -> None:
    server.reply = lambda _: Reply(body=b"\x1f\x8b" + b"x" * 5000, headers={"Content-Encoding": "gzip"})
    answer = answered(server.url, limit=2048)
    assert (answer.body, "compressed" in answer.broken) == (b"", True)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b" "),
    ],
    ids=["nothing", "headers", "body"],
)
def test_an_answer_that_drips_ends_at_the_deadline(start: bytes, more: bytes, server: Server, canary: Canary) -> None:
    left = threading.Event()

    def drip(wire: Any) -> None:
        try:
            wire.write(start)
            while not server.over.wait(0.02):
                wire.write(more)
                wire.flush()
        except OSError:
            left.set()

    server.reply = lambda _: Reply(raw=drip)
    answer = unanswered(server.url, str(canary), seconds=0.3)
    assert answer.sent
    assert "gave no whole answer within 0.3 s" in answer.why
    canary.assert_absent(repr(answer))
    assert "vault-http" not in [t.name for t in threading.enumerate()]
    assert not more or left.wait(60)


def test_a_handshake_that_hangs_is_cut_and_nothing_was_sent() -> None:
    """The far end takes the connection and never speaks TLS: it sees the connection end, and no request."""
    ended: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            while chunk := connection.recv(4096):
                ended.append(chunk)
            ended.append(b"")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        answer = unanswered(f"https://127.0.0.1:{listener.getsockname()[1]}/token", seconds=0.3)
        thread.join(30)
    assert not answer.sent
    assert ended[-1] == b""
    assert b"fake-key" not in b"".join(ended)
    assert "vault-http" not in [t.name for t in threading.enumerate()]


def test_a_server_that_breaks_off_is_told(server: Server, canary: Canary) -> None:
    for start in (b"", b"nonsense\r\n\r\n"):
        server.reply = lambda _, start=start: Reply(raw=lambda wire: wire.write(start))  # type: ignore[misc]
        answer = unanswered(server.url, str(canary))
        assert answer.sent
        assert "127.0.0.1 broke off" in answer.why
        canary.assert_absent(repr(answer))
    server.reply = lambda _: Reply(raw=lambda wire: wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"))
    half = answered(server.url)
    assert (half.status, half.body, "broke off" in half.broken) == (200, b"", True)


def test_nobody_there_is_told(canary: Canary) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = unanswered(f"http://127.0.0.1:{unused.getsockname()[1]}/{canary}", str(canary))
    assert (answer.sent, answer.why) == (False, "127.0.0.1 could not be reached")
    canary.assert_absent(repr(answer))


@pytest.mark.parametrize("bad", ["fake-kéy", "fake\nkey", "fake\x7fkey", "fake\u2028key"])
def test_a_credential_that_can_not_travel_is_told_without_it(bad: str, server: Server) -> None:
    with pytest.raises(InputError, match="characters that can't be sent") as caught:
        ask(server.url, bad)
    assert bad not in str(caught.value)
    assert server.asked == []


DATES: dict[str, tuple[str, int | None]] = {
    "seconds": ("90", 90 * SECOND),
    "none": ("", None),
    "nonsense": ("soon", None),
    "negative": ("-5", None),
    "an hour at the most": ("999999999999", HOUR),
    "a date by the server's clock": ("Thu, 01 Jan 2026 07:02:00 GMT", 120 * SECOND),
    "a date that is over": ("Thu, 01 Jan 2026 06:00:00 GMT", 0),
}


@pytest.mark.parametrize("name", DATES)
def test_what_the_answer_says_of_time(name: str, server: Server) -> None:
    """Our clock says midnight, the server's seven o'clock: how long to wait counts by the server's."""
    text, expected = DATES[name]
    head = f"HTTP/1.1 503 x\r\nDate: Thu, 01 Jan 2026 07:00:00 GMT\r\nRetry-After: {text}\r\nContent-Length: 0\r\n\r\n"
    server.reply = lambda _: Reply(raw=lambda wire: wire.write(head.encode()))
    answer = exchange(request(server.url), FixedClock(), 10.0)
    assert isinstance(answer, Response)
    assert (answer.at, answer.date, answer.retry_after) == (START, START + 7 * HOUR, expected)


def test_two_at_once_do_not_meet(server: Server) -> None:
    server.reply = lambda asked: Reply(body=asked.path.encode())
    found: dict[str, bytes] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: answered(f"{server.url}/{n}").body})) for n in "abcdef"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {n: f"/{n}".encode() for n in "abcdef"}
