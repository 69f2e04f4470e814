"""``.env`` files: aider's, a project's, Continue's, and whatever else is read into an environment.

A variable that the catalogue knows as a provider's key becomes that provider's profile ``default``; where two variables of one
provider hold different secrets, the later one is named after its variable. Other variables of the file that hold the same secret
are further names of the profile, if they can be a secret's name at all. A value that is only ``$NAME`` or ``${NAME}`` is what
that variable of the file holds, else a reference. aider reads ``~/.aider/oauth-keys.env``, then the ``.env`` of the home, of the
git root and of the working folder, later ones winning, over the real environment too.

A line is taken out only if ``vault exec`` sets its variable to the same secret afterwards, and no line that stays uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vault.errors import InputError, NotFound
from vault.events.credentials import AnyCredential, ApiKey, Token
from vault.interop.dotenv_lines import bindings, set_otherwise, users_of, values, with_value, without
from vault.interop.entries import key_or_reference, ownership_of
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import fits, home_of, shown
from vault.interop.plans import Injection, Link, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, read_text, shown_name
from vault.interop.styled import mode_of
from vault.interop.tools import Orders, Tool
from vault.pointers import pointer_in
from vault.providers import catalogue
from vault.providers.base_urls import carried, led_astray, moved_by, movers
from vault.values import MAIN_AGENT, ProfileId, ProviderId, Secret, name_of, profile_id, provider_of
from vault.variables import is_credentials

NAME, _TITLE = "dotenv", ".env files"


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
        variables = values(read_text(file))
        for name, value in variables.items():
            try:
                _take(findings, file, name, value, variables, environ)
            except InputError as error:
                findings.skipped.append(Skipped(shown_name(name), str(file), error.message))
        findings.found = [_with_names(f, variables) if f.path == str(file) else f for f in findings.found]
    return findings


def _with_names(found: Found, variables: Mapping[str, str]) -> Found:
    """What was found with the further names that the file has for its secret."""
    secret = found.credential.secret()
    names = [name for name, value in variables.items() if secret and value.strip() == secret]
    further = tuple(n for n in names if is_credentials(n) and not catalogue.providers_of_variable(n))
    return replace(found, env=further)


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
        elif why := _elsewhere(one, values(text), target.environ):
            plan.left_out.append(Skipped(one.profile, str(path), why))
        else:
            there = {b.key for b in bindings(text)}
            for variable, url in (carried(one.provider, one.base_url) if one.base_url else {}).items():
                text = with_value(text, variable, url)
            name = next((n for n in names if n in there), names[0])
            for variable in (name, *one.env):
                text = with_value(text, variable, one.credential.secret() or "")
            plan.written.append(Written(one.agent, one.profile, name, str(path)))
    if plan.written:
        plan.writes.append(Write(path, text.encode()))
    return plan


def scrub(found: Sequence[Found], _: Link, target: Target) -> Plan:
    """Take the variables out: what ran with the file runs with ``vault exec``, which sets them under all of their names."""
    plan = Plan(NAME, asks=False)
    for path in dict.fromkeys(f.path for f in found):
        text = read_text(Path(path))
        gone = _removable(text, [f for f in found if f.path == path], plan, path)
        while used := users_of(text, gone):
            plan.left_out += [Skipped(name, path, f"{user} uses it") for name, user in sorted(used.items())]
            gone -= set(used)
        if gone:
            plan.writes.append(Write(Path(path), without(text, gone).encode(), mode_of(Path(path))))
            named = "".join(f" --provider {f.profile}" for f in found if f.path == path and f.base_url)
            plan.notes.append(f"{path} no longer sets {', '.join(sorted(gone))}: vault exec{named} -- PROGRAM does")
    del target
    return plan


def _removable(text: str, found: Sequence[Found], plan: Plan, path: str) -> set[str]:
    """The variables of a file that ``vault exec`` sets to what the file does; the others that hold a secret are left out."""
    variables, gone = values(text), set[str]()
    for one in found:
        provider, secret = provider_of(one.profile), one.credential.secret()
        known = [(n, value.strip()) for n, value in variables.items() if n in catalogue.env_names(provider)]
        others = [n for n, value in known if value not in ("", secret) and pointer_in(value) is None]
        for name in [n for n, value in variables.items() if secret and value.strip() == secret]:
            own = name in catalogue.env_names(provider)
            if own and others:
                why = f"the file has another secret of {provider} too, and vault exec gives a program one of them"
            elif own or name in one.env:
                why = "several lines set it, and not to the same" if set_otherwise(text, name) else ""
            elif any(name in catalogue.env_names(p) for p in catalogue.providers_of_variable(name)):
                continue  # another provider's, and found as that
            else:
                why = "vault exec would not set a variable of that name"
            if why:
                plan.left_out.append(Skipped(name, path, why))
            else:
                gone.add(name)
    return gone


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """The variables themselves, of those that have a secret and a variable for it: nothing else is handed out.

    What would lead a provider's programs to another server than the credential's is taken away.
    """
    untold = [one for one in outgoing if one.base_url and not carried(one.provider, one.base_url)]
    given = [(o, secret) for o in outgoing if o not in untold and (secret := o.credential.secret()) and _names(o)]
    used = [one.profile for one, _ in given]
    further = {name: Secret(secret) for one, secret in reversed(given) for name in one.env}
    held = further | {name: Secret(secret) for one, secret in given for name in catalogue.env_names(one.provider)}
    for one, _ in given:
        held |= {n: Secret(url) for n, url in carried(one.provider, one.base_url).items()} if one.base_url else {}
    stale = {name for profile in used for name in catalogue.stripped_names(provider_of(profile))}
    stale |= {name for profile in used for name in movers(provider_of(profile)) if _leads(profile, name, target)}
    why = {o.profile: f"no variable can tell a program of {o.provider} that it is for {o.base_url}" for o in untold}
    return Injection(held, frozenset(stale - set(held)), used=used, left_out=why)


def _leads(profile: ProfileId, name: str, target: Target) -> bool:
    """Whether a variable of the environment leads to another server."""
    return name in led_astray(provider_of(profile), target.environ)


def _elsewhere(one: Outgoing, variables: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Why a key must not go into a file; nothing where it may."""
    variable, address = moved_by(one.provider, variables)
    if address and not fits(one.provider, one.base_url, address, environ):
        return f"{variable} there leads to {shown(address)}, where it doesn't belong"
    if one.base_url and not carried(one.provider, one.base_url):
        return f"no variable can tell a program of {one.provider} that it is for {one.base_url}"
    return ""


def _names(one: Outgoing) -> tuple[str, ...]:
    return (*catalogue.env_names(one.provider), *one.env)


def _take(
    findings: Findings,
    file: Path,
    name: str,
    value: str | None,
    variables: Mapping[str, str],
    environ: Mapping[str, str],
) -> None:
    providers = catalogue.providers_of_variable(name)
    if not providers:
        return
    provider = next((p for p in providers if name in catalogue.env_names(p)), None)
    if provider is None:
        findings.skipped.append(Skipped(name, str(file), "it is not a key, or only part of one"))
        return
    credential = key_or_reference(value, "value")
    home = home_of(provider, moved_by(provider, variables)[1], {**environ, **variables})
    provider, own = home.provider, name_of(home.profile)
    same = [f for f in findings.found if provider_of(f.profile) == provider and _same(f.credential, credential)]
    if same:
        findings.skipped.append(Skipped(name, str(file), f"it is the same as {same[0].profile}"))
        return
    taken = {f.profile for f in findings.found}
    profile = home.profile
    if profile in taken:
        profile = profile_id(provider, f"{own}#{name.lower()}" if home.base_url else name.lower())
    if profile in taken:
        findings.found = [f for f in findings.found if f.profile != profile]
    ownership, why = ownership_of(ProviderId(provider), credential, _TITLE)
    findings.found.append(
        Found(MAIN_AGENT, profile, credential, str(file), ownership=ownership, why=why, base_url=home.base_url)
    )


def _same(one: AnyCredential, other: AnyCredential) -> bool:
    return one.secret() is not None and one.secret() == other.secret()


def _file(source: Path) -> Path:
    path = source.absolute()
    return path / ".env" if kind_of(path) == "folder" else path


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="vault",
    line="vault exec -- PROGRAM",
    addresses=True,
    read=read,
    write=write,
    scrub=scrub,
    inject=inject,
)
