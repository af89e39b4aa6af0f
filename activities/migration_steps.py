"""Inventory steps of migrations and evacuations that run: local activities, each a transaction that may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities.recipes import evacuate, migrating
from activities.settings import Services
from activities.transactions import Transactions
from shareflow import names
from shareflow.contracts.evacuation_steps import EvacuationFollowed, FollowEvacuationInput
from shareflow.contracts.migration_steps import (
    CutoverBegun,
    CutoverEnded,
    EndCutoverInput,
    Followed,
    FollowInput,
    SwitchInput,
)
from shareflow.contracts.steps import Begun, CommandStep


class MigrationSteps(Transactions):
    """What migrations and evacuations ask of the inventory between their begin and their end."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.database)

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register."""
        return [self.follow, self.begin_cutover, self.switch, self.end_cutover, self.follow_evacuation]

    @activity.defn(name=names.FOLLOW_SHARE, no_thread_cancel_exception=True)
    def follow(self, step: FollowInput) -> Followed:
        """Before each pass: keep the memory, see what the share is now."""
        with self.step(names.FOLLOW_SHARE, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            kept, answer = migrating.follow(connection, operation, begun, step)
            self.keep(connection, operation, kept)
            return answer

    @activity.defn(name=names.BEGIN_CUTOVER, no_thread_cancel_exception=True)
    def begin_cutover(self, step: CommandStep) -> CutoverBegun:
        """Hold the share with all its snapshots, or stand in line for them."""
        with self.step(names.BEGIN_CUTOVER, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            kept, answer = migrating.begin_cutover(connection, operation, begun)
            self.keep(connection, operation, kept)
            return answer

    @activity.defn(name=names.SWITCH_SHARE, no_thread_cancel_exception=True)
    def switch(self, step: SwitchInput) -> Begun:
        """The point of no return: the destination is the share."""
        with self.step(names.SWITCH_SHARE, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            switched = migrating.switch(connection, operation, begun, step)
            self.keep(connection, operation, switched)
            return switched

    @activity.defn(name=names.END_CUTOVER, no_thread_cancel_exception=True)
    def end_cutover(self, step: EndCutoverInput) -> CutoverEnded:
        """Others may have the share and its snapshots again."""
        with self.step(names.END_CUTOVER, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            kept, answer = migrating.end_cutover(connection, operation, begun, step)
            self.keep(connection, operation, kept)
            return answer

    @activity.defn(name=names.FOLLOW_EVACUATION, no_thread_cancel_exception=True)
    def follow_evacuation(self, step: FollowEvacuationInput) -> EvacuationFollowed:
        """Keep an evacuation's memory; see which shares are next and how the migrations fare."""
        with self.step(names.FOLLOW_EVACUATION, step.operation) as connection:
            operation, begun = self.running(connection, step.operation)
            kept, answer = evacuate.follow(connection, operation, begun, step)
            self.keep(connection, operation, kept)
            return answer
