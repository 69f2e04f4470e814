"""A short-lived Google access token for a resolved mode, through google-auth.

Each type of credentials file is loaded by its own class, never by the one that takes any type, and only after vault has
looked at the addresses in it. No redirect is followed. No message repeats what a server answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from vault.errors import Defect, NotReady, SignInAgain, TryAgain, VaultError
from vault.providers.cloud.extras import DEADLINE_SECONDS, error_code, library, within
from vault.providers.cloud.google import LOGIN, STORED_TOKEN, read_credentials
from vault.providers.cloud.modes import Bearer, CloudMode, Reader, read_file
from vault.values import SECOND, Secret

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

_EXTRA = "google"
_AWS = "urn:ietf:params:aws:token-type:aws4_request"
_EXTERNAL_USER = "google.auth.external_account_authorized_user"


def google_token(
    mode: CloudMode,
    environ: Mapping[str, str],
    home: Path,
    *,
    stored_token: Secret | None = None,
    reader: Reader = read_file,
    deadline: float = DEADLINE_SECONDS,
) -> Bearer:
    """An access token for Google Cloud. ``deadline`` in seconds covers everything.

    Raises SignInAgain when Google refuses the credential, NotFound or NotReady for a mode that isn't ready, Unavailable without
    google-auth, TryAgain when nothing answers in time.
    """
    mode.require_ready()
    if not mode.mode:
        raise Defect("there is no way to get a Google token by nothing")
    if mode.source == STORED_TOKEN:
        if stored_token is None:
            raise Defect("the stored token was chosen and not given")
        return Bearer(stored_token)
    info: dict[str, Any] = {}
    if mode.mode != "metadata":
        path = Path(mode.facts["credentials_file"])
        info, problems = read_credentials(path, environ, home, reader)
        if problems:
            raise NotReady(f"{path} changed meanwhile: {problems[0].text}", hint=problems[0].hint)
    transport = library("google.auth.transport.requests", _EXTRA)
    try:
        credentials = _credentials(info)
    except VaultError:
        raise
    except Exception as error:  # noqa: BLE001 - google-auth lets ValueError, KeyError and more through
        name = type(error).__name__
        where = mode.facts.get("credentials_file", mode.source)
        raise NotReady(f"google-auth can't read {where} ({name})", hint="get the file again") from None

    session = library("requests", _EXTRA).Session()
    session.max_redirects = 0

    def work() -> Bearer:
        try:
            credentials.refresh(transport.Request(session))
        finally:
            session.close()
        ends = credentials.expiry
        return Bearer(
            Secret(credentials.token),
            None if ends is None else int(ends.replace(tzinfo=ends.tzinfo or UTC).timestamp() * SECOND),
        )

    try:
        return within(deadline, "Google", work)
    except VaultError:
        raise
    except Exception as error:  # noqa: BLE001 - the same, for what a server may answer
        raise _explained(error, mode) from None


def _credentials(info: Mapping[str, Any]) -> Any:
    kind = info.get("type")
    if kind is None:
        return library("google.auth.compute_engine", _EXTRA).Credentials(scopes=SCOPES)
    if kind == "service_account":
        made = library("google.oauth2.service_account", _EXTRA).Credentials
        return made.from_service_account_info(info, scopes=SCOPES)
    if kind == "authorized_user":
        return library("google.oauth2.credentials", _EXTRA).Credentials.from_authorized_user_info(info)
    if kind == "impersonated_service_account":
        made = library("google.auth.impersonated_credentials", _EXTRA).Credentials
        return made.from_impersonated_service_account_info(info, scopes=SCOPES)
    if kind == "external_account_authorized_user":
        return library(_EXTERNAL_USER, _EXTRA).Credentials.from_info(info)
    module = "google.auth.identity_pool"
    if info["subject_token_type"] == _AWS:
        module = "google.auth.aws"
    elif info["credential_source"].get("executable"):
        module = "google.auth.pluggable"
    return library(module, _EXTRA).Credentials.from_info(info, scopes=SCOPES)


def _explained(error: Exception, mode: CloudMode) -> VaultError:
    """An error of google-auth in vault's words. Of its content only an OAuth error code is told."""
    name = type(error).__name__
    if name == "TransportError" or getattr(error, "retryable", False):
        return TryAgain(f"Google gave no token to {mode.source} ({name})", hint="look at the network and try again")
    if mode.mode == "metadata":
        return TryAgain(f"the metadata server gave no token ({name})", hint="is this a machine of Google Cloud?")
    if name in ("RefreshError", "ReauthFailError", "OAuthError"):
        code = next((c for c in map(_oauth_code, error.args) if c), name)
        user = mode.facts.get("credentials_type") == "authorized_user"
        hint = LOGIN if user else f"get {mode.facts['credentials_file']} again, and check the account's roles"
        return SignInAgain(f"Google refused the credentials of {mode.source} ({code})", hint=hint)
    return TryAgain(f"what Google answered to {mode.source} was not understood ({name})", hint="try again later")


def _oauth_code(argument: object) -> str:
    return error_code(argument.get("error")) if isinstance(argument, dict) else ""
