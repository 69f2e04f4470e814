"""connect, disconnect: a tool's configuration asks the vault. What the files were is kept, sealed, in the state folder.

A change is proposed and shown before it is made. ``disconnect`` puts the files back as they were; where a person edited them
since, only what was connected is taken out, and the edits stay.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vault.context import Context
from vault.errors import Conflict, IntegrityError, NotFound, StorageError
from vault.files import read_regular, replace_file
from vault.interop.plans import Link, Plan, Target
from vault.interop.tools import Tool
from vault.interop.writing import LARGEST, Before, before, carry_out, put_back

FOLDER = "connections"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a connection: what it was (base64, None when it wasn't there), and what it was made to be (SHA-256)."""

    path: str
    was: str | None
    mode: int
    made: str


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that asks the vault. ``at`` is microseconds UTC; ``ran`` says that commands of the tool changed its store too."""

    tool: str
    agent: str
    at: int
    files: list[Kept]
    ran: bool = False


@dataclass(frozen=True, slots=True)
class Proposed:
    """What connecting would change: each file's content before and after, and what else would be done."""

    plan: Plan
    were: tuple[Before, ...]

    @property
    def changes(self) -> bool:
        """Whether anything would change."""
        same = zip(self.plan.writes, self.were, strict=False)
        return bool(self.plan.runs or self.plan.removes) or any(w.content != b.content for w, b in same)


def target_of(context: Context, path: Path | None) -> Target:
    """A tool's place in this environment."""
    return Target(context.environ, Path.home(), path, context.clock.now())


def propose(context: Context, tool: Tool, link: Link, path: Path | None = None) -> Proposed:
    """What connecting a tool would change. Raises NotFound for a tool that can't ask, InputError, StorageError."""
    if tool.connect is None:
        raise NotFound(f"{tool.title} has no configuration that asks for a credential", hint=tool.line or "vault tools")
    target = target_of(context, path)
    with tool.lock(target):
        plan = tool.connect(link, target)
        return Proposed(plan, tuple(before(plan)))


def connect(context: Context, tool: Tool, link: Link, shown: Proposed, path: Path | None = None) -> Connection | None:
    """Make the change that was shown; None when there was nothing to change. Raises Conflict when the files changed since."""
    if tool.connect is None or not shown.changes:
        return None
    target = target_of(context, path)
    with tool.lock(target):
        plan = tool.connect(link, target)
        if tuple(before(plan)) != shown.were:
            raise Conflict(f"{tool.title}'s configuration changed meanwhile", hint="run the command again")
        return change(context, tool, link.agent, plan)


def change(context: Context, tool: Tool, agent: str, plan: Plan) -> Connection:
    """Carry out a plan and keep what was there before. The tool's lock is held. Raises StorageError, Unavailable, TryAgain."""
    earlier = connection(context, tool)
    were = before(plan)
    first = {k.path: k for k in earlier.files} if earlier else {}
    made = {str(w.path): hashlib.sha256(w.content).hexdigest() for w in plan.writes}
    files = [_kept(b, made.get(str(b.path), ""), first.get(str(b.path))) for b in were]
    files += [k for k in first.values() if k.path not in {str(b.path) for b in were}]
    ran = any(run.changes for run in plan.runs) or (earlier is not None and earlier.ran)
    kept = Connection(tool=tool.name, agent=agent, at=context.clock.now(), files=files, ran=ran)
    _keep(context, kept)
    try:
        carry_out(plan)
    except BaseException:
        _keep(context, earlier) if earlier else _forget(context, tool)
        raise
    return kept


def disconnect(context: Context, tool: Tool, path: Path | None = None, *, as_it_was: bool = False) -> list[str]:
    """Take a connection back; the paths that were changed. ``as_it_was`` refuses where a person edited a file since.

    Raises NotFound when there is none, Conflict, StorageError, IntegrityError.
    """
    kept = connection(context, tool)
    target = target_of(context, path)
    with tool.lock(target):
        if kept is not None and not kept.ran and all(_untouched(k) for k in kept.files):
            put_back(
                [Before(Path(k.path), None if k.was is None else base64.b64decode(k.was), k.mode) for k in kept.files]
            )
            _forget(context, tool)
            return [k.path for k in kept.files]
        edited = [k.path for k in kept.files if not _untouched(k)] if kept else []
        if as_it_was and (kept is None or edited):
            what = f"{edited[0]} was edited since" if edited else f"{tool.title} isn't connected"
            raise Conflict(what, hint=f"vault disconnect {tool.name} takes out only what was connected")
        if tool.disconnect is None:
            raise NotFound(f"{tool.title} isn't connected", hint="vault tools shows what is")
        plan = tool.disconnect(target)
        if plan.empty and kept is None:
            raise NotFound(f"{tool.title} isn't connected", hint="vault tools shows what is")
        carry_out(plan)
        _forget(context, tool)
        return [str(w.path) for w in plan.writes] + [str(p) for p in plan.removes]


def connection(context: Context, tool: Tool) -> Connection | None:
    """A tool's connection as it is kept here. Raises IntegrityError, StorageError."""
    place = _place(context, tool.name)
    try:
        sealed = read_regular(place, LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{place} can't be read: {error.strerror}", hint="look at its mode") from None
    try:
        return msgspec.json.decode(context.keys.open_aside(sealed, _purpose(tool.name)), type=Connection)
    except msgspec.MsgspecError:
        raise IntegrityError(f"{place} has a shape this vault doesn't know", hint="upgrade agent-vault") from None


def connected(context: Context, names: Sequence[str]) -> set[str]:
    """Which of the named tools are connected by this vault."""
    return {name for name in names if _place(context, name).exists()}


def _kept(was: Before, made: str, first: Kept | None) -> Kept:
    """What to keep of a file: as it was before the first connection, unless a person changed it after that."""
    now = hashlib.sha256(was.content or b"").hexdigest()
    if first is not None and first.made == now:
        return msgspec.structs.replace(first, made=made)
    content = None if was.content is None else base64.b64encode(was.content).decode()
    return Kept(path=str(was.path), was=content, mode=was.mode, made=made)


def _untouched(kept: Kept) -> bool:
    try:
        return hashlib.sha256(read_regular(kept.path, LARGEST)).hexdigest() == kept.made
    except FileNotFoundError:
        return not kept.made
    except OSError:
        return False


def _keep(context: Context, kept: Connection) -> None:
    sealed = context.keys.seal_aside(msgspec.json.encode(kept), _purpose(kept.tool))
    replace_file(_place(context, kept.tool), sealed)


def _forget(context: Context, tool: Tool) -> None:
    _place(context, tool.name).unlink(missing_ok=True)


def _place(context: Context, name: str) -> Path:
    return context.places.state / FOLDER / f"{context.keys.vault_id.hex()}.{name}"


def _purpose(name: str) -> str:
    return f"connection/{name}"
