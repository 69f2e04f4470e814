"""doctor's report, and its offers to mend: a question for each on a terminal, whose answer is no unless it is yes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vault.cli import output, streams
from vault.cli.session import can_ask, opened, places
from vault.errors import UsageError, VaultError
from vault.values import MAIN_AGENT

if TYPE_CHECKING:
    from vault.commands.mending import Check, Mend, Mended
    from vault.context import Context, Places

Outcome = tuple[list["Check"], list["Mended"]]


@dataclass(frozen=True, slots=True)
class Mending:
    """What may be done: nothing, what a person says yes to, or everything safe."""

    asks: bool
    everything: bool
    machine: bool
    no_input: bool

    @classmethod
    def asked_for(cls, fix: bool, yes: bool, machine: bool, no_input: bool) -> Mending:
        """From the options, and whether there is a person. Raises UsageError when somebody must be asked and nobody is there."""
        person = can_ask(no_input) and streams.on_terminal("stdin") and not machine
        if fix and not yes and not person:
            raise UsageError("there is no terminal to ask before each fix", hint="add --yes to fix without asking")
        return cls(person and not yes and (fix or streams.on_terminal("stdout")), yes, machine, no_input)

    def of_vault(self) -> Outcome:
        """Look at everything, tell it, and mend: (the last look, what was done)."""
        from vault.commands.doctor import examine
        from vault.commands.mending import mend_findings

        with self._unlocked(always=False) as (found, context, locked):

            def look() -> list[Check]:
                return [*(examine(found, context) if found else []), *locked]

            checks = look()
            if not self.machine:
                show(checks)
            if not (self.asks or self.everything):
                return checks, []
            mended, last = mend_findings(checks, context, self._pick, look)
            if not self.machine:
                tell(mended)
            return list(last), mended

    def of_cloud(self, named: str) -> Outcome:
        """Look at a cloud family's providers, or one. What is wrong is mended outside the vault. Raises NotFound, UsageError."""
        from vault.commands.mending import Check

        if self.everything:
            raise UsageError(
                f"what is wrong with {named} must be fixed outside the vault", hint="leave out --fix and --yes"
            )
        with self._unlocked(always=True) as (_, context, checks):
            if context is not None:
                from vault.commands.cloud import modes_of
                from vault.providers.cloud.modes import doctor_rows

                rows = doctor_rows(modes_of(context, MAIN_AGENT, named))
                checks = [Check(r.name, r.status, r.text, r.hint) for r in rows]
        if not self.machine:
            show(checks)
        return checks, []

    @contextmanager
    def _unlocked(self, *, always: bool) -> Iterator[tuple[Places | None, Context | None, list[Check]]]:
        """Where the vault is, the opened vault, and findings that say why there is none.

        Without ``always`` a vault that isn't there is no finding of its own. One that was rolled back is looked at all the same.
        """
        from vault.commands.doctor import troubled

        found: Places | None = None
        context: Context | None = None
        locked: list[Check] = []
        with ExitStack() as stack:
            try:
                found = places()
                if always or found.database.exists():
                    context = stack.enter_context(opened(MAIN_AGENT, no_input=self.no_input, strange_slots=True))
            except VaultError as error:
                locked.append(troubled("unlock", error))
            try:
                yield found, context, locked
            finally:
                if context is not None:
                    context.store.rollback = None

    def _pick(self, check: Check) -> Mend | None:
        """The way to mend one finding, or none."""
        mend = check.mend
        if mend is None or (self.everything and mend.cost):
            return None
        if self.everything:
            return mend
        output.say("", f"{check.name}: {check.text}")
        if not mend.others:
            return mend if output.confirm(f"  {mend.text}?") else None
        ways = [mend, *mend.others]
        for number, way in enumerate(ways, start=1):
            output.say(f"  {number}  {way.text}" + (f" ({way.cost})" if way.cost else ""))
        picked = output.ask("  Which one? (Enter for none)", default="", show_default=False)
        return (
            ways[int(picked) - 1] if picked.isdecimal() and len(picked) < 4 and 1 <= int(picked) <= len(ways) else None
        )


def show(checks: Sequence[Check]) -> None:
    """Each check on a line, each finding with what to do."""
    for check in checks:
        mark = "✓" if check.status == "ok" else "✗"
        output.lines([f"{mark} {check.name}: {check.text}"])
        if check.status == "ok":
            continue
        if check.hint:
            output.write(f"    → {check.hint}")


def tell(mended: Sequence[Mended]) -> None:
    """What was done, a line each."""
    for one in mended:
        done = f"#{one.position}" if one.position else "done"
        output.lines([f"✗ {one.mend.text}: {one.error}" if one.error else f"✓ {one.mend.text} ({done})"])


def body_of(checks: Sequence[Check], mended: Sequence[Mended]) -> dict[str, Any]:
    """``vault.doctor/1``."""
    return {
        "ok": all(c.status == "ok" for c in checks),
        "checks": [
            {
                "name": c.name,
                "status": c.status,
                "text": c.text,
                "hint": c.hint or None,
                "command": (c.mend.command if c.mend else c.command) or None,
                "mend": c.mend.text if c.mend else None,
            }
            for c in checks
        ],
        "mended": [
            {
                "name": m.check.name,
                "text": m.check.text,
                "mend": m.mend.text,
                "command": m.mend.command,
                "position": m.position,
                "error": m.error or None,
            }
            for m in mended
        ],
    }
