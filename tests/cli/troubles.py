"""Troubles that doctor finds, by table: how each is made, what is said, and what comes of mending it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.cli.doctoring import NOW, X, agent, key, ordered, pinned, token
from tests.cli.lives import Make, claim, end, fail, hold, lose, tokens
from vault.events.credentials import Reference
from vault.values import DAY, HOUR, MAIN_AGENT


@dataclass(frozen=True)
class Case:
    """One trouble: the only finding there is then. With ``types`` it is mended, by these events; else only a person can."""

    makes: tuple[Make, ...]
    name: str
    text: str
    hint: str
    types: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "expired": Case(
        (token("groq:a", NOW - 1),),
        "credentials",
        "groq:a of agent main: it has expired, and nothing can refresh it",
        "vault login groq:a",
    ),
    "expired, of another agent": Case(
        (agent("coder"), token("groq:a", NOW - 1, "coder")),
        "credentials",
        "groq:a of agent coder: it has expired, and nothing can refresh it",
        "vault login groq:a --agent coder",
    ),
    "expired, and inherited by two": Case(
        (agent("coder"), agent("helper"), token("groq:a", NOW - 1)),
        "credentials",
        "groq:a of agent main: it has expired, and nothing can refresh it",
        "vault login groq:a",
    ),
    "a spare that has expired": Case(
        (key("groq:a"), token("groq:b", NOW - 1)),
        "credentials",
        "groq:b of agent main: it has expired, and nothing can refresh it",
        "vault login groq:b",
    ),
    "expiring": Case(
        (token("groq:a", NOW + DAY),),
        "credentials",
        "groq:a of agent main: it expires within 24 hours, and nothing can refresh it",
        "vault login groq:a",
    ),
    "refused": Case(
        (hold(X, tokens("a", NOW + HOUR)), lose(X, "refused")),
        "credentials",
        "xai:default of agent main: the provider refused the refresh token (invalid_grant)",
        f"vault login {X}",
    ),
    "twice uncertain": Case(
        (hold(X, tokens("a", NOW - HOUR)), lose(X, "uncertain"), claim(X)),
        "credentials",
        "xai:default of agent main: two refreshes in a row ended uncertain",
        f"vault login {X}",
    ),
    "a variable that is not set": Case(
        (hold("groq:a", Reference(scheme="env", target="FAKE_PLACE")),),
        "references",
        "groq:a of agent main reads FAKE_PLACE, which is not set",
        "set FAKE_PLACE",
    ),
    "a file that is gone": Case(
        (hold("groq:a", Reference(scheme="file", target="/nonexistent/fake")),),
        "references",
        "groq:a of agent main reads /nonexistent/fake, which is not there",
        "bring the file back",
    ),
    "a file in any folder": Case(
        (hold("groq:a", Reference(scheme="file", target="here")),),
        "references",
        "groq:a of agent main reads here, which is another file in every folder",
        "log in again with the whole path",
    ),
    "a command that is gone": Case(
        (hold("groq:a", Reference(scheme="command", target="fake-program show key")),),
        "references",
        "groq:a of agent main runs fake-program, which is not there",
        "install fake-program, or fix PATH",
    ),
    "a command in any folder": Case(
        (hold("groq:a", Reference(scheme="command", target="./fake-program")),),
        "references",
        "groq:a of agent main runs ./fake-program, which is another program in every folder",
        "log in again with the whole path",
    ),
    "a command that can't be split": Case(
        (hold("groq:a", Reference(scheme="command", target='cat "x')),),
        "references",
        "groq:a of agent main runs a command whose quotes don't match",
        "log in again",
    ),
    "another tool's reference": Case(
        (hold("groq:a", Reference(scheme="openclaw-exec", target="fake")),),
        "references",
        "groq:a of agent main has a reference of kind openclaw-exec, which only its own tool can follow",
        "log in again",
    ),
    "a keyring that isn't there": Case(
        (hold("groq:a", Reference(scheme="keyring", target="fake/fake")),),
        "references",
        "groq:a of agent main is in the OS keyring: there is no OS keyring here",
        "use a passphrase, a key file or a key command instead",
    ),
    "a variable that hides a profile": Case(
        (key("groq:a"),),
        "shadowed",
        "GROQ_API_KEY comes before the stored profiles of groq for agent main "
        "(vault exec and vault env put stored profiles first)",
        "unset GROQ_API_KEY",
        environ={"GROQ_API_KEY": "fake-ambient"},
    ),
    "a variable that hides profiles of two": Case(
        (agent("coder"), key("groq:a")),
        "shadowed",
        "GROQ_API_KEY comes before the stored profiles of groq for agents main, coder "
        "(vault exec and vault env put stored profiles first)",
        "unset GROQ_API_KEY",
        environ={"GROQ_API_KEY": "fake-ambient"},
    ),
    "an external login that can't be read again": Case(
        (hold("groq:a", tokens("a", NOW - 1), ownership="external"),),
        "external",
        "groq:a of agent main: it has ended, and its own tool's store can't be read here",
        "vault login groq:a",
    ),
    "an unusable provider of the settings": Case(
        (),
        "credentials",
        "groq for agent main: nothing is stored or set for it",
        "vault login groq",
        environ={"VAULT_CONFIG": "pins.toml"},
    ),
    "disabled": Case(
        (key("groq:a"), fail("groq:a")),
        "health",
        "groq:a of agent main is disabled until 2026-01-05T00:00:00Z (billing)",
        "vault health clear groq:a",
        ("health_cleared",),
    ),
    "an order that names one that is gone": Case(
        (key("groq:a"), key("groq:b"), ordered("groq", "b", "a"), end("groq:b")),
        "order",
        "the order of agent main for groq names groq:b, which is gone",
        "vault order set --provider groq groq:a, or vault restore groq:b",
        ("order_set",),
    ),
    "an order whose profiles are all gone": Case(
        (key("groq:a"), ordered("groq", "a"), end("groq:a")),
        "order",
        "the order of agent main for groq names groq:a, which is gone",
        "vault order clear --provider groq, or vault restore groq:a",
        ("order_cleared",),
    ),
    "an order that leaves out the only one": Case(
        (key("groq:a"), key("groq:b"), ordered("groq", "a"), fail("groq:a", "rate_limit"), token("groq:a", NOW - 1)),
        "order",
        "the order of agent main for groq leaves out groq:b, the only profile agent main could use",
        "vault order set --provider groq groq:a groq:b",
        ("order_set",),
        ("credentials",),
    ),
    "a parent's order that leaves out a child's own": Case(
        (agent("coder"), key("groq:a"), key("groq:own", "coder"), ordered("groq", "a"), token("groq:a", NOW - 1)),
        "order",
        "the order of agent main for groq leaves out groq:own, the only profile agent coder could use",
        "vault order set --provider groq groq:a groq:own --agent coder",
        ("order_set",),
        ("credentials",),
    ),
    "a pin to one that is gone": Case(
        (agent("coder"), key("groq:a"), key("groq:b"), pinned("groq:b", "coder"), end("groq:b")),
        "pin",
        "agent coder is pinned to groq:b, which is gone",
        "vault unpin groq --agent coder",
        ("profile_unpinned",),
    ),
    "one refresh token of two agents": Case(
        (agent("coder"), hold(X, tokens("a", NOW + HOUR)), hold(X, tokens("a", NOW + HOUR), "coder")),
        "owners",
        "one refresh token has 2 owners: xai:default of main, xai:default of coder",
        "vault logout xai:default --agent coder",
        ("profile_logged_out",),
    ),
    "one refresh token of one agent, twice": Case(
        (hold("xai:a", tokens("a", NOW + HOUR)), hold("xai:b", tokens("a", NOW + HOUR))),
        "owners",
        "one refresh token has 2 owners: xai:a of main, xai:b of main",
        "vault logout xai:b",
        ("profile_logged_out",),
    ),
    "one refresh token, and the younger owner is the parent": Case(
        (agent("coder"), hold(X, tokens("a", NOW + HOUR), "coder"), hold(X, tokens("a", NOW + HOUR))),
        "owners",
        "one refresh token has 2 owners: xai:default of coder, xai:default of main",
        "vault logout xai:default --agent coder",
        ("profile_logged_out",),
    ),
    "one refresh token of three, one of whom doesn't inherit": Case(
        (
            agent("coder"),
            agent("lone", ""),
            *(hold(X, tokens("a", NOW + HOUR), who) for who in (MAIN_AGENT, "coder", "lone")),
        ),
        "owners",
        "one refresh token has 3 owners: xai:default of main, xai:default of coder, xai:default of lone",
        "vault logout xai:default --agent coder",
        ("profile_logged_out",),
        ("owners",),
    ),
    "one refresh token that another tool has, too": Case(
        (hold("xai:mine", tokens("a", NOW + HOUR)), hold("xai:tool", tokens("a", NOW + HOUR), ownership="external")),
        "owners",
        "one refresh token has 2 owners: xai:tool of main, xai:mine of main",
        "vault logout xai:mine",
        ("profile_logged_out",),
    ),
    "one refresh token of two who don't inherit": Case(
        (agent("lone", ""), hold(X, tokens("a", NOW + HOUR)), hold(X, tokens("a", NOW + HOUR), "lone")),
        "owners",
        "one refresh token has 2 owners: xai:default of main, xai:default of lone",
        "vault agent inherit lone --from main && vault logout xai:default --agent lone",
        (),
        ("owners",),
    ),
}
ALSO = {"an order that leaves out the only one": 2, "a parent's order that leaves out a child's own": 2}
