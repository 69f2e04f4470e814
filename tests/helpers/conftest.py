"""Fixtures of the helpers' tests."""

from __future__ import annotations

from tests.helpers.desk import counter, files

__all__ = ["counter", "files"]
