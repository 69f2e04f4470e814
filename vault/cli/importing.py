"""import opencode, import openclaw."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from vault.cli import output
from vault.cli.session import JsonOption, NoInputOption, ReasonOption, opened
from vault.interop.findings import Findings
from vault.values import MAIN_AGENT

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Take over credentials from another tool. Its files are only read."
)

FromOption = Annotated[str, typer.Option("--from", metavar="PATH", help="The tool's file or folder.")]
DryOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be taken; take nothing.")]
Reader = Callable[[Path | None, Mapping[str, str], Path], Findings]


@app.command("opencode")
def opencode(
    source: FromOption = "",
    dry_run: DryOption = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Take over OpenCode's auth.json."""
    from vault.interop import opencode as tool

    _import(tool.read, source, dry_run, reason, json, no_input)


@app.command("openclaw")
def openclaw(
    source: FromOption = "",
    dry_run: DryOption = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Take over OpenClaw's profiles, order and usage, from any of its stores."""
    from vault.interop import openclaw as tool

    _import(tool.read, source, dry_run, reason, json, no_input)


def _import(read: Reader, source: str, dry_run: bool, reason: str, json: bool, no_input: bool) -> None:
    from vault.commands.importing import SAME, SKIPPED, TAKEN, take_over

    findings = read(Path(source).expanduser() if source else None, os.environ, Path.home())
    with opened(MAIN_AGENT, no_input=no_input, way="import") as context:
        done = take_over(context, findings, dry_run=dry_run, reason=reason)
    if json:
        output.write_json(
            "import",
            {
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
            },
        )
        return
    for path in done.paths:
        output.say(f"read {path}")
    if done.lines:
        output.table(
            ("WHAT", "AGENT", "KIND", "ACTION", "WHY"),
            [(line.what, line.agent, line.kind, line.action, line.why) for line in done.lines],
        )
    verb = "would take" if dry_run else "took"
    output.say(
        f"{verb} {done.count(TAKEN)}, {done.count(SAME)} already here, {done.count(SKIPPED)} skipped"
        + ("" if dry_run else "; the tool's own files are as they were, secrets in plain text included")
    )
