"""OpenCode's store: ``auth.json``, and what lies beside it.

``auth.json`` maps a provider id, or the URL of a well-known server, to an entry (``opencode_entries``). OpenCode keeps one
credential a provider, so each becomes the profile ``default`` of ``main``; a well-known server's provider id is its host, and
its port and path, where it has them, the name. OpenCode drops entries and files it can't read in silence; here each entry is
named and damage is an error. How it is written is in ``opencode_writing``, how it is served in ``opencode_plugin``.

The ``credential`` table of ``opencode.db`` is the store of OpenCode's next version. The released one leaves it empty, so what
it holds comes after ``auth.json``: a row that would take the name of an entry is called ``<name>-v2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound, VaultError
from vault.events.credentials import AnyCredential, ApiKey, OAuth, WellKnown
from vault.interop.entries import former_profile, original_label, ownership_of, type_of
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import home_of
from vault.interop.opencode_config import addresses
from vault.interop.opencode_entries import TITLE, credential_of, former_profile_of, profile_of
from vault.interop.opencode_plugin import connect, disconnect, scrub
from vault.interop.opencode_writing import CONTENT, NAME, data_folder, inject, write
from vault.interop.sources import (
    is_sqlite,
    kind_of,
    names_in,
    read_database,
    read_json,
    rows_of,
    shown_name,
)
from vault.interop.tools import Tool
from vault.parsing import parse_json
from vault.providers import catalogue
from vault.values import DEFAULT_NAME, MAIN_AGENT, ProfileId, foreign_profile, name_of, provider_of


def default_paths(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where OpenCode keeps credentials for this environment: ``auth.json``, then its database."""
    folder = data_folder(environ, home)
    named = environ.get("OPENCODE_DB", "")
    return [folder / "auth.json", folder / (named if named and named != ":memory:" else "opencode.db")]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What OpenCode's store holds. ``source`` is ``auth.json``, ``opencode.db``, or their folder; None is the default place.

    Raises NotFound when there is no store, InputError for damage, StorageError, and TryAgain for a database in motion.
    """
    findings = Findings(NAME)
    source = source.absolute() if source is not None else None
    if source is None:
        files = _store_files(data_folder(environ, home), default_paths(environ, home)[1])
        _note_environment(findings, environ)
    else:
        files = _files_of(source)
    if not files and not findings.skipped:
        where = source if source is not None else default_paths(environ, home)[0]
        raise NotFound(
            f"{TITLE} has no store at {where}", hint="name its auth.json, or the folder it is in, with --from"
        )
    for file in files:
        findings.paths.append(str(file))
        if is_sqlite(file):
            _read_tables(findings, file, addresses(environ, home), environ)
        elif file.name == "mcp-auth.json":
            _skip_all(findings, file, "an MCP server's sign-in, not a model provider's")
        elif file.name == "account.json":
            _skip_all(findings, file, "an account of OpenCode 1.15, which later versions don't read", inside="accounts")
        else:
            _read_entries(findings, file, addresses(environ, home), environ)
    return findings


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


def _read_entries(findings: Findings, file: Path, there: Mapping[str, list[str]], environ: Mapping[str, str]) -> None:
    entries = read_json(file)
    if not isinstance(entries, dict):
        raise InputError(
            f"{file} is not an OpenCode auth.json: the top level is not an object", hint="is it the right file?"
        )
    for key, entry in entries.items():
        try:
            if not isinstance(entry, dict):
                raise InputError("the entry is not an object")
            profile, credential, former = profile_of(key), credential_of(key, entry), former_profile_of(key)
            if isinstance(credential, ApiKey):
                whose = home_of(provider_of(profile), there.get(key.rstrip("/"), [""])[-1], environ)
                former = former if whose.profile == profile else None
                _take(findings, file, key, whose.profile, credential, former, whose.base_url)
            else:
                _take(findings, file, key, profile, credential, former)
        except InputError as error:
            _skip(findings, file, key, error.message)


def _read_tables(findings: Findings, file: Path, there: Mapping[str, list[str]], environ: Mapping[str, str]) -> None:
    tables = read_database(
        file, lambda db: {name: _sorted(rows_of(db, name)) for name in ("credential", "account", "control_account")}
    )
    for row in tables["credential"]:
        name = f"{row.get('integration_id')}/{row.get('label')}"
        try:
            profile, credential = _row_profile(findings, row), _row_credential(file, row)
            address = there.get(str(row.get("integration_id")), [""])[-1] if isinstance(credential, ApiKey) else ""
            whose = home_of(provider_of(profile), address, environ, name_of(profile))
            former = _former_row_profile(row) if whose.profile == profile else None
            _take(findings, file, name, whose.profile, credential, former, whose.base_url)
        except InputError as error:
            _skip(findings, file, name, error.message)
    for row in (*tables["account"], *tables["control_account"]):
        _skip(findings, file, row.get("email") or row.get("url"), "an OpenCode Console account, not a model provider's")


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (str(row.get("time_created")), str(row.get("id"))))


def _row_profile(findings: Findings, row: Mapping[str, Any]) -> ProfileId:
    base = profile_of(str(row.get("integration_id") or ""))
    label = str(row.get("label") or DEFAULT_NAME)
    profile = foreign_profile(provider_of(base), label)
    taken = {found.profile for found in findings.found}
    return profile if profile not in taken else foreign_profile(provider_of(base), f"{label}-v2")


def _former_row_profile(row: Mapping[str, Any]) -> ProfileId | None:
    key = str(row.get("integration_id") or "")
    base = former_profile_of(key) or profile_of(key)
    return former_profile(
        provider_of(base), "-".join(str(row.get("label") or DEFAULT_NAME).split()).lstrip("-:") or DEFAULT_NAME
    )


def _row_credential(file: Path, row: Mapping[str, Any]) -> AnyCredential:
    value = row.get("value")
    entry = parse_json(value if isinstance(value, str | bytes) else "", f"a value in the table credential of {file}")
    if not isinstance(entry, dict):
        raise InputError("its value is not an object")
    if entry.get("type") == "key":
        entry = {**entry, "type": "api"}
    if type_of(entry) not in ("api", "oauth"):
        raise InputError(f"its type is {type_of(entry)}, and the table's types are key and oauth")
    return credential_of("", entry)


def _take(
    findings: Findings,
    file: Path,
    name: str,
    profile: ProfileId,
    credential: AnyCredential,
    former: ProfileId | None,
    base_url: str = "",
) -> None:
    for other in findings.found:
        same = provider_of(other.profile) == provider_of(profile) and other.credential.secret() == credential.secret()
        if other.profile == profile or same or _same_login(other.credential, credential):
            what = "the same credential as" if same else "the same login as" if other.profile != profile else "a second"
            _skip(findings, file, name, f"it is {what} {other.profile}, which comes from {other.path}")
            return
    ownership, why = ownership_of(provider_of(profile), credential, TITLE)
    account = credential.account.get("accountId", "") if isinstance(credential, OAuth) else ""
    if isinstance(credential, WellKnown) and (theirs := catalogue.providers_of_variable(credential.env)):
        why = f"{credential.env} is also the variable of {', '.join(theirs[:3])}; {why}".removesuffix("; ")
    findings.found.append(
        Found(
            MAIN_AGENT,
            profile,
            credential,
            str(file),
            original_label(profile, name),
            account,
            ownership,
            why,
            former=former,
            base_url=base_url,
        )
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
    content = environ.get(CONTENT)
    if content is None:
        return
    try:
        entries = parse_json(content, CONTENT)
    except InputError:
        why = "it is set but is not valid JSON, so OpenCode uses its file"
    else:
        names = ", ".join(shown_name(name) for name in entries) if isinstance(entries, dict) else ""
        why = (
            f"it is set, so OpenCode uses it in place of its file; it is not read here (it names {names or 'nothing'})"
        )
    findings.skipped.append(Skipped(CONTENT, "environment", why))


def _skip(findings: Findings, file: Path, name: object, why: str) -> None:
    findings.skipped.append(Skipped(shown_name(name), str(file), why))


TOOL = Tool(
    name=NAME,
    title=TITLE,
    places=default_paths,
    ownership="keys: vault; rotating logins: OpenCode",
    line="vault connect opencode",
    addresses=True,
    helper="token",
    read=read,
    write=write,
    connect=connect,
    disconnect=disconnect,
    inject=inject,
    scrub=scrub,
)
