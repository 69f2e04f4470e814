"""``git``: git's credential helper (gitcredentials(7), git-credential(1)), called as ``git-credential-vault get|store|erase``.

Attributes come as ``name=value`` lines that an empty line or the end closes; a line ends at LF and nowhere else. It answers for
https, and for http on this machine; for what it doesn't have it says nothing and ends with 0, so that git asks the next helper.

- What git stores after a success is kept as ``HOST:USER``, and it is what is given next. Its expiry and the refresh token beside
  it are kept and given on: for an expired password the refresh token alone, with which another helper gets a new one.
- What git erases after a refusal is logged out wherever it is kept for that server, if it is still the password that was refused:
  ``vault restore`` brings it back. A login that the vault itself refreshes stays, and is renewed before it is given again.
- ``gist.github.com`` is given the login of ``github.com``, as by ``gh``; so are the gist hosts of ``ghe.com`` and of the servers
  that ``gh`` is signed in to. Git asks for no other host of GitHub's: raw files, releases and LFS objects come by signed links.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vault.addresses import is_loopback_place
from vault.errors import InputError, NotFound, UsageError
from vault.events.credentials import AnyCredential, ApiKey, Token
from vault.interop.helpers import Answer, Helper, Holding, Request, Serving
from vault.interop.helpers.servers import end_those, is_users, keep_for, kept_for, of_user
from vault.interop.servers import Server, server_at
from vault.values import SECOND, moment_of, text_of

_TOKEN_USER = "x-access-token"  # noqa: S105 - what GitHub takes as the user name beside a token
_REFRESH = "oauth_refresh_token"


def run(request: Request, serving: Serving) -> Answer:
    """Answer one call. Raises UsageError, InputError, and what the vault raises."""
    if not request.arguments:
        raise UsageError("no operation is named", hint="git calls it: git config --global credential.helper vault")
    operation, asked = request.arguments[0], _attributes(request.read())
    try:
        server = server_at(asked.get("protocol", ""), asked.get("host", ""), asked.get("path", ""))
    except InputError:
        return Answer()
    if not (server.scheme == "https" or (server.scheme == "http" and is_loopback_place(server.place))):
        return Answer()
    match operation:
        case "get":
            return _get(asked, server, serving)
        case "store" if asked.get("password"):
            _store(asked, server, serving)
        case "erase":
            _erase(asked, server, serving)
    return Answer()


def _get(asked: Mapping[str, str], server: Server, serving: Serving) -> Answer:
    found = next(iter(of_user(_kept(serving, server), asked.get("username", ""))), None)
    if found is None:
        return Answer()
    said = {"username": asked.get("username") or found.facts.get("username") or found.label or _TOKEN_USER}
    ended = found.expires_at is not None and found.expires_at <= serving.now and not found.refreshable
    beside = serving.give_beside(found.profile, _REFRESH) if found.kind == Token.kind else None
    if not ended or beside is None:
        if found.refused:
            serving.renew(found.profile)
        try:
            given = serving.give(found.profile)
        except NotFound:
            return Answer()
        said["password"] = given.secret.reveal()
        if given.expires_at is not None:
            said["password_expiry_utc"] = str(given.expires_at // SECOND)
    if beside is not None:
        said[_REFRESH] = beside.reveal()
    return Answer("".join(f"{name}={_value(name, value)}\n" for name, value in said.items()).encode())


def _store(asked: Mapping[str, str], server: Server, serving: Serving) -> None:
    user, password = asked.get("username", ""), asked["password"]
    _check_text(asked)
    everything, credential = _kept(serving, server), _credential(asked)
    same = next((h for h in _theirs(everything, user) if serving.is_secret_of(h.profile, password)), None)
    if same is None or (not same.refreshable and credential.expires() not in (None, same.expires_at)):
        keep_for(serving, server, user, everything, credential)
    elif not same.refreshable and same.profile != everything[0].profile:
        serving.keep_again(same.profile)


def _credential(asked: Mapping[str, str]) -> AnyCredential:
    """The password, with what git says about it."""
    facts = {name: asked[name] for name in ("protocol", "host", "path", "username") if asked.get(name)}
    ends = asked.get("password_expiry_utc", "")
    expires = moment_of(int(ends), SECOND) if re.fullmatch(r"[0-9]{1,12}", ends) else None
    beside = {_REFRESH: asked[_REFRESH]} if asked.get(_REFRESH) else {}
    if expires is None and not beside:
        return ApiKey(key=asked["password"], metadata=facts)
    return Token(token=asked["password"], expires_at=expires, metadata=facts, extra=beside)


def _erase(asked: Mapping[str, str], server: Server, serving: Serving) -> None:
    user, password = asked.get("username", ""), asked.get("password", "")

    def refused() -> Sequence[Holding]:
        kept = _kept(serving, server)
        if not password:
            return of_user(kept, user)
        return [h for h in _theirs(kept, user) if serving.is_secret_of(h.profile, password)]

    for holding in refused():
        if holding.refreshable and password:
            serving.refuse(holding.profile)
    end_those(serving, lambda: [h for h in refused() if not h.refreshable])


def _theirs(kept: Sequence[Holding], user: str) -> Sequence[Holding]:
    """Whatever may have been given for a user: the user's own, and those of which no user is known."""
    return [h for h in kept if not user or is_users(h, user) or not h.facts.get("username")]


def _kept(serving: Serving, server: Server) -> Sequence[Holding]:
    """What is kept for a server: the path's own before that for the whole host, and that before a gist host's parent's."""

    def path_fits(holding: Holding, kept: Server) -> bool:
        return kept.path == "" or ("server" not in holding.facts and kept.path == server.path)

    found = kept_for(serving, server, path_fits)
    own = [h for h in found if h.facts.get("path") and server.path]
    return [*own, *(h for h in found if h not in own), *_of_parent(serving, server)]


def _of_parent(serving: Serving, server: Server) -> Sequence[Holding]:
    if not server.place.startswith("gist."):
        return []
    parent = Server(server.scheme, server.place.removeprefix("gist."))
    known = parent.place == "github.com" or parent.place.endswith(".ghe.com")
    found = kept_for(serving, parent, lambda _, kept: kept.path == "")
    return [h for h in found if known or _is_of_gh(h)]


def _is_of_gh(holding: Holding) -> bool:
    """Whether a login was taken over from ``gh``, which is signed in to servers of GitHub's only."""
    return holding.kind == Token.kind and "host" in holding.facts and "protocol" not in holding.facts


def _attributes(message: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text_of(message, "surrogateescape").split("\n"):
        if not line:
            break
        name, separator, value = line.partition("=")
        if separator and not name.endswith("[]"):
            found[name] = value
    return found


def _value(name: str, value: str) -> str:
    """A value that fits on a line. Raises InputError."""
    if "\n" in value or "\0" in value:
        raise InputError(f"the {name.replace('_', ' ')} has more than one line, and git takes one")
    return value


def _check_text(asked: Mapping[str, str]) -> None:
    """Raises InputError for what isn't UTF-8: it could not be given again as it came."""
    try:
        "".join(asked.values()).encode()
    except UnicodeEncodeError:
        raise InputError("the credential is not UTF-8, and is not kept") from None


HELPER = Helper(name="git", title="git credential helper", usage="get|store|erase", run=run)
