"""Pools with their terms and revisions, pools as decisions saw them, and the sets of specs that were applied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from inventory.tables import UtcDateTime, Word

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NEW = ("revision", "reachable", "driver", "terms")


def upgrade() -> None:
    op.add_column("pools", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("pools", sa.Column("reachable", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("pools", sa.Column("driver", Word(128), nullable=False, server_default=""))
    op.add_column("pools", sa.Column("terms", sa.JSON(none_as_null=True), nullable=True))
    op.create_index("ix_pools_revision", "pools", ["revision"])
    clock = op.create_table(
        "pool_clock",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("decided", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(clock, [{"id": 1, "revision": 0, "decided": -1}])
    op.create_table(
        "pool_history",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("backend", Word(63), nullable=False),
        sa.Column("name", Word(63), nullable=False),
        sa.Column("zone", Word(63), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("free_bytes", sa.BigInteger(), nullable=True),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("iops_budget", sa.BigInteger(), nullable=True),
        sa.Column("throughput_budget", sa.BigInteger(), nullable=True),
        sa.Column("iops_promised", sa.BigInteger(), nullable=False),
        sa.Column("throughput_promised", sa.BigInteger(), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("driver", Word(128), nullable=False),
        sa.Column("terms", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", "revision"),
    )
    op.create_index("ix_pool_history_until", "pool_history", ["until"])
    op.create_table(
        "spec_revisions",
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", Word(64), nullable=False),
        sa.Column("documents", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("managed", sa.Boolean(), nullable=False),
        sa.Column("operation", Word(255), nullable=False),
        sa.Column("applied_by", Word(255), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )


def downgrade() -> None:
    op.drop_table("spec_revisions")
    op.drop_index("ix_pool_history_until", table_name="pool_history")
    op.drop_table("pool_history")
    op.drop_table("pool_clock")
    op.drop_index("ix_pools_revision", table_name="pools")
    for column in reversed(NEW):
        op.execute(f"ALTER TABLE pools DROP COLUMN {column}")
