"""Runs the migrations on the connection that :func:`inventory.database.migrate` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel

from inventory.tables import UtcDateTime, Word


def render(kind: str, item: Any, _autogenerate: object) -> str | Literal[False]:
    """How our own column types are written in a generated migration."""
    if kind == "type" and isinstance(item, Word):
        return f"Word({item.length})"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "UtcDateTime"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_item=render,
    transactional_ddl=True,
)
context.run_migrations()
