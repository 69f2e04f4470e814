"""Profiles of the Anthropic SDKs and of ``ant``: ``configs/NAME.json`` says who, ``credentials/NAME.json`` holds the tokens.

They are in ``ANTHROPIC_CONFIG_DIR``, else ``~/.config/anthropic`` (on Windows ``%APPDATA%\\Anthropic``). Profile NAME becomes
``anthropic:ant-NAME``; the one in use (``ANTHROPIC_PROFILE``, else the name in ``active_config``, else ``default``) is labelled
so. ``expires_at`` is whole seconds.

| profile | who refreshes |
|---|---|
| with a ``client_id`` | the SDK, at any program's use |
| without one | whoever writes the file: the SDK reads it and never refreshes |
| of type ``oidc_federation`` | nobody: each program exchanges an identity token; there is nothing to take |

So the vault reads what it took again at every use, and writes profiles without a ``client_id``: the access token alone. What the
SDK refuses is skipped, with what it would say: credentials that others may read, or behind a symbolic link; a configuration
that others may write. A profile the vault wrote is marked in its configuration, and not taken back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound, StorageError
from vault.events.credentials import OAuth
from vault.interop import anthropic_sdk_writing as writing
from vault.interop.anthropic_sdk_writing import KEPT, NAME, folder_of, is_ours, valid_name
from vault.interop.entries import former_profile, texts_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.sources import kind_of, names_in, read_json, read_text, shown_name
from vault.interop.tools import Tool
from vault.providers import base_urls
from vault.values import MAIN_AGENT, SECOND, ProviderId, foreign_profile, moment_of

_TITLE = "Anthropic SDK"
_ANTHROPIC = ProviderId("anthropic")
_NAME_PART = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_SDK_REFRESHES = "the SDK refreshes it, so it has one owner; the vault reads the file again at every use"
_WRITER_REFRESHES = "the program that writes the profile renews it; the vault reads the file again at every use"


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The files with tokens in them; that of the default profile where there are none."""
    folder = folder_of(environ, home) / "credentials"
    return [folder / name for name in names_in(folder) if name.endswith(".json")] or [folder / "default.json"]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What the profiles hold. ``source`` is their folder, or a file of one of them; None is the default place.

    Raises NotFound when there is none, InputError for a damaged file that was named, StorageError.
    """
    findings = Findings(NAME)
    folder, only = _named(source, folder_of(environ, home))
    names = [only] if only else _names(folder)
    if not names:
        raise NotFound(
            f"{_TITLE} has no profile in {folder}", hint="sign in with ant auth login, or name the folder with --from"
        )
    active = _active(folder, environ)
    for name in names:
        try:
            found = _profile(folder, name, active == name)
        except (InputError, NotFound, StorageError) as error:
            if only:
                raise
            findings.skipped.append(
                Skipped(shown_name(name), str(folder / "credentials" / f"{name}.json"), error.message)
            )
            continue
        if isinstance(found, Skipped):
            findings.skipped.append(found)
        else:
            findings.found.append(found)
        findings.paths.append(found.path)
    return findings


def _named(source: Path | None, default: Path) -> tuple[Path, str]:
    """The folder of the profiles, and the one profile that is meant, if a file of one is named."""
    if source is None:
        return default, ""
    source = source.absolute()
    match kind_of(source):
        case "folder":
            return source, ""
        case "missing":
            raise NotFound(f"there is no {source}", hint="name the folder of the profiles, or a file of one")
        case _ if source.parent.name in ("configs", "credentials") and source.suffix == ".json":
            return source.parent.parent, source.stem
        case _:
            raise InputError(
                f"{source} is not a profile's file", hint="name configs/NAME.json or credentials/NAME.json"
            )


def _names(folder: Path) -> list[str]:
    found = [n for part in ("configs", "credentials") for n in names_in(folder / part) if n.endswith(".json")]
    return sorted({name.removesuffix(".json") for name in found})


def _active(folder: Path, environ: Mapping[str, str]) -> str:
    named = environ.get("ANTHROPIC_PROFILE", "")
    pointer = folder / "active_config"
    if not named and kind_of(pointer) == "file":
        named = read_text(pointer).strip()
    return named or "default"


def _profile(folder: Path, name: str, active: bool) -> Found | Skipped:
    """One profile. Raises InputError, NotFound, StorageError, saying why the SDK can't use it either."""
    config_path, path = folder / "configs" / f"{name}.json", folder / "credentials" / f"{name}.json"
    if not valid_name(name):
        raise InputError("the SDK takes no profile of that name")
    if kind_of(config_path) == "missing":
        raise InputError(f"it has no {config_path.name} in configs, so the SDK does not use it")
    if os.name == "posix" and config_path.stat().st_mode & 0o022:
        raise InputError(f"others may write {config_path}, so the SDK refuses it")
    config = _object(config_path)
    if is_ours(config):
        return Skipped(shown_name(name), str(path), "the vault wrote it")
    how = config.get("authentication")
    if not isinstance(how, dict):
        raise InputError(f"{config_path} has no authentication object")
    if how.get("type") == "oidc_federation":
        return Skipped(shown_name(name), str(config_path), "it exchanges an identity token; there is nothing to import")
    if how.get("type") != "user_oauth":
        raise InputError(f"{config_path} has an authentication of an unknown type")
    moved = how.get("credentials_path")
    if isinstance(moved, str) and moved:
        path = Path(moved).expanduser()
    _check_private(path)
    return Found(
        MAIN_AGENT,
        foreign_profile(_ANTHROPIC, "ant-" + name),
        _credential(name, config, how, _object(path), path),
        str(config_path if moved else path),
        label=f"{shown_name(name)} (in use)" if active else shown_name(name),
        account=shown_name(config["organization_id"]) if texts_of(config, "organization_id") else "",
        ownership="external",
        why=_SDK_REFRESHES if how.get("client_id") else _WRITER_REFRESHES,
        former=former_profile(_ANTHROPIC, "ant-" + _NAME_PART.sub("-", name)),
        base_url=base_urls.elsewhere(_ANTHROPIC, texts_of(config, "base_url").get("base_url", "")),
    )


def _check_private(path: Path) -> None:
    """Raises InputError for a file the SDK refuses, NotFound for one that isn't there."""
    if path.is_symlink():
        raise InputError(f"{path} is a symbolic link, so the SDK refuses it")
    if kind_of(path) == "missing":
        raise NotFound(f"there is no {path}", hint="sign in with ant auth login")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise InputError(f"others may read {path}, so the SDK refuses it", hint=f"chmod 600 {path}")


def _credential(
    name: str, config: Mapping[str, Any], how: Mapping[str, Any], document: Mapping[str, Any], path: Path
) -> OAuth:
    expires, refresh, scope = document.get("expires_at"), document.get("refresh_token"), document.get("scope")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int | float)):
        raise InputError(f"the expires_at of {path} is not a number of seconds")
    ends = moment_of(expires, SECOND)
    whole = ends is not None and isinstance(expires, int)
    words = scope.split(" ") if isinstance(scope, str) and scope and all(scope.split(" ")) else []
    taken = {"access_token"} | ({"expires_at"} if whole else set()) | ({"scope"} if words else set())
    taken |= {"refresh_token"} if refresh else set()
    return OAuth(
        access=usable_secret(document.get("access_token"), "access token"),
        refresh=usable_secret(refresh, "refresh token") if refresh else "",
        expires_at=ends,
        scopes=words,
        account=texts_of(config, "organization_id", "workspace_id"),
        metadata=texts_of(config, "base_url") | texts_of(how, "client_id"),
        extra={
            KEPT: {
                "profile": name,
                "config": dict(config),
                "credentials": {field: value for field, value in document.items() if field not in taken},
            }
        },
    )


def _object(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputError(f"{path} holds no JSON object", hint="is it the right file?")
    return document


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="profiles: the program that writes them",
    line="vault export anthropic-sdk",
    takes=frozenset({"anthropic"}),
    many=True,
    read=read,
    write=writing.write,
)
