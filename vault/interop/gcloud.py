"""gcloud: application default credentials, the file that Google's libraries read.

A sign-in (``authorized_user``) or a service account's key stays where it is: Google's libraries read files and no token, so the
profile is a cloud mode that names the source, and the vault gets tokens through it. gcloud's own logins are in databases of its
own, and are printed by ``gcloud auth print-access-token``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vault.errors import InputError, NotFound
from vault.events.credentials import Cloud
from vault.interop.documents import object_in
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.sources import kind_of
from vault.interop.tools import Tool
from vault.values import MAIN_AGENT, ProfileId

NAME, _TITLE = "gcloud", "gcloud"
_TYPES = (
    "authorized_user",
    "service_account",
    "external_account",
    "external_account_authorized_user",
    "impersonated_service_account",
)


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The file a variable names, and gcloud's own."""
    folder = Path(environ.get("CLOUDSDK_CONFIG") or home / ".config" / "gcloud")
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return [*([Path(named)] if named else []), folder / "application_default_credentials.json"]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The credentials file. ``source`` is it, or its folder. Raises NotFound, InputError, StorageError."""
    path = (
        source.absolute()
        if source is not None
        else next((p for p in places(environ, home) if kind_of(p) == "file"), None)
    )
    if path is not None and kind_of(path) == "folder":
        path = path / "application_default_credentials.json"
    if path is None or kind_of(path) == "missing":
        raise NotFound(f"{_TITLE} has no application default credentials", hint="gcloud auth application-default login")
    findings = Findings(NAME, [str(path)])
    document = object_in(path)
    kind = document.get("type")
    if kind not in _TYPES:
        raise InputError(f"{path} is not a Google credentials file: its type is unknown", hint="is it the right file?")
    own = path in places({}, home) or path.parent == Path(environ.get("CLOUDSDK_CONFIG") or "/nonexistent")
    facts = {} if own else {"path": str(path)}
    for fact, names in (("project", ("quota_project_id", "project_id")),):
        value = next((document[n] for n in names if isinstance(document.get(n), str) and document[n]), None)
        if value:
            facts[fact] = value
    if not own:
        why = f"GOOGLE_APPLICATION_CREDENTIALS={path} has Google's libraries and the vault read it where it is"
        findings.skipped.append(Skipped(str(kind), str(path), why))
        return findings
    found = Found(
        MAIN_AGENT,
        ProfileId("google-vertex:gcloud"),
        Cloud(mode="gcloud", facts=facts),
        str(path),
        account=str(document.get("client_email") or ""),
        ownership="external",
        why="the secret stays in gcloud's file, and gcloud and Google's libraries refresh it",
    )
    findings.found.append(found)
    return findings


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="gcloud",
    line="vault exec -p google-vertex -- PROGRAM",
    helper="google",
    takes=frozenset({"google-vertex"}),
    read=read,
)
