"""``git``: git's credential helper (gitcredentials(7), git-credential(1)), called as ``git-credential-vault get|store|erase``.

Attributes come as ``name=value`` lines that an empty line or the end closes. It answers for https, and for http on this
machine; for what it doesn't have it says nothing and ends with 0, so that git asks the next helper. What git stores after a
success is kept as ``HOST:USER``; what it erases after a refusal is logged out, if it is still the password that was refused:
``vault restore`` brings it back. A login that the vault itself refreshes is neither overwritten nor erased.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vault.addresses import is_loopback_place
from vault.errors import NotFound, UsageError
from vault.events.credentials import ApiKey
from vault.interop.helpers import Answer, Helper, Holding, Request, Serving
from vault.interop.helpers.servers import of_host, server_profile
from vault.values import SECOND

_TOKEN_USER = "x-access-token"  # noqa: S105 - what GitHub takes as the user name beside a token


def run(request: Request, serving: Serving) -> Answer:
    """Answer one call. Raises UsageError, and what the vault raises."""
    if not request.arguments:
        raise UsageError("no operation is named", hint="git calls it: git config --global credential.helper vault")
    operation, asked = request.arguments[0], _attributes(request.read())
    host = asked.get("host", "")
    if not host or not _may(asked.get("protocol", ""), host):
        return Answer()
    match operation:
        case "get":
            return _get(asked, serving)
        case "store" if asked.get("password"):
            _store(asked, serving)
        case "erase":
            _erase(asked, serving)
    return Answer()


def _get(asked: Mapping[str, str], serving: Serving) -> Answer:
    found = _match(of_host(serving, asked["host"]), asked)
    if found is None:
        return Answer()
    try:
        given = serving.give(found.profile)
    except NotFound:
        return Answer()
    user = asked.get("username") or found.facts.get("username") or found.label or _TOKEN_USER
    lines = [f"username={user}", f"password={given.secret.reveal()}"]
    if given.expires_at is not None:
        lines.append(f"password_expiry_utc={given.expires_at // SECOND}")
    return Answer(("\n".join(lines) + "\n").encode())


def _store(asked: Mapping[str, str], serving: Serving) -> None:
    user, password = asked.get("username", ""), asked["password"]
    found = _match(of_host(serving, asked["host"]), asked)
    if found is not None and (found.kind != "api_key" or serving.is_secret_of(found.profile, password)):
        return
    facts = {name: asked[name] for name in ("protocol", "host", "path", "username") if asked.get(name)}
    name = f"{user}/{asked['path']}" if asked.get("path") else user
    serving.keep(server_profile(asked["host"], name), ApiKey(key=password, metadata=facts), label=user)


def _erase(asked: Mapping[str, str], serving: Serving) -> None:
    found = _match(of_host(serving, asked["host"]), asked)
    if found is None or found.kind != "api_key":
        return
    password = asked.get("password", "")
    if not password or serving.is_secret_of(found.profile, password):
        serving.end(found.profile)


def _match(holdings: Sequence[Holding], asked: Mapping[str, str]) -> Holding | None:
    """The holding for the user and the path that are asked for: the path's own before one for the whole host."""
    user, path = asked.get("username", ""), asked.get("path", "")
    fitting = [
        h
        for h in holdings
        if (not user or user in (h.facts.get("username"), h.label) or "username" not in h.facts)
        and h.facts.get("path", path) == path
    ]
    return min(fitting, key=lambda h: "path" not in h.facts, default=None)


def _may(protocol: str, host: str) -> bool:
    return protocol == "https" or (protocol == "http" and is_loopback_place(host))


def _attributes(message: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in message.decode("utf-8", "replace").split("\n"):
        if not line:
            break
        name, separator, value = line.partition("=")
        if separator and not name.endswith("[]"):
            found[name] = value
    return found


HELPER = Helper(name="git", title="git credential helper", usage="get|store|erase", run=run)
