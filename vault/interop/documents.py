"""Documents of other tools, read to be written again: what isn't ours stays as it is, comments and order included.

A missing file is an empty document. Damage is an InputError that names the file and shows nothing of it.
"""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vault.errors import InputError
from vault.interop.plans import name_there
from vault.interop.sources import kind_of, read_json, read_text
from vault.values import ProfileId, name_of

if TYPE_CHECKING:
    from configupdater import ConfigUpdater
    from tomlkit import TOMLDocument


def object_in(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises InputError, StorageError."""
    if kind_of(path) == "missing":
        return {}
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path} does not hold a JSON object", hint="is it the right file? move it away to start anew")
    return found


def json_bytes(document: Any, *, indent: int | str | None = 2, newline: bool = True) -> bytes:
    """A document as JSON text, its keys in the order they are in."""
    separators = None if indent else (",", ":")
    text = json.dumps(document, indent=indent, separators=separators, ensure_ascii=False)
    return (text + ("\n" if newline else "")).encode()


def toml_in(path: Path) -> TOMLDocument:
    """The TOML document in a file, comments kept. Raises InputError, StorageError."""
    return toml_of("" if kind_of(path) == "missing" else read_text(path), str(path))


def toml_of(text: str, path: str) -> TOMLDocument:
    """A text as a TOML document; ``path`` names its place in messages. Raises InputError."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError:
        raise InputError(f"{path} is not valid TOML", hint="mend it, or move it away to start anew") from None


def toml_bytes(document: TOMLDocument) -> bytes:
    """A TOML document as text."""
    import tomlkit

    return tomlkit.dumps(document).encode()


def yaml_in(path: Path) -> Any:
    """The YAML mapping in a file, comments kept. Raises InputError, StorageError."""
    from ruamel.yaml.error import YAMLError

    if kind_of(path) == "missing":
        return {}
    try:
        found = _yaml().load(read_text(path))
    except YAMLError:
        raise InputError(f"{path} is not valid YAML", hint="mend it, or move it away to start anew") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError(f"{path} does not hold a mapping", hint="is it the right file?")
    return found


def yaml_bytes(document: Any) -> bytes:
    """A YAML document as text."""
    out = StringIO()
    _yaml().dump(document, out)
    return out.getvalue().encode()


def ini_in(path: Path) -> ConfigUpdater:
    """The INI document in a file, comments kept, nothing interpolated. Raises InputError, StorageError."""
    return ini_of("" if kind_of(path) == "missing" else read_text(path), str(path))


def ini_of(text: str, path: str) -> ConfigUpdater:
    """A text as an INI document; ``path`` names its place in messages. Raises InputError."""
    from configparser import Error

    from configupdater import ConfigUpdater

    document = ConfigUpdater(allow_no_value=True)
    try:
        document.read_string(text)
    except Error:
        raise InputError(f"{path} is not a valid INI file", hint="mend it, or move it away to start anew") from None
    return document


def remove_empty(document: ConfigUpdater, section: str) -> None:
    """Take out a section that holds nothing but blank lines; a comment in it keeps it."""
    from configupdater import Space

    if document.has_section(section) and all(isinstance(block, Space) for block in document[section].structure):
        document.remove_section(section)


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 10_000
    return yaml


def section_of(profile: ProfileId, label: str) -> str:
    """The section of an INI file that a profile has: its name there; as it is here where a section can't be called that."""
    there = name_there(profile, label)
    return there if there.isprintable() and "]" not in there and there.strip() == there else name_of(profile)
