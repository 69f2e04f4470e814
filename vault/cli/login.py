"""login, logout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vault.cli import output
from vault.cli.session import (
    AgentOption,
    CommandOption,
    JsonOption,
    NoInputOption,
    ReasonOption,
    agent_id,
    can_ask,
    complete_profile,
    complete_provider,
    opened,
    read_secret,
    refuse_secret_argument,
)
from vault.errors import NotFound, UsageError
from vault.values import DEFAULT_NAME, AgentId, Instant, ProfileId, ProviderId, parse_profile, profile_id, provider_of

if TYPE_CHECKING:
    from vault.commands.login import LoggedIn
    from vault.providers.methods import Method


def login(
    what: Annotated[
        str,
        typer.Argument(metavar="[PROVIDER]", help="A provider, or provider:name.", autocompletion=complete_provider),
    ] = "",
    extra: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    profile: Annotated[str, typer.Option("--profile", help="The profile's name (or provider:name).")] = "",
    agent: AgentOption = "main",
    kind: Annotated[str, typer.Option("--kind", help="api_key or token.")] = "",
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the secret from standard input.")] = False,
    from_file: Annotated[str, typer.Option("--from-file", help="Read the secret from a file.")] = "",
    from_fd: Annotated[int | None, typer.Option("--from-fd", help="Read the secret from a file descriptor.")] = None,
    reference: Annotated[
        str,
        typer.Option(
            "--reference", help="Where the secret lives: ${NAME}, $(command), keyring:service/user, file:path."
        ),
    ] = "",
    method: Annotated[str, typer.Option("--method", help="How to sign in; vault wizard PROVIDER lists the ways.")] = "",
    device: Annotated[bool, typer.Option("--device", help="Sign in with a code typed on another page.")] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Sign in in a browser.")] = False,
    issuer: Annotated[
        str, typer.Option("--issuer", metavar="URL", help="Any OAuth server that publishes its metadata.")
    ] = "",
    client_id: Annotated[str, typer.Option("--client-id", help="The OAuth client, with --issuer.")] = "",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="A scope to ask for (repeat for more).")] = None,
    host: Annotated[str, typer.Option("--host", help="An enterprise's own host, for GitHub.")] = "",
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read a bearer token from standard input (Bedrock).")
    ] = False,
    expires_in: Annotated[str, typer.Option("--expires-in", help="A token's life: 365d, 12h.")] = "",
    label: Annotated[str, typer.Option("--label", help="A label to show in lists.")] = "",
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
    key: Annotated[str, typer.Option("--key", "--token", "--api-key", "--secret", "--password", hidden=True)] = "",
) -> None:
    """Sign in, or store an API key or a token. What the profile had before stays in the history."""
    from vault.cli.moments import parse_length
    from vault.commands.login import check_kind, log_in
    from vault.events.credentials import AnyCredential, ApiKey, Reference, Token
    from vault.providers import catalogue
    from vault.unlock.references import parse_reference

    refuse_secret_argument([*(extra or []), *([key] if key else [])])
    length = parse_length(expires_in) if expires_in else None
    if reference and (stdin or from_file or from_fd is not None or kind or length):
        raise UsageError("a reference is given together with a secret", hint="use --reference alone")
    pointer = parse_reference(reference) if reference else None
    if token_stdin:
        stdin, kind = True, kind or "token"
    typed = bool(stdin or from_file or from_fd is not None or kind or length or pointer)
    if not what and ":" not in profile and not issuer and can_ask(no_input):
        what = _choose_provider(no_input)
    way = _way(what, profile, agent, method, device, browser, issuer, client_id, typed, no_input)
    if way is not None:
        given = {"issuer": issuer, "client_id": client_id, "host": host, "url": what if "://" in what else ""}
        _sign_in(way, given, scope or [], agent_id(agent), label, reason, command_id, json, no_input)
        return
    kind = check_kind(kind or ("token" if length else "api_key"), length)
    target = _target(what, profile, no_input)
    name = agent_id(agent)
    with opened(name, no_input=no_input) as context:
        if catalogue.provider(provider_of(target)) is None and not json:
            near = catalogue.nearest(provider_of(target))
            meant = f" (did you mean {near[0]}?)" if near else ""
            output.say(f"{provider_of(target)} is not in the catalogue; it is kept as a provider of your own{meant}")
        credential: AnyCredential
        if pointer is not None:
            credential = Reference(scheme=pointer[0], target=pointer[1])
        else:
            shown = "token" if kind == "token" else "API key"
            secret = read_secret(
                f"{shown} for {target}: ", stdin=stdin, from_file=from_file, from_fd=from_fd, no_input=no_input
            )
            expires = Instant(context.clock.now() + length) if length else None
            credential = ApiKey(key=secret) if kind == "api_key" else Token(token=secret, expires_at=expires)
        done = log_in(context, name, target, credential, label=label, reason=reason, command=command_id)
        now = context.clock.now()
    _told(done, now, json)


def _told(done: LoggedIn, now: int, json: bool) -> None:
    """Tell what a login did."""
    target, name = done.profile, done.agent
    if json:
        output.write_json(
            "login",
            {
                "agent": done.agent,
                "profile": done.profile,
                "position": done.position,
                "kind": done.facts.kind,
                "fingerprint": done.facts.fingerprint,
                "expires_at": output.moment(done.facts.expires_at),
                "replaced": done.replaced.position if done.replaced else None,
                "same_secret": done.unchanged,
                "registered_agent": done.registered,
            },
        )
        return
    if done.registered:
        output.say(f"registered agent {name}, inheriting from main")
    detail = f"fingerprint {done.facts.fingerprint}" if done.facts.fingerprint else done.facts.reference
    output.say(f"logged in {target} for agent {name} ({done.facts.kind}, {detail})")
    if done.facts.expires_at:
        output.say(f"it expires {output.until(done.facts.expires_at, now)}")
    if done.unchanged:
        output.say("it is the same secret as before")
    elif done.replaced:
        output.say(
            f"the credential before it (fingerprint {done.replaced.facts.fingerprint or 'none'}) is kept in the history: "
            f"vault restore {target}" + (f" --agent {name}" if name != "main" else "") + " brings it back"
        )


def _way(
    what: str,
    profile: str,
    agent: str,
    named: str,
    device: bool,
    browser: bool,
    issuer: str,
    client_id: str,
    typed: bool,
    no_input: bool,
) -> tuple[ProfileId, Method] | None:
    """The profile and the method of a sign-in, or None when a secret is typed in. Raises SignInAgain where nobody can."""
    named_way = bool(named or device or browser or issuer)
    if typed and named_way:
        raise UsageError("a secret and a sign-in are both asked for", hint="leave out one of them")
    if typed and "://" not in what:
        return None
    from vault.cli.signing import TYPED, choose_method, need_a_person
    from vault.commands.sign_in import login_line, provider_of_url
    from vault.providers.methods import DISCOVERY, DISCOVERY_DEVICE, URL

    if issuer:
        if not client_id:
            raise UsageError("no client is named", hint="add --client-id ID")
        target = profile_id(provider_of(_target(what, "", no_input)), profile or DEFAULT_NAME) if what else None
        target = target or profile_id(provider_of_url(issuer), profile or DEFAULT_NAME)
        extra = ["--issuer", issuer, "--client-id", client_id, *(["--device"] if device else [])]
        need_a_person(login_line(what, agent, "", extra).replace("login '' ", "login "), no_input)
        return target, DISCOVERY_DEVICE if device else DISCOVERY
    if "://" in what:
        need_a_person(login_line(what, agent), no_input)
        return profile_id(provider_of_url(what), profile or DEFAULT_NAME), URL
    if not what and not profile and not can_ask(no_input):
        return None
    target = _target(what, profile, no_input)
    way = choose_method(provider_of(target), named, device, browser, no_input)
    if way.kind in TYPED:
        return None
    if way.kind == "none":
        raise UsageError(f"{provider_of(target)} needs no credential", hint="use it as it is")
    need_a_person(login_line(what or target, agent, named or way.id), no_input)
    return target, way


def _sign_in(
    way: tuple[ProfileId, Method],
    given: dict[str, str],
    scopes: list[str],
    agent: AgentId,
    label: str,
    reason: str,
    command_id: str,
    json: bool,
    no_input: bool,
) -> None:
    from vault.cli.signing import Terminal
    from vault.commands.sign_in import sign_in

    target, method = way
    with opened(agent, no_input=no_input) as context:
        done = sign_in(
            context,
            agent,
            target,
            method,
            Terminal(),
            given=given,
            scopes=scopes,
            label=label,
            reason=reason,
            command=command_id,
        )
        now = context.clock.now()
    _told(done.login, now, json)
    for note in done.notes:
        output.say(f"note: {output.printable(note)}")


def logout(
    what: Annotated[
        str, typer.Argument(metavar="[PROFILE]", help="provider:name", autocompletion=complete_profile)
    ] = "",
    agent: AgentOption = "main",
    reason: ReasonOption = "",
    revoke: Annotated[bool, typer.Option("--revoke", help="Ask the provider to revoke it too; recorded.")] = False,
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """End a profile's credential. It stays in the history, and restore brings it back."""
    from vault.commands.login import log_out

    name = agent_id(agent)
    with opened(name, no_input=no_input) as context:
        profiles = [p.profile for p in context.queries.profiles(name) if p.current]
        target = _which(what, profiles, name, no_input)
        answer, detail = "", ""
        if revoke:
            from vault.commands.sign_in import revoke as ask_provider

            answer, detail = ask_provider(context, name, target)
        done = log_out(context, name, target, revocation=answer, reason=reason, command=command_id)
    if json:
        body = {"agent": done.agent, "profile": done.profile, "position": done.position, "revocation": answer or None}
        output.write_json("logout", body)
        return
    if answer:
        output.say(f"the provider's answer to the revocation: {answer}" + (f" ({detail})" if detail else ""))
    output.say(f"logged out {target} of agent {name}")
    output.say(f"undo: vault restore {target}" + (f" --agent {name}" if name != "main" else ""))


def _target(what: str, profile: str, no_input: bool) -> ProfileId:
    """The profile to log in to, from what was given or, on a terminal, chosen."""
    from vault.providers import catalogue

    if ":" in what:
        named = parse_profile(what)
        if profile and profile not in (named, named.partition(":")[2]):
            raise UsageError(f"{what} and --profile {profile} name two profiles", hint="name one")
        catalogue.resolve(provider_of(named))
        return named
    if not what and ":" in profile:
        return _target(profile, "", no_input)
    provider = catalogue.resolve(what) if what else _choose_provider(no_input)
    if ":" in profile:
        named = parse_profile(profile)
        if provider_of(named) != provider:
            raise UsageError(
                f"{profile} is not a profile of {provider}", hint=f"write {provider}:name, or only the name"
            )
        return named
    return profile_id(provider, profile or DEFAULT_NAME)


def _choose_provider(no_input: bool) -> ProviderId:
    """Let a person choose a provider by typing part of its name."""
    from vault.providers import catalogue

    if not can_ask(no_input):
        raise UsageError("no provider was named", hint="write: vault login PROVIDER")
    everything = catalogue.providers()
    output.say(f"{len(everything)} providers. Type part of a name, or a new id (lowercase letters, digits, hyphens).")
    while True:
        typed = typer.prompt("Provider", err=True).strip()
        matches = [p for p in everything if typed.lower() in p.id or typed.lower() in p.name.lower()]
        exact = [p for p in everything if typed.lower() in (p.id, p.name.lower())]
        if exact:
            return ProviderId(exact[0].id)
        if len(matches) == 1:
            output.say(f"{matches[0].name} ({matches[0].id})")
            return ProviderId(matches[0].id)
        for number, found in enumerate(matches[:12], start=1):
            output.say(f"  {number:2} {found.id:28} {found.name}")
        if not matches:
            return catalogue.resolve(typed)
        if len(matches) <= 12:
            return ProviderId(_pick([p.id for p in matches]))
        output.say(f"  … and {len(matches) - 12} more; type more of the name")


def _which(what: str, profiles: list[str], agent: str, no_input: bool) -> ProfileId:
    """The profile to log out: named, the only one of a named provider, or chosen."""
    if ":" in what:
        return parse_profile(what)
    if what:
        from vault.providers import catalogue

        what = catalogue.resolve(what)
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
            hint="vault list shows what it has",
        )
    if not can_ask(no_input):
        raise UsageError("no profile was named", hint="name one of " + ", ".join(profiles))
    for number, profile in enumerate(profiles, start=1):
        output.say(f"  {number:2} {profile}")
    return ProfileId(_pick(profiles))


def _pick(choices: list[str]) -> str:
    """One of numbered choices."""
    while True:
        picked: int = typer.prompt("Number", type=int, err=True)
        if 1 <= picked <= len(choices):
            return choices[picked - 1]
        output.say(f"there are {len(choices)} to choose from")
