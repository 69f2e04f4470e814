"""restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output
from vault.cli.session import (
    AgentOption,
    CommandOption,
    JsonOption,
    NoInputOption,
    ReasonOption,
    agent_id,
    complete_profile,
    complete_provider,
    opened,
)
from vault.errors import IntegrityError, UsageError, VaultError
from vault.values import AgentId, ProfileId, provider_of

if TYPE_CHECKING:
    from vault.context import Context


def restore(
    profile: Annotated[
        str, typer.Argument(metavar="PROFILE", help="provider:name", autocompletion=complete_profile)
    ] = "",
    to: Annotated[int | None, typer.Option("--to", min=1, help="The position of the event to go back to.")] = None,
    at: Annotated[str, typer.Option("--at", help="A time at which it was right: 2h, monday, 2026-01-31T09:30.")] = "",
    order: Annotated[bool, typer.Option("--order", help="Restore the order for a provider.")] = False,
    provider: Annotated[
        str, typer.Option("--provider", "-p", help="The provider, with --order.", autocompletion=complete_provider)
    ] = "",
    probe: Annotated[bool, typer.Option("--probe", help="Then ask the provider whether it still works.")] = False,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Bring an earlier credential back, by default the previous one, or an earlier order.

    It appends and never rewinds.
    """
    if to is not None and at:
        raise UsageError("two events to go back to are given", hint="use --to or --at")
    if probe and order:
        raise UsageError("an order can't be probed", hint="leave out --probe")
    if order:
        _order(provider or profile, to, at, agent, reason, command_id, json, no_input)
        return
    if provider or not profile:
        raise UsageError(
            "no profile was named", hint="write: vault restore PROFILE, or vault restore --order --provider P"
        )
    from vault.cli.moments import parse_moment
    from vault.commands.naming import named_profile
    from vault.commands.restore import PROBE
    from vault.commands.restore import restore as bring_back

    name, target = agent_id(agent), named_profile(profile)
    with opened(name, no_input=no_input) as context:
        moment = parse_moment(at, context.clock.now(), end=True) if at else None
        done = bring_back(context, name, target, to=to, at=moment, reason=reason, command=command_id)
        found = _probe(context, name, target) if probe else None
    if json:
        output.write_json(
            "restore",
            {
                "agent": name,
                "profile": target,
                "position": done.position,
                "changed": done.position is not None,
                "from_position": done.origin,
                "kind": done.facts.kind,
                "fingerprint": done.facts.fingerprint or None,
                "replaced": done.replaced.position if done.replaced else None,
                "warning": done.warning or None,
                "probe": {"outcome": found[0], "detail": found[1] or None} if found else None,
            },
        )
        _end(found)
        return
    what = f"{target} of agent {name} is the {done.facts.kind} of position {done.origin} (fingerprint {done.facts.fingerprint})"
    output.say(f"restored: {what}" if done.position is not None else f"nothing to do: {what} already")
    if done.warning and (found is None or PROBE not in done.warning):
        output.say(f"note: {done.warning}")
    if found is not None:
        output.say(output.printable(f"{found[0]}: {found[1]}" if found[1] else found[0]))
    _end(found)


def _probe(context: Context, agent: AgentId, profile: ProfileId) -> tuple[str, str, int]:
    """What the provider says of a profile: the outcome, why, and the exit status it calls for."""
    from vault.commands.probe import probe

    try:
        answer = probe(context, agent, provider_of(profile), profile)
    except IntegrityError:
        raise
    except VaultError as error:
        return "unclear", str(error), error.exit_status
    return answer.outcome, answer.detail, answer.exit_status


def _end(found: tuple[str, str, int] | None) -> None:
    if found is not None and found[2]:
        raise typer.Exit(found[2])


def _order(
    provider: str, to: int | None, at: str, agent: str, reason: str, command_id: str, json: bool, no_input: bool
) -> None:
    from vault.cli.moments import parse_moment
    from vault.commands.naming import target
    from vault.commands.rotation import restore_order

    if not provider:
        raise UsageError("no provider was named", hint="write: vault restore --order --provider P")
    name, wanted = agent_id(agent), target(provider)[0]
    with opened(name, no_input=no_input) as context:
        position = to
        if at:
            position = context.queries.position_at(parse_moment(at, context.clock.now(), end=True))
        done, profiles = restore_order(context, name, wanted, position=position, reason=reason, command=command_id)
        if done.position is None:
            profiles = context.queries.rotation(name, wanted).order
    if json:
        body = {"agent": name, "provider": wanted, "order": profiles, "position": done.position}
        output.write_json("order", {**body, "changed": done.position is not None})
        return
    text = f"the order of agent {name} for {wanted} is {', '.join(profiles) if profiles else 'none of its own'}"
    output.say(f"restored: {text}" if done.position is not None else f"nothing to do: {text} already")
