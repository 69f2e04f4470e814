"""BMO's own spellings, where a person carries them over: provider_options, base_url, api_key = "${X}"; import and settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Shell

pytestmark = pytest.mark.usefixtures("files")

OF_THE_SEED = """
[providers.my-anthropic]
base_url = "https://api.anthropic.com"
api_key = "${ANTHROPIC_API_KEY}" # interpolate from env

[providers.bedrock.provider_options]
auth_source = "env" # auto, env, profile, bearer, or container
region = "us-east-1"
"""


def imported(shell: Shell, text: str) -> dict[str, dict[str, str]]:
    Path("bmo.toml").write_text(text)
    return {line["what"]: line for line in shell.json("import", "bmo", "--from", "bmo.toml")["entries"]}


def test_import_bmo_understands_the_seeds_own_examples(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = imported(shell, OF_THE_SEED)
    assert lines["my-anthropic:default"]["action"] == "taken"
    shown = shell.json("show", "my-anthropic:default")
    assert (shown["kind"], shown["reference"]) == ("reference", "env:ANTHROPIC_API_KEY")
    assert shown["base_url"] == "https://api.anthropic.com"
    assert "belongs to" in shell("show", "my-anthropic:default").out
    options = lines["bedrock.provider_options"]
    assert options["action"] == "skipped"
    assert "copied as they are into" in options["why"]
    monkeypatch.setenv("ANTHROPIC_API_KEY", "fake-key-of-the-environment")
    assert shell("get", "my-anthropic").out == "fake-key-of-the-environment\n"


def test_import_bmo_takes_the_profile_that_provider_options_name(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[providers.bedrock.provider_options]\nauth_source = "profile"\nprofile = "work"\nregion = "eu-west-1"\nodd = 1\n'
    lines = imported(shell, text)
    assert lines["amazon-bedrock:default"]["action"] == "taken"
    assert lines["bedrock.provider_options.odd"]["why"] == "the vault has no such setting"
    monkeypatch.setenv("HOME", str(Path.cwd()))
    Path(".aws").mkdir()
    Path(".aws/credentials").write_text(
        "[work]\naws_access_key_id = AKIAFAKEFAKEFAKEFAKE\naws_secret_access_key = fake\n"
    )
    (mode,) = shell.json("status", "bedrock")["modes"]
    assert (mode["mode"], mode["profile"], mode["region"], mode["ready"]) == ("profile", "work", "eu-west-1", True)
    assert imported(shell, text)["amazon-bedrock:default"]["action"] == "already here"


def test_the_settings_understand_bmos_provider_options_as_they_are(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(path))
    path.write_text(OF_THE_SEED.partition("\n\n")[2])
    shown = shell.json("config", "show")["providers"]
    assert shown == {"amazon-bedrock": {"auth_source": "env", "region": "us-east-1"}}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "fake-secret")
    (mode,) = shell.json("status", "bedrock")["modes"]
    assert (mode["auth_source"], mode["mode"], mode["region"]) == ("env", "env", "us-east-1")


def test_base_url_in_the_settings_is_the_endpoint(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(path))
    path.write_text('[providers.mine]\nbase_url = "http://localhost:9999/v1"\n')
    assert shell.json("config", "show")["providers"] == {"mine": {"endpoint": "http://localhost:9999/v1"}}
    assert "none needed" in shell("status", "mine").row("mine")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[providers.mine]\napi_key = "${SOME_KEY}"\n',
            "line 2: providers.mine.api_key: a key is a credential and no setting; take it out: "
            "vault login mine --reference '${SOME_KEY}' keeps it",
        ),
        (
            '[providers.mine]\napi_key = "$(pass show fake-place)"\n',
            "line 2: providers.mine.api_key: a key is a credential and no setting; take it out: "
            "vault login mine --reference REFERENCE keeps it",
        ),
        (
            '[providers.mine]\napi_key = "fake-secret-9"\n',
            "line 2: providers.mine.api_key: a key is a credential and no setting; take it out: vault login mine keeps it",
        ),
        (
            '[providers.mine]\nregion = "a"\n[providers.mine.provider_options]\nregion = "b"\n',
            "line 4: providers.mine.provider_options.region: providers.mine.region is the same setting: keep one",
        ),
        (
            '[providers.mine.provider_options]\nbase_url = "https://a.example"\nendpoint = "https://b.example"\n',
            "line 3: providers.mine.provider_options.endpoint: "
            "providers.mine.provider_options.base_url is the same setting: keep one",
        ),
        (
            '[providers.mine.provider_options]\nregoin = "b"\n',
            "line 2: providers.mine.provider_options.regoin: the keys here are",
        ),
    ],
)
def test_what_the_settings_do_not_take_of_bmos_is_told_with_its_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(path))
    path.write_text(text)
    said = shell("config", "show", status=78)
    assert f"{path}, {told}" in said.err
    assert "fake-" not in said.out + said.err
