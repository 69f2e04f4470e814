"""GitHub Copilot: the sign-ins of editors (``apps.json``, ``hosts.json``), and Copilot CLI's (``config.json``).

| where | becomes |
|---|---|
| ``HOST:APP`` in ``apps.json``, ``HOST`` in ``hosts.json`` | ``github-copilot:USER``, a sign-in with the GitHub token |
| ``copilotTokens`` in ``config.json`` (JSON with comments around it) | the same; ``USER-cli`` where it is another token |
| an account of ``config.json`` without a token | skipped: it is in the OS keyring |

A sign-in is what the vault's own would be: the GitHub token refreshes it, and is exchanged for a Copilot token at the first use;
until then the GitHub token stands in that one's place too, as one that has ended, so that it is never handed out.
GitHub's tokens don't rotate, so both may hold them. A token goes back where it came from; a sign-in of the vault's own, made with
the editors' client, goes to ``apps.json``. Copilot CLI is told by variables: ``COPILOT_GITHUB_TOKEN``, and for a model server of
one's own (``COPILOT_PROVIDER_BASE_URL``) a command that it runs for every request. A provider's key goes to that provider's own
server, or to one on this machine, and nowhere else.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.addresses import is_loopback_host
from vault.errors import InputError, NotFound
from vault.events.credentials import OAuth, Token
from vault.interop.commented import Commented, commented_in
from vault.interop.entries import usable_secret
from vault.interop.findings import Findings, Found, FoundOrder, Skipped
from vault.interop.hosts import host_of, provider_at
from vault.interop.plans import Injection, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, shown_name
from vault.interop.styled import mode_of, styled
from vault.interop.tools import Orders, Tool
from vault.spelling import spell_name
from vault.values import DEFAULT_NAME, MAIN_AGENT, ProviderId, Secret, profile_id

NAME, _TITLE = "copilot", "GitHub Copilot"
KEPT = "copilot"
_COPILOT = ProviderId("github-copilot")
_PUBLIC = "github.com"
_CLIENT = "github-copilot-editor"
_APPS, _HOSTS, _CONFIG = "apps.json", "hosts.json", "config.json"
_WHY = "a GitHub token doesn't rotate, so both may hold it"
_BASE, _COMMAND = "COPILOT_PROVIDER_BASE_URL", "COPILOT_PROVIDER_API_KEY_COMMAND"
_TOKENS = ("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
_KEYS = ("COPILOT_PROVIDER_API_KEY", "COPILOT_PROVIDER_BEARER_TOKEN")
_EXEC = "vault exec --tool copilot -- copilot"


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The files Copilot may keep a token in, for this environment: the editors', then the CLI's."""
    editors = _editors(environ, home)
    return [editors / _APPS, editors / _HOSTS, Path(environ.get("COPILOT_HOME") or home / ".copilot") / _CONFIG]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The tokens of all files, or of the one that is named or in that folder. Raises NotFound, InputError, StorageError."""
    files = [file for file in _files(source, environ, home) if kind_of(file) != "missing"]
    if not files:
        where = source if source is not None else _editors(environ, home)
        raise NotFound(f"{_TITLE} keeps nothing at {where}", hint="name its apps.json or config.json with --from")
    findings = Findings(NAME, [str(file) for file in files])
    for file in files:
        document = commented_in(file).document
        for entry in _cli_entries(document) if file.name == _CONFIG else _editor_entries(document):
            _take(findings, file, entry)
    if len(findings.found) > 1:
        order = tuple(f.profile for f in findings.found)
        findings.orders.append(FoundOrder(MAIN_AGENT, _COPILOT, order, findings.found[0].path))
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put tokens back where they came from, and a sign-in with the editors' client into ``apps.json``.

    Raises InputError, StorageError.
    """
    plan = Plan(NAME)
    paths = {file.name: file for file in _files(target.path, target.environ, target.home, all_of=True)}
    files: dict[str, Commented] = {}
    changed: dict[str, dict[str, Any]] = {}
    for one in outgoing:
        origin, why = _origin(one)
        token = _github_token(one) if one.whole or not isinstance(one.credential, OAuth) else ""
        if why or not token:
            why = why or "its GitHub token stays here"
            plan.left_out.append(Skipped(one.profile, str(paths[_APPS]), f"{why}; {_EXEC}"))
            continue
        name = origin["file"]
        if any((w.name, w.path) == (origin["key"], str(paths[name])) for w in plan.written):
            plan.left_out.append(Skipped(one.profile, str(paths[name]), "another profile is kept there already"))
            continue
        files[name] = files.get(name) or commented_in(paths[name])
        document = changed.setdefault(name, dict(files[name].document))
        _put(document, name, origin, token, one.credential.metadata.get("username") or one.account)
        whole = isinstance(one.credential, OAuth) and bool(one.refresh)
        plan.written.append(Written(one.agent, one.profile, origin["key"], str(paths[name]), whole))
    for name, document in changed.items():
        file, path = files[name], paths[name]
        if document != file.document:
            bare = name != _CONFIG and not file.head and not file.inside
            content = styled(path, document, indent=None) if bare else file.bytes(document)
            plan.writes.append(Write(path, content, mode_of(path)))
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """``COPILOT_GITHUB_TOKEN``, and the command that gives the key of a model server of one's own."""
    values: dict[str, Secret] = {}
    removed: set[str] = set()
    used = []
    for one in outgoing:
        token = _github_token(one)
        if one.provider == _COPILOT and token and _TOKENS[0] not in values:
            values[_TOKENS[0]] = Secret(token)
            removed |= {*_TOKENS[1:], "GITHUB_ASKPASS"}
            used.append(one.profile)
    server = _served(outgoing, target.environ.get(_BASE, ""))
    command = _vault(target.environ)
    if server is not None and command:
        asks = Link(command, server.agent).asks("token", server.provider, tool=NAME)
        values[_COMMAND] = Secret(shlex.join(asks))
        used.append(server.profile)
        removed |= set(_KEYS)
    return Injection(values, frozenset(removed), used=used)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A token in a file: ``key`` is its name there, ``kept`` what else the entry says. ``why`` is why it isn't taken."""

    host: str
    user: str
    token: object
    key: str
    kept: Mapping[str, Any]
    why: str = ""


def _editor_entries(document: Mapping[str, Any]) -> Iterator[_Entry]:
    for key, entry in document.items():
        host = key.partition(":")[0]
        if not isinstance(entry, dict):
            yield _Entry(host, "", None, key, {}, "it is not an object")
            continue
        user = entry.get("user")
        user = user if isinstance(user, str) else ""
        known = {"oauth_token"} | ({"user"} if user else set())
        yield _Entry(host, user, entry.get("oauth_token"), key, {n: v for n, v in entry.items() if n not in known})


def _cli_entries(document: Mapping[str, Any]) -> Iterator[_Entry]:
    """The CLI's accounts, the one it used last first."""
    tokens = _first(document, "copilotTokens", "copilot_tokens")
    tokens = tokens if isinstance(tokens, dict) else {}
    last = _login(_first(document, "lastLoggedInUser", "last_logged_in_user"))
    users = _first(document, "loggedInUsers", "logged_in_users")
    accounts = [_login(user) for user in users] if isinstance(users, list) else []
    for key in sorted(tokens, key=lambda key: key != last):
        host, _, user = key.removeprefix("https://").removeprefix("http://").rpartition(":")
        yield _Entry(host, user, tokens[key], key, {})
    for key in dict.fromkeys(account for account in (last, *accounts) if account and account not in tokens):
        why = "its token is in the OS keyring, as copilot-cli; gh auth token, or copilot login, gives another"
        yield _Entry("", "", None, key, {}, why)


def _take(findings: Findings, path: Path, entry: _Entry) -> None:
    label = shown_name(entry.key)
    try:
        if entry.why:
            raise InputError(entry.why)
        token = usable_secret(entry.token, "token")
        facts = {"client": _CLIENT} | ({"username": entry.user} if entry.user else {})
        if entry.host not in ("", _PUBLIC):
            facts |= {"host": entry.host, "enterpriseUrl": f"https://{entry.host}"}
        same = next((f for f in findings.found if f.credential.secret() == token), None)
        if same is not None and same.path != str(path):
            raise InputError(f"it is the same as {same.profile}")
        origin = {"file": path.name, "key": entry.key, "entry": dict(entry.kept)}
        credential = OAuth(access=token, refresh=token, expires_at=0, metadata=facts, extra={KEPT: origin})
        name = spell_name("@".join(p for p in (entry.user or DEFAULT_NAME, facts.get("host")) if p))
        taken = {f.profile for f in findings.found}
        names = [name, f"{name}-cli" if path.name == _CONFIG else f"{name}-{path.stem}"]
        names += [f"{names[1]}-{number}" for number in range(2, len(taken) + 3)]
        profile = next(p for n in names if (p := profile_id(_COPILOT, n)) not in taken)
    except InputError as error:
        findings.skipped.append(Skipped(label, str(path), error.message))
        return
    account = entry.user
    findings.found.append(Found(MAIN_AGENT, profile, credential, str(path), account, account, "copy", _WHY))


def _origin(one: Outgoing) -> tuple[dict[str, Any], str]:
    """Where a token goes; or why nowhere."""
    credential = one.credential
    kept = credential.extra.get(KEPT)
    if one.provider != _COPILOT or not isinstance(credential, OAuth | Token):
        return {}, f"it is not one of {_TITLE}'s GitHub tokens"
    if isinstance(kept, dict) and kept.get("file") in (_APPS, _HOSTS, _CONFIG) and isinstance(kept.get("key"), str):
        return kept, ""
    if not isinstance(credential, OAuth) or credential.metadata.get("client", _CLIENT) != _CLIENT:
        return {}, "it is not a sign-in of the editors"
    from vault.providers.clients import client

    app = client(_CLIENT, {"host": _PUBLIC}).client_id
    host = host_of(credential.metadata.get("enterpriseUrl", "")) or credential.metadata.get("host") or _PUBLIC
    return {"file": _APPS, "key": f"{host}:{app}", "entry": {"githubAppId": app}}, ""


def _github_token(one: Outgoing) -> str:
    """The GitHub token of a credential: a sign-in's refresh token, which doesn't rotate, not what it is exchanged for."""
    credential = one.credential
    if isinstance(credential, OAuth):
        return credential.refresh or ("" if _is_short(credential.access) else credential.access)
    secret = credential.secret() or ""
    return "" if _is_short(secret) else secret


def _is_short(token: str) -> bool:
    return token.startswith("tid=") or ";" in token


def _put(document: dict[str, Any], name: str, origin: Mapping[str, Any], token: str, user: str) -> None:
    key = origin["key"]
    if name == _CONFIG:
        place = "copilot_tokens" if "copilot_tokens" in document else "copilotTokens"
        there = document.get(place)
        document[place] = {**(there if isinstance(there, dict) else {}), key: token}
        return
    there = document.get(key)
    kept = origin.get("entry")
    fresh = ({"user": user} if user else {}) | {"oauth_token": token}
    document[key] = (kept if isinstance(kept, dict) else {}) | (there if isinstance(there, dict) else {}) | fresh


def _served(outgoing: Sequence[Outgoing], base: str) -> Outgoing | None:
    """Whose key goes to a model server: the provider whose own it is; on this machine, the only one there is."""
    others = [one for one in outgoing if one.provider != _COPILOT]
    own = [one for one in others if provider_at(base) == one.provider or host_of(base) == one.provider]
    return own[0] if own else others[0] if is_loopback_host(host_of(base)) and len(others) == 1 else None


def _vault(environ: Mapping[str, str]) -> str:
    """The ``vault`` that a child can start."""
    beside = Path(sys.executable).with_name("vault")
    found = str(beside) if beside.is_file() else shutil.which("vault", path=environ.get("PATH"))
    return os.path.realpath(found) if found else ""


def _login(value: object) -> str:
    """An account of the CLI's as its tokens are named."""
    if not isinstance(value, dict) or not isinstance(value.get("host"), str) or not isinstance(value.get("login"), str):
        return ""
    host = value["host"] if "://" in value["host"] else f"https://{value['host']}"
    return f"{host}:{value['login']}"


def _first(document: Mapping[str, Any], *names: str) -> Any:
    return next((document[name] for name in names if name in document), None)


def _files(source: Path | None, environ: Mapping[str, str], home: Path, *, all_of: bool = False) -> list[Path]:
    """The files that are read; with ``all_of`` each of the three, beside the one that is named."""
    if source is None:
        return places(environ, home)
    path = source.absolute()
    if path.name in (_APPS, _HOSTS, _CONFIG) and not all_of:
        return [path]
    folder = path.parent if path.name in (_APPS, _HOSTS, _CONFIG) else path
    if kind_of(folder) == "file":
        raise InputError(f"{path} is not one of Copilot's files", hint="name apps.json, hosts.json or config.json")
    return [folder / name for name in (_APPS, _HOSTS, _CONFIG)]


def _editors(environ: Mapping[str, str], home: Path) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "github-copilot"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "github-copilot"


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="both: tokens don't rotate",
    line="vault exec --tool copilot -- copilot",
    helper="token",
    many=True,
    read=read,
    write=write,
    inject=inject,
)
