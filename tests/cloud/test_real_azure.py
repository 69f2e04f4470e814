"""azure-identity itself against loopback: service principals, federation, managed identities, az; refusals, silence."""

from __future__ import annotations

import os
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cloud.support import Answer, Asked, Server, serving
from vault.errors import NotReady, SignInAgain, TryAgain, Unavailable, VaultError
from vault.providers.cloud.azure import SCOPE, AzureSettings, resolve_azure
from vault.providers.cloud.azure_token import azure_token
from vault.providers.cloud.modes import CloudMode, read_file
from vault.values import SECOND, Secret, SystemClock

pytestmark = pytest.mark.interop

Resolved = Callable[..., tuple[CloudMode, Mapping[str, str]]]

TENANT = "fake-tenant"
WHO = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": "fake-client"}
TOKEN = Answer(body={"access_token": "fake-entra-token", "expires_in": 3600, "token_type": "Bearer"})
REFUSED = Answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215: fake-canary-text"})


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key with a certificate for 127.0.0.1, signed by itself: the server's, and a service principal's."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("identity") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, kind, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def entra(identity: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Server]]:
    """Entra ID over TLS on loopback; what it answers to a token request can be set."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(identity))
    answers = [TOKEN]

    def answer(asked: Asked) -> Answer:
        if asked.method == "POST":
            return answers[-1]
        base = f"{server.url}/{TENANT}"
        return Answer(
            body={
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
        )

    def set_answer(given: Answer) -> Server:
        answers.append(given)
        return server

    with serving(answer, tls=context) as server:
        yield set_answer


@pytest.fixture
def resolved(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Resolved:
    """Set the process's environment, as azure-identity reads it, and resolve from the same."""

    def resolve(auth_source: str = "auto", **variables: str) -> tuple[CloudMode, Mapping[str, str]]:
        for name, value in {"AZURE_RESOURCE_NAME": "fake", **variables}.items():
            monkeypatch.setenv(name, value)
        settings = AzureSettings(auth_source=auth_source)
        mode = resolve_azure(settings, os.environ, isolated / "home", stored_key=False, reader=read_file)
        assert mode.ready, mode.problems
        return mode, os.environ

    return resolve


def assert_silent(error: VaultError, *secrets: str) -> None:
    told = "".join(traceback.format_exception(error)) + repr(error) + error.hint
    for secret in ("fake-canary-text", *secrets):
        assert secret not in told
    assert error.__suppress_context__


def posted(server: Server) -> dict[str, str]:
    (asked,) = [a for a in server.asked if a.method == "POST"]
    assert asked.path == f"/{TENANT}/oauth2/v2.0/token"
    return asked.form()


def test_a_client_secret(entra: Callable[[Answer], Server], resolved: Resolved) -> None:
    server = entra(TOKEN)
    mode, environ = resolved(**WHO, AZURE_CLIENT_SECRET="fake-client-secret", AZURE_AUTHORITY_HOST=server.url)
    before = SystemClock().now()
    token = azure_token(mode, environ, instance_discovery=False)
    assert token.token == Secret("fake-entra-token")
    assert token.expires_at is not None
    assert before + 3500 * SECOND < token.expires_at < SystemClock().now() + 3700 * SECOND
    form = posted(server)
    assert (form["client_id"], form["client_secret"], form["scope"]) == ("fake-client", "fake-client-secret", SCOPE)


def test_a_client_certificate(entra: Callable[[Answer], Server], resolved: Resolved, identity: Path) -> None:
    server = entra(TOKEN)
    mode, environ = resolved(**WHO, AZURE_CLIENT_CERTIFICATE_PATH=str(identity), AZURE_AUTHORITY_HOST=server.url)
    assert azure_token(mode, environ, instance_discovery=False).token == Secret("fake-entra-token")
    assert posted(server)["client_assertion"].count(".") == 2


def test_a_federated_workload(entra: Callable[[Answer], Server], resolved: Resolved, tmp_path: Path) -> None:
    server = entra(TOKEN)
    (tmp_path / "federated").write_text("fake-federated-token")
    mode, environ = resolved(
        **WHO, AZURE_FEDERATED_TOKEN_FILE=str(tmp_path / "federated"), AZURE_AUTHORITY_HOST=server.url
    )
    assert azure_token(mode, environ, instance_discovery=False).token == Secret("fake-entra-token")
    assert posted(server)["client_assertion"] == "fake-federated-token"


def test_entra_refuses(entra: Callable[[Answer], Server], resolved: Resolved) -> None:
    server = entra(REFUSED)
    mode, environ = resolved(**WHO, AZURE_CLIENT_SECRET="fake-client-secret", AZURE_AUTHORITY_HOST=server.url)
    with pytest.raises(SignInAgain, match="AADSTS7000215") as caught:
        azure_token(mode, environ, instance_discovery=False)
    assert_silent(caught.value, "fake-client-secret")


def test_entra_cannot_be_verified(
    entra: Callable[[Answer], Server], resolved: Resolved, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = entra(TOKEN)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    mode, environ = resolved(**WHO, AZURE_CLIENT_SECRET="fake-client-secret", AZURE_AUTHORITY_HOST=server.url)
    with pytest.raises(TryAgain) as caught:
        azure_token(mode, environ, instance_discovery=False)
    assert server.asked == []
    assert_silent(caught.value, "fake-client-secret")


def test_a_certificate_of_no_use(resolved: Resolved, tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("fake-canary-text")
    mode, environ = resolved(**WHO, AZURE_CLIENT_CERTIFICATE_PATH=str(tmp_path / "broken.pem"))
    with pytest.raises(NotReady) as caught:
        azure_token(mode, environ, instance_discovery=False)
    assert_silent(caught.value)


def test_a_managed_identity_of_the_platform(resolved: Resolved) -> None:
    ends = SystemClock().now() // SECOND + 3600
    body = {"access_token": "fake-entra-token", "expires_on": str(ends), "resource": "x", "token_type": "Bearer"}
    with serving(lambda asked: Answer(body=body)) as server:
        mode, environ = resolved(IDENTITY_ENDPOINT=f"{server.url}/msi/token", IDENTITY_HEADER="fake-header")
        assert azure_token(mode, environ).token == Secret("fake-entra-token")
    (asked,) = server.asked
    assert asked.headers["x-identity-header"] == "fake-header"
    assert asked.query["resource"] == [SCOPE.removesuffix("/.default")]


@pytest.mark.parametrize("answer", [Answer(400, {"message": "fake-canary-text"}), Answer(200, "fake-canary-text")])
def test_a_managed_identity_that_gives_nothing(resolved: Resolved, answer: Answer) -> None:
    with serving(lambda asked: answer) as server:
        mode, environ = resolved("managed", IDENTITY_ENDPOINT=f"{server.url}/msi", IDENTITY_HEADER="fake-header")
        with pytest.raises(TryAgain) as caught:
            azure_token(mode, environ)
    assert_silent(caught.value, "fake-header")


def test_a_redirect_is_not_followed(resolved: Resolved) -> None:
    with serving(lambda asked: TOKEN) as elsewhere:
        away = Answer(302, "", {"Location": elsewhere.url})
        with serving(lambda asked: away) as server:
            mode, environ = resolved(IDENTITY_ENDPOINT=f"{server.url}/msi", IDENTITY_HEADER="fake-header")
            with pytest.raises(TryAgain):
                azure_token(mode, environ)
        assert elsewhere.asked == []


def test_an_identity_endpoint_that_never_answers(resolved: Resolved) -> None:
    held = threading.Event()

    def hold(asked: Asked) -> Answer:
        held.wait(60)
        return TOKEN

    with serving(hold) as server:
        mode, environ = resolved(IDENTITY_ENDPOINT=f"{server.url}/msi", IDENTITY_HEADER="fake-header")
        with pytest.raises(TryAgain, match="did not answer within"):
            azure_token(mode, environ, deadline=0.5)
        held.set()


def az(home: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A program called az, and the file that says that somebody is signed in."""
    folder = home / "bin"
    folder.mkdir(parents=True)
    (folder / "az").write_text(f"#!{sys.executable}\n{code}\n")
    (folder / "az").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    (home / ".azure").mkdir()
    (home / ".azure/azureProfile.json").write_text(
        '{"subscriptions": [{"tenantId": "fake-tenant", "isDefault": true}]}'
    )


def test_the_account_az_is_signed_in_to(resolved: Resolved, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = SystemClock().now() // SECOND + 3600
    told = f'{{"accessToken": "fake-az-token", "expires_on": {ends}}}'
    az(isolated / "home", monkeypatch, f"import sys\nassert 'get-access-token' in sys.argv\nprint({told!r})")
    mode, environ = resolved()
    token = azure_token(mode, environ)
    assert (token.token, token.expires_at) == (Secret("fake-az-token"), ends * SECOND)


@pytest.mark.parametrize("code", ["import sys; sys.exit('az login, fake-canary-text')", "print('fake-canary-text')"])
def test_an_az_that_refuses(resolved: Resolved, isolated: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    az(isolated / "home", monkeypatch, code)
    mode, environ = resolved()
    with pytest.raises(SignInAgain) as caught:
        azure_token(mode, environ)
    assert caught.value.hint == "az login"
    assert_silent(caught.value)


def test_an_az_that_is_gone(resolved: Resolved, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    az(isolated / "home", monkeypatch, "")
    (isolated / "home/bin/az").unlink()
    mode, environ = resolved()
    with pytest.raises(Unavailable, match="the program az is not there"):
        azure_token(mode, environ)
