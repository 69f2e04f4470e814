"""help: the same as --help, as people type it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vault.cli.groups import Group


def _complete_command(ctx: typer.Context, incomplete: str) -> list[str]:
    command: Any = ctx.find_root().command
    for word in ctx.params.get("command") or ():
        command = command.get_command(ctx, word) if isinstance(command, Group) else None
    names = command.shown(ctx) if isinstance(command, Group) else []
    return [name for name in names if name.startswith(incomplete)]


def help_(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]…", help="Which one; else all.", autocompletion=_complete_command),
    ] = None,
) -> None:
    """Explain a command: vault help login, vault help key add."""
    words = [word for word in command or [] if not word.startswith("-")]
    context.find_root().command.main(args=[*words, "--help"], prog_name="vault", standalone_mode=False)
