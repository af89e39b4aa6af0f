"""Reading: short questions to the inventory through a worker, always inside one project."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import TimeoutError as WorkflowTimeout

from shareflow import names
from shareflow.commands import build
from shareflow.contracts.base import StrictModel
from shareflow.contracts.drift import DetectDriftInput, DetectDriftResult
from shareflow.contracts.operations import AffinityBy, OperationState
from shareflow.contracts.reads import (
    AuditQuery,
    AuditView,
    FindingQuery,
    FindingView,
    OperationQuery,
    OperationRef,
    OperationView,
    Page,
    PlacementQuery,
    PlacementView,
    PoolView,
    ProjectRef,
    QosClassView,
    QuotaView,
    ShareQuery,
    ShareRef,
    ShareStatus,
    ShareTypeView,
    ShareView,
    SnapshotQuery,
    SnapshotRef,
    SnapshotView,
)
from shareflow.contracts.specs import Document, InventoryPage, InventoryQuery, PlanQuery, PlanView, SpecsView
from shareflow.errors import InvalidState, ShareflowError
from shareflow.failures import from_workflow, no_worker
from shareflow.wire import Wire

DRIFT_SECONDS = timedelta(seconds=120)
"""How long a search for drift may take, waiting for backends that nobody serves included."""

Query = TypeVar("Query", bound=StrictModel)


class Reads:
    """What a client can ask. Nothing here changes anything.

    All methods raise InvalidInput for malformed questions, NotFound for what is not in this project,
    BackendUnavailable when no worker answers within 10 s, DatabaseUnavailable, and ServerUnavailable.
    Lists are asynchronous iterators that fetch page by page; the ``*_page`` methods give one page and where it goes on.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(
        self,
        *,
        status: ShareStatus | str | None = None,
        type: str | None = None,  # noqa: A002 - the word for it everywhere
        backend: str | None = None,
        pool: str | None = None,
        name_prefix: str = "",
        deleted: bool = False,
        sort: str = "name",
        descending: bool = False,
    ) -> AsyncIterator[ShareView]:
        """The project's shares; with ``deleted`` those in the recycle bin. Sort by name, size, created_at or status."""
        query = self._query(
            ShareQuery, status=status, type=type, backend=backend, pool=pool, name_prefix=name_prefix, deleted=deleted,
            sort=sort, descending=descending,
        )  # fmt: skip
        return self._wire.rows(names.LIST_SHARES, query, Page[ShareView])

    async def list_page(self, *, limit: int = 100, after: str = "", **filters: Any) -> Page[ShareView]:
        """One page of :meth:`list` (same filters): up to ``limit`` (1 to 1,000) shares, from ``after`` on."""
        query = self._query(ShareQuery, limit=limit, after=after, **filters)
        return await self._wire.read(names.LIST_SHARES, query, Page[ShareView])

    async def get(self, share: str, *, deleted: bool = False) -> ShareView:
        """One share by name or id; with ``deleted`` also one in the recycle bin, by id."""
        query = self._query(ShareRef, share=share, deleted=deleted)
        return await self._wire.read(names.GET_SHARE, query, ShareView)

    def snapshots(
        self, share: str | None = None, *, sort: str = "name", descending: bool = False
    ) -> AsyncIterator[SnapshotView]:
        """The snapshots of a share, or of all shares. Sort by name, size or created_at."""
        query = self._query(SnapshotQuery, share=share, sort=sort, descending=descending)
        return self._wire.rows(names.LIST_SNAPSHOTS, query, Page[SnapshotView])

    async def get_snapshot(self, share: str, snapshot: str) -> SnapshotView:
        """One snapshot of a share, each by name or id."""
        query = self._query(SnapshotRef, share=share, snapshot=snapshot)
        return await self._wire.read(names.GET_SNAPSHOT, query, SnapshotView)

    def operations(
        self,
        *,
        state: OperationState | str | None = None,
        kind: str | None = None,
        share: str | None = None,
        sort: str = "created_at",
        descending: bool = True,
    ) -> AsyncIterator[OperationView]:
        """The project's operations, newest first. Sort by created_at or kind."""
        query = self._query(OperationQuery, state=state, kind=kind, share=share, sort=sort, descending=descending)
        return self._wire.rows(names.LIST_OPERATIONS, query, Page[OperationView])

    async def operation(self, operation: str) -> OperationView:
        """One operation as recorded, by id; :meth:`~shareflow.client.Shares.operation_handle` gives the live one."""
        query = self._query(OperationRef, operation=operation)
        return await self._wire.read(names.GET_OPERATION, query, OperationView)

    async def pools(self) -> tuple[PoolView, ...]:
        """All pools with capacity, what is allocated, and their attributes."""
        page = await self._wire.read(names.LIST_POOLS, self._query(ProjectRef), Page[PoolView])
        return tuple(page.items)

    async def types(self) -> tuple[ShareTypeView, ...]:
        """The share types that can be asked for."""
        page = await self._wire.read(names.LIST_SHARE_TYPES, self._query(ProjectRef), Page[ShareTypeView])
        return tuple(page.items)

    async def qos_classes(self) -> tuple[QosClassView, ...]:
        """The QoS classes that a share can be given."""
        page = await self._wire.read(names.LIST_QOS_CLASSES, self._query(ProjectRef), Page[QosClassView])
        return tuple(page.items)

    async def quota(self) -> QuotaView:
        """The project's limits and what it uses."""
        return await self._wire.read(names.GET_QUOTA, self._query(ProjectRef), QuotaView)

    async def explain(
        self,
        size: str | int,
        type: str = "standard",  # noqa: A002 - the word for it everywhere
        *,
        zone: str | None = None,
        backend: str | None = None,
        pool: str | None = None,
        affinity: Sequence[str] = (),
        anti_affinity: Sequence[str] = (),
        affinity_by: str = AffinityBy.POOL,
    ) -> PlacementView:
        """Where a share would go now, with the verdict on every pool. Nothing is reserved."""
        query = self._query(
            PlacementQuery, size=size, type=type, zone=zone, backend=backend, pool=pool,
            affinity=list(affinity), anti_affinity=list(anti_affinity), affinity_by=affinity_by,
        )  # fmt: skip
        return await self._wire.read(names.EXPLAIN_PLACEMENT, query, PlacementView)

    async def explain_operation(self, operation: str) -> PlacementView:
        """Why an operation took its pool, or found none: its decision in full, worked out again from what it saw.

        Raises:
            NotFound: there is no such operation in the project, or it has placed nothing.
        """
        query = self._query(OperationRef, operation=operation)
        return await self._wire.read(names.EXPLAIN_OPERATION, query, PlacementView)

    async def specs(self) -> SpecsView:
        """The set of specs that counts, as records."""
        return await self._wire.read(names.GET_SPECS, self._query(ProjectRef), SpecsView)

    async def save_inventory(self) -> tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]]:
        """The pools as placement sees them now and the project's shares on them, for replays of requests.

        Raises:
            InvalidState: the inventory changed in each of three tries, or the project has too many shares.
        """
        for _ in range(3):
            query = self._query(InventoryQuery)
            pages = [await self._wire.read(names.SAVE_INVENTORY, query, InventoryPage)]
            while pages[-1].next:
                query = self._query(InventoryQuery, after=pages[-1].next)
                pages.append(await self._wire.read(names.SAVE_INVENTORY, query, InventoryPage))
            if len({page.revision for page in pages}) == 1:
                return [pool for page in pages for pool in page.pools], [one for page in pages for one in page.shares]
        raise InvalidState("the inventory changes too quickly to be saved in one piece", hint="try again")

    async def plan_specs(self, documents: Sequence[Document]) -> PlanView:
        """What applying these documents, as one whole set, would change, and what that means for the shares there.

        Raises:
            InvalidInput: the set has more than 1 MiB as JSON.
            SpecError: the set is refused.
        """
        return await self._wire.read(names.PLAN_SPECS, self._query(PlanQuery, documents=list(documents)), PlanView)

    async def detect_drift(self, documents: Sequence[Document] | None = None) -> DetectDriftResult:
        """Where git's set (when given), the applied one and the backends say different things. Changes nothing.

        Raises:
            SpecError: git's set is refused.
            BackendUnavailable: no worker gave a report within two minutes.
        """
        git = None if documents is None else list(documents)
        request = self._query(DetectDriftInput, documents=git)
        workflow = f"detect-drift-{uuid.uuid4()}"
        async with self._wire.call():
            handle = await self._wire.client.start_workflow(
                names.DETECT_DRIFT,
                request,
                id=workflow,
                task_queue=names.QUEUE,
                result_type=DetectDriftResult,
                execution_timeout=DRIFT_SECONDS,
                static_summary="compare git, applied specs and backends",
            )
        try:
            async with self._wire.call(DRIFT_SECONDS.total_seconds() + 10):
                report: DetectDriftResult = await handle.result()
        except ShareflowError as error:
            cause = error.__cause__
            if isinstance(cause, WorkflowFailureError):
                if isinstance(cause.cause, WorkflowTimeout):
                    raise no_worker() from cause
                raise from_workflow(cause, workflow) from cause
            raise
        return report

    def findings(self, *, open_only: bool = True) -> AsyncIterator[FindingView]:
        """What the reconciler found; with ``open_only`` only what is not repaired yet."""
        query = self._query(FindingQuery, open_only=open_only)
        return self._wire.rows(names.LIST_FINDINGS, query, Page[FindingView])

    def audit(self, *, resource: str | None = None, operation: str = "") -> AsyncIterator[AuditView]:
        """State changes, newest first, of the project, of one resource or of one operation."""
        query = self._query(AuditQuery, resource=resource, operation=operation)
        return self._wire.rows(names.LIST_AUDIT, query, Page[AuditView])

    def _query(self, model: type[Query], **fields: Any) -> Query:
        return build(model, project=self._wire.project, **fields)
