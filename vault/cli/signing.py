"""Signing in with a person at a terminal: choosing the method, showing what a flow asks, pasting what a browser shows."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from vault.cli import output
from vault.cli.session import ask_hidden, can_ask
from vault.errors import SignInAgain, UsageError

if TYPE_CHECKING:
    from vault.providers.loopback import Paste
    from vault.providers.methods import Method
    from vault.providers.steps import ShowCode

TYPED = ("api_key", "token")


class Terminal:
    """A flow's face on this terminal. Everything goes to stderr."""

    def __init__(self) -> None:
        self._waiting = ""

    def open_browser(self, url: str) -> bool:
        """Show a URL and open it where there is a screen."""
        output.say("Open this address to sign in:")
        output.say(f"  {url}")
        if any(os.environ.get(n) for n in ("SSH_CONNECTION", "SSH_TTY", "VAULT_NO_BROWSER")):
            return False
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return False
        import webbrowser

        return webbrowser.open(url)

    def show_code(self, code: ShowCode) -> None:
        """Show a device code and where to type it."""
        output.say(f"Open {code.url} and type this code: {code.user_code}")
        if code.complete_url and code.complete_url != code.url:
            output.say(f"or open {code.complete_url}")
        output.say(f"The code ends in {max(code.expires_in // 60, 1)} minutes. Ctrl-C gives up.")

    def tell(self, text: str) -> None:
        """Say a sentence."""
        output.say(output.printable(text))

    def waiting(self, text: str) -> None:
        """Say what is waited for, once."""
        if text and text != self._waiting:
            self._waiting = text
            output.say(output.printable(text))

    def ask(self, prompt: str, hidden: bool) -> str:
        """Ask for a line."""
        return ask_hidden(prompt) if hidden else str(typer.prompt(prompt.rstrip(": "), err=True))

    def consent(self, text: str) -> bool:
        """Ask whether the person agrees; no is the default."""
        output.say(output.printable(text))
        return typer.confirm("Agree?", default=False, err=True)

    @property
    def paste(self) -> Paste | None:
        """Reads a pasted line from this terminal."""
        return _paste if sys.stdin.isatty() else None


def _paste(prompt: str, stopped: Callable[[], bool]) -> str | None:
    from vault.providers.loopback import read_line

    sys.stderr.write(prompt)
    sys.stderr.flush()
    return read_line(sys.stdin.fileno(), stopped)


def choose_method(provider: str, named: str, device: bool, browser: bool, no_input: bool) -> Method:
    """The method a person named, the only one, or the one they choose. Raises UsageError, NotFound."""
    from vault.providers.methods import method, methods

    if sum((bool(named), device, browser)) > 1:
        raise UsageError("two ways to sign in are named", hint="name one of --method, --device and --browser")
    offered = methods(provider)
    if device or browser:
        kinds = ("device", "github_exchange") if device else ("browser", "pkce_key")
        found = next((m for m in offered if m.kind in kinds), None)
        return found or method(provider, "device" if device else "browser")
    if named or len(offered) < 2 or not can_ask(no_input):
        return method(provider, named)
    for number, one in enumerate(offered, start=1):
        output.say(f"  {number} {one.label}" + (" (recommended)" if number == 1 else ""))
    while True:
        picked: int = typer.prompt("How", default=1, type=int, err=True)
        if 1 <= picked <= len(offered):
            return offered[picked - 1]


def need_a_person(line: str, no_input: bool) -> None:
    """Only a person signs in. Raises SignInAgain with the exact line to type when there is none here."""
    if not can_ask(no_input):
        raise SignInAgain("a person must sign in, and there is no terminal here", hint=line)
