"""google-auth itself against loopback: every type of credentials file, the metadata server, refusals, redirects, silence."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.support import Answer, Asked, serving
from vault.errors import NotReady, SignInAgain, TryAgain, VaultError
from vault.providers.cloud.google import LOGIN, VertexSettings, resolve_vertex
from vault.providers.cloud.google_token import SCOPES, google_token
from vault.providers.cloud.modes import CloudMode, read_file
from vault.values import SECOND, Secret, SystemClock

pytestmark = pytest.mark.interop

WHERE = {"VERTEXAI_PROJECT": "fake-project", "VERTEXAI_LOCATION": "europe-west4"}
TOKEN = Answer(body={"access_token": "fake-google-token", "expires_in": 3600, "token_type": "Bearer"})


@pytest.fixture(scope="module")
def private_key() -> str:
    """A key of this run's own: google-auth signs with it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(65537, 2048)
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.private_bytes(serialization.Encoding.PEM, kind, plain).decode()


def resolved(home: Path, content: Mapping[str, Any], **more: str) -> tuple[CloudMode, dict[str, str]]:
    path = home / "credentials.json"
    path.write_text(json.dumps(content))
    environ = {**WHERE, "GOOGLE_APPLICATION_CREDENTIALS": str(path), **more}
    mode = resolve_vertex(VertexSettings(), environ, home, reader=read_file)
    assert mode.ready, mode.problems
    return mode, environ


def service(url: str, private_key: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "client_email": "fake@fake.example",
        "private_key": private_key,
        "token_uri": f"{url}/token",
    }


def external(home: Path, url: str, **source: Any) -> dict[str, Any]:
    (home / "subject").write_text("fake-subject-token")
    return {
        "type": "external_account",
        "audience": "//iam.googleapis.com/fake",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{url}/sts",
        "credential_source": source or {"file": str(home / "subject")},
    }


def assert_silent(error: VaultError, *secrets: str) -> None:
    told = "".join(traceback.format_exception(error)) + repr(error) + error.hint
    for secret in ("fake-canary-text", *secrets):
        assert secret not in told
    assert error.__suppress_context__


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_service_account(tmp_path: Path, private_key: str) -> None:
    with serving(lambda asked: TOKEN) as server:
        mode, environ = resolved(tmp_path, service(server.url, private_key))
        before = SystemClock().now()
        token = google_token(mode, environ, tmp_path)
    assert token.token == Secret("fake-google-token")
    assert token.expires_at is not None
    assert before + 3500 * SECOND < token.expires_at < SystemClock().now() + 3700 * SECOND
    (asked,) = server.asked
    said = claims(asked.form()["assertion"])
    assert (said["iss"], said["scope"]) == ("fake@fake.example", " ".join(SCOPES))


def test_a_users_own_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth sends a user's refresh token to Google alone, whatever the file says; so the constant is moved."""
    import google.oauth2.credentials

    user = {
        "type": "authorized_user",
        "client_id": "fake-client",
        "client_secret": "fake-cs",
        "refresh_token": "fake-refresh",
    }
    with serving(lambda asked: TOKEN) as server:
        monkeypatch.setattr(google.oauth2.credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{server.url}/token")
        mode, environ = resolved(tmp_path, user)
        assert google_token(mode, environ, tmp_path).token == Secret("fake-google-token")
    form = server.asked[0].form()
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "fake-refresh")


def test_a_users_login_that_was_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import google.oauth2.credentials

    user = {
        "type": "authorized_user",
        "client_id": "fake-client",
        "client_secret": "fake-cs",
        "refresh_token": "fake-refresh",
    }
    answer = Answer(400, {"error": "invalid_grant", "error_description": "fake-canary-text"})
    with serving(lambda asked: answer) as server:
        monkeypatch.setattr(google.oauth2.credentials, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{server.url}/token")
        mode, environ = resolved(tmp_path, user)
        with pytest.raises(SignInAgain, match="invalid_grant") as caught:
            google_token(mode, environ, tmp_path)
    assert caught.value.hint == LOGIN
    assert_silent(caught.value, "fake-refresh", "fake-cs")


def test_a_federated_identity_by_file(tmp_path: Path) -> None:
    with serving(lambda asked: TOKEN) as server:
        mode, environ = resolved(tmp_path, external(tmp_path, server.url))
        assert google_token(mode, environ, tmp_path).token == Secret("fake-google-token")
    form = server.asked[0].form()
    assert (form["subject_token"], form["audience"]) == ("fake-subject-token", "//iam.googleapis.com/fake")


def test_a_federated_identity_by_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "version": 1,
        "success": True,
        "token_type": "urn:ietf:params:oauth:token-type:jwt",
        "id_token": "fake-subject-of-a-program",
        "expiration_time": 4_000_000_000,
    }
    script = tmp_path / "program.py"
    script.write_text(f"print({json.dumps(said)!r})")
    monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
    with serving(lambda asked: TOKEN) as server:
        executable = {"command": f"{sys.executable} {script}", "timeout_millis": 30000}
        content = external(tmp_path, server.url, executable=executable)
        content["subject_token_type"] = said["token_type"]
        mode, environ = resolved(tmp_path, content, GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES="1")
        assert google_token(mode, environ, tmp_path).token == Secret("fake-google-token")
    assert server.asked[0].form()["subject_token"] == "fake-subject-of-a-program"


def test_an_external_user(tmp_path: Path) -> None:
    with serving(lambda asked: TOKEN) as server:
        content = {
            "type": "external_account_authorized_user",
            "audience": "//fake",
            "client_id": "fake-client",
            "client_secret": "fake-cs",
            "refresh_token": "fake-refresh",
            "token_url": f"{server.url}/token",
            "token_info_url": f"{server.url}/info",
        }
        mode, environ = resolved(tmp_path, content)
        assert google_token(mode, environ, tmp_path).token == Secret("fake-google-token")
    assert server.asked[0].form()["refresh_token"] == "fake-refresh"


def test_an_impersonated_service_account(tmp_path: Path, private_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """google-auth takes the account from the address and asks Google itself; so that constant is moved."""
    import google.auth.iam

    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def answer(asked: Asked) -> Answer:
        return TOKEN if asked.path == "/token" else Answer(body={"accessToken": "fake-other-token", "expireTime": ends})

    with serving(answer) as server:
        monkeypatch.setattr(google.auth.iam, "_IAM_ENDPOINT", server.url + "/iam/{}:generateAccessToken")
        content = {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": f"{server.url}/x/other@fake.example:generateAccessToken",
            "source_credentials": service(server.url, private_key),
        }
        mode, environ = resolved(tmp_path, content)
        assert google_token(mode, environ, tmp_path).token == Secret("fake-other-token")
    assert [a.path for a in server.asked] == ["/token", "/iam/other@fake.example:generateAccessToken"]
    assert server.asked[1].headers["authorization"] == "Bearer fake-google-token"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(400, {"error": "invalid_grant", "error_description": "fake-canary-text"}), SignInAgain),
        (Answer(401, "fake-canary-text"), SignInAgain),
        (Answer(200, "fake-canary-text"), TryAgain),
        (Answer(200, {"no": "token"}), SignInAgain),
        (Answer(200, {"access_token": "x", "expires_in": "fake-canary-text"}), TryAgain),
        (Answer(307, "", {"Location": "http://127.0.0.1:1/fake-canary-text"}), TryAgain),
    ],
)
def test_a_refusal(tmp_path: Path, private_key: str, answer: Answer, kind: type[VaultError]) -> None:
    with serving(lambda asked: answer) as server:
        mode, environ = resolved(tmp_path, service(server.url, private_key))
        with pytest.raises(kind) as caught:
            google_token(mode, environ, tmp_path)
    assert_silent(caught.value, private_key.splitlines()[1])


def test_a_redirect_is_not_followed(tmp_path: Path, private_key: str) -> None:
    with serving(lambda asked: TOKEN) as elsewhere:
        away = Answer(307, "", {"Location": f"{elsewhere.url}/token"})
        with serving(lambda asked: away) as server:
            mode, environ = resolved(tmp_path, service(server.url, private_key))
            with pytest.raises(TryAgain):
                google_token(mode, environ, tmp_path)
        assert elsewhere.asked == []


def test_a_server_that_never_answers(tmp_path: Path, private_key: str) -> None:
    held = threading.Event()

    def hold(asked: Asked) -> Answer:
        held.wait(60)
        return TOKEN

    with serving(hold) as server:
        mode, environ = resolved(tmp_path, service(server.url, private_key))
        with pytest.raises(TryAgain, match="did not answer within"):
            google_token(mode, environ, tmp_path, deadline=0.5)
        held.set()


def test_a_key_that_is_none(tmp_path: Path) -> None:
    mode, environ = resolved(tmp_path, service("https://token.example", "fake-canary-text"))
    with pytest.raises(NotReady, match="google-auth can't read") as caught:
        google_token(mode, environ, tmp_path)
    assert_silent(caught.value)


def test_a_file_that_changed_meanwhile(tmp_path: Path, private_key: str) -> None:
    mode, environ = resolved(tmp_path, service("https://token.example", private_key))
    (tmp_path / "credentials.json").write_text(json.dumps(service("http://token.example", private_key)))
    with pytest.raises(NotReady, match="changed meanwhile"):
        google_token(mode, environ, tmp_path)


METADATA = """
import os, pathlib
from vault.providers.cloud.google import VertexSettings, resolve_vertex
from vault.providers.cloud.google_token import google_token
from vault.errors import VaultError

home = pathlib.Path.home()
mode = resolve_vertex(VertexSettings(auth_source="metadata"), os.environ, home, reader=lambda path: None)
try:
    print(google_token(mode, os.environ, home).token.reveal())
except VaultError as error:
    print(type(error).__name__, error)
"""


def asked_metadata(url: str) -> str:
    """google-auth reads the address once, when it is imported; so this runs in a process of its own."""
    environ = {**os.environ, **WHERE, "GCE_METADATA_HOST": url.removeprefix("http://")}
    done = subprocess.run([sys.executable, "-c", METADATA], env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_metadata_server() -> None:
    def answer(asked: Asked) -> Answer:
        assert asked.headers["metadata-flavor"] == "Google"
        about = {"email": "fake@fake.example", "scopes": list(SCOPES), "aliases": ["default"]}
        return Answer(
            body=TOKEN.body if asked.path.endswith("/token") else about, headers={"Metadata-Flavor": "Google"}
        )

    with serving(answer) as server:
        assert asked_metadata(server.url) == "fake-google-token"
    assert server.asked[-1].path == "/computeMetadata/v1/instance/service-accounts/default/token"


def test_a_metadata_server_that_refuses() -> None:
    with serving(lambda asked: Answer(403, "fake-canary-text")) as server:
        said = asked_metadata(server.url)
    assert said.startswith("TryAgain ")
    assert "fake-canary-text" not in said
