"""Runs a flow: does each step it yields, over HTTP, on loopback, in a terminal. The only place that does a sign-in's I/O.

Each exchange goes through the gate, ``exchange``, which says what may be sent where. Here is what follows from its answer. A
redirect is followed only where a request asks for it, never by a POST, and only to the same origin; one that may lead elsewhere
takes no header along that could be a credential, and never goes from https to http. A request is repeated only where it surely
was not processed: nothing was sent, or the provider answered 429 or 503; ``Retry-After`` is honoured, and where it asks for more
than ten seconds the answer is passed on instead. All of a flow has a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

from vault.errors import Defect, InputError, SignInAgain, TryAgain
from vault.providers import running
from vault.providers.exchange import check_url
from vault.providers.exchange import exchange as gate
from vault.providers.loopback import Listener, Paste, receive_pasted
from vault.providers.steps import (
    Ask,
    Consent,
    FindProgram,
    Flow,
    Listen,
    NoAnswer,
    OpenBrowser,
    Pasted,
    ReceiveRedirect,
    Redirected,
    Request,
    Response,
    RunCommand,
    Send,
    ShowCode,
    Step,
    Tell,
    Wait,
)
from vault.values import SECOND, Clock

T = TypeVar("T")

LONGEST_PAUSE = 10.0
FIRST_PAUSE = 0.25
SIGN_IN_SECONDS = 1200.0
REFRESH_SECONDS = 30.0
REDIRECTS = (301, 302, 303, 307, 308)
NO_CREDENTIAL = ("accept", "if-none-match")

Exchange = Callable[[Request, Clock, float], Response | NoAnswer]


class UI(Protocol):
    """What a person sees of a flow."""

    def open_browser(self, url: str, /) -> bool:
        """Show a URL and try to open it; whether a browser was opened. The URL holds no secret."""
        ...

    def show_code(self, code: ShowCode, /) -> None:
        """Show a device code and where to type it."""
        ...

    def tell(self, text: str, /) -> None:
        """Say a sentence."""
        ...

    def waiting(self, text: str, /) -> None:
        """Say what is waited for; called before each wait."""
        ...

    def ask(self, prompt: str, hidden: bool, /) -> str:
        """Ask for a line."""
        ...

    def consent(self, text: str, /) -> bool:
        """Ask whether a person agrees to what the text says."""
        ...

    @property
    def paste(self) -> Paste | None:
        """Reads what a person pastes: called with a prompt and ``stopped()``, it gives a line, or None once that is true.

        None where there is no terminal.
        """
        ...


class NoPerson:
    """A UI without a person: telling goes nowhere, anything asked raises SignInAgain. For refreshing and revoking."""

    paste: Paste | None = None

    def tell(self, _text: str) -> None:
        """Say nothing."""

    def waiting(self, _text: str) -> None:
        """Say nothing."""

    def open_browser(self, _url: str) -> bool:
        """Raise SignInAgain."""
        raise _nobody()

    def show_code(self, _code: ShowCode) -> None:
        """Raise SignInAgain."""
        raise _nobody()

    def ask(self, _prompt: str, _hidden: bool) -> str:
        """Raise SignInAgain."""
        raise _nobody()

    def consent(self, _text: str) -> bool:
        """Raise SignInAgain."""
        raise _nobody()


def run(
    flow: Flow[T],
    ui: UI | None = None,
    *,
    clock: Clock,
    deadline: float = SIGN_IN_SECONDS,
    pause: Callable[[float], object] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    exchange: Exchange | None = None,
) -> T:
    """Run a flow to its end and give its result. ``deadline`` is seconds for all of it.

    Raises what the flow raises, TryAgain at the deadline, InputError for an address that isn't safe, SignInAgain when a person is
    needed and there is none.
    """
    driver = _Driver(ui or NoPerson(), clock, monotonic() + deadline, pause, monotonic, exchange or gate)
    try:
        step = next(flow)
        while True:
            step = flow.send(driver.do(step))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        flow.close()
        driver.close()


class _Driver:
    def __init__(
        self,
        ui: UI,
        clock: Clock,
        end: float,
        pause: Callable[[float], object],
        monotonic: Callable[[], float],
        exchange: Exchange,
    ) -> None:
        self.ui, self.clock, self.end = ui, clock, end
        self.pause, self.monotonic, self.exchange = pause, monotonic, exchange
        self.listener: Listener | None = None
        self.allowed: set[tuple[str, ...]] = set()

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def left(self) -> float:
        return self.end - self.monotonic()

    def do(self, step: Step) -> Any:
        match step:
            case Send(request):
                return self.send(request)
            case Listen():
                return self.listen(step)
            case OpenBrowser(url):
                check_url(url)
                return self.ui.open_browser(url)
            case ReceiveRedirect():
                return self.receive(step)
            case ShowCode():
                check_url(step.url)
                if step.complete_url is not None:
                    check_url(step.complete_url)
                return self.ui.show_code(step)
            case Wait(seconds, why):
                return self.wait(seconds, why)
            case Ask(prompt, hidden):
                return self.ui.ask(prompt, hidden)
            case Consent(text, argv):
                agreed = self.ui.consent(text)
                if agreed and argv:
                    self.allowed.add(argv)
                return agreed
            case Tell(text):
                return self.ui.tell(text)
            case FindProgram(name):
                return running.find(name)
            case RunCommand(argv, terminal, seconds, hide):
                if argv not in self.allowed:
                    raise Defect("a sign-in would run a command that nobody agreed to")
                return running.run(argv, terminal=terminal, seconds=min(seconds, max(1.0, self.left())), hide=hide)
        raise Defect(f"a sign-in asked for a step that is none: {type(step).__name__}")

    def listen(self, step: Listen) -> int | None:
        self.close()
        try:
            self.listener = Listener(step.ports, step.path, step.state, step.host)
        except OSError:
            return None
        return self.listener.port

    def receive(self, step: ReceiveRedirect) -> Redirected | Pasted | None:
        seconds = min(step.seconds, max(0.0, self.left()))
        if self.listener is None:
            return receive_pasted(seconds, step.prompt, self.ui.paste)
        return self.listener.receive(seconds, step.prompt, self.ui.paste)

    def wait(self, seconds: float, why: str) -> None:
        if seconds > self.left():
            raise TryAgain("the sign-in was not finished in time", hint="run the same command again")
        if why:
            self.ui.waiting(why)
        self.pause(seconds)

    def send(self, request: Request) -> Response | NoAnswer:
        followed, tries, wait = 0, 0, FIRST_PAUSE
        while True:
            seconds = min(request.seconds, self.left())
            if seconds <= 0:
                return NoAnswer(request.host, False, f"no time was left to ask {request.host}", self.clock.now())
            answer = self.exchange(request, self.clock, seconds)
            if (
                isinstance(answer, Response)
                and answer.status in REDIRECTS
                and answer.location
                and followed < request.redirects
            ):
                request, followed = _redirected(request, answer), followed + 1
                continue
            asked = _pause_of(answer, wait)
            if asked is None or tries >= request.retries or asked > min(LONGEST_PAUSE, self.left()):
                return answer
            self.pause(asked)
            tries, wait = tries + 1, wait * 4


def _pause_of(answer: Response | NoAnswer, otherwise: float) -> float | None:
    """How long to wait before the same request again, seconds; None when it must not be repeated."""
    if isinstance(answer, NoAnswer):
        return None if answer.sent else otherwise
    if answer.status not in (429, 503):
        return None
    return otherwise if answer.retry_after is None else answer.retry_after / SECOND


def _redirected(request: Request, answer: Response) -> Request:
    """The request a redirect leads to. Raises InputError when it leaves the origin and may not."""
    shown = "another address"
    with suppress(ValueError):
        url = urljoin(request.url, answer.location)
        here, there = urlsplit(request.url), urlsplit(url)
        if there.hostname and there.hostname.isprintable():
            shown = there.hostname
        if request.method == "GET" and (here.scheme, here.netloc) == (there.scheme, there.netloc):
            return replace(request, url=url)
        if request.method == "GET" and request.elsewhere and (here.scheme != "https" or there.scheme == "https"):
            kept = tuple(h for h in request.headers if h[0].lower() in NO_CREDENTIAL)
            return replace(request, url=url, headers=kept)
    raise InputError(
        f"{request.host} redirects to {shown}, which is not followed", hint="use that address if it is right"
    )


def _nobody() -> SignInAgain:
    return SignInAgain("a person is needed for this, and none is there", hint="run it on a terminal")
