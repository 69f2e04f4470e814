"""``google``: Google's executable-sourced credentials (AIP-4117; google-auth, "pluggable").

The request is in variables; the answer is JSON of version 1, a failure too, always with status 0: a client that gets another
status doesn't read the reason. stderr is merged into stdout by the client, so nothing is said there. What is handed out is the
subject token of a workload identity pool.
"""

from __future__ import annotations

import json

from vault.errors import UsageError, VaultError
from vault.interop.helpers import Answer, Helper, Request, Serving, sentence
from vault.values import SECOND

ALLOWED = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"
_TYPE = "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a type
_SAML = "urn:ietf:params:oauth:token-type:saml2"
_HOUR = 3600


def run(request: Request, serving: Serving) -> Answer:
    """Hand out a subject token. Raises UsageError, and what the vault raises."""
    if not request.arguments:
        raise UsageError("no profile is named", hint="vault helper google PROFILE")
    kind = request.environ.get(_TYPE) or _ID_TOKEN
    given = serving.give(request.arguments[0])
    ends = (given.expires_at if given.expires_at is not None else serving.now + _HOUR * SECOND) // SECOND
    answer = {
        "version": 1,
        "success": True,
        "token_type": kind,
        "saml_response" if kind == _SAML else "id_token": given.secret.reveal(),
        "expiration_time": ends,
    }
    return Answer(json.dumps(answer).encode() + b"\n")


def fail(_: Request, error: VaultError) -> Answer:
    """A failure as the client reads it."""
    answer = {"version": 1, "success": False, "code": error.code, "message": sentence(error)}
    return Answer(json.dumps(answer).encode() + b"\n")


HELPER = Helper(name="google", title="Google executable source", usage="PROFILE", run=run, fail=fail, seconds=30.0)
