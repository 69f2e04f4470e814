"""Which AWS credential Bedrock uses: the order, the pins, the region, what is broken; never a secret in what is shown."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cloud.support import HOME, NOW, PAIR, REGION, bedrock, codes, files, reason
from vault.errors import NotFound, NotReady, SignInAgain
from vault.providers.cloud.aws import AUTH_SOURCES, BedrockSettings, resolve_bedrock_family
from vault.providers.cloud.issuing import names_to_remove
from vault.providers.cloud.modes import CloudMode, as_json, doctor_rows, reason_rows, status_rows

KEYED = "[{0}]\naws_access_key_id = fake-access-key-id-{0}\naws_secret_access_key = fake-secret-{0}\n"
NAMED = KEYED.format("work") + KEYED.format("set") + KEYED.format("own")
CREDENTIALS = KEYED.format("default") + NAMED

# Every source alone, in the order of the docstring: its name, its mode, what makes it be there.
SOURCES: list[tuple[str, str, dict[str, str]]] = [
    ("VAULT_AWS_BEARER_TOKEN_BEDROCK", "bearer", {"VAULT_AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-own"}),
    ("VAULT_AWS_ACCESS_KEY_ID", "env", {f"VAULT_{name}": value for name, value in PAIR.items()}),
    ("VAULT_AWS_PROFILE", "profile", {"VAULT_AWS_PROFILE": "own"}),
    ("the stored token", "bearer", {}),
    ("the profile in the settings", "profile", {}),
    ("AWS_BEARER_TOKEN_BEDROCK", "bearer", {"AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-ambient"}),
    ("AWS_ACCESS_KEY_ID", "env", PAIR),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "web_identity",
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token", "AWS_ROLE_ARN": "arn:aws:iam::000000000000:role/fake"},
    ),
    ("AWS_PROFILE", "profile", {"AWS_PROFILE": "work"}),
    ("the profile called default", "profile", {}),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "container",
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/fake-task-1"},
    ),
]
NAMES = [name for name, _, _ in SOURCES]


def resolve(present: set[str], auth_source: str = "auto") -> CloudMode:
    environ = dict(REGION)
    for name, _, variables in SOURCES:
        environ |= variables if name in present else {}
    held = NAMED + (KEYED.format("default") if "the profile called default" in present else "")
    contents = {".aws/credentials": held, "/run/token": "fake-web-token"}
    return bedrock(
        environ,
        contents,
        stored="the stored token" in present,
        auth_source=auth_source,
        profile="set" if "the profile in the settings" in present else "",
    )


@given(st.sets(st.sampled_from(NAMES)), st.sampled_from(AUTH_SOURCES))
def test_the_first_source_wins_and_a_pin_reaches_only_its_own_mode(present: set[str], auth_source: str) -> None:
    eligible = [(n, m) for n, m, _ in SOURCES if n in present and auth_source in ("auto", m)]
    mode = resolve(present, auth_source)
    if not eligible:
        assert (mode.mode, mode.source, mode.ready) == ("", "", False)
        assert codes(mode.problems)[0] == "no_source"
        with pytest.raises(NotFound):
            mode.require_ready()
        return
    assert (mode.source, mode.mode) == eligible[0]
    assert mode.ready, mode.problems
    mode.require_ready()
    told = {r.what.partition(": ")[2]: r.code for r in mode.reasons}
    assert list(told) == NAMES
    for name, kind, _ in SOURCES:
        right = "not_set"
        if name == mode.source:
            right = "chosen"
        elif name in present:
            right = "shadowed" if auth_source in ("auto", kind) else "switched_off"
        assert told[name] == right, name


def test_the_stored_token_comes_before_ambient_bearer_variables() -> None:
    environ = {**REGION, "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-1"}
    for auth_source in ("auto", "bearer"):
        mode = bedrock(environ, stored=True, auth_source=auth_source)
        assert (mode.mode, mode.source, mode.ready) == ("bearer", "the stored token", True)
        assert bedrock(environ, auth_source=auth_source).source == "AWS_BEARER_TOKEN_BEDROCK"


def test_a_stale_sso_profile_cannot_win_over_a_pin() -> None:
    contents = {
        ".aws/config": "[profile work]\nsso_start_url = https://fake.example/start\nsso_region = eu-west-1\n"
        "sso_account_id = 000000000000\nsso_role_name = fake-role\n"
    }
    environ = {**REGION, "AWS_PROFILE": "work"}
    stale = bedrock(environ, contents)
    assert (stale.mode, stale.ready, codes(stale.problems)) == ("profile", False, ["sign_in"])
    assert stale.problems[0].hint == "aws sso login --profile work"
    with pytest.raises(SignInAgain):
        stale.require_ready()
    pinned = bedrock({**environ, **PAIR}, contents, auth_source="env")
    assert (pinned.mode, pinned.source, pinned.ready) == ("env", "AWS_ACCESS_KEY_ID", True)
    assert reason(pinned, "profile: AWS_PROFILE") == "switched_off"


def test_a_pinned_profile_is_the_settings_one_unless_this_process_was_told_another() -> None:
    environ = {**REGION, "AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "other"}
    contents = {".aws/credentials": CREDENTIALS}
    pinned = bedrock(environ, contents, auth_source="profile", profile="set")
    assert (pinned.profile, pinned.profile_source) == ("set", "the profile in the settings")
    own = bedrock({**environ, "VAULT_AWS_PROFILE": "own"}, contents, auth_source="profile", profile="set")
    assert (own.profile, own.profile_source) == ("own", "VAULT_AWS_PROFILE")
    ambient = bedrock(environ, contents, auth_source="profile")
    assert (ambient.profile, ambient.profile_source) == ("work", "AWS_PROFILE")
    del environ["AWS_PROFILE"]
    environ["AWS_DEFAULT_PROFILE"] = "own"
    fallback = bedrock(environ, contents, auth_source="profile")
    assert (fallback.profile, fallback.profile_source) == ("own", "AWS_DEFAULT_PROFILE")


@pytest.mark.parametrize(
    ("environ", "setting", "config", "region", "source"),
    [
        (
            {"VAULT_AWS_REGION": "r-1", "AWS_REGION": "r-3", "AWS_DEFAULT_REGION": "r-4"},
            "r-2",
            "r-5",
            "r-1",
            "VAULT_AWS_REGION",
        ),
        ({"AWS_REGION": "r-3", "AWS_DEFAULT_REGION": "r-4"}, "r-2", "r-5", "r-2", "the settings"),
        ({"AWS_REGION": "r-3", "AWS_DEFAULT_REGION": "r-4"}, "", "r-5", "r-3", "AWS_REGION"),
        ({"AWS_REGION": " ", "AWS_DEFAULT_REGION": "r-4"}, "", "r-5", "r-4", "AWS_DEFAULT_REGION"),
        ({}, "", "r-5", "r-5", "profile default"),
        ({"AWS_PROFILE": "work"}, "", "r-5", "r-6", "profile work"),
        ({}, "", "", "", ""),
    ],
)
def test_where_the_region_comes_from(
    environ: dict[str, str], setting: str, config: str, region: str, source: str
) -> None:
    contents = {
        ".aws/config": f"[default]\nregion = {config}\n[profile work]\nregion = r-6\n",
        ".aws/credentials": CREDENTIALS,
    }
    mode = bedrock({**PAIR, **environ}, contents, region=setting)
    assert (mode.region, mode.region_source) == (region, source)
    assert mode.ready is bool(region)
    if not region:
        assert codes(mode.problems) == ["region_missing"]
        with pytest.raises(NotReady):
            mode.require_ready()


def test_a_region_that_could_change_the_host_is_refused() -> None:
    mode = bedrock({**PAIR, "AWS_REGION": "x.example/#"})
    assert codes(mode.problems) == ["region_odd"]


def test_overrides_and_ambient_variables_never_mix_within_a_pair() -> None:
    own = {f"VAULT_{name}": f"{value}-own" for name, value in PAIR.items()}
    ambient = {**REGION, **PAIR, "AWS_SESSION_TOKEN": "fake-session-ambient"}
    mode = bedrock({**ambient, **own})
    assert mode.secret_names == ("VAULT_AWS_ACCESS_KEY_ID", "VAULT_AWS_SECRET_ACCESS_KEY")
    assert mode.facts["session_token"] == "none"
    assert bedrock(ambient).secret_names == (*PAIR, "AWS_SESSION_TOKEN")
    assert bedrock({**REGION, **PAIR, "AWS_SECURITY_TOKEN": "fake-session-old"}).secret_names[2] == "AWS_SECURITY_TOKEN"
    half = bedrock({**ambient, "VAULT_AWS_ACCESS_KEY_ID": "fake-access-key-id-0002"})
    assert (half.source, half.ready, codes(half.problems)) == ("VAULT_AWS_ACCESS_KEY_ID", False, ["incomplete"])


@pytest.mark.parametrize("name", list(PAIR))
def test_half_an_ambient_pair_is_passed_over_by_auto_and_told_by_a_pin(name: str) -> None:
    environ = {**REGION, name: "fake-half-1"}
    container = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/fake-task-1"}
    auto = bedrock({**environ, **container})
    assert (auto.mode, auto.ready) == ("container", True)
    assert reason(auto, "env: AWS_ACCESS_KEY_ID") == "incomplete"
    pinned = bedrock({**environ, **container}, auth_source="env")
    assert (pinned.mode, codes(pinned.problems)) == ("", ["no_source", "incomplete"])


def test_temporary_keys_need_their_session_token_and_may_have_ended() -> None:
    temporary = {**REGION, "AWS_ACCESS_KEY_ID": "ASIA-fake-temporary-1", "AWS_SECRET_ACCESS_KEY": "fake-secret-1"}
    assert codes(bedrock(temporary).problems) == ["incomplete"]
    whole = {**temporary, "AWS_SESSION_TOKEN": "fake-session-1", "AWS_CREDENTIAL_EXPIRATION": "2026-01-01T00:00:01Z"}
    mode = bedrock(whole)
    assert (mode.ready, mode.expires_at) == (True, NOW + 1_000_000)
    late = bedrock(whole, now=NOW + 1_000_000)
    assert (late.ready, codes(late.problems)) == (False, ["expired"])


def test_a_default_profile_without_a_credential_does_not_hide_the_container() -> None:
    environ = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/fake-task-1"}
    mode = bedrock(environ, {".aws/config": "[default]\nregion = eu-west-1\n"})
    assert (mode.mode, mode.region_source, mode.ready) == ("container", "profile default", True)
    named = bedrock({**environ, "AWS_PROFILE": "default"}, {".aws/config": "[default]\nregion = eu-west-1\n"})
    assert (named.mode, codes(named.problems)) == ("profile", ["profile_empty"])


@pytest.mark.parametrize(
    ("variables", "endpoint", "code"),
    [
        ({"RELATIVE_URI": "/v2/credentials/fake-task-1"}, "http://169.254.170.2", ""),
        ({"FULL_URI": "http://169.254.170.23/v1/credentials"}, "http://169.254.170.23", ""),
        ({"FULL_URI": "http://[fd00:ec2::23]/v1/credentials"}, "http://[fd00:ec2::23]", ""),
        ({"FULL_URI": "http://127.0.0.1:8080/fake-path"}, "http://127.0.0.1:8080", ""),
        ({"FULL_URI": "http://localhost:8080/"}, "http://localhost:8080", ""),
        ({"FULL_URI": "http://[::1]:8080/"}, "http://[::1]:8080", ""),
        ({"FULL_URI": "https://credentials.example/x"}, "https://credentials.example", ""),
        ({"FULL_URI": "http://credentials.example/x"}, "http://credentials.example", "refused"),
        ({"FULL_URI": "http://169.254.170.2:x@credentials.example/"}, "http://credentials.example", "refused"),
        ({"FULL_URI": "http://127.0.0.1.credentials.example/"}, "http://127.0.0.1.credentials.example", "refused"),
        ({"FULL_URI": "http://10.0.0.1/"}, "http://10.0.0.1", "refused"),
        ({"FULL_URI": "ftp://127.0.0.1/"}, "ftp://127.0.0.1", "refused"),
        ({"FULL_URI": "fake nonsense"}, "", "refused"),
        ({"RELATIVE_URI": "@credentials.example/x"}, "http://credentials.example", "refused"),
        ({"RELATIVE_URI": ".credentials.example/x"}, "http://169.254.170.2.credentials.example", "refused"),
    ],
)
def test_where_a_container_may_be_asked(variables: dict[str, str], endpoint: str, code: str) -> None:
    environ = {**REGION, **{f"AWS_CONTAINER_CREDENTIALS_{name}": value for name, value in variables.items()}}
    mode = bedrock(environ, auth_source="container")
    assert mode.mode == "container"
    assert mode.facts["endpoint"] == endpoint
    assert codes(mode.problems) == ([code] if code else [])
    assert "fake-task-1" not in repr(mode)
    assert "fake-path" not in repr(mode)


def test_a_container_needs_a_region_too() -> None:
    environ = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/fake-task-1"}
    assert codes(bedrock(environ, auth_source="container").problems) == ["region_missing"]
    assert bedrock(environ, auth_source="container", region="us-east-1").ready


def test_a_containers_authorization_token_is_looked_at_and_never_shown() -> None:
    environ = {**REGION, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"}
    held = {**environ, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "fake-container-token\r\nX: y"}
    assert codes(bedrock(held).problems) == ["refused"]
    filed = {**held, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/run/container-token"}
    assert codes(bedrock(filed).problems) == ["file_missing"]
    mode = bedrock(filed, {"/run/container-token": "fake-container-token"})
    assert (mode.ready, mode.facts["authorization"]) == (True, "token file")
    assert "fake-container-token" not in repr(mode)


def test_web_identity_needs_its_role_and_its_file() -> None:
    environ = {**REGION, "AWS_WEB_IDENTITY_TOKEN_FILE": "/run/token"}
    assert codes(bedrock(environ).problems) == ["no_source", "incomplete"]
    environ["AWS_ROLE_ARN"] = "arn:aws:iam::000000000000:role/fake"
    assert codes(bedrock(environ).problems) == ["file_missing"]
    assert codes(bedrock(environ, {"/run/token": " \n"}).problems) == ["unreadable"]
    mode = bedrock(environ, {"/run/token": "fake-web-token"})
    assert (mode.mode, mode.ready) == ("web_identity", True)
    assert "fake-web-token" not in repr(mode)


def test_a_service_address_without_tls_is_refused_where_a_credential_would_travel() -> None:
    environ = {**REGION, "AWS_PROFILE": "work", "AWS_ENDPOINT_URL_STS": "http://sts.example"}
    contents = {".aws/credentials": CREDENTIALS}
    assert codes(bedrock(environ, contents).problems) == ["refused"]
    assert bedrock({**environ, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}, contents).ready
    assert bedrock({**environ, **PAIR}, contents).ready


def test_blank_variables_count_as_unset() -> None:
    blank = dict.fromkeys(itertools.chain(*(variables for _, _, variables in SOURCES)), " ")
    mode = bedrock({**REGION, **blank})
    assert codes(mode.problems) == ["no_source"]
    assert {r.code for r in mode.reasons} == {"not_set"}


@pytest.mark.parametrize("auth_source", AUTH_SOURCES)
def test_nothing_found_says_what_to_do(auth_source: str) -> None:
    mode = bedrock(REGION, auth_source=auth_source, provider="my-bedrock")
    problem = mode.problems[0]
    assert problem.code == "no_source"
    assert problem.hint
    assert "{" not in problem.hint
    with pytest.raises(NotFound, match=r"^my-bedrock has no usable cloud credential") as caught:
        mode.require_ready()
    assert caught.value.exit_status == 66


def test_an_unknown_auth_source_is_bad_configuration() -> None:
    with pytest.raises(NotReady, match="auth_source of amazon-bedrock"):
        BedrockSettings(auth_source="magic")


def test_a_family_is_resolved_provider_by_provider() -> None:
    family = [BedrockSettings(region="us-east-1"), BedrockSettings("bedrock-europe", "bearer", region="eu-west-1")]
    modes = resolve_bedrock_family(family, PAIR, HOME, stored_tokens={"bedrock-europe"}, reader=files(), now=NOW)
    assert [(m.provider, m.mode, m.source, m.region) for m in modes] == [
        ("amazon-bedrock", "env", "AWS_ACCESS_KEY_ID", "us-east-1"),
        ("bedrock-europe", "bearer", "the stored token", "eu-west-1"),
    ]


def test_no_secret_is_in_anything_that_is_shown() -> None:
    secrets = [f"{'fake'}-canary-{i}-0123456789abcdef" for i in range(9)]
    environ = {
        **REGION,
        "AWS_ACCESS_KEY_ID": secrets[0],
        "AWS_SECRET_ACCESS_KEY": secrets[1],
        "AWS_SESSION_TOKEN": secrets[2],
        "AWS_BEARER_TOKEN_BEDROCK": secrets[3],
        "VAULT_AWS_BEARER_TOKEN_BEDROCK": secrets[4],
        "VAULT_AWS_ACCESS_KEY_ID": secrets[5],
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://u:{secrets[6]}@127.0.0.1:1/{secrets[6]}?x={secrets[6]}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": secrets[7],
    }
    process = f"[default]\ncredential_process = /bin/fake-helper --key {secrets[8]}\n"
    for auth_source in AUTH_SOURCES:
        mode = bedrock(environ, {".aws/config": process}, auth_source=auth_source)
        shown = (
            repr(mode)
            + json.dumps(as_json(mode))
            + repr(status_rows(mode) + reason_rows(mode))
            + repr(doctor_rows([mode]))
        )
        for secret in secrets:
            assert secret not in shown


def test_rows_for_people_and_programs() -> None:
    mode = bedrock({**REGION, **PAIR, "AWS_PROFILE": "work"}, {".aws/credentials": CREDENTIALS})
    assert status_rows(mode) == [
        ("provider", "amazon-bedrock"),
        ("mode", "env (chosen automatically)"),
        ("source", "AWS_ACCESS_KEY_ID"),
        ("region", "eu-west-1 (from AWS_REGION)"),
        ("ready", "yes, as far as can be seen from here"),
        ("access key id", "fake…0001"),
        ("session token", "none"),
    ]
    assert ("profile: AWS_PROFILE", "there, and passed over: AWS_ACCESS_KEY_ID comes first") in reason_rows(mode)
    (row,) = doctor_rows([mode])
    assert (row.name, row.status) == ("amazon-bedrock", "ok")
    assert row.text == "ready: chosen automatically, env from AWS_ACCESS_KEY_ID, region eu-west-1 from AWS_REGION"
    broken = bedrock({"AWS_PROFILE": "gone"}, auth_source="profile")
    rows = doctor_rows([mode, broken])
    assert [(r.status, bool(r.hint)) for r in rows] == [
        ("ok", False),
        ("finding", False),
        ("finding", True),
        ("finding", True),
    ]
    body = as_json(broken)
    assert body["ready"] is False
    assert body["region"] is None
    assert [p["code"] for p in body["problems"]] == ["profile_missing", "region_missing"]


def test_bmos_own_variables_are_understood_beside_vaults() -> None:
    bmo = {f"BMO_{name}": value for name, value in PAIR.items()}
    alone = bedrock({**bmo, "BMO_AWS_REGION": "eu-west-3", "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer"}, {})
    assert (alone.source, alone.region, alone.region_source) == ("BMO_AWS_ACCESS_KEY_ID", "eu-west-3", "BMO_AWS_REGION")
    both = bedrock({**bmo, "VAULT_AWS_BEARER_TOKEN_BEDROCK": "fake-own", "VAULT_AWS_REGION": "eu-west-1"}, {})
    assert (both.source, both.region) == ("VAULT_AWS_BEARER_TOKEN_BEDROCK", "eu-west-1")
    assert "BMO_AWS_SECRET_ACCESS_KEY" in names_to_remove(both)
