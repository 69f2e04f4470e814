"""config path, show, edit."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import typer

from vault.cli import output
from vault.cli.groups import Group
from vault.cli.session import JsonOption, NoInputOption, can_ask
from vault.errors import NotReady, StorageError, Unavailable, UsageError
from vault.files import PRIVATE, read_regular, replace_file
from vault.providers.aliases import canonical
from vault.settings import LARGEST, SOURCES, parse_settings, read_settings, settings_path

app = typer.Typer(
    cls=Group, no_args_is_help=True, add_completion=False, help="Settings: one TOML file; the environment overrides it."
)

TEMPLATE = f"""# Settings of vault. Every key is optional; a mistake is reported with its line.
# enabled_providers = []
# disabled_providers = []
# sources = [{", ".join(f'"{s}"' for s in SOURCES)}]

# [provider]
# auto_update = true

# [refresh]
# leeway = "10m"

# [providers.amazon-bedrock]
# auth_source = "profile"
# region = "eu-west-1"
# profile = "work"
"""


@app.command("path")
def path(json: JsonOption = False) -> None:
    """Print where the settings file is, or would be."""
    place = settings_path(os.environ)
    if json:
        output.write_json("config-path", {"path": str(place), "exists": place.exists()})
    else:
        output.write(str(place))


@app.command("show")
def show(json: JsonOption = False) -> None:
    """Print the settings in force, the environment's overrides included."""
    found = read_settings(os.environ, canonical)
    providers = {
        name: {k: getattr(table, k) for k in table.__dataclass_fields__ if getattr(table, k)}
        for name, table in found.providers.items()
    }
    body = {
        "path": str(found.path),
        "exists": found.exists,
        "enabled_providers": list(found.enabled_providers),
        "disabled_providers": list(found.disabled_providers),
        "sources": list(found.sources),
        "provider": {"auto_update": found.auto_update},
        "refresh": {"leeway_seconds": found.leeway // 1_000_000, "lease_seconds": found.lease // 1_000_000},
        "providers": providers,
    }
    if json:
        output.write_json("config", body)
        return
    output.say(f"{found.path}" + ("" if found.exists else " (does not exist; these are the defaults)"))
    rows = [
        ("enabled_providers", ", ".join(found.enabled_providers) or "all"),
        ("disabled_providers", ", ".join(found.disabled_providers) or "none"),
        ("sources", ", ".join(found.sources)),
        ("provider.auto_update", str(found.auto_update).lower()),
        ("refresh.leeway", output.span(found.leeway)),
        ("refresh.lease", output.span(found.lease)),
        *((f"providers.{name}.{k}", str(v)) for name, table in providers.items() for k, v in table.items()),
    ]
    output.table(("SETTING", "VALUE"), rows)


@app.command("edit")
def edit(no_input: NoInputOption = False) -> None:
    """Open the settings file in $VISUAL or $EDITOR. It is checked before it takes effect."""
    if not can_ask(no_input):
        raise UsageError("there is no terminal for an editor", hint="edit the file that vault config path names")
    place = settings_path(os.environ)
    draft = place.with_name(f".{place.name}.editing")
    try:
        before = read_regular(place, LARGEST) if place.exists() else TEMPLATE.encode()
        before.decode("utf-8")
        replace_file(draft, before)
        while not _edited(draft, place):
            pass
        after = read_regular(draft, LARGEST)
        changed = after != before
        if changed:
            mode = place.stat().st_mode & 0o777 if place.exists() else PRIVATE
            replace_file(place, after, mode=mode)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "they are not UTF-8"
        raise StorageError(f"the settings can't be edited: {reason}", hint=f"check {place}") from None
    finally:
        draft.unlink(missing_ok=True)
    output.say(f"saved {place}" if changed else "nothing was changed")


def _edited(draft: Path, place: Path) -> bool:
    """Let the person edit the draft: whether it is in order. If not they may edit it again, else the mistake is raised."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    kept = "the settings are unchanged"
    try:
        words = shlex.split(named)
        status = subprocess.call([*words, str(draft)]) if words else 0
    except ValueError:
        raise UsageError(f"the editor {named!r} can't be split into words", hint="set EDITOR") from None
    except OSError as error:
        raise Unavailable(f"the editor {named} can't be run: {error.strerror}", hint="set EDITOR") from None
    if status:
        raise UsageError(f"the editor ended with status {status}", hint=kept)
    try:
        parse_settings(read_regular(draft, LARGEST).decode("utf-8"), place, canonical)
    except NotReady as error:
        output.say(error.message)
        if output.confirm("Edit it again?", default=True):
            return False
        raise NotReady(error.message, hint=kept) from None
    return True
