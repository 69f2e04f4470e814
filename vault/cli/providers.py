"""provider list, show, update, enable, disable."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vault.cli import output
from vault.cli.groups import Group
from vault.cli.session import (
    AgentOption,
    JsonOption,
    agent_id,
    complete_provider,
    follow_settings,
    opened,
    places,
)
from vault.cli.settings_file import switch
from vault.errors import NotReady, UsageError, VaultError
from vault.providers.aliases import canonical
from vault.settings import Settings, read_settings
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId, provider_of

if TYPE_CHECKING:
    from vault.providers.update import Updated

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    help="Providers: what vault knows of them, which are used.",
)

ProviderArgument = Annotated[
    str,
    typer.Argument(metavar="PROVIDER", help="An id, a name, or another tool's id.", autocompletion=complete_provider),
]


@dataclass(frozen=True, slots=True)
class _Use:
    """What is in use: profiles and variables by provider. ``missing`` says why profiles aren't counted, when they aren't."""

    profiles: dict[str, list[str]]
    variables: dict[str, list[str]]
    missing: str = ""

    def of(self, provider: str) -> list[str]:
        """Profiles and variables of one provider."""
        return self.profiles.get(provider, []) + self.variables.get(provider, [])


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="All providers, not only those in use.")] = False,
    search: Annotated[str, typer.Option("--search", "-s", help="Part of an id, a name or a variable.")] = "",
    agent: AgentOption = "main",
    json: JsonOption = False,
) -> None:
    """List providers: those in use, those the settings name and local ones; or all, or what a search finds."""
    from vault.providers import catalogue

    settings, use = _prepared(agent)
    known = {p.id: p for p in catalogue.providers()}
    named = {*settings.disabled_providers, *settings.enabled_providers, *settings.providers}
    ids = sorted({*known, *(ProviderId(p) for p in (*use.profiles, *named))})
    if search:
        ids = [i for i in ids if any(search.casefold() in text.casefold() for text in _texts(i))]
    elif not everything:
        ids = [i for i in ids if use.of(i) or i in named or catalogue.is_local(i)]
    if json:
        body = [_brief(i, settings, use) for i in ids]
        output.write_json(
            "providers", {"source": _source(), "profiles_missing": use.missing or None, "providers": body}
        )
        return
    rows = []
    for i in ids:
        entry = known.get(i)
        names = ", ".join(catalogue.env_names(i) or (" + ".join(s) for s in (entry.env_sets if entry else ())))
        rows.append((i, entry.name if entry else "(custom)", names, ", ".join(use.of(i)), _remark(i, settings)))
    if rows:
        prose = ("NAME", "VARIABLES", "IN USE", "")
        output.table(("PROVIDER", "NAME", "VARIABLES", "IN USE", ""), rows, least=("NAME", "VARIABLES"), prose=prose)
    else:
        output.say(f"no provider has {output.printable(search)!r} in its id, name or variables")
    _say_notes(use)
    if not everything and not search:
        output.say(f"{len(known)} providers are known: --all shows them, --search TEXT finds one")


@app.command("show")
def show(provider: ProviderArgument, agent: AgentOption = "main", json: JsonOption = False) -> None:
    """Show what is known about a provider: variables, address, documentation, how to sign in. Never a secret."""
    from vault.commands.naming import resolve
    from vault.providers import catalogue

    settings, use = _prepared(agent)
    wanted = resolve(provider)
    _check(wanted, settings, use)
    entry = catalogue.provider(wanted)
    body = _full(wanted, settings, use)
    if json:
        output.write_json("provider", body)
        return
    env = body["variables"]
    where = _source()
    origin = "your own: it is not in the catalogue" if entry is None else f"{where['kind']} catalogue"
    if entry is not None and not entry.listed:
        origin += "; the fetched one no longer lists it"
    signing = [f"{m['label']}" + (f" ({m['note']})" if m["note"] else "") for m in body["sign_in"]]
    lines = [
        ("provider", wanted),
        ("name", body["name"]),
        ("also called", ", ".join(body["aliases"])),
        ("known from", origin),
        ("used", "yes" if body["allowed"] else "no: the settings disable it"),
        ("in use", ", ".join(use.of(wanted))),
        ("injected as", ", ".join(env["injected"])),
        ("read from", ", ".join(env["read"])),
        ("or together", "; ".join(" + ".join(names) for names in env["sets"])),
        ("taken out of a child", ", ".join(env["stripped"])),
        ("no secret", ", ".join(env["facts"])),
        ("shares a variable with", ", ".join(body["shared_with"])),
        ("address", body["endpoint"] or body["api"] or ""),
        ("documentation", body["documentation"] or ""),
        ("sign in", "; ".join(signing) or "no sign-in: it reads what its own tools read"),
        ("command", f"vault login {wanted}" if signing and not body["local"] else ""),
    ]
    output.table(("", ""), [(k, v) for k, v in lines if v])
    _say_notes(use)


@app.command("update")
def update(
    url: Annotated[str, typer.Option("--url", help="Fetch from here, not from models.dev (VAULT_MODELS_URL).")] = "",
    previous: Annotated[
        bool, typer.Option("--previous", help="Go back to the catalogue before; again: forth.")
    ] = False,
    embedded: Annotated[bool, typer.Option("--embedded", help="Go back to the catalogue vault came with.")] = False,
    json: JsonOption = False,
) -> None:
    """Fetch a newer catalogue of providers. Only this command does; it says what changed and proves no credential."""
    from vault.providers import catalogue, stored
    from vault.providers import update as updating
    from vault.values import SystemClock

    if sum((bool(url), previous, embedded)) > 1:
        raise UsageError("--url, --previous and --embedded exclude each other", hint="give one of them")
    settings = read_settings(os.environ, canonical)
    follow_settings(os.environ)
    if previous or embedded:
        changed = bool(stored.go_back(stored.place())) if previous else stored.drop(stored.place())
        catalogue.reload()
        _tell_source(json, changed)
        return
    if not settings.auto_update:
        raise NotReady(
            "the settings say provider.auto_update = false: only the embedded catalogue is used, and nothing is fetched",
            hint="vault config edit",
        )
    done = updating.update(updating.source_url(url, os.environ), stored.place(), SystemClock().now())
    _tell_update(done, json)


@app.command("enable")
def enable(provider: ProviderArgument, json: JsonOption = False) -> None:
    """Use a provider again. Changes the settings file; disable undoes it."""
    _switch(provider, json, on=True)


@app.command("disable")
def disable(provider: ProviderArgument, json: JsonOption = False) -> None:
    """Never use a provider, whatever is stored or set for it. Changes the settings file; enable undoes it."""
    _switch(provider, json, on=False)


def _check(provider: ProviderId, settings: Settings, use: _Use) -> None:
    """Refuse a provider that nothing here knows, where that can be told. Raises NotFound."""
    from vault.commands.naming import is_known, unknown_provider

    listed = {*settings.enabled_providers, *settings.disabled_providers}
    if not (is_known(provider) or use.of(provider) or use.missing or provider in listed):
        raise unknown_provider(provider)


def _switch(provider: str, json: bool, *, on: bool) -> None:
    from vault.commands.naming import resolve

    follow_settings(os.environ)
    wanted = resolve(provider)
    _check(wanted, *_prepared(MAIN_AGENT))
    path, changed = switch(wanted, os.environ, on=on)
    settings = read_settings(os.environ, canonical)
    allowed = _is_allowed(wanted, settings)
    if json:
        output.write_json(
            "provider-switch", {"provider": wanted, "allowed": allowed, "changed": changed, "path": str(path)}
        )
    else:
        state = f"{wanted} is {'enabled' if on else 'disabled'}"
        undo = f"; undo with: vault provider {'disable' if on else 'enable'} {wanted}" if changed else " (no change)"
        output.say(state + undo)
    if allowed != on:
        names = [n for n in ("VAULT_ENABLED_PROVIDERS", "VAULT_DISABLED_PROVIDERS") if n in os.environ]
        output.say(f"{' and '.join(names)} in the environment override the settings file: nothing changes here")


def _prepared(agent: str) -> tuple[Settings, _Use]:
    follow_settings(os.environ)
    settings = read_settings(os.environ, canonical)
    return settings, _in_use(agent_id(agent), settings)


def _in_use(agent: AgentId, settings: Settings) -> _Use:
    """Profiles the agent sees, if the vault opens without asking anybody, and variables that are set."""
    from vault.providers import catalogue

    variables: dict[str, list[str]] = {}
    for provider, name in catalogue.environment_hits(os.environ):
        variables.setdefault(provider, []).append(name)
    if "dotenv" in settings.sources:
        from vault.providers.dotenv import project_variables

        for provider, name in catalogue.environment_hits(project_variables(Path.cwd())[0]):
            variables.setdefault(provider, []).append(f"{name} (.env)")
    if "envfile" in settings.sources:
        from vault.envfile import read_env_file

        for provider, name in catalogue.environment_hits(read_env_file(os.environ).variables):
            variables.setdefault(provider, []).append(f"{name} (env file)")
    if not places().database.exists():
        return _Use({}, variables)
    profiles: dict[str, list[str]] = {}
    try:
        with opened(agent, no_input=True) as context:
            from vault.projections.queries import View

            for profile in sorted(View(context.queries, agent).visible()):
                profiles.setdefault(provider_of(ProfileId(profile)), []).append(profile)
    except VaultError as error:
        return _Use(profiles, variables, error.message)
    return _Use(profiles, variables)


def _texts(provider: ProviderId) -> list[str]:
    from vault.providers import catalogue

    entry = catalogue.provider(provider)
    names = [*catalogue.stripped_names(provider), *(entry.fact_env if entry else ())]
    return [provider, entry.name if entry else "", *catalogue.aliases_of(provider), *names]


def _remark(provider: ProviderId, settings: Settings) -> str:
    from vault.providers import catalogue

    local = catalogue.is_local(provider, settings.provider(provider).endpoint)
    parts = [] if _is_allowed(provider, settings) else ["disabled"]
    return ", ".join(parts + (["local: needs no credential"] if local else []))


def _brief(provider: ProviderId, settings: Settings, use: _Use) -> dict[str, Any]:
    from vault.providers import catalogue

    entry = catalogue.provider(provider)
    return {
        "id": provider,
        "name": entry.name if entry else provider,
        "in_catalogue": entry is not None,
        "variables": list(catalogue.env_names(provider)),
        "local": catalogue.is_local(provider, settings.provider(provider).endpoint),
        "allowed": _is_allowed(provider, settings),
        "in_use": bool(use.of(provider)),
        "profiles": use.profiles.get(provider, []),
        "set_variables": use.variables.get(provider, []),
    }


def _full(provider: ProviderId, settings: Settings, use: _Use) -> dict[str, Any]:
    from vault.providers import catalogue

    entry = catalogue.provider(provider)
    return {
        **_brief(provider, settings, use),
        "listed": entry.listed if entry else False,
        "source": _source(),
        "aliases": list(catalogue.aliases_of(provider)),
        "variables": {
            "injected": list(catalogue.env_names(provider)),
            "read": list(catalogue.read_names(provider)),
            "sets": [list(names) for names in entry.env_sets] if entry else [],
            "stripped": list(catalogue.stripped_names(provider)),
            "facts": list(entry.fact_env) if entry else [],
        },
        "shared_with": list(entry.shared_with) if entry else [],
        "api": entry.api if entry else None,
        "endpoint": settings.provider(provider).endpoint or None,
        "documentation": entry.doc if entry else None,
        "sign_in": _sign_in(provider, catalogue.is_local(provider, settings.provider(provider).endpoint)),
    }


def _sign_in(provider: ProviderId, local: bool) -> list[dict[str, str]]:
    from vault.providers.methods import methods

    found = [{"id": m.id, "kind": m.kind, "label": m.label, "note": m.note} for m in methods(provider)]
    if local and all(m["kind"] != "none" for m in found):
        note = "a server that asks for a key takes one, too" if found else ""
        return [{"id": "none", "kind": "none", "label": "nothing is needed", "note": note}, *found]
    return found


def _source() -> dict[str, Any]:
    from vault.providers import catalogue

    found = catalogue.source()
    return {
        "kind": found.kind,
        "url": found.url or None,
        "fetched_at": output.moment(found.fetched_at),
        "note": found.note or None,
    }


def _say_notes(use: _Use) -> None:
    from vault.providers import catalogue

    if use.missing:
        output.say(f"profiles are not counted: {use.missing}")
    if catalogue.source().note:
        output.say(catalogue.source().note)


def _tell_source(json: bool, changed: bool) -> None:
    where = _source()
    if json:
        output.write_json("provider-update", {"changed": changed, "source": where})
        return
    if where["kind"] == "fetched":
        output.say(f"the catalogue in use is the one fetched from {where['url']} at {where['fetched_at']}")
    else:
        output.say("the catalogue in use is the embedded one" + ("" if changed else " (no change)"))
    if where["note"]:
        output.say(where["note"])


def _tell_update(done: Updated, json: bool) -> None:
    if json:
        changes = [{"what": c.what, "provider": c.provider, "before": c.before, "after": c.after} for c in done.changes]
        output.write_json(
            "provider-update",
            {
                "changed": done.changed,
                "url": done.url,
                "providers": done.count,
                "changes": changes,
                "source": _source(),
            },
        )
        return
    if not done.changed:
        output.say(f"{done.url} has nothing newer: {done.count} providers")
        return
    if done.changes:
        output.table(
            ("CHANGE", "PROVIDER", "BEFORE", "NOW"),
            [(c.what, c.provider, c.before, c.after) for c in done.changes],
            prose=("BEFORE", "NOW"),
        )
    output.say(f"{done.count} providers from {done.url}; go back with: vault provider update --previous, or --embedded")
    for change in done.changes:
        if change.what == "moved":
            output.say(
                output.printable(
                    f"{change.provider} stays at {change.before}, where its keys were sent till now; to let them go to "
                    f"{change.after}: set it as the endpoint of providers.{change.provider} (vault config edit)"
                )
            )
        if change.what == "shares":
            output.say(f"{change.provider} now reads {change.after}, which is a variable of {change.before}")


def _is_allowed(provider: str, settings: Settings) -> bool:
    from vault.providers.aliases import allowed

    return allowed(provider, settings.enabled_providers, settings.disabled_providers, settings.own)
