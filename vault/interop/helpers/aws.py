"""``aws``: the AWS SDKs' ``credential_process`` (SDKs and Tools Reference Guide, "Process credential provider").

Nothing on stdin; on stdout JSON of version 1. With ``Expiration`` an SDK asks again before it, without one never in that process.
"""

from __future__ import annotations

import json

from vault.errors import NotFound
from vault.interop.helpers import Answer, Helper, Request, Serving
from vault.values import format_instant

DEFAULT = "amazon-bedrock"
_FIELDS = {
    "AccessKeyId": "AWS_ACCESS_KEY_ID",
    "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "SessionToken": "AWS_SESSION_TOKEN",
}


def run(request: Request, serving: Serving) -> Answer:
    """Hand out an AWS key pair. Raises NotFound when what is chosen is no key pair, and what the vault raises."""
    what = request.arguments[0] if request.arguments else DEFAULT
    given = serving.give(what)
    answer: dict[str, object] = {"Version": 1}
    answer |= {field: given.values[name].reveal() for field, name in _FIELDS.items() if name in given.values}
    if "AccessKeyId" not in answer or "SecretAccessKey" not in answer:
        raise NotFound(f"what {what} gives is not an AWS access key", hint=f"vault why {what} shows what was chosen")
    if given.expires_at is not None:
        answer["Expiration"] = format_instant(given.expires_at)
    return Answer(json.dumps(answer).encode() + b"\n")


HELPER = Helper(name="aws", title="AWS credential_process", usage="[PROVIDER|PROFILE]", run=run, seconds=60.0)
