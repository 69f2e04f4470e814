"""import --scrub: the plain-text secret in a tool's file gives way to a reference, once the log is proven to hold it.

What is scrubbed is read back from the log and compared first. The file as it was is kept sealed, so that ``vault disconnect`` can
put it back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vault.commands.connecting import change, target_of
from vault.commands.former import under_known_names
from vault.commands.losing import would_lose
from vault.context import Context
from vault.errors import Conflict, NotFound
from vault.events.credentials import Cloud
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.plans import Link, Plan
from vault.interop.tools import Tool
from vault.interop.writing import as_written_there, before


def scrub(
    context: Context, tool: Tool, findings: Findings, link: Link, path: Path | None = None, *, dry_run: bool = False
) -> Plan:
    """Replace what the vault holds of the findings by references; the plan that was carried out.

    Raises NotFound for a tool that can't refer to the vault, InputError, StorageError, TryAgain.
    """
    if tool.scrub is None:
        raise NotFound(
            f"{tool.title} can't refer to the vault in place of a secret",
            hint=tool.line or "log out there once the vault has it",
        )
    findings = under_known_names(context, findings)
    held = {
        (found.agent, found.profile): here for found in findings.found if (here := _held(context, found)) is not None
    }
    target = target_of(context, path)
    with tool.lock(target):
        plan = as_written_there(tool.scrub(list(held.values()), link, target))
        lost = would_lose(context, tool, plan, target, [found.credential for found in held.values()])
        if lost:
            raise Conflict(
                f"{lost[0].path} holds a credential of {lost[0].profile} that the vault doesn't, and it would be lost",
                hint=f"take it out, or vault import {tool.name} first",
            )
        plan.left_out += [
            Skipped(found.profile, found.path, "the vault's credential is another one, so this stays as it is")
            for found in findings.found
            if (found.agent, found.profile) not in held
        ]
        changed = [w for w, b in zip(plan.writes, before(plan), strict=False) if w.content != b.content]
        plan.writes = changed
        if not plan.empty and not dry_run:
            change(context, tool, link, plan)
    return plan


def _held(context: Context, found: Found) -> Found | None:
    """What was found, with the names that the vault has for it, if the log gives back exactly this as the current one."""
    state = context.queries.profile(found.agent, found.profile)
    if state is None or state.current is None or state.current.facts.ownership == "external":
        return None
    held = context.store.credential(state.current.position)
    if isinstance(held, Cloud) and isinstance(found.credential, Cloud):
        same = held.secrets == found.credential.secrets
    else:
        secrets = (found.credential.secret(), found.credential.second_secret())
        same = bool(held.secret()) and (held.secret(), held.second_secret()) == secrets
    names = tuple(name for name in found.env if name in state.current.facts.env)
    return replace(found, env=names) if same else None
