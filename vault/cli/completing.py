"""completion: the scripts that let a shell complete commands, options and ids, and their installation.

Each script asks ``vault`` itself, with the line up to the cursor, in the form that Typer has for fish: one word a line, a tab and
what it is behind it. Words with a colon are one word to vault, whatever the shell parts them at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output, streams
from vault.cli.session import one_of
from vault.envfile import settled
from vault.errors import StorageError, UsageError, VaultError
from vault.files import PRIVATE, read_regular, replace_file
from vault.showing import printable
from vault.values import MAIN_AGENT, AgentId, parse_agent

if TYPE_CHECKING:
    from vault.context import Context

SHELLS = ("bash", "zsh", "fish", "powershell")
LARGEST = 1 << 20

_ASKED = "_VAULT_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS"

BASH = (
    r"""_vault_completion() {
    local line=${COMP_LINE:0:COMP_POINT} program=${1/#\~/$HOME}
    local current=${line##*[[:space:]]} breaks=${COMP_WORDBREAKS//[^:=@]/}
    local whole=$current option= prefix= value word
    case $current in
        --*=*) option=${current%%=*}= current=${current#*=} ;;
        [\"\']*) breaks= ;;
    esac
    if [ -n "$breaks" ]; then
        case $whole in
            *[$breaks]*) prefix=${whole%"${whole##*[$breaks]}"} prefix=${prefix%@} ;;
        esac
    fi
    COMPREPLY=()
    while IFS= read -r value; do
        value=${value%%$'\t'*}
        [ -n "$value" ] || continue
        printf -v word %q "$value"
        case $current in
            [\"\']*) [ "$word" = "$value" ] || continue ;;
        esac
        word=$option$word
        COMPREPLY+=("${word#"$prefix"}")
    done < <(ASKED="$line" "$program" 2>/dev/null </dev/null)
}

complete -o default -F _vault_completion vault agent-vault
"""
).replace("ASKED", _ASKED)

ZSH = (
    r"""#compdef vault agent-vault

_vault_completion() {
    local program=${words[1]/#\~/$HOME} item
    local -a found values shown
    found=(${(f)"$(ASKED="${words[1,CURRENT-1]} $PREFIX" $program 2>/dev/null </dev/null)"})
    for item in $found; do
        values+=("${item%%$'\t'*}")
        shown+=("${item/$'\t'/  -- }")
    done
    compset -P '--*='
    if (( $#values == 0 )); then
        _files
    elif [[ "$shown" == *'  -- '* ]]; then
        compadd -l -d shown -a values
    else
        compadd -a values
    fi
}

if [[ $funcstack[1] == _vault ]]; then
    _vault_completion "$@"
else
    compdef _vault_completion vault agent-vault
fi
"""
).replace("ASKED", _ASKED)

FISH = (
    r"""function __vault_completion
    set -l line (commandline -cp | string collect)
    set -l program (string replace -r '^~' $HOME -- (commandline -cpo)[1])
    set -l found (env ASKED=$line $program 2>/dev/null </dev/null | string match -r '.+')
    set -l option (string match -r '^--[^=]+=' -- (commandline -ct))
    if test (count $found) -gt 0
        printf '%s\n' "$option"$found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command vault --no-files --arguments '(__vault_completion)'
complete --command agent-vault --no-files --arguments '(__vault_completion)'
"""
).replace("ASKED", _ASKED)

_SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="[bash|zsh|fish|powershell]",
            help="The shell; else the one this is typed in.",
            autocompletion=one_of(*SHELLS),
        ),
    ] = "",
    install: Annotated[bool, typer.Option("--install", help="Put it where the shell reads it.")] = False,
) -> None:
    """Print the script that lets a shell complete commands, options, providers and profiles; or install it.

    Completion never asks for anything: profiles are completed where the vault opens by itself.
    """
    named = shell or current_shell()
    if named not in (*SHELLS, "pwsh"):
        raise UsageError("there is no completion for that shell", hint="use one of " + ", ".join(SHELLS))
    if install:
        install_for(named)
    else:
        streams.send(script(named))


def answer(app: typer.Typer) -> int:
    """Answer a shell that asks what a line could go on with; the exit status, always 0.

    Whatever goes wrong, there is only less to choose from: a message would stand in the middle of the line that is typed.
    """
    from typer._completion_classes import completion_init

    streams.silence("stderr")
    try:
        os.environ.update(settled(os.environ))
        completion_init()
        with suppress(SystemExit):
            typer.main.get_command(app).main(args=[], prog_name="vault")
        streams.flush()
    except (Exception, KeyboardInterrupt):  # noqa: BLE001 - see above
        streams.silence("stdout")
    return 0


def profiles(context: typer.Context, incomplete: str) -> list[str]:
    """The profiles an agent sees that start so; none where the vault doesn't open without asking anybody."""
    return _starting(_profiles(context), incomplete)


def agents(context: typer.Context, incomplete: str) -> list[str]:
    """The agents that start so; none where the vault doesn't open without asking anybody."""
    return _starting(_read(context, lambda opened, _: opened.queries.agents().names()), incomplete)


def providers(incomplete: str) -> list[str]:
    """The providers of the catalogue that start so."""
    from vault.providers import catalogue

    return _starting((p.id for p in catalogue.providers()), incomplete)


def targets(context: typer.Context, incomplete: str) -> list[str]:
    """Profiles and their providers that start so, and the providers of the catalogue: for these the vault needs not open."""
    found = _profiles(context)
    held = _starting([*dict.fromkeys(p.partition(":")[0] for p in found), *found], incomplete)
    known = [] if held and not incomplete else providers(incomplete)
    return list(dict.fromkeys([*held, *known]))


def _profiles(context: typer.Context) -> list[str]:
    from vault.projections.queries import View

    return _read(context, lambda opened, agent: sorted(View(opened.queries, agent).visible()))


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that start so and can be typed."""
    return [name for name in names if name.startswith(incomplete) and printable(name) == name]


def _read(context: typer.Context, what: Callable[[Context, AgentId], list[str]]) -> list[str]:
    """Read the vault where it opens at once, without a command, a prompt or a person: for the agent that the line names."""
    from vault.cli.session import opened

    try:
        agent = parse_agent(context.params.get("agent") or os.environ.get("VAULT_AGENT") or MAIN_AGENT)
        with opened(agent, no_input=True, quiet=True) as vault:
            return what(vault, agent)
    except VaultError:
        return []


def script(shell: str) -> str:
    """The script for a shell."""
    if shell in _SCRIPTS:
        return _SCRIPTS[shell]
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name="vault", complete_var="_VAULT_COMPLETE", shell=shell) + "\n"


def current_shell() -> str:
    """The shell that this process was started from, else the person's own. Raises UsageError."""
    from shellingham import ShellDetectionFailure, detect_shell

    try:
        name: str = detect_shell()[0]
    except ShellDetectionFailure:
        name = os.path.basename(os.environ.get("SHELL", ""))
    if not name:
        raise UsageError("the shell can't be told from here", hint="name it: vault completion " + "|".join(SHELLS))
    return name


def install_for(shell: str) -> None:
    """Put the script where a shell reads it, and say where. Raises StorageError."""
    home = Path.home()
    fish = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "completions"
    places = {
        "bash": (home / ".bash_completions" / "vault.sh",),
        "zsh": (home / ".zfunc" / "_vault",),
        "fish": tuple(fish / f"{name}.fish" for name in ("vault", "agent-vault")),
    }
    lines = {
        "bash": (home / ".bashrc", "source '" + str(places["bash"][0]).replace("'", "'\\''") + "'"),
        "zsh": (
            Path(os.environ.get("ZDOTDIR") or home) / ".zshrc",
            "fpath+=~/.zfunc; autoload -Uz compinit; compinit",
        ),
    }
    if shell not in places:
        from typer._completion_shared import install

        output.say(f"installed in {install(shell=shell, prog_name='vault')[1]}")
        return
    for place in places[shell]:
        replace_file(place, script(shell).encode())
        output.say(f"installed in {place}")
    if shell in lines:
        _add_line(*lines[shell])
    output.say("it works in shells that are started from now on")


def _add_line(path: Path, line: str) -> None:
    """Let a settings file of a shell have a line. What else is in it stays, as do its mode and where it links to."""
    try:
        before = read_regular(path, LARGEST)
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        before, mode = b"", PRIVATE
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error.strerror}", hint=f"add this line to it: {line}") from None
    if line.encode() not in before.split(b"\n"):
        replace_file(
            path, before + (b"" if before.endswith(b"\n") or not before else b"\n") + f"{line}\n".encode(), mode=mode
        )
        output.say(f"added a line to {path}")
