"""list, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vault.cli import output
from vault.cli.session import AgentOption, JsonOption, NoInputOption, ProfileArgument, ProviderOption, agent_id, opened
from vault.values import foreign_shown

if TYPE_CHECKING:
    from vault.commands.listing import Listed

AtOption = Annotated[str, typer.Option("--at", help="As of a moment: 2h, monday, 2026-01-31T09:30.")]


def list_(
    provider: ProviderOption = "",
    agent: AgentOption = "main",
    at: AtOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """List the profiles an agent sees, and providers that environment variables satisfy. Never a secret."""
    from vault.cli.moments import parse_moment
    from vault.commands.listing import list_profiles
    from vault.commands.naming import how_to_have, named_provider
    from vault.providers import catalogue

    name = agent_id(agent)
    wanted = named_provider(provider) if provider else None
    with opened(name, no_input=no_input) as context:
        now = context.clock.now()
        moment = parse_moment(at, now, end=True) if at else None
        listing = list_profiles(context, name, provider=wanted, moment=moment)
        seen_from = now if moment is None else moment
        if json:
            output.write_json(
                "list",
                {
                    "agent": listing.agent,
                    "at": output.moment(listing.at),
                    "profiles": [_body(p, seen_from) for p in listing.profiles],
                    "logged_out": [
                        {"profile": s.profile, "owner": s.agent, "since": output.moment(s.logged_out_at)}
                        for s in listing.logged_out
                    ],
                    "environment": [
                        {
                            "provider": name,
                            "name": known.name if (known := catalogue.provider(name)) else name,
                            "variable": a.variable,
                            "source": a.source,
                            "shared_with": [other for other in a.providers if other != name],
                        }
                        for a in listing.environment
                        for name in a.providers
                    ],
                },
            )
            return
        if moment is not None:
            output.say(f"as of {output.local(moment)}")
        if listing.profiles:
            output.table(
                ("PROFILE", "KIND", "LABEL", "FINGERPRINT", "AGE", "EXPIRES", "HEALTH", "ORDER", "FROM"),
                [_row(p, seen_from) for p in listing.profiles],
                least=("AGE", "FROM", "ORDER", "LABEL", "KIND", "EXPIRES", "HEALTH"),
                prose=("LABEL", "EXPIRES", "HEALTH"),
            )
        else:
            which = f"no profile of {wanted}" if wanted else "no profiles"
            make = how_to_have(wanted, name) if wanted else "make one with: vault login PROVIDER"
            output.say(f"agent {name} has {which}; {make}")
        if listing.logged_out:
            output.say("logged out (vault restore PROFILE): " + ", ".join(s.profile for s in listing.logged_out))
        if listing.environment:
            if listing.profiles:
                output.write("")
            output.table(
                ("VARIABLE", "SET IN", "PROVIDERS"),
                [(a.variable, a.source, ", ".join(a.providers)) for a in listing.environment],
                prose=("PROVIDERS",),
            )


def show(
    profile: ProfileArgument,
    agent: AgentOption = "main",
    at: AtOption = "",
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """Show one profile. Never its secret."""
    from vault.cli.moments import parse_moment
    from vault.commands.listing import show_profile
    from vault.commands.naming import named_profile

    name = agent_id(agent)
    target = named_profile(profile)
    with opened(name, no_input=no_input) as context:
        now = context.clock.now()
        moment = parse_moment(at, now, end=True) if at else None
        seen_from = now if moment is None else moment
        listed = show_profile(context, name, target, moment=moment)
        body = _body(listed, seen_from)
        if json:
            output.write_json("show", {"agent": name, "at": output.moment(moment), **body})
            return
        lines = [
            ("profile", listed.profile),
            ("original name", output.printable(foreign_shown(listed.profile))),
            ("agent", listed.owner + (f" (inherited by {name})" if listed.inherited_from else "")),
            ("kind", listed.held.facts.kind),
            ("label", listed.held.facts.label),
            ("account", listed.held.facts.account),
            ("refers to", listed.held.facts.reference),
            ("belongs to", output.printable(listed.held.facts.base_url)),
            ("also set as", ", ".join(listed.held.facts.env)),
            ("fingerprint", listed.held.facts.fingerprint),
            ("owned by", listed.held.facts.ownership),
            ("since", f"{output.local(listed.held.since)} ({output.ago(listed.held.since, seen_from)})"),
            (
                "stored at",
                f"position {listed.held.position}" + (f", from {listed.held.tool}" if listed.held.tool else ""),
            ),
            ("expires", _expiry(listed, seen_from) or "never, as far as is known"),
            ("health", _health(listed, seen_from)),
            ("last used", output.ago(listed.last_used, seen_from) if listed.last_used else "never"),
            ("order", _place(listed) + (f" ({listed.why})" if listed.why else "")),
        ]
        output.table(("", ""), [(k, v) for k, v in lines if v])


def _row(listed: Listed, now: int) -> tuple[str, ...]:
    facts = listed.held.facts
    return (
        listed.profile,
        facts.kind,
        facts.label or facts.account or facts.reference or output.printable(foreign_shown(listed.profile)),
        facts.fingerprint,
        output.span(now - listed.held.since),
        _expiry(listed, now),
        _health(listed, now),
        _place(listed),
        listed.inherited_from,
    )


def _expiry(listed: Listed, now: int) -> str:
    facts = listed.held.facts
    if facts.expires_at is None:
        return ""
    if facts.refresh_fingerprint and facts.expires_at <= 0:
        return "renewed at use"
    if facts.refresh_fingerprint:
        return f"{output.until(facts.expires_at, now)} (refreshable)"
    return (
        output.until(facts.expires_at, now)
        if facts.expires_at > now
        else f"expired {output.ago(facts.expires_at, now)}"
    )


def _health(listed: Listed, now: int) -> str:
    health = listed.health
    if health.disabled_until > now:
        return f"disabled: {health.last_reason}, {output.span(health.disabled_until - now)} left"
    if health.cooldown_until > now:
        return f"cooling down: {health.last_reason}, {output.span(health.cooldown_until - now)} left"
    return "ok"


def _place(listed: Listed) -> str:
    text = str(listed.place) if listed.place else "-"
    return text + (" pinned" if listed.pinned else "")


def _body(listed: Listed, now: int) -> dict[str, Any]:
    facts, health = listed.held.facts, listed.health
    return {
        "profile": listed.profile,
        "original": foreign_shown(listed.profile) or None,
        "provider": listed.provider,
        "owner": listed.owner,
        "inherited_from": listed.inherited_from or None,
        "kind": facts.kind,
        "label": facts.label or None,
        "account": facts.account or None,
        "reference": facts.reference or None,
        "base_url": facts.base_url or None,
        "env": list(facts.env),
        "fingerprint": facts.fingerprint or None,
        "ownership": facts.ownership,
        "refreshable": bool(facts.refresh_fingerprint),
        "position": listed.held.position,
        "since": output.moment(listed.held.since),
        "age_seconds": max(now - listed.held.since, 0) // 1_000_000,
        "expires_at": output.moment(facts.expires_at),
        "last_used": output.moment(listed.last_used),
        "place": listed.place,
        "reason": listed.why or None,
        "pinned": listed.pinned,
        "in_order": listed.ordered,
        "health": {
            "state": "disabled"
            if health.disabled_until > now
            else "cooling_down"
            if health.cooldown_until > now
            else "ok",
            "failures": health.failures,
            "last_reason": health.last_reason or None,
            "last_failure_at": output.moment(health.last_failure_at),
            "last_success_at": output.moment(health.last_success_at),
            "cooldown_until": output.moment(health.cooldown_until),
            "disabled_until": output.moment(health.disabled_until),
        },
    }
