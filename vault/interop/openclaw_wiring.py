"""``openclaw.json`` when OpenClaw is to ask the vault: the command it runs, the name it has there, and the file, to be changed.

OpenClaw runs the command with nothing of the environment but what is listed, and only a file that is no link, is the user's and
can be written by nobody else. It writes its configuration as plain JSON and would drop comments: a file with comments isn't
changed, and what to put in by hand is said.
"""

from __future__ import annotations

import copy
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vault.errors import InputError, Unavailable
from vault.interop.documents import object_in
from vault.interop.findings import Skipped
from vault.interop.openclaw_place import Place
from vault.interop.openclaw_refs import asks_vault, reference, refers_to
from vault.interop.plans import Link, Plan, Target, Write
from vault.interop.styled import mode_of, styled
from vault.values import MAIN_AGENT, AgentId

NAME = "openclaw"
TIMEOUT_MS = 20_000
PASS_ENV = (
    *("HOME", "PATH", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"),
    *("DBUS_SESSION_BUS_ADDRESS", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("VAULT_CONFIG", "VAULT_DATABASE", "VAULT_STATE", "VAULT_KEY_FILE", "VAULT_KEY_COMMAND", "VAULT_PASSPHRASE"),
    *("VAULT_KEYRING_TIMEOUT", "VAULT_ENABLED_PROVIDERS", "VAULT_DISABLED_PROVIDERS"),
)
_SECRET_NAME = re.compile(r"key|token|secret|password|auth", re.IGNORECASE)
_NOT_IN_ALIAS = re.compile(r"[^a-z0-9_-]")
_MOST_ALIASES = 100


@dataclass(slots=True)
class Wiring:
    """A configuration in the making. ``was`` is what the file holds, ``document`` what it will.

    Where ``commands`` are given, only what asks by one of them, as connecting writes it, counts as the vault's.
    """

    place: Place
    plan: Plan
    was: Mapping[str, Any]
    document: dict[str, Any]
    commands: frozenset[str] | None = None

    def leave_out(self, name: str, why: str) -> None:
        """Say why something isn't connected."""
        self.plan.left_out.append(Skipped(name, str(self.place.path), why))

    def aliases(self) -> set[str]:
        """The names the vault has there."""
        known = {name for name, entry in self.peek("secrets", "providers").items() if asks_vault(entry)}
        return known - self.others()

    def others(self) -> set[str]:
        """The names there of what asks a vault by a command that isn't among ours."""
        entries = self.peek("secrets", "providers")
        if self.commands is None:
            return set()
        target = Target({}, self.place.path, commands=self.commands)
        return {
            name
            for name, entry in entries.items()
            if asks_vault(entry) and not target.asks([entry.get("command"), *entry["args"]], NAME, tool=NAME)
        }

    def alias(self, link: Link, agent: AgentId) -> str:
        """The name under which OpenClaw asks for an agent; it is put in. Raises InputError."""
        command, *arguments = Link(link.command, agent).asks(NAME, tool=NAME)
        providers = self.at("secrets", "providers")
        base = "vault" if agent == MAIN_AGENT else f"vault-{_NOT_IN_ALIAS.sub('-', agent)}"[:50]
        for name in (base, f"agent-{base}", *(f"{base}-{number}" for number in range(2, _MOST_ALIASES))):
            known = providers.get(name)
            if known is None:
                providers[name] = {"source": "exec", "command": command, "args": arguments}
                providers[name] |= {"passEnv": list(PASS_ENV), "timeoutMs": TIMEOUT_MS}
            elif asks_vault(known) and known["args"] == arguments:
                known["command"] = command
            else:
                continue
            return name
        raise InputError(
            "secrets.providers has no name left for the vault", hint="openclaw config get secrets.providers"
        )

    def refers(self, value: object) -> bool:
        """Whether a value is a reference to the vault."""
        return refers_to(value, self.aliases())

    def asks(self, entry: Any) -> bool:
        """Whether an entry of a store is a reference to the vault."""
        fields = ("keyRef", "tokenRef", "key", "token")
        return isinstance(entry, dict) and any(self.refers(entry.get(name)) for name in fields)

    def peek(self, *names: str) -> Mapping[str, Any]:
        """An object of the document; empty where there is none."""
        found: Any = self.document
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def at(self, *names: str) -> dict[str, Any]:
        """An object of the document, made where it isn't there. Raises InputError."""
        found = self.document
        for name in names:
            found = found.setdefault(name, {})
            if not isinstance(found, dict):
                what = f"{'.'.join(names)} is not an object in {self.place.store.config.path}"
                raise InputError(what, hint="openclaw config validate says what is wrong")
        return found

    def put(self) -> bool:
        """Put the changed configuration into the plan, before anything else; False when nothing changed."""
        if self.document == self.was:
            return False
        path = self.place.store.config.path
        content = styled(path, self.document, newline=True)
        self.plan.writes.insert(0, Write(path, content, mode_of(path), secret=_holds_secrets(self.document)))
        return True


def wiring_of(place: Place, link: Link | None) -> Wiring:
    """The configuration, to be changed. Raises InputError with what to do by hand where it is more than JSON."""
    if place.store.config.path.suffix != ".json":
        raise InputError(f"{place.path} is one store, not all of OpenClaw", hint="name its state folder with --to")
    try:
        found = object_in(place.store.config.path)
    except InputError as error:
        what = error.message.removesuffix(".")
        raise InputError(f"{what}, and comments in it would be lost if it were changed", hint=_by_hand(link)) from None
    return Wiring(place, Plan(NAME), found, copy.deepcopy(found))


def check_command(command: str) -> None:
    """Raise Unavailable for a command that OpenClaw wouldn't run."""
    try:
        facts = os.lstat(command)
    except OSError:
        raise Unavailable(f"there is no command {command}", hint="install agent-vault") from None
    if stat.S_ISLNK(facts.st_mode) or not os.path.isabs(command):
        raise Unavailable(f"OpenClaw refuses to run {command}: it is a link", hint=f"use {os.path.realpath(command)}")
    if hasattr(os, "getuid") and facts.st_uid != os.getuid():
        raise Unavailable(
            f"OpenClaw refuses to run {command}: it is another user's", hint="install agent-vault as this user"
        )
    if facts.st_mode & 0o022:
        raise Unavailable(f"OpenClaw refuses to run {command}: others can write it", hint=f"chmod go-w {command}")


def _by_hand(link: Link | None) -> str:
    if link is None:
        return "take secrets.providers.vault, and what refers to it, out by hand"
    command, *arguments = link.asks(NAME, tool=NAME)
    entry = {"source": "exec", "command": command, "args": arguments, "passEnv": list(PASS_ENV[:2])}
    ref = json.dumps(reference("vault", "PROVIDER"))
    return f"put in by hand: secrets.providers.vault: {json.dumps(entry)}, and at a provider apiKey: {ref}"


def _holds_secrets(value: Any, name: str = "") -> bool:
    """Whether a document may hold a secret: a text under a name that sounds like one, which isn't a variable."""
    if isinstance(value, dict):
        return any(_holds_secrets(item, key) for key, item in value.items() if not refers_to_anything(item))
    if isinstance(value, list):
        return any(_holds_secrets(item, name) for item in value)
    return isinstance(value, str) and bool(_SECRET_NAME.search(name)) and not value.startswith("$")


def refers_to_anything(value: object) -> bool:
    """Whether a value is a SecretRef to whatever."""
    return isinstance(value, dict) and set(value) == {"source", "provider", "id"}
