"""The mode of one cloud provider: its settings, the variables that count, and what is stored for it.

What is stored takes part in a mode's own order (``providers.cloud``): a token or key stored for the provider, or a stored profile
of kind ``cloud``, which is a mode of its own: its ``mode`` is one of the family's ``auth_source``, its facts are the family's
settings, its secrets are by the names of the variables they stand for. A profile that counts alone, because an agent is pinned
to it or somebody asked for it by name, switches every other source off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vault.commands.candidates import allowed_sources, family_of
from vault.commands.naming import with_agent
from vault.context import Context
from vault.errors import Defect, NotReady
from vault.events.credentials import Cloud
from vault.model.choosing import Candidate
from vault.pointers import pointer_in
from vault.providers.cloud import google
from vault.providers.cloud.aws import STORED_TOKEN, BedrockSettings, resolve_bedrock
from vault.providers.cloud.azure import STORED_KEY, resolve_azure
from vault.providers.cloud.google import VertexSettings, resolve_vertex
from vault.providers.cloud.modes import CloudMode, Problem, Reader, read_file
from vault.providers.cloud.settings import CloudSettings, cloud_settings, keys_of
from vault.providers.cloud.variables import credential_names, merged, without
from vault.settings import SOURCES
from vault.values import ProviderId, format_instant
from vault.variables import is_credentials

CLOUDS = {"bedrock": "aws", "vertex": "google", "azure": "azure"}
_EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"
STORED = (STORED_TOKEN, STORED_KEY, google.STORED_TOKEN)
_TOKEN_MODES = {"bedrock": "bearer", "vertex": "token", "azure": "key"}
_IN_A_VARIABLE = ("env", "bearer", "key")
_SETTINGS = ("auth_source", "region", "profile", "project", "location", "endpoint", "resource", "api_version", "scope")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A provider's mode, and what is needed to get its credential.

    ``mode`` is what is shown; ``using`` what the credential is got by: the same, but for a stored profile with a mode of its own.
    ``candidate`` is the stored profile that is used, ``unfit`` one that the family has no use for. ``variables`` hold secrets.
    """

    family: str
    mode: CloudMode
    using: CloudMode
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    candidate: Candidate | None = None
    unfit: Candidate | None = None
    places: Mapping[str, str] = field(default_factory=dict)


def resolve(
    context: Context, provider: str, candidate: Candidate | None, *, alone: bool = False, now: int | None = None
) -> Resolved:
    """The mode of a provider, with a usable stored profile if there is one; ``alone`` says that nothing else counts."""
    now = context.clock.now() if now is None else now
    family, table = family_of(context, provider), context.settings.provider(provider)
    sources = allowed_sources(context, ProviderId(provider))
    texts = {name: getattr(table, name) for name in _SETTINGS if getattr(table, name)}
    if table.auth_source in SOURCES:
        del texts["auth_source"]
    try:
        settings = cloud_settings(provider, {**texts, "family": family})
    except NotReady as error:
        return _broken(provider, family, table.auth_source, error)
    if settings is None:
        raise Defect(f"{provider} is of no cloud family")
    dotenv = context.dotenv if "dotenv" in sources else {}
    places = (context.environ, context.env_file.variables)
    pointers = [_pointers(place) for place in places]
    environ, envfile = (without(place, there) for place, there in zip(places, pointers, strict=True))
    variables, from_files = merged(family, environ, dotenv, sources, envfile)
    only_stored = alone or table.auth_source == "stored"
    if only_stored:
        variables = without(variables, credential_names(family))
    elif "stored" not in sources:
        candidate = None
    unfit = None
    if candidate is not None and not _fits(family, candidate):
        candidate, unfit = None, candidate
    own: CloudMode | None = None
    held: Mapping[str, str] = variables
    if candidate is not None and candidate.facts is not None and candidate.facts.kind == "cloud":
        own, held = _of_profile(context, settings, family, candidate, variables, now)
    reader: Reader = read_file
    if only_stored:
        settings = replace(settings, auth_source="auto" if own or family == "vertex" else _TOKEN_MODES[family])
        reader = _nothing if family == "vertex" else reader
    stored_mode = (own.mode if own else "") or _TOKEN_MODES[family]
    found = _mode(settings, variables, now, candidate is not None, stored_mode, reader)
    asked = table.auth_source or found.auth_source
    named = {name: what for there in pointers for name, what in there.items() if name in credential_names(family)}
    notes = [Problem("reference", f"{n} counts as not set: its value is {w}", blocking=False) for n, w in named.items()]
    found = replace(found, problems=(*found.problems, *notes))
    if own is not None and found.source in STORED:
        found = replace(own, auth_source=asked, reasons=found.reasons)
    else:
        found, own = replace(found, auth_source=asked), None
    used = candidate if own is not None or found.source in STORED else None
    shown = _places(from_files, variables, settings)
    if from_files.get(google.CREDENTIALS) == "dotenv" and found.source == google.CREDENTIALS:
        found = _from_dotenv(found)
    if used is None:
        return Resolved(family, found, found, variables, unfit=unfit, places=shown)
    facts = {**found.facts, "stored_profile": used.profile}
    ends = used.facts.expires_at if used.facts and not used.facts.refresh_fingerprint else None
    found = replace(found, facts=facts, expires_at=found.expires_at if ends is None else ends)
    using = own if own is not None else found
    return Resolved(family, found, using, held, used, places=shown)


def _mode(
    settings: CloudSettings, variables: Mapping[str, str], now: int, stored: bool, stored_mode: str, reader: Reader
) -> CloudMode:
    home = Path.home()
    if isinstance(settings, BedrockSettings):
        return resolve_bedrock(
            settings, variables, home, stored_token=stored, stored_mode=stored_mode, reader=reader, now=now
        )
    if isinstance(settings, VertexSettings):
        return resolve_vertex(settings, variables, home, stored_token=stored, stored_mode=stored_mode, reader=reader)
    return resolve_azure(settings, variables, home, stored_key=stored, stored_mode=stored_mode, reader=reader)


def _of_profile(
    context: Context,
    settings: CloudSettings,
    family: str,
    candidate: Candidate,
    variables: Mapping[str, str],
    now: int,
) -> tuple[CloudMode, Mapping[str, str]]:
    """The mode of a stored profile of kind ``cloud``, and its variables: its own in place of every other credential."""
    credential = context.store.credential(candidate.position)
    if not isinstance(credential, Cloud):
        raise NotReady(f"{candidate.profile} is not a cloud credential", hint=f"vault show {candidate.profile}")
    facts = {name: value for name, value in credential.facts.items() if name in keys_of(family)}
    texts = {name: value for name, value in asdict(settings).items() if name != "provider"}
    ends = credential.expires()
    expiration = {_EXPIRATION: format_instant(ends)} if ends is not None else {}
    held = {**without(variables, credential_names(family)), **credential.secrets, **expiration}
    try:
        own = cloud_settings(settings.provider, {**texts, **facts, "auth_source": credential.mode, "family": family})
    except NotReady:
        text, hint = (
            f"{candidate.profile} has a mode that {family} hasn't",
            with_agent(f"vault login {candidate.profile}", candidate.owner),
        )
        own_mode = credential.mode if credential.mode.isidentifier() else ""
        problem = Problem("settings", text, hint)
        return CloudMode(settings.provider, CLOUDS[family], own_mode, problems=(problem,)), held
    return _mode(own or settings, held, now, False, _TOKEN_MODES[family], read_file), held


def _pointers(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of secrets that hold a reference, an encrypted value or a placeholder, each with which of them it is."""
    return {n: found.what for n, v in variables.items() if is_credentials(n) and (found := pointer_in(v)) is not None}


def _fits(family: str, candidate: Candidate) -> bool:
    """Whether a family's tools have a use for a stored profile: Vertex's take a token, and no API key."""
    kind = candidate.facts.kind if candidate.facts else ""
    return family != "vertex" or kind in ("oauth", "token", "reference", "cloud")


def _from_dotenv(mode: CloudMode) -> CloudMode:
    """A credentials file that ``.env`` names must not be one that makes Google's library send other files' content away."""
    if mode.facts.get("credentials_type") != "external_account":
        return mode
    text = f"the .env names {mode.facts['credentials_file']}, which says what to read and whom to send it"
    problem = Problem("refused", text, f"set {google.CREDENTIALS} yourself if you trust that file")
    return replace(mode, problems=(problem, *mode.problems))


def _broken(provider: str, family: str, asked: str, error: NotReady) -> Resolved:
    problem = Problem("settings", error.message, error.hint)
    mode = CloudMode(provider, CLOUDS.get(family, family), asked or "auto", problems=(problem,))
    return Resolved(family, mode, mode)


def _nothing(_: Path) -> None:
    """A reader of no files."""


def _places(from_files: Mapping[str, str], variables: Mapping[str, str], settings: CloudSettings) -> dict[str, str]:
    """What the sources of a mode are called in a decision, where that isn't their own name."""
    names = {
        "the profile in the settings": settings.profile if isinstance(settings, BedrockSettings) else "",
        "the profile called default": "default",
        "gcloud's application default credentials": "application-default",
        "metadata server": "server",
        "instance metadata": "instance",
    }
    for name in ("VAULT_AWS_PROFILE", "BMO_AWS_PROFILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", google.CREDENTIALS):
        names[name] = variables.get(name, "").strip() or name
    return {**names, **{f"place of {name}": place for name, place in from_files.items()}}


def what_of(resolved: Resolved, mode: str, source: str) -> str:
    """What a source is called in a decision and in the event of a hand-out: ``env:NAME``, ``aws-profile:NAME``, ``azure-cli:az``.

    A variable that holds the secret itself is told by its place, like any provider's; the others by cloud and mode.
    """
    if mode in _IN_A_VARIABLE:
        return f"{resolved.places.get(f'place of {source}', 'env')}:{source}"
    return f"{resolved.mode.cloud}-{mode.replace('_', '-')}:{resolved.places.get(source, source)}"
