"""The read models as data: which streams they follow, how a state evolves, how it is written.

One stream ↔ one row. The models cover profile, rotation, agents and vault streams; a row's key is the blind id of its stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from vault.log.records import Recorded
from vault.model.agents import AgentsState, evolve_agents
from vault.model.profile import ProfileState, evolve_profile
from vault.model.rotation import RotationState, evolve_rotation
from vault.model.slots import SlotsState, evolve_slots
from vault.model.streams import split_stream

State = ProfileState | RotationState | AgentsState | SlotsState
_encode = msgspec.json.Encoder().encode


class ReadModel(NamedTuple):
    """A read model. ``version`` rises when ``evolve`` or the state's shape changes: then the model is rebuilt on opening."""

    name: str
    version: int
    evolve: Callable[[Any, Recorded, str, str], State]
    decoder: msgspec.json.Decoder[Any]

    def encode(self, state: State) -> bytes:
        """A state's bytes: JSON, keys in the order of the type."""
        return _encode(state)


def _profile(state: ProfileState | None, recorded: Recorded, agent: str, rest: str) -> ProfileState:
    return evolve_profile(state, recorded.event, recorded.version, recorded.position, recorded.envelope.at, agent, rest)


def _rotation(state: RotationState | None, recorded: Recorded, agent: str, rest: str) -> RotationState:
    return evolve_rotation(
        state, recorded.event, recorded.version, recorded.position, recorded.envelope.at, agent, rest
    )


def _agents(state: AgentsState | None, recorded: Recorded, _agent: str, _rest: str) -> AgentsState:
    return evolve_agents(state, recorded.event, recorded.version)


def _slots(state: SlotsState | None, recorded: Recorded, _agent: str, _rest: str) -> SlotsState:
    return evolve_slots(state, recorded.event, recorded.version)


MODELS: dict[str, ReadModel] = {
    "profile": ReadModel("profile", 3, _profile, msgspec.json.Decoder(ProfileState)),
    "rotation": ReadModel("rotation", 2, _rotation, msgspec.json.Decoder(RotationState)),
    "agents": ReadModel("agents", 1, _agents, msgspec.json.Decoder(AgentsState)),
    "vault": ReadModel("vault", 1, _slots, msgspec.json.Decoder(SlotsState)),
}


def model_of(stream: str) -> tuple[ReadModel | None, str, str]:
    """The model that follows a stream, and the stream's (agent, rest)."""
    kind, agent, rest = split_stream(stream)
    return MODELS.get(kind), agent, rest


def provider_part(kind: str, rest: str) -> str:
    """The provider of a profile or rotation stream; empty for the others."""
    return rest.partition(":")[0] if kind == "profile" else rest
