"""The key, or a short-lived Entra ID token, for a resolved Azure mode, the token through azure-identity.

Each way has its own credential class; the chain that tries everything is never used. azure-identity follows no redirect here.
It reads proxies and certificate bundles, and for managed identities the endpoint, from the process's environment.
No message repeats what a server or ``az`` answered, except an ``AADSTS`` error number.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from typing import Any

from vault.errors import Defect, NotFound, NotReady, SignInAgain, TryAgain, Unavailable, VaultError
from vault.providers.cloud.azure import STORED_KEY
from vault.providers.cloud.extras import CONNECT_SECONDS, DEADLINE_SECONDS, READ_SECONDS, library, within
from vault.providers.cloud.modes import Bearer, CloudMode
from vault.values import SECOND, Secret

_EXTRA = "azure"
_NUMBER = re.compile(r"AADSTS\d{3,8}")
_NETWORK = ("ServiceRequestError", "ServiceResponseError", "ServiceRequestTimeoutError", "ServiceResponseTimeoutError")


def azure_token(
    mode: CloudMode,
    environ: Mapping[str, str],
    *,
    stored_key: Secret | None = None,
    instance_discovery: bool = True,
    deadline: float = DEADLINE_SECONDS,
) -> Bearer:
    """The key or an access token. ``deadline`` in seconds covers everything.

    ``instance_discovery=False`` is for a private cloud, whose authority Microsoft doesn't know. Raises SignInAgain when Entra ID
    refuses, NotFound or NotReady for a mode that isn't ready, Unavailable without azure-identity or ``az``, TryAgain when
    nothing answers in time.
    """
    mode.require_ready()
    if mode.mode == "key":
        if mode.source != STORED_KEY:
            return Bearer(Secret(_value(environ, mode.secret_names[0])))
        if stored_key is None:
            raise Defect("the stored key was chosen and not given")
        return Bearer(stored_key)
    identity = library("azure.identity", _EXTRA)

    def work() -> Bearer:
        with _credential(identity, mode, environ, instance_discovery) as credential:
            token = credential.get_token(mode.facts["scope"])
        return Bearer(Secret(token.token), int(token.expires_on) * SECOND)

    try:
        return within(deadline, "Entra ID", work)
    except VaultError:
        raise
    except Exception as error:  # noqa: BLE001 - azure-identity lets ValueError, KeyError and more through
        raise _explained(error, mode) from None


def _credential(identity: Any, mode: CloudMode, environ: Mapping[str, str], discovery: bool) -> Any:
    facts = mode.facts
    if mode.mode == "cli":
        return identity.AzureCliCredential(tenant_id=facts.get("tenant", ""))
    if mode.mode in ("identity", "managed"):
        return identity.ManagedIdentityCredential(client_id=facts.get("client"))
    common: dict[str, Any] = {
        "disable_instance_discovery": not discovery,
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retry_total": 1,
    }
    if facts.get("authority"):
        common["authority"] = facts["authority"]
    if mode.mode == "secret":
        secret = _value(environ, mode.secret_names[0])
        return identity.ClientSecretCredential(facts["tenant"], facts["client"], secret, **common)
    if mode.mode == "certificate":
        password = environ.get("AZURE_CLIENT_CERTIFICATE_PASSWORD") or None
        return identity.CertificateCredential(
            facts["tenant"], facts["client"], facts["file"], password=password, **common
        )
    if mode.mode == "workload":
        return identity.WorkloadIdentityCredential(
            tenant_id=facts["tenant"], client_id=facts["client"], token_file_path=facts["file"], **common
        )
    raise Defect(f"there is no way to get an Azure credential by {mode.mode or 'nothing'}")


def _value(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise NotFound(f"{name} is not set any more", hint="it was a moment ago; try again")
    return value


def _explained(error: Exception, mode: CloudMode) -> VaultError:
    """An error of azure-identity in vault's words."""
    names = {type(e).__name__ for e in (error, error.__cause__, error.__context__) if e is not None}
    if names & set(_NETWORK):
        return TryAgain(f"Entra ID could not be reached for {mode.source}", hint="look at the network and try again")
    if mode.mode == "cli" and shutil.which("az") is None:
        return Unavailable("the program az is not there", hint="install it, or use another auth_source")
    if mode.mode in ("identity", "managed"):
        return TryAgain(f"the managed identity at {mode.source} gave no token", hint="has this machine an identity?")
    if "ClientAuthenticationError" in names or "CredentialUnavailableError" in names:
        number = _NUMBER.search(str(error))
        hint = "az login" if mode.mode == "cli" else "check the application's secret, certificate or federation"
        return SignInAgain(f"Entra ID refused {mode.source}" + (f" ({number[0]})" if number else ""), hint=hint)
    return NotReady(f"azure-identity could not use {mode.source} ({type(error).__name__})", hint="check its variables")
