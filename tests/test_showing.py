"""What may be shown of a text: what a terminal gets, and what looks like a secret."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import InputError, NotFound
from vault.interop.helpers import MODULES as HELPERS
from vault.interop.tools import MODULES as TOOLS
from vault.providers import catalogue
from vault.showing import HIDDEN, is_key, looks_secret, printable, safe_json, shown, without_secrets
from vault.values import parse_agent, parse_name, parse_profile, parse_provider

DANGEROUS = [
    "\x00",
    "\x07",
    "\x08",
    "\t",
    "\n",
    "\r",
    "\x1b",
    "\x7f",
    "\x80",
    "\x85",
    "\x9b",
    "\xad",
    "\u034f",
    "\u061c",
    "\u115f",
    "\u180e",
    "\u200b",
    "\u200d",
    "\u200e",
    "\u200f",
    "\u2028",
    "\u2029",
    "\u202a",
    "\u202e",
    "\u2060",
    "\u2066",
    "\u2069",
    "\u2800",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "\uffa0",
    "\udcff",
    "\U000e0001",
    "\U000e0100",
    "\U000f0000",
]


@pytest.mark.parametrize("character", DANGEROUS, ids=lambda c: f"U+{ord(c):04X}")
def test_a_character_that_can_not_be_seen_is_not_shown(character: str) -> None:
    assert printable(f"a{character}b") == "a?b"
    text = safe_json(json.dumps({"x": f"a{character}b"}, ensure_ascii=False))
    assert character not in text
    assert json.loads(text) == {"x": f"a{character}b"}


@given(st.text())
def test_what_is_shown_has_no_control_character_and_stays_as_it_is(text: str) -> None:
    seen = printable(text)
    assert len(seen) == len(text)
    assert all(unicodedata.category(c)[0] not in "C" and unicodedata.category(c) not in ("Zl", "Zp") for c in seen)
    assert printable(seen) == seen


@given(st.text(alphabet=st.characters(whitelist_categories=["L", "N", "P", "S"])))
def test_what_can_be_seen_is_shown(text: str) -> None:
    letters = "".join(c for c in text if unicodedata.category(c)[0] == "L" and ord(c) < 0x1100)
    assert printable(letters) == letters


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_json_means_the_same(value: object) -> None:
    for form in ({}, {"indent": 2}):
        text = safe_json(json.dumps(value, ensure_ascii=False, **form))  # type: ignore[arg-type]
        assert json.loads(text) == value
        assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in text)


HEX = "0123456789abcdef"
RANDOM = {
    "hex": (HEX, 32),
    "a longer hex": (HEX, 64),
    "letters and digits": ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 32),
    "base32": ("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32),
    "lower-case base32": ("abcdefghijklmnopqrstuvwxyz234567", 32),
    "base64 for URLs": ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 43),
    "base64": ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 44),
}


@pytest.mark.parametrize("kind", RANDOM)
def test_random_text_looks_like_a_secret(kind: str) -> None:
    import random

    alphabet, length = RANDOM[kind]
    chance = random.Random(kind)
    made = ["".join(chance.choices(alphabet, k=length)) for _ in range(2000)]
    missed = [text for text in made if not looks_secret(text)]
    assert len(missed) <= (40 if kind == "base64" else 10), missed  # with a slash in front it could be a path


KEYS = [
    "sk-ant-api03-FAKEFAKEFAKE",
    "sk-ant-oat01-fake-fake",
    "sk-proj-abcdefgh",
    "sk-or-v1-00000000",
    "sk-0123456789abcdef0123",
    "ghp_0123456789abcdef0123",
    "github_pat_11ABCDEFG0123456789",
    "glpat-0123456789abcdefghij",
    "gsk_0123456789abcdefgh",
    "hf_abcdefghijklmnopqrst",
    "xai-0123456789abcdef",
    "AIzaSyA0123456789abcdefghij",
    "ya29.fake-access-token",
    "xoxb-123456789012",
    "sk_live_0123456789",
    "eyJhbGciOi.eyJzdWIiOiIx",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", ["{}", "anthropic:{}", "--key={}", "Bearer {}", "x/{}", "SECRET '{}' in a sentence."])
def test_a_known_kind_of_key_is_known_wherever_it_is(key: str, form: str) -> None:
    text = form.format(key)
    assert is_key(text)
    assert looks_secret(text)
    assert key not in without_secrets(text)
    assert key not in shown(text)


NAMES = [
    "anthropic:default",
    "anthropic:claude-cli",
    "openai:me@example.com",
    "openai:firstname.lastname@company.example.com",
    "git.example.com:user-1",
    "~/.aws/config",
    "/srv/0123456789abcdef0123456789abcdef/auth.json",
    "AZURE_OPENAI_API_KEY",
    "claude-sonnet-4-5-20250929",
    "gpt-4o-mini-2024-07-18",
    "accounts/fireworks/models/llama-v3p1-405b-instruct",
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "qwen2p5-coder-32b-instruct",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com",
    "my-openai-resource-7f3a9c2b.openai.azure.com",
    "index.docker.io",
    "some-very-long-profile-name-of-a-person",
    "huggingface:laptop-token",
    "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    "0123456789abcdef",
    "2026-01-31T09:30:00.123456Z",
    "auth-profiles.json",
    "github-copilot:octocat",
    "localhost:11434",
    "http://127.0.0.1:8000/v1",
    "1234567890-abc.apps.googleusercontent.com",
    "arn:aws:iam::123456789012:role/dev",
    "internationalisation",
    "http%3a%2f%2f127.0.0.1%3a43211:default",
    "keyring:https:%2F%2Fpypi.example.com%2Fsimple/ana",
    "%4c%4d%53tudio:my%20team",
    "test_what_an_import_can_not_read_is_not_repeated",
    "HF_HUB_ENABLE_HF_TRANSFER",
    "sk-learn-tutorial",
]


def test_ids_files_hosts_and_names_are_shown() -> None:
    known = [
        text for p in catalogue.providers() for text in (p.id, p.name, f"{p.id}:default", *p.env, p.doc, p.api or "")
    ]
    names = [*NAMES, *known, *TOOLS, *HELPERS]
    assert [name for name in names if looks_secret(name)] == []
    sentence = " ".join(names)
    assert without_secrets(sentence) == sentence


def test_an_error_never_repeats_a_secret_whoever_made_it(canary: object) -> None:
    for secret in (str(canary), *KEYS):
        error = NotFound(f"there is no profile {secret!r}", hint=f"vault login {secret}")
        assert secret not in f"{error} {error.message} {error.hint} {error!r} {error.args}"
        for parse in (parse_agent, parse_name, parse_profile, parse_provider):
            with pytest.raises(InputError) as caught:
                parse(f"{secret} ")
            assert secret not in f"{caught.value} {caught.value!r}"
    assert HIDDEN in str(NotFound(f"there is no provider {KEYS[0]}"))


def test_an_error_is_one_line_without_control_characters() -> None:
    assert str(InputError("the file a\nb\x1b[31m can't be read")) == "the file a?b?[31m can't be read"


@pytest.mark.parametrize("spelt", ["http%3a%2f%2f127.0.0.1%3a43145:default", "%5b%3a%3a1%5d%3a3000:me", "my%20team:x"])
def test_the_spelling_of_a_foreign_name_is_no_secret(spelt: str) -> None:
    assert not looks_secret(spelt)
