"""A server of its own, as migrations of real data have one."""

from __future__ import annotations

from tests.migration.conftest import server

__all__ = ["server"]
