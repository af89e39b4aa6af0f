"""What evacuations and failovers share: an operation of its own for each share, so many at a time.

Each child is ``<operation>/<share id>``, in the share's own project. It outlives the operation that began it: a new
run, or one that the reconciler has started again, finds what is under way in the inventory.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    WorkflowAlreadyStartedError,
)

with workflow.unsafe.imports_passed_through():
    from shareflow import names
    from shareflow.contracts.fan_out import ChildState, FanOutMemory, NamedShare
    from shareflow.contracts.operations import CommandInput, OperationState, Request
    from shareflow.contracts.places import BeginStatus
    from shareflow.contracts.steps import Begun, Failure
    from workflows.conduct import Operation, as_error, failure_of, finish
    from workflows.migration_commands import refused

PAGE = 50
"""So many shares are asked for at once."""
ENDED = (OperationState.SUCCEEDED.value, OperationState.FAILED_CLEAN.value)
PAUSED, ENDING = "paused", "cancelling"


@dataclass
class Child:
    """The operation of one share.

    Attributes:
        awaited: this run started it and hears of its end; of others it has to ask the inventory.
    """

    share: NamedShare
    awaited: bool = False


class Followed(Protocol):
    """What a look at the inventory gives: the next shares, how children fare, what an earlier run has done."""

    @property
    def shares(self) -> list[Any]:
        """The next ones in the order in which they begin."""

    @property
    def children(self) -> list[Any]:
        """Those that were asked for; after ``take_up`` all that are under way."""

    @property
    def report(self) -> Any:
        """What has been done; after ``take_up``."""


class Shown(Protocol):
    """What an operator sees of it."""

    def began(self, share: Any) -> None:
        """A share is on its way."""

    def seen(self, child: Any) -> None:
        """How a child fares."""

    @property
    def ended(self) -> Callable[..., None]:
        """Called with a share and its outcome when a child is over."""

    def take_up(self, report: Any) -> None:
        """What an earlier run has done."""

    def summary(self) -> str:
        """One line."""


Request_ = TypeVar("Request_", bound=Request)
Child_ = TypeVar("Child_", bound=Child)
Memory_ = TypeVar("Memory_", bound=FanOutMemory)


class FanOut(Operation, Generic[Request_, Child_, Memory_]):
    """The loop of an operation that begins one for each share. Handlers only remember; the loop carries out.

    Attributes:
        word: what the operation is, as commands that are refused call it.
        pausing: what is answered to ``pause``.
    """

    word: ClassVar[str]
    pausing: ClassVar[str]
    _memory: Memory_
    _shown: Shown

    def __init__(self) -> None:
        super().__init__()
        self._early: dict[str, Any] = {}
        self._has_begun = False
        self._changed = False
        self._children: dict[str, Child_] = {}
        self._waits: set[asyncio.Task[None]] = set()
        self._queue: list[Any] = []
        self._tried: set[str] = set()
        self._after = ""
        self._next_look = workflow.now()

    # -- commands ----------------------------------------------------------------------------------------------------

    @workflow.update(name=names.PAUSE, description=names.COMMANDS_TO_MANY[names.PAUSE])
    def pause(self, command: CommandInput | None = None) -> str:
        """Begin nothing more."""
        self._remember(paused=True)
        return self.pausing

    @pause.validator
    def _pause_allowed(self, command: CommandInput | None = None) -> None:
        self._require(names.PAUSE)
        if self._is_paused:
            raise refused(names.PAUSE, "it is paused already")

    @workflow.signal(name=names.PAUSE, description=names.COMMANDS_TO_MANY[names.PAUSE])
    def pause_signal(self, command: CommandInput | None = None) -> None:
        """Signal twin of the update."""
        if self.allows(self._pause_allowed):
            self._remember(paused=True)

    @workflow.update(name=names.RESUME, description=names.COMMANDS_TO_MANY[names.RESUME])
    def resume_all(self, command: CommandInput | None = None) -> str:
        """Go on."""
        self._remember(paused=False)
        return "going on"

    @resume_all.validator
    def _resume_allowed(self, command: CommandInput | None = None) -> None:
        self._require(names.RESUME)
        if not self._is_paused:
            raise refused(names.RESUME, "it is not paused")

    @workflow.signal(name=names.RESUME, description=names.COMMANDS_TO_MANY[names.RESUME])
    def resume_signal(self, command: CommandInput | None = None) -> None:
        """Signal twin of the update."""
        if self.allows(self._resume_allowed):
            self._remember(paused=False)

    @property
    def _is_paused(self) -> bool:
        return bool({**self._memory.model_dump(), **self._early}["paused"])

    def _require(self, name: str) -> None:
        if self.cancel_requested or self.is_undoing:
            raise refused(name, f"the {self.word} is being cancelled")
        if self.log.phase == "ended":
            raise refused(name, f"the {self.word} has ended")

    def _remember(self, **changes: Any) -> None:
        if self._has_begun:
            self._memory = self._memory.model_copy(update=changes)
        else:
            self._early |= changes
        self._changed = True

    # -- what each kind has of its own -------------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self, begun: Begun) -> None:
        """Show what it does; what an earlier run was told counts."""

    @abstractmethod
    def _cancelled(self, begun: Begun, request: Request_) -> Failure:
        """Why it ends when it is cancelled: what was done until then."""

    @abstractmethod
    def _show(self) -> None:
        """Show the phase and the commands that can be sent now."""

    @abstractmethod
    async def _follow(self, **look: Any) -> Followed:
        """Keep the memory with the operation, and look."""

    @abstractmethod
    def _child(self, request: Request_, share: Any) -> Child_:
        """A share whose operation begins now."""

    @abstractmethod
    def _adopted(self, share: Any, *, unsure: bool) -> Child_:
        """A share whose operation an earlier run has begun; ``unsure`` whether it was told what that run was told."""

    @abstractmethod
    def _starting(
        self, request: Request_, child: Child_
    ) -> Coroutine[Any, Any, workflow.ChildWorkflowHandle[Any, Any]]:
        """The start of a child."""

    @abstractmethod
    def _outcome(self, result: Any) -> dict[str, Any]:
        """What is shown of a child that has succeeded."""

    @abstractmethod
    def _outcome_of(self, child: Any) -> dict[str, Any]:
        """The same of one that has ended, from what the inventory says of it."""

    @abstractmethod
    async def _give_up(self, child: Child_) -> bool:
        """Cancel a child; False when there is nobody to take it any more."""

    async def _steer(self) -> None:
        """Tell the children what was commanded."""

    # -- from its begin to its end -----------------------------------------------------------------------------------

    async def fan_out(self, request: Request_, concurrency: int) -> dict[str, Any]:
        """The whole operation; its result."""
        try:
            return await self.conduct(request, self._recipe(request, concurrency))
        finally:
            await workflow.wait_condition(workflow.all_handlers_finished)

    async def _recipe(self, request: Request_, concurrency: int) -> dict[str, Any]:
        begun = await self.begin(request)
        if begun.status is BeginStatus.ENDED:
            return await self.ended_before(begun)
        try:
            self._prepare(begun)
            await self._take_up(begun)
            await self._all(request, concurrency)
        except asyncio.CancelledError:
            await self.see_through(self._wind_down())
            raise as_error(self._cancelled(begun, request)) from None
        self.log.done()
        self.log.note = self._shown.summary()
        return await self.commit()

    # -- the main loop -----------------------------------------------------------------------------------------------

    async def _take_up(self, begun: Begun) -> None:
        """What an earlier run has begun goes on."""
        found = await self._follow(take_up=True)
        if found.report is not None:
            self._shown.take_up(found.report)
        for child in found.children:
            self._adopt(child, unsure=bool(begun.recovery))

    def _adopt(self, child: ChildState, *, unsure: bool) -> None:
        if child.share.id not in self._children:
            self._children[child.share.id] = self._adopted(child.share, unsure=unsure)
            self._shown.began(child.share)

    async def _all(self, request: Request_, concurrency: int) -> None:
        """Begin and see through the operations of all shares."""
        while True:
            self._changed = False
            await self._fill(request, concurrency)
            await self._steer()
            self._show()
            if not self._children and not self._memory.paused:
                # Shares may have come meanwhile: they were being made, or restored from the recycle bin.
                self._after = ""
                await self._fill(request, concurrency)
                if not self._children and not self._changed:
                    return
            await self.pause_until(lambda: self._changed, self.limits.turn, f"a look at the {self.word}")
            await self._look(request)
            await self._continue_as_new(request)

    async def _fill(self, request: Request_, concurrency: int) -> None:
        """Begin as long as there is a place for one."""
        while len(self._children) < concurrency and not self._memory.paused:
            share = await self._next()
            if share is None:
                return
            await self._start(request, share)

    async def _next(self) -> Any:
        while not self._queue:
            found = await self._follow(after=self._after, limit=PAGE)
            if not found.shares:
                return None
            self._after = found.shares[-1].id
            self._queue = [share for share in found.shares if share.id not in self._tried]
        return self._queue.pop(0)

    async def _start(self, request: Request_, share: Any) -> None:
        """Begin a share's operation, or find that it has begun."""
        self._tried.add(share.id)
        child = self._children[share.id] = self._child(request, share)
        self._shown.began(share)
        try:
            handle = await finish(self._starting(request, child))
        except WorkflowAlreadyStartedError:
            return
        child.awaited = True
        wait = asyncio.create_task(self._await(child, handle))
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)

    def _id_of(self, share: NamedShare) -> str:
        return f"{self.id}/{share.id}"

    async def _await(self, child: Child_, handle: workflow.ChildWorkflowHandle[Any, Any]) -> None:
        try:
            result = await handle
        except ChildWorkflowError as error:
            if isinstance(error.cause, ApplicationError | CancelledError):
                failure = failure_of(error.cause)
                self._over(child, failure=f"{failure.message} {failure.hint}".strip())
            else:
                # It was ended from outside. The reconciler starts it again: the inventory tells what becomes of it.
                child.awaited = False
        else:
            self._over(child, **self._outcome(result))
        self._changed = True

    def _over(self, child: Child_, **outcome: Any) -> None:
        self._children.pop(child.share.id, None)
        self._shown.ended(child.share, **outcome)

    async def _look(self, request: Request_) -> None:
        """Ask the inventory how children fare, now and then."""
        if workflow.now() < self._next_look or not self._children:
            return
        self._next_look = workflow.now() + timedelta(seconds=self.limits.turn)
        for seen in (await self._follow(watched=list(self._children))).children:
            self._shown.seen(seen)
            child = self._children.get(seen.share.id)
            if child is None or child.awaited:
                continue
            if seen.state in ENDED:
                self._settle(child, seen)
            elif not seen.state and not self.cancel_requested:
                await self._start(request, child.share)

    def _settle(self, child: Child_, seen: ChildState) -> None:
        failed = seen.state == OperationState.FAILED_CLEAN.value
        self._over(child, **self._outcome_of(seen), failure=seen.trouble if failed else "")

    async def _tell(self, child: Child_, name: str, payload: Any) -> bool:
        """Send a command; False when there is nobody to take it any more."""
        handle = workflow.get_external_workflow_handle(self._id_of(child.share))
        try:
            await handle.signal(name, payload)
        except FailureError as error:
            workflow.logger.info("operation of share %s could not be sent %s: %s", child.share.id, name, error)
            return False
        return True

    async def _continue_as_new(self, request: Request_) -> None:
        if workflow.info().get_current_history_length() < self.limits.history:
            return
        await self._follow()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(request)

    # -- cancel ------------------------------------------------------------------------------------------------------

    async def _wind_down(self) -> None:
        """Children before their switch are cancelled, the others end; nothing more begins."""
        self._show()
        for found in (await self._follow(take_up=True)).children:
            self._adopt(found, unsure=False)
        for child in list(self._children.values()):
            told = await self._give_up(child)
            if not told and not child.awaited:
                (seen,) = (await self._follow(watched=[child.share.id])).children
                if not seen.state:
                    self._over(child)  # it never began
        while self._children:
            await self.pause_until(lambda: self._changed, self.limits.turn, f"the {self.word} that go on")
            self._changed = False
            await self._ask_after()

    async def _ask_after(self) -> None:
        others = [id_ for id_, child in self._children.items() if not child.awaited]
        if others:
            for seen in (await self._follow(watched=others)).children:
                if seen.state in ENDED:
                    self._settle(self._children[seen.share.id], seen)
