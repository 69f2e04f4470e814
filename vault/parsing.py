"""Foreign bytes: one gate for each format. Whatever a parser raises becomes an InputError that says where, and shows no content.

What comes out can be walked, stored and written by anybody: it is nested no deeper than ``DEEPEST``, has no circles, no text
with half a character in it, and no more values than ``MOST``, however often a document refers to one part of itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from vault.errors import InputError, VaultError
from vault.values import text_of

if TYPE_CHECKING:
    from configparser import RawConfigParser

    from configupdater import ConfigUpdater
    from tomlkit import TOMLDocument

T = TypeVar("T")

LARGEST_TEXT = 1024 * 1024
LARGEST_YAML = 256 * 1024
DEEPEST = 64
MOST = 1_000_000
MOST_BRACKETS = 256
REPAIR = "repair the file with the tool that wrote it"
MEND = "fix it, or move it away to start afresh"
_MICROSECONDS = 1_000_000
_SHOWN = 96


class _Refused(Exception):
    """What a document holds that nobody here could use."""


class _NoNumber(ValueError):
    """NaN and the like."""


def gate(where: str, form: str, parse: Callable[[], T], hint: str = REPAIR) -> T:
    """What a parser returns. Raises InputError for whatever it raises: ``where`` is not valid ``form``, and the line if known.

    The parser's own error goes no further, for it may hold the whole document.
    """
    try:
        return parse()
    except VaultError:
        raise
    except Exception as error:  # noqa: BLE001 - a parser of hostile bytes may raise anything
        place = _place(error)
    raise InputError(f"{where} is not valid {form}" + (f" ({place})" if place else ""), hint=hint)


def parse_json(content: bytes | str, where: str) -> Any:
    """A JSON value. A whole number too large to be stored is the nearest float, as in JavaScript. Raises InputError."""

    def parse() -> Any:
        text = _decoded(content) if isinstance(content, bytes) else content.removeprefix("\ufeff")
        return _usable(json.loads(text, parse_constant=_refuse_constant, parse_int=_number))

    return gate(where, "JSON", parse)


def parse_answer(text: str) -> Any:
    """The JSON of a provider's answer, not refused for what stands beside its tokens: a number that there isn't is None.

    A refresh token may be spent already, and the answer all there is of the new one. Raises InputError.
    """
    return gate(
        "the answer", "JSON", lambda: json.loads(text, parse_constant=lambda _: None, parse_int=_number_or_none)
    )


def parse_toml(text: str, where: str, hint: str = MEND) -> dict[str, Any]:
    """A TOML document, to be read. Raises InputError."""
    import tomllib

    _check_size(text, where)
    found: dict[str, Any] = gate(where, "TOML", lambda: _usable(tomllib.loads(text.removeprefix("\ufeff"))), hint)
    return found


def toml_document(text: str, where: str, hint: str = MEND) -> TOMLDocument:
    """A TOML document, to be written again with its comments. Raises InputError."""
    import tomlkit

    def parse() -> TOMLDocument:
        document = tomlkit.parse(text.removeprefix("\ufeff"))
        _usable(document.unwrap())
        return document

    _check_size(text, where)
    return gate(where, "TOML", parse, hint)


def yaml_document(text: str, where: str) -> Any:
    """A YAML document, to be read, or written again with its comments. Raises InputError."""

    def parse() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning would show the content
            _check_brackets(text)
            return _usable(yaml_parser().load(text))

    _check_size(text, where, LARGEST_YAML)
    return gate(where, "YAML", parse, MEND)


def yaml_parser() -> Any:
    """ruamel's parser, with the settings that documents are read and written by."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 10_000
    return yaml


def ini_document(text: str, where: str) -> ConfigUpdater:
    """An INI document, to be written again with its comments; nothing is interpolated. Raises InputError."""
    from configupdater import ConfigUpdater

    def parse() -> ConfigUpdater:
        document = ConfigUpdater(allow_no_value=True)
        document.read_string(text)
        for section in document.sections():
            [option.value for option in document[section].values()]
        return document

    _check_size(text, where)
    return _ini_gate(where, parse)


def ini_table(text: str, where: str) -> RawConfigParser:
    """An INI document, to be read; nothing is interpolated. Raises InputError."""
    from configparser import RawConfigParser

    def parse() -> RawConfigParser:
        document = RawConfigParser()
        document.read_string(text)
        return document

    _check_size(text, where)
    return _ini_gate(where, parse)


def _ini_gate(where: str, parse: Callable[[], T]) -> T:
    """As ``gate``, with the line and the section that an INI parser complains of."""
    from configparser import Error

    def told() -> T | str:
        try:
            return parse()
        except Error as error:
            return _ini_trouble(where, error)

    found = gate(where, "INI", told, MEND)
    if isinstance(found, str):
        raise InputError(found, hint=MEND)
    return found


def dotenv_pairs(text: str) -> dict[str, str | None]:
    """The variables of a ``.env``, nothing expanded; lines that can't be understood are passed over. Raises InputError."""
    import io
    import logging

    from dotenv import dotenv_values

    # Without a handler of its own, the library's logger would print to the terminal which lines it skipped.
    logger = logging.getLogger("dotenv.main")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return gate("the file", ".env", lambda: dict(dotenv_values(stream=io.StringIO(text), interpolate=False)))


def jwt_claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, its signature unchecked; empty for a text that is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = parse_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), "the token")
    except (InputError, ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def parse_instant(text: object) -> int | None:
    """An ISO 8601 instant, UTC unless it says otherwise, in microseconds; None for anything else, or one of no year."""
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return int(
            (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).timestamp() * _MICROSECONDS
        )
    except (ValueError, OverflowError, OSError):
        return None


def parse_http_date(text: str) -> int | None:
    """An HTTP date, in microseconds; None for anything else."""
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(text).timestamp()) * _MICROSECONDS
    except (ValueError, TypeError, OverflowError, IndexError, OSError):
        return None


def whole_number(text: str, digits: int = 12) -> int | None:
    """A whole number written in so many plain digits at most; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def shown(name: object) -> str:
    """A name from a file as it may be printed: one line, printable, short."""
    text = "".join(c if c.isprintable() else "·" for c in str(name))
    return f"{text[:_SHOWN]}…" if len(text) > _SHOWN + 1 else text


def _decoded(content: bytes) -> str:
    try:
        return text_of(content)
    except InputError as error:
        raise _Refused(error.message) from None


def _usable(value: Any) -> Any:
    """The value, if it can be walked, stored and written. Raises ``_Refused``, UnicodeEncodeError."""
    sizes: dict[int, int] = {}

    def size(item: Any, depth: int) -> int:
        if isinstance(item, str):
            item.encode()
            return 1
        if not isinstance(item, Mapping | list | tuple | set):
            return 1
        if depth > DEEPEST:
            raise _Refused("nested too deeply")
        known = sizes.get(id(item))
        if known is None:
            inner = (*item.keys(), *item.values()) if isinstance(item, Mapping) else item
            known = sizes[id(item)] = 1 + sum(size(one, depth + 1) for one in inner)
            if known > MOST:
                raise _Refused("it holds too many values")
        return known

    size(value, 1)
    return value


def _place(error: Exception) -> str:
    """Where a parser stopped, or what it could not take, in words that show none of the content."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeEncodeError):
        return "a text holds half a character"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, _NoNumber):
        return "it holds a number JSON doesn't have"
    if isinstance(error, _Refused):
        return str(error)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = getattr(mark, "line", None)
    if isinstance(line, int):
        return f"line {line + 1}"
    line = getattr(error, "line", None)
    if isinstance(line, int):
        return f"line {line}"
    return _line_told(error)


def _line_told(error: Exception) -> str:
    """The line that ``tomllib`` names in its message, where it has no attribute for it."""
    import tomllib

    if not isinstance(error, tomllib.TOMLDecodeError):
        return "it holds a number or a date that there isn't" if isinstance(error, ValueError | ArithmeticError) else ""
    found = re.search(r"\(at (line \d+), (column \d+)\)$", str(error))
    return f"{found[1]}, {found[2]}" if found else "at the end of the document"


def _ini_trouble(where: str, error: Exception) -> str:
    from configparser import DuplicateOptionError, DuplicateSectionError, MissingSectionHeaderError, ParsingError

    match error:
        case DuplicateSectionError():
            line, why = error.lineno, f"the section [{shown(error.section)}] is there twice"
        case DuplicateOptionError():
            line, why = error.lineno, f"the section [{shown(error.section)}] has {shown(error.option)} twice"
        case MissingSectionHeaderError():
            line, why = error.lineno, "it stands before the first section"
        case ParsingError() if error.errors:
            line, why = error.errors[0][0], "it is neither a section nor NAME = VALUE"
        case _:
            line, why = None, "it is not valid INI"
    return f"{where}, line {line}: {why}" if line else f"{where}: {why}"


def _check_brackets(text: str) -> None:
    """Refuse far too many open brackets at once, over which ruamel would sit for minutes. Raises ``_Refused``."""
    open_now = 0
    for found in re.finditer(r"[\[\]{}]", text):
        open_now += 1 if found[0] in "[{" else -1
        if open_now > MOST_BRACKETS:
            raise _Refused("nested too deeply")


def _check_size(text: str, where: str, most: int = LARGEST_TEXT) -> None:
    if len(text) > most:
        raise InputError(f"{where} is larger than {most >> 10} KiB", hint="is it the right file?")


def _number(text: str) -> int | float:
    value = int(text)
    return value if -(2**63) <= value < 2**63 else float(text)


def _number_or_none(text: str) -> int | None:
    return int(text) if len(text) < 400 else None


def _refuse_constant(name: str) -> Any:
    raise _NoNumber(name)
