"""OpenClaw asks the vault: ``secrets.providers`` gets this command, and references to it stand where keys would.

A provider gets one as its ``apiKey`` in ``openclaw.json``. The vault's order then decides at each question, and the reference
comes before any profile there. One reference that can't be resolved keeps most of OpenClaw's commands from running, so OpenClaw
tries them all before the change stays. A profile that is named gets a profile there with a reference, first in OpenClaw's order.

Nothing that is there is replaced: what has a key or a reference of its own is left out, and why is said. So ``disconnect`` takes
out what refers to the vault, and that is all that was put in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vault.errors import InputError, NotFound
from vault.interop.findings import Found
from vault.interop.openclaw_given import Given, give, taken_back, with_reference
from vault.interop.openclaw_place import Place, place_of
from vault.interop.openclaw_refs import reference
from vault.interop.openclaw_wiring import Wiring, check_command, wiring_of
from vault.interop.plans import ANOTHER, Link, Plan, Target
from vault.providers import catalogue
from vault.providers.cloud import family_of_id
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId, parse_provider, profile_id, provider_of

_BUNDLED = """
    anthropic arcee byteplus cerebras chutes cloudflare-ai-gateway deepinfra deepseek fal fireworks google groq huggingface
    kilocode kimi kimi-coding litellm lmstudio minimax mistral modelstudio moonshot nvidia ollama openai opencode opencode-go
    openrouter qianfan qwen sglang stepfun stepfun-plan synthetic tencent-tokenhub together venice vercel-ai-gateway vllm
    volcengine volcengine-plan vydra xai xiaomi zai
"""
BUNDLED = frozenset(_BUNDLED.split())
RELOAD = "a Gateway asks when it starts; one that runs asks again after: openclaw secrets reload"
_FOR_AN_AGENT = "vault"


@dataclass(slots=True)
class _Asking:
    place: Place
    link: Link
    wiring: Wiring
    refs: dict[str, dict[str, str]] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)


def connect(link: Link, target: Target) -> Plan:
    """What connecting would do: ``link.what`` are providers and profiles.

    Raises InputError for a configuration that can't be changed, NotFound when nothing can be connected, Unavailable for a
    command that OpenClaw wouldn't run, StorageError, TryAgain.
    """
    check_command(link.command)
    place = place_of(target)
    wiring = wiring_of(place, link)
    asking = _Asking(place, link, wiring)
    connected = [_connect(asking, text) for text in link.what]
    plan = wiring.plan
    if not any(connected):
        why = "; ".join(f"{one.name}: {one.why}" for one in plan.left_out) or "nothing is named"
        raise NotFound(f"OpenClaw can't be made to ask for anything ({why})", hint="vault connect openclaw -p PROVIDER")
    if wiring.put() and asking.refs:
        batch = json.dumps([{"path": path, "ref": ref} for path, ref in asking.refs.items()])
        words = ("config", "set", "--batch-json", batch, "--dry-run", "--allow-exec")
        plan.runs.append(place.run(*words, what="trying what it will ask for", changes=False))
    give(place, plan, asking.given, first=True)
    if not plan.empty:
        plan.notes.append(RELOAD)
    return plan


def disconnect(target: Target) -> Plan:
    """What taking it back would do. Raises InputError, StorageError, TryAgain."""
    place = place_of(target)
    wiring = wiring_of(place, None)
    wiring.commands = target.commands
    for alias in sorted(wiring.others()):
        wiring.leave_out(f"secrets.providers.{alias}", ANOTHER)
    names = {
        agent.id: [name for name, (entry, _) in agent.entries.items() if wiring.asks(entry)]
        for agent in (place.store.main, *place.store.others.values())
    }
    for name, provider in list(wiring.peek("models", "providers").items()):
        if isinstance(provider, dict) and wiring.refers(provider.get("apiKey")):
            del provider["apiKey"]
            _prune(wiring.document, "models", "providers", name)
    for alias in wiring.aliases():
        del wiring.at("secrets", "providers")[alias]
        _prune(wiring.document, "secrets", "providers")
    wiring.put()
    taken_back(place, wiring.plan, {agent: mine for agent, mine in names.items() if mine})
    if any(names.values()):
        wiring.plan.notes.append(
            "OpenClaw has nothing in their place: vault export openclaw writes the keys themselves"
        )
    return wiring.plan


def scrub(found: Sequence[Found], link: Link, target: Target) -> Plan:
    """What replacing keys and tokens in OpenClaw's store by references would do; logins stay, for OpenClaw refreshes them.

    Raises InputError, Unavailable, StorageError, TryAgain.
    """
    check_command(link.command)
    place = place_of(target)
    wiring = wiring_of(place, link)
    given: list[Given] = []
    for one in found:
        name, entry = _entry_there(place, one)
        if one.credential.kind not in ("api_key", "token") or entry is None:
            why = (
                "OpenClaw takes no reference for a login"
                if one.credential.kind == "oauth"
                else "it isn't a secret there"
            )
            wiring.leave_out(one.profile, why)
            continue
        try:
            ref = reference(wiring.alias(link, one.agent), one.profile)
        except InputError as error:
            wiring.leave_out(one.profile, error.message)
            continue
        made = with_reference(entry, ref, token=one.credential.kind == "token")
        given.append(Given(one.agent, provider_of(one.profile), name, made, instead=True))
    if given:
        wiring.put()
        give(place, wiring.plan, given, first=False)
        wiring.plan.notes.append(RELOAD)
    if given and not place.json:
        wiring.plan.notes.append("OpenClaw's database may keep the old bytes in free pages until it uses them again")
    return wiring.plan


def _connect(asking: _Asking, text: str) -> bool:
    """Have OpenClaw ask for a provider or a profile; False where it is left out. Raises InputError, NotFound."""
    named, colon, name = text.partition(":")
    provider = parse_provider(named) if "." in named else catalogue.resolve(named)
    agent, wiring = asking.link.agent, asking.wiring
    if agent not in asking.place.folders:
        wiring.leave_out(text, f"OpenClaw has no agent {agent}: openclaw agents add {agent}")
        return False
    if family_of_id(provider):
        wiring.leave_out(text, "OpenClaw finds a cloud's credentials itself")
        return False
    if colon:
        return _ask_for_profile(asking, agent, profile_id(provider, name), text)
    if agent == MAIN_AGENT:
        return _ask_for_provider(asking, provider)
    return _ask_for_profile(asking, agent, profile_id(provider, _FOR_AN_AGENT), provider)


def _ask_for_provider(asking: _Asking, provider: ProviderId) -> bool:
    wiring = asking.wiring
    name = asking.place.provider(provider)
    declared = wiring.peek("models", "providers")
    if name not in declared and name not in BUNDLED:
        wiring.leave_out(provider, f"OpenClaw has no provider {name}: put it under models.providers first")
        return False
    own = wiring.peek("models", "providers", name).get("apiKey")
    if own is not None and not wiring.refers(own):
        what = "a reference of its own" if isinstance(own, dict) or str(own).startswith("$") else "a key in plain text"
        path = f"models.providers.{name}.apiKey"
        wiring.leave_out(provider, f"openclaw.json has {what} for it; take it out with: openclaw config unset {path}")
        return False
    own_profiles = [i for i, here in asking.place.ids(MAIN_AGENT).items() if provider_of(here) == provider]
    if asking.place.json and own_profiles:
        why = f"this OpenClaw, older than 2026.6, uses its own {own_profiles[0]} before it asks"
        wiring.leave_out(provider, f"{why}; name a profile, or have vault import openclaw --scrub make references")
        return False
    ref = reference(wiring.alias(asking.link, MAIN_AGENT), provider)
    wiring.at("models", "providers", name)["apiKey"] = ref
    asking.refs[f"models.providers.{name}.apiKey"] = ref
    return True


def _ask_for_profile(asking: _Asking, agent: AgentId, profile: ProfileId, what: str) -> bool:
    place, wiring = asking.place, asking.wiring
    name = place.profile(agent, profile)
    entry, provider = place.entries(agent).get(name), provider_of(profile)
    try:
        ref = reference(wiring.alias(asking.link, agent), profile if ":" in what else provider)
    except InputError as error:
        wiring.leave_out(what, error.message)
        return False
    if entry is not None and not wiring.asks(entry):
        wiring.leave_out(
            what, f"{name} there has a credential of its own; vault import openclaw --scrub makes a reference of it"
        )
        return False
    made = with_reference({"provider": place.provider(provider)}, ref, token=place.mode(name) == "token")
    if entry != made:
        asking.given.append(Given(agent, provider, name, made))
    return True


def _entry_there(place: Place, found: Found) -> tuple[str, Mapping[str, Any] | None]:
    """The id and the entry of what was found there, where the agent has it itself."""
    name = place.profile(found.agent, found.profile)
    agent = place.store.main if found.agent == MAIN_AGENT else place.store.others.get(found.agent)
    entry = agent.entries.get(name, (None, None))[0] if agent is not None else None
    return name, entry if isinstance(entry, dict) else None


def _prune(document: dict[str, Any], *names: str) -> None:
    """Take out an object that is empty, and those around it that are empty then."""
    for depth in range(len(names), 0, -1):
        parent: Any = document
        for name in names[: depth - 1]:
            parent = parent.get(name, {})
        if parent.get(names[depth - 1]) != {}:
            return
        del parent[names[depth - 1]]
