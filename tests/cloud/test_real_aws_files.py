"""What is written into AWS's shared files, as the SDK reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exporters.flat import put, target
from vault.events.credentials import Cloud
from vault.interop import aws
from vault.interop.plans import Outgoing
from vault.values import MAIN_AGENT, ProfileId

pytestmark = pytest.mark.interop

PAIRS = {"default": ("fake-id-1", "fake-secret-1"), "work": ("fake-id-2", "fake%secret=2#;'\""), "a-b.c": ("i", "s")}


def test_the_sdk_reads_what_is_exported(tmp_path: Path) -> None:
    import botocore.session

    ones = [
        Outgoing(
            MAIN_AGENT,
            ProfileId(f"amazon-bedrock:{name}"),
            Cloud(mode="env", facts={}, secrets={"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}),
        )
        for name, (key_id, secret) in PAIRS.items()
    ]
    put(aws.write(ones, {}, target(tmp_path)))
    for name, pair in PAIRS.items():
        session = botocore.session.Session(profile=name)
        session.set_config_variable("credentials_file", str(tmp_path / "credentials"))
        session.set_config_variable("config_file", str(tmp_path / "config"))
        found = session.get_credentials()
        assert (found.access_key, found.secret_key) == pair
