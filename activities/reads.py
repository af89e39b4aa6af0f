"""Reads: standalone activities, so that clients need Temporal alone. Each runs in one consistent read transaction."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection
from temporalio import activity
from temporalio.common import RawValue

from activities import placement, qos
from activities.failures import translated
from activities.settings import Services
from dsl.placement import PlacementRequest
from inventory import queries, resources
from shareflow import names
from shareflow.contracts import reads
from shareflow.contracts.base import StrictModel
from shareflow.errors import InvalidInput

Question = Callable[[Connection, Any], Any]


def _explain(connection: Connection, query: reads.PlacementQuery) -> reads.PlacementView:
    picture = list(resources.pools_picture(connection))
    placement.check_pins(picture, query.backend, query.pool)
    spec = placement.type_spec(resources.share_type(connection, query.type))
    request = PlacementRequest(
        size=query.size,
        type=spec,
        zone=query.zone,
        backend=query.backend,
        pool=query.pool,
        qos=qos.of_type(connection, spec),
    )
    decision = placement.decide(picture, request)
    chosen = decision.ranked[0] if decision.ranked else ""
    return reads.PlacementView(chosen=chosen, summary=decision.explanation(), decision=decision.to_json())


QUESTIONS: tuple[tuple[str, type[StrictModel], Question], ...] = (
    (names.LIST_SHARES, reads.ShareQuery, queries.list_shares),
    (names.GET_SHARE, reads.ShareRef, queries.get_share),
    (names.LIST_SNAPSHOTS, reads.SnapshotQuery, queries.list_snapshots),
    (names.GET_SNAPSHOT, reads.SnapshotRef, queries.get_snapshot),
    (names.LIST_OPERATIONS, reads.OperationQuery, queries.list_operations),
    (names.GET_OPERATION, reads.OperationRef, queries.get_operation),
    (names.EXPLAIN_PLACEMENT, reads.PlacementQuery, _explain),
    (names.LIST_POOLS, reads.ProjectRef, lambda connection, _query: queries.list_pools(connection)),
    (names.LIST_SHARE_TYPES, reads.ProjectRef, lambda connection, _query: queries.list_share_types(connection)),
    (names.LIST_QOS_CLASSES, reads.ProjectRef, lambda connection, _query: queries.list_qos_classes(connection)),
    (names.GET_QUOTA, reads.ProjectRef, queries.get_quota),
    (names.LIST_FINDINGS, reads.FindingQuery, queries.list_findings),
    (names.LIST_AUDIT, reads.AuditQuery, queries.list_audit),
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

    def activities(self) -> list[Callable[..., Any]]:
        """The activity functions to register, one per question and one for questions that do not exist."""
        return [*(self._activity(*question) for question in QUESTIONS), unknown_read]

    def _activity(self, name: str, model: type[StrictModel], question: Question) -> Callable[..., Any]:
        @activity.defn(name=name, no_thread_cancel_exception=True)
        def answer(asked: RawValue) -> Any:
            # Read here and not by the worker, which would try again and again what it cannot read.
            query = activity.payload_converter().from_payload(asked.payload, model)
            with translated(), self._database.read() as connection:
                return question(connection, query)

        return answer
