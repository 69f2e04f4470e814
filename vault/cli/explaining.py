"""help: the same as --help, as people type it."""

from __future__ import annotations

from typing import Annotated

import typer


def help_(
    context: typer.Context,
    command: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]…", help="Which one; else all.")] = None,
) -> None:
    """Explain a command: vault help login, vault help key add."""
    words = [word for word in command or [] if not word.startswith("-")]
    context.find_root().command.main(args=[*words, "--help"], prog_name="vault", standalone_mode=False)
