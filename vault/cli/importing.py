"""import: take over credentials from other tools, one that is named or all that are here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output
from vault.cli.session import JsonOption, NoInputOption, ReasonOption, can_ask, complete_tool, opened
from vault.cli.tools import DryOption, YesOption, own_command
from vault.errors import IntegrityError, NotFound, UsageError, VaultError
from vault.values import MAIN_AGENT

if TYPE_CHECKING:
    from vault.commands.importing import Imported
    from vault.context import Context
    from vault.interop.findings import Findings
    from vault.interop.plans import Plan
    from vault.interop.tools import Tool


def import_(
    tool: Annotated[
        str, typer.Argument(metavar="[TOOL]", help="vault tools lists them.", autocompletion=complete_tool)
    ] = "",
    source: Annotated[str, typer.Option("--from", metavar="PATH", help="The tool's file or folder.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All tools that are here, with one question.")] = False,
    dry_run: DryOption = False,
    yes: YesOption = False,
    scrub: Annotated[
        bool,
        typer.Option(
            "--scrub", help="Then replace each secret with a reference to the vault, where the tool can follow one."
        ),
    ] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Import credentials. Without a tool: look for all of them, show what there is, and ask. Their files are only read."""
    if not tool:
        if source:
            raise UsageError(
                "--from says where one tool's store is", hint="name the tool: vault import TOOL --from PATH"
            )
        _all(everything, dry_run, yes, scrub, reason, json, no_input)
        return
    from vault.interop.tools import tool as named

    found = named(tool)
    place = Path(source).expanduser() if source else None
    findings = _read(found, place)
    with opened(MAIN_AGENT, no_input=no_input, way="import") as context:
        done, plan = _take(context, found, findings, place, dry_run, scrub, reason)
    if json:
        output.write_json("import", _told(done, plan))
    else:
        _tell(done, plan, found.title)


def _all(everything: bool, dry_run: bool, yes: bool, scrub: bool, reason: str, json: bool, no_input: bool) -> None:
    from vault.commands.importing import TAKEN, take_over
    from vault.interop.tools import tools

    unread: list[tuple[Tool, VaultError]] = []
    here: list[tuple[Tool, Findings]] = []
    for tool in tools():
        if tool.read is None:
            continue
        try:
            here.append((tool, tool.read(None, os.environ, Path.home())))
        except NotFound:
            continue
        except IntegrityError:
            raise
        except VaultError as error:
            unread.append((tool, error))
    asks = not (yes or dry_run)
    done: list[tuple[Imported, Plan | None, str]] = []
    with opened(MAIN_AGENT, no_input=no_input, way="import") as context:
        shown = [(tool, findings, take_over(context, findings, dry_run=True)) for tool, findings in here]
        news = [(tool, findings, would) for tool, findings, would in shown if would.count(TAKEN)]
        if asks and news:
            for tool, _, would in shown:
                _tell(would, None, tool.title)
            if not can_ask(no_input):
                raise UsageError(
                    "the import needs a yes, and there is no terminal to ask", hint="look at it above, then add --yes"
                )
            if everything and not output.confirm(f"Take over from {len(news)} tools?", default=True):
                news = []
            elif not everything:
                news = [n for n in news if output.confirm(f"Take over from {n[0].title}?", default=True)]
        wanted = {tool.name for tool, _, _ in news}
        for tool, findings, would in shown:
            if dry_run or tool.name not in wanted:
                done.append((would, None, tool.title))
                continue
            imported, plan = _take(context, tool, findings, None, False, scrub and tool.scrub is not None, reason)
            done.append((imported, plan, tool.title))
    if json:
        output.write_json(
            "imports",
            {
                "dry_run": dry_run,
                "imports": [_told(one, plan) for one, plan, _ in done],
                "unread": [{"tool": tool.name, "error": error.message} for tool, error in unread],
            },
        )
        return
    for one, plan, title in done:
        if not (asks and news) or not one.dry_run:
            _tell(one, plan, title)
    for tool, trouble in unread:
        output.say(output.printable(f"{tool.title} can't be read: {trouble}"))
    if not done and not unread:
        output.say("none of the tools that vault knows keeps credentials on this machine: vault tools lists them")


def _read(tool: Tool, place: Path | None) -> Findings:
    if tool.read is None:
        raise NotFound(f"{tool.title} keeps no credential that can be read", hint=tool.line or "vault tools")
    return tool.read(place, os.environ, Path.home())


def _take(
    context: Context,
    tool: Tool,
    findings: Findings,
    place: Path | None,
    dry_run: bool,
    scrub: bool,
    reason: str,
) -> tuple[Imported, Plan | None]:
    from vault.commands.importing import take_over
    from vault.commands.scrubbing import scrub as replace_secrets
    from vault.interop.plans import Link

    if scrub and tool.scrub is None:
        raise NotFound(f"{tool.title} can't refer to the vault in place of a secret", hint=tool.line or "vault tools")
    done = take_over(context, findings, dry_run=dry_run, reason=reason)
    if not scrub:
        return done, None
    return done, replace_secrets(context, tool, findings, Link(own_command(), MAIN_AGENT), place, dry_run=dry_run)


def _told(done: Imported, plan: Plan | None) -> dict[str, object]:
    from vault.commands.importing import SAME, SKIPPED, TAKEN

    return {
        "tool": done.tool,
        "paths": list(done.paths),
        "dry_run": done.dry_run,
        "position": done.position,
        "taken": done.count(TAKEN),
        "already_here": done.count(SAME),
        "skipped": done.count(SKIPPED),
        "entries": [
            {
                "what": line.what,
                "agent": line.agent or None,
                "kind": line.kind or None,
                "action": line.action,
                "why": line.why or None,
                "path": line.path,
            }
            for line in done.lines
        ],
        "scrubbed": [str(w.path) for w in plan.writes] if plan is not None else [],
    }


def _tell(done: Imported, plan: Plan | None, title: str) -> None:
    from vault.commands.importing import SAME, SKIPPED, TAKEN

    for path in done.paths:
        output.say(f"read {path}")
    if done.lines:
        output.table(
            ("WHAT", "AGENT", "KIND", "ACTION", "WHY"),
            [(line.what, line.agent, line.kind, line.action, line.why) for line in done.lines],
            least=("AGENT", "KIND"),
            prose=("WHY",),
        )
    verb = "would take" if done.dry_run else "took"
    ending = (
        ""
        if done.dry_run or plan is not None
        else "; the tool's files are unchanged and still hold the secrets in plain text"
    )
    output.say(
        f"{title}: {verb} {done.count(TAKEN)}, {done.count(SAME)} already here, {done.count(SKIPPED)} skipped{ending}"
    )
    if plan is not None:
        for write in plan.writes:
            asks = "" if not plan.asks else ": it would ask the vault" if done.dry_run else ": it asks the vault now"
            output.say(output.printable(f"{'would scrub' if done.dry_run else 'scrubbed'} {write.path}{asks}"))
        for gone in plan.removes:
            output.say(output.printable(f"{'would remove' if done.dry_run else 'removed'} {gone}"))
        for skipped in plan.left_out:
            where = skipped.path or f"{title}'s store"
            output.say(output.printable(f"{skipped.name} stays in {where}: {skipped.why}"))
        for note in plan.notes:
            output.say(output.printable(note))
