"""Probes: what is asked of whom, what an answer proves, and that the credential goes nowhere else."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from tests.oauth.authority import jwt
from tests.providers.server import Asked, Reply, Server, serving
from tests.support import Canary
from vault.errors import InputError
from vault.model.health import FAILURES
from vault.providers import catalogue, probes
from vault.providers.judging import REFUSED, UNCLEAR, WORKS, judge
from vault.providers.probes import ProbeRequest, plan_probe, send_probe
from vault.values import Secret

SETUP_TOKEN = "-".join(("sk", "ant", "oat", "fake"))

# provider, kind of credential: the URL and the header that carries it
PLANNED = {
    ("openai", "api_key"): ("https://api.openai.com/v1/models", "authorization"),
    ("openai", "environment"): ("https://api.openai.com/v1/models", "authorization"),
    ("openai", "oauth"): ("https://chatgpt.com/backend-api/wham/usage", "authorization"),
    ("anthropic", "api_key"): ("https://api.anthropic.com/v1/models?limit=1", "x-api-key"),
    ("anthropic", "token"): ("https://api.anthropic.com/v1/models?limit=1", "authorization"),
    ("anthropic", "oauth"): ("https://api.anthropic.com/v1/models?limit=1", "authorization"),
    ("google", "api_key"): ("https://generativelanguage.googleapis.com/v1beta/models?pageSize=1", "x-goog-api-key"),
    ("google", "oauth"): ("https://www.googleapis.com/oauth2/v2/userinfo", "authorization"),
    ("openrouter", "api_key"): ("https://openrouter.ai/api/v1/key", "authorization"),
    ("huggingface", "oauth"): ("https://huggingface.co/api/whoami-v2", "authorization"),
    ("github-copilot", "oauth"): ("https://api.github.com/copilot_internal/user", "authorization"),
    ("gitlab", "token"): ("https://gitlab.com/api/v4/user", "authorization"),
    ("groq", "api_key"): ("https://api.groq.com/openai/v1/models", "authorization"),
    ("xai", "oauth"): ("https://api.x.ai/v1/models", "authorization"),
    ("vercel", "api_key"): ("https://ai-gateway.vercel.sh/v1/credits", "authorization"),
    ("deepseek", "api_key"): ("https://api.deepseek.com/models", "authorization"),
    ("zai", "api_key"): ("https://api.z.ai/api/paas/v4/models", "authorization"),
    ("kimi-for-coding", "api_key"): ("https://api.kimi.com/coding/v1/models", "x-api-key"),
    ("kimi-for-coding", "oauth"): ("https://api.kimi.com/coding/v1/models", "authorization"),
    ("fireworks-ai", "api_key"): ("https://api.fireworks.ai/inference/v1/models", "authorization"),
    ("hyper", "oauth"): ("https://hyper.charm.land/v1/models", "authorization"),
}


@pytest.mark.parametrize(("asked", "expected"), PLANNED.items(), ids=lambda v: "-".join(v) if v in PLANNED else "")
def test_what_is_asked_of_whom(asked: tuple[str, str], expected: tuple[str, str]) -> None:
    plan = plan_probe(*asked, "fake-key")
    assert plan is not None
    assert plan.secret is not None
    assert (plan.url, plan.secret[0]) == expected
    assert plan.secret[1] == ("Bearer " if plan.secret[0] == "authorization" else "")
    assert plan.secret[2].reveal() == "fake-key"
    assert plan_probe(*asked, Secret("fake-key")) == plan


def test_the_headers_a_provider_wants() -> None:
    def headers(provider: str, kind: str, secret: str = "fake-key", account: str = "") -> dict[str, str]:
        plan = plan_probe(provider, kind, secret, account=account)
        assert plan is not None
        return dict(plan.headers)

    assert headers("anthropic", "api_key") == {"anthropic-version": "2023-06-01"}
    token = {"anthropic-version": "2023-06-01", "anthropic-beta": "oauth-2025-04-20"}
    assert headers("anthropic", "oauth") == headers("anthropic", "environment", SETUP_TOKEN) == token
    assert headers("openai", "oauth", account="fake-account") == {"chatgpt-account-id": "fake-account"}
    assert headers("openai", "oauth") == headers("groq", "api_key") == {}
    exchanged = plan_probe("github-copilot", "oauth", "tid=fake;exp=1")
    assert exchanged is not None
    assert exchanged.url == "https://api.githubcopilot.com/models"
    assert exchanged.headers["copilot-integration-id"] == "vscode-chat"


COPILOT: dict[str, tuple[str, dict[str, str], str]] = {
    "a GitHub token": ("fake-github", {}, "https://api.github.com/copilot_internal/user"),
    "of github.com": ("fake-github", {"host": "github.com"}, "https://api.github.com/copilot_internal/user"),
    "of an enterprise": ("fake-github", {"host": "c.ghe.com"}, "https://api.c.ghe.com/copilot_internal/user"),
    "short": ("tid=fake;exp=1", {}, "https://api.githubcopilot.com/models"),
    "short, of an enterprise": ("tid=fake;exp=1", {"host": "c.ghe.com"}, "https://copilot-api.c.ghe.com/models"),
    "short, told where": (
        "tid=fake;exp=1",
        {"host": "c.ghe.com", "api": "https://api.business.example/"},
        "https://api.business.example/models",
    ),
}


@pytest.mark.parametrize("name", COPILOT)
def test_a_copilot_token_goes_to_the_host_it_is_from(name: str) -> None:
    secret, told, url = COPILOT[name]
    plan = plan_probe("github-copilot", "oauth", secret, **told)  # type: ignore[arg-type]
    assert plan is not None
    assert plan.url == url


def test_copilot_is_not_believed_when_it_names_an_unsafe_place() -> None:
    with pytest.raises(InputError):
        plan_probe("github-copilot", "oauth", "tid=fake;exp=1", api="http://api.example")


def test_the_chatgpt_account_is_taken_from_the_token_where_nothing_else_tells_it() -> None:
    token = jwt({"https://api.openai.com/auth": {"chatgpt_account_id": "fake-account-2"}})
    for account, expected in (
        ("", "fake-account-2"),
        ("fake-account-1", "fake-account-1"),
        ("bad\naccount", "fake-account-2"),
    ):
        plan = plan_probe("openai", "oauth", token, account=account)
        assert plan is not None
        assert plan.headers == {"chatgpt-account-id": expected}
    odd = plan_probe("openai", "oauth", jwt({"https://api.openai.com/auth": {"chatgpt_account_id": 7}}))
    assert odd is not None
    assert odd.headers == {}


@pytest.mark.parametrize(
    ("provider", "endpoint", "url"),
    [
        ("anthropic", "http://127.0.0.1:9/", "http://127.0.0.1:9/v1/models?limit=1"),
        ("anthropic", "https://proxy.example/v1", "https://proxy.example/v1/models?limit=1"),
        ("google", "https://proxy.example/v1beta", "https://proxy.example/v1beta/models?pageSize=1"),
        ("openai", "https://proxy.example", "https://proxy.example/v1/models"),
        ("openai", "https://proxy.example/openai/v1/", "https://proxy.example/openai/v1/models"),
        ("openrouter", "https://proxy.example/api/v1", "https://proxy.example/api/v1/key"),
        ("nvidia", "http://localhost:8000/v1", "http://localhost:8000/v1/models"),
        ("ollama", "http://localhost:11434", "http://localhost:11434/v1/models"),
        ("my-own-llm", "https://llm.example/v2", "https://llm.example/v2/models"),
        (
            "azure",
            "https://fake.openai.azure.com",
            "https://fake.openai.azure.com/openai/models?api-version=2024-10-21",
        ),
        ("azure", "https://fake.openai.azure.com/openai/v1", "https://fake.openai.azure.com/openai/v1/models"),
        (
            "amazon-bedrock",
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
            "https://bedrock.eu-west-1.amazonaws.com/foundation-models",
        ),
        ("github-copilot", "https://api.fake.ghe.com", "https://api.fake.ghe.com/copilot_internal/user"),
        ("minimax", "https://proxy.example", None),
    ],
)
def test_the_endpoint_of_the_settings_is_asked(provider: str, endpoint: str, url: str | None) -> None:
    plan = plan_probe(provider, "api_key", "fake-key", endpoint)
    assert (plan.url if plan else None) == url
    assert plan is None or plan.control, "a server one set oneself may answer anybody"


def test_region_version_and_variables_fill_what_is_open() -> None:
    assert plan_probe("amazon-bedrock", "token", "fake-token") is None
    bedrock = plan_probe("amazon-bedrock", "token", "fake-token", region="eu-west-1")
    assert bedrock is not None
    assert bedrock.url == "https://bedrock.eu-west-1.amazonaws.com/foundation-models"
    assert plan_probe("amazon-bedrock", "token", "fake-token", region="evil.example/#") is None
    azure = plan_probe("azure", "api_key", "fake-key", "https://fake.example", api_version="2024-02-01&x=1")
    assert azure is not None
    assert azure.url == "https://fake.example/openai/models?api-version=2024-02-01%26x%3D1"
    assert azure.secret is not None
    assert azure.secret[0] == "api-key"
    assert plan_probe("databricks", "api_key", "fake-key") is None
    databricks = plan_probe("databricks", "api_key", "fake-key", variables={"DATABRICKS_HOST": "fake.example"})
    assert databricks is not None
    assert databricks.url == "https://fake.example/ai-gateway/mlflow/v1/models"
    with pytest.raises(InputError):
        plan_probe("neon", "api_key", "fake-key", variables={"NEON_AI_GATEWAY_BASE_URL": "http://fake.example"})


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        ("minimax", "api_key"),
        ("perplexity", "api_key"),
        ("azure", "api_key"),
        ("google-vertex", "api_key"),
        ("bailing", "api_key"),
        ("my-own-llm", "api_key"),
        ("amazon-bedrock", "cloud"),
        ("sap-ai-core", "api_key"),
        ("nvidia", "cloud"),
    ],
)
def test_where_there_is_nothing_honest_to_ask_nothing_is(provider: str, kind: str) -> None:
    assert plan_probe(provider, kind, "fake-key") is None


def test_every_provider_is_planned_without_an_error_and_without_the_secret_in_it(canary: Canary) -> None:
    planned = [
        plan
        for p in catalogue.providers()
        for kind in ("api_key", "token", "oauth", "wellknown", "environment", "reference")
        if (plan := plan_probe(p.id, kind, str(canary), region="eu-west-1")) is not None
    ]
    assert len({p.provider for p in planned}) > 190
    for plan in planned:
        assert plan.url.startswith("https://") or plan.local or "//localhost" in plan.url
        canary.assert_absent(plan.url, repr(plan), repr(plan.headers))


@pytest.mark.parametrize(
    "endpoint", ["http://models.example/v1", "https://a:b@models.example", "https://x.example/?key=1", "nonsense"]
)
def test_an_endpoint_a_credential_may_not_go_to_is_refused(endpoint: str) -> None:
    with pytest.raises(InputError):
        plan_probe("openai", "api_key", "fake-key", endpoint)


JUDGED: list[tuple[int, bytes, str, str, str]] = [
    (200, b'{"data": []}', WORKS, "accepts", ""),
    (200, b'[{"id": "x"}]', WORKS, "accepts", ""),
    (200, b'{"data": [{"id": "cut off', WORKS, "accepts", ""),
    (200, b'{"error": null, "data": []}', WORKS, "accepts", ""),
    (200, b"<!doctype html><title>Sign in to the hotel", UNCLEAR, "isn't JSON", ""),
    (200, b"", UNCLEAR, "isn't JSON", ""),
    (200, b'{"error": {"message": "fake"}}', UNCLEAR, "an error", ""),
    (200, b'{"success": false}', UNCLEAR, "an error", ""),
    (200, b'{"base_resp": {"status_code": 1004}}', REFUSED, "refuses", "auth"),
    (200, b'{"base_resp": {"status_code": 0}}', WORKS, "accepts", ""),
    (200, b'{"base_resp": {"status_code": 1008}}', UNCLEAR, "an error", ""),
    (401, b"{}", REFUSED, "refuses", "auth"),
    (401, b"<html>", REFUSED, "refuses", "auth"),
    (403, b"{}", REFUSED, "refuses", "auth"),
    (403, b"<html>blocked by the firewall", UNCLEAR, "firewall", ""),
    (403, b'{"error": {"code": "unsupported_country_region_territory"}}', UNCLEAR, "country", ""),
    (
        403,
        b'{"error": {"message": "You have insufficient permissions. Missing scopes: f"}}',
        UNCLEAR,
        "not allowed",
        "",
    ),
    (403, b'{"__type": "AccessDeniedException"}', UNCLEAR, "not allowed", ""),
    (403, b'{"Message": "AccessDenied: make sure your API Key is valid"}', REFUSED, "refuses", "auth"),
    (400, b'{"error": {"details": [{"reason": "API_KEY_INVALID"}]}}', REFUSED, "refuses", "auth"),
    (400, b'{"error": "Incorrect API key provided"}', REFUSED, "refuses", "auth"),
    (400, b'{"error": "no such parameter"}', UNCLEAR, "answered 400", ""),
    (402, b"{}", UNCLEAR, "billing", "billing"),
    (404, b"", UNCLEAR, "does not offer", ""),
    (405, b"", UNCLEAR, "does not offer", ""),
    (408, b"", UNCLEAR, "gave up", "timeout"),
    (418, b"", UNCLEAR, "answered 418", ""),
    (429, b"{}", UNCLEAR, "knows", "rate_limit"),
    (302, b"", UNCLEAR, "redirects", ""),
    (500, b"", UNCLEAR, "internal problem", "overloaded"),
    (503, b"", UNCLEAR, "internal problem", "overloaded"),
]


@pytest.mark.parametrize(("status", "body", "outcome", "word", "reason"), JUDGED)
def test_what_an_answer_proves(status: int, body: bytes, outcome: str, word: str, reason: str) -> None:
    found = judge(status, body)
    assert (found[0], found[2]) == (outcome, reason)
    assert word in found[1]
    assert judge(status, body.decode()) == found
    assert reason in ("", *FAILURES)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_credential_only_for_claude_code_gets_the_advice(status: int) -> None:
    told = "This credential is only authorized for use with Claude Code and cannot be used for other API requests."
    outcome, detail, reason = judge(status, json.dumps({"error": {"message": told}}))
    assert (outcome, reason) == (REFUSED, "auth_permanent")
    assert "use an Anthropic API key" in detail


def test_no_word_of_an_answer_is_repeated(canary: Canary) -> None:
    for status in range(200, 600):
        for body in (
            f'{{"error": "wrong key {canary}"}}',
            f"<p>{canary}",
            f'{{"base_resp": {{"status_code": "{canary}"}}}}',
        ):
            canary.assert_absent(repr(judge(status, body)))


def keyed(asked: Asked) -> Reply:
    """A provider that knows one key."""
    right = "fake-right-key" in (asked.bearer, asked.headers.get("x-api-key"), asked.headers.get("x-goog-api-key"))
    return Reply(200, b'{"data": []}') if right else Reply(401, b'{"error": "who?"}')


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "openrouter", "my-own-llm", "kimi-for-coding"])
def test_a_good_key_works_and_a_bad_one_is_refused(provider: str, server: Server) -> None:
    server.reply = keyed
    found = {}
    for secret in ("fake-right-key", "fake-wrong-key"):
        plan = plan_probe(provider, "api_key", secret, server.url)
        assert plan is not None
        found[secret] = send_probe(plan)
    assert found["fake-right-key"].outcome == WORKS
    assert (found["fake-wrong-key"].outcome, found["fake-wrong-key"].status) == (REFUSED, 401)
    assert [bool({"authorization", "x-api-key", "x-goog-api-key"} & set(a.headers)) for a in server.asked] == [
        True,
        False,
        True,
    ]


VARIABLES = {"DATABRICKS_HOST": "fake.example"}
RULED = (
    "openai",
    "anthropic",
    "google",
    "openrouter",
    "huggingface",
    "github-copilot",
    "azure",
    "azure-cognitive-services",
    "amazon-bedrock",
    *probes._PLACES,
)


@pytest.mark.parametrize("kind", ["api_key", "oauth"])
def test_every_provider_that_can_be_asked_is_answered(kind: str, server: Server) -> None:
    """The good key works, the bad one is refused, at each provider, through the request that is planned for it."""
    server.reply = lambda asked: (
        Reply(200, b'{"data": []}') if "fake-right-key" in repr(asked.headers) else Reply(401, b'{"error": "who?"}')
    )
    tried = set()
    for provider in dict.fromkeys([*RULED, *(p.id for p in catalogue.providers())]):
        endpoint = server.url if provider.startswith("azure") else ""
        for secret, expected in (("fake-right-key", WORKS), ("fake-wrong-key", REFUSED)):
            plan = plan_probe(
                provider, kind, secret, endpoint, region="eu-west-1", variables=VARIABLES, base=server.url
            )
            if plan is None:
                continue
            found = send_probe(plan)
            assert found.outcome == expected, (provider, found)
            tried.add(provider)
    assert tried >= set(RULED)
    assert len(tried) > 190
    assert all("fake-" not in asked.path for asked in server.asked)


@pytest.mark.parametrize(
    ("like", "settings", "url", "header"),
    [
        (
            "amazon-bedrock",
            {"region": "eu-west-1"},
            "https://bedrock.eu-west-1.amazonaws.com/foundation-models",
            "authorization",
        ),
        ("azure", {"endpoint": "https://c.example/openai/v1"}, "https://c.example/openai/v1/models", "api-key"),
        ("google-vertex", {"endpoint": "https://c.example"}, None, ""),
        ("", {"endpoint": "https://c.example/v1"}, "https://c.example/v1/models", "authorization"),
        ("", {}, None, ""),
    ],
)
def test_a_custom_provider_is_asked_like_its_family(
    like: str, settings: dict[str, str], url: str | None, header: str
) -> None:
    plan = plan_probe("my-cloud", "api_key", "fake-key", like=like, **settings)  # type: ignore[arg-type]
    assert (plan.url if plan else None) == url
    assert plan is None or (plan.secret is not None and plan.secret[0] == header)


def test_a_token_that_anthropic_accepts_may_still_be_for_claude_code(server: Server) -> None:
    plan = plan_probe("anthropic", "token", SETUP_TOKEN, base=server.url)
    assert plan is not None
    assert send_probe(plan) == probes.ProbeOutcome(WORKS, probes.CLAUDE_CODE_PERHAPS, 200)
    key = plan_probe("anthropic", "api_key", "fake-key", base=server.url)
    assert key is not None
    assert send_probe(key).detail == "the provider accepts it"


def test_an_answer_that_anybody_gets_proves_nothing(server: Server) -> None:
    plan = plan_probe("nano-gpt", "api_key", "fake-key", base=server.url)
    assert plan is not None
    found = send_probe(plan)
    assert (found.outcome, found.detail) == (UNCLEAR, probes.ANYBODY)
    server.reply = lambda asked: Reply(200 if asked.bearer else 503, b"{}")
    assert send_probe(plan).outcome == UNCLEAR
    server.reply = lambda asked: Reply(200 if asked.bearer else 400, b"{}")
    assert send_probe(plan).outcome == WORKS


def test_a_local_provider_works_without_a_credential(server: Server) -> None:
    for provider in ("ollama", "lmstudio", "nvidia"):
        plan = plan_probe(provider, "none", "", server.url + "/v1")
        assert plan is not None
        assert (plan.secret, plan.local) == (None, True)
        assert send_probe(plan) == probes.ProbeOutcome(WORKS, probes.OPEN, 200)
    assert plan_probe("nvidia", "none", "") is None
    with_key = plan_probe("nvidia", "api_key", "fake-key", server.url + "/v1")
    assert with_key is not None
    assert send_probe(with_key).detail == probes.OPEN
    assert all("authorization" not in a.headers for a in server.asked[:3])


def test_the_registrys_addresses_can_be_moved_to_loopback(server: Server) -> None:
    plan = plan_probe("openrouter", "api_key", "fake-key", base=server.url)
    assert plan is not None
    assert plan.url == f"{server.url}/openrouter.ai/api/v1/key"
    assert send_probe(plan).outcome == WORKS


def test_a_redirect_elsewhere_gets_no_credential(server: Server) -> None:
    with serving() as other:
        server.reply = lambda _: Reply(302, headers={"Location": other.url})
        plan = plan_probe("openai", "api_key", "fake-key", server.url)
        assert plan is not None
        found = send_probe(plan)
        assert (found.outcome, found.status) == (UNCLEAR, 302)
        assert other.asked == []


def test_a_provider_that_is_not_there_is_unclear() -> None:
    with serving() as gone:
        plan = plan_probe("openai", "api_key", "fake-key", gone.url)
    assert plan is not None
    found = send_probe(plan)
    assert (found.outcome, found.status, found.reason) == (UNCLEAR, 0, "timeout")
    assert "could not be reached" in found.detail


def test_a_provider_that_does_not_answer_is_unclear(server: Server) -> None:
    server.reply = lambda _: Reply(raw=lambda _: server.over.wait(60))
    plan = plan_probe("openai", "api_key", "fake-key", server.url)
    assert plan is not None
    found = send_probe(plan, seconds=0.3)
    assert (found.outcome, found.status, found.reason) == (UNCLEAR, 0, "timeout")


@pytest.mark.parametrize("status", [200, 401])
def test_an_answer_that_breaks_off_proves_what_its_status_proves(status: int, server: Server) -> None:
    """A good status alone proves nothing, since the error may have been in what didn't come; a refusal is one."""
    head = f"HTTP/1.1 {status} x\r\nContent-Length: 100\r\n\r\n{{".encode()
    server.reply = lambda _: Reply(raw=lambda wire: wire.write(head))
    plan = plan_probe("openai", "api_key", "fake-key", server.url)
    assert plan is not None
    assert (send_probe(plan).outcome, send_probe(plan).status) == (UNCLEAR if status == 200 else REFUSED, status)


def test_a_long_list_of_models_is_read_as_far_as_is_needed(server: Server) -> None:
    server.reply = lambda asked: (
        Reply(body=b'{"data": [' + b'{"id": "fake-model"},' * 5000) if asked.bearer else Reply(401)
    )
    plan = plan_probe("openai", "api_key", "fake-key", server.url)
    assert plan is not None
    assert send_probe(plan).outcome == WORKS


def test_the_secret_is_seen_by_the_provider_alone(
    server: Server, canary: Canary, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    for reply in (Reply(), Reply(401, str(canary).encode()), Reply(302, headers={"Location": f"/{canary}"})):
        server.reply = lambda _, reply=reply: reply  # type: ignore[misc]
        for provider in ("anthropic", "google", "openai"):
            plan = plan_probe(provider, "api_key", str(canary), server.url)
            assert plan is not None
            canary.assert_absent(repr(plan), str(plan), repr(send_probe(plan)))
    out, err = capfd.readouterr()
    canary.assert_absent(*(a.path for a in server.asked), out, err)
    canary.assert_absent("\n".join(r.getMessage() for r in caplog.records if "location" not in r.getMessage().lower()))


def test_a_request_that_can_not_be_sent_is_unclear_and_tells_nothing(server: Server) -> None:
    plan = plan_probe("openai", "api_key", "fake-kéy", server.url)
    assert plan is not None
    assert send_probe(plan).detail == "the credential for 127.0.0.1 holds characters that can't be sent"
    assert "Secret(…)" in repr(plan)


def test_httpx_is_not_imported_before_it_is_needed() -> None:
    code = "import vault.providers.probes, vault.providers.update, sys; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


def test_a_plan_is_equal_to_itself_alone() -> None:
    one = ProbeRequest("fake", "https://fake.example", {}, ("a", "", Secret("fake-1")))
    assert one != ProbeRequest("fake", "https://fake.example", {}, ("a", "", Secret("fake-2")))
