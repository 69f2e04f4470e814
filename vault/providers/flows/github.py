"""GitHub Copilot: a GitHub token from a device sign-in, exchanged for a short Copilot token.

The GitHub token lives long and does not rotate; it stands in the place of the refresh token, and a refresh is another exchange.
That spends nothing, so an exchange without an answer is never uncertain.
"""

from __future__ import annotations

import json
from dataclasses import replace

from vault.errors import SignInAgain
from vault.providers.clients import Client
from vault.providers.flows.asking import SignedIn, Start, get, granted, signed_in
from vault.providers.flows.device import device_tokens
from vault.providers.steps import Flow, NoAnswer, Response, send
from vault.providers.tokens import Outcome, Problem, Refused, Tokens, fields_of, outcome_of, problem_of

NO_ACCESS = "no_copilot_access"


def copilot_flow(client: Client, start: Start) -> Flow[SignedIn]:
    """Sign in at GitHub by a code, and exchange the token once.

    Raises SignInAgain when it was refused or the account has no Copilot, TryAgain, InputError.
    """
    github = yield from device_tokens(client, start)
    return (yield from _signed_in(client, start, github))


def copilot_reuse_flow(client: Client, start: Start, github_token: str) -> Flow[SignedIn]:
    """The same with a GitHub token that is there already. Raises as ``copilot_flow`` does."""
    return (yield from _signed_in(client, start, Tokens(access=github_token)))


def _signed_in(client: Client, start: Start, github: Tokens) -> Flow[SignedIn]:
    answer = yield from _exchanged(client, github.access)
    if isinstance(answer, Response) and answer.status in (403, 404):
        raise SignInAgain("this GitHub account has no access to Copilot", hint="sign in with one that has")
    short = granted(client, answer, (github.access,))
    tokens = replace(short, refresh=github.access, scopes=github.scopes, extra={**github.extra, **short.extra})
    return signed_in(client, tokens, start.given, client.scopes)


def copilot_exchange_flow(client: Client, github_token: str) -> Flow[Outcome]:
    """Exchange a GitHub token for a Copilot token. 401: the GitHub token is dead; 403 and 404: no access to Copilot."""
    answer = yield from _exchanged(client, github_token)
    if isinstance(answer, Response) and answer.status in (401, 403, 404):
        problem = problem_of(answer, (github_token,)) or Problem("", "")
        if answer.status == 401:
            return Refused("bad_credentials", problem.description, permanent=True)
        return Refused(NO_ACCESS, problem.description or "the account has no access to Copilot", permanent=False)
    return outcome_of(answer, client.rules, (github_token,))


def _exchanged(client: Client, github_token: str) -> Flow[Response | NoAnswer]:
    answer = yield from send(get(client.exchange_url, {**client.headers, "Authorization": f"Bearer {github_token}"}))
    return answer if isinstance(answer, NoAnswer) else _renamed(answer)


def _renamed(answer: Response) -> Response:
    """The answer with its token under the name that OAuth gives it."""
    found = fields_of(answer)
    if found is None or "token" not in found:
        return answer
    endpoints = found.get("endpoints")
    fields = {"access_token": found["token"], "expires_at": found.get("expires_at")}
    if isinstance(endpoints, dict):
        fields["api"] = endpoints.get("api")
    return replace(answer, body=json.dumps(fields).encode())
