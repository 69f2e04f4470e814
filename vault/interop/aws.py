"""AWS: the shared ``credentials`` and ``config`` files, by profile.

A profile with an access key is ``amazon-bedrock:NAME``, a cloud credential of the mode ``env``: key id, secret and session
token under their variables' names, and the region as a fact. A profile that asks elsewhere (``credential_process``, SSO,
``login_session``, a role) has no secret of its own and is named as skipped. Session tokens end; the file doesn't say when.

Connected, a profile has ``credential_process`` in ``config``, and an SDK asks the vault whenever it needs keys. Values of an
INI file are not interpolated, and comments stay.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from configupdater import ConfigUpdater

from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, Cloud
from vault.interop.commands import words_of
from vault.interop.documents import ini_in, remove_empty, section_of
from vault.interop.entries import original_label, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.plans import ANOTHER, Injection, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, shown_name
from vault.interop.tools import Orders, Tool
from vault.providers.cloud.aws_files import parse_instant
from vault.spelling import name_original
from vault.values import MAIN_AGENT, ProviderId, Secret, foreign_profile, format_instant

NAME, _TITLE = "aws", "AWS"
_PROVIDER = ProviderId("amazon-bedrock")
_EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"
_FIELDS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
}
_OLD_TOKEN = "aws_security_token"  # noqa: S105 - what boto called a session token
_EXPIRY = (
    "x_security_token_expires",
    "aws_credential_expiration",
    "aws_session_expiration",
    "aws_expiration",
    "expiration",
)
_ELSEWHERE = (
    "credential_process",
    "sso_session",
    "sso_start_url",
    "login_session",
    "role_arn",
    "web_identity_token_file",
)
_VARIABLES = (*_FIELDS.values(), _EXPIRATION, "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_BEARER_TOKEN_BEDROCK")


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The shared files of this environment: credentials, then config."""
    return [
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials").expanduser(),
        Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config").expanduser(),
    ]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The profiles with keys. ``source`` is a credentials file or the folder. Raises NotFound, InputError, StorageError."""
    credentials, config = _files(source, environ, home)
    if kind_of(credentials) == "missing" and kind_of(config) == "missing":
        raise NotFound(f"{_TITLE} has no profiles at {credentials}", hint="name the credentials file with --from")
    findings = Findings(NAME, [str(p) for p in (credentials, config) if kind_of(p) != "missing"])
    regions: dict[str, str] = {}
    settings = ini_in(config)
    for section in settings.sections():
        name, values = _profile_of(section), _values(settings, section)
        if name is None:
            continue
        if values.get("region"):
            regions[name] = values["region"]
        _take(findings, config, name, values, regions)
    keys = ini_in(credentials)
    for section in keys.sections():
        findings.found = [f for f in findings.found if f.profile != foreign_profile(_PROVIDER, section)]
        _take(findings, credentials, section, _values(keys, section), regions)
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put key pairs into the credentials file, a section a profile. Raises InputError, StorageError."""
    plan = Plan(NAME)
    credentials, config = _files(target.path, target.environ, target.home)
    keys, settings = ini_in(credentials), ini_in(config)
    for one in outgoing:
        secrets = one.credential.secrets if isinstance(one.credential, Cloud) else {}
        if "AWS_ACCESS_KEY_ID" not in secrets:
            why = "it is not an AWS access key; with vault connect aws the SDK asks the vault instead"
            plan.left_out.append(Skipped(one.profile, str(credentials), why))
            continue
        section = section_of(one.profile, one.label)
        for option, variable in _FIELDS.items():
            _set(keys, section, option, secrets.get(variable))
        there = [option for option in _EXPIRY if option in _values(keys, section)]
        ends = one.credential.expires()
        for option in there or _EXPIRY[:1]:
            _set(keys, section, option, None if ends is None else format_instant(ends))
        region = one.credential.facts.get("region") if isinstance(one.credential, Cloud) else None
        if region and not _values(settings, _section_of(section)).get("region"):
            _set(settings, _section_of(section), "region", region)
        plan.written.append(Written(one.agent, one.profile, section, str(credentials)))
    if plan.written:
        plan.writes.append(Write(credentials, str(keys).encode()))
        if str(settings) != str(ini_in(config)):
            plan.writes.append(Write(config, str(settings).encode(), secret=False))
    return plan


def connect(link: Link, target: Target) -> Plan:
    """A profile whose credentials are asked of the vault: the profile's name, or ``vault`` for what would be chosen."""
    plan = Plan(NAME)
    _, config = _files(target.path, target.environ, target.home)
    settings = ini_in(config)
    wanted = [w for w in link.what if w.partition(":")[0] == _PROVIDER] or [str(_PROVIDER)]
    for what in wanted:
        name = name_original(what.partition(":")[2]) or "vault"
        command = shlex.join(link.asks("aws", what, tool=NAME))
        _set(settings, _section_of(name), "credential_process", command)
        plan.notes.append(f"use it with: AWS_PROFILE={name}")
    plan.writes.append(Write(config, str(settings).encode(), secret=False))
    return plan


def disconnect(target: Target) -> Plan:
    """Take out every ``credential_process`` that is ours, and the profiles that held nothing else."""
    plan = Plan(NAME)
    _, config = _files(target.path, target.environ, target.home)
    settings = ini_in(config)
    for section in settings.sections():
        words = words_of(_values(settings, section).get("credential_process", ""))
        if target.asks(words, "aws", tool=NAME):
            settings.remove_option(section, "credential_process")
            remove_empty(settings, section)
        elif words[1:3] == ["helper", "aws"]:
            plan.left_out.append(Skipped(f"[{section}] credential_process", str(config), ANOTHER))
    if str(settings) != str(ini_in(config)):
        plan.writes.append(Write(config, str(settings).encode(), secret=False))
    return plan


def scrub(found: Sequence[Found], link: Link, target: Target) -> Plan:
    """Take the keys out of the credentials file, and have the vault asked for them in ``config``."""
    plan = Plan(NAME)
    credentials, config = _files(target.path, target.environ, target.home)
    keys, settings = ini_in(credentials), ini_in(config)
    for one in found:
        name = section_of(one.profile, one.label)
        there = [(d, s) for d, s in ((keys, name), (settings, _section_of(name))) if _holds(d, s, one.credential)]
        other = next((o for o in _ELSEWHERE if o in _values(settings, _section_of(name))), "")
        if not there or other:
            why = f"[{_section_of(name)}] has {other} of its own" if there else "it is no longer there"
            plan.left_out.append(Skipped(one.profile, str(config if there else credentials), why))
            continue
        for document, section in there:
            for option in (*_FIELDS, _OLD_TOKEN, *_EXPIRY):
                if document.has_option(section, option):
                    document.remove_option(section, option)
        remove_empty(keys, name)
        command = shlex.join(link.asks("aws", one.profile, tool=NAME))
        _set(settings, _section_of(name), "credential_process", command)
    if kind_of(credentials) != "missing":
        plan.writes.append(Write(credentials, str(keys).encode()))
    plan.writes.append(Write(config, str(settings).encode()))
    return plan


def inject(outgoing: Sequence[Outgoing], _: Target) -> Injection:
    """The first key pair under its variables."""
    for one in outgoing:
        if isinstance(one.credential, Cloud) and "AWS_ACCESS_KEY_ID" in one.credential.secrets:
            values = {name: Secret(value) for name, value in one.credential.secrets.items()}
            ends = one.credential.expires()
            if ends is not None:
                values[_EXPIRATION] = Secret(format_instant(ends))
            if one.credential.facts.get("region"):
                values["AWS_REGION"] = Secret(one.credential.facts["region"])
            return Injection(values, frozenset(_VARIABLES) - set(values), used=[one.profile])
    return Injection({})


def _take(findings: Findings, path: Path, name: str, values: Mapping[str, str], regions: Mapping[str, str]) -> None:
    if not any(option in values for option in _FIELDS):
        asks = next((option for option in _ELSEWHERE if option in values), None)
        if asks is not None:
            findings.skipped.append(Skipped(shown_name(name), str(path), f"it holds no key: {asks} says whom to ask"))
        return
    try:
        secrets = {
            variable: usable_secret(values[option], option) for option, variable in _FIELDS.items() if option in values
        }
        if values.get(_OLD_TOKEN) and "AWS_SESSION_TOKEN" not in secrets:
            secrets["AWS_SESSION_TOKEN"] = usable_secret(values[_OLD_TOKEN], _OLD_TOKEN)
        if "AWS_ACCESS_KEY_ID" not in secrets or "AWS_SECRET_ACCESS_KEY" not in secrets:
            raise InputError("it has half of a key pair")
        profile = foreign_profile(_PROVIDER, name)
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
        return
    region = values.get("region") or regions.get(name)
    ends = next((at for option in _EXPIRY if (at := parse_instant(values.get(option))) is not None), None)
    facts = ({"region": region} if region else {}) | (
        {"expires_at": str(ends)} if ends is not None and ends > 0 else {}
    )
    credential = Cloud(mode="env", facts=facts, secrets=secrets)
    why = (
        "keys don't change by themselves"
        if "AWS_SESSION_TOKEN" not in secrets
        else "a session's keys end by themselves"
    )
    findings.found.append(Found(MAIN_AGENT, profile, credential, str(path), original_label(profile, name), why=why))


def _profile_of(section: str) -> str | None:
    """The profile a section of ``config`` is about."""
    if section == "default":
        return section
    kind, _, name = section.partition(" ")
    try:
        words = shlex.split(name)
    except ValueError:
        words = []
    return (words[0] if len(words) == 1 else name.strip().strip('"')) or None if kind == "profile" else None


def _section_of(name: str) -> str:
    return name if name == "default" else f"profile {shlex.quote(name) if name.split() != [name] else name}"


def _values(document: ConfigUpdater, section: str) -> dict[str, str]:
    if not document.has_section(section):
        return {}
    return {name: (option.value or "").strip() for name, option in document[section].items()}


def _holds(document: ConfigUpdater, section: str, credential: AnyCredential) -> bool:
    """Whether a section holds exactly the key pair of a credential."""
    values = _values(document, section)
    pair = {variable: values[option] for option, variable in _FIELDS.items() if option in values}
    held = credential.secrets if isinstance(credential, Cloud) else {}
    return bool(pair) and all(held.get(variable) == value for variable, value in pair.items())


def _set(document: ConfigUpdater, section: str, option: str, value: str | None) -> None:
    if value is None:
        if document.has_section(section) and document.has_option(section, option):
            document.remove_option(section, option)
        return
    if not document.has_section(section):
        if document.sections():
            document[document.sections()[-1]].add_after.space(1).section(section)
        else:
            document.add_section(section)
    document.set(section, option, value)


def _files(source: Path | None, environ: Mapping[str, str], home: Path) -> tuple[Path, Path]:
    if source is None:
        credentials, config = places(environ, home)
        return credentials, config
    path = source.absolute()
    if kind_of(path) == "folder":
        return path / "credentials", path / "config"
    return (path.with_name("credentials"), path) if path.name == "config" else (path, path.with_name("config"))


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="vault",
    line="vault connect aws",
    helper="aws",
    takes=frozenset({_PROVIDER}),
    many=True,
    read=read,
    write=write,
    connect=connect,
    disconnect=disconnect,
    scrub=scrub,
    inject=inject,
)
