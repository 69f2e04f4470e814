"""exec and env: all that a child process is given. Each is prepared here, and handed out by ``vault.commands.issue``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from vault.commands.candidates import allowed_sources, clouds_meant, family_of
from vault.commands.issue import first_open, in_turn, instead, of_cloud, of_variable, reread_of
from vault.commands.naming import with_agent
from vault.commands.ready import Ready
from vault.commands.why import decide
from vault.context import Context
from vault.errors import IntegrityError, NotFound, UsageError, VaultError
from vault.events.credentials import OAuth
from vault.model.choosing import Candidate, Decision
from vault.projections.queries import View
from vault.providers import catalogue
from vault.values import AgentId, ProfileId, ProviderId, provider_of

_FILES = ("dotenv:", "envfile:")


def prepare_all(
    context: Context,
    agent: AgentId,
    *,
    way: str,
    program: str = "",
    left_out: list[tuple[str, VaultError]] | None = None,
) -> list[Ready]:
    """Everything ``exec`` or ``env`` injects where no provider is named: one for each that the agent has a usable one for.

    What would be used of the environment is in the child's already, and is no hand-out. A provider whose credential can't be had
    now doesn't keep the others back: why goes to ``left_out``.
    """
    kept = {provider_of(ProfileId(p)) for p in View(context.queries, agent).visible()}
    meant = clouds_meant(context, way, program)
    seen = sorted(kept | meant.keys() | _in_files(context))
    reread_of(context, agent, seen)
    program = program or context.actor.program
    ready: list[Ready] = []
    for provider in seen:
        failed: list[tuple[str, VaultError]] = []
        try:
            decision = decide(context, agent, provider, way=way)
            if family_of(context, provider):
                told = provider in kept or meant[provider]
                if context.allows(provider) and (told or decision.considered):
                    ready.append(of_cloud(context, agent, provider, None, way, program))
            elif decision.candidate is not None:
                fitting = _fitting(context, decision, way, left_out)
                found = first_open(context, agent, provider, fitting, way, program, failed)
                if found is not None:
                    ready.append(found)
                elif failed:
                    ready.append(of_variable(context, decision, way, program, failed))
            elif decision.chosen is not None and decision.chosen.what.startswith(_FILES):
                ready.append(of_variable(context, decision, way, program))
            elif decision.chosen is not None and (why := instead(decision)):
                raise NotFound(why, hint=with_agent(f"vault login {provider}", agent))
        except IntegrityError:
            raise
        except VaultError as error:
            _leave_out(left_out, failed[0][0] if len(failed) == 1 else provider, error)
    return _compatible(ready, left_out)


def stale_names(providers: Iterable[str]) -> set[str]:
    """Every variable that could hold another credential of these providers: they leave a child's environment."""
    return {variable for name in providers for variable in catalogue.stripped_names(ProviderId(name))}


def _in_files(context: Context) -> set[ProviderId]:
    """Providers of no cloud family that the project's .env or the env file has a variable for, where it may be used."""
    found: set[ProviderId] = set()
    for source in ("dotenv", "envfile"):
        variables = context.variables(source)
        hits = {provider for provider, _ in catalogue.environment_hits(variables)} if variables else set()
        found |= {p for p in hits if not family_of(context, p) and source in allowed_sources(context, p)}
    return found


def _compatible(ready: Sequence[Ready], left_out: list[tuple[str, VaultError]] | None) -> list[Ready]:
    """Without what a file has for a variable that must not stand beside a stored credential; what is stored comes first."""
    kept = [r for r in ready if not r.event.source.startswith(_FILES)]
    theirs = stale_names(r.event.provider for r in kept) | {name for r in kept for name in r.removed}
    for item in ready:
        if not item.event.source.startswith(_FILES):
            continue
        if theirs.isdisjoint(item.names):
            kept.append(item)
        else:
            _leave_out(left_out, item.event.provider, UsageError(f"{item.event.source} is for another one here"))
    return kept


def _fitting(
    context: Context, decision: Decision, way: str, left_out: list[tuple[str, VaultError]] | None
) -> Iterator[Candidate]:
    """Those whose secret is what the provider's variables mean; the others met on the way are left out."""
    for candidate in in_turn(context, decision):
        why = _misplaced(context, candidate)
        if not why:
            yield candidate
            continue
        hint = f"insist with: vault {way} --provider {candidate.profile}"
        _leave_out(left_out, candidate.profile, UsageError(why, hint=hint))


def _misplaced(context: Context, candidate: Candidate) -> str:
    """Why a sign-in's token isn't what the provider's variables mean; an empty text for everything else."""
    if candidate.facts is None or candidate.facts.kind != OAuth.kind:
        return ""
    from vault.commands.placing import misplaced

    return misplaced(context.store.credential(candidate.position), provider_of(ProfileId(candidate.profile)))


def _leave_out(left_out: list[tuple[str, VaultError]] | None, what: str, error: VaultError) -> None:
    if left_out is None:
        raise error
    left_out.append((what, error))
