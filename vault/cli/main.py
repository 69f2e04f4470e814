"""The entry: the table of commands, each loaded when it is used; errors to exit statuses.

A command's module is imported when the command runs (or for ``--help``), so ``vault get`` doesn't pay for ``vault import``.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Annotated, Any

import typer

from vault.cli import output, streams
from vault.cli.groups import Group
from vault.errors import Defect, InputError, StorageError, UsageError, VaultError
from vault.version import __version__

CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
INTERRUPTED = 130
COMPLETING = "_VAULT_COMPLETE"

# name: (module under vault.cli, attribute, group, what it does)
COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "init": ("keys", "init", "Start", "Make a vault"),
    "demo": ("demo", "demo", "Start", "Show all of it in a temporary vault"),
    "import": ("importing", "import_", "Start", "Import credentials from another tool"),
    "login": ("login", "login", "Credentials", "Store a credential"),
    "logout": ("login", "logout", "Credentials", "End a credential (restore undoes it)"),
    "list": ("listing", "list_", "Credentials", "List profiles"),
    "ls": ("listing", "list_", "", "The same as list"),
    "show": ("listing", "show", "Credentials", "Show one profile"),
    "status": ("status", "status", "Credentials", "What would be used, and whether it works"),
    "refresh": ("refreshing", "refresh", "Credentials", "Refresh tokens"),
    "probe": ("refreshing", "probe", "Credentials", "Ask a provider whether a credential works"),
    "wizard": ("refreshing", "wizard", "Credentials", "For agents: the command a person should run"),
    "get": ("issue", "get", "Credentials", "Print a secret"),
    "env": ("issue", "env", "Credentials", "Print shell lines that set credentials"),
    "exec": ("issue", "exec_", "Credentials", "Run a program with credentials in its environment"),
    "tools": ("tools", "tools", "Other tools", "What can be done with each tool"),
    "connect": ("tools", "connect", "Other tools", "Make a tool ask the vault"),
    "disconnect": ("disconnecting", "disconnect", "Other tools", "Undo connect"),
    "export": ("tools", "export", "Other tools", "Write credentials into a tool's own store"),
    "sync": ("tools", "sync", "Other tools", "Follow what other tools changed"),
    "helper": ("helping", "helper", "Other tools", "Answer a tool in its own protocol"),
    "why": ("choosing", "why", "Choosing", "Explain which credential would be used"),
    "order": ("choosing", "order", "Choosing", "The order in which profiles are tried"),
    "pin": ("choosing", "pin", "Choosing", "Use one profile and no other"),
    "unpin": ("choosing", "unpin", "Choosing", "Remove a pin"),
    "report": ("choosing", "report", "Choosing", "Report whether a use worked"),
    "health": ("choosing", "health", "Choosing", "Forgive failures"),
    "agent": ("agents", "app", "Choosing", "Agents and whom they inherit from"),
    "history": ("history", "history", "History", "What happened"),
    "restore": ("restore", "restore", "History", "Bring an earlier credential or order back"),
    "verify": ("checking", "verify", "The log", "Check the whole log"),
    "rebuild": ("checking", "rebuild", "The log", "Replay the log into fresh projections"),
    "backup": ("backups", "backup", "The log", "Write a copy, and check it"),
    "backup-restore": ("backups", "backup_restore", "The log", "Put a copy back"),
    "doctor": ("checking", "doctor", "The log", "Look for problems"),
    "key": ("keys", "key", "The log", "Ways to unlock"),
    "provider": ("providers", "app", "More", "Providers"),
    "config": ("config", "app", "More", "Settings"),
    "exit-codes": ("checking", "exit_codes", "More", "What the exit statuses mean"),
    "completion": ("completing", "completion", "More", "Let the shell complete words"),
    "help": ("explaining", "help_", "More", "How a command is used"),
}


class LazyGroup(Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def shown(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The commands that the help lists."""
        return [name for name, (_, _, group, _) in COMMANDS.items() if group]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Import and build one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, group, summary = COMMANDS[cmd_name]
        _follow_settings()
        found: Any = getattr(importlib.import_module(f"vault.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_command(found)
        else:
            app = typer.Typer(add_completion=False)
            settings = getattr(found, "settings", {})
            app.command(name=cmd_name, context_settings=settings)(found)
            command = typer.main.get_command(app)
        command.name = cmd_name
        command.short_help = summary
        command.hidden = not group
        command.rich_help_panel = group
        _as_plain_as_wanted(command)
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help, without bold where none is wanted."""
        _keep_plain()
        super().format_help(ctx, formatter)


def _as_plain_as_wanted(command: Any) -> None:
    """Let the help of a command, and of those within it, follow NO_COLOR: Typer leaves bold in it."""
    show = command.format_help

    def format_help(ctx: Any, formatter: Any) -> None:
        _keep_plain()
        show(ctx, formatter)

    command.format_help = format_help
    for inner in getattr(command, "commands", {}).values():
        _as_plain_as_wanted(inner)


def _keep_plain() -> None:
    if streams.plain():
        from typer import rich_utils

        rich_utils.COLOR_SYSTEM = None


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    help="An event-sourced, encrypted credential vault for AI agents.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _follow_settings() -> None:
    """Let the catalogue use what was fetched, where the settings allow it. Reads nothing yet."""
    from vault.cli.session import follow_settings

    follow_settings(os.environ)


def _version(wanted: bool) -> None:
    if wanted:
        output.write(f"vault (agent-vault) {__version__}")
        raise typer.Exit


def _show(wanted: bool) -> None:
    if wanted:
        from vault.cli.completing import completion

        completion()
        raise typer.Exit


def _install(wanted: bool) -> None:
    if wanted:
        from vault.cli.completing import completion

        completion(install=True)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option("--install-completion", callback=_install, is_eager=True, help="Install vault completion."),
    ] = False,
    show_completion: Annotated[
        bool, typer.Option("--show-completion", callback=_show, is_eager=True, help="Print vault completion.")
    ] = False,
) -> None:
    """An event-sourced, encrypted credential vault for AI agents."""


def main() -> None:
    """Run the command line and exit, or answer a shell that asks what a line could go on with."""
    streams.prepare()
    if COMPLETING in os.environ:
        from vault.cli.completing import answer

        sys.exit(answer(app))
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; its exit status. Errors are told on stderr, in one sentence, or as JSON with ``--json``.

    While it runs, the settings of the env file stand in the environment where that is silent.
    """
    added: dict[str, str] = {}
    if any(not a.startswith("-") for a in arguments[:1]):
        from vault.envfile import settled

        added = {name: value for name, value in settled(os.environ).items() if os.environ.get(name) != value}
    os.environ.update(added)
    try:
        return _run(arguments)
    finally:
        for name in added:
            os.environ.pop(name, None)


def _run(arguments: list[str]) -> int:
    own = _own(arguments)
    machine = any(a in ("--json", "--jsonl") for a in own)
    try:
        output.begin(own)
        status = _called(arguments)
        streams.flush()
        return status
    except streams.ReaderGone:
        return streams.READER_GONE
    except VaultError as error:
        return _failed(error, machine)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except UnicodeEncodeError:
        hint = "check the terminal's or the variable's encoding"
        return _failed(InputError("a text that was given is not UTF-8", hint=hint), machine)
    except (BrokenPipeError, SystemExit):  # Typer exits by itself when nobody reads its help any more
        streams.silence("stdout")
        return streams.READER_GONE
    except OSError as error:
        try:
            streams.flush()  # it is the output, if it still can't be written
        except StorageError as unwritten:
            return _failed(unwritten, machine)
        except streams.ReaderGone:
            return streams.READER_GONE
        failure = f"reading or writing failed: {error.strerror or type(error).__name__}"
        return _failed(StorageError(failure, hint="check the disk, and where the output goes"), machine)
    except Exception as error:  # noqa: BLE001 - the last gate: a defect must not print values
        return _failed(defect(error), machine)


def _called(arguments: list[str]) -> int:
    try:
        result = typer.main.get_command(app).main(args=arguments, prog_name="vault", standalone_mode=False)
    except typer.Exit as stop:
        return stop.exit_code
    except CLICK_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return UsageError.exit_status
        raise UsageError(_plain(error), hint=_advice(error)) from None
    if result == INTERRUPTED:  # newer Typers turn Ctrl-C into this
        return _interrupted()
    return result if isinstance(result, int) else 0


def _failed(error: VaultError, machine: bool) -> int:
    """Tell an error; the status it ends with. An answer that got lost is told with what was done before."""
    position = output.last_recorded()
    if position and error.hint == streams.CHECK:
        error.hint = f"what was asked is done and is in the history as event #{position}; only the answer is lost"
    _let_out()
    output.tell_error(error, machine)
    return error.exit_status


def _interrupted() -> int:
    _let_out()
    output.say("", "interrupted; nothing was left half-done")
    return INTERRUPTED


def _let_out() -> None:
    """Let out what was printed before an error. When it can't be, the error is still what is told."""
    with contextlib.suppress(StorageError, streams.ReaderGone):
        streams.flush()


def defect(error: BaseException) -> Defect:
    """A defect, told by type and place only: its message could hold a secret."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" at {os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}" if frame else ""
    position = output.last_recorded()
    log = f"what was done before it is in the history, up to event #{position}" if position else "the log is unchanged"
    return Defect(f"vault has a defect ({type(error).__name__}{place})", hint=f"please report it; {log}")


def _own(arguments: list[str]) -> list[str]:
    """The arguments before ``--``: what follows belongs to a child program."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _plain(error: Any) -> str:
    """A usage error that repeats no value: an argument too many may be a secret."""
    name = type(error).__name__
    param = getattr(error, "param", None)
    if name == "NoSuchOption":
        return f"there is no option {error.option_name.partition('=')[0]}"
    if name == "NoSuchCommand" or "No such command" in error.format_message():
        return "there is no such command"
    if name == "MissingParameter":
        return f"{_named(param)} is missing"
    if name == "BadParameter":
        return f"the value of {_named(param)} is not valid"
    text: str = error.format_message().rstrip(".")
    if "unexpected extra argument" in text:
        return "there are too many arguments"
    return text[:1].lower() + text[1:]


def _named(param: Any) -> str:
    if param is None:
        return "an argument"
    return str(max(param.opts, key=len)) if param.param_type_name == "option" else str(param.metavar or param.name)


def _advice(error: Any) -> str:
    context = getattr(error, "ctx", None)
    look = f"see {context.command_path if context else 'vault'} --help"
    if type(error).__name__ != "NoSuchOption" or context is None:
        return look
    from vault.guessing import did_you_mean

    options = [
        o for p in context.command.params if not getattr(p, "hidden", False) for o in (*p.opts, *p.secondary_opts)
    ]
    return did_you_mean(error.option_name, options, look)
