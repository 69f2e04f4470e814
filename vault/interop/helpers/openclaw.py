"""``openclaw``: OpenClaw's exec SecretRefs, protocol 1: many ids in one call, a value or an error for each.

OpenClaw writes ``{"protocolVersion": 1, "provider": "vault", "ids": […]}`` and closes. It takes an answer only with exit
status 0, and asks for every reference it has at once: so an id that can't be answered is an error of its own, and the others
get their values. It shows the codes ``NOT_FOUND`` and no message; the messages are for people who try by hand. Whole answers
fail only for a request that isn't one, and for a log that was altered.
"""

from __future__ import annotations

import json
from typing import Any

from vault.errors import Defect, Gone, InputError, IntegrityError, NotFound, UsageError, VaultError
from vault.interop.helpers import Answer, Helper, Request, Serving, sentence
from vault.interop.openclaw_refs import asked_for
from vault.parsing import parse_json

PROTOCOL = 1
LARGEST = 1024 * 1024
_ABSENT = "NOT_FOUND"


def run(request: Request, serving: Serving) -> Answer:
    """Answer every id. Raises UsageError, InputError for a request that isn't one, IntegrityError, Defect."""
    if request.arguments:
        raise UsageError("openclaw takes no argument", hint="vault helper openclaw [--agent AGENT]")
    ids = _ids(request.read())
    values: dict[str, str] = {}
    errors: dict[str, dict[str, str]] = {}
    given: dict[str, str | VaultError] = {}
    for name in ids:
        found = _value(name, serving, given)
        if isinstance(found, str):
            values[name] = found
        else:
            errors[name] = {"code": _code(found), "message": sentence(found)}
    said = {"protocolVersion": PROTOCOL, "values": values, "errors": errors}
    return Answer(json.dumps(said).encode() + b"\n", _trouble(errors, len(ids)))


def _value(name: str, serving: Serving, given: dict[str, str | VaultError]) -> str | VaultError:
    """The secret for an id, or why there is none. Two ids for the same thing are one hand-out."""
    try:
        what = asked_for(name)
    except InputError as error:
        return error
    if what not in given:
        try:
            given[what] = serving.give(what).secret.reveal()
        except (IntegrityError, Defect):
            raise
        except VaultError as error:
            given[what] = error
    return given[what]


def _ids(content: bytes) -> list[str]:
    if len(content) > LARGEST:
        raise InputError(f"the request is larger than {LARGEST >> 10} KiB", hint=_HINT)
    asked: Any = parse_json(content, "the request on standard input")
    if not isinstance(asked, dict):
        raise InputError("the request on standard input is not a JSON object", hint=_HINT)
    if isinstance(asked.get("protocolVersion"), bool) or asked.get("protocolVersion") != PROTOCOL:
        raise InputError("the request is not of protocol version 1", hint=_HINT)
    ids = asked.get("ids")
    if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids):
        raise InputError("the request has no list of ids", hint=_HINT)
    return list(dict.fromkeys(ids))


def _code(error: VaultError) -> str:
    return _ABSENT if isinstance(error, NotFound | InputError | Gone) else error.code.upper()


def _trouble(errors: dict[str, dict[str, str]], asked: int) -> str:
    """The line for stderr: which ids have no value, and the first reason."""
    if not errors:
        return ""
    first = next(iter(errors))
    others = f" (and {len(errors) - 1} more of {asked})" if len(errors) > 1 else ""
    return f"vault: no value for {first!r}{others}: {errors[first]['message'].removeprefix('vault: ')}"


_HINT = 'OpenClaw sends it: {"protocolVersion":1,"provider":"vault","ids":["openai"]}'

HELPER = Helper(name="openclaw", title="OpenClaw exec SecretRefs", usage="< REQUEST", run=run, seconds=20.0)
