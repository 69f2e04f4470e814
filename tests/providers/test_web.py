"""One GET: where it goes, what it carries, when it ends."""

from __future__ import annotations

import datetime
import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.providers.server import Reply, Server, serving
from tests.support import Canary
from vault.errors import InputError, TryAgain
from vault.providers import web
from vault.values import Secret


def get(url: str, secret: str = "fake-key", **options: Any) -> web.Answer:
    carried = ("authorization", "Bearer ", Secret(secret)) if secret else None
    return web.get(url, {}, secret=carried, **{"seconds": 10.0, "limit": 1000, **options})


def test_the_credential_goes_into_the_header_alone(
    server: Server, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    answer = get(server.url + "/models?limit=1", str(canary))
    (asked,) = server.asked
    assert asked.bearer == str(canary)
    assert asked.path == "/models?limit=1"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"].startswith("agent-vault/")
    assert "cookie" not in asked.headers
    assert (answer.status, answer.body, answer.cut) == (200, b"{}", False)
    canary.assert_absent(asked.path, caplog.text, repr(answer))


def test_a_redirect_is_an_answer_and_is_not_followed_with_a_credential(server: Server, canary: Canary) -> None:
    with serving() as other:
        server.reply = lambda _: Reply(307, headers={"Location": other.url + "/stolen"})
        assert get(server.url, str(canary)).status == 307
        assert other.asked == []
        with pytest.raises(InputError, match="never followed"):
            get(server.url, str(canary), redirects=1)
    assert len(server.asked) == 1


def test_plain_http_is_for_this_machine_alone(canary: Canary) -> None:
    for url in (
        "http://192.0.2.1/x",
        "http://models.example/",
        "http://127.0.0.1.example/",
        "http://localhost.example/",
    ):
        with pytest.raises(InputError, match="plain http") as caught:
            get(url, str(canary))
        canary.assert_absent(str(caught.value))
    assert web.on_loopback("http://[::1]:8080/v1")
    assert web.on_loopback("http://127.8.9.10/")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "127.0.0.1", "https://", "https://a b.example/", "https://x.example:port/"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="not a URL"):
        get(url)


def test_a_proxy_never_sees_plain_http(server: Server, canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert get(server.url, str(canary)).status == 200
        assert proxy.asked == []
    assert len(server.asked) == 1


def test_a_proxy_of_https_sees_a_tunnel_and_no_credential(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        proxy.reply = lambda _: Reply(502)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(TryAgain):
            get("https://provider.example/models", str(canary))
        (asked,) = proxy.asked
        assert asked.path == "provider.example:443"
        canary.assert_absent(repr(asked))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody has reason to trust, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake authority")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(encoding) + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as running:
        yield running


def test_an_untrusted_certificate_is_refused(secure: Server, canary: Canary) -> None:
    with pytest.raises(TryAgain, match=r"certificate of 127\.0\.0\.1 can't be verified"):
        get(secure.url, str(canary))
    assert secure.asked == []


def test_a_certificate_the_person_trusts_is_accepted(
    secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    if web.on_loopback(secure.url):
        monkeypatch.setattr(
            web, "on_loopback", lambda _: False
        )  # loopback ignores the environment, and so this variable
    assert get(secure.url).status == 200


def test_more_than_was_asked_for_is_cut(server: Server) -> None:
    server.reply = lambda _: Reply(body=b"x" * 5000)
    answer = get(server.url, limit=1000)
    assert (len(answer.body), answer.cut) == (1000, True)
    server.reply = lambda _: Reply(body=b"x" * 1000)
    assert get(server.url, limit=1000).cut is False


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
    with pytest.raises(TryAgain, match=r"did not answer (within|in time)") as caught:
        get(server.url, str(canary), seconds=0.3, limit=10**6)
    canary.assert_absent(repr(caught.value))
    assert "vault-web" not in [t.name for t in threading.enumerate()]
    assert not more or left.wait(60)


def test_a_server_that_breaks_off_is_told(server: Server, canary: Canary) -> None:
    for start in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"):
        server.reply = lambda _, start=start: Reply(raw=lambda wire: wire.write(start))  # type: ignore[misc]
        with pytest.raises(TryAgain, match=r"127\.0\.0\.1 broke off") as caught:
            get(server.url, str(canary))
        canary.assert_absent(repr(caught.value), str(caught.value.__cause__))


def test_nobody_there_is_told(canary: Canary) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(TryAgain, match=r"127\.0\.0\.1 can't be reached"):
            get(url, str(canary))


@pytest.mark.parametrize("bad", ["fake-kéy", "fake\nkey", "fake\x7fkey", "fake\u2028key"])
def test_a_credential_that_can_not_travel_is_told_without_it(bad: str, server: Server) -> None:
    with pytest.raises(InputError, match="characters that can't be sent") as caught:
        get(server.url, bad)
    assert bad not in str(caught.value)
    assert server.asked == []
