"""The driver's rules for HTTP: TLS verified, no plain http, redirects, proxies, deadlines, what was sent and what was not."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.oauth.authority import Authority, Fault
from tests.oauth.conftest import World
from tests.oauth.server import Server
from vault.errors import Defect, InputError, SignInAgain, TryAgain
from vault.providers import driver
from vault.providers.driver import check_url
from vault.providers.exchange import _trust, exchange
from vault.providers.flows.asking import get, post
from vault.providers.steps import (
    Ask,
    Consent,
    Flow,
    NoAnswer,
    OpenBrowser,
    ReceiveRedirect,
    Request,
    Response,
    RunCommand,
    Send,
    ShowCode,
    Wait,
    fetch,
)
from vault.values import SystemClock


def one(step: Any) -> Flow[Any]:
    """A flow of one step."""
    result = yield step
    return result


def ask(url: str, seconds: float = 10.0) -> Response | NoAnswer:
    return exchange(get(url), SystemClock(), seconds)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/token",
        "http://127.0.0.1.example.com/token",
        "http://127.0.0.1@example.com/token",
        "https://user:fake-password@example.com/token",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "//example.com/x",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com/\x1b[2J",
        "https://exämple.com/",
        "https://[::1/",
        "https://example.com:99999/",
        "http://127.0.0.1:0/",
        "",
    ],
)
def test_addresses_that_are_refused(world: World, url: str) -> None:
    for step in (Send(get(url)), OpenBrowser(url), ShowCode("AB", url, None, 60)):
        with pytest.raises(InputError) as caught:
            world.run(one(step))
        assert "fake-password" not in str(caught.value)
    assert world.person.urls == []


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "http://localhost:1/x", "http://127.1.2.3/", "http://[::1]:80/"]
)
def test_addresses_that_are_fine(url: str) -> None:
    check_url(url)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key, in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem) + private)
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    _trust.cache_clear()
    with Server(Authority(), context=context) as server:
        yield server
    _trust.cache_clear()


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(secure: Server) -> None:
    answer = ask(secure.url + "/landing")
    assert isinstance(answer, NoAnswer)
    assert not answer.sent
    assert "certificate of 127.0.0.1 is not trusted" in answer.why
    assert secure.authority.requests == []


def test_a_certificate_that_the_user_trusts(secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    answer = ask(secure.url + "/landing")
    assert isinstance(answer, Response)
    assert answer.status == 200


def test_a_redirect_is_not_followed_unless_asked_for(world: World) -> None:
    there = {"Location": "/landing"}
    world.authority.fault("/x", *[Fault("redirect", status=302, headers=there)] * 2)
    answer = world.run(one(Send(get(world.base + "/x"))))
    assert answer.status == 302
    followed = world.run(one(Send(get(world.base + "/x", redirects=1))))
    assert (followed.status, followed.body) == (200, b"landed")


def test_a_redirect_to_another_host_is_never_followed(world: World) -> None:
    with Server() as other:
        for url in (other.url + "/landing", world.base.replace("127.0.0.1", "localhost") + "/landing", "//x.example/"):
            world.authority.fault("/x", Fault("redirect", status=302, headers={"Location": url}))
            with pytest.raises(InputError, match="redirects to"):
                world.run(one(Send(get(world.base + "/x", {"Authorization": "Bearer fake-1"}, redirects=3))))
        assert other.authority.requests == []


def test_a_post_is_never_redirected(world: World) -> None:
    world.authority.fault("/x", Fault("redirect", status=307, headers={"Location": "/landing"}))
    request = Request("POST", world.base + "/x", body=b"a=b", redirects=3)
    with pytest.raises(InputError):
        world.run(one(Send(request)))
    assert [path for _, path in world.authority.requests] == ["/x"]


def test_redirects_come_to_an_end(world: World) -> None:
    world.authority.fault("/x", *[Fault("redirect", status=302, headers={"Location": "/x"})] * 9)
    assert world.run(one(Send(get(world.base + "/x", redirects=3)))).status == 302
    assert len(world.authority.requests) == 4


def test_an_answer_that_drips_is_cut_off(world: World) -> None:
    world.authority.fault("/landing", Fault("drip", after=True))
    answer = ask(world.base + "/landing", 0.4)
    assert isinstance(answer, NoAnswer)
    assert answer.sent
    assert "no whole answer within 0.4 s" in answer.why


def test_headers_that_drip_are_cut_off() -> None:
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.02):
                try:
                    connection.sendall(b"X: y\r\n")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        answer = ask(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.4)
        stop.set()
        thread.join(5)
    assert isinstance(answer, NoAnswer)
    assert answer.sent


def test_a_name_lookup_that_hangs_is_given_up_and_nothing_is_sent_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst case: the caller has been told "not sent", and then the lookup comes back."""
    asked, go_on, resolved = threading.Event(), threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def slow(*args: Any, **more: Any) -> Any:
        asked.set()
        go_on.wait(20)
        resolved.set()
        return real(*args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    before = set(threading.enumerate())
    answer = exchange(post(world.base + "/token", {"refresh_token": "fake-refresh-1"}), SystemClock(), 0.2)
    assert isinstance(answer, NoAnswer)
    assert asked.is_set()
    assert not answer.sent
    go_on.set()
    for thread in set(threading.enumerate()) - before:
        if thread.name == "vault-http":
            thread.join(10)
    assert resolved.is_set()
    assert world.authority.requests == []


def test_a_proxy_that_refuses_means_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as proxy:
        proxy.http.RequestHandlerClass.do_CONNECT = lambda self: self.handle_all("CONNECT")  # type: ignore[attr-defined]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        answer = exchange(post("https://auth.example.com/token", {"refresh_token": "fake-1"}), SystemClock(), 10)
        assert proxy.authority.requests == [("CONNECT", "")] or proxy.authority.requests
    assert isinstance(answer, NoAnswer)
    assert not answer.sent


def test_a_proxy_is_never_used_for_this_machine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(ask(world.base + "/landing"), Response)


def test_a_kind_of_proxy_that_is_not_supported_means_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    answer = ask("https://auth.example.com/token")
    assert isinstance(answer, NoAnswer)
    assert "could not be" in answer.why or "proxy" in answer.why or "broke off" in answer.why


def test_the_user_agent_names_vault(world: World) -> None:
    from vault import __version__

    ask(world.base + "/landing")
    (headers,) = world.authority.headers
    assert headers["User-Agent"] == f"agent-vault/{__version__}"
    assert headers["Accept-Encoding"] == "identity"


def test_a_refresh_without_time_left_is_not_sent(world: World) -> None:
    answer = world.run(one(Send(get(world.base + "/landing"))), deadline=0.0)
    assert isinstance(answer, NoAnswer)
    assert not answer.sent
    assert world.authority.requests == []


def test_a_wait_beyond_the_deadline_ends_at_once(world: World) -> None:
    with pytest.raises(TryAgain):
        world.run(one(Wait(11.0)), deadline=10.0)
    assert world.pauses == []


def test_a_command_that_nobody_agreed_to_is_a_defect(world: World) -> None:
    def sneaky() -> Flow[Any]:
        yield Consent("run one?", ("true",))
        return (yield RunCommand(("false",)))

    with pytest.raises(Defect):
        world.run(sneaky())


def test_a_command_that_was_declined_is_not_run(world: World) -> None:
    def stubborn() -> Flow[Any]:
        yield Consent("run it?", ("true",))
        return (yield RunCommand(("true",)))

    world.person.agrees = False
    with pytest.raises(Defect):
        world.run(stubborn())


@pytest.mark.parametrize(
    "step",
    [Ask("?"), Consent("?"), OpenBrowser("https://example.com/"), ShowCode("A", "https://example.com/", None, 9)],
)
def test_without_a_person_nothing_can_be_asked(step: Any) -> None:
    with pytest.raises(SignInAgain):
        driver.run(one(step), clock=SystemClock())


def test_without_a_terminal_nothing_is_waited_for() -> None:
    assert driver.run(one(ReceiveRedirect(60.0, "?")), clock=SystemClock()) is None


def test_a_step_that_is_none_is_a_defect(world: World) -> None:
    with pytest.raises(Defect):
        world.run(one("nonsense"))


def test_a_flow_is_closed_when_it_fails(world: World) -> None:
    closed = []

    def flow() -> Flow[Any]:
        try:
            yield Send(get("http://example.com/"))
        finally:
            closed.append(True)

    kept = flow()
    with pytest.raises(InputError):
        world.run(kept)
    assert closed == [True]


def test_an_interruption_ends_the_exchange(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.authority.fault("/landing", Fault("hold"))
    from vault.providers.exchange import _Exchange

    def interrupted(self: Any, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt

    class Done(threading.Event):
        wait = interrupted

    start = _Exchange.start

    def with_done(self: _Exchange) -> None:
        self.done = Done()
        start(self)

    monkeypatch.setattr(_Exchange, "start", with_done)
    with pytest.raises(KeyboardInterrupt):
        ask(world.base + "/landing")


def test_the_fetch_of_a_document_says_who_did_not_answer(world: World) -> None:
    world.authority.fault("/landing", Fault("drop"))
    with pytest.raises(TryAgain, match=r"127\.0\.0\.1 broke off"):
        world.run(fetch(get(world.base + "/landing")))
