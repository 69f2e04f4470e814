"""Qwen Code: API keys in ``.qwen/.env`` and in ``env`` of ``settings.json``, and the sign-in of old.

| where | becomes | owner |
|---|---|---|
| a variable of ``.env`` or of ``settings.json`` | its provider's ``default``; ``settings`` where both have one | vault |
| ``oauth_creds.json`` | ``qwen-oauth:qwen-code`` | Qwen Code; its servers have refused it since April 2026 |

Whose key ``OPENAI_API_KEY`` is, ``OPENAI_BASE_URL`` beside it says; a variable that ``modelProviders`` names belongs to the
provider at the address there. A key goes back into the file and the variable it came from, and a new one into ``.env``; the
process's own variables come before both, so ``exec`` wins. Comments stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.addresses import is_loopback_url
from vault.errors import InputError, NotFound
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop.commented import Commented, commented_in
from vault.interop.documents import addressed, object_in
from vault.interop.dotenv_lines import bindings, with_value
from vault.interop.entries import former_profile, instant_of, key_or_reference, ownership_of, usable_secret
from vault.interop.findings import Findings, Found, Skipped
from vault.interop.homes import Home, home_of
from vault.interop.hosts import host_of
from vault.interop.plans import Injection, Outgoing, Plan, Target, Write, Written
from vault.interop.sources import kind_of, read_text, shown_name
from vault.interop.styled import mode_of
from vault.interop.tools import Orders, Tool
from vault.providers import catalogue
from vault.values import DEFAULT_NAME, MAIN_AGENT, ProfileId, ProviderId, Secret, name_of, profile_id

NAME, _TITLE = "qwen", "Qwen Code"
KEPT = "qwen_code"
_ENV, _SETTINGS, _CREDS = ".env", "settings.json", "oauth_creds.json"
_LOGIN = ProfileId("qwen-oauth:qwen-code")
_BASES = {"OPENAI_API_KEY": "OPENAI_BASE_URL", "ANTHROPIC_API_KEY": "ANTHROPIC_BASE_URL"}
_READ = frozenset(
    {
        *(
            f"{name}_API_KEY"
            for name in ("DASHSCOPE", "DEEPSEEK", "MINIMAX", "MODELSCOPE", "MOONSHOT", "OPENAI", "ZAI")
        ),
        *(f"{name}_API_KEY" for name in ("ANTHROPIC", "GEMINI", "OPENROUTER", "XAI")),
    }
)
_KNOWN = frozenset({"access_token", "refresh_token", "expiry_date", "id_token"})


def places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """The files Qwen Code may keep a credential in, for this environment."""
    folder = _folder(None, environ, home)
    return [folder / name for name in (_ENV, _SETTINGS, _CREDS)]


def read(source: Path | None, environ: Mapping[str, str], home: Path) -> Findings:
    """What Qwen Code keeps. ``source`` is its folder, or one of the files. Raises NotFound, InputError, StorageError."""
    folder = _folder(source, environ, home)
    named = source is not None and source.name in (_ENV, _SETTINGS, _CREDS)
    files = [folder / name for name in ((source.name,) if source is not None and named else (_ENV, _SETTINGS, _CREDS))]
    files = [file for file in files if kind_of(file) == "file"]
    if not files:
        raise NotFound(f"{_TITLE} keeps nothing at {source or folder}", hint="name its folder with --from")
    findings = Findings(NAME, [str(file) for file in files])
    settings = commented_in(folder / _SETTINGS).document
    for file in files:
        if file.name == _CREDS:
            _take_login(findings, file, object_in(file))
            continue
        values = _variables(file, settings)
        for name, value in values.items():
            _take(findings, file, name, value, values, settings, environ)
    return findings


def write(outgoing: Sequence[Outgoing], _: Orders, target: Target) -> Plan:
    """Put keys into ``.env``, or into ``settings.json`` where they came from. Raises InputError, StorageError."""
    plan = Plan(NAME)
    folder = _folder(target.path, target.environ, target.home)
    env, settings = folder / _ENV, commented_in(folder / _SETTINGS)
    text = before = "" if kind_of(env) == "missing" else read_text(env)
    document = settings.document
    for one in outgoing:
        kept = one.credential.extra.get(KEPT)
        kept = kept if isinstance(kept, dict) else {}
        name = kept.get("variable") or _variable(one, text, document, target.environ)
        why = _refusal(one, name, text, document, target.environ)
        if any(w.name == name for w in plan.written):
            why = f"{name} is another profile's already"
        if why:
            plan.left_out.append(Skipped(one.profile, str(env), why))
            continue
        secret, there = one.credential.secret() or "", document.get("env")
        there = there if isinstance(there, dict) else {}
        in_settings = kept.get("file") == _SETTINGS or (name in there and not _has(text, name))
        if in_settings:
            document = {**document, "env": {**there, name: secret}}
        else:
            text = with_value(text, name, secret)
        plan.written.append(Written(one.agent, one.profile, name, str(settings.path if in_settings else env)))
    if text != before:
        plan.writes.append(Write(env, text.encode(), mode_of(env)))
    if document != settings.document:
        plan.writes.append(_settings(settings, document))
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """The variables that ``settings.json`` and the providers name, which come before both files. Raises InputError."""
    file = _folder(target.path, target.environ, target.home) / _SETTINGS
    settings = addressed(lambda: commented_in(file).document, _TITLE)
    values: dict[str, Secret] = {}
    used, left_out = [], {}
    for one in outgoing:
        secret = one.credential.secret()
        if not secret or isinstance(one.credential, OAuth):
            continue
        declared = [n for n, address in _declared(settings) if _is_of(one, n, address, target.environ)]
        others = {n for n, address in _declared(settings) if address and n not in declared}
        known = () if one.base_url else catalogue.env_names(one.provider)
        names = {*(n for n in known if n in _READ), *declared} - others
        moved: dict[str, str] = {}
        for variable, base in _BASES.items():
            address = _last(base, target, settings)
            if address and _is_of(one, variable, address, target.environ):
                names |= {variable}
            elif address and variable not in declared:
                names -= {variable}
            elif one.base_url and not address and variable in catalogue.env_names(one.provider):
                names, moved = names | {variable}, {base: one.base_url}
        values |= dict.fromkeys(names, Secret(secret)) | {n: Secret(url) for n, url in moved.items()}
        used += [one.profile] if names else []
        if not names:
            left_out[one.profile] = (
                f"{_TITLE}'s configuration leads elsewhere than it belongs, or has no variable for it"
            )
    stale = {name for one in outgoing for name in catalogue.stripped_names(one.provider)} - set(values)
    return Injection(values, frozenset(stale), used=used, left_out=left_out)


def _variables(file: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    if file.name == _SETTINGS:
        found = settings.get("env")
        return dict(found) if isinstance(found, dict) else {}
    return {b.key: b.value for b in bindings(read_text(file)) if b.key}


def _last(base: str, target: Target, settings: Mapping[str, Any]) -> str:
    """The address in a variable, where Qwen Code finds it first: the environment, ``.env``, ``settings.json``."""
    env = _folder(target.path, target.environ, target.home) / _ENV
    places = (target.environ, _variables(env, settings) if kind_of(env) == "file" else {}, settings.get("env"))
    found = (place.get(base) for place in places if isinstance(place, Mapping))
    return next((str(address) for address in found if address), "")


def _is_of(one: Outgoing, name: str, address: str, environ: Mapping[str, str]) -> bool:
    """Whether a credential belongs to the address that a variable's key is sent to."""
    try:
        home = _home(name, address, environ)
    except InputError:
        return False
    if not one.base_url and home.provider == one.provider and is_loopback_url(home.base_url):
        return True
    legacy = bool(home.base_url) and not one.base_url and one.provider == host_of(address)
    return legacy or (home.provider, home.base_url) == (one.provider, one.base_url)


def _home(name: str, address: str, environ: Mapping[str, str]) -> Home:
    """Whose a variable's key is that is sent to an address. Raises InputError."""
    provider = _known(name)
    return home_of(provider or ProviderId("openai"), address, environ)


def _known(name: str) -> ProviderId | None:
    return next((p for p in catalogue.providers_of_variable(name) if name in catalogue.env_names(p)), None)


def _take(
    findings: Findings,
    path: Path,
    name: str,
    value: Any,
    values: Mapping[str, Any],
    settings: Mapping[str, Any],
    environ: Mapping[str, str],
) -> None:
    try:
        home = _owner(name, values, settings, environ)
        if home is None:
            return
        provider, own = home.provider, name_of(home.profile)
        kept = {KEPT: {"file": path.name, "variable": name}}
        credential = key_or_reference(value, "value", extra=kept)
        same = [f for f in findings.found if f.credential.secret() and f.credential.secret() == credential.secret()]
        if same:
            raise InputError(f"it is the same as {same[0].profile}")
        taken = {f.profile for f in findings.found}
        names = ["settings" if path.name == _SETTINGS else "env", name.lower(), f"{name.lower()}-2"]
        names = [own, *(f"{own}#{n}" if home.base_url else n for n in names)]
        profile = next(p for n in names if (p := profile_id(provider, n)) not in taken)
    except InputError as error:
        findings.skipped.append(Skipped(shown_name(name), str(path), error.message))
        return
    ownership, why = ownership_of(provider, credential, _TITLE)
    former = former_profile(host_of(home.base_url), DEFAULT_NAME) if home.base_url else None
    findings.found.append(
        Found(
            MAIN_AGENT,
            profile,
            credential,
            str(path),
            ownership=ownership,
            why=why,
            former=former,
            base_url=home.base_url,
        )
    )


def _owner(
    name: str, values: Mapping[str, Any], settings: Mapping[str, Any], environ: Mapping[str, str]
) -> Home | None:
    """Whose key a variable holds; None for a variable that holds none. Raises InputError."""
    address = _address(name, values, settings)
    if address:
        return _home(name, address, environ)
    known = _known(name)
    return home_of(known, "", environ) if known else None


def _address(name: str, values: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The address that a variable's key is sent to, where the files say it."""
    said = [
        values.get(_BASES.get(name, "")),
        *(address for variable, address in _declared(settings) if variable == name),
    ]
    return next((address for address in said if isinstance(address, str) and address), "")


def _declared(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(variable, address) of each model that ``modelProviders`` describes."""
    groups = settings.get("modelProviders")
    for models in groups.values() if isinstance(groups, dict) else ():
        for model in models if isinstance(models, list) else ():
            if isinstance(model, dict) and isinstance(model.get("envKey"), str):
                address = model.get("baseUrl")
                yield model["envKey"], address if isinstance(address, str) else ""


def _variable(one: Outgoing, text: str, settings: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The variable for a provider that has none here yet, or the one it has."""
    env = settings.get("env")
    for values in ({b.key: b.value for b in bindings(text) if b.key}, env if isinstance(env, dict) else {}):
        for name in values:
            try:
                home = _owner(name, values, settings, environ)
                if home and (home.provider, home.base_url) == (one.provider, one.base_url):
                    return name
            except InputError:
                continue
    declared = [name for name, address in _declared(settings) if _is_of(one, name, address, environ)]
    known = () if one.base_url else catalogue.env_names(one.provider)
    return next(iter((*declared, *(name for name in known if name in _READ))), "")


def _refusal(one: Outgoing, name: str, text: str, settings: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Why a credential isn't written; nothing when it can be."""
    if not isinstance(one.credential, ApiKey | Token):
        return f"{_TITLE} keeps no {one.credential.kind}; vault exec --tool qwen -- qwen"
    if not name:
        return "no variable of Qwen Code's is known for it; name one in modelProviders of settings.json"
    address = _address(name, {b.key: b.value for b in bindings(text) if b.key}, settings)
    if address and not _is_of(one, name, address, environ):
        return f"{name} would be sent to {host_of(address) or 'another address'}, where it doesn't belong"
    if one.base_url and not address:
        return f"nothing in {_TITLE}'s files leads {name} to {one.base_url}"
    return ""


def _has(text: str, name: str) -> bool:
    return any(b.key == name for b in bindings(text))


def _settings(settings: Commented, document: dict[str, Any]) -> Write:
    return Write(settings.path, settings.bytes(document), mode_of(settings.path))


def _take_login(findings: Findings, path: Path, document: Mapping[str, Any]) -> None:
    try:
        refresh, identity = document.get("refresh_token"), document.get("id_token")
        address = document.get("resource_url")
        credential = OAuth(
            access=usable_secret(document.get("access_token"), "access token"),
            refresh=usable_secret(refresh, "refresh token") if refresh else "",
            expires_at=instant_of(document.get("expiry_date")),
            id_token=identity if isinstance(identity, str) else "",
            metadata={"resource_url": address} if isinstance(address, str) and address else {},
            extra={KEPT: {n: v for n, v in document.items() if n not in _KNOWN}},
        )
    except InputError as error:
        findings.skipped.append(Skipped(_CREDS, str(path), error.message))
        return
    why = "Qwen Code's own; its servers have refused it since April 2026, so log in to alibaba with a key instead"
    findings.found.append(Found(MAIN_AGENT, _LOGIN, credential, str(path), ownership="external", why=why))


def _folder(source: Path | None, environ: Mapping[str, str], home: Path) -> Path:
    if source is None:
        return Path(environ["QWEN_HOME"]) if environ.get("QWEN_HOME") else home / ".qwen"
    path = source.absolute()
    if path.name in (_ENV, _SETTINGS, _CREDS):
        return path.parent
    if kind_of(path) == "file":
        raise InputError(f"{path} is not one of {_TITLE}'s files", hint="name .env, settings.json or oauth_creds.json")
    return path / ".qwen" if kind_of(path / ".qwen") == "folder" else path


TOOL = Tool(
    name=NAME,
    title=_TITLE,
    places=places,
    ownership="keys: vault; the old sign-in: Qwen Code",
    line="vault exec --tool qwen -- qwen",
    addresses=True,
    read=read,
    write=write,
    inject=inject,
)
