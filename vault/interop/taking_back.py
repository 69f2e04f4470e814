"""Taking a change of ours out of a file that a person has edited since: what is exactly as it was made goes back, the rest stays.

Three states of the file decide: as it was before the change, as it was made, as it is now. Each entry in which the first two
differ is put back if it is still as it was made; an entry that was changed since stays, and is named. Entries of one section
that was made as a whole stay together, for half of it would be of no use. Entries are those of the file's form (JSON, TOML,
INI, ``.env``); a file of no known form is put back whole or not at all.

Lines are merged first, so that comments, order and spelling stay to the byte; where that doesn't give exactly the entries it
should, the file as it is now is edited entry by entry.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from vault.errors import InputError
from vault.interop.documents import remove_empty
from vault.interop.styled import encoded_like, styled_like
from vault.parsing import ini_document, parse_json, toml_document
from vault.values import text_of

Tree = dict[str, Any]
Steps = tuple[str, ...]
Changes = Sequence[tuple[Steps, Any]]
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A file without what was put in: its content, or None for no file.

    ``kept`` are entries that were changed since and stay; an empty name stands for the whole file.
    """

    content: bytes | None
    kept: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Form:
    """How files of one kind are read as entries, changed entry by entry, and how an entry is named."""

    read: Callable[[str], Tree]
    edit: Callable[[str, Changes], str]
    name: Callable[[Steps], str]


def form_of(tool: str, path: Path) -> Form | None:
    """The form of a tool's file; None where it has none that is known here."""
    if tool == "aws":
        return _INI
    if path.suffix == ".json":
        return _JSON
    if path.suffix == ".toml":
        return _TOML
    return _ENV if tool == "dotenv" or path.name.endswith(".env") else None


def take_back(was: bytes | None, made: bytes | None, now: bytes | None, form: Form | None) -> TakenBack:
    """The file as it should be after a change of ours is taken back. None stands for a file that isn't there."""
    if now == made:
        return TakenBack(was)
    if now in (was, None):
        return TakenBack(now)
    if made is None or form is None:
        return TakenBack(now, [""])
    try:
        texts = [text_of(content or b"") for content in (was, made, now)]
        trees = [form.read(text) for text in texts]
    except InputError:
        return TakenBack(now, [""])
    changes, kept = _changes(*trees)
    wanted = copy.deepcopy(trees[2])
    for steps, value in changes:
        put(wanted, steps, value)
    names = [form.name(steps) for steps in kept]
    if was is None and not wanted:
        return TakenBack(None, names)
    merged = _merged(*texts)
    if merged is None or not _reads_as(form, merged, wanted):
        merged = form.edit(texts[2], changes)
    return TakenBack(encoded_like(now, merged.encode()), names)


def put(tree: Any, steps: Steps, value: Any) -> None:
    """Set an entry, its containers made where they aren't there, or take it out where ``value`` is ABSENT."""
    *path, last = steps
    for step in path:
        if step not in tree:
            if value is _ABSENT:
                return
            tree[step] = {}
        tree = tree[step]
    if value is not _ABSENT:
        tree[last] = value
    elif last in tree:
        del tree[last]


def _changes(was: Tree, made: Tree, now: Tree) -> tuple[list[tuple[Steps, Any]], list[Steps]]:
    """What must be done to the present state to take back what was made of the earlier one, and what was changed since."""
    changes: list[tuple[Steps, Any]] = []
    kept: list[Steps] = []
    for steps, old, new in _differences(was, made, ()):
        current = _at(now, steps)
        if current == old:
            continue
        if current == new:
            # What was taken out of a section that is gone now has no place any more.
            if new is not _ABSENT or _has(now, steps[:-1]) or not _has(made, steps[:-1]):
                changes.append((steps, old))
        elif current is not _ABSENT or old is not _ABSENT:
            kept.append(steps)
    whole = {unit for steps in kept if (unit := _made_whole(was, made, steps)) is not None}
    changes = [(steps, old) for steps, old in changes if _made_whole(was, made, steps) not in whole]
    emptied = [(steps, _ABSENT) for steps in _made_containers(was, made) if _has(now, steps)]
    left = copy.deepcopy(now)
    for steps, value in changes:
        put(left, steps, value)
    for steps, value in emptied:
        if _at(left, steps) == {}:
            put(left, steps, value)
            changes.append((steps, value))
    return changes, kept


def _made_whole(was: Tree, made: Tree, steps: Steps) -> Steps | None:
    """The section that an entry was made with: the outermost one that wasn't there before and holds a value itself."""
    for end in range(1, len(steps)):
        section = _at(made, steps[:end])
        if not isinstance(section, Mapping):
            return None
        own = any(not isinstance(value, Mapping) for value in section.values())
        if own and not isinstance(_at(was, steps[:end]), Mapping):
            return steps[:end]
    return None


def _differences(was: Any, made: Any, at: Steps) -> list[tuple[Steps, Any, Any]]:
    """(entry, as it was, as it was made) of each entry in which two states differ, down to what is no mapping."""
    if isinstance(was, Mapping) or isinstance(made, Mapping):
        one, other = (tree if isinstance(tree, Mapping) else {} for tree in (was, made))
        whole = [tree for tree in (was, made) if tree is not _ABSENT and not isinstance(tree, Mapping)]
        if not whole and (one or other):
            names = [*one, *(name for name in other if name not in one)]
            return [d for n in names for d in _differences(one.get(n, _ABSENT), other.get(n, _ABSENT), (*at, n))]
    return [] if was == made else [(at, was, made)]


def _made_containers(was: Any, made: Any, at: Steps = ()) -> list[Steps]:
    """The mappings that are new in a state, the innermost first."""
    found: list[Steps] = []
    for name, value in made.items():
        if isinstance(value, Mapping):
            before = was.get(name, _ABSENT) if isinstance(was, Mapping) else _ABSENT
            found += _made_containers(before, value, (*at, name))
            found += [] if isinstance(before, Mapping) else [(*at, name)]
    return found


def _at(tree: Any, steps: Steps) -> Any:
    for step in steps:
        if not isinstance(tree, Mapping) or step not in tree:
            return _ABSENT
        tree = tree[step]
    return tree


def _has(tree: Any, steps: Steps) -> bool:
    return _at(tree, steps) is not _ABSENT


def _merged(was: str, made: str, now: str) -> str | None:
    """The lines of the present state without what was made of the earlier one; None where both changed the same lines."""
    end = "\r\n" if any("\r\n" in text for text in (was, made, now)) else "\n"
    old, base, new = (_lines(text, end) for text in (was, made, now))
    back, since = _hunks(base, old), _hunks(base, new)
    if any((a < d and c < b) or ((a, b) == (c, d) and a != b) for a, b, _ in back for c, d, _ in since):
        return None
    lines: list[str] = []
    at = 0
    for start, stop, put_in in sorted([*back, *since], key=lambda hunk: (hunk[0], hunk[1])):
        if start < at:
            return None
        lines += [*base[at:start], *put_in]
        at = stop
    lines += base[at:]
    unended = [known[-1] for known, text in ((old, was), (new, now)) if known and not text.endswith("\n")]
    return "".join(lines).removesuffix(end) if lines and lines[-1] in unended else "".join(lines)


def _lines(text: str, end: str) -> list[str]:
    """The lines of a text, the last one with an end whether it has it there or not."""
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([last + end] if last else [])


def _hunks(base: list[str], other: list[str]) -> list[tuple[int, int, list[str]]]:
    matcher = SequenceMatcher(None, base, other, autojunk=False)
    return [(i, j, other[m:n]) for tag, i, j, m, n in matcher.get_opcodes() if tag != "equal"]


def _reads_as(form: Form, text: str, wanted: Tree) -> bool:
    try:
        return form.read(text) == wanted
    except InputError:
        return False


def _read_json(text: str) -> Tree:
    found = parse_json(text, "it") if text.strip() else {}
    if not isinstance(found, dict):
        raise InputError("it does not hold a JSON object")
    return found


def _edit_json(text: str, changes: Changes) -> str:
    tree = _read_json(text)
    for steps, value in changes:
        put(tree, steps, value)
    return styled_like(text, tree).decode()


def _read_toml(text: str) -> Tree:
    return toml_document(text, "it").unwrap()


def _edit_toml(text: str, changes: Changes) -> str:
    import tomlkit
    from tomlkit.items import Comment, Table

    document = toml_document(text, "it")
    for steps, value in changes:
        table = _at(document, steps)
        commented = isinstance(table, Table) and any(isinstance(item, Comment) for _, item in table.value.body)
        if not (value is _ABSENT and commented):
            put(document, steps, value)
    return tomlkit.dumps(document)


def _read_ini(text: str) -> Tree:
    document = ini_document(text, "it")
    return {s: {name: (o.value or "").strip() for name, o in document[s].items()} for s in document.sections()}


def _edit_ini(text: str, changes: Changes) -> str:
    document = ini_document(text, "it")
    for steps, value in changes:
        section = steps[0]
        if value is _ABSENT:
            if len(steps) == 1:
                remove_empty(document, section)
            elif document.has_section(section):
                document.remove_option(section, steps[1])
            continue
        if not document.has_section(section):
            document.add_section(section)
        if len(steps) > 1:
            document.set(section, steps[1], value)
    return str(document)


def _read_env(text: str) -> Tree:
    from vault.interop.dotenv_lines import bindings

    found: Tree = {}
    for binding in bindings(text):
        if binding.key is not None:
            found[binding.key] = (*found.get(binding.key, ()), binding.original.string.strip())
    return found


def _edit_env(text: str, changes: Changes) -> str:
    from vault.interop.dotenv_lines import bindings

    names = {steps[0] for steps, _ in changes}
    kept = "".join(b.original.string for b in bindings(text) if b.key not in names)
    put_in = [line for _, value in changes if value is not _ABSENT for line in value]
    return (
        kept + ("\n" if kept and put_in and not kept.endswith("\n") else "") + "".join(f"{line}\n" for line in put_in)
    )


def _dotted(steps: Steps) -> str:
    return ".".join(steps)


def _in_section(steps: Steps) -> str:
    return f"[{steps[0]}] {' '.join(steps[1:])}".rstrip()


_JSON, _TOML = Form(_read_json, _edit_json, _dotted), Form(_read_toml, _edit_toml, _dotted)
_INI, _ENV = Form(_read_ini, _edit_ini, _in_section), Form(_read_env, _edit_env, _dotted)
