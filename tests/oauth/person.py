"""A person for tests: a browser that agrees at once, answers that were prepared, and a memory of all that was shown.

As a program it is that browser: ``BROWSER="python -m tests.oauth.person %s"``.
"""

from __future__ import annotations

import http.client
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from vault.providers.steps import ShowCode


class Person:
    """A UI. ``browses``: redirect (follow it), paste (paste where it leads), code (paste the bare code), nothing."""

    def __init__(
        self, browses: str = "redirect", answers: Iterable[str] = (), agrees: bool = True, lines: Iterable[str] = ()
    ) -> None:
        self.browses, self.agrees = browses, agrees
        self.answers = list(answers)
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        for line in lines:
            self.lines.put(line)
        self.shown: list[str] = []
        self.urls: list[str] = []
        self.codes: list[ShowCode] = []
        self.pages: list[tuple[int, str]] = []
        self.threads: list[threading.Thread] = []

    def open_browser(self, url: str) -> bool:
        self.urls.append(url)
        self.shown.append(url)
        if self.browses != "nothing":
            thread = threading.Thread(target=self.browse, args=(url,), daemon=True)
            self.threads.append(thread)
            thread.start()
        return True

    def browse(self, url: str) -> None:
        status, location, _ = fetch(url)
        assert status == 302, status
        if self.browses == "code":
            self.lines.put(location.partition("code=")[2].partition("&")[0])
        elif self.browses == "paste" or not self.lands(location):
            self.lines.put(location)

    def lands(self, location: str) -> bool:
        """Whether the redirect was taken; another program may hold a fixed port, and then a person pastes."""
        try:
            status, _, page = fetch(location)
        except OSError:
            return False
        self.pages.append((status, page))
        return status == 200

    def show_code(self, code: ShowCode) -> None:
        self.codes.append(code)
        self.shown += [code.user_code, code.url, code.complete_url or ""]

    def tell(self, text: str) -> None:
        self.shown.append(text)

    def waiting(self, text: str) -> None:
        self.shown.append(text)

    def ask(self, prompt: str, hidden: bool) -> str:
        self.shown.append(prompt)
        return self.answers.pop(0)

    def consent(self, text: str) -> bool:
        self.shown.append(text)
        return self.agrees

    def paste(self, prompt: str, stopped: Callable[[], bool]) -> str | None:
        while not stopped():
            try:
                return self.lines.get(timeout=0.02)
            except queue.Empty:
                continue
        return None

    def done(self) -> None:
        """Wait for the browser to close."""
        for thread in self.threads:
            thread.join(10)


def fetch(url: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, str, str]:
    """GET without following: status, Location, body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location", ""), answer.read().decode()
    finally:
        connection.close()


if __name__ == "__main__":
    Person().browse(sys.argv[1])
