"""The env file for daemons: ``KEY=VALUE`` lines of the person's own, beside the settings. Read, never run and never loaded.

A daemon that systemd or launchd starts has no shell and none of its variables. What stands here counts as if it were set for
every program of this user, after what really is set: ``VAULT_*`` names are settings of vault, such as VAULT_KEY_FILE, and every
other name is a variable that a credential may be read from. As it may hold secrets, a file that others can read or write, or
that belongs to somebody else, is refused whole.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vault.errors import InputError, NotReady
from vault.files import NOT_REGULAR, open_regular
from vault.providers.dotenv import variables_in
from vault.settings import env_file_path
from vault.values import text_of

LARGEST = 1024 * 1024
ALTERNATIVES = ("VAULT_KEY_FILE", "VAULT_KEY_COMMAND", "VAULT_PASSPHRASE")
_PROCESS_ONLY = "VAULT_AWS_"


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What an env file holds: settings of vault, and variables. A file that isn't there holds nothing."""

    path: Path
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def beneath(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The settings that ``environ`` leaves open. Only one way to unlock counts: one that is set hides all of these."""
        taken = {name for name, value in environ.items() if value}
        if taken.intersection(ALTERNATIVES):
            taken |= set(ALTERNATIVES)
        return {name: value for name, value in self.settings.items() if name not in taken}


def settled(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment with the settings of the env file beneath it. Opening the vault tells what is wrong with that file."""
    try:
        return {**environ, **read_env_file(environ).beneath(environ)}
    except NotReady:
        return dict(environ)


def read_env_file(environ: Mapping[str, str]) -> EnvFile:
    """The env file of an environment. Raises NotReady (exit 78) when it can't be trusted, read or understood; never a value."""
    path = env_file_path(environ)
    if str(path) == os.devnull:
        return EnvFile(path)
    try:
        descriptor = open_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return EnvFile(path)
    except OSError as error:
        if error.strerror == NOT_REGULAR:
            hint = "put a file of KEY=VALUE lines there"
            raise NotReady(f"the env file {path} is not a plain file", hint=hint) from None
        raise NotReady(
            f"the env file {path} can't be read: {error.strerror}", hint="check its owner and mode"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        _check(path, os.fstat(descriptor))
        try:
            text = text_of(file.read(LARGEST))
        except (OSError, InputError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise NotReady(f"the env file {path} can't be read: {reason}", hint="check its content") from None
    return _parsed(path, text, environ)


def _check(path: Path, found: os.stat_result) -> None:
    if found.st_size > LARGEST:
        raise NotReady(f"the env file {path} is larger than {LARGEST // 1024} KiB", hint="is it the right file?")
    if os.name == "nt":
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise NotReady(f"the env file {path} belongs to another user", hint=f"chown it, or remove it: {path}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise NotReady(f"the env file {path} is open to others (mode {mode:04o})", hint=f"chmod 600 {path}")


def _parsed(path: Path, text: str, environ: Mapping[str, str]) -> EnvFile:
    import io

    from dotenv.parser import parse_stream

    for line in parse_stream(io.StringIO(text)):
        if line.error:
            raise NotReady(
                f"line {line.original.line} of the env file {path} can't be understood", hint="write KEY=VALUE"
            )
    found = variables_in(text, environ)
    settings = {n: v for n, v in found.items() if n.startswith("VAULT_") and not n.startswith(_PROCESS_ONLY)}
    return EnvFile(path, settings, {n: v for n, v in found.items() if n not in settings})
