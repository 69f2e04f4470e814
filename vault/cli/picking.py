"""One of many, chosen by a person: a list that narrows as they type; on a plain terminal, numbers of what is shown.

A terminal that can't move its cursor (``TERM=dumb``), or is tiny, gets the plain way: up to so many rows with numbers, and a
number chooses what is shown with it, or is refused. Whatever is typed and chooses nothing is said to be so, and isn't repeated:
it may be a secret that was pasted too early. Ctrl-C and Ctrl-D end both ways, and leave the terminal as it was.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from vault.cli import output, streams
from vault.guessing import LONGEST, nearest
from vault.showing import looks_secret, printable

PLAIN_ROWS = 12
VALUE, NAME = 20, 18
_SMALLEST = (40, 8)
_HELP = "type part of a name; arrow keys move, Enter chooses"


@dataclass(frozen=True, slots=True)
class Choice:
    """One that can be chosen: what it is, its name, what to know about it, and other names that it is found by."""

    value: str
    name: str = ""
    note: str = ""
    also: tuple[str, ...] = ()
    new: bool = False

    def names(self) -> list[str]:
        """What it is found by, in lower case."""
        return [name.casefold() for name in (self.value, self.name, *self.also) if name]

    def row(self, width: int) -> str:
        """It in one line of so many columns. What it is is never cut."""
        line = f"{self.value:<{VALUE}} {self.name[:NAME]:<{NAME}} {self.note}" if self.note or self.name else self.value
        return printable(line.rstrip())[: max(width, len(self.value))]


def narrowed(choices: Sequence[Choice], typed: str) -> list[Choice]:
    """Those that a text may mean, the likeliest first; where it is part of no name, those most like it."""
    text = typed.strip().casefold()
    if not text:
        return list(choices)
    ranked: list[tuple[int, int, Choice]] = []
    for place, choice in enumerate(choices):
        names = choice.names()
        if any(text in name for name in names):
            rank = 0 if text in names[:2] else 1 if any(name.startswith(text) for name in names[:2]) else 2
            ranked.append((rank, place, choice))
    if ranked:
        return [choice for _, _, choice in sorted(ranked, key=lambda row: row[:2])]
    spelt = {name: choice for choice in choices for name in choice.names()}
    return list(dict.fromkeys(spelt[name] for name in nearest(text, spelt)))


def choose(question: str, choices: Sequence[Choice], *, new: Callable[[str], Choice | None] = lambda _: None) -> Choice:
    """Let a person choose. ``new`` makes a choice of a text that is none of them, or None. Raises Abort when they don't."""
    way = _narrowing if _can_draw() else _numbered
    return way(question, choices, new)


def offered(choices: Sequence[Choice], typed: str, new: Callable[[str], Choice | None]) -> list[Choice]:
    """What is shown for a text: those whose names hold it, or else those like it and what it would be if it is none of them."""
    found, text = narrowed(choices, typed), typed.strip()
    if any(text.casefold() in name for choice in found for name in choice.names()):
        return found
    made = new(text) if not text.isdigit() and len(text) <= LONGEST and not looks_secret(text) else None
    return [*found, made] if made is not None else found


def _can_draw() -> bool:
    if not (streams.on_terminal("stdin") and streams.on_terminal("stderr")):
        return False
    if os.name != "nt" and os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return False
    columns, lines = shutil.get_terminal_size()
    return columns >= _SMALLEST[0] and lines >= _SMALLEST[1]


def _numbered(question: str, choices: Sequence[Choice], new: Callable[[str], Choice | None]) -> Choice:
    width = shutil.get_terminal_size().columns - 6
    shown: list[Choice] = []
    found: list[Choice] = list(choices)
    while True:
        if found:
            shown = found[:PLAIN_ROWS]
            for number, choice in enumerate(shown, start=1):
                output.say(f"  {number:2}  {choice.row(width)}")
            rest = len(found) - len(shown)
            more = f", or more of the name: {rest} aren't shown" if rest else ", or part of another name"
            output.say(f"Type a number{more}.")
        typed = output.ask(question, "", show_default=False).strip()
        if typed in ("", "?"):
            found = list(choices)
            continue
        if typed.isascii() and typed.isdigit():
            if 1 <= int(typed) <= len(shown):
                return shown[int(typed) - 1]
            output.say(f"there is no number {typed} here" if len(typed) < 4 else "there is no such number here")
            found = shown
            continue
        found = offered(choices, typed, new)
        exact = [c for c in found if typed.casefold() in (c.value.casefold(), c.name.casefold()) and not c.new]
        if exact or (len(found) == 1 and not found[0].new):
            one = (exact or found)[0]
            output.say(f"{one.value} ({one.name})" if one.name else one.value)
            return one
        if not found:
            output.say("nothing here is called that")


def _narrowing(question: str, choices: Sequence[Choice], new: Callable[[str], Choice | None]) -> Choice:
    picked = _Picker(question, choices, new).run()
    output.say(f"{question}: {picked.value}")
    return picked


class _Picker:
    """The list that narrows, drawn below the line that is typed."""

    def __init__(self, question: str, choices: Sequence[Choice], new: Callable[[str], Choice | None]) -> None:
        from prompt_toolkit.buffer import Buffer

        self.question, self.choices, self.new = question, choices, new
        self.buffer = Buffer(multiline=False, on_text_changed=lambda _: self.changed())
        self.found = list(choices)
        self.at, self.moved, self.told = 0, False, ""
        columns, lines = shutil.get_terminal_size()
        self.width, self.height = columns - 1, max(3, min(len(choices) + 1, lines - 4))

    def changed(self) -> None:
        """Narrow to what is typed now."""
        if len(self.buffer.text) > LONGEST:
            self.buffer.reset()
            self.told = "that is too long for a name"
            return
        self.found = offered(self.choices, self.buffer.text, self.new)
        self.at, self.moved, self.told = 0, False, ""

    def move(self, by: int) -> None:
        """Go up or down."""
        self.at = max(0, min(len(self.found) - 1, self.at + by))
        self.moved, self.told = True, ""

    def enter(self) -> Choice | None:
        """What Enter chooses; None when there is nothing to choose, and why is told."""
        text = self.buffer.text.strip()
        if text == "?" or (text.isdigit() and not self.moved):
            self.told = "no row has a number: type part of a name, or move with the arrow keys"
        elif not self.found:
            self.told = "nothing here is called that"
        else:
            return self.found[self.at]
        return None

    def take(self, event: Any) -> None:
        """End with what Enter chooses, if it chooses anything."""
        found = self.enter()
        if found is not None:
            event.app.exit(result=found)

    def rows(self) -> Any:
        """The list as far as there is room, with a mark at the row that Enter chooses."""
        first = max(0, min(self.at - self.height // 2, len(self.found) - self.height))
        shown = self.found[first : first + self.height]
        lines = [
            (
                "class:chosen" if first + n == self.at else "",
                f"{'>' if first + n == self.at else ' '} {c.row(self.width - 2)}",
            )
            for n, c in enumerate(shown)
        ]
        return [(style, line + "\n") for style, line in lines]

    def status(self) -> str:
        """The last line."""
        listed = sum(not c.new for c in self.found)
        return (self.told or f"{listed} of {len(self.choices)}: {_HELP}")[: self.width]

    def run(self) -> Choice:
        """Draw, and wait for a choice. Raises KeyboardInterrupt, Abort."""
        from prompt_toolkit.application import Application
        from prompt_toolkit.input import create_input
        from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, VSplit, Window
        from prompt_toolkit.styles import Style

        asked = f"{self.question}: "
        typing = Window(BufferControl(self.buffer), height=1)
        body = HSplit(
            [
                VSplit(
                    [Window(FormattedTextControl(asked), width=len(asked), height=1, dont_extend_width=True), typing]
                ),
                Window(FormattedTextControl(self.rows), height=self.height, wrap_lines=False),
                Window(FormattedTextControl(self.status), height=1),
            ]
        )
        plain = streams.plain()
        application: Any = Application(
            layout=Layout(body, focused_element=typing),
            key_bindings=self.keys(),
            style=Style.from_dict({} if plain else {"chosen": "reverse"}),
            erase_when_done=True,
            input=create_input(sys.stdin),
            output=streams.screen(),
        )
        try:
            picked: Choice = application.run()
        except EOFError:
            raise typer.Abort from None
        return picked

    def keys(self) -> Any:
        """What the keys do."""
        from prompt_toolkit.key_binding import KeyBindings

        bindings = KeyBindings()
        for names, by in ((("up", "c-p", "s-tab"), -1), (("down", "c-n", "tab"), 1)):
            for name in names:
                bindings.add(name)(lambda _, by=by: self.move(by))
        for name, way in (("pageup", -1), ("pagedown", 1)):
            bindings.add(name)(lambda _, way=way: self.move(way * self.height))

        bindings.add("enter")(self.take)
        for name, end in (("c-c", KeyboardInterrupt), ("c-d", EOFError)):
            bindings.add(name)(lambda event, end=end: event.app.exit(exception=end))
        return bindings
