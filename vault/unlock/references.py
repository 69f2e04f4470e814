"""References: a secret that lives elsewhere and is fetched at each use. Nothing fetched is kept.

| written | means |
|---|---|
| ``${NAME}`` or ``$NAME`` | an environment variable; ``${NAME:?}`` the same |
| ``$(command …)`` | what a command prints, run by the shell; it has 30 seconds and no input |
| ``keyring:service/user`` | an entry of the OS keyring |
| ``keychain:provider`` | this vault's own keyring service, user = the provider |
| ``file:path`` | a regular file's content |

A secret is one line of at most 64 Ki characters, and no more than that is read. Line ends at its end and a byte order mark are
cut. No error holds what was fetched, nor any part of it. A command that takes too long or prints too much is ended; so is what
it started, but for one that could ask on a terminal, which stays in the terminal's own group. A reference that an import
brought from another tool is never run as a command: only one that a person typed here is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vault.errors import InputError, NotFound, StorageError, TryAgain, Unavailable
from vault.files import read_start
from vault.pointers import pointer_in
from vault.unlock.os_keyring import keyring_password
from vault.values import LARGEST_SECRET_BYTES, parse_secret, secret_in

if TYPE_CHECKING:
    import subprocess

COMMAND_SECONDS = 30.0
KEYCHAIN_SERVICE = "agent-vault-provider"
SCHEMES = ("env", "command", "keyring", "keychain", "file")
_FORMS = "write ${NAME}, $(command), keyring:service/user, keychain:provider or file:path"


def parse_reference(text: str) -> tuple[str, str]:
    """(scheme, target) of a reference as people write it. Raises InputError."""
    text = text.strip()
    if "\0" in text:
        raise InputError("that is not a reference: it holds a control character", hint=_FORMS)
    found = pointer_in(text, Path.cwd())
    if found is None or not found.scheme or found.default is not None:
        raise InputError("that is not a reference", hint=_FORMS)
    return found.scheme, found.target


def quick(scheme: str, target: str, environ: Mapping[str, str]) -> bool | None:
    """Whether a reference leads somewhere, as far as can be told without fetching: None when only fetching tells."""
    if scheme == "env":
        return bool(environ.get(target, "").strip())
    if scheme == "file":
        return os.path.isfile(target)
    return None if scheme in SCHEMES else False


def fetch(scheme: str, target: str, environ: Mapping[str, str]) -> str:
    """The secret a reference leads to. Raises NotFound, InputError, Unavailable, TryAgain, StorageError; never its value."""
    if scheme == "env":
        value = environ.get(target, "")
        if not value:
            raise NotFound(f"the variable {target} is not set", hint=f"set {target}")
        return _checked(value, f"the variable {target}")
    if scheme == "file":
        return _checked(_read_file(target), f"the file {target}")
    if scheme in ("keyring", "keychain"):
        service, user = target.split("/", 1) if scheme == "keyring" else (KEYCHAIN_SERVICE, target)
        found = keyring_password(service, user)
        if not found:
            raise NotFound(f"the OS keyring has no entry {service}/{user}", hint="check the names")
        return _checked(found, f"the OS keyring's entry {service}/{user}")
    if scheme == "command":
        return _checked(_run(target, environ), "the output of the reference's command")
    raise NotFound(f"a reference of kind {scheme} can't be fetched here", hint="log in with a reference of vault's own")


def _checked(found: str | bytes, what: str) -> str:
    try:
        return secret_in(found, ends=True) if isinstance(found, bytes) else parse_secret(found.rstrip("\r\n"))
    except InputError as error:
        raise InputError(f"{what} can't be used: {error.message}", hint=error.hint) from None


def _read_file(path: str) -> bytes:
    try:
        return read_start(path, LARGEST_SECRET_BYTES + 1)
    except OSError as error:
        raise StorageError(f"the file {path} can't be read: {error.strerror}", hint="check the path") from None


def _run(command: str, environ: Mapping[str, str]) -> bytes:
    """What a command prints, at most one byte more than a secret may have."""
    import subprocess
    import sys

    alone = sys.stdin is None or not sys.stdin.isatty()
    shell = ["/bin/sh", "-c", command] if os.name == "posix" else ["cmd", "/c", command]
    try:
        process = subprocess.Popen(
            shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            bufsize=0,
            start_new_session=alone,
        )
    except OSError as error:
        raise Unavailable(f"the reference's command can't be run: {error.strerror}", hint="try it by hand") from None
    output, whole = None, False
    with process:
        try:
            output = _output(process)
            whole = output is not None and len(output) <= LARGEST_SECRET_BYTES
        finally:
            if not whole:
                _end(process, group=alone)
    if output is None:
        raise TryAgain(f"the reference's command took longer than {COMMAND_SECONDS:g} seconds", hint="try it by hand")
    if whole and process.returncode:
        raise Unavailable(f"the reference's command ended with status {process.returncode}", hint="try it by hand")
    return output


def _output(process: subprocess.Popen[bytes]) -> bytes | None:
    """What a process prints until it closes its output and ends, or until it is too much; None when that takes too long."""
    import selectors
    import subprocess
    import time

    assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
    deadline = time.monotonic() + COMMAND_SECONDS
    output = b""
    try:
        if os.name == "nt":
            return process.communicate(timeout=COMMAND_SECONDS)[0]
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while len(output) <= LARGEST_SECRET_BYTES:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                chunk = os.read(process.stdout.fileno(), LARGEST_SECRET_BYTES + 1 - len(output))
                if not chunk:
                    process.wait(max(0.0, deadline - time.monotonic()))
                    break
                output += chunk
    except subprocess.TimeoutExpired:
        return None
    return output


def _end(process: subprocess.Popen[bytes], group: bool) -> None:
    import contextlib
    import signal

    with contextlib.suppress(OSError):
        if group and os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
