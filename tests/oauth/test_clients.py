"""The registry of clients and methods, packages that add to it, and the server as a program of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.oauth.conftest import World
from tests.oauth.person import Person
from vault.errors import InputError, NotFound, NotReady
from vault.events.credentials import ApiKey, OAuth
from vault.providers import catalogue
from vault.providers.clients import (
    Client,
    client,
    client_of,
    clients,
    endpoints,
    leeway,
    moved,
    registry,
    rotates,
    secrets_of,
)
from vault.providers.driver import check_url
from vault.providers.flows import refresh_flow
from vault.providers.methods import FLOWS, methods
from vault.providers.plugins import plugins
from vault.providers.tokens import Refreshed
from vault.values import DAY, HOUR, MINUTE

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "provider-plugin"


def test_every_client_has_its_provenance() -> None:
    for one in registry().clients:
        assert one.owner, one.id
        assert one.sources, one.id
        assert one.confidence in ("verified-source", "reported-by-third-party", "general-knowledge-unverified")


def test_no_secret_is_shipped() -> None:
    data = (ROOT / "vault" / "providers" / "data" / "oauth_clients.json").read_text()
    assert '"client_secret":' not in data
    assert "GOCSPX" not in data


def test_every_address_is_safe() -> None:
    for one in registry().clients:
        here = client(one.id, {"host": "company.ghe.com"})
        for name in ("authorize_url", "token_url", "device_url", "poll_url", "exchange_url", "revoke_url", "issuer"):
            if url := getattr(here, name):
                check_url(url)
                assert url.startswith("https://")
                assert "{" not in url


def test_every_flow_of_a_client_has_what_it_needs() -> None:
    for one in registry().clients:
        assert not ({"browser"} & set(one.flows)) or one.authorize_url or one.issuer, one.id
        assert not ({"device", "github_exchange"} & set(one.flows)) or one.device_url, one.id
        assert one.refresh == "none" or one.token_url, one.id
        assert one.revoke == "none" or one.revoke_url, one.id
        assert "client_secret" not in one.needs or one.secret_found, one.id


def test_every_method_of_the_registry_is_sound() -> None:
    for provider, rows in registry().methods.items():
        found = methods(provider)
        assert len({m.id for m in found}) == len(found) >= len(rows)
        for made in found:
            if made.client:
                assert made.kind in clients()[made.client].flows, made
                assert provider in clients()[made.client].providers, made
            assert made.interactive == (made.kind in FLOWS)
        if provider not in ("ollama", "lmstudio"):
            assert catalogue.provider(provider) is not None, provider


@pytest.mark.parametrize(
    ("provider", "kinds"),
    [
        ("anthropic", ["api_key", "setup_token", "external"]),
        ("openai", ["browser", "device", "api_key"]),
        ("google", ["api_key", "browser"]),
        ("github-copilot", ["github_exchange", "github_exchange", "api_key"]),
        ("openrouter", ["pkce_key", "api_key"]),
        ("huggingface", ["device", "api_key"]),
        ("xai", ["device", "browser", "api_key"]),
        ("kimi-for-coding", ["device", "api_key"]),
        ("minimax", ["device", "api_key"]),
        ("hyper", ["device", "api_key"]),
        ("amazon-bedrock", ["token"]),
        ("groq", ["api_key"]),
        ("my-own", ["api_key"]),
        ("lmstudio", ["none"]),
        ("google-vertex", []),
    ],
)
def test_the_ways_to_sign_in_best_first(provider: str, kinds: list[str]) -> None:
    assert [m.kind for m in methods(provider)] == kinds


def test_a_method_by_id_or_kind() -> None:
    from vault.providers.methods import method

    assert method("openai").id == "browser"
    assert method("openai", "device").kind == "device"
    assert method("github-copilot", "github_exchange").id == "device"
    with pytest.raises(NotFound, match="no sign-in method 'nonsense'"):
        method("openai", "nonsense")
    with pytest.raises(NotFound):
        method("google-vertex")


def test_no_client_takes_the_id_of_an_embedded_one() -> None:
    assert clients([Client(id="openai-chatgpt", name="Evil")])["openai-chatgpt"].name == "OpenAI ChatGPT"


def test_a_client_that_is_not_there() -> None:
    with pytest.raises(NotFound):
        client("nonsense")


@pytest.mark.parametrize("host", ["", "a b", "x/../y", "https://a.example", "a..b", "-a.b", "localhost", "a.b:port"])
def test_hosts_that_are_none(host: str) -> None:
    if host:
        with pytest.raises(InputError):
            client("github-copilot-editor", {"host": host})
    else:
        assert (
            client("github-copilot-editor", {"host": host}).token_url == "https://github.com/login/oauth/access_token"
        )


def test_endpoints_move_to_loopback_and_nowhere_else() -> None:
    assert endpoints({}) == ""
    assert endpoints({"VAULT_OAUTH_ENDPOINTS": "http://127.0.0.1:8/"}) == "http://127.0.0.1:8"
    for bad in (
        "https://evil.example",
        "http://127.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "127.0.0.1:8",
        "http://[::1",
    ):
        with pytest.raises(NotReady):
            endpoints({"VAULT_OAUTH_ENDPOINTS": bad})
    assert moved("https://a.example/x?y=1", "http://[::1]:8") == "http://[::1]:8/a.example/x?y=1"


@pytest.mark.parametrize(
    ("name", "lifetime", "expected"),
    [
        ("", None, 10 * MINUTE),
        ("openai-chatgpt", 10 * DAY, 10 * MINUTE),
        ("huggingface", 30 * DAY, DAY),
        ("huggingface", HOUR, 45 * MINUTE),
        ("kimi-code", 15 * MINUTE, 10 * MINUTE),
        ("hyper", 3 * HOUR, 18 * MINUTE),
        ("github-copilot-editor", 25 * MINUTE, 10 * MINUTE),
        ("xai", 4 * MINUTE, 3 * MINUTE),
    ],
)
def test_leeway(name: str, lifetime: int | None, expected: int) -> None:
    assert leeway(client(name) if name else None, lifetime) == expected


def test_which_refresh_tokens_have_one_owner() -> None:
    alone = {one.id for one in registry().clients if rotates(one)}
    assert {one.id for one in registry().clients} - alone == {
        "google-gemini-cli",
        "github-copilot-editor",
        "openrouter",
    }
    assert rotates(None)


def test_the_client_of_a_credential_that_was_imported() -> None:
    def of(provider: str, **metadata: str) -> Client | None:
        return client_of(OAuth(access="fake-a", refresh="fake-r", metadata=metadata), provider, {})

    openai = of("openai")
    assert openai is not None
    assert openai.id == "openai-chatgpt"
    copilot = of("github-copilot", enterpriseUrl="company.ghe.com")
    assert copilot is not None
    assert copilot.exchange_url == "https://api.company.ghe.com/copilot_internal/v2/token"
    assert of("groq") is None
    assert client_of(ApiKey(key="fake-k"), "openai", {}) is None
    with pytest.raises(NotFound):
        of("openai", client="gone")


def test_secrets_of_a_credential() -> None:
    made = OAuth(access="fake-a", extra={"client_secret": "fake-s", "other": 1})
    assert secrets_of(made) == {"client_secret": "fake-s"}
    assert secrets_of(OAuth(access="fake-a")) == {}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed by pip into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder), str(EXAMPLE)], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def plugin(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    plugins.cache_clear()


@pytest.mark.usefixtures("plugin")
def test_an_installed_package_adds_its_methods() -> None:
    assert [(m.id, m.kind, m.package) for m in methods("acme")][:2] == [
        ("browser", "browser", "vault-example-provider"),
        ("device", "device", "vault-example-provider"),
    ]
    assert plugins().broken == ()


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", ["browser", "device"])
def test_an_installed_package_signs_in_with_data_alone(world: World, name: str) -> None:
    credential = world.sign_in("acme", name).credential
    assert isinstance(credential, OAuth)
    assert world.authority.is_live(credential.access)
    again = client_of(credential, "acme", {"VAULT_OAUTH_ENDPOINTS": world.base})
    assert again is not None
    assert isinstance(world.run(refresh_flow(again, credential.refresh), 30.0), Refreshed)


@pytest.mark.usefixtures("plugin")
def test_an_installed_package_signs_in_and_refreshes_with_a_flow_of_its_own(world: World) -> None:
    world.person = Person(answers=[world.authority.seed()])
    signed = world.sign_in("acme-lab")
    assert isinstance(signed.credential, OAuth)
    again = client_of(signed.credential, "acme-lab", {"VAULT_OAUTH_ENDPOINTS": world.base})
    assert again is not None
    assert isinstance(world.run(refresh_flow(again, signed.credential.refresh), 30.0), Refreshed)
    assert world.authority.headers[-1]["X-Acme-Lab"] == "1"


BROKEN = {
    "raises": "def extension():\n    raise RuntimeError('fake-secret-in-an-error')\n",
    "returns nothing": "def extension():\n    return None\n",
    "is not there": "",
    "takes an embedded client": (
        "from vault.providers.clients import Client\nfrom vault.providers.plugins import Extension\n"
        "def extension():\n    return Extension(clients=[Client(id='openai-chatgpt', name='Evil')])\n"
    ),
    "takes an embedded method": (
        "from vault.providers.methods import Method\nfrom vault.providers.plugins import Extension\n"
        "def extension():\n"
        "    return Extension(methods=[Method(id='browser', kind='browser', label='Evil', provider='openai')])\n"
    ),
    "a plugin method without a flow": (
        "from vault.providers.methods import Method\nfrom vault.providers.plugins import Extension\n"
        "def extension():\n    return Extension(methods=[Method(id='x', kind='plugin', label='X', provider='acme')])\n"
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_package_that_is_broken_is_passed_over_and_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "vault_broken_" + name.replace(" ", "_")
    (tmp_path / f"{module}.py").write_text(BROKEN[name])
    info = tmp_path / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vault.providers]\nx = {module}:extension\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.cache_clear()
    assert client("openai-chatgpt").name == "OpenAI ChatGPT"
    assert methods("openai")[0].package == ""
    ((package, why),) = plugins().broken
    assert package == module
    assert "fake-secret" not in why


def call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)


def test_the_server_is_a_program_too(world: World) -> None:
    command = [sys.executable, "-m", "tests.oauth.server", "--mark", world.mark]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            first = call(f"{url}/_seed", {})["refresh_token"]
            call(f"{url}/_control", {"fault": {"path": "/oauth/token", "kind": "status", "status": 503}})
            flow = refresh_flow(client("openai-chatgpt", {}, url), first)
            outcome = world.run(flow, 30.0)
            assert isinstance(outcome, Refreshed)
            state = call(f"{url}/_state")
        finally:
            process.terminate()
    assert state["exchanges"] == [{"grant": "refresh_token", "outcome": "ok"}]
    assert state["requests"] == ["/auth.openai.com/oauth/token"] * 2
    assert world.mark in first
