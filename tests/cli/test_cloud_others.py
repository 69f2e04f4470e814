"""Vertex and Azure through the command: what a child gets, what ``get`` prints, what the history and ``why`` tell."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.clouds import Clouds, clouds
from tests.cli.running import Real
from tests.cloud.support import Answer, serving
from vault.commands.login import log_in
from vault.events.credentials import OAuth, Token
from vault.values import HOUR, MAIN_AGENT, ProfileId

__all__ = ["clouds"]

WHERE = {"GOOGLE_VERTEX_PROJECT": "fake-project", "GOOGLE_VERTEX_LOCATION": "europe-west4"}
PROJECTS = ("GOOGLE_VERTEX_PROJECT", "VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT")
LOCATIONS = ("GOOGLE_VERTEX_LOCATION", "VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION", "VERTEX_LOCATION")
PLACE = {**dict.fromkeys(PROJECTS, "fake-project"), **dict.fromkeys(LOCATIONS, "europe-west4")}
GCLOUD = ".config/gcloud/application_default_credentials.json"
USER = {
    "type": "authorized_user",
    "client_id": "fake-client",
    "client_secret": "fake-secret-client",
    "refresh_token": "fake-refresh-google",
}
EXTERNAL = {
    "type": "external_account",
    "audience": "//fake",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.example/v1/token",
    "credential_source": {"file": "/etc/hostname"},
}
AZURE = {"AZURE_OPENAI_API_ENDPOINT": "https://fake.openai.azure.com", "AZURE_OPENAI_API_VERSION": "2024-02-01"}
AZURE_PLACE = {
    **AZURE,
    "AZURE_OPENAI_ENDPOINT": "https://fake.openai.azure.com",
    "AZURE_RESOURCE_NAME": "fake",
}


def keys(value: str) -> dict[str, str]:
    return {"AZURE_OPENAI_API_KEY": value, "AZURE_API_KEY": value}


# -- Vertex


@pytest.mark.parametrize("named", [True, False], ids=["file", "gcloud"])
def test_a_vertex_child_is_pointed_at_the_file(clouds: Clouds, named: bool) -> None:
    path = clouds.write("own.json" if named else GCLOUD, USER)
    clouds.set({**WHERE, "GOOGLE_CLOUD_ACCESS_TOKEN": "fake-token-stale", "GCP_PROJECT": "stale"})
    if named:
        clouds.set(GOOGLE_APPLICATION_CREDENTIALS=str(path))
    source = f"google-file:{path}" if named else "google-gcloud:application-default"
    assert clouds.why("google-vertex")["chosen"] == source
    assert clouds.run("--provider", "google-vertex") == {**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": str(path)}
    (event,) = clouds.issued()
    assert (event["source"], event["fingerprint"]) == (source, clouds.fingerprint("fake-refresh-google"))


def test_a_vertex_place_is_never_guessed(clouds: Clouds) -> None:
    clouds.write(GCLOUD, USER)
    told = clouds.refused("--provider", "google-vertex", status=78)
    assert "no Google Cloud project is set" in told.err
    clouds.settings("google-vertex", project="fake-settled", location="us-east5")
    got = clouds.run("--provider", "google-vertex")
    assert (got["GOOGLE_CLOUD_PROJECT"], got["VERTEX_LOCATION"]) == ("fake-settled", "us-east5")


def test_a_stored_token_comes_before_a_file(clouds: Clouds) -> None:
    clouds.set(WHERE)
    clouds.write(GCLOUD, USER)
    clouds.shell.login("google-vertex", "fake-token-google", "--kind", "token", "--expires-in", "1h")
    token = {"GOOGLE_CLOUD_ACCESS_TOKEN": "fake-token-google", "CLOUDSDK_AUTH_ACCESS_TOKEN": "fake-token-google"}
    assert clouds.run("--provider", "google-vertex") == {**PLACE, **token}
    assert clouds.shell("get", "google-vertex").out == "fake-token-google\n"
    assert clouds.issued()[0]["profile"] == "google-vertex:default"
    clouds.shell.clock.forward(HOUR)
    assert clouds.why("google-vertex")["chosen"] == "google-gcloud:application-default"
    clouds.settings("google-vertex", auth_source="stored")
    clouds.refused("--provider", "google-vertex", status=82)


def test_an_api_key_is_nothing_vertex_tools_take(clouds: Clouds) -> None:
    clouds.set(WHERE)
    clouds.shell.login("google-vertex", "fake-key-vertex")
    told = clouds.refused("--provider", "google-vertex", status=64)
    assert "google-vertex has no environment variable for a api_key" in told.err
    assert clouds.code("google-vertex:default", "google-vertex") == "unfit"
    clouds.write(GCLOUD, USER)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in clouds.run("--provider", "google-vertex")


def test_a_project_may_name_a_file_but_not_one_that_sends_others_away(clouds: Clouds) -> None:
    clouds.set(WHERE)
    Path("own.json").write_text(json.dumps(USER))
    Path(".env").write_text(f"GOOGLE_APPLICATION_CREDENTIALS={Path('own.json').absolute()}\n")
    got = clouds.run("--provider", "google-vertex")
    assert got["GOOGLE_APPLICATION_CREDENTIALS"] == str(Path("own.json").absolute())
    Path("own.json").write_text(json.dumps(EXTERNAL))
    told = clouds.refused("--provider", "google-vertex", status=78)
    assert "which says what to read and whom to send it" in told.err
    clouds.set(GOOGLE_APPLICATION_CREDENTIALS=str(Path("own.json").absolute()))
    clouds.run("--provider", "google-vertex")


@pytest.mark.interop
def test_get_prints_a_google_token_that_was_got_for_it(clouds: Clouds) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(65537, 2048)
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = made.private_bytes(serialization.Encoding.PEM, kind, plain).decode()
    body = {"access_token": "fake-token-minted", "expires_in": 3600, "token_type": "Bearer"}
    with serving(lambda asked: Answer(body=body)) as server:
        account = {"client_email": "fake@fake.example", "private_key": key, "token_uri": f"{server.url}/token"}
        path = clouds.write("own.json", {"type": "service_account", **account})
        clouds.set(GOOGLE_APPLICATION_CREDENTIALS=str(path))
        told = clouds.shell("get", "google-vertex")
    assert told.out == "fake-token-minted\n", "no project and no location is needed for it"
    (event,) = clouds.issued()
    assert (event["source"], event["fingerprint"]) == (f"google-file:{path}", clouds.fingerprint("fake-token-minted"))


@pytest.mark.interop
def test_google_auth_in_the_child_finds_exactly_what_was_handed_out(clouds: Clouds, real: Real) -> None:
    clouds.write(GCLOUD, {**USER, "refresh_token": "fake-refresh-of-gcloud"})
    path = clouds.write("own.json", USER)
    clouds.set({**WHERE, "GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    program = "import google.auth; c, p = google.auth.default(); print(c.refresh_token, p)"
    told = real("exec", "-p", "google-vertex", "--", sys.executable, "-W", "ignore", "-c", program)
    assert told.out == "fake-refresh-google fake-project\n"


@pytest.mark.parametrize(
    ("provider", "words", "library", "extra"),
    [
        ("google-vertex", ("get", "google-vertex"), "google", "google"),
        ("azure", ("exec", "-p", "azure", "--", "true"), "azure", "azure"),
    ],
)
def test_without_the_library_one_line_says_how_to_get_it(
    clouds: Clouds, real: Real, tmp_path: Path, provider: str, words: tuple[str, ...], library: str, extra: str
) -> None:
    (tmp_path / "without" / library).mkdir(parents=True)
    (tmp_path / "without" / library / "__init__.py").write_text("raise ImportError\n")
    clouds.write(GCLOUD, USER)
    clouds.set({**AZURE, "IDENTITY_ENDPOINT": "http://127.0.0.1:1/x", "IDENTITY_HEADER": "fake-secret-header"})
    told = real(*words, env={"PYTHONPATH": str(tmp_path / "without")}, status=69)
    assert f"pip install 'agent-vault[{extra}]'" in told.err
    assert clouds.issued() == []


# -- Azure


def test_an_azure_key_goes_with_its_endpoint_and_version(clouds: Clouds) -> None:
    clouds.set({**AZURE, "AZURE_API_KEY": "fake-key-ambient"})
    assert clouds.run("--provider", "azure") == {**AZURE_PLACE, **keys("fake-key-ambient")}
    assert clouds.issued()[0]["source"] == "env:AZURE_API_KEY"
    clouds.shell.login("azure", "fake-key-stored")
    assert clouds.why("azure")["chosen"] == "azure:default"
    assert clouds.run("--provider", "azure") == {**AZURE_PLACE, **keys("fake-key-stored")}
    assert clouds.run() == {**AZURE_PLACE, **keys("fake-key-stored")}
    assert clouds.shell("get", "azure").out == "fake-key-stored\n"
    clouds.settings("azure", auth_source="environment")
    assert clouds.shell("get", "azure").out == "fake-key-ambient\n"


def test_an_azure_child_needs_an_endpoint_and_get_does_not(clouds: Clouds) -> None:
    clouds.shell.login("azure", "fake-key-stored")
    told = clouds.refused("--provider", "azure", status=78)
    assert "no Azure endpoint is set" in told.err
    assert clouds.shell("get", "azure").out == "fake-key-stored\n"
    Path(".env").write_text("AZURE_RESOURCE_NAME=fake\n")
    assert clouds.run("--provider", "azure")["AZURE_OPENAI_API_ENDPOINT"] == "https://fake.openai.azure.com"


@pytest.mark.parametrize("kind", ["token", "oauth"])
def test_an_entra_token_stored_for_azure_is_no_key(clouds: Clouds, kind: str) -> None:
    clouds.set(AZURE)
    with clouds.files.open(clouds.shell.clock) as context:
        credential = Token(token="fake-token-entra") if kind == "token" else OAuth(access="fake-token-entra")
        log_in(context, MAIN_AGENT, ProfileId("azure:default"), credential)
    assert clouds.run("--provider", "azure") == {**AZURE_PLACE, "AZURE_OPENAI_AD_TOKEN": "fake-token-entra"}


@pytest.mark.interop
def test_an_entra_token_is_got_for_the_child(clouds: Clouds) -> None:
    ends = 4_000_000_000
    body = {"access_token": "fake-token-entra", "expires_on": str(ends), "resource": "x", "token_type": "Bearer"}
    with serving(lambda asked: Answer(body=body)) as server:
        clouds.set({**AZURE, "IDENTITY_ENDPOINT": f"{server.url}/msi", "IDENTITY_HEADER": "fake-secret-header"})
        assert clouds.why("azure")["chosen"] == "azure-identity:IDENTITY_ENDPOINT"
        got = clouds.run("--provider", "azure")
    assert got["AZURE_OPENAI_AD_TOKEN"] == "fake-token-entra"
    assert "AZURE_OPENAI_API_KEY" not in got
    (event,) = clouds.issued()
    assert event["source"] == "azure-identity:IDENTITY_ENDPOINT"
    assert event["fingerprint"] == clouds.fingerprint("fake-token-entra")


def test_cognitive_services_and_openai_stand_side_by_side(clouds: Clouds) -> None:
    clouds.set({**AZURE, "AZURE_COGNITIVE_SERVICES_RESOURCE_NAME": "other"})
    clouds.shell.login("azure", "fake-key-azure")
    clouds.shell.login("azure-cognitive-services", "fake-key-cognitive")
    got = clouds.run()
    assert got["AZURE_API_KEY"] == "fake-key-azure"
    assert got["AZURE_COGNITIVE_SERVICES_API_KEY"] == "fake-key-cognitive"


def test_a_second_provider_of_a_family_counts_when_it_is_set_up(clouds: Clouds) -> None:
    def named(family: str, status: int = 0) -> list[str]:
        told = clouds.shell.json("status", family, "--check", status=status)["modes"]
        checks = clouds.shell.json("doctor", family, status=status)["checks"]
        assert list(dict.fromkeys(c["name"] for c in checks)) == [m["provider"] for m in told]
        return [m["provider"] for m in told]

    both = ["azure", "azure-cognitive-services"]
    assert named("azure", 1) == ["azure"], "the first always counts"
    clouds.set({**AZURE, "AZURE_API_KEY": "fake-key-ambient"})
    assert named("azure") == ["azure"]
    for name in ("AZURE_COGNITIVE_SERVICES_RESOURCE_NAME", "AZURE_COGNITIVE_SERVICES_API_KEY"):
        clouds.set({name: "other"})
        assert named("azure", 1) == both
        clouds.set({name: ""})
    clouds.shell.login("azure-cognitive-services", "fake-key-cognitive")
    assert named("azure", 1) == both
    clouds.shell("logout", "azure-cognitive-services:default")
    assert named("azure") == ["azure"]
    clouds.settings("azure-cognitive-services", resource="other", auth_source="key")
    assert named("azure", 1) == both
    clouds.set(WHERE)
    clouds.write(GCLOUD, USER)
    assert named("vertex") == ["google-vertex"]


def test_one_cloud_provider_shows_its_mode_too(clouds: Clouds) -> None:
    clouds.set({**AZURE, "AZURE_API_KEY": "fake-key-ambient"})
    (one,) = clouds.shell.json("status", "google-vertex")["providers"]
    assert (one["state"], one["cloud"]["mode"], one["cloud"]["ready"]) == ("missing", None, False)
    (azure,) = [p for p in clouds.shell.json("status")["providers"] if p["provider"] == "azure"]
    assert azure["cloud"] == clouds.shell.json("status", "azure")["modes"][0]
    assert azure["cloud"]["facts"]["endpoint"] == "https://fake.openai.azure.com"
    told = clouds.shell("status", "google-vertex")
    assert told.row("ready").split() == ["ready", "no"]
    assert clouds.shell.json("status", "groq")["providers"][0]["cloud"] is None
