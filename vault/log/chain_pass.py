"""Checking the whole chain: each record's place, its link to the one before, its mac, its version in its stream.

A long log is checked in a second process while this one opens the headers. The log only grows, so two snapshots that hold the
same head hold the same records up to it. The second process is given the chain keys through a pipe and opens nothing. If it
can't start, fails, or finds anything wrong, the same work is done here.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

import msgspec

from vault.log.chain import Chain
from vault.log.database import snapshot
from vault.log.records import COLUMNS

WORTH_A_PROCESS = 20_000
_SELECT = f"SELECT {COLUMNS} FROM events WHERE position <= ? ORDER BY position"  # noqa: S608
_START = (
    "import os, sys; root, job = sys.stdin.buffer.readline()[:-1], sys.stdin.buffer.read(); "
    "sys.path.append(os.fsdecode(root)); from vault.log.chain_pass import answer; answer(job)"
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be checked: a log up to the record at ``head``. ``keys`` are the chain keys by epoch."""

    database: str
    vault_id: bytes
    genesis: bytes
    keys: dict[int, bytes]
    head: int

    def __repr__(self) -> str:
        return f"<check of {self.head} records>"


class Finding(NamedTuple):
    """The newest mac; or the first bad position and what is wrong there."""

    mac: bytes
    position: int = 0
    what: str = ""


def check_chain(connection: sqlite3.Connection, job: Job) -> Finding:
    """Check the chain up to the head. Memory holds one number per stream."""
    chain = Chain(job.vault_id)
    versions: dict[bytes, int] = {}
    previous, expected = job.genesis, 1
    for row in connection.execute(_SELECT, (job.head,)):
        position, stream, version, epoch, _, _, mac, prev_mac = row
        if position != expected:
            if position < expected:
                return Finding(b"", position, "has a place no record has")
            return Finding(b"", expected, "is missing")
        if prev_mac != previous:
            return Finding(b"", position, "is not chained to the one before it")
        try:
            previous = chain.mac(job.keys[epoch], row, prev_mac)
        except (KeyError, OverflowError):
            previous = b""
        if not compare_digest(previous, mac):
            return Finding(b"", position, "was altered")
        versions[stream] = due = versions.get(stream, 0) + 1
        if version != due:
            return Finding(b"", position, f"has version {version} in its stream where {due} is due")
        expected += 1
    if expected <= job.head:
        return Finding(b"", expected, "is missing")
    return Finding(previous)


class ChainPass:
    """One check of the chain, under way in a second process where the log is long enough to be worth it."""

    def __init__(self, connection: sqlite3.Connection, job: Job) -> None:
        self._connection = connection
        self._job = job
        self._process = _start(job) if job.head >= WORTH_A_PROCESS and _cores() > 1 else None

    def finding(self) -> Finding:
        """What was found; waits for it. Nothing but this log's own newest mac is believed from the second process."""
        if self._process is not None:
            mac, _ = self._process.communicate()
            newest = self._connection.execute("SELECT mac FROM events WHERE position = ?", (self._job.head,)).fetchone()
            if newest == (mac,):
                return Finding(mac)
        return check_chain(self._connection, self._job)

    def __enter__(self) -> ChainPass:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with self._process:
                self._process.kill()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(job: Job) -> subprocess.Popen[bytes] | None:
    root = Path(__file__).resolve().parents[2]
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    with contextlib.suppress(OSError), process.stdin as pipe:  # type: ignore[union-attr]
        pipe.write(os.fsencode(root) + b"\n" + msgspec.msgpack.encode(job))
    process.stdin = None
    return process


def answer(message: bytes) -> None:
    """The second process: check what the message asks for; the newest mac on standard output if all is well."""
    job = msgspec.msgpack.decode(message, type=Job)
    with snapshot(Path(job.database)) as connection:
        finding = check_chain(connection, job)
    sys.stdout.buffer.write(finding.mac)
