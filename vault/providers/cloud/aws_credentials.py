"""The AWS credential a resolved mode leads to. Keys and tokens of the environment as they are, the rest through botocore.

A profile is asked for by name with every source outside it taken out of botocore's chain, so that a profile that fails is an
error and never another credential. Nothing is kept: no cache but the SSO cache, which belongs to the AWS tools and which
botocore renews as they do. botocore reads its transport settings (proxies, ``AWS_CA_BUNDLE``, ``AWS_ENDPOINT_URL_STS``) from
the process's environment, whatever ``environ`` says. No message repeats what an endpoint or a program answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vault.errors import Defect, NotFound, NotReady, SignInAgain, TryAgain, Unavailable, VaultError
from vault.providers.cloud.aws import STORED_TOKEN
from vault.providers.cloud.extras import (
    CONNECT_SECONDS,
    DEADLINE_SECONDS,
    READ_SECONDS,
    error_code,
    library,
    within,
)
from vault.providers.cloud.modes import Bearer, CloudCredential, CloudMode, KeyPair
from vault.values import SECOND, Secret

_EXTRA = "aws"
_OUTSIDE_A_PROFILE = ("env", "ec2-credentials-file", "boto-config", "container-role", "iam-role")
_UNREACHABLE = (
    "ConnectTimeoutError",
    "EndpointConnectionError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "SSLError",
)
_SIGN_IN = ("UnauthorizedSSOTokenError", "SSOTokenLoadError", "SSOError", "TokenRetrievalError")
_LOGIN = ("LoginTokenLoadError", "LoginRefreshRequired", "LoginInsufficientPermissions", "LoginError")
_BUSY = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "ServiceUnavailable")


def aws_credentials(
    mode: CloudMode,
    environ: Mapping[str, str],
    *,
    stored_token: Secret | None = None,
    deadline: float = DEADLINE_SECONDS,
) -> CloudCredential:
    """The credential of a ready mode: keys, or a bearer token. ``deadline`` in seconds covers everything.

    Raises SignInAgain, NotFound, NotReady for a mode that isn't ready and for what AWS refuses, Unavailable without botocore
    where it is needed or when a program fails, TryAgain when nothing answers in time.
    """
    mode.require_ready()
    if mode.mode == "bearer":
        return Bearer(_stored(stored_token) if mode.source == STORED_TOKEN else Secret(_value(environ, mode.source)))
    if mode.mode == "env":
        key_id, secret, *rest = (_value(environ, name) for name in mode.secret_names)
        return KeyPair(key_id, Secret(secret), Secret(rest[0]) if rest else None, mode.expires_at)
    ways: dict[str, Callable[[], Any]] = {
        "container": lambda: _container(mode, environ),
        "web_identity": lambda: _web_identity(mode),
        "profile": lambda: _profile(mode),
    }
    if mode.mode not in ways:
        raise Defect(f"there is no way to get AWS credentials by {mode.mode or 'nothing'}")
    library("botocore.session", _EXTRA)
    try:
        return within(deadline, _who(mode), lambda: _frozen(ways[mode.mode]()))
    except VaultError:
        raise
    except Exception as error:  # noqa: BLE001 - botocore lets ValueError, KeyError, RuntimeError and more through
        raise _explained(error, mode) from None


def _stored(token: Secret | None) -> Secret:
    if token is None:
        raise Defect("the stored token was chosen and not given")
    return token


def _value(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise NotFound(f"{name} is not set any more", hint="it was a moment ago; try again")
    return value


def _session() -> Any:
    session = library("botocore.session", _EXTRA).Session()
    config = library("botocore.config", _EXTRA).Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 2}
    )
    session.set_default_client_config(config)
    return session


def _profile(mode: CloudMode) -> Any:
    session = _session()
    session.set_config_variable("profile", mode.profile)
    session.set_config_variable("config_file", mode.facts["config_file"])
    session.set_config_variable("credentials_file", mode.facts["credentials_file"])
    session.set_config_variable("region", mode.region)
    chain = session.get_component("credential_provider")
    for method in _OUTSIDE_A_PROFILE:
        chain.remove(method)
    return chain.load_credentials()


def _web_identity(mode: CloudMode) -> Any:
    session = _session()
    credentials = library("botocore.credentials", _EXTRA)

    def client(service: str, **settings: Any) -> Any:
        return session.create_client(service, region_name=mode.region, **settings)

    name = mode.facts.get("role_session_name", "")
    fetcher = credentials.AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=client,
        web_identity_token_loader=library("botocore.utils", _EXTRA).FileWebIdentityTokenLoader(
            mode.facts["token_file"]
        ),
        role_arn=mode.facts["role_arn"],
        extra_args={"RoleSessionName": name} if name else {},
    )
    return credentials.DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method=mode.mode)


def _container(mode: CloudMode, environ: Mapping[str, str]) -> Any:
    http = library("botocore.httpsession", _EXTRA).URLLib3Session(timeout=(CONNECT_SECONDS, READ_SECONDS))
    fetcher = library("botocore.utils", _EXTRA).ContainerMetadataFetcher(session=http)
    given = {**environ, mode.source: environ[mode.source].strip()}
    try:
        return library("botocore.credentials", _EXTRA).ContainerProvider(given, fetcher).load()
    finally:
        http.close()


def _frozen(credentials: Any) -> KeyPair:
    if credentials is None:
        raise NotFound("botocore found no credential there", hint="vault doctor bedrock shows what was looked at")
    keys = credentials.get_frozen_credentials()
    ends = getattr(credentials, "_expiry_time", None)
    return KeyPair(
        keys.access_key,
        Secret(keys.secret_key),
        Secret(keys.token) if keys.token else None,
        int(ends.timestamp() * SECOND) if ends is not None else None,
    )


def _who(mode: CloudMode) -> str:
    return f"AWS, asked for the credentials of profile {mode.profile}," if mode.profile else f"the source {mode.source}"


def _explained(error: Exception, mode: CloudMode) -> VaultError:
    """An error of botocore in vault's words. Only its class and its code are looked at: its text may quote anything."""
    name, who = type(error).__name__, f"profile {mode.profile}" if mode.profile else mode.source
    sign_in = f"aws sso login --profile {mode.profile}" if mode.mode == "profile" else f"look at {mode.source}"
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = error_code(response.get("Error", {}).get("Code"))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _BUSY or (isinstance(status, int) and status >= 500):
            return TryAgain(f"AWS did not answer for {who} ({code or status})", hint="try again later")
        hint = sign_in if mode.facts.get("profile_way") == "sso" else "check the role, its trust policy and the token"
        return SignInAgain(f"AWS refused the credentials of {who} ({code or status})", hint=hint)
    if name in _UNREACHABLE:
        return TryAgain(f"AWS could not be reached for {who} ({name})", hint="look at the network and the region")
    if name in _SIGN_IN:
        return SignInAgain(f"nobody is signed in to the SSO of {who}", hint=sign_in)
    if name in _LOGIN:
        return SignInAgain(f"the AWS login of {who} is over", hint=f"aws login --profile {mode.profile}")
    if name == "MissingDependencyException":
        return Unavailable(f"{who} needs a part of botocore that is not installed", hint="pip install 'botocore[crt]'")
    if mode.mode == "container":
        where = mode.facts.get("endpoint", "")
        return TryAgain(
            f"the container endpoint at {where} gave no usable credentials ({name})", hint="try again later"
        )
    if mode.facts.get("profile_way") == "process":
        program = mode.facts.get("credential_process", "")
        return Unavailable(f"the credential_process {program} of {who} failed ({name})", hint="run it to see why")
    return NotReady(f"botocore could not use {who} ({name})", hint="vault doctor bedrock shows what was looked at")
