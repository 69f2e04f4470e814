"""Gemini CLI's encrypted fallback, ``gemini-credentials.json``: what it would keep in the OS keyring, where there is none.

The text is ``nonce:tag:ciphertext`` in hex; the key comes from the names of the machine and the user, so the file opens only
there. Inside is a map of keyring services, of accounts, of values.
"""

from __future__ import annotations

import getpass
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vault.crypto.foreign import open_scrypt_gcm
from vault.errors import InputError, IntegrityError
from vault.interop.sources import read_text
from vault.parsing import parse_json

LOGIN = ("gemini-cli-oauth", "main-account")
KEY = ("gemini-cli-api-key", "default-api-key")
_PASSWORD = b"gemini-cli-oauth"


class NotHere(Exception):
    """The file was sealed on another machine or by another user, or it is damaged."""


def entries(path: Path, seal: str = "") -> Iterator[tuple[tuple[str, str], Any]]:
    """((service, account), value) of each entry, a value that is JSON read as such. ``seal`` stands for this machine and user.

    Raises NotFound, InputError, StorageError; NotHere when it can't be opened here.
    """
    for service, accounts in opened(path, seal or this_machine()).items():
        for account, value in accounts.items() if isinstance(accounts, dict) else ():
            yield (service, account), _value(value, path)


def opened(path: Path, seal: str) -> Mapping[str, Any]:
    """The document inside. Raises as ``entries`` does."""
    parts = read_text(path).strip().split(":")
    try:
        nonce, tag, ciphertext = (bytes.fromhex(part) for part in parts)
    except ValueError:
        raise InputError(f"{path} is not a sealed file of Gemini CLI", hint="is it the right file?") from None
    try:
        text = open_scrypt_gcm(_PASSWORD, seal.encode(), nonce, tag, ciphertext)
    except IntegrityError:
        raise NotHere(
            f"{path} can't be opened: it was made on another machine or by another user, or it is damaged"
        ) from None
    document = parse_json(text, str(path))
    if not isinstance(document, dict):
        raise InputError(f"{path} does not hold a map of entries", hint="sign in with gemini again")
    return document


def this_machine() -> str:
    """What the key is made from here."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    return f"{platform.node()}-{user}-gemini-cli"


def _value(value: object, path: Path) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value, str(path))
    except InputError:
        return value
