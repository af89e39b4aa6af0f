"""The reconciler: what no operation will mend by itself is found, repaired where that is safe, else reported."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.backends import declared_backend, pool_rows
from activities.failures import as_failure, translated
from activities.inventory_steps import InventorySteps
from activities.recipes import replicate
from activities.reconcile_qos import QosSurvey
from activities.settings import Services
from drivers.contract import (
    Call,
    Driver,
    Job,
    JobState,
    ObjectKind,
    ObjectRef,
    ObjectState,
    SupportsSnapshots,
)
from drivers.errors import DriverError
from dsl.documents import BackendSpec
from inventory import catalogue, claims, comparison, findings, operations, replicas
from inventory.catalogue import pool_id
from inventory.comparison import Expected
from inventory.database import Turn
from inventory.findings import Found
from shareflow import names
from shareflow.contracts.reconcile import (
    LostOperation,
    ReconcileBackendInput,
    ReconcileBackendResult,
    ReconcileClaimsInput,
    ReconcileClaimsResult,
)
from shareflow.contracts.steps import AbortInput, Failure
from shareflow.contracts.units import format_size
from shareflow.errors import BackendUnavailable

CLAIMS_SCOPE = "claims"
LOOKUPS_AT_ONCE = 8


class ClaimsReconciler:
    """Operations whose workflow is gone, claims of nobody, passing states of nobody."""

    def __init__(self, services: Services, steps: InventorySteps) -> None:
        self._services = services
        self._steps = steps

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register."""
        return [self.find_lost_operations, self.resume_operation, self.report_strays]

    @property
    def _client(self) -> Client:
        if self._services.client is None:
            raise as_failure(BackendUnavailable("this worker has no Temporal client"))
        return self._services.client

    @activity.defn(name=names.FIND_LOST_OPERATIONS)
    async def find_lost_operations(self, query: ReconcileClaimsInput) -> list[LostOperation]:
        """Open operations without an open workflow, asked one by one: a visibility list may be behind."""
        with translated():
            opened = await asyncio.to_thread(self._open_operations)
        gate = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def look(operation: str) -> LostOperation | None:
            async with gate:
                activity.heartbeat()
                ended = await self._how_it_ended(operation)
                return None if ended is None else LostOperation(operation=operation, workflow=ended)

        old = [operation for operation, age in opened if age >= query.grace]
        return [lost for lost in await asyncio.gather(*map(look, old)) if lost is not None]

    def _open_operations(self) -> list[tuple[str, float]]:
        with self._services.database.read() as connection:
            return comparison.open_operations(connection)

    async def _how_it_ended(self, operation: str) -> str | None:
        try:
            description = await self._client.get_workflow_handle(operation).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return "missing"
            raise
        if description.status is WorkflowExecutionStatus.RUNNING or description.status is None:
            return None
        return description.status.name.lower()

    @activity.defn(name=names.RESUME_OPERATION)
    async def resume_operation(self, lost: LostOperation) -> str:
        """Start the operation's workflow again with its recorded input.

        It goes on when it was past its point of no return or in the recycle bin, or when its workflow is missing
        altogether (the server's state was lost); one that was ended from outside is undone. Returns which, or ``""``
        when it had ended meanwhile.
        """
        with translated():
            answer = await asyncio.to_thread(self._prepare, lost)
        if answer is None:
            return ""
        recovery, kind, request = answer
        try:
            await self._client.start_workflow(
                kind,
                request,
                id=lost.operation,
                task_queue=names.QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                static_summary=f"restarted by the reconciler: {recovery}",
            )
        except WorkflowAlreadyStartedError:
            return ""
        return recovery

    def _prepare(self, lost: LostOperation) -> tuple[str, str, dict[str, Any]] | None:
        with self._services.database.write() as connection:
            operation = operations.fetch(connection, lost.operation)
            if operation is None or operation.ended:
                return None
            passed = operation.no_return or bool((operation.begun or {}).get("phase"))
            passed = passed or operation.kind == names.SYNC_REPLICA  # there is nothing to undo, and it is needed
            vanished = lost.workflow in ("missing", "completed") and operation.recovery != operations.UNDOING
            recovery = "continue" if passed or vanished else "undo"
            if operation.begun is not None or recovery == "continue":
                operations.note(connection, operation.id, recovery=recovery)
                return recovery, operation.kind, operation.request
        # It only stood in line: nothing was begun, so there is nothing to restart.
        gone = Failure(type="OperationFailed", message=f"its workflow was {lost.workflow} while it waited in line")
        self._steps.abort(AbortInput(operation=lost.operation, failure=gone))
        return None

    @activity.defn(name=names.REPORT_STRAYS, no_thread_cancel_exception=True)
    def report_strays(self, _query: ReconcileClaimsInput) -> ReconcileClaimsResult:
        """Give back claims of operations that are over; open lost syncs anew; report passing states of nobody."""
        with translated(), self._services.database.write() as connection:
            released = comparison.stray_claims(connection)
            found = [
                Found("stray-claim", operation, detail="it was over but still held something", repaired=True)
                for operation in released
            ]
            for operation in released:
                claims.release(connection, operation)
            strays = comparison.stray_statuses(connection)
            for kind, identifier, status in strays:
                advice = "no operation will end this; compare with the backend, then forget or delete it"
                detail = f"{kind} is {status}, and no operation holds it"
                found.append(Found("stray-status", f"{kind}/{identifier}", detail=detail, advice=advice))
            found += self._open_syncs(connection)
            findings.report(connection, CLAIMS_SCOPE, found)
            reported = [f"{kind}/{identifier}" for kind, identifier, _ in strays]
            return ReconcileClaimsResult(resumed=[], released=released, reported=reported)

    @staticmethod
    def _open_syncs(connection: Connection) -> list[Found]:
        """A replica whose sync is over gets another one: opened here, its workflow is started by the next pass."""
        found = []
        for row in comparison.replicas_without_sync(connection):
            opened = f"{replicate.sync_operation(row['id'])}-{uuid.uuid4().hex[:8]}"
            replicate.open_sync(connection, row["share_id"], row["id"], opened)
            replicas.note(connection, row["id"], sync_operation=opened)
            detail = f"operation {row['sync_operation']} kept it in step and is over; {opened} does from now on"
            found.append(Found("unsynced-replica", f"replica/{row['id']}", detail=detail, repaired=True))
        return found


class BackendReconciler:
    """One backend against the inventory. Runs where the backend can be reached."""

    def __init__(self, services: Services, spec: BackendSpec, driver: Driver) -> None:
        self._database = services.database
        self._spec = spec
        self._driver = driver
        self._qos = QosSurvey(services.database, driver, spec.name)
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"reconcile-{spec.name}")

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register on the backend's queue."""
        return [self.reconcile]

    def close(self) -> None:
        """Take no more scans."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @activity.defn(name=names.BACKEND_RECONCILE)
    async def reconcile(self, _query: ReconcileBackendInput) -> ReconcileBackendResult:
        """Refresh the pools' figures, compare every pool, repair what is safe, report the rest."""
        with translated():
            scan = asyncio.get_running_loop().run_in_executor(self._threads, self._scan)
            while not scan.done():
                await asyncio.wait([scan], timeout=2)
                activity.heartbeat()
            return await scan

    def _scan(self) -> ReconcileBackendResult:
        name = self._spec.name
        try:
            reports = self._driver.pools()
        except DriverError as error:
            with self._database.write() as connection:
                catalogue.unreachable(connection, name)
                unreachable = Found(
                    "unreachable-backend", name, detail=error.reason, advice="nothing is placed there until it answers"
                )
                findings.report(connection, name, [unreachable], pools=["-"])
            return ReconcileBackendResult(backend=name, reachable=False, open=1)
        with self._database.write() as connection:
            Turn.ACCOUNTS.take(connection)  # no other set may be applied between reading the terms and using them
            spec, defaults = declared_backend(connection, self._spec)
            catalogue.refresh(connection, name, pool_rows(spec, self._driver, reports, defaults))
        found: list[Found] = []
        listed: list[str] = []
        objects = 0
        for pool in self._spec.pools:
            try:
                listing = self._driver.list_objects(pool.name)
            except DriverError:
                continue  # unknown, never orphan
            objects += len(listing.objects)
            if listing.complete:
                listed.append(pool.name)
                found += self._compare(pool.name, {state.ref.name: state for state in listing.objects})
                found += self._qos.pool(pool.name)
        with self._database.write() as connection:
            over = findings.report(connection, name, found, pools=listed)
        standing = sum(not item.repaired for item in found)
        return ReconcileBackendResult(backend=name, reachable=True, objects=objects, open=standing, repaired=over)

    def _compare(self, pool: str, present: dict[str, ObjectState]) -> list[Found]:
        with self._database.read() as connection:
            wanted = comparison.expected(connection, pool_id(self._spec.name, pool))
        found = [self._stranger(pool, state) for name, state in present.items() if name not in wanted]
        found += [self._missing(pool, item) for name, item in wanted.items() if name not in present]
        # What is doomed goes in the order in which it can: a share after the snapshots of it.
        there = sorted(wanted.keys() & present.keys(), key=lambda name: (present[name].kind is ObjectKind.SHARE, name))
        for name in there:
            found += self._differences(pool, wanted[name], present[name])
        return [item for item in found if item is not None]

    def _now(self, pool: str, name: str) -> tuple[Expected | None, ObjectState | None, bool]:
        """What both sides say of one object now; the listing and the rows were read at different moments."""
        try:
            state = self._driver.observe(ObjectRef(pool=pool, name=name))
        except DriverError:
            return None, None, False
        with self._database.read() as connection:
            item = comparison.expected(connection, pool_id(self._spec.name, pool), [name]).get(name)
        return item, state, True

    def _stranger(self, pool: str, state: ObjectState) -> Found | None:
        name = state.ref.name
        item, state_now, known = self._now(pool, name)
        if not known or item is not None or state_now is None:
            return None
        with self._database.read() as connection:
            working = comparison.is_open(connection, state_now.operation)
        if working:
            return None
        ours = state_now.deployment == self._driver.config.deployment
        if ours and not state_now.complete:
            return self._remove(pool, state_now)
        owner = "this deployment" if ours else f"deployment {state_now.deployment or 'unknown'}"
        return Found(
            "orphan-object" if ours else "foreign-object",
            f"{self._spec.name}/{pool}/{name}",
            pool=pool,
            detail=f"{state_now.kind.value} of {format_size(state_now.size)} tagged {owner}, operation "
            f"{state_now.operation or 'unknown'}; no row knows it",
            advice="look at its content on the backend; delete it there when nobody needs it",
            bytes=state_now.size,
        )

    def _remove(self, pool: str, state: ObjectState, what: str = "half-made-object") -> Found:
        """A half-made object of ours whose operation is over, of which nobody can have been told; or a doomed one."""
        subject = f"{self._spec.name}/{pool}/{state.ref.name}"
        call = Call(self._driver.config.deployment, state.operation or "reconciler", "reconcile", max(state.epoch, 1))
        try:
            job = self._delete(state, call)
        except DriverError as error:
            return Found(what, subject, pool=pool, detail=error.reason, advice="tried again at the next scan")
        gone = job.state is JobState.DONE
        detail = f"left by operation {state.operation}; " + ("removed" if gone else "being removed")
        return Found(what, subject, pool=pool, detail=detail, bytes=state.size, repaired=gone)

    def _remove_doomed(self, pool: str, item: Expected, state: ObjectState) -> Found:
        """What a purge had to leave, because this backend did not answer then."""
        found = self._remove(pool, state, "doomed-object")
        if found.repaired:
            with self._database.write() as connection:
                comparison.bury(connection, item, pool_id(self._spec.name, pool))
        return found

    def _delete(self, state: ObjectState, call: Call) -> Job:
        if state.kind is ObjectKind.SNAPSHOT and isinstance(self._driver, SupportsSnapshots):
            return self._driver.delete_snapshot(state.ref, call)
        return self._driver.delete_share(state.ref, call)

    def _missing(self, pool: str, item: Expected) -> Found | None:
        item_now, state, known = self._now(pool, item.object)
        if not known or state is not None or item_now is None or not item_now.settled:
            return None
        if item_now.kind == "tombstone":
            with self._database.write() as connection:
                comparison.bury(connection, item_now, pool_id(self._spec.name, pool))
            return None
        return Found(
            "missing-object",
            f"{self._spec.name}/{pool}/{item.object}",
            pool=pool,
            detail=f"{item.kind} {item.id} is {item.status}, but its object is not on the backend",
            advice="delete that replica and make another one"
            if item.replica
            else "restore it from a backup under the same name, or forget the share",
            bytes=item.allocated,
        )

    def _differences(self, pool: str, item: Expected, state: ObjectState) -> list[Found | None]:
        subject = f"{self._spec.name}/{pool}/{item.object}"
        if item.doomed:
            return [self._remove_doomed(pool, item, state)]
        if item.kind == "tombstone":
            detail = f"{state.kind.value} of {format_size(state.size)} was forgotten on purpose and is still there"
            advice = "delete it on the backend when its data are not needed any more"
            return [Found("forgotten-object", subject, pool=pool, detail=detail, advice=advice, bytes=item.allocated)]
        if not item.settled:
            return []
        found: list[Found | None] = []
        if _differs(item, state):
            item_now, state_now, known = self._now(pool, item.object)
            if not known or item_now is None or state_now is None or not item_now.settled:
                return []
            item, state = item_now, state_now
        if _size_differs(item, state):
            detail = f"the inventory says {format_size(item.size)}, the backend {format_size(state.size)}"
            found.append(
                Found(
                    "differing-size", subject, pool=pool, detail=detail, advice="resize the share to what it should be"
                )
            )
        if _mode_differs(item, state):
            what = "a replica of a share that" if item.replica else "the share"
            detail = f"{what} is {item.status}: clients' access is {item.mode}, at the backend it is {state.mode.value}"
            by_hand = f"set the mode {item.mode} at the backend"
            advice = by_hand if item.replica else f"delete and restore the share, or {by_hand}"
            found.append(Found("differing-access", subject, pool=pool, detail=detail, advice=advice))
        return found


def _differs(item: Expected, state: ObjectState) -> bool:
    return _size_differs(item, state) or _mode_differs(item, state)


def _size_differs(item: Expected, state: ObjectState) -> bool:
    return not item.replica and state.size != item.size


def _mode_differs(item: Expected, state: ObjectState) -> bool:
    return item.kind == "share" and item.mode not in ("", state.mode.value)
