"""Tests with the real tools, installed here: ``pytest -m interop``. VAULT_INTEROP_CACHE names a folder that keeps them."""
