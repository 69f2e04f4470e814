"""What a sign-in or a refresh asks of the outside world, as values. A flow yields them; the driver does them.

A flow is a generator that does no I/O: it yields a step, is sent that step's result, and returns its own. The helpers here
give each result its type, so a flow reads ``answer = yield from send(request)``. Time comes in with each answer, randomness
as an argument. Nothing that a step shows to a person holds a secret, and no step's repr shows a URL's path, a header or a body.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from vault.errors import TryAgain
from vault.values import Instant

T = TypeVar("T")

LARGEST_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. ``seconds`` bounds the whole exchange, ``limit`` the answer's body, in bytes.

    ``redirects`` is how many may be followed to the same origin; with ``elsewhere``, for what carries no credential, to any.
    ``retries`` is how often the driver may repeat it when it surely was not processed.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 30.0
    redirects: int = 0
    retries: int = 2
    limit: int = LARGEST_BODY
    elsewhere: bool = False

    @property
    def host(self) -> str:
        """The host it goes to, for messages."""
        return urlsplit(self.url).hostname or ""

    def __repr__(self) -> str:
        return f"<request {self.method} {self.host}>"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``at`` is when it came by our clock, ``date`` what its Date header says; microseconds UTC.

    ``retry_after`` is a time to wait in microseconds. ``broken`` says why the body is not whole, and is empty when it is; of a
    body that is too large ``body`` is the beginning.
    """

    host: str
    status: int
    at: Instant
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""
    date: Instant | None = None
    retry_after: int | None = None
    location: str = field(default="", repr=False)
    etag: str = field(default="", repr=False)
    broken: str = ""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer came. ``sent`` is False only when the request surely did not reach the provider."""

    host: str
    sent: bool
    why: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Send:
    """Do an HTTP exchange. Result: Response or NoAnswer."""

    request: Request


@dataclass(frozen=True, slots=True)
class Listen:
    """Open a loopback listener for the redirect: the first port that is free, 0 for any. Result: the port, or None."""

    ports: tuple[int, ...]
    path: str
    state: str = field(repr=False)
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class OpenBrowser:
    """Show a URL and open it in a browser. Result: whether a browser was opened."""

    url: str


@dataclass(frozen=True, slots=True)
class ReceiveRedirect:
    """Wait for the redirect, and for a pasted code or URL at the same time. Result: Redirected, Pasted, or None at time-out."""

    seconds: float
    prompt: str


@dataclass(frozen=True, slots=True)
class Redirected:
    """What arrived at the loopback listener."""

    query: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pasted:
    """What a person pasted."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShowCode:
    """Show a device code and where to type it. ``complete_url`` has the code in it; ``expires_in`` is in seconds."""

    user_code: str
    url: str
    complete_url: str | None
    expires_in: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait so many seconds, saying why; a person may interrupt it."""

    seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a person for a line. Result: the line."""

    prompt: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    """Ask a person to agree. With ``argv``, agreeing allows that command to be run. Result: whether they did."""

    text: str
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tell:
    """Say a sentence to a person."""

    text: str


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Run a program that was consented to and take what it prints. Result: Output, or None when it can't be run here.

    ``terminal`` gives it a terminal of its own, joined to the person's; of a secret it draws there that starts with ``hide``,
    the person's shows no more than that.
    """

    argv: tuple[str, ...]
    terminal: bool = False
    seconds: float = 300.0
    hide: str = ""


@dataclass(frozen=True, slots=True)
class FindProgram:
    """Look whether a program is there to be run. Result: whether it is."""

    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """What a program printed, and how it ended."""

    status: int
    text: str = field(repr=False)


Step = Send | Listen | OpenBrowser | ReceiveRedirect | ShowCode | Wait | Ask | Consent | Tell | FindProgram | RunCommand
Flow = Generator[Step, Any, T]


def send(request: Request) -> Flow[Response | NoAnswer]:
    """Do an exchange; whatever comes of it is the result."""
    answer: Response | NoAnswer = yield Send(request)
    return answer


def fetch(request: Request) -> Flow[Response]:
    """Do an exchange that must bring an answer, whole or not. Raises TryAgain when none came."""
    answer = yield from send(request)
    if isinstance(answer, NoAnswer):
        raise TryAgain(answer.why, hint="run the same command again")
    return answer


def listen(ports: tuple[int, ...], path: str, state: str, host: str) -> Flow[int | None]:
    """Open the listener; its port, or None when none of the ports can be had."""
    port: int | None = yield Listen(ports, path, state, host)
    return port


def open_browser(url: str) -> Flow[bool]:
    """Show and open a URL; whether a browser was opened."""
    opened: bool = yield OpenBrowser(url)
    return opened


def receive(seconds: float, prompt: str) -> Flow[Redirected | Pasted | None]:
    """Wait for the redirect or a pasted answer."""
    arrived: Redirected | Pasted | None = yield ReceiveRedirect(seconds, prompt)
    return arrived


def ask(prompt: str, *, hidden: bool = False) -> Flow[str]:
    """Ask a person for a line."""
    line: str = yield Ask(prompt, hidden)
    return line


def consent(text: str, argv: tuple[str, ...] = ()) -> Flow[bool]:
    """Ask a person to agree."""
    agreed: bool = yield Consent(text, argv)
    return agreed


def tell(text: str) -> Flow[None]:
    """Say a sentence."""
    yield Tell(text)


def wait(seconds: float, why: str = "") -> Flow[None]:
    """Wait."""
    yield Wait(seconds, why)


def find_program(name: str) -> Flow[bool]:
    """Whether a program is there to be run."""
    found: bool = yield FindProgram(name)
    return found


def run_command(argv: tuple[str, ...], *, terminal: bool = False, hide: str = "") -> Flow[Output | None]:
    """Run a program that was consented to."""
    output: Output | None = yield RunCommand(argv, terminal, hide=hide)
    return output
