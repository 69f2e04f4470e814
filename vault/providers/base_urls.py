"""Whose an address is, and how a program is told of one. A credential belongs to a server, and is offered with that alone.

An address is compared in one spelling: scheme and host in lower case, no port that is the scheme's own, no slash at its end.
Two that differ in scheme, host, port or path are two. A provider's own addresses are the one in the embedded catalogue (never
that of a fetched one) and those listed here: its regions, and its other names. Hosts under which customers' servers stand are
no pattern here. A server on this machine is own to a provider that runs there, and to no other: a key that is kept with its
address is that server's. A provider's own key may be sent to one, where a person's own setting leads there.

``CARRIERS`` are the variables that lead a provider's programs to another server. A credential of another server goes into an
environment together with all of them, or not at all; with a provider's own key none of them may stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from urllib.parse import quote, urlsplit, urlunsplit

from vault.addresses import is_loopback_url
from vault.errors import InputError
from vault.providers import catalogue
from vault.spelling import spell_name
from vault.values import ProviderId

_PORTS = {"http": 80, "https": 443}
_OWN: dict[str, tuple[str, ...]] = {
    "aihubmix": ("aihubmix.com", "api.aihubmix.com"),
    "alibaba": ("dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com", "coding-intl.dashscope.aliyuncs.com"),
    "alibaba-cn": ("dashscope.aliyuncs.com", "coding.dashscope.aliyuncs.com"),
    "amazon-bedrock": ("bedrock-runtime.*.amazonaws.com", "bedrock.*.amazonaws.com", "bedrock-mantle.*.api.aws"),
    "anthropic": ("api.anthropic.com",),
    "cerebras": ("api.cerebras.ai",),
    "cloudflare-ai-gateway": ("gateway.ai.cloudflare.com", "api.cloudflare.com"),
    "cloudflare-workers-ai": ("api.cloudflare.com",),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "deepinfra": ("api.deepinfra.com",),
    "github-copilot": ("*.githubcopilot.com", "api.*.githubcopilot.com", "api.github.com"),
    "gitlab": ("gitlab.com", "cloud.gitlab.com"),
    "google": ("generativelanguage.googleapis.com", "aiplatform.googleapis.com"),
    "google-vertex": ("aiplatform.googleapis.com", "*-aiplatform.googleapis.com"),
    "google-vertex-anthropic": ("aiplatform.googleapis.com", "*-aiplatform.googleapis.com"),
    "groq": ("api.groq.com",),
    "huggingface": ("huggingface.co", "router.huggingface.co", "api-inference.huggingface.co"),
    "infomaniak": ("api.infomaniak.com",),
    "mistral": ("api.mistral.ai", "codestral.mistral.ai"),
    "moonshotai": ("api.moonshot.ai",),
    "moonshotai-cn": ("api.moonshot.cn",),
    "nvidia": ("integrate.api.nvidia.com", "ai.api.nvidia.com"),
    "openai": ("api.openai.com", "*.api.openai.com", "chatgpt.com"),
    "perplexity": ("api.perplexity.ai",),
    "togetherai": ("api.together.xyz", "api.together.ai"),
    "v0": ("api.v0.dev",),
    "venice": ("api.venice.ai",),
    "vercel": ("ai-gateway.vercel.sh",),
    "xai": ("api.x.ai", "*.api.x.ai"),
}

CARRIERS: dict[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_BASE_URL",),
    "cerebras": ("CEREBRAS_BASE_URL",),
    "cohere": ("CO_API_URL",),
    "google": ("GOOGLE_GEMINI_BASE_URL",),
    "groq": ("GROQ_BASE_URL",),
    "huggingface": ("HF_ENDPOINT",),
    "openai": ("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    "togetherai": ("TOGETHER_BASE_URL",),
}
# Read by some tools beside those of above: LiteLLM, Catwalk (and with it Crush), goose. They are taken away, and never set.
_ALSO: dict[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_BASE", "ANTHROPIC_API_ENDPOINT", "ANTHROPIC_HOST"),
    "deepseek": ("DEEPSEEK_API_BASE",),
    "google": ("GEMINI_API_BASE", "GEMINI_API_ENDPOINT"),
    "groq": ("GROQ_API_BASE",),
    "mistral": ("MISTRAL_API_BASE",),
    "openai": ("OPENAI_API_ENDPOINT", "OPENAI_HOST"),
    "openrouter": ("OPENROUTER_API_BASE", "OPENROUTER_HOST"),
    "xai": ("XAI_API_BASE", "XAI_HOST"),
}
_WITHOUT_VERSION = frozenset({"ANTHROPIC_BASE_URL"})


def normal(url: str) -> str:
    """An address in the one spelling by which addresses are compared. Raises InputError, which shows only the host."""
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError("an address can't be understood", hint="write it as https://host/path") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host or port == 0 or not text.isprintable() or " " in text or not host.isascii():
        raise InputError("an address can't be understood", hint="write it as https://host/path")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError(
            f"the address at {host} has more than a host and a path", hint="give neither user, password nor query"
        )
    shown = f"[{host}]" if ":" in host else host.rstrip(".")
    place = shown if port in (None, _PORTS[scheme]) else f"{shown}:{port}"
    path = quote(re.sub(r"/{2,}", "/", parts.path), safe="/%:@!$&'()*+;=~-._").rstrip("/")
    return urlunsplit((scheme, place, path, "", ""))


def is_own(provider: str, url: str) -> bool:
    """Whether an address is one of a provider's own, wherever on its server. Raises InputError for what is no address."""
    parts = urlsplit(normal(url))
    known = catalogue.provider(provider)
    if known is not None and (known.local or is_loopback_url(known.api or "")) and is_loopback_url(url):
        return True
    return parts.scheme == "https" and any(_fits(pattern, parts.netloc) for pattern in _own(provider))


def is_listed(provider: str, url: str) -> bool:
    """Whether an https address is at a host that is listed here for a provider. Raises InputError for what is no address."""
    parts = urlsplit(normal(url))
    return parts.scheme == "https" and any(_fits(pattern, parts.netloc) for pattern in _OWN.get(provider, ()))


def has_own(provider: str) -> bool:
    """Whether any address of a provider's own is known."""
    known = catalogue.provider(provider)
    return any(True for _ in _own(provider)) or (
        known is not None and (known.local or is_loopback_url(known.api or ""))
    )


def origin(url: str) -> tuple[str, str]:
    """The scheme and the place (host, and port where it isn't the scheme's own) of an address. Raises InputError."""
    parts = urlsplit(normal(url))
    return parts.scheme, parts.netloc


def owner_of(url: str) -> ProviderId | None:
    """The provider whose own server an address is on, by its path where several share one; None for nobody's.

    Raises InputError.
    """
    parts = urlsplit(normal(url))
    if parts.scheme != "https" or is_loopback_url(url):
        return None
    best: tuple[int, str] | None = None
    for provider, place, path in _known():
        if _fits(place, parts.netloc):
            alike = len(path) if parts.path == path or parts.path.startswith(path + "/") else -len(path)
            if best is None or alike > best[0]:
                best = (alike, provider)
    return ProviderId(best[1]) if best else None


def elsewhere(provider: str, url: str) -> str:
    """The address in its one spelling, where it isn't the provider's own; else an empty text. Raises InputError."""
    return "" if not url.strip() or is_own(provider, url) else normal(url)


def same(one: str, other: str) -> bool:
    """Whether two addresses are one. What can't be understood is like nothing."""
    try:
        return bool(one and other) and normal(one) == normal(other)
    except InputError:
        return False


def name_after(url: str) -> str:
    """What a profile is called after its server: the address, without https://. Distinct addresses keep distinct names."""
    return spell_name(normal(url).removeprefix("https://"), also=",")


def carriers(provider: str) -> tuple[str, ...]:
    """The variables that carry an address to a provider's programs: those of one's own provider are called like its key's.

    None for a provider that no variable is known for: a key of another server would go to its own.
    """
    if catalogue.provider(provider) is not None:
        return CARRIERS.get(provider, ())
    return tuple(re.sub(r"_API_KEY\Z", "_BASE_URL", name) for name in catalogue.env_names(ProviderId(provider)))


def carried(provider: str, url: str) -> dict[str, str]:
    """The variables that carry an address, with what each is to hold."""
    bare = re.sub(r"/v1\Z", "", url)
    return {name: bare if name in _WITHOUT_VERSION else url for name in carriers(provider)}


def movers(provider: str) -> tuple[str, ...]:
    """Every variable known to lead some program of a provider to another server."""
    return tuple(dict.fromkeys((*carriers(provider), *_ALSO.get(provider, ()))))


def moved_by(provider: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """(variable, address) by which an environment leads a provider's programs to another server; empty texts for none."""
    for name in movers(provider):
        value = variables.get(name, "").strip()
        try:
            if value and (found := elsewhere(provider, value)):
                return name, found
        except InputError:
            return name, value
    return "", ""


def led_astray(provider: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that lead a credential of the provider's own where it may not go, with the addresses they hold.

    It may go to a server on this machine, which is a person's own proxy.
    """
    moved = (moved_by(provider, {name: variables.get(name, "")}) for name in movers(provider))
    return {name: address for name, address in moved if address and not is_loopback_url(address)}


def _fits(pattern: str, place: str) -> bool:
    """Whether a host is the one meant; a star stands for one label, or a part of one."""
    if "*" not in pattern:
        return place == pattern
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[a-z0-9-]+"), place) is not None


def _own(provider: str) -> Iterator[str]:
    yield from _OWN.get(provider, ())
    for name, place, _ in _known():
        if name == provider:
            yield place


@cache
def _known() -> tuple[tuple[str, str, str], ...]:
    """(provider, host, path) of each address that is known and is https elsewhere; the embedded catalogue's first."""
    rows = [(row["id"], row.get("api") or "") for row in catalogue.embedded_rows(additions=True)]
    found = []
    for provider, url in rows:
        parts = urlsplit(url)
        if parts.scheme == "https" and "$" not in parts.netloc:
            found.append((provider, parts.netloc.lower(), parts.path.split("$")[0].rstrip("/")))
    found += [(provider, place, "") for provider, places in _OWN.items() for place in places]
    return tuple(found)
