"""verify, rebuild, doctor, exit-codes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from vault.cli import output
from vault.cli.session import JsonOption, NoInputOption, ReasonOption, opened, places
from vault.errors import EXIT_STATUSES, UsageError, VaultError
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

    with opened(MAIN_AGENT, no_input=no_input) as context:
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
    output.write(f"the log is whole: {done.events} events in {done.streams} streams, head {done.head}, in {took:.1f} s")
    for check in done.checks:
        output.write(f"  ✓ {check}")
    output.write(
        f"  {done.credentials} sealed credentials, {done.profile_keys} profile keys, {done.read_models} read models"
    )
    if not done.anchored:
        output.say("there is no head anchor on this machine, so a rollback could not have been seen")


def rebuild(json: JsonOption = False, no_input: NoInputOption = False) -> None:
    """Drop every projection, replay the log, and tell whether the result is identical."""
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
        output.write(f"rebuilt from {events} events in {took:.1f} s; the old projections were not identical:")
        for model, count in sorted(differences.rows.items()):
            output.write(f"  {model}: {count}")
        output.write(f"  first: {differences.what}")
    else:
        output.write(f"rebuilt from {events} events in {took:.1f} s; identical to what was there")
    if differences:
        raise typer.Exit(1)


def doctor(
    family: Annotated[str, typer.Argument(metavar="[bedrock|vertex|azure]", help="Only a cloud family.")] = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Look for trouble: slots, file modes, keyring, anchor, clock, versions, orders, credentials. Each finding has a hint."""
    from vault.commands.doctor import FINDING, Check, examine_files, examine_vault

    found = places()
    checks = [] if family else examine_files(found)
    if family:
        from vault.commands.cloud import resolve_family
        from vault.providers.cloud.modes import doctor_rows

        with opened(MAIN_AGENT, no_input=no_input) as context:
            rows = doctor_rows(resolve_family(context, MAIN_AGENT, family))
        checks = [Check(r.name, r.status, r.text, r.hint) for r in rows]
    elif found.database.exists():
        try:
            with opened(MAIN_AGENT, no_input=no_input) as context:
                context_checks = examine_vault(context)
                context.store.rollback = None
            checks += context_checks
        except VaultError as error:
            checks.append(Check("unlock", FINDING, error.message, error.hint))
    findings = [c for c in checks if c.status == FINDING]
    if json:
        output.write_json(
            "doctor",
            {
                "ok": not findings,
                "checks": [
                    {"name": c.name, "status": c.status, "text": c.text, "hint": c.hint or None} for c in checks
                ],
            },
        )
    else:
        for check in checks:
            mark = "✓" if check.status != FINDING else "✗"
            output.write(output.printable(f"{mark} {check.name}: {check.text}"))
            if check.hint and check.status == FINDING:
                output.write(output.printable(f"    → {check.hint}"))
    if findings:
        raise typer.Exit(1)


def exit_codes(json: JsonOption = False) -> None:
    """Print what the exit statuses mean."""
    if json:
        output.write_json("exit-codes", {"statuses": [{"status": s, "meaning": m} for s, m in EXIT_STATUSES]})
    else:
        output.table(("STATUS", "MEANING"), [(str(s), m) for s, m in EXIT_STATUSES])


@contextmanager
def progress(what: str, machine: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal's stderr; silence elsewhere."""
    if machine or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
