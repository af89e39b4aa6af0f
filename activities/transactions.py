"""How inventory steps run: one transaction each, with fault points around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from activities.failures import translated
from inventory import operations
from inventory.database import Database
from inventory.operations import OpenOperation
from shareflow import faults, names
from shareflow.contracts.steps import Begun
from shareflow.errors import StaleClaim
from shareflow.faults import FaultPoint


class _Moments:
    """The fault points of one inventory step: before its transaction, before its commit, and after it."""

    def __init__(self, step: str) -> None:
        self.before = faults.declare(f"inventory.{step}.before_transaction")
        self.uncommitted = faults.declare(f"inventory.{step}.before_commit")
        self.committed = faults.declare(f"inventory.{step}.after_commit")


_MOMENTS = {
    step: _Moments(step)
    for step in (
        names.BEGIN,
        names.PLACE_AGAIN,
        names.COMMIT,
        names.BEGIN_UNDO,
        names.ABORT,
        names.MARK,
        names.SOFT_DELETED,
        names.RESTORE_ROWS,
        names.BEGIN_PURGE,
        names.RETENTION,
        names.FOLLOW_SHARE,
        names.BEGIN_CUTOVER,
        names.SWITCH_SHARE,
        names.END_CUTOVER,
        names.FOLLOW_EVACUATION,
        names.FOLLOW_FAILOVER,
        names.BEGIN_ROUND,
        names.FOLLOW_REPLICA,
        names.END_ROUND,
        names.SWITCH_REPLICA,
    )
}


class Transactions:
    """What classes of inventory steps have in common."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def step(self, step: str, operation: str) -> Iterator[Connection]:
        """The transaction of one step in an operation's name."""
        moments = _MOMENTS[step]
        with translated():
            self._hit(moments.before, operation)
            with self._database.write() as connection:
                yield connection
                self._hit(moments.uncommitted, operation)
            # Window: the transaction is durable, the answer is not. The repeated step finds it done.
            self._hit(moments.committed, operation)

    @staticmethod
    def _hit(point: FaultPoint, operation: str) -> None:
        faults.hit(point, operation)

    @staticmethod
    def keep(connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """Keep the answer to an operation's first step, as it is now."""
        operations.note(connection, operation.id, begun=begun.model_dump(mode="json"), **operation.notes)

    def running(self, connection: Connection, operation: str) -> tuple[OpenOperation, Begun]:
        """An operation that has begun and not ended, its row locked. Raises StaleClaim for another."""
        found = operations.get(connection, operation)
        return found, self.begun(found)

    @staticmethod
    def forward(found: OpenOperation) -> None:
        """Raise StaleClaim when the operation is being undone: its point of no return is out of reach then."""
        if found.recovery == operations.UNDOING:
            raise StaleClaim(f"operation {found.id} is being undone, it does not go on")

    @staticmethod
    def begun(found: OpenOperation) -> Begun:
        """The answer to its first step. Raises StaleClaim when it has not begun, or is over."""
        if found.ended or found.begun is None:
            raise StaleClaim(f"operation {found.id} is {found.state.value}, nothing more can be done in its name")
        return Begun.model_validate(found.begun, strict=False)
