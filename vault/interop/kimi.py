"""Kimi Code, and the older Kimi CLI: ``credentials/kimi-code.json``, a sign-in that rotates within a quarter of an hour.

The access token lives 15 minutes and the refresh token is replaced at each refresh: the tool goes on refreshing it, and the
vault reads it there at every use. Written into another program's store it would be dead before it is of use, so it isn't. Times
are seconds, with a fraction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vault.errors import InputError, NotFound
from vault.events.credentials import OAuth
from vault.interop.documents import object_in
from vault.interop.entries import ownership_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.sources import kind_of
from vault.interop.tools import Tool
from vault.providers import catalogue
from vault.values import DEFAULT_NAME, MAIN_AGENT, SECOND, moment_of, profile_id

NAME, _TITLE = "kimi", "Kimi Code"
_KNOWN = {"access_token", "refresh_token", "expires_at", "scope"}


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The current program's file, then the older one's."""
    older = Path(environ.get("KIMI_SHARE_DIR") or home / ".kimi")
    return [folder / "credentials" / "kimi-code.json" for folder in (home / ".kimi-code", older)]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The sign-in. ``source`` is the file, or the program's folder. Raises NotFound, InputError, StorageError."""
    path = _file(source, environ, home)
    findings = Findings(NAME, [str(path)])
    document = object_in(path)
    expires = moment_of(document.get("expires_at"), SECOND)
    scope = document.get("scope")
    extra = {
        name: value
        for name, value in document.items()
        if name not in _KNOWN or (name == "expires_at" and expires is None)
    }
    try:
        credential = OAuth(
            access=usable_secret(document.get("access_token"), "access token"),
            refresh=usable_secret(document.get("refresh_token"), "refresh token"),
            expires_at=expires,
            scopes=scope.split() if isinstance(scope, str) else [],
            extra=extra,
        )
    except InputError as error:
        findings.skipped.append(Skipped("the login", str(path), error.message))
        return findings
    provider = catalogue.resolve("kimi-for-coding")
    ownership, why = ownership_of(provider, credential, _TITLE)
    profile = profile_id(provider, DEFAULT_NAME)
    findings.found.append(Found(MAIN_AGENT, profile, credential, str(path), ownership=ownership, why=why))
    return findings


def _file(source: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    if source is None:
        found = next((p for p in places(environ, home) if kind_of(p) == "file"), None)
        if found is None:
            raise NotFound(f"{_TITLE} has no login in {home}", hint="name its kimi-code.json with --from")
        return found
    path = source.absolute()
    path = path / "credentials" / "kimi-code.json" if kind_of(path) == "folder" else path
    if kind_of(path) == "missing":
        raise NotFound(f"there is no {path}", hint="name Kimi's kimi-code.json, or its folder")
    return path


TOOL = Tool(name=NAME, title=_TITLE, places=places, ownership="login: Kimi Code", line="vault import kimi", read=read)
