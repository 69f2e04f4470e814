"""botocore itself against loopback: container, web identity, roles, SSO, a process; what it refuses; what leaks: nothing."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cloud.support import Answer, Asked, serving
from tests.support import Canary
from vault.errors import NotFound, NotReady, SignInAgain, TryAgain, Unavailable, VaultError
from vault.providers.cloud.aws import BedrockSettings, resolve_bedrock
from vault.providers.cloud.aws_credentials import aws_credentials
from vault.providers.cloud.modes import CloudMode, KeyPair, read_file
from vault.values import SECOND, Instant, Secret, SystemClock

pytestmark = pytest.mark.interop

Resolved = Callable[..., tuple[CloudMode, Mapping[str, str]]]

ENDS = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
INSTANT = int(ENDS.timestamp()) * SECOND
STAMP = ENDS.strftime("%Y-%m-%dT%H:%M:%SZ")
ROLE = "arn:aws:iam::000000000000:role/fake-role"


def contained(name: str = "container", **changes: str | None) -> Answer:
    keys = {"AccessKeyId": f"fake-id-{name}", "SecretAccessKey": f"fake-secret-{name}", "Token": f"fake-token-{name}"}
    return Answer(body={k: v for k, v in {**keys, "Expiration": STAMP, **changes}.items() if v is not None})


def sts(action: str, name: str) -> Answer:
    """What STS answers, in its XML."""
    keys = f"<AccessKeyId>fake-id-{name}</AccessKeyId><SecretAccessKey>fake-secret-{name}</SecretAccessKey>"
    credentials = f"<Credentials>{keys}<SessionToken>fake-token-{name}</SessionToken><Expiration>{STAMP}</Expiration>"
    return Answer(
        body=f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>{credentials}</Credentials>'
        f"</{action}Result></{action}Response>",
        headers={"Content-Type": "text/xml"},
    )


def refused(status: int, code: str) -> Answer:
    return Answer(
        status, f"<ErrorResponse><Error><Code>{code}</Code><Message>fake-canary-text</Message></Error></ErrorResponse>"
    )


def pair(name: str) -> KeyPair:
    return KeyPair(f"fake-id-{name}", Secret(f"fake-secret-{name}"), Secret(f"fake-token-{name}"), INSTANT)


@pytest.fixture
def home(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder, also for the cache folder that botocore works out when it is imported."""
    import botocore.credentials
    import botocore.tokens

    place = isolated / "home"
    (place / ".aws/sso/cache").mkdir(parents=True)
    for owner in (botocore.credentials.SSOProvider, botocore.tokens.SSOTokenProvider):
        monkeypatch.setattr(owner, "_SSO_TOKEN_CACHE_DIR", str(place / ".aws/sso/cache"))
    return place


@pytest.fixture
def resolved(home: Path, monkeypatch: pytest.MonkeyPatch) -> Resolved:
    """Set the process's environment, as botocore reads it, and resolve from the same."""

    def resolve(auth_source: str = "auto", **variables: str) -> tuple[CloudMode, Mapping[str, str]]:
        for name, value in {"AWS_REGION": "eu-west-1", **variables}.items():
            monkeypatch.setenv(name, value)
        settings = BedrockSettings(auth_source=auth_source)
        now = Instant(SystemClock().now())
        mode = resolve_bedrock(settings, os.environ, home, stored_token=False, reader=read_file, now=now)
        assert mode.ready, mode.problems
        return mode, os.environ

    return resolve


def write(home: Path, name: str, text: str) -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_container_endpoint(resolved: Resolved, home: Path) -> None:
    with serving(lambda asked: contained()) as server:
        token = write(home, "container-token", "fake-container-authorization")
        uri = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/v1/credentials"}
        mode, environ = resolved("container", **uri, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(token))
        assert aws_credentials(mode, environ) == pair("container")
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/v1/credentials")
    assert asked.headers["authorization"] == "fake-container-authorization"
    assert asked.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(403, {"Message": "fake-canary-text"}),
        Answer(200, "fake-canary-text, not JSON"),
        Answer(200, "[]"),
        contained(Token=None),
        contained(Expiration="fake-canary-text"),
        contained(Expiration="2020-01-01T00:00:00Z"),
        Answer(302, "", {"Location": "http://127.0.0.1:1/fake-canary-text"}),
    ],
)
def test_a_container_endpoint_that_gives_nothing_of_use(
    resolved: Resolved, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    import botocore.utils

    monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
    with serving(lambda asked: answer) as server:
        mode, environ = resolved(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{server.url}/fake-path")
        with pytest.raises(TryAgain) as caught:
            aws_credentials(mode, environ)
    assert str(caught.value).startswith(f"the container endpoint at {server.url} gave no usable credentials (")
    assert_silent(caught.value)


def test_a_container_endpoint_that_never_answers(resolved: Resolved) -> None:
    def hold(asked: Asked) -> Answer:
        server.gate.wait(60)
        return contained()

    with serving(hold) as server:
        mode, environ = resolved(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)
        with pytest.raises(TryAgain, match="did not answer within"):
            aws_credentials(mode, environ, deadline=0.3)


def test_nobody_listens_at_the_container_endpoint(resolved: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.utils

    monkeypatch.setattr(botocore.utils.ContainerMetadataFetcher, "SLEEP_TIME", 0)
    mode, environ = resolved(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:1/")
    with pytest.raises(TryAgain):
        aws_credentials(mode, environ)


def test_a_web_identity(resolved: Resolved, home: Path, canary: Canary) -> None:
    token = write(home, "web-token", str(canary))
    with serving(lambda asked: sts("AssumeRoleWithWebIdentity", "web")) as server:
        mode, environ = resolved(
            AWS_WEB_IDENTITY_TOKEN_FILE=str(token),
            AWS_ROLE_ARN=ROLE,
            AWS_ROLE_SESSION_NAME="fake-session",
            AWS_ENDPOINT_URL_STS=server.url,
        )
        assert aws_credentials(mode, environ) == pair("web")
    form = server.asked[0].form()
    assert (form["Action"], form["RoleArn"], form["RoleSessionName"]) == (
        "AssumeRoleWithWebIdentity",
        ROLE,
        "fake-session",
    )
    assert form["WebIdentityToken"] == str(canary)
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidIdentityToken", SignInAgain),
        (400, "ExpiredTokenException", SignInAgain),
        (403, "AccessDenied", SignInAgain),
        (400, "Throttling", TryAgain),
        (503, "ServiceUnavailable", TryAgain),
    ],
)
def test_a_web_identity_that_sts_refuses(
    resolved: Resolved,
    home: Path,
    status: int,
    code: str,
    kind: type[VaultError],
) -> None:
    token = write(home, "web-token", "fake-canary-text")
    with serving(lambda asked: refused(status, code)) as server:
        mode, environ = resolved(
            AWS_WEB_IDENTITY_TOKEN_FILE=str(token), AWS_ROLE_ARN=ROLE, AWS_ENDPOINT_URL_STS=server.url
        )
        with pytest.raises(kind, match=code) as caught:
            aws_credentials(mode, environ)
    assert_silent(caught.value)


def test_a_profile_with_keys(resolved: Resolved, home: Path) -> None:
    write(home, ".aws/credentials", "[work]\naws_access_key_id = fake-id\naws_secret_access_key = fake-secret\n")
    mode, environ = resolved("profile", AWS_PROFILE="work", AWS_ACCESS_KEY_ID="fake-other", AWS_SECRET_ACCESS_KEY="x")
    assert aws_credentials(mode, environ) == KeyPair("fake-id", Secret("fake-secret"))


def test_a_profile_that_assumes_a_role(resolved: Resolved, home: Path) -> None:
    keys = "aws_access_key_id = fake-base-id\naws_secret_access_key = fake-base-secret\n"
    write(home, ".aws/config", f"[profile work]\nrole_arn = {ROLE}\nsource_profile = base\n[profile base]\n{keys}")
    with serving(lambda asked: sts("AssumeRole", "role")) as server:
        mode, environ = resolved("profile", AWS_PROFILE="work", AWS_ENDPOINT_URL_STS=server.url)
        assert aws_credentials(mode, environ) == pair("role")
    assert server.asked[0].form()["RoleArn"] == ROLE
    assert "Credential=fake-base-id/" in server.asked[0].headers["authorization"]


def test_a_profile_that_fails_is_never_another_credential(resolved: Resolved, home: Path) -> None:
    write(home, ".aws/config", "[profile work]\nlogin_session = fake-session\n")
    write(home, ".aws/credentials", "[default]\naws_access_key_id = fake-id\naws_secret_access_key = fake-secret\n")
    with serving(lambda asked: contained()) as server:
        mode, environ = resolved(
            "profile",
            AWS_PROFILE="work",
            AWS_ACCESS_KEY_ID="fake-other-id",
            AWS_SECRET_ACCESS_KEY="fake-other-secret",
            AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url,
        )
        with pytest.raises((SignInAgain, Unavailable)) as caught:
            aws_credentials(mode, environ)
        assert server.asked == []
    assert caught.value.hint in ("aws login --profile work", "pip install 'botocore[crt]'")


def test_a_profile_that_lost_its_keys_meanwhile_is_never_another_credential(resolved: Resolved, home: Path) -> None:
    keys = "aws_access_key_id = fake-id\naws_secret_access_key = fake-secret\n"
    place = write(home, ".aws/credentials", f"[default]\n{keys}[work]\n{keys}")
    with serving(lambda asked: contained()) as server:
        mode, environ = resolved(
            "profile",
            AWS_PROFILE="work",
            AWS_ACCESS_KEY_ID="fake-other-id",
            AWS_SECRET_ACCESS_KEY="fake-other-secret",
            AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url,
        )
        place.write_text(f"[default]\n{keys}[work]\nregion = eu-west-1\n")
        with pytest.raises(NotFound, match="botocore found no credential there"):
            aws_credentials(mode, environ)
        assert server.asked == []


SESSION = (
    "[profile work]\nsso_session = fake-session\nsso_account_id = 000000000000\nsso_role_name = fake-role\n"
    "[sso-session fake-session]\nsso_start_url = https://fake.example/start\nsso_region = eu-west-1\n"
)
LEGACY = (
    "[profile work]\nsso_start_url = https://fake.example/start\nsso_region = eu-west-1\n"
    "sso_account_id = 000000000000\nsso_role_name = fake-role\n"
)


def sso(asked: Asked) -> Answer:
    if asked.path == "/token":
        assert json.loads(asked.body)["refreshToken"] == "fake-refresh-1"
        return Answer(body={"accessToken": "fake-sso-token-2", "expiresIn": 3600, "refreshToken": "fake-refresh-2"})
    keys = {"accessKeyId": "fake-id-sso", "secretAccessKey": "fake-secret-sso", "sessionToken": "fake-token-sso"}
    return Answer(body={"roleCredentials": {**keys, "expiration": INSTANT // 1000}})


def cached(home: Path, key: str, ends: str) -> Path:
    token = {
        "accessToken": "fake-sso-token-1",
        "expiresAt": ends,
        "refreshToken": "fake-refresh-1",
        "clientId": "fake-client",
        "clientSecret": "fake-client-secret",
        "registrationExpiresAt": STAMP,
    }
    name = hashlib.sha1(key.encode()).hexdigest()
    return write(home, f".aws/sso/cache/{name}.json", json.dumps(token))


@pytest.mark.parametrize(("config", "key"), [(SESSION, "fake-session"), (LEGACY, "https://fake.example/start")])
def test_an_sso_profile(resolved: Resolved, home: Path, config: str, key: str) -> None:
    write(home, ".aws/config", config)
    cached(home, key, STAMP)
    with serving(sso) as server:
        mode, environ = resolved("profile", AWS_PROFILE="work", AWS_ENDPOINT_URL_SSO=server.url)
        assert aws_credentials(mode, environ) == pair("sso")
    (asked,) = server.asked
    assert asked.path == "/federation/credentials"
    assert asked.query == {"role_name": ["fake-role"], "account_id": ["000000000000"]}
    assert asked.headers["x-amz-sso_bearer_token"] == "fake-sso-token-1"


def test_an_ended_sso_session_is_renewed_where_it_lives(resolved: Resolved, home: Path) -> None:
    write(home, ".aws/config", SESSION)
    place = cached(home, "fake-session", "2020-01-01T00:00:00Z")
    with serving(sso) as server:
        mode, environ = resolved(
            "profile", AWS_PROFILE="work", AWS_ENDPOINT_URL_SSO=server.url, AWS_ENDPOINT_URL_SSO_OIDC=server.url
        )
        assert aws_credentials(mode, environ) == pair("sso")
    assert [a.path for a in server.asked] == ["/token", "/federation/credentials"]
    assert server.asked[1].headers["x-amz-sso_bearer_token"] == "fake-sso-token-2"
    assert json.loads(place.read_text())["refreshToken"] == "fake-refresh-2"


def test_an_sso_session_that_aws_does_not_know_any_more(resolved: Resolved, home: Path) -> None:
    write(home, ".aws/config", SESSION)
    cached(home, "fake-session", STAMP)
    answer = Answer(401, {"message": "fake-canary-text"}, {"x-amzn-ErrorType": "UnauthorizedException"})
    with serving(lambda asked: answer) as server:
        mode, environ = resolved("profile", AWS_PROFILE="work", AWS_ENDPOINT_URL_SSO=server.url)
        with pytest.raises(SignInAgain) as caught:
            aws_credentials(mode, environ)
    assert caught.value.hint == "aws sso login --profile work"
    assert_silent(caught.value)


def helper(home: Path, code: str) -> str:
    script = write(home, "helper.py", code)
    return f"[profile work]\ncredential_process = {sys.executable} {script} --key fake-canary-text\n"


def test_a_credential_process(resolved: Resolved, home: Path) -> None:
    answer = {
        "Version": 1,
        "AccessKeyId": "fake-id-process",
        "SecretAccessKey": "fake-secret-process",
        "SessionToken": "fake-token-process",
        "Expiration": STAMP,
    }
    write(home, ".aws/config", helper(home, f"print({json.dumps(answer)!r})"))
    mode, environ = resolved("profile", AWS_PROFILE="work")
    assert aws_credentials(mode, environ) == pair("process")


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys.exit('fake-canary-text')",
        "print('fake-canary-text')",
        'print(\'{"Version": 2, "AccessKeyId": "fake-canary-text"}\')',
        'print(\'{"Version": 1, "AccessKeyId": "fake-canary-text"}\')',
    ],
)
def test_a_credential_process_that_fails(resolved: Resolved, home: Path, code: str) -> None:
    write(home, ".aws/config", helper(home, code))
    mode, environ = resolved("profile", AWS_PROFILE="work")
    with pytest.raises(Unavailable, match="the credential_process python") as caught:
        aws_credentials(mode, environ)
    assert_silent(caught.value)


def test_a_credential_process_that_never_ends(resolved: Resolved, home: Path) -> None:
    """The program waits for a pipe that only this test closes; vault does not wait for it."""
    os.mkfifo(home / "pipe")
    write(home, ".aws/config", helper(home, f"open({str(home / 'pipe')!r}).read()"))
    mode, environ = resolved("profile", AWS_PROFILE="work")
    with pytest.raises(TryAgain, match="did not answer within"):
        aws_credentials(mode, environ, deadline=0.5)
    with (home / "pipe").open("w"):
        pass


def test_a_profile_that_botocore_does_not_understand(resolved: Resolved, home: Path) -> None:
    write(home, ".aws/config", f"[profile work]\nrole_arn = {ROLE}\ncredential_source = fake-canary-text\n")
    mode, environ = resolved("profile", AWS_PROFILE="work")
    with pytest.raises(NotReady) as caught:
        aws_credentials(mode, environ)
    assert_silent(caught.value)


def assert_silent(error: VaultError) -> None:
    """Nothing that a server or a program said is in the error, in its chain, or in its traceback."""
    import traceback

    told = "".join(traceback.format_exception(error)) + repr(error) + error.hint
    assert "fake-canary-text" not in told
    assert error.__cause__ is None
    assert error.__suppress_context__
