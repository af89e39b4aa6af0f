"""SyncReplica: round after round -> hold the replica, bring it what changed, let it go -> rest.

It is as long-lived as its replica. Between two rounds it holds nothing; during one it gives way to whoever asks. Where
the backends can tell whether anything has changed the replica is watched instead, until there is something to do.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import CommandInput
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.replica_steps import ReplicaTerms, RoundBegun, SyncRun, Watched, WatchInput
    from shareflow.contracts.replication import ReplicaResult, ReplicaState, SyncReplicaInput
    from shareflow.contracts.steps import Begun, CommandStep
    from shareflow.contracts.units import format_size
    from workflows.conduct import GaveUp, Operation, failure_of
    from workflows.replica_passes import ReplicaPasses

MOST_DOUBLINGS = 10
PATIENT_TURN_FACTOR = 20
ROUND_PATIENCE_FACTOR = 6
"""Pauses before a step is tried again for which a round lasts that cannot go on: then its replica says why."""

SHORT = 250
"""Events after which a lean run ends. Of many syncs few are in a worker's cache: the others are replayed every time."""

LOOKS = 36
"""Looks in one step: three hours of them, where rounds are five minutes apart. A step costs as much as five."""


@workflow.defn(name=names.SYNC_REPLICA, failure_exception_types=[ValidationError])
class SyncReplica(Operation):
    """Keep a replica in step for as long as it is one."""

    kind = names.SYNC_REPLICA

    def __init__(self) -> None:
        super().__init__()
        self._running: asyncio.Task[None] | None = None
        self._holds = False  # or is about to
        self._gives_way = False
        self._failures = 0
        self._distrust = False
        self._lean = False
        self._watched_at = ""
        self._interval = 0.0
        self._source = ""  # backend of the active instance while a round runs
        self._lost = False
        self._unfenced = False

    @workflow.signal(name=names.GIVE_WAY, description="Sent by operations to each other: let the replica go.")
    def give_way(self, _command: CommandInput | None = None) -> None:
        """Stop the round that runs or is about to; what it has copied stays."""
        # Window: the replica is held and the round has not begun; who waits for it says so only once.
        self._gives_way = self._gives_way or self._holds
        if self._running is not None:
            self._running.cancel()

    @workflow.signal(name=names.LET_GO, description="Sent by operations to each other: the source is lost, let go.")
    def let_go(self, _command: CommandInput | None = None) -> None:
        """As ``give_way``, and nothing that runs at the active instance is waited for: nobody may be there any more."""
        self._lost = self._lost or self._holds
        self.give_way()

    def check_cancelled(self) -> None:
        """See base class. A step that failed while the round gave way may have taken the cancel with it."""
        super().check_cancelled()
        # The round's own task alone: what ends a round is carried out.
        if (
            self._gives_way
            and asyncio.current_task() is self._running
            and workflow.patched("rounds-give-way-between-steps")
        ):
            raise asyncio.CancelledError

    @workflow.run
    async def run(self, request: SyncRun) -> ReplicaResult:
        """Rounds, until the instance is no replica any more."""
        self._lean, self._watched_at, self._interval = request.lean, request.watched_at, float(request.interval)
        self._failures, self._distrust = request.failures, request.distrust
        if request.shown:
            self.log.note = request.note
            self.log.enter(request.shown, [])
        asked = SyncReplicaInput.model_validate(request.model_dump(include=set(SyncReplicaInput.model_fields)))
        return ReplicaResult.model_validate(await self.conduct(asked, self._recipe(asked)))

    async def _recipe(self, request: SyncReplicaInput) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        self.no_return()  # nobody wants a replica that silently falls behind: it is deleted, or it is kept in step
        while True:
            if await self._is_idle(request):
                self._stay_short(request)
                continue
            held = await self._hold(request)
            if held is None:
                return await self.commit()
            await self._round(begun, held)
            first = not self._lean and workflow.patched("lean-syncs")
            await self._rest()
            if first:
                self._continue_as_new(request)
            self._stay_short(request)

    def _stay_short(self, request: SyncReplicaInput) -> None:
        most = min(SHORT, self.limits.history) if self._lean else self.limits.history
        if workflow.info().get_current_history_length() >= most:
            self._continue_as_new(request)

    def _continue_as_new(self, request: SyncReplicaInput) -> None:
        """What has to be known of the last round goes along; back-off goes on where it was."""
        workflow.continue_as_new(
            SyncRun(
                **request.model_dump(),
                lean=True,
                watched_at=self._watched_at,
                interval=int(self._interval),
                failures=self._failures,
                distrust=self._distrust,
                shown=self.log.phase,
                note=self.log.note,
            )
        )

    async def _is_idle(self, request: SyncReplicaInput) -> bool:
        """Let the replica be watched for a while; False as soon as there may be something to do, or nobody can tell."""
        if not self._lean or not self._watched_at or self._failures:
            return False
        limits, each = self.limits, self._interval + self.limits.call
        watching = workflow.start_activity(
            names.WATCH_REPLICA,
            WatchInput(
                operation=self.id, replica=request.replica, interval=self._interval, looks=LOOKS, patience=limits.call
            ),
            task_queue=names.watch_queue(self._watched_at),
            result_type=Watched,
            schedule_to_start_timeout=timedelta(seconds=limits.unserved),
            start_to_close_timeout=timedelta(seconds=LOOKS * each),
            heartbeat_timeout=timedelta(seconds=each + limits.heartbeat),
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
            summary="look now and then whether anything has changed",
        )
        await workflow.wait_condition(lambda: self._turn or self._retry or watching.done())
        if not watching.done():
            # Somebody has had the replica, or asks for a round: the look that comes next says whether one is due.
            self._turn = self._retry = False
            watching.cancel()
            with contextlib.suppress(FailureError, asyncio.CancelledError):
                await watching
            return True
        try:
            watched: Watched = await watching
        except FailureError:
            return False
        if watched.idle:
            self._show(ReplicaState.IN_SYNC, f"nothing had changed at {workflow.now():%H:%M:%S} UTC")
        return watched.idle

    async def _hold(self, request: SyncReplicaInput) -> RoundBegun | None:
        """The replica, as soon as whoever has it now is done; None when it is none any more.

        That may take days: with a share in the recycle bin it is looked at ever less often, and this is told when it
        is over.
        """
        looks = 0
        while True:
            self._holds = True
            held = await self.inventory(names.BEGIN_ROUND, CommandStep(operation=self.id), RoundBegun)
            if held.status is BeginStatus.STARTED:
                return held
            self._holds = self._gives_way = False
            if held.status is BeginStatus.ENDED:
                return None
            turn = self.limits.turn * min(2.0**looks, PATIENT_TURN_FACTOR)
            await self.stand_in_line(held.waiting_for, turn)
            looks += 1
            self._stay_short(request)

    # -- one round ---------------------------------------------------------------------------------------------------

    async def _round(self, begun: Begun, held: RoundBegun) -> None:
        terms, source = held.terms, held.source
        assert terms is not None and source is not None  # noqa: S101, PT018  (a round that has begun has them)
        if workflow.patched("rounds-fail-soon"):
            self._patience = min(self.limits.patience, self.limits.retry * ROUND_PATIENCE_FACTOR)
            self._unfenced = terms.stale == "unfenced"
        self._interval = float(terms.interval)
        self._watched_at = terms.destination.backend if terms.mode == "driver" else ""
        passes = ReplicaPasses(self, source, held.fences, begun.share_id, terms, full=self._distrust)
        self._source = source.backend if source.backend != terms.destination.backend else ""
        self._running = asyncio.create_task(self._carry_out(passes, terms))
        if self._gives_way:
            self._running.cancel()
        try:
            await self._running
            self._failures, self._distrust = 0, False
        except (FailureError, GaveUp, asyncio.CancelledError) as error:
            await self._failed(passes, error)
        finally:
            self._running, self._holds, self._lost = None, False, False

    def is_lost(self, backend: str) -> bool:
        """See base class. Of its own steps, those at the active instance of the round that runs."""
        return self._lost and backend == self._source

    async def _carry_out(self, passes: ReplicaPasses, terms: ReplicaTerms) -> None:
        if terms.stale:
            await self._fence(passes, terms)
            return
        await passes.admit()
        moved = await passes.round()
        await passes.end(passes.outcome(synced_at=passes.as_of, moved=moved))
        self._show(
            ReplicaState.IN_SYNC, f"has what was there at {passes.as_of:%H:%M:%S} UTC; moved {format_size(moved)}"
        )

    async def _fence(self, passes: ReplicaPasses, terms: ReplicaTerms) -> None:
        """The copy of a lost active instance is kept from clients as soon as it can be reached."""
        if terms.stale == "unfenced":
            await passes.fence_stale(f"fence-{terms.epoch}")
            self._unfenced = False
        await passes.end(passes.outcome(fenced=True, error="a stale copy: resync it, or delete it"))
        self._show(ReplicaState.ERROR, "a stale copy of a lost active instance is kept, and fenced")

    async def _failed(self, passes: ReplicaPasses, error: BaseException) -> None:
        """Say why; the next round tries again, later and later. What it holds it lets go, whatever happened."""
        gave_way = self._gives_way and is_cancelled_exception(error)
        failure = failure_of(error)
        if gave_way:
            self.log.stopped()
            await passes.end(passes.outcome())
            return
        self._failures += 1
        # A base that is not what it should be fails every round: after a second one nothing is relied on.
        self._distrust = self._failures > 1 and not self._transient(error, failure)
        if failure.type != "StaleClaim":
            await passes.end(passes.outcome(error=f"{failure.message} {failure.hint}".strip()))
        self._show(ReplicaState.ERROR, failure.message)

    def _show(self, state: ReplicaState, note: str) -> None:
        self.log.note = note
        self.log.enter(state.value, [])
        if not self._lean or workflow.info().typed_search_attributes.get(names.PHASE) != state.value:
            workflow.upsert_search_attributes([names.PHASE.value_set(state.value)])

    async def _rest(self) -> None:
        """The interval; less after a failure, and none after giving way: then there is a line to stand in."""
        if self._gives_way:
            self._gives_way = False
            return
        pause = self._interval
        if self._failures:
            pause = min(pause, self.limits.retry * 2.0 ** min(self._failures, MOST_DOUBLINGS))
        if self._unfenced:
            pause = min(self._interval, self.keen_pause())
        await self.pause_until(lambda: self._turn, pause, "the next round")
        self._turn = False
