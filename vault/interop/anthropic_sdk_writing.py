"""Profiles written for the Anthropic SDKs: an access token without a ``client_id``, which the SDK reads and never refreshes.

- A profile that somebody signed in to stays; only the vault's own (marked ``written_by``) is written again. A profile that was
  taken from here is put back whole, where its refresh token is given too, unless a newer one is there.
- ``active_config`` is written only into a folder that had no profile at all.
- A running SDK keeps a token until a little before its end, or until a 401, then reads the file again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop.documents import object_in
from vault.interop.findings import Skipped
from vault.interop.plans import Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, names_in
from vault.interop.styled import mode_of, styled
from vault.values import SECOND, ProfileId, ProviderId

NAME = "anthropic-sdk"
KEPT = "anthropic_sdk"
_MARK, _MARKED = "written_by", "agent-vault"
_CLAUDE_CODE = "claude_code"
_SETUP_TOKEN = "sk-ant-oat"  # noqa: S105 - how one starts
_LIMIT = "if Anthropic answers that the credential is only authorized for use with Claude Code, use an API key"


@dataclass(frozen=True, slots=True)
class _Files:
    """A profile's two files, and what they hold now."""

    config: Path
    credentials: Path
    told: dict[str, Any]
    held: dict[str, Any]


def write(outgoing: Sequence[Outgoing], orders: Mapping[ProviderId, Sequence[ProfileId]], target: Target) -> Plan:
    """A profile for each token; the first in the vault's order is made the active one of an empty folder. Raises InputError."""
    plan = Plan(NAME)
    folder = _folder(target)
    empty = not names_in(folder / "configs") and kind_of(folder / "active_config") == "missing"
    order = list(orders.get(ProviderId("anthropic"), ()))
    known = sorted(outgoing, key=lambda o: order.index(o.profile) if o.profile in order else len(order))
    for one in known:
        name = _name(one)
        files = _files(folder, name, _kept(one)) if valid_name(name) else None
        why = _refusal(one, files, target.now) if files else "its name can't be the name of a profile"
        if files is None or why or name in {w.name for w in plan.written}:
            plan.left_out.append(Skipped(one.profile, str(folder), why or "another profile has its name"))
            continue
        _add(plan, one, name, files)
    if plan.written:
        first = plan.written[0].name
        if empty and first != "default":
            plan.writes.append(Write(folder / "active_config", f"{first}\n".encode(), secret=False))
        plan.notes += [f"a program selects it with ANTHROPIC_PROFILE={w.name}" for w in plan.written if w.name != first]
        elsewhere = target.environ.get("XDG_CONFIG_HOME")
        if elsewhere and folder == target.home / ".config" / "anthropic" and Path(elsewhere) / "anthropic" != folder:
            plan.notes.append(f"Claude Code looks in {elsewhere}/anthropic; ANTHROPIC_CONFIG_DIR={folder} is for both")
        if any((o.credential.secret() or "").startswith(_SETUP_TOKEN) for o in outgoing):
            plan.notes.append(_LIMIT)
    return plan


def folder_of(environ: Mapping[str, str], home: Path) -> Path:
    """The folder of the profiles."""
    named = environ.get("ANTHROPIC_CONFIG_DIR")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or home / "AppData" / "Roaming") / "Anthropic"
    return home / ".config" / "anthropic"


def valid_name(name: str) -> bool:
    """Whether the SDK takes a profile's name."""
    return bool(name) and name == name.strip() and not name.startswith(".") and not {"/", "\\", "\0"} & set(name)


def is_ours(config: Mapping[str, Any]) -> bool:
    """Whether the vault wrote a profile."""
    return config.get(_MARK) == _MARKED


def _add(plan: Plan, one: Outgoing, name: str, files: _Files) -> None:
    kept = _kept(one)
    fields = kept.get("credentials", {})
    secret, expires = one.credential.secret() or "", one.credential.expires()
    scopes = one.credential.scopes if isinstance(one.credential, OAuth) else []
    held = {n: v for n, v in files.held.items() if n not in ("refresh_token", "expires_at", "scope")}
    start = {} if kept else {"version": "1.0", "type": "oauth_token"}
    tokens: dict[str, Any] = start | held | {"access_token": secret} | fields
    if expires is not None and "expires_at" not in fields:
        tokens["expires_at"] = expires // SECOND
    if scopes:
        tokens["scope"] = " ".join(scopes)
    if kept and one.refresh:
        tokens["refresh_token"] = one.refresh
    config = {**files.told, **kept["config"]} if kept else _config(one, files.told)
    plan.writes.append(Write(files.credentials, styled(files.credentials, tokens)))
    mode = mode_of(files.config) & ~0o022
    plan.writes.append(Write(files.config, styled(files.config, config), mode, secret=False))
    whole = bool(kept and one.refresh)
    plan.written.append(Written(one.agent, one.profile, name, str(files.credentials), whole=whole))


def _config(one: Outgoing, told: Mapping[str, Any]) -> dict[str, Any]:
    account = one.credential.account if isinstance(one.credential, OAuth) else {}
    facts: dict[str, Any] = {n: account[n] for n in ("organization_id", "workspace_id") if n in account}
    return {"version": "1.0", "authentication": {"type": "user_oauth"}, **facts, **told, _MARK: _MARKED}


def _refusal(one: Outgoing, files: _Files, now: int) -> str:
    """Why a credential isn't written as a profile; nothing when it is."""
    if isinstance(one.credential, ApiKey):
        return "a profile holds tokens; a program reads a key from ANTHROPIC_API_KEY: vault exec -- PROGRAM"
    if not isinstance(one.credential, OAuth | Token):
        return "a profile holds a token, and this is another kind"
    if _CLAUDE_CODE in one.credential.extra:
        return "it is Claude Code's login, which Anthropic takes from Claude Code alone; use an API key"
    expires = one.credential.expires()
    if files.credentials.is_symlink():
        return f"{files.credentials} is a symbolic link, which the SDK refuses"
    if not _kept(one):
        if files.told and not is_ours(files.told):
            return f"somebody signed in to the profile {files.config.stem}; rename one of them"
        return "its access token has ended" if expires is not None and expires <= now else ""
    refreshed = isinstance(one.credential, OAuth) and bool(one.credential.refresh)
    if refreshed and not one.refresh:
        return "the SDK refreshes it itself, so it must be handed over whole; or sign in with ant auth login"
    there, theirs = files.held.get("refresh_token"), files.held.get("expires_at")
    newer = isinstance(theirs, int | float) and theirs * SECOND >= (expires or 0)
    return "a newer login is there under its name" if there and there != one.refresh and newer else ""


def _kept(one: Outgoing) -> dict[str, Any]:
    """What the profile was that a credential was taken from, if it was."""
    kept = one.credential.extra.get(KEPT)
    return kept if isinstance(kept, dict) and isinstance(kept.get("config"), dict) else {}


def _name(one: Outgoing) -> str:
    return str(_kept(one).get("profile") or one.name_there)


def _files(folder: Path, name: str, kept: Mapping[str, Any]) -> _Files:
    config, credentials = folder / "configs" / f"{name}.json", folder / "credentials" / f"{name}.json"
    told = object_in(config)
    how = kept.get("config", told).get("authentication")
    if isinstance(how, dict) and isinstance(how.get("credentials_path"), str) and how["credentials_path"]:
        credentials = Path(how["credentials_path"]).expanduser()
    return _Files(config, credentials, told, object_in(credentials))


def _folder(target: Target) -> Path:
    if target.path is None:
        return folder_of(target.environ, target.home)
    path = target.path.absolute()
    return path.parent.parent if path.parent.name in ("configs", "credentials") and path.suffix == ".json" else path
