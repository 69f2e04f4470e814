"""The AWS files as botocore reads them: every way of a profile, and what is broken, without a line of them in a message."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cloud.support import HOME, NOW, bedrock, codes
from vault.providers.cloud.aws_files import parse_instant
from vault.providers.cloud.modes import CloudMode, read_file

SSO = (
    "[profile work]\nsso_session = fake-session\nsso_account_id = 000000000000\nsso_role_name = fake-role\n"
    "[sso-session fake-session]\nsso_start_url = https://fake.example/start\nsso_region = eu-west-1\n"
)
LEGACY = (
    "[profile work]\nsso_start_url = https://fake.example/start\nsso_region = eu-west-1\n"
    "sso_account_id = 000000000000\nsso_role_name = fake-role\n"
)
KEYS = "aws_access_key_id = fake-access-key-id-0001\naws_secret_access_key = fake-secret-1\n"
ROLE = "role_arn = arn:aws:iam::000000000000:role/fake\n"


def profile(config: str, credentials: str = "", more: dict[str, str] | None = None, name: str = "work") -> CloudMode:
    contents = {".aws/config": config, ".aws/credentials": credentials, **(more or {})}
    return bedrock({"AWS_REGION": "eu-west-1", "AWS_PROFILE": name}, contents, auth_source="profile")


def cache(key: str) -> str:
    return f".aws/sso/cache/{hashlib.sha1(key.encode()).hexdigest()}.json"


@pytest.mark.parametrize(
    ("config", "credentials", "way", "problems"),
    [
        (f"[profile work]\n{KEYS}", "", "keys", []),
        ("", f"[work]\n{KEYS}", "keys", []),
        ("", "[work]\naws_access_key_id = fake-access-key-id-0001\n", "keys", ["incomplete"]),
        ("[profile work]\naws_secret_access_key = fake-secret-1\n", "", "keys", ["incomplete"]),
        (f"[profile work]\n{ROLE}source_profile = base\n[profile base]\n{KEYS}", "", "role", []),
        (f"[profile work]\n{ROLE}source_profile = base\n", "", "role", ["profile_missing"]),
        (f"[profile work]\n{ROLE}source_profile = base\n[profile base]\nregion = x\n", "", "role", ["profile_empty"]),
        (f"[profile work]\n{ROLE}source_profile = work\n{KEYS}", "", "role", []),
        (f"[profile work]\n{ROLE}source_profile = work\n", "", "role", ["circular"]),
        (
            f"[profile work]\n{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = work\n",
            "",
            "role",
            ["circular"],
        ),
        (f"[profile work]\n{ROLE}source_profile = b\n[profile b]\n{ROLE}{KEYS}source_profile = work\n", "", "role", []),
        (f"[profile work]\n{ROLE}credential_source = EcsContainer\n", "", "role", []),
        (f"[profile work]\n{ROLE}", "", "role", ["incomplete"]),
        (f"[profile work]\n{ROLE}credential_source = X\nsource_profile = work\n{KEYS}", "", "role", ["incomplete"]),
        (f"[profile work]\n{ROLE}mfa_serial = fake\nsource_profile = b\n[profile b]\n{KEYS}", "", "role", ["mfa"]),
        (f"[profile work]\n{ROLE}web_identity_token_file = /run/token\n", "", "web_identity", ["file_missing"]),
        ("[profile work]\nweb_identity_token_file = /run/here\n", "", "web_identity", ["incomplete"]),
        (f"[profile work]\n{ROLE}web_identity_token_file = /run/here\n", "", "web_identity", []),
        ("[profile work]\nlogin_session = fake-session\n", "", "login", []),
        ("[profile work]\ncredential_process = /opt/bin/fake-helper --for 'fake secret'\n", "", "process", []),
        ("[profile work]\ncredential_process = 'unclosed\n", "", "process", ["incomplete"]),
        ("[profile work]\ncredential_process = /usr/bin/vault helper aws\n", "", "process", ["circular"]),
        ("[profile work]\ncredential_process = fake-helper\n", f"[work]\n{KEYS}", "keys", []),
        (f"[profile work]\n{KEYS}credential_process = fake-helper\n", "", "process", []),
        (LEGACY, "", "sso", ["sign_in"]),
        ("[profile work]\nsso_account_id = 1\n", "", "sso", ["incomplete"]),
        ("[profile work]\nregion = eu-west-1\n", "", "", ["profile_empty"]),
        ("[profile other]\nregion = eu-west-1\n", "", "", ["profile_missing"]),
    ],
)
def test_the_way_of_a_profile(config: str, credentials: str, way: str, problems: list[str]) -> None:
    mode = profile(config, credentials, {"/run/here": "fake-web-token"})
    assert mode.facts["profile_way"] == way
    assert codes(mode.problems) == problems
    assert "fake secret" not in repr(mode)
    assert "fake-secret-1" not in repr(mode)


def test_an_mfa_code_is_found_anywhere_on_the_way() -> None:
    middle = f"[profile b]\n{ROLE}mfa_serial = fake\nsource_profile = c\n"
    config = f"[profile work]\n{ROLE}source_profile = b\n{middle}[profile c]\n{KEYS}"
    assert codes(profile(config).problems) == ["mfa"]


def test_names_with_blanks_and_the_default_section() -> None:
    assert profile(f'[profile "my work"]\n{KEYS}', name="my work").ready
    assert profile(f"[default]\n{KEYS}", name="default").ready
    assert profile(f"[profile default]\n{KEYS}", name="default").ready
    assert codes(profile(f"[work]\n{KEYS}").problems) == ["profile_missing"]


def test_the_credentials_file_wins_over_the_config_file() -> None:
    mode = profile(f"[profile work]\n{KEYS}", "[work]\naws_access_key_id = fake-access-key-id-0002\n")
    assert mode.facts["access_key_id"] == "fake…0002"


def test_the_files_may_be_elsewhere() -> None:
    environ = {
        "AWS_REGION": "eu-west-1",
        "AWS_PROFILE": "work",
        "AWS_CONFIG_FILE": "~/elsewhere/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/etc/fake/credentials",
    }
    mode = bedrock(
        environ, {"elsewhere/config": "[profile work]\nregion = x\n", "/etc/fake/credentials": f"[work]\n{KEYS}"}
    )
    assert mode.ready
    assert mode.facts["config_file"] == str(HOME / "elsewhere/config")
    assert mode.facts["credentials_file"] == "/etc/fake/credentials"


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("[work]\naws_secret_access_key\n", ", line 2: it is neither a section nor NAME = VALUE"),
        ("aws_secret_access_key = fake-secret-1\n", ", line 1: it stands before the first section"),
        ("[work]\na = 1\n[work]\n", ", line 3: the section [work] is there twice"),
    ],
)
def test_a_file_that_is_not_understood_is_told_by_line_and_never_quoted(broken: str, line: str) -> None:
    mode = profile("", broken)
    assert "unreadable" in codes(mode.problems)
    (problem,) = [p for p in mode.problems if p.code == "unreadable"]
    assert problem.text == f"{HOME / '.aws/credentials'}{line}"
    assert "fake-secret-1" not in repr(mode)


@pytest.mark.parametrize(("config", "key"), [(SSO, "fake-session"), (LEGACY, "https://fake.example/start")])
def test_an_sso_session_by_its_cached_token(config: str, key: str) -> None:
    def with_token(**fields: str) -> CloudMode:
        token = {"accessToken": "fake-sso-token-1", "expiresAt": "2026-01-01T01:00:00Z", **fields}
        return profile(config, "", {cache(key): json.dumps(token)})

    good = with_token()
    assert (good.ready, good.expires_at) == (True, NOW + 3_600_000_000)
    assert good.facts["sso_token"] == "ends 2026-01-01T01:00:00Z"
    assert good.facts["sso_role_name"] == "fake-role"
    assert with_token(expiresAt="2026-01-01T00:00:01UTC").ready
    ended = with_token(expiresAt="2026-01-01T00:00:00Z")
    assert (ended.ready, codes(ended.problems)) == (False, ["sign_in"])
    assert codes(with_token(expiresAt="fake").problems) == ["sign_in"]
    renewing = {"refreshToken": "fake-refresh-1", "clientId": "fake-client", "clientSecret": "fake-client-secret"}
    stale = {"expiresAt": "2025-01-01T00:00:00Z", **renewing, "registrationExpiresAt": "2026-02-01T00:00:00Z"}
    renewed = with_token(**stale)
    assert renewed.ready is (config is SSO), "only an sso-session can be renewed"
    if config is SSO:
        assert renewed.expires_at is None, "a refreshable session is not expiring"
        assert not with_token(**{**stale, "registrationExpiresAt": "2025-12-31T23:59:59Z"}).ready
    shown = repr(good) + repr(ended) + repr(renewed)
    for secret in ("fake-sso-token-1", "fake-refresh-1", "fake-client-secret"):
        assert secret not in shown


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '"text"'])
def test_an_sso_cache_of_no_use(text: str) -> None:
    mode = profile(SSO, "", {cache("fake-session"): text})
    assert codes(mode.problems) == ["sign_in"]
    assert mode.problems[0].hint == "aws sso login --profile work"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-01T00:00:00Z", NOW),
        ("2026-01-01T01:00:00+01:00", NOW),
        ("2026-01-01T00:00:00UTC", NOW),
        ("2026-01-01T00:00:00", NOW),
        ("tomorrow", None),
        (17, None),
        (None, None),
    ],
)
def test_instants(text: object, instant: int | None) -> None:
    assert parse_instant(text) == instant


def test_real_files_are_read_within_bounds(tmp_path: Path) -> None:
    import os

    (tmp_path / "text").write_bytes(b"\xef\xbb\xbffake text")
    assert read_file(tmp_path / "text") == "fake text"
    assert read_file(tmp_path / "none") is None
    assert read_file(tmp_path / "text" / "below") is None
    (tmp_path / "bytes").write_bytes(b"\xff\xfea")
    with pytest.raises(ValueError, match="not UTF-8 text"):
        read_file(tmp_path / "bytes")
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_file(tmp_path / "large")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_file(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_file(tmp_path)


def test_a_file_that_cannot_be_read_is_a_problem_of_the_profile() -> None:
    from vault.providers.cloud.aws import BedrockSettings, resolve_bedrock

    def denied(path: Path) -> str | None:
        raise PermissionError(13, "Permission denied", str(path))

    environ = {"AWS_REGION": "eu-west-1", "AWS_PROFILE": "work"}
    mode = resolve_bedrock(BedrockSettings(), environ, HOME, stored_token=False, reader=denied, now=NOW)
    assert codes(mode.problems) == ["profile_missing", "unreadable", "unreadable"]
    assert "Permission denied" in mode.problems[1].text
