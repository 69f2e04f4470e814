"""Which profile a login or a logout is about: named, or chosen by a person from what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from vault.cli import output
from vault.cli.session import can_ask
from vault.commands.naming import (
    is_kept,
    is_known,
    is_profile,
    named_profile,
    named_provider,
    resolve,
    unknown_provider,
)
from vault.errors import NotFound, UsageError, VaultError
from vault.guessing import did_you_mean
from vault.providers import catalogue
from vault.values import DEFAULT_NAME, AgentId, ProfileId, name_of, parse_profile, profile_id, provider_of

if TYPE_CHECKING:
    from vault.cli.picking import Choice
    from vault.context import Context

T = TypeVar("T")


def find_target(what: str, profile: str) -> ProfileId:
    """The profile to log in to, from what was given. Raises UsageError, InputError, NotFound."""
    if is_profile(what):
        named = named_profile(what)
        if profile and profile not in (named, named.partition(":")[2]):
            raise UsageError(f"{what} and --profile {profile} name two profiles", hint="name one")
        named_provider(provider_of(named))
        return named
    if not what and ":" in profile:
        return find_target(profile, "")
    if not what:
        raise UsageError("no provider was named", hint="write: vault login PROVIDER")
    provider = resolve(what)
    if ":" in profile:
        named = parse_profile(profile)
        if provider_of(named) != provider:
            raise UsageError(
                f"{profile} is not a profile of {provider}", hint=f"write {provider}:name, or only the name"
            )
        return named
    return profile_id(provider, profile or DEFAULT_NAME)


def choose_provider(context: Context, agent: AgentId) -> Choice:
    """Let a person choose a provider from a list that narrows. One of their own is new. Raises Abort."""
    from vault.cli.offering import providers_to_choose
    from vault.cli.picking import Choice, choose

    def own(text: str) -> Choice | None:
        try:
            return Choice(catalogue.resolve(text), "", "a provider of your own", new=True)
        except VaultError:
            return None

    return choose("Provider", providers_to_choose(context, agent), new=own)


def meant_instead(what: str, profile: str, vault: Callable[[], Context], no_input: bool) -> ProfileId | None:
    """The profile a person means in place of one of a provider that isn't known; None where it is what was typed.

    Such a provider may be a mistyped one, or one of their own. ``vault`` opens the vault, which is asked only about such a one.
    Raises NotFound where nobody can be asked, or says that it is neither.
    """
    target = find_target(what, profile)
    provider = provider_of(target)
    if is_known(provider) or is_kept(vault(), provider):
        return None
    if not can_ask(no_input):
        raise unknown_provider(provider)
    near = catalogue.nearest(provider)
    output.say(f"vault knows no provider {provider}." + (" Which do you mean?" if near else ""))
    if not near:
        if not output.confirm("Keep it as a provider of your own?"):
            raise unknown_provider(provider)
        return None
    choices = [*near, provider]
    for number, one in enumerate(choices, start=1):
        output.say(f"  {number} {one}" + ("" if one != provider else " (a provider of your own)"))
    picked = pick("Number", choices)
    return profile_id(picked, name_of(target)) if picked != provider else None


def find_logged_in(what: str, profiles: list[str], agent: str, no_input: bool) -> ProfileId:
    """The profile to log out: named, the only one of a named provider, or chosen."""
    if is_profile(what):
        return named_profile(what)
    held = {p.partition(":")[0] for p in profiles}
    if what:
        what = named_provider(what)
        profiles = [p for p in profiles if p.partition(":")[0] == what]
        if len(profiles) == 1:
            return ProfileId(profiles[0])
        if profiles:
            raise UsageError(
                f"agent {agent} has several profiles for {what}", hint="name one of " + ", ".join(profiles)
            )
    if not profiles:
        raise NotFound(
            f"agent {agent} has no profile {'for ' + what if what else 'to log out'}",
            hint=did_you_mean(what, held, "vault list shows what it has"),
        )
    if not can_ask(no_input):
        raise UsageError("no profile was named", hint="name one of " + ", ".join(profiles))
    from vault.cli.picking import Choice, choose

    return ProfileId(choose("Profile", [Choice(profile) for profile in profiles]).value)


def pick(question: str, choices: Sequence[T], default: int | None = None) -> T:
    """One of numbered choices. What is typed is not repeated: it may be a secret that was pasted too early."""
    while True:
        typed = output.ask(question, None if default is None else str(default)).strip()
        if typed.isascii() and typed.isdigit() and len(typed) < 6 and 1 <= int(typed) <= len(choices):
            return choices[int(typed) - 1]
        output.say(f"there are {len(choices)} to choose from: type a number")
