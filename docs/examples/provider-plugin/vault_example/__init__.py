"""The sign-in of two made-up providers: ``acme`` as data, ``acme-lab`` with a flow of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vault.errors import SignInAgain
from vault.events.credentials import OAuth
from vault.providers.clients import Client, Redirect, filled, remembered
from vault.providers.flows.asking import SignedIn, Start, post
from vault.providers.methods import Method
from vault.providers.plugins import Extension
from vault.providers.steps import Flow, ask, fetch, send
from vault.providers.tokens import Outcome, outcome_of, tokens_of

ACME = Client(
    id="acme",
    name="Acme",
    owner="Acme (this example)",
    providers=("acme",),
    flows=("browser", "device"),
    client_id="acme-example",
    authorize_url="https://auth.acme.example/authorize",
    token_url="https://auth.acme.example/token",  # noqa: S106 - an address
    device_url="https://auth.acme.example/device",
    revoke_url="https://auth.acme.example/revoke",
    scopes=("models",),
    redirect=Redirect(host="127.0.0.1", path="/callback", ports=(0,)),
    revoke="standard",
    rotates="yes",
    confidence="an example",
)
LAB = Client(
    id="acme-lab",
    name="Acme Lab",
    providers=("acme-lab",),
    client_id="acme-lab",
    token_url="https://lab.acme.example/token",  # noqa: S106 - an address
    rotates="yes",
)


def extension() -> Extension:
    """What this package adds. The entry point names this function."""
    return Extension(
        clients=[ACME, LAB],
        methods=[
            Method(id="browser", kind="browser", label="Acme account (browser)", provider="acme", client="acme"),
            Method(id="device", kind="device", label="Acme account (code)", provider="acme", client="acme"),
            Method(
                id="lab-invitation", kind="plugin", label="Acme Lab invitation", provider="acme-lab", client="acme-lab"
            ),
        ],
        sign_in={"lab-invitation": lab_sign_in},
        refresh={"acme-lab": lab_refresh},
    )


def lab_sign_in(start: Start) -> Flow[SignedIn]:
    """Exchange an invitation, which a person types in, for tokens."""
    client = filled(LAB, start.given, start.endpoints)
    invitation = yield from ask("Invitation: ", hidden=True)
    fields = {"grant_type": "refresh_token", "refresh_token": invitation, "client_id": client.client_id}
    answer = yield from fetch(post(client.token_url, fields))
    tokens = tokens_of(answer)
    if answer.status != 200 or tokens is None:
        raise SignInAgain("Acme Lab did not take the invitation", hint="ask for another one")
    credential = OAuth(
        access=tokens.access,
        refresh=tokens.refresh,
        expires_at=tokens.expires_at,
        metadata=remembered(client, start.given),
    )
    return SignedIn(credential, "invited")


def lab_refresh(client: Client, refresh_token: str, _scopes: Sequence[str], _extra: Mapping[str, str]) -> Flow[Outcome]:
    """Refresh with the header that Acme Lab wants."""
    fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client.client_id}
    answer = yield from send(post(client.token_url, fields, headers={"X-Acme-Lab": "1"}))
    return outcome_of(answer, client.rules, (refresh_token,))
