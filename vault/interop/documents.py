"""Documents of other tools, read to be written again: what isn't ours stays as it is, comments and order included.

A missing file is an empty document. Damage is an InputError that names the file and shows nothing of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vault.errors import InputError
from vault.interop.plans import name_there
from vault.interop.sources import kind_of, read_json, read_text, shown_name
from vault.parsing import MEND, gate, ini_document, toml_document, yaml_document, yaml_parser
from vault.values import ProfileId, name_of

_INDENTED = re.compile(r"^[^#\s-][^\n]*:[^\n]*\n(?:\s*#[^\n]*\n|\s*\n)*( +)[^\s#-]", re.MULTILINE)

if TYPE_CHECKING:
    from configupdater import ConfigUpdater
    from tomlkit import TOMLDocument


T = TypeVar("T")


def object_in(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises InputError, StorageError."""
    if kind_of(path) == "missing":
        return {}
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(
            f"{path} does not hold a JSON object", hint="is it the right file? move it away to start afresh"
        )
    return found


def addressed(read: Callable[[], T], title: str) -> T:
    """What a tool's files say of the servers that its variables go to. Raises InputError, which says that none is given."""
    try:
        return read()
    except InputError as error:
        why = f"it says which server is sent which key, so {title} is given none"
        raise InputError(f"{error.message}; {why}", hint=error.hint) from None


def mapping_in(document: Any, name: str, path: Path) -> Any:
    """The mapping under a name of a file's document, made where there is none. Raises InputError for anything else there."""
    if document.get(name) is None:
        document[name] = {}
    if not isinstance(document[name], dict):
        raise InputError(f"{path} holds no mapping under {shown_name(name)}", hint=MEND)
    return document[name]


def json_bytes(document: Any, *, indent: int | str | None = 2, newline: bool = True) -> bytes:
    """A document as JSON text, its keys in the order they are in."""
    separators = None if indent else (",", ":")
    text = json.dumps(document, indent=indent, separators=separators, ensure_ascii=False)
    return (text + ("\n" if newline else "")).encode()


def toml_in(path: Path) -> TOMLDocument:
    """The TOML document in a file, comments kept. Raises InputError, StorageError."""
    return toml_document("" if kind_of(path) == "missing" else read_text(path), str(path))


def toml_bytes(document: TOMLDocument) -> bytes:
    """A TOML document as text."""
    import tomlkit

    return tomlkit.dumps(document).encode()


def yaml_in(path: Path) -> Any:
    """The YAML mapping in a file, comments kept. Raises InputError, StorageError."""
    if kind_of(path) == "missing":
        return {}
    found = yaml_document(read_text(path), str(path))
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InputError(f"{path} does not hold a mapping", hint="is it the right file?")
    return found


def yaml_list_in(path: Path) -> list[Any]:
    """The YAML list in a file. Raises InputError, StorageError."""
    found = None if kind_of(path) == "missing" else yaml_document(read_text(path), str(path))
    return list(found) if isinstance(found, list) else []


def yaml_bytes(document: Any, path: Path, *, indent: int = 2) -> bytes:
    """The YAML document of a file as text, indented as the file is now.

    Raises StorageError, and InputError for one that can't be written as it was read.
    """
    found = _INDENTED.search("" if kind_of(path) == "missing" else read_text(path))

    def written() -> bytes:
        out = StringIO()
        yaml = yaml_parser()
        yaml.map_indent = len(found[1]) if found else indent
        yaml.dump(document, out)
        return out.getvalue().encode()

    return gate(f"what {path} would hold", "YAML", written, MEND)


def ini_in(path: Path) -> ConfigUpdater:
    """The INI document in a file, comments kept, nothing interpolated. Raises InputError, StorageError."""
    return ini_document("" if kind_of(path) == "missing" else read_text(path), str(path))


def remove_empty(document: ConfigUpdater, section: str) -> None:
    """Take out a section that holds nothing but blank lines; a comment in it keeps it."""
    from configupdater import Space

    if document.has_section(section) and all(isinstance(block, Space) for block in document[section].structure):
        document.remove_section(section)


def section_of(profile: ProfileId, label: str) -> str:
    """The section of an INI file that a profile has: its name there; as it is here where a section can't be called that."""
    there = name_there(profile, label)
    return there if there.isprintable() and "]" not in there and there.strip() == there else name_of(profile)
