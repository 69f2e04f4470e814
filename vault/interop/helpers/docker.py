"""``docker``: docker's credential helper protocol, called as ``docker-credential-vault get|store|erase|list|version``.

docker, podman, buildah, skopeo, helm and ORAS speak it. A server's address comes bare on stdin for get and erase, as JSON for
store. Errors go to stdout and end with 1; two of their texts are looked for by the callers.

The profile is ``HOST:USER``, for a part of a registry ``HOST:USER/PATH``; what was stored last for an address is given and
listed. Without a scheme an address is https. A password for https isn't given for http, nor one for another port. ``erase`` logs
out all that would be given for the address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from vault.errors import InputError, NotFound, UsageError, VaultError
from vault.events.credentials import ApiKey
from vault.interop.helpers import Answer, Helper, Holding, Request, Serving, sentence
from vault.interop.helpers.servers import end_those, keep_for, kept_for
from vault.interop.servers import Server, docker_server
from vault.parsing import parse_json
from vault.values import text_of
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
        raise UsageError(
            f"{named!r} is not an operation of the docker helper", hint="docker calls it: set credsStore to vault"
        )
    try:
        return operations[named](request, serving)
    except InputError as error:
        return _failed(error.message)


def _get(request: Request, serving: Serving) -> Answer:
    server = _server(request)
    found = next(iter(_kept(serving, docker_server(server))), None)
    if found is None:
        return _failed(MISSING)
    if found.refused:
        serving.renew(found.profile)
    try:
        given = serving.give(found.profile)
    except NotFound:
        return _failed(MISSING)
    return _said({"ServerURL": server, "Username": _user(found), "Secret": given.secret.reveal()})


def _store(request: Request, serving: Serving) -> Answer:
    try:
        asked = parse_json(request.read(), "the request")
        server, user, secret = (asked.get(name) for name in ("ServerURL", "Username", "Secret"))
    except (InputError, AttributeError):
        return _failed("the request is not the JSON of a credential")
    if not isinstance(server, str) or not server:
        return _failed(NO_SERVER)
    if not isinstance(user, str) or not user:
        return _failed(NO_USER)
    if not isinstance(secret, str) or not secret:
        return _failed("the credential has no secret")
    place = docker_server(server)
    credential = ApiKey(key=secret, metadata={"server": server, "username": user})
    keep_for(serving, place, user, _kept(serving, place), credential)
    return Answer()


def _erase(request: Request, serving: Serving) -> Answer:
    place = docker_server(_server(request))
    return Answer() if end_those(serving, lambda: _kept(serving, place)) else _failed(MISSING)


def _list(_: Request, serving: Serving) -> Answer:
    servers = [h.facts["server"] for h in serving.holdings() if "server" in h.facts]
    return _said({server: _user(_kept(serving, docker_server(server))[0]) for server in dict.fromkeys(servers)})


def _server(request: Request) -> str:
    server = text_of(request.read(), "surrogateescape").strip()
    if not server:
        raise InputError(NO_SERVER)
    return server


def _kept(serving: Serving, server: Server) -> Sequence[Holding]:
    """What is kept for exactly this address; a password that git stored is for the whole host."""
    return kept_for(
        serving, server, lambda holding, kept: kept.path == (server.path if "server" in holding.facts else "")
    )


def _user(holding: Holding) -> str:
    return holding.facts.get("username") or holding.label or "<token>"


def _said(answer: dict[str, str]) -> Answer:
    return Answer(json.dumps(answer).encode() + b"\n")


def _failed(text: str) -> Answer:
    return Answer(text.encode() + b"\n", status=1)


def fail(_: Request, error: VaultError) -> Answer:
    """An error in docker's way: on stdout, with status 1; and on stderr too, where a person may see it."""
    return Answer(sentence(error).encode() + b"\n", sentence(error), 1)


HELPER = Helper(name="docker", title="docker credential helper", usage="get|store|erase|list", run=run, fail=fail)
