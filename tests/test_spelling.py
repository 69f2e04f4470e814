"""Foreign names as ids: reversible, distinct, of any length, and accepted wherever an id is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vault import spelling
from vault.errors import InputError
from vault.values import foreign_profile, foreign_provider, original_of, parse_name, parse_profile, parse_provider

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.text("aA.-_%:/@[]25 ", min_size=1, max_size=12),
    st.text("a%\n.ü", min_size=90, max_size=300),
)


@given(TEXTS, TEXTS)
@example("LMStudio", "lmstudio")
@example("git:8443", "git-8443")
@example("a%2Fb", "a/b")
@example("%_", "%")
@example("x" * 300, "x" * 301)
def test_distinct_foreign_names_stay_distinct(one: str, other: str) -> None:
    assert (spelling.spell_provider(one) == spelling.spell_provider(other)) == (one == other)
    assert (spelling.spell_name(one) == spelling.spell_name(other)) == (one == other)
    assert (spelling.spell_name(one, also="/") == spelling.spell_name(other, also="/")) == (one == other)


@given(TEXTS)
def test_a_foreign_name_can_be_read_again_from_its_id(text: str) -> None:
    provider, name = spelling.spell_provider(text), spelling.spell_name(text)
    for spelt, read in ((provider, spelling.provider_original(provider)), (name, spelling.name_original(name))):
        if spelling.is_shortened(spelt):
            assert read.endswith("…")
            assert text.startswith(read[:-1])
        else:
            assert read == text
    assert original_of(f"{provider}:{name}") == (spelling.provider_original(provider), spelling.name_original(name))
    assert original_of(provider) == (spelling.provider_original(provider), "")


@given(TEXTS, TEXTS)
def test_every_foreign_name_is_accepted_as_an_id(one: str, other: str) -> None:
    provider = foreign_provider(one)
    profile = foreign_profile(provider, other)
    assert parse_provider(provider) == provider
    assert parse_name(profile.partition(":")[2]) == profile.partition(":")[2]
    assert parse_profile(profile) == profile
    assert "@" not in provider
    assert "/" not in provider


@given(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?", fullmatch=True))
def test_the_provider_ids_of_earlier_versions_are_their_own_spelling(provider: str) -> None:
    assert spelling.spell_provider(provider) == provider


@given(st.from_regex(r"[^\s:\x00-\x1f\x7f-\x9f%-][^\s\x00-\x1f\x7f-\x9f%]{0,127}", fullmatch=True))
def test_a_name_that_can_be_seen_is_its_own_spelling(name: str) -> None:
    if name.isprintable():
        assert spelling.spell_name(name) == name


@given(st.text("abAB5%_.:f-0", min_size=1, max_size=20))
def test_a_provider_id_is_the_only_spelling_of_what_it_stands_for(text: str) -> None:
    if spelling.is_provider_spelling(text) and not spelling.is_shortened(text):
        assert spelling.spell_provider(spelling.provider_original(text)) == text


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("my_provider", "my_provider"),
        ("LMStudio", "%4c%4d%53tudio"),
        ("git.example.com:8443", "git.example.com%3a8443"),
        ("[::1]:3000", "%5b%3a%3a1%5d%3a3000"),
        ("-x.", "%2dx%2e"),
    ],
)
def test_what_providers_are_called(name: str, provider: str) -> None:
    assert foreign_provider(name) == provider


@pytest.mark.parametrize(
    "wrong", ["", "%61nthropic", "%4C", "%zz", "a%", "%_" + "a" * 26, "a" * 129, "A", "a:b", "a b", "ü"]
)
def test_what_is_no_spelling_is_no_provider_id(wrong: str) -> None:
    with pytest.raises(InputError):
        parse_provider(wrong)


@pytest.mark.parametrize("wrong", ["", "\ud800"])
def test_what_is_no_text_has_no_spelling(wrong: str) -> None:
    with pytest.raises(InputError):
        spelling.spell_provider(wrong)
    with pytest.raises(InputError):
        spelling.spell_name(wrong)
