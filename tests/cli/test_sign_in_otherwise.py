"""Setup token, URL, discovery, a bearer token, an installed package, and revoking, through the installed command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Real
from tests.cli.signing_in import DRAWING, Place, browse
from tests.oauth.authority import Fault
from tests.support import ROOT
from vault.commands.advice import provider_of_url

CLAUDE = """
import os, sys
assert os.isatty(0) and os.isatty(1), "no terminal"
assert sys.argv[1:] == ["setup-token"]
assert "VAULT_PASSPHRASE" not in os.environ
name = input("Paste the code: ")
drawn = ("\\x1b[2J\\x1b[1;32mYour token:\\x1b[0m\\r\\n sk-a", "nt-oat01-\\x1b[32m", "TOKEN", "\\x1b[0m \\r\\nKeep it. Thanks, ")
for part in drawn:
    sys.stdout.write(part)
    sys.stdout.flush()
print(name)
"""


@pytest.fixture
def setup_token(place: Place) -> str:
    """A fake setup token, which holds the canary."""
    return f"sk-ant-oat01-{place.canary}"


def test_the_ways_at_anthropic_are_offered_the_api_key_first(place: Place) -> None:
    with place.terminal("login", "anthropic") as talk:
        talk.until("1 Anthropic API key (recommended)\r\n")
        talk.until("2 Claude setup token\r\n")
        talk.until("3 The login Claude Code keeps\r\n")
        talk.until("Which [1]: ")
        talk.type("4")
        talk.until("there are 3 to choose from: type a number")
        talk.type("")
        talk.until("API key for anthropic:default: ")
        talk.child.sendline(str(place.canary))
        talk.end()
    assert place.stored("anthropic:default", "api_key") == str(place.canary)


def test_a_setup_token_is_captured(place: Place, setup_token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's terminal shows what the program draws, but not the token."""
    monkeypatch.setenv("VAULT_PASSPHRASE", "fake-passphrase")
    place.program("claude", CLAUDE.replace("TOKEN", str(place.canary)))
    with place.terminal("login", "anthropic", "--method", "setup-token") as talk:
        talk.until("A setup token is for Claude Code. If Anthropic answers")
        talk.until("use an API key.")
        talk.until("Run `claude setup-token` here and take the token it makes (no: paste one)? [y/N]: ")
        talk.type("y")
        talk.until("Paste the code: ")
        talk.type("fake-name")
        shown = talk.end()
    assert "sk-ant-oat..." in DRAWING.sub("", shown)
    assert "Keep it. Thanks, fake-name" in shown
    assert "logged in anthropic:default for agent main (token, fingerprint " in shown
    assert "it expires in 365d" in shown
    assert place.stored("anthropic:default", "token") == setup_token


def test_a_setup_token_is_pasted_where_claude_is_not_run(place: Place, setup_token: str) -> None:
    ran = place.programs / "ran"
    place.program("claude", f"open({str(ran)!r}, 'w')")
    with place.terminal("login", "anthropic:work", "--method", "setup-token") as talk:
        talk.until("[y/N]: ")
        talk.type("n")
        talk.until("Setup token: ")
        talk.child.sendline(setup_token)
        shown = talk.end()
    assert not ran.exists()
    assert "note: its end is taken to be a year from now; if it was made earlier, it ends earlier" in shown
    assert place.stored("anthropic:work", "token") == setup_token


def test_without_claude_the_person_is_told_where_to_make_one(
    place: Place, setup_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(place.programs))
    with place.terminal("login", "anthropic", "--method", "setup-token") as talk:
        talk.until("Run `claude setup-token` where Claude Code is installed, and paste the token it prints.")
        talk.until("Setup token: ")
        talk.child.sendline(setup_token)
        talk.end()
    assert place.stored("anthropic:default", "token") == setup_token


def test_a_setup_token_that_claude_does_not_make(place: Place) -> None:
    """It fails, and what is pasted then is an API key: it is not stored as what it isn't."""
    place.program("claude", "raise SystemExit(3)")
    with place.terminal("login", "anthropic", "--method", "setup-token") as talk:
        talk.until("[y/N]: ")
        talk.type("y")
        talk.until("`claude setup-token` printed no token; paste one that was made elsewhere.")
        for _ in range(3):
            talk.until("Setup token: ")
            talk.child.sendline(f"sk-ant-api-{place.canary}")
        shown = talk.end(65)
    assert shown.count("that is not a setup token: a setup token starts with sk-ant-oat; is it an API key?") == 3
    assert place.events() == []


@pytest.fixture
def wellknown(place: Place) -> Path:
    """A server that publishes a command; the file says that the command ran."""
    ran = place.programs / "ran"
    command = place.program("company-login", f"open({str(ran)!r}, 'w')\nprint('fake-token-{place.canary}')")
    place.authority.settings.wellknown = {"auth": {"command": [str(command), "--for", "you & me"], "env": "MY_TOKEN"}}
    return ran


def test_a_url_runs_its_command_with_consent(place: Place, real: Real, wellknown: Path) -> None:
    with place.terminal("login", place.server.url) as talk:
        talk.until("127.0.0.1 wants to run this command here, as you; what it prints becomes MY_TOKEN:\r\n")
        talk.until(f"  1 {place.programs}/company-login\r\n  2 --for\r\n  3 'you & me'\r\nRun it? [y/N]: ")
        assert not wellknown.exists()
        talk.type("y")
        shown = talk.end()
    provider = provider_of_url(place.server.url)
    assert f"logged in {provider}:default for agent main (wellknown, fingerprint " in shown
    assert wellknown.exists()
    assert place.stored(f"{provider}:default", "wellknown") == f"fake-token-{place.canary}"
    told = real("exec", "--provider", provider, "--", "sh", "-c", 'test "$MY_TOKEN" && echo set').out
    assert told == "set\n"


@pytest.mark.parametrize("answer", ["n", "", "\x03"], ids=["no", "nothing", "interrupt"])
def test_a_url_whose_command_is_declined_runs_and_stores_nothing(place: Place, wellknown: Path, answer: str) -> None:
    with place.terminal("login", place.server.url) as talk:
        talk.until("Run it? [y/N]: ")
        if answer == "\x03":
            talk.press("c")
            talk.end(130)
        else:
            talk.type(answer)
            assert "the command of 127.0.0.1 was not run" in talk.end(82)
    assert not wellknown.exists()
    assert place.events() == []


def test_a_url_that_publishes_nothing(place: Place) -> None:
    with place.terminal("login", place.server.url) as talk:
        assert "127.0.0.1 has no /.well-known/opencode (status 404): check the address" in talk.end(65)
    assert place.events() == []


@pytest.mark.parametrize("device", [False, True], ids=["browser", "device"])
def test_any_server_by_discovery(place: Place, real: Real, device: bool) -> None:
    issuer = ["--issuer", place.server.url, "--client-id", "fake-client"]
    words = [*issuer, "--scope", "models", "--scope", "email", *(["--device"] if device else [])]
    with place.terminal("login", "company", *words) as talk:
        if device:
            talk.until(" and type this code: ABCD-1000")
        else:
            url = talk.url()
            assert "scope=models+email" in url
            assert "client_id=fake-client" in url
            address = browse(url)
            talk.until("ended at: ")
            talk.type(address)
        shown = talk.end()
    assert "logged in company:default" in shown
    place.works("company:default")
    if device:
        assert place.authority.bodies[1]["scope"] == "models email"
    real("refresh", "company:default")
    assert place.authority.count("refresh_token", "ok") == 1
    place.works("company:default")
    assert real("logout", "company:default", "--revoke").err.startswith(
        "the provider's answer to the revocation: revoked"
    )


def test_discovery_without_a_name_is_kept_under_the_server(place: Place) -> None:
    with place.terminal("login", "--issuer", place.server.url, "--client-id", "fake-client", "--device") as talk:
        talk.end()
    place.works(f"{provider_of_url(place.server.url)}:default")


def test_a_server_that_publishes_no_metadata(place: Place) -> None:
    for ending in ("oauth-authorization-server", "openid-configuration"):
        place.authority.fault(ending, Fault("status", status=404))
    with place.terminal("login", "--issuer", place.server.url, "--client-id", "fake-client") as talk:
        assert "127.0.0.1 publishes no OAuth metadata: check the issuer" in talk.end(65)
    assert place.events() == []


def test_a_bearer_token_for_bedrock(place: Place, real: Real) -> None:
    told = real("login", "amazon-bedrock", "--token-stdin", "--json", stdin=f"{place.canary}\n").json
    assert (told["profile"], told["kind"]) == ("amazon-bedrock:default", "token")
    assert place.stored("amazon-bedrock:default", "token") == str(place.canary)


def test_a_bearer_token_for_bedrock_is_typed(place: Place) -> None:
    with place.terminal("login", "amazon-bedrock") as talk:
        talk.until("token for amazon-bedrock:default: ")
        talk.child.sendline(str(place.canary))
        talk.end()
    assert place.stored("amazon-bedrock:default", "token") == str(place.canary)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed by pip into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    example = ROOT / "docs" / "examples" / "provider-plugin"
    subprocess.run([*command, "--target", str(folder), str(example)], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture
def package(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The commands of this test find the example package."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(installed), *os.environ.get("PYTHONPATH", "").split()]))
    return


@pytest.mark.usefixtures("package")
def test_an_installed_package_adds_a_provider(place: Place, real: Real) -> None:
    with place.terminal("login", "acme") as talk:
        talk.until("1 Acme account (browser) (recommended)")
        talk.until("2 Acme account (code)")
        talk.until("Which [1]: ")
        talk.type("2")
        talk.until(" and type this code: ABCD-1000")
        talk.end()
    place.works("acme:default")
    real("refresh", "acme:default")
    place.works("acme:default")
    told = real("logout", "acme", "--revoke", "--json").json
    assert told["revocation"] == "revoked"


@pytest.mark.usefixtures("package")
def test_an_installed_package_runs_a_flow_of_its_own(place: Place, real: Real) -> None:
    invitation = place.authority.seed()
    with place.terminal("login", "acme-lab", "--method", "lab-invitation") as talk:
        talk.until("Invitation: ")
        talk.child.sendline(invitation)
        talk.end()
    place.works("acme-lab:default")
    real("refresh", "acme-lab:default")
    assert place.authority.headers[-1]["X-Acme-Lab"] == "1"
    place.works("acme-lab:default")
    told = real("wizard", "acme-lab", "--json").json
    assert told["ways"][0]["kind"] == "plugin"


def test_without_the_package_its_login_says_what_is_missing(place: Place, real: Real, installed: Path) -> None:
    from_package = {"PYTHONPATH": str(installed)}
    assert real("login", "acme", "--device", status=82, env=from_package).err.endswith("vault login acme --device\n")
    assert "there is no provider 'acme'" in real("login", "acme", "--device", status=66).err
    assert "acme has no sign-in method 'device'" in real("login", "acme", "--device", "--custom", status=66).err


@pytest.mark.parametrize(
    ("setting", "answer"), [(200, "revoked"), (400, "unsupported"), (403, "refused"), (503, "unreachable")]
)
def test_a_revocation_and_its_answer_are_recorded(place: Place, real: Real, setting: int, answer: str) -> None:
    """The profile is logged out whatever the provider says, and the history tells what it said."""
    with place.terminal("login", "openai", "--device") as talk:
        talk.end()
    place.authority.settings.revoke_status = setting
    done = real("logout", "openai", "--revoke")
    assert f"the provider's answer to the revocation: {answer}" in done.err
    assert "undo: vault restore openai:default" in done.err
    assert place.profiles() == {}
    assert answer in real("history", "--json").out
    assert answer in real("history").out
    assert len(place.authority.revoked) == (1 if setting == 200 else 0)


def test_what_can_not_be_revoked_says_so(place: Place, real: Real) -> None:
    with place.terminal("login", "huggingface", "--device") as talk:
        talk.end()
    done = real("logout", "huggingface", "--revoke", "--json").json
    assert done["revocation"] == "unsupported"
    assert place.authority.revoked == []
