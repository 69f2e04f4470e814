"""The page at which a person gets a provider's key. Embedded data: what is fetched never says where to sign in."""

from __future__ import annotations

import json
import os
from functools import cache

from vault.providers import catalogue

_DATA = os.path.join(os.path.dirname(__file__), "data", "key_pages.json")


def where_to_get(provider: str) -> str:
    """One sentence that names the page, or the provider's documentation where only that is known; empty for one of one's own."""
    page = _pages().get(provider)
    if page:
        return f"get one at {page}"
    documentation = _documentation().get(provider)
    return f"its documentation: {documentation}" if documentation else ""


@cache
def _pages() -> dict[str, str]:
    with open(_DATA, encoding="utf-8") as file:
        pages: dict[str, str] = json.load(file)["pages"]
    return pages


@cache
def _documentation() -> dict[str, str]:
    return {row["id"]: row["doc"] for row in catalogue.embedded_rows(additions=True)}
