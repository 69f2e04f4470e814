"""Every key variable of the seeds goes round: the provider's stored key is in it for a child, whatever was there before."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cli.running import Real, Shell
from tests.providers.test_aliases import SEED_KEYS

pytestmark = pytest.mark.usefixtures("files")

CLOUDS = ("amazon-bedrock", "azure")
KEYS = {variable: provider for variable, (_, provider) in SEED_KEYS.items() if provider not in CLOUDS}
TELL = (sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))")


def test_a_child_has_each_variable_with_the_stored_key(shell: Shell, real: Real) -> None:
    assert len(KEYS) == 16
    for provider in dict.fromkeys(KEYS.values()):
        shell.login(provider, f"fake-key-{provider}")
    told = real("exec", "--", *TELL, env=dict.fromkeys(KEYS, "fake-ambient"))
    child = json.loads(told.out)
    assert {name: child.get(name) for name in KEYS} == {name: f"fake-key-{KEYS[name]}" for name in KEYS}
    assert "fake-ambient" not in child.values()


@pytest.mark.parametrize(("variable", "provider"), KEYS.items())
def test_one_provider_alone(shell: Shell, variable: str, provider: str) -> None:
    shell.login(provider, "fake-key")
    assert shell.json("env", "--provider", provider)["variables"][variable] == "fake-key"
