"""Inventory steps: local activities, each one short transaction that may be repeated at any time.

A step that comes twice (its worker died before the answer arrived, or the commit's outcome was unknown) finds what the
first one did and gives the same answer: the operation's row keeps ``begun``, ``result`` and ``failure``.

No cancel or time-out is raised inside their threads: it could come between taking and giving back the writer's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import as_failure, failure_of, translated
from activities.migration_steps import MigrationSteps
from activities.placement import Placement, still_known
from activities.recipes.base import Recipe
from activities.recipes.create import CreateShare, CreateShareFromSnapshot
from activities.recipes.delete import DeleteShare, ForgetShare
from activities.recipes.drain import DrainPool
from activities.recipes.evacuate import EvacuateBackend, EvacuatePool
from activities.recipes.failover import FailbackBackend, FailoverBackend
from activities.recipes.migrate import MigrateShare
from activities.recipes.migrate_replica import MigrateReplica
from activities.recipes.promote import PromoteReplica
from activities.recipes.qos import SetShareQos
from activities.recipes.replicate import CreateReplica, DeleteReplica, SyncReplica
from activities.recipes.resize import ResizeShare
from activities.recipes.resync_replica import ResyncReplica
from activities.recipes.retype import RetypeShare
from activities.recipes.snapshots import CreateSnapshot, DeleteSnapshot, RevertShare
from activities.recipes.specs import ApplySpecs
from activities.recipes.tombstones import bury_left
from activities.replica_steps import ReplicaSteps
from activities.settings import Services
from activities.transactions import Transactions
from inventory import claims, operations, reservations
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.operations import OperationState
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.steps import (
    AbortInput,
    BeginInput,
    Begun,
    CommandStep,
    CommitInput,
    Ended,
    MarkInput,
    PlaceAgainInput,
    PurgeBegun,
    RetentionResult,
)
from shareflow.errors import (
    DatabaseUnavailable,
    InvalidInput,
    NameTaken,
    NoPoolFits,
    RequestReused,
    ShareflowError,
)

RECIPES: tuple[type[Recipe[Any]], ...] = (
    CreateShare,
    CreateShareFromSnapshot,
    CreateSnapshot,
    DeleteSnapshot,
    RevertShare,
    ResizeShare,
    DeleteShare,
    ForgetShare,
    SetShareQos,
    MigrateShare,
    RetypeShare,
    DrainPool,
    EvacuatePool,
    EvacuateBackend,
    FailoverBackend,
    FailbackBackend,
    CreateReplica,
    SyncReplica,
    ResyncReplica,
    PromoteReplica,
    MigrateReplica,
    DeleteReplica,
    ApplySpecs,
)


class InventorySteps(Transactions):
    """The inventory's activities, bound to one database."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.database)
        self._migration = MigrationSteps(services)
        self._placement = Placement(services.database)
        self._recipes = {recipe.kind: recipe(services.limits, self._placement) for recipe in RECIPES}
        self._replicas = ReplicaSteps(
            services, PromoteReplica(services.limits, self._placement), MigrateReplica(services.limits, self._placement)
        )

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register."""
        return [
            self.begin,
            self.place_again,
            self.commit,
            self.begin_undo,
            self.abort,
            self.mark,
            self.soft_deleted,
            self.restore_rows,
            self.begin_purge,
            self.retention,
            *self._migration.activities(),
            *self._replicas.activities(),
        ]

    def recipe(self, kind: str) -> Recipe[Any]:
        """The transactions of a kind of operation. Raises InvalidInput for one that is none."""
        recipe = self._recipes.get(kind)
        if recipe is None:
            raise InvalidInput(f"{kind!r} is not an operation", field="kind")
        return recipe

    def _delete_recipe(self, operation: OpenOperation) -> DeleteShare:
        recipe = self.recipe(operation.kind)
        if not isinstance(recipe, DeleteShare):
            raise InvalidInput(f"{operation.kind} has no recycle bin", field="kind")
        return recipe

    @activity.defn(name=names.BEGIN, no_thread_cancel_exception=True)
    def begin(self, step: BeginInput) -> Begun:
        """Open, claim, check, reserve and place. A refusal ends the operation failed-clean and is raised."""
        try:
            with self.step(names.BEGIN, step.operation) as connection:
                begun = self._begin(connection, step)
            self._placement.pictures.catch_up()
            return begun
        except Exception as error:
            refusal = error.__cause__ if isinstance(error.__cause__, ShareflowError) else None
            if isinstance(error, IntegrityError):
                refusal = NameTaken("another request took this name at the same moment", field="name")
            if refusal is None or isinstance(refusal, DatabaseUnavailable | RequestReused):
                raise
            with translated():
                wake = self._refuse(step, refusal)
            raise as_failure(refusal, wake) from None

    def _begin(self, connection: Connection, step: BeginInput) -> Begun:
        operation = operations.open_or_find(connection, step.operation, step.kind, step.request)
        if operation.ended:
            return Begun(status=BeginStatus.ENDED, result=operation.result, failure=operation.failure)
        if operation.begun is not None:
            return Begun.model_validate({**operation.begun, "recovery": operation.recovery}, strict=False)
        recipe = self.recipe(step.kind)
        begun = recipe.begin(connection, operation, recipe.parse(operation))
        match begun.status:
            case BeginStatus.WAITING:
                operations.note(connection, operation.id, waiting_for=begun.waiting_for)
                return begun.model_copy(update={"limits": recipe.limits})
            case BeginStatus.STARTED:
                self.keep(connection, operation, begun)
            case BeginStatus.ENDED:
                operations.note(connection, operation.id, share_id=begun.share_id)
                operations.end(connection, operation.id, OperationState.SUCCEEDED, result=begun.result)
                woken = [*begun.waiting_for, *claims.release(connection, operation.id)]
                return begun.model_copy(update={"waiting_for": list(dict.fromkeys(woken))})
        return begun

    def _refuse(self, step: BeginInput, refusal: ShareflowError) -> list[str]:
        """Record the refusal, so that the same request gets the same answer. Claims that waited are given back.

        Returns the operations whose turn it may be now.
        """
        with self._database.write() as connection:
            operation = operations.open_or_find(connection, step.operation, step.kind, step.request)
            if operation.begun is None and not operation.ended:
                reservations.void(connection, step.operation)
                if isinstance(refusal, NoPoolFits):
                    operations.note(connection, step.operation, placement=still_known(connection, refusal.placement))
                operations.end(connection, step.operation, OperationState.FAILED_CLEAN, failure=failure_of(refusal))
            return claims.release(connection, step.operation) if operation.begun is None else []

    @activity.defn(name=names.PLACE_AGAIN, no_thread_cancel_exception=True)
    def place_again(self, step: PlaceAgainInput) -> Begun:
        """Take the next-best pool after one refused, or wait in line. Raises NoPoolFits when none is left."""
        try:
            with self.step(names.PLACE_AGAIN, step.operation) as connection:
                operation, begun = self.running(connection, step.operation)
                recipe = self.recipe(operation.kind)
                if not isinstance(recipe, CreateShare | CreateShareFromSnapshot | MigrateShare | CreateReplica):
                    raise InvalidInput(f"{operation.kind} is not placed", field="kind")
                moved = recipe.place_again(connection, operation, begun, step)
                if moved.status is not BeginStatus.WAITING:
                    self.keep(connection, operation, moved)
                return moved
        except ApplicationError as error:
            if isinstance(error.__cause__, NoPoolFits):
                with translated(), self._database.write() as connection:
                    kept = still_known(connection, error.__cause__.placement)
                    operations.note(connection, step.operation, placement=kept)
            raise

    @activity.defn(name=names.COMMIT, no_thread_cancel_exception=True)
    def commit(self, step: CommitInput) -> Ended:
        """Make the outcome true, end the operation, release its claims. Repeated: the recorded result."""
        with self.step(names.COMMIT, step.operation) as connection:
            operation = operations.get(connection, step.operation)
            if operation.state is OperationState.SUCCEEDED:
                return Ended(result=operation.result)
            begun = self.begun(operation)
            self.forward(operation)
            claims.check(connection, operation.id, [*begun.fences, *begun.item_fences])
            bury_left(connection, operation, begun.share_id, step.left)
            result = self.recipe(operation.kind).commit(connection, operation, begun, step)
            operations.end(connection, operation.id, OperationState.SUCCEEDED, result=result)
            return Ended(result=result, wake=claims.release(connection, operation.id))

    @activity.defn(name=names.BEGIN_UNDO, no_thread_cancel_exception=True)
    def begin_undo(self, step: CommandStep) -> Ended:
        """No attempt can commit from here on; or the recorded ending of an operation that has ended before."""
        with self.step(names.BEGIN_UNDO, step.operation) as connection:
            operation = operations.fetch(connection, step.operation)
            if operation is None:
                return Ended()
            if not operation.ended:
                operations.note(connection, operation.id, recovery=operations.UNDOING)
            return Ended(result=operation.result, failure=operation.failure)

    @activity.defn(name=names.ABORT, no_thread_cancel_exception=True)
    def abort(self, step: AbortInput) -> Ended:
        """Take everything back, end the operation failed-clean, release its claims. Repeated: nothing more happens."""
        with self.step(names.ABORT, step.operation) as connection:
            operation = operations.fetch(connection, step.operation)
            if operation is None and step.request is not None:
                operation = operations.open_or_find(connection, step.operation, step.kind, step.request)
            if operation is None or operation.ended:
                return Ended(result=operation.result, failure=operation.failure) if operation else Ended()
            if operation.begun is not None:
                begun = Begun.model_validate(operation.begun, strict=False)
                self.recipe(operation.kind).abort(connection, operation, begun)
                bury_left(connection, operation, begun.share_id, step.left)
            reservations.void(connection, operation.id)
            wake = claims.release(connection, operation.id)
            operations.end(connection, operation.id, OperationState.FAILED_CLEAN, failure=step.failure)
            return Ended(wake=wake)

    @activity.defn(name=names.MARK, no_thread_cancel_exception=True)
    def mark(self, step: MarkInput) -> None:
        """Record how a running operation fares: past the point of no return, or in need of an operator."""
        with self.step(names.MARK, step.operation) as connection:
            operation = operations.get(connection, step.operation)
            if not operation.ended:
                operations.note(
                    connection,
                    step.operation,
                    state=step.state.value,
                    left_over=step.left,
                    no_return=operation.no_return or step.no_return,
                )

    @activity.defn(name=names.SOFT_DELETED, no_thread_cancel_exception=True)
    def soft_deleted(self, step: CommandStep) -> Begun:
        """The share is in the recycle bin."""
        with self.step(names.SOFT_DELETED, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            binned = self._delete_recipe(operation).soft_deleted(connection, operation, begun)
            self.keep(connection, operation, binned)
            return binned

    @activity.defn(name=names.RETENTION, no_thread_cancel_exception=True)
    def retention(self, step: CommandStep) -> RetentionResult:
        """Move the purge of a share in the recycle bin."""
        with self.step(names.RETENTION, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            extended, result = self._delete_recipe(operation).extend(connection, operation, begun, step)
            self.keep(connection, operation, extended)
            return result

    @activity.defn(name=names.RESTORE_ROWS, no_thread_cancel_exception=True)
    def restore_rows(self, step: CommandStep) -> None:
        """The share leaves the recycle bin; its name is taken from here on."""
        with self.step(names.RESTORE_ROWS, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            restored = self._delete_recipe(operation).restore(connection, operation, begun, step)
            self.keep(connection, operation, restored)

    @activity.defn(name=names.BEGIN_PURGE, no_thread_cancel_exception=True)
    def begin_purge(self, step: CommandStep) -> PurgeBegun:
        """The point of no return of a deletion."""
        with self.step(names.BEGIN_PURGE, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            self.forward(operation)
            purging, answer = self._delete_recipe(operation).purge(connection, operation, begun)
            self.keep(connection, operation, purging)
            operations.note(connection, operation.id, no_return=True)
            return answer
