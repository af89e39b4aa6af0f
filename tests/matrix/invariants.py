"""The invariants, checked after every cell for what belongs to it, and at the end for the whole world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from drivers.fake.records import StoredObject
from inventory import audit, tables
from shareflow import names
from tests.matrix.guarded import CANARY
from tests.matrix.stage import Picture, Stage
from tests.support.world import World

AT_REST = ("available",)


def check(stage: Stage, picture: Picture) -> list[str]:
    """What is wrong with a cell at rest. Each finding begins with the number of its invariant."""
    with stage.world.database.read() as connection:
        found = [
            *_capacity(connection),
            *_quota(connection, stage.project),
            *_at_rest(connection, stage),
            *_audit(connection, stage),
            *_secrets(connection, stage),
        ]
        known = _names(connection)
        moves = _moves(connection, stage)
    return [
        *found,
        *_whole(picture),
        *_closed(picture),
        *_orphans(stage, known),
        *_ledger(stage.world, stage.operations),
        *_writable(stage, moves),
    ]


def _moves(connection: Connection, stage: Stage) -> list[tuple[str, str]]:
    """The objects between which each migration or promotion of the cell moved a share; not from a lost one."""
    rows = tables.operations
    kinds = {names.MIGRATE_SHARE: "migration", names.PROMOTE_REPLICA: "replica"}
    begun = connection.execute(
        select(rows.c.kind, rows.c.begun, rows.c.request).where(
            rows.c.project == stage.project, rows.c.kind.in_(kinds), rows.c.begun.is_not(None)
        )
    ).all()
    return [
        (row.begun["instance"]["object"], row.begun[kinds[row.kind]]["destination"]["object"])
        for row in begun
        if not row.request.get("lost")
    ]


def _writable(stage: Stage, moves: Sequence[tuple[str, str]]) -> Iterator[str]:
    """I7: at no effect is a share writable at two places; a destination that clients cannot reach yet is none."""
    if not moves:
        return
    mine = set(stage.operations)
    effects = [one for array in stage.arrays().values() for one in array.ledger.effects() if one.operation in mine]
    for source, destination in moves:
        mode = {source: "rw", destination: ""}
        for effect in sorted(effects, key=lambda one: one.at):
            if effect.name not in mode:
                continue
            if effect.verb.endswith("delete_share"):
                mode[effect.name] = ""
            if effect.mode:
                mode[effect.name] = effect.mode
            if list(mode.values()) == ["rw", "rw"]:
                yield f"I7 {source} and {destination} are writable after {effect.verb} of {effect.step}"


def _whole(picture: Picture) -> Iterator[str]:
    """I3, I8: what the inventory shows as available is on the backend, whole, of its size and open to clients."""
    for key, fact in picture.items():
        kind = key.partition(" ")[0]
        if kind not in ("share", "snapshot"):
            continue
        if fact["status"] not in AT_REST:
            yield f"I10 {key} is {fact['status']} at rest"
        if kind == "share" and (not fact["exports"] or fact["live_name"] is None or fact["purge_at"] is not None):
            yield f"I3 {key} cannot be reached: {fact}"
        if len(fact["copies"]) != 1:
            yield f"I4 {key} has {len(fact['copies'])} copies"
        for copy in fact["copies"]:
            there = copy["object"]
            mode = "rw" if kind == "share" else "ro"
            if there is None or not there["complete"] or there["size"] != fact["size"] or there["mode"] != mode:
                yield f"I3 {key} of {fact['size']} bytes is on the backend as {there}"
            if kind == "share" and there is not None and there["limits"] != fact["limits"]:
                yield f"I9 {key} should have the limits {fact['limits']}, the backend enforces {there['limits']}"
            if copy["status"] != "available" or copy["size"] != fact["size"]:
                yield f"I3 the copy of {key} is {copy['status']} with {copy['size']} bytes"


def _closed(picture: Picture) -> Iterator[str]:
    """I3, I7: a replica is on the backend, whole and of its size, and no client can reach it."""
    for key, fact in picture.items():
        there = fact.get("object")
        if key.startswith("replica ") and (
            there is None or not there["complete"] or (there["size"], there["mode"]) != (fact["size"], "none")
        ):
            yield f"I3 {key} of {fact['size']} bytes is on the backend as {there}"


def _names(connection: Connection) -> set[str]:
    found: set[str] = set()
    for table in (tables.instances, tables.snapshot_instances, tables.tombstones):
        found |= set(connection.execute(select(table.c.object)).scalars())
    for memory in connection.execute(select(tables.replicas.c.memory)).scalars():
        found |= set(memory["sync_points"])
    return found


def _orphans(stage: Stage, known: set[str]) -> Iterator[str]:
    """I2: nothing that these operations made is on a backend without a row that knows it."""
    mine = set(stage.operations)
    for backend, array in stage.arrays().items():
        for stored in array.objects():
            if stored.operation in mine and stored.name not in known:
                yield f"I2 {stored.kind.value} {stored.name} of {stored.operation} is an orphan on {backend}"


def _ledger(world: World, operations: Sequence[str]) -> Iterator[str]:
    """I4, I5, I12, I13 as the arrays saw them."""
    for backend in world.process.services.drivers:
        for text in world.array(backend).ledger.violations():
            if any(operation in text for operation in operations):
                yield text


def _capacity(connection: Connection) -> Iterator[str]:
    """I5: every pool's sum is that of what it carries, and within its limit."""
    sums: dict[str, int] = {}
    pending = tables.reservations.c
    parts = [
        select(table.c.pool_id, func.sum(table.c.allocated_bytes)).group_by(table.c.pool_id)
        for table in (tables.instances, tables.snapshot_instances)
    ]
    gone = tables.tombstones.c
    parts.append(
        select(gone.pool_id, func.sum(gone.allocated_bytes)).where(gone.gone_at.is_(None)).group_by(gone.pool_id)
    )
    parts.append(
        select(pending.target, func.sum(pending.bytes))
        .where(pending.scope == "pool", pending.state == "pending")
        .group_by(pending.target)
    )
    for part in parts:
        for pool, size in connection.execute(part):
            sums[pool] = sums.get(pool, 0) + int(size or 0)
    for row in connection.execute(select(tables.pools)):
        if row.allocated_bytes != sums.get(row.id, 0):
            yield f"I5 pool {row.name} says {row.allocated_bytes} bytes, its rows add up to {sums.get(row.id, 0)}"
        if row.limit_bytes is not None and row.allocated_bytes > row.limit_bytes:
            yield f"I5 pool {row.name} has {row.allocated_bytes} of {row.limit_bytes} bytes allocated"
    yield from _floors(connection)


def _floors(connection: Connection) -> Iterator[str]:
    """I5 for what pools promise: the sum of the floors that they carry, and within the budget."""
    pending, pools = tables.reservations.c, tables.pools
    for kind in ("iops", "throughput"):
        promised = dict.fromkeys(connection.execute(select(pools.c.id)).scalars(), 0)
        carried = [
            select(tables.instances.c.pool_id, tables.instances.c[f"{kind}_floor"]),
            select(tables.tombstones.c.pool_id, tables.tombstones.c[f"{kind}_floor"]).where(
                tables.tombstones.c.gone_at.is_(None)
            ),
            select(pending.target, pending[kind]).where(pending.scope == "pool", pending.state == "pending"),
        ]
        for part in carried:
            for pool, floor in connection.execute(part):
                promised[pool] += floor
        for row in connection.execute(select(pools)).mappings():
            said, budget = row[f"{kind}_promised"], row[f"{kind}_budget"]
            if said != promised[row["id"]]:
                yield f"I5 pool {row['name']} says that it promises {said} {kind}, its rows {promised[row['id']]}"
            if said > (budget or 0):
                yield f"I5 pool {row['name']} promises {said} {kind} of {budget}"


def _quota(connection: Connection, project: str) -> Iterator[str]:
    """I6: the project's use is what its rows and open reservations add up to."""
    shares, snapshots, held, quotas = tables.shares, tables.snapshots, tables.reservations, tables.quotas
    count, size = connection.execute(
        select(func.count(), func.coalesce(func.sum(shares.c.size), 0)).where(shares.c.project == project)
    ).one()
    taken = connection.execute(
        select(func.count()).select_from(snapshots).where(snapshots.c.project == project)
    ).scalar_one()
    pending = connection.execute(
        select(func.count()).where(held.c.scope == "quota", held.c.target == project, held.c.state == "pending")
    ).scalar_one()
    row = connection.execute(select(quotas).where(quotas.c.project == project)).first()
    used = (row.shares_used, row.bytes_used, row.snapshots_used) if row else (0, 0, 0)
    if used != (count, int(size), taken) or pending:
        yield f"I6 the quota says {used}, the rows {(count, int(size), taken)}, {pending} reservations are open"


def _at_rest(connection: Connection, stage: Stage) -> Iterator[str]:
    """I10: every operation has ended, and holds nothing any more."""
    operations, held = tables.operations, tables.reservations
    rows = connection.execute(select(operations).where(operations.c.project == stage.project)).mappings().all()
    for row in rows:
        if row["kind"] == names.SYNC_REPLICA and row["state"] == "running":
            continue  # as long-lived as its replica
        if row["state"] not in ("succeeded", "failed-clean") or row["ended_at"] is None or row["left_over"]:
            yield f"I10 operation {row['id']} ({row['kind']}) is {row['state']} {row['left_over']}"
        if (row["state"] == "failed-clean") != (row["failure"] is not None):
            yield f"I10 operation {row['id']} is {row['state']} with failure {row['failure']}"
        if row["waiting_for"]:
            yield f"I10 operation {row['id']} still waits for {row['waiting_for']}"
    mine = list(stage.operations)
    for table in (tables.claims, tables.tickets):
        left = connection.execute(
            select(func.count()).select_from(table).where(table.c.operation.in_(mine))
        ).scalar_one()
        if left:
            yield f"I10 {left} {table.name} are left"
    pending = connection.execute(
        select(func.count()).where(held.c.operation.in_(mine), held.c.state == "pending")
    ).scalar_one()
    if pending:
        yield f"I10 {pending} reservations are left pending"
    yield from _held(connection, stage)


def _held(connection: Connection, stage: Stage) -> Iterator[str]:
    """I10: no resource says that an operation of the cell has it."""
    instances = tables.instances.c
    for name in connection.execute(
        select(instances.object).where(instances.claimed_by.in_(stage.operations))
    ).scalars():
        yield f"I10 instance {name} is still claimed"
    for table in (tables.shares, tables.snapshots):
        claimed = select(table.c.name).where(table.c.project == stage.project, table.c.claimed_by.is_not(None))
        for name in connection.execute(claimed).scalars():
            yield f"I10 {table.name} {name} is still claimed"


def _audit(connection: Connection, stage: Stage) -> Iterator[str]:
    """I11: one row per change, each continuing the one before, up to the head that the resource's row keeps."""
    rows = (
        connection.execute(
            select(tables.audit)
            .where(tables.audit.c.project == stage.project)
            .order_by(tables.audit.c.resource_id, tables.audit.c.revision)
        )
        .mappings()
        .all()
    )
    heads: dict[str, Any] = {}
    for row in rows:
        before = heads.get(row["resource_id"])
        previous = (before["after"], before["revision"], before["digest"]) if before else ("", 0, "")
        fields = {
            key: row[key]
            for key in (
                "resource_kind", "resource_id", "revision", "project", "operation", "before", "after", "why",
                "requested_by",
            )
        }  # fmt: skip
        fields["at"] = row["at"].isoformat(timespec="microseconds")
        if (row["before"], row["revision"] - 1) != previous[:2] or row["digest"] != audit.digest(previous[2], fields):
            yield f"I11 audit row {row['revision']} of {row['resource_id']} does not continue the one before"
        if row["operation"] not in stage.operations:
            yield f"I11 audit row {row['revision']} of {row['resource_id']} names operation {row['operation']}"
        heads[row["resource_id"]] = row
    for table in (tables.shares, tables.snapshots):
        for row in connection.execute(select(table).where(table.c.project == stage.project)).mappings():
            head = heads.pop(row["id"], None)
            if head is None or (head["revision"], head["digest"], head["after"]) != (
                row["revision"], row["audit_digest"], row["status"],
            ):  # fmt: skip
                yield f"I11 {table.name} {row['name']} is not what its audit says"
    for identifier, head in heads.items():
        if head["after"] != "gone":
            yield f"I11 {identifier} is gone, its audit ends with {head['after']}"


def _secrets(connection: Connection, stage: Stage) -> Iterator[str]:
    """I14: the password is in no row of the project."""
    for table in (tables.operations, tables.audit):
        for row in connection.execute(select(table).where(table.c.project == stage.project)):
            if CANARY in str(tuple(row)):
                yield f"I14 the password is in table {table.name}"


def whole_world(world: World) -> list[str]:
    """What is wrong with everything together, at the end."""
    found: list[str] = []
    with world.database.read() as connection:
        found += _capacity(connection)
        found += [f"I11 chain of {identifier} is broken" for identifier in audit.broken_chains(connection)]
        for table in (tables.backends, tables.pools, tables.share_types, tables.findings):
            found += [f"I14 the password is in table {table.name}" for row in connection.execute(select(table))
                      if CANARY in str(tuple(row))]  # fmt: skip
        for table in (tables.claims, tables.tickets):
            left = connection.execute(select(func.count()).select_from(table)).scalar_one()
            found += [f"I10 {left} {table.name} are left"] if left else []
        known = _names(connection)
    for backend in world.process.services.drivers:
        array = world.array(backend)
        found += [*array.ledger.verify_snapshots(), *array.ledger.audit(), *array.ledger.violations()]
        stored = array.objects()
        found += [f"I2 {one.name} is an orphan on {backend}" for one in stored if one.name not in known]
        found += [f"I3 {name} is not on any backend" for name in _missing(world, stored, backend)]
    copies = [
        one for one in (world.process.services.state_dir / "mover").glob("*") if not one.name.startswith("memory-")
    ]
    found += [f"I10 copy job {path.name} is left: {_about(path)}" for path in copies]
    return found


def _about(job: Path) -> str:
    """What the mover was asked for."""
    request = job / "request.json"
    return request.read_text() if request.is_file() else ", ".join(sorted(one.name for one in job.glob("*")))


def _missing(world: World, stored: Sequence[StoredObject], backend: str) -> list[str]:
    there = {one.name for one in stored}
    missing = []
    with world.database.read() as connection:
        for table in (tables.instances, tables.snapshot_instances):
            rows = connection.execute(
                select(table.c.object)
                .join(tables.pools, tables.pools.c.id == table.c.pool_id)
                .where(tables.pools.c.backend == backend)
            )
            missing += [name for name in rows.scalars() if name not in there]
    return missing
