"""login, logout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
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
    complete_target,
    one_of,
    opened,
    read_secret,
    refuse_secret_argument,
)
from vault.errors import SignInAgain, UsageError
from vault.guessing import nearest
from vault.values import AgentId, Instant, ProfileId, provider_of, refuse_secret

if TYPE_CHECKING:
    from vault.cli.signing import Wanted
    from vault.commands.login import LoggedIn
    from vault.commands.sign_in import SignedInTo
    from vault.context import Context
    from vault.providers.methods import Method


def login(
    what: Annotated[
        str,
        typer.Argument(metavar="[PROVIDER]", help="A provider, or provider:name.", autocompletion=complete_target),
    ] = "",
    extra: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    profile: Annotated[
        str, typer.Option("--profile", help="The profile's name (or provider:name).", autocompletion=complete_profile)
    ] = "",
    agent: AgentOption = "main",
    kind: Annotated[
        str, typer.Option("--kind", help="api_key or token.", autocompletion=one_of("api_key", "token"))
    ] = "",
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
    client_id: Annotated[str, typer.Option("--client-id", help="Your own OAuth client; needed with --issuer.")] = "",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="A scope to ask for (repeat for more).")] = None,
    host: Annotated[str, typer.Option("--host", help="An enterprise's own host, for GitHub.")] = "",
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read a bearer token from standard input (Bedrock).")
    ] = False,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="The server a key or token is for, if not the provider's own."),
    ] = None,
    expires_in: Annotated[str, typer.Option("--expires-in", help="A token's life: 365d, 12h.")] = "",
    label: Annotated[str, typer.Option("--label", help="A label to show in lists.")] = "",
    custom: Annotated[
        bool, typer.Option("--custom", help="A provider of your own, which vault doesn't know; needed the first time.")
    ] = False,
    reason: ReasonOption = "",
    command_id: CommandOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
    key: Annotated[str, typer.Option("--key", "--token", "--api-key", "--secret", "--password", hidden=True)] = "",
) -> None:
    """Sign in, or store an API key or a token. What the profile had before stays in the history."""
    from vault.cli.moments import parse_length
    from vault.cli.reusing import offer
    from vault.cli.signing import TYPED, Wanted, as_before, attend, find_way, is_url
    from vault.cli.targets import choose_provider, find_target, meant_instead
    from vault.commands.addressing import at_server
    from vault.commands.login import check_kind, check_typed, log_in
    from vault.commands.naming import is_profile
    from vault.commands.remembering import remembered, typed_in
    from vault.events.credentials import AnyCredential, ApiKey, Reference, Token
    from vault.unlock.references import parse_reference

    refuse_secret_argument([*(extra or []), *([key] if key else [])])
    length = parse_length(expires_in) if expires_in else None
    if reference and (stdin or from_file or from_fd is not None or token_stdin or kind or length):
        raise UsageError("a reference is given together with a secret", hint="use --reference alone")
    pointer = parse_reference(reference) if reference else None
    if token_stdin:
        stdin, kind = True, kind or "token"
    typed = bool(stdin or from_file or from_fd is not None or kind or length or pointer)
    if not typed:
        attend(no_input)
    name = agent_id(agent)
    wanted = Wanted(
        what=what,
        profile=profile,
        agent=agent,
        method=method,
        device=device,
        browser=browser,
        issuer=issuer,
        client_id=client_id,
        host=host,
        scopes=tuple(scope or ()),
        label=label,
        reason=reason,
    )
    piped = stdin or from_file == "-"
    with ExitStack() as stack:
        vault = cache(lambda: stack.enter_context(opened(name, no_input=no_input)))
        if not what and ":" not in profile and not issuer and not piped and can_ask(no_input):
            attend(no_input)
            chosen = choose_provider(vault(), name)
            custom = custom or chosen.new
            wanted = replace(wanted, what=chosen.value)
        if not (custom or issuer or host or "://" in what):
            instead = meant_instead(wanted.what, profile, vault, no_input)
            wanted = wanted if instead is None else replace(wanted, what=instead, profile="")
        before: Mapping[str, str] = {}
        elsewhere = typed or base_url is not None or device or browser or issuer or host or is_url(wanted.what)
        if not elsewhere and can_ask(no_input):
            before = remembered(vault(), name, find_target(wanted.what, wanted.profile))
            kind = before.get("kind", "")
        anew = typed or base_url is not None or device or browser or issuer or method or is_url(wanted.what)
        if not anew and can_ask(no_input):
            target = find_target(wanted.what, wanted.profile)
            reused = offer(vault(), name, target, wanted, host or before.get("host", ""), command_id)
            if reused is not None:
                _told_all(reused, vault(), json)
                return
        again = as_before(wanted, before)
        if again is not None:
            target, (wanted, way) = find_target(wanted.what, wanted.profile), again
        else:
            target, way = find_way(wanted, typed or base_url is not None, no_input, before)
            kind = kind if typed or way.id == before.get("method") else ""
        refuse_secret(provider_of(target))
        if way.kind == "external":
            _take_over(wanted, way, name, vault(), json)
            return
        if way.kind not in TYPED:
            _sign_in(wanted, target, way, name, vault(), command_id, json)
            return
        kind = check_kind(kind or ("token" if length else way.kind), length)
        server = None
        if base_url is not None:
            named = is_profile(wanted.what) or bool(wanted.profile)
            target, server = at_server(target, base_url, named=named)
        context = vault()
        if pointer is not None:
            credential: AnyCredential = Reference(scheme=pointer[0], target=pointer[1])
        else:
            if not (stdin or from_file or from_fd is not None or can_ask(no_input)):
                raise SignInAgain(
                    "there is no terminal to ask for the secret",
                    hint=f"{wanted.line()} at a terminal, or give it with --stdin, --from-file PATH or --from-fd N",
                )
            if not (stdin or from_file or from_fd is not None):
                _tell_page(context, provider_of(target), server)
            shown = "token" if kind == "token" else "API key"
            secret = read_secret(
                f"{shown} for {target}: ", stdin=stdin, from_file=from_file, from_fd=from_fd, no_input=no_input
            )
            check_typed(target, secret)
            expires = Instant(context.clock.now() + length) if length else None
            credential = ApiKey(key=secret) if kind == "api_key" else Token(token=secret, expires_at=expires)
        done = log_in(
            context,
            name,
            target,
            credential,
            label=label,
            base_url=server,
            sign_in=typed_in(way, kind) if pointer is None else None,
            reason=reason,
            command=command_id,
        )
        now = context.clock.now()
        known = context.queries.agents().names()
    _told(done, now, json, known)


def _tell_page(context: Context, provider: str, server: str | None) -> None:
    """Where a key that is about to be asked for is got; nothing for one of another server."""
    from vault.providers.key_pages import where_to_get

    where = "" if server or context.settings.provider(provider).endpoint else where_to_get(provider)
    if where:
        output.say(output.printable(where))


def _told(done: LoggedIn, now: int, json: bool, agents: Sequence[str]) -> None:
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
                "base_url": done.facts.base_url or None,
                "same_secret": done.unchanged,
                "registered_agent": done.registered,
            },
        )
        return
    if done.registered:
        near = nearest(name, [agent for agent in agents if agent != name])
        meant = f" (did you mean {near[0]}? undo with: vault agent remove {name})" if near else ""
        output.say(f"registered agent {name}, inheriting from main{meant}")
    detail = f"fingerprint {done.facts.fingerprint}" if done.facts.fingerprint else done.facts.reference
    output.say(f"logged in {target} for agent {name} ({done.facts.kind}, {detail})")
    if done.facts.base_url:
        output.say(output.printable(f"it belongs to {done.facts.base_url}, and is offered only with that server"))
    if done.facts.expires_at:
        ends = output.until(done.facts.expires_at, now)
        renewed = {"external": "its own tool refreshes it", "vault": "it is refreshed when it is used"}.get(
            done.facts.ownership
        )
        lasting = done.facts.refresh_fingerprint and renewed
        output.say(f"its access token ends {ends}; {renewed}" if lasting else f"it expires {ends}")
    if done.unchanged:
        output.say("it is the same secret as before")
    elif done.replaced:
        output.say(
            f"the credential before it (fingerprint {done.replaced.facts.fingerprint or 'none'}) is kept in the history: "
            f"vault restore {target}" + (f" --agent {name}" if name != "main" else "") + " brings it back"
        )


def _sign_in(
    wanted: Wanted, target: ProfileId, method: Method, agent: AgentId, context: Context, command_id: str, json: bool
) -> None:
    from vault.cli.signing import Terminal
    from vault.commands.sign_in import sign_in

    done = sign_in(
        context,
        agent,
        target,
        method,
        Terminal(),
        given=wanted.given(),
        scopes=wanted.scopes,
        label=wanted.label,
        reason=wanted.reason,
        command=command_id,
    )
    _told_all(done, context, json)


def _told_all(done: SignedInTo, context: Context, json: bool) -> None:
    """Tell what a sign-in did, and what the person should know about it."""
    _told(done.login, context.clock.now(), json, context.queries.agents().names())
    for note in done.notes:
        output.say(f"note: {output.printable(note)}")


def _take_over(wanted: Wanted, method: Method, agent: AgentId, context: Context, json: bool) -> None:
    """Take over the login another tool keeps. Nobody is asked anything: it has been signed in to already."""
    from vault.commands.naming import is_profile, named_profile
    from vault.commands.sign_in import take_from_tool

    named = named_profile(wanted.what) if is_profile(wanted.what) else wanted.profile
    done = take_from_tool(context, agent, method, named, label=wanted.label, reason=wanted.reason)
    _told_all(done, context, json)


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
    from vault.cli.targets import find_logged_in
    from vault.commands.login import log_out

    name = agent_id(agent)
    with opened(name, no_input=no_input) as context:
        profiles = [p.profile for p in context.queries.profiles(name) if p.current]
        target = find_logged_in(what, profiles, name, no_input)
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
