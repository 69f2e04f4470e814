"""What a child gets and loses, and the paths that need no library or lack theirs."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cloud.support import HOME, NOW, PAIR, REGION, bedrock, files
from vault.errors import Defect, NotFound, TryAgain, Unavailable
from vault.providers.cloud.aws_credentials import aws_credentials
from vault.providers.cloud.azure import AzureSettings, resolve_azure
from vault.providers.cloud.extras import library, within
from vault.providers.cloud.google import VertexSettings, resolve_vertex
from vault.providers.cloud.issuing import environment_for, names_to_remove, obtain
from vault.providers.cloud.modes import Bearer, CloudMode, KeyPair, redacted_id
from vault.values import Secret

BOTH_REGIONS = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
WORK = {".aws/credentials": "[work]\naws_access_key_id = fake-id\naws_secret_access_key = fake-secret\n"}
CONTAINER = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "fake-container-token",
}
WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token", "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/fake"}
GOOGLE = {"VERTEXAI_PROJECT": "fake-project", "VERTEXAI_LOCATION": "europe-west4"}
GCLOUD = ".config/gcloud/application_default_credentials.json"
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "fake-client-secret", "refresh_token": "fake-r"}
AZURE = {"AZURE_OPENAI_API_ENDPOINT": "https://fake.openai.azure.com/", "AZURE_OPENAI_API_VERSION": "2024-02-01"}


def child(mode: CloudMode, credential: KeyPair | Bearer | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment a child would have."""
    removed = names_to_remove(mode)
    kept = {name: value for name, value in environ.items() if name not in removed}
    return {**kept, **environment_for(mode, credential, environ)}


def google(**settings: str) -> CloudMode:
    reader = files({GCLOUD: json.dumps(USER)})
    return resolve_vertex(VertexSettings(**settings), GOOGLE, HOME, reader=reader)


def azure(environ: Mapping[str, str], *, stored: bool = False, **settings: str) -> CloudMode:
    return resolve_azure(AzureSettings(**settings), {**AZURE, **environ}, HOME, stored_key=stored, reader=files())


def test_keys_of_the_environment_are_handed_over_whole() -> None:
    environ = {
        **REGION,
        **PAIR,
        "AWS_SESSION_TOKEN": "fake-session",
        "AWS_CREDENTIAL_EXPIRATION": "2026-01-01T01:00:00Z",
        "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer",
        "AWS_PROFILE": "stale",
        "VAULT_AWS_PROFILE": "own",
        **CONTAINER,
        "PATH": "/bin",
    }
    mode = bedrock(environ, auth_source="env")
    keys = obtain(mode, environ, HOME)
    assert keys == KeyPair(*_secrets(PAIR), Secret("fake-session"), NOW + 3_600_000_000)
    assert child(mode, keys, environ) == {
        **PAIR,
        **BOTH_REGIONS,
        "AWS_SESSION_TOKEN": "fake-session",
        "AWS_CREDENTIAL_EXPIRATION": "2026-01-01T01:00:00Z",
        "PATH": "/bin",
    }


def _secrets(pair: Mapping[str, str]) -> tuple[str, Secret]:
    key_id, secret = pair.values()
    return key_id, Secret(secret)


def test_process_local_keys_reach_the_child_under_the_tools_own_names() -> None:
    own = {f"VAULT_{name}": f"{value}-own" for name, value in PAIR.items()}
    environ = {**PAIR, **own, "AWS_SESSION_TOKEN": "fake-session-ambient", "VAULT_AWS_REGION": "eu-west-1"}
    mode = bedrock(environ)
    given = child(mode, aws_credentials(mode, environ), environ)
    assert given == {name: f"{value}-own" for name, value in PAIR.items()} | BOTH_REGIONS


def test_a_bearer_token_is_the_stored_one_or_the_variables() -> None:
    environ = {**REGION, **PAIR, "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-ambient"}
    stored = bedrock(environ, stored=True)
    token = obtain(stored, environ, HOME, stored=Secret("fake-bearer-stored"))
    assert child(stored, token, environ) == {**BOTH_REGIONS, "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-stored"}
    with pytest.raises(Defect):
        obtain(stored, environ, HOME)
    ambient = bedrock(environ, auth_source="bearer")
    assert obtain(ambient, environ, HOME, stored=Secret("fake-other")) == Bearer(Secret("fake-bearer-ambient"))
    with pytest.raises(NotFound):
        obtain(ambient, REGION, HOME)


def test_a_child_may_be_pointed_at_the_source_instead() -> None:
    environ = {**REGION, "AWS_PROFILE": "work", "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer", **CONTAINER}
    named = bedrock(environ, WORK, auth_source="profile")
    assert child(named, None, environ) == {**BOTH_REGIONS, "AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "work"}
    contained = bedrock(environ, WORK, auth_source="container")
    assert child(contained, None, environ) == {**BOTH_REGIONS, **CONTAINER}
    web = bedrock({**REGION, **WEB}, {"/run/token": "fake-web-token"})
    assert child(web, None, {**REGION, **WEB}) == {**BOTH_REGIONS, **WEB}
    with pytest.raises(Defect):
        environment_for(bedrock({**REGION, **PAIR}), None, PAIR)


def test_google_by_file_or_by_token() -> None:
    mode = google()
    path = str(HOME / GCLOUD)
    environ = {**GOOGLE, "GCP_PROJECT": "stale", "GOOGLE_APPLICATION_CREDENTIALS": "/stale.json"}
    project = dict.fromkeys(
        ("GOOGLE_VERTEX_PROJECT", "VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT"),
        "fake-project",
    )
    location = dict.fromkeys(
        ("GOOGLE_VERTEX_LOCATION", "VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION", "VERTEX_LOCATION"), "europe-west4"
    )
    where = project | location
    assert child(mode, None, environ) == {**where, "GOOGLE_APPLICATION_CREDENTIALS": path}
    token = Bearer(Secret("fake-google-token"))
    assert child(mode, token, environ) == {
        **where,
        "GOOGLE_CLOUD_ACCESS_TOKEN": "fake-google-token",
        "CLOUDSDK_AUTH_ACCESS_TOKEN": "fake-google-token",
    }
    assert child(google(auth_source="metadata"), None, environ) == where
    with pytest.raises(Defect):
        environment_for(mode, KeyPair("fake-id", Secret("fake-secret")), {})


def test_azure_by_key_or_by_token() -> None:
    environ = {"AZURE_API_KEY": "fake-key-azure-1", "AZURE_RESOURCE_NAME": "stale", "AZURE_OPENAI_AD_TOKEN": "stale"}
    mode = azure(environ)
    key = obtain(mode, environ, HOME)
    where = {
        "AZURE_OPENAI_API_ENDPOINT": "https://fake.openai.azure.com/",
        "AZURE_OPENAI_ENDPOINT": "https://fake.openai.azure.com/",
        "AZURE_RESOURCE_NAME": "fake",
        "AZURE_OPENAI_API_VERSION": "2024-02-01",
    }
    keys = {"AZURE_OPENAI_API_KEY": "fake-key-azure-1", "AZURE_API_KEY": "fake-key-azure-1"}
    assert child(mode, key, environ) == {**where, **keys}
    managed = azure(environ, auth_source="managed")
    assert child(managed, None, environ) == where
    assert child(managed, Bearer(Secret("fake-entra")), environ) == {**where, "AZURE_OPENAI_AD_TOKEN": "fake-entra"}
    stored = azure({}, stored=True)
    assert obtain(stored, {}, HOME, stored=Secret("fake-key-2")) == Bearer(Secret("fake-key-2"))
    with pytest.raises(Defect):
        obtain(stored, {}, HOME)
    with pytest.raises(Defect):
        environment_for(stored, None, {})
    elsewhere = azure({"AZURE_OPENAI_API_ENDPOINT": "https://gateway.example"}, stored=True)
    assert "AZURE_RESOURCE_NAME" not in child(elsewhere, Bearer(Secret("fake")), {"AZURE_RESOURCE_NAME": "stale"})


def test_a_mode_that_is_not_ready_is_never_obtained() -> None:
    broken = bedrock({**REGION, "AWS_PROFILE": "gone"})
    with pytest.raises(NotFound, match="there is no profile gone"):
        obtain(broken, REGION, HOME)


@pytest.mark.parametrize(
    ("extra", "blocked", "mode", "environ"),
    [
        ("aws", "botocore", bedrock({**REGION, "AWS_PROFILE": "work"}, WORK), {}),
        ("aws", "botocore", bedrock({**REGION, **CONTAINER}), CONTAINER),
        ("aws", "botocore", bedrock({**REGION, **WEB}, {"/run/token": "fake-web-token"}), WEB),
        ("google", "google.auth", google(auth_source="metadata"), {}),
        ("azure", "azure", azure({}, auth_source="managed"), {}),
    ],
)
def test_without_the_extra_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, extra: str, blocked: str, mode: CloudMode, environ: dict[str, str]
) -> None:
    for name in [n for n in sys.modules if n == blocked or n.startswith(f"{blocked}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, blocked, None)
    with pytest.raises(Unavailable) as caught:
        obtain(mode, environ, Path("/nowhere"))
    assert caught.value.hint == f"pip install 'agent-vault[{extra}]'"
    assert caught.value.exit_status == 69


def test_what_needs_no_library_works_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("botocore", "azure"):
        monkeypatch.setitem(sys.modules, name, None)
    environ = {**REGION, **PAIR, "AZURE_API_KEY": "fake-key-azure-1"}
    assert obtain(bedrock(environ), environ, HOME) == KeyPair(*_secrets(PAIR))
    assert obtain(azure(environ), environ, HOME) == Bearer(Secret("fake-key-azure-1"))


def test_nothing_is_waited_for_without_end() -> None:
    gate = threading.Event()
    try:
        with pytest.raises(TryAgain, match=r"the fake did not answer within 0\.01 s"):
            within(0.01, "the fake", gate.wait)
    finally:
        gate.set()
    assert within(60, "the fake", lambda: 7) == 7
    with pytest.raises(KeyError):
        within(60, "the fake", lambda: {}[1])


def test_resolving_loads_no_cloud_library() -> None:
    import subprocess

    code = (
        "import sys, vault.providers.cloud.issuing, vault.providers.cloud.settings\n"
        "heavy = {'botocore', 'google.auth', 'azure.identity', 'requests', 'httpx', 'sqlalchemy', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_library_of_a_known_extra_is_imported_by_name() -> None:
    with pytest.raises(Unavailable, match="needs botocore"):
        library("botocore_that_is_not_there", "aws")


def test_a_key_pair_shows_no_secret() -> None:
    pair = KeyPair("fake-access-key-id-0001", Secret("fake-secret-1"), Secret("fake-session-1"))
    assert repr(pair) == "KeyPair(fake…0001)"
    assert [redacted_id(text) for text in ("", "short", "fake-id-of-1", "fake-id-of-16-ch")] == [
        "…",
        "…",
        "fake…",
        "fake…6-ch",
    ]
