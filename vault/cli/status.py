"""status, and with --sources the source map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vault.cli import output, streams
from vault.cli.session import AgentOption, JsonOption, NoInputOption, agent_id, complete_provider, opened
from vault.errors import UsageError
from vault.providers.cloud import MEMBERS
from vault.values import ProviderId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vault.commands.probe import Probed
    from vault.commands.status import ProviderStatus
    from vault.providers.cloud.modes import CloudMode
    from vault.values import AgentId


def status(
    provider: Annotated[
        str, typer.Argument(metavar="[PROVIDER]", help="Only this one.", autocompletion=complete_provider)
    ] = "",
    agent: AgentOption = "main",
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit 1 if something is missing or expired, 2 if it expires within 24 hours."),
    ] = False,
    probe: Annotated[bool, typer.Option("--probe", help="Ask the providers whether it works; recorded.")] = False,
    sources: Annotated[
        bool, typer.Option("--sources", help="What each kind of source has, which is used, and which is the narrowest.")
    ] = False,
    json: JsonOption = False,
    no_input: NoInputOption = False,
) -> None:
    """For every provider in use: what would be used, from where, until when, and whether it is known to work.

    Of a cloud family (bedrock, vertex, azure) or one cloud provider also the mode: its source, region, profile and readiness.
    """
    from vault.cli.sources import as_json as sources_json
    from vault.cli.sources import show_sources
    from vault.commands.cloud import mode_of, resolve_family
    from vault.commands.naming import named_provider
    from vault.commands.source_map import source_map
    from vault.commands.status import status as look
    from vault.commands.status import worst

    name = agent_id(agent)
    if provider in MEMBERS and not sources:
        _cloud(provider, name, check, json, no_input)
        return
    if sources and probe:
        raise UsageError("--sources and --probe tell different things", hint="run them one after the other")
    with opened(name, no_input=no_input) as context:
        if provider in MEMBERS:
            wanted = [ProviderId(mode.provider) for mode in resolve_family(context, name, provider)]
        else:
            wanted = [named_provider(provider)] if provider else []
        found = look(context, name, wanted)
        probed: list[Probed] = []
        if probe:
            from vault.commands.probe import probe_all

            if streams.on_terminal("stderr") and not json:
                output.say("asking the providers …")
            probed = probe_all(context, name, found)
            found = look(context, name, wanted)
        now = context.clock.now()
        maps = [source_map(context, s) for s in found] if sources else []
    answers = {p.provider: p for p in probed}
    if json and sources:
        output.write_json("status-sources", {"agent": name, "providers": sources_json(maps)})
    elif json:
        bodies = [_body(s, answers.get(s.provider)) for s in found]
        output.write_json("status", {"agent": name, "check": worst(found), "providers": bodies})
    elif not found:
        output.say(f"agent {name} uses no provider; make a profile with: vault login PROVIDER")
    elif sources:
        show_sources(maps, whole=bool(provider))
    else:
        output.table(
            ("PROVIDER", "STATE", "WOULD USE", "SOURCE", "EXPIRES", "HEALTH", "PROOF"),
            [
                (
                    s.provider,
                    _state(s),
                    _chosen(s, name),
                    s.source,
                    _expiry(s, now),
                    _health(s, now),
                    _proof(s, now),
                )
                for s in found
            ],
            least=("PROOF", "HEALTH", "SOURCE", "EXPIRES"),
            prose=("STATE", "EXPIRES", "HEALTH", "PROOF"),
        )
        _say_more(found, answers)
        for s in found if provider else ():
            _show_mode(mode_of(s.decision))
    if check:
        raise typer.Exit(worst(found))


def _state(s: ProviderStatus) -> str:
    """The state in words; on a terminal with a mark that can be seen at a glance."""
    word = s.state.replace("_", " ")
    if not streams.on_terminal("stdout"):
        return word
    return f"{'✓' if s.state == 'ok' else '✗' if s.check == 1 else '!'} {word}"


def _chosen(s: ProviderStatus, agent: AgentId) -> str:
    if s.source == "local":
        return "none needed"
    return s.chosen + (f" (of {s.owner})" if s.owner not in ("", agent) else "")


def _proof(s: ProviderStatus, now: int) -> str:
    if not s.chosen:
        return ""
    return s.word + (f" {output.ago(s.proven_at, now)} by {s.proof}" if s.proven_at else "")


def _say_more(found: list[ProviderStatus], answers: Mapping[str, Probed]) -> None:
    """What is the matter and what to do; what a probe told that the table can't hold."""
    from vault.commands.why import told_otherwise

    for s in found:
        if s.text:
            _say(f"{s.provider}: {s.text}", s.hint)
        if s.otherwise is not None:
            _say(f"{s.provider}: {told_otherwise(s.otherwise, 'get')}", "")
        answer = answers.get(s.provider)
        if answer is not None and not (answer.profile and answer.outcome == "works"):
            detail = f" ({answer.detail})" if answer.detail else ""
            _say(
                f"{s.provider}: {answer.profile or answer.source or 'the probe'}: {answer.outcome}{detail}", answer.hint
            )


def _show_mode(mode: CloudMode | None) -> None:
    """A cloud provider's mode with every source and what became of it; nothing for another provider."""
    from vault.providers.cloud.modes import reason_rows, status_rows

    if mode is not None:
        output.table(("", ""), [*status_rows(mode), *reason_rows(mode)])


def _say(text: str, hint: str) -> None:
    output.say(output.printable(text))
    if hint:
        output.say(output.printable(f"    → {hint}"))


def _cloud(family: str, agent: AgentId, check: bool, json: bool, no_input: bool) -> None:
    """The resolved modes of a cloud family's providers, redacted."""
    from vault.commands.cloud import check_of, resolve_family
    from vault.commands.status import WARN_BEFORE
    from vault.providers.cloud.modes import as_json

    with opened(agent, no_input=no_input) as context:
        modes = resolve_family(context, agent, family)
        now = context.clock.now()
    if json:
        output.write_json("status-cloud", {"family": family, "agent": agent, "modes": [as_json(m) for m in modes]})
    else:
        for mode in modes:
            _show_mode(mode)
    if check:
        checks = {check_of(m, now, WARN_BEFORE) for m in modes}
        raise typer.Exit(1 if 1 in checks else max(checks, default=0))


def _expiry(s: ProviderStatus, now: int) -> str:
    """When a person has to act; that the access token of what renews itself is short-lived is nobody's concern."""
    if s.expires_at is None:
        return ""
    candidate = s.decision.candidate
    if candidate is not None and candidate.facts is not None and candidate.facts.ownership == "external":
        return "renewed by its own tool" if s.state in ("ok", "refused") else ""
    if s.refreshable and s.state == "ok":
        return "renewed at use"
    return output.until(s.expires_at, now)


def _health(s: ProviderStatus, now: int) -> str:
    if s.health.disabled_until > now:
        return f"disabled ({s.health.last_reason})"
    if s.health.cooldown_until > now:
        return f"cooling down ({s.health.last_reason})"
    return "ok" if s.owner else ""


def _body(s: ProviderStatus, answer: Probed | None) -> dict[str, Any]:
    from vault.commands.cloud import mode_of
    from vault.providers.cloud.modes import as_json

    mode = mode_of(s.decision)
    return {
        "provider": s.provider,
        "name": s.name,
        "state": s.state,
        "check": s.check,
        "chosen": s.chosen or None,
        "source": s.source or None,
        "owner": s.owner or None,
        "kind": s.kind or None,
        "expires_at": output.moment(s.expires_at),
        "refreshable": s.refreshable,
        "health": {
            "failures": s.health.failures,
            "last_reason": s.health.last_reason or None,
            "cooldown_until": output.moment(s.health.cooldown_until),
            "disabled_until": output.moment(s.health.disabled_until),
        },
        "word": s.word,
        "proven_at": output.moment(s.proven_at),
        "proof": s.proof or None,
        "for_exec": s.otherwise.chosen.what if s.otherwise and s.otherwise.chosen else s.chosen or None,
        "text": s.text or None,
        "hint": s.hint or None,
        "cloud": as_json(mode) if mode else None,
        "probe": {
            "outcome": answer.outcome,
            "detail": answer.detail or None,
            "status": answer.status or None,
            "reason": answer.reason or None,
            "hint": answer.hint or None,
        }
        if answer
        else None,
    }
