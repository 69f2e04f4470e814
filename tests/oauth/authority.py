"""The memory of a test's authorization server: codes, tokens, families, device sign-ins, faults, and a count of every exchange.

Refresh tokens rotate and are single-use unless told otherwise; a second use kills the whole family, access tokens too. Time is
injected. Every token holds ``mark``, so that a test can search for it. Nothing here talks HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """What goes wrong with one request. ``after`` lets it be processed first.

    Kinds: reset, drop (close without a word), hold (until released, then answer), drip (a byte at a time, for ever), status,
    redirect, type (a wrong content type), html, huge, cut (half the body), gzip, echo (an error that repeats the request).
    """

    kind: str
    after: bool = False
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass
class Settings:
    """How the server behaves. ``expiry``: in, text, at, at_ms, iso, jwt, none. ``clock_off``: how wrong its clock is, seconds."""

    rotate: bool = True
    new_refresh: bool = True
    refresh: bool = True
    expires_in: int = 3600
    expiry: str = "in"
    clock_off: int = 0
    narrowed: str = ""
    form: bool = False
    token_type: str = "Bearer"
    interval: float = 5
    device_life: int = 900
    device_script: list[str] = field(default_factory=list)
    device_answer: str = "approve"
    deny: bool = False
    secrets: dict[str, str] = field(default_factory=dict)
    copilot: int = 200
    copilot_life: int = 1500
    wellknown: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    openid_only: bool = False
    revoke_status: int = 200


@dataclass
class Exchange:
    """One request to an endpoint that grants or takes something."""

    grant: str
    outcome: str


class Refusal(Exception):
    """An OAuth error."""

    def __init__(self, error: str, status: int = 400, **more: Any) -> None:
        super().__init__(error)
        self.error, self.status, self.more = error, status, more


class Authority:
    """An authorization server without HTTP."""

    def __init__(self, mark: str = "", now: Callable[[], float] = time.time) -> None:
        self.mark, self.now = mark or "fake", now
        self.settings = Settings()
        self.lock = threading.RLock()
        self.release = threading.Event()
        self.arrived = threading.Event()
        self.exchanges: list[Exchange] = []
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.faults: dict[str, deque[Fault]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.devices: dict[str, dict[str, Any]] = {}
        self.family_of: dict[str, int] = {}
        self.spent: set[str] = set()
        self.dead: set[int] = set()
        self.access: dict[str, int] = {}
        self.revoked: list[str] = []
        self.number = self.families = 0

    def fault(self, path: str, *faults: Fault) -> None:
        """Let the next requests to paths that end so go wrong, in this order."""
        with self.lock:
            self.faults.setdefault(path, deque()).extend(faults)

    def next_fault(self, path: str) -> Fault | None:
        with self.lock:
            for suffix, queue in self.faults.items():
                if path.endswith(suffix) and queue:
                    return queue.popleft()
        return None

    def count(self, grant: str, outcome: str = "") -> int:
        """How many exchanges of a grant there were, all or those with an outcome."""
        with self.lock:
            return sum(1 for e in self.exchanges if e.grant == grant and outcome in ("", e.outcome))

    def note(self, grant: str, outcome: str) -> None:
        with self.lock:
            self.exchanges.append(Exchange(grant, outcome))

    def make(self, kind: str) -> str:
        """A new fake secret of a kind."""
        with self.lock:
            self.number += 1
            return f"fake-{kind}-{self.mark}-{self.number}"

    def is_live(self, access: str) -> bool:
        """Whether an access token still works."""
        with self.lock:
            return access in self.access and self.access[access] not in self.dead

    def new_code(self, query: dict[str, str]) -> str:
        code = self.make("code")
        with self.lock:
            self.codes[code] = query
        return code

    def grant(self, fields: dict[str, str]) -> dict[str, Any]:
        """The answer to a token request. Raises Refusal."""
        kind = fields.get("grant_type", "")
        try:
            with self.lock:
                self.authenticate(fields)
                answer = self.granted(kind, fields)
        except Refusal as refusal:
            self.note(kind, refusal.error)
            raise
        self.note(kind, "ok")
        return answer

    def authenticate(self, fields: dict[str, str]) -> None:
        secret = self.settings.secrets.get(fields.get("client_id", ""))
        if secret is not None and fields.get("client_secret") != secret:
            raise Refusal("invalid_client", 401)

    def granted(self, kind: str, fields: dict[str, str]) -> dict[str, Any]:
        if kind == "authorization_code":
            self.redeem(fields)
            return self.tokens(fields.get("client_id", ""))
        if kind == "refresh_token":
            return self.refreshed(fields.get("refresh_token", ""))
        if kind.endswith((":device_code", ":user_code")):
            return self.polled(fields.get("device_code") or fields.get("user_code", ""), fields.get("code_verifier"))
        raise Refusal("unsupported_grant_type")

    def redeem(self, fields: dict[str, str]) -> dict[str, str]:
        """Spend an authorization code. Raises Refusal when anything about it does not fit."""
        with self.lock:
            asked = self.codes.pop(fields.get("code", ""), None)
        if asked is None:
            raise Refusal("invalid_grant", error_description="unknown or spent code")
        for name in ("client_id", "redirect_uri"):
            if name in asked and asked[name] != fields.get(name):
                raise Refusal("invalid_grant", error_description=f"wrong {name}")
        if challenge_of(fields.get("code_verifier", "")) != asked.get("code_challenge"):
            raise Refusal("invalid_grant", error_description="wrong verifier")
        return asked

    def tokens(self, client: str, family: int | None = None) -> dict[str, Any]:
        """New tokens of a new family, or of one that goes on."""
        settings = self.settings
        with self.lock:
            self.families += family is None
            family = self.families if family is None else family
            access, refresh = self.make("access"), self.make("refresh")
            self.access[access] = family
            if settings.refresh:
                self.family_of[refresh] = family
        then = int(self.now()) + settings.clock_off + settings.expires_in
        if settings.expiry == "jwt":
            access = jwt({"exp": then, "mark": access})
        answer: dict[str, Any] = {"access_token": access, "token_type": settings.token_type}
        answer |= {
            "in": {"expires_in": settings.expires_in},
            "text": {"expires_in": str(settings.expires_in)},
            "at": {"expires_at": then},
            "at_ms": {"expires_at": then * 1000},
            "iso": {"expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(then))},
        }.get(settings.expiry, {})
        if settings.refresh:
            answer["refresh_token"] = refresh
        if settings.narrowed:
            answer["scope"] = settings.narrowed
        return answer

    def refreshed(self, token: str) -> dict[str, Any]:
        """Exchange a refresh token; a spent one kills its family. Raises Refusal."""
        family = self.family_of.get(token)
        if family is None or family in self.dead:
            raise Refusal("invalid_grant", error_description="the refresh token is unknown or revoked")
        if token in self.spent:
            self.dead.add(family)
            raise Refusal("invalid_grant", error_description="the refresh token was used before")
        answer = self.tokens("", family)
        if self.settings.rotate and self.settings.new_refresh:
            self.spent.add(token)
        else:
            self.family_of.pop(answer.pop("refresh_token"), None)
        return answer

    def seed(self) -> str:
        """A refresh token as an earlier sign-in would have left it."""
        with self.lock:
            return str(self.tokens("")["refresh_token"])

    def revoke(self, token: str) -> None:
        """Kill a token's family; an unknown token is no error (RFC 7009)."""
        with self.lock:
            self.revoked.append(token)
            family = self.family_of.get(token, self.access.get(token))
            if family is not None:
                self.dead.add(family)

    def start_device(self, fields: dict[str, str]) -> tuple[str, str]:
        """A new device sign-in: its device code and user code."""
        code, user_code = self.make("device-code"), f"ABCD-{len(self.devices) + 1000}"
        script = deque(self.settings.device_script)
        entry = {
            **fields,
            "script": script,
            "interval": self.settings.interval,
            "last": self.now(),
            "started": self.now(),
        }
        with self.lock:
            self.devices[code] = self.devices[user_code] = entry
        self.note("device", "ok")
        return code, user_code

    def polled(self, code: str, verifier: str | None = None) -> dict[str, Any]:
        """The tokens of a device sign-in. Raises Refusal while there are none."""
        self.poll(code)
        entry = self.devices[code]
        if "code_challenge" in entry and challenge_of(verifier or "") != entry["code_challenge"]:
            raise Refusal("invalid_grant", error_description="wrong verifier")
        entry["script"] = deque(["invalid_grant"])
        return self.tokens(str(entry.get("client_id", "")))

    def poll(self, code: str) -> None:
        """Check a poll: too early is slow_down; then the script's words; then the answer. Raises Refusal but for approve."""
        entry, now = self.devices.get(code), self.now()
        if entry is None:
            raise Refusal("invalid_grant")
        early = now - entry["last"] < entry["interval"] - 0.001
        entry["last"] = now
        if now - entry["started"] > self.settings.device_life:
            raise Refusal("expired_token")
        word = "slow_down" if early else entry["script"].popleft() if entry["script"] else self.settings.device_answer
        if word == "slow_down":
            entry["interval"] += 5
        if word != "approve":
            raise Refusal(word)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier, computed here and not by what is tested."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def jwt(claims: dict[str, Any]) -> str:
    """A JWT whose signature is none."""
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in ({"alg": "none"}, claims)]
    return ".".join([*parts, "fake-signature"])
