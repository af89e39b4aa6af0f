"""ResyncReplica in the inventory: its begin and its end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from activities.recipes.base import Recipe
from activities.recipes.replicate import hold, holding, replica_of, result_of
from activities.recipes.replicating import end_round
from inventory import replicas
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
        return self.started(connection, operation, **holding(connection, operation, held))

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
