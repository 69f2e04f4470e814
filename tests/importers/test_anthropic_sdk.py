"""Profiles of the Anthropic SDKs: who refreshes which, and what the SDK refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.importers.stores import by_profile, printed, skipped, snapshot, write_json
from vault.errors import InputError, NotFound
from vault.events.credentials import OAuth
from vault.interop import anthropic_sdk

EXPIRES = 1_795_400_000
CONFIG = {
    "version": "1.0",
    "organization_id": "org-1",
    "base_url": "https://api.anthropic.com",
    "authentication": {"type": "user_oauth", "client_id": "client-1", "credentials_path": None},
    "newer": {"a": 1},
}
TOKENS = {
    "version": "1.0",
    "type": "oauth_token",
    "access_token": "fake-access-ant-1",
    "expires_at": EXPIRES,
    "refresh_token": "fake-refresh-ant-1",
    "scope": "user:profile user:inference",
}


def profile(folder: Path, name: str, config: Any = CONFIG, tokens: Any = TOKENS) -> None:
    write_json(folder / "configs" / f"{name}.json", config)
    if tokens is not None:
        write_json(folder / "credentials" / f"{name}.json", tokens)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".config" / "anthropic"


def test_every_profile_is_taken_and_the_one_in_use_is_told(folder: Path, tmp_path: Path) -> None:
    profile(folder, "default")
    written = {"authentication": {"type": "user_oauth"}}
    profile(folder, "work", written, {"access_token": "fake-access-ant-2"})
    (folder / "active_config").write_text("work\n")
    before = snapshot(folder)
    findings = anthropic_sdk.read(None, {}, tmp_path)
    assert snapshot(folder) == before
    found = by_profile(findings)
    assert found["anthropic:ant-default"].credential == OAuth(
        access="fake-access-ant-1",
        refresh="fake-refresh-ant-1",
        expires_at=EXPIRES * 1_000_000,
        scopes=["user:profile", "user:inference"],
        account={"organization_id": "org-1"},
        metadata={"base_url": "https://api.anthropic.com", "client_id": "client-1"},
        extra={
            "anthropic_sdk": {
                "profile": "default",
                "config": CONFIG,
                "credentials": {"version": "1.0", "type": "oauth_token"},
            }
        },
    )
    assert {name: (f.ownership, f.label) for name, f in found.items()} == {
        "anthropic:ant-default": ("external", "default"),
        "anthropic:ant-work": ("external", "work (in use)"),
    }
    assert "fake-" not in printed(findings)
    by_name = by_profile(anthropic_sdk.read(None, {"ANTHROPIC_PROFILE": "default"}, tmp_path))
    assert by_name["anthropic:ant-default"].label == "default (in use)"


def test_a_found_path_alone_leads_to_the_same_profile(folder: Path, tmp_path: Path) -> None:
    elsewhere = write_json(tmp_path / "elsewhere.json", TOKENS)
    moved = CONFIG | {"authentication": CONFIG["authentication"] | {"credentials_path": str(elsewhere)}}  # type: ignore[operator]
    profile(folder, "moved", moved, None)
    profile(folder, "work")
    for found in anthropic_sdk.read(None, {}, tmp_path).found:
        assert anthropic_sdk.read(Path(found.path), {}, Path("/elsewhere")).found == [found]


def test_the_folder_can_be_elsewhere(tmp_path: Path) -> None:
    profile(tmp_path / "other", "default")
    assert anthropic_sdk.places({"ANTHROPIC_CONFIG_DIR": str(tmp_path / "other")}, tmp_path) == [
        tmp_path / "other" / "credentials" / "default.json"
    ]
    for source, environ in ((tmp_path / "other", {}), (None, {"ANTHROPIC_CONFIG_DIR": str(tmp_path / "other")})):
        assert "anthropic:ant-default" in by_profile(anthropic_sdk.read(source, environ, tmp_path))
    with pytest.raises(NotFound, match="has no profile"):
        anthropic_sdk.read(None, {}, tmp_path)
    with pytest.raises(InputError, match="is not a profile's file"):
        anthropic_sdk.read(write_json(tmp_path / "x.json", {}), {}, tmp_path)


def test_what_the_sdk_refuses_is_skipped_with_why(folder: Path, tmp_path: Path) -> None:
    profile(folder, "readable")
    (folder / "credentials" / "readable.json").chmod(0o640)
    profile(folder, "linked", tokens=None)
    (folder / "credentials").mkdir(exist_ok=True)
    (folder / "credentials" / "linked.json").symlink_to(write_json(tmp_path / "real.json", TOKENS))
    profile(folder, "writable")
    (folder / "configs" / "writable.json").chmod(0o664)
    profile(folder, "federated", {"authentication": {"type": "oidc_federation"}})
    profile(folder, "newer", {"authentication": {"type": "passkey"}})
    profile(folder, "bare", {"version": "2.0"})
    profile(folder, "text", tokens=TOKENS | {"expires_at": "2026-01-01T00:00:00Z"})
    profile(folder, "gone", tokens=None)
    profile(folder, ".hidden")
    profile(folder, "ours", {"authentication": {"type": "user_oauth"}, "written_by": "agent-vault"})
    write_json(folder / "credentials" / "orphan.json", TOKENS)
    (folder / "configs" / "broken.json").write_text('{"access_token": "fake-secret-half')
    findings = anthropic_sdk.read(None, {}, tmp_path)
    assert findings.found == []
    expected = {
        "readable": "others may read",
        "linked": "a symbolic link",
        "writable": "others may write",
        "federated": "identity token",
        "newer": "an unknown type",
        "bare": "no authentication object",
        "text": "not a number of seconds",
        "gone": "there is no",
        ".hidden": "no profile of that name",
        "ours": "the vault wrote it",
        "orphan": "does not use it",
        "broken": "is not valid JSON",
    }
    why = skipped(findings)
    assert set(why) == set(expected)
    for name, part in expected.items():
        assert part in why[name]
    assert "fake-" not in printed(findings)


def test_a_profile_that_is_named_and_refused_is_an_error(folder: Path, tmp_path: Path) -> None:
    profile(folder, "work")
    (folder / "credentials" / "work.json").chmod(0o644)
    with pytest.raises(InputError, match="others may read") as caught:
        anthropic_sdk.read(folder / "credentials" / "work.json", {}, tmp_path)
    assert caught.value.hint.startswith("chmod 600 ")
