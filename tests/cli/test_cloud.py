"""Bedrock through the command: what the mode decides is what a child gets, what the history tells, and what ``why`` says."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest

from tests.cli.clouds import BOTH, OWN_PAIR, PAIR, PLACES, REGION, TASK, Clouds, clouds, furnish, no_secret_in
from tests.cloud.support import serving
from vault.errors import StorageError
from vault.log.store import EventStore

__all__ = ["clouds"]

PRESENT = [(), *((name,) for name in PLACES), *itertools.pairwise(PLACES), tuple(PLACES)]
SOURCES = ("auto", "env", "profile", "bearer", "container")


def expected(present: tuple[str, ...], auth_source: str) -> str:
    """The place that must win; an empty text for none."""
    return next((name for name in PLACES if name in present and auth_source in ("auto", PLACES[name][0])), "")


def cases() -> list[object]:
    """Every auth_source with everything that may be there; those that need botocore are for where it is installed."""
    found = []
    for present, auth_source in itertools.product(PRESENT, SOURCES):
        winner = expected(present, auth_source)
        needs = winner and PLACES[winner][0] in ("profile", "container")
        marks = [pytest.mark.interop] if needs else []
        found.append(pytest.param(present, auth_source, marks=marks, id=f"{auth_source}-{'+'.join(present) or 'none'}"))
    return found


@pytest.mark.parametrize(("present", "auth_source"), cases())
def test_what_is_decided_is_what_is_handed_out(clouds: Clouds, present: tuple[str, ...], auth_source: str) -> None:
    with serving(lambda asked: TASK) as server:
        furnish(clouds, present, f"{server.url}/task")
        clouds.settings(auth_source=auth_source)
        winner = expected(present, auth_source)
        told = clouds.why()
        if not winner:
            assert told["chosen"] is None
            clouds.refused("--provider", "amazon-bedrock", status=66)
            return
        mode, variables, source = PLACES[winner]
        assert told["chosen"] == source
        (shown,) = clouds.shell.json("status", "bedrock")["modes"]
        assert (shown["mode"], shown["ready"]) == (mode, True)
        assert clouds.run("--provider", "amazon-bedrock") == {**variables, **BOTH}
    (event,) = clouds.issued()
    stored = winner == "stored"
    main = variables.get("AWS_BEARER_TOKEN_BEDROCK") or variables["AWS_SECRET_ACCESS_KEY"]
    assert event == {
        "agent": "main",
        "owner": "main",
        "provider": "amazon-bedrock",
        **({"profile": source} if stored else {"source": source}),
        "fingerprint": clouds.fingerprint(main),
        "way": "exec",
        "program": "true",
    }
    no_secret_in(
        clouds.shell("history").out + clouds.shell("status").out + clouds.shell("doctor", "bedrock", status=None).out
    )


def test_nothing_is_handed_out_that_can_not_be_recorded(clouds: Clouds, monkeypatch: pytest.MonkeyPatch) -> None:
    clouds.set({**REGION, **PAIR})

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the disk is full", hint="make room")

    with monkeypatch.context() as patch:
        patch.setattr(EventStore, "append", refuse)
        for words in (("get", "amazon-bedrock", "--json"), ("env", "--provider", "amazon-bedrock")):
            assert clouds.shell(*words, status=74).out == ""
        clouds.refused("--provider", "amazon-bedrock", status=74)
    assert clouds.issued() == []


@pytest.mark.parametrize(
    ("variables", "setting", "region"),
    [
        ({"VAULT_AWS_REGION": "r-1", "AWS_REGION": "r-3"}, "r-2", "r-1"),
        ({"AWS_REGION": "r-3", "AWS_DEFAULT_REGION": "r-4"}, "r-2", "r-2"),
        ({"AWS_REGION": "r-3", "AWS_DEFAULT_REGION": "r-4"}, "", "r-3"),
        ({"AWS_DEFAULT_REGION": "r-4"}, "", "r-4"),
        ({}, "", "r-5"),
    ],
)
def test_the_region_a_child_gets(clouds: Clouds, variables: dict[str, str], setting: str, region: str) -> None:
    clouds.set({**PAIR, **variables})
    clouds.write(".aws/config", "[default]\nregion = r-5\n")
    if setting:
        clouds.settings(region=setting)
    got = clouds.run("--provider", "amazon-bedrock")
    assert got == {**PAIR, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}


def test_without_a_region_a_child_gets_nothing_and_get_still_prints_the_token(clouds: Clouds) -> None:
    clouds.shell("login", "amazon-bedrock", "--token-stdin", stdin="fake-bearer-stored")
    told = clouds.refused("--provider", "amazon-bedrock", status=78)
    assert "no AWS region is set: set AWS_REGION, or region under [providers.amazon-bedrock]" in told.err
    assert clouds.why()["basis"].startswith("no AWS region is set")
    assert clouds.shell("get", "amazon-bedrock").out == "fake-bearer-stored\n"


def test_session_tokens_are_handed_over_and_none_is_left_behind(clouds: Clouds) -> None:
    clouds.set({**REGION, **PAIR, "AWS_SESSION_TOKEN": "fake-session-1"})
    got = clouds.run("--provider", "amazon-bedrock")
    assert got == {**BOTH, **PAIR, "AWS_SESSION_TOKEN": "fake-session-1"}
    clouds.set({f"VAULT_{name}": value for name, value in OWN_PAIR.items()})
    clouds.set(AWS_CONTAINER_AUTHORIZATION_TOKEN="fake-token-task", AWS_PROFILE="work", AWS_ROLE_ARN="arn:fake")
    assert clouds.run("--provider", "amazon-bedrock") == {**BOTH, **OWN_PAIR}


def test_overrides_reach_no_child(clouds: Clouds) -> None:
    clouds.shell("login", "anthropic", "--stdin", stdin="fake-key-a")
    clouds.set(VAULT_AWS_PROFILE="work", VAULT_AWS_REGION="r-1", VAULT_AWS_SOMETHING_NEW="fake-secret-new")
    child = clouds.whole("--provider", "anthropic")
    assert child["ANTHROPIC_API_KEY"] == "fake-key-a"
    assert [name for name in child if name.startswith("VAULT_AWS_")] == []


@pytest.mark.parametrize(
    ("variables", "status", "what"),
    [
        ({**PAIR, "AWS_CREDENTIAL_EXPIRATION": "2026-01-01T23:59:59Z"}, 82, "expired at 2026-01-01T23:59"),
        ({**PAIR, "AWS_ACCESS_KEY_ID": "ASIA-fake-temporary"}, 78, "AWS_SESSION_TOKEN is not set"),
        ({"AWS_PROFILE": "sso"}, 82, "the SSO session of profile sso ended"),
        ({"AWS_PROFILE": "gone"}, 66, "there is no profile gone"),
        ({"AWS_PROFILE": "mfa"}, 82, "asks for an MFA code"),
        ({"VAULT_AWS_ACCESS_KEY_ID": "fake-half"}, 78, "VAULT_AWS_SECRET_ACCESS_KEY is not"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://elsewhere.example/x"}, 78, "must not be asked for"),
    ],
)
def test_what_has_ended_or_is_broken_is_told(clouds: Clouds, variables: dict[str, str], status: int, what: str) -> None:
    clouds.set({**REGION, **variables})
    session = (
        "[profile sso]\nsso_start_url = https://fake.example\nsso_region = r-1\nsso_account_id = 0\nsso_role_name = x\n"
    )
    clouds.write(
        ".aws/config", session + "[profile mfa]\nrole_arn = arn:fake\nmfa_serial = arn:fake\nsource_profile = mfa\n"
    )
    cache = hashlib.sha1(b"https://fake.example", usedforsecurity=False).hexdigest()
    clouds.write(f".aws/sso/cache/{cache}.json", {"accessToken": "fake-token-sso", "expiresAt": "2026-01-01T00:00:00Z"})
    told = clouds.refused("--provider", "amazon-bedrock", status=status)
    assert what in told.err
    assert clouds.why()["chosen"] is None
    (found,) = clouds.shell.json("status", "amazon-bedrock")["providers"]
    assert found["check"] == 1


# -- the project's .env


def test_the_env_file_counts_where_the_sources_allow_it(clouds: Clouds, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in {**PAIR, "AWS_REGION": "r-env"}.items()))
    assert clouds.why()["chosen"] == "dotenv:AWS_ACCESS_KEY_ID"
    assert clouds.run("--provider", "amazon-bedrock") == {**PAIR, "AWS_REGION": "r-env", "AWS_DEFAULT_REGION": "r-env"}
    assert clouds.issued()[0]["source"] == "dotenv:AWS_ACCESS_KEY_ID"
    clouds.set(VAULT_SOURCES="environment,stored")
    clouds.refused("--provider", "amazon-bedrock", status=66)


def test_a_pair_is_never_half_from_the_environment_and_half_from_the_file(clouds: Clouds) -> None:
    lines = {**OWN_PAIR, "AWS_SESSION_TOKEN": "fake-session-file", "AWS_REGION": "r-env"}
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    clouds.set({**PAIR, "AWS_DEFAULT_REGION": "eu-west-1"})
    assert clouds.run("--provider", "amazon-bedrock") == {**PAIR, **BOTH}
    clouds.set(VAULT_SOURCES="dotenv,environment,stored")
    got = clouds.run("--provider", "amazon-bedrock")
    assert got == {**lines, "AWS_DEFAULT_REGION": "r-env"}


def test_a_project_chooses_no_program_no_file_and_nobody_to_ask(clouds: Clouds) -> None:
    owned = Path("owned").absolute()
    Path("config").write_text(
        f"[default]\ncredential_process = touch {owned}\n[profile work]\ncredential_process = touch {owned}\n"
    )
    Path(".env").write_text(
        f"AWS_CONFIG_FILE={Path('config').absolute()}\nAWS_CONTAINER_CREDENTIALS_FULL_URI=https://elsewhere.example/x\n"
        "AWS_PROFILE=work\nVAULT_AWS_BEARER_TOKEN_BEDROCK=fake-bearer-file\nAWS_WEB_IDENTITY_TOKEN_FILE=/etc/passwd\n"
        "AWS_ROLE_ARN=arn:fake\nAWS_REGION=r-1\n"
    )
    told = clouds.refused("--provider", "amazon-bedrock", status=66)
    assert "there is no profile work" in told.err
    assert not owned.exists()


def test_one_provider_shows_its_mode_region_and_readiness(clouds: Clouds) -> None:
    clouds.settings(region="eu-west-1")
    clouds.settings("bedrock-frankfurt", family="bedrock", region="eu-central-1")
    clouds.set(AWS_BEARER_TOKEN_BEDROCK="fake-bearer-ambient", AWS_PROFILE="work")
    for provider, region in (("amazon-bedrock", "eu-west-1"), ("bedrock-frankfurt", "eu-central-1")):
        told = clouds.shell("status", provider, "--check")
        no_secret_in(told.out + told.err)
        assert told.row("PROVIDER")
        assert told.row("mode").split(maxsplit=1)[1] == "bearer (chosen automatically)"
        assert told.row("region").split(maxsplit=1)[1] == f"{region} (from the settings)"
        assert told.row("ready").split(maxsplit=1)[1] == "yes, as far as can be seen from here"
        assert "there, and passed over" in told.row("profile: AWS_PROFILE")
        (one,) = clouds.shell.json("status", provider)["providers"]
        modes = {m["provider"]: m for m in clouds.shell.json("status", "bedrock")["modes"]}
        assert one["cloud"] == modes[provider]
    assert "mode" not in clouds.shell("status").out, "the table of all is a table"


def test_an_endpoint_is_shown_and_handed_on(clouds: Clouds) -> None:
    clouds.set({**REGION, "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-ambient"})
    name = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
    assert name not in clouds.whole("--provider", "amazon-bedrock")
    clouds.set({name: "https://ambient.fake.example"})
    assert clouds.whole("--provider", "amazon-bedrock")[name] == "https://ambient.fake.example"
    assert facts(clouds) == {
        "runtime_endpoint": "https://ambient.fake.example",
        "runtime_endpoint_source": name,
    }
    clouds.settings(endpoint="https://settings.fake.example/bedrock")
    assert clouds.whole("--provider", "amazon-bedrock")[name] == "https://settings.fake.example/bedrock"
    assert "https://settings.fake.example/bedrock" in clouds.shell("status", "amazon-bedrock").row("runtime endpoint")
    clouds.set({**PAIR, "AWS_BEARER_TOKEN_BEDROCK": ""})
    assert clouds.whole("--provider", "amazon-bedrock")[name] == "https://settings.fake.example/bedrock"


@pytest.mark.parametrize(
    "endpoint", ["http://fake.example", "https://name:fake-secret@fake.example", "https://fake.example?x=fake-secret"]
)
def test_an_endpoint_that_is_no_place_for_a_credential(clouds: Clouds, endpoint: str) -> None:
    clouds.set({**REGION, "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-ambient"})
    clouds.settings(endpoint=endpoint)
    clouds.refused("--provider", "amazon-bedrock", status=78)
    assert facts(clouds)["runtime_endpoint"] == f"{endpoint.partition(':')[0]}://fake.example"
    assert "the endpoint from the settings" in clouds.shell("status", "amazon-bedrock", "--check", status=1).err


@pytest.mark.parametrize("provider", ["amazon-bedrock", "azure", "bedrock-frankfurt"])
def test_a_cloud_s_endpoint_on_this_machine_still_needs_a_credential(clouds: Clouds, provider: str) -> None:
    family = {"family": "bedrock"} if provider == "bedrock-frankfurt" else {}
    clouds.settings(provider, endpoint="http://127.0.0.1:9", **family)
    (one,) = [p for p in clouds.shell.json("status", "--check", status=1)["providers"] if p["provider"] == provider]
    assert (one["state"], one["source"]) == ("missing", None)
    assert one["cloud"]["ready"] is False
    clouds.shell("status", provider, "--check", status=1)


def facts(clouds: Clouds) -> dict[str, str]:
    """What else is known of Bedrock's mode."""
    (one,) = clouds.shell.json("status", "amazon-bedrock")["providers"]
    found = one["cloud"]["facts"]
    assert isinstance(found, dict)
    return found
