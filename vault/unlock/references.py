"""References: a secret that lives elsewhere and is fetched at each use. Nothing fetched is kept.

| written | means |
|---|---|
| ``${NAME}`` or ``$NAME`` | an environment variable; ``${NAME:?}`` the same |
| ``$(command …)`` | what a command prints, run by the shell, its trailing line ends cut |
| ``keyring:service/user`` | an entry of the OS keyring |
| ``keychain:provider`` | this vault's own keyring service, user = the provider |
| ``file:path`` | a file's content, its trailing line ends cut |

A reference that an import brought from another tool is never run as a command: only one that a person typed here is.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vault.errors import InputError, NotFound, StorageError, TryAgain, Unavailable
from vault.unlock.os_keyring import keyring_password
from vault.values import parse_secret

COMMAND_SECONDS = 30.0
KEYCHAIN_SERVICE = "agent-vault-provider"
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::\?[^}]*)?\}|([A-Za-z_][A-Za-z0-9_]*))")
SCHEMES = ("env", "command", "keyring", "keychain", "file")


def parse_reference(text: str) -> tuple[str, str]:
    """(scheme, target) of a reference as people write it. Raises InputError."""
    text = text.strip()
    variable = _VARIABLE.fullmatch(text)
    if variable:
        return "env", variable[1] or variable[2]
    if text.startswith("$(") and text.endswith(")") and text[2:-1].strip():
        return "command", text[2:-1].strip()
    scheme, _, target = text.partition(":")
    if scheme == "keyring" and all(target.partition("/")[::2]):
        return "keyring", target
    if scheme == "keychain" and target:
        return "keychain", target
    if scheme == "file" and target:
        return "file", str(Path(target).expanduser().absolute())
    raise InputError(
        "that is not a reference",
        hint="write ${NAME}, $(command), keyring:service/user, keychain:provider or file:path",
    )


def quick(scheme: str, target: str, environ: Mapping[str, str]) -> bool | None:
    """Whether a reference leads somewhere, as far as can be told without fetching: None when only fetching tells."""
    if scheme == "env":
        return bool(environ.get(target))
    if scheme == "file":
        return Path(target).is_file()
    return None if scheme in SCHEMES else False


def fetch(scheme: str, target: str, environ: Mapping[str, str]) -> str:
    """The secret a reference leads to. Raises NotFound, InputError, Unavailable, TryAgain, StorageError; never its value."""
    if scheme == "env":
        value = environ.get(target, "")
        if not value:
            raise NotFound(f"the variable {target} is not set", hint=f"set {target}")
        return parse_secret(value)
    if scheme == "file":
        try:
            return parse_secret(Path(target).read_text("utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise StorageError(f"the file {target} can't be read: {reason}", hint="check the path") from None
    if scheme in ("keyring", "keychain"):
        service, user = target.split("/", 1) if scheme == "keyring" else (KEYCHAIN_SERVICE, target)
        found = keyring_password(service, user)
        if not found:
            raise NotFound(f"the OS keyring has no entry {service}/{user}", hint="check the names")
        return parse_secret(found)
    if scheme == "command":
        return parse_secret(_run(target, environ))
    raise NotFound(f"a reference of kind {scheme} can't be fetched here", hint="log in with a reference of vault's own")


def _run(command: str, environ: Mapping[str, str]) -> str:
    shell = ["/bin/sh", "-c", command] if os.name == "posix" else ["cmd", "/c", command]
    try:
        done = subprocess.run(
            shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TryAgain(
            f"the reference's command took longer than {COMMAND_SECONDS:.0f} seconds", hint="try it by hand"
        ) from None
    except OSError as error:
        raise Unavailable(f"the reference's command can't be run: {error.strerror}", hint="try it by hand") from None
    if done.returncode:
        raise Unavailable(f"the reference's command ended with status {done.returncode}", hint="try it by hand")
    try:
        return done.stdout.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError("the reference's command printed something that is not text", hint="try it by hand") from None
