"""Runs the migrations on the connection that :func:`inventory.database.migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import inventory.tables  # noqa: F401  (registers the tables)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=False,
    user_module_prefix="",
    transactional_ddl=True,
)
context.run_migrations()
