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
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Dialect,
    Index,
    Integer,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel


class Word(TypeDecorator[str]):
    """Short text, compared byte by byte on both databases: lists have one order everywhere, prefixes use the index.

    PostgreSQL would otherwise sort by the locale that its database was made with.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    @property
    def python_type(self) -> type[str]:
        """What values are in Python."""
        return str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type in a database."""
        plain = String(self.length, collation="C") if dialect.name == "postgresql" else String(self.length)
        return dialect.type_descriptor(plain)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC times on both databases; SQLite keeps no time zone, so it is taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What values are in Python."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """On the way in. Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; the inventory stores UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """On the way out."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _identifier() -> Any:
    return Field(sa_column=Column(Word(36), primary_key=True))


def _text(length: int, *, null: bool = False, index: bool = False) -> Any:
    return Field(default=None if null else "", sa_column=Column(Word(length), nullable=null, index=index))


def _time(*, null: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime, nullable=null, index=index))


def _big(*, null: bool = False) -> Any:
    return Field(default=None if null else 0, sa_column=Column(BigInteger, nullable=null, default=None if null else 0))


def _json(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=null))


class Backend(SQLModel, table=True):
    """A storage system reached by one driver; declared by a spec.

    ``reachable`` and ``seen_at`` come from the last survey; ``retired`` when no spec declares it any more.
    """

    __tablename__ = "backends"
    name: str = Field(sa_column=Column(Word(63), primary_key=True))
    driver: str = _text(63)
    document: dict[str, Any] = _json()
    reachable: bool = Field(default=True, nullable=False)
    retired: bool = Field(default=False, nullable=False)
    seen_at: datetime | None = _time(null=True)


class Pool(SQLModel, table=True):
    """A place in a backend. ``allocated_bytes`` is exact at every instant and never above ``limit_bytes``.

    ``iops_promised`` and ``throughput_promised`` are the sums of the floors in it: as exact, and never raised above
    their budgets. A budget that is NULL promises nothing. ``limit_bytes`` is what may be handed out in all, ``terms``
    how (thin, over-subscription, reserves); ``revision`` counts the changes of all pools, see
    :mod:`inventory.pool_history`. ``drained``: nothing new is placed there until an operator says otherwise.
    """

    __tablename__ = "pools"
    __table_args__ = (
        UniqueConstraint("backend", "name", name="one_pool_name"),
        CheckConstraint("allocated_bytes >= 0", name="pools_allocated"),
        CheckConstraint("limit_bytes IS NULL OR limit_bytes >= 0", name="pools_limit"),
        CheckConstraint("iops_promised >= 0", name="pools_iops_promised"),
        CheckConstraint("throughput_promised >= 0", name="pools_throughput_promised"),
    )
    id: str = _identifier()
    backend: str = _text(63)
    name: str = _text(63)
    zone: str = _text(63)
    limit_bytes: int | None = _big(null=True)
    allocated_bytes: int = _big()
    total_bytes: int | None = _big(null=True)
    free_bytes: int | None = _big(null=True)
    retired: bool = Field(default=False, nullable=False)
    attributes: dict[str, Any] = _json()
    iops_budget: int | None = _big(null=True)
    throughput_budget: int | None = _big(null=True)
    iops_promised: int = _big()
    throughput_promised: int = _big()
    revision: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, default=0, index=True))
    reachable: bool = Field(default=True, nullable=False)
    driver: str = _text(128)
    terms: dict[str, Any] | None = _json(null=True)
    drained: bool = Field(default=False, nullable=False)


class PoolClock(SQLModel, table=True):
    """One row: the revision of the last change of a pool, and the last one that a decision looked at."""

    __tablename__ = "pool_clock"
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    revision: int = _big()
    decided: int = _big()


class PoolHistory(SQLModel, table=True):
    """A pool's row as it was from ``revision`` on, before ``until``; kept where a decision has looked at it."""

    __tablename__ = "pool_history"
    id: str = _identifier()
    revision: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    until: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    backend: str = _text(63)
    name: str = _text(63)
    zone: str = _text(63)
    limit_bytes: int | None = _big(null=True)
    allocated_bytes: int = _big()
    total_bytes: int | None = _big(null=True)
    free_bytes: int | None = _big(null=True)
    retired: bool = Field(default=False, nullable=False)
    attributes: dict[str, Any] = _json()
    iops_budget: int | None = _big(null=True)
    throughput_budget: int | None = _big(null=True)
    iops_promised: int = _big()
    throughput_promised: int = _big()
    reachable: bool = Field(default=True, nullable=False)
    driver: str = _text(128)
    terms: dict[str, Any] | None = _json(null=True)
    drained: bool = Field(default=False, nullable=False)


class SpecRevision(SQLModel, table=True):
    """One set of specs that was applied, as records of its documents. The last one counts."""

    __tablename__ = "spec_revisions"
    revision: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    digest: str = _text(64)
    documents: list[dict[str, Any]] = _json()
    managed: bool = Field(default=False, nullable=False)
    operation: str = _text(255)
    by: str = Field(default="", sa_column=Column("applied_by", Word(255), nullable=False, default=""))
    created_at: datetime = _time()


class QosClass(SQLModel, table=True):
    """One version of a QoS class. A share keeps the version that was applied to it."""

    __tablename__ = "qos_classes"
    name: str = Field(sa_column=Column(Word(63), primary_key=True))
    version: str = Field(sa_column=Column(Word(64), primary_key=True))
    current: bool = Field(default=True, nullable=False)
    document: dict[str, Any] = _json()


class ShareType(SQLModel, table=True):
    """One version of a share type. A share keeps the version that it was placed with."""

    __tablename__ = "share_types"
    name: str = Field(sa_column=Column(Word(63), primary_key=True))
    version: str = Field(sa_column=Column(Word(64), primary_key=True))
    current: bool = Field(default=True, nullable=False)
    document: dict[str, Any] = _json()


OUT_OF_VIEW = ("deleting", "recycle-bin", "purging")
"""Share statuses in which a share has left its project's view."""


class Share(SQLModel, table=True):
    """What a user owns.

    ``live_name`` is the name while the share is in view and NULL in the recycle bin, so that the name can be used
    again. ``in_view`` follows from the status: what was deleted costs nothing in the lists of what is there.
    ``claimed_by`` and ``epoch`` are the claim; ``revision`` and ``audit_digest`` the head of the audit chain.
    ``qos`` is what its class comes to and what became of each key (a ``QosView``); NULL without a class.
    """

    __tablename__ = "shares"
    __table_args__ = (
        UniqueConstraint("project", "live_name", name="one_live_name"),
        CheckConstraint("size > 0", name="shares_size"),
        CheckConstraint("epoch >= 0 AND revision >= 0", name="shares_epoch"),
        CheckConstraint("live_name IS NULL OR live_name = name", name="shares_live_name"),
        Index("ix_shares_project_name", "project", "in_view", "name", "id"),
        Index("ix_shares_project_created", "project", "in_view", "created_at", "id"),
        Index("ix_shares_project_size", "project", "in_view", "size", "id"),
        Index("ix_shares_project_status", "project", "in_view", "status", "name", "id"),
    )
    id: str = _identifier()
    project: str = _text(63)
    name: str = _text(63)
    live_name: str | None = _text(63, null=True)
    status: str = _text(20)
    in_view: bool = Field(
        default=True,
        sa_column=Column(Boolean, Computed(f"status NOT IN {OUT_OF_VIEW}", persisted=True), nullable=False),
    )
    size: int = _big()
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
    qos_class: str = _text(63)
    qos_version: str = _text(64)
    qos: dict[str, Any] | None = _json(null=True)


class Instance(SQLModel, table=True):
    """One physical copy of a share on one pool. ``allocated_bytes`` and the floors are its part of the pool's sums.

    ``used_bytes`` is what a survey last counted; NULL where nobody needed to know. The ``active`` one is the share;
    while it is moved there is a ``destination`` as well, and after the switch a ``retired`` one until that is deleted.
    Each ``replica`` has a row of :class:`Replica` as well. ``claimed_by`` and ``epoch`` are the claim of a migration,
    which holds both, or of whoever changes the replica.
    """

    __tablename__ = "instances"
    __table_args__ = (
        Index(
            "one_instance_per_role",
            "share_id",
            "role",
            unique=True,
            sqlite_where=text("role NOT IN ('retired', 'replica')"),
            postgresql_where=text("role NOT IN ('retired', 'replica')"),
        ),
        CheckConstraint("role IN ('active', 'destination', 'retired', 'replica')", name="instances_role"),
        CheckConstraint("epoch >= 0", name="instances_epoch"),
        CheckConstraint("size > 0", name="instances_size"),
        CheckConstraint("allocated_bytes >= 0", name="instances_allocated"),
        CheckConstraint("iops_floor >= 0", name="instances_iops_floor"),
        CheckConstraint("throughput_floor >= 0", name="instances_throughput_floor"),
    )
    id: str = _identifier()
    share_id: str = _text(36, index=True)
    pool_id: str = _text(36, index=True)
    object: str = _text(63)
    status: str = _text(20)
    size: int = _big()
    allocated_bytes: int = _big()
    created_at: datetime = _time()
    iops_floor: int = _big()
    throughput_floor: int = _big()
    used_bytes: int | None = _big(null=True)
    role: str = Field(default="active", sa_column=Column(Word(12), nullable=False, default="active"))
    claimed_by: str | None = _text(255, null=True, index=True)
    epoch: int = Field(default=0, nullable=False)


class Replica(SQLModel, table=True):
    """How an instance of role ``replica`` is kept in step; ``id`` is the instance's.

    ``sync_operation`` is the long-lived operation that does it, ``kind`` and ``interval`` and ``loss`` (seconds) what
    the share's type asked for, ``mode`` the way of copying. ``state`` is what the last round came to, ``synced_at`` the
    moment of which the replica has the content, ``moved_bytes`` what the last round moved, ``tried_at`` and ``error``
    the last round's begin and failure. ``moved_seconds`` is the time in which clients had changed what it moved, None
    where it moved what they had not changed. ``behind_bytes`` of the active instance were not there at ``behind_at``,
    as a round measured before it copied. ``memory`` is a ``MigrationMemory``. ``stale``: the replica was the active one
    and was declared lost: ``unfenced`` as long as it was not reached since, ``kept`` for the operator after that.
    """

    __tablename__ = "replicas"
    __table_args__ = (
        CheckConstraint("kind IN ('readable', 'dr')", name="replicas_kind"),
        CheckConstraint("mode IN ('driver', 'host')", name="replicas_mode"),
        CheckConstraint("moved_bytes >= 0", name="replicas_moved_bytes"),
        CheckConstraint("stale IN ('', 'unfenced', 'kept')", name="replicas_stale"),
        CheckConstraint("state IN ('seeding', 'in_sync', 'out_of_sync', 'error')", name="replicas_state"),
    )
    id: str = _identifier()
    share_id: str = _text(36, index=True)
    sync_operation: str = _text(255, index=True)
    kind: str = _text(10)
    mode: str = _text(10)
    state: str = _text(12)
    interval: int = _big()
    loss: int = _big()
    stale: str = _text(10)
    memory: dict[str, Any] = Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=False))
    synced_at: datetime | None = _time(null=True)
    tried_at: datetime | None = _time(null=True)
    moved_bytes: int = _big()
    moved_seconds: int | None = _big(null=True)
    behind_bytes: int | None = _big(null=True)
    behind_at: datetime | None = _time(null=True)
    error: str = Field(default="", sa_column=Column(Text, nullable=False))


class Snapshot(SQLModel, table=True):
    """A point in time of a share; ``size`` is the share's when it was taken. Claimed and audited as a share is."""

    __tablename__ = "snapshots"
    __table_args__ = (
        UniqueConstraint("share_id", "name", name="one_snapshot_name"),
        CheckConstraint("size > 0", name="snapshots_size"),
        CheckConstraint("epoch >= 0 AND revision >= 0", name="snapshots_epoch"),
        Index("ix_snapshots_project_name", "project", "name", "id"),
        Index("ix_snapshots_project_created", "project", "created_at", "id"),
        Index("ix_snapshots_project_size", "project", "size", "id"),
    )
    id: str = _identifier()
    project: str = _text(63)
    share_id: str = _text(36, index=True)
    name: str = _text(63)
    status: str = _text(20)
    size: int = _big()
    description: str = _text(255)
    claimed_by: str | None = _text(255, null=True, index=True)
    epoch: int = Field(default=0, nullable=False)
    revision: int = Field(default=0, nullable=False)
    audit_digest: str = _text(64)
    created_at: datetime = _time()


class SnapshotInstance(SQLModel, table=True):
    """The copy of a snapshot on one pool."""

    __tablename__ = "snapshot_instances"
    __table_args__ = (
        CheckConstraint("size > 0", name="snapshot_instances_size"),
        CheckConstraint("allocated_bytes >= 0", name="snapshot_instances_allocated"),
    )
    id: str = _identifier()
    snapshot_id: str = _text(36, index=True)
    instance_id: str = _text(36, index=True)
    pool_id: str = _text(36, index=True)
    object: str = _text(63)
    status: str = _text(20)
    size: int = _big()
    allocated_bytes: int = _big()
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
        UniqueConstraint("share_id", "kind", "subject", name="one_rule_per_subject"),
        CheckConstraint("level IN ('rw', 'ro')", name="access_rules_level"),
        CheckConstraint("kind IN ('ip', 'user', 'cephx')", name="access_rules_kind"),
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
    bounded form; ``recovery`` what the reconciler asked for when it restarted the operation, or that it is undone now.
    """

    __tablename__ = "operations"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'succeeded', 'failed-clean', 'needs-operator')", name="operations_state"),
        Index("ix_operations_project_created", "project", "created_at", "id"),
        Index("ix_operations_project_kind", "project", "kind", "created_at", "id"),
        Index("ix_operations_project_state", "project", "state", "created_at", "id"),
        Index("ix_operations_open", "state", "created_at"),
    )
    id: str = Field(sa_column=Column(Word(255), primary_key=True))
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
    by: str = Field(default="", sa_column=Column("requested_by", Word(255), nullable=False, default=""))
    reason: str = _text(255)
    created_at: datetime = _time()
    ended_at: datetime | None = _time(null=True)


class Claim(SQLModel, table=True):
    """A place in the line for one resource. ``ticket`` orders the line; ``granted`` claims hold the resource."""

    __tablename__ = "claims"
    __table_args__ = (
        CheckConstraint("mode IN ('exclusive', 'shared')", name="claims_mode"),
        CheckConstraint("resource_kind IN ('share', 'snapshot', 'instance')", name="claims_kind"),
        CheckConstraint("epoch >= 0", name="claims_epoch"),
        Index("ix_claims_line", "resource_id", "ticket"),
    )
    operation: str = Field(sa_column=Column(Word(255), primary_key=True))
    resource_id: str = Field(sa_column=Column(Word(36), primary_key=True))
    resource_kind: str = _text(10)
    mode: str = _text(10)
    ticket: int = Field(sa_column=Column(BigInteger, nullable=False))
    granted: bool = Field(default=False, nullable=False)
    epoch: int = Field(default=0, nullable=False)


class Ticket(SQLModel, table=True):
    """Gives out tickets: one row, counted up inside the transaction that queues."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("operation", name="one_ticket"),
        {"sqlite_autoincrement": True},  # a number is never given out twice
    )
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    operation: str = Field(sa_column=Column(Word(255), nullable=False))


class Reservation(SQLModel, table=True):
    """Capacity and floors of a pool, or quota of a project, set aside by an operation."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'committed', 'void')", name="reservations_state"),
        CheckConstraint("scope IN ('pool', 'quota')", name="reservations_scope"),
        CheckConstraint("bytes >= 0 AND shares >= 0 AND snapshots >= 0", name="reservations_amounts"),
        CheckConstraint("iops >= 0", name="reservations_iops"),
        CheckConstraint("throughput >= 0", name="reservations_throughput"),
        Index("ix_reservations_target", "scope", "target", "state"),
    )
    operation: str = Field(sa_column=Column(Word(255), primary_key=True))
    scope: str = Field(sa_column=Column(Word(10), primary_key=True))
    target: str = Field(sa_column=Column(Word(63), primary_key=True))
    state: str = _text(10)
    bytes: int = _big()
    shares: int = Field(default=0, nullable=False)
    snapshots: int = Field(default=0, nullable=False)
    created_at: datetime = _time()
    iops: int = _big()
    throughput: int = _big()


class Quota(SQLModel, table=True):
    """Limits (NULL: unlimited) and exact use of a project; ``*`` holds the limits of projects without their own."""

    __tablename__ = "quotas"
    __table_args__ = (
        CheckConstraint("shares_used >= 0", name="quotas_shares_used"),
        CheckConstraint("bytes_used >= 0", name="quotas_bytes_used"),
        CheckConstraint("snapshots_used >= 0", name="quotas_snapshots_used"),
        CheckConstraint("shares_limit >= 0 AND bytes_limit >= 0 AND snapshots_limit >= 0", name="quotas_limits"),
    )
    project: str = Field(sa_column=Column(Word(63), primary_key=True))
    own_limits: bool = Field(default=False, nullable=False)
    shares_limit: int | None = _big(null=True)
    bytes_limit: int | None = _big(null=True)
    snapshots_limit: int | None = _big(null=True)
    shares_used: int = _big()
    bytes_used: int = _big()
    snapshots_used: int = _big()


class Audit(SQLModel, table=True):
    """One state change; append-only. ``digest`` chains it to the one before of the same resource."""

    __tablename__ = "audit"
    __table_args__ = (
        CheckConstraint("revision > 0", name="audit_revision"),
        Index("ix_audit_project_at", "project", "at", "digest"),
    )
    resource_id: str = Field(sa_column=Column(Word(36), primary_key=True))
    revision: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    resource_kind: str = _text(10)
    project: str = _text(63)
    operation: str = _text(255, index=True)
    by: str = Field(default="", sa_column=Column("requested_by", Word(255), nullable=False, default=""))
    before: str = _text(63)
    after: str = _text(63)
    why: str = _text(255)
    at: datetime = _time()
    digest: str = _text(64)


class Tombstone(SQLModel, table=True):
    """An object that was left on a backend; its bytes and floors count in its pool until it is gone.

    With ``doomed`` it was left because its backend did not answer, and the reconciler deletes it; without it somebody
    wanted it to stay.
    """

    __tablename__ = "tombstones"
    __table_args__ = (
        CheckConstraint("allocated_bytes >= 0", name="tombstones_allocated"),
        CheckConstraint("iops_floor >= 0", name="tombstones_iops_floor"),
        CheckConstraint("throughput_floor >= 0", name="tombstones_throughput_floor"),
    )
    id: str = _identifier()
    project: str = _text(63)
    share_id: str = _text(36, index=True)
    kind: str = _text(10)
    pool_id: str = _text(36, index=True)
    object: str = _text(63, index=True)
    allocated_bytes: int = _big()
    operation: str = _text(255)
    created_at: datetime = _time()
    gone_at: datetime | None = _time(null=True)
    iops_floor: int = _big()
    throughput_floor: int = _big()
    doomed: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))


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
    bytes: int = _big()
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
pool_clock = _table("pool_clock")
pool_history = _table("pool_history")
spec_revisions = _table("spec_revisions")
share_types = _table("share_types")
qos_classes = _table("qos_classes")
shares = _table("shares")
instances = _table("instances")
replicas = _table("replicas")
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
