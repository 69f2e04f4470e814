"""The endpoints of the test's authorization server: standard ones, and the dialects of the providers vault knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from tests.oauth.authority import Authority, Refusal, jwt

Fields = dict[str, Any]
OAUTH_METADATA = "/.well-known/oauth-authorization-server"


@dataclass
class Answer:
    """An HTTP answer: ``fields`` as JSON, or ``text`` as it is."""

    status: int
    fields: Any = None
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return (self.text if self.fields is None else json.dumps(self.fields)).encode()

    def kind(self) -> str:
        return "text/plain" if self.fields is None else "application/json"


@dataclass
class Call:
    """A request as an endpoint sees it: ``host`` and ``path`` are those of the provider, ``base`` is this server's URL."""

    here: Authority
    host: str
    path: str
    fields: Fields
    base: str
    bearer: str


def answer_to(here: Authority, method: str, path: str, fields: Fields, base: str, bearer: str) -> Answer:
    """The answer of whichever endpoint a path is."""
    first, _, rest = path.lstrip("/").partition("/")
    host, path = (first, f"/{rest}") if "." in first and not first.startswith(".") else ("", path)
    inserted = f"{OAUTH_METADATA}/"
    if path.startswith(inserted):
        host, path = path.removeprefix(inserted), OAUTH_METADATA
    call = Call(here, host, path, fields, base, bearer)
    for ending, endpoint in ENDPOINTS:
        if path.endswith(ending) or (ending.endswith("/") and ending in path):
            try:
                return endpoint(call)
            except Refusal as refusal:
                return refused(call, refusal)
    return Answer(404, {"error": "not_found"})


def refused(call: Call, refusal: Refusal) -> Answer:
    if call.host == "auth.openai.com" and refusal.error == "invalid_grant" and "refresh_token" in call.fields:
        return Answer(
            401, {"error": {"code": "refresh_token_reused", "message": "used before", "type": "invalid_request"}}
        )
    github = call.path.startswith("/login/oauth")
    return Answer(200 if github else refusal.status, {"error": refusal.error, **refusal.more})


def authorize(call: Call) -> Answer:
    """As if the person had agreed, or not: straight back to the redirect URI."""
    asked = {k: str(v) for k, v in call.fields.items()}
    if "callback_url" in asked:
        kept = {"code_challenge": asked["code_challenge"]}
        back, answer = asked["callback_url"], {"code": call.here.new_code(kept)}
    else:
        if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
            return Answer(400, {"error": "invalid_request"})
        kept = {name: asked[name] for name in ("client_id", "redirect_uri", "code_challenge")}
        back, answer = asked["redirect_uri"], {"code": call.here.new_code(kept), "state": asked["state"]}
    if call.here.settings.deny:
        answer = {
            "error": "access_denied",
            "error_description": "the person said no",
            **{k: v for k, v in answer.items() if k == "state"},
        }
    return Answer(302, None, "", {"Location": back + ("&" if "?" in back else "?") + urlencode(answer)})


def token(call: Call) -> Answer:
    answer = call.here.grant({k: str(v) for k, v in call.fields.items()})
    if call.host == "auth.openai.com":
        claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "fake-account-1"}, "email": "me@example.com"}
        answer["id_token"] = jwt(claims)
    if call.host.startswith("account.minimax"):
        answer["status"] = "success"
        answer["expired_in"] = answer.pop("expires_in", 3600)
    if call.here.settings.form:
        return Answer(200, None, urlencode(answer), {"Content-Type": "application/x-www-form-urlencoded"})
    return Answer(200, answer)


def minimax_token(call: Call) -> Answer:
    """MiniMax says "pending" with a 200."""
    if not call.host.startswith("account.minimax"):
        return token(call)
    try:
        return token(call)
    except Refusal as refusal:
        if refusal.error == "authorization_pending":
            return Answer(200, {"status": "pending"})
        raise


def device(call: Call) -> Answer:
    settings = call.here.settings
    code, user_code = call.here.start_device(call.fields)
    page = f"{call.base}/activate"
    answer = {"user_code": user_code, "verification_uri": page, "expires_in": settings.device_life}
    if call.host.startswith("account.minimax"):
        answer |= {"interval": settings.interval * 1000, "state": call.fields["state"]}
        answer["expired_in"] = int((call.here.now() + settings.device_life) * 1000)
        del answer["expires_in"]
    else:
        answer |= {
            "device_code": code,
            "interval": settings.interval,
            "verification_uri_complete": f"{page}?user_code={user_code}",
        }
    return Answer(200, answer)


def openai_usercode(call: Call) -> Answer:
    code, user_code = call.here.start_device(call.fields)
    return Answer(200, {"device_auth_id": code, "usercode": user_code, "interval": str(call.here.settings.interval)})


def openai_poll(call: Call) -> Answer:
    """403 while nothing happened; then a code with the verifier that the server made up itself."""
    from tests.oauth.authority import challenge_of

    try:
        call.here.poll(call.fields["device_auth_id"])
    except Refusal as refusal:
        if refusal.error == "authorization_pending":
            return Answer(403, {"error": {"code": "deviceauth_authorization_pending"}})
        raise
    verifier = call.here.make("verifier")
    redirect = "https://auth.openai.com/deviceauth/callback"
    client = str(call.here.devices[call.fields["device_auth_id"]]["client_id"])
    kept = {"client_id": client, "redirect_uri": redirect, "code_challenge": challenge_of(verifier)}
    return Answer(
        200, {"authorization_code": call.here.new_code(kept), "code_verifier": verifier, "code_challenge": "x"}
    )


def hyper_start(call: Call) -> Answer:
    code, user_code = call.here.start_device(call.fields)
    answer = {"device_code": code, "user_code": user_code, "verification_url": f"{call.base}/hyper"}
    return Answer(200, {**answer, "expires_in": call.here.settings.device_life})


def hyper_poll(call: Call) -> Answer:
    call.here.poll(call.path.rpartition("/")[2])
    return Answer(200, {"refresh_token": call.here.seed(), "user_id": "fake-user-7", "organization_name": "Example"})


def hyper_exchange(call: Call) -> Answer:
    return Answer(200, call.here.grant({"grant_type": "refresh_token", "refresh_token": call.fields["refresh_token"]}))


def openrouter_key(call: Call) -> Answer:
    call.here.redeem(call.fields)
    call.here.note("key", "ok")
    return Answer(200, {"key": call.here.make("key"), "user_id": "fake-user-9"})


def copilot(call: Call) -> Answer:
    """Exchange a GitHub token for a short one; the GitHub token stays as it is."""
    here = call.here
    if here.settings.copilot != 200 or not here.is_live(call.bearer):
        status = here.settings.copilot if here.settings.copilot != 200 else 401
        here.note("copilot", str(status))
        return Answer(status, {"message": f"no good: {call.bearer}"})
    here.note("copilot", "ok")
    expires = int(here.now()) + here.settings.clock_off + here.settings.copilot_life
    return Answer(
        200, {"token": here.make("copilot"), "expires_at": expires, "endpoints": {"api": "https://api.example.com"}}
    )


def revoke(call: Call) -> Answer:
    if call.here.settings.revoke_status != 200:
        error = "unsupported_token_type" if call.here.settings.revoke_status == 400 else "no"
        return Answer(call.here.settings.revoke_status, {"error": error})
    for one in call.fields.get("credentials", [call.fields.get("token", "")]):
        call.here.revoke(one)
    call.here.note("revoke", "ok")
    return Answer(202 if "credentials" in call.fields else 200)


def metadata(call: Call) -> Answer:
    """Server metadata; the issuer is what is in front of /.well-known, the provider's host included."""
    here = call.here
    if here.settings.openid_only and "oauth-authorization-server" in call.path:
        return Answer(404, {"error": "not_found"})
    issuer = call.base + (f"/{call.host}" if call.host else "")
    return Answer(
        200,
        {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "device_authorization_endpoint": f"{issuer}/device",
            "revocation_endpoint": f"{issuer}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **here.settings.metadata,
        },
    )


def opencode(call: Call) -> Answer:
    found = call.here.settings.wellknown
    return Answer(404, {"error": "not_found"}) if found is None else Answer(200, found)


def landing(call: Call) -> Answer:
    return Answer(200, None, "landed")


def models(call: Call) -> Answer:
    """What a probe asks: told to a live access token, refused to others."""
    live = call.here.is_live(call.bearer)
    call.here.note("models", "ok" if live else "refused")
    return Answer(200, {"data": []}) if live else Answer(401, {"error": "unauthorized"})


ENDPOINTS: tuple[tuple[str, Callable[[Call], Answer]], ...] = (
    ("/.well-known/opencode", opencode),
    (OAUTH_METADATA, metadata),
    ("/.well-known/openid-configuration", metadata),
    ("/api/accounts/deviceauth/usercode", openai_usercode),
    ("/api/accounts/deviceauth/token", openai_poll),
    ("/copilot_internal/v2/token", copilot),
    ("/credentials/revoke", revoke),
    ("/api/v1/auth/keys", openrouter_key),
    ("/token/exchange", hyper_exchange),
    ("/device/auth/", hyper_poll),
    ("/device/auth", hyper_start),
    ("/login/oauth/access_token", token),
    ("/oauth2/token", minimax_token),
    ("/device/code", device),
    ("/device_authorization", device),
    ("/oauth/device", device),
    ("/device", device),
    ("/revoke", revoke),
    ("/token", token),
    ("/o/oauth2/v2/auth", authorize),
    ("/authorize", authorize),
    ("/auth", authorize),
    ("/landing", landing),
    ("/models", models),
)
