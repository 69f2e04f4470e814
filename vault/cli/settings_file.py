"""The settings file as commands change it, and what the catalogue asks of it.

A change keeps every comment and every blank, is checked before it takes effect, and replaces the file in one step; two commands
at once wait for each other, so that none undoes the other's change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault.errors import StorageError
from vault.files import PRIVATE, private_folder, read_regular, replace_file
from vault.settings import LARGEST, parse_settings, settings_path

LOCK_SECONDS = 10.0


def switch(provider: str, environ: Mapping[str, str], *, on: bool) -> tuple[Path, bool]:
    """Enable or disable a provider in the settings file; (the file, whether it changed).

    Disabling adds to ``disabled_providers``. Enabling takes it out there, and adds it to ``enabled_providers`` when that list is
    not empty, since it then excludes the others. Raises NotReady for a file that is broken already, StorageError.
    """
    from vault.log.filelock import lock_of

    path = Path(os.path.realpath(settings_path(environ)))
    try:
        private_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    with lock_of("the settings file", path.with_name(f".{path.name}.lock"), LOCK_SECONDS):
        return path, _switch(path, provider, on)


def _switch(path: Path, provider: str, on: bool) -> bool:
    import tomlkit

    from vault.parsing import toml_document

    try:
        before = read_regular(path, LARGEST).decode("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise StorageError(f"the settings file {path} can't be read: {reason}", hint="check it") from None
    parse_settings(before, path)
    document = toml_document(before, f"the settings file {path}")
    if on:
        _take_out(document, "disabled_providers", provider)
        if document.get("enabled_providers"):
            _put_in(document, "enabled_providers", provider)
    else:
        _put_in(document, "disabled_providers", provider)
    after = tomlkit.dumps(document)
    if after == before:
        return False
    parse_settings(after, path)
    mode = path.stat().st_mode & 0o777 if path.exists() else PRIVATE
    replace_file(path, after.encode(), mode=mode)
    return True


def _same(name: object, provider: str) -> bool:
    from vault.providers.aliases import canonical

    return name == provider or (isinstance(name, str) and canonical(name) == provider)


def _put_in(document: Any, key: str, provider: str) -> None:
    found = document.get(key)
    if found is None:
        document[key] = [provider]
    elif not any(_same(name, provider) for name in found):
        found.append(provider)


def _take_out(document: Any, key: str, provider: str) -> None:
    found = document.get(key)
    for name in [n for n in found or () if _same(n, provider)]:
        found.remove(name)


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"the settings can't be written: {error.strerror}", hint=f"check {path.parent}")
