"""why, order, pin, unpin, report, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vault.cli import output
from vault.cli.groups import Group
from vault.cli.session import (
    AgentOption,
    CommandOption,
    JsonOption,
    NoInputOption,
    ProfileArgument,
    ReasonOption,
    agent_id,
    complete_profile,
    complete_provider,
    one_of,
    opened,
)
from vault.errors import UsageError
from vault.guessing import did_you_mean
from vault.showing import shown
from vault.values import ProfileId, ProviderId, parse_profile

if TYPE_CHECKING:
    from vault.model.choosing import Considered

ProviderArgument = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="The provider.", autocompletion=complete_provider)
]
NeededProvider = Annotated[
    str, typer.Option("--provider", "-p", help="The provider.", autocompletion=complete_provider)
]

order = typer.Typer(
    cls=Group, no_args_is_help=True, add_completion=False, help="The order in which an agent's profiles are tried."
)
health = typer.Typer(cls=Group, no_args_is_help=True, add_completion=False, help="Clear failures.")


def _provider(text: str) -> ProviderId:
    from vault.commands.naming import named_provider

    return named_provider(text)


def _profile(text: str) -> ProfileId:
    from vault.commands.naming import named_profile

    return named_profile(text)


def _ordered(text: str, provider: ProviderId) -> ProfileId:
    """A profile of an order: whole, or its name alone, in which an @ is nothing special."""
    before, at, name = text.partition("@")
    if ":" in text:
        return _profile(text)
    return parse_profile(f"{provider}:{name if at and before == provider else text}")


def why(
    provider: ProviderArgument,
    agent: AgentOption = "main",
    purpose: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="USE",
            help="What it would be used for: get, helper, exec or env.",
            autocompletion=one_of("get", "helper", "exec", "env"),
        ),
    ] = "get",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Explain which credential would be used, with every candidate and its reason. Hands nothing out.

    vault exec and vault env put stored profiles first; vault get, the helpers and Python follow the order of the settings. Where
    the two differ, both are shown.
    """
    from vault.commands.cloud import CloudDecision
    from vault.commands.further import in_words, told
    from vault.commands.naming import how_to_have, is_known
    from vault.commands.why import NEEDS_NONE, WAYS, decide, otherwise, told_otherwise

    if purpose not in WAYS:
        every = f"use --for {'|'.join(WAYS)}"
        raise UsageError(
            f"{shown(purpose)} is not a use that a credential is chosen for", hint=did_you_mean(purpose, WAYS, every)
        )
    name, wanted = agent_id(agent), _provider(provider)
    with opened(name, no_input=no_input) as context:
        decision = decide(context, name, wanted, way=purpose)
        other = otherwise(context, decision, purpose)
        further = told(context, decision)
        now = context.clock.now()
        chosen = decision.chosen
        if json:
            output.write_json(
                "why",
                {
                    "agent": name,
                    "provider": wanted,
                    "for": purpose,
                    "chosen": chosen.what if chosen else None,
                    "otherwise": other.chosen.what if other and other.chosen else None,
                    "basis": decision.basis,
                    "further": [{"name": name, "also_of": others} for name, others in further],
                    "candidates": [
                        {
                            "candidate": c.what,
                            "owner": c.owner or None,
                            "kind": c.kind or None,
                            "code": c.code,
                            "reason": c.text,
                            "until": output.moment(c.until),
                            "base_url": c.base_url or None,
                        }
                        for c in decision.considered
                    ],
                },
            )
            return
        if chosen:
            output.lines([f"agent {name} would use {chosen.what} for {wanted}: {decision.basis}"])
        elif decision.basis == NEEDS_NONE:
            output.lines([f"agent {name} needs nothing for {wanted}: {decision.basis}"])
        else:
            output.lines([f"agent {name} has nothing to use for {wanted}"])
            if not decision.considered and not is_known(wanted):
                output.say(how_to_have(wanted, name))
        if decision.considered:
            output.table(
                ("CANDIDATE", "KIND", "AGENT", "REASON"),
                [
                    (output.with_original(c.what) if c.owner else c.what, c.kind, c.owner, _reason(c, now))
                    for c in decision.considered
                ],
                least=("AGENT", "KIND"),
                prose=("REASON",),
            )
        if isinstance(decision, CloudDecision) and not chosen:
            output.say(decision.basis)
        if other is not None:
            output.say(output.printable(told_otherwise(other, purpose)))
        for text in in_words(further):
            output.say(output.printable(text))


def _named(line: Considered) -> str:
    return output.with_original(line.what) if line.owner else line.what


def _reason(line: Considered, now: int) -> str:
    text = f"{line.text}, although it is cooling down" if line.code == "chosen" and line.until else line.text
    where = f", for {line.base_url} alone" if line.base_url else ""
    return text + where + (f" ({output.until(line.until, now)})" if line.until else "")


@order.command("get")
def order_get(
    provider: NeededProvider, agent: AgentOption = "main", json: JsonOption = False, no_input: NoInputOption = False
) -> None:
    """Show the order in force."""
    from vault.commands.naming import check_provider
    from vault.projections.queries import View

    name, wanted = agent_id(agent), _provider(provider)
    with opened(name, no_input=no_input) as context:
        check_provider(context, wanted)
        profiles, owner = View(context.queries, name).order(wanted)
        if json:
            output.write_json("order", {"agent": name, "provider": wanted, "order": profiles, "set_by": owner or None})
        elif profiles is None:
            output.say(
                f"agent {name} has no order for {wanted}: oauth, then token, then api_key, least recently used first"
            )
        else:
            for profile in profiles:
                output.write(profile)
            if owner != name:
                output.say(f"inherited from agent {owner}")


@order.command("set")
def order_set(
    profiles: Annotated[
        list[str],
        typer.Argument(metavar="PROFILE…", help="Profiles, in the order to try them.", autocompletion=complete_profile),
    ],
    provider: NeededProvider,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Set the order. Profiles it doesn't name are not used."""
    from vault.commands.rotation import set_order

    name, wanted = agent_id(agent), _provider(provider)
    ids = [str(_ordered(p, wanted)) for p in profiles]
    with opened(name, no_input=no_input) as context:
        done = set_order(context, name, wanted, ids, reason=reason, command=command_id)
    _tell(
        "order",
        json,
        done.position,
        f"agent {name} tries {', '.join(ids)} for {wanted}",
        order=ids,
        agent=name,
        provider=wanted,
    )


@order.command("clear")
def order_clear(
    provider: NeededProvider,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Remove the agent's own order."""
    from vault.commands.rotation import clear_order

    name, wanted = agent_id(agent), _provider(provider)
    with opened(name, no_input=no_input) as context:
        done = clear_order(context, name, wanted, reason=reason, command=command_id)
    _tell(
        "order",
        json,
        done.position,
        f"agent {name} has no order of its own for {wanted}",
        order=None,
        agent=name,
        provider=wanted,
    )


def pin(
    profile: ProfileArgument,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Use this profile for its provider, and no other."""
    from vault.commands.rotation import pin as decide

    name, target = agent_id(agent), _profile(profile)
    with opened(name, no_input=no_input) as context:
        done = decide(context, name, target, reason=reason, command=command_id)
    _tell("pin", json, done.position, f"agent {name} uses {target} and no other", profile=target, agent=name)


def unpin(
    provider: ProviderArgument,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Remove the pin for a provider."""
    from vault.commands.naming import target
    from vault.commands.rotation import unpin as decide

    name = agent_id(agent)
    wanted, _ = target(provider)
    with opened(name, no_input=no_input) as context:
        done = decide(context, name, wanted, reason=reason, command=command_id)
    _tell("unpin", json, done.position, f"agent {name} no longer has a pin for {wanted}", provider=wanted, agent=name)


def _complete_failure(incomplete: str) -> list[str]:
    from vault.model.health import FAILURES

    return one_of(*FAILURES)(incomplete)


def report(
    profile: ProfileArgument,
    outcome: Annotated[
        str,
        typer.Argument(
            metavar="success|failure", help="Whether the use worked.", autocompletion=one_of("success", "failure")
        ),
    ],
    failure: Annotated[
        str,
        typer.Option(
            "--reason",
            help="rate_limit, overloaded, timeout, auth, auth_permanent, billing, …",
            autocompletion=_complete_failure,
        ),
    ] = "",
    until: Annotated[str, typer.Option("--until", help="The reset time that the provider gave (ISO).")] = "",
    retry_after: Annotated[str, typer.Option("--retry-after", help="The wait that the provider gave: 30s, 5m.")] = "",
    model: Annotated[str, typer.Option("--model", help="The model that was used.")] = "",
    note: Annotated[str, typer.Option("--note", help="Free text, kept in the history.")] = "",
    agent: AgentOption = "main",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Report whether a use worked. Failures cool a profile down or disable it; a success clears the failures."""
    from vault.cli.moments import parse_length, parse_moment
    from vault.commands.rotation import report as decide

    name, target = agent_id(agent), _profile(profile)
    with opened(name, no_input=no_input) as context:
        now = context.clock.now()
        reset = None
        if retry_after and until:
            raise UsageError("two reset times are given", hint="use --until or --retry-after")
        if retry_after:
            reset = now + parse_length(retry_after)
        elif until:
            reset = parse_moment(until, now, end=True)
        done, after = decide(
            context, name, target, outcome, failure=failure, until=reset, model=model, reason=note, command=command_id
        )
    state = "ok"
    if after.disabled_until > now:
        state = f"disabled for {output.until(after.disabled_until, now)[3:]}"
    elif after.cooldown_until > now:
        state = f"cooling down for {output.until(after.cooldown_until, now)[3:]}"
    body: dict[str, Any] = {
        "profile": target,
        "agent": name,
        "failures": after.failures,
        "cooldown_until": output.moment(after.cooldown_until),
        "disabled_until": output.moment(after.disabled_until),
    }
    _tell("report", json, done.position, f"{target}: {state}", **body)


@health.command("clear")
def health_clear(
    profile: ProfileArgument,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Clear a profile's failures now."""
    from vault.commands.rotation import clear_health

    name, target = agent_id(agent), _profile(profile)
    with opened(name, no_input=no_input) as context:
        done = clear_health(context, name, target, reason=reason, command=command_id)
    _tell("health", json, done.position, f"the failures of {target} are cleared", profile=target, agent=name)


@health.callback()
def _health_root() -> None:
    """Clear failures."""


def _tell(schema: str, json: bool, position: int | None, text: str, **body: Any) -> None:
    if json:
        output.write_json(schema, {**body, "position": position, "changed": position is not None})
    else:
        output.say(text + ("" if position is not None else " (no change)"))
