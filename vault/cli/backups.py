"""backup, backup-restore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vault.cli import output
from vault.cli.checking import progress
from vault.cli.session import JsonOption, NoInputOption, ReasonOption, can_ask, opened, places, ways
from vault.values import MAIN_AGENT

CopyArgument = Annotated[str, typer.Argument(metavar="FILE", help="The copy.")]


def backup(
    file: CopyArgument,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a file that is there.")] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Write a copy of the vault, and check it. Other processes can go on writing."""
    from vault.commands.backup import take_backup

    with opened(MAIN_AGENT, no_input=no_input) as context, progress("checking the copy", json) as tick:
        done = take_backup(context, Path(file), replace=replace, reason=reason, progress=tick)
    if json:
        output.write_json("backup", {"file": str(Path(file).absolute()), "events": done.events, "head": done.head})
    else:
        output.say(f"wrote {file}: {done.events} events, head {done.head}, all checked")
        output.say(
            "it opens with the same keys as the vault, so don't keep the key file or the recovery code beside it"
        )


def backup_restore(
    file: CopyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before events are undone.")] = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Put a copy back in the vault's place. The file it replaces is kept beside it."""
    from vault.commands.backup import put_backup_back

    def confirm(question: str) -> bool:
        return yes or (can_ask(no_input) and output.confirm(question))

    with progress("checking the copy", json) as tick:
        done = put_backup_back(places(), ways(no_input), Path(file), reason=reason, confirm=confirm, progress=tick)
    if json:
        output.write_json(
            "backup-restore",
            {
                "events": done.events,
                "head": done.head,
                "kept": str(done.kept) if done.kept else None,
                "accepted": done.accepted,
            },
        )
        return
    output.say(f"the vault is the copy {file} now: {done.events} events, head {done.head}")
    if done.kept:
        output.say(f"what it replaced is kept: {done.kept}")
    if done.accepted:
        output.say(f"the older log was accepted; the acceptance is event #{done.accepted}")
