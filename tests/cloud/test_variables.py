"""Which variables count: from the environment, from the project's ``.env``, never half a set from each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.providers.cloud import MEMBERS, OVERRIDDEN, family_of_id
from vault.providers.cloud.variables import credential_names, merged, without

EVERY = ("environment", "dotenv", "stored")
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
ALONE = (
    *OVERRIDDEN,
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ENDPOINT_URL_STS",
    "CLOUDSDK_CONFIG",
    "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES",
    "AZURE_CONFIG_DIR",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
)


@given(st.sets(st.sampled_from(AWS)), st.sets(st.sampled_from(AWS)), st.permutations(EVERY))
def test_a_key_pair_is_from_one_place(here: set[str], there: set[str], sources: list[str]) -> None:
    environ = dict.fromkeys(here, "fake-here")
    dotenv = dict.fromkeys(there, "fake-there")
    found, taken = merged("bedrock", environ, dotenv, sources)
    assert set(found.values()) <= {"fake-here"} or set(found.values()) <= {"fake-there"}
    first = dotenv if (sources.index("dotenv") < sources.index("environment") and dotenv) or not environ else environ
    assert found == first
    assert taken == (dict.fromkeys(dotenv, "dotenv") if first is dotenv else {})


@given(st.sets(st.sampled_from(OVERRIDDEN)), st.sets(st.sampled_from(OVERRIDDEN)))
def test_the_env_file_counts_where_the_environment_is_silent_and_never_half(here: set[str], there: set[str]) -> None:
    environ, envfile = dict.fromkeys(here, "fake-here"), dict.fromkeys(there, "fake-there")
    found, taken = merged("bedrock", environ, {}, ("environment", "dotenv", "envfile", "stored"), envfile)
    for prefix in ("VAULT_AWS_", "BMO_AWS_"):
        held = {v for n, v in found.items() if n.startswith(prefix)}
        wanted = {"fake-here"} if any(n.startswith(prefix) for n in here) else {"fake-there"}
        assert held <= wanted
    assert set(taken) == {n for n, v in found.items() if v == "fake-there"}


@pytest.mark.parametrize("family", MEMBERS)
def test_a_projects_file_has_no_say_in_whom_is_asked_and_what_is_run(family: str) -> None:
    found, taken = merged(family, {}, dict.fromkeys(ALONE, "fake"), EVERY)
    assert (found, taken) == ({}, {})
    here = dict.fromkeys(ALONE, "fake-here")
    assert merged(family, here, dict.fromkeys(ALONE, "fake-there"), EVERY)[0] == here


@pytest.mark.parametrize(
    ("sources", "region", "token"),
    [
        (EVERY, "r-here", "fake-here"),
        (("dotenv", "environment"), "r-there", "fake-there"),
        (("dotenv",), "r-there", "fake-there"),
        (("environment",), "r-here", "fake-here"),
        (("stored",), "r-here", None),
    ],
)
def test_a_source_that_is_off_gives_no_credential_and_the_environment_its_facts(
    sources: tuple[str, ...], region: str, token: str | None
) -> None:
    environ = {"AWS_DEFAULT_REGION": "r-here", "AWS_BEARER_TOKEN_BEDROCK": "fake-here", "PATH": "/bin"}
    dotenv = {"AWS_REGION": "r-there", "AWS_BEARER_TOKEN_BEDROCK": "fake-there", "PATH": "/evil"}
    found, _ = merged("bedrock", environ, dotenv, sources)
    assert (found.get("AWS_REGION") or found.get("AWS_DEFAULT_REGION")) == region
    assert ("AWS_REGION" in found, "AWS_DEFAULT_REGION" in found) == (region == "r-there", region == "r-here")
    assert found.get("AWS_BEARER_TOKEN_BEDROCK") == token
    assert found["PATH"] == "/bin"


def test_blank_variables_hide_nothing() -> None:
    found, taken = merged("azure", {"AZURE_API_KEY": " "}, {"AZURE_API_KEY": "fake", "AZURE_RESOURCE_NAME": ""}, EVERY)
    assert (found, taken) == ({"AZURE_API_KEY": "fake"}, {"AZURE_API_KEY": "dotenv"})


def test_families_by_id() -> None:
    assert [family_of_id(i) for ids in MEMBERS.values() for i in ids] == [
        "bedrock",
        "vertex",
        "vertex",
        "azure",
        "azure",
    ]
    assert family_of_id("openai") == ""
    names = credential_names("vertex")
    assert without({"GOOGLE_APPLICATION_CREDENTIALS": "x", "A": "b"}, names) == {"A": "b"}
