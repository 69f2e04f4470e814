"""Gemini CLI: the Google login and the API key it keeps below ``.gemini``.

| where | becomes | owner |
|---|---|---|
| ``oauth_creds.json`` | ``google:gemini-cli``, an OAuth login | Gemini CLI: only it has the client's secret to refresh it with |
| ``gemini-credentials.json``, where there is no keyring | the same, and ``google:default`` for a key | the same; vault |
| ``.env`` | ``google:default``, and ``google:google_api_key`` where that is another one | vault |

Gemini CLI asks nobody for a credential while it runs, so it is served through ``exec``: variables win over its files, but for
``security.auth.selectedType`` in ``settings.json``, which must say the same kind or nothing. Google keeps the refresh token at a
refresh, so a login may be put back. There is no lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound, VaultError
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop import dotenv
from vault.interop.documents import object_in
from vault.interop.dotenv_lines import bindings, with_value
from vault.interop.entries import MILLISECOND, instant_of, ownership_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.gemini_sealed import KEY, LOGIN, NotHere, entries
from vault.interop.plans import Injection, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, read_text, shown_name
from vault.interop.styled import mode_of, styled
from vault.interop.tools import Orders, Tool
from vault.values import DEFAULT_NAME, MAIN_AGENT, ProfileId, ProviderId, Secret, profile_id

NAME, _TITLE = "gemini", "Gemini CLI"
KEPT = "gemini_cli"
CLIENT = "google-gemini-cli"
_GOOGLE = ProviderId("google")
_LOGIN = ProfileId("google:gemini-cli")
_CREDS, _SEALED, _ENV = "oauth_creds.json", "gemini-credentials.json", ".env"
_KEY, _VERTEX_KEY = "GEMINI_API_KEY", "GOOGLE_API_KEY"
_USE, _ACCESS = "GOOGLE_GENAI_USE_GCA", "GOOGLE_CLOUD_ACCESS_TOKEN"
_COMPETING = frozenset({_KEY, _VERTEX_KEY, _USE, _ACCESS, "GOOGLE_GENERATIVE_AI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"})
_WHY = "only Gemini CLI has its client's secret, so it goes on refreshing it; the vault reads it there at every use"
_EXEC = "vault exec --tool gemini -- gemini"
_TYPES = {_CREDS: "oauth-personal", _ENV: "gemini-api-key"}
_FROM_KEYRING: dict[str, str] = {
    "accessToken": "access_token",
    "refreshToken": "refresh_token",
    "expiresAt": "expiry_date",
    "tokenType": "token_type",
}


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The files Gemini CLI may keep a credential in, for this environment."""
    folder = _folder(None, environ, home)
    return [folder / name for name in (_CREDS, _SEALED, _ENV)]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What Gemini CLI keeps. ``source`` is its folder, or one of the files. Raises NotFound, InputError, StorageError."""
    folder = _folder(source, environ, home)
    named = source is not None and kind_of(source) != "folder"
    files = [source.absolute()] if source is not None and named else [folder / n for n in (_CREDS, _SEALED, _ENV)]
    files = [file for file in files if kind_of(file) != "missing"]
    if not files:
        where = source if source is not None else folder
        raise NotFound(f"{_TITLE} keeps nothing at {where}", hint="name its folder with --from")
    findings = Findings(NAME, [str(file) for file in files])
    for file in files:
        if file.name.endswith(_ENV):
            _take_variables(findings, file, environ, home)
        elif file.name == _SEALED:
            try:
                _take_sealed(findings, file, folder)
            except NotHere as error:
                if named:
                    raise InputError(str(error), hint="sign in with gemini again") from None
                findings.skipped.append(Skipped(_SEALED, str(file), str(error)))
        else:
            _take_login(findings, file, object_in(file), folder)
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put a Google login into ``oauth_creds.json`` and a key into ``.env``. Raises InputError, StorageError."""
    plan = Plan(NAME)
    folder = _folder(target.path, target.environ, target.home)
    creds, env = folder / _CREDS, folder / _ENV
    document = object_in(creds)
    text = before = "" if kind_of(env) == "missing" else read_text(env)
    for one in outgoing:
        credential = one.credential
        if one.provider == _GOOGLE and isinstance(credential, ApiKey):
            variable = next((b.key for b in bindings(text) if b.key and b.value == credential.key), _KEY)
            text = with_value(text, variable if variable in (_KEY, _VERTEX_KEY) else _KEY, credential.key)
            plan.written.append(Written(one.agent, one.profile, variable, str(env)))
        elif isinstance(credential, OAuth) and not (why := _refusal(one, document, plan)):
            document = {**document, **_document(credential)}
            plan.writes.append(Write(creds, styled(creds, document)))
            plan.written.append(Written(one.agent, one.profile, _LOGIN, str(creds), whole=True))
        else:
            said = why if isinstance(credential, OAuth) else f"a {credential.kind} is not a Google key; {_EXEC}"
            plan.left_out.append(Skipped(one.profile, str(folder), said))
    if text != before:
        plan.writes.append(Write(env, text.encode(), mode_of(env)))
    plan.notes += _notes(folder, [Path(w.path).name for w in plan.written])
    return plan


def inject(outgoing: Sequence[Outgoing], _: Target) -> Injection:
    """A Google login's access token, or an API key; what Gemini CLI would use instead is taken away."""
    for one in outgoing:
        secret = one.credential.secret()
        if one.provider != _GOOGLE or not secret:
            continue
        values = {_KEY: Secret(secret)}
        if isinstance(one.credential, OAuth | Token):
            values = {_USE: Secret("true"), _ACCESS: Secret(secret)}
        return Injection(values, _COMPETING - set(values), used=(one.profile,))
    return Injection({})


def _take_login(findings: Findings, path: Path, document: Mapping[str, Any], folder: Path) -> None:
    if any(f.profile == _LOGIN for f in findings.found):
        findings.skipped.append(Skipped(_LOGIN, str(path), f"{_CREDS} comes before it"))
        return
    try:
        access = usable_secret(document.get("access_token"), "access token")
        refresh = document.get("refresh_token")
        expires = instant_of(document.get("expiry_date"))
        scope = document.get("scope")
        scopes = scope.split() if isinstance(scope, str) else []
        identity = document.get("id_token")
        known: dict[str, Any] = {"access_token": access}
        if refresh:
            known["refresh_token"] = usable_secret(refresh, "refresh token")
        if expires is not None:
            known["expiry_date"] = expires // MILLISECOND
        if scopes:
            known["scope"] = " ".join(scopes)
        if isinstance(identity, str) and identity:
            known["id_token"] = identity
        credential = OAuth(
            access=access,
            refresh=known.get("refresh_token", ""),
            expires_at=expires,
            id_token=known.get("id_token", ""),
            scopes=scopes,
            metadata={"client": CLIENT},
            extra={KEPT: {n: v for n, v in document.items() if n not in known}},
        )
    except InputError as error:
        findings.skipped.append(Skipped(_CREDS, str(path), error.message))
        return
    account = _account(folder)
    findings.found.append(Found(MAIN_AGENT, _LOGIN, credential, str(path), account, account, "external", _WHY))


def _take_sealed(findings: Findings, path: Path, folder: Path) -> None:
    for place, value in entries(path):
        found = value.get("token") if isinstance(value, dict) else None
        token: dict[str, Any] = found if isinstance(found, dict) else {}
        if place == LOGIN:
            _take_login(findings, path, {_FROM_KEYRING.get(n, n): v for n, v in token.items()}, folder)
        elif place == KEY:
            _take_key(findings, path, token.get("accessToken"))
        else:
            name = "/".join(map(shown_name, place))
            findings.skipped.append(Skipped(name, str(path), "an MCP server's sign-in, not a model provider's"))


def _take_key(findings: Findings, path: Path, value: object) -> None:
    try:
        credential = ApiKey(key=usable_secret(value, "key"))
    except InputError as error:
        findings.skipped.append(Skipped("/".join(KEY), str(path), error.message))
        return
    ownership, why = ownership_of(_GOOGLE, credential, _TITLE)
    profile = profile_id(_GOOGLE, DEFAULT_NAME)
    findings.found.append(Found(MAIN_AGENT, profile, credential, str(path), ownership=ownership, why=why))


def _take_variables(findings: Findings, path: Path, environ: Mapping[str, str], home: Path) -> None:
    """The keys in ``.env``, which come before a stored one."""
    given = dotenv.read(path, environ, home)
    names = {f.profile for f in given.found}
    for stored in [f for f in findings.found if f.profile in names]:
        findings.found.remove(stored)
        findings.skipped.append(Skipped("/".join(KEY), stored.path, f"the key in {_ENV} comes before it"))
    findings.found += given.found
    findings.skipped += given.skipped


def _refusal(one: Outgoing, document: Mapping[str, Any], plan: Plan) -> str:
    """Why a login isn't written; nothing when it can be."""
    credential = one.credential
    if one.provider != _GOOGLE or credential.metadata.get("client", CLIENT) != CLIENT:
        return f"it is not a login of {_TITLE}'s own client; {_EXEC}"
    if any(write.path.name == _CREDS for write in plan.writes):
        return f"{_TITLE} keeps one login"
    if not one.refresh:
        return f"{_TITLE} refreshes its login itself, so it needs all of it; {_EXEC}"
    theirs, ours = instant_of(document.get("expiry_date")) or 0, credential.expires() or 0
    if document.get("refresh_token") not in (None, "", one.refresh) and theirs >= ours:
        return f"{_TITLE} has a newer login; move {_CREDS} away to put the older one back"
    return ""


def _document(credential: OAuth) -> dict[str, Any]:
    """A login as Gemini CLI keeps it, in milliseconds."""
    kept = credential.extra.get(KEPT)
    entry: dict[str, Any] = {"access_token": credential.access, "refresh_token": credential.refresh}
    if credential.scopes:
        entry["scope"] = " ".join(credential.scopes)
    if credential.id_token:
        entry["id_token"] = credential.id_token
    if credential.expires_at is not None:
        entry["expiry_date"] = credential.expires_at // MILLISECOND
    return (kept if isinstance(kept, dict) else {"token_type": "Bearer"}) | entry


def _notes(folder: Path, files: Sequence[str]) -> list[str]:
    """What in ``settings.json`` keeps Gemini CLI from using what was written."""
    path = folder / "settings.json"
    wanted = next((_TYPES[name] for name in files if name in _TYPES), "")
    try:
        security = object_in(path).get("security")
    except VaultError:
        security = None
    auth = security.get("auth") if isinstance(security, dict) else None
    said = auth.get("selectedType") if isinstance(auth, dict) else None
    if not wanted or said == wanted:
        return []
    return [f'{_TITLE} uses it once security.auth.selectedType in {path} is "{wanted}", or when gemini asks: /auth']


def _account(folder: Path) -> str:
    """The address of the account that is signed in, for display."""
    try:
        active = object_in(folder / "google_accounts.json").get("active")
    except VaultError:
        return ""
    return active if isinstance(active, str) else ""


def _folder(source: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    if source is None:
        return Path(environ.get("GEMINI_CLI_HOME") or home) / ".gemini"
    path = source.absolute()
    if kind_of(path) == "file" or path.name in (_CREDS, _SEALED, _ENV):
        return path.parent
    return path / ".gemini" if kind_of(path / ".gemini") == "folder" else path


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="key: vault; login: Gemini CLI",
    line="vault exec --tool gemini -- gemini",
    takes=frozenset({_GOOGLE}),
    read=read,
    write=write,
    inject=inject,
)
