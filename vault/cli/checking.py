"""verify, rebuild, doctor, exit-codes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from vault.cli import output, streams
from vault.cli.session import JsonOption, NoInputOption, ReasonOption, one_of, opened
from vault.errors import EXIT_STATUSES, UsageError
from vault.values import MAIN_AGENT


def verify(
    record: Annotated[bool, typer.Option("--record", help="Append an event that says it was done.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept-rollback", help="Accept an older or other log than this machine has seen.")
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Check the whole log: places, chain, associated data, keys, projections, anchor."""
    from vault.commands.checking import accept_rollback, verify_vault

    with opened(MAIN_AGENT, no_input=no_input, strange_slots=True) as context:
        if accept:
            position = accept_rollback(context, reason)
            output.say(f"accepted; the acceptance is event #{position}")
        elif reason and not record:
            raise UsageError("a reason is only kept with an event", hint="use --record or --accept-rollback with it")
        started = time.perf_counter()
        with progress("verifying", json) as tick:
            done = verify_vault(context, tick, record=record, reason=reason)
        took = time.perf_counter() - started
    if json:
        output.write_json(
            "verify",
            {
                "ok": True,
                "events": done.events,
                "streams": done.streams,
                "credentials": done.credentials,
                "profile_keys": done.profile_keys,
                "read_models": done.read_models,
                "head": done.head,
                "anchored": done.anchored,
                "seconds": round(took, 3),
                "checked": done.checks,
            },
        )
        return
    output.lines(
        [
            f"the log is whole: {done.events} events in {done.streams} streams, head {done.head}, in {took:.1f} s",
            *(f"  ✓ {check}" for check in done.checks),
            f"  {done.credentials} sealed credentials, {done.profile_keys} profile keys, {done.read_models} read models",
        ]
    )
    if not done.anchored:
        output.say("there is no head anchor on this machine, so a rollback could not have been seen")


def rebuild(json: JsonOption = False, no_input: NoInputOption = False) -> None:
    """Drop every projection, replay the log, and report whether the result is identical."""
    from vault.commands.checking import rebuild_vault

    with opened(MAIN_AGENT, no_input=no_input) as context:
        started = time.perf_counter()
        with progress("rebuilding", json) as tick:
            events, differences = rebuild_vault(context, tick)
        took = time.perf_counter() - started
    if json:
        body = {
            "events": events,
            "identical": not differences,
            "differences": differences.rows,
            "seconds": round(took, 3),
        }
        output.write_json("rebuild", body)
    elif differences:
        output.lines(
            [
                f"rebuilt from {events} events in {took:.1f} s; the old projections were not identical:",
                *(f"  {model}: {count}" for model, count in sorted(differences.rows.items())),
                f"  first: {differences.what}",
            ]
        )
    else:
        output.lines([f"rebuilt from {events} events in {took:.1f} s; identical to what was there"])
    if differences:
        raise typer.Exit(1)


def doctor(
    cloud: Annotated[
        str,
        typer.Argument(
            metavar="[bedrock|vertex|azure|PROVIDER]",
            help="Only a cloud family, or one of its providers.",
            autocompletion=one_of("bedrock", "vertex", "azure"),
        ),
    ] = "",
    fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed here, asking before each.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fix without asking.")] = False,
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Look for problems: files, keys, anchor, clock, credentials, orders, pins. Each finding has a hint.

    On a terminal it offers to fix what it can; otherwise nothing is changed without --fix.
    """
    from vault.cli.mending import Mending, body_of, show

    mending = Mending.asked_for(fix or yes, yes, json, no_input)
    checks, mended = mending.of_cloud(cloud) if cloud else mending.of_vault()
    findings = [c for c in checks if c.status != "ok"]
    if json:
        output.write_json("doctor", body_of(checks, mended))
    elif mended:
        output.write("what remains:" if findings else "nothing is left to fix")
        show(findings)
    if findings:
        raise typer.Exit(1)


def exit_codes(json: JsonOption = False) -> None:
    """Print what the exit statuses mean."""
    if json:
        output.write_json("exit-codes", {"statuses": [{"status": s, "meaning": m} for s, m in EXIT_STATUSES]})
    else:
        output.table(("STATUS", "MEANING"), [(str(s), m) for s, m in EXIT_STATUSES], prose=("MEANING",))


@contextmanager
def progress(what: str, machine: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal's stderr; silence elsewhere."""
    if machine or not streams.on_terminal("stderr"):
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=streams.console(), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
