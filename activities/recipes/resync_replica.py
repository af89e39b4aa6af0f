"""ResyncReplica in the inventory: its begin and its end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from activities.recipes.base import Recipe
from activities.recipes.replicate import hold, replica_of, result_of, terms_of
from activities.recipes.replicating import end_round
from inventory import operations, replicas, resources
from inventory.operations import OpenOperation
from shareflow import names
from shareflow.contracts.replication import ResyncReplicaInput
from shareflow.contracts.steps import Begun, CommitInput


class ResyncReplica(Recipe[ResyncReplicaInput]):
    """A replica is brought up to date now; a stale copy that was kept is one again."""

    kind = names.RESYNC_REPLICA
    input_model = ResyncReplicaInput

    def begin(self, connection: Connection, operation: OpenOperation, request: ResyncReplicaInput) -> Begun:
        """See base class."""
        held = hold(connection, operation, request)
        if isinstance(held, Begun):
            return held
        share, found, fence = held
        operations.note(connection, operation.id, share_id=share["id"], waiting_for=None)
        return self.started(
            connection,
            operation,
            share_id=share["id"],
            share_name=share["name"],
            fences=[fence],
            instance=resources.instance_place(connection, share["id"]),
            replica=terms_of(connection, found),
        )

    def commit(
        self, connection: Connection, operation: OpenOperation, begun: Begun, outcome: CommitInput
    ) -> dict[str, Any]:
        """What the round came to is kept with it."""
        if outcome.round is not None:
            end_round(connection, operation, outcome.round)
        found = replicas.row(connection, replica_of(begun).replica)
        return result_of(operation, begun.share_name, found, moved=found["moved_bytes"])

    def abort(self, connection: Connection, operation: OpenOperation, begun: Begun) -> None:
        """What was copied stays: it is the share's."""
