"""What is measured, part by part. Each part returns rows of the table; rates are medians, and ratios are taken within a round."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import vaults

from vault.commands.history import Filter, read_history
from vault.context import Context

HERE = Path(__file__).resolve().parent
LIMIT = 20


class Row(NamedTuple):
    """A line of the table. ``met`` is None where there is no goal."""

    what: str
    seen: str
    goal: str = ""
    met: bool | None = None


class Sizes(NamedTuple):
    """How much is measured."""

    rounds: int
    appends: int
    logs: tuple[int, ...]
    repeats: int
    starts: int


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def at_least(what: str, seen: float, goal: float, text: str) -> Row:
    """A row whose goal is a least value."""
    return Row(what, text, f"≥ {goal:g}", seen >= goal)


def at_most(what: str, seen: float, goal: float, text: str) -> Row:
    """A row whose goal is a largest value."""
    return Row(what, text, f"≤ {goal:g}", seen <= goal)


# -- durable appends


def plain_writes(folder: Path, count: int) -> float:
    """The disk's own rate: append 4 KiB, sync, again; writes a second."""
    sync = getattr(os, "fdatasync", os.fsync)
    block = bytes(4096)
    file = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        began = time.perf_counter()
        for _ in range(count):
            os.write(file, block)
            sync(file)
        return count / (time.perf_counter() - began)
    finally:
        os.close(file)


def vault_appends(context: Context, make: Callable[[int], Any], count: int) -> float:
    """Durable appends a second, one event a transaction."""
    cause = context.cause()
    began = time.perf_counter()
    for number in range(count):
        context.store.append([make(number)], cause)
    return count / (time.perf_counter() - began)


def appends(folder: Path, sizes: Sizes) -> list[Row]:
    """One event a transaction: sealed, chained, projections inline, synced, anchored; beside the disk and the peer."""
    vaults.make(folder / "appends")
    peer = _peer()
    app = peer.application(folder / "appends-peer") if peer else None
    rates: dict[str, list[float]] = {"disk": [], "peer": [], "issued": [], "login": []}
    with vaults.opened(folder / "appends") as context:
        context.store.append([vaults.login(number) for number in range(vaults.PROFILES)], context.cause())
        for _ in range(sizes.rounds):
            rates["disk"].append(plain_writes(folder, sizes.appends))
            if app is not None:
                rates["peer"].append(peer.appends(app, sizes.appends))
            rates["issued"].append(vault_appends(context, vaults.issued, sizes.appends))
            rates["login"].append(vault_appends(context, vaults.login, sizes.appends))
    rows = [
        Row("plain 4 KiB write and sync, a second", f"{median(rates['disk']):,.0f}"),
        Row("eventsourcing get and save, a second", _rate(rates["peer"])),
    ]
    for kind, name in (("issued", "credential_issued"), ("login", "profile_logged_in, with its credential")):
        rows.append(Row(f"append {name}, a second", _rate(rates[kind])))
        if app is not None:
            ratio = median(ours / theirs for ours, theirs in zip(rates[kind], rates["peer"], strict=True))
            rows.append(at_least("… ÷ eventsourcing get and save", ratio, 2, f"{ratio:.2f}"))
        ratio = median(ours / disk for ours, disk in zip(rates[kind], rates["disk"], strict=True))
        rows.append(at_least("… ÷ plain write and sync", ratio, 0.15, f"{ratio:.2f}"))
    if app is not None:
        app.close()
    return rows


# -- the whole log


def replays(folder: Path, sizes: Sizes) -> list[Row]:
    """Verify and rebuild in processes of their own, beside the peer's reader; and the memory they take."""
    peer = _peer()
    target = sizes.logs[-1] if len(sizes.logs) < 3 else sizes.logs[1]
    if peer:
        app = peer.application(folder / "replays-peer")
        peer.fill(app, target)
        app.close()
    rates: dict[str, list[float]] = {"verify": [], "rebuild": [], "peer": []}
    for _ in range(sizes.repeats):
        if peer:
            rates["peer"].append(_speed(_child("peer.py", str(folder / "replays-peer"))))
        for what in ("verify", "rebuild"):
            rates[what].append(_speed(_child("vaults.py", what, str(log(folder, target)))))
    rows = [Row(f"eventsourcing notification log, {target:,} events, events a second", _rate(rates["peer"]))]
    seen = median(rates["verify"])
    name = f"verify, {target:,} events, events a second"
    rows.append(at_least(name, seen, 100_000, f"{seen:,.0f}"))
    rows.append(Row(f"rebuild, {target:,} events, events a second", _rate(rates["rebuild"])))
    if peer:
        ratio = median(ours / theirs for ours, theirs in zip(rates["rebuild"], rates["peer"], strict=True))
        rows.append(at_least("… ÷ eventsourcing notification log", ratio, 1, f"{ratio:.2f}"))
    for what in ("verify", "rebuild", "chain"):
        peaks = [_child("vaults.py", what, str(log(folder, size)))["peak"] / 1024 for size in sizes.logs]
        name = {"chain": "verify's second process"}.get(what, what)
        shown = " → ".join(f"{value:.0f}" for value in peaks) + " MiB"
        lengths = " → ".join(f"{size:,}" for size in sizes.logs)
        rows.append(Row(f"{name}: peak memory at {lengths} events", shown))
        rows.append(at_most("… last ÷ first", peaks[-1] / peaks[0], 1.1, f"{peaks[-1] / peaks[0]:.2f}"))
    return rows


def log(folder: Path, size: int) -> Path:
    """A filled vault of that length; made once a run."""
    place = folder / f"log-{size}"
    if not place.exists():
        shorter = [s for s in (int(p.name[4:]) for p in folder.glob("log-*")) if s < size]
        if shorter:
            shutil.copytree(folder / f"log-{max(shorter)}", place)
        else:
            vaults.make(place)
        with vaults.opened(place) as context:
            vaults.fill(context, size)
    return place


# -- history


def histories(folder: Path, sizes: Sizes) -> list[Row]:
    """The newest twenty events of one profile, in a short log and in a long one: in this process, and by the command."""
    short, long = 1000, max(size for size in (*sizes.logs, 1000) if size <= 100_000)
    wanted = vaults.profile(7)
    times: dict[int, list[float]] = {short: [], long: []}
    with vaults.opened(log(folder, short)) as first, vaults.opened(log(folder, long)) as second:
        for _ in range(sizes.starts * 5):
            for size, context in ((short, first), (long, second)):
                began = time.perf_counter()
                if len(list(read_history(context, Filter(profile=wanted), limit=LIMIT))) != LIMIT:
                    raise RuntimeError(f"fewer than {LIMIT} events of {wanted}")
                times[size].append(time.perf_counter() - began)
    rows = [_growth("history of one profile, newest 20, in process", times, short, long)]
    command = _command()
    if command:
        times = {short: [], long: []}
        for _ in range(sizes.starts):
            for size, taken in times.items():
                arguments = ["history", "--limit", str(LIMIT), "--profile", wanted]
                taken.append(_seconds([command, *arguments], vaults.environment(log(folder, size))))
        rows.append(_growth("vault history --limit 20 --profile, whole command", times, short, long))
    return rows


def _growth(what: str, times: dict[int, list[float]], short: int, long: int) -> Row:
    few, many = median(times[short]) * 1000, median(times[long]) * 1000
    name = f"{what}: {short:,} → {long:,} events"
    return at_most(name, many / few, 1.5, f"{few:.2f} → {many:.2f} ms, × {many / few:.2f}")


# -- start-up


def starts(folder: Path, sizes: Sizes) -> list[Row]:
    """Whole commands beside the interpreter alone, interleaved."""
    command = _command()
    if command is None:
        return [Row("start-up", "not measured: there is no vault command beside this Python")]
    environ = vaults.environment(log(folder, 1000))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "vault --version": [command, "--version"],
        "vault get PROFILE": [command, "get", vaults.profile(7)],
        "vault list": [command, "list"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(sizes.starts):
        for name, arguments in commands.items():
            times[name].append(_seconds(arguments, environ))
    base = times.pop("python -c pass")
    rows = [Row("python -c pass", f"{median(base) * 1000:.1f} ms")]
    for name, taken in times.items():
        ratio = median(taken) / median(base)
        rows.append(at_most(f"{name} ÷ python -c pass", ratio, 9, f"{median(taken) * 1000:.1f} ms, × {ratio:.1f}"))
    return rows


# -- helpers


def _peer() -> Any:
    try:
        import peer
    except ImportError:
        return None
    return peer


def _rate(rates: list[float]) -> str:
    if not rates:
        return "not measured: install agent-vault[bench]"
    return f"{median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"


def _child(script: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(HERE / script), *arguments], check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _speed(measured: dict[str, Any]) -> float:
    return float(measured["events"] / measured["seconds"])


def _command() -> str | None:
    return shutil.which("vault", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))


def _seconds(arguments: list[str], environ: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(arguments, check=True, capture_output=True, env={**os.environ, **environ})
    return time.perf_counter() - began
