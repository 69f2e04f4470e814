"""login and logout on a terminal: the hidden prompt, choices, interruption."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.running import Real, ended, terminal
from tests.support import Canary, Files
from vault.providers import catalogue, key_pages

pytestmark = pytest.mark.usefixtures("files")


def test_the_secret_is_asked_for_and_not_shown(real: Real, canary: Canary) -> None:
    with terminal("login", "groq") as child:
        child.expect_exact("API key for groq:default: ")
        child.sendline(str(canary))
        status, said = ended(child)
    assert status == 0
    assert "logged in groq:default for agent main" in said
    canary.assert_absent(said)
    assert real("get", "groq").out == f"{canary}\n"


def test_a_token_is_asked_for_as_one(real: Real) -> None:
    with terminal("login", "groq", "--profile", "work", "--kind", "token") as child:
        child.expect_exact("token for groq:work: ")
        child.sendline("fake-token")
        assert ended(child)[0] == 0
    assert real("show", "groq:work", "--json").json["kind"] == "token"


def test_a_provider_is_chosen_by_part_of_its_name(real: Real) -> None:
    with terminal("login") as child:
        child.expect_exact("type part of a name")
        child.send("firewor")
        child.send("\r")
        child.expect_exact("Provider: fireworks-ai")
        child.expect_exact("API key for fireworks-ai:default: ")
        child.sendline("fake-key")
        assert ended(child)[0] == 0
    assert [p["profile"] for p in real("list", "--json").json["profiles"]] == ["fireworks-ai:default"]


def test_a_provider_is_chosen_by_its_number_on_a_plain_terminal(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with terminal("login") as child:
        child.expect_exact("Provider: ")
        child.sendline("deep")
        child.expect(r" 1  deepseek ")
        child.expect(r" 2  deepinfra ")
        child.expect_exact("Provider: ")
        child.sendline("99")
        child.expect_exact("there is no number 99 here")
        child.expect_exact("Provider: ")
        child.sendline("2")
        child.expect_exact("API key for deepinfra:default: ")
        child.sendline("fake-key")
        assert ended(child)[0] == 0
    assert [p["profile"] for p in real("list", "--json").json["profiles"]] == ["deepinfra:default"]


def test_a_new_id_may_be_typed_at_the_choice(real: Real) -> None:
    with terminal("login") as child:
        child.expect_exact("type part of a name")
        child.send("my-own-thing")
        child.send("\r")
        child.expect_exact("API key for my-own-thing:default: ")
        child.sendline("fake-key")
        assert ended(child)[0] == 0
    assert real("get", "my-own-thing").out == "fake-key\n"


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("groq",), "get one at https://console.groq.com/keys"),
        (("nano-gpt",), "its documentation: https://docs.nano-gpt.com"),
        (("mine", "--custom"), ""),
        (("groq", "--base-url", "https://llm.corp.example/v1"), ""),
    ],
    ids=["page", "documentation", "custom", "another-server"],
)
def test_the_page_to_get_a_key_at_is_shown_at_the_prompt(files: Files, words: tuple[str, ...], where: str) -> None:
    with terminal("login", *words) as child:
        child.expect_exact("API key for ")
        said = (child.before or "").strip()
        child.sendcontrol("c")
        ended(child)
    assert said.endswith(where)
    assert ("http" in said) == bool(where)


@pytest.mark.usefixtures("files")
def test_the_page_is_not_told_where_a_key_is_given(real: Real) -> None:
    assert "http" not in real("login", "groq", "--stdin", stdin="fake-key").err


def test_every_page_is_of_a_provider_there_is_and_is_https() -> None:
    pages = key_pages._pages()
    assert set(pages) <= {p.id for p in catalogue.providers()}
    assert all(page.startswith("https://") for page in pages.values())
    assert all(key_pages.where_to_get(p.id) for p in catalogue.providers())


def test_a_fetched_catalogue_names_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = replace(next(p for p in catalogue.providers() if p.id == "nano-gpt"), doc="https://evil.example")
    monkeypatch.setattr(catalogue, "_catalogue", lambda: {elsewhere.id: elsewhere})
    assert key_pages.where_to_get("nano-gpt") == "its documentation: https://docs.nano-gpt.com"


def test_an_empty_answer_is_refused(files: Files) -> None:
    with terminal("login", "groq") as child:
        child.expect_exact("API key for groq:default: ")
        child.sendline("")
        status, said = ended(child)
    assert status == 65
    assert "the secret is empty" in said
    with files.open() as context:
        assert context.store.head().position == 1


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["interrupt", "end of input"])
def test_interrupting_the_prompt_stores_nothing(files: Files, key: str) -> None:
    with terminal("login", "groq") as child:
        child.expect_exact("API key for groq:default: ")
        child.send(key)
        status, said = ended(child)
    assert (status, "Traceback" in said) == (130 if key == "\x03" else 65, False)
    with files.open() as context:
        assert context.store.head().position == 1


def test_no_input_never_asks() -> None:
    with terminal("login", "groq", "--no-input") as child:
        status, said = ended(child)
    assert status == 82
    assert "there is no terminal to ask for the secret: vault login groq" in said


def test_a_profile_to_log_out_is_chosen_from_the_list(real: Real) -> None:
    for name in ("anthropic", "openai"):
        real("login", name, "--stdin", stdin="fake-key")
    with terminal("logout") as child:
        child.expect_exact("> anthropic:default")
        child.expect_exact("openai:default")
        child.send("\x1b[B\r")
        status, said = ended(child)
    assert status == 0
    assert "logged out openai:default of agent main" in said
    assert [p["profile"] for p in real("list", "--json").json["profiles"]] == ["anthropic:default"]
