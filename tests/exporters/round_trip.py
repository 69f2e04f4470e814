"""Documents that are read, kept by a vault, and written again: into an empty place, and over what is there."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.exporters.flat import COMMANDS
from vault.events.credentials import decode_credential, encode_credential
from vault.interop.findings import Found
from vault.interop.plans import Outgoing, Plan, Target
from vault.interop.writing import carry_out
from vault.pointers import pointer_in

SECRETS = st.text(string.ascii_letters + string.digits + "-._", min_size=1, max_size=20).map("fake-secret-".__add__)
SECRETS = SECRETS.filter(lambda value: pointer_in(value) is None)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def unknown(*known: str) -> st.SearchStrategy[dict[str, Any]]:
    """Fields no tool has, of any shape."""
    names = st.text(string.ascii_lowercase, min_size=1, max_size=6).map("x_".__add__)
    return st.dictionaries(names.filter(lambda name: name not in known), JSON, max_size=3)


def kept(found: Sequence[Found], *, whole: bool = True) -> list[Outgoing]:
    """Credentials as they come back out of a vault."""
    return [
        Outgoing(f.agent, f.profile, decode_credential(encode_credential(f.credential)), f.label, f.account, whole)
        for f in found
    ]


def target(home: Path, **environ: str) -> Target:
    """A tool's place below a home folder, in the year 2026."""
    return Target(environ, home, now=1_767_225_600_000_000, commands=COMMANDS)


def done(plan: Plan) -> Plan:
    """Carry a plan out."""
    carry_out(plan)
    return plan


def at(path: Path) -> Any:
    """The JSON document in a file."""
    return json.loads(path.read_text())
