"""An event-sourced, encrypted credential vault for AI agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vault.version import __version__

if TYPE_CHECKING:
    from vault.adapters.http_auth import auth
    from vault.api import Vault, open_vault
    from vault.errors import VaultError

__all__ = ["Vault", "VaultError", "__version__", "auth", "open_vault"]


def __getattr__(name: str) -> Any:
    if name in ("Vault", "open_vault"):
        from vault import api

        return getattr(api, name)
    if name == "auth":
        from vault.adapters.http_auth import auth

        return auth
    if name == "VaultError":
        from vault.errors import VaultError

        return VaultError
    raise AttributeError(f"module 'vault' has no attribute {name!r}")
