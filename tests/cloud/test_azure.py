"""Which Azure credential is used: endpoint, version, key or Entra ID; never a secret in what is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cloud.support import HOME, codes, files, reason
from vault.errors import NotFound, NotReady
from vault.providers.cloud.azure import AUTH_SOURCES, AzureSettings, resolve_azure
from vault.providers.cloud.modes import CloudMode, as_json, doctor_rows, reason_rows, status_rows

SECRET = "fake-azure-secret-1"
WHERE = {"AZURE_OPENAI_API_ENDPOINT": "https://fake.openai.azure.com", "AZURE_OPENAI_API_VERSION": "2024-02-01"}
WHO = {"AZURE_TENANT_ID": "fake-tenant", "AZURE_CLIENT_ID": "fake-client"}
PROFILE = ".azure/azureProfile.json"
ACCOUNTS = '\ufeff{"subscriptions": [{"name": "other"}, {"isDefault": true, "name": "fake sub", "tenantId": "fake-t"}]}'

SOURCES: list[tuple[str, str, dict[str, str]]] = [
    ("key", "the stored key", {}),
    ("key", "AZURE_OPENAI_API_KEY", {"AZURE_OPENAI_API_KEY": SECRET}),
    ("secret", "AZURE_CLIENT_SECRET", {"AZURE_CLIENT_SECRET": SECRET}),
    ("certificate", "AZURE_CLIENT_CERTIFICATE_PATH", {"AZURE_CLIENT_CERTIFICATE_PATH": "/run/cert.pem"}),
    ("workload", "AZURE_FEDERATED_TOKEN_FILE", {"AZURE_FEDERATED_TOKEN_FILE": "/run/federated"}),
    ("identity", "IDENTITY_ENDPOINT", {"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi", "IDENTITY_HEADER": SECRET}),
    ("cli", "az", {}),
    ("managed", "instance metadata", {}),
]
PINS = {
    "auto": ("key", "secret", "certificate", "workload", "identity", "cli"),
    "key": ("key",),
    "entra": ("secret", "certificate", "workload", "identity", "cli"),
    "managed": ("identity", "managed"),
}


def azure(
    environ: Mapping[str, str], contents: Mapping[str, str] | None = None, *, stored: bool = False, **settings: str
) -> CloudMode:
    mode = resolve_azure(AzureSettings(**settings), environ, HOME, stored_key=stored, reader=files(contents))
    shown = (
        repr(mode) + json.dumps(as_json(mode)) + repr(status_rows(mode) + reason_rows(mode)) + repr(doctor_rows([mode]))
    )
    assert SECRET not in shown
    return mode


@given(st.sets(st.sampled_from([what for _, what, _ in SOURCES[:-1]])), st.sampled_from(AUTH_SOURCES))
def test_the_first_source_wins_and_a_pin_reaches_only_its_own(present: set[str], auth_source: str) -> None:
    environ = {**WHERE, **WHO}
    for _, what, variables in SOURCES:
        environ |= variables if what in present else {}
    contents = {"/run/cert.pem": SECRET, "/run/federated": SECRET} | ({PROFILE: ACCOUNTS} if "az" in present else {})
    mode = azure(environ, contents, stored="the stored key" in present, auth_source=auth_source)
    there = present | {"instance metadata"}
    eligible = [(m, what) for m, what, _ in SOURCES if what in there and m in PINS[auth_source]]
    if eligible:
        assert (mode.mode, mode.source) == eligible[0]
        assert mode.ready, mode.problems
        assert ("scope" in mode.facts) is (mode.mode != "key")
    else:
        assert (mode.mode, codes(mode.problems)) == ("", ["no_source"])
        with pytest.raises(NotFound):
            mode.require_ready()


@pytest.mark.parametrize(
    ("environ", "settings", "endpoint", "source"),
    [
        (
            {"AZURE_OPENAI_API_ENDPOINT": "https://a.example", "AZURE_OPENAI_ENDPOINT": "https://b.example"},
            {},
            "https://a.example",
            "AZURE_OPENAI_API_ENDPOINT",
        ),
        (
            {"AZURE_OPENAI_ENDPOINT": "https://b.example/x", "AZURE_RESOURCE_NAME": "c"},
            {},
            "https://b.example/x",
            "AZURE_OPENAI_ENDPOINT",
        ),
        ({"AZURE_RESOURCE_NAME": "c"}, {}, "https://c.openai.azure.com", "AZURE_RESOURCE_NAME"),
        ({"AZURE_RESOURCE_NAME": "c"}, {"resource": "d"}, "https://d.openai.azure.com", "the settings"),
        (
            {"AZURE_OPENAI_API_ENDPOINT": "https://a.example"},
            {"endpoint": "https://s.example"},
            "https://s.example",
            "the settings",
        ),
        ({"AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:1"}, {}, "http://127.0.0.1:1", "AZURE_OPENAI_ENDPOINT"),
    ],
)
def test_where_the_endpoint_comes_from(
    environ: dict[str, str], settings: dict[str, str], endpoint: str, source: str
) -> None:
    mode = azure({"AZURE_API_KEY": SECRET, **environ}, **settings)
    assert (mode.facts["endpoint"], mode.facts["endpoint_source"], mode.ready) == (endpoint, source, True)
    assert mode.secret_names == ("AZURE_API_KEY",)


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({}, "endpoint_missing"),
        ({"AZURE_OPENAI_ENDPOINT": "http://fake.example"}, "refused"),
        ({"AZURE_OPENAI_ENDPOINT": "fake"}, "refused"),
        ({"AZURE_OPENAI_ENDPOINT": f"https://u:{SECRET}@fake.example"}, "endpoint_odd"),
        ({"AZURE_OPENAI_ENDPOINT": f"https://fake.example?key={SECRET}"}, "endpoint_odd"),
        ({"AZURE_RESOURCE_NAME": "fake.example/x"}, "endpoint_odd"),
    ],
)
def test_an_endpoint_of_no_use(environ: dict[str, str], code: str) -> None:
    mode = azure({"AZURE_API_KEY": "fake-key-1", "AZURE_OPENAI_API_VERSION": "v", **environ})
    assert codes(mode.problems) == [code]
    with pytest.raises(NotReady):
        mode.require_ready()


def test_a_missing_version_is_told_and_stops_nothing() -> None:
    environ = {"AZURE_API_KEY": SECRET, "AZURE_OPENAI_ENDPOINT": "https://fake.openai.azure.com"}
    mode = azure(environ)
    assert (mode.ready, codes(mode.problems)) == (True, ["version_missing"])
    assert [r.status for r in doctor_rows([mode])] == ["ok", "finding"]
    assert ("note", f"{mode.problems[0].text}: {mode.problems[0].hint}") in status_rows(mode)
    assert azure(environ, api_version="fake").facts["api_version"] == "fake"
    assert codes(azure({**environ, "AZURE_OPENAI_ENDPOINT": "https://fake.openai.azure.com/openai/v1/"}).problems) == []


def test_half_a_service_principal_is_passed_over_and_told() -> None:
    environ = {**WHERE, "AZURE_CLIENT_SECRET": SECRET, "AZURE_TENANT_ID": "fake-tenant"}
    mode = azure(environ, {PROFILE: ACCOUNTS})
    assert (mode.mode, mode.facts["subscription"], mode.facts["tenant"]) == ("cli", "fake sub", "fake-t")
    assert reason(mode, "secret: AZURE_CLIENT_SECRET") == "incomplete"
    alone = azure(environ, auth_source="entra")
    assert codes(alone.problems) == ["no_source", "incomplete"]
    assert alone.problems[1].text == "AZURE_CLIENT_SECRET is set and AZURE_CLIENT_ID not"
    assert codes(azure({**WHERE, "IDENTITY_ENDPOINT": "http://127.0.0.1:1"}).problems) == ["no_source", "incomplete"]


def test_a_broken_source_is_reported_and_not_passed_over() -> None:
    gone = azure({**WHERE, **WHO, "AZURE_FEDERATED_TOKEN_FILE": "/run/gone"}, {PROFILE: ACCOUNTS})
    assert (gone.mode, codes(gone.problems)) == ("workload", ["file_missing"])
    plain = azure({**WHERE, **WHO, "AZURE_CLIENT_SECRET": SECRET, "AZURE_AUTHORITY_HOST": "http://login.example"})
    assert codes(plain.problems) == ["refused"]
    away = azure({**WHERE, "IDENTITY_ENDPOINT": "http://fake.example/msi", "IDENTITY_HEADER": SECRET})
    assert (away.mode, codes(away.problems)) == ("identity", ["refused"])


def test_instance_metadata_only_when_asked() -> None:
    assert codes(azure(WHERE).problems) == ["no_source"]
    assert reason(azure(WHERE), "managed: instance metadata") == "not_asked"
    assert azure(WHERE, auth_source="managed").ready


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"subscriptions": []}', '{"subscriptions": ["x"]}'])
def test_an_az_nobody_is_signed_in_to(text: str) -> None:
    assert codes(azure(WHERE, {PROFILE: text}).problems) == ["no_source"]
    assert azure({**WHERE, "AZURE_CONFIG_DIR": "/etc/fake"}, {"/etc/fake/azureProfile.json": ACCOUNTS}).mode == "cli"


def test_cognitive_services_has_variables_of_its_own() -> None:
    environ = {
        "AZURE_COGNITIVE_SERVICES_RESOURCE_NAME": "fake",
        "AZURE_COGNITIVE_SERVICES_API_KEY": SECRET,
        "AZURE_OPENAI_API_KEY": "fake-key-of-another",
        "AZURE_OPENAI_ENDPOINT": "https://other.example",
    }
    mode = azure(environ, provider="azure-cognitive-services")
    assert mode.secret_names == ("AZURE_COGNITIVE_SERVICES_API_KEY",)
    assert mode.facts["endpoint"] == "https://fake.cognitiveservices.azure.com"


def test_an_unknown_auth_source_is_bad_configuration() -> None:
    with pytest.raises(NotReady):
        AzureSettings(auth_source="profile")
