"""What an address says: its host, and whose it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from vault.errors import InputError
from vault.providers import base_urls
from vault.values import ProviderId


def host_of(url: str) -> str:
    """The host of an address, or nothing."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def provider_at(url: str) -> ProviderId | None:
    """The provider whose address this is (``base_urls.owner_of``); None for nobody's, this machine's, and what is none."""
    try:
        return base_urls.owner_of(url)
    except InputError:
        return None
