"""What a person means by ``anthropic``, ``anthropic:work`` or ``anthropic@work``.

The last two are the same profile. A provider is named by its id, its display name or another tool's id for it; an id that the
settings define with a ``family`` comes before what other tools mean by it.

Any other id may be a provider of one's own, or a mistyped one. It is known once the settings have a table for it, an installed
package signs in there, or the vault has held a profile of it; the first login to one that isn't known has to be insisted on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from vault.context import Context
from vault.errors import NotFound, VaultError
from vault.providers import catalogue
from vault.showing import shown
from vault.values import ProfileId, ProviderId, parse_profile, parse_provider, profile_id, provider_of


def target(text: str, environ: Mapping[str, str] = os.environ) -> tuple[ProviderId, ProfileId | None]:
    """A provider, and a profile if one is named. ``environ`` says where the settings are. Raises InputError, NotFound."""
    if is_profile(text):
        profile = named_profile(text, environ)
        return provider_of(profile), profile
    return named_provider(text, environ), None


def is_profile(text: str) -> bool:
    """Whether a text is written as a profile, ``provider:name`` or ``provider@name``, and not as a provider alone."""
    return ":" in text or "@" in text


def named_profile(text: str, environ: Mapping[str, str] = os.environ) -> ProfileId:
    """A profile, written ``provider:name``, or ``provider@name`` with any name of the provider. Raises InputError, NotFound."""
    provider, at, name = text.partition("@")
    if not at or not provider or ":" in provider:
        return parse_profile(text)
    return profile_id(named_provider(provider, environ), name)


def named_provider(text: str, environ: Mapping[str, str] = os.environ) -> ProviderId:
    """A provider by id, display name or alias, or by the host name of a server that has its own sign-in.

    Raises InputError, NotFound.
    """
    if "." in text and catalogue.provider(text) is None and text == text.lower():
        return parse_provider(text)
    return resolve(text, environ)


def resolve(text: str, environ: Mapping[str, str] = os.environ) -> ProviderId:
    """A provider by id, display name or alias. Raises InputError, NotFound."""
    meant = catalogue.resolve(text)
    return meant if meant == text or not _is_own(text, environ) else parse_provider(text)


def is_known(provider: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a provider is one without a login having to say so: of the catalogue, the settings or a package, or a server."""
    if catalogue.provider(provider) is not None or catalogue.is_server(provider):
        return True
    from vault.providers.aliases import canonical
    from vault.providers.methods import providers_with_methods
    from vault.settings import read_settings

    try:
        return provider in read_settings(environ, canonical).providers or provider in providers_with_methods()
    except VaultError:
        return False


def is_kept(context: Context, provider: str) -> bool:
    """Whether the vault holds, or held, a profile of a provider, of any agent."""
    return any(context.queries.profiles(agent, provider) for agent in context.queries.agents().names())


def check_provider(context: Context, provider: ProviderId) -> None:
    """Refuse a first login to a provider nobody knows: it may be a mistyped one. Raises NotFound."""
    if not is_known(provider, context.environ) and not is_kept(context, provider):
        raise unknown_provider(provider)


def unknown_provider(provider: str) -> NotFound:
    """The error for a provider that isn't known."""
    return NotFound(f"there is no provider {shown(provider)}", hint=how_to_have(provider))


def how_to_have(provider: str, agent: str = "main", environ: Mapping[str, str] = os.environ) -> str:
    """What to do to have a credential of a provider: the line to type; of one that isn't known, what was probably meant."""
    if is_known(provider, environ):
        return with_agent(f"vault login {provider}", agent)
    near = catalogue.nearest(provider)
    own = f"a provider of your own is made with: {with_agent(f'vault login {provider} --custom', agent)}"
    return f"did you mean {' or '.join(near)}? ({own})" if near else own


def with_agent(line: str, agent: str) -> str:
    """A command to type, for an agent: main needs no mention."""
    return line if agent == "main" else f"{line} --agent {agent}"


def _is_own(text: str, environ: Mapping[str, str]) -> bool:
    """Whether the settings define this id; settings that can't be read define none, and are told of when a vault opens."""
    from vault.providers.aliases import canonical
    from vault.settings import read_settings

    try:
        return text in read_settings(environ, canonical).own
    except VaultError:
        return False
