"""Which Google credential Vertex uses: project, location, application default credentials; never a secret in what is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.cloud.support import HOME, codes, files, reason
from vault.errors import NotFound, NotReady
from vault.providers.cloud.google import LOCATIONS, PROJECTS, VertexSettings, resolve_vertex
from vault.providers.cloud.modes import CloudMode, as_json, doctor_rows, reason_rows, status_rows

SECRET = "fake-google-secret-1"
WHERE = {"GOOGLE_VERTEX_PROJECT": "fake-project", "GOOGLE_VERTEX_LOCATION": "europe-west4"}
GCLOUD = ".config/gcloud/application_default_credentials.json"
USER = {"type": "authorized_user", "client_id": "fake-client", "client_secret": SECRET, "refresh_token": SECRET}
SERVICE = {
    "type": "service_account",
    "project_id": "fake-own-project",
    "client_email": "fake@fake.example",
    "private_key": SECRET,
    "token_uri": "https://token.example/token",
}
EXTERNAL = {
    "type": "external_account",
    "audience": "//fake",
    "subject_token_type": "urn:fake",
    "token_url": "https://sts.example/v1/token",
    "credential_source": {"file": "/run/subject"},
}


def vertex(environ: Mapping[str, str], contents: Mapping[str, Any] | None = None, **settings: str) -> CloudMode:
    held = {name: text if isinstance(text, str) else json.dumps(text) for name, text in (contents or {}).items()}
    mode = resolve_vertex(VertexSettings(**settings), environ, HOME, reader=files(held))
    shown = (
        repr(mode) + json.dumps(as_json(mode)) + repr(status_rows(mode) + reason_rows(mode)) + repr(doctor_rows([mode]))
    )
    assert SECRET not in shown
    return mode


@pytest.mark.parametrize("names", [PROJECTS, LOCATIONS])
def test_each_variable_in_its_order(names: tuple[str, ...]) -> None:
    environ = {
        **dict.fromkeys(PROJECTS[:1] + LOCATIONS[:1], "fallback"),
        **{n: f"fake-{i}" for i, n in enumerate(names)},
    }
    for i, name in enumerate(names):
        mode = vertex(environ, {GCLOUD: USER})
        found = (mode.facts["project"], mode.facts["project_source"])
        assert (found if names is PROJECTS else (mode.region, mode.region_source)) == (f"fake-{i}", name)
        assert mode.ready
        del environ[name]
    assert codes(vertex(environ, {GCLOUD: USER}).problems) == [
        "project_missing" if names is PROJECTS else "region_missing"
    ]


def test_the_settings_come_first_and_a_service_accounts_own_project_last() -> None:
    mode = vertex(WHERE, {GCLOUD: USER}, project="fake-set", location="fake-place")
    assert (mode.facts["project_source"], mode.region_source) == ("the settings", "the settings")
    own = vertex({"VERTEXAI_LOCATION": "europe-west4"}, {GCLOUD: SERVICE})
    assert (own.facts["project"], own.facts["project_source"]) == ("fake-own-project", "the credentials file")
    assert vertex(WHERE, {GCLOUD: SERVICE}).facts["project"] == "fake-project"


def test_the_named_file_comes_before_gclouds_and_is_never_passed_over() -> None:
    environ = {**WHERE, "GOOGLE_APPLICATION_CREDENTIALS": "~/key.json"}
    mode = vertex(environ, {"key.json": SERVICE, GCLOUD: USER})
    assert (mode.mode, mode.source, mode.ready) == ("file", "GOOGLE_APPLICATION_CREDENTIALS", True)
    assert mode.facts["account"] == "fake@fake.example"
    assert reason(mode, "gcloud: gcloud's application default credentials") == "shadowed"
    gone = vertex(environ, {GCLOUD: USER})
    assert (gone.mode, codes(gone.problems)) == ("file", ["file_missing"])
    pinned = vertex(environ, {GCLOUD: USER}, auth_source="gcloud")
    assert (pinned.mode, pinned.facts["credentials_type"], pinned.ready) == ("gcloud", "authorized_user", True)
    assert reason(pinned, "file: GOOGLE_APPLICATION_CREDENTIALS") == "switched_off"


def test_gclouds_folder_may_be_elsewhere() -> None:
    name = "/etc/fake/application_default_credentials.json"
    assert vertex({**WHERE, "CLOUDSDK_CONFIG": "/etc/fake"}, {name: USER}).facts["credentials_file"] == name
    assert vertex({**WHERE, "CLOUDSDK_CONFIG": "/etc/fake"}, {GCLOUD: USER}).mode == ""


@pytest.mark.parametrize("auth_source", ["auto", "file", "gcloud"])
def test_nothing_found(auth_source: str) -> None:
    mode = vertex(WHERE, auth_source=auth_source)
    assert (mode.mode, codes(mode.problems)) == ("", ["no_source"])
    assert reason(mode, "metadata: metadata server") == "not_asked"
    with pytest.raises(NotFound):
        mode.require_ready()


def test_the_metadata_server_only_when_asked() -> None:
    mode = vertex(WHERE, {GCLOUD: USER}, auth_source="metadata")
    assert (mode.mode, mode.source, mode.ready) == ("metadata", "metadata server", True)
    assert "credentials_file" not in mode.facts


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("not json", ["unreadable"]),
        ("[]", ["unreadable"]),
        ({"type": "fake"}, ["unsupported"]),
        ({}, ["unsupported"]),
        ({**USER, "refresh_token": ""}, ["incomplete"]),
        ({**SERVICE, "private_key": ""}, ["incomplete"]),
        ({**SERVICE, "token_uri": "http://token.example/token"}, ["refused"]),
        ({**SERVICE, "token_uri": "http://127.0.0.1:1/token"}, []),
        ({**SERVICE, "token_uri": 17}, ["refused"]),
        (EXTERNAL, []),
        ({**EXTERNAL, "token_url": "http://sts.example"}, ["refused"]),
        ({**EXTERNAL, "service_account_impersonation_url": "http://iam.example"}, ["refused"]),
        ({**EXTERNAL, "credential_source": {"file": "/run/gone"}}, ["file_missing"]),
        ({**EXTERNAL, "credential_source": {"url": "http://169.254.169.254/token"}}, []),
        ({**EXTERNAL, "credential_source": {"url": "http://metadata.google.internal/token"}}, []),
        ({**EXTERNAL, "credential_source": {"url": "http://subject.example/token"}}, ["refused"]),
        ({**EXTERNAL, "credential_source": {"executable": {"command": "fake"}}}, ["refused"]),
        ({"type": "impersonated_service_account"}, ["incomplete"]),
        (
            {
                "type": "impersonated_service_account",
                "service_account_impersonation_url": "https://iam.example/x:generateAccessToken",
                "source_credentials": {**USER, "client_id": ""},
            },
            ["incomplete"],
        ),
        (
            {
                "type": "impersonated_service_account",
                "service_account_impersonation_url": "https://iam.example/x:generateAccessToken",
                "source_credentials": EXTERNAL,
            },
            ["unsupported"],
        ),
    ],
)
def test_what_is_wrong_with_a_credentials_file(content: object, problems: list[str]) -> None:
    contents = {GCLOUD: content, "/run/subject": SECRET}
    mode = vertex(WHERE, contents)
    assert codes(mode.problems) == problems
    assert mode.ready is not bool(problems)


def test_a_program_runs_only_where_it_was_allowed() -> None:
    content = {**EXTERNAL, "credential_source": {"executable": {"command": "fake"}}}
    assert vertex({**WHERE, "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1"}, {GCLOUD: content}).ready


def test_an_unknown_auth_source_is_bad_configuration() -> None:
    with pytest.raises(NotReady):
        VertexSettings(auth_source="env")


def test_rows() -> None:
    mode = vertex(WHERE, {GCLOUD: USER})
    assert status_rows(mode) == [
        ("provider", "google-vertex"),
        ("mode", "gcloud (chosen automatically)"),
        ("source", "gcloud's application default credentials"),
        ("location", "europe-west4 (from GOOGLE_VERTEX_LOCATION)"),
        ("ready", "yes, as far as can be seen from here"),
        ("project", "fake-project"),
        ("project source", "GOOGLE_VERTEX_PROJECT"),
        ("credentials file", str(HOME / GCLOUD)),
        ("credentials type", "authorized_user"),
    ]
