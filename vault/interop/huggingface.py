"""Hugging Face: ``stored_tokens`` (INI, a section a token) and ``token``, the one in use, as bare text.

A section is the profile ``huggingface:SECTION``. A sign-in there has a refresh token; whether it is replaced at a refresh isn't
told by the provider, so such a login stays Hugging Face's own. The token in use comes first in the order; where no section has
it, it is ``huggingface:default``. Both files are written under the library's own lock, ``stored_tokens.lock``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, OAuth, Token
from vault.interop.documents import ini_in, section_of
from vault.interop.entries import original_label, ownership_of, usable_secret
from vault.interop.findings import Findings, Found, FoundOrder, Skipped
from vault.interop.plans import Injection, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, read_text, shown_name
from vault.interop.tools import Orders, Tool
from vault.log.filelock import lock_of
from vault.parsing import whole_number
from vault.values import (
    DEFAULT_NAME,
    MAIN_AGENT,
    SECOND,
    ProviderId,
    Secret,
    foreign_profile,
    moment_of,
    profile_id,
)

NAME, _TITLE = "huggingface", "Hugging Face"
_PROVIDER = ProviderId("huggingface")
_LOCK_SECONDS = 30.0
_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The token in use, and all stored ones."""
    token = _token_file(environ, home)
    return [token, token.with_name("stored_tokens")]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The stored tokens. ``source`` is their folder, or one of the files. Raises NotFound, InputError, StorageError."""
    token, stored = _files(source, environ, home)
    if kind_of(token) == "missing" and kind_of(stored) == "missing":
        raise NotFound(f"{_TITLE} has no token at {token}", hint="name the folder with --from")
    findings = Findings(NAME, [str(p) for p in (stored, token) if kind_of(p) != "missing"])
    for section in ini_in(stored).sections():
        _take(findings, stored, section)
    active = read_text(token).strip() if kind_of(token) != "missing" else ""
    first = next((f for f in findings.found if f.credential.secret() == active), None)
    if active and first is None:
        try:
            profile = profile_id(_PROVIDER, DEFAULT_NAME)
            credential = Token(token=usable_secret(active, "token"))
            ownership, why = ownership_of(_PROVIDER, credential, _TITLE)
            first = Found(MAIN_AGENT, profile, credential, str(token), ownership=ownership, why=why)
            findings.found.insert(0, first)
        except InputError as error:
            findings.skipped.append(Skipped("token", str(token), error.message))
    if first is not None and len(findings.found) > 1:
        names = [first.profile, *(f.profile for f in findings.found if f is not first)]
        findings.orders.append(FoundOrder(MAIN_AGENT, _PROVIDER, tuple(names), str(token)))
    return findings


def write(outgoing: Sequence[Outgoing], orders: Orders, target: Target) -> Plan:
    """Store tokens by name, and put the first of the order to use. Raises InputError, StorageError."""
    plan = Plan(NAME)
    token, stored = _files(target.path, target.environ, target.home)
    document = ini_in(stored)
    for one in outgoing:
        secret = one.credential.secret()
        if one.provider != _PROVIDER or not secret or (isinstance(one.credential, OAuth) and not one.refresh):
            why = "it is not a Hugging Face token" if one.provider != _PROVIDER else "its login is renewed here"
            plan.left_out.append(Skipped(one.profile, str(stored), f"{why}: vault exec --tool huggingface -- PROGRAM"))
            continue
        section = section_of(one.profile, one.label)
        if not document.has_section(section):
            document.add_section(section)
        document.set(section, "hf_token", secret)
        if one.refresh:
            document.set(section, "refresh_token", one.refresh)
        expires = one.credential.expires()
        if expires is not None:
            document.set(section, "expires_at", str(expires // SECOND))
        plan.written.append(Written(one.agent, one.profile, section, str(stored), bool(one.refresh)))
    if plan.written:
        plan.writes.append(Write(stored, str(document).encode()))
        order = orders.get(_PROVIDER) or [plan.written[0].profile]
        chosen = next((o for o in outgoing if o.profile == order[0]), None)
        if chosen is not None and (kind_of(token) == "missing" or _PROVIDER in orders):
            plan.writes.append(Write(token, (chosen.credential.secret() or "").encode()))
    return plan


def inject(outgoing: Sequence[Outgoing], _: Target) -> Injection:
    """``HF_TOKEN``, which comes before the files."""
    for one in outgoing:
        secret = one.credential.secret()
        if one.provider == _PROVIDER and secret:
            return Injection({"HF_TOKEN": Secret(secret)}, frozenset(_VARIABLES[1:]), used=[one.profile])
    return Injection({})


@contextmanager
def lock(target: Target) -> Iterator[None]:
    """The library's own lock, an ``flock``. Raises TryAgain, StorageError."""
    _, stored = _files(target.path, target.environ, target.home)
    if kind_of(stored.parent) != "folder":
        yield
        return
    with lock_of(f"{_TITLE}'s tokens", stored.with_name("stored_tokens.lock"), _LOCK_SECONDS):
        yield


def _take(findings: Findings, stored: Path, section: str) -> None:
    entry = {name: option.value for name, option in ini_in(stored)[section].items()}
    try:
        access = usable_secret(entry.get("hf_token"), "token")
        profile = foreign_profile(_PROVIDER, section)
        refresh, expires = entry.get("refresh_token"), entry.get("expires_at")
        known = {"hf_token", "refresh_token", "expires_at"}
        extra = {k: v for k, v in entry.items() if k not in known}
        ends = moment_of(whole_number(expires or ""), SECOND)
        credential: AnyCredential
        if refresh:
            credential = OAuth(
                access=access, refresh=usable_secret(refresh, "refresh token"), expires_at=ends, extra=extra
            )
        else:
            credential = Token(token=access, expires_at=ends, extra=extra)
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(section), str(stored), error.message))
        return
    ownership, why = ownership_of(_PROVIDER, credential, _TITLE)
    label = original_label(profile, section)
    findings.found.append(Found(MAIN_AGENT, profile, credential, str(stored), label, ownership=ownership, why=why))


def _files(source: Path | None, environ: Mapping[str, str], home: Path) -> tuple[Path, Path]:
    if source is None:
        token = _token_file(environ, home)
    else:
        path = source.absolute()
        token = path.with_name("token") if path.name in ("token", "stored_tokens") else path / "token"
    return token, token.with_name("stored_tokens")


def _token_file(environ: Mapping[str, str], home: Path) -> Path:
    if environ.get("HF_TOKEN_PATH"):
        return Path(environ["HF_TOKEN_PATH"])
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    return Path(environ.get("HF_HOME") or cache / "huggingface") / "token"


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="tokens: vault; sign-ins: Hugging Face",
    line="vault exec --tool huggingface -- PROGRAM",
    takes=frozenset({_PROVIDER}),
    many=True,
    read=read,
    write=write,
    inject=inject,
    lock=lock,
)
