"""The project's ``.env``: the nearest one from the working folder up to the project's root. Read, never loaded into the process.

The root is the first folder that holds ``.git``; outside a project only the working folder counts.
"""

from __future__ import annotations

from pathlib import Path

LARGEST = 1024 * 1024


def find_dotenv(folder: Path) -> Path | None:
    """The ``.env`` that counts for a folder, or None."""
    folders = [folder, *folder.parents]
    root = next((i for i, f in enumerate(folders) if (f / ".git").exists()), 0)
    for place in folders[: root + 1]:
        found = place / ".env"
        if found.is_file():
            return found
    return None


def project_variables(folder: Path) -> tuple[dict[str, str], Path | None]:
    """Variables of the project's ``.env`` with the file's path. A file that can't be read counts as empty."""
    path = find_dotenv(folder)
    if path is None:
        return {}, None
    try:
        if path.stat().st_size > LARGEST:
            return {}, path
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}, path
    import io

    from dotenv import dotenv_values

    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {k: v for k, v in values.items() if v}, path
