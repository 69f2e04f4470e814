"""Asking whether a sign-in that another tool has made already is used, before a new one is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vault.cli import output
from vault.errors import SignInAgain

if TYPE_CHECKING:
    from vault.cli.signing import Wanted
    from vault.commands.sign_in import SignedInTo
    from vault.context import Context
    from vault.values import AgentId, ProfileId


def offer(
    context: Context, agent: AgentId, target: ProfileId, wanted: Wanted, host: str, command: str
) -> SignedInTo | None:
    """What was taken over, or None where there is nothing, the person says no, or it is refused: then a new one is started."""
    from vault.commands.reusing import host_of, made_already, reuse

    found = made_already(context, target, host)
    for one in found:
        whose = f" as {one.account}" if one.account else ""
        where = f" at {host_of(one)}" if host_of(one) else ""
        output.say(output.printable(f"there is a sign-in{whose}{where} already: {one.path}"))
        if not output.confirm("Use it? (no: sign in anew, as --device does)", default=True):
            continue
        try:
            return reuse(context, agent, target, one, label=wanted.label, reason=wanted.reason, command=command)
        except SignInAgain as error:
            output.say(output.printable(f"it can't be used: {error.message}"))
    return None
