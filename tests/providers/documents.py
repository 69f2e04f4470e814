"""Documents as models.dev serves them, made from the embedded catalogue."""

from __future__ import annotations

import json
from typing import Any

from vault.providers import catalogue


def entry(name: str, /, **facts: Any) -> dict[str, Any]:
    """One provider of a document."""
    plain = {
        "id": name,
        "name": f"Fake {name}",
        "env": [f"{name.upper().replace('-', '_')}_API_KEY"],
        "npm": "@ai-sdk/openai-compatible",
        "api": f"https://api.{name}.example/v1",
        "doc": f"https://{name}.example/docs",
        "models": {"fake-model": {"id": "fake-model"}},
    }
    return {**plain, **facts}


def document() -> dict[str, Any]:
    """What the embedded catalogue would look like as a document."""
    return {
        row["id"]: entry(
            row["id"],
            name=row["name"],
            env=row["env"],
            api=row["api"],
            doc=row["doc"],
            npm=row.get("npm", "@ai-sdk/openai-compatible"),
        )
        for row in catalogue.embedded_rows()
    }


def encoded(found: Any) -> bytes:
    """The document as it travels."""
    return json.dumps(found).encode()
