"""The helpers' protocols, request and answer, against a real vault."""

from __future__ import annotations

import json

import pytest

from tests.helpers.desk import Counter
from vault.events.credentials import ApiKey, Cloud, OAuth, Token
from vault.interop.helpers import helpers
from vault.values import HOUR, SECOND

GITHUB = "protocol=https\nhost=github.com\n"


def test_every_helper_fails_with_one_line_and_no_secret_when_there_is_nothing(counter: Counter) -> None:
    for found in helpers():
        said = counter.ask(found.name, "no-such-provider", stdin="{}")
        assert said.err.count("\n") == 0
        assert b"fake" not in said.out
        assert counter.issued == []


def test_token(counter: Counter) -> None:
    counter.login("anthropic:work", "fake-key-work")
    said = counter.ask("token", "anthropic")
    assert (said.out, said.err, said.status) == (b"fake-key-work\n", "", 0)
    (issued,) = counter.issued
    assert (issued.profile, issued.way, issued.program) == ("anthropic:work", "helper token", "test")
    missing = counter.ask("token", "groq")
    assert (missing.out, missing.status) == (b"", 66)
    assert missing.err == "vault: agent main has no credential for groq; vault login groq"
    assert counter.ask("token").status == 64


def test_git_gets_what_git_stored(counter: Counter) -> None:
    assert counter.ask("git", "get", stdin=GITHUB) == counter.ask("git", "capability")
    counter.ask("git", "store", stdin=GITHUB + "username=octo\npassword=fake-password-1\n\nignored=1\n")
    said = counter.ask("git", "get", stdin=GITHUB)
    assert said.out == b"username=octo\npassword=fake-password-1\n"
    assert counter.ask("git", "get", stdin=GITHUB + "username=other\n").out == b""
    assert counter.ask("git", "get", stdin="protocol=https\nhost=elsewhere.example\n").out == b""
    assert [i.profile for i in counter.issued] == ["github.com:octo"]


def test_git_stores_the_same_password_once(counter: Counter) -> None:
    for _ in range(3):
        counter.ask("git", "store", stdin=GITHUB + "username=octo\npassword=fake-password-1\n")
    before = counter.context.store.head().position
    counter.ask("git", "store", stdin=GITHUB + "username=octo\npassword=fake-password-1\n")
    assert counter.context.store.head().position == before
    counter.ask("git", "store", stdin=GITHUB + "username=octo\npassword=fake-password-2\n")
    assert counter.ask("git", "get", stdin=GITHUB).out.endswith(b"password=fake-password-2\n")


def test_git_erases_the_password_that_was_refused_and_no_newer_one(counter: Counter) -> None:
    counter.ask("git", "store", stdin=GITHUB + "username=octo\npassword=fake-password-1\n")
    counter.ask("git", "erase", stdin=GITHUB + "username=octo\npassword=fake-password-0\n")
    assert counter.ask("git", "get", stdin=GITHUB).out != b""
    counter.ask("git", "erase", stdin=GITHUB + "username=octo\npassword=fake-password-1\n")
    assert counter.ask("git", "get", stdin=GITHUB).out == b""


def test_git_leaves_what_it_was_given_as_it_is_and_tells_its_end(counter: Counter) -> None:
    ends = counter.clock.now() + HOUR
    counter.login("github.com:octo", Token(token="fake-token", expires_at=ends, metadata={"username": "octo"}))
    said = counter.ask("git", "get", stdin=GITHUB).out.decode()
    assert said == f"username=octo\npassword=fake-token\npassword_expiry_utc={ends // SECOND}\n"
    before = counter.context.store.head().position
    counter.ask("git", "store", stdin=GITHUB + "username=octo\npassword=fake-token\n")
    counter.ask("git", "store", stdin=GITHUB + said)
    assert counter.context.store.head().position == before
    assert counter.ask("git", "get", stdin=GITHUB).out.decode() == said


def test_git_answers_only_over_https_or_on_this_machine(counter: Counter) -> None:
    for address in ("protocol=http\nhost=127.0.0.1:8080\n", "protocol=https\nhost=git.example:8443\n"):
        counter.ask("git", "store", stdin=address + "username=octo\npassword=fake-password-1\n")
        assert b"fake-password-1" in counter.ask("git", "get", stdin=address).out
    counter.login("plain.example:octo", "fake-password-2")
    assert counter.ask("git", "get", stdin="protocol=http\nhost=plain.example\n").out == b""
    assert counter.ask("git", "get", stdin="protocol=ssh\nhost=plain.example\n").out == b""
    assert counter.ask("git", "get", stdin="protocol=https\n").out == b""


def test_git_prefers_the_password_of_the_path(counter: Counter) -> None:
    counter.ask("git", "store", stdin=GITHUB + "username=octo\npassword=fake-password-1\n")
    counter.ask("git", "store", stdin=GITHUB + "path=org/a.git\nusername=octo\npassword=fake-password-2\n")
    assert b"fake-password-2" in counter.ask("git", "get", stdin=GITHUB + "path=org/a.git\n").out
    assert b"fake-password-1" in counter.ask("git", "get", stdin=GITHUB + "path=org/b.git\n").out


HUB = "https://index.docker.io/v1/"


def store(counter: Counter, server: str, user: str, secret: str) -> None:
    asked = json.dumps({"ServerURL": server, "Username": user, "Secret": secret})
    assert counter.ask("docker", "store", stdin=asked).status == 0


def test_docker_round_trip(counter: Counter) -> None:
    store(counter, HUB, "octo", "fake-password-1")
    store(counter, "ghcr.io", "<token>", "fake-identity-token")
    said = counter.ask("docker", "get", stdin=HUB + "\n")
    assert json.loads(said.out) == {"ServerURL": HUB, "Username": "octo", "Secret": "fake-password-1"}
    assert json.loads(counter.ask("docker", "get", stdin="ghcr.io").out)["Username"] == "<token>"
    assert json.loads(counter.ask("docker", "list").out) == {HUB: "octo", "ghcr.io": "<token>"}
    assert [i.profile for i in counter.issued] == ["index.docker.io:octo", "ghcr.io:<token>"]
    assert counter.ask("docker", "erase", stdin=HUB).status == 0
    assert counter.ask("docker", "get", stdin=HUB).out == b"credentials not found in native keychain\n"
    assert counter.ask("docker", "version").out.startswith(b"docker-credential-vault ")


@pytest.mark.parametrize(
    ("operation", "stdin", "text"),
    [
        ("get", "", "no credentials server URL"),
        ("get", "ghcr.io", "credentials not found in native keychain"),
        ("get", "https://[broken", "the server's address can't be understood"),
        ("erase", "ghcr.io", "credentials not found in native keychain"),
        ("store", "", "the request is not the JSON of a credential"),
        ("store", "[]", "the request is not the JSON of a credential"),
        ("store", '{"Username": "octo", "Secret": "fake-secret"}', "no credentials server URL"),
        ("store", '{"ServerURL": "ghcr.io", "Secret": "fake-secret"}', "no credentials username"),
        ("store", '{"ServerURL": "ghcr.io", "Username": "octo"}', "the credential has no secret"),
    ],
)
def test_docker_errors_are_on_stdout_with_status_1(counter: Counter, operation: str, stdin: str, text: str) -> None:
    said = counter.ask("docker", operation, stdin=stdin)
    assert (said.out.decode(), said.status) == (text + "\n", 1)


def test_kubernetes(counter: Counter) -> None:
    ends = counter.clock.now() + HOUR
    counter.login("cluster.example:admin", Token(token="fake-token", expires_at=ends))
    for version in ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"):
        info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}})
        said = counter.ask("kubernetes", "cluster.example:admin", environ={"KUBERNETES_EXEC_INFO": info})
        assert json.loads(said.out) == {
            "apiVersion": version,
            "kind": "ExecCredential",
            "status": {"token": "fake-token", "expirationTimestamp": "2026-01-01T01:00:00Z"},
        }
    refused = counter.ask(
        "kubernetes", "cluster.example:admin", environ={"KUBERNETES_EXEC_INFO": '{"apiVersion": "v9"}'}
    )
    assert (refused.out, refused.status) == (b"", 65)


def test_google_says_success_and_failure_with_status_0(counter: Counter) -> None:
    counter.login("issuer.example:workload", Token(token="fake-id-token", expires_at=counter.clock.now() + HOUR))
    said = counter.ask("google", "issuer.example:workload")
    assert json.loads(said.out) == {
        "version": 1,
        "success": True,
        "token_type": "urn:ietf:params:oauth:token-type:id_token",
        "id_token": "fake-id-token",
        "expiration_time": (counter.clock.now() + HOUR) // SECOND,
    }
    failed = counter.ask("google", "issuer.example:nobody")
    body = json.loads(failed.out)
    assert (failed.status, failed.err, body["success"], body["code"]) == (0, "", False, "not_found")
    assert "issuer.example:nobody" in body["message"]


def test_aws_wants_a_key_pair(counter: Counter) -> None:
    counter.login("amazon-bedrock:default", ApiKey(key="fake-bearer"))
    said = counter.ask("aws", "amazon-bedrock")
    assert (said.out, said.status) == (b"", 66)
    assert "not an AWS access key" in said.err


def test_aws_keys_are_given_with_their_expiration_and_not_after_it(counter: Counter) -> None:
    secrets = {"AWS_ACCESS_KEY_ID": "fake-id", "AWS_SECRET_ACCESS_KEY": "fake-secret", "AWS_SESSION_TOKEN": "fake-s"}
    ends = counter.clock.now() + HOUR
    counter.login("amazon-bedrock:saml", Cloud(mode="env", facts={"expires_at": str(ends)}, secrets=secrets))
    for what in ("amazon-bedrock:saml", "amazon-bedrock"):
        assert json.loads(counter.ask("aws", what).out) == {
            "Version": 1,
            "AccessKeyId": "fake-id",
            "SecretAccessKey": "fake-secret",
            "SessionToken": "fake-s",
            "Expiration": "2026-01-01T01:00:00Z",
        }
    counter.clock.forward(2 * HOUR)
    for what in ("amazon-bedrock:saml", "amazon-bedrock"):
        said = counter.ask("aws", what)
        assert (said.out, said.status) == (b"", 82), said.err


def test_a_tool_is_given_tokens_with_life_left(counter: Counter) -> None:
    """A token that has ended is refused, never handed out."""
    counter.login("xai:default", OAuth(access="fake-access", expires_at=counter.clock.now() - SECOND))
    said = counter.ask("token", "xai")
    assert (said.out, said.status) == (b"", 82)
    assert "vault login xai" in said.err
