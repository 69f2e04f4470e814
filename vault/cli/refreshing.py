"""refresh, probe, wizard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output
from vault.cli.session import (
    AgentOption,
    JsonOption,
    NoInputOption,
    ReasonOption,
    agent_id,
    complete_profile,
    complete_provider,
    opened,
)
from vault.errors import UsageError, VaultError
from vault.values import AgentId, length_of_time, parse_profile

if TYPE_CHECKING:
    from vault.commands.refresh import RefreshResult

WORDS = {
    "refreshed": "refreshed",
    "adopted": "refreshed by another process",
    "fresh": "has life enough",
    "not_refreshable": "nothing to refresh",
}


def refresh(
    profile: Annotated[
        str, typer.Argument(metavar="[PROFILE]", help="provider:name", autocompletion=complete_profile)
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every profile of every agent that can be refreshed.")
    ] = False,
    due: Annotated[str, typer.Option("--due", help="Those that end within this time: 2h. What a timer runs.")] = "",
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Refresh tokens now. One process spends a refresh token; others wait for what comes of it."""
    from vault.commands.refresh import refresh as refresh_one
    from vault.commands.refresh import refresh_many

    if sum((bool(profile), everything, bool(due))) != 1:
        raise UsageError("what to refresh is not clear", hint="name a profile, or use --all or --due 2h")
    name = agent_id(agent)
    rows: list[tuple[str, RefreshResult | None, str, VaultError | None]] = []
    with opened(name, no_input=no_input) as context:
        if profile:
            from vault.projections.queries import View

            target = parse_profile(profile)
            owner = AgentId(View(context.queries, name).find(target).agent)
            rows.append((owner, refresh_one(context, owner, target, leeway=0, force=True, reason=reason), target, None))
        else:
            leeway = length_of_time(due) if due else 0
            for one in context.queries.agents().names():
                for result, which, error in refresh_many(
                    context, AgentId(one), leeway=leeway, force=everything, reason=reason
                ):
                    rows.append((one, result, which, error))
    if json:
        output.write_json(
            "refresh",
            {
                "profiles": [
                    {
                        "agent": one,
                        "profile": which,
                        "done": result.done if result else None,
                        "expires_at": output.moment(result.expires_at) if result else None,
                        "rotated": result.rotated if result else None,
                        "position": result.position if result else None,
                        "error": {
                            "code": error.code,
                            "exit": error.exit_status,
                            "message": error.message,
                            "hint": error.hint,
                        }
                        if error
                        else None,
                    }
                    for one, result, which, error in rows
                ]
            },
        )
    for one, result, which, error in rows:
        if json:
            continue
        if error is not None:
            output.say(f"{which} of {one}: {error}")
        elif result is not None:
            output.say(f"{which} of {one}: {WORDS.get(result.done, result.done)}")
    if not rows and not json:
        output.say("nothing is due")
    failed = [error.exit_status for *_, error in rows if error is not None]
    if failed:
        raise typer.Exit(max(failed))


def probe(
    what: Annotated[
        str, typer.Argument(metavar="PROVIDER|PROFILE", help="What to try.", autocompletion=complete_profile)
    ],
    agent: AgentOption = "main",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Ask a provider whether a credential works. The answer is recorded. Exit 1 when it is refused."""
    from vault.commands.naming import target
    from vault.commands.probe import probe as ask

    name = agent_id(agent)
    provider, profile = target(what)
    with opened(name, no_input=no_input) as context:
        done = ask(context, name, provider, profile)
    if json:
        output.write_json(
            "probe",
            {
                "provider": done.provider,
                "profile": done.profile or None,
                "outcome": done.outcome,
                "detail": done.detail,
                "status": done.status or None,
            },
        )
    else:
        output.write(f"{done.profile or done.provider}: {done.outcome}" + (f" ({done.detail})" if done.detail else ""))
    if done.outcome == "refused":
        raise typer.Exit(1)


def wizard(
    provider: Annotated[
        str, typer.Argument(metavar="PROVIDER", help="The provider.", autocompletion=complete_provider)
    ],
    agent: AgentOption = "main",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """For agents: the line a person should type to sign in, and why. Completes nothing."""
    from vault.commands.sign_in import Advice, advise
    from vault.providers import catalogue

    name, wanted = agent_id(agent), catalogue.resolve(provider)
    advice: Advice
    try:
        with opened(name, no_input=no_input) as context:
            advice = advise(context, name, wanted)
    except VaultError:
        advice = advise(None, name, wanted)
    if json:
        output.write_json(
            "wizard",
            {
                "provider": advice.provider,
                "agent": name,
                "why": advice.why or None,
                "run": advice.ways[0][1] if advice.ways else None,
                "ways": [
                    {"method": m.id, "kind": m.kind, "label": m.label, "run": line, "note": m.note or None}
                    for m, line in advice.ways
                ],
            },
        )
        return
    if advice.why:
        output.write(f"{wanted}: {advice.why}")
    output.write("Ask a person to run one of these in a terminal:")
    for method, line in advice.ways:
        output.write(f"  {line}    # {method.label}")
