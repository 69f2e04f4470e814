"""verify, rebuild, and accepting a rolled-back log."""

from __future__ import annotations

from vault.context import Context
from vault.errors import UsageError
from vault.events.types import LogVerified, RollbackAccepted
from vault.log.records import Draft
from vault.model.slots import unbound
from vault.model.streams import VAULT
from vault.projections import replay, verify
from vault.projections.replay import Differences, Progress, no_progress
from vault.projections.verify import Verified


def verify_vault(
    context: Context, progress: Progress = no_progress, *, record: bool = False, reason: str = ""
) -> Verified:
    """Check everything. ``record`` appends that it was done. Raises IntegrityError, RollbackDetected."""
    done = verify.verify(context.store, context.projections, progress)
    if record:
        with context.store.writing() as connection:
            event = LogVerified(events=done.events, slots=unbound(*context.slots()))
            context.store.append_within(connection, [Draft(stream=VAULT, event=event)], context.cause(reason))
            context.check_slots()
    return done


def rebuild_vault(context: Context, progress: Progress = no_progress) -> tuple[int, Differences]:
    """Drop and replay every projection. Returns the number of events and how the old ones differed."""
    return replay.rebuild(context.store, context.projections, progress)


def accept_rollback(context: Context, reason: str) -> int:
    """Accept a log that is older than its anchor, or another one; the acceptance is an event. Returns its position.

    Raises UsageError without a reason, or when nothing was rolled back.
    """
    if not reason.strip():
        raise UsageError("accepting a rollback needs a reason", hint="add --reason TEXT")
    if context.store.rollback is None:
        raise UsageError("the log was not rolled back", hint="there is nothing to accept")
    store, mark = context.store, context.anchor.read()
    with store.writing(accepting=True) as connection:
        head = store.head()
        event = RollbackAccepted(anchor_position=mark.position if mark else 0, head_position=head.position)
        (recorded,) = store.append_within(connection, [Draft(stream=VAULT, event=event)], context.cause(reason))
        list(store.rows(connection, [recorded.position]))  # what isn't in the log wasn't accepted
    store.rollback = None
    return recorded.position
