"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from inventory.tables import UtcDateTime, Word

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "backends",
    "pools",
    "share_types",
    "quotas",
    "shares",
    "instances",
    "snapshots",
    "snapshot_instances",
    "export_locations",
    "access_rules",
    "operations",
    "claims",
    "tickets",
    "reservations",
    "audit",
    "tombstones",
    "findings",
    "deployment",
)


def upgrade() -> None:
    _catalogue()
    _resources()
    _operations()
    _records()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _catalogue() -> None:
    """What the specs declare."""
    op.create_table(
        "backends",
        sa.Column("name", Word(63), nullable=False),
        sa.Column("driver", Word(63), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "pools",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("backend", Word(63), nullable=False),
        sa.Column("name", Word(63), nullable=False),
        sa.Column("zone", Word(63), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("free_bytes", sa.BigInteger(), nullable=True),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=False),
        sa.CheckConstraint("allocated_bytes >= 0", name="pools_allocated"),
        sa.CheckConstraint("limit_bytes IS NULL OR limit_bytes >= 0", name="pools_limit"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("backend", "name", name="one_pool_name"),
    )
    op.create_table(
        "share_types",
        sa.Column("name", Word(63), nullable=False),
        sa.Column("version", Word(64), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "quotas",
        sa.Column("project", Word(63), nullable=False),
        sa.Column("own_limits", sa.Boolean(), nullable=False),
        sa.Column("shares_limit", sa.BigInteger(), nullable=True),
        sa.Column("bytes_limit", sa.BigInteger(), nullable=True),
        sa.Column("snapshots_limit", sa.BigInteger(), nullable=True),
        sa.Column("shares_used", sa.BigInteger(), nullable=False),
        sa.Column("bytes_used", sa.BigInteger(), nullable=False),
        sa.Column("snapshots_used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("bytes_used >= 0", name="quotas_bytes_used"),
        sa.CheckConstraint("shares_limit >= 0 AND bytes_limit >= 0 AND snapshots_limit >= 0", name="quotas_limits"),
        sa.CheckConstraint("shares_used >= 0", name="quotas_shares_used"),
        sa.CheckConstraint("snapshots_used >= 0", name="quotas_snapshots_used"),
        sa.PrimaryKeyConstraint("project"),
    )


def _resources() -> None:
    """What users own, and the objects on the backends that it is made of."""
    op.create_table(
        "shares",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("project", Word(63), nullable=False),
        sa.Column("name", Word(63), nullable=False),
        sa.Column("live_name", Word(63), nullable=True),
        sa.Column("status", Word(20), nullable=False),
        sa.Column(
            "in_view",
            sa.Boolean(),
            sa.Computed("status NOT IN ('deleting', 'recycle-bin', 'purging')", persisted=True),
            nullable=False,
        ),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("type", Word(63), nullable=False),
        sa.Column("type_version", Word(64), nullable=False),
        sa.Column("protocol", Word(20), nullable=False),
        sa.Column("description", Word(255), nullable=False),
        sa.Column("source_snapshot_id", Word(36), nullable=False),
        sa.Column("claimed_by", Word(255), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("audit_digest", Word(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("purge_at", UtcDateTime, nullable=True),
        sa.CheckConstraint("epoch >= 0 AND revision >= 0", name="shares_epoch"),
        sa.CheckConstraint("live_name IS NULL OR live_name = name", name="shares_live_name"),
        sa.CheckConstraint("size > 0", name="shares_size"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "live_name", name="one_live_name"),
    )
    op.create_index("ix_shares_claimed_by", "shares", ["claimed_by"])
    op.create_index("ix_shares_project_created", "shares", ["project", "in_view", "created_at", "id"])
    op.create_index("ix_shares_project_name", "shares", ["project", "in_view", "name", "id"])
    op.create_index("ix_shares_project_size", "shares", ["project", "in_view", "size", "id"])
    op.create_index("ix_shares_project_status", "shares", ["project", "in_view", "status", "name", "id"])
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
        sa.CheckConstraint("allocated_bytes >= 0", name="instances_allocated"),
        sa.CheckConstraint("size > 0", name="instances_size"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_instances_pool_id", "instances", ["pool_id"])
    op.create_index("ix_instances_share_id", "instances", ["share_id"])
    op.create_table(
        "snapshots",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("project", Word(63), nullable=False),
        sa.Column("share_id", Word(36), nullable=False),
        sa.Column("name", Word(63), nullable=False),
        sa.Column("status", Word(20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("description", Word(255), nullable=False),
        sa.Column("claimed_by", Word(255), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("audit_digest", Word(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("epoch >= 0 AND revision >= 0", name="snapshots_epoch"),
        sa.CheckConstraint("size > 0", name="snapshots_size"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("share_id", "name", name="one_snapshot_name"),
    )
    op.create_index("ix_snapshots_claimed_by", "snapshots", ["claimed_by"])
    op.create_index("ix_snapshots_project_created", "snapshots", ["project", "created_at", "id"])
    op.create_index("ix_snapshots_project_name", "snapshots", ["project", "name", "id"])
    op.create_index("ix_snapshots_project_size", "snapshots", ["project", "size", "id"])
    op.create_index("ix_snapshots_share_id", "snapshots", ["share_id"])
    op.create_table(
        "snapshot_instances",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("snapshot_id", Word(36), nullable=False),
        sa.Column("instance_id", Word(36), nullable=False),
        sa.Column("pool_id", Word(36), nullable=False),
        sa.Column("object", Word(63), nullable=False),
        sa.Column("status", Word(20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("allocated_bytes >= 0", name="snapshot_instances_allocated"),
        sa.CheckConstraint("size > 0", name="snapshot_instances_size"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_snapshot_instances_instance_id", "snapshot_instances", ["instance_id"])
    op.create_index("ix_snapshot_instances_pool_id", "snapshot_instances", ["pool_id"])
    op.create_index("ix_snapshot_instances_snapshot_id", "snapshot_instances", ["snapshot_id"])
    op.create_table(
        "export_locations",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("instance_id", Word(36), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("protocol", Word(20), nullable=False),
        sa.Column("preferred", sa.Boolean(), nullable=False),
        sa.Column("readonly", sa.Boolean(), nullable=False),
        sa.Column("admin_only", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_export_locations_instance_id", "export_locations", ["instance_id"])
    op.create_table(
        "access_rules",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("share_id", Word(36), nullable=False),
        sa.Column("kind", Word(10), nullable=False),
        sa.Column("subject", Word(255), nullable=False),
        sa.Column("level", Word(2), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("kind IN ('ip', 'user', 'cephx')", name="access_rules_kind"),
        sa.CheckConstraint("level IN ('rw', 'ro')", name="access_rules_level"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("share_id", "kind", "subject", name="one_rule_per_subject"),
    )
    op.create_index("ix_access_rules_share_id", "access_rules", ["share_id"])


def _operations() -> None:
    """Requests, their places in line and what they have set aside."""
    op.create_table(
        "operations",
        sa.Column("id", Word(255), nullable=False),
        sa.Column("project", Word(63), nullable=False),
        sa.Column("kind", Word(63), nullable=False),
        sa.Column("state", Word(20), nullable=False),
        sa.Column("share_id", Word(36), nullable=False),
        sa.Column("request", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("request_digest", Word(64), nullable=False),
        sa.Column("begun", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("placement", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("waiting_for", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("recovery", Word(10), nullable=False),
        sa.Column("no_return", sa.Boolean(), nullable=False),
        sa.Column("left_over", sa.Text(), nullable=False),
        sa.Column("requested_by", Word(255), nullable=False),
        sa.Column("reason", Word(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'succeeded', 'failed-clean', 'needs-operator')", name="operations_state"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_operations_open", "operations", ["state", "created_at"])
    op.create_index("ix_operations_project_created", "operations", ["project", "created_at", "id"])
    op.create_index("ix_operations_project_kind", "operations", ["project", "kind", "created_at", "id"])
    op.create_index("ix_operations_project_state", "operations", ["project", "state", "created_at", "id"])
    op.create_index("ix_operations_share_id", "operations", ["share_id"])
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
        sa.CheckConstraint("resource_kind IN ('share', 'snapshot')", name="claims_kind"),
        sa.CheckConstraint("epoch >= 0", name="claims_epoch"),
        sa.PrimaryKeyConstraint("operation", "resource_id"),
    )
    op.create_index("ix_claims_line", "claims", ["resource_id", "ticket"])
    op.create_table(
        "tickets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("operation", Word(255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("operation", name="one_ticket"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reservations",
        sa.Column("operation", Word(255), nullable=False),
        sa.Column("scope", Word(10), nullable=False),
        sa.Column("target", Word(63), nullable=False),
        sa.Column("state", Word(10), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("snapshots", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("scope IN ('pool', 'quota')", name="reservations_scope"),
        sa.CheckConstraint("state IN ('pending', 'committed', 'void')", name="reservations_state"),
        sa.CheckConstraint("bytes >= 0 AND shares >= 0 AND snapshots >= 0", name="reservations_amounts"),
        sa.PrimaryKeyConstraint("operation", "scope", "target"),
    )
    op.create_index("ix_reservations_target", "reservations", ["scope", "target", "state"])


def _records() -> None:
    """What happened, what was left and what was found."""
    op.create_table(
        "audit",
        sa.Column("resource_id", Word(36), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("resource_kind", Word(10), nullable=False),
        sa.Column("project", Word(63), nullable=False),
        sa.Column("operation", Word(255), nullable=False),
        sa.Column("requested_by", Word(255), nullable=False),
        sa.Column("before", Word(63), nullable=False),
        sa.Column("after", Word(63), nullable=False),
        sa.Column("why", Word(255), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("digest", Word(64), nullable=False),
        sa.CheckConstraint("revision > 0", name="audit_revision"),
        sa.PrimaryKeyConstraint("resource_id", "revision"),
    )
    op.create_index("ix_audit_operation", "audit", ["operation"])
    op.create_index("ix_audit_project_at", "audit", ["project", "at", "digest"])
    op.create_table(
        "tombstones",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("project", Word(63), nullable=False),
        sa.Column("share_id", Word(36), nullable=False),
        sa.Column("kind", Word(10), nullable=False),
        sa.Column("pool_id", Word(36), nullable=False),
        sa.Column("object", Word(63), nullable=False),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("operation", Word(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("gone_at", UtcDateTime, nullable=True),
        sa.CheckConstraint("allocated_bytes >= 0", name="tombstones_allocated"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_tombstones_object", "tombstones", ["object"])
    op.create_index("ix_tombstones_pool_id", "tombstones", ["pool_id"])
    op.create_index("ix_tombstones_share_id", "tombstones", ["share_id"])
    op.create_table(
        "findings",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("kind", Word(40), nullable=False),
        sa.Column("backend", Word(63), nullable=False),
        sa.Column("pool", Word(63), nullable=False),
        sa.Column("subject", Word(255), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("first_seen", UtcDateTime, nullable=False),
        sa.Column("last_seen", UtcDateTime, nullable=False),
        sa.Column("repaired", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "subject", name="one_finding"),
    )
    op.create_index("ix_findings_backend", "findings", ["backend"])
    op.create_table(
        "deployment",
        sa.Column("id", Word(36), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
