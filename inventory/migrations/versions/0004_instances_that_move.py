"""Instances have a role and can be claimed, and pools can be drained."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from inventory.tables import Word

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("pools", "pool_history"):
        op.add_column(table, sa.Column("drained", sa.Boolean(), nullable=False, server_default=sa.false()))
    # In SQL, because SQLite takes a check with a new column, and with nothing else, without copying the table.
    bytewise = "" if op.get_bind().dialect.name == "sqlite" else 'COLLATE "C"'
    op.execute(
        f"ALTER TABLE instances ADD COLUMN role VARCHAR(12) {bytewise} DEFAULT 'active' NOT NULL "
        "CONSTRAINT instances_role CHECK (role IN ('active', 'destination', 'retired'))"
    )
    op.execute(
        "ALTER TABLE instances ADD COLUMN epoch INTEGER DEFAULT 0 NOT NULL "
        "CONSTRAINT instances_epoch CHECK (epoch >= 0)"
    )
    op.add_column("instances", sa.Column("claimed_by", Word(255), nullable=True))
    op.create_index("ix_instances_claimed_by", "instances", ["claimed_by"])
    moving = sa.text("role <> 'retired'")
    op.create_index(
        "one_instance_per_role",
        "instances",
        ["share_id", "role"],
        unique=True,
        sqlite_where=moving,
        postgresql_where=moving,
    )
    _claim_kinds("resource_kind IN ('share', 'snapshot', 'instance')")


def downgrade() -> None:
    op.execute("DELETE FROM claims WHERE resource_kind = 'instance'")
    _claim_kinds("resource_kind IN ('share', 'snapshot')")
    op.drop_index("one_instance_per_role", table_name="instances")
    op.drop_index("ix_instances_claimed_by", table_name="instances")
    for column in ("claimed_by", "epoch", "role"):
        op.execute(f"ALTER TABLE instances DROP COLUMN {column}")
    for table in ("pools", "pool_history"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN drained")


def _claim_kinds(allowed: str) -> None:
    """Change what can be claimed. SQLite cannot change a check: the table, which is small, is made anew."""
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("claims_kind", "claims", type_="check")
        op.create_check_constraint("claims_kind", "claims", allowed)
        return
    op.drop_index("ix_claims_line", table_name="claims")
    op.rename_table("claims", "claims_before")
    op.create_table(
        "claims",
        sa.Column("operation", Word(255), nullable=False),
        sa.Column("resource_id", Word(36), nullable=False),
        sa.Column("resource_kind", Word(10), nullable=False),
        sa.Column("mode", Word(10), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.CheckConstraint("mode IN ('exclusive', 'shared')", name="claims_mode"),
        sa.CheckConstraint(allowed, name="claims_kind"),
        sa.CheckConstraint("epoch >= 0", name="claims_epoch"),
        sa.PrimaryKeyConstraint("operation", "resource_id"),
    )
    columns = "operation, resource_id, resource_kind, mode, ticket, granted, epoch"
    op.execute(f"INSERT INTO claims ({columns}) SELECT {columns} FROM claims_before")  # noqa: S608
    op.drop_table("claims_before")
    op.create_index("ix_claims_line", "claims", ["resource_id", "ticket"])
