"""Choosing is a function of its arguments, names everybody with a reason, and keeps the order it was told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.events.credentials import KINDS, CredentialFacts
from vault.events.types import Health
from vault.model.choosing import CODES, RANKS, Candidate, Considered, Decision, choose, trouble

NOW = 1_000_000
SOURCES = ("environment", "dotenv", "stored")
MOMENTS = st.sampled_from([0, NOW - 1, NOW, NOW + 1, NOW + 2, NOW + 50])
PROFILES = [f"openai:{name}" for name in "abcd"] + ["anthropic:x"]

facts = st.builds(
    CredentialFacts,
    kind=st.sampled_from(KINDS),
    fingerprint=st.just("f"),
    refresh_fingerprint=st.sampled_from(["", "r"]),
    expires_at=st.none() | MOMENTS,
)
sound = st.builds(
    Candidate,
    profile=st.sampled_from(PROFILES),
    owner=st.sampled_from(["child", "main"]),
    facts=st.builds(CredentialFacts, kind=st.sampled_from(KINDS)),
    health=st.builds(Health, cooldown_until=st.sampled_from([0, NOW + 1, NOW + 2, NOW + 50])),
    last_used=st.integers(0, 3),
)
candidates = sound | st.builds(
    Candidate,
    profile=st.sampled_from(PROFILES),
    owner=st.sampled_from(["child", "main"]),
    facts=st.none() | facts,
    health=st.builds(Health, cooldown_until=MOMENTS, disabled_until=MOMENTS),
    last_used=st.integers(0, 3),
    trouble=st.sampled_from(["", "", "", "destroyed", "unresolved_reference"]),
    sign_in_from=st.none() | MOMENTS,
)


def _by_owner(found: list[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda c: c.owner)


several = st.lists(candidates, min_size=2, max_size=8, unique_by=lambda c: (c.profile, c.owner)).map(_by_owner)
one_owner = st.lists(candidates.map(lambda c: replace(c, owner="main")), max_size=5, unique_by=lambda c: c.profile)
variables = st.lists(st.sampled_from(["OPENAI_API_KEY", "FAKE_KEY"]), unique=True)
sources = st.permutations(SOURCES).flatmap(lambda s: st.integers(0, 3).map(lambda n: tuple(s[:n])))
orders = st.none() | st.lists(st.sampled_from([*PROFILES, "openai:gone"]), unique=True, max_size=5)
settings_of = st.fixed_dictionaries(
    {
        "pin": st.sampled_from(["", "", *PROFILES, "openai:gone"]),
        "order": orders,
        "environment": variables,
        "dotenv": variables,
        "sources": sources,
    }
)


def ask(found: Sequence[Candidate], now: int = NOW, **more: Any) -> Decision:
    return choose("child", "openai", found, now, **more)


def stored(decision: Decision, *codes: str) -> list[Considered]:
    """The stored profiles with one of some codes, in the order they would be tried."""
    return [c for c in decision.considered if c.code in codes and c.kind != "environment"]


def visible(found: Sequence[Candidate]) -> dict[str, Candidate]:
    """The profiles an agent sees: the nearest owner's that is logged in, else the nearest."""
    seen: dict[str, Candidate] = {}
    for candidate in sorted(found, key=lambda c: c.facts is None):
        seen.setdefault(candidate.profile, candidate)
    return seen


@given(found=several, more=settings_of)
def test_the_same_arguments_give_the_same_answer(found: list[Candidate], more: dict[str, Any]) -> None:
    before = repr((found, more))
    first = ask(found, **more)
    assert ask(list(found), **dict(more)) == first
    assert repr((found, more)) == before


@given(found=one_owner, more=settings_of, shuffled=st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(
    found: list[Candidate], more: dict[str, Any], shuffled: random.Random
) -> None:
    other = list(found)
    shuffled.shuffle(other)
    one, two = ask(found, **more), ask(other, **more)
    assert (one.chosen, one.candidate, one.basis) == (two.chosen, two.candidate, two.basis)
    tried = ("chosen", "next", "cooling_down")
    assert stored(one, *tried) == stored(two, *tried)
    assert sorted(map(repr, one.considered)) == sorted(map(repr, two.considered))


@given(found=several, more=settings_of)
def test_everybody_is_named_once_with_a_reason(found: list[Candidate], more: dict[str, Any]) -> None:
    decision = ask(found, **more)
    named = [(c.what, c.owner) for c in decision.considered if c.kind != "environment"]
    assert len(set(named)) == len(named)
    assert set(named) >= {(c.profile, c.owner) for c in found if c.facts is not None}
    names = [f"env:{v}" for v in more["environment"]] + [f"dotenv:{v}" for v in more["dotenv"]]
    assert sorted(c.what for c in decision.considered if c.kind == "environment") == sorted(names)
    for line in decision.considered:
        assert line.code in CODES
        assert line.text == CODES[line.code]


@given(found=several, more=settings_of)
def test_one_at_most_is_chosen_and_comes_first(found: list[Candidate], more: dict[str, Any]) -> None:
    decision = ask(found, **more)
    chosen = [c for c in decision.considered if c.code == "chosen"]
    assert chosen == ([decision.chosen] if decision.chosen else [])
    if decision.chosen is None:
        assert decision.candidate is None
        assert stored(decision, "next", "cooling_down") == []
        return
    assert decision.considered[0] == decision.chosen
    if decision.chosen.kind == "environment":
        assert decision.candidate is None
    else:
        assert decision.candidate == visible(found)[decision.chosen.what]
        assert (decision.candidate.owner, decision.candidate.profile) == (decision.chosen.owner, decision.chosen.what)


@given(found=several, more=settings_of)
def test_nobody_who_cannot_be_used_is_chosen(found: list[Candidate], more: dict[str, Any]) -> None:
    decision = ask(found, **more)
    for line in stored(decision, "chosen", "next", "cooling_down", "environment_first", "dotenv_first"):
        code, _ = trouble(visible(found)[line.what], "openai", NOW)
        assert code == "" or (code == "disabled" and more["pin"] == line.what)
    if decision.candidate:
        assert decision.candidate.profile.startswith("openai:")
        assert decision.candidate.facts is not None
        assert not decision.candidate.trouble


@given(found=several, more=settings_of)
def test_no_stored_profile_that_could_be_used_is_left_out(found: list[Candidate], more: dict[str, Any]) -> None:
    more |= {"pin": "", "order": None, "sources": ("stored",)}
    decision = ask(found, **more)
    usable = {p for p, c in visible(found).items() if not trouble(c, "openai", NOW)[0]}
    assert {c.what for c in stored(decision, "chosen", "next", "cooling_down")} == usable
    assert bool(decision.chosen) == bool(usable)


@given(found=several, order=st.lists(st.sampled_from([*PROFILES, "openai:gone"]), unique=True))
def test_an_explicit_order_is_kept_and_excludes_the_rest(found: list[Candidate], order: list[str]) -> None:
    decision = ask(found, order=order, ordered_by="main")
    seen = visible(found)
    usable = [p for p in order if p in seen and not trouble(seen[p], "openai", NOW)[0]]
    warm = [p for p in usable if seen[p].health.cooldown_until <= NOW]
    cooling = sorted((p for p in usable if p not in warm), key=lambda p: seen[p].health.cooldown_until)
    assert [c.what for c in stored(decision, "chosen", "next", "cooling_down")] == warm + cooling
    unlisted = {p for p, c in seen.items() if p not in order and c.facts is not None}
    assert {c.what for c in stored(decision, "not_in_order")} == unlisted
    assert {c.what for c in stored(decision, "missing")} >= {p for p in order if p not in seen}
    assert decision.basis == "the order of agent main"


@given(found=several)
def test_without_an_order_kinds_come_by_rank_then_the_least_recently_used(found: list[Candidate]) -> None:
    decision = ask(found)
    seen = visible(found)
    lines = stored(decision, "chosen", "next", "cooling_down")
    warm = [seen[c.what] for c in lines if seen[c.what].health.cooldown_until <= NOW]
    assert [seen[c.what] for c in lines][: len(warm)] == warm
    ranks = [(RANKS[c.facts.kind], c.last_used, c.profile) for c in warm if c.facts]
    assert ranks == sorted(ranks)
    ends = [c.until for c in lines[len(warm) :]]
    assert ends == sorted(e for e in ends if e is not None)
    assert all(e is not None and e > NOW for e in ends)


@given(found=several, more=settings_of, pin=st.sampled_from([*PROFILES, "openai:gone"]))
def test_a_pin_is_used_or_nothing_is(found: list[Candidate], more: dict[str, Any], pin: str) -> None:
    more |= {"pin": pin, "pinned_by": "child"}
    decision = ask(found, **more)
    seen = visible(found)
    able = pin in seen and trouble(seen[pin], "openai", NOW)[0] in ("", "disabled")
    assert (decision.chosen.what if decision.chosen else None) == (pin if able else None)
    others = {p for p, c in seen.items() if p != pin and c.facts is not None}
    assert {c.what for c in stored(decision, "not_pinned")} == others
    assert all(c.code == "not_pinned" for c in decision.considered if c.kind == "environment")
    assert decision.basis == "pinned for agent child"


@given(found=several, more=settings_of)
def test_the_first_source_that_offers_anything_wins(found: list[Candidate], more: dict[str, Any]) -> None:
    more |= {"pin": ""}
    decision = ask(found, **more)
    usable = ask(found, order=more["order"], sources=("stored",)).chosen
    offers = {"environment": more["environment"], "dotenv": more["dotenv"], "stored": [usable] if usable else []}
    winner = next((s for s in more["sources"] if offers[s]), None)
    prefix = {"environment": "env:", "dotenv": "dotenv:"}
    if winner is None:
        assert decision.chosen is None
    elif winner == "stored":
        assert decision.chosen == usable
    else:
        assert decision.chosen is not None
        assert decision.chosen.what == prefix[winner] + offers[winner][0]
    for source in SOURCES:
        lines = [c for c in decision.considered if c.what.startswith(prefix.get(source, "openai:"))]
        if source not in more["sources"] and source != "stored":
            assert all(c.code == "ignored_source" for c in lines)
        if source not in more["sources"] and source == "stored":
            assert not stored(decision, "chosen", "next", "cooling_down")


@given(found=several, more=settings_of)
def test_a_wait_that_is_over_is_as_if_it_never_was(found: list[Candidate], more: dict[str, Any]) -> None:
    def past(moment: int) -> int:
        return moment if moment > NOW else 0

    healed = [
        replace(
            c, health=Health(cooldown_until=past(c.health.cooldown_until), disabled_until=past(c.health.disabled_until))
        )
        for c in found
    ]
    assert ask(found, **more).considered == ask(healed, **more).considered


@given(count=st.integers(1, 5), kind=st.sampled_from(KINDS))
def test_profiles_take_turns(count: int, kind: str) -> None:
    used = {f"openai:{n}": 0 for n in range(count)}
    turns = []
    for at in range(1, 3 * count + 1):
        found = [Candidate(p, "main", CredentialFacts(kind=kind), last_used=last) for p, last in used.items()]
        chosen = ask(found).chosen
        assert chosen is not None
        turns.append(chosen.what)
        used[chosen.what] = at
    assert turns == list(used) * 3


@pytest.mark.parametrize(
    ("candidate", "code", "until"),
    [
        (Candidate("openai:a", "main", CredentialFacts(kind="token", expires_at=NOW)), "expired", NOW),
        (Candidate("openai:a", "main", CredentialFacts(kind="token", expires_at=NOW + 1)), "", None),
        (Candidate("openai:a", "main", CredentialFacts(kind="oauth", expires_at=1, refresh_fingerprint="r")), "", None),
        (Candidate("openai:a", "main", None), "missing", None),
        (Candidate("other:a", "main", CredentialFacts(kind="token")), "wrong_provider", None),
        (Candidate("openai:a", "main", CredentialFacts(kind="token"), trouble="destroyed"), "destroyed", None),
        (Candidate("openai:a", "main", None, trouble="destroyed"), "destroyed", None),
        (Candidate("openai:a", "main", CredentialFacts(kind="token"), sign_in_from=0), "", None),
        (
            Candidate("openai:a", "main", CredentialFacts(kind="token"), health=Health(disabled_until=NOW + 1)),
            "disabled",
            NOW + 1,
        ),
        (Candidate("openai:a", "main", CredentialFacts(kind="token"), health=Health(disabled_until=NOW)), "", None),
        (
            Candidate(
                "openai:a",
                "main",
                CredentialFacts(kind="oauth", expires_at=NOW, refresh_fingerprint="r"),
                sign_in_from=0,
            ),
            "needs_sign_in",
            NOW,
        ),
    ],
)
def test_why_a_profile_cannot_be_used(candidate: Candidate, code: str, until: int | None) -> None:
    assert trouble(candidate, "openai", NOW) == (code, until)


@pytest.mark.parametrize("order", [None, ["openai:a", "openai:b", "openai:c", "openai:d"]])
def test_those_cooling_down_come_last_the_soonest_end_first(order: list[str] | None) -> None:
    waits = {"openai:a": NOW + 50, "openai:b": NOW + 2, "openai:c": NOW, "openai:d": NOW + 9}
    found = [
        Candidate(p, "main", CredentialFacts(kind="token"), health=Health(cooldown_until=w)) for p, w in waits.items()
    ]
    decision = ask(found, order=order)
    assert [(c.what, c.code, c.until) for c in decision.considered] == [
        ("openai:c", "chosen", None),
        ("openai:b", "cooling_down", NOW + 2),
        ("openai:d", "cooling_down", NOW + 9),
        ("openai:a", "cooling_down", NOW + 50),
    ]


def test_the_nearest_owner_hides_the_others() -> None:
    own, inherited = (Candidate("openai:a", owner, CredentialFacts(kind="token")) for owner in ("child", "main"))
    decision = ask([own, inherited])
    assert [(c.owner, c.code) for c in decision.considered] == [("child", "chosen"), ("main", "hidden")]
    decision = ask([replace(own, facts=None), inherited])
    assert decision.chosen is not None
    assert decision.chosen.owner == "main"
