"""GitHub's command line, ``gh``: ``hosts.yml``, accounts by host.

| where | becomes |
|---|---|
| ``users.NAME.oauth_token`` of a host, or the host's own ``oauth_token`` | ``HOST:NAME``, a token; the host is the provider |
| an account without a token | skipped: ``gh`` keeps it in the OS keyring, and prints it when it is asked to |

The active account of a host comes first in its order. GitHub's tokens don't rotate, so both may hold them. Written back, a
token goes where ``gh auth login --insecure-storage`` puts it; settings beside it, and comments, stay. A ``git`` that asks
``vault`` gets these tokens for the host too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, Token
from vault.interop.documents import mapping_in, yaml_bytes, yaml_in
from vault.interop.entries import former_profile, usable_secret
from vault.interop.findings import Findings, Found, FoundOrder, Skipped
from vault.interop.plans import Injection, Outgoing, Plan, Target, Write, Written
from vault.interop.servers import earlier_provider, server_of
from vault.interop.sources import kind_of, shown_name
from vault.interop.tools import Orders, Tool
from vault.values import (
    DEFAULT_NAME,
    MAIN_AGENT,
    Secret,
    foreign_profile,
    provider_of,
)

NAME, _TITLE = "gh", "GitHub CLI"
PUBLIC = "github.com"
_WHY = "a GitHub token doesn't rotate, so both may hold it"
_VARIABLES = ("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where ``gh`` keeps its hosts in this environment."""
    return [_folder(environ, home) / "hosts.yml"]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The accounts of ``hosts.yml``. ``source`` is that file or its folder. Raises NotFound, InputError, StorageError."""
    path = _file(source, environ, home)
    if kind_of(path) == "missing":
        raise NotFound(f"{_TITLE} has no accounts at {path}", hint="name its hosts.yml with --from")
    findings = Findings(NAME, [str(path)])
    for host, settings in yaml_in(path).items():
        if isinstance(settings, dict):
            _take_host(findings, path, str(host), settings)
        else:
            findings.skipped.append(Skipped(shown_name(host), str(path), "its settings are not a mapping"))
    return findings


def write(outgoing: Sequence[Outgoing], orders: Orders, target: Target) -> Plan:
    """Put tokens into ``hosts.yml``; the first of a host's order becomes its active account. Raises InputError, StorageError."""
    plan, path = Plan(NAME), _file(target.path, target.environ, target.home)
    document = yaml_in(path)
    active: dict[str, str] = {}
    for one in outgoing:
        secret = one.credential.secret()
        if not isinstance(one.credential, ApiKey | Token) or not secret:
            plan.left_out.append(
                Skipped(one.profile, str(path), f"a {one.credential.kind} is not a token that gh can keep")
            )
            continue
        host = one.credential.metadata.get("host", one.provider_there)
        if "." not in host:
            plan.left_out.append(Skipped(one.profile, str(path), f"{host} is not a GitHub host"))
            continue
        user = one.credential.metadata.get("username") or one.name_there
        settings = mapping_in(document, host, path)
        settings.setdefault("git_protocol", "https")
        mapping_in(mapping_in(settings, "users", path), user, path)["oauth_token"] = secret
        first = orders.get(one.provider, [])
        if host not in active or (first and first[0] == one.profile):
            if not (host not in active and settings.get("user") and not first):
                settings["user"], settings["oauth_token"] = user, secret
            elif settings.get("user") == user:
                settings["oauth_token"] = secret
            active[host] = user
        plan.written.append(Written(one.agent, one.profile, f"{host}/{user}", str(path)))
    if plan.written:
        plan.writes.append(Write(path, yaml_bytes(document, path, indent=4)))
    return plan


def inject(outgoing: Sequence[Outgoing], _: Target) -> Injection:
    """``GH_TOKEN`` for github.com, ``GH_ENTERPRISE_TOKEN`` and ``GH_HOST`` for another host."""
    values: dict[str, Secret] = {}
    used = []
    for one in outgoing:
        secret = one.credential.secret()
        if not secret or "." not in one.provider:
            continue
        name = "GH_TOKEN" if one.provider == PUBLIC or one.provider.endswith(".ghe.com") else "GH_ENTERPRISE_TOKEN"
        if name not in values:
            values[name] = Secret(secret)
            used.append(one.profile)
    return Injection(values, frozenset(_VARIABLES) - set(values), used=used)


def _take_host(findings: Findings, path: Path, host: str, settings: Mapping[str, Any]) -> None:
    active = settings.get("user")
    active = active if isinstance(active, str) else ""
    users = settings.get("users")
    accounts = dict(users) if isinstance(users, dict) else {}
    accounts.setdefault(active or DEFAULT_NAME, None) if settings.get("oauth_token") else None
    taken: list[Found] = []
    for user, account in accounts.items():
        token = account.get("oauth_token") if isinstance(account, dict) else None
        if token is None and user in (active, DEFAULT_NAME):
            token = settings.get("oauth_token")
        label = f"{shown_name(host)}/{shown_name(user)}"
        if token is None:
            why = (
                f"its token is in the OS keyring: gh auth token -h {host} -u {user} | vault login {host}:{user} --stdin"
            )
            findings.skipped.append(Skipped(label, str(path), why))
            continue
        try:
            facts = {"host": host} | ({"username": str(user)} if user != DEFAULT_NAME else {})
            credential = Token(token=usable_secret(token, "token"), metadata=facts)
            provider = server_of(host).provider
            profile = foreign_profile(provider, str(user))
        except InputError as error:
            findings.skipped.append(Skipped(label, str(path), error.message))
            continue
        found = Found(
            MAIN_AGENT,
            profile,
            credential,
            str(path),
            label=str(user),
            account=str(user),
            ownership="copy",
            why=_WHY,
            former=former_profile(earlier_provider(host), str(user)),
        )
        if user == active:
            taken.insert(0, found)
        else:
            taken.append(found)
    findings.found += taken
    if len(taken) > 1:
        provider = provider_of(taken[0].profile)
        findings.orders.append(FoundOrder(MAIN_AGENT, provider, tuple(f.profile for f in taken), str(path)))


def _file(source: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    path = source.absolute() if source is not None else _folder(environ, home)
    return path / "hosts.yml" if source is None or kind_of(path) == "folder" else path


def _folder(environ: Mapping[str, str], home: Path) -> Path:
    if environ.get("GH_CONFIG_DIR"):
        return Path(environ["GH_CONFIG_DIR"])
    if environ.get("XDG_CONFIG_HOME"):
        return Path(environ["XDG_CONFIG_HOME"]) / "gh"
    if environ.get("AppData"):
        return Path(environ["AppData"]) / "GitHub CLI"
    return home / ".config" / "gh"


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="both: tokens don't rotate",
    line="vault exec --tool gh -- gh",
    helper="git",
    many=True,
    servers=True,
    read=read,
    write=write,
    inject=inject,
)
