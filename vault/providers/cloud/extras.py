"""The cloud libraries: optional, imported by name when first needed, and never waited for without end.

``importlib`` keeps them out of the import graph and of the type checker, which must both give the same answer whether they
are installed or not. They are asked in a daemon thread that is left behind when the time limit passes: some of them run
programs or retry by themselves, and one limit over all of it is the only one that holds.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Container
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import urlsplit

from vault.addresses import is_loopback_host
from vault.errors import TryAgain, Unavailable

DEADLINE_SECONDS = 30.0
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0

_T = TypeVar("_T")
_LIBRARIES = {"aws": "botocore", "google": "google-auth", "azure": "azure-identity"}
_LOGGERS = {"aws": ("botocore",), "google": ("google",), "azure": ("azure", "msal")}
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def library(module: str, extra: str) -> Any:
    """A module of a cloud library. Raises Unavailable, with the line that installs it."""
    import logging

    for name in _LOGGERS[extra]:
        # Without a handler of its own, such a logger prints warnings with tracebacks to the terminal.
        if not logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        return import_module(module)
    except ImportError:
        raise Unavailable(
            f"this credential needs {_LIBRARIES[extra]}, which is not installed",
            hint=f"pip install 'agent-vault[{extra}]'",
        ) from None


def within(seconds: float, who: str, work: Callable[[], _T]) -> _T:
    """What the work returns, or what it raises; TryAgain when the time limit passes first."""
    import threading

    values: list[_T] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            values.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failures.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="vault-cloud", daemon=True).start()
    if not done.wait(seconds):
        raise TryAgain(f"{who} did not answer within {seconds:g} s", hint="try again, or look at the network")
    if failures:
        raise failures[0]
    return values[0]


def error_code(text: object) -> str:
    """An error code from elsewhere as it may be shown: a short word, or nothing."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else ""


def shown_host(url: str) -> str:
    """Scheme, host and port of an address; never its path, its query or a name and password in it."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}" if host else ""


def is_safe_url(url: str, *, hosts: Container[str] = (), link_local: bool = False) -> bool:
    """Whether a secret may travel to this address: https, or http to this machine, one of ``hosts``, or link-local."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.scheme not in ("http", "https"):
        return False
    if parts.scheme == "https" or is_loopback_host(host) or host in hosts:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return link_local and address.is_link_local
