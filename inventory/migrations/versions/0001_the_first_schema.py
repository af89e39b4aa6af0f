"""the first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from inventory.tables import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "access_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("share_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("level", sa.String(length=2), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('ip', 'user', 'cephx')"),
        sa.CheckConstraint("level IN ('rw', 'ro')"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("share_id", "kind", "subject"),
    )
    op.create_index(op.f("ix_access_rules_share_id"), "access_rules", ["share_id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("resource_kind", sa.String(length=10), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("operation", sa.String(length=255), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("before", sa.String(length=63), nullable=False),
        sa.Column("after", sa.String(length=63), nullable=False),
        sa.Column("why", sa.String(length=255), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "revision"),
    )
    op.create_index(op.f("ix_audit_operation"), "audit", ["operation"], unique=False)
    op.create_index("ix_audit_project_at", "audit", ["project", "at", "resource_id", "revision"], unique=False)
    op.create_table(
        "backends",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("driver", sa.String(length=63), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "claims",
        sa.Column("operation", sa.String(length=255), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("resource_kind", sa.String(length=10), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.CheckConstraint("mode IN ('exclusive', 'shared')"),
        sa.PrimaryKeyConstraint("operation", "resource_id"),
    )
    op.create_index("ix_claims_line", "claims", ["resource_id", "ticket"], unique=False)
    op.create_table(
        "deployment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "export_locations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("protocol", sa.String(length=20), nullable=False),
        sa.Column("preferred", sa.Boolean(), nullable=False),
        sa.Column("readonly", sa.Boolean(), nullable=False),
        sa.Column("admin_only", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_export_locations_instance_id"), "export_locations", ["instance_id"], unique=False)
    op.create_table(
        "findings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("backend", sa.String(length=63), nullable=False),
        sa.Column("pool", sa.String(length=63), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("first_seen", UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_seen", UtcDateTime(timezone=True), nullable=False),
        sa.Column("repaired", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "subject", name="one_finding"),
    )
    op.create_index(op.f("ix_findings_backend"), "findings", ["backend"], unique=False)
    op.create_table(
        "instances",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("share_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("object", sa.String(length=63), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("allocated_bytes >= 0"),
        sa.CheckConstraint("size > 0"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_instances_pool_id"), "instances", ["pool_id"], unique=False)
    op.create_index(op.f("ix_instances_share_id"), "instances", ["share_id"], unique=False)
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("share_id", sa.String(length=36), nullable=False),
        sa.Column("request", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("begun", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("placement", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("waiting_for", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("recovery", sa.String(length=10), nullable=False),
        sa.Column("no_return", sa.Boolean(), nullable=False),
        sa.Column("left_over", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('running', 'succeeded', 'failed-clean', 'needs-operator')"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_operations_open", "operations", ["state", "created_at"], unique=False)
    op.create_index("ix_operations_project_created", "operations", ["project", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_operations_share_id"), "operations", ["share_id"], unique=False)
    op.create_table(
        "pools",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("backend", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("zone", sa.String(length=63), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("free_bytes", sa.BigInteger(), nullable=True),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=False),
        sa.CheckConstraint("allocated_bytes >= 0"),
        sa.CheckConstraint("limit_bytes IS NULL OR limit_bytes >= 0"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("backend", "name"),
    )
    op.create_table(
        "quotas",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("own_limits", sa.Boolean(), nullable=False),
        sa.Column("shares_limit", sa.BigInteger(), nullable=True),
        sa.Column("bytes_limit", sa.BigInteger(), nullable=True),
        sa.Column("snapshots_limit", sa.BigInteger(), nullable=True),
        sa.Column("shares_used", sa.BigInteger(), nullable=False),
        sa.Column("bytes_used", sa.BigInteger(), nullable=False),
        sa.Column("snapshots_used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("bytes_used >= 0"),
        sa.CheckConstraint("shares_used >= 0"),
        sa.CheckConstraint("snapshots_used >= 0"),
        sa.PrimaryKeyConstraint("project"),
    )
    op.create_table(
        "reservations",
        sa.Column("operation", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.Column("snapshots", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("scope IN ('pool', 'quota')"),
        sa.CheckConstraint("state IN ('pending', 'committed', 'void')"),
        sa.PrimaryKeyConstraint("operation", "scope", "target"),
    )
    op.create_index("ix_reservations_target", "reservations", ["scope", "target", "state"], unique=False)
    op.create_table(
        "share_types",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "shares",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("live_name", sa.String(length=63), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=63), nullable=False),
        sa.Column("type_version", sa.String(length=64), nullable=False),
        sa.Column("protocol", sa.String(length=20), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("source_snapshot_id", sa.String(length=36), nullable=False),
        sa.Column("claimed_by", sa.String(length=255), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("audit_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("purge_at", UtcDateTime(timezone=True), nullable=True),
        sa.CheckConstraint("epoch >= 0"),
        sa.CheckConstraint("size > 0"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project", "live_name", name="one_live_name"),
    )
    op.create_index(op.f("ix_shares_claimed_by"), "shares", ["claimed_by"], unique=False)
    op.create_index("ix_shares_project_created", "shares", ["project", "created_at", "id"], unique=False)
    op.create_index("ix_shares_project_size", "shares", ["project", "size", "id"], unique=False)
    op.create_table(
        "snapshot_instances",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("snapshot_id", sa.String(length=36), nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("object", sa.String(length=63), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("allocated_bytes >= 0"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_snapshot_instances_instance_id"), "snapshot_instances", ["instance_id"], unique=False)
    op.create_index(op.f("ix_snapshot_instances_pool_id"), "snapshot_instances", ["pool_id"], unique=False)
    op.create_index(op.f("ix_snapshot_instances_snapshot_id"), "snapshot_instances", ["snapshot_id"], unique=False)
    op.create_table(
        "snapshots",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("share_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("claimed_by", sa.String(length=255), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("audit_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.CheckConstraint("size > 0"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("share_id", "name", name="one_snapshot_name"),
    )
    op.create_index(op.f("ix_snapshots_claimed_by"), "snapshots", ["claimed_by"], unique=False)
    op.create_index("ix_snapshots_project_name", "snapshots", ["project", "name", "id"], unique=False)
    op.create_index(op.f("ix_snapshots_share_id"), "snapshots", ["share_id"], unique=False)
    op.create_table(
        "tickets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("operation", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("operation"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tombstones",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("share_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("object", sa.String(length=63), nullable=False),
        sa.Column("allocated_bytes", sa.BigInteger(), nullable=False),
        sa.Column("operation", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("gone_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_tombstones_object"), "tombstones", ["object"], unique=False)
    op.create_index(op.f("ix_tombstones_pool_id"), "tombstones", ["pool_id"], unique=False)
    op.create_index(op.f("ix_tombstones_share_id"), "tombstones", ["share_id"], unique=False)



def downgrade() -> None:

    op.drop_index(op.f("ix_tombstones_share_id"), table_name="tombstones")
    op.drop_index(op.f("ix_tombstones_pool_id"), table_name="tombstones")
    op.drop_index(op.f("ix_tombstones_object"), table_name="tombstones")
    op.drop_table("tombstones")
    op.drop_table("tickets")
    op.drop_index(op.f("ix_snapshots_share_id"), table_name="snapshots")
    op.drop_index("ix_snapshots_project_name", table_name="snapshots")
    op.drop_index(op.f("ix_snapshots_claimed_by"), table_name="snapshots")
    op.drop_table("snapshots")
    op.drop_index(op.f("ix_snapshot_instances_snapshot_id"), table_name="snapshot_instances")
    op.drop_index(op.f("ix_snapshot_instances_pool_id"), table_name="snapshot_instances")
    op.drop_index(op.f("ix_snapshot_instances_instance_id"), table_name="snapshot_instances")
    op.drop_table("snapshot_instances")
    op.drop_index("ix_shares_project_size", table_name="shares")
    op.drop_index("ix_shares_project_created", table_name="shares")
    op.drop_index(op.f("ix_shares_claimed_by"), table_name="shares")
    op.drop_table("shares")
    op.drop_table("share_types")
    op.drop_index("ix_reservations_target", table_name="reservations")
    op.drop_table("reservations")
    op.drop_table("quotas")
    op.drop_table("pools")
    op.drop_index(op.f("ix_operations_share_id"), table_name="operations")
    op.drop_index("ix_operations_project_created", table_name="operations")
    op.drop_index("ix_operations_open", table_name="operations")
    op.drop_table("operations")
    op.drop_index(op.f("ix_instances_share_id"), table_name="instances")
    op.drop_index(op.f("ix_instances_pool_id"), table_name="instances")
    op.drop_table("instances")
    op.drop_index(op.f("ix_findings_backend"), table_name="findings")
    op.drop_table("findings")
    op.drop_index(op.f("ix_export_locations_instance_id"), table_name="export_locations")
    op.drop_table("export_locations")
    op.drop_table("deployment")
    op.drop_index("ix_claims_line", table_name="claims")
    op.drop_table("claims")
    op.drop_table("backends")
    op.drop_index("ix_audit_project_at", table_name="audit")
    op.drop_index(op.f("ix_audit_operation"), table_name="audit")
    op.drop_table("audit")
    op.drop_index(op.f("ix_access_rules_share_id"), table_name="access_rules")
    op.drop_table("access_rules")

