"""``kubernetes``: client-go's exec credential plugin (Kubernetes, "client-go credential plugins", client.authentication.k8s.io).

The request is in the variable KUBERNETES_EXEC_INFO; the answer names the same API version. Without an expiry a token is kept
until the server refuses it.
"""

from __future__ import annotations

import json

from vault.errors import InputError, UsageError
from vault.interop.helpers import Answer, Helper, Request, Serving
from vault.parsing import parse_json
from vault.values import format_instant

VARIABLE = "KUBERNETES_EXEC_INFO"
_GROUP = "client.authentication.k8s.io/"
_VERSIONS = (f"{_GROUP}v1", f"{_GROUP}v1beta1")


def run(request: Request, serving: Serving) -> Answer:
    """Hand out a bearer token. Raises UsageError, InputError, and what the vault raises."""
    if not request.arguments:
        raise UsageError("no provider is named", hint="vault helper kubernetes PROVIDER|PROFILE")
    version = _version(request.environ.get(VARIABLE, ""))
    given = serving.give(request.arguments[0])
    status: dict[str, str] = {"token": given.secret.reveal()}
    if given.expires_at is not None:
        status["expirationTimestamp"] = format_instant(given.expires_at)
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    return Answer(json.dumps(answer).encode() + b"\n")


def _version(info: str) -> str:
    if not info:
        return _VERSIONS[0]
    try:
        version = parse_json(info, VARIABLE)["apiVersion"]
    except (InputError, KeyError, TypeError, IndexError):
        raise InputError(f"{VARIABLE} is not an ExecCredential") from None
    if version not in _VERSIONS:
        raise InputError("the client wants an API version that isn't known here", hint=f"use {_VERSIONS[0]}")
    return str(version)


HELPER = Helper(name="kubernetes", title="kubectl exec credential", usage="PROVIDER|PROFILE", run=run)
