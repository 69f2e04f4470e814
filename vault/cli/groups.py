"""Groups of commands. A word that is no command is refused with what was probably meant, and isn't repeated."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from vault.errors import UsageError

ELSEWHERE = {
    "add": "login",
    "audit": "history",
    "auth": "login",
    "check": "status",
    "delete": "logout",
    "log": "history",
    "read": "get",
    "rm": "logout",
    "run": "exec",
    "set": "login",
    "settings": "config",
    "signin": "login",
    "undo": "restore",
    "version": "--version",
    "whoami": "status",
}
"""What other tools call a command of ``vault``."""


class Group(TyperGroup):
    """A group that says what a mistyped command was probably meant to be."""

    def shown(self, ctx: Any) -> list[str]:
        """The commands that the help lists."""
        return self.list_commands(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is asked for. Raises UsageError for one there isn't."""
        name = str(args[0]) if args else ""
        if not name or ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from vault.guessing import nearest

        words = ELSEWHERE if ctx.parent is None else {}
        near = [words[name]] if name in words else nearest(name, self.shown(ctx))
        path = ctx.command_path
        listed = f"{path} --help lists the commands"
        meant = " or ".join(f"{path} {n}" for n in near)
        raise UsageError("there is no such command", hint=f"did you mean {meant}? ({listed})" if near else listed)
