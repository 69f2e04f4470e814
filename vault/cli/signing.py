"""Signing in with a person at a terminal: which way, what a flow shows and asks, and the line to type where nobody is there.

Only a person signs in. What is asked is asked of the terminal, also where standard input is something else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vault.cli import output, streams
from vault.cli.session import ask_hidden, can_ask
from vault.cli.targets import find_target, pick
from vault.commands.advice import login_line, provider_of_url
from vault.commands.naming import is_profile
from vault.errors import SignInAgain, UsageError
from vault.values import DEFAULT_NAME, ProfileId, profile_id, provider_of

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
        """Show a URL and open it where there is a screen, or the browser that BROWSER names."""
        here = _has_browser()
        output.say("Sign in in the browser. If it shows nothing, open this address:" if here else "Open this address:")
        output.say(f"  {url}")
        if not here:
            output.say(
                "Where the browser is on another machine its last page can't load: paste that page's address here."
            )
            return False
        import webbrowser

        with _quiet_browser():
            return webbrowser.open(url)

    def show_code(self, code: ShowCode) -> None:
        """Show a device code and where to type it."""
        output.say(f"Open {code.url} and type this code: {code.user_code}")
        if code.complete_url and code.complete_url != code.url:
            output.say(f"Or open {code.complete_url}, which has the code in it.")
        output.say(f"The code expires in {max(code.expires_in // 60, 1)} minutes.")

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
        return ask_hidden(prompt) if hidden else output.ask(prompt.rstrip(": "))

    def consent(self, text: str) -> bool:
        """Ask whether the person agrees: the last line is the question. No is the default."""
        return output.confirm(text)

    @property
    def paste(self) -> Paste | None:
        """Reads a pasted line from this terminal."""
        return _paste if streams.on_terminal("stdin") else None


def _paste(prompt: str, stopped: Callable[[], bool]) -> str | None:
    from vault.providers.loopback import read_line

    streams.talk(output.printable(prompt))
    line = read_line(0, stopped)
    if line is None:
        streams.talk("\n")
    return line


def _has_browser() -> bool:
    if os.environ.get("VAULT_NO_BROWSER"):
        return False
    if os.environ.get("BROWSER"):
        return True
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return False
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform != "linux" or any(os.environ.get(name) for name in screens)


@contextmanager
def _quiet_browser() -> Iterator[None]:
    """Keep a browser's chatter out of what is printed here. One that BROWSER names may draw on the terminal."""
    if os.name != "posix":
        yield
        return
    talk = os.dup(2) if os.environ.get("BROWSER") else os.open(os.devnull, os.O_WRONLY)
    before = {number: os.dup(number) for number in (1, 2)}
    try:
        for number in before:
            os.dup2(talk, number)
        yield
    finally:
        for number, kept in before.items():
            os.dup2(kept, number)
            os.close(kept)
        os.close(talk)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A sign-in as it was asked for. ``line`` is what a person types for it."""

    what: str = ""
    profile: str = ""
    agent: str = "main"
    method: str = ""
    device: bool = False
    browser: bool = False
    issuer: str = ""
    client_id: str = ""
    host: str = ""
    scopes: tuple[str, ...] = ()
    label: str = ""
    reason: str = ""
    url: str = ""

    @property
    def named(self) -> bool:
        """Whether a way to sign in is named."""
        return bool(self.method or self.device or self.browser or self.issuer or self.host)

    def given(self) -> dict[str, str]:
        """The answers to a method's needs that came with the command."""
        url = self.what if is_url(self.what) else self.url
        return {"issuer": self.issuer, "client_id": self.client_id, "host": self.host, "url": url}

    def again(self, before: Mapping[str, str]) -> Wanted:
        """The same with what was given when the profile was signed in to; what is given now comes first."""
        return replace(
            self,
            issuer=self.issuer or before.get("issuer", ""),
            client_id=self.client_id or before.get("client_id", ""),
            host=self.host or before.get("host", ""),
            url=self.url or before.get("url", ""),
            scopes=self.scopes or tuple(before.get("scopes", "").split()),
        )

    def line(self) -> str:
        """The exact line a person types."""
        pairs = (
            ("--profile", self.profile),
            ("--issuer", self.issuer),
            ("--client-id", self.client_id),
            ("--host", self.host),
            *(("--scope", scope) for scope in self.scopes),
            ("--label", self.label),
            ("--reason", self.reason),
        )
        extra = [word for name, value in pairs if value for word in (name, value)]
        flags = (("--device", self.device), ("--browser", self.browser))
        extra += [flag for flag, on in flags if on]
        return login_line(self.what, self.agent, self.method, extra)


def is_url(text: str) -> bool:
    """Whether a text is a URL, and not a profile that is called after one."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and ":" not in scheme


def as_before(wanted: Wanted, before: Mapping[str, str]) -> tuple[Wanted, Method] | None:
    """The way a profile was signed in to, where nothing else is asked for; None where a person should choose.

    They choose where only the provider is named and it has other ways too. ``before`` is what is remembered of the profile.
    """
    from vault.providers.methods import DISCOVERY, DISCOVERY_DEVICE, URL, methods

    name = before.get("method", "")
    if not name or wanted.method not in ("", name):
        return None
    target = find_target(wanted.what, wanted.profile)
    offered = {m.id: m for m in methods(provider_of(target))}
    found = {m.id: m for m in (DISCOVERY, DISCOVERY_DEVICE, URL)}.get(name) or offered.get(name)
    named = is_profile(wanted.what) or bool(wanted.profile or wanted.method)
    if found is None or (name in offered and len(offered) > 1 and not named):
        return None
    if wanted.client_id and not (found.client or "client_id" in found.needs):
        return None
    if not wanted.method and (len(offered) > 1 or name not in offered):
        other = f"vault wizard {provider_of(target)} lists other ways" if len(offered) > 1 else ""
        output.say(f"signing in as before: {found.label}" + (f"; {other}" if other else ""))
    return wanted.again(before), found


def find_way(
    wanted: Wanted, typed: bool, no_input: bool, before: Mapping[str, str] | None = None
) -> tuple[ProfileId, Method]:
    """The profile and the method of a login. ``typed`` says that a secret is given. A person may be asked.

    ``before`` is what is remembered of the profile: its way is what a person is offered first. Raises UsageError,
    NotFound, InputError, and SignInAgain where a person is needed and nobody is there.
    """
    from vault.providers.methods import DISCOVERY, DISCOVERY_DEVICE, URL

    url = is_url(wanted.what)
    if sum((bool(wanted.method), wanted.device, wanted.browser)) > 1:
        raise UsageError("two ways to sign in are named", hint="name one of --method, --device and --browser")
    if typed and (url or wanted.issuer or wanted.device or wanted.browser or wanted.host):
        raise UsageError("a secret and a sign-in are both asked for", hint="leave out one of them")
    if wanted.issuer:
        if not wanted.client_id:
            raise UsageError("no client is named", hint="add --client-id ID")
        if wanted.method or wanted.host or url:
            raise UsageError("two ways to sign in are named", hint="use --issuer with a provider's name, or with none")
        default = profile_id(provider_of_url(wanted.issuer), wanted.profile.rpartition(":")[2] or DEFAULT_NAME)
        named = bool(wanted.what or ":" in wanted.profile)
        target = find_target(wanted.what, wanted.profile) if named else default
        method = DISCOVERY_DEVICE if wanted.device else DISCOVERY
    elif url:
        if wanted.named:
            raise UsageError("two ways to sign in are named", hint="a URL says itself how to sign in there")
        target = profile_id(provider_of_url(wanted.what), wanted.profile or DEFAULT_NAME)
        method = URL
    else:
        target = find_target(wanted.what, wanted.profile)
        method = _choose(provider_of(target), wanted, typed, no_input, (before or {}).get("method", ""))
    if wanted.client_id and not (wanted.issuer or method.client):
        raise UsageError(f"{method.label} has no OAuth client", hint="leave out --client-id, or add --issuer URL")
    if typed and method.kind not in TYPED:
        raise UsageError("a secret and a sign-in are both asked for", hint="leave out one of them")
    if method.kind == "none":
        raise UsageError(f"{provider_of(target)} needs no credential", hint="use it as it is")
    if method.interactive and not can_ask(no_input):
        raise SignInAgain("a person must sign in, and there is no terminal here", hint=wanted.line())
    return target, method


def _choose(provider: str, wanted: Wanted, typed: bool, no_input: bool, before: str) -> Method:
    """The method that was named, the only one, the one that takes a given secret, or the one a person chooses."""
    from vault.providers.methods import API_KEY, method, methods

    offered = methods(provider)
    if wanted.device or wanted.browser:
        kinds = ("device", "github_exchange") if wanted.device else ("browser", "pkce_key")
        found = [m for m in offered if m.kind in kinds]
        found = [m for m in found if "host" in m.needs] if wanted.host else found
        return found[0] if found else method(provider, "device" if wanted.device else "browser")
    if wanted.method:
        return method(provider, wanted.method)
    if wanted.host:
        found = [m for m in offered if "host" in m.needs]
        if not found:
            raise UsageError(f"{provider} has no sign-in at another host", hint="leave out --host")
        return found[0]
    if typed:
        return next((m for m in offered if m.kind in TYPED), API_KEY)
    if len(offered) < 2 or not can_ask(no_input):
        return method(provider)
    output.say(f"Ways to sign in at {provider}:")
    default = next((number for number, one in enumerate(offered, start=1) if one.id == before), 1)
    for number, one in enumerate(offered, start=1):
        advice = " (recommended)" if number == 1 and "recommended" not in one.label else ""
        output.say(f"  {number} {one.label}{' (as before)' if one.id == before else advice}")
    return pick("Which", offered, default=default)


def attend(no_input: bool) -> None:
    """Let what is asked be asked of the terminal where standard input is something else, a pipe or a script."""
    if os.name != "posix" or streams.on_terminal("stdin") or not can_ask(no_input):
        return
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDWR)
        streams.take_input(terminal)
