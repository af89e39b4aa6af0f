"""What all operations share: claims, steps that people can see, undo, cancellation and endings.

An operation is a recipe between two inventory steps. :meth:`Operation.conduct` runs it and guarantees its ending:

- *succeeded*: the recipe committed;
- *failed-clean*: it failed or was cancelled, and everything registered with :meth:`Operation.undo` was undone;
- *needs-operator*: a step that may not be given up keeps failing. It is retried for ever, says what is left and where,
  and goes on by itself, or at once with ``retry_now``.

Undo is registered before its step runs. After :meth:`Operation.no_return` there is only forward.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActivityTimeout

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.operations import CommandInput, InstanceLost, OperationState, Request
    from shareflow.contracts.places import BeginStatus, Fence, ObjectPlace
    from shareflow.contracts.qos import QosAnswer
    from shareflow.contracts.steps import (
        AbortInput,
        BackendAnswer,
        BackendCall,
        BeginInput,
        Begun,
        CommandStep,
        CommitInput,
        Ended,
        Failure,
        JobProgress,
        LeftObject,
        Limits,
        MarkInput,
        OperationStatus,
    )
    from shareflow.contracts.units import format_duration
    from shareflow.errors import ERRORS_BY_NAME, OperationFailed
    from workflows.steplog import StepLog

T = TypeVar("T")

INVENTORY_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=50),
    backoff_coefficient=3,
    maximum_interval=timedelta(seconds=1),
    maximum_attempts=4,
    non_retryable_error_types=["DatabaseUnavailable"],  # the operation waits for it itself, where people see it
)
INVENTORY_TIMEOUT = timedelta(seconds=15)
BACKEND_ATTEMPTS = 4
HURRIED_ATTEMPTS = 2
QUICK = (
    names.BACKEND_CREATE_SHARE,
    names.BACKEND_RESIZE_SHARE,
    names.BACKEND_SET_ACCESS_MODE,
    names.BACKEND_SET_QOS,
)
"""Backend steps without a job: they are over within the limit of a call."""
DELETES = {names.BACKEND_DELETE_SHARE: "share", names.BACKEND_DELETE_SNAPSHOT: "snapshot"}
PAST_RETURN = ("purging", "switched", "grace")
"""Phases in which a restarted operation only goes forward."""
MAX_ID = 255
UNDO_IS_ANNOUNCED = "undo-is-announced"
PATIENT_RETRY_FACTOR = 20


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end even if the workflow is cancelled meanwhile; the cancel is raised afterwards.

    Bare ``asyncio.shield`` would let the workflow close with the work abandoned.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; a cancel that comes meanwhile changes nothing any more."""
    task = asyncio.create_task(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise


@dataclass(frozen=True)
class Undo:
    """One call that takes a step back; on the backend's own queue unless another one is named."""

    name: str
    activity: str
    call: BackendCall
    queue: str | None = None


class GaveUp(Exception):
    """A step that can be undone was tried until its patience ended; ``sent`` unless no worker ever took it."""

    def __init__(self, failure: Failure, *, sent: bool) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.sent = sent


def failure_of(error: BaseException) -> Failure:
    """The reason of a failure, from wherever it was raised."""
    if isinstance(error, GaveUp):
        return error.failure
    if is_cancelled_exception(error):
        return Failure(type="OperationCancelled", message="cancelled on request; everything was undone")
    cause: BaseException | None = error
    while isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        if cause.details and isinstance(cause.details[0], dict):
            return Failure.model_validate(cause.details[0])
        return Failure(type=cause.type or "OperationFailed", message=cause.message)
    if isinstance(cause, ActivityTimeout):
        return Failure(type="BackendUnavailable", message=f"no answer in time ({cause.message})")
    return Failure(type="OperationFailed", message=str(cause))


def as_error(failure: Failure) -> ApplicationError:
    """A failure as the workflow raises it: code, field, fact and next step in one line, the parts in its details."""
    known = ERRORS_BY_NAME.get(failure.type, OperationFailed)
    text = str(known(failure.message, hint=failure.hint, field=failure.field))
    return ApplicationError(text, failure.model_dump(), type=known.__name__, non_retryable=True)


def never_taken(error: BaseException) -> bool:
    """Whether no worker took the step: then the backend heard nothing of it."""
    cause = error.__cause__.cause if isinstance(error.__cause__, ActivityError) else None
    return (
        isinstance(cause, ActivityTimeout) and cause.type is TimeoutType.SCHEDULE_TO_START and cause.__cause__ is None
    )


def woken_by(refusal: FailureError) -> list[str]:
    """The operations whose turn it may be, because the one that was refused has left the line."""
    details = refusal.details[1:] if isinstance(refusal, ApplicationError) else ()
    return [str(operation) for operation in details[0]] if details and isinstance(details[0], list) else []


class Handlers(type):
    """A class whose ``dir()`` shows what Temporal calls and nothing else.

    The sandbox defines a workflow's class anew for every run, and each time the SDK goes through all members of the
    class and of every base. That cost more than all else that a run does here.
    """

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        own = {member for member, value in namespace.items() if _is_handler(value)}
        cls.handlers: frozenset[str] = frozenset(own.union(*(getattr(base, "handlers", ()) for base in bases)))

    def __dir__(cls) -> list[str]:
        return sorted(cls.handlers)


def _is_handler(value: object) -> bool:
    marked = any(key.startswith("__temporal_") for key in getattr(value, "__dict__", ()))
    return marked or isinstance(value, workflow.UpdateMethodMultiParam)


class Operation(metaclass=Handlers):
    """Base of the operations' workflows. Subclasses set ``kind`` and call :meth:`conduct` from ``run``."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        self.id = workflow.info().workflow_id
        self.log = StepLog(self.id, self.kind)
        self.limits = Limits()
        self.begun: Begun | None = None
        self.cancel_requested = False
        self._task: asyncio.Task[dict[str, Any]] | None = None
        self._given_up = False
        self._past_return = False
        self._undoing = False
        self._undo: list[Undo] = []
        self._fresh: Undo | None = None  # registered, its step not yet made
        self._turn = False
        self._nudged: set[tuple[str, str]] = set()
        self._retry = False
        self._lost_backend = ""
        self._patience: float | None = None  # instead of that of the limits
        self._took = 0.0  # seconds of the last attempt that failed
        self._left: list[LeftObject] = []

    # -- what people see and send ------------------------------------------------------------------------------------

    @workflow.query(name=names.STATUS, description="What the operation does now: phase, steps, what it waits for.")
    def status(self) -> OperationStatus:
        """What the operation does now."""
        return self.log.status()

    @workflow.signal(name=names.CLAIM_GRANTED, description="Sent by operations to each other: it may be your turn.")
    def claim_granted(self) -> None:
        """It may be this operation's turn."""
        self._turn = True

    @workflow.signal(name=names.REPORT_PROGRESS, description="Sent by slow steps: how far they are.")
    def report_progress(self, progress: JobProgress) -> None:
        """How far the current step is."""
        self.log.progress(progress)

    @workflow.update(name=names.RETRY_NOW, description=names.COMMANDS[names.RETRY_NOW])
    def retry_now(self, _command: CommandInput | None = None) -> str:
        """Do not wait for the next retry."""
        self._retry = True
        return f"retrying: {self.log.waiting_for}"

    @retry_now.validator
    def _retry_now_allowed(self, _command: CommandInput | None = None) -> None:
        if names.RETRY_NOW not in self.log.commands_now():
            raise as_error(Failure(type="CommandRefused", message=f"{names.RETRY_NOW}: nothing waits for a retry"))

    @workflow.signal(name=names.RETRY_NOW, description=names.COMMANDS[names.RETRY_NOW])
    def retry_now_signal(self, _command: CommandInput | None = None) -> None:
        """Signal twin of the update."""
        self._retry = True

    @workflow.signal(name=names.INSTANCE_LOST, description="Sent by promotions: the active instance is lost, end.")
    def instance_lost(self, command: InstanceLost) -> None:
        """End without the backend of the active instance, which was declared lost: what is to be deleted there is left.

        It is cancelled before its point of no return; past it, it goes on.
        """
        self._lost_backend = command.backend
        self._retry = True  # no pause before a step that is not made any more
        self.give_up()

    # -- the frame of every operation --------------------------------------------------------------------------------

    async def conduct(self, request: Request, recipe: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """Run the recipe to one of the three endings."""
        if len(self.id) > MAX_ID or not self.id.isprintable():
            recipe.close()
            shown = ascii(self.id[:40])
            reason = f"the workflow id {shown} has {len(self.id)} characters; use at most {MAX_ID}, all printable"
            raise as_error(Failure(type="InvalidInput", field="workflow id", message=reason))
        self._mark_searchable(request)
        self._task = task = asyncio.create_task(recipe)
        try:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                self.cancel_requested = True
                if self._past_return:
                    self.log.note = "the cancel came after the point of no return; going on"
                    return await task
                task.cancel()
                return await task
        except (FailureError, GaveUp, asyncio.CancelledError) as error:
            failure = self._reason(error)
            if failure.type != "RequestReused":  # the operation of that id is another one: not ours to undo
                ended = await uninterrupted(self._roll_back(failure, request))
                if ended.result is not None:
                    # Window: an attempt had committed and its answer was lost; then the operation has succeeded.
                    self.log.end(OperationState.SUCCEEDED)
                    return ended.result
                self.log.end(OperationState.FAILED_CLEAN)
                # Window: a task was lost after it had recorded the ending; what it recorded is the answer.
                failure = ended.failure or failure
            if failure.type == "OperationCancelled" and self.cancel_requested and not self._given_up:
                raise asyncio.CancelledError from error
            raise as_error(failure) from error

    def _reason(self, error: BaseException) -> Failure:
        if self._lost_backend and is_cancelled_exception(error):
            message = f"the active copy of its share was declared lost with backend {self._lost_backend}"
            return Failure(type="InvalidState", message=message, hint="ask again; another copy serves the share")
        return failure_of(error)

    def allows(self, check: Callable[[], None]) -> bool:
        """Whether a command that came as a signal passes its check: its sender cannot be refused, so it is noted."""
        try:
            check()
        except FailureError as error:
            self.log.note = failure_of(error).message
            self.log.show()
            return False
        return True

    def give_up(self) -> None:
        """A command cancels the operation, as a cancel of its workflow does; nothing past the point of no return."""
        if self._past_return:
            return
        self._given_up = self.cancel_requested = True
        if self._task is not None:
            self._task.cancel()

    @property
    def is_past_return(self) -> bool:
        """There is only forward."""
        return self._past_return

    @property
    def is_undoing(self) -> bool:
        """Everything is being taken back."""
        return self._undoing

    def _mark_searchable(self, request: Request) -> None:
        known = workflow.info().typed_search_attributes
        if known.get(names.OPERATION) is None:
            workflow.upsert_search_attributes(
                [names.OPERATION.value_set(self.kind), names.PROJECT.value_set(request.project)]
            )

    async def begin(self, request: Request) -> Begun:
        """The first step: everything is checked, claimed, reserved and placed when it returns.

        Waits in line while others hold the resource. An operation that has ended before (same request sent again)
        gives its recorded answer: ``begun.status`` is then ``ended``.
        """
        step = BeginInput(operation=self.id, kind=self.kind, request=request.model_dump(mode="json"))
        self.log.start("claim, check and reserve")
        while True:
            try:
                begun = await self.inventory(names.BEGIN, step, Begun)
            except FailureError as error:
                await self.wake(woken_by(error))
                raise
            if begun.status is not BeginStatus.WAITING:
                break
            self.limits = begun.limits
            await self.nudge(begun.nudge, begun.lost_backend)
            await self.stand_in_line(begun.waiting_for)
        self.log.done()
        self.begun, self.limits = begun, begun.limits
        if begun.status is BeginStatus.ENDED and begun.failure is not None:
            raise as_error(begun.failure)
        self.log.share_id, self.log.placement = begun.share_id, begun.placement
        self._past_return = begun.phase in PAST_RETURN
        if begun.status is BeginStatus.STARTED:
            await self.wake(begun.waiting_for)
        return begun

    def nudge_again(self) -> None:
        """It is another line: who was asked to let go before may have come back."""
        self._nudged.clear()

    async def nudge(self, commands: dict[str, str], lost_backend: str = "") -> None:
        """Ask operations that are ahead to end, each command once; one that is refused changes nothing.

        That their backend is lost they are told each time: one that was ended from outside begins anew without it.
        """
        for operation, command in commands.items():
            told = (operation, command) in self._nudged
            if told and not (command == names.INSTANCE_LOST and workflow.patched("losses-are-told-again")):
                continue
            self._nudged.add((operation, command))
            handle = workflow.get_external_workflow_handle(operation)
            body = InstanceLost(backend=lost_backend) if command == names.INSTANCE_LOST else CommandInput()
            try:
                await handle.signal(command, body)
            except FailureError as error:
                workflow.logger.info("operation %s could not be sent %s: %s", operation, command, error)

    async def stand_in_line(self, ahead: list[str], turn: float | None = None) -> None:
        """Wait until it may be this operation's turn, at most so many seconds."""
        self.log.wait(f"operation {', '.join(ahead[:3])}")
        await self._sleep(turn or self.limits.turn, "waiting for its turn", lambda: self._turn)
        self._turn = False

    async def pause_until(self, ready: Callable[[], bool], seconds: float | None = None, why: str = "") -> None:
        """Rest between two steps until a condition holds, at most so long; ``retry_now`` ends it too."""
        self.check_cancelled()
        try:
            await workflow.wait_condition(
                lambda: self._retry or ready(),
                timeout=None if seconds is None else timedelta(seconds=seconds),
                timeout_summary=f"{why}; at most {format_duration(seconds or 0)}"[:200],
            )
        except TimeoutError:
            self.log.slept += 1
        self._retry = False

    async def run_beside(self, activity: str, call: BackendCall, queue: str) -> None:
        """A backend call beside the step that runs, for a command; its failure is the command's."""
        try:
            await self._once(activity, call, queue, activity, hurry=True)
        except ActivityError as error:
            raise as_error(failure_of(error)) from error

    def resume(self, begun: Begun) -> None:
        """After the undos are registered: an operation that the reconciler restarted to be undone goes no further."""
        if begun.recovery in ("undo", "undoing"):
            raise as_error(
                Failure(type="OperationFailed", message="its workflow was ended from outside; everything was undone")
            )
        if begun.share_id:
            place = begun.instance or begun.snapshot
            found = [names.SHARE_ID.value_set(begun.share_id)]
            if place is not None:
                found.append(names.BACKEND.value_set(place.backend))
            workflow.upsert_search_attributes(found)

    async def commit(
        self,
        *,
        export_paths: list[str] | None = None,
        outcome: str = "",
        qos: dict[str, QosAnswer] | None = None,
        **figures: Any,
    ) -> dict[str, Any]:
        """The last step. Its transaction is the point of no return of everything before it."""
        self.check_cancelled()
        self._past_return = True
        self.log.start("commit")
        step = CommitInput(
            operation=self.id,
            export_paths=export_paths or [],
            outcome=outcome,
            qos=qos or {},
            left=self._left,
            **figures,
        )
        ended = await self._persist(lambda: self.inventory(names.COMMIT, step, Ended))
        self.log.done()
        await self.wake(ended.wake)
        self.log.end(OperationState.SUCCEEDED)
        return ended.result or {}

    async def ended_before(self, begun: Begun) -> dict[str, Any]:
        """The answer of an operation that ended when it began, or long ago."""
        self._past_return = True
        await self.wake(begun.waiting_for)
        self.log.end(OperationState.SUCCEEDED)
        return begun.result or {}

    async def wake(self, operations: list[str]) -> None:
        """Tell those whose turn it may be. One that is gone needs no telling; a lost signal costs a slow timer."""
        for operation in operations:
            handle = workflow.get_external_workflow_handle(operation)
            try:
                await handle.signal(names.CLAIM_GRANTED)
            except FailureError as error:
                workflow.logger.info("operation %s could not be woken: %s", operation, error)

    # -- steps -------------------------------------------------------------------------------------------------------

    async def inventory(self, name: str, step: Any, result_type: type[T]) -> T:
        """One inventory transaction. While the database is down the operation waits and says so.

        A cancel waits until the transaction is over: an abandoned one might still happen after everything was undone.
        """
        pause = 0.25
        while True:
            transaction = workflow.execute_local_activity(
                name,
                step,
                result_type=result_type,
                start_to_close_timeout=INVENTORY_TIMEOUT,
                retry_policy=INVENTORY_RETRY,
                summary=f"inventory: {name}",
            )
            try:
                answer: T = await finish(transaction)
            except FailureError as error:
                # Local activities fail with what they raised, without an ActivityError around it.
                failure = failure_of(error)
                timed_out = isinstance(error, ActivityTimeout)
                if not timed_out and failure.type not in ("DatabaseUnavailable", "SimulatedCrash"):
                    raise
                self.log.wait(f"the inventory database: {failure.message}")
            else:
                if self.log.waiting_for:
                    self.log.wait("")
                return answer
            await self._sleep(pause, "the inventory does not answer")
            pause = min(pause * 2, 30.0)

    async def backend(
        self,
        activity: str,
        call: BackendCall,
        *,
        title: str,
        queue: str | None = None,
        forward: bool = False,
        until_known: bool = False,
        hurry: bool = False,
        keen: bool = False,
    ) -> BackendAnswer:
        """One backend step. At a lost backend none is made: what may not be given up is left there.

        Args:
            activity: name of the activity.
            call: what is sent to it.
            title: the step as people see it.
            queue: default the backend's own.
            forward: the step may not be given up (undo, or past the point of no return): it is retried for ever and
                the operation says what it needs. Otherwise it is given up after the limits' patience.
            until_known: an answer may not be given up, but a refusal is one.
            hurry: writers are stopped meanwhile: a dead worker is noticed sooner, and a failing step is given up soon.
            keen: it is to take effect as soon as the backend answers: pauses do not double.
        """
        self.check_cancelled()
        self.log.start(title)
        timed = call.model_copy(update={"poll": self.limits.poll, "limit": self.limits.fenced if hurry else None})
        where = queue or names.backend_queue(call.target.backend)
        fresh, self._fresh = self._fresh, None
        try:
            answer = await self._persist(
                lambda: self._once(activity, timed, where, title, hurry=hurry),
                give_up=not (forward or until_known),
                may_refuse=not forward,
                patience=self.limits.fenced if hurry else self._patience,
                keen=keen,
            )
        except GaveUp as gave_up:
            if fresh is not None and not gave_up.sent:
                self._undo.remove(fresh)
            raise
        except asyncio.CancelledError:
            if call.target.backend != self._lost_backend:
                raise
            return self._leave(activity, call, forward=forward)
        self.log.done()
        return answer

    def is_lost(self, backend: str) -> bool:
        """Whether nothing at a backend is waited for: it was declared lost."""
        return backend == self._lost_backend

    def _leave(self, activity: str, call: BackendCall, *, forward: bool) -> BackendAnswer:
        """A step that is not made, because its backend is lost. Raises CancelledError, or GaveUp past the return."""
        what = f"left as it is: backend {call.target.backend} was declared lost"
        self.log.failed(what)
        if not forward and self._past_return:
            raise GaveUp(Failure(type="BackendUnavailable", message=what), sent=True)
        if not forward:
            raise asyncio.CancelledError
        if activity in DELETES:
            left = LeftObject(kind=DELETES[activity], place=call.target)
            self._left += [left] if left not in self._left else []
        return BackendAnswer(done=False)

    def check_cancelled(self) -> None:
        """A cancel that a step outlived (it was over first) takes effect before the next one."""
        if self.cancel_requested and not self._past_return and not self._undoing:
            raise asyncio.CancelledError

    async def _once(
        self, activity: str, call: BackendCall, queue: str, title: str, *, hurry: bool = False
    ) -> BackendAnswer:
        """One attempt. One at a lost backend is given up at once, also when its worker is dead.

        Window: it may still take effect there. What is there is stale, and is fenced under a higher epoch.
        """
        backend = call.target.backend
        if self.is_lost(backend):
            raise asyncio.CancelledError
        step = asyncio.create_task(self._execute(activity, call, queue, title, hurry=hurry))
        step.add_done_callback(lambda over: over.cancelled() or over.exception())  # nobody may await it any more
        while not step.done():
            try:
                await workflow.wait_condition(lambda: step.done() or self.is_lost(backend))
            except asyncio.CancelledError:
                step.cancel()
            if self.is_lost(backend) and not step.done():
                step.cancel()
                raise asyncio.CancelledError
        return await step

    async def _execute(
        self, activity: str, call: BackendCall, queue: str, title: str, *, hurry: bool = False
    ) -> BackendAnswer:
        limits = _hurried(self.limits) if hurry else self.limits
        slow = activity not in QUICK
        try:
            answer: BackendAnswer = await workflow.execute_activity(
                activity,
                call,
                task_queue=queue,
                result_type=BackendAnswer,
                schedule_to_start_timeout=timedelta(seconds=limits.unserved),
                start_to_close_timeout=timedelta(seconds=limits.job if slow else limits.call),
                heartbeat_timeout=timedelta(seconds=limits.heartbeat),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=limits.retry / 10),
                    maximum_interval=timedelta(seconds=limits.retry),
                    maximum_attempts=HURRIED_ATTEMPTS if hurry else BACKEND_ATTEMPTS,
                ),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=title[:200],
            )
        except ActivityError as error:
            if isinstance(error.cause, ActivityTimeout) and error.cause.type is TimeoutType.SCHEDULE_TO_START:
                failure = Failure(
                    type="BackendUnavailable",
                    message=f"no worker took this step from queue {queue} within {format_duration(limits.unserved)}: "
                    "all that serve it are busy, or there is none",
                    hint=f"temporal task-queue describe --task-queue {shlex.quote(queue)} lists those there are; "
                    f"if none, start a worker that can reach backend {call.target.backend}",
                )
                raise as_error(failure) from error
            raise
        return answer

    @staticmethod
    def _transient(error: BaseException, failure: Failure) -> bool:
        return failure.type in ("BackendUnavailable", "DatabaseUnavailable", "SimulatedCrash") or isinstance(
            getattr(error, "cause", None), ActivityTimeout
        )

    async def _persist(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        give_up: bool = False,
        may_refuse: bool = False,
        patience: float | None = None,
        keen: bool = False,
    ) -> T:
        """Try until it works, saying why it has not so far. A lost claim ends it: somebody else ended the operation."""
        begun = workflow.now()
        deadline = begun + timedelta(seconds=self.limits.patience if patience is None else patience)
        pause = self.limits.retry if patience is None else min(self.limits.retry, patience / 4)
        sent = False
        while True:
            asked = workflow.now()
            try:
                answer = await attempt()
            except (ActivityError, ApplicationError) as error:
                failure, self._took = failure_of(error), (workflow.now() - asked).total_seconds()
                sent = sent or not never_taken(error)
                transient = self._transient(error, failure)
                if is_cancelled_exception(error) or failure.type == "StaleClaim" or (may_refuse and not transient):
                    self.log.wait("")
                    raise
                overdue = workflow.now() >= deadline
                if give_up and overdue:
                    self.log.wait("")
                    raise GaveUp(failure, sent=sent) from error
                self.log.wait(failure.message + (f"; given up at {deadline:%H:%M:%S} UTC" if give_up else ""))
                if not give_up and (overdue or not transient) and not self.log.needs_operator:
                    await self.call_operator(failure)
            else:
                await self.needs_nobody()
                return answer
            most = self.limits.retry * PATIENT_RETRY_FACTOR
            if keen:  # days of it have to fit into one history
                pause = max(self.keen_pause(), (workflow.now() - begun).total_seconds() / 100)
            await self._sleep(min(pause, most), "next retry")
            pause = min(pause * 2, most)

    def keen_pause(self) -> float:
        """Seconds until a keen step is tried again: where calls hang, as long as they did, so that others have room."""
        hangs = self._took > BACKEND_ATTEMPTS / 2 * self.limits.call
        return self._took if hangs else self.limits.retry

    async def needs_nobody(self) -> None:
        """What needed an operator has been mended."""
        if self.log.needs_operator:
            self.log.needs_operator = ""
            await self._mark(MarkInput(operation=self.id))

    async def call_operator(self, failure: Failure) -> None:
        """Say what is left and where; whoever calls keeps trying."""
        what = f"{self.log.step}: {failure.message}. It goes on by itself when this is mended"
        command = f"temporal workflow signal -w {shlex.quote(self.id)} --name {names.RETRY_NOW} --input '{{}}'"
        left = f"{what}; to try at once: {command}"
        self.log.needs_operator = what  # its commands are shown beside it
        self.log.show()
        await self._mark(MarkInput(operation=self.id, state=OperationState.NEEDS_OPERATOR, left=left))

    async def _mark(self, step: MarkInput) -> None:
        """Show how the operation fares, in the inventory and in searches; only the step itself may not be lost."""
        workflow.upsert_search_attributes([names.PHASE.value_set(self.log.phase)])
        try:
            await self.inventory(names.MARK, step, type(None))
        except FailureError as error:
            workflow.logger.error("operation %s could not be marked: %s", self.id, failure_of(error).message)

    async def _sleep(self, seconds: float, why: str, ready: Any = None) -> None:
        self.check_cancelled()
        try:
            await workflow.wait_condition(
                lambda: self._retry or bool(ready and ready()),
                timeout=timedelta(seconds=seconds),
                timeout_summary=f"{why}; at most {format_duration(seconds)}"[:200],
            )
        except TimeoutError:
            self.log.slept += 1
        self._retry = False  # one that came during the attempt before has shortened this pause

    def call(
        self,
        step: str,
        target: ObjectPlace,
        fences: list[Fence],
        *,
        epoch: int,
        other: ObjectPlace | None = None,
        mode: str = "",
        limits: dict[str, int | str] | None = None,
        required: bool = False,
        **options: Any,
    ) -> BackendCall:
        """A driver call in this operation's name; options are further fields of the call."""
        return BackendCall(
            operation=self.id,
            deployment=self.begun.deployment if self.begun else "",
            step=step,
            fences=fences,
            target=target,
            other=other,
            epoch=epoch,
            mode=mode,
            limits=limits,
            required=required,
            **options,
        )

    # -- undo --------------------------------------------------------------------------------------------------------

    def undo(self, title: str, activity: str, call: BackendCall, *, queue: str | None = None) -> None:
        """Register how a step is taken back; call it before the step runs."""
        self._fresh = Undo(name=title, activity=activity, call=call, queue=queue)
        self._undo.append(self._fresh)

    def undos(self, undos: list[Undo]) -> None:
        """Replace what is registered, for operations that go on for long: what is gone needs no undo any more."""
        self._fresh, self._undo = None, undos

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what may not be left half done in the middle of a recipe, also while a cancel is under way."""
        before, self._undoing = self._undoing, True
        try:
            return await uninterrupted(work)
        finally:
            self._undoing = before

    async def take_back(self, title: str) -> None:
        """Run one undo, after those that were registered later, and forget them: a pool refused, the next is tried."""
        while any(undo.name == title for undo in self._undo):
            undo = self._undo[-1]
            await finish(self.run_undo(undo))
            self._undo.remove(undo)

    async def run_undo(self, undo: Undo) -> None:
        """Carry out one undo, however long it takes."""
        await self.backend(undo.activity, undo.call, title=undo.name, queue=undo.queue, forward=True)

    def no_return(self) -> None:
        """From here on there is only forward; a cancel is noted and ignored."""
        self._past_return = True

    def return_again(self) -> None:
        """What would have been the point of no return was refused: nothing has happened. Acts on a cancel since."""
        self._past_return = False
        self.check_cancelled()

    async def _roll_back(self, failure: Failure, request: Request) -> Ended:
        """Take everything back. Gives the result of an operation that turns out to have succeeded before."""
        self._undoing = True
        self.log.undoing(failure.message)
        # Window: a task that was lost with its worker may have sent a commit that is still on its way. It comes true
        # before the first undo or never.
        if self._undo and workflow.patched(UNDO_IS_ANNOUNCED):
            announced = CommandStep(operation=self.id)
            ended = await self._persist(lambda: self.inventory(names.BEGIN_UNDO, announced, Ended))
            if ended.result is not None or ended.failure is not None:
                return ended
        try:
            for undo in reversed(self._undo):
                await self.run_undo(undo)
        except FailureError as error:
            if failure_of(error).type != "StaleClaim":
                raise
            self.log.done()  # it had ended before: nothing is ours to take back
        self.log.start("give back claims and reservations")
        asked = request.model_dump(mode="json")
        step = AbortInput(operation=self.id, failure=failure, kind=self.kind, request=asked, left=self._left)
        ended = await self._persist(lambda: self.inventory(names.ABORT, step, Ended))
        self.log.done()
        await self.wake(ended.wake)
        return ended


def _hurried(limits: Limits) -> Limits:
    """The limits of a step while writers are stopped."""
    most = limits.fenced
    shorter = {"retry": min(limits.retry, most / 4), "heartbeat": min(limits.heartbeat, most), "unserved": most}
    return limits.model_copy(update=shorter)


def epoch_of(fences: list[Fence], resource: str) -> int:
    """The fencing number under which a resource is held."""
    return next(fence.epoch for fence in fences if fence.id == resource)
