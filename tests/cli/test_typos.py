"""Mistyped names: every kind of name gets a suggestion from one function, and none makes anything by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.running import Real, Shell, ended, terminal
from tests.support import Files
from vault import open_vault
from vault.cli.main import COMMANDS
from vault.errors import NotFound
from vault.events.credentials import ApiKey
from vault.events.types import EVENT_TYPES
from vault.guessing import did_you_mean, nearest
from vault.interop.helpers import MODULES as HELPERS
from vault.interop.tools import MODULES as TOOLS
from vault.providers.catalogue import providers


@pytest.mark.parametrize(
    ("line", "status", "meant"),
    [
        ("statsu", 64, "did you mean vault status?"),
        ("conect opencode", 64, "did you mean vault connect?"),
        ("key lst", 64, "did you mean vault key list?"),
        ("order sett", 64, "did you mean vault order set?"),
        ("provider shwo", 64, "did you mean vault provider show?"),
        ("version", 64, "did you mean vault --version?"),
        ("auth login", 64, "did you mean vault login?"),
        ("help statsu", 64, "did you mean vault status?"),
        ("get --jsno", 64, "did you mean --json?"),
        ("login --profle x", 64, "did you mean --profile?"),
        ("get anthropc", 66, "did you mean anthropic?"),
        ("env -p anthropc", 66, "did you mean anthropic?"),
        ("exec -p anthropc -- true", 66, "did you mean anthropic?"),
        ("why anthropc", 0, "did you mean anthropic?"),
        ("list -p anthropc", 0, "did you mean anthropic?"),
        ("status anthropc", 0, "did you mean anthropic?"),
        ("wizard anthropc", 66, "did you mean anthropic?"),
        ("probe anthropc", None, "did you mean anthropic?"),
        ("provider show anthropc", 66, "did you mean anthropic?"),
        ("provider disable anthropc", 66, "did you mean anthropic?"),
        ("helper token anthropc", None, "did you mean anthropic?"),
        ("get Gemnii", 66, "did you mean google?"),
        ("logout anthropc", 66, "did you mean anthropic?"),
        ("get anthropic:wrok", 66, "did you mean anthropic:work?"),
        ("show anthropic:defualt", 66, "did you mean anthropic:default?"),
        ("logout anthropic:wrok", 66, "did you mean anthropic:work?"),
        ("pin anthropic:wrok", 66, "did you mean anthropic:work?"),
        ("order set -p anthropic wrok", 66, "did you mean anthropic:work?"),
        ("list -a codr", 66, "did you mean coder?"),
        ("connect opencod", 66, "did you mean opencode?"),
        ("export claud-code", 66, "did you mean claude-code?"),
        ("disconnect opncode", 66, "did you mean opencode?"),
        ("import litelm", 66, "did you mean litellm?"),
        ("sync cdex", 66, "did you mean codex?"),
        ("helper gti", 66, "did you mean git?"),
        ("helper kubernets", 66, "did you mean kubernetes?"),
        ("history --type profile_loged_in", 65, "did you mean profile_logged_in"),
        ("report anthropic:work failure --reason rate_limt", 64, "did you mean rate_limit?"),
        ("report anthropic:work succes", 64, "did you mean success?"),
        ("connect opencode -p anthropc", 66, "did you mean anthropic?"),
        ("export opencode -p anthropc", 66, "did you mean anthropic?"),
        ("order get -p anthropc", 66, "did you mean anthropic?"),
        ("order set -p anthropc work", 66, "did you mean anthropic?"),
        ("order clear -p anthropc", 66, "did you mean anthropic?"),
        ("unpin anthropc", 66, "did you mean anthropic?"),
        ("restore anthropic:wrok", 66, "did you mean anthropic:work?"),
        ("restore groq:spar", 66, "did you mean groq:spare?"),
        ("history -a codr", 0, "did you mean coder?"),
        ("history -p anthropc", 0, "did you mean anthropic?"),
        ("history --profile anthropic:wrok", 0, "did you mean anthropic:work?"),
        ("doctor bedrok", 66, "did you mean bedrock?"),
        ("env --shell fihs", 64, "did you mean fish?"),
        ("login anthropic --kind api_kye --stdin", 64, "did you mean api_key?"),
    ],
)
@pytest.mark.usefixtures("furnished")
def test_a_typo_is_told_what_was_probably_meant(shell: Shell, line: str, status: int | None, meant: str) -> None:
    told = shell(*line.split(), status=status)
    assert meant in told.err
    assert "login anthropc" not in told.err.replace("login anthropc --custom", "")


@given(st.data())
def test_one_slip_of_the_finger_is_always_understood(data: st.DataObject) -> None:
    kinds = [list(COMMANDS), [p.id for p in providers()], list(TOOLS), list(EVENT_TYPES)]
    names = data.draw(st.sampled_from(kinds))
    name = data.draw(st.sampled_from([n for n in names if len(n) > 4]))
    at = data.draw(st.integers(1, len(name) - 2))
    slips = [
        name[:at] + name[at + 1 :],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        name[:at] + name[at:] + "x",
    ]
    found = nearest(data.draw(st.sampled_from(slips)), names, limit=len(names))
    assert name in found


@given(st.text(min_size=41), st.lists(st.text()))
def test_what_is_too_long_to_be_a_name_is_like_nothing(text: str, names: list[str]) -> None:
    assert nearest(" " * 0 + text.strip().ljust(41, "x"), names) == []
    assert did_you_mean("", names) == ""


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("arguments", [(), ("key",), ("key", "add"), ("login",), ("exit-codes",)])
def test_vault_help_is_the_help(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell("help", *arguments).out == shell(*arguments, "--help").out


@pytest.mark.usefixtures("files")
def test_a_mistyped_provider_is_not_made(shell: Shell, files: Files) -> None:
    refused = shell("login", "antropic", "--stdin", stdin="fake-key", status=66)
    assert "there is no provider 'antropic': did you mean anthropic?" in refused.err
    assert "vault login antropic --custom" in refused.err
    assert shell("login", "antropic:work", "--reference", "${X}", "--json", status=66).error["code"] == "not_found"
    assert shell("login", "--profile", "antropic:work", "--stdin", stdin="fake", status=66).out == ""
    with files.open() as context:
        assert context.store.head().position == 1


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    "what", ["anthropic", "Anthropic", "gemini", "git.example.com:user", "localhost", "keyring:a/b", "my-llm", "groq:x"]
)
def test_what_is_known_needs_no_insisting(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[providers.my-llm]\nendpoint = "https://llm.example"\n')
    monkeypatch.setenv("VAULT_CONFIG", str(config))
    shell("login", what, "--stdin", stdin="fake-key")


@pytest.mark.usefixtures("files")
def test_the_python_api_wants_to_be_told_too() -> None:
    with open_vault() as vault:
        with pytest.raises(NotFound, match="did you mean anthropic"):
            vault.login("antropic", "fake-key")
        with pytest.raises(NotFound, match="--custom"):
            vault.keep("my-own:x", ApiKey(key="fake-key"))
        vault.keep("my-own:x", ApiKey(key="fake-key"), custom=True)
        vault.login("my-own", "fake-key-2")
        assert {p.profile for p in vault.profiles().profiles} == {"my-own:x", "my-own:default"}


@pytest.mark.usefixtures("files")
def test_on_a_terminal_a_typo_is_asked_about(real: Real) -> None:
    with terminal("login", "antropic:work", "--kind", "api_key") as child:
        child.expect_exact("vault knows no provider antropic. Which do you mean?")
        child.expect_exact("1 anthropic")
        child.expect_exact("2 antropic (a provider of your own)")
        child.sendline("1")
        child.expect_exact("API key for anthropic:work: ")
        child.sendline("fake-key")
        assert ended(child)[0] == 0
    assert [p["profile"] for p in real("list", "--json").json["profiles"]] == ["anthropic:work"]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("", 66), ("n", 66)])
def test_on_a_terminal_a_provider_of_ones_own_needs_a_yes(real: Real, answer: str, status: int) -> None:
    with terminal("login", "quux-intern") as child:
        child.expect_exact("Keep it as a provider of your own? [y/N]: ")
        child.sendline(answer)
        if not status:
            child.expect_exact("API key for quux-intern:default: ")
            child.sendline("fake-key")
        assert ended(child)[0] == status
    assert len(real("list", "--json").json["profiles"]) == (not status)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[refersh]\nlease = '1m'", "line 1: refersh: there is no such setting; did you mean refresh?"),
        ("souces = []", "did you mean sources?"),
        ("[refresh]\nleway = '1m'", "did you mean leeway?"),
        ("[providers.openai]\nregoin = 'x'", "did you mean region?"),
        ("[providers.openai]\nauth_source = 'storred'", "did you mean stored?"),
        ("[provider.openai]\nauth_source = 'stored'", "did you mean providers?"),
    ],
)
def test_a_mistyped_setting_is_told_what_was_meant(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, told: str
) -> None:
    config = tmp_path / "own.toml"
    config.write_text(content)
    monkeypatch.setenv("VAULT_CONFIG", str(config))
    assert told in shell("config", "show", status=78).err


def test_every_helper_and_tool_is_like_itself() -> None:
    for name in (*HELPERS, *TOOLS):
        assert nearest(name, [*HELPERS, *TOOLS])[0] == name


def test_an_agent_that_a_typo_registers_is_told_of(shell: Shell, furnished: Files) -> None:
    told = shell("login", "groq", "--stdin", "--agent", "codr", stdin="fake-key").err
    assert (
        "registered agent codr, inheriting from main (did you mean coder? undo with: vault agent remove codr)" in told
    )
    assert "did you mean" not in shell("login", "groq", "--stdin", "--agent", "zzz", stdin="fake-key").err


@pytest.mark.usefixtures("furnished")
def test_a_history_without_events_says_so_and_a_typed_form_stays_as_it_is(shell: Shell) -> None:
    assert shell("history", "--until", "2020-01-01").err == "no event matches\n"
    assert shell.json("history", "-a", "codr") == {"schema": "vault.history/1", "events": []}
    assert shell("history", "-a", "codr", "--csv").err == ""


@pytest.mark.usefixtures("furnished")
def test_a_session_pin_of_no_provider_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_PIN", "anthropc:work")
    told = shell("get", "anthropic", status=78)
    assert "VAULT_PIN names a profile of anthropc, and there is no such provider: did you mean anthropic?" in told.err


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("VAULT_DISABLED_PROVIDERS", "Anthropic", "VAULT_DISABLED_PROVIDERS names it: unset VAULT_DISABLED_PROVIDERS"),
        ("VAULT_ENABLED_PROVIDERS", "openai", "VAULT_ENABLED_PROVIDERS doesn't name it: unset"),
        ("VAULT_ENABLED_PROVIDERS", "anthropc", "VAULT_ENABLED_PROVIDERS doesn't name it, but anthropc: unset"),
    ],
)
def test_what_the_settings_disable_says_by_which_of_them(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, why: str
) -> None:
    monkeypatch.setenv(variable, value)
    for what in ("anthropic", "anthropic:work"):
        assert why in shell("get", what, status=66).err


@pytest.mark.usefixtures("furnished")
def test_the_line_that_is_told_lets_a_provider_be_used_again(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "settings.toml"
    monkeypatch.setenv("VAULT_CONFIG", str(config))
    for text in ('disabled_providers = ["anthropic"]\n', 'enabled_providers = ["groq"]\n'):
        config.write_text(text)
        told = shell("get", "anthropic:work", status=66).err
        assert told.endswith("vault provider enable anthropic\n")
        shell("provider", "enable", "anthropic")
        assert shell("get", "anthropic:work").out == "fake-key-work\n"


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('enabled_providers = ["anthropc", "groq"]', "did you mean anthropic?"),
        ('disabled_providers = ["opnai"]', "did you mean openai?"),
        ('[providers.anthropc]\nendpoint = "https://llm.example"', "did you mean anthropic?"),
        ('sources = ["enviroment"]', "did you mean environment?"),
        ("sorces = []", "did you mean sources?"),
        ('[providers.anthropic]\nauth_sorce = "env"', "did you mean auth_source?"),
        ('[providers.mine]\nfamily = "bedrok"', "did you mean bedrock?"),
        ('enabled_providers = ["Gemini", "git.example.com", "openai"]', ""),
        ('[providers.my-llm]\nendpoint = "https://llm.example"', ""),
    ],
)
def test_a_typo_in_the_settings_is_told(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, meant: str
) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(text + "\n")
    monkeypatch.setenv("VAULT_CONFIG", str(config))
    told = shell("doctor", status=None)
    lines = [line for line in (told.out + told.err).splitlines() if str(config) in line or "did you mean" in line]
    assert meant in "".join(lines) if meant else lines == []


def test_a_typo_in_the_variables_of_sources_is_told(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    del files
    monkeypatch.setenv("VAULT_SOURCES", "stored,enviroment")
    assert "did you mean environment?" in shell("list", status=78).err
