"""``.env`` files: aider's, a project's, Continue's, and whatever else is read into an environment.

A variable that the catalogue knows as a provider's key becomes that provider's profile ``default``; where two variables of one
provider hold different secrets, the later one is named after its variable. A value that is only ``$NAME`` or ``${NAME}`` is a
reference. Everything else in the file stays as it is, byte for byte. aider reads ``~/.aider/oauth-keys.env``, then the ``.env``
of the home, of the git root and of the working folder, later ones winning, over the real environment too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, ApiKey, Token
from vault.interop.entries import key_or_reference, ownership_of
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.plans import Injection, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, read_text, shown_name
from vault.interop.tools import Orders, Tool
from vault.providers import catalogue
from vault.values import DEFAULT_NAME, MAIN_AGENT, ProfileId, ProviderId, Secret, profile_id, provider_of

NAME, _TITLE = "dotenv", ".env files"
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+", re.ASCII)


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The files that are looked for: aider's, the home's, Continue's, the working folder's."""
    continues = Path(environ.get("CONTINUE_GLOBAL_DIR") or home / ".continue")
    found = [home / ".aider" / "oauth-keys.env", continues / ".env", home / ".env", Path.cwd() / ".env"]
    return list(dict.fromkeys(found))


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """The keys in one file, or in all that are there. Raises NotFound, InputError, StorageError."""
    files = [_file(source)] if source is not None else [p for p in places(environ, home) if kind_of(p) == "file"]
    if not files:
        raise NotFound("there is no .env file in the usual places", hint="name it with --from")
    findings = Findings(NAME)
    for file in files:
        findings.paths.append(str(file))
        for binding in bindings(read_text(file)):
            if binding.key is None:
                continue
            try:
                _take(findings, file, binding.key, binding.value)
            except InputError as error:
                findings.skipped.append(Skipped(shown_name(binding.key), str(file), error.message))
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put keys into a file under the names their providers' tools read. Raises InputError, NotFound, StorageError."""
    plan, path = Plan(NAME), _file(target.path or Path.cwd())
    text = "" if kind_of(path) == "missing" else read_text(path)
    for one in outgoing:
        names = catalogue.env_names(one.provider)
        if not isinstance(one.credential, ApiKey | Token):
            why = f"a {one.credential.kind} doesn't last in a file; use vault exec, or vault env"
            plan.left_out.append(Skipped(one.profile, str(path), why))
        elif not names:
            plan.left_out.append(Skipped(one.profile, str(path), "no environment variable is known for it"))
        else:
            there = {b.key for b in bindings(text)}
            name = next((n for n in names if n in there), names[0])
            text = with_value(text, name, one.credential.secret() or "")
            plan.written.append(Written(one.agent, one.profile, name, str(path)))
    plan.writes.append(Write(path, text.encode()))
    return plan


def scrub(found: Sequence[Found], _: Link, target: Target) -> Plan:
    """Take the variables out: what ran with the file runs with ``vault exec``."""
    plan = Plan(NAME)
    for path in dict.fromkeys(f.path for f in found):
        held = {f.credential.secret() for f in found if f.path == path}
        kept = [b for b in bindings(read_text(Path(path))) if not (b.key and (b.value or "").strip() in held)]
        plan.writes.append(Write(Path(path), "".join(b.original.string for b in kept).encode()))
        plan.notes.append(f"{path} no longer sets them: run the program with vault exec -- PROGRAM")
    del target
    return plan


def inject(outgoing: Sequence[Outgoing], _: Target) -> Injection:
    """The variables themselves, of those that have a secret and a variable for it: nothing else is handed out."""
    values: dict[str, Secret] = {}
    used: list[ProfileId] = []
    for one in outgoing:
        secret, names = one.credential.secret(), catalogue.env_names(one.provider)
        if secret and names:
            values |= {name: Secret(secret) for name in names}
            used.append(one.profile)
    stale = {name for profile in used for name in catalogue.stripped_names(provider_of(profile))} - set(values)
    return Injection(values, frozenset(stale), used=used)


def bindings(text: str) -> list[Binding]:
    """The lines of a file as the ``python-dotenv`` library reads them, nothing interpolated. Raises InputError for damage."""
    found = list(parse_stream(io.StringIO(text)))
    broken = next((b for b in found if b.error), None)
    if broken is not None:
        raise InputError(f"line {broken.original.line} of the .env file can't be understood", hint="mend it first")
    return found


def with_value(text: str, name: str, value: str) -> str:
    """A file's text with a variable set: in its place, or at the end. What else is there stays as it is."""
    line = f"{name}={_quoted(value)}"
    parts: list[str] = []
    done = False
    for binding in bindings(text):
        old = binding.original.string
        if binding.key == name:
            lead = old[: len(old) - len(old.lstrip())]
            export = "export " if old.lstrip().startswith("export ") else ""
            parts.append("" if done else f"{lead}{export}{line}" + ("\n" if old.endswith("\n") else ""))
            done = True
        else:
            parts.append(old)
    text = "".join(parts)
    if done:
        return text
    return text + ("" if not text or text.endswith("\n") else "\n") + line + "\n"


def _take(findings: Findings, file: Path, name: str, value: str | None) -> None:
    providers = catalogue.providers_of_variable(name)
    if not providers:
        return
    provider = next((p for p in providers if name in catalogue.env_names(p)), None)
    if provider is None:
        findings.skipped.append(Skipped(name, str(file), "it is no key, or a part of one"))
        return
    credential = key_or_reference(value, "value")
    same = [f for f in findings.found if provider_of(f.profile) == provider and _same(f.credential, credential)]
    if same:
        findings.skipped.append(Skipped(name, str(file), f"it is the same as {same[0].profile}"))
        return
    taken = {f.profile for f in findings.found}
    profile = profile_id(provider, DEFAULT_NAME)
    if profile in taken:
        profile = profile_id(provider, name.lower())
    if profile in taken:
        findings.found = [f for f in findings.found if f.profile != profile]
    ownership, why = ownership_of(ProviderId(provider), credential, _TITLE)
    findings.found.append(Found(MAIN_AGENT, ProfileId(profile), credential, str(file), ownership=ownership, why=why))


def _same(one: AnyCredential, other: AnyCredential) -> bool:
    return one.secret() is not None and one.secret() == other.secret()


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _file(source: Path) -> Path:
    path = source.absolute()
    return path / ".env" if kind_of(path) == "folder" else path


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="vault",
    line="vault exec -- PROGRAM",
    read=read,
    write=write,
    scrub=scrub,
    inject=inject,
)
