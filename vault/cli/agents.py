"""agent list, add, inherit, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from vault.cli import output
from vault.cli.groups import Group
from vault.cli.session import CommandOption, JsonOption, NoInputOption, ReasonOption, complete_agent, opened
from vault.errors import UsageError
from vault.values import MAIN_AGENT, parse_agent

app = typer.Typer(cls=Group, no_args_is_help=True, add_completion=False, help="Agents and whom they inherit from.")
AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="An agent's id.", autocompletion=complete_agent)]
NoParent = Annotated[bool, typer.Option("--none", help="Inherit from nobody.")]


@app.command("list")
def list_agents(json: JsonOption = False, no_input: NoInputOption = False) -> None:
    """List agents."""
    with opened(MAIN_AGENT, no_input=no_input) as context:
        state = context.queries.agents()
        rows = [
            (name, state.parents.get(name, ""), sum(1 for p in context.queries.profiles(name) if p.current))
            for name in state.names()
        ]
        if json:
            agents = [{"agent": n, "inherits": parent or None, "profiles": count} for n, parent, count in rows]
            output.write_json("agents", {"agents": agents})
        else:
            output.table(
                ("AGENT", "INHERITS FROM", "OWN PROFILES"), [(n, parent, str(count)) for n, parent, count in rows]
            )


@app.command("add")
def add(
    agent: AgentArgument,
    parent: Annotated[
        str, typer.Option("--inherit", "--from", help="Its parent.", autocompletion=complete_agent)
    ] = MAIN_AGENT,
    none: NoParent = False,
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Add an agent. It inherits from main by default."""
    from vault.commands.agents import add_agent

    name, inherits = parse_agent(agent), "" if none else parse_agent(parent)
    with opened(name, no_input=no_input) as context:
        position = add_agent(context, name, inherits, reason=reason, command=command_id)
    _tell(json, name, inherits, position, f"added agent {name}" + (f", inheriting from {inherits}" if inherits else ""))


@app.command("inherit")
def inherit(
    agent: AgentArgument,
    parent: Annotated[str, typer.Option("--from", help="Its new parent.", autocompletion=complete_agent)] = "",
    none: NoParent = False,
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Give an agent another parent, or none."""
    from vault.commands.agents import set_inheritance

    if bool(parent) == none:
        raise UsageError("no new parent is given, or two are", hint="use --from AGENT, or --none")
    name, inherits = parse_agent(agent), "" if none else parse_agent(parent)
    with opened(name, no_input=no_input) as context:
        position = set_inheritance(context, name, inherits, reason=reason, command=command_id)
    _tell(json, name, inherits, position, f"{name} inherits from {inherits or 'nobody'}")


@app.command("remove")
def remove(
    agent: AgentArgument,
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Remove an agent. Its profiles and its history stay in the log; adding it again brings them back."""
    from vault.commands.agents import remove_agent

    name = parse_agent(agent)
    with opened(name, no_input=no_input) as context:
        position = remove_agent(context, name, reason=reason, command=command_id)
    _tell(json, name, "", position, f"removed agent {name}; vault agent add {name} brings it back with its profiles")


def _tell(json: bool, agent: str, inherits: str, position: int | None, text: str) -> None:
    if json:
        output.write_json("agent", {"agent": agent, "inherits": inherits or None, "position": position})
    else:
        output.say(text + ("" if position is not None else " (no change)"))
