"""What a child process gets for a cloud provider, and what it loses.

With a credential the child is handed that credential and nothing else that the same tools would read instead. Without one it
is pointed at the source, a profile or a file, and asks for itself; the libraries of Google read a file and no token. Every name
of ``names_to_remove`` goes first, ``VAULT_AWS_*`` and ``BMO_AWS_*`` always: they are for vault's own
process.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from vault.errors import Defect
from vault.providers.cloud import OVERRIDDEN, OVERRIDE, azure, google
from vault.providers.cloud.aws import RUNTIME_ENDPOINT
from vault.providers.cloud.aws_credentials import aws_credentials
from vault.providers.cloud.azure_token import azure_token
from vault.providers.cloud.extras import DEADLINE_SECONDS
from vault.providers.cloud.google_token import google_token
from vault.providers.cloud.modes import Bearer, CloudCredential, CloudMode, KeyPair
from vault.values import Secret, format_instant

_CONTAINER = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
_WEB_IDENTITY = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")
AWS_NAMES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    *_CONTAINER,
    *_WEB_IDENTITY,
)
OVERRIDES = (*OVERRIDDEN, *(f"{prefix}REGION" for prefix in OVERRIDE))
GOOGLE_TOKENS = ("GOOGLE_CLOUD_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN")
AZURE_TOKEN = "AZURE_OPENAI_AD_TOKEN"  # noqa: S105 - the name of a variable

_BY_NAME = {
    "aws": ("profile", "container", "web_identity"),
    "google": ("file", "gcloud", "metadata"),
    "azure": ("secret", "certificate", "workload", "identity", "cli", "managed"),
}


def obtain(
    mode: CloudMode,
    environ: Mapping[str, str],
    home: Path,
    *,
    stored: Secret | None = None,
    deadline: float = DEADLINE_SECONDS,
) -> CloudCredential:
    """The credential of a ready mode of any cloud. ``stored`` is the token or key stored for the provider, where one is.

    Raises what ``aws_credentials``, ``google_token`` and ``azure_token`` raise.
    """
    if mode.cloud == "aws":
        return aws_credentials(mode, environ, stored_token=stored, deadline=deadline)
    if mode.cloud == "google":
        return google_token(mode, environ, home, stored_token=stored, deadline=deadline)
    return azure_token(mode, environ, stored_key=stored, deadline=deadline)


def environment_for(mode: CloudMode, credential: CloudCredential | None, environ: Mapping[str, str]) -> dict[str, str]:
    """What to put in a child's environment, once ``names_to_remove`` are gone.

    Without a credential the child is pointed at the source; only a mode that has one outside the environment can do that, any
    other raises Defect.
    """
    if credential is None and mode.mode not in _BY_NAME[mode.cloud]:
        raise Defect(f"{mode.provider} has no credential to hand over")
    if mode.cloud == "aws":
        return _aws(mode, credential, environ)
    if isinstance(credential, KeyPair):
        raise Defect(f"an AWS key pair is not a credential of {mode.provider}")
    return _google(mode, credential) if mode.cloud == "google" else _azure(mode, credential)


def names_to_remove(mode: CloudMode) -> frozenset[str]:
    """Every variable that could make a child use another credential than this mode's, or that only vault may read."""
    if mode.cloud == "aws":
        return frozenset((*AWS_NAMES, *OVERRIDES))
    if mode.cloud == "google":
        return frozenset((*google.PROJECTS, *google.LOCATIONS, google.CREDENTIALS, *GOOGLE_TOKENS))
    names = azure.names_of(mode.provider)
    return frozenset((*names.endpoints, names.resource, *names.keys, azure.VERSION, AZURE_TOKEN))


def _aws(mode: CloudMode, credential: CloudCredential | None, environ: Mapping[str, str]) -> dict[str, str]:
    region = {"AWS_REGION": mode.region, "AWS_DEFAULT_REGION": mode.region}
    if mode.facts.get("runtime_endpoint"):
        region[RUNTIME_ENDPOINT] = mode.facts["runtime_endpoint"]
    if isinstance(credential, Bearer):
        return {"AWS_BEARER_TOKEN_BEDROCK": credential.token.reveal(), **region}
    if isinstance(credential, KeyPair):
        keys = {
            "AWS_ACCESS_KEY_ID": credential.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credential.secret_access_key.reveal(),
        }
        if credential.session_token is not None:
            keys["AWS_SESSION_TOKEN"] = credential.session_token.reveal()
        if credential.expires_at is not None:
            keys["AWS_CREDENTIAL_EXPIRATION"] = format_instant(credential.expires_at)
        return {**keys, **region}
    if mode.mode == "profile":
        return {"AWS_PROFILE": mode.profile, "AWS_DEFAULT_PROFILE": mode.profile, **region}
    kept = _CONTAINER if mode.mode == "container" else _WEB_IDENTITY
    return {**{name: environ[name] for name in kept if environ.get(name)}, **region}


def _google(mode: CloudMode, credential: Bearer | None) -> dict[str, str]:
    given = {name: mode.facts["project"] for name in google.PROJECTS if mode.facts.get("project")}
    given |= dict.fromkeys(google.LOCATIONS, mode.region)
    if credential is not None:
        return {**given, **dict.fromkeys(GOOGLE_TOKENS, credential.token.reveal())}
    path = mode.facts.get("credentials_file")
    return {**given, google.CREDENTIALS: path} if path else given


def _azure(mode: CloudMode, credential: Bearer | None) -> dict[str, str]:
    names = azure.names_of(mode.provider)
    endpoint = mode.facts.get("endpoint", "")
    given = dict.fromkeys(names.endpoints, endpoint)
    host = urlsplit(endpoint).hostname or ""
    if host.endswith(f".{names.host}"):
        given[names.resource] = host.removesuffix(f".{names.host}")
    if mode.facts.get("api_version"):
        given[azure.VERSION] = mode.facts["api_version"]
    if credential is not None:
        targets = names.keys if mode.mode == "key" else (AZURE_TOKEN,)
        given |= dict.fromkeys(targets, credential.token.reveal())
    return given
