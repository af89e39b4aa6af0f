"""The Python client. It talks to Temporal and to nothing else, so that it works from any machine.

async with shareflow.connect() as shares:
    operation = await shares.create("home", "10 GiB")
    print((await operation.result()).export_locations)
"""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import AsyncIterator, Sequence

from temporalio.client import WorkflowHandle

from shareflow import names
from shareflow.commands import build
from shareflow.contracts.operations import (
    AffinityBy,
    ApplySpecsInput,
    ApplySpecsResult,
    CreateShareFromSnapshotInput,
    CreateShareInput,
    CreateSnapshotInput,
    DeleteShareInput,
    DeleteShareResult,
    DeleteSnapshotInput,
    DrainPoolInput,
    DrainPoolResult,
    ForgetShareInput,
    ForgetShareResult,
    OnBusy,
    OperationResult,
    ResizeShareInput,
    RevertShareInput,
    SetShareQosInput,
    SetShareQosResult,
    ShareResult,
    SnapshotResult,
)
from shareflow.contracts.reads import OperationRef, ProjectRef
from shareflow.contracts.specs import Document, PlanToken
from shareflow.contracts.units import format_size
from shareflow.errors import NotFound
from shareflow.operation import Operation
from shareflow.replicating import Replicas
from shareflow.wire import open_wire


@contextlib.asynccontextmanager
async def connect(
    address: str | None = None,
    namespace: str | None = None,
    project: str = "default",
    by: str | None = None,
    *,
    patience: float = 60.0,
) -> AsyncIterator[Shares]:
    """A client for one project.

    Args:
        address: ``host:port`` of the Temporal server. By default what the Temporal profile or TEMPORAL_ADDRESS says,
            else 127.0.0.1:7233.
        namespace: Temporal namespace; by default the profile's, else ``default``.
        project: the tenant to act in.
        by: who asks, for the audit; by default user@host.
        patience: seconds for which a wait for a result bears an unreachable server.

    Raises:
        InvalidInput: the project is not a name.
        ServerUnavailable: no server answers there within 10 s.
    """
    build(ProjectRef, project=project)
    yield Shares(await open_wire(address, namespace, project, _caller() if by is None else by, patience))


class Shares(Replicas):
    """The shares of one project: starting operations, and reading (:class:`~shareflow.reading.Reads`).

    Every method that changes something starts an operation and returns once the server has recorded it. They take:

    - ``request_id``: makes the start idempotent. The same id with the same content gives the same operation, with
      other content :class:`~shareflow.errors.RequestReused`. ``by`` and ``reason`` are not content.
    - ``on_busy``: ``"queue"`` waits in line while another operation holds the resource, ``"fail"`` fails at once.
    - ``reason``: why, for the audit.

    All of them raise InvalidInput (nothing was started) and ServerUnavailable. What is wrong with the state of things
    (unknown share, no room, quota) ends the operation and is raised by :meth:`Operation.result`.
    """

    async def create(
        self,
        name: str,
        size: str | int,
        type: str = "standard",  # noqa: A002 - the word for it everywhere
        *,
        zone: str | None = None,
        backend: str | None = None,
        pool: str | None = None,
        affinity: Sequence[str] = (),
        anti_affinity: Sequence[str] = (),
        affinity_by: str = AffinityBy.POOL,
        description: str = "",
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ShareResult]:
        """Make an empty share; ``size`` in bytes or as ``"10 GiB"``.

        Zone, backend and pool pin its place; ``affinity`` and ``anti_affinity`` name shares that it is to be near to,
        or apart from, by the same ``pool``, ``backend`` or ``zone``.
        """
        request = build(
            CreateShareInput, **self._common(on_busy, reason),
            name=name, size=size, type=type, zone=zone, backend=backend, pool=pool, description=description,
            affinity=list(affinity), anti_affinity=list(anti_affinity), affinity_by=affinity_by,
        )  # fmt: skip
        summary = f"create share {request.name}, {format_size(request.size)}, type {request.type}"
        return await self._start(names.CREATE_SHARE, request, summary, request_id)

    async def create_from_snapshot(
        self,
        name: str,
        share: str,
        snapshot: str,
        *,
        size: str | int | None = None,
        type: str | None = None,  # noqa: A002 - the word for it everywhere
        zone: str | None = None,
        backend: str | None = None,
        pool: str | None = None,
        affinity: Sequence[str] = (),
        anti_affinity: Sequence[str] = (),
        affinity_by: str = AffinityBy.POOL,
        description: str = "",
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ShareResult]:
        """Make a share with a snapshot's content: by clone in its pool, by copy anywhere else; may grow."""
        request = build(
            CreateShareFromSnapshotInput, **self._common(on_busy, reason),
            name=name, share=share, snapshot=snapshot, size=size, type=type, zone=zone, backend=backend, pool=pool,
            description=description,
            affinity=list(affinity), anti_affinity=list(anti_affinity), affinity_by=affinity_by,
        )  # fmt: skip
        summary = f"create share {name} from snapshot {snapshot} of {share}"
        return await self._start(names.CREATE_SHARE_FROM_SNAPSHOT, request, summary, request_id)

    async def snapshot(
        self,
        share: str,
        name: str,
        *,
        description: str = "",
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[SnapshotResult]:
        """Freeze the share's content under a name."""
        request = build(
            CreateSnapshotInput, **self._common(on_busy, reason), share=share, name=name, description=description
        )
        return await self._start(names.CREATE_SNAPSHOT, request, f"snapshot {name} of share {share}", request_id)

    async def delete_snapshot(
        self,
        share: str,
        snapshot: str,
        *,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[SnapshotResult]:
        """Delete one snapshot for good. Shares made from it stay."""
        request = build(DeleteSnapshotInput, **self._common(on_busy, reason), share=share, snapshot=snapshot)
        summary = f"delete snapshot {snapshot} of share {share}"
        return await self._start(names.DELETE_SNAPSHOT, request, summary, request_id)

    async def revert(
        self,
        share: str,
        snapshot: str,
        *,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ShareResult]:
        """Take the share back to any of its snapshots; all snapshots stay."""
        request = build(RevertShareInput, **self._common(on_busy, reason), share=share, snapshot=snapshot)
        return await self._start(names.REVERT_SHARE, request, f"revert share {share} to {snapshot}", request_id)

    async def resize(
        self,
        share: str,
        size: str | int,
        *,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ShareResult]:
        """Set the share's size. A shrink is refused when the bytes in use do not fit."""
        request = build(ResizeShareInput, **self._common(on_busy, reason), share=share, size=size)
        summary = f"resize share {share} to {format_size(request.size)}"
        return await self._start(names.RESIZE_SHARE, request, summary, request_id)

    async def set_qos(
        self,
        share: str,
        qos: str | None,
        *,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[SetShareQosResult]:
        """Give the share a QoS class in its current version, or None for none. Sets it anew when it has it already."""
        request = build(SetShareQosInput, **self._common(on_busy, reason), share=share, qos=qos)
        summary = f"set QoS class of share {share} to {qos}" if qos else f"take the QoS class from share {share}"
        return await self._start(names.SET_SHARE_QOS, request, summary, request_id)

    async def delete(
        self,
        share: str,
        *,
        retention: str | int | None = None,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[DeleteShareResult]:
        """Move the share with its snapshots to the recycle bin; the purge comes after ``retention`` (default: by type).

        The operation lasts until the purge or a restore: ``await operation.deleted()`` waits for the recycle bin,
        ``await operation.result()`` for the end.
        """
        request = build(DeleteShareInput, **self._common(on_busy, reason), share=share, retention=retention)
        return await self._start(names.DELETE_SHARE, request, f"delete share {share}", request_id)

    async def preview_delete(self, share: str) -> Operation[DeleteShareResult]:
        """Only say what a delete would take along and free (``tree`` and ``frees_bytes`` of the result)."""
        request = build(DeleteShareInput, **self._common(OnBusy.QUEUE, ""), share=share, preview=True)
        return await self._start(names.DELETE_SHARE, request, f"preview of deleting share {share}", None)

    async def forget(
        self,
        share: str,
        *,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ForgetShareResult]:
        """Remove the share's rows and leave its data on the backend, for the reconciler to find."""
        request = build(ForgetShareInput, **self._common(on_busy, reason), share=share)
        return await self._start(names.FORGET_SHARE, request, f"forget share {share}", request_id)

    async def drain_pool(
        self,
        backend: str,
        pool: str,
        *,
        drained: bool = True,
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[DrainPoolResult]:
        """Place nothing new in a pool from now on, or with ``drained=False`` again. What is there stays there."""
        request = build(DrainPoolInput, **self._common(on_busy, reason), backend=backend, pool=pool, drained=drained)
        summary = f"{'drain' if drained else 'use again'} pool {backend}/{pool}"
        return await self._start(names.DRAIN_POOL, request, summary, request_id)

    async def apply_specs(
        self,
        documents: Sequence[Document],
        plan: PlanToken,
        *,
        allow: Sequence[str] = (),
        request_id: str | None = None,
        on_busy: str = OnBusy.QUEUE,
        reason: str = "",
    ) -> Operation[ApplySpecsResult]:
        """Make a set of specs the one that counts, as :meth:`~shareflow.reading.Reads.plan_specs` planned it.

        ``allow`` names the removals of what is in use that are meant. What moved since the plan (SpecsMoved), what was
        not allowed (RemovalNeedsAllow) and a set that is refused (SpecError) ends the operation with nothing changed.
        """
        request = build(
            ApplySpecsInput, **self._common(on_busy, reason),
            documents=list(documents), plan=plan, allow=list(allow),
        )  # fmt: skip
        return await self._start(names.APPLY_SPECS, request, f"apply specs {plan.new[:12]}", request_id)

    async def operation_handle(self, operation: str) -> Operation[OperationResult]:
        """Attach to an operation of this project by its id, whoever started it.

        Raises:
            NotFound: there is none of that id in this project.
        """
        build(OperationRef, project=self.project, operation=operation)
        handle: WorkflowHandle[object, object] = self._wire.client.get_workflow_handle(operation)
        try:
            async with self._wire.call():
                description = await handle.describe()
        except NotFound:
            return Operation(self._wire, operation, (await self._record(operation)).kind)
        project = description.typed_search_attributes.get(names.PROJECT)
        if description.workflow_type not in names.OPERATION_TYPES or project != self.project:
            # Another project's, or started with stock tools and not begun: only the inventory knows whose it is.
            await self._record(operation)
        return Operation(self._wire, operation, description.workflow_type)


def _caller() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        user = "unknown"
    text = f"{user}@{socket.gethostname()}"
    return "".join(ch for ch in text if ch.isprintable())[:255]
