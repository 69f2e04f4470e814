"""AWS's shared files: read, written, connected and scrubbed, comments kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import outgoing, put, target
from vault.errors import InputError, NotFound
from vault.events.credentials import Cloud
from vault.interop import aws
from vault.interop.plans import Link
from vault.pointers import pointer_in
from vault.values import MAIN_AGENT

CREDENTIALS = """\
# mine
[default]
aws_access_key_id = fake-id-1
aws_secret_access_key = fake-secret-1

[work]
aws_access_key_id = fake-id-2
aws_secret_access_key = fake%secret=2
aws_session_token = fake-session-2
"""
CONFIG = """\
[default]
region = eu-west-1

[profile work]  # a note
region = us-east-2
output = json

[profile sso]
sso_session = corp
"""
LINK = Link("/fake/bin/vault", MAIN_AGENT)


def store(folder: Path, credentials: str = CREDENTIALS, config: str = CONFIG) -> Path:
    (folder / "credentials").write_text(credentials)
    (folder / "config").write_text(config)
    return folder


def secrets(folder: Path) -> dict[str, dict[str, str]]:
    found = aws.read(folder, {}, folder).found
    return {f.profile: f.credential.secrets for f in found if isinstance(f.credential, Cloud)}


def test_profiles_with_keys(tmp_path: Path) -> None:
    findings = aws.read(store(tmp_path), {}, tmp_path)
    assert [
        (f.profile, f.credential.mode, f.credential.facts) for f in findings.found if isinstance(f.credential, Cloud)
    ] == [
        ("amazon-bedrock:default", "env", {"region": "eu-west-1"}),
        ("amazon-bedrock:work", "env", {"region": "us-east-2"}),
    ]
    assert secrets(tmp_path)["amazon-bedrock:work"] == {
        "AWS_ACCESS_KEY_ID": "fake-id-2",
        "AWS_SECRET_ACCESS_KEY": "fake%secret=2",
        "AWS_SESSION_TOKEN": "fake-session-2",
    }
    assert [(s.name, s.why) for s in findings.skipped] == [("sso", "it holds no key: sso_session says whom to ask")]


def test_written_over_itself_it_is_the_same_files(tmp_path: Path) -> None:
    store(tmp_path)
    put(aws.write(outgoing(aws.read(tmp_path, {}, tmp_path).found), {}, target(tmp_path)))
    assert (tmp_path / "credentials").read_text() == CREDENTIALS
    assert (tmp_path / "config").read_text() == CONFIG


VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30).map(lambda t: f"fake-{t}")
VALUES = VALUES.filter(lambda value: pointer_in(value) is None)


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ("x_security_token_expires = 2026-01-01T02:00:00+02:00", 1_767_225_600_000_000),
        ("x_security_token_expires = 2026-01-01T00:00:00Z", 1_767_225_600_000_000),
        ("expiration = 2026-01-01 00:00:00", 1_767_225_600_000_000),
        ("aws_expiration = 2025-12-31T19:00:00-05:00", 1_767_225_600_000_000),
        ("aws_session_expiration = 2026-01-01T00:00:00+00:00", 1_767_225_600_000_000),
        ("x_security_token_expires = soon", None),
        ("x_security_token_expires = 0001-01-01T00:00:00+23:59", None),
        ("", None),
    ],
)
def test_the_expiry_of_session_keys_is_read_kept_and_written(tmp_path: Path, line: str, ends: int | None) -> None:
    path = tmp_path / "credentials"
    keys = "aws_access_key_id = fake-id\naws_secret_access_key = fake-secret\naws_security_token = fake-session"
    path.write_text(f"[saml]\n{keys}\n{line}\n")
    (found,) = aws.read(path, {}, tmp_path).found
    assert found.credential.expires() == ends
    assert isinstance(found.credential, Cloud)
    assert found.credential.secrets["AWS_SESSION_TOKEN"] == "fake-session"
    new = tmp_path / "new" / "credentials"
    put(aws.write(outgoing([found]), {}, target(new)))
    assert ("x_security_token_expires = 2026-01-01T00:00:00Z" in new.read_text()) == (ends is not None)
    assert [f.credential.expires() for f in aws.read(new, {}, tmp_path).found] == [ends]
    values = aws.inject(outgoing([found]), target(new)).variables
    assert ("AWS_CREDENTIAL_EXPIRATION" in values) == (ends is not None)
    if ends is not None:
        put(aws.write(outgoing([found]), {}, target(path)))
        option = line.partition(" ")[0]
        assert f"{option} = 2026-01-01T00:00:00Z" in path.read_text(), "under the name it has there"


def test_profile_names_of_public_reports_are_understood(tmp_path: Path) -> None:
    """aws-vault 365 and 1172, aws-sso-cli 552, granted 825, aws-toolkit 787: slashes, blanks, colons, brackets, @."""
    names = ["one/two/three", "My Account:ReadOnly", "Company-Name-[production]/RoleName", "role@alias"]
    keys = "aws_access_key_id = fake-id\naws_secret_access_key = fake-{}\n"
    (tmp_path / "credentials").write_text("".join(f"[{n}]\n{keys.format(i)}" for i, n in enumerate(names)))
    (tmp_path / "config").write_text(
        '[profile     include]\nregion = r1\n[profile "My Account:ReadOnly"]\nregion = r2\n'
    )
    findings = aws.read(tmp_path, {}, tmp_path)
    assert [f.profile for f in findings.found] == [
        aws.foreign_profile(aws.ProviderId("amazon-bedrock"), n) for n in names
    ]
    assert [f.credential.facts.get("region") for f in findings.found if isinstance(f.credential, Cloud)][1] == "r2"
    new = tmp_path / "new" / "credentials"
    put(aws.write(outgoing(findings.found), {}, target(new)))
    assert [f.credential for f in aws.read(new, {}, tmp_path).found] == [f.credential for f in findings.found]


PROFILES = st.sampled_from(["default", "work", "a-b", "x.1", "my team", "50%", "Ü", "it's"])


@given(st.dictionaries(PROFILES, st.tuples(VALUES, VALUES), min_size=1))
def test_written_anew_it_is_read_again(pairs: dict[str, tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "new"
        folder.mkdir()
        ones = [
            aws.Outgoing(
                MAIN_AGENT,
                aws.foreign_profile(aws.ProviderId("amazon-bedrock"), profile),
                Cloud(
                    mode="env",
                    facts={"region": "eu-west-1"},
                    secrets={"AWS_ACCESS_KEY_ID": i, "AWS_SECRET_ACCESS_KEY": s},
                ),
            )
            for profile, (i, s) in pairs.items()
        ]
        put(aws.write(ones, {}, target(folder)))
        assert {p: tuple(v.values()) for p, v in secrets(folder).items()} == {
            aws.foreign_profile(aws.ProviderId("amazon-bedrock"), p): pair for p, pair in pairs.items()
        }


def test_connect_and_disconnect(tmp_path: Path) -> None:
    store(tmp_path)
    put(aws.connect(LINK, target(tmp_path)))
    config = (tmp_path / "config").read_text()
    assert config.startswith(CONFIG)
    assert "[profile vault]\ncredential_process = /fake/bin/vault helper aws amazon-bedrock --tool aws\n" in config
    put(aws.disconnect(target(tmp_path)))
    assert (tmp_path / "config").read_text().rstrip() == CONFIG.rstrip()


def test_scrubbing_leaves_no_key(tmp_path: Path) -> None:
    store(tmp_path)
    put(aws.scrub(aws.read(tmp_path, {}, tmp_path).found, LINK, target(tmp_path)))
    assert "fake-" not in (tmp_path / "credentials").read_text()
    config = (tmp_path / "config").read_text()
    assert "credential_process = /fake/bin/vault helper aws amazon-bedrock:work --tool aws" in config
    assert "# a note" in config


def test_a_child_gets_the_variables(tmp_path: Path) -> None:
    injection = aws.inject(outgoing(aws.read(store(tmp_path), {}, tmp_path).found), target(tmp_path))
    assert {k: v.reveal() for k, v in injection.variables.items()} == {
        "AWS_ACCESS_KEY_ID": "fake-id-1",
        "AWS_SECRET_ACCESS_KEY": "fake-secret-1",
        "AWS_REGION": "eu-west-1",
    }
    assert {"AWS_SESSION_TOKEN", "AWS_PROFILE"} <= injection.remove


@pytest.mark.parametrize("content", ["aws_access_key_id = 1\n", "[a\n"])
def test_damage_is_told_and_left_alone(tmp_path: Path, content: str) -> None:
    store(tmp_path, credentials=content)
    with pytest.raises(InputError, match="credentials"):
        aws.read(tmp_path, {}, tmp_path)
    assert (tmp_path / "credentials").read_text() == content


def test_half_a_pair_is_skipped(tmp_path: Path) -> None:
    findings = aws.read(store(tmp_path, "[half]\naws_access_key_id = fake\n", ""), {}, tmp_path)
    assert [s.why for s in findings.skipped] == ["it has half of a key pair"]


def test_where_it_is(tmp_path: Path) -> None:
    named = {"AWS_SHARED_CREDENTIALS_FILE": "/fake/c", "AWS_CONFIG_FILE": "/fake/d"}
    assert aws.places(named, tmp_path) == [Path("/fake/c"), Path("/fake/d")]
    with pytest.raises(NotFound):
        aws.read(None, {}, tmp_path)
