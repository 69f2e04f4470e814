"""Which kept passwords fit what the git and docker helpers are asked for: the newest first, so what was stored last is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vault.addresses import is_loopback_place
from vault.errors import Conflict, InputError
from vault.events.credentials import AnyCredential
from vault.interop.helpers import Holding, Serving
from vault.interop.servers import Server, earlier_provider, kept_server
from vault.providers import catalogue
from vault.spelling import name_original
from vault.values import DEFAULT_NAME, foreign_provider, name_of, parse_profile

_ROUNDS = 100


def kept_for(serving: Serving, server: Server, path_fits: Callable[[Holding, Server], bool]) -> Sequence[Holding]:
    """The profiles kept for a server, the newest first.

    One whose facts name a server is for that one, and ``path_fits`` (holding, its server) decides about the path; one that a
    person logged in is for the server it is called after, and for every path.
    """
    typed = {server.provider, *_typed(server)}
    found = []
    for provider in dict.fromkeys((server.provider, *sorted(typed), earlier_provider(server.place))):
        for holding in serving.holdings(provider):
            try:
                kept = kept_server(holding.facts)
            except InputError:
                continue
            if provider in typed if kept is None else kept.origin == server.origin and path_fits(holding, kept):
                found.append(holding)
    return sorted(found, key=lambda h: (-h.since, h.rank, -h.position))


def of_user(holdings: Sequence[Holding], user: str) -> Sequence[Holding]:
    """Those of a user: by the name that came with them, their label or their own name.

    Where the user has none, it is the only one of which no user is known, or the profile ``default``.
    """
    if not user:
        return holdings
    theirs = [h for h in holdings if is_users(h, user)]
    unknown = [h for h in holdings if not h.facts.get("username") and not h.label]
    return theirs or (unknown if len(unknown) == 1 else [h for h in unknown if name_of_holding(h) == DEFAULT_NAME])


def is_users(holding: Holding, user: str) -> bool:
    """Whether a holding is this user's."""
    known = holding.facts.get("username")
    return user == known if known else user in (holding.label, name_of_holding(holding))


def name_of_holding(holding: Holding) -> str:
    """The name of its profile, as it is read."""
    return name_original(name_of(parse_profile(holding.profile)))


def end_those(serving: Serving, find: Callable[[], Sequence[Holding]]) -> bool:
    """Log out what ``find`` finds until it finds nothing: under one there may be a parent's. Whether there was anything."""
    for done in range(_ROUNDS):
        found = find()
        if not found:
            return done > 0
        for holding in found:
            serving.end(holding.profile)
    raise Conflict("passwords are being stored for this server all the time", hint="try again")


def keep_for(serving: Serving, server: Server, user: str, kept: Sequence[Holding], credential: AnyCredential) -> None:
    """Store a user's password for a server: in its profile, or beside it where that is a login which is refreshed.

    ``kept`` is what fits the request already. The same password becomes the newest. Raises InputError.
    """
    own = next((h for h in kept if not h.refreshable and is_users(h, user) and _is_at(h, server)), None)
    profile = own.profile if own is not None else str(server.profile(user))
    if any(h.profile == profile and h.refreshable for h in kept):
        profile = str(server.profile(user, beside=True))
    if not serving.keep(profile, credential, label=user) and kept[0].profile != profile:
        serving.keep_again(profile)


def _is_at(holding: Holding, server: Server) -> bool:
    """Whether a holding is for exactly this server, with the path."""
    try:
        return kept_server(holding.facts) == server
    except InputError:
        return False


def _typed(server: Server) -> list[str]:
    """What a person may call a server beside its provider: https needs no scheme, and neither does this machine."""
    if server.scheme != "https" and not is_loopback_place(server.place):
        return []
    plain = foreign_provider(server.place)
    return [] if plain == catalogue.PASSWORDS or catalogue.provider(plain) is not None else [plain]
