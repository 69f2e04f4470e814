"""refresh, probe, wizard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vault.cli import output
from vault.cli.session import (
    AgentOption,
    JsonOption,
    NoInputOption,
    ReasonOption,
    agent_id,
    can_ask,
    complete_profile,
    complete_provider,
    complete_target,
    opened,
)
from vault.errors import TokenReplaced, UsageError, VaultError
from vault.values import AgentId, length_of_time

if TYPE_CHECKING:
    from vault.commands.probe import Probed
    from vault.commands.refresh import RefreshResult

WORDS = {
    "refreshed": "refreshed",
    "adopted": "refreshed by another process",
    "fresh": "has enough life left",
    "not_refreshable": "nothing to refresh",
}


def refresh(
    profile: Annotated[
        str, typer.Argument(metavar="[PROFILE]", help="provider:name", autocompletion=complete_profile)
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every profile of every agent that can be refreshed.")
    ] = False,
    due: Annotated[str, typer.Option("--due", help="Those that end within this time: 2h. For timers.")] = "",
    send_replaced: Annotated[
        bool,
        typer.Option(
            "--send-replaced",
            help="For one PROFILE: send its refresh token though a newer one replaced it, which may end the login.",
        ),
    ] = False,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Refresh tokens now. One process spends a refresh token; others wait for the result.

    A refresh token that a newer one replaced, as after a restore, is sent only if a person agrees.
    """
    from vault.commands.refreshing import refresh_many, refresh_one

    if sum((bool(profile), everything, bool(due))) != 1:
        raise UsageError(
            "what to refresh is not given, or given twice", hint="name a profile, or use --all or --due 2h"
        )
    if send_replaced and not profile:
        raise UsageError("--send-replaced is for one profile", hint="name it: vault refresh PROFILE --send-replaced")
    name = agent_id(agent)
    rows: list[tuple[str, RefreshResult | None, str, VaultError | None]] = []
    with opened(name, no_input=no_input) as context:
        if profile:
            from vault.commands.naming import named_profile
            from vault.projections.queries import View

            target = named_profile(profile)
            owner = AgentId(View(context.queries, name).find(target).agent)
            try:
                done = refresh_one(context, owner, target, reason=reason, send_replaced=send_replaced)
            except TokenReplaced as kept_back:
                if not (can_ask(no_input) and _agreed(kept_back)):
                    raise
                done = refresh_one(context, owner, target, reason=reason, send_replaced=True)
            rows.append((owner, done, target, None))
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
                        "why": (result.why or None) if result else None,
                        "error": _error(error),
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
            why = f" ({result.why})" if result.why else ""
            output.say(f"{which} of {one}: {WORDS.get(result.done, result.done)}{why}")
    if not rows and not json:
        output.say("there is nothing that can be refreshed")
    failed = [error.exit_status for *_, error in rows if error is not None]
    if failed:
        raise typer.Exit(max(failed))


def _agreed(error: TokenReplaced) -> bool:
    """Whether a person wants a replaced refresh token sent, knowing what may come of it."""
    output.say(output.printable(f"{error.message}; {error.hint.partition(';')[0]}"))
    return output.confirm("Send it anyway?")


def probe(
    what: Annotated[
        str, typer.Argument(metavar="[PROVIDER|PROFILE]", help="What to probe.", autocompletion=complete_target)
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every profile the agent sees, and every variable that would be used.")
    ] = False,
    agent: AgentOption = "main",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Ask a provider whether a credential works. The answer is recorded.

    Exit 1 when it is refused, 75 when the provider can't be asked now.
    """
    from vault.commands.naming import target
    from vault.commands.probe import probe as ask
    from vault.commands.probe import probe_every

    if bool(what) == everything:
        raise UsageError(
            "what to probe is not given, or given twice", hint="name a provider or a profile, or use --all"
        )
    name = agent_id(agent)
    if not everything:
        provider, profile = target(what)
        with opened(name, no_input=no_input) as context:
            done = ask(context, name, provider, profile)
        if json:
            output.write_json("probe", _probed(done))
        else:
            output.lines([_found(done)])
            if done.hint:
                output.say(f"to fix it: {done.hint}")
        if done.exit_status:
            raise typer.Exit(done.exit_status)
        return
    with opened(name, no_input=no_input) as context:
        rows = probe_every(context, name)
    if json:
        body = [
            {"what": which, **(_probed(one) if one else _NOTHING), "error": _error(error)} for which, one, error in rows
        ]
        output.write_json("probe-all", {"agent": name, "probes": body})
    for which, one, error in () if json else rows:
        if one is not None:
            output.lines([_found(one)])
        elif error is not None:
            output.say(f"{which}: {error}")
    if not rows and not json:
        output.say("there is nothing that can be probed")
    failed = [one.exit_status for _, one, _ in rows if one] + [error.exit_status for *_, error in rows if error]
    if any(failed):
        raise typer.Exit(max(failed))


_NOTHING = dict.fromkeys(("provider", "profile", "source", "outcome", "reason", "detail", "status", "hint"))


def _probed(done: Probed) -> dict[str, Any]:
    return {
        "provider": done.provider,
        "profile": done.profile or None,
        "source": done.source or None,
        "outcome": done.outcome,
        "reason": done.reason or None,
        "detail": done.detail,
        "status": done.status or None,
        "hint": done.hint or None,
    }


def _found(done: Probed) -> str:
    return f"{done.profile or done.provider}: {done.outcome}" + (f" ({done.detail})" if done.detail else "")


def _error(error: VaultError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"code": error.code, "exit": error.exit_status, "message": error.message, "hint": error.hint}


def wizard(
    provider: Annotated[
        str, typer.Argument(metavar="PROVIDER", help="The provider.", autocompletion=complete_provider)
    ],
    agent: AgentOption = "main",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """For agents: the command a person should run to sign in, and why. Doesn't sign in."""
    from vault.commands.advice import advise, advise_unopened
    from vault.commands.naming import is_kept, is_known, named_provider, unknown_provider

    name, wanted = agent_id(agent), named_provider(provider)
    unknown = False
    try:
        with opened(name, no_input=no_input) as context:
            unknown = not is_known(wanted) and not is_kept(context, wanted)
            advice = advise(context, name, wanted)
    except VaultError as error:
        advice = advise_unopened(name, wanted, error)
    if unknown:
        raise unknown_provider(wanted)
    if json:
        output.write_json(
            "wizard",
            {
                "provider": advice.provider,
                "agent": name,
                "state": advice.state or None,
                "why": advice.why or None,
                "reasons": [{"what": what, "code": code, "text": text} for what, code, text in advice.reasons],
                "run": advice.run or None,
                "ways": [
                    {"method": m.id, "kind": m.kind, "label": m.label, "run": line, "note": m.note or None}
                    for m, line in advice.ways
                ],
            },
        )
        return
    if advice.why:
        output.write(f"{wanted}: {advice.why}")
    elif not advice.ways:
        output.write(f"{wanted} needs no credential")
    else:
        output.write(f"{wanted}: nothing needs to be done")
    lines = [line for _, line in advice.ways]
    if advice.run and advice.run not in lines:
        output.write(f"Ask a person to run: {advice.run}")
    elif lines:
        several = "this" if len(lines) == 1 else "one of these"
        output.write(f"{'To sign in, a' if advice.why else 'To sign in again, a'} person runs {several} in a terminal:")
        width = max(len(line) for line in lines)
        for method, line in advice.ways:
            output.write(f"  {line:{width}}  # {method.label}")
