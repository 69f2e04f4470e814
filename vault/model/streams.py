"""Names of streams. A stream is the records of one thing, in order: a profile, an agent's rotation at a provider, …

``vault`` · ``agents`` · ``profile/<agent>/<provider>:<name>`` · ``rotation/<agent>/<provider>``. Names exist only sealed; in
the file a stream is a blind index of its name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

Stream = NewType("Stream", str)

VAULT = Stream("vault")
AGENTS = Stream("agents")


def profile_stream(agent: str, profile: str) -> Stream:
    """The stream of one profile of one agent."""
    return Stream(f"profile/{agent}/{profile}")


def rotation_stream(agent: str, provider: str) -> Stream:
    """The stream of one agent's order, pin, health and hand-outs at one provider."""
    return Stream(f"rotation/{agent}/{provider}")


@lru_cache(maxsize=4096)
def split_stream(stream: str) -> tuple[str, str, str]:
    """(kind, agent, rest): rest is the profile id or the provider; agent and rest are empty for the single streams."""
    kind, _, tail = stream.partition("/")
    agent, _, rest = tail.partition("/")
    return kind, agent, rest
