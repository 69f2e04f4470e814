"""Any sequence of commands against a plain model; afterwards everything can be rebuilt, verified and restored.

Two contexts have the vault open and take turns at random, as two processes would, so that nothing may be remembered wrongly.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.machine.model import MAIN, Model, Row
from tests.support import START, FixedClock, make_files
from vault.commands import agents, issue, login, restore, rotation
from vault.commands.checking import rebuild_vault, verify_vault
from vault.commands.listing import Listed, list_profiles
from vault.commands.why import decide
from vault.context import Context
from vault.errors import VaultError
from vault.events.credentials import ApiKey, Token
from vault.model.health import FAILURES
from vault.values import DAY, HOUR, MINUTE, SECOND, AgentId, ProfileId, ProviderId

AGENTS = (MAIN, "coder", "tester")
PROVIDERS = ("anthropic", "openai")
PROFILES = ("anthropic:a", "anthropic:b", "openai:a")

agent_names = st.sampled_from(AGENTS).map(AgentId)
profiles = st.sampled_from(PROFILES).map(ProfileId)
providers = st.sampled_from(PROVIDERS).map(ProviderId)
lengths = st.sampled_from([SECOND, MINUTE, HOUR, DAY, 40 * DAY])


class Commands(RuleBasedStateMachine):
    """The vault and the model, side by side."""

    @initialize(held=st.lists(st.tuples(agent_names, profiles, st.booleans()), min_size=3, max_size=8))
    def begin(self, held: list[tuple[AgentId, ProfileId, bool]]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.files = make_files(Path(self.folder.name))
        self.clock = FixedClock(START)
        self.contexts = [self.files.open(self.clock) for _ in range(2)]
        self.turn = 0
        self.model = Model(at=START)
        self.past: dict[int, Model] = {}
        self.done: list[tuple[Callable[[Context], int | None], int]] = []
        self.number = 0
        for agent, profile, token in held:
            self.log_in(agent, profile, None, token)

    def teardown(self) -> None:
        if not hasattr(self, "contexts"):
            return
        try:
            self.prove()
        finally:
            for context in self.contexts:
                context.close()
            self.folder.cleanup()

    # -- helpers

    @property
    def context(self) -> Context:
        return self.contexts[self.turn]

    @property
    def now(self) -> int:
        return self.clock.at

    def same(self, expected: Callable[[Model], Any], actual: Callable[[Context], Any]) -> Any:
        """Both succeed with the same answer, or both fail and nothing happened."""
        model = copy.deepcopy(self.model)
        try:
            answer = expected(model)
        except (KeyError, ValueError, IndexError):
            with pytest.raises(VaultError) as told:
                actual(self.context)
            assert told.value.exit_status in (64, 66, 75, 82, 83), told.value
            return None
        self.model = model
        found = actual(self.context)
        assert found == answer
        self.past[self.model.at] = self.model
        if self.model.position % 3 == 0:
            self.turn = 1 - self.turn
        return answer

    def secret(self) -> str:
        self.number += 1
        return f"fake-key-{self.number}"

    def some(self, data: st.DataObject) -> tuple[AgentId, ProfileId]:
        """An agent and a profile: mostly such as there were already."""
        anything = st.tuples(agent_names, profiles)
        before = sorted(self.model.changes)
        agent, profile = data.draw(
            st.one_of(st.sampled_from(before), st.sampled_from(before), anything) if before else anything
        )
        return AgentId(agent), ProfileId(profile)

    # -- whose turn, and what time it is

    @rule(which=st.integers(0, 1))
    def take_turns(self, which: int) -> None:
        self.turn = which

    @rule(by=lengths)
    def time_passes(self, by: int) -> None:
        self.clock.forward(by)

    @rule(by=lengths)
    def the_clock_is_set_back(self, by: int) -> None:
        self.clock.forward(-by)

    @rule()
    def reopen(self) -> None:
        self.context.close()
        self.contexts[self.turn] = self.files.open(self.clock)

    @rule()
    def rebuild(self) -> None:
        events, differences = rebuild_vault(self.context)
        assert (events, differences.rows) == (self.model.position, {})

    # -- credentials

    @rule(data=st.data(), lasts=st.one_of(st.none(), lengths), token=st.booleans())
    def log_in_one(self, data: st.DataObject, lasts: int | None, token: bool) -> None:
        agent, profile = self.some(data)
        self.log_in(agent, profile, lasts, token)

    def log_in(self, agent: AgentId, profile: ProfileId, lasts: int | None, token: bool) -> None:
        secret, now, command = self.secret(), self.now, f"login-{self.number}"
        expires = now + lasts if token and lasts else None
        credential = Token(token=secret, expires_at=expires) if token else ApiKey(key=secret)

        def act(context: Context) -> int:
            return login.log_in(context, agent, profile, credential, command=command).position

        kind = "token" if token else "api_key"
        position = self.same(lambda m: m.login(agent, profile, kind, secret, expires, now), act)
        self.done.append((act, position))

    @rule(data=st.data())
    def log_out(self, data: st.DataObject) -> None:
        agent, profile = self.some(data)

        command = f"logout-{self.model.position}"

        def act(context: Context) -> int:
            return login.log_out(context, agent, profile, command=command).position

        position = self.same(lambda m: m.logout(agent, profile, self.now), act)
        if position:
            self.done.append((act, position))

    @rule(data=st.data(), times=st.integers(1, 3))
    def restore_the_previous(self, data: st.DataObject, times: int) -> None:
        agent, profile = self.some(data)
        for _ in range(times):
            command = f"restore-{self.model.position}"

            def act(context: Context, command: str = command) -> int | None:
                return restore.restore(context, agent, profile, command=command).position

            position = self.same(lambda m: m.restore(agent, profile, m.earlier(agent, profile), self.now), act)
            if position:
                self.done.append((act, position))
            self.the_list_is_the_models()

    @precondition(lambda self: self.model.changes)
    @rule(data=st.data())
    def restore_to_a_position(self, data: st.DataObject) -> None:
        agent, profile = data.draw(st.sampled_from(sorted(self.model.changes)))
        change = data.draw(st.sampled_from(self.model.changes[agent, profile]))

        def expected(model: Model) -> int | None:
            if change.held is None:
                raise KeyError(profile)
            return model.restore(agent, profile, change.held, self.now)

        self.same(
            expected,
            lambda c: restore.restore(c, AgentId(agent), ProfileId(profile), to=change.position).position,
        )

    @precondition(lambda self: self.model.changes)
    @rule(data=st.data())
    def restore_what_it_was_at_a_moment(self, data: st.DataObject) -> None:
        agent, profile = data.draw(st.sampled_from(sorted(self.model.changes)))
        moment = data.draw(st.sampled_from([START - 1, *sorted(self.past), self.model.at + 1]))
        self.same(
            lambda m: m.restore(agent, profile, m.held_at(agent, profile, moment), self.now),
            lambda c: restore.restore(c, AgentId(agent), ProfileId(profile), at=moment).position,
        )

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def say_it_again(self, data: st.DataObject) -> None:
        """A command whose id was seen answers as it did, and nothing happens."""
        act, position = data.draw(st.sampled_from(self.done))
        self.same(lambda _: position, act)

    # -- steering

    @rule(agent=agent_names, provider=providers, data=st.data())
    def set_order(self, agent: AgentId, provider: ProviderId, data: st.DataObject) -> None:
        mine = [p for p in PROFILES if p.startswith(f"{provider}:")]
        order = data.draw(st.lists(st.sampled_from(mine), min_size=1, unique=True))

        def expected(model: Model) -> int | None:
            visible = model.visible(agent)
            if any(p not in visible for p in order):
                raise KeyError(provider)
            return model.set_order(agent, provider, order, self.now)

        self.same(expected, lambda c: rotation.set_order(c, agent, provider, order).position)

    @rule(agent=agent_names, provider=providers)
    def clear_order(self, agent: AgentId, provider: ProviderId) -> None:
        self.same(
            lambda m: m.set_order(agent, provider, None, self.now),
            lambda c: rotation.clear_order(c, agent, provider).position,
        )

    @rule(agent=agent_names, provider=providers)
    def restore_the_previous_order(self, agent: AgentId, provider: ProviderId) -> None:
        self.same(
            lambda m: m.set_order(agent, provider, m.earlier_order(agent, provider), self.now),
            lambda c: rotation.restore_order(c, agent, provider)[0].position,
        )

    @rule(agent=agent_names, provider=providers, data=st.data())
    def restore_the_order_of_a_position(self, agent: AgentId, provider: ProviderId, data: st.DataObject) -> None:
        position = data.draw(st.integers(1, self.model.position))
        self.same(
            lambda m: m.set_order(agent, provider, m.order_at(agent, provider, position), self.now),
            lambda c: rotation.restore_order(c, agent, provider, position=position)[0].position,
        )

    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        agent, profile = self.some(data)

        self.same(lambda m: m.set_pin(agent, profile, self.now), lambda c: rotation.pin(c, agent, profile).position)

    @rule(agent=agent_names, provider=providers)
    def unpin(self, agent: AgentId, provider: ProviderId) -> None:
        self.same(lambda m: m.unpin(agent, provider, self.now), lambda c: rotation.unpin(c, agent, provider).position)

    @rule(
        data=st.data(),
        failure=st.sampled_from(FAILURES),
        reset=st.one_of(st.none(), lengths),
        times=st.integers(1, 4),
    )
    def report_failures(self, data: st.DataObject, failure: str, reset: int | None, times: int) -> None:
        agent, profile = self.some(data)
        until = None if reset is None else self.now + reset
        for _ in range(times):
            self.same(
                lambda m: m.fail(agent, profile, failure, until, self.now),
                lambda c: rotation.report(c, agent, profile, "failure", failure=failure, until=until)[0].position,
            )
            self.the_list_is_the_models()

    @rule(data=st.data())
    def report_a_success(self, data: st.DataObject) -> None:
        agent, profile = self.some(data)

        self.same(
            lambda m: m.succeed(agent, profile, self.now),
            lambda c: rotation.report(c, agent, profile, "success")[0].position,
        )

    @rule(data=st.data())
    def clear_health(self, data: st.DataObject) -> None:
        agent, profile = self.some(data)

        self.same(
            lambda m: m.clear(agent, profile, self.now), lambda c: rotation.clear_health(c, agent, profile).position
        )

    # -- handing out

    @rule(agent=agent_names, provider=providers)
    def hand_out_what_is_chosen(self, agent: AgentId, provider: ProviderId) -> None:
        def expected(model: Model) -> tuple[str, str, int]:
            profile = model.ranking(agent, provider, self.now)[0]
            held = model.held(model.visible(agent)[profile], profile)
            assert held is not None
            return profile, model.stored[held].secret, model.use(agent, profile, self.now)

        def actual(context: Context) -> tuple[str, str, int]:
            done = issue.issue(context, agent, provider, way="test")
            return done.profile, done.secret.reveal(), done.position

        self.same(expected, actual)

    @rule(data=st.data())
    def hand_out_by_name(self, data: st.DataObject) -> None:
        agent, profile = self.some(data)

        def expected(model: Model) -> tuple[str, int]:
            held = model.held(model.visible(agent)[profile], profile)
            assert held is not None
            stored = model.stored[held]
            if stored.expires is not None and stored.expires <= self.now:
                raise KeyError(profile)
            return stored.secret, model.use(agent, profile, self.now)

        def actual(context: Context) -> tuple[str, int]:
            provider = ProviderId(profile.partition(":")[0])
            done = issue.issue(context, agent, provider, profile=profile, way="test")
            return done.secret.reveal(), done.position

        self.same(expected, actual)

    # -- agents

    @rule(agent=agent_names, parent=st.sampled_from(["", *AGENTS]))
    def add_agent(self, agent: AgentId, parent: str) -> None:
        def expected(model: Model) -> int:
            model.register(agent, parent, self.now)
            return model.position

        self.same(expected, lambda c: agents.add_agent(c, agent, parent))

    @rule(agent=agent_names, parent=st.sampled_from(["", *AGENTS]))
    def inherit(self, agent: AgentId, parent: str) -> None:
        self.same(lambda m: m.inherit(agent, parent, self.now), lambda c: agents.set_inheritance(c, agent, parent))

    @rule(agent=agent_names)
    def remove_agent(self, agent: AgentId) -> None:
        self.same(lambda m: m.remove(agent, self.now), lambda c: agents.remove_agent(c, agent))

    # -- what holds after every command

    @invariant()
    def the_list_is_the_models(self) -> None:
        if not hasattr(self, "contexts"):
            return
        assert self.context.store.head().position == self.model.position
        assert self.context.queries.agents().names() == self.model.agents()
        for agent in self.model.agents():
            listing = list_profiles(self.context, AgentId(agent))
            rows = sorted((row(found) for found in listing.profiles), key=lambda r: r.profile)
            assert rows == self.model.rows(agent, self.now)

    @rule(agent=agent_names, data=st.data())
    def the_list_of_a_past_moment_is_what_it_was_then(self, agent: AgentId, data: st.DataObject) -> None:
        if not self.past:
            return
        moment = data.draw(st.sampled_from(sorted(self.past)))
        then = self.past[moment]

        def actual(context: Context) -> list[Row]:
            listing = list_profiles(context, agent, moment=moment)
            return sorted((row(found) for found in listing.profiles), key=lambda r: r.profile)

        self.same(lambda _: then.rows(agent, moment), actual)

    @rule(agent=agent_names, provider=providers)
    def why_names_everything_once(self, agent: AgentId, provider: ProviderId) -> None:
        if agent not in self.model.agents():
            return
        decision = decide(self.context, agent, provider)
        tried = [c.what for c in decision.considered if c.code in ("chosen", "next", "cooling_down")]
        assert tried == self.model.ranking(agent, provider, self.now)
        named = [(c.what, c.owner) for c in decision.considered]
        assert len(set(named)) == len(named)
        assert set(named) >= set(self.model.visible(agent, f"{provider}:").items())

    # -- at the end

    def prove(self) -> None:
        """Rebuild equals incremental, the log verifies, and every credential ever stored can be had back exactly."""
        context = self.context
        _, differences = rebuild_vault(context)
        assert differences.rows == {}
        self.the_list_is_the_models()
        done = verify_vault(context)
        assert (done.events, done.credentials) == (self.model.position, len(self.model.stored))
        replayed = context.queries.at(self.model.position)
        for agent in AGENTS:
            assert replayed.profiles(agent) == context.queries.profiles(agent)
            assert replayed.rotations(agent) == context.queries.rotations(agent)
        for name in {stored.agent for stored in self.model.stored.values()} - set(self.model.agents()):
            agents.add_agent(context, AgentId(name), MAIN)
        for position, stored in self.model.stored.items():
            agent, profile = AgentId(stored.agent), ProfileId(stored.profile)
            back = restore.restore(context, agent, profile, to=position)
            assert back.origin == position
            state = context.queries.profile(agent, profile)
            assert state is not None
            assert state.current is not None
            credential = context.store.credential(state.current.position)
            assert (credential.kind, credential.secret(), credential.expires()) == (
                stored.kind,
                stored.secret,
                stored.expires,
            )
            if stored.expires is None or stored.expires > self.now:
                provider = ProviderId(profile.partition(":")[0])
                handed = issue.issue(context, agent, provider, profile=profile, way="test")
                assert handed.secret.reveal() == stored.secret
        verify_vault(context)


def row(found: Listed) -> Row:
    """A line of the vault's list, as the model writes it."""
    facts = found.held.facts
    return Row(
        found.profile,
        found.owner,
        found.held.position,
        found.held.since,
        facts.kind,
        facts.expires_at,
        found.place,
        found.pinned,
        found.ordered,
        found.last_used,
        found.health.failures,
        found.health.cooldown_until,
        found.health.disabled_until,
    )


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Commands,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )


def test_any_commands() -> None:
    run(examples=25, steps=40)


def test_long_sessions() -> None:
    run(examples=2, steps=200)


@pytest.mark.soak
def test_soak() -> None:
    small = os.environ.get("VAULT_SOAK") == "small"
    run(examples=150 if small else 3000, steps=60)
