"""The providers vault knows by name, and the environment variables their keys live in.

The facts are data: ``data/providers.json``, embedded, read once, when first asked, in about two milliseconds; and the catalogue
that ``vault provider update`` fetched, where ``follow`` or ``following`` says that it may be used. Fetched facts win over
embedded ones provider by provider, but for the server that a provider's key goes to; a provider the fetched one no longer lists
stays known; a fetched one that is broken is not used, and ``source`` says so. What was decided here (which names are injected,
what else is read) holds for both.

An id that is not in the catalogue is a custom provider: lowercase letters, digits, ``-`` and ``_``, its key in ``ID_API_KEY``.
Only a name that holds a secret counts as "this provider is set in the environment": a region, an account or a project alone says
nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from vault.addresses import is_loopback_url
from vault.errors import InputError, NotFound
from vault.pointers import pointer_in
from vault.values import ProviderId, parse_provider, refuse_secret

_CUSTOM = re.compile(r"[0-9a-z_%-]+")
_DATA = os.path.join(os.path.dirname(__file__), "data", "providers.json")
_PLACE = re.compile(r"\.|^localhost(?:-\d+)?$|^%5b|%3a(?:%2f%2f|\d)")
_DIALECTS = {
    "@ai-sdk/openai-compatible": "openai",
    "@ai-sdk/openai": "openai",
    "@openrouter/ai-sdk-provider": "openai",
    "@ai-sdk/anthropic": "anthropic",
    "@ai-sdk/google": "google",
}

PASSWORDS = "keyring"


@dataclass(frozen=True, slots=True)
class Provider:
    """What the catalogue says about one provider.

    ``env`` is every variable its tools read, secret or not. ``key_env`` are the names a key or token is injected under and
    read from, all of them alternatives; empty where a key can't be given that way. ``also_env`` are other names under which
    some tools read the same secret: read, and taken out of a child's environment, but not injected. ``env_sets`` are
    variables that together satisfy the provider without being a key: an AWS key pair, the path of a credentials file.
    ``shared_with`` are the providers that one of these variables satisfies as well.

    ``first_env`` are names read before ``key_env``, meant for this process alone. ``stripped_env`` are further secrets of the
    provider: taken out of a child's environment, neither read nor injected. ``fact_env`` are names that say where and as whom and
    are no secret. ``local`` providers run on the person's own machine and need no credential. ``dialect`` is the API it speaks:
    openai, anthropic, google or unknown (empty). ``listed`` is False for one that the fetched catalogue no longer has.
    """

    id: ProviderId
    name: str
    env: tuple[str, ...]
    key_env: tuple[str, ...]
    also_env: tuple[str, ...]
    env_sets: tuple[tuple[str, ...], ...]
    api: str | None
    doc: str
    shared_with: tuple[ProviderId, ...]
    first_env: tuple[str, ...] = ()
    stripped_env: tuple[str, ...] = ()
    fact_env: tuple[str, ...] = ()
    local: bool = False
    dialect: str = ""
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """Where the catalogue is from: ``kind`` is embedded or fetched. ``note`` says why a fetched one is not used, if one is there.

    ``broken`` is True when that is because something is wrong with it.
    """

    kind: str
    url: str = ""
    fetched_at: int = 0
    note: str = ""
    broken: bool = False


class Policy:
    """Whether a fetched catalogue may be used: ``allowed`` is asked once, when there is one and the catalogue is needed."""

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self.allowed = allowed
        self.loaded: tuple[dict[ProviderId, Provider], Source] | None = None
        self.generation = 0


_said = Policy(lambda: False)
_here: ContextVar[Policy | None] = ContextVar("catalogue_policy", default=None)
_generation = 0


def use_fetched(allowed: Callable[[], bool]) -> None:
    """Say for the whole process whether a fetched catalogue may be used. Unsaid, it may not."""
    follow(Policy(allowed))


def follow(policy: Policy) -> None:
    """Let the whole process follow a policy, but for what is done while ``following`` another."""
    global _said
    _said = policy


@contextmanager
def following(policy: Policy) -> Iterator[None]:
    """Let this thread follow a policy of its own meanwhile: two vaults in one process may have different settings."""
    before = _here.set(policy)
    try:
        yield
    finally:
        _here.reset(before)


def reload() -> None:
    """Look again at what is stored, next time the catalogue is needed."""
    global _generation
    _generation += 1


def source() -> Source:
    """Where the catalogue in use is from, and what is the matter with the fetched one, if anything."""
    return _load()[1]


def provider(provider_id: str) -> Provider | None:
    """What is known about a provider, or None for one that is not in the catalogue."""
    return _catalogue().get(ProviderId(provider_id))


def providers() -> list[Provider]:
    """The whole catalogue, by id."""
    return list(_catalogue().values())


def resolve(text: str) -> ProviderId:
    """The provider a person means: an id, a display name or another tool's id for it, in any case, or a custom id.

    Raises NotFound, naming the nearest ids, when it is neither but looks like one; InputError when it is nothing like one.
    """
    wanted = text.strip().casefold()
    known = _catalogue()
    if ProviderId(wanted) in known:
        return ProviderId(wanted)
    for entry in known.values():
        if entry.name.casefold() == wanted:
            return entry.id
    from vault.providers.aliases import canonical

    meant = canonical(wanted)
    if meant is not None:
        return meant
    refuse_secret(text)
    if _CUSTOM.fullmatch(text):
        return parse_provider(text)
    near = nearest(text)
    if near:
        raise NotFound(f"there is no provider {text!r}", hint=f"did you mean {' or '.join(near)}?")
    parse_provider(text)
    raise InputError(
        "that is neither a known provider nor a custom id",
        hint="a custom id has only lowercase letters, digits, hyphens and underscores",
    )


def aliases_of(provider_id: str) -> tuple[str, ...]:
    """The ids other tools have for a provider; ``resolve`` understands each, unless it is another provider's id here."""
    from vault.providers import aliases

    return aliases.aliases_of(provider_id)


def nearest(text: str, limit: int = 3) -> list[ProviderId]:
    """Up to ``limit`` ids of the catalogue whose id, name or alias is most like the text, best first; maybe none."""
    from vault import guessing
    from vault.providers import aliases

    found_names = aliases.names()
    for entry in _catalogue().values():
        found_names.setdefault(entry.name.casefold(), entry.id)
    found_names.update({i: i for i in _catalogue()})
    found = guessing.nearest(text, found_names, 2 * limit)
    return list(dict.fromkeys(found_names[name] for name in found))[:limit]


def env_names(provider_id: ProviderId) -> tuple[str, ...]:
    """The variables a provider's key is injected under, all of them; none where a key can't be given that way."""
    entry = provider(provider_id)
    if entry is not None:
        return entry.key_env
    if is_server(provider_id):
        return ()
    return (re.sub(r"[^a-z0-9]", "_", provider_id).upper() + "_API_KEY",)


def read_names(provider_id: ProviderId) -> tuple[str, ...]:
    """Variables a secret of this provider is read from, first first."""
    known = provider(provider_id)
    return known.first_env + known.key_env + known.also_env if known else env_names(provider_id)


def stripped_names(provider_id: ProviderId) -> tuple[str, ...]:
    """Every variable that could hold a credential of this provider: they leave the environment of a child that gets another."""
    known = provider(provider_id)
    if known is None:
        return env_names(provider_id)
    sets = (name for names in known.env_sets for name in names)
    return tuple(dict.fromkeys((*read_names(provider_id), *sets, *known.stripped_env)))


def providers_of_variable(name: str) -> tuple[ProviderId, ...]:
    """The providers whose tools read a variable, as a secret or as a fact, by id."""
    return tuple(
        p.id for p in _catalogue().values() if name in p.env or name in p.fact_env or name in stripped_names(p.id)
    )


def is_server(provider_id: str) -> bool:
    """Whether an id names a server or a program whose password is kept (git, docker, keyring), and no model provider.

    Such a password is handed out to whoever asks for that server, and never put into a program's environment or a tool's store.
    """
    if provider(provider_id) is not None:
        return False
    return provider_id == PASSWORDS or _PLACE.search(provider_id) is not None


def is_local(provider_id: str, endpoint: str = "") -> bool:
    """Whether a provider needs no credential because it runs on this machine: by the catalogue, or by the endpoint set for it."""
    if endpoint:
        return is_loopback_url(endpoint)
    known = provider(provider_id)
    return known is not None and known.local


def environment_hits(environ: Mapping[str, str]) -> list[tuple[ProviderId, str]]:
    """Which providers are satisfied by which variable that holds a secret, by provider and then as tools read them.

    A blank one holds none, and neither does a reference, an encrypted value or a placeholder.

    A set of variables is named by its last one, which holds the secret. Whether a hit is a key that can be handed on is
    whether its name is in ``read_names``.
    """
    here = {name for name, value in environ.items() if value.strip()}
    hits: list[tuple[ProviderId, str]] = []
    for entry in _catalogue().values():
        hits += [(entry.id, name) for name in read_names(entry.id) if name in here]
        hits += [(entry.id, names[-1]) for names in entry.env_sets if here.issuperset(names)]
    return [(provider, name) for provider, name in hits if pointer_in(environ[name]) is None]


def embedded_rows(*, additions: bool = False) -> list[dict[str, Any]]:
    """What models.dev said when this version of vault was made, as rows of ``stored``; with vault's ``additions`` if asked."""
    rows: list[dict[str, Any]] = _embedded()["providers"]
    return _embedded()["additions"] + rows if additions else rows


def _catalogue() -> dict[ProviderId, Provider]:
    return _load()[0]


def _load() -> tuple[dict[ProviderId, Provider], Source]:
    policy = _here.get() or _said
    if policy.loaded is None or policy.generation != _generation:
        rows, found = _fetched(policy)
        policy.loaded, policy.generation = (_whole(rows) if rows else _embedded_whole(), found), _generation
    return policy.loaded


def _fetched(policy: Policy) -> tuple[list[Mapping[str, Any]], Source]:
    """The fetched rows if they are there, allowed and in order; and what to say about them."""
    from vault.providers import stored

    path = stored.place()
    if not path.exists():
        return [], Source("embedded")
    if not policy.allowed():
        return [], Source("embedded", note=f"{path} is not used, as the settings say")
    try:
        found = stored.read(path)
    except InputError as error:
        return [], Source("embedded", note=f"{path} is not used: {error.message}", broken=True)
    if found is None:
        return [], Source("embedded")
    return list(found.rows), Source("fetched", found.url, found.fetched_at)


@cache
def _embedded() -> dict[str, Any]:
    with open(_DATA, "rb") as file:
        data: dict[str, Any] = json.load(file)
    return data


@cache
def _embedded_whole() -> dict[ProviderId, Provider]:
    return _whole([])


def _whole(fetched: Iterable[Mapping[str, Any]]) -> dict[ProviderId, Provider]:
    """The embedded catalogue with fetched rows in place of its own, and what was decided here laid over both."""
    data = _embedded()
    rows: dict[str, dict[str, Any]] = {row["id"]: row for row in data["additions"] + data["providers"]}
    listed = {row["id"] for row in fetched}
    for row in fetched:
        rows[row["id"]] = _merged(rows.get(row["id"]), row)
    amended = {name: _amended(row, data["amendments"].get(name, {})) for name, row in rows.items()}
    users: dict[str, list[ProviderId]] = {}
    for name, row in amended.items():
        for variable in dict.fromkeys(_satisfying(row)):
            users.setdefault(variable, []).append(ProviderId(name))
    own = {row["id"] for row in data["additions"]}
    return {
        ProviderId(name): _provider(row, users, not listed or name in listed or name in own)
        for name, row in sorted(amended.items())
    }


def _merged(ours: Mapping[str, Any] | None, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """A fetched row, and which secrets of the embedded one it no longer names. Where a key goes is never for it to change."""
    if ours is None:
        return {**theirs, "gone_env": []}
    from vault.providers.base_urls import is_listed
    from vault.providers.stored import is_moved

    api, fetched = ours["api"], theirs.get("api")
    if fetched and not is_moved(api, fetched) and (api or is_listed(ours["id"], fetched)):
        api = fetched
    gone = [name for name in ours["secret_env"] if name not in theirs["env"]]
    return {**theirs, "api": api, "gone_env": gone}


def _amended(row: Mapping[str, Any], amendment: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what was decided here. A renamed variable is still read under its old name: somebody may have set it."""
    made = {"key_env": row["secret_env"], **row, **amendment}
    gone = row.get("gone_env", ())
    if gone and made["key_env"] and not set(made["key_env"]).intersection(row["env"]):
        made["key_env"] = row["secret_env"]
    decided = amendment.get("key_env", gone)
    also = [*amendment.get("also_env", ()), *(name for name in gone if name in decided)]
    made["also_env"] = [name for name in dict.fromkeys(also) if name not in made["key_env"]]
    return made


def _satisfying(row: Mapping[str, Any]) -> list[str]:
    return [*row.get("first_env", ()), *row["key_env"], *row["also_env"], *(s[-1] for s in row.get("env_sets", ()))]


def _provider(row: Mapping[str, Any], users: Mapping[str, list[ProviderId]], listed: bool) -> Provider:
    sharing = {other for variable in _satisfying(row) for other in users[variable]} - {row["id"]}
    sets = tuple(tuple(names) for names in row.get("env_sets", ()))
    secrets = {*_satisfying(row), *row.get("stripped_env", ()), *(name for names in sets for name in names)}
    api = row["api"] or ""
    return Provider(
        id=ProviderId(row["id"]),
        name=row["name"],
        env=tuple(row["env"]),
        key_env=tuple(row["key_env"]),
        also_env=tuple(row["also_env"]),
        env_sets=sets,
        api=row["api"],
        doc=row["doc"],
        shared_with=tuple(sorted(sharing)),
        first_env=tuple(row.get("first_env", ())),
        stripped_env=tuple(row.get("stripped_env", ())),
        fact_env=tuple(n for n in dict.fromkeys((*row["env"], *row.get("fact_env", ()))) if n not in secrets),
        local=row.get("local", is_loopback_url(api)),
        dialect=_DIALECTS.get(row.get("npm", "@ai-sdk/openai-compatible"), ""),
        listed=listed,
    )
