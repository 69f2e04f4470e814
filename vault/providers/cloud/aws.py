"""Which AWS credential a Bedrock provider would use here, and why. Pure: no network, no library, files through a reader.

Sources, in the one order there is; ``auto`` takes the first that is there, a pinned ``auth_source`` the first of its own
mode and never one of another:

 1. bearer        ``VAULT_AWS_BEARER_TOKEN_BEDROCK``, for this process only
 2. env           ``VAULT_AWS_ACCESS_KEY_ID``, ``VAULT_AWS_SECRET_ACCESS_KEY``, ``VAULT_AWS_SESSION_TOKEN``
 3. profile       ``VAULT_AWS_PROFILE``
 4. bearer        the token stored for the provider, or another mode stored for it
 5. profile       ``profile`` in the provider's settings
 6. bearer        ``AWS_BEARER_TOKEN_BEDROCK``
 7. env           ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``
 8. web_identity  ``AWS_WEB_IDENTITY_TOKEN_FILE`` with ``AWS_ROLE_ARN``; no pin reaches it, but a profile may name both
 9. profile       ``AWS_PROFILE``, else ``AWS_DEFAULT_PROFILE``
10. profile       the profile ``default`` of the AWS files, where it names a credential
11. container     ``AWS_CONTAINER_CREDENTIALS_RELATIVE_URI``, else ``AWS_CONTAINER_CREDENTIALS_FULL_URI``

So what is meant for this process comes first, then what vault was told, then what the machine happens to have; a bearer token
comes before the rest of the last, and the rest is in the order of the AWS SDKs. A source that is there and broken is
reported, not passed over, except half a set of ambient variables in ``auto``. Variables of the two prefixes never mix within
one key pair. Instance metadata is not asked: that needs the network.

Endpoint of the models: the settings, ``AWS_ENDPOINT_URL_BEDROCK_RUNTIME``; the tools' own unless one is set.
``BMO_AWS_*``, which BMO's own users have set, are read where ``VAULT_AWS_*`` are, right after them.
Region: ``VAULT_AWS_REGION``, the settings, ``AWS_REGION``, ``AWS_DEFAULT_REGION``, the profile's own. It is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vault.errors import NotReady
from vault.providers.cloud import OVERRIDE
from vault.providers.cloud.aws_files import AwsFiles, parse_instant, profile_way, read_aws_files, token_file_problems
from vault.providers.cloud.extras import is_safe_url, shown_host
from vault.providers.cloud.modes import (
    CloudMode,
    Problem,
    Reader,
    Reason,
    checked_endpoint,
    first_set,
    home_path,
    redacted_id,
)
from vault.values import format_instant

AUTO = "auto"
AUTH_SOURCES = (AUTO, "env", "profile", "bearer", "container")
BEDROCK = "amazon-bedrock"
STORED_TOKEN = "the stored token"  # noqa: S105 - the name of a source
CONTAINER_HOST = "169.254.170.2"
CONTAINER_HOSTS = (CONTAINER_HOST, "169.254.170.23", "fd00:ec2::23")
RUNTIME_ENDPOINT = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC")

_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PIN = "or pin another with auth_source"
_NOTHING = {
    AUTO: (
        "no AWS credential was found",
        "set AWS_BEARER_TOKEN_BEDROCK, a key pair or AWS_PROFILE, or store a token with: vault login {0}",
    ),
    "env": ("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set", f"set both, {_PIN}"),
    "profile": ("no AWS profile is named, and there is none called default", f"set AWS_PROFILE, {_PIN}"),
    "bearer": (
        "there is no Bedrock bearer token",
        f"store one with: vault login {{0}}, or set AWS_BEARER_TOKEN_BEDROCK, {_PIN}",
    ),
    "container": (
        "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set",
        f"is this a container with a task role? if not, {_PIN.removeprefix('or ')}",
    ),
}


@dataclass(frozen=True, slots=True)
class BedrockSettings:
    """A Bedrock provider's settings. Raises NotReady for an unknown ``auth_source``."""

    provider: str = BEDROCK
    auth_source: str = AUTO
    region: str = ""
    profile: str = ""
    endpoint: str = ""

    def __post_init__(self) -> None:
        if self.auth_source not in AUTH_SOURCES:
            raise NotReady(
                f"auth_source of {self.provider} is not a source of AWS credentials",
                hint=f"use one of {', '.join(AUTH_SOURCES)}",
            )


@dataclass(frozen=True, slots=True)
class _Way:
    """A source that is there."""

    source: str
    names: tuple[str, ...] = ()
    profile: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """A place in the order: the mode it leads to, and the way, or why there is none."""

    mode: str
    what: str
    way: _Way | None = None
    missing: str = ""


def resolve_bedrock(
    settings: BedrockSettings,
    environ: Mapping[str, str],
    home: Path,
    *,
    stored_token: bool,
    stored_mode: str = "bearer",
    reader: Reader,
    now: int,
) -> CloudMode:
    """The credential mode of one Bedrock provider, in the order the head of this file gives, with every source's reason.

    ``stored_token`` says whether a usable bearer token is stored for the provider, ``stored_mode`` what is stored instead of
    one; ``reader`` gives a file's text or None; ``now`` is microseconds UTC. Raises nothing: what is wrong is in the mode's
    problems.
    """
    files = read_aws_files(environ, home, reader)
    stored = _Step(stored_mode, STORED_TOKEN, _Way(STORED_TOKEN) if stored_token else None)
    steps = _steps(settings, environ, home, files, stored, reader, now)
    asked = settings.auth_source
    chosen = next((step for step in steps if step.way and asked in (AUTO, step.mode)), None)
    region, region_source = _region(settings, environ, files, chosen.way.profile if chosen and chosen.way else "")
    endpoint, odd = _runtime_endpoint(settings, environ)
    common = [*_region_problems(settings, region, region_source), *odd]
    reasons = tuple(_reason(step, chosen, asked) for step in steps)
    if chosen is None or chosen.way is None:
        text, hint = _NOTHING[asked]
        halves = [
            Problem("incomplete", f"{s.what}: {s.missing}", "set the other") for s in steps if _asked_half(s, asked)
        ]
        nothing = Problem("no_source", text, hint.format(settings.provider))
        return CloudMode(
            settings.provider,
            "aws",
            asked,
            region=region,
            region_source=region_source,
            problems=(nothing, *halves, *files.problems, *common),
            reasons=reasons,
            facts=endpoint,
        )
    way = chosen.way
    problems = [*way.problems, *common]
    if chosen.mode == "profile":
        problems += files.problems
    if chosen.mode in ("profile", "web_identity"):
        problems += _endpoint_problems(environ)
    return CloudMode(
        settings.provider,
        "aws",
        asked,
        mode=chosen.mode,
        source=way.source,
        region=region,
        region_source=region_source,
        profile=way.profile,
        profile_source=way.source if way.profile else "",
        secret_names=way.names,
        problems=tuple(problems),
        reasons=reasons,
        facts={**way.facts, **endpoint},
        expires_at=way.expires_at,
    )


def resolve_bedrock_family(
    family: Sequence[BedrockSettings],
    environ: Mapping[str, str],
    home: Path,
    *,
    stored_tokens: Container[str],
    reader: Reader,
    now: int,
) -> list[CloudMode]:
    """The modes of every configured Bedrock-family provider. ``stored_tokens`` are the ids that have a stored token."""
    return [
        resolve_bedrock(s, environ, home, stored_token=s.provider in stored_tokens, reader=reader, now=now)
        for s in family
    ]


def _steps(
    settings: BedrockSettings,
    environ: Mapping[str, str],
    home: Path,
    files: AwsFiles,
    stored: _Step,
    reader: Reader,
    now: int,
) -> list[_Step]:
    def bearer(name: str) -> _Step:
        return _Step("bearer", name, _Way(name, (name,)) if first_set(environ, name) else None)

    def profile(what: str, name: str, *, named: bool = True) -> _Step:
        if not name:
            return _Step("profile", what)
        found = profile_way(files, name, home, reader, now)
        if not named and not found.way:
            return _Step("profile", what)
        facts = {"profile_way": found.way, **found.facts, "config_file": str(files.config)}
        facts["credentials_file"] = str(files.credentials)
        return _Step("profile", what, _Way(what, (), name, facts, found.problems, found.expires_at))

    ambient = first_set(environ, "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
    return [
        *(
            step
            for prefix in _own_prefixes(environ)
            for step in (
                bearer(f"{prefix}BEARER_TOKEN_BEDROCK"),
                _keys(environ, prefix, now),
                profile(f"{prefix}PROFILE", environ.get(f"{prefix}PROFILE", "").strip()),
            )
        ),
        stored,
        profile("the profile in the settings", settings.profile),
        bearer("AWS_BEARER_TOKEN_BEDROCK"),
        _keys(environ, "AWS_", now),
        _web_identity(environ, home, reader),
        profile(ambient or "AWS_PROFILE", environ.get(ambient, "").strip()),
        profile("the profile called default", "default" if "default" in files.profiles else "", named=False),
        _container(environ, home, reader),
    ]


def _own_prefixes(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The prefixes of this process's own variables: vault's always, another's where one of its variables is set."""
    return tuple(
        p for p in OVERRIDE if p == OVERRIDE[0] or any(first_set(environ, n) for n in environ if n.startswith(p))
    )


def _keys(environ: Mapping[str, str], prefix: str, now: int) -> _Step:
    """A key pair. Half a pair of process-local variables is there and broken; half an ambient one is as good as none."""
    names = (f"{prefix}ACCESS_KEY_ID", f"{prefix}SECRET_ACCESS_KEY")
    here = [name for name in names if first_set(environ, name)]
    own = prefix != "AWS_"
    if not here:
        return _Step("env", names[0])
    if len(here) < 2:
        other = names[1] if here == [names[0]] else names[0]
        text = f"{here[0]} is set and {other} is not"
        broken = _Way(here[0], problems=[Problem("incomplete", text, f"set {other}, or unset {here[0]}")])
        return _Step("env", names[0], broken if own else None, text)
    key_id = environ[names[0]].strip()
    legacy = () if own else ("AWS_SECURITY_TOKEN",)
    token = first_set(environ, f"{prefix}SESSION_TOKEN", *legacy)
    ends = None if own else parse_instant(environ.get("AWS_CREDENTIAL_EXPIRATION"))
    problems = []
    if key_id.startswith("ASIA") and not token:
        text = f"{names[0]} is a temporary key and {prefix}SESSION_TOKEN is not set"
        problems.append(Problem("incomplete", text, "set the session token that came with the key"))
    if ends is not None and ends <= now:
        text = f"{names[0]} expired at {format_instant(ends)}, says AWS_CREDENTIAL_EXPIRATION"
        problems.append(Problem("expired", text, "get new keys the way these were got"))
    facts = {"access_key_id": redacted_id(key_id), "session_token": "set" if token else "none"}
    return _Step("env", names[0], _Way(names[0], (*names, token) if token else names, "", facts, problems, ends))


def _web_identity(environ: Mapping[str, str], home: Path, reader: Reader) -> _Step:
    names = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")
    if not first_set(environ, names[0]):
        return _Step("web_identity", names[0])
    if not first_set(environ, names[1]):
        return _Step("web_identity", names[0], missing=f"{names[0]} is set and {names[1]} is not")
    path = home_path(environ[names[0]].strip(), home)
    facts = {"role_arn": environ[names[1]].strip(), "token_file": str(path)}
    if first_set(environ, "AWS_ROLE_SESSION_NAME"):
        facts["role_session_name"] = environ["AWS_ROLE_SESSION_NAME"].strip()
    return _Step("web_identity", names[0], _Way(names[0], (), "", facts, token_file_problems(path, reader)))


def _container(environ: Mapping[str, str], home: Path, reader: Reader) -> _Step:
    name = first_set(environ, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not name:
        return _Step("container", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = container_url(environ)
    problems = []
    if not is_safe_url(url, hosts=CONTAINER_HOSTS):
        problems.append(
            Problem(
                "refused",
                f"{name} points at {shown_host(url) or 'no host'}, where credentials must not be asked for",
                f"use https, this machine, or {' or '.join(CONTAINER_HOSTS)}",
            )
        )
    file = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "").strip()
    if file:
        problems += token_file_problems(home_path(file, home), reader)
    token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if not file and ("\r" in token or "\n" in token):
        problems.append(Problem("refused", "AWS_CONTAINER_AUTHORIZATION_TOKEN has a line end in it", "set it without"))
    authorization = "token file" if file else "token" if token else "none"
    return _Step(
        "container", name, _Way(name, (), "", {"endpoint": shown_host(url), "authorization": authorization}, problems)
    )


def container_url(environ: Mapping[str, str]) -> str:
    """The address of the container's credentials, as the AWS SDKs build it; empty when there is none."""
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "").strip()
    if relative:
        return f"http://{CONTAINER_HOST}{relative}"
    return environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "").strip()


def _region(settings: BedrockSettings, environ: Mapping[str, str], files: AwsFiles, profile: str) -> tuple[str, str]:
    own = first_set(environ, *(f"{prefix}REGION" for prefix in OVERRIDE))
    if own:
        return environ[own].strip(), own
    if settings.region:
        return settings.region, "the settings"
    name = first_set(environ, "AWS_REGION", "AWS_DEFAULT_REGION")
    if name:
        return environ[name].strip(), name
    profile = profile or environ.get(first_set(environ, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"), "").strip() or "default"
    region = files.profiles.get(profile, {}).get("region", "")
    return (region, f"profile {profile}") if region else ("", "")


def _region_problems(settings: BedrockSettings, region: str, source: str) -> list[Problem]:
    if not region:
        hint = f"set AWS_REGION, or region under [providers.{settings.provider}] in the settings"
        return [Problem("region_missing", "no AWS region is set", hint)]
    if not _REGION.fullmatch(region):
        return [Problem("region_odd", f"the region from {source} is not the name of a region", "such as eu-west-1")]
    return []


def _runtime_endpoint(settings: BedrockSettings, environ: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """Where the models are reached, as facts, when that is set, and what is wrong with it."""
    url = settings.endpoint or environ.get(RUNTIME_ENDPOINT, "").strip()
    if not url:
        return {}, []
    source = "the settings" if settings.endpoint else RUNTIME_ENDPOINT
    shown, odd = checked_endpoint(url, source)
    return {"runtime_endpoint": shown, "runtime_endpoint_source": source}, odd


def _endpoint_problems(environ: Mapping[str, str]) -> list[Problem]:
    return [
        Problem("refused", f"{name} is not https, and a credential would travel there", "use https, or this machine")
        for name in ENDPOINTS
        if first_set(environ, name) and not is_safe_url(environ[name].strip())
    ]


def _asked_half(step: _Step, asked: str) -> bool:
    return bool(step.missing) and asked in (AUTO, step.mode)


def _reason(step: _Step, chosen: _Step | None, asked: str) -> Reason:
    what = f"{step.mode}: {step.what}"
    if step is chosen:
        return Reason(what, "chosen", "chosen")
    if step.way is None:
        return Reason(what, "incomplete", step.missing) if step.missing else Reason(what, "not_set", "not there")
    if asked not in (AUTO, step.mode):
        return Reason(what, "switched_off", f"there, and switched off by auth_source = {asked}")
    return Reason(what, "shadowed", f"there, and passed over: {chosen.what if chosen else ''} comes first")
