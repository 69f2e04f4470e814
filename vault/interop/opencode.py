"""OpenCode's store: ``auth.json``, and what lies beside it.

``auth.json`` maps a provider id, or the URL of a well-known server, to an entry of type ``api``, ``oauth`` or ``wellknown``.
Times are milliseconds, ``expires: 0`` is never. OpenCode keeps one credential a provider, so each becomes the profile
``default`` of ``main``; a well-known server's provider id is its host, and its port and path, where it has them, the name.
Fields that are not known here stay in ``extra``. OpenCode drops entries and files it can't read in silence; here each entry
is named and damage is an error.

The ``credential`` table of ``opencode.db`` is the store of OpenCode's next version. The released one leaves it empty, so what
it holds comes after ``auth.json``: a row that would take the name of an entry is called ``<name>-v2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vault.errors import InputError, NotFound, VaultError
from vault.events.credentials import AnyCredential, ApiKey, OAuth, WellKnown
from vault.interop.entries import instant_of, metadata_of, ownership_of, texts_of, type_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.sources import (
    is_sqlite,
    kind_of,
    names_in,
    parse_json,
    read_database,
    read_json,
    rows_of,
    shown_name,
)
from vault.interop.tools import Tool
from vault.values import (
    DEFAULT_NAME,
    MAIN_AGENT,
    ProfileId,
    parse_provider,
    profile_id,
    provider_of,
)

NAME = "opencode"
_TITLE = "OpenCode"
_CONTENT = "OPENCODE_AUTH_CONTENT"
_EXTRA_OF = {
    "api": {"type", "key", "metadata"},
    "oauth": {"type", "refresh", "access", "expires", "accountId", "enterpriseUrl", "metadata"},
    "wellknown": {"type", "key", "token"},
}


def default_paths(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where OpenCode keeps credentials for this environment: ``auth.json``, then its database."""
    folder = _data_folder(environ, home)
    named = environ.get("OPENCODE_DB", "")
    return [folder / "auth.json", folder / (named if named and named != ":memory:" else "opencode.db")]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What OpenCode's store holds. ``source`` is ``auth.json``, ``opencode.db``, or their folder; None is the default place.

    Raises NotFound when there is no store, InputError for damage, StorageError, and TryAgain for a database in motion.
    """
    findings = Findings(NAME)
    source = source.absolute() if source is not None else None
    if source is None:
        files = _store_files(_data_folder(environ, home), default_paths(environ, home)[1])
        _note_environment(findings, environ)
    else:
        files = _files_of(source)
    if not files and not findings.skipped:
        where = source if source is not None else default_paths(environ, home)[0]
        raise NotFound(
            f"{_TITLE} has no store at {where}", hint="name its auth.json, or the folder it is in, with --from"
        )
    for file in files:
        findings.paths.append(str(file))
        if is_sqlite(file):
            _read_tables(findings, file)
        elif file.name == "mcp-auth.json":
            _skip_all(findings, file, "an MCP server's sign-in, not a model provider's")
        elif file.name == "account.json":
            _skip_all(findings, file, "an account of OpenCode 1.15, which later versions don't read", inside="accounts")
        else:
            _read_entries(findings, file)
    return findings


def _data_folder(environ: Mapping[str, str], home: Path) -> Path:
    return Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "opencode"


def _files_of(source: Path) -> list[Path]:
    match kind_of(source):
        case "missing":
            raise NotFound(f"there is no {source}", hint="name OpenCode's auth.json, or the folder it is in")
        case "folder":
            return _store_files(source) or _store_files(source / "opencode")
        case _:
            return [source]


def _store_files(folder: Path, database: Path | None = None) -> list[Path]:
    names = names_in(folder)
    files = [folder / "auth.json"] if "auth.json" in names else []
    files += [folder / name for name in names if name.startswith("opencode") and name.endswith(".db")]
    if database is not None and database not in files and kind_of(database) == "file":
        files.append(database)
    return files + [folder / name for name in ("mcp-auth.json", "account.json") if files and name in names]


def _read_entries(findings: Findings, file: Path) -> None:
    entries = read_json(file)
    if not isinstance(entries, dict):
        raise InputError(
            f"{file} is not an OpenCode auth.json: the top level is not an object", hint="is it the right file?"
        )
    for key, entry in entries.items():
        try:
            if not isinstance(entry, dict):
                raise InputError("the entry is not an object")
            profile = _profile_of(key)
            _take(findings, file, key, profile, _credential_of(key, entry))
        except InputError as error:
            _skip(findings, file, key, error.message)


def _profile_of(key: str) -> ProfileId:
    key = key.rstrip("/")
    if "://" not in key:
        return profile_id(parse_provider(key), DEFAULT_NAME)
    try:
        url = urlsplit(key)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise InputError("its URL can't be understood") from None
    parts = ([] if url.scheme == "https" else [url.scheme]) + ([str(port)] if port else [])
    parts += [part for part in url.path.split("/") if part]
    return profile_id(parse_provider(host.strip("[]").replace(":", "-").strip("-.")), "-".join(parts) or DEFAULT_NAME)


def _credential_of(key: str, entry: Mapping[str, Any]) -> AnyCredential:
    kind = type_of(entry)
    extra = {name: value for name, value in entry.items() if name not in _EXTRA_OF.get(kind, set())}
    match kind:
        case "api":
            metadata, rest = metadata_of(entry)
            return ApiKey(key=usable_secret(entry.get("key"), "key"), metadata=metadata, extra=extra | rest)
        case "oauth":
            return _oauth_of(entry, extra)
        case "wellknown":
            if "://" not in key:
                raise InputError("its type is wellknown and its name is not a URL")
            env = entry.get("key")
            if not isinstance(env, str) or not env:
                raise InputError("it names no environment variable")
            return WellKnown(
                url=key.rstrip("/"), env=env, token=usable_secret(entry.get("token"), "token"), extra=extra
            )
        case _:
            raise InputError(f"its type is {kind}, and OpenCode's types are api, oauth and wellknown")


def _oauth_of(entry: Mapping[str, Any], extra: dict[str, Any]) -> OAuth:
    expires = entry.get("expires", 0)
    if isinstance(expires, bool) or not isinstance(expires, int | float) or expires < 0 or expires % 1:
        raise InputError("its expires is not a whole number of milliseconds")
    refresh = entry.get("refresh", "")
    metadata, rest = metadata_of(entry)
    account, place = texts_of(entry, "accountId"), texts_of(entry, "enterpriseUrl")
    odd = {
        name: entry[name] for name in ("accountId", "enterpriseUrl") if name in entry and name not in account | place
    }
    if expires and instant_of(expires) is None:
        odd["expires"] = expires
    return OAuth(
        access=usable_secret(entry.get("access"), "access token"),
        refresh=usable_secret(refresh, "refresh token") if refresh != "" else "",
        expires_at=instant_of(expires),
        account=account,
        metadata=metadata | place,
        extra=extra | rest | odd,
    )


def _read_tables(findings: Findings, file: Path) -> None:
    tables = read_database(
        file, lambda db: {name: _sorted(rows_of(db, name)) for name in ("credential", "account", "control_account")}
    )
    for row in tables["credential"]:
        name = f"{row.get('integration_id')}/{row.get('label')}"
        try:
            _take(findings, file, name, _row_profile(findings, row), _row_credential(file, row))
        except InputError as error:
            _skip(findings, file, name, error.message)
    for row in (*tables["account"], *tables["control_account"]):
        _skip(findings, file, row.get("email") or row.get("url"), "an OpenCode Console account, not a model provider's")


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (str(row.get("time_created")), str(row.get("id"))))


def _row_profile(findings: Findings, row: Mapping[str, Any]) -> ProfileId:
    base = _profile_of(str(row.get("integration_id") or ""))
    label = "-".join(str(row.get("label") or DEFAULT_NAME).split()).lstrip("-:") or DEFAULT_NAME
    profile = profile_id(provider_of(base), label)
    taken = {found.profile for found in findings.found}
    return profile if profile not in taken else profile_id(provider_of(base), f"{label}-v2")


def _row_credential(file: Path, row: Mapping[str, Any]) -> AnyCredential:
    value = row.get("value")
    entry = parse_json(value if isinstance(value, str | bytes) else "", f"a value in the table credential of {file}")
    if not isinstance(entry, dict):
        raise InputError("its value is not an object")
    if entry.get("type") == "key":
        entry = {**entry, "type": "api"}
    if type_of(entry) not in ("api", "oauth"):
        raise InputError(f"its type is {type_of(entry)}, and the table's types are key and oauth")
    return _credential_of("", entry)


def _take(findings: Findings, file: Path, name: str, profile: ProfileId, credential: AnyCredential) -> None:
    for other in findings.found:
        same = provider_of(other.profile) == provider_of(profile) and other.credential.secret() == credential.secret()
        if other.profile == profile or same or _same_login(other.credential, credential):
            what = "the same credential as" if same else "the same login as" if other.profile != profile else "a second"
            _skip(findings, file, name, f"it is {what} {other.profile}, which comes from {other.path}")
            return
    ownership, why = ownership_of(provider_of(profile), credential, _TITLE)
    account = credential.account.get("accountId", "") if isinstance(credential, OAuth) else ""
    findings.found.append(
        Found(MAIN_AGENT, profile, credential, str(file), account=account, ownership=ownership, why=why)
    )


def _same_login(one: AnyCredential, other: AnyCredential) -> bool:
    return isinstance(one, OAuth) and isinstance(other, OAuth) and bool(one.refresh) and one.refresh == other.refresh


def _skip_all(findings: Findings, file: Path, why: str, inside: str = "") -> None:
    try:
        entries = read_json(file)
    except VaultError as error:
        _skip(findings, file, file.name, error.message)
        return
    found = entries.get(inside) if inside and isinstance(entries, dict) else entries
    for name in found if isinstance(found, dict) else ():
        _skip(findings, file, name, why)


def _note_environment(findings: Findings, environ: Mapping[str, str]) -> None:
    content = environ.get(_CONTENT)
    if content is None:
        return
    try:
        entries = parse_json(content, _CONTENT)
    except InputError:
        why = "it is set but is not valid JSON, so OpenCode uses its file"
    else:
        names = ", ".join(shown_name(name) for name in entries) if isinstance(entries, dict) else ""
        why = (
            f"it is set, so OpenCode uses it in place of its file; it is not read here (it names {names or 'nothing'})"
        )
    findings.skipped.append(Skipped(_CONTENT, "environment", why))


def _skip(findings: Findings, file: Path, name: object, why: str) -> None:
    findings.skipped.append(Skipped(shown_name(name), str(file), why))


TOOL = Tool(
    name=NAME, title=_TITLE, places=default_paths, ownership="keys: vault; rotating logins: OpenCode", read=read
)
