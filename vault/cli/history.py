"""history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vault.cli import output, streams
from vault.cli.session import (
    JsonOption,
    NoInputOption,
    complete_agent,
    complete_profile,
    complete_provider,
    one_of,
    opened,
)
from vault.errors import UsageError
from vault.values import MAIN_AGENT, parse_agent

if TYPE_CHECKING:
    from vault.commands.history import Filter
    from vault.context import Context
    from vault.log.records import Recorded

POLL_SECONDS = 0.25
DEFAULT_LIMIT = 50
COLUMNS = ("position", "at", "type", "agent", "profile", "user", "host", "pid", "program", "way", "reason", "text")


def _complete_type(incomplete: str) -> list[str]:
    from vault.events.types import EVENT_TYPES

    return one_of(*EVENT_TYPES)(incomplete)


def history(
    agent: Annotated[str, typer.Option("--agent", "-a", help="Only this agent.", autocompletion=complete_agent)] = "",
    provider: Annotated[
        str, typer.Option("--provider", "-p", help="Only this provider.", autocompletion=complete_provider)
    ] = "",
    profile: Annotated[str, typer.Option("--profile", help="Only this profile.", autocompletion=complete_profile)] = "",
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only this type of event (repeat for more).", autocompletion=_complete_type),
    ] = None,
    actor: Annotated[str, typer.Option("--actor", help="Only this OS user or program.")] = "",
    since: Annotated[str, typer.Option("--since", help="From: 2h, monday, 2026-01-31, 2026-01-31T09:30.")] = "",
    until: Annotated[str, typer.Option("--until", help="Up to.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most this many (0: all).")] = DEFAULT_LIMIT,
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="Oldest first.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new events as they happen.")] = False,
    json: JsonOption = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON object per line.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    no_input: NoInputOption = False,
) -> None:
    """Show what happened, newest first. Never a secret."""
    from vault.cli.moments import parse_moment
    from vault.commands.history import Filter, check_types, nothing_found, read_history
    from vault.commands.naming import named_profile, resolve

    if sum((json, jsonl, csv)) > 1 or (follow and json):
        raise UsageError(
            "two forms of output are asked for", hint="use one of --json, --jsonl, --csv; --follow with --jsonl"
        )
    check_types(types or [])
    with opened(MAIN_AGENT, no_input=no_input) as context:
        now = context.clock.now()
        wanted = Filter(
            parse_agent(agent) if agent else "",
            resolve(provider) if provider else "",
            named_profile(profile) if profile else "",
            tuple(types or []),
            actor,
            parse_moment(since, now) if since else None,
            parse_moment(until, now, end=True) if until else None,
        )
        start = context.store.head().position
        found = read_history(context, wanted, limit=limit or None, oldest_first=reverse and not follow)
        if follow:
            recent = list(found)
            start = max([start, *(r.position for r in recent)])
            found = iter(reversed(recent))
        if json:
            output.write_json("history", {"events": [body(r) for r in found]})
        elif csv:
            _csv(found)
        elif jsonl:
            for record in found:
                output.write_json_line(body(record))
        elif not _lines(found) and not follow:
            output.say(output.printable(nothing_found(context, wanted)))
        if follow:
            _follow(context, wanted, start, csv=csv, jsonl=jsonl)


def body(record: Recorded) -> dict[str, Any]:
    """An event for programs."""
    import msgspec

    from vault.cli.sentences import sentence

    envelope = record.envelope
    return {
        "position": record.position,
        "at": output.moment(record.at),
        "type": envelope.type,
        "schema_version": envelope.schema,
        "stream": record.stream,
        "version": record.version,
        "actor": msgspec.to_builtins(envelope.actor),
        "command_id": envelope.command,
        "correlation_id": envelope.correlation or None,
        "causation": envelope.causation,
        "reason": envelope.reason or None,
        "facts": msgspec.json.decode(envelope.facts),
        "text": sentence(record),
    }


def _lines(records: Iterator[Recorded]) -> bool:
    """Print events; whether there were any."""
    from vault.cli.sentences import sentence, who

    first = next(records, None)
    output.lines(
        f"{output.local(record.at)}  #{record.position:<6} {who(record)} {sentence(record)}"
        for record in (chain([first], records) if first is not None else ())
    )
    return first is not None


def _csv(records: Iterator[Recorded], *, heading: bool = True) -> None:
    from vault.cli.sentences import sentence

    if heading:
        output.write_csv([COLUMNS])
    output.write_csv(
        (
            record.position,
            output.moment(record.at),
            record.envelope.type,
            getattr(record.event, "agent", ""),
            getattr(record.event, "profile", ""),
            record.envelope.actor.user,
            record.envelope.actor.host,
            record.envelope.actor.pid,
            record.envelope.actor.program,
            record.envelope.actor.way,
            record.envelope.reason,
            sentence(record),
        )
        for record in records
    )


def _follow(context: Context, wanted: Filter, after: int, *, csv: bool, jsonl: bool) -> None:
    """Show new events as they come, until interrupted."""
    from vault.commands.history import read_history

    while True:
        streams.flush()
        head = context.store.head().position
        if head <= after:
            time.sleep(POLL_SECONDS)
            continue
        fresh = list(read_history(context, wanted, oldest_first=True, after=after))
        after = max([head, *(r.position for r in fresh)])  # it may have read further than the head was
        if csv:
            _csv(iter(fresh), heading=False)
        elif jsonl:
            for record in fresh:
                output.write_json_line(body(record))
        else:
            _lines(iter(fresh))
