"""The tables. Sizes are bytes in 64-bit columns, times are UTC, ids are uuids as text.

``table=True`` models do not validate: nothing outside this package writes through them, and every value has passed a
strict contract model before. The statements of the other modules use the plain tables at the end of this module.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Index,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC times on both databases; SQLite keeps no time zone, so it is taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the inventory stores UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _identifier() -> Any:
    return Field(sa_column=Column(String(36), primary_key=True))


def _text(length: int, *, null: bool = False, index: bool = False) -> Any:
    return Field(default=None if null else "", sa_column=Column(String(length), nullable=null, index=index))


def _bytes(name: str) -> Any:
    return Field(default=0, sa_column=Column(name, BigInteger, nullable=False, default=0))


def _time(*, null: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime, nullable=null, index=index))


def _json(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=null))


class Backend(SQLModel, table=True):
    """A storage system reached by one driver; declared by a spec.

    ``reachable`` and ``seen_at`` come from the last survey; ``retired`` when no spec declares it any more.
    """

    __tablename__ = "backends"
    name: str = Field(sa_column=Column(String(63), primary_key=True))
    driver: str = _text(63)
    document: dict[str, Any] = _json()
    reachable: bool = Field(default=True, nullable=False)
    retired: bool = Field(default=False, nullable=False)
    seen_at: datetime | None = _time(null=True)


class Pool(SQLModel, table=True):
    """A place in a backend. ``allocated_bytes`` is exact at every instant and never above ``limit_bytes``."""

    __tablename__ = "pools"
    __table_args__ = (
        UniqueConstraint("backend", "name"),
        CheckConstraint("allocated_bytes >= 0"),
        CheckConstraint("limit_bytes IS NULL OR limit_bytes >= 0"),
    )
    id: str = _identifier()
    backend: str = _text(63)
    name: str = _text(63)
    zone: str = _text(63)
    limit_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    allocated_bytes: int = _bytes("allocated_bytes")
    total_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    free_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    retired: bool = Field(default=False, nullable=False)
    attributes: dict[str, Any] = _json()


class ShareType(SQLModel, table=True):
    """One version of a share type. A share keeps the version that it was placed with."""

    __tablename__ = "share_types"
    name: str = Field(sa_column=Column(String(63), primary_key=True))
    version: str = Field(sa_column=Column(String(64), primary_key=True))
    current: bool = Field(default=True, nullable=False)
    document: dict[str, Any] = _json()


class Share(SQLModel, table=True):
    """What a user owns.

    ``live_name`` is the name while the share is in view and NULL in the recycle bin, so that the name can be used
    again. ``claimed_by`` and ``epoch`` are the claim; ``revision`` and ``audit_digest`` the head of the audit chain.
    """

    __tablename__ = "shares"
    __table_args__ = (
        UniqueConstraint("project", "live_name", name="one_live_name"),
        CheckConstraint("size > 0"),
        CheckConstraint("epoch >= 0"),
        Index("ix_shares_project_created", "project", "created_at", "id"),
        Index("ix_shares_project_size", "project", "size", "id"),
    )
    id: str = _identifier()
    project: str = _text(63)
    name: str = _text(63)
    live_name: str | None = _text(63, null=True)
    status: str = _text(20)
    size: int = _bytes("size")
    type: str = _text(63)
    type_version: str = _text(64)
    protocol: str = _text(20)
    description: str = _text(255)
    source_snapshot_id: str = _text(36)
    claimed_by: str | None = _text(255, null=True, index=True)
    epoch: int = Field(default=0, nullable=False)
    revision: int = Field(default=0, nullable=False)
    audit_digest: str = _text(64)
    created_at: datetime = _time()
    purge_at: datetime | None = _time(null=True)


class Instance(SQLModel, table=True):
    """One physical copy of a share on one pool. ``allocated_bytes`` is its part of the pool's sum."""

    __tablename__ = "instances"
    __table_args__ = (CheckConstraint("size > 0"), CheckConstraint("allocated_bytes >= 0"))
    id: str = _identifier()
    share_id: str = _text(36, index=True)
    pool_id: str = _text(36, index=True)
    object: str = _text(63)
    status: str = _text(20)
    size: int = _bytes("size")
    allocated_bytes: int = _bytes("allocated_bytes")
    created_at: datetime = _time()


class Snapshot(SQLModel, table=True):
    """A point in time of a share; ``size`` is the share's when it was taken. Claimed and audited as a share is."""

    __tablename__ = "snapshots"
    __table_args__ = (
        UniqueConstraint("share_id", "name", name="one_snapshot_name"),
        CheckConstraint("size > 0"),
        Index("ix_snapshots_project_name", "project", "name", "id"),
    )
    id: str = _identifier()
    project: str = _text(63)
    share_id: str = _text(36, index=True)
    name: str = _text(63)
    status: str = _text(20)
    size: int = _bytes("size")
    description: str = _text(255)
    claimed_by: str | None = _text(255, null=True, index=True)
    epoch: int = Field(default=0, nullable=False)
    revision: int = Field(default=0, nullable=False)
    audit_digest: str = _text(64)
    created_at: datetime = _time()


class SnapshotInstance(SQLModel, table=True):
    """The copy of a snapshot on one pool."""

    __tablename__ = "snapshot_instances"
    __table_args__ = (CheckConstraint("allocated_bytes >= 0"),)
    id: str = _identifier()
    snapshot_id: str = _text(36, index=True)
    instance_id: str = _text(36, index=True)
    pool_id: str = _text(36, index=True)
    object: str = _text(63)
    status: str = _text(20)
    size: int = _bytes("size")
    allocated_bytes: int = _bytes("allocated_bytes")
    created_at: datetime = _time()


class ExportLocation(SQLModel, table=True):
    """A path to mount an instance."""

    __tablename__ = "export_locations"
    id: str = _identifier()
    instance_id: str = _text(36, index=True)
    path: str = Field(sa_column=Column(Text, nullable=False))
    protocol: str = _text(20)
    preferred: bool = Field(default=True, nullable=False)
    readonly: bool = Field(default=False, nullable=False)
    admin_only: bool = Field(default=False, nullable=False)


class AccessRule(SQLModel, table=True):
    """Who may mount a share. Rows only: they go and come back with the share's tree."""

    __tablename__ = "access_rules"
    __table_args__ = (
        UniqueConstraint("share_id", "kind", "subject"),
        CheckConstraint("level IN ('rw', 'ro')"),
        CheckConstraint("kind IN ('ip', 'user', 'cephx')"),
    )
    id: str = _identifier()
    share_id: str = _text(36, index=True)
    kind: str = _text(10)
    subject: str = _text(255)
    level: str = _text(2)
    created_at: datetime = _time()


class Operation(SQLModel, table=True):
    """One request to change something; ``id`` is the workflow id.

    ``begun`` is the answer to its first step, so that a repeated step gets the same one; ``placement`` the decision in
    bounded form; ``recovery`` what the reconciler asked for when it restarted the operation.
    """

    __tablename__ = "operations"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'succeeded', 'failed-clean', 'needs-operator')"),
        Index("ix_operations_project_created", "project", "created_at", "id"),
        Index("ix_operations_open", "state", "created_at"),
    )
    id: str = Field(sa_column=Column(String(255), primary_key=True))
    project: str = _text(63)
    kind: str = _text(63)
    state: str = _text(20)
    share_id: str = _text(36, index=True)
    request: dict[str, Any] = _json()
    request_digest: str = _text(64)
    begun: dict[str, Any] | None = _json(null=True)
    result: dict[str, Any] | None = _json(null=True)
    failure: dict[str, Any] | None = _json(null=True)
    placement: dict[str, Any] | None = _json(null=True)
    waiting_for: list[str] | None = _json(null=True)
    recovery: str = _text(10)
    no_return: bool = Field(default=False, nullable=False)
    left: str = Field(default="", sa_column=Column("left_over", Text, nullable=False, default=""))
    by: str = Field(default="", sa_column=Column("requested_by", String(255), nullable=False, default=""))
    reason: str = _text(255)
    created_at: datetime = _time()
    ended_at: datetime | None = _time(null=True)


class Claim(SQLModel, table=True):
    """A place in the line for one resource. ``ticket`` orders the line; ``granted`` claims hold the resource."""

    __tablename__ = "claims"
    __table_args__ = (
        CheckConstraint("mode IN ('exclusive', 'shared')"),
        Index("ix_claims_line", "resource_id", "ticket"),
    )
    operation: str = Field(sa_column=Column(String(255), primary_key=True))
    resource_id: str = Field(sa_column=Column(String(36), primary_key=True))
    resource_kind: str = _text(10)
    mode: str = _text(10)
    ticket: int = Field(sa_column=Column(BigInteger, nullable=False))
    granted: bool = Field(default=False, nullable=False)
    epoch: int = Field(default=0, nullable=False)


class Ticket(SQLModel, table=True):
    """Gives out tickets: one row, counted up inside the transaction that queues."""

    __tablename__ = "tickets"
    __table_args__ = {"sqlite_autoincrement": True}  # a number is never given out twice
    id: int | None = Field(default=None, primary_key=True)
    operation: str = Field(sa_column=Column(String(255), unique=True, nullable=False))


class Reservation(SQLModel, table=True):
    """Capacity of a pool or quota of a project set aside by an operation."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'committed', 'void')"),
        CheckConstraint("scope IN ('pool', 'quota')"),
        Index("ix_reservations_target", "scope", "target", "state"),
    )
    operation: str = Field(sa_column=Column(String(255), primary_key=True))
    scope: str = Field(sa_column=Column(String(10), primary_key=True))
    target: str = Field(sa_column=Column(String(63), primary_key=True))
    state: str = _text(10)
    bytes: int = _bytes("bytes")
    shares: int = Field(default=0, nullable=False)
    snapshots: int = Field(default=0, nullable=False)
    created_at: datetime = _time()


class Quota(SQLModel, table=True):
    """Limits (NULL: unlimited) and exact use of a project; ``*`` holds the limits of projects without their own."""

    __tablename__ = "quotas"
    __table_args__ = (
        CheckConstraint("shares_used >= 0"),
        CheckConstraint("bytes_used >= 0"),
        CheckConstraint("snapshots_used >= 0"),
    )
    project: str = Field(sa_column=Column(String(63), primary_key=True))
    own_limits: bool = Field(default=False, nullable=False)
    shares_limit: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    bytes_limit: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    snapshots_limit: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    shares_used: int = _bytes("shares_used")
    bytes_used: int = _bytes("bytes_used")
    snapshots_used: int = _bytes("snapshots_used")


class Audit(SQLModel, table=True):
    """One state change; append-only. ``digest`` chains it to the one before of the same resource."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_project_at", "project", "at", "resource_id", "revision"),)
    resource_id: str = Field(sa_column=Column(String(36), primary_key=True))
    revision: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    resource_kind: str = _text(10)
    project: str = _text(63)
    operation: str = _text(255, index=True)
    by: str = Field(default="", sa_column=Column("requested_by", String(255), nullable=False, default=""))
    before: str = _text(63)
    after: str = _text(63)
    why: str = _text(255)
    at: datetime = _time()
    digest: str = _text(64)


class Tombstone(SQLModel, table=True):
    """An object that was left on a backend on purpose; its bytes still count in its pool until it is gone."""

    __tablename__ = "tombstones"
    id: str = _identifier()
    project: str = _text(63)
    share_id: str = _text(36, index=True)
    kind: str = _text(10)
    pool_id: str = _text(36, index=True)
    object: str = _text(63, index=True)
    allocated_bytes: int = _bytes("allocated_bytes")
    operation: str = _text(255)
    created_at: datetime = _time()
    gone_at: datetime | None = _time(null=True)


class Finding(SQLModel, table=True):
    """Something the reconciler found. ``seen`` counts scans in a row; recomputed each scan, never latched."""

    __tablename__ = "findings"
    __table_args__ = (UniqueConstraint("kind", "subject", name="one_finding"),)
    id: str = _identifier()
    kind: str = _text(40)
    backend: str = _text(63, index=True)
    pool: str = _text(63)
    subject: str = _text(255)
    detail: str = Field(default="", sa_column=Column(Text, nullable=False, default=""))
    advice: str = Field(default="", sa_column=Column(Text, nullable=False, default=""))
    bytes: int = _bytes("bytes")
    seen: int = Field(default=1, nullable=False)
    first_seen: datetime = _time()
    last_seen: datetime = _time()
    repaired: bool = Field(default=False, nullable=False)


class Deployment(SQLModel, table=True):
    """One row: the id of this deployment, made with the database. It tags every object on every backend."""

    __tablename__ = "deployment"
    id: str = _identifier()
    created_at: datetime = _time()


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


backends = _table("backends")
pools = _table("pools")
share_types = _table("share_types")
shares = _table("shares")
instances = _table("instances")
snapshots = _table("snapshots")
snapshot_instances = _table("snapshot_instances")
export_locations = _table("export_locations")
access_rules = _table("access_rules")
operations = _table("operations")
claims = _table("claims")
tickets = _table("tickets")
reservations = _table("reservations")
quotas = _table("quotas")
audit = _table("audit")
tombstones = _table("tombstones")
findings = _table("findings")
deployment = _table("deployment")
