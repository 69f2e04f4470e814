"""How Codex asks the vault: a model provider of its own in ``config.toml``, whose ``auth`` is a command.

- The provider is ``vault`` and becomes the one in use; with several, the others are ``vault-PROVIDER``. Which was in use before
  stands in a comment behind its name, so that it can be put back where the file was edited since.
- The command prints an API key: what it prints is sent to an API's address as a bearer token. A ChatGPT login works at ChatGPT
  only, and stays Codex's own.
- Comments and order stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vault.addresses import is_loopback_host
from vault.errors import InputError
from vault.events.credentials import ApiKey
from vault.interop.codex_providers import leads_elsewhere
from vault.interop.codex_store import Place, place_of
from vault.interop.codex_writing import NAME
from vault.interop.commands import asks_a_vault
from vault.interop.documents import object_in, toml_bytes, toml_in
from vault.interop.findings import Found, Skipped
from vault.interop.plans import ANOTHER, Injection, Link, Outgoing, Plan, Target, Write
from vault.interop.sources import shown_name
from vault.interop.styled import mode_of
from vault.providers import base_urls
from vault.values import ProfileId, Secret, provider_of

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

TIMEOUT_MS = 15_000
REFRESH_MS = 300_000
_ID = "vault"
_BEFORE = "before: "
_KEY = "CODEX_API_KEY"
_COMPETING = frozenset({_KEY, "CODEX_ACCESS_TOKEN"})
_OPENAI = "https://api.openai.com/v1"


def connect(link: Link, target: Target) -> Plan:
    """A model provider that asks the vault, for each provider or profile that is named; openai if none is. Raises InputError."""
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    document = toml_in(place.config)
    wanted = list(link.what) or ["openai"]
    if len({provider_of(ProfileId(what)) for what in wanted}) < len(wanted):
        raise InputError("two of the named profiles are of one provider", hint="name one of each")
    served = [what for what in wanted if _has_address(plan, place, link, what, only=len(wanted) == 1)]
    if not served:
        raise InputError(plan.left_out[0].why, hint="vault connect codex -p PROVIDER")
    _put(document, _ID, link, served[0], str(document.get("model_provider") or ""))
    document["model_provider"] = _ID
    for what in served[1:]:
        name = f"{_ID}-{provider_of(ProfileId(what))}"
        _put(document, name, link, what, "")
        plan.notes.append(f"codex -c model_provider={name} uses {what}")
    if isinstance(profiles := document.get("profiles"), dict) and any("model_provider" in p for p in profiles.values()):
        plan.notes.append("a profile in config.toml names a model_provider of its own, and goes on using that")
    plan.writes.append(_write(place, document))
    return plan


def disconnect(target: Target) -> Plan:
    """Take the vault's model providers out, and put back the one that was in use before."""
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    document = toml_in(place.config)
    providers = document.get("model_providers")
    known = providers if isinstance(providers, dict) else {}
    ours = [name for name, table in known.items() if target.asks(_asked(table), "api-key", tool=NAME)]
    plan.left_out += [
        Skipped(f"model_providers.{shown_name(name)}", str(place.config), ANOTHER)
        for name, table in known.items()
        if name not in ours and _is_ours(table)
    ]
    if not ours or not isinstance(providers, dict):
        return plan
    used = document.get("model_provider")
    if used in ours:
        before = _before(providers[used])
        if before:
            document["model_provider"] = before
        else:
            del document["model_provider"]
    for name in ours:
        del providers[name]
    if not providers:
        del document["model_providers"]
    plan.writes.append(_write(place, document))
    return plan


def inject(outgoing: Sequence[Outgoing], target: Target) -> Injection:
    """An API key of openai in Codex's own variable; what Codex reads beside it is taken away."""
    place, left_out = place_of(target.environ, target.home, target.path), {}
    for one in outgoing:
        if one.provider == "openai" and isinstance(one.credential, ApiKey):
            if why := leads_elsewhere(place, one.base_url, target.environ):
                left_out[one.profile] = why
                continue
            movers = {n for n in base_urls.movers("openai") if not one.base_url and _leads(n, target)}
            gone = (_COMPETING | movers) - {_KEY}
            return Injection({_KEY: Secret(one.credential.key)}, gone, used=(one.profile,), left_out=left_out)
    return Injection({}, left_out=left_out)


def _leads(name: str, target: Target) -> bool:
    """Whether a variable of the environment leads OpenAI's programs to another server."""
    return name in base_urls.led_astray("openai", target.environ)


def scrub(found: Sequence[Found], link: Link, target: Target) -> Plan:
    """A key that is all of ``auth.json`` gives way to a command in ``config.toml``. Raises InputError, StorageError."""
    plan = Plan(NAME)
    place = place_of(target.environ, target.home, target.path)
    document = object_in(place.auth)
    plain = set(document) <= {"auth_mode", "OPENAI_API_KEY"}
    for one in found:
        key = one.credential.key if isinstance(one.credential, ApiKey) else None
        if key is None or provider_of(one.profile) != "openai":
            why = "Codex has no reference for it; it keeps its own"
        elif one.path != str(place.auth) or document.get("OPENAI_API_KEY") != key:
            why = "it is no longer in auth.json"
        else:
            why = "" if plain else "auth.json holds more than this key; codex logout removes it"
        if why:
            plan.left_out.append(Skipped(one.profile, one.path, why))
            continue
        asked = connect(Link(link.command, link.agent, (one.profile,), link.options), target)
        plan.writes, plan.notes, plan.removes = asked.writes, asked.notes, [place.auth]
    return plan


def _put(document: TOMLDocument, name: str, link: Link, what: str, used: str) -> None:
    import tomlkit

    providers: Any = document.setdefault("model_providers", tomlkit.table(is_super_table=True))
    if not isinstance(providers, dict) or isinstance(providers, tomlkit.items.InlineTable):
        raise InputError("config.toml has model_providers on one line", hint="write each as [model_providers.NAME]")
    if name in providers and not _is_ours(providers[name]):
        raise InputError(f"config.toml has a model provider {name} of its own", hint="rename it there")
    table: Any = providers.setdefault(name, tomlkit.table())
    before = _before(table) if used in ("", name) else used
    label = tomlkit.string(f"{provider_of(ProfileId(what))}, from the vault")
    if before:
        label.comment(_BEFORE + before)
    table["name"] = label
    table["base_url"] = _address(link, what)
    table["wire_api"] = "responses"
    for other in ("env_key", "experimental_bearer_token", "requires_openai_auth"):
        table.pop(other, None)
    auth = tomlkit.table()
    auth["command"] = link.command
    auth["args"] = ["helper", "api-key", what, "--agent", link.agent, "--tool", NAME]
    auth["timeout_ms"] = TIMEOUT_MS
    auth["refresh_interval_ms"] = REFRESH_MS
    table["auth"] = auth


def _has_address(plan: Plan, place: Place, link: Link, what: str, *, only: bool) -> bool:
    """Whether Codex can be sent to a provider; of several, one that it can't is left out. Raises InputError."""
    try:
        _address(link, what)
    except InputError as error:
        if only:
            raise
        plan.left_out.append(Skipped(what, str(place.config), error.message))
        return False
    return True


def _address(link: Link, what: str) -> str:
    """Where the requests go: what is said, else the provider's own address. Raises InputError."""
    from vault.providers import catalogue

    provider = provider_of(ProfileId(what))
    said = link.base_urls.get(what, "") or link.options.get("base_url", "")
    if said:
        parts = urlsplit(said)
        if parts.scheme != "https" and not is_loopback_host(parts.hostname or ""):
            raise InputError(f"{said} is not https, and a key would go there in the open", hint="give an https address")
        return said
    if provider == "openai":
        return _OPENAI
    known = catalogue.provider(provider)
    if known is None or not known.api or known.dialect != "openai" or "${" in known.api:
        raise InputError(
            f"the catalogue has no address of {provider} for Codex", hint="it must speak OpenAI's Responses API"
        )
    return known.api


def _is_ours(table: object) -> bool:
    """Whether a model provider's command asks a vault."""
    return asks_a_vault(_asked(table))


def _asked(table: object) -> list[object]:
    """The command line of a model provider's ``auth``."""
    auth = table.get("auth") if isinstance(table, dict) else None
    words = auth.get("args") if isinstance(auth, dict) else None
    return [auth.get("command"), *words] if isinstance(auth, dict) and isinstance(words, list) else []


def _before(table: Any) -> str:
    """The model provider that was in use before the vault's, if one was."""
    name = table.get("name") if isinstance(table, dict) else None
    text = name.trivia.comment.lstrip("# ").strip() if name is not None and hasattr(name, "trivia") else ""
    return text.removeprefix(_BEFORE) if text.startswith(_BEFORE) else ""


def _write(place: Place, document: TOMLDocument) -> Write:
    plain = any("experimental_bearer_token" in t for t in _tables(document))
    content = toml_bytes(document)
    return Write(place.config, content if content.strip() else b"", mode_of(place.config), secret=plain)


def _tables(document: TOMLDocument) -> list[Any]:
    providers = document.get("model_providers")
    return [table for table in providers.values() if isinstance(table, dict)] if isinstance(providers, dict) else []
