"""The project's ``.env``: the nearest one from the working folder up to the project's root. Read, never loaded into the process.

The root is the first folder that holds ``.git``; outside a project only the working folder counts. Values are taken as they are
written: nothing in them is expanded, since a secret may well hold a ``$``. A value that is one ``${NAME}`` or ``$NAME`` and
nothing else stands for another variable: one of the file, or one of the environment. Any other reference, an encrypted value and
a placeholder (``vault.pointers`` tells them) are no secrets: such a variable counts as unset, and so does a blank one, for the
file may be a stranger's, and nothing that it names is run, read or asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vault.errors import InputError
from vault.files import read_regular
from vault.parsing import dotenv_pairs
from vault.pointers import ADDRESS, pointer_in
from vault.values import text_of

LARGEST = 1024 * 1024


def find_dotenv(folder: Path) -> Path | None:
    """The ``.env`` that counts for a folder, or None."""
    folders = [folder, *folder.parents]
    root = next((i for i, f in enumerate(folders) if os.path.exists(f / ".git")), 0)
    return next((f / ".env" for f in folders[: root + 1] if os.path.isfile(f / ".env")), None)


def project_variables(folder: Path, environ: Mapping[str, str] = os.environ) -> tuple[dict[str, str], Path | None]:
    """Variables of the project's ``.env`` with the file's path. A file that can't be read counts as empty."""
    path = find_dotenv(folder)
    return (variables_in(_text(path), environ), path) if path is not None else ({}, None)


def written_variables(folder: Path) -> dict[str, str]:
    """Variables of the project's ``.env`` as they are written, those that count as unset among them."""
    path = find_dotenv(folder)
    return _written(_text(path)) if path is not None else {}


def variables_in(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file's text that have a value. A value that is one variable is followed; nothing else is expanded.

    A setting of the vault's own (``VAULT_…``) may be any text, such as a command or ``none``.
    """
    written = _written(text)
    found = {name: _followed(value, written, environ) for name, value in written.items()}
    found |= {n: v for n, v in written.items() if n.startswith("VAULT_") and not found[n] and "${" not in v}
    return {name: value for name, value in found.items() if value.strip()}


def _text(path: Path) -> str:
    try:
        return text_of(read_regular(path, LARGEST))
    except (OSError, InputError):
        return ""


def _written(text: str) -> dict[str, str]:
    try:
        return {k: v for k, v in dotenv_pairs(text).items() if v}
    except InputError:
        return {}


def _followed(value: str, written: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """What a value stands for; empty when that is no value, when it leads nowhere, or in a circle."""
    seen = set()
    while (pointer := pointer_in(value)) and pointer.what != ADDRESS:
        name = pointer.target
        if pointer.scheme != "env" or name in seen:
            return ""
        seen.add(name)
        value = written.get(name) or environ.get(name, "")
    return value
