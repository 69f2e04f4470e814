"""Which Azure credential an Azure OpenAI provider would use here, and why. Pure: files through a reader.

Endpoint:  the settings, ``AZURE_OPENAI_API_ENDPOINT``, ``AZURE_OPENAI_ENDPOINT``, else the resource's own from the settings'
           ``resource`` or ``AZURE_RESOURCE_NAME``.
Version:   the settings, ``AZURE_OPENAI_API_VERSION``; some tools want one, Azure's newest interface doesn't.
Credential, in this order; ``auto`` takes the first of 1 to 7 that is there, ``key`` of 1 and 2, ``entra`` of 3 to 7, ``managed``
of 6 and 8:

1. key               the key stored for the provider, or another mode stored for it
2. key               ``AZURE_OPENAI_API_KEY``, else ``AZURE_API_KEY``
3. secret            ``AZURE_CLIENT_SECRET`` with ``AZURE_TENANT_ID`` and ``AZURE_CLIENT_ID``
4. certificate       ``AZURE_CLIENT_CERTIFICATE_PATH`` with the same two
5. workload          ``AZURE_FEDERATED_TOKEN_FILE`` with the same two
6. identity          ``IDENTITY_ENDPOINT`` with ``IDENTITY_HEADER``, as App Service and containers set them
7. cli               the account that ``az`` is signed in to
8. managed           the machine's managed identity, from instance metadata

Entra ID is 3 to 8. What vault was told comes before what the machine happens to have, as for AWS. ``azure-cognitive-services``
has variables of its own for resource and key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vault.errors import InputError, NotReady
from vault.parsing import parse_json
from vault.providers.cloud.aws_files import token_file_problems
from vault.providers.cloud.extras import is_safe_url, shown_host
from vault.providers.cloud.modes import (
    CloudMode,
    Problem,
    Reader,
    Reason,
    checked_endpoint,
    first_set,
    home_path,
    looked_at,
)

AUTO = "auto"
AUTH_SOURCES = (AUTO, "key", "entra", "managed")
AZURE, COGNITIVE = "azure", "azure-cognitive-services"
SCOPE = "https://cognitiveservices.azure.com/.default"
STORED_KEY = "the stored key"
ENDPOINTS = ("AZURE_OPENAI_API_ENDPOINT", "AZURE_OPENAI_ENDPOINT")
VERSION = "AZURE_OPENAI_API_VERSION"

_PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
_PINS = {
    AUTO: ("key", "secret", "certificate", "workload", "identity", "cli"),
    "key": ("key",),
    "entra": ("secret", "certificate", "workload", "identity", "cli"),
    "managed": ("identity", "managed"),
}
_RESOURCE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NOTHING = {
    AUTO: (
        "no Azure credential was found",
        "set AZURE_OPENAI_API_KEY, store a key with: vault login {0}, or sign in with: az login",
    ),
    "key": ("there is no Azure key", "set AZURE_OPENAI_API_KEY, or store a key with: vault login {0}"),
    "entra": ("there is no Entra ID credential", "sign in with: az login, or set AZURE_TENANT_ID and its companions"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """The variables of one kind of Azure provider."""

    endpoints: tuple[str, ...]
    resource: str
    keys: tuple[str, ...]
    host: str


_OPENAI = Names(ENDPOINTS, "AZURE_RESOURCE_NAME", ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"), "openai.azure.com")
_COGNITIVE = Names(
    (),
    "AZURE_COGNITIVE_SERVICES_RESOURCE_NAME",
    ("AZURE_COGNITIVE_SERVICES_API_KEY",),
    "cognitiveservices.azure.com",
)


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """An Azure provider's settings; ``scope`` is what an Entra token is for. Raises NotReady for an unknown ``auth_source``."""

    provider: str = AZURE
    auth_source: str = AUTO
    endpoint: str = ""
    resource: str = ""
    api_version: str = ""
    scope: str = SCOPE

    def __post_init__(self) -> None:
        if self.auth_source not in AUTH_SOURCES:
            raise NotReady(
                f"auth_source of {self.provider} is not a source of Azure credentials",
                hint=f"use one of {', '.join(AUTH_SOURCES)}",
            )


@dataclass(frozen=True, slots=True)
class _Step:
    """A place in the order; ``here`` says whether it is there, ``missing`` why not when half of it is."""

    mode: str
    what: str
    here: bool = False
    names: tuple[str, ...] = ()
    missing: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[Problem] = ()

    def pinned_by(self, asked: str) -> bool:
        """Whether this place counts under an ``auth_source``. What is stored, of whatever mode, counts under ``auto``."""
        return self.mode in _PINS[asked] or (asked == AUTO and self.what == STORED_KEY)


def names_of(provider: str) -> Names:
    """The variables that belong to a provider."""
    return _COGNITIVE if provider == COGNITIVE else _OPENAI


def resolve_azure(
    settings: AzureSettings,
    environ: Mapping[str, str],
    home: Path,
    *,
    stored_key: bool,
    stored_mode: str = "key",
    reader: Reader,
) -> CloudMode:
    """The credential mode of one Azure provider, with every source's reason.

    ``stored_key`` says whether a usable key is stored for the provider, ``stored_mode`` what is stored instead of one;
    ``reader`` gives a file's text or None. Raises nothing: what is wrong is in the mode's problems.
    """
    asked = settings.auth_source
    steps = _steps(settings, environ, home, _Step(stored_mode, STORED_KEY, stored_key), reader)
    chosen = next((step for step in steps if step.here and step.pinned_by(asked)), None)
    endpoint, endpoint_source, problems = _endpoint(settings, environ)
    version = settings.api_version or environ.get(VERSION, "").strip()
    if not version and not endpoint.rstrip("/").endswith("/v1"):
        hint = f"set {VERSION}, or api_version under [providers.{settings.provider}] in the settings"
        problems.append(
            Problem("version_missing", "no API version is set, which some tools need", hint, blocking=False)
        )
    facts = {"endpoint": endpoint, "endpoint_source": endpoint_source, "api_version": version}
    if chosen is None:
        text, hint = _NOTHING[asked]  # the managed identity is never missing from here
        halves = [
            Problem("incomplete", s.missing, "set the missing ones", blocking=False)
            for s in steps
            if s.missing and s.pinned_by(asked)
        ]
        problems = [Problem("no_source", text, hint.format(settings.provider)), *halves, *problems]
    else:
        problems = [*chosen.problems, *problems]
        facts |= {**chosen.facts, **({} if chosen.mode == "key" else {"scope": settings.scope})}
        if chosen.mode in ("secret", "certificate", "workload") and first_set(environ, "AZURE_AUTHORITY_HOST"):
            facts["authority"] = environ["AZURE_AUTHORITY_HOST"].strip()
    return CloudMode(
        settings.provider,
        "azure",
        asked,
        mode=chosen.mode if chosen else "",
        source=chosen.what if chosen else "",
        secret_names=chosen.names if chosen else (),
        problems=tuple(problems),
        reasons=tuple(_reason(step, chosen, asked) for step in steps),
        facts={name: value for name, value in facts.items() if value},
    )


def _steps(
    settings: AzureSettings, environ: Mapping[str, str], home: Path, stored: _Step, reader: Reader
) -> list[_Step]:
    names = names_of(settings.provider)
    key = first_set(environ, *names.keys)
    return [
        stored,
        _Step("key", key or names.keys[0], bool(key), (key,) if key else ()),
        _principal("secret", "AZURE_CLIENT_SECRET", environ, home, None),
        _principal("certificate", "AZURE_CLIENT_CERTIFICATE_PATH", environ, home, reader),
        _principal("workload", "AZURE_FEDERATED_TOKEN_FILE", environ, home, reader),
        _identity(environ),
        _cli(environ, home, reader),
        _Step("managed", "instance metadata", True, facts=_client(environ)),
    ]


def _principal(mode: str, name: str, environ: Mapping[str, str], home: Path, reader: Reader | None) -> _Step:
    """A service principal. With a reader the variable names a file, otherwise it holds the secret itself."""
    if not first_set(environ, name):
        return _Step(mode, name)
    missing = [other for other in _PRINCIPAL if not first_set(environ, other)]
    if missing:
        return _Step(mode, name, missing=f"{name} is set and {' and '.join(missing)} not")
    facts = {"tenant": environ["AZURE_TENANT_ID"].strip(), "client": environ["AZURE_CLIENT_ID"].strip()}
    problems = []
    if reader is not None:
        path = home_path(environ[name].strip(), home)
        facts["file"] = str(path)
        problems += token_file_problems(path, reader)
    authority = environ.get("AZURE_AUTHORITY_HOST", "").strip()
    if "://" in authority and not authority.startswith("https://"):
        text = f"AZURE_AUTHORITY_HOST is not https ({shown_host(authority) or 'no host'})"
        problems.append(Problem("refused", text, "use https"))
    return _Step(mode, name, True, () if reader else (name,), facts=facts, problems=problems)


def _identity(environ: Mapping[str, str]) -> _Step:
    name, header = "IDENTITY_ENDPOINT", "IDENTITY_HEADER"
    if not first_set(environ, name):
        return _Step("identity", name)
    if not first_set(environ, header):
        return _Step("identity", name, missing=f"{name} is set and {header} not")
    url = environ[name].strip()
    problems = []
    if not is_safe_url(url, link_local=True):
        text = f"{name} points at {shown_host(url) or 'no host'}, where its header must not be sent"
        problems.append(Problem("refused", text, "use https, this machine, or a link-local address"))
    facts = {"identity_endpoint": shown_host(url), **_client(environ)}
    return _Step("identity", name, True, facts=facts, problems=problems)


def _cli(environ: Mapping[str, str], home: Path, reader: Reader) -> _Step:
    named = environ.get("AZURE_CONFIG_DIR", "").strip()
    path = (home_path(named, home) if named else home / ".azure") / "azureProfile.json"
    text, _ = looked_at(reader, path)
    try:
        profile = parse_json(text or "{}", str(path))
        accounts = [a for a in profile["subscriptions"] if isinstance(a, dict)]
    except (InputError, KeyError, TypeError):
        accounts = []
    current = next((a for a in accounts if a.get("isDefault")), accounts[0] if accounts else None)
    if current is None:
        return _Step("cli", "az")
    told = {"subscription": current.get("name"), "tenant": current.get("tenantId")}
    return _Step("cli", "az", True, facts={k: v for k, v in told.items() if isinstance(v, str) and v})


def _client(environ: Mapping[str, str]) -> dict[str, str]:
    return {"client": environ["AZURE_CLIENT_ID"].strip()} if first_set(environ, "AZURE_CLIENT_ID") else {}


def _endpoint(settings: AzureSettings, environ: Mapping[str, str]) -> tuple[str, str, list[Problem]]:
    names = names_of(settings.provider)
    variable = first_set(environ, *names.endpoints)
    resource = settings.resource or environ.get(names.resource, "").strip()
    if settings.endpoint or variable:
        endpoint = settings.endpoint or environ[variable].strip()
        source = "the settings" if settings.endpoint else variable
    elif resource:
        source = "the settings" if settings.resource else names.resource
        if not _RESOURCE.fullmatch(resource):
            return (
                "",
                "",
                [Problem("endpoint_odd", f"the resource from {source} is not a name", "only letters, digits, '-'")],
            )
        endpoint = f"https://{resource}.{names.host}"
    else:
        wanted = " or ".join((*names.endpoints[:1], names.resource))
        return "", "", [Problem("endpoint_missing", "no Azure endpoint is set", f"set {wanted}")]
    shown, problems = checked_endpoint(endpoint, source)
    return shown, source, problems


def _reason(step: _Step, chosen: _Step | None, asked: str) -> Reason:
    what = f"{step.mode}: {step.what}"
    if step is chosen:
        return Reason(what, "chosen", "chosen")
    if step.mode == "managed" and asked != "managed" and step.what != STORED_KEY:
        return Reason(what, "not_asked", "not asked: only auth_source = managed does")
    if not step.here:
        return Reason(what, "incomplete", step.missing) if step.missing else Reason(what, "not_set", "not there")
    if not step.pinned_by(asked):
        return Reason(what, "switched_off", f"there, and switched off by auth_source = {asked}")
    return Reason(what, "shadowed", f"there, and passed over: {chosen.what if chosen else ''} comes first")
