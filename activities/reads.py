"""Reads: standalone activities, so that clients need Temporal alone. Each runs in one consistent read transaction."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection
from temporalio import activity
from temporalio.common import RawValue

from activities import placement, qos, saving, specs
from activities.failures import translated
from activities.placement import Placement
from activities.settings import Services
from dsl.placement import Decision, PlacementRequest
from inventory import queries, resources
from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.base import StrictModel
from shareflow.contracts.specs import InventoryQuery, PlanQuery
from shareflow.errors import InvalidInput, NotFound

Question = Callable[[Connection, Any], Any]


def _decision(decision: Decision, *, chosen: str | None = None) -> reads.PlacementView:
    taken = chosen if chosen is not None else decision.ranked[0] if decision.ranked else ""
    return reads.PlacementView(chosen=taken, summary=decision.explanation(taken or None), decision=decision.to_json())


def _explain(placed: Placement, connection: Connection, query: reads.PlacementQuery) -> reads.PlacementView:
    """Where a share would go now; nothing is reserved."""
    spec = placement.type_spec(resources.share_type(connection, query.type))
    request = PlacementRequest(
        size=query.size,
        type=spec,
        zone=query.zone,
        backend=query.backend,
        pool=query.pool,
        qos=qos.of_type(connection, spec),
        project=query.project,
        affinity=placement.neighbours(connection, query.project, query.affinity, "affinity"),
        anti_affinity=placement.neighbours(connection, query.project, query.anti_affinity, "anti_affinity"),
        affinity_by=query.affinity_by.value,
    )
    return _decision(placed.decide(connection, request)[0])


def _explain_operation(connection: Connection, query: reads.OperationRef) -> reads.PlacementView:
    """Why an operation's pool was chosen, or why none was: its decision in full, worked out again."""
    found = queries.get_operation(connection, query)
    if not found.placement:
        raise NotFound(f"operation {query.operation!r} has placed nothing", field="operation")
    chosen = found.placement.get("chosen")
    decision = placement.decide_again(connection, found.placement)
    return _decision(decision, chosen=chosen["pool"] if isinstance(chosen, dict) else "")


QUESTIONS: tuple[tuple[str, type[StrictModel], Question], ...] = (
    (names.LIST_SHARES, reads.ShareQuery, queries.list_shares),
    (names.GET_SHARE, reads.ShareRef, queries.get_share),
    (names.LIST_SNAPSHOTS, reads.SnapshotQuery, queries.list_snapshots),
    (names.GET_SNAPSHOT, reads.SnapshotRef, queries.get_snapshot),
    (names.LIST_OPERATIONS, reads.OperationQuery, queries.list_operations),
    (names.GET_OPERATION, reads.OperationRef, queries.get_operation),
    (names.GET_SPECS, reads.ProjectRef, saving.get_specs),
    (names.EXPLAIN_OPERATION, reads.OperationRef, _explain_operation),
    (names.LIST_POOLS, reads.ProjectRef, lambda connection, _query: queries.list_pools(connection)),
    (names.LIST_SHARE_TYPES, reads.ProjectRef, lambda connection, _query: queries.list_share_types(connection)),
    (names.LIST_QOS_CLASSES, reads.ProjectRef, lambda connection, _query: queries.list_qos_classes(connection)),
    (names.GET_QUOTA, reads.ProjectRef, queries.get_quota),
    (names.LIST_FINDINGS, reads.FindingQuery, queries.list_findings),
    (names.LIST_AUDIT, reads.AuditQuery, queries.list_audit),
    (names.PLAN_SPECS, PlanQuery, specs.plan_specs),
)


@activity.defn(dynamic=True)
def unknown_read(_args: Sequence[RawValue]) -> None:
    """Refuse a misspelt activity type, which would be tried again and again otherwise."""
    asked = activity.info().activity_type[:100]
    close = difflib.get_close_matches(asked, names.READS, n=1)
    hint = (f"did you mean {close[0]}? " if close else "") + f"Reads are {', '.join(names.READS)}"
    with translated():
        raise InvalidInput(f"there is no read {asked!a}", field="type", hint=hint)


class Reads:
    """The questions that clients can ask."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._placement = Placement(services.database)

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register, one per question and one for questions that do not exist."""
        explain = self._activity(names.EXPLAIN_PLACEMENT, reads.PlacementQuery, partial(_explain, self._placement))
        save = self._activity(names.SAVE_INVENTORY, InventoryQuery, partial(saving.save_inventory, self._placement))
        return [*(self._activity(*question) for question in QUESTIONS), explain, save, unknown_read]

    def _activity(self, name: str, model: type[StrictModel], question: Question) -> Callable[..., Any]:
        @activity.defn(name=name, no_thread_cancel_exception=True)
        def answer(asked: RawValue) -> Any:
            # Read here and not by the worker, which would try again and again what it cannot read.
            query = activity.payload_converter().from_payload(asked.payload, model)
            with translated(), self._database.read() as connection:
                found = question(connection, query)
            self._placement.pictures.catch_up()
            return found

        return answer
