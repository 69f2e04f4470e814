"""Which Google credential a Vertex provider would use here, and why. Pure: no network, no library, files through a reader.

Project:   the settings, ``GOOGLE_VERTEX_PROJECT``, ``VERTEXAI_PROJECT``, ``GOOGLE_CLOUD_PROJECT``, ``GCP_PROJECT``,
           ``GCLOUD_PROJECT``, the service account's own.
Location:  the settings, ``GOOGLE_VERTEX_LOCATION``, ``VERTEXAI_LOCATION``, ``GOOGLE_CLOUD_LOCATION``, ``VERTEX_LOCATION``.
           It is never guessed: it says in which country the data is worked on.
Credentials are an access token stored for the provider, or another mode stored for it; else Google's application default
credentials: ``file`` is ``GOOGLE_APPLICATION_CREDENTIALS``, ``gcloud`` the file that ``gcloud auth application-default login``
writes, ``metadata`` the metadata server. ``auto`` takes what is stored, else the file where the variable is set, however broken,
else gcloud's; the metadata server is used only when ``auth_source`` asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotReady
from vault.parsing import parse_json
from vault.providers.cloud.extras import is_safe_url, shown_host
from vault.providers.cloud.modes import CloudMode, Problem, Reader, Reason, first_set, home_path, looked_at

AUTO = "auto"
AUTH_SOURCES = (AUTO, "file", "gcloud", "metadata")
VERTEX = "google-vertex"
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
PROJECTS = ("GOOGLE_VERTEX_PROJECT", "VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCLOUD_PROJECT")
LOCATIONS = ("GOOGLE_VERTEX_LOCATION", "VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION", "VERTEX_LOCATION")
ALLOW_PROGRAMS = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"
LOGIN = "gcloud auth application-default login"
TOKEN = "token"  # noqa: S105 - the name of a mode
STORED_TOKEN = "the stored token"  # noqa: S105 - the name of a source

NEEDED: dict[str, tuple[str, ...]] = {
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
    "service_account": ("client_email", "private_key", "token_uri"),
    "external_account": ("audience", "subject_token_type", "token_url", "credential_source"),
    "external_account_authorized_user": ("token_url", "client_id", "client_secret", "refresh_token"),
    "impersonated_service_account": ("service_account_impersonation_url", "source_credentials"),
}
_ADDRESSES = ("token_uri", "token_url", "token_info_url", "service_account_impersonation_url")
_GCLOUD = "gcloud's application default credentials"
_METADATA_HOSTS = ("metadata.google.internal",)


@dataclass(frozen=True, slots=True)
class VertexSettings:
    """A Vertex provider's settings. Raises NotReady for an unknown ``auth_source``."""

    provider: str = VERTEX
    auth_source: str = AUTO
    project: str = ""
    location: str = ""

    def __post_init__(self) -> None:
        if self.auth_source not in AUTH_SOURCES:
            raise NotReady(
                f"auth_source of {self.provider} is not a source of Google credentials",
                hint=f"use one of {', '.join(AUTH_SOURCES)}",
            )


@dataclass(frozen=True, slots=True)
class _Step:
    """A place in the order; ``here`` says whether it is there."""

    mode: str
    what: str
    here: bool

    def asked_for(self, asked: str) -> bool:
        """Whether this place counts under an ``auth_source``."""
        if asked == AUTO:
            return self.mode != "metadata" or self.what == STORED_TOKEN
        return self.mode == asked


def resolve_vertex(
    settings: VertexSettings,
    environ: Mapping[str, str],
    home: Path,
    *,
    stored_token: bool = False,
    stored_mode: str = TOKEN,
    reader: Reader,
) -> CloudMode:
    """The credential mode of one Vertex provider, with every source's reason.

    ``stored_token`` says whether a usable access token is stored for the provider, ``stored_mode`` what is stored instead of
    one; ``reader`` gives a file's text or None. Raises nothing: what is wrong is in the mode's problems.
    """
    asked = settings.auth_source
    named = environ.get(CREDENTIALS, "").strip()
    gcloud = gcloud_file(environ, home)
    places = {CREDENTIALS: home_path(named, home), _GCLOUD: gcloud} if named else {_GCLOUD: gcloud}
    steps = (
        _Step(stored_mode, STORED_TOKEN, stored_token),
        _Step("file", CREDENTIALS, bool(named)),
        _Step("gcloud", _GCLOUD, looked_at(reader, gcloud) != (None, "")),
        _Step("metadata", "metadata server", True),
    )
    chosen = next((step for step in steps if step.here and step.asked_for(asked)), None)
    problems: list[Problem] = []
    facts: dict[str, str] = {}
    info: dict[str, Any] = {}
    path = places.get(chosen.what) if chosen else None
    if path is not None:
        facts["credentials_file"] = str(path)
        info, problems = read_credentials(path, environ, home, reader)
        facts |= _facts(info)
    if chosen is None:
        hint = f"set it, or use another auth_source; {LOGIN} makes gcloud's own file"
        text = f"{CREDENTIALS} is not set" if asked == "file" else f"there is no {gcloud}"
        text = "no application default credentials were found" if asked == AUTO else text
        problems.append(Problem("no_source", text, LOGIN if asked != "file" else hint))
    own = info.get("project_id")
    project, project_source = _first(settings.project, environ, PROJECTS)
    if not project and isinstance(own, str) and own:
        project, project_source = own, "the credentials file"
    location, location_source = _first(settings.location, environ, LOCATIONS)
    where = f"under [providers.{settings.provider}] in the settings"
    if not project:
        problems.append(
            Problem("project_missing", "no Google Cloud project is set", f"set {PROJECTS[0]}, or project {where}")
        )
    if not location:
        problems.append(
            Problem("region_missing", "no Vertex location is set", f"set {LOCATIONS[0]}, or location {where}")
        )
    return CloudMode(
        settings.provider,
        "google",
        asked,
        mode=chosen.mode if chosen else "",
        source=chosen.what if chosen else "",
        region=location,
        region_source=location_source,
        problems=tuple(problems),
        reasons=tuple(_reason(step, chosen, asked) for step in steps),
        facts={"project": project, "project_source": project_source, **facts} if project else facts,
    )


def gcloud_file(environ: Mapping[str, str], home: Path) -> Path:
    """Where gcloud keeps its application default credentials."""
    named = environ.get("CLOUDSDK_CONFIG", "").strip()
    if named:
        folder = home_path(named, home)
    elif os.name == "nt" and environ.get("APPDATA"):
        folder = Path(environ["APPDATA"]) / "gcloud"
    else:
        folder = home / ".config" / "gcloud"
    return folder / "application_default_credentials.json"


def read_credentials(
    path: Path, environ: Mapping[str, str], home: Path, reader: Reader
) -> tuple[dict[str, Any], list[Problem]]:
    """A credentials file and what is wrong with it. The content holds secrets; the problems don't."""
    text, trouble = looked_at(reader, path)
    if trouble:
        return {}, [Problem("unreadable", f"{path} can't be read: {trouble}", "look at its mode and owner")]
    if text is None:
        return {}, [Problem("file_missing", f"{path} is not there", f"fix {CREDENTIALS}, or unset it and use {LOGIN}")]
    try:
        info = parse_json(text, str(path))
    except InputError:
        info = None
    if not isinstance(info, dict):
        return {}, [Problem("unreadable", f"{path} is not a JSON object", "is it a credentials file?")]
    return info, _examine(info, path, environ, home, reader)


def _examine(
    info: Mapping[str, Any], path: Path, environ: Mapping[str, str], home: Path, reader: Reader
) -> list[Problem]:
    kind = info.get("type")
    if kind not in NEEDED:
        known = ", ".join(sorted(NEEDED))
        return [Problem("unsupported", f"{path} is of no type that vault can use", f"it can use {known}")]
    problems = []
    missing = [name for name in NEEDED[kind] if not info.get(name)]
    if missing:
        problems.append(Problem("incomplete", f"{path} has no {', '.join(missing)}", "get the file again"))
    for name in _ADDRESSES:
        value = info.get(name)
        if value and not (isinstance(value, str) and is_safe_url(value)):
            problems.append(_refused(f"{name} of {path}", value))
    source = info.get("credential_source")
    if kind == "external_account" and isinstance(source, dict):
        problems += _subject_problems(source, path, environ, home, reader)
    inner = info.get("source_credentials")
    if kind == "impersonated_service_account" and isinstance(inner, dict):
        if inner.get("type") in ("impersonated_service_account", "external_account"):
            problems.append(Problem("unsupported", f"{path} starts from a type that google-auth does not take", LOGIN))
        else:
            problems += _examine(inner, path, environ, home, reader)
    return problems


def _subject_problems(
    source: Mapping[str, Any], path: Path, environ: Mapping[str, str], home: Path, reader: Reader
) -> list[Problem]:
    """Where the subject token of an external account comes from: a file, an address, a program, or AWS."""
    problems = []
    if isinstance(source.get("file"), str):
        file = home_path(source["file"], home)
        text, trouble = looked_at(reader, file)
        if trouble or text is None:
            problems.append(Problem("file_missing", f"the token file {file} can't be read", f"{path} names it"))
    if source.get("executable") and environ.get(ALLOW_PROGRAMS) != "1":
        text = f"{path} gets its token from a program, and {ALLOW_PROGRAMS} is not 1"
        problems.append(Problem("refused", text, f"set {ALLOW_PROGRAMS}=1 if you trust that file"))
    for name in ("url", "region_url", "imdsv2_session_token_url"):
        value = source.get(name)
        safe = isinstance(value, str) and is_safe_url(value, hosts=_METADATA_HOSTS, link_local=True)
        if value and not safe:
            problems.append(_refused(f"{name} of the credential source in {path}", value))
    return problems


def _refused(what: str, value: object) -> Problem:
    shown = shown_host(value) if isinstance(value, str) else ""
    return Problem("refused", f"{what} is not https ({shown or 'no host'})", "don't use a file you don't know")


def _facts(info: Mapping[str, Any]) -> dict[str, str]:
    told = {
        "credentials_type": info.get("type") if info.get("type") in NEEDED else "",
        "account": info.get("client_email") or info.get("account"),
        "quota_project": info.get("quota_project_id"),
    }
    return {name: value for name, value in told.items() if isinstance(value, str) and value}


def _first(setting: str, environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    if setting:
        return setting, "the settings"
    name = first_set(environ, *names)
    return (environ[name].strip(), name) if name else ("", "")


def _reason(step: _Step, chosen: _Step | None, asked: str) -> Reason:
    label = f"{step.mode}: {step.what}"
    if step is chosen:
        return Reason(label, "chosen", "chosen")
    if step.mode == "metadata" and step.what != STORED_TOKEN:
        return Reason(label, "not_asked", "not asked: only auth_source = metadata does")
    if not step.here:
        return Reason(label, "not_set", "not there")
    if not step.asked_for(asked):
        return Reason(label, "switched_off", f"there, and switched off by auth_source = {asked}")
    return Reason(label, "shadowed", f"there, and passed over: {chosen.what if chosen else ''} comes first")
