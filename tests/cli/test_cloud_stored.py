"""Bedrock through the command: what is stored, what takes part unnamed, ``get``, ``env``, and botocore itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.clouds import BOTH, KEYED, OWN_PAIR, PAIR, PLACES, REGION, TASK, Clouds, clouds, furnish
from tests.cli.running import Real
from tests.cloud.support import Answer, Asked, serving
from vault.providers.cloud.issuing import obtain
from vault.values import DAY, HOUR

__all__ = ["clouds"]


# -- what is stored


def test_a_stored_token_that_has_ended_gives_way(clouds: Clouds) -> None:
    clouds.set(REGION)
    clouds.shell.login("amazon-bedrock", "fake-bearer-stored", "--kind", "token", "--expires-in", "1h")
    assert clouds.why()["chosen"] == "amazon-bedrock:default"
    clouds.shell.clock.forward(HOUR)
    told = clouds.refused("--provider", "amazon-bedrock", status=82)
    assert "amazon-bedrock:default expired" in told.err
    clouds.set(AWS_BEARER_TOKEN_BEDROCK="fake-bearer-ambient")
    assert clouds.run("--provider", "amazon-bedrock")["AWS_BEARER_TOKEN_BEDROCK"] == "fake-bearer-ambient"
    assert clouds.code("amazon-bedrock:default") == "expired"


def test_a_profile_that_is_named_or_pinned_is_used_and_nothing_else(clouds: Clouds) -> None:
    clouds.set({**REGION, "VAULT_AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-own"})
    clouds.shell.login("amazon-bedrock:work", "fake-bearer-work")
    assert clouds.run("--provider", "amazon-bedrock")["AWS_BEARER_TOKEN_BEDROCK"] == "fake-bearer-own"
    named = clouds.run("--provider", "amazon-bedrock:work")
    assert named == {**BOTH, "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-work"}
    assert clouds.shell("get", "amazon-bedrock:work").out == "fake-bearer-work\n"
    clouds.settings(auth_source="env")
    clouds.shell("pin", "amazon-bedrock:work")
    assert clouds.run() == named
    assert clouds.why()["basis"] == "pinned for agent main"
    assert clouds.code("env:VAULT_AWS_BEARER_TOKEN_BEDROCK") == "not_pinned"
    clouds.shell("logout", "amazon-bedrock:work")
    told = clouds.refused("--provider", "amazon-bedrock", status=66)
    assert "the pinned profile amazon-bedrock:work can't be used" in told.err


def test_a_stored_mode_has_its_own_facts_and_secrets(clouds: Clouds) -> None:
    clouds.set({**REGION, **PAIR, "AWS_SESSION_TOKEN": "fake-session-ambient"})
    secrets = {**OWN_PAIR, "AWS_SESSION_TOKEN": "fake-session-stored"}
    clouds.store("amazon-bedrock:keys", "env", {"region": "us-east-2"}, secrets)
    assert clouds.why()["chosen"] == "amazon-bedrock:keys"
    got = clouds.run()
    assert got == {**secrets, "AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-east-2"}
    (event,) = clouds.issued()
    assert (event["profile"], event["fingerprint"]) == ("amazon-bedrock:keys", clouds.fingerprint("fake-secret-own"))
    clouds.settings(auth_source="bearer")
    assert clouds.code("amazon-bedrock:keys") == "ignored_source"
    clouds.refused("--provider", "amazon-bedrock", status=66)
    assert clouds.run("--provider", "amazon-bedrock:keys") == got


def test_a_stored_mode_that_is_none_is_told(clouds: Clouds) -> None:
    clouds.set(REGION)
    clouds.store("amazon-bedrock:odd", "gcloud", {}, {"X": "fake-secret-odd"})
    told = clouds.refused("--provider", "amazon-bedrock", status=78)
    assert "amazon-bedrock:odd has a mode that bedrock hasn't" in told.err
    assert clouds.why()["chosen"] is None


def test_the_settings_may_allow_stored_profiles_alone(clouds: Clouds) -> None:
    clouds.set({**REGION, **PAIR})
    clouds.write(".aws/credentials", KEYED.format("default"))
    clouds.settings(auth_source="stored")
    clouds.refused("--provider", "amazon-bedrock", status=66)
    clouds.shell.login("amazon-bedrock", "fake-bearer-stored")
    assert clouds.run("--provider", "amazon-bedrock")["AWS_BEARER_TOKEN_BEDROCK"] == "fake-bearer-stored"


def test_settings_of_another_cloud_are_told_and_harm_no_other_provider(clouds: Clouds) -> None:
    clouds.shell.login("anthropic", "fake-key-a")
    clouds.settings(auth_source="gcloud")
    told = clouds.refused("--provider", "amazon-bedrock", status=78)
    assert "auth_source of amazon-bedrock is not a source of AWS credentials" in told.err
    assert "anthropic" in clouds.shell("status").out
    assert clouds.whole()["ANTHROPIC_API_KEY"] == "fake-key-a"


# -- without naming it


def test_without_a_name_a_cloud_takes_part_where_somebody_meant_it(clouds: Clouds) -> None:
    clouds.set({**REGION, **PAIR})
    clouds.shell.login("anthropic", "fake-key-a")
    assert clouds.run() == {**PAIR, **REGION}, "what was there stays as it was"
    assert [e["provider"] for e in clouds.issued()] == ["anthropic"]
    clouds.set({f"VAULT_{name}": value for name, value in OWN_PAIR.items()})
    assert clouds.run() == {**OWN_PAIR, **BOTH}
    assert {e["provider"] for e in clouds.issued()[:2]} == {"anthropic", "amazon-bedrock"}


def test_settings_alone_are_no_credential_and_no_noise(clouds: Clouds) -> None:
    clouds.shell.login("anthropic", "fake-key-a")
    clouds.settings(region="eu-west-1")
    assert clouds.shell("env").err == ""
    clouds.set(PAIR)
    assert "export AWS_REGION=eu-west-1" in clouds.shell("env").lines
    clouds.set(dict.fromkeys(PAIR, ""))
    clouds.settings("bedrock-frankfurt", family="bedrock", auth_source="env")
    told = clouds.shell("env")
    assert told.lines == ["export ANTHROPIC_API_KEY=fake-key-a"]
    assert told.err.startswith("bedrock-frankfurt is left out: ")


def test_aws_itself_is_handed_the_mode(clouds: Clouds, tmp_path: Path) -> None:
    clouds.set({**REGION, **PAIR})
    program = tmp_path / "aws"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert clouds.run(program=str(program)) == {**PAIR, **BOTH}
    assert (clouds.issued()[0]["provider"], clouds.issued()[0]["program"]) == ("amazon-bedrock", "aws")


def test_two_of_one_family_do_not_stand_in_one_environment(clouds: Clouds) -> None:
    clouds.settings("bedrock-frankfurt", family="bedrock", region="eu-central-1")
    clouds.settings(region="us-east-1")
    clouds.shell.login("amazon-bedrock", "fake-bearer-us")
    clouds.shell.login("bedrock-frankfurt", "fake-bearer-eu")
    told = clouds.shell("env")
    assert "export AWS_BEARER_TOKEN_BEDROCK=fake-bearer-us" in told.lines
    assert (
        "bedrock-frankfurt:default is left out: amazon-bedrock:default has AWS_BEARER_TOKEN_BEDROCK already" in told.err
    )
    assert [e["provider"] for e in clouds.issued()] == ["amazon-bedrock"]
    got = clouds.run("--provider", "bedrock-frankfurt")
    assert got == {
        "AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-eu",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


def test_keys_of_one_and_a_token_of_another_are_not_mixed(clouds: Clouds) -> None:
    clouds.settings("bedrock-frankfurt", family="bedrock")
    clouds.set(REGION)
    clouds.shell.login("amazon-bedrock", "fake-bearer-us")
    clouds.store("bedrock-frankfurt:keys", "env", {}, OWN_PAIR)
    told = clouds.shell("env")
    assert "bedrock-frankfurt:keys is left out: " in told.err
    assert "fake-secret-own" not in told.out
    assert [e["provider"] for e in clouds.issued()] == ["amazon-bedrock"]


# -- get and env


def test_get_prints_what_is_one_secret_and_names_the_way_to_several(clouds: Clouds) -> None:
    clouds.set({**REGION, **PAIR})
    told = clouds.shell("get", "amazon-bedrock", status=64)
    assert told.out == ""
    assert "several secrets (env:AWS_ACCESS_KEY_ID): vault exec --provider amazon-bedrock -- COMMAND" in told.err
    assert clouds.issued() == []
    body = clouds.shell.json("get", "amazon-bedrock")
    assert (body["mode"], body["secret"], body["variables"]) == ("env", None, {**PAIR, **BOTH})
    clouds.set(AWS_BEARER_TOKEN_BEDROCK="fake-bearer-ambient")
    body = clouds.shell.json("get", "amazon-bedrock")
    assert (body["mode"], body["secret"], body["kind"]) == ("bearer", "fake-bearer-ambient", "environment")
    assert body["variables"] == {"AWS_BEARER_TOKEN_BEDROCK": "fake-bearer-ambient", **BOTH}
    assert len(clouds.issued()) == 2


@pytest.mark.parametrize(
    ("name", "line"), [("sh", "unset {0}"), ("fish", "set -e {0}"), ("powershell", "Remove-Item Env:{0}")]
)
def test_env_unsets_what_competes(clouds: Clouds, name: str, line: str) -> None:
    clouds.set({**REGION, **PAIR, "AWS_PROFILE": "work", "VAULT_AWS_REGION": "r-1"})
    clouds.shell.login("amazon-bedrock", "fake-bearer-stored")
    lines = clouds.shell("env", "--shell", name).lines
    removed = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"]
    assert lines[:3] == [line.format(variable) for variable in removed]
    assert len(lines) == 6
    assert clouds.shell.json("env")["removed"] == removed


def test_sh_has_the_mode_and_nothing_else(clouds: Clouds) -> None:
    clouds.set({**REGION, **PAIR, "AWS_SESSION_TOKEN": "fake-session-1"})
    clouds.shell.login("amazon-bedrock", "fake-bearer-stored")
    script = (
        clouds.shell("env").out + 'echo "$AWS_BEARER_TOKEN_BEDROCK|$AWS_ACCESS_KEY_ID|$AWS_SESSION_TOKEN|$AWS_REGION"'
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == "fake-bearer-stored|||eu-west-1\n"


# -- the library


def test_without_botocore_one_line_says_how_to_get_it(clouds: Clouds, real: Real, tmp_path: Path) -> None:
    (tmp_path / "without" / "botocore").mkdir(parents=True)
    (tmp_path / "without" / "botocore" / "__init__.py").write_text("raise ImportError\n")
    clouds.set({**REGION, "AWS_PROFILE": "work"})
    clouds.write(".aws/credentials", KEYED.format("work"))
    told = real("exec", "-p", "amazon-bedrock", "--", "true", env={"PYTHONPATH": str(tmp_path / "without")}, status=69)
    assert told.out == ""
    assert "needs botocore, which is not installed: pip install 'agent-vault[aws]'" in told.err
    assert clouds.issued() == []


@pytest.mark.interop
def test_a_source_that_never_answers_is_given_up(clouds: Clouds, monkeypatch: pytest.MonkeyPatch) -> None:
    def soon(*arguments: object, **more: object) -> object:
        return obtain(*arguments, **{**more, "deadline": 0.2})  # type: ignore[arg-type]

    monkeypatch.setattr("vault.commands.cloud_issue.obtain", soon)

    def hold(asked: Asked) -> Answer:
        server.gate.wait(60)
        return TASK

    with serving(hold) as server:
        clouds.set({**REGION, "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/task"})
        told = clouds.refused("--provider", "amazon-bedrock", status=75)
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI did not answer within 0.2 s" in told.err


@pytest.mark.interop
@pytest.mark.parametrize("source", ["pair", "named profile", "container", "stored"])
def test_botocore_in_the_child_resolves_exactly_what_was_handed_out(clouds: Clouds, real: Real, source: str) -> None:
    program = (
        "import botocore.session, json, os\n"
        "session = botocore.session.Session()\n"
        "found = session.get_credentials()\n"
        "keys = found.get_frozen_credentials() if found else (None, None, None)\n"
        "token = session.get_auth_token(signing_name='bedrock') if hasattr(session, 'get_auth_token') else None\n"
        "bearer = getattr(token, 'token', None)\n"
        "print(json.dumps([*keys[:3], bearer, session.get_config_variable('region'), found.method if found else None]))\n"
    )
    # What would win in the child if it were left there, and what a child finds by itself must not be used.
    clouds.write(".aws/config", "[default]\nregion = r-9\n")
    with serving(lambda asked: TASK) as server:
        furnish(clouds, (source,), f"{server.url}/task")
        told = real("exec", "-p", "amazon-bedrock", "--", sys.executable, "-c", program)
    _, variables, _ = PLACES[source]
    *keys, bearer, region, method = json.loads(told.out)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    assert keys == [variables.get(name) for name in names]
    assert (bearer, region) == (variables.get("AWS_BEARER_TOKEN_BEDROCK"), "eu-west-1")
    assert method == (None if source == "stored" else "env")


def test_status_warns_of_a_token_that_ends(clouds: Clouds) -> None:
    clouds.set(REGION)
    clouds.shell.login("amazon-bedrock", "fake-bearer-stored", "--kind", "token", "--expires-in", "25h")
    clouds.shell("status", "bedrock", "--check")
    clouds.shell.clock.forward(DAY)
    clouds.shell("status", "bedrock", "--check", status=2)
