"""No importer takes a reference, an encrypted value or a placeholder for a secret: it follows it, or names it and leaves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.test_pointers import COMPOSED, DEFAULTS, ELSEWHERE, FILES, PLACEHOLDERS, STORES, VARIABLES
from vault.events.credentials import Reference
from vault.interop.findings import Findings
from vault.interop.tools import tool, tools

POINTERS = [
    *VARIABLES,
    *DEFAULTS,
    *COMPOSED,
    *ELSEWHERE,
    *FILES,
    *STORES,
    *PLACEHOLDERS,
    "$(pass show fake)",
    "https://fake/v1",
]
QUOTED: Callable[[str], str] = json.dumps
"""YAML and TOML read a text written like this as JSON does."""

Made = tuple[str, str]


def env_line(value: str) -> str:
    return f"OPENAI_API_KEY='{value}'\n"


def _json(document: Any) -> str:
    return json.dumps(document)


STORES_OF: dict[str, list[Callable[[str], Made]]] = {
    "dotenv": [lambda v: (".env", env_line(v))],
    "gemini": [
        lambda v: (".gemini/.env", env_line(v).replace("OPENAI", "GEMINI")),
        lambda v: (".gemini/oauth_creds.json", _json({"access_token": v})),
    ],
    "qwen": [
        lambda v: (".qwen/.env", env_line(v)),
        lambda v: (".qwen/settings.json", _json({"env": {"OPENAI_API_KEY": v}})),
        lambda v: (".qwen/oauth_creds.json", _json({"access_token": v, "refresh_token": v})),
    ],
    "llm": [lambda v: ("keys.json", _json({"openai": v}))],
    "cline": [
        lambda v: ("providers.json", _json({"providers": {"openai": {"settings": {"apiKey": v}}}})),
        lambda v: ("providers.json", _json({"providers": {"bedrock": {"settings": {"aws": {"accessKey": v}}}}})),
        lambda v: ("secrets.json", _json({"apiKey": v})),
    ],
    "goose": [lambda v: ("secrets.yaml", f"OPENAI_API_KEY: {QUOTED(v)}\n")],
    "gh": [
        lambda v: ("hosts.yml", f"github.com:\n  user: me\n  oauth_token: {QUOTED(v)}\n"),
        lambda v: ("hosts.yml", f"github.com:\n  users:\n    me:\n      oauth_token: {QUOTED(v)}\n"),
    ],
    "huggingface": [lambda v: ("stored_tokens", f"[mine]\nhf_token = {v}\n"), lambda v: ("token", v)],
    "aws": [lambda v: ("credentials", f"[mine]\naws_access_key_id = {v}\naws_secret_access_key = {v}\n")],
    "crush": [lambda v: ("crush.json", _json({"providers": {"openai": {"api_key": v}}}))],
    "bmo": [lambda v: ("bmo.toml", f"[providers.openai]\napi_key = {QUOTED(v)}\n")],
    "litellm": [
        lambda v: (
            "config.yaml",
            f"model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/m\n      api_key: {QUOTED(v)}\n",
        ),
        lambda v: ("access-token", v),
        lambda v: ("auth.json", _json({"access_token": v})),
    ],
    "codex": [
        lambda v: (".codex/auth.json", _json({"OPENAI_API_KEY": v})),
        lambda v: (".codex/auth.json", _json({"tokens": {"access_token": v, "refresh_token": v}})),
    ],
    "claude-code": [
        lambda v: (".claude/settings.json", _json({"env": {"ANTHROPIC_API_KEY": v}})),
        lambda v: (".claude/.credentials.json", _json({"claudeAiOauth": {"accessToken": v}})),
    ],
    "opencode": [
        lambda v: ("auth.json", _json({"openai": {"type": "api", "key": v}})),
        lambda v: (
            "auth.json",
            _json({"https://fake.example": {"type": "wellknown", "key": "FAKE_TOKEN", "token": v}}),
        ),
    ],
    "openclaw": [
        lambda v: (
            "auth-profiles.json",
            _json({"version": 1, "profiles": {"lab:work": {"type": "api_key", "provider": "lab", "key": v}}}),
        )
    ],
    "kimi": [lambda v: ("kimi-code.json", _json({"access_token": v, "refresh_token": v}))],
    "copilot": [lambda v: ("apps.json", _json({"github.com:Iv1.fake": {"user": "me", "oauth_token": v}}))],
    "anthropic-sdk": [],
    "gcloud": [],
}
CASES = [(name, number) for name, makers in STORES_OF.items() for number in range(len(makers))]


def read(folder: Path, name: str, number: int, value: str) -> Findings:
    """What an importer finds in a file that holds a value where a key belongs."""
    place, content = STORES_OF[name][number](value)
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    reader = tool(name).read
    assert reader is not None
    return reader(path, {}, folder)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_reference_is_followed_or_named_and_never_taken_for_a_secret(tmp_path: Path, name: str, number: int) -> None:
    for value in POINTERS:
        findings = read(tmp_path, name, number, value)
        for found in findings.found:
            assert isinstance(found.credential, Reference), (value, found)
            assert found.ownership == "external"
        assert bool(findings.found) != bool(findings.skipped), value
        for skipped in findings.skipped:
            assert value not in skipped.why or len(value) < 10, (value, skipped)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_secret_is_taken_from_the_same_place(tmp_path: Path, name: str, number: int) -> None:
    """So the test above leaves nothing out because it made a file that nobody reads."""
    (found,) = read(tmp_path, name, number, "fake-secret-1").found
    assert not isinstance(found.credential, Reference)


def test_every_importer_is_in_the_table() -> None:
    assert set(STORES_OF) == {one.name for one in tools() if one.read is not None}
