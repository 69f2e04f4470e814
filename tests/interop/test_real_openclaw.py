"""OpenClaw itself, of today and of the time when its store was JSON, fed from the vault; a recorder tells what it sent."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.importers.stores import by_profile
from tests.interop.conftest import Maker, paste
from tests.interop.openclaw_tool import Claw
from tests.interop.recorder import Recorder
from vault.commands.login import log_in
from vault.events.credentials import Token
from vault.interop import openclaw as importer
from vault.values import DAY, MAIN_AGENT, ProfileId, SystemClock

pytestmark = pytest.mark.interop

WORK, HOME = "fake-key-lab-work", "fake-key-lab-home"


@pytest.fixture
def claw(openclaw: Maker, recorder: Recorder) -> Claw:
    """An OpenClaw of today; the vault has two keys for its provider."""
    made = Claw(openclaw, "claw", recorder)
    made.vault.login("lab:work", WORK)
    made.vault.login("lab:home", HOME)
    return made


@pytest.fixture
def old_claw(openclaw_json_era: Maker, recorder: Recorder) -> Claw:
    """An OpenClaw that keeps JSON files; the vault has two keys for its provider."""
    made = Claw(openclaw_json_era, "old-claw", recorder)
    made.vault.login("lab:work", WORK)
    made.vault.login("lab:home", HOME)
    return made


def test_a_provider_is_what_the_vault_chooses_at_each_question(claw: Claw) -> None:
    before = claw.config.read_bytes()
    claw.vault("order", "set", "--provider", "lab", "lab:home", "lab:work")
    claw.vault("connect", "openclaw", "--provider", "lab", "--yes")
    assert "fake-key" not in claw.config.read_text()
    assert claw.ask() == HOME
    claw.vault("order", "set", "--provider", "lab", "lab:work", "lab:home")
    assert claw.ask() == WORK
    assert claw.status("models", "status", "--check") == 0
    assert claw.status("secrets", "audit", "--check", "--allow-exec") == 0
    assert claw.audit()["status"] == "clean"
    issued = claw.vault.issued()
    assert {program for _, program in issued} == {"openclaw"}
    assert {profile for profile, _ in issued} == {"lab:home", "lab:work"}
    assert "already" in claw.vault("connect", "openclaw", "--provider", "lab", "--yes").err
    claw.vault("disconnect", "openclaw")
    assert claw.config.read_bytes() == before
    assert claw.ask() not in (WORK, HOME)


def test_two_profiles_are_resolved_and_the_vaults_order_is_openclaws_after_an_export(claw: Claw) -> None:
    claw.vault.login("lab:me@example.com", "fake-key-lab-me")
    claw.vault("connect", "openclaw", "-p", "lab:work", "-p", "lab:home", "--yes")
    assert {name: one["type"] for name, one in claw.profiles().items()} == {
        "lab:work": "api_key",
        "lab:home": "api_key",
    }
    assert claw.order() == ["lab:work", "lab:home"]
    assert claw.ask() == WORK
    claw.tool("models", "auth", "order", "set", "--provider", "lab", "--agent", "main", "lab:home", "lab:work")
    assert claw.ask() == HOME
    assert claw.audit()["status"] == "clean"
    claw.vault("connect", "openclaw", "-p", "lab:me@example.com", "--yes")
    assert claw.ask() == "fake-key-lab-me", "an e-mail address is a name too"
    claw.vault.login("lab:plain", "fake-key-lab-plain")
    claw.vault("order", "set", "--provider", "lab", "lab:work", "lab:plain", "lab:home")
    told = claw.vault("export", "openclaw", "--provider", "lab")
    assert "lab:home is left out: OpenClaw has a reference" in told.err
    assert claw.order() == ["lab:work", "lab:plain", "lab:home"]
    assert claw.ask() == WORK
    claw.vault("disconnect", "openclaw")
    assert list(claw.profiles()) == ["lab:plain"]
    assert claw.ask() == "fake-key-lab-plain"


def test_exported_keys_are_sent_in_the_vaults_order(claw: Claw) -> None:
    ends = SystemClock().now() + 30 * DAY
    with claw.vault.files.open(SystemClock()) as context:
        log_in(context, MAIN_AGENT, ProfileId("lab:token"), Token(token="fake-token-lab", expires_at=ends))
    claw.vault("order", "set", "--provider", "lab", "lab:home", "lab:token", "lab:work")
    claw.vault("export", "openclaw")
    there = claw.profiles()
    assert {name: one["type"] for name, one in there.items()} == {
        "lab:work": "api_key",
        "lab:home": "api_key",
        "lab:token": "token",
    }
    expires = datetime.fromisoformat(there["lab:token"]["expiresAt"]).timestamp() * 1_000_000
    assert abs(expires - ends) < 600 * 1_000_000, "counted from when OpenClaw was told"
    assert claw.order() == ["lab:home", "lab:token", "lab:work"]
    assert claw.ask() == HOME
    assert claw.status("models", "status", "--check") == 0
    claw.vault("order", "set", "--provider", "lab", "lab:token", "lab:work")
    claw.vault("export", "openclaw")
    assert claw.order() == ["lab:token", "lab:work"]
    assert claw.ask() == "fake-token-lab"
    found = by_profile(importer.read(claw.state, {}, claw.tool.home))
    assert found["lab:work"].credential.secret() == WORK


def test_plain_text_becomes_references(claw: Claw) -> None:
    paste(claw.tool, "paste-api-key", "lab:first", "fake-key-lab-first")
    paste(claw.tool, "paste-token", "lab:second", "fake-token-lab-second")
    claw.tool("models", "auth", "order", "set", "--provider", "lab", "lab:second", "lab:first")
    assert claw.audit()["summary"]["plaintextCount"] == 2
    claw.vault("import", "openclaw", "--scrub", "--yes")
    assert claw.audit()["status"] == "clean"
    assert {name: one["type"] for name, one in claw.profiles().items()} == {
        "lab:first": "api_key",
        "lab:second": "token",
    }
    assert claw.order() == ["lab:second", "lab:first"]
    assert claw.ask() == "fake-token-lab-second"
    again = json.loads(claw.vault("import", "openclaw", "--json").out)
    assert again["taken"] == 0


def test_a_gateway_asks_when_it_starts_and_when_it_is_told_to(claw: Claw) -> None:
    claw.vault("order", "set", "--provider", "lab", "lab:work", "lab:home")
    claw.vault("connect", "openclaw", "-p", "lab", "--yes")
    with claw.gateway():
        assert claw.turn() == WORK
        claw.vault("order", "set", "--provider", "lab", "lab:home", "lab:work")
        assert claw.turn() == WORK
        assert json.loads(claw.tool("secrets", "reload", "--json")) == {"ok": True, "warningCount": 0}
        assert claw.turn() == HOME


def test_a_vault_that_is_locked_sends_nothing(claw: Claw) -> None:
    claw.vault("connect", "openclaw", "-p", "lab", "--yes")
    assert claw.ask() in (WORK, HOME)
    claw.vault.lose_the_key()
    assert "fake-key" not in claw.fails()


def test_what_the_vault_does_not_have_is_not_connected(claw: Claw) -> None:
    before = claw.config.read_bytes()
    told = claw.vault("connect", "openclaw", "-p", "lab", "-p", "xai", "--yes", status=74)
    assert "xai" in told.err
    assert claw.config.read_bytes() == before
    told = claw.vault("connect", "openclaw", "-p", "lab:nobody", "--yes", status=74)
    assert "lab/nobody" in told.err
    assert claw.config.read_bytes() == before
    assert claw.profiles() == {}
    claw.config.write_text("// mine\n" + claw.config.read_text())
    told = claw.vault("connect", "openclaw", "-p", "lab", "--yes", status=65)
    assert "put in by hand: secrets.providers.vault" in told.err
    assert claw.config.read_text().startswith("// mine\n")


def test_an_openclaw_with_json_files_asks_and_is_written_too(old_claw: Claw) -> None:
    folder = old_claw.state / "agents" / "main" / "agent"
    old_claw.vault("connect", "openclaw", "-p", "lab", "--yes")
    old_claw.vault("order", "set", "--provider", "lab", "lab:work", "lab:home")
    assert old_claw.ask() == WORK
    assert old_claw.status("models", "status", "--check") == 0
    old_claw.vault("disconnect", "openclaw")
    paste(old_claw.tool, "paste-token", "lab:old", "fake-token-lab-old")
    assert old_claw.ask() == "fake-token-lab-old"
    told = old_claw.vault("connect", "openclaw", "-p", "lab", "--yes", status=66)
    assert "lab:old before it asks" in told.err
    old_claw.vault("connect", "openclaw", "-p", "lab:home", "-p", "lab:work", "--yes")
    assert old_claw.order() == ["lab:home", "lab:work", "lab:old"]
    assert old_claw.ask() == HOME
    assert "fake-key" not in (folder / "auth-profiles.json").read_text()
    old_claw.vault("disconnect", "openclaw")
    assert list(old_claw.profiles()) == ["lab:old"]
    old_claw.vault("order", "set", "--provider", "lab", "lab:work", "lab:home")
    old_claw.vault("export", "openclaw")
    assert set(old_claw.profiles()) == {"lab:old", "lab:work", "lab:home"}
    assert old_claw.order() == ["lab:work", "lab:home"]
    assert old_claw.ask() == WORK
    assert {path.stat().st_mode & 0o777 for path in folder.glob("auth-*.json")} == {0o600}
    old_claw.vault("import", "openclaw", "--scrub", "--yes")
    assert not {"fake-token-lab-old", WORK, HOME} & set((folder / "auth-profiles.json").read_text().split('"'))
    assert old_claw.ask() == WORK
