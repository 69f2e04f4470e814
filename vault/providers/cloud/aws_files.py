"""The AWS config and credentials files, read as botocore reads them, and how a profile in them gets its credential.

A value of these files is shown only where it is no secret, and a parser's own message, which quotes the line, never is.
The way of a profile, first match: a role with a source, a role with a web identity, SSO, keys in the credentials file,
``aws login``, a ``credential_process``, keys in the config file.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault import parsing
from vault.errors import InputError
from vault.parsing import parse_json
from vault.providers.cloud.modes import Problem, Reader, first_set, home_path, looked_at, redacted_id
from vault.values import format_instant

_OURSELVES = ("vault", "agent-vault")
_SSO = ("sso_account_id", "sso_role_name", "sso_start_url", "sso_region")


@dataclass(frozen=True, slots=True)
class AwsFiles:
    """Both files, merged: the credentials file wins. ``with_keys`` are profiles whose keys are in the credentials file."""

    config: Path
    credentials: Path
    profiles: Mapping[str, Mapping[str, str]]
    sso_sessions: Mapping[str, Mapping[str, str]]
    with_keys: frozenset[str]
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class ProfileWay:
    """How one profile gets its credential. ``way`` is keys, role, web_identity, sso, login, process, or empty for none."""

    way: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    expires_at: int | None = None


def read_aws_files(environ: Mapping[str, str], home: Path, reader: Reader) -> AwsFiles:
    """Read both files. One that isn't there is empty; one that can't be read is a problem that blocks profiles."""
    places = {
        name: home_path(environ.get(name, "").strip(), home) if first_set(environ, name) else home / ".aws" / usual
        for name, usual in (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
    }
    config, credentials = places.values()
    problems: list[Problem] = []
    sections = _sections(config, reader, problems)
    keys = _sections(credentials, reader, problems)
    profiles: dict[str, dict[str, str]] = {}
    sessions: dict[str, Mapping[str, str]] = {}
    for title, values in sections.items():
        kind, name = _title(title)
        if kind == "profile":
            profiles.setdefault(name, {}).update(values)
        elif kind == "sso-session":
            sessions[name] = values
    for name, values in keys.items():
        profiles.setdefault(name, {}).update(values)
    with_keys = frozenset(name for name, values in keys.items() if "aws_access_key_id" in values)
    return AwsFiles(config, credentials, profiles, sessions, with_keys, tuple(problems))


def profile_way(files: AwsFiles, name: str, home: Path, reader: Reader, now: int) -> ProfileWay:
    """How a profile of these files gets its credential, and what stands in the way. ``now`` in microseconds UTC."""
    found = ProfileWay()
    found.way = _Walk(files, home, reader, now, found).follow(name, ())
    return found


def parse_instant(text: object) -> int | None:
    """An ISO 8601 instant as AWS tools write it, in microseconds UTC; None for anything else."""
    return parsing.parse_instant(text.replace("UTC", "+00:00")) if isinstance(text, str) else None


def _sections(path: Path, reader: Reader, problems: list[Problem]) -> dict[str, Mapping[str, str]]:
    text, trouble = looked_at(reader, path)
    if trouble:
        problems.append(Problem("unreadable", f"{path} can't be read: {trouble}", "fix or move the file"))
    if text is None:
        return {}
    try:
        parser = parsing.ini_table(text, str(path))
    except InputError as error:
        problems.append(Problem("unreadable", error.message, "fix the file"))
        return {}
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _title(title: str) -> tuple[str, str]:
    try:
        words = shlex.split(title)
    except ValueError:
        return "", ""
    if words == ["default"]:
        return "profile", "default"
    return (words[0], words[1]) if len(words) == 2 else ("", "")


@dataclass(frozen=True, slots=True)
class _Walk:
    """Follows a profile, and the one its role starts from, as botocore does."""

    files: AwsFiles
    home: Path
    reader: Reader
    now: int
    found: ProfileWay

    def follow(self, name: str, above: tuple[str, ...]) -> str:
        """The way of one profile. ``above`` are the profiles that led here, the outermost first."""
        values = self.files.profiles.get(name)
        if values is None:
            what = f"profile {above[-1]} starts from profile {name}, which does not exist" if above else ""
            what = what or f"there is no profile {name} in {self.files.config}"
            self._problem("profile_missing", what, f"make it with: aws configure --profile {name}; or name another")
            return ""
        has_keys = "aws_access_key_id" in values or "aws_secret_access_key" in values
        role = values.get("role_arn", "")
        if role and "web_identity_token_file" not in values and not (above and has_keys):
            self.found.facts.setdefault("role_arn", role)
            self._role(name, values, above)
            return "role"
        if "web_identity_token_file" in values:
            self.found.facts.setdefault("role_arn", role)
            if not role:
                self._problem("incomplete", f"profile {name} has a web identity and no role_arn", "add role_arn to it")
            path = home_path(values["web_identity_token_file"], self.home)
            self.found.problems += token_file_problems(path, self.reader)
            return "web_identity"
        if "sso_account_id" in values or "sso_role_name" in values:
            self._sso(name, dict(values))
            return "sso"
        if name in self.files.with_keys or (has_keys and not {"login_session", "credential_process"} & values.keys()):
            self._keys(name, values)
            return "keys"
        if "login_session" in values:
            return "login"
        if "credential_process" in values:
            self._process(name, values["credential_process"])
            return "process"
        self._problem("profile_empty", f"profile {name} names no credential", f"aws configure --profile {name}")
        return ""

    def _problem(self, code: str, text: str, hint: str) -> None:
        self.found.problems.append(Problem(code, text, hint))

    def _keys(self, name: str, values: Mapping[str, str]) -> None:
        self.found.facts["access_key_id"] = redacted_id(values.get("aws_access_key_id", ""))
        self.found.facts["session_token"] = "set" if values.get("aws_session_token") else "none"
        if not values.get("aws_access_key_id") or not values.get("aws_secret_access_key"):
            self._problem("incomplete", f"profile {name} has one half of a key pair", f"aws configure --profile {name}")

    def _role(self, name: str, values: Mapping[str, str], above: tuple[str, ...]) -> None:
        if "mfa_serial" in values:
            self._problem(
                "mfa",
                f"profile {name} asks for an MFA code, which vault never asks for",
                "get session keys with your own tool and pin auth_source = env",
            )
        source, other = values.get("source_profile"), values.get("credential_source")
        if (source and other) or not (source or other):
            self._problem(
                "incomplete",
                f"profile {name} assumes a role and names {'two credentials' if source else 'no credential'} to start from",
                "give it either source_profile or credential_source",
            )
        elif other:
            self.found.facts.setdefault("credential_source", other)
        elif source:
            self.found.facts.setdefault("source_profile", source)
            if source == name and "aws_access_key_id" in values and not above:
                self._keys(name, values)
            elif source == name or source in above:
                self._problem("circular", f"profile {name} starts from itself", f"mend {self.files.config}")
            else:
                self.follow(source, (*above, name))

    def _process(self, name: str, command: str) -> None:
        """Only the program's name is told: its arguments may hold secrets."""
        try:
            program = os.path.basename(shlex.split(command)[0])
        except (ValueError, IndexError):
            self._problem("incomplete", f"the credential_process of profile {name} is not a command line", "mend it")
            return
        self.found.facts["credential_process"] = program
        if program.removesuffix(".exe") in _OURSELVES:
            self._problem("circular", f"profile {name} asks vault itself for its credential", "name the one behind it")

    def _sso(self, name: str, values: dict[str, str]) -> None:
        session = values.get("sso_session", "")
        if session:
            values |= self.files.sso_sessions.get(session, {})
            self.found.facts["sso_session"] = session
        missing = [key for key in _SSO if not values.get(key)]
        self.found.facts.update({key: values[key] for key in _SSO if values.get(key)})
        if missing:
            text = f"profile {name} uses SSO without {', '.join(missing)}"
            self._problem("incomplete", text, f"aws configure sso --profile {name}")
            return
        hint = f"aws sso login --profile {name}"
        cached, trouble = self._cached_sso_token(session or values["sso_start_url"])
        if not cached.get("accessToken"):
            why = f": its cached token can't be read ({trouble})" if trouble else ""
            self._problem("sign_in", f"nobody is signed in to the SSO of profile {name}{why}", hint)
            return
        ends, registered = parse_instant(cached.get("expiresAt")), parse_instant(cached.get("registrationExpiresAt"))
        renewable = session and cached.get("refreshToken") and cached.get("clientId") and cached.get("clientSecret")
        refreshable = bool(renewable and registered is not None and registered > self.now)
        when = f"ends {format_instant(ends)}" if ends is not None else "of unknown end"
        self.found.facts["sso_token"] = when + (", refreshable" if refreshable else "")
        if refreshable:
            return
        self.found.expires_at = ends
        if ends is None or ends <= self.now:
            when = f"ended at {format_instant(ends)}" if ends is not None else "has no readable end"
            self._problem("sign_in", f"the SSO session of profile {name} {when}", hint)

    def _cached_sso_token(self, key: str) -> tuple[dict[str, Any], str]:
        name = hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
        text, trouble = looked_at(self.reader, self.home / ".aws" / "sso" / "cache" / f"{name}.json")
        try:
            cached = parse_json(text or "{}", name)
        except InputError:
            return {}, "not JSON"
        return (cached, trouble) if isinstance(cached, dict) else ({}, "not a JSON object")


def token_file_problems(path: Path, reader: Reader) -> list[Problem]:
    """What is wrong with a file that holds a token: nothing, it isn't there, it can't be read, it is empty."""
    text, trouble = looked_at(reader, path)
    if trouble:
        return [Problem("unreadable", f"the token file {path} can't be read: {trouble}", "look at its mode and owner")]
    if text is None:
        return [Problem("file_missing", f"the token file {path} is not there", "is this the machine it was meant for?")]
    return [] if text.strip() else [Problem("unreadable", f"the token file {path} is empty", "wait, or fix it")]
