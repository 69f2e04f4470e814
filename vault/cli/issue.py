"""get, env, exec."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output, streams
from vault.cli.session import (
    AgentOption,
    JsonOption,
    NoInputOption,
    ReasonOption,
    agent_id,
    complete_target,
    complete_tool,
    one_of,
    opened,
)
from vault.errors import NotFound, Unavailable, UsageError, VaultError
from vault.guessing import did_you_mean
from vault.providers.cloud import OVERRIDE
from vault.showing import shown

if TYPE_CHECKING:
    from vault.commands.issue import Issued, Ready
    from vault.values import Secret

SHELLS = ("sh", "bash", "zsh", "fish", "powershell")

ProvidersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--provider", "-p", help="Only this provider or profile (repeat for more).", autocompletion=complete_target
    ),
]


def get(
    what: Annotated[
        str, typer.Argument(metavar="PROVIDER|PROFILE", help="What to hand out.", autocompletion=complete_target)
    ],
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Print a secret and nothing else. The hand-out is in the history first.

    For a cloud provider it is the bearer token, key or access token of the mode in use. An AWS key pair is several secrets: run
    the program with vault exec, or get them with --json.
    """
    from vault.commands.issue import issue
    from vault.commands.naming import target

    name = agent_id(agent)
    provider, profile = target(what)
    streams.need_output()
    with opened(name, no_input=no_input) as context:
        issued = issue(context, name, provider, profile=profile, way="get", reason=reason, single=not json)
    if json:
        output.write_json(
            "get",
            {
                "agent": issued.agent,
                "provider": issued.provider,
                "profile": issued.profile or None,
                "source": issued.source,
                "kind": issued.kind,
                "expires_at": output.moment(issued.expires_at),
                "position": issued.position,
                "mode": issued.mode or None,
                "secret": issued.secret.reveal() if issued.single else None,
                "variables": _revealed(issued.variables) or None,
                "base_url": issued.base_url or None,
            },
        )
        return
    output.write_exact(issued.secret.reveal())
    if issued.base_url:
        called = issued.profile or issued.source
        output.say(output.printable(f"{called} belongs to {issued.base_url}, and is used only there"))


def env(
    provider: ProvidersOption = None,
    agent: AgentOption = "main",
    shell: Annotated[
        str,
        typer.Option(
            "--shell", help="sh (bash, zsh, …), fish or powershell.", autocompletion=one_of("sh", "fish", "powershell")
        ),
    ] = "sh",
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Print shell lines that set the credentials: eval "$(vault env)".

    Variables that would make a cloud's tools use another credential are unset.
    """
    if shell not in SHELLS:
        hint = did_you_mean(shell, SHELLS, "use sh, fish or powershell")
        raise UsageError(f"{shown(shell)} is not a shell that vault knows", hint=hint)
    streams.need_output()
    found = _collect(agent, provider or [], "env", "", reason, no_input)
    removed = sorted(name for name in found.removed if name in os.environ and not name.startswith(OVERRIDE[0]))
    if json:
        body = {"agent": agent_id(agent), "variables": found.values, "removed": removed}
        output.write_json("env", {**body, "issued": [_told(i) for i in found.issued]})
        return
    for name in removed:
        output.write_exact(_removal(shell, name))
    for name, value in found.values.items():
        output.write_exact(_assignment(shell, name, value))


def exec_(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGUMENT]…", help="The program to run.")],
    provider: ProvidersOption = None,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    no_input: NoInputOption = False,
    keep_passphrase: Annotated[
        bool, typer.Option("--keep-passphrase", help="Leave VAULT_PASSPHRASE in the program's environment.")
    ] = False,
    tool: Annotated[
        str,
        typer.Option(
            "--tool",
            help="The tool that PROGRAM is (vault tools): it gets its credentials in the way that suits it.",
            autocompletion=complete_tool,
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print errors as JSON; stdout is the program's.")] = False,  # noqa: ARG001 - main looks at it
) -> None:
    """Run a program with credentials in its environment. Its status and signals are its own.

    Other values of the same variables are removed first. The program also gets VAULT_AGENT, and neither VAULT_PASSPHRASE nor any
    VAULT_AWS_* variable. Of a cloud provider it gets the mode in use: all of its variables, and none that compete with them.
    """
    program = shutil.which(command[0])
    if program is None:
        raise Unavailable(f"the program {command[0]} is not there", hint="check its name and PATH")
    if tool:
        values, gone = _injected(tool, agent, provider or [], reason, no_input)
    else:
        found = _collect(agent, provider or [], "exec", os.path.basename(program), reason, no_input)
        values, gone = found.values, frozenset(found.stale | found.removed)
    environment = {k: v for k, v in os.environ.items() if k not in gone and not k.startswith(OVERRIDE[0])}
    if not keep_passphrase:
        environment.pop("VAULT_PASSPHRASE", None)
    environment |= {"VAULT_AGENT": agent_id(agent), **values}
    streams.flush()
    _become(program, command, environment)


exec_.settings = {"ignore_unknown_options": False, "allow_interspersed_args": False}  # type: ignore[attr-defined]


def _become(program: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Turn into the program where the platform can, so that status and signals need no passing on."""
    try:
        if os.name == "posix":
            for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores these, and a program inherits what is ignored
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            os.execve(program, list(command), dict(environment))  # noqa: S606
        raise typer.Exit(subprocess.call(list(command), executable=program, env=dict(environment)))
    except OSError as error:
        raise Unavailable(
            f"the program {command[0]} can't be run: {error.strerror}", hint="check that it is executable"
        ) from None


def _injected(
    tool: str, agent: str, wanted: list[str], reason: str, no_input: bool
) -> tuple[dict[str, str], frozenset[str]]:
    """The variables of ``--tool``, and those that must go. A secret on a descriptor waits in a pipe the program inherits."""
    from vault.commands.injecting import inject
    from vault.commands.naming import target
    from vault.interop.tools import tool as named

    found, name = named(tool), agent_id(agent)
    targets = [target(text) for text in wanted]
    with opened(name, no_input=no_input) as context:
        done = inject(context, found, name, targets, reason=reason)
    for skipped in done.left_out:
        output.say(output.printable(f"{skipped.name} is left out: {skipped.why}"))
    output.say(*done.injection.notes)
    values = _revealed(done.injection.variables)
    for variable, secret in done.injection.descriptors.items():
        reader, writer = os.pipe()
        os.write(writer, secret.reveal().encode())
        os.close(writer)
        os.set_inheritable(reader, True)
        values[variable] = str(reader)
    return values, done.injection.remove


@dataclass(frozen=True, slots=True)
class _Collected:
    """Variables to set; those whose other values are stale; those that a cloud's tools would read instead; the hand-outs."""

    values: dict[str, str]
    stale: set[str]
    removed: set[str]
    issued: list[Issued]


def _collect(agent: str, wanted: list[str], way: str, program: str, reason: str, no_input: bool) -> _Collected:
    from vault.commands.children import prepare_all, stale_names
    from vault.commands.further import without_clashes
    from vault.commands.issue import hand_out, prepare
    from vault.commands.naming import target

    name = agent_id(agent)
    targets = [target(text) for text in wanted]
    left_out: list[tuple[str, VaultError]] = []
    with opened(name, no_input=no_input) as context:
        if targets:
            ready = [prepare(context, name, p, profile=named, way=way, program=program) for p, named in targets]
        else:
            ready = prepare_all(context, name, way=way, program=program, left_out=left_out)
        ready = [_placed(r, way) for r in ready]
        for item in ready:
            if item.note and not (item.values or wanted):
                output.say(f"{_name(item)}: {item.note}")
        ready = [r for r in ready if r.values or wanted]
        if left_out and not ready:
            raise left_out[0][1]
        for what, error in left_out:
            output.say(output.printable(f"{what} is left out: {error}"))
        if not ready:
            raise NotFound(f"agent {name} has no usable credential", hint="vault login PROVIDER, or vault list")
        unplaced = [r for r in ready if not r.values]
        if unplaced:
            raise UsageError(
                f"{unplaced[0].event.provider} has no environment variable for a {unplaced[0].kind}",
                hint=f"use vault get {unplaced[0].event.profile or unplaced[0].event.provider}",
            )
        ready, lost = without_clashes(ready)
        for text in lost:
            output.say(output.printable(text))
        chosen = _together(ready)
        for item in chosen:
            if item.note:
                output.say(f"{_name(item)}: {item.note}")
        issued = hand_out(context, chosen, way=way, reason=reason)
    values = {name: value for item in chosen for name, value in _revealed(item.values).items()}
    stale = stale_names(item.event.provider for item in chosen) | set(values)
    removed = {name for item in chosen for name in item.removed} - set(values)
    return _Collected(values, stale, removed, issued)


def _together(ready: Sequence[Ready]) -> list[Ready]:
    """Those that can stand in one environment, the first first; the others are told."""
    chosen: list[Ready] = []
    for item in ready:
        taken = next(((other, name) for other in chosen for name in _clashes(item, other)), None)
        if taken is None:
            chosen.append(item)
            continue
        output.say(f"{_name(item)} is left out: {_name(taken[0])} has {taken[1]} already (choose with --provider)")
    return chosen


def _clashes(item: Ready, other: Ready) -> list[str]:
    """Variables that two want otherwise; of clouds also those that one sets and the other must not have beside its own."""
    ours, theirs = item.values, other.values
    clashes = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    if item.mode and other.mode:
        clashes += [name for name in ours if name in other.removed and name not in theirs]
        clashes += [name for name in theirs if name in item.removed and name not in ours]
    return clashes


def _name(item: Ready) -> str:
    return item.event.profile or item.event.provider


def _revealed(variables: Mapping[str, Secret]) -> dict[str, str]:
    return {name: value.reveal() for name, value in variables.items()}


def _placed(ready: Ready, way: str) -> Ready:
    """Without the variables that can't be set: a name may come from another tool's store, and must not be code to a shell."""
    possible = re.compile(r"[A-Za-z_]\w*" if way == "env" else r"\w+", re.ASCII)
    for name in ready.names:
        if not possible.fullmatch(name):
            what = ready.event.profile or ready.event.provider
            output.say(f"{what} is left out of {output.printable(name)}: that is not a valid name of a variable here")
    return replace(ready, names=tuple(name for name in ready.names if possible.fullmatch(name)))


def _removal(shell: str, name: str) -> str:
    return {"fish": f"set -e {name}", "powershell": f"Remove-Item Env:{name}"}.get(shell, f"unset {name}")


def _assignment(shell: str, name: str, value: str) -> str:
    if shell == "fish":
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{quoted}'"
    if shell == "powershell":
        quoted = re.sub("(['‘’‚‛])", r"\1\1", value)  # each of them ends a text there
        return f"$Env:{name} = '{quoted}'"
    return f"export {name}={shlex.quote(value)}"


def _told(issued: Issued) -> dict[str, object]:
    return {
        "provider": issued.provider,
        "profile": issued.profile or None,
        "source": issued.source,
        "variables": list(issued.values),
        "position": issued.position,
    }
