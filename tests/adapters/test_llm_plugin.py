"""The plugin for llm: an alias that a model sends to another server gets what belongs there, or nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import make_files
from vault.api import open_vault

URL = "http://vllm.corp.example:8000/v1"


def test_an_alias_that_a_model_sends_elsewhere_gets_nothing_of_the_providers(
    tmp_path: Path, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = ModuleType("llm")
    llm.hookimpl = lambda found: found  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llm", llm)
    from vault.adapters.llm_plugin import _from_vault

    files = make_files(tmp_path / "vault")
    for name, value in {**files.environ(), "LLM_USER_PATH": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with open_vault() as vault:
        vault.login("openai", "fake-own")
        theirs = vault.login("openai", "fake-vllm", base_url=URL).profile
    assert _from_vault("openai") == "fake-own"
    assert _from_vault(theirs) is None
    models = f"- {{model_id: a, api_base: '{URL}', api_key_name: openai}}\n"
    models += f"- {{model_id: b, api_base: '{URL}/', api_key_name: '{theirs}'}}\n"
    (tmp_path / "extra-openai-models.yaml").write_text(models)
    assert _from_vault("openai") is None
    assert _from_vault(theirs) == "fake-vllm"
