"""connect, disconnect: a tool's configuration asks the vault. What the files were, and were made to be, is kept, sealed, in the
state folder.

A change is proposed and shown before it is made. ``disconnect`` puts the files back as they were; where a person edited them
since, exactly what was put in is taken out, and the edits stay. Without that record only such entries are taken out as can be
nobody else's: a whole command line that starts with this vault's own path and bears the tool's name.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from msgspec import structs

from vault.commands.losing import would_lose
from vault.context import Context
from vault.errors import Conflict, IntegrityError, NotFound, StorageError
from vault.files import read_regular, replace_file
from vault.interop.findings import Skipped
from vault.interop.plans import Link, Plan, Target, Write
from vault.interop.taking_back import TakenBack, form_of, take_back
from vault.interop.tools import Tool
from vault.interop.writing import LARGEST, Before, as_written_there, before, carry_out
from vault.values import MAIN_AGENT, format_instant

FOLDER = "connections"
_SINCE = "it was changed since"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a connection: what it was and what it was made to be (base64, None when it isn't there).

    ``made`` is the digest (SHA-256) of what it was made to be, empty for a file that was removed; ``now`` is its content.
    """

    path: str
    was: str | None
    mode: int
    made: str
    now: str | None = None


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that asks the vault. ``at`` is microseconds UTC; ``ran`` says that commands of the tool changed its store too.

    ``commands`` are the paths by which it was told to ask; ``ended`` is when it was taken back, 0 for one that stands.
    """

    tool: str
    agent: str
    at: int
    files: list[Kept]
    ran: bool = False
    commands: list[str] = []
    ended: int = 0


@dataclass(frozen=True, slots=True)
class TakenFrom:
    """What a disconnect did to a file: ``restored`` to what it was, ``removed``, or ``changed``, for it was edited since."""

    path: str
    done: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """What a disconnect did. ``kept`` is what looks like ours, or was, and stays as a person made it."""

    tool: str
    files: tuple[TakenFrom, ...]
    kept: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


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
        plan = as_written_there(tool.connect(link, target))
        plan.notes += [
            f"{found.path} held a credential of {found.profile} that the vault doesn't have; vault disconnect brings it back"
            for found in would_lose(context, tool, plan, target)
        ]
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
        return change(context, tool, link, plan)


def change(context: Context, tool: Tool, link: Link, plan: Plan) -> Connection:
    """Carry out a plan and keep what was there before. The tool's lock is held. Raises StorageError, Unavailable, TryAgain."""
    earlier = connection(context, tool)
    were = before(as_written_there(plan))
    first = {k.path: k for k in earlier.files} if earlier else {}
    made: dict[str, bytes | None] = {str(w.path): w.content for w in plan.writes}
    files = [_kept(tool, b, made.get(str(b.path)), first.get(str(b.path))) for b in were]
    files += [k for k in first.values() if k.path not in {str(b.path) for b in were}]
    kept = Connection(
        tool=tool.name,
        agent=link.agent,
        at=context.clock.now(),
        files=files,
        ran=any(run.changes for run in plan.runs) or (earlier is not None and earlier.ran),
        commands=list(dict.fromkeys([*(earlier.commands if earlier else ()), link.command])),
    )
    _keep(context, kept)
    try:
        carry_out(plan)
    except BaseException:
        _keep(context, earlier) if earlier else _forget(context, tool)
        raise
    return kept


def disconnect(
    context: Context, tool: Tool, command: str, path: Path | None = None, *, as_it_was: bool = False
) -> Disconnected:
    """Take a connection back. ``command`` is this vault's own path; ``as_it_was`` refuses where a person edited a file since.

    What was taken back is kept as the connection was, without the contents. Raises NotFound when there is none, Conflict,
    StorageError, IntegrityError.
    """
    kept = connection(context, tool)
    target = replace(target_of(context, path), commands=frozenset([command, *(kept.commands if kept else ())]))
    with tool.lock(target):
        mine = [k for k in kept.files if _within(k.path, path)] if kept else []
        edited = [k.path for k in mine if not _untouched(k)]
        if as_it_was and (not mine or edited):
            what = f"{edited[0]} was edited since" if edited else f"{tool.title} isn't connected"
            raise Conflict(what, hint=f"vault disconnect {tool.name} takes out only what was connected")
        if kept is None or not mine or kept.ran or any(k.now is None and k.made for k in mine if k.path in edited):
            plan = as_written_there(tool.disconnect(target)) if tool.disconnect else Plan(tool.name)
        else:
            plan = _taken_back(tool, mine)
        were = before(plan)
        done = [_told(w, kept, plan) for w, changes in zip(were, _new(plan), strict=True) if w.content != changes]
        if not (done or plan.runs or mine):
            raise _not_connected(context, tool, plan)
        carry_out(plan)
        _end(context, kept, tool, mine, done)
    return Disconnected(tool.name, tuple(done), tuple(plan.left_out), tuple(plan.notes))


def connection(context: Context, tool: Tool) -> Connection | None:
    """A tool's connection as it is kept here, None when there is none now. Raises IntegrityError, StorageError."""
    found = _recorded(context, tool)
    return None if found is None or found.ended else found


def _recorded(context: Context, tool: Tool) -> Connection | None:
    """The last that is kept of a tool: a connection that stands, or one that was taken back."""
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


def _taken_back(tool: Tool, mine: Sequence[Kept]) -> Plan:
    """What takes a change back, file by file."""
    plan = Plan(tool.name)
    for kept in mine:
        path = Path(kept.path)
        (there,) = before(Plan(tool.name, removes=[path]))
        was, made = _bytes(kept.was), _bytes(kept.now)
        form = form_of(tool.name, path)
        back = TakenBack(was) if _untouched(kept) else take_back(was, made, there.content, form)
        plan.left_out += [Skipped(name, kept.path, _SINCE) for name in back.kept]
        if back.content is None:
            plan.removes.append(path)
        elif back.content != there.content:
            mode = kept.mode if there.content is None or back.content == was else there.mode
            plan.writes.append(Write(path, back.content, mode))
    return plan


def _new(plan: Plan) -> list[bytes | None]:
    return [*(w.content for w in plan.writes), *(None for _ in plan.removes)]


def _told(was: Before, kept: Connection | None, plan: Plan) -> TakenFrom:
    content = next((w.content for w in plan.writes if w.path == was.path), None)
    if content is None:
        return TakenFrom(str(was.path), "removed")
    same = kept is not None and any(k.path == str(was.path) and _bytes(k.was) == content for k in kept.files)
    return TakenFrom(str(was.path), "restored" if same else "changed")


def _not_connected(context: Context, tool: Tool, plan: Plan) -> NotFound:
    """The error that says so: whether it ever was, and what there looks like a connection and isn't this vault's."""
    earlier = _recorded(context, tool)
    what = f"{tool.title} isn't connected by this vault"
    if earlier is not None and earlier.ended:
        what += f": it was disconnected at {format_instant(earlier.ended)}"
    if plan.left_out:
        what += "; " + "; ".join(f"{s.name} in {s.path} stays: {s.why}" for s in plan.left_out)
    return NotFound(what, hint="nothing was changed; vault tools shows what can be connected")


def _end(
    context: Context, kept: Connection | None, tool: Tool, mine: Sequence[Kept], done: Sequence[TakenFrom]
) -> None:
    """Record that a connection was taken back; one that has files left elsewhere stands for those."""
    left = [k for k in kept.files if k not in mine] if kept else []
    now = context.clock.now()
    if kept is not None and left:
        _keep(context, structs.replace(kept, files=left))
        return
    files = [Kept(path=one.path, was=None, mode=0, made=_digest(Path(one.path))) for one in done]
    ended = kept or Connection(tool=tool.name, agent=context.actor.agent or MAIN_AGENT, at=now, files=[])
    _keep(context, structs.replace(ended, files=files, ended=now))


def _kept(tool: Tool, was: Before, made: bytes | None, first: Kept | None) -> Kept:
    """What to keep of a file: as it was before the first connection, and with it what a person changed after that."""
    content, mode = was.content, was.mode
    if first is not None:
        before_it, made_then = _bytes(first.was), _bytes(first.now)
        if _digest_of(content) == first.made:
            content, mode = before_it, first.mode
        elif made_then is not None:
            content = take_back(before_it, made_then, content, form_of(tool.name, was.path)).content
    return Kept(path=str(was.path), was=_text(content), mode=mode, made=_digest_of(made), now=_text(made))


def _untouched(kept: Kept) -> bool:
    try:
        return _digest(Path(kept.path)) == kept.made
    except StorageError:
        return False


def _within(path: str, place: Path | None) -> bool:
    return place is None or Path(path) == place.absolute() or place.absolute() in Path(path).parents


def _digest(path: Path) -> str:
    (there,) = before(Plan("", removes=[path]))
    return _digest_of(there.content)


def _digest_of(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def _keep(context: Context, kept: Connection) -> None:
    sealed = context.keys.seal_aside(msgspec.json.encode(kept), _purpose(kept.tool))
    replace_file(_place(context, kept.tool), sealed)


def _forget(context: Context, tool: Tool) -> None:
    _place(context, tool.name).unlink(missing_ok=True)


def _place(context: Context, name: str) -> Path:
    return context.places.state / FOLDER / f"{context.keys.vault_id.hex()}.{name}"


def _purpose(name: str) -> str:
    return f"connection/{name}"
