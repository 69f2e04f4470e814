"""tools, connect, disconnect, export, sync: other tools fed from the vault."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output, streams
from vault.cli.session import (
    AgentOption,
    JsonOption,
    NoInputOption,
    ReasonOption,
    agent_id,
    can_ask,
    complete_target,
    complete_tool,
    opened,
)
from vault.errors import NotFound, Unavailable, UsageError
from vault.values import AgentId

if TYPE_CHECKING:
    from vault.commands.exporting import Exported
    from vault.commands.syncing import Synced
    from vault.context import Context
    from vault.interop.findings import Skipped
    from vault.interop.plans import Link
    from vault.interop.tools import Tool


ToolArgument = Annotated[
    str, typer.Argument(metavar="TOOL", help="vault tools lists them.", autocompletion=complete_tool)
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
DryOption = Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be done; do nothing.")]
PathOption = Annotated[
    str, typer.Option("--to", metavar="PATH", help="The tool's file or folder, if not the usual one.")
]
WhatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--provider", "-p", help="Only this provider or profile (repeat for more).", autocompletion=complete_target
    ),
]


def tools(json: JsonOption = False) -> None:
    """What can be done with each tool, and the command for it."""
    from vault.interop.tools import tools as all_tools

    rows = []
    for tool in all_tools():
        found = [str(p) for p in tool.places(os.environ, Path.home()) if p.exists()]
        rows.append((tool, found))
    if json:
        output.write_json(
            "tools",
            {
                "tools": [
                    {
                        "tool": t.name,
                        "name": t.title,
                        "found": found,
                        "import": t.read is not None,
                        "export": t.write is not None,
                        "connect": t.connect is not None,
                        "exec": t.inject is not None,
                        "scrub": t.scrub is not None,
                        "helper": t.helper or None,
                        "ownership": t.ownership,
                        "line": t.line or None,
                    }
                    for t, found in rows
                ]
            },
        )
        return
    output.table(
        ("TOOL", "HERE", "IMPORT", "EXPORT", "SERVE", "OWNERSHIP", "TYPE"),
        [
            (
                t.name,
                "yes" if found else "",
                "yes" if t.read else "",
                "yes" if t.write else "",
                ", ".join(w for w, can in (("connect", t.connect), ("exec", t.inject), ("helper", t.helper)) if can),
                t.ownership,
                t.line,
            )
            for t, found in rows
        ],
        least=("OWNERSHIP", "EXPORT", "IMPORT", "SERVE"),
        prose=("SERVE", "OWNERSHIP", "TYPE"),
    )


def connect(
    tool: ToolArgument,
    provider: WhatOption = None,
    agent: AgentOption = "main",
    to: PathOption = "",
    undo: Annotated[bool, typer.Option("--undo", help="Put the tool's files back as they were before.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Show every line that would change, not only in short.")] = False,
    dry_run: DryOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Make a tool ask the vault: says what changes in its configuration, file by file, then makes it. --undo takes it back."""
    if undo:
        from vault.cli.disconnecting import take_back

        take_back(tool, agent, to, json, no_input, as_it_was=True)
        return
    from vault.cli.changes import body_of, tell_changes
    from vault.commands.connecting import connect as make
    from vault.commands.connecting import propose
    from vault.commands.naming import check_provider, target
    from vault.interop.plans import Link
    from vault.interop.tools import tool as named

    found, name = named(tool), agent_id(agent)
    wanted = [target(text) for text in provider or []]
    link = Link(own_command(), name, tuple(provider or []))
    place = Path(to).expanduser() if to else None
    with opened(name, no_input=no_input) as context:
        for one, _ in wanted:
            check_provider(context, one)
        link = _link(context, found, name, link)
        shown = propose(context, found, link, place)
        done = None
        if shown.changes and not dry_run:
            if not yes:
                tell_changes(shown, whole=show)
                if not can_ask(no_input):
                    raise UsageError(
                        "the change needs a yes, and there is no terminal to ask",
                        hint="look at it above, then add --yes",
                    )
                if not output.confirm(f"Change {found.title}'s configuration?"):
                    output.say("nothing was changed")
                    raise typer.Exit(0)
            done = make(context, found, link, shown, place)
    if json:
        output.write_json(
            "connect",
            {
                "tool": found.name,
                "agent": name,
                "changed": done is not None,
                "dry_run": dry_run,
                "files": [str(w.path) for w in shown.plan.writes],
                "changes": body_of(shown),
                "notes": shown.plan.notes,
                "left_out": _left_out(shown.plan.left_out),
            },
        )
        return
    if dry_run or (yes and show):
        tell_changes(shown, whole=show)
    for skipped in shown.plan.left_out:
        output.say(output.printable(f"{skipped.name} is left out: {skipped.why}"))
    for note in shown.plan.notes:
        output.say(output.printable(note))
    if not shown.changes:
        output.say(f"{found.title} asks the vault already")
    elif done is not None:
        output.say(f"{found.title} now asks the vault; vault disconnect {found.name} undoes this")


def export(
    tool: ToolArgument,
    provider: WhatOption = None,
    agent: AgentOption = "main",
    to: PathOption = "",
    hand_over: Annotated[
        bool,
        typer.Option("--hand-over", help="Give logins away, refresh token too: the tool refreshes them from then on."),
    ] = False,
    over: Annotated[
        bool, typer.Option("--replace", help="Also overwrite a credential there that the vault doesn't hold.")
    ] = False,
    dry_run: DryOption = False,
    yes: YesOption = False,
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Write credentials into a tool's own store, in plain text, as it keeps them. Serving (vault connect) is better."""
    from vault.commands.exporting import export as write
    from vault.commands.naming import check_provider, target
    from vault.interop.tools import tool as named

    found, name = named(tool), agent_id(agent)
    what = [target(text) for text in provider or []]
    if hand_over and not yes and not dry_run:
        if not can_ask(no_input):
            raise UsageError(
                "handing a login over can't be undone: it needs a yes, and there is no terminal to ask",
                hint="add --yes",
            )
        question = f"Give the refresh tokens to {found.title}? The vault will not refresh these logins again"
        if not output.confirm(question):
            output.say("nothing was written")
            raise typer.Exit(0)
    place = Path(to).expanduser() if to else None
    with opened(name, no_input=no_input, way="export") as context:
        for one, _ in what:
            check_provider(context, one)
        done = write(
            context, found, name, what=what, to=place, hand_over=hand_over, over=over, dry_run=dry_run, reason=reason
        )
    if json:
        output.write_json("export", _exported(done, name))
        return
    output.table(("PROFILE", "THERE", "FILE"), [(w.profile, w.name, w.path) for w in done.written])
    for skipped in done.left_out:
        output.say(output.printable(f"{skipped.name} is left out: {skipped.why}"))
    for note in done.notes:
        output.say(output.printable(note))
    verb = "would write" if dry_run else "wrote" if done.changed else "nothing changed;"
    state = f"{len(done.written)} into {found.title}'s store"
    output.say(f"{verb} {state}" if done.changed or dry_run else f"{found.title} has all {len(done.written)} already")


def sync(
    tool: Annotated[list[str] | None, typer.Argument(metavar="[TOOL]…", autocompletion=complete_tool)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep doing it, until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option("--every", min=1, help="With --watch: seconds between two checks.")] = 30,
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Read again the logins that other tools own, and write again what was exported and has changed since."""
    from vault.commands.syncing import sync as once
    from vault.interop.tools import tool as named
    from vault.values import MAIN_AGENT

    names = [named(name).name for name in tool or []]
    while True:
        with opened(MAIN_AGENT, no_input=no_input, way="sync") as context:
            done = once(context, names)
        _tell_sync(done, json=json, quiet=watch)
        if not watch:
            raise typer.Exit(1 if done.failed else 0)
        streams.flush()
        time.sleep(every)


def _tell_sync(done: Synced, *, json: bool, quiet: bool) -> None:
    if json:
        output.write_json(
            "sync",
            {
                "read": [
                    {
                        "agent": r.agent,
                        "profile": r.profile,
                        "tool": r.tool,
                        "path": r.path,
                        "done": r.done,
                        "why": r.why or None,
                    }
                    for r in done.reread
                ],
                "written": [
                    {
                        "tool": r.tool,
                        "agent": r.agent,
                        "path": r.path,
                        "changed": bool(r.done and r.done.changed),
                        "error": r.error or None,
                    }
                    for r in done.resent
                ],
            },
        )
        return
    for one in done.reread:
        if not quiet or one.done in ("changed", "unread"):
            text = {"changed": "has a new credential", "same": "is as it was", "gone": "is gone there"}.get(
                one.done, one.why
            )
            output.say(output.printable(f"{one.profile} of {one.agent} in {one.path or one.tool}: {text}"))
    for sent in done.resent:
        if sent.error or not quiet or (sent.done and sent.done.changed):
            text = sent.error or ("written again" if sent.done and sent.done.changed else "is as it was")
            output.say(output.printable(f"{sent.path}: {text}"))
    if not done.reread and not done.resent and not quiet:
        output.say("nothing here is owned by another tool, and nothing was exported")


def own_command() -> str:
    """The absolute path of this command, as other programs may start it: no link, for some refuse one.

    Raises Unavailable when it isn't installed as a command.
    """
    beside = Path(sys.executable).with_name("vault")
    called = Path(sys.argv[0])
    for candidate in (called if called.name in ("vault", "agent-vault") else None, beside, shutil.which("vault")):
        if candidate and Path(candidate).is_file():
            return os.path.realpath(candidate)
    raise Unavailable("vault isn't installed as a command, so other tools can't call it", hint="install agent-vault")


def _link(context: Context, tool: Tool, agent: AgentId, link: Link) -> Link:
    """What a tool is to ask for: what was named, or every provider the agent has something for; and of what kind each is now."""
    from vault.commands.exporting import meant_for
    from vault.commands.naming import target
    from vault.commands.why import decide
    from vault.interop.plans import Link
    from vault.projections.queries import View

    visible = View(context.queries, agent).visible()
    what = link.what or meant_for(tool, visible)
    if not what:
        raise NotFound(f"agent {agent} has nothing that {tool.title} could ask for", hint="vault login PROVIDER")
    kinds: dict[str, str] = {}
    base_urls: dict[str, str] = {}
    for name in what:
        provider, profile = target(name)
        candidate = decide(context, agent, provider, way="connect").candidate
        chosen = profile or (candidate.profile if candidate else "")
        state = visible.get(chosen)
        if state is not None and state.current is not None:
            kinds[name] = state.current.facts.kind
            base_urls |= {name: url} if (url := state.current.facts.base_url) else {}
    if base_urls and not tool.addresses:
        elsewhere, url = next(iter(base_urls.items()))
        if elsewhere in link.what or len(base_urls) == len(what):
            raise UsageError(
                f"{elsewhere} belongs to {url}, and {tool.title} has no setting for that", hint="vault tools"
            )
        what, base_urls = [name for name in what if name not in base_urls], {}
    return Link(link.command, agent, tuple(what), kinds, base_urls)


def _left_out(skipped: Iterable[Skipped]) -> list[dict[str, object]]:
    return [{"name": s.name, "why": s.why} for s in skipped]


def _exported(done: Exported, agent: str) -> dict[str, object]:
    return {
        "tool": done.tool,
        "agent": agent,
        "dry_run": done.dry_run,
        "changed": done.changed,
        "position": done.position,
        "written": [
            {"profile": w.profile, "name": w.name, "path": w.path, "refresh_token": w.whole} for w in done.written
        ],
        "left_out": _left_out(done.left_out),
        "notes": list(done.notes),
    }
