"""Inventory steps of replicas: local activities, each a transaction that may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities.recipes import failover, replicating
from activities.recipes.migrate_replica import MigrateReplica
from activities.recipes.promote import PromoteReplica
from activities.settings import Services
from activities.transactions import Transactions
from inventory import operations
from shareflow import names
from shareflow.contracts.failover_steps import FailoverFollowed, FollowFailoverInput
from shareflow.contracts.places import BeginStatus
from shareflow.contracts.replica_steps import (
    EndRoundInput,
    FollowReplicaInput,
    ReplicaFollowed,
    RoundBegun,
    RoundEnded,
    SwitchReplicaInput,
)
from shareflow.contracts.steps import Begun, CommandStep


class ReplicaSteps(Transactions):
    """What operations on replicas ask of the inventory between their begin and their end."""

    def __init__(self, services: Services, promote: PromoteReplica, migrate: MigrateReplica) -> None:
        super().__init__(services.database)
        self._promote, self._migrate = promote, migrate

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register."""
        return [self.begin_round, self.follow, self.end_round, self.switch, self.follow_failover]

    @activity.defn(name=names.BEGIN_ROUND, no_thread_cancel_exception=True)
    def begin_round(self, step: CommandStep) -> RoundBegun:
        """Hold the replica for one round, or the one whose place another takes; or stand in line."""
        with self.step(names.BEGIN_ROUND, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            if operation.kind == names.MIGRATE_REPLICA:
                answer = self._migrate.hold_old(connection, operation, begun)
            else:
                answer = replicating.begin_round(connection, operation, begun)
            waiting = answer.waiting_for if answer.status is BeginStatus.WAITING else None
            operations.note(connection, operation.id, waiting_for=waiting)
            return answer

    @activity.defn(name=names.FOLLOW_REPLICA, no_thread_cancel_exception=True)
    def follow(self, step: FollowReplicaInput) -> ReplicaFollowed:
        """Before each pass: keep the memory, see what the share is now."""
        with self.step(names.FOLLOW_REPLICA, step.operation) as connection:
            operation, _ = self.running(connection, step.operation)
            return replicating.follow(connection, operation, step)

    @activity.defn(name=names.END_ROUND, no_thread_cancel_exception=True)
    def end_round(self, step: EndRoundInput) -> RoundEnded:
        """Keep what a round came to."""
        with self.step(names.END_ROUND, step.operation) as connection:
            operation, _ = self.running(connection, step.operation)
            return replicating.end_round(connection, operation, step)

    @activity.defn(name=names.SWITCH_REPLICA, no_thread_cancel_exception=True)
    def switch(self, step: SwitchReplicaInput) -> Begun:
        """The point of no return: the replica is the share, or it has the place of another one."""
        with self.step(names.SWITCH_REPLICA, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            self.forward(operation)
            if operation.kind == names.MIGRATE_REPLICA:
                switched = self._migrate.switch(connection, operation, begun)
            else:
                switched = self._promote.switch(connection, operation, begun, step)
            self.keep(connection, operation, switched)
            return switched

    @activity.defn(name=names.FOLLOW_FAILOVER, no_thread_cancel_exception=True)
    def follow_failover(self, step: FollowFailoverInput) -> FailoverFollowed:
        """Keep a failover's memory; see which shares are next and how the promotions fare."""
        with self.step(names.FOLLOW_FAILOVER, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            kept, answer = failover.follow(connection, operation, begun, step)
            self.keep(connection, operation, kept)
            return answer
