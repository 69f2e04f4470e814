"""helper: the protocols tools speak on stdin and stdout, and the names under which some of them call."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vault.cli import output, streams
from vault.cli.session import AgentOption, agent_id, complete_tool, one_of, opened
from vault.errors import UsageError, VaultError


def _complete_helper(incomplete: str) -> list[str]:
    from vault.interop.helpers import MODULES

    return one_of(*MODULES)(incomplete)


def helper(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="The protocol; without one they are listed.", autocompletion=_complete_helper)
    ] = "",
    agent: AgentOption = "main",
    tool: Annotated[
        str,
        typer.Option(
            "--tool", help="Who asks, for the history; else the program that called.", autocompletion=complete_tool
        ),
    ] = "",
    no_input: Annotated[bool, typer.Option("--no-input", hidden=True)] = True,  # noqa: ARG001 - helpers never ask
) -> None:
    """Answer a tool in its own protocol. Never prompts; an error is one line on stderr."""
    if not name:
        _list()
        return
    raise typer.Exit(answer(name, context.args, agent, tool))


helper.settings = {"ignore_unknown_options": True, "allow_extra_args": True}  # type: ignore[attr-defined]


def answer(name: str, arguments: Sequence[str], agent: str, tool: str) -> int:
    """Run a helper and write its answer; its exit status."""
    from vault.interop.helpers import Request
    from vault.interop.helpers import helper as named

    found = named(name)
    request = Request(list(arguments), os.environ, streams.receive)
    streams.need_output()
    try:
        from vault.commands.helping import Desk

        who = agent_id(agent)
        with opened(who, no_input=True, way=f"helper {name}") as opened_vault:
            said = found.run(request, Desk(opened_vault, who, name, tool))
    except UsageError:
        raise
    except VaultError as error:
        said = found.fail(request, error)
    except Exception as error:  # noqa: BLE001 - a defect must answer in the protocol too, and print no values
        from vault.cli.main import defect

        said = found.fail(request, defect(error))
    if said.out:
        streams.send_bytes(said.out)
    if said.err:
        output.say(said.err.split("\n")[0])
    return said.status


def _list() -> None:
    from vault.interop.helpers import helpers

    output.table(
        ("HELPER", "WHAT IT SPEAKS", "USAGE"),
        [(h.name, h.title, f"vault helper {h.name} {h.usage}") for h in helpers()],
        prose=("WHAT IT SPEAKS", "USAGE"),
    )


def called_by_name() -> None:
    """The entry of ``git-credential-vault`` and ``docker-credential-vault``: the program's name says which helper it is."""
    from vault.cli.main import run

    streams.prepare()
    name = Path(sys.argv[0]).name.removesuffix(".exe").partition("-credential-")[0]
    sys.exit(run(["helper", name, "--tool", name, *sys.argv[1:]]))
