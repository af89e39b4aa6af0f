"""Quality of service: classes, budgets of pools, floors, and what a share got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from inventory.tables import Word

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNTED = (
    ("pools", "iops_promised"),
    ("pools", "throughput_promised"),
    ("instances", "iops_floor"),
    ("instances", "throughput_floor"),
    ("tombstones", "iops_floor"),
    ("tombstones", "throughput_floor"),
    ("reservations", "iops"),
    ("reservations", "throughput"),
)
"""Columns that count, and are never below nothing."""
PLAIN = (
    ("pools", "iops_budget"),
    ("pools", "throughput_budget"),
    ("instances", "used_bytes"),
    ("shares", "qos_class"),
    ("shares", "qos_version"),
    ("shares", "qos"),
)


def upgrade() -> None:
    for table, column in COUNTED:
        # In SQL, because SQLite takes a check with a new column, and with nothing else, without copying the table.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN {column} BIGINT DEFAULT 0 NOT NULL "
            f"CONSTRAINT {table}_{column} CHECK ({column} >= 0)"
        )
    op.add_column("pools", sa.Column("iops_budget", sa.BigInteger(), nullable=True))
    op.add_column("pools", sa.Column("throughput_budget", sa.BigInteger(), nullable=True))
    op.add_column("instances", sa.Column("used_bytes", sa.BigInteger(), nullable=True))
    op.add_column("shares", sa.Column("qos_class", Word(63), nullable=False, server_default=""))
    op.add_column("shares", sa.Column("qos_version", Word(64), nullable=False, server_default=""))
    op.add_column("shares", sa.Column("qos", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "qos_classes",
        sa.Column("name", Word(63), nullable=False),
        sa.Column("version", Word(64), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )


def downgrade() -> None:
    op.drop_table("qos_classes")
    for table, column in reversed((*COUNTED, *PLAIN)):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
