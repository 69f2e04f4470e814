"""No cloud variable of the person who runs the tests, and no way out to a real metadata server."""

from __future__ import annotations

import os

import pytest

PREFIXES = (
    "AWS_",
    "GOOGLE_",
    "CLOUDSDK_",
    "GCE_",
    "AZURE_",
    "IDENTITY_",
    "MSI_",
    "VERTEX",
    "HTTP_PROXY",
    "HTTPS_PROXY",
)


@pytest.fixture(autouse=True)
def no_cloud(isolated: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.upper().startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "*")
