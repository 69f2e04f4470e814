"""Two answers to "which key?": why, status, get, exec, env, the helpers and Python ask one function, and give what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.model.histories import (
    PROFILES,
    PROVIDERS,
    Step,
    a_vault,
    around,
    histories,
    live,
    surroundings,
)
from tests.model.oracle import Surroundings
from vault.api import Vault
from vault.commands.candidates import allowed_sources
from vault.commands.children import prepare_all
from vault.commands.helping import Desk
from vault.commands.issue import Ready, prepare
from vault.commands.source_map import USED, source_map
from vault.commands.status import status
from vault.commands.why import WAYS, decide, otherwise
from vault.context import Context
from vault.envfile import EnvFile
from vault.errors import VaultError
from vault.settings import ProviderSettings
from vault.values import AgentId, ProviderId

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
CHILD = ("exec", "env")
_pins = st.dictionaries(
    st.sampled_from(PROVIDERS), st.sampled_from(["environment", "dotenv", "envfile", "stored"]), max_size=2
)
_filed = st.tuples(st.integers(0, 3), st.sampled_from(["", "", "fake-filed"]))
_session = st.none() | st.none() | st.sampled_from(PROFILES)


@settings(max_examples=50, deadline=None, suppress_health_check=SLOW)
@given(history=histories, given=surroundings, pins=_pins, session=_session, filed=_filed)
def test_one_function_answers_which_key_for_everything(
    history: Sequence[Step], given: Surroundings, pins: dict[str, str], session: str | None, filed: tuple[int, str]
) -> None:
    with a_vault() as (files, clock), files.open(clock) as context:
        live(context, clock, history)
        pinned = {**given.environ, **({"VAULT_PIN": session} if session else {})}
        around(context, replace(given, environ=pinned))
        tables = {name: ProviderSettings(auth_source=source) for name, source in pins.items()}
        place, value = filed
        order = (*given.sources[:place], "envfile", *given.sources[place:]) if value else tuple(given.sources)
        context.settings = replace(context.settings, providers=tables, sources=order)
        context.env_file = EnvFile(Path("fake"), variables={"GROQ_API_KEY": value} if value else {})
        for agent in context.queries.agents().names():
            for provider in PROVIDERS:
                agree(context, AgentId(agent), provider)
            children_agree(context, AgentId(agent))


def agree(context: Context, agent: AgentId, provider: ProviderId) -> None:
    """Every way to ask about one provider gives what its decision names; those that ask for one purpose have one decision."""
    decided = {way: decide(context, agent, provider, way=way) for way in (*WAYS, "helper token", "api")}
    assert decided["get"] == decided["helper"] == decided["helper token"] == decided["api"]
    assert decided["exec"] == decided["env"]
    usual, child = (decided[way].chosen for way in ("get", "exec"))
    event(f"{usual.kind if usual else None} {child.kind if child else None}")

    differing = otherwise(context, decided["get"], "get")
    assert differing == (decided["exec"] if child and usual and child.what != usual.what else None)
    assert otherwise(context, decided["exec"], "exec") == (decided["get"] if differing else None)
    if differing is not None:
        assert child is not None
        assert child.owner, "the only difference is that what is stored comes first"
        assert allowed_sources(context, provider)[0] != "stored"

    (shown,) = status(context, agent, [provider])
    assert (shown.decision, shown.otherwise) == (decided["get"], differing)
    assert shown.source == "local" or shown.chosen in (usual.what if usual else "", *_spare(shown.decision))

    mapped = source_map(context, shown)
    assert [o.what for o in mapped.offers if o.state == USED] == ([shown.chosen] if shown.source else [])
    assert {o.source for o in mapped.offers if o.state == USED} == ({mapped.used} if mapped.used else set())
    assert bool(mapped.hint) == bool(mapped.used and mapped.narrowest != mapped.used)

    for way in ("get", "exec", "env", "helper token", "api"):
        gives(context, agent, provider, way)
    for way, ask in (
        ("api", lambda: Vault(context, agent).credential(provider)),
        ("helper token", lambda: Desk(context, agent, "token", "tool").give(provider)),
    ):
        expected = decide(context, agent, provider, way=way).chosen
        try:
            got: Any = ask()
        except VaultError:
            continue
        assert expected is not None
        assert got.profile == (expected.what if expected.owner else "")
        assert got.secret.reveal() == secret_of_variable(context, expected.what) or expected.owner


def gives(context: Context, agent: AgentId, provider: ProviderId, way: str) -> Ready | None:
    decision = decide(context, agent, provider, way=way)
    try:
        ready = prepare(context, agent, provider, way=way)
    except VaultError:
        renewable = decision.candidate and decision.candidate.facts and decision.candidate.facts.refresh_fingerprint
        assert decision.chosen is None or renewable, "only a login that has to be renewed may prove dead"
        return None
    assert decision.chosen is not None
    if decision.chosen.owner:
        assert ready.event.profile == decision.chosen.what
    else:
        assert ready.event.source == decision.chosen.what
        assert ready.secret.reveal() == secret_of_variable(context, decision.chosen.what)
    return ready


def children_agree(context: Context, agent: AgentId) -> None:
    """What a child has under a provider's names, when no provider is named, is what ``why --for exec`` says."""
    for way in CHILD:
        left_out: list[tuple[str, VaultError]] = []
        ready = {r.event.provider: r for r in prepare_all(context, agent, way=way, left_out=left_out)}
        troubled = {what.partition(":")[0] for what, _ in left_out}
        for provider in PROVIDERS:
            chosen = decide(context, agent, provider, way=way).chosen
            given_to_child = ready.get(provider)
            if chosen is None:
                assert given_to_child is None
            elif chosen.what.startswith("env:"):
                assert given_to_child is None, "the child has it from the environment"
            elif given_to_child is None:
                assert provider in troubled
            elif chosen.owner:
                assert given_to_child.event.profile == chosen.what
            else:
                assert given_to_child.event.source == chosen.what
                assert given_to_child.names == (chosen.what.partition(":")[2],)


def secret_of_variable(context: Context, what: str) -> str:
    place, _, name = what.partition(":")
    return context.variables(place).get(name, "") if place in ("env", "dotenv", "envfile") else ""


def _spare(decision: Any) -> list[str]:
    """What status may name in place of the choice: the next, where a tool that owns the chosen login no longer has it."""
    return [c.what for c in decision.considered if c.code == "next"]
