"""OpenClaw's stores, for tests of what is written into them."""

from __future__ import annotations

from pathlib import Path

from tests.exporters.flat import COMMANDS
from vault.events.credentials import AnyCredential, ApiKey
from vault.interop.plans import Outgoing, Plan, Target
from vault.values import AgentId, ProfileId, ProviderId

NOW = 1_767_225_600_000_000


def agent_folder(state: Path, agent: str = "main") -> Path:
    """An agent's folder."""
    return state / "agents" / agent / "agent"


def target(state: Path) -> Target:
    """A store that is named, at the beginning of 2026."""
    return Target({}, state.parent, state, NOW, COMMANDS)


def out(profile: str, credential: AnyCredential | str, agent: str = "main", *, whole: bool = True) -> Outgoing:
    """A credential on its way out; a text is an API key."""
    one = ApiKey(key=credential) if isinstance(credential, str) else credential
    return Outgoing(AgentId(agent), ProfileId(profile), one, whole=whole)


def order(*profiles: str) -> dict[ProviderId, list[ProfileId]]:
    """The order of one provider."""
    return {ProviderId(profiles[0].partition(":")[0]): [ProfileId(profile) for profile in profiles]}


def whys(plan: Plan) -> dict[str, str]:
    """Why what is left out is."""
    return {one.name: one.why for one in plan.left_out}


def typed(plan: Plan) -> list[tuple[str, ...]]:
    """The commands of a plan, without what is the same in all."""
    assert all(run.argv[:3] == ("openclaw", "models", "auth") for run in plan.runs)
    return [run.argv[3:] for run in plan.runs]
