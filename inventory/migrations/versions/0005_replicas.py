"""Shares have replicas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from inventory.tables import UtcDateTime, Word

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BEFORE = "role IN ('active', 'destination', 'retired')"
_AFTER = "role IN ('active', 'destination', 'retired', 'replica')"
_ONE_OF_BEFORE = "role <> 'retired'"
_ONE_OF_AFTER = "role NOT IN ('retired', 'replica')"
_INDEXES = ("share_id", "pool_id", "claimed_by")


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("share_id", Word(36), nullable=False),
        sa.Column("sync_operation", Word(255), nullable=False),
        sa.Column("kind", Word(10), nullable=False),
        sa.Column("mode", Word(10), nullable=False),
        sa.Column("state", Word(12), nullable=False),
        sa.Column("interval", sa.BigInteger(), nullable=False),
        sa.Column("loss", sa.BigInteger(), nullable=False),
        sa.Column("stale", Word(10), nullable=False),
        sa.Column("memory", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("synced_at", UtcDateTime, nullable=True),
        sa.Column("tried_at", UtcDateTime, nullable=True),
        sa.Column("moved_bytes", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('readable', 'dr')", name="replicas_kind"),
        sa.CheckConstraint("mode IN ('driver', 'host')", name="replicas_mode"),
        sa.CheckConstraint("moved_bytes >= 0", name="replicas_moved_bytes"),
        sa.CheckConstraint("stale IN ('', 'unfenced', 'kept')", name="replicas_stale"),
        sa.CheckConstraint("state IN ('seeding', 'in_sync', 'out_of_sync', 'error')", name="replicas_state"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_replicas_share_id", "replicas", ["share_id"])
    op.create_index("ix_replicas_sync_operation", "replicas", ["sync_operation"])
    _roles(_AFTER, _ONE_OF_AFTER)


def downgrade() -> None:
    op.execute("DELETE FROM instances WHERE role = 'replica'")
    _roles(_BEFORE, _ONE_OF_BEFORE)
    op.drop_table("replicas")


def _roles(allowed: str, unique: str) -> None:
    """Change the roles that there are. SQLite cannot change a check: the table is made anew."""
    op.drop_index("one_instance_per_role", table_name="instances")
    if op.get_bind().dialect.name == "sqlite":
        _make_instances_anew(allowed)
    else:
        op.drop_constraint("instances_role", "instances", type_="check")
        op.create_check_constraint("instances_role", "instances", allowed)
    one = sa.text(unique)
    op.create_index(
        "one_instance_per_role", "instances", ["share_id", "role"], unique=True, sqlite_where=one, postgresql_where=one
    )


def _make_instances_anew(allowed: str) -> None:
    for column in _INDEXES:
        op.drop_index(f"ix_instances_{column}", table_name="instances")
    op.rename_table("instances", "instances_before")
    op.create_table(
        "instances",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("share_id", Word(36), nullable=False),
        sa.Column("pool_id", Word(36), nullable=False),
        sa.Column("object", Word(63), nullable=False),
        sa.Column("status", Word(20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("claimed_by", Word(255), nullable=True),
        sa.CheckConstraint("allocated_bytes >= 0", name="instances_allocated"),
        sa.CheckConstraint("size > 0", name="instances_size"),
        sa.PrimaryKeyConstraint("id"),
    )
    # With their checks, so that an older revision can drop them again.
    for column, type_, check in (
        ("iops_floor", "BIGINT DEFAULT 0", "iops_floor >= 0"),
        ("throughput_floor", "BIGINT DEFAULT 0", "throughput_floor >= 0"),
        ("role", "VARCHAR(12) DEFAULT 'active'", allowed),
        ("epoch", "INTEGER DEFAULT 0", "epoch >= 0"),
    ):
        op.execute(
            f"ALTER TABLE instances ADD COLUMN {column} {type_} NOT NULL CONSTRAINT instances_{column} CHECK ({check})"
        )
    columns = (
        "id, share_id, pool_id, object, status, size, allocated_bytes, created_at, iops_floor, throughput_floor, "
        "used_bytes, role, claimed_by, epoch"
    )
    op.execute(f"INSERT INTO instances ({columns}) SELECT {columns} FROM instances_before")  # noqa: S608
    op.drop_table("instances_before")
    for column in _INDEXES:
        op.create_index(f"ix_instances_{column}", "instances", [column])
