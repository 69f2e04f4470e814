"""What the tests of flat stores share: findings on their way out again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vault.interop.findings import Findings, Found
from vault.interop.plans import Outgoing, Plan, Target

COMMANDS = frozenset(
    {"/fake/vault", "/fake/bin/vault", "/opt/vault", "/opt/my tools/vault", "/opt/my vault/bin/vault", "vault"}
)
"""The paths that the tests' links give the vault."""


def outgoing(found: Sequence[Found]) -> list[Outgoing]:
    """What was found, as it would be exported."""
    return [
        Outgoing(f.agent, f.profile, f.credential, f.label, f.account, env=f.env, base_url=f.base_url) for f in found
    ]


def target(path: Path, home: Path | None = None) -> Target:
    """A file of a test's own."""
    return Target({}, home or path.parent, path, commands=COMMANDS)


def put(plan: Plan) -> None:
    """Write what a plan says."""
    for write in plan.writes:
        write.path.parent.mkdir(parents=True, exist_ok=True)
        write.path.write_bytes(write.content)


def profiles(findings: Findings) -> dict[str, str | None]:
    """Profile to secret."""
    return {f.profile: f.credential.secret() for f in findings.found}
