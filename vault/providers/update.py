"""Fetching a newer catalogue: only when a person asks, from models.dev or a mirror of it.

The document is an object of providers by id, each with ``id``, ``name``, ``env``, ``npm``, ``doc``, ``models`` and maybe ``api``.
It is checked whole before anything is stored; what doesn't fit is refused, and what was in use stays in use. A provider that is
known stays at its server: its key would follow it. The server is sent
what it called the last state (ETag), so that an unchanged catalogue costs one short answer. No credential travels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import InputError, TryAgain
from vault.parsing import parse_json
from vault.providers import catalogue, driver, stored
from vault.providers.exchange import check_url
from vault.providers.steps import Request, Response, fetch
from vault.values import SystemClock

URL = "https://models.dev/api.json"
URL_VARIABLE = "VAULT_MODELS_URL"
LARGEST = 32 * 1024 * 1024
SECONDS = 60.0
REDIRECTS = 3
_NEEDS_API = ("@ai-sdk/openai-compatible", "@openrouter/ai-sdk-provider")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: ``what`` is added, removed, variables, address, moved (to another server: not used) or shares.

    ``before`` and ``after`` are texts for people.
    """

    what: str
    provider: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did. ``changed`` is False when the server said that nothing is new."""

    url: str
    changed: bool
    count: int
    changes: tuple[Change, ...]


def source_url(asked: str, environ: Mapping[str, str]) -> str:
    """Where to fetch from: what was asked for, VAULT_MODELS_URL, models.dev. Raises InputError."""
    return check_url(asked or environ.get(URL_VARIABLE, "") or URL)


def update(url: str, path: Path, now: int) -> Updated:
    """Fetch, check and store. ``now`` is microseconds UTC.

    Raises InputError when the answer is no catalogue, TryAgain when none came, StorageError. Then nothing has changed.
    """
    before = _in_use(path)
    known = before.etag if before and before.url == url else ""
    headers = [("Accept", "application/json"), *([("If-None-Match", known)] if known else [])]
    request = Request(
        "GET",
        url,
        tuple(headers),
        seconds=SECONDS,
        redirects=REDIRECTS,
        retries=0,
        limit=LARGEST,
        elsewhere=True,
    )
    answer = driver.run(fetch(request), clock=SystemClock(), deadline=SECONDS)
    if answer.status == 304 and before is not None and known:
        return Updated(url, False, len(before.rows), ())
    if answer.status != 200:
        raise _refused(answer)
    if answer.broken and answer.body:
        raise InputError(f"the catalogue is larger than {LARGEST // 1024 // 1024} MiB", hint="check the URL")
    if answer.broken:
        raise TryAgain(answer.broken, hint="try again later; the catalogue is unchanged")
    were = before.rows if before else catalogue.embedded_rows()
    rows = distil(answer.body)
    changes = differences(were, rows)
    rows = settled(were, rows)
    usable = len(answer.etag) <= 256 and answer.etag.isascii() and answer.etag.isprintable()
    stored.write(path, stored.Stored(url, answer.etag if usable else "", now, tuple(rows)))
    catalogue.reload()
    return Updated(url, True, len(rows), tuple(changes))


def distil(document: bytes) -> list[dict[str, Any]]:
    """The rows of a models.dev document. Raises InputError, naming the first provider that is not as it should be."""
    try:
        found = parse_json(document, "the answer")
    except InputError:
        raise InputError("the answer is not JSON", hint="check the URL; the catalogue is unchanged") from None
    if not isinstance(found, dict) or not found:
        raise InputError("the answer is not a catalogue", hint="check the URL; the catalogue is unchanged")
    try:
        rows = [_row(name, entry) for name, entry in found.items()]
        stored.check_rows(rows)
    except InputError as error:
        raise InputError(
            f"the catalogue is refused: {error.message}", hint="the one in use stays in use; try again later"
        ) from None
    return rows


def settled(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows as they are stored: a provider that is known already stays at its server, for keys are stored for it."""
    known = {row["id"]: row["api"] for row in before}
    return [
        {**row, "api": known[row["id"]]} if stored.is_moved(known.get(row["id"]), row["api"]) else dict(row)
        for row in after
    ]


def differences(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Change]:
    """What is new, gone or other, by provider. One that now reads another's variable is named: it could get that key."""
    old, new = ({row["id"]: row for row in rows} for rows in (before, after))
    embedded = {row["id"] for row in catalogue.embedded_rows()}
    owners: dict[str, list[str]] = {}
    for row in before:
        for name in row["secret_env"]:
            owners.setdefault(name, []).append(row["id"])
    found: list[Change] = []
    for name in sorted({*old, *new}):
        if name not in new:
            stays = "no longer listed" + ("; it stays known" if name in embedded else "")
            found.append(Change("removed", name, _variables(old[name]), stays))
            continue
        if name not in old:
            found.append(Change("added", name, "", _variables(new[name])))
        else:
            if set(old[name]["env"]) != set(new[name]["env"]):
                found.append(Change("variables", name, _variables(old[name]), _variables(new[name])))
            if stored.is_moved(old[name]["api"], new[name]["api"]):
                found.append(Change("moved", name, old[name]["api"], new[name]["api"]))
            elif (old[name]["api"] or "") != (new[name]["api"] or ""):
                found.append(Change("address", name, old[name]["api"] or "", new[name]["api"] or ""))
        fresh = [v for v in new[name]["secret_env"] if name not in owners.get(v, [name])]
        found += [Change("shares", name, ", ".join(owners[v]), v) for v in fresh]
    return found


def _in_use(path: Path) -> stored.Stored | None:
    try:
        return stored.read(path)
    except InputError:
        return None


def _refused(answer: Response) -> InputError | TryAgain:
    text = f"{answer.host} answered {answer.status} instead of a catalogue"
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return TryAgain(text, hint="try again later; the catalogue is unchanged")
    return InputError(text, hint="check the URL; the catalogue is unchanged")


def _row(name: str, entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict) or entry.get("id") != name:
        raise InputError("an entry is not a provider, or its id doesn't match its key")
    if not isinstance(entry.get("models"), dict):
        raise InputError(f"the provider {catalogue_id(name)}: its models are not an object")
    npm, api, env = entry.get("npm"), entry.get("api"), entry.get("env")
    if not isinstance(npm, str) or (npm in _NEEDS_API and not api):
        raise InputError(f"the provider {catalogue_id(name)}: it has no library, or no address where it needs one")
    names = [n for n in env if isinstance(n, str)] if isinstance(env, list) else []
    return {
        "id": name,
        "name": entry.get("name"),
        "env": env,
        "secret_env": stored.secret_names(names),
        "api": api or None,
        "doc": entry.get("doc"),
        "npm": npm,
    }


def catalogue_id(name: str) -> str:
    """A provider's id as it may be shown: it comes from elsewhere."""
    return name if name.isprintable() and len(name) <= 64 else "with an impossible id"


def _variables(row: Mapping[str, Any]) -> str:
    return ", ".join(row["env"])
