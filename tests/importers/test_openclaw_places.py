"""OpenClaw's store through links, in folders its configuration names, and where it asks the vault already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.importers.stores import by_profile, orders, skipped, snapshot, write_agent_database, write_json
from vault.errors import InputError, NotFound
from vault.interop import openclaw

KEY = {"type": "api_key", "provider": "lab", "key": "fake-key-lab"}
OURS = {"source": "exec", "command": "/opt/vault", "args": ["helper", "openclaw", "--tool", "openclaw"]}
REF = {"source": "exec", "provider": "vault", "id": "lab/work"}


def store(**profiles: Any) -> dict[str, Any]:
    return {"version": 1, "profiles": {name.replace("_", ":"): entry for name, entry in profiles.items()}}


def agent_folder(state: Path, agent: str = "main") -> Path:
    return state / "agents" / agent / "agent"


def test_links_that_are_relative_are_followed(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "claw"
    write_json(agent_folder(real) / "auth-profiles.json", store(lab_work=KEY))
    write_json(agent_folder(real) / "auth-state.json", {"version": 1, "order": {"lab": ["lab:work"]}})
    (tmp_path / ".openclaw").symlink_to(Path("disk") / "claw")
    before = snapshot(real)
    findings = openclaw.read(None, {}, tmp_path)
    assert list(by_profile(findings)) == ["lab:work"]
    assert orders(findings) == {("main", "lab"): ("lab:work",)}
    assert snapshot(real) == before


def test_a_store_that_is_a_link_to_another_agents_is_taken_once(tmp_path: Path) -> None:
    write_json(agent_folder(tmp_path) / "auth-profiles.json", store(lab_work=KEY))
    agent_folder(tmp_path, "helper").mkdir(parents=True)
    link = agent_folder(tmp_path, "helper") / "auth-profiles.json"
    link.symlink_to(Path("../../main/agent/auth-profiles.json"))
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert list(by_profile(findings)) == ["lab:work"]
    assert by_profile(findings, "helper") == {}
    assert "inherits" in skipped(findings)["lab:work"]


def test_a_database_behind_a_relative_link_is_read_with_its_log(tmp_path: Path) -> None:
    path = write_agent_database(tmp_path / "disk" / "openclaw-agent.sqlite", store(lab_work=KEY))
    agent_folder(tmp_path).mkdir(parents=True)
    (agent_folder(tmp_path) / path.name).symlink_to(Path("../../../disk") / path.name)
    before = snapshot(path.parent)
    assert list(by_profile(openclaw.read(tmp_path, {}, tmp_path))) == ["lab:work"]
    assert snapshot(path.parent) == before


def test_a_link_to_an_agents_folder_is_that_agents(tmp_path: Path) -> None:
    write_json(agent_folder(tmp_path, "helper") / "auth-profiles.json", store(lab_work=KEY))
    (tmp_path / "link").symlink_to(Path("agents/helper/agent"))
    findings = openclaw.read(tmp_path / "link", {}, tmp_path)
    assert [found.agent for found in findings.found] == ["helper"]
    assert [found.agent for found in openclaw.read(tmp_path / "link" / "auth-profiles.json", {}, tmp_path).found] == [
        "helper"
    ]


def test_a_link_that_leads_nowhere_is_no_store(tmp_path: Path) -> None:
    agent_folder(tmp_path).mkdir(parents=True)
    (agent_folder(tmp_path) / "auth-profiles.json").symlink_to(Path("gone.json"))
    with pytest.raises(NotFound):
        openclaw.read(agent_folder(tmp_path) / "auth-profiles.json", {}, tmp_path)


def test_agents_may_be_elsewhere_with_no_folder_for_them(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    write_json(place / "auth-profiles.json", store(lab_work=KEY))
    state = tmp_path / ".openclaw"
    write_json(state / "openclaw.json", {"agents": {"entries": {"main": {"agentDir": str(place)}}}})
    assert list(by_profile(openclaw.read(None, {}, tmp_path))) == ["lab:work"]
    assert list(by_profile(openclaw.read(state, {}, tmp_path))) == ["lab:work"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"agents": []}', '{"agents": {"entries": {"main": 1}}}'])
def test_a_folder_without_agents_and_without_a_store_is_not_found(content: str, tmp_path: Path) -> None:
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".openclaw" / "openclaw.json").write_text(content)
    for source in (None, tmp_path, tmp_path / ".openclaw"):
        with pytest.raises(NotFound):
            openclaw.read(source, {}, tmp_path)


@pytest.mark.parametrize("sources", [{"vault": OURS}, {}], ids=["connected", "disconnected"])
def test_what_asks_the_vault_is_not_taken_into_it(sources: dict[str, Any], tmp_path: Path) -> None:
    config = {"secrets": {"providers": sources}, "models": {"providers": {"groq": {"apiKey": REF}}}}
    write_json(tmp_path / "openclaw.json", config)
    asking = {"type": "api_key", "provider": "lab", "keyRef": REF}
    written = store(lab_work=asking, lab_home=KEY) | {"order": {"lab": ["lab:work", "lab:home"]}}
    write_json(agent_folder(tmp_path) / "auth-profiles.json", written)
    findings = openclaw.read(tmp_path, {}, tmp_path)
    assert list(by_profile(findings)) == ["lab:home"]
    assert skipped(findings)["lab:work"] == "OpenClaw asks the vault for it"
    assert orders(findings) == {("main", "lab"): ("lab:work", "lab:home")}
    why = skipped(findings)["models.providers.groq.apiKey"]
    assert why == ("OpenClaw asks the vault for it" if sources else why)


def test_a_source_of_another_kind_that_is_called_vault_is_another_one(tmp_path: Path) -> None:
    write_json(
        tmp_path / "openclaw.json", {"secrets": {"providers": {"vault": {"source": "exec", "command": "/opt/x"}}}}
    )
    asking = {"type": "api_key", "provider": "lab", "keyRef": REF}
    write_json(agent_folder(tmp_path) / "auth-profiles.json", store(lab_work=asking))
    (found,) = openclaw.read(tmp_path, {}, tmp_path).found
    assert (found.credential.kind, found.ownership) == ("reference", "external")


def test_damage_behind_a_link_names_the_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text('{"profiles": {')
    agent_folder(tmp_path).mkdir(parents=True)
    link = agent_folder(tmp_path) / "auth-profiles.json"
    link.symlink_to(Path("../../../real.json"))
    with pytest.raises(InputError) as caught:
        openclaw.read(tmp_path, {}, tmp_path)
    assert str(link) in caught.value.message
