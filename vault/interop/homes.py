"""Which profile a key becomes that a tool keeps together with an address: the server it belongs to decides.

| the address | the key is |
|---|---|
| none, or one of the provider's own | the provider's |
| one of another provider's of the catalogue | that provider's |
| another one, of a provider of the catalogue | that server's: the provider's, called after it (``openai:llm.example/v1``) |
| any, of a provider that only the tool knows | that server's, and that provider's |

An address that is a variable's is read from it; what can't be known now, or is no address, is an InputError: the key stays where
it is, for it would be offered to the provider's own server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vault.addresses import is_loopback_url
from vault.errors import InputError
from vault.pointers import pointer_in
from vault.providers import base_urls, catalogue
from vault.values import DEFAULT_NAME, ProfileId, ProviderId, profile_id

_INSIDE = re.compile(r"\$\{(\w+)\}|\$(\w+)|os\.environ/(\w+)|\{env:(\w+)\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Home:
    """Whose a key is: the profile it becomes, and the server it belongs to where that isn't the provider's own."""

    provider: ProviderId
    profile: ProfileId
    base_url: str = ""


def home_of(provider: ProviderId, address: object, environ: Mapping[str, str], name: str = DEFAULT_NAME) -> Home:
    """Whose a key of a provider is that is kept with an address. ``name`` is the profile's otherwise. Raises InputError."""
    url = address_in(address, environ)
    if not url or base_urls.is_own(provider, url):
        return Home(provider, profile_id(provider, name))
    known = catalogue.provider(provider) is not None
    owner = base_urls.owner_of(url) if known else None
    if owner is not None:
        return Home(owner, profile_id(owner, name))
    if known:
        name = base_urls.name_after(url)
    return Home(provider, profile_id(provider, name), base_urls.normal(url))


def fits(provider: str, base_url: str, address: object, environ: Mapping[str, str]) -> bool:
    """Whether a credential may go where a tool's own setting of a provider's address leads. ``base_url`` is its server, if any.

    A provider's own credential may go to this machine too: a person's own proxy. One of a provider of one's own that is known to
    belong nowhere may go where the tool has it. No is the answer for an address that can't be known now.
    """
    try:
        url = address_in(address, environ)
    except InputError:
        return False
    if not url or base_urls.is_own(provider, url):
        return not base_url
    if not base_url:
        return catalogue.provider(provider) is None or is_loopback_url(url) or base_urls.owner_of(url) == provider
    return base_urls.same(base_url, url)


def same_server(base_url: str, address: object, environ: Mapping[str, str]) -> bool:
    """Whether a tool's address is the server that a credential belongs to."""
    try:
        return base_urls.same(base_url, address_in(address, environ))
    except InputError:
        return False


def shown(address: object) -> str:
    """An address as a message may show it."""
    try:
        return base_urls.normal(address) if isinstance(address, str) else "another server"
    except InputError:
        return "an address that is not known here"


def address_in(address: object, environ: Mapping[str, str]) -> str:
    """An address as a tool has it, variables in it filled in; an empty text for none. Raises InputError."""
    if address is None or address == "":
        return ""
    if not isinstance(address, str):
        raise InputError("its address is not a text")
    missing: list[str] = []

    def value(match: re.Match[str]) -> str:
        variable = next(group for group in match.groups() if group)
        found = environ.get(variable, "").strip()
        missing.extend([] if found else [variable])
        return found

    filled = _INSIDE.sub(value, address.strip())
    if missing:
        raise InputError(
            f"its address is in {missing[0]}, which is not set here, so it isn't known which server's it is"
        )
    pointer = pointer_in(filled)
    if pointer is not None and "://" not in filled:
        raise InputError(f"its address is {pointer.what}, so it isn't known which server's it is")
    base_urls.normal(filled)
    return filled
