"""Which variables count for a cloud provider, of the environment, the project's ``.env`` and the env file, as the sources allow.

Variables that belong together, such as a key pair and its session token, are taken from one place, never half from each. Facts,
such as a region, are read from the environment whatever the sources say: they are no credential.

Of ``.env`` only what is a plain value counts, and the path of a Google credentials file. A project that was merely checked out
chooses no program that vault runs, no file whose content is sent anywhere, and nobody who is asked for a credential; and
``VAULT_AWS_*`` and ``BMO_AWS_*`` are for one process. The env file is the person's own: it counts like the environment, wherever
that is silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from vault.providers.cloud import MEMBERS, OVERRIDDEN, OVERRIDE
from vault.providers.cloud.azure import VERSION, names_of
from vault.providers.cloud.google import CREDENTIALS, LOCATIONS, PROJECTS

ENVIRONMENT, DOTENV, ENVFILE = "environment", "dotenv", "envfile"

_AWS_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
)
_AZURE_NAMES = tuple(names_of(provider) for provider in MEMBERS["azure"])
_PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")

# Of each family: credentials that may come from both places, by groups that belong together; of the environment alone; facts.
_SHARED: dict[str, tuple[tuple[str, ...], ...]] = {
    "bedrock": (_AWS_KEYS, ("AWS_BEARER_TOKEN_BEDROCK",), ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")),
    "vertex": ((CREDENTIALS,),),
    "azure": (*(names.keys for names in _AZURE_NAMES), _PRINCIPAL),
}
_ALONE: dict[str, tuple[tuple[str, ...], ...]] = {
    "bedrock": (
        *(tuple(n for n in OVERRIDDEN if n.startswith(prefix)) for prefix in OVERRIDE),
        (
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"),
    ),
    "vertex": (),
    "azure": (
        ("AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD"),
        ("AZURE_FEDERATED_TOKEN_FILE",),
        ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
    ),
}
_FACTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "bedrock": (*((f"{prefix}REGION",) for prefix in OVERRIDE), ("AWS_REGION", "AWS_DEFAULT_REGION")),
    "vertex": (PROJECTS, LOCATIONS),
    "azure": (*((*names.endpoints, names.resource) for names in _AZURE_NAMES), (VERSION,)),
}


def credential_names(family: str) -> frozenset[str]:
    """The variables that hold a credential of a family, or say where one is."""
    return frozenset(name for group in (*_SHARED[family], *_ALONE[family]) for name in group)


def without(variables: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The variables but those named."""
    gone = set(names)
    return {name: value for name, value in variables.items() if name not in gone}


def merged(
    family: str,
    environ: Mapping[str, str],
    dotenv: Mapping[str, str],
    sources: Sequence[str],
    envfile: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, str], dict[str, str]]:
    """The variables a family is resolved with, and those that came from ``.env`` or the env file, each with its source.

    ``sources`` are the allowed ones, first first. Variables that no family reads come from the environment.
    """
    found = without(environ, () if ENVIRONMENT in sources else credential_names(family))
    places = {ENVIRONMENT: environ, DOTENV: dotenv, ENVFILE: envfile}
    allowed = [s for s in sources if s in places]
    groups = [(group, allowed) for group in _SHARED[family]]
    groups += [(group, [s for s in allowed if s != DOTENV]) for group in _ALONE[family]]
    groups += [(group, [*allowed, ENVIRONMENT, ENVFILE]) for group in _FACTS[family]]
    taken: dict[str, str] = {}
    for group, among in groups:
        place = next((s for s in among if any(places[s].get(name, "").strip() for name in group)), "")
        if place in (DOTENV, ENVFILE):
            held = {name: places[place][name] for name in group if places[place].get(name, "").strip()}
            found = {**without(found, group), **held}
            taken |= dict.fromkeys(held, place)
    return found, taken
