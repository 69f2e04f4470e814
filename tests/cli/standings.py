"""Every state of every kind of credential, by table: how each is made, and what status tells of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.cli.lives import Make, claim, end, fail, hold, lose, probed, tokens
from tests.support import START
from vault.commands import status as words
from vault.events.credentials import ApiKey, Cloud, Reference, Token, WellKnown
from vault.values import DAY, HOUR

NOW = START + DAY

KINDS = (
    "api_key",
    "token",
    "oauth",
    "oauth of nobody",
    "oauth without refresh",
    "external",
    "wellknown",
    "cloud",
    "reference",
    "environment",
    ".env",
    "local",
)
STATES = (
    words.OK,
    words.EXPIRING,
    words.EXPIRED,
    words.STALE,
    words.NEEDS_SIGN_IN,
    words.UNCERTAIN,
    words.REFUSED,
    words.UNUSABLE,
    words.MISSING,
)
CHECK = {words.OK: 0, words.UNCERTAIN: 0, words.EXPIRING: 2}


@dataclass(frozen=True)
class Case:
    """One cell: how it is brought about, and what is told."""

    makes: tuple[Make, ...] = ()
    chosen: str | None = None
    hint: str | None = None
    provider: str = "groq"
    check: int | None = None
    environ: dict[str, str] = field(default_factory=dict)
    dotenv: str = ""
    settings: str = ""
    what: str = ""


P = "groq:default"
LOGIN = f"vault login {P}"
HELD: dict[str, Make] = {
    "api_key": hold(P, ApiKey(key="fake-key")),
    "token": hold(P, Token(token="fake-token", expires_at=NOW + 30 * DAY)),
    "oauth": hold("xai:default", tokens("a", NOW + 30 * DAY)),
    "oauth of nobody": hold(P, tokens("a", NOW + 30 * DAY)),
    "oauth without refresh": hold(P, tokens("a", NOW + 30 * DAY, refresh=False)),
    "external": hold(P, tokens("a", NOW + 30 * DAY), ownership="external"),
    "wellknown": hold(P, WellKnown(url="https://fake.example", env="FAKE_TOKEN", token="fake-token")),
    "cloud": hold(P, Cloud(mode="fake", secrets={"KEY": "fake-key"})),
    "reference": hold(P, Reference(scheme="env", target="FAKE_PLACE")),
}
AT = {kind: "xai" if kind == "oauth" else "groq" for kind in HELD}


def at(kind: str) -> str:
    return f"{AT[kind]}:default"


def ending(kind: str, ends: int) -> Make:
    """The same kind of credential, ending at an instant."""
    if kind == "token":
        return hold(P, Token(token="fake-token", expires_at=ends))
    ownership = "external" if kind == "external" else "vault"
    return hold(at(kind), tokens("a", ends, refresh=kind != "oauth without refresh"), ownership=ownership)


def table() -> dict[tuple[str, str], list[Case]]:
    """The cells that exist, by (kind, state)."""
    cells: dict[tuple[str, str], list[Case]] = {}

    def cell(kind: str, state: str, *cases: Case) -> None:
        cells[kind, state] = list(cases)

    for kind, make in HELD.items():
        environ = {"FAKE_PLACE": "fake-value"} if kind == "reference" else {}
        profile, provider = at(kind), AT[kind]
        clear = f"vault health clear {profile}"
        # A profile that is cooling down is used when there is no other; one that is disabled is not.
        cell(
            kind,
            words.OK,
            Case((make,), profile, provider=provider, environ=environ, what="well"),
            Case((make, fail(profile, "rate_limit")), profile, provider=provider, environ=environ, what="cooling down"),
        )
        cell(kind, words.UNUSABLE, Case((make, fail(profile)), None, clear, provider, environ=environ, what="disabled"))
        if kind not in ("cloud", "reference"):
            again = "vault login https://fake.example" if kind == "wellknown" else f"vault login {profile}"
            no = probed(profile, "refused")
            cell(kind, words.REFUSED, Case((make, no), profile, again, provider, what="refused when it was asked"))
            cells[kind, words.OK].append(Case((make, no, make), profile, None, provider, what="signed in again since"))
        cell(
            kind,
            words.MISSING,
            Case((make, end(profile)), None, f"vault login {provider}", provider, environ=environ, what="logged out"),
        )
    for kind in ("token", "oauth of nobody", "oauth without refresh"):
        cells[kind, words.OK].append(Case((ending(kind, NOW + DAY + 1),), P, what="a moment more than 24 hours"))
        cell(
            kind,
            words.EXPIRING,
            Case((ending(kind, NOW + DAY),), P, LOGIN, what="24 hours"),
            Case((ending(kind, NOW + 1),), P, LOGIN, what="a moment"),
        )
        cell(
            kind,
            words.EXPIRED,
            Case((ending(kind, NOW),), P if kind == "oauth of nobody" else None, LOGIN, what="just now"),
            Case((ending(kind, NOW - DAY),), P if kind == "oauth of nobody" else None, LOGIN, what="a day ago"),
        )
    live, over = ending("oauth", NOW + HOUR), ending("oauth", NOW - HOUR)
    x, again, once_more = "xai:default", "vault login xai:default", "vault refresh xai:default"
    cells["oauth", words.OK] += [
        Case((live,), x, provider="xai", what="its access token ends soon"),
        Case((over,), x, provider="xai", what="its access token has ended"),
        Case((over, claim(x, HOUR)), x, provider="xai", what="a refresh is under way"),
        Case((over, lose(x, "postponed")), x, provider="xai", what="a refresh was put off"),
        Case((over, lose(x, "uncertain"), over), x, provider="xai", what="uncertain, and signed in again"),
    ]
    cell(
        "oauth",
        words.UNCERTAIN,
        Case((live, claim(x)), x, once_more, "xai", 0, what="a claim without an outcome"),
        Case((over, claim(x)), x, once_more, "xai", 1, what="a claim without an outcome, and no token"),
        Case((live, lose(x, "uncertain")), x, once_more, "xai", 0, what="an answer that never came"),
        Case((over, lose(x, "uncertain")), x, once_more, "xai", 1, what="an answer that never came, and no token"),
    )
    cell(
        "oauth",
        words.NEEDS_SIGN_IN,
        Case((live, lose(x, "refused")), x, again, "xai", what="refused"),
        Case((over, lose(x, "refused")), None, again, "xai", what="refused, and no token"),
        Case((over, lose(x, "uncertain"), lose(x, "uncertain")), None, again, "xai", what="twice uncertain"),
        Case((live, lose(x, "uncertain"), claim(x)), x, again, "xai", what="uncertain, then a dangling claim"),
    )
    cells["external", words.OK].append(Case((ending("external", NOW + 1),), P, what="its own tool will renew it"))
    cell("external", words.STALE, Case((ending("external", NOW),), None, f"vault login {P}", what="ended"))
    cells["reference", words.UNUSABLE].append(Case((HELD["reference"],), None, "vault why groq", what="not set"))
    cells["cloud", words.UNUSABLE].append(
        Case((hold(P, Cloud(mode="fake", facts={"region": "fake"})),), None, "vault why groq", what="no secret")
    )
    _variables(cells, cell)
    return cells


def _variables(cells: dict[tuple[str, str], list[Case]], cell: Callable[..., None]) -> None:
    key = {"GROQ_API_KEY": "fake-key"}
    cell("environment", words.OK, Case((), "env:GROQ_API_KEY", environ=key, what="set"))
    cell(
        "environment",
        words.UNUSABLE,
        Case((), None, "vault why groq", environ={**key, "VAULT_SOURCES": "stored"}, what="switched off"),
        Case(
            (),
            None,
            "unset VAULT_DISABLED_PROVIDERS",
            environ={**key, "VAULT_DISABLED_PROVIDERS": "groq"},
            what="disabled",
        ),
    )
    cell("environment", words.MISSING, Case((), None, "vault login groq", what="not set"))
    pair = {"AWS_ACCESS_KEY_ID": "fake-access-key-id", "AWS_SECRET_ACCESS_KEY": "fake-secret"}
    bedrock = "amazon-bedrock"
    there = {**pair, "AWS_REGION": "eu-west-1"}
    cells["environment", words.OK].append(
        Case((), "env:AWS_ACCESS_KEY_ID", None, bedrock, environ=there, what="a cloud's pair")
    )
    region = "set AWS_REGION, or region under [providers.amazon-bedrock] in the settings"
    cells["environment", words.UNUSABLE].append(
        Case((), None, region, bedrock, environ=pair, what="a cloud's pair without a region")
    )
    cells["environment", words.MISSING].append(
        Case(
            (),
            None,
            "set AWS_BEARER_TOKEN_BEDROCK, a key pair or AWS_PROFILE, or store a token with: vault login amazon-bedrock",
            bedrock,
            what="a cloud's pair that is not set",
        )
    )
    line = "GROQ_API_KEY=fake-key\n"
    cell(".env", words.OK, Case((), "dotenv:GROQ_API_KEY", dotenv=line, what="set"))
    cell(
        ".env",
        words.UNUSABLE,
        Case(
            (),
            None,
            "unset VAULT_ENABLED_PROVIDERS",
            dotenv=line,
            environ={"VAULT_ENABLED_PROVIDERS": "xai"},
            what="disabled",
        ),
    )
    cell(".env", words.MISSING, Case((), None, "vault login groq", dotenv="OTHER=1\n", what="not set"))
    cell(
        "local",
        words.OK,
        Case((), None, None, "ollama", what="by the catalogue"),
        Case((), None, None, "lmstudio", what="one that could take a key"),
        Case((), None, None, "mine", settings='[providers.mine]\nendpoint = "http://127.0.0.1:9/v1"\n', what="own"),
        Case((hold("lmstudio:a", ApiKey(key="fake-key")),), "lmstudio:a", None, "lmstudio", what="a key all the same"),
    )
    ended_key = hold("lmstudio:a", Token(token="fake-token", expires_at=NOW - 1))
    cell("local", words.EXPIRED, Case((ended_key,), None, "vault login lmstudio:a", "lmstudio", what="its token ended"))
    cell(
        "local",
        words.UNUSABLE,
        Case(
            (),
            None,
            "unset VAULT_DISABLED_PROVIDERS",
            "ollama",
            environ={"VAULT_DISABLED_PROVIDERS": "ollama"},
            what="disabled",
        ),
    )


CELLS = table()
NOT_REFRESHED = "only what the vault refreshes can be refused or lose an outcome"
NO_END = "it has no end of its own"
IMPOSSIBLE = {
    **dict.fromkeys(
        [(k, s) for k in KINDS for s in (words.NEEDS_SIGN_IN, words.UNCERTAIN) if k != "oauth"], NOT_REFRESHED
    ),
    **dict.fromkeys([(k, words.STALE) for k in KINDS if k != "external"], "only another tool's login goes stale"),
    **dict.fromkeys([("oauth", words.EXPIRING), ("oauth", words.EXPIRED)], "the vault refreshes it"),
    **dict.fromkeys([("external", words.EXPIRING), ("external", words.EXPIRED)], "its own tool renews it"),
    **dict.fromkeys(
        [
            (k, s)
            for k in ("api_key", "wellknown", "cloud", "reference", "environment", ".env")
            for s in (words.EXPIRING, words.EXPIRED)
        ],
        NO_END,
    ),
    ("local", words.EXPIRING): "as for a token",
    ("local", words.MISSING): "nothing is needed",
    **dict.fromkeys(
        [(k, words.REFUSED) for k in ("cloud", "reference", "environment", ".env", "local")],
        "what was refused is not known to be what it is now, or as for an API key",
    ),
}
