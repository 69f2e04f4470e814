"""get, env, exec."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output
from vault.cli.session import AgentOption, JsonOption, NoInputOption, ReasonOption, agent_id, complete_profile, opened
from vault.errors import NotFound, Unavailable, UsageError, VaultError

if TYPE_CHECKING:
    from vault.commands.issue import Issued, Ready

ProvidersOption = Annotated[
    list[str] | None, typer.Option("--provider", "-p", help="Only this provider or profile (repeat for more).")
]


def get(
    what: Annotated[
        str, typer.Argument(metavar="PROVIDER|PROFILE", help="What to hand out.", autocompletion=complete_profile)
    ],
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Print a secret, alone. The hand-out is in the history first."""
    from vault.commands.issue import issue
    from vault.commands.naming import target

    name = agent_id(agent)
    provider, profile = target(what)
    with opened(name, no_input=no_input) as context:
        issued = issue(context, name, provider, profile=profile, way="get", reason=reason)
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
                "secret": issued.secret.reveal(),
            },
        )
    else:
        output.write(issued.secret.reveal())


def env(
    provider: ProvidersOption = None,
    agent: AgentOption = "main",
    shell: Annotated[str, typer.Option("--shell", help="sh (bash, zsh, …), fish or powershell.")] = "sh",
    reason: ReasonOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Print shell lines that set the credentials: eval "$(vault env)"."""
    if shell not in ("sh", "bash", "zsh", "fish", "powershell"):
        raise UsageError(f"{shell!r} is not a shell this knows", hint="use sh, fish or powershell")
    values, _, issued = _collect(agent, provider or [], "env", "", reason, no_input)
    if json:
        output.write_json("env", {"agent": agent_id(agent), "variables": values, "issued": [_told(i) for i in issued]})
        return
    for name, value in values.items():
        output.write(_assignment(shell, name, value))


def exec_(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGUMENT]…", help="The program to run.")],
    provider: ProvidersOption = None,
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    no_input: NoInputOption = False,
    keep_passphrase: Annotated[
        bool, typer.Option("--keep-passphrase", help="Leave VAULT_PASSPHRASE in the program's environment.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Tell an error as JSON; stdout is the program's.")] = False,  # noqa: ARG001 - main looks at it
) -> None:
    """Run a program with credentials in its environment. Its status and signals are its own.

    Other values of the same variables are removed first. The program also gets VAULT_AGENT, and not VAULT_PASSPHRASE.
    """
    program = shutil.which(command[0])
    if program is None:
        raise Unavailable(f"the program {command[0]} is not there", hint="check its name and PATH")
    values, stale, _ = _collect(agent, provider or [], "exec", os.path.basename(program), reason, no_input)
    environment = {k: v for k, v in os.environ.items() if k not in stale}
    if not keep_passphrase:
        environment.pop("VAULT_PASSPHRASE", None)
    environment |= {"VAULT_AGENT": agent_id(agent), **values}
    sys.stdout.flush()
    sys.stderr.flush()
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


def _collect(
    agent: str, wanted: list[str], way: str, program: str, reason: str, no_input: bool
) -> tuple[dict[str, str], set[str], list[Issued]]:
    """Variables to set, names whose other values are stale, and what was handed out."""
    from vault.commands.issue import hand_out, prepare, prepare_all, stale_names
    from vault.commands.naming import target
    from vault.commands.why import STORED_ONLY

    name = agent_id(agent)
    targets = [target(text) for text in wanted]
    left_out: list[tuple[str, VaultError]] = []
    with opened(name, no_input=no_input) as context:
        if targets:
            ready = [
                prepare(context, name, p, profile=named, way=way, program=program, sources=STORED_ONLY)
                for p, named in targets
            ]
        else:
            ready = prepare_all(context, name, [], way=way, program=program, left_out=left_out)
        ready = [_placed(r, way) for r in ready]
        ready = [r for r in ready if r.names or wanted]
        if left_out and not ready:
            raise left_out[0][1]
        for profile, error in left_out:
            output.say(output.printable(f"{profile} is left out: {error}"))
        if not ready:
            raise NotFound(f"agent {name} has no usable credential", hint="vault login PROVIDER, or vault list")
        unplaced = [r for r in ready if not r.names]
        if unplaced:
            raise UsageError(
                f"{unplaced[0].event.provider} has no environment variable for a {unplaced[0].kind}",
                hint=f"use vault get {unplaced[0].event.profile or unplaced[0].event.provider}",
            )
        values: dict[str, str] = {}
        owners: dict[str, str] = {}
        chosen = []
        for item in ready:
            taken = [n for n in item.names if n in values and values[n] != item.secret.reveal()]
            if taken:
                output.say(
                    f"{item.event.profile or item.event.provider} is left out: {owners[taken[0]]} has {taken[0]} already "
                    f"(choose with --provider)"
                )
                continue
            chosen.append(item)
            for variable in item.names:
                values[variable] = item.secret.reveal()
                owners[variable] = item.event.profile or item.event.provider
        issued = hand_out(context, chosen, way=way, reason=reason)
    stale = stale_names(item.event.provider for item in chosen) | set(values)
    return values, stale, issued


def _placed(ready: Ready, way: str) -> Ready:
    """Without the variables that can't be set: a name may come from another tool's store, and must not be code to a shell."""
    possible = re.compile(r"[A-Za-z_]\w*" if way == "env" else r"\w+", re.ASCII)
    for name in ready.names:
        if not possible.fullmatch(name):
            what = ready.event.profile or ready.event.provider
            output.say(f"{what} is left out of {output.printable(name)}: that is no name of a variable here")
    return replace(ready, names=tuple(name for name in ready.names if possible.fullmatch(name)))


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
        "variables": list(issued.names),
        "position": issued.position,
    }
