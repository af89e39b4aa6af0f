"""CreateShare and CreateShareFromSnapshot in the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import Connection, RowMapping, delete

from activities import placement, qos
from activities.recipes.base import Recipe, claim, fence_of, refused_so_far, require_status, share_answer
from dsl.capacity import Purpose
from dsl.documents import QosClassSpec, ShareTypeSpec
from dsl.placement import PlacementRequest
from inventory import audit, claims, replicas, reservations, resources, tables
from inventory.claims import Want
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import CreateShareFromSnapshotInput, CreateShareInput
from shareflow.contracts.places import ObjectPlace
from shareflow.contracts.steps import Begun, CommitInput, PlaceAgainInput
from shareflow.contracts.units import format_size
from shareflow.errors import DoesNotFit, InvalidInput, NameTaken, StaleClaim

Creating = CreateShareInput | CreateShareFromSnapshotInput


def check_name_free(connection: Connection, project: str, name: str) -> None:
    """Raise NameTaken when a share in view has the name."""
    if resources.name_taken(connection, project, name):
        raise NameTaken(f"project {project!r} has a share {name!r}", field="name", hint="choose another name")


def check_size(spec: ShareTypeSpec, size: int) -> None:
    """Raise InvalidInput when the type does not allow shares of this size."""
    refusal = spec.size_refusal(size)
    if refusal is not None:
        raise InvalidInput(
            f"{format_size(size)} is refused: {refusal}", field="size", hint="choose another size or type"
        )


class _Create(Recipe[Any]):
    """What both ways of making a share have in common."""

    purpose: ClassVar[Purpose] = Purpose.CREATE

    def _insert(
        self,
        connection: Connection,
        operation: OpenOperation,
        request: Creating,
        spec: ShareTypeSpec,
        version: str,
        size: int,
        *,
        source: RowMapping | None = None,
        prefer: str | None = None,
        exclude: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Reserve, place and add the rows; returns what a begun creation has."""
        check_name_free(connection, operation.project, request.name)
        check_size(spec, size)
        reservations.reserve_quota(connection, operation.id, operation.project, size=size, shares=1)
        wished = qos.of_type(connection, spec)
        wanted = self._wanted(connection, operation, request, spec, wished, size, exclude or {})
        pool, decision = self.placement.choose(connection, operation.id, wanted, prefer=prefer)
        share = resources.add_share(
            connection,
            operation.actor,
            {
                "name": request.name,
                "size": size,
                "type": spec.name,
                "type_version": version,
                "protocol": spec.protocol,
                "description": request.description,
                "source_snapshot_id": source["id"] if source else "",
                **({"qos_class": wished.name, "qos_version": wished.version} if wished else {}),
            },
        )
        place = resources.add_instance(connection, share, pool, size)
        operation.notes.update(share_id=share, waiting_for=None, placement=decision)
        return {
            "share_id": share,
            "share_name": request.name,
            "instance": place,
            "qos": qos.for_new_share(wished, size, pool),
            "placement": decision["text"],
        }

    def _wanted(
        self,
        connection: Connection,
        operation: OpenOperation,
        request: Creating,
        spec: ShareTypeSpec,
        wished: QosClassSpec | None,
        size: int,
        exclude: Mapping[str, str],
    ) -> PlacementRequest:
        project = operation.project
        return PlacementRequest(
            size=size,
            type=spec,
            zone=request.zone,
            backend=request.backend,
            pool=request.pool,
            exclude=exclude,
            qos=wished,
            purpose=self.purpose,
            project=project,
            affinity=placement.neighbours(connection, project, request.affinity, "affinity"),
            anti_affinity=placement.neighbours(connection, project, request.anti_affinity, "anti_affinity"),
            affinity_by=request.affinity_by.value,
        )

    def place_again(
        self, connection: Connection, operation: OpenOperation, begun: Begun, refusal: PlaceAgainInput
    ) -> Begun:
        """Exclude the pool that refused and reserve on the next-best; the refused instance's row goes.

        Idempotent by instance: once moved, the same refusal gives the same answer. Raises NoPoolFits.
        """
        if begun.instance is None or begun.instance.id != refusal.instance:
            return begun
        request = self.parse(operation)
        share = resources.share_row(connection, begun.share_id)
        spec = placement.type_spec(resources.share_type(connection, share["type"], share["type_version"]))
        excluded = refused_so_far(operation, refusal)
        reservations.void(connection, operation.id, scope="pool", target=refusal.pool_id)
        connection.execute(delete(tables.instances).where(tables.instances.c.id == refusal.instance))
        wished = qos.of_share(connection, share)
        wanted = self._wanted(connection, operation, request, spec, wished, share["size"], excluded)
        pool, decision = self.placement.choose(connection, operation.id, wanted)
        place = resources.add_instance(connection, share["id"], pool, share["size"])
        operation.notes["placement"] = decision
        return begun.model_copy(
            update={
                "instance": place,
                "clone": begun.clone and self._clones(connection, begun, place),
                "qos": qos.for_new_share(wished, share["size"], pool),
                "placement": decision["text"],
            }
        )

    def _clones(self, connection: Connection, begun: Begun, place: ObjectPlace) -> bool:
        return begun.source is not None and begun.source.pool_id == place.pool_id

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """See base class."""
        if begun.instance is None:
            raise StaleClaim(f"operation {operation.id} has no instance to commit")
        fence = fence_of(begun.fences, begun.share_id)
        resources.set_instance(connection, begun.instance.id, status="available", allocated_bytes=begun.instance.size)
        columns = {} if begun.qos is None else qos.recorded(begun.qos, outcome.qos)
        share = audit.change(
            connection, operation.actor, tables.shares, begun.share_id, after="available", epoch=fence.epoch, **columns
        )
        if begun.qos is not None:
            qos.settle_floors(connection, begun.instance, begun.qos, outcome.qos)
        resources.add_export_paths(connection, begun.instance.id, share["protocol"], outcome.export_paths)
        reservations.commit(connection, operation.id)
        return share_answer(operation, share, begun.instance, outcome.export_paths)

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """See base class."""
        connection.execute(delete(tables.instances).where(tables.instances.c.share_id == begun.share_id))
        audit.remove(connection, operation.actor, tables.shares, begun.share_id, why="creation undone")


class CreateShare(_Create):
    """An empty share."""

    kind = names.CREATE_SHARE
    input_model = CreateShareInput

    def begin(self, connection: Connection, operation: OpenOperation, request: CreateShareInput) -> Begun:
        """See base class."""
        row = resources.share_type(connection, request.type)
        made = self._insert(connection, operation, request, placement.type_spec(row), row["version"], request.size)
        fence = claims.hold_new(connection, operation.id, "share", made["share_id"])
        return self.started(connection, operation, fences=[fence], **made)


class CreateShareFromSnapshot(_Create):
    """A share with a snapshot's content: cloned in the snapshot's pool, else copied anywhere that fits."""

    kind = names.CREATE_SHARE_FROM_SNAPSHOT
    input_model = CreateShareFromSnapshotInput
    purpose = Purpose.FROM_SNAPSHOT

    def begin(self, connection: Connection, operation: OpenOperation, request: CreateShareFromSnapshotInput) -> Begun:
        """See base class."""
        parent = resources.find_share(connection, operation.project, request.share)
        snapshot = resources.find_snapshot(connection, parent, request.snapshot)
        source, beside = _source(connection, request, parent["id"], snapshot["id"])
        wants = [Want("snapshot", snapshot["id"], "shared")]
        if beside is not None:
            wants.append(Want("instance", beside["id"], "shared"))
        fences = claim(connection, operation, request, wants)
        if isinstance(fences, Begun):
            if beside is None or beside["claimed_by"] != beside["sync_operation"]:
                return fences
            return fences.model_copy(update={"nudge": {beside["sync_operation"]: names.GIVE_WAY}})
        require_status(resources.snapshot_row(connection, snapshot["id"]), "snapshot", "available")
        size = request.size or snapshot["size"]
        if size < snapshot["size"]:
            raise DoesNotFit(
                f"{format_size(size)} is below the snapshot's size of {format_size(snapshot['size'])}",
                field="size",
                hint="leave the size out, or ask for more",
            )
        version = None if request.type else parent["type_version"]
        row = resources.share_type(connection, request.type or parent["type"], version)
        pool = resources.pool_row(connection, source.pool_id)
        clones = bool(pool["attributes"].get("clone"))
        exclude = {} if clones or pool["attributes"].get("host_access") else self._unreadable(connection, source)
        made = self._insert(
            connection,
            operation,
            request,
            placement.type_spec(row),
            row["version"],
            size,
            source=snapshot,
            prefer=source.pool_id if clones else None,
            exclude=exclude,
        )
        fence = claims.hold_new(connection, operation.id, "share", made["share_id"])
        return self.started(
            connection,
            operation,
            fences=[fence],
            source=source,
            snapshot_fences=list(fences),
            clone=clones and made["instance"].pool_id == source.pool_id,
            **made,
        )

    @staticmethod
    def _unreadable(connection: Connection, source: ObjectPlace) -> dict[str, str]:
        reason = f"snapshots of backend {source.backend} can neither be cloned nor read on a host"
        return {row["id"]: reason for row in resources.pools_picture(connection)}


def _source(
    connection: Connection, request: CreateShareFromSnapshotInput, share_id: str, snapshot_id: str
) -> tuple[ObjectPlace, RowMapping | None]:
    """Where the content is taken from, and the replica that has it there; None beside the active instance.

    A replica's copy is taken when the new share is to be in that pool, which can clone it, or when the active
    instance's backend does not answer.
    """
    active = resources.snapshot_places(connection, [snapshot_id])[0]
    home = resources.pool_row(connection, active.pool_id)
    if _is_pinned(request, home) and home["reachable"]:
        return active, None
    for row in replicas.of_share(connection, share_id):
        pool = resources.pool_row(connection, row["pool_id"])
        whole = [one for one in resources.copies_on(connection, row["id"]) if one["snapshot_id"] == snapshot_id]
        if row["stale"] or row["status"] != "available" or not pool["reachable"] or not whole:
            continue
        near = _is_pinned(request, pool) and bool(pool["attributes"].get("clone"))
        if whole[0]["status"] == "copied" and (near or not home["reachable"]):
            place = next(one for one in resources.copy_places(connection, row["id"]) if one.id == snapshot_id)
            return place, row
    return active, None


def _is_pinned(request: CreateShareFromSnapshotInput, pool: RowMapping) -> bool:
    """Whether the new share may be in a pool by what the request says of places."""
    return (
        request.pool in (None, pool["name"], pool["id"], f"{pool['backend']}/{pool['name']}")
        and request.backend in (None, pool["backend"])
        and request.zone in (None, pool["zone"])
    )
