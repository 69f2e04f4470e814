"""What commands share: options, opening the vault, asking a person, reading a secret."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output, streams
from vault.cli.output import ask_hidden as ask_hidden
from vault.errors import StorageError, UsageError
from vault.showing import ADVICE, RULE
from vault.values import LARGEST_SECRET_BYTES, MAIN_AGENT, AgentId, parse_agent, parse_secret, secret_in

if TYPE_CHECKING:
    from vault.context import Context, Places
    from vault.unlock import Ways


def complete_profile(ctx: typer.Context, incomplete: str) -> list[str]:
    """Profile ids for the shell, where the vault opens without asking anybody."""
    from vault.cli.completing import profiles

    return profiles(ctx, incomplete)


def complete_target(ctx: typer.Context, incomplete: str) -> list[str]:
    """What may be written for a provider or a profile: profiles and their providers, and what the catalogue has."""
    from vault.cli.completing import targets

    return targets(ctx, incomplete)


def complete_agent(ctx: typer.Context, incomplete: str) -> list[str]:
    """Agent ids for the shell, where the vault opens without asking anybody."""
    from vault.cli.completing import agents

    return agents(ctx, incomplete)


def complete_provider(incomplete: str) -> list[str]:
    """Provider ids for the shell."""
    from vault.cli.completing import providers

    return providers(incomplete)


def complete_tool(incomplete: str) -> list[str]:
    """Tool names for the shell."""
    from vault.interop.tools import MODULES

    return one_of(*MODULES)(incomplete)


def one_of(*words: str) -> Callable[[str], list[str]]:
    """What completes one of these words for the shell."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


AgentOption = Annotated[
    str,
    typer.Option(
        "--agent", "-a", envvar="VAULT_AGENT", help="The agent that uses the credential.", autocompletion=complete_agent
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
NoInputOption = Annotated[bool, typer.Option("--no-input", envvar="VAULT_NO_INPUT", help="Never prompt.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
CommandOption = Annotated[
    str, typer.Option("--command-id", help="Do this once: the same id again returns the first result.")
]
ProviderOption = Annotated[
    str, typer.Option("--provider", "-p", help="The provider.", autocompletion=complete_provider)
]
ProfileArgument = Annotated[
    str, typer.Argument(metavar="PROFILE", help="provider:name", autocompletion=complete_profile)
]


def follow_settings(environ: Mapping[str, str]) -> None:
    """Let the catalogue use what ``vault provider update`` fetched, unless ``provider.auto_update`` is false.

    The settings are read when the catalogue is first needed. Where they can't be read only the embedded catalogue is used.
    """
    from vault.errors import VaultError
    from vault.providers import catalogue
    from vault.settings import read_settings

    def allowed() -> bool:
        try:
            return read_settings(environ).auto_update
        except VaultError:
            return False

    catalogue.use_fetched(allowed)


def agent_id(text: str) -> AgentId:
    """The agent of an option. Raises InputError."""
    return parse_agent(text or MAIN_AGENT)


def can_ask(no_input: bool) -> bool:
    """Whether there is a person at a terminal who may be asked."""
    if no_input:
        return False
    if streams.on_terminal("stdin"):
        return True
    if not streams.on_terminal("stderr"):
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def asker(no_input: bool) -> Callable[[str], str] | None:
    """The hidden prompt, or None when nobody may be asked."""
    return ask_hidden if can_ask(no_input) else None


def ways(no_input: bool) -> Ways:
    """How this process may unlock."""
    from vault.unlock import Ways

    return Ways(environ=os.environ, ask=asker(no_input))


def places() -> Places:
    """Where the vault is."""
    from vault.context import Places

    return Places.of(os.environ)


@contextmanager
def opened(
    agent: str, *, no_input: bool = False, way: str = "cli", strange_slots: bool = False, quiet: bool = False
) -> Iterator[Context]:
    """Open and unlock the vault for a command.

    ``strange_slots`` is for those that look at key slots that aren't the log's; ``quiet`` for those where nothing may ask a
    person, in whatever way.

    When the log was rolled back, what only reads still answers, and the command ends with that error all the same.
    """
    from vault.context import current_actor, open_context

    actor = current_actor(os.environ, way, agent)
    context = open_context(places(), replace(ways(no_input), quiet=quiet), actor=actor, strange_slots=strange_slots)
    try:
        rolled_back = context.store.rollback
        yield context
        if rolled_back is not None and context.store.rollback is not None:
            streams.flush()
            raise rolled_back
    finally:
        output.recorded(context.store.appended)
        context.close()


def read_secret(prompt: str, *, stdin: bool, from_file: str, from_fd: int | None, no_input: bool) -> str:
    """A secret by hidden prompt, pipe, file or file descriptor. Raises UsageError, InputError, StorageError."""
    if sum((stdin, bool(from_file), from_fd is not None)) > 1:
        raise UsageError("two sources for the secret are given", hint="use one of --stdin, --from-file and --from-fd")
    if stdin or from_file == "-":
        return secret_in(streams.receive(LARGEST_SECRET_BYTES + 1))
    if from_fd is not None:
        try:
            with os.fdopen(os.dup(from_fd), "rb") as stream:
                return secret_in(stream.read(LARGEST_SECRET_BYTES + 1))
        except OSError as error:
            raise StorageError(f"file descriptor {from_fd} can't be read: {error.strerror}") from None
    if from_file:
        try:
            with Path(from_file).expanduser().open("rb") as stream:
                return secret_in(stream.read(LARGEST_SECRET_BYTES + 1))
        except OSError as error:
            raise StorageError(f"{from_file} can't be read: {error.strerror}", hint="check the path") from None
    if not can_ask(no_input):
        raise UsageError(
            "there is no terminal to ask for the secret", hint="give it with --stdin, --from-file PATH or --from-fd N"
        )
    return parse_secret(ask_hidden(prompt))


def refuse_secret_argument(extra: list[str] | None) -> None:
    """Refuse arguments too many where one could be a secret. Raises UsageError, which doesn't repeat it."""
    if extra:
        raise UsageError(RULE, hint=ADVICE)
