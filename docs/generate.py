"""Writes the pages of docs/reference that are made from the code: commands, events, exit statuses, errors, the Python API.

    python docs/generate.py            write them
    python docs/generate.py --check    exit with 1 and name the pages that are not what the code says

Everything on such a page comes from the same objects that the program uses: the parameters that ``--help`` prints, the
docstrings and fields of the event types, the classes of ``vault.errors``. Nothing here looks at the clock or the machine.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).resolve().parent / "reference"
NOTE = "<!-- Made by docs/generate.py from the code. Change the code, then run it. -->\n"
COMPLETION = {"install_completion", "show_completion"}

SEVERAL = 6
TAKES = {"text": "TEXT", "integer": "N", "integer range": "N", "str": "TEXT", "int": "N", "int range": "N"}


def commands() -> str:
    """Every command and subcommand with its arguments and options."""
    lines = [
        "# Commands",
        "",
        NOTE,
        "Every command and what it takes, as `--help` prints it. `-h` and `--help` work everywhere; options come after the",
        "subcommand. Data goes to stdout, talk to stderr. See [JSON](json.md) for `--json`, [exit statuses](exit-statuses.md)",
        "and [environment variables](environment.md). `git-credential-vault` and `docker-credential-vault`, installed beside",
        "`vault`, are `vault helper git` and `vault helper docker` under the names by which those programs call them.",
        "",
    ]
    sections: dict[str, list[tuple[str, str]]] = {}
    for path, command, group in command_tree():
        if path.count(" ") == 1 and group:
            sections.setdefault(group, []).append((path, command.short_help or ""))
    for group, members in sections.items():
        listed = " · ".join(f"[`{path.removeprefix('vault ')}`](#{path.replace(' ', '-')})" for path, _ in members)
        lines.append(f"- **{group}**: {listed}")
    lines.append("")
    common = _common()
    lines += ["## What most commands take", "", "| | |", "|---|---|", *common, ""]
    for path, command, _ in command_tree():
        lines += _command(path, command, common)
    return "\n".join(lines)


def _common() -> list[str]:
    """The rows of options that several commands have with the same words: they are shown once."""
    rows = Counter(_row(p) for _, command, _ in command_tree() for p in parameters(command) if _is_option(p))
    return [row for row, count in rows.items() if count >= SEVERAL]


def _is_option(parameter: Any) -> bool:
    return str(parameter.param_type_name) == "option"


def _row(option: Any) -> str:
    return f"| {_names(option)} | {_said(option)} |"


def command_tree() -> Iterator[tuple[str, Any, str]]:
    """(path such as ``vault order set``, command object, group heading) of all commands, as ``--help`` lists them."""
    import typer

    from vault.cli.main import COMMANDS, app

    root: Any = typer.main.get_command(app)
    context = typer.Context(root)
    for name, (_, _, group, _) in COMMANDS.items():
        command = root.get_command(context, name)
        yield f"vault {name}", command, group
        for inner in getattr(command, "list_commands", lambda _: [])(context):
            yield f"vault {name} {inner}", command.get_command(context, inner), group


def parameters(command: Any) -> list[Any]:
    """The parameters that ``--help`` shows, without those for shell completion, which belong to ``vault`` itself."""
    return [p for p in command.params if not getattr(p, "hidden", False) and p.name not in {*COMPLETION, "help"}]


def _command(path: str, command: Any, common: list[str]) -> list[str]:
    shown = parameters(command)
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if _is_option(p)]
    own = [p for p in options if _row(p) not in common]
    shared = [name for p in options if p not in own for name in sorted(p.opts, key=len)]
    usage = [path, *(["[OPTIONS]"] if options else []), *(_takes(p) for p in arguments)]
    lines = [f"## {path}", "", f"`{' '.join(usage)}`", "", inspect.cleandoc(command.help or command.short_help), ""]
    if hasattr(command, "list_commands"):
        inner = [f"{path} {name}" for name in command.list_commands(None)]
        lines[2] = f"`{path} COMMAND`"
        lines += [" · ".join(f"[`{name}`](#{name.replace(' ', '-')})" for name in inner), ""]
    if arguments or own:
        lines += ["| | |", "|---|---|"]
        lines += [f"| `{_takes(p)}` | {_said(p)} |" for p in arguments]
        lines += [_row(p) for p in own]
        lines.append("")
    if shared:
        lines += ["Also " + ", ".join(f"`{name}`" for name in shared) + ".", ""]
    return lines


def _names(option: Any) -> str:
    names = sorted((*option.opts, *option.secondary_opts), key=lambda name: (name.startswith("--"), option.opts))
    taken = "" if option.is_flag else f" {_takes(option)}"
    return ", ".join(f"`{name}`" for name in names[:-1]) + (", " if names[1:] else "") + f"`{names[-1]}{taken}`"


def _takes(parameter: Any) -> str:
    return str(parameter.metavar or TAKES.get(parameter.type.name, parameter.type.name.upper()))


def _said(parameter: Any) -> str:
    notes = []
    if parameter.required:
        notes.append("needed")
    if parameter.param_type_name == "option" and not parameter.is_flag and parameter.default not in (None, "", ()):
        notes.append(f"default: {parameter.default}")
    if parameter.envvar:
        notes.append(f"environment: {parameter.envvar}")
    said = (parameter.help or "").strip()
    return _cell(f"{said} ({'; '.join(notes)})" if notes else said)


def exit_statuses() -> str:
    """The table of exit statuses."""
    from vault.errors import EXIT_STATUSES

    lines = [
        "# Exit statuses",
        "",
        NOTE,
        "They are stable; `vault exit-codes` prints them. An error is one sentence on stderr, and with `--json` an object",
        "[`vault.error/1`](json.md#vaulterror1) there; stdout then holds nothing, or what was read before the error was met.",
        "",
        "| status | meaning |",
        "|---|---|",
        *(f"| {status} | {_cell(meaning)} |" for status, meaning in EXIT_STATUSES),
        "",
        "`vault exec` ends with the status of the program it became, whatever that is; its own failures before the program",
        "runs use the table. `vault rebuild` and `vault doctor` end with 1 when they found something, `vault probe` when a",
        "credential was refused, `vault sync` when a store could not be read or written. A helper that fails ends with the",
        "status its protocol wants. Which error has which status is in [errors](errors.md).",
        "",
    ]
    return "\n".join(lines)


def errors() -> str:
    """The tree of errors, with codes and statuses."""
    from vault import errors as module

    found = [c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, module.VaultError) and c.__name__]
    lines = [
        "# Errors",
        "",
        NOTE,
        "What the library raises. All are in `vault.errors` and derive from `VaultError`: `except VaultError` catches every",
        "one. `message` is one sentence that says what happened and to what; `hint` says what to do next; neither ever holds a",
        "secret. The command line prints `vault: message: hint` and ends with the status; with `--json` it prints the code",
        "too.",
        "",
        "| error | derives from | code | exit status | meaning |",
        "|---|---|---|---|---|",
    ]
    for error in found:
        base = "" if error is module.VaultError else f"`{error.__bases__[0].__name__}`"
        status = "" if error is module.VaultError else str(error.exit_status)
        lines.append(f"| `{error.__name__}` | {base} | `{error.code}` | {status} | {_cell(_doc(error))} |")
    lines += ["", "`IntegrityError.position` is the position of the first bad record, when it is known.", ""]
    return "\n".join(lines)


def events() -> str:
    """The catalogue of event types."""
    from vault.events.codec import Actor, Envelope
    from vault.events.credentials import CredentialFacts
    from vault.events.types import EVENT_TYPES, Health

    lines = [
        "# Events",
        "",
        NOTE,
        "Everything that can happen, in the past tense. A type's name never changes; its shape changes only together with its",
        "schema number, and older shapes are turned into today's when they are read. An event of a type or schema that this",
        "vault doesn't know is kept and shown as unknown, and decisions on its stream fail with status 84.",
        "",
        "`vault history --type NAME` shows those of one type; `vault history --json` has the fields below as `facts`. Fields",
        "that hold their default are left out there. Instants are integer microseconds since 1970, UTC. No event holds a",
        "secret: a credential's secret is sealed apart, in the record's payload.",
        "",
        " · ".join(f"[`{name}`](#{name})" for name in EVENT_TYPES),
        "",
    ]
    for name, event in EVENT_TYPES.items():
        lines += [f"## {name}", "", _doc(event), "", f"Schema {event.SCHEMA}.", "", *_fields(event)]
    lines += ["## What every event carries", "", _doc(Envelope), "", *_fields(Envelope)]
    for struct in (Actor, CredentialFacts, Health):
        lines += [f"## {struct.__name__}", "", _doc(struct), "", *_fields(struct)]
    return "\n".join(lines)


def _fields(struct: Any) -> list[str]:
    fields = msgspec.structs.fields(struct)
    if not fields:
        return []
    lines = ["| field | type | default |", "|---|---|---|"]
    for field in fields:
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        shown = "needed" if default is msgspec.NODEFAULT else "empty" if default in ("", [], {}) else f"`{default}`"
        lines.append(f"| `{field.encode_name}` | {_type(field.type)} | {shown} |")
    return [*lines, ""]


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"(?:[A-Za-z_]+\.)+([A-Za-z_]+)", r"\1", text)
    words = {
        "str": "text",
        "int": "integer",
        "bool": "true or false",
        "list[str]": "list of texts",
        "Raw": "the fields",
    }
    parts = [p for p in text.split(" | ") if p != "None"]
    return " or ".join(words.get(p, f"[{p}](#{p.lower()})") for p in parts)


def python_api() -> str:
    """The public Python API, from signatures and docstrings."""
    from vault import api
    from vault.adapters import http_auth
    from vault.events.codec import Actor
    from vault.events.credentials import CredentialFacts
    from vault.events.types import Health
    from vault.values import Secret

    results: list[Any] = [api.Entry]
    for module, names in (
        ("issue", ("Issued",)),
        ("login", ("LoggedIn", "LoggedOut")),
        ("restore", ("Restored",)),
        ("listing", ("Listing", "Listed", "Ambient")),
    ):
        results += [getattr(importlib.import_module(f"vault.commands.{module}"), name) for name in names]
    from vault.model.profile import Held, ProfileState

    lines = [
        "# Python API",
        "",
        NOTE,
        "`from vault import open_vault` is the way in; `vault` also has `auth`, `Vault`, `VaultError` and `__version__`, and",
        "the package is typed. [Use it from Python](../how-to/use-from-python.md) shows it at work; [errors](errors.md) lists",
        "what it raises. Everything else is internal and may change.",
        "",
        *_function("open_vault", api.open_vault, 2),
        "## Vault",
        "",
        _doc(api.Vault),
        "",
        "`agent` is the agent it sees the vault as. A `Vault` is a context manager: leaving a `with` statement closes it.",
        "",
    ]
    for name, method in vars(api.Vault).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            lines += _function(name, method, 3)
    lines += _function("auth", http_auth.auth, 2)
    lines += ["## Secret", "", "`vault.values.Secret`", "", _doc(Secret), "", *_function("reveal", Secret.reveal, 3)]
    lines += ["## What the methods return", ""]
    for cls in (*results, Held, ProfileState, CredentialFacts, Health, Actor):
        lines += [f"### {cls.__name__}", "", _doc(cls), "", *_attributes(cls)]
    return "\n".join(lines)


def _function(name: str, function: Callable[..., Any], level: int) -> list[str]:
    signature = inspect.signature(function)
    taken = [p for p in signature.parameters.values() if p.name != "self"]
    shown = [f"    {_parameter(p)}," for p in taken]
    if taken and any(p.kind is p.KEYWORD_ONLY for p in taken):
        first = next(i for i, p in enumerate(taken) if p.kind is p.KEYWORD_ONLY)
        shown.insert(first, "    *,")
    returned = str(signature.return_annotation)
    head = f"{name}()" if not taken else f"{name}(\n" + "\n".join(shown) + "\n)"
    return [f"{'#' * level} {name}", "", "```text", f"{head} -> {returned}", "```", "", _doc(function), ""]


def _parameter(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


def _attributes(cls: Any) -> list[str]:
    names = [f.name for f in (dataclasses if dataclasses.is_dataclass(cls) else msgspec.structs).fields(cls)]
    rows = [f"| `{name}` | `{_cell(str(cls.__annotations__[name]))}` |" for name in names]
    return ["| attribute | type |", "|---|---|", *rows, ""]


def _doc(thing: Any) -> str:
    """A docstring as Markdown: double backquotes become single ones."""
    return inspect.cleandoc(thing.__doc__ or "").replace("``", "`")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands,
    "errors.md": errors,
    "events.md": events,
    "exit-statuses.md": exit_statuses,
    "python.md": python_api,
}


def stale() -> list[str]:
    """The pages that are missing or not what the code says."""
    return [n for n, make in PAGES.items() if not (p := FOLDER / n).exists() or p.read_text("utf-8") != make()]


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    if arguments == ["--check"]:
        for name in (old := stale()):
            print(f"docs/reference/{name} is not what the code says: run python docs/generate.py")
        return 1 if old else 0
    FOLDER.mkdir(exist_ok=True)
    for name in stale():
        (FOLDER / name).write_text(PAGES[name](), "utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
