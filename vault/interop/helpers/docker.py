"""``docker``: docker's credential helper protocol, called as ``docker-credential-vault get|store|erase|list|version``.

docker, podman, buildah, skopeo, helm and ORAS speak it. A server's address comes bare on stdin for get and erase, as JSON for
store. Errors go to stdout and end with 1; two of their texts are looked for by the callers. The profile is ``HOST:USER``.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from vault.errors import InputError, NotFound, UsageError, VaultError
from vault.events.credentials import ApiKey
from vault.interop.helpers import Answer, Helper, Holding, Request, Serving, sentence
from vault.interop.helpers.servers import host_of, of_host, server_profile
from vault.version import __version__

MISSING = "credentials not found in native keychain"
NO_SERVER = "no credentials server URL"
NO_USER = "no credentials username"


def run(request: Request, serving: Serving) -> Answer:
    """Answer one call. Raises UsageError, and what the vault raises."""
    operations: dict[str, Callable[[Request, Serving], Answer]] = {
        "get": _get,
        "store": _store,
        "erase": _erase,
        "list": _list,
    }
    named = request.arguments[0] if request.arguments else ""
    if named == "version":
        return Answer(f"docker-credential-vault {__version__}\n".encode())
    if named not in operations:
        raise UsageError(f"{named!r} is no operation of it", hint="docker calls it: set credsStore to vault")
    try:
        return operations[named](request, serving)
    except InputError as error:
        return _failed(error.message)


def _get(request: Request, serving: Serving) -> Answer:
    server = _server(request)
    found = _match(serving, server)
    if found is None:
        return _failed(MISSING)
    try:
        given = serving.give(found.profile)
    except NotFound:
        return _failed(MISSING)
    user = found.facts.get("username") or found.label or "<token>"
    return _said({"ServerURL": server, "Username": user, "Secret": given.secret.reveal()})


def _store(request: Request, serving: Serving) -> Answer:
    try:
        asked = json.loads(request.read())
        server, user, secret = (asked.get(name) for name in ("ServerURL", "Username", "Secret"))
    except (ValueError, AttributeError):
        return _failed("the request is not the JSON of a credential")
    if not isinstance(server, str) or not server:
        return _failed(NO_SERVER)
    if not isinstance(user, str) or not user:
        return _failed(NO_USER)
    if not isinstance(secret, str) or not secret:
        return _failed("the credential has no secret")
    credential = ApiKey(key=secret, metadata={"server": server, "username": user})
    serving.keep(server_profile(host_of(server), user), credential, label=user)
    return Answer()


def _erase(request: Request, serving: Serving) -> Answer:
    found = _match(serving, _server(request))
    if found is None:
        return _failed(MISSING)
    serving.end(found.profile)
    return Answer()


def _list(_: Request, serving: Serving) -> Answer:
    return _said(
        {h.facts["server"]: h.facts.get("username", h.label) for h in serving.holdings() if "server" in h.facts}
    )


def _server(request: Request) -> str:
    server = request.read().decode("utf-8", "replace").strip()
    if not server:
        raise InputError(NO_SERVER)
    return server


def _match(serving: Serving, server: str) -> Holding | None:
    """What is kept for exactly this address, else for its host."""
    holdings = of_host(serving, host_of(server))
    exact = [h for h in holdings if h.facts.get("server") == server]
    return next(iter([*exact, *(h for h in holdings if "server" not in h.facts)]), None)


def _said(answer: dict[str, str]) -> Answer:
    return Answer(json.dumps(answer).encode() + b"\n")


def _failed(text: str) -> Answer:
    return Answer(text.encode() + b"\n", status=1)


def fail(_: Request, error: VaultError) -> Answer:
    """An error in docker's way: on stdout, with status 1; and on stderr too, where a person may see it."""
    return Answer(sentence(error).encode() + b"\n", sentence(error), 1)


HELPER = Helper(name="docker", title="docker credential helper", usage="get|store|erase|list", run=run, fail=fail)
