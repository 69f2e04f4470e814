"""Cloud providers as they would be reached now: the decision that a mode makes, a whole family's modes, how they stand.

Which stored profile takes part in a mode is decided as for any provider, by pins, order and health; the mode then has its own
order for that profile, the variables and what the machine has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vault.commands.candidates import SESSION_PIN, STORED_ONLY, allowed_sources, choose_among, family_of, pin_of
from vault.commands.cloud_mode import STORED, Resolved, resolve, what_of
from vault.context import Context
from vault.errors import NotFound
from vault.guessing import did_you_mean
from vault.model.choosing import CODES, Considered, Decision
from vault.projections.queries import View
from vault.providers import catalogue
from vault.providers.cloud import MEMBERS
from vault.providers.cloud.modes import CloudMode, Problem, Reason
from vault.providers.cloud.settings import settings_of_family
from vault.settings import SHOWN
from vault.values import AgentId, ProviderId

FAMILIES = tuple(MEMBERS)
_STATES = {"expired": "expired", "sign_in": "needs_sign_in", "mfa": "needs_sign_in"}
_ORDERS = {"aws": "AWS", "google": "Google", "azure": "Azure"}


@dataclass(frozen=True, slots=True)
class Told(Considered):
    """A source of a cloud mode and what became of it, in words of its own."""

    note: str = ""

    @property
    def text(self) -> str:
        """The reason in words."""
        return self.note or CODES[self.code]


@dataclass(frozen=True, slots=True)
class CloudDecision(Decision):
    """A decision that a cloud mode made."""

    resolved: Resolved = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class CloudState:
    """How a cloud provider stands, in the words of ``status``. ``source`` is stored, environment, .env, env file or the mode.

    ``expires_at`` is when a person has to act, in microseconds UTC, where that is known.
    """

    state: str
    source: str
    text: str
    hint: str
    expires_at: int | None


def decide_cloud(context: Context, agent: AgentId, provider: ProviderId, *, now: int | None = None) -> CloudDecision:
    """What would be used at a provider of a cloud family. Nothing is asked of any network. Raises NotFound, IntegrityError."""
    now = context.clock.now() if now is None else now
    stored = choose_among(context, agent, provider, sources=STORED_ONLY, now=now)
    stored = replace(stored, considered=[c for c in stored.considered if c.kind != "environment"])
    pin, by = pin_of(context, agent, provider)
    if not pin:
        resolved = resolve(context, provider, stored.candidate, now=now)
        return _decision(agent, provider, resolved, _lines(resolved, stored))
    everything = resolve(context, provider, None, now=now)
    passed = [replace(line, code="not_pinned", note="") for line in _sources(everything)]
    if stored.candidate is None:
        reason = next((c.text for c in stored.considered if c.what == pin), CODES["missing"])
        text, hint = (
            f"the pinned profile {pin} can't be used: {reason}",
            f"unset {SESSION_PIN}" if by == SESSION_PIN else f"vault unpin {provider}, or fix it",
        )
        problem = Problem("not_set", text, hint)
        mode = CloudMode(provider, everything.mode.cloud, everything.mode.auth_source, problems=(problem,))
        resolved = Resolved(everything.family, mode, mode)
        return _decision(agent, provider, resolved, [*stored.considered, *passed])
    resolved = resolve(context, provider, stored.candidate, alone=True, now=now)
    made = _decision(agent, provider, resolved, [*_lines(resolved, stored), *passed])
    return replace(made, basis=stored.basis) if made.chosen else made


def resolve_family(context: Context, agent: AgentId, family: str) -> list[CloudMode]:
    """The modes of a family's providers: of the catalogue's first, of every other one that is set up, of the settings' own.

    A provider is set up when something is stored, set or in the settings for it. Raises NotFound for an unknown family, NotReady.
    """
    if family not in FAMILIES:
        raise NotFound(f"there is no cloud family {family}", hint="use bedrock, vertex or azure")
    tables: dict[str, dict[str, str]] = {
        name: {"family": table.family} if table.family else {} for name, table in context.settings.providers.items()
    }
    found = [ProviderId(settings.provider) for settings in settings_of_family(family, tables)]
    return [_mode_of(context, agent, name) for name in found if _is_set_up(context, agent, family, name)]


def modes_of(context: Context, agent: AgentId, named: str) -> list[CloudMode]:
    """The modes of a family, or of one provider of a family: an id, display name or alias, or an id of the settings' own.

    Raises NotFound for anything else, NotReady.
    """
    from vault.commands.naming import named_provider

    if named in FAMILIES:
        return resolve_family(context, agent, named)
    provider = ProviderId(named) if named in context.settings.providers else named_provider(named)
    if not family_of(context, provider):
        hint = did_you_mean(named, FAMILIES, "use bedrock, vertex, azure or one of their providers")
        raise NotFound(f"{provider} is of no cloud family", hint=hint)
    return [_mode_of(context, agent, provider)]


def _mode_of(context: Context, agent: AgentId, provider: ProviderId) -> CloudMode:
    return decide_cloud(context, agent, provider).resolved.mode


def _is_set_up(context: Context, agent: AgentId, family: str, provider: ProviderId) -> bool:
    """Whether a provider counts among its family's: the first always does, another by what there is for it."""
    first, *others = MEMBERS[family]
    if provider not in others or provider in context.settings.providers:
        return True
    view = View(context.queries, agent)
    if view.visible(provider) or view.pin(provider)[0] or view.order(provider)[0]:
        return True
    sources = allowed_sources(context, provider)
    used = [s for s in ("envfile", "dotenv", "environment") if s in sources]
    variables = {name: value for source in used for name, value in context.variables(source).items()}
    if provider in {hit for hit, _ in catalogue.environment_hits(variables)}:
        return True
    entry, leading = catalogue.provider(provider), catalogue.provider(first)
    own = set(entry.fact_env if entry else ()) - set(leading.fact_env if leading else ())
    return any(variables.get(name, "").strip() for name in own)


def mode_of(decision: Decision) -> CloudMode | None:
    """The mode that made a decision; None for a decision about any provider of no cloud family."""
    return decision.resolved.mode if isinstance(decision, CloudDecision) else None


def check_of(mode: CloudMode, now: int, warn_before: int) -> int:
    """The exit status a mode calls for with ``--check``: 0, 1 when it isn't ready, 2 when it ends soon."""
    if not mode.ready:
        return 1
    return 2 if mode.expires_at is not None and mode.expires_at - now <= warn_before else 0


def state_of(decision: Decision, now: int, warn_before: int) -> CloudState | None:
    """How a cloud provider stands; None for a decision about any other provider. Times in microseconds."""
    if not isinstance(decision, CloudDecision):
        return None
    mode = decision.resolved.mode
    source = ""
    if decision.chosen is not None:
        place = decision.chosen.what.partition(":")[0]
        source = "stored" if decision.candidate else SHOWN.get(place, mode.mode)
    problem = next((p for p in mode.problems if p.blocking), None)
    if problem is not None:
        missing = problem.code == "no_source" and not decision.considered
        state = "missing" if missing else _STATES.get(problem.code, "unusable")
        return CloudState(state, source, problem.text, problem.hint, mode.expires_at)
    if check_of(mode, now, warn_before) == 2:
        return CloudState("expiring", source, "it expires within 24 hours", "sign in again before", mode.expires_at)
    return CloudState("ok", source, "", "", mode.expires_at)


def _decision(agent: AgentId, provider: ProviderId, resolved: Resolved, lines: list[Considered]) -> CloudDecision:
    mode = resolved.mode
    chosen = next((line for line in lines if line.code == "chosen"), None)
    problem = next((p for p in mode.problems if p.blocking), None)
    if problem is not None:
        basis = f"{problem.text}: {problem.hint}" if problem.hint else problem.text
    elif mode.auth_source == "auto":
        basis = f"it is the first source there is, in the order for {_ORDERS[mode.cloud]}"
    else:
        basis = f"auth_source = {mode.auth_source} in the settings"
    candidate = resolved.candidate if chosen else None
    return CloudDecision(agent, provider, basis, chosen, candidate, lines, resolved=resolved)


def _lines(resolved: Resolved, stored: Decision) -> list[Considered]:
    """What became of every source that is there, in the order they are tried; stored profiles that can't be used last."""
    lines: list[Considered] = []
    usable = [c for c in stored.considered if c.code in ("chosen", "next", "cooling_down")]
    for reason in resolved.mode.reasons:
        if reason.what.partition(": ")[2] in STORED:
            lines += _stored(resolved, reason, usable)
        elif reason.code not in ("not_set", "not_asked"):
            lines.append(_source(resolved, reason))
    return [*lines, *(c for c in stored.considered if c not in usable)]


def _sources(resolved: Resolved) -> list[Told]:
    """Every source that is there, but for what is stored."""
    return [
        _source(resolved, reason)
        for reason in resolved.mode.reasons
        if reason.code not in ("not_set", "not_asked") and reason.what.partition(": ")[2] not in STORED
    ]


def _stored(resolved: Resolved, reason: Reason, usable: list[Considered]) -> list[Considered]:
    """What became of the stored profiles that can be used: the first of them is the one that takes part in the mode."""
    if not usable:
        return []
    if resolved.candidate is not None:
        return [_with(usable[0], *_chosen(resolved.mode)), *usable[1:]]
    if resolved.unfit is not None:
        unfit = "an API key, which the tools of this provider don't take"
        return [_with(usable[0], "unfit", unfit), *usable[1:]]
    code, text = _outcome(reason, resolved.mode) if reason.code != "not_set" else ("ignored_source", "")
    return [_with(c, code, text) for c in usable]


def _source(resolved: Resolved, reason: Reason) -> Told:
    mode, _, source = reason.what.partition(": ")
    what = what_of(resolved, mode, source)
    kind = "environment" if what.partition(":")[0] in SHOWN else "cloud"
    code, note = _outcome(reason, resolved.mode)
    return Told(what, code, kind=kind, note=note)


def _outcome(reason: Reason, mode: CloudMode) -> tuple[str, str]:
    """(code, words)."""
    if reason.code == "chosen":
        return _chosen(mode)
    return ("ignored_source" if reason.code == "switched_off" else reason.code), reason.text


def _chosen(mode: CloudMode) -> tuple[str, str]:
    problem = next((p for p in mode.problems if p.blocking), None)
    return ("not_ready", f"it would be used, but {problem.text}") if problem else ("chosen", CODES["chosen"])


def _with(line: Considered, code: str, note: str) -> Told:
    return Told(line.what, code, owner=line.owner, kind=line.kind, until=line.until, note=note)
