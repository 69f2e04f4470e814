"""Refreshing and revoking: one exchange each, and what its answer means. Nothing here is raised: an outcome is returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vault.providers.clients import Client
from vault.providers.flows.asking import authenticated, post, token_request
from vault.providers.flows.github import copilot_exchange_flow
from vault.providers.plugins import plugins
from vault.providers.steps import Flow, NoAnswer, send
from vault.providers.tokens import Outcome, Refused, outcome_of, problem_of

REVOKED, REFUSED, UNSUPPORTED, UNREACHABLE = "revoked", "refused", "unsupported", "unreachable"


@dataclass(frozen=True, slots=True)
class Revocation:
    """What came of a revocation: ``answer`` is revoked, refused, unsupported or unreachable; ``detail`` says more."""

    answer: str
    detail: str = ""


def refresh_flow(
    client: Client, refresh_token: str, scopes: Sequence[str] = (), extra: Mapping[str, str] | None = None
) -> Flow[Outcome]:
    """Exchange a refresh token for new tokens. ``extra`` holds a client secret where the client needs one."""
    secrets = extra or {}
    own = plugins().refresh.get(client.id)
    if own is not None:
        outcome: Outcome = yield from own(client, refresh_token, tuple(scopes), secrets)
        return outcome
    secret = secrets.get("client_secret", "")
    if client.refresh == "github":
        return (yield from copilot_exchange_flow(client, refresh_token))
    if client.refresh == "none" or not client.token_url:
        return Refused("not_refreshable", f"{client.name} has no refresh", permanent=False)
    if "client_secret" in client.needs and not secret:
        return Refused(
            "client_secret_missing", f"{client.name} wants a client secret, and none is stored", permanent=False
        )
    if client.refresh == "hyper":
        request = post(client.token_url, {"refresh_token": refresh_token}, client.encoding, client.headers)
    else:
        fields = {"refresh_token": refresh_token}
        if client.scope_in_refresh and scopes:
            fields["scope"] = " ".join(scopes)
        request = token_request(client, "refresh_token", fields, secrets)
    answer = yield from send(request)
    return outcome_of(answer, client.rules, (refresh_token, secret))


def revoke_flow(
    client: Client, token: str, hint: str = "refresh_token", extra: Mapping[str, str] | None = None
) -> Flow[Revocation]:
    """Ask the provider to revoke a token (RFC 7009). ``hint`` is refresh_token or access_token."""
    secrets = extra or {}
    if client.revoke == "none" or not client.revoke_url:
        return Revocation(UNSUPPORTED, f"{client.name} has no way to revoke a token; its settings page may have one")
    if client.revoke == "github":
        request = post(client.revoke_url, {"credentials": [token]}, "json")
    else:
        identity, headers = authenticated(client, secrets)
        encoding = "json" if client.revoke == "json" else "form"
        request = post(client.revoke_url, {"token": token, "token_type_hint": hint, **identity}, encoding, headers)
    answer = yield from send(request)
    if isinstance(answer, NoAnswer):
        return Revocation(UNREACHABLE, answer.why)
    if 200 <= answer.status < 300:
        return Revocation(REVOKED)
    if answer.status == 429 or answer.status >= 500:
        return Revocation(UNREACHABLE, f"{answer.host} answered with status {answer.status}")
    problem = problem_of(answer, (token, secrets.get("client_secret", "")))
    if problem is not None and problem.code == "unsupported_token_type":
        return Revocation(UNSUPPORTED, problem.code)
    return Revocation(REFUSED, problem.code if problem else "")
