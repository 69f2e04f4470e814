"""A secret given to the wrong server: a credential of another base URL is offered with that URL, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import Real, Shell
from tests.support import Files

pytestmark = pytest.mark.usefixtures("files")

VLLM = "http://vllm.corp.example:8000/v1"
THEIRS = f"openai:{VLLM}"
SHOW = ("--", sys.executable, "-c", "import os; print({k: v for k, v in os.environ.items() if k.startswith('OPENAI')})")


def foreign(shell: Shell, secret: str = "fake-vllm") -> None:
    assert shell.json("login", "openai", "--base-url", VLLM + "/", "--stdin", stdin=secret)["profile"] == THEIRS


def test_a_login_for_another_server_stands_beside_the_providers_own(shell: Shell) -> None:
    shell.login("openai", "fake-own")
    told = shell("login", "openai", "--base-url", VLLM, "--stdin", stdin="fake-vllm")
    assert f"it belongs to {VLLM}, and is offered only with that server" in told.err
    assert shell("get", "openai").out == "fake-own\n"
    assert shell("get", "openai:default").err == ""


def test_the_foreign_key_is_never_the_answer_for_the_provider(shell: Shell) -> None:
    foreign(shell)
    told = shell("get", "openai", status=66)
    assert told.out == ""
    assert VLLM in told.err
    assert f"vault exec --provider {THEIRS}" in told.err
    assert shell("helper", "token", "openai", status=66).out == ""
    assert shell("helper", "api-key", "openai", status=66).out == ""
    shell("exec", "-p", "openai", *SHOW, status=66)


def test_get_of_that_very_profile_says_where_it_belongs(shell: Shell) -> None:
    foreign(shell)
    told = shell("get", THEIRS)
    assert (told.out, told.err) == ("fake-vllm\n", f"{THEIRS} belongs to {VLLM}, and is used only there\n")
    assert shell.json("get", THEIRS)["base_url"] == VLLM
    assert shell("helper", "token", THEIRS).out == "fake-vllm\n"


def test_why_names_the_reason_code(shell: Shell) -> None:
    foreign(shell)
    shell.login("openai", "fake-own")
    codes = {c["candidate"]: (c["code"], c["base_url"]) for c in shell.json("why", "openai")["candidates"]}
    assert codes == {"openai:default": ("chosen", None), THEIRS: ("other_server", VLLM)}
    assert f"another server, and is used only by its name, for {VLLM} alone" in shell("why", "openai").out


def test_exec_gives_the_url_with_the_key(real: Real, shell: Shell) -> None:
    foreign(shell)
    out = real("exec", "-p", THEIRS, *SHOW).out
    assert out == f"{ {'OPENAI_API_KEY': 'fake-vllm', 'OPENAI_BASE_URL': VLLM, 'OPENAI_API_BASE': VLLM} }\n"


def test_env_gives_the_url_with_the_key(shell: Shell) -> None:
    foreign(shell)
    lines = shell("env", "-p", THEIRS).lines
    assert f"export OPENAI_BASE_URL={VLLM}" in lines
    assert "export OPENAI_API_KEY=fake-vllm" in lines


def test_the_version_is_left_to_anthropics_programs(shell: Shell) -> None:
    shell("login", "anthropic", "--base-url", "https://gateway.corp.example/v1", "--stdin", stdin="fake-gateway")
    lines = shell("env", "-p", "anthropic:gateway.corp.example/v1").lines
    assert "export ANTHROPIC_BASE_URL=https://gateway.corp.example" in lines


def test_a_provider_whose_programs_cant_be_told_the_url_gets_nothing(shell: Shell) -> None:
    shell("login", "deepseek", "--base-url", "https://other.corp.example", "--stdin", stdin="fake-other")
    told = shell("exec", "-p", "deepseek:other.corp.example", *SHOW, status=64)
    assert "belongs to https://other.corp.example, and no variable can tell a program of deepseek that" in told.err
    assert "vault get deepseek:other.corp.example" in told.err


def test_exec_of_everything_leaves_the_foreign_key_out(real: Real, shell: Shell) -> None:
    foreign(shell)
    shell.login("openai", "fake-own")
    assert real("exec", *SHOW).out == "{'OPENAI_API_KEY': 'fake-own'}\n"


def test_a_pin_and_an_order_choose_it_for_those_who_take_the_url_along(shell: Shell) -> None:
    foreign(shell)
    shell.login("openai", "fake-own")
    for line in (("pin", THEIRS), ("order", "set", "--provider", "openai", THEIRS)):
        shell(*line)
        assert shell("get", "openai").out == "fake-vllm\n"
        assert f"OPENAI_BASE_URL={VLLM}" in shell("env", "-p", "openai").out
        told = shell("helper", "token", "openai", status=66)
        assert told.out == ""
        shell("unpin", "openai", status=None)


def test_a_key_of_the_provider_never_goes_where_the_environment_leads(
    real: Real, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.login("openai", "fake-own")
    monkeypatch.setenv("OPENAI_BASE_URL", VLLM)
    told = real("exec", "-p", "openai", *SHOW)
    assert told.out == "{'OPENAI_API_KEY': 'fake-own'}\n"
    assert f"OPENAI_BASE_URL ({VLLM}) is taken out" in told.err
    assert f"vault login openai --base-url {VLLM}" in told.err
    assert "unset OPENAI_BASE_URL" in shell("env", "-p", "openai").lines


@pytest.mark.parametrize(
    "own", ["https://api.openai.com/v1", "https://API.openai.com:443/v1/", "https://eu.api.openai.com"]
)
def test_the_providers_own_url_written_out_is_no_other_server(
    real: Real, shell: Shell, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell.json("login", "openai", "--base-url", own, "--stdin", stdin="fake-own")["profile"] == "openai:default"
    assert shell("get", "openai").out == "fake-own\n"
    monkeypatch.setenv("OPENAI_BASE_URL", own)
    told = real("exec", "-p", "openai", *SHOW)
    assert (told.out, told.err) == (f"{ {'OPENAI_BASE_URL': own, 'OPENAI_API_KEY': 'fake-own'} }\n", "")


def test_a_persons_own_proxy_on_this_machine_gets_the_providers_key(
    real: Real, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.login("openai", "fake-own")
    foreign(shell)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:4000/v1")
    given = {"OPENAI_BASE_URL": "http://127.0.0.1:4000/v1", "OPENAI_API_KEY": "fake-own"}
    told = real("exec", "-p", "openai", *SHOW)
    assert (told.out, told.err) == (f"{given}\n", "")
    assert "unset OPENAI_BASE_URL" not in shell("env", "-p", "openai").out
    for other in ("http://127.0.0.1.nip.example/v1", "http://localhost.corp.example:4000/v1"):
        monkeypatch.setenv("OPENAI_BASE_URL", other)
        assert "is taken out" in real("exec", "-p", "openai", *SHOW).err
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:4000/v1")
    monkeypatch.setenv("OPENAI_API_BASE", VLLM)
    told = real("exec", "-p", "openai", *SHOW)
    assert (told.out, "OPENAI_API_BASE (" in told.err) == (f"{given}\n", True)


def test_an_address_that_the_settings_name_is_no_other_server(
    real: Real, shell: Shell, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text(f'[providers.openai]\nendpoint = "{VLLM}"\n')
    monkeypatch.setenv("VAULT_CONFIG", str(settings))
    monkeypatch.setenv("OPENAI_BASE_URL", VLLM)
    foreign(shell)
    assert shell("get", "openai").out == "fake-vllm\n"
    assert "'OPENAI_API_KEY': 'fake-vllm'" in real("exec", *SHOW).out
    assert files.database.exists()


def test_a_key_of_the_environment_belongs_to_the_url_beside_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "fake-env")
    monkeypatch.setenv("OPENAI_BASE_URL", VLLM)
    told = shell("get", "openai")
    assert (told.out, told.err) == (
        "fake-env\n",
        f"env:OPENAI_API_KEY belongs to {VLLM}, and is used only there\n",
    )
    assert shell("helper", "token", "openai", status=66).out == ""
    shell.login("openai", "fake-own")
    assert shell("helper", "token", "openai").out == "fake-own\n"


def test_a_projects_file_doesnt_say_where_a_key_of_the_environment_goes(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(".env").write_text("OPENAI_BASE_URL=https://evil.example/v1\n")
    monkeypatch.setenv("OPENAI_API_KEY", "fake-env")
    assert shell.json("get", "openai")["base_url"] is None
    monkeypatch.delenv("OPENAI_API_KEY")
    Path(".env").write_text("OPENAI_BASE_URL=https://evil.example/v1\nOPENAI_API_KEY=fake-file\n")
    assert shell.json("get", "openai")["base_url"] == "https://evil.example/v1"


def test_a_provider_of_ones_own_is_where_its_keys_are(real: Real, shell: Shell) -> None:
    url = "https://llm.corp.example/v1"
    assert (
        shell.json("login", "my-llm", "--custom", "--base-url", url, "--stdin", stdin="fake-a")["profile"]
        == "my-llm:default"
    )
    assert shell("get", "my-llm").out == "fake-a\n"
    show = ("--", sys.executable, "-c", "import os; print(os.environ['MY_LLM_API_KEY'], os.environ['MY_LLM_BASE_URL'])")
    assert real("exec", *show).out == f"fake-a {url}\n"
    shell("login", "my-llm:b", "--base-url", "https://llm-b.corp.example/v1", "--stdin", stdin="fake-b")
    assert shell("get", "my-llm", status=66).out == "", "of two servers neither is the provider's"


def test_a_new_key_keeps_the_server_and_the_url_survives_a_restore_and_inheritance(shell: Shell) -> None:
    foreign(shell)
    shell.login(THEIRS, "fake-vllm-2")
    assert shell.json("get", THEIRS)["base_url"] == VLLM
    shell("logout", THEIRS)
    shell("restore", THEIRS)
    shell("agent", "add", "coder")
    told = shell.json("get", THEIRS, "--agent", "coder")
    assert (told["secret"], told["base_url"]) == ("fake-vllm-2", VLLM)
    shell("login", THEIRS, "--base-url", "https://api.openai.com/v1", "--stdin", stdin="fake-own")
    assert shell.json("get", THEIRS)["base_url"] is None


@pytest.mark.parametrize(
    "url", ["ftp://host/v1", "https://user:fake-pass@host/v1", "https://host/v1?key=fake", "https://", "no host"]
)
def test_what_is_no_address_is_refused(shell: Shell, url: str) -> None:
    told = shell("login", "openai", "--base-url", url, "--stdin", stdin="fake-key", status=65)
    assert "fake-" not in told.err


def test_the_python_api_hands_it_out_by_name_only(files: Files) -> None:
    line = (
        "from vault import open_vault\n"
        "from vault.errors import NotFound\n"
        "with open_vault() as v:\n"
        f" name = v.login('openai', 'fake-vllm', base_url={VLLM!r}).profile\n"
        " try: v.credential('openai')\n"
        " except NotFound: print('refused', v.credential(name).base_url)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", line], capture_output=True, text=True, check=False, env={**os.environ, **files.environ()}
    )
    assert done.stdout == f"refused {VLLM}\n", done.stderr


LITELLM = "model_list:\n- model_name: opt\n  litellm_params: {model: openai/opt, api_base: 'URL', api_key: fake-vllm}\n"


def test_litellms_key_for_another_server_never_goes_to_openai(real: Real, shell: Shell) -> None:
    Path("config.yaml").write_text(LITELLM.replace("URL", VLLM))
    shell("import", "litellm", "--from", "config.yaml")
    assert shell("exec", "-p", "openai", *SHOW, status=66).out == ""
    assert f"'OPENAI_BASE_URL': '{VLLM}'" in real("exec", "-p", THEIRS, *SHOW).out
    Path("config.yaml").write_text(LITELLM.replace("URL", "https://moved.example/v1"))
    shell("import", "litellm", "--from", "config.yaml")
    assert shell.json("get", THEIRS)["base_url"] == VLLM
    assert shell.json("get", "openai:moved.example/v1")["base_url"] == "https://moved.example/v1"


def test_a_profile_of_an_earlier_import_stays_as_it_is(shell: Shell) -> None:
    shell.login("openai", "fake-vllm")
    Path("config.yaml").write_text(LITELLM.replace("URL", VLLM))
    shell("import", "litellm", "--from", "config.yaml")
    assert shell("get", "openai:default").out == "fake-vllm\n"
    assert shell.json("get", THEIRS)["base_url"] == VLLM


def test_a_tool_that_cant_be_told_the_url_is_given_nothing(shell: Shell) -> None:
    foreign(shell)
    told = shell("exec", "--tool", "copilot", "-p", THEIRS, *SHOW, status=66)
    assert f"it belongs to {VLLM}, and" in told.err
    told = shell("connect", "opencode", "-p", THEIRS, "--yes", status=None)
    assert "doesn't belong" in told.err
