"""The project's ``.env``: the nearest one from the working folder up to the project's root. Read, never loaded into the process.

The root is the first folder that holds ``.git``; outside a project only the working folder counts. Values are taken as they are
written: nothing in them is expanded, since a secret may well hold a ``$``. Only a value that is one ``${NAME}`` and nothing else
stands for another variable: one of the file, or one of the environment. A blank value counts as unset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

LARGEST = 1024 * 1024
_POINTER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def find_dotenv(folder: Path) -> Path | None:
    """The ``.env`` that counts for a folder, or None."""
    folders = [folder, *folder.parents]
    root = next((i for i, f in enumerate(folders) if os.path.exists(f / ".git")), 0)
    return next((f / ".env" for f in folders[: root + 1] if os.path.isfile(f / ".env")), None)


def project_variables(folder: Path, environ: Mapping[str, str] = os.environ) -> tuple[dict[str, str], Path | None]:
    """Variables of the project's ``.env`` with the file's path. A file that can't be read counts as empty."""
    path = find_dotenv(folder)
    if path is None:
        return {}, None
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            return {}, path
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return {}, path
    return variables_in(text, environ), path


def variables_in(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a file's text that have a value. A value that is one ``${NAME}`` is followed; nothing else is expanded."""
    import io
    import logging

    from dotenv import dotenv_values

    # Without a handler of its own, the library's logger would print to the terminal which lines it skipped.
    logger = logging.getLogger("dotenv.main")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    written = {k: v for k, v in dotenv_values(stream=io.StringIO(text), interpolate=False).items() if v}
    found = {k: _followed(v, written, environ) for k, v in written.items()}
    return {k: v for k, v in found.items() if v.strip()}


def _followed(value: str, written: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """What a value stands for; empty when it leads nowhere, or in a circle."""
    seen = set()
    while pointer := _POINTER.fullmatch(value):
        name = pointer[1]
        if name in seen:
            return ""
        seen.add(name)
        if name not in written:
            return environ.get(name, "")
        value = written[name]
    return value
