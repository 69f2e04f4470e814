"""disconnect: what connect or import --scrub changed is taken back; each file is told truthfully, and what stays in it."""

from __future__ import annotations

from pathlib import Path

from vault.cli import output
from vault.cli.session import AgentOption, JsonOption, NoInputOption, agent_id, opened
from vault.cli.tools import PathOption, ToolArgument, own_command

_DONE = {
    "restored": "is as it was",
    "removed": "is gone again",
    "changed": "no longer asks the vault; what was changed since stays",
}


def disconnect(
    tool: ToolArgument,
    agent: AgentOption = "main",
    to: PathOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Take back what connect changed. Edits made since stay."""
    take_back(tool, agent, to, json, no_input, as_it_was=False)


def take_back(tool: str, agent: str, to: str, json: bool, no_input: bool, *, as_it_was: bool) -> None:
    """Disconnect a tool, and say of each file what was done. ``as_it_was`` refuses where one was edited since."""
    from vault.commands.connecting import disconnect as end
    from vault.interop.tools import tool as named

    found, name = named(tool), agent_id(agent)
    with opened(name, no_input=no_input) as context:
        place = Path(to).expanduser() if to else None
        done = end(context, found, own_command(), place, as_it_was=as_it_was)
    if json:
        output.write_json(
            "disconnect",
            {
                "tool": found.name,
                "files": [one.path for one in done.files],
                "changes": [{"path": one.path, "done": one.done} for one in done.files],
                "kept": [{"name": one.name or None, "path": one.path, "why": one.why} for one in done.kept],
                "notes": list(done.notes),
            },
        )
        return
    for one in done.files:
        output.say(output.printable(f"{one.path} {_DONE[one.done]}"))
    for kept_one in done.kept:
        what = f"{kept_one.name} in {kept_one.path}" if kept_one.name else kept_one.path
        output.say(output.printable(f"{what} stays: {kept_one.why}"))
    for note in done.notes:
        output.say(output.printable(note))
    output.say(f"{found.title} no longer asks the vault" if not done.kept else f"{found.title} is disconnected")
