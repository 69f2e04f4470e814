"""Cloud providers through the command: an environment without the runner's own clouds, and what a child was given."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Result, Shell
from tests.cloud.conftest import PREFIXES
from tests.cloud.support import Answer
from tests.support import Files
from vault.commands.login import log_in
from vault.events.credentials import Cloud
from vault.values import MAIN_AGENT, ProfileId

REGION = {"AWS_REGION": "eu-west-1"}
BOTH = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
PAIR = {"AWS_ACCESS_KEY_ID": "fake-id-of-a-key-0001", "AWS_SECRET_ACCESS_KEY": "fake-secret-ambient"}
OWN_PAIR = {"AWS_ACCESS_KEY_ID": "fake-id-of-a-key-0002", "AWS_SECRET_ACCESS_KEY": "fake-secret-own"}
KEYED = "[{0}]\naws_access_key_id = fake-id-{0}\naws_secret_access_key = fake-secret-{0}\n"
SETTLED = {"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*"}
SECRET_WORDS = ("fake-secret", "fake-bearer", "fake-session", "fake-token", "fake-key", "fake-refresh")


# In the order they are tried: what is there, its mode, what a child then gets of it, what the decision calls it.
PLACES = {
    "own bearer": ("bearer", {"AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-own"}, "env:VAULT_AWS_BEARER_TOKEN_BEDROCK"),
    "own pair": ("env", OWN_PAIR, "env:VAULT_AWS_ACCESS_KEY_ID"),
    "stored": ("bearer", {"AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-stored"}, "amazon-bedrock:default"),
    "bearer": ("bearer", {"AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-ambient"}, "env:AWS_BEARER_TOKEN_BEDROCK"),
    "pair": ("env", PAIR, "env:AWS_ACCESS_KEY_ID"),
    "named profile": (
        "profile",
        {"AWS_ACCESS_KEY_ID": "fake-id-work", "AWS_SECRET_ACCESS_KEY": "fake-secret-work"},
        "aws-profile:work",
    ),
    "default profile": (
        "profile",
        {"AWS_ACCESS_KEY_ID": "fake-id-default", "AWS_SECRET_ACCESS_KEY": "fake-secret-default"},
        "aws-profile:default",
    ),
    "container": (
        "container",
        {
            "AWS_ACCESS_KEY_ID": "fake-id-task",
            "AWS_SECRET_ACCESS_KEY": "fake-secret-task",
            "AWS_SESSION_TOKEN": "fake-session-task",
            "AWS_CREDENTIAL_EXPIRATION": "2999-01-01T00:00:00Z",
        },
        "aws-container:AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ),
}
TASK = Answer(
    body={
        "AccessKeyId": "fake-id-task",
        "SecretAccessKey": "fake-secret-task",
        "Token": "fake-session-task",
        "Expiration": "2999-01-01T00:00:00Z",
    }
)


class Clouds:
    """Settings, variables and files for one test, and children that are caught before they start."""

    def __init__(self, shell: Shell, files: Files, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shell = shell
        self.files = files
        self.home = home
        self._monkeypatch = monkeypatch
        self._children: list[dict[str, str]] = []
        monkeypatch.setattr("vault.cli.issue._become", self._become)

    def _become(self, program: str, command: object, environment: Mapping[str, str]) -> None:
        self._children.append(dict(environment))

    def set(self, variables: Mapping[str, str] | None = None, **more: str) -> None:
        """Set variables of this process; an empty one is unset."""
        for name, value in {**(variables or {}), **more}.items():
            self._monkeypatch.setenv(name, value) if value else self._monkeypatch.delenv(name, raising=False)

    def settings(self, provider: str = "amazon-bedrock", **values: str) -> None:
        """Settings of a provider; more calls add to the file."""
        path = self.home / ".config" / "agent-vault" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"[providers.{provider}]", *(f'{name} = "{value}"' for name, value in values.items())]
        path.write_text((path.read_text() if path.exists() else "") + "\n".join(lines) + "\n")

    def write(self, name: str, content: str | Mapping[str, Any]) -> Path:
        """A file in the home folder."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def store(self, profile: str, mode: str, facts: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        """Store a profile of kind ``cloud``."""
        credential = Cloud(mode=mode, facts=dict(facts), secrets=dict(secrets))
        with self.files.open(self.shell.clock) as context:
            log_in(context, MAIN_AGENT, ProfileId(profile), credential)

    def run(self, *arguments: str, program: str = "true") -> dict[str, str]:
        """What ``exec`` would give a child of the variables of clouds."""
        self.shell("exec", *arguments, "--", program)
        return clouds_of(self._children.pop())

    def whole(self, *arguments: str) -> dict[str, str]:
        """The whole environment of the child that ``exec`` would start."""
        self.shell("exec", *arguments, "--", "true")
        return self._children.pop()

    def refused(self, *arguments: str, status: int) -> Result:
        """An ``exec`` that must start nothing and record nothing."""
        before = len(self.issued())
        told = self.shell("exec", *arguments, "--", "true", status=status)
        assert self._children == []
        assert len(self.issued()) == before
        no_secret_in(told.out + told.err)
        return told

    def issued(self) -> list[dict[str, Any]]:
        """The hand-outs that were recorded, newest first."""
        return [e["facts"] for e in self.shell.json("history", "--type", "credential_issued")["events"]]

    def why(self, provider: str = "amazon-bedrock") -> dict[str, Any]:
        """The decision, and nothing secret in it, nor in what people see of it."""
        no_secret_in(self.shell("why", provider).out)
        told = self.shell.json("why", provider)
        no_secret_in(json.dumps(told))
        return told

    def code(self, candidate: str, provider: str = "amazon-bedrock") -> str:
        """What became of one candidate."""
        (found,) = [c["code"] for c in self.why(provider)["candidates"] if c["candidate"] == candidate]
        return str(found)

    def fingerprint(self, secret: str) -> str:
        """What the log tells about a secret."""
        with self.files.open(self.shell.clock) as context:
            return context.keys.fingerprint(secret)


def furnish(clouds: Clouds, present: tuple[str, ...], container: str) -> None:
    """Make the places be there; ``container`` is the address of a task's credentials."""
    clouds.set(REGION)
    if "own bearer" in present:
        clouds.set(VAULT_AWS_BEARER_TOKEN_BEDROCK="fake-bearer-own")
    if "own pair" in present:
        clouds.set({f"VAULT_{name}": value for name, value in OWN_PAIR.items()})
    if "stored" in present:
        clouds.shell("login", "amazon-bedrock", "--token-stdin", stdin="fake-bearer-stored")
    if "bearer" in present:
        clouds.set(AWS_BEARER_TOKEN_BEDROCK="fake-bearer-ambient")
    if "pair" in present:
        clouds.set(PAIR)
    if "named profile" in present:
        clouds.set(AWS_PROFILE="work")
    clouds.write(
        ".aws/credentials", KEYED.format("work") + "".join([KEYED.format("default")] * ("default profile" in present))
    )
    if "container" in present:
        clouds.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=container)


def clouds_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of clouds, but for those every test has."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith((*PREFIXES, "VAULT_AWS_", "GCP_", "GCLOUD_")) and name not in SETTLED
    }


def no_secret_in(text: str) -> None:
    """No secret of these tests is in what people or programs see."""
    for word in SECRET_WORDS:
        assert word not in text


@pytest.fixture
def clouds(shell: Shell, files: Files, isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Clouds:
    """Cloud providers of this test alone."""
    for name in [n for n in os.environ if n.upper().startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    for name, value in SETTLED.items():
        monkeypatch.setenv(name, value)
    return Clouds(shell, files, isolated / "home", monkeypatch)
